#!/bin/sh
# fuzz.sh TIME: runs every fuzz target of the module for TIME, one after the other; stops at the first failure, whose
# input go test has then written to the package's testdata/fuzz.
set -eu
time=${1:?fuzz.sh: wanted a time, such as 20s}
output=$(mktemp)
trap 'rm -f "$output"' EXIT

# On a busy machine go test may fail a target whose time is over while an input is at work, with these very words and
# without an input that fails. That says nothing about the code: such a target has another try.
out_of_time() {
	grep -q 'context deadline exceeded' "$output" && ! grep -q 'Failing input' "$output"
}

fuzz() {
	go test -run '^$' -fuzz "^$2\$" -fuzztime "$time" "$1" >"$output" 2>&1 && status=0 || status=$?
	cat "$output"
	return "$status"
}

targets=0
for package in $(go list ./...); do
	listed=$(go test -list '^Fuzz' "$package") # a package that does not compile ends the run here
	for target in $(printf '%s\n' "$listed" | sed -n '/^Fuzz/p'); do
		echo "== $package $target"
		if ! fuzz "$package" "$target"; then
			out_of_time || exit 1
			echo "== once more: the time was over while an input was at work"
			fuzz "$package" "$target" || exit 1
		fi
		targets=$((targets + 1))
	done
done
echo "$targets fuzz targets, each for $time"
[ "$targets" -gt 0 ]
