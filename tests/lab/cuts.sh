#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Cuts the power of a virtual machine in the middle of realigning files on its persistent memory, CUTS times for each kernel
# and file system, and looks after each start whether everything is there:
#
#   KERNELS='6.12' KINDS='xfs ext4' CUTS=20 cuts.sh BUILD-DIR
#
# Not part of the matrix: a life takes half a minute.
set -uo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$HERE/../.." || exit 1
BUILD=$1
: "${KERNELS:=6.12}" "${KINDS:=xfs ext4}" "${CUTS:=20}"
passed=0 failed=0

# The last life is not cut off: it is seen to its checks only.
live_once() { # KERNEL KIND NUMBER
	local log=build/lab/cuts/$1-$2.$3 wrong
	LAB_PMEM=build/lab/cuts/pmem LAB_KIND=$2 LAB_CUT=$((RANDOM % 6)).$((RANDOM % 10)) LAB_SECONDS=300 \
		"$HERE/run.sh" "$BUILD" "$1" cuts/realign >"$log" 2>&1
	wrong=$(grep -E '^not ok' "$log")
	if [ -z "$wrong" ] && grep -q '^ok' "$log" && grep -qa '^CUT-READY' "build/lab/runs/$1-cuts-realign/out.log"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'FAIL %s %s, life %s: %s\n%s\n' "$1" "$2" "$3" "$log" "$wrong"
	fi
}

for kernel in $KERNELS; do
	for kind in $KINDS; do
		rm -rf build/lab/cuts/pmem
		mkdir -p build/lab/cuts/pmem
		for ((n = 0; n <= CUTS; n++)); do live_once "$kernel" "$kind" $n; done
		printf '%s %s: %s lives, each but the first after a cut\n' "$kernel" "$kind" $((CUTS + 1))
	done
done
rm -rf build/lab/cuts/pmem
echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
