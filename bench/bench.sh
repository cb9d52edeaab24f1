#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The measurements behind every number that thpd claims. Every ratio compares two arms of the same run, taken in turns;
# figures are medians of ROUNDS. Absolute times belong to the machine, quote the ratios.
#
#   bench.sh BUILD-DIR [ARM...]      arms: look remap copy khugepaged oneshot stall idle
#   BENCH_GIB=8 LOOK_GIB=4 ROUNDS=5 IDLE_SECONDS=60
#
# The table goes to stdout, the same as JSON to build/bench.json (of single arms: build/bench-ARM.json).
# About twenty minutes and 2 * BENCH_GIB of free memory; nothing else should run on the host.
set -euo pipefail
THPD_BUILD=$(realpath "${1:?build directory}")
shift
cd "$(dirname "$0")/.."
GIB=${BENCH_GIB:-8} LOOK_GIB=${LOOK_GIB:-4} ROUNDS=${ROUNDS:-5} IDLE_SECONDS=${IDLE_SECONDS:-60}
ARMS=(look remap copy khugepaged oneshot stall idle)
[ "$(id -u)" = 0 ] || { echo "bench: needs root" >&2; exit 1; }
for arm in "$@"; do
	[[ " ${ARMS[*]} " == *" $arm "* ]] || { echo "bench: '$arm' is none of: ${ARMS[*]}" >&2; exit 2; }
done

# shellcheck source=../tests/live/lib.sh
source tests/live/lib.sh
scratch_begin
TAP_IS_DONE=yes # no TAP here
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
bench_cleanup() {
	local rc=$?
	set +e
	knobs_pop
	(exit "$rc")
	live_cleanup
}
trap bench_cleanup EXIT

free_gib=$(awk '/^MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo)
[ "$free_gib" -ge $((GIB + 2)) ] ||
	{ echo "bench: $GIB GiB guests need $((GIB + 2)) GiB of free memory, there are $free_gib: set BENCH_GIB" >&2; exit 1; }
printf '%s on Linux %s, %s CPUs; medians of %s rounds, arms in turns\n' "$("$THPD_BUILD/thpd" --version)" \
	"$(uname -r)" "$(nproc)" "$ROUNDS"
for arm in "${@:-${ARMS[@]}}"; do "bench_$arm"; done
name=$(IFS=-; printf 'bench%s' "${*:+-$*}")
rows_close "build/$name.json"
