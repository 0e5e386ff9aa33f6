#!/bin/sh
# need.sh COMMAND=PACKAGE[,PACKAGE...] ...
# Installs the Debian packages of each command that is not there. A name with a slash is a file rather than a command. Where
# all are there, it does nothing and asks no one.
set -eu

# Some of them live where only root usually looks.
PATH="$PATH:/usr/sbin:/sbin"

there() {
	case $1 in
	*/*) [ -e "$1" ] ;;
	*) command -v "$1" >/dev/null 2>&1 ;;
	esac
}

missing=
commands=
for pair in "$@"; do
	if ! there "${pair%%=*}"; then
		missing="$missing $(printf %s "${pair#*=}" | tr , ' ')"
		commands="$commands ${pair%%=*}"
	fi
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
	echo "need.sh: no apt-get here; install by hand what brings these:$commands" >&2
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
# Slim images leave out the folder of the manual pages, without which Java's package fails half-way.
$as_root mkdir -p /usr/share/man/man1
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
# shellcheck disable=SC2086 # one word per package is meant
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2

for c in $commands; do
	if ! there "$c"; then
		echo "need.sh: the packages$missing are installed, but there is still no $c" >&2
		exit 1
	fi
done
