#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The measurements behind every number that thpd claims. Every ratio compares two arms of the same run, taken in turns;
# figures are medians of ROUNDS unless the row says otherwise. Absolute times belong to the machine, quote the ratios.
# How to read the table, and what each row does: docs/BENCHMARKS.md.
#
#   bench.sh BUILD-DIR [ARM...]      arms: look remap copy khugepaged oneshot stall idle realign born boot
#   BENCH_GIB=8 LOOK_GIB=4 ROUNDS=5 IDLE_SECONDS=60 FILE_MIB=1024
#
# The table goes to stdout, the same as JSON to build/bench.json (of single arms: build/bench-ARM.json).
# About half an hour and 2 * BENCH_GIB + 2 GiB of free memory; nothing else should run on the host.
set -euo pipefail
THPD_BUILD=$(realpath "${1:?build directory}")
shift
cd "$(dirname "$0")/.."
GIB=${BENCH_GIB:-8} LOOK_GIB=${LOOK_GIB:-4} ROUNDS=${ROUNDS:-5} IDLE_SECONDS=${IDLE_SECONDS:-60}
ARMS=(look remap copy khugepaged oneshot stall idle realign born boot)
[ "$(id -u)" = 0 ] || { echo "bench: needs root" >&2; exit 1; }
for arm in "$@"; do
	[[ " ${ARMS[*]} " == *" $arm "* ]] || { echo "bench: '$arm' is none of: ${ARMS[*]}" >&2; exit 2; }
done

# shellcheck source=../tests/live/lib.sh
source tests/live/lib.sh
scratch_begin
# shellcheck source=../tests/live/guests.sh
source tests/live/guests.sh
# shellcheck disable=SC2034  # for lib.sh: no TAP here
TAP_IS_DONE=yes
# shellcheck source=rows.sh
source bench/rows.sh
# shellcheck source=knobs.sh
source bench/knobs.sh
# shellcheck source=scene.sh
source bench/scene.sh
# shellcheck source=arms_speed.sh
source bench/arms_speed.sh
# shellcheck source=arms_harm.sh
source bench/arms_harm.sh
# shellcheck source=arms_files.sh
source bench/arms_files.sh
# shellcheck source=qemu.sh
source bench/qemu.sh
# shellcheck source=arms_born.sh
source bench/arms_born.sh
# shellcheck source=arms_boot.sh
source bench/arms_boot.sh
is_sanitized "$THPD_BUILD/thpd" && { echo "bench: a build with sanitizers says nothing about speed" >&2; exit 1; }
missing=$(missing_programs jq)
[ -z "$missing" ] || { echo "bench: missing:$missing (make deps)" >&2; exit 1; }
[ $# -gt 0 ] || set -- "${ARMS[@]}"
need_gib=6
for arm in "$@"; do
	case $arm in
	copy) need_gib=$((2 * GIB + 2)) ;;
	remap | look) [ $need_gib -ge $((GIB + 2)) ] || need_gib=$((GIB + 2)) ;;
	esac
done
free_gib=$(awk '/^MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo)
[ "$free_gib" -ge $need_gib ] ||
	{ echo "bench: needs $need_gib GiB of free memory, there are $free_gib: set BENCH_GIB=$GIB lower" >&2; exit 1; }
JSON=build/bench$([ $# = ${#ARMS[@]} ] || printf -- '-%s' "$@").json

# What was measured is kept; the knobs go back to what they were.
bench_cleanup() {
	local rc=$?
	set +e
	knobs_pop
	vm_end
	pool_restore
	image_unmount
	[ $rc = 0 ] || rows_write "$JSON" false
	(exit "$rc")
	live_cleanup
}
trap bench_cleanup EXIT

printf '%s on Linux %s, %s CPUs; medians of %s rounds, arms in turns; a ratio above 1 is better than the arm'"'"'s first row\n' \
	"$("$THPD_BUILD/thpd" --version)" "$(uname -r)" "$(nproc)" "$ROUNDS"
# How busy others keep the processors, before anything of ours runs.
PRESSURE=$(sed -n 's/^some avg10=\([0-9.]*\) .*/\1/p' /proc/pressure/cpu 2>/dev/null || true)
[ -z "$PRESSURE" ] || is_reached "$PRESSURE" '<=2' ||
	printf 'NOT a quiet host: tasks wait for a processor %s %% of the time; take no figure below for final\n' "$PRESSURE"
for arm in "$@"; do "bench_$arm"; done
rows_close "$JSON"
