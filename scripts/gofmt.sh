#!/bin/sh
# Fails, and names them, when there are Go files that gofmt would change.
set -eu
found=$(gofmt -l adapters bench cmd e2e jvmroute proxy sessiontier)
[ -z "$found" ] && exit 0
printf 'gofmt would change these files:\n%s\n' "$found" >&2
exit 1
