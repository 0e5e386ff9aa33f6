#!/bin/sh
# fuzz.sh TIME: runs every fuzz target of the module for TIME, one after the other; stops at the first failure, whose
# input go test has then written to the package's testdata/fuzz.
set -eu
time=${1:?fuzz.sh: wanted a time, such as 20s}

targets=0
for package in $(go list ./...); do
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "== $package $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -parallel "$(getconf _NPROCESSORS_ONLN)" "$package"
		targets=$((targets + 1))
	done
done
echo "$targets fuzz targets, each for $time"
[ "$targets" -gt 0 ]
