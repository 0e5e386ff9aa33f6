#!/bin/sh
# need.sh COMMAND=PACKAGE[,PACKAGE...] ...
# Installs the Debian packages of each command that is not there. Where all are there, it does nothing and asks no one.
set -eu

missing=
commands=
for pair in "$@"; do
	if ! command -v "${pair%%=*}" >/dev/null 2>&1; then
		missing="$missing $(printf %s "${pair#*=}" | tr , ' ')"
		commands="$commands ${pair%%=*}"
	fi
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
	echo "need.sh: no apt-get here; install by hand what brings these commands:$commands" >&2
	exit 1
fi
as_root=
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null 2>&1; then
		echo "need.sh: neither root nor sudo; ask for these packages to be installed:$missing" >&2
		exit 1
	fi
	as_root="sudo"
fi

echo "need.sh: installing$missing" >&2
# Debian starts a service as soon as its package is installed; nothing here wants a memcached or HAProxy of the
# system's own, but saying so would need a policy-rc.d that outlives this script, so it is left as Debian does it.
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
# shellcheck disable=SC2086 # one word per package is meant
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2

for c in $commands; do
	if ! command -v "$c" >/dev/null 2>&1; then
		echo "need.sh: the packages$missing are installed, but there is still no command $c in PATH" >&2
		exit 1
	fi
done
