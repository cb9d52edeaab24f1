#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `make check`: builds every mode that a tier needs, runs all tiers, closes with one line of counts.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
mkdir -p build
tally=$(mktemp)
trap 'rm -f "$tally"' EXIT
status=0

# A build that fails is a failure of its tier, not a reason to stop counting.
build() {
	local mode=$1
	shift
	echo "== build MODE=$mode"
	if ! make --no-print-directory -s -j"$(nproc)" MODE="$mode" "$@"; then
		echo "0 1 0 build-$mode" >>"$tally"
		status=1
		return 1
	fi
}
run() {
	echo "== $*"
	tests/run.sh --tally "$tally" "$@" || status=1
}

# Of the live tests most wait most of their time: three keep two processors busy.
build release all test-programs lab-programs && {
	run --build build/release lint
	run --build build/release --jobs 2 unit fake golden
	run --build build/release expect
	run --build build/release --jobs 3 live
}
build san all test-programs live-programs && {
	run --build build/san --jobs 2 unit fake
	run --build build/san --jobs 3 live
}
build tsan build/tsan/tests/unit/test_executor && run --build build/tsan build/tsan/tests/unit/test_executor
build fuzz fuzz-programs && run --build build/fuzz --jobs 2 fuzz
make --no-print-directory -s all # leave build/thpd as the release program

awk '{ p += $1; f += $2; s += $3 } END { printf "%d passed, %d failed, %d skipped\n", p, f, s }' "$tally"
exit $status
