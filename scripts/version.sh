#!/bin/sh
# Prints the version to stamp: the nearest tag and commit as git tells them, or "devel" where it cannot (a source
# archive, no git, a clone of another user's).
git describe --tags --always --dirty 2>/dev/null || echo devel
