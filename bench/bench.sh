#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The measurements behind every number that thpd claims. Every ratio compares two arms of the same run, taken in turns;
# figures are medians of ROUNDS. Absolute times belong to the machine, quote the ratios.
#
#   bench.sh BUILD-DIR [ARM...]      arms: look remap copy khugepaged oneshot stall idle
#   BENCH_GIB (8), ROUNDS (5), IDLE_SECONDS (60)
set -euo pipefail
THPD_BUILD=$(realpath "${1:?build directory}")
shift
cd "$(dirname "$0")/.."
# shellcheck source=../tests/live/lib.sh
source tests/live/lib.sh
GIB=${BENCH_GIB:-8} ROUNDS=${ROUNDS:-5} IDLE_SECONDS=${IDLE_SECONDS:-60}
MIB=$((GIB * 1024))
ROWS=$(mktemp)
TIME=$THPD_BUILD/bench/bench_time ONESHOT=$THPD_BUILD/bench/bench_oneshot
[ "$(id -u)" = 0 ] || { echo "bench: needs root" >&2; exit 1; }
scratch_begin
TAP_IS_DONE=yes
printf '%s\n' '[Manager]' 'Interval=1s' >"$T/etc/thpd.conf"
printf '%s\n' '[Match]' 'Comm=bench-*' >"$T/etc/vm.d/bench.conf"

# --- rows ----------------------------------------------------------------------------------------

# row ARM NAME VALUE UNIT [RATIO NOTE]
row() {
	jq -cn --arg arm "$1" --arg name "$2" --arg value "$3" --arg unit "$4" --arg ratio "${5:-}" --arg note "${6:-}" \
		'{arm: $arm, name: $name, value: ($value | tonumber? // $value), unit: $unit}
		 + (if $ratio == "" then {} else {ratio: ($ratio | tonumber? // $ratio)} end)
		 + (if $note == "" then {} else {note: $note} end)' >>"$ROWS"
	printf '  %-58s %12s %-10s %8s  %s\n' "$2" "$3" "$4" "${5:+${5}x}" "${6:-}"
}

head_line() {
	printf '\n%s\n' "$1"
}

median() {
	sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'
}

ratio() {
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", b > 0 ? a / b : 0 }'
}

# Median of the ratios of two files of numbers, pair by pair: holds when the machine's speed drifts.
paired_ratio() {
	paste "$1" "$2" | awk '$2 > 0 { print $1 / $2 }' | median | awk '{ printf "%.2f", $1 }'
}

ms() {
	awk -v n="$1" 'BEGIN { printf "%.1f", n / 1000000 }'
}

# --- arms of (b) and (c) -------------------------------------------------------------------------

# Wall ns of `thpd --once` over everything it finds, process start and end included.
once_ns() {
	"$TIME" "$THPD_BUILD/thpd" --config-dir="$T/etc" --runtime-dir="$T/run" --once 3>"$T/time.json" 2>"$T/once.log"
	jq .wall_ns "$T/time.json"
}

oneshot_ns() { # NAME CALL_BYTES THREADS
	"$ONESHOT" "${HOLDER_PID[$1]}" "${HOLDER_ADDR[$1]}" "${HOLDER_BYTES[$1]}" "$2" "$3" | jq .wall_ns
}

must_be_huge() {
	holder_is_huge "$1" || { echo "bench: $1 is not all huge after the arm: $(holder_huge "$1")" >&2; exit 1; }
}

bench_look() {
	head_line "(a) looking at ${LOOK_GIB:=4} GiB, CPU us per GiB, against smaps"
	"$THPD_BUILD/bench/bench_look" "$LOOK_GIB" "$ROUNDS" >"$T/look.json"
	local state reader us smaps
	for state in huge pte-mapped small; do
		smaps=$(jq -r "select(.state == \"$state\" and .reader == \"smaps\").cpu_us_per_gib" "$T/look.json")
		for reader in smaps look count; do
			us=$(jq -r "select(.state == \"$state\" and .reader == \"$reader\").cpu_us_per_gib" "$T/look.json")
			row look "$state: $reader" "$us" "us/GiB" "$(ratio "$smaps" "$us")" \
				"$([ $reader = smaps ] && echo reference || echo cheaper than smaps)"
		done
	done
}

# The daemon's own cycle, from the request to the end of the second look: no process start in it.
cycle_ns() {
	ctl collapse "$1" --wait >/dev/null
	ctl status --json | jq --arg n "$1" '.vms[] | select(.name == $n).last_action.cycle_ns'
}

bench_remap() {
	head_line "(b) remap of one guest, $GIB GiB of PTE-mapped huge folios on memfd"
	start_holder bench-remap --kind=memfd --size="$MIB" --state=huge
	local round
	: >"$T/bare1" >"$T/bare2" >"$T/once" >"$T/cycle"
	for ((round = 0; round < ROUNDS; round++)); do
		holder bench-remap pte 0 0 >/dev/null
		oneshot_ns bench-remap $((2 << 20)) 1 >>"$T/bare1"
		holder bench-remap pte 0 0 >/dev/null
		once_ns >>"$T/once"
		must_be_huge bench-remap
		holder bench-remap pte 0 0 >/dev/null
		oneshot_ns bench-remap $((2 << 20)) 2 >>"$T/bare2"
	done
	start_thpd
	ctl pause bench-remap
	for ((round = 0; round < ROUNDS; round++)); do
		holder bench-remap pte 0 0 >/dev/null
		ctl resume bench-remap
		wait_until 30 holder_is_huge bench-remap
		wait_until 30 is_idle bench-remap
		ctl status --json | jq '.vms[] | select(.name == "bench-remap").last_action.cycle_ns' >>"$T/cycle"
		ctl pause bench-remap
	done
	stop_thpd
	stop_holder bench-remap
	row remap "bare loop, 1 thread, a call per 2 MiB" "$(ms "$(median <"$T/bare1")")" ms 1.00 reference
	row remap "bare loop, 2 threads" "$(ms "$(median <"$T/bare2")")" ms "$(paired_ratio "$T/bare1" "$T/bare2")" faster
	row remap "thpd --once: start, find, look, remap, verify, exit" "$(ms "$(median <"$T/once")")" ms \
		"$(paired_ratio "$T/bare1" "$T/once")" "faster (wanted 1.5)"
	row remap "thpd running: one cycle, survey to verdict" "$(ms "$(median <"$T/cycle")")" ms \
		"$(paired_ratio "$T/bare1" "$T/cycle")" "faster (wanted 1.5)"
}

is_idle() {
	[ "$(vm_field "$1" .phase)" = idle ]
}

# Small folios come only with fresh memory: every arm gets its own holder, of half the size so that two fit at once.
copy_arm() { # NAMES... -- COMMAND...
	local names=()
	while [ "$1" != -- ]; do
		names+=("$1")
		start_holder "$1" --kind="$COPY_KIND" --size="$COPY_MIB" --state=small
		shift
	done
	shift
	"$@"
	local name
	for name in "${names[@]}"; do
		must_be_huge "$name"
		stop_holder "$name"
	done
}

bench_copy() {
	local COPY_KIND COPY_MIB=$((MIB / 2)) round
	for COPY_KIND in memfd anon; do
		head_line "(c) copy, $((GIB / 2)) GiB of small folios a guest, $COPY_KIND"
		: >"$T/bare" >"$T/one" >"$T/two"
		for ((round = 0; round < ROUNDS; round++)); do
			copy_arm bench-c -- oneshot_ns bench-c $((2 << 20)) 1 >>"$T/bare"
			copy_arm bench-c -- once_ns >>"$T/one"
			copy_arm bench-c bench-d -- once_ns >>"$T/two"
		done
		row copy "$COPY_KIND: bare loop, 1 thread, one guest" "$(ms "$(median <"$T/bare")")" ms 1.00 reference
		row copy "$COPY_KIND: thpd --once, one guest" "$(ms "$(median <"$T/one")")" ms \
			"$(paired_ratio "$T/bare" "$T/one")" "of the bare loop's speed (wanted 0.95)"
		row copy "$COPY_KIND: thpd --once, two guests at once, twice the bytes" "$(ms "$(median <"$T/two")")" ms \
			"$(paired_ratio "$T/bare" "$T/two" | awk '{ printf "%.2f", 2 * $1 }')" "of the bare loop's speed (wanted 1.7)"
	done
}

# --- (d) khugepaged ------------------------------------------------------------------------------

KNOBS=/sys/kernel/mm/transparent_hugepage
knobs_push() {
	exec {KNOB_LOCK}>/tmp/thpd-test-sysfs.lock
	flock "$KNOB_LOCK"
	KNOBS_OLD=$(for k in enabled khugepaged/pages_to_scan khugepaged/scan_sleep_millisecs shmem_enabled; do
		echo "$k $(sed 's/.*\[\(.*\)\].*/\1/' "$KNOBS/$k")"
	done)
	trap 'knobs_pop; live_cleanup' EXIT
}

knobs_pop() {
	local k v
	while read -r k v; do echo "$v" >"$KNOBS/$k"; done <<<"$KNOBS_OLD"
	exec {KNOB_LOCK}>&-
}

# MiB per second that become huge in SECONDS while khugepaged works.
khugepaged_rate() { # NAME SECONDS
	local before after
	read -r before _ <<<"$(holder_huge "$1")"
	sleep "$2"
	[ "${3:-}" = touch ] && holder "$1" read 0 0 >/dev/null
	read -r after _ <<<"$(holder_huge "$1")"
	awk -v b="$((after - before))" -v s="$2" 'BEGIN { printf "%.1f", b / 1048576 / s }'
}

bench_khugepaged() {
	head_line "(d) the same memory left to khugepaged (1 GiB, small folios), MiB per second that became huge"
	local kind rate thpd_rate
	for kind in anon memfd; do
		knobs_push
		echo always >$KNOBS/enabled
		[ $kind = memfd ] && echo always >$KNOBS/shmem_enabled
		start_holder bench-k --kind=$kind --size=1024 --state=small
		rate=$(khugepaged_rate bench-k 20)
		row khugepaged "$kind: khugepaged at its defaults, 20 s" "$rate" MiB/s
		stop_holder bench-k
		start_holder bench-k --kind=$kind --size=1024 --state=small
		echo 2097152 >$KNOBS/khugepaged/pages_to_scan
		echo 1 >$KNOBS/khugepaged/scan_sleep_millisecs
		rate=$(khugepaged_rate bench-k 4 touch)
		row khugepaged "$kind: khugepaged at full speed, 4 s, memory touched again" "$rate" MiB/s
		stop_holder bench-k
		knobs_pop
		trap live_cleanup EXIT
		start_holder bench-k --kind=$kind --size=1024 --state=small
		thpd_rate=$(once_ns | awk '{ printf "%.1f", 1024 / ($1 / 1e9) }')
		must_be_huge bench-k
		row khugepaged "$kind: thpd --once, start to exit" "$thpd_rate" MiB/s
		stop_holder bench-k
	done
}

# --- (e) the one-shot loop -----------------------------------------------------------------------

present() { # NAME
	holder "$1" count 0 0 | sed 's/.*present=\([0-9]*\).*/\1/'
}

# A guest with holes (every 16th block lacks a page, one block is empty), one misaligned mapping, one second mapper.
build_scene() {
	local at
	start_holder bench-e --kind=file --path="$T/shm-e" --size=1024 --state=small
	start_holder bench-off --kind=memfd --size=256 --skew=4096 --state=small
	for ((at = 0; at < 1024; at += 32)); do holder bench-e punch $((at << 20)) 4096 >/dev/null; done
	holder bench-e punch $((100 << 20)) $((2 << 20)) >/dev/null
	start_holder bench-second --kind=file --path="$T/shm-e" --size=1024 --attach
	holder bench-second read 0 0 >/dev/null 2>&1 || true
	PRESENT_BEFORE=$(present bench-e)
}

scene_result() { # WHO CLAIMED-BYTES
	local huge rss refilled
	read -r huge rss <<<"$(holder_huge bench-e)"
	refilled=$(($(present bench-e) - PRESENT_BEFORE))
	row oneshot "$1: share of resident memory that is huge" "$(ratio "$((huge * 100))" "$rss")" percent
	row oneshot "$1: memory refilled that the guest had given back" "$((refilled / 1024))" KiB
	row oneshot "$1: claimed minus measured huge memory" "$((($2 - huge) / 1024))" KiB
	holder bench-e verify >/dev/null || { echo "bench: the guest's data is wrong" >&2; exit 1; }
	for name in bench-e bench-off bench-second; do stop_holder $name; done
	rm -f "$T/shm-e"
}

bench_oneshot() {
	head_line "(e) a guest with holes, a misaligned region and a second mapper"
	mkdir -p "$T/shm" && mount -t tmpfs none "$T/shm" 2>/dev/null || true
	local claimed
	build_scene
	claimed=$("$ONESHOT" "${HOLDER_PID[bench-e]}" "${HOLDER_ADDR[bench-e]}" "${HOLDER_BYTES[bench-e]}" $((2 << 20)) 1 |
		jq .claimed_bytes)
	scene_result "one-shot loop, a call per 2 MiB" "$claimed"
	build_scene
	claimed=$("$ONESHOT" "${HOLDER_PID[bench-e]}" "${HOLDER_ADDR[bench-e]}" "${HOLDER_BYTES[bench-e]}" 0 1 | jq .claimed_bytes)
	scene_result "one-shot loop, the whole range in one call" "$claimed"
	build_scene
	start_thpd
	wait_until 30 is_idle bench-e
	ctl collapse bench-e --wait >/dev/null
	claimed=$(vm_field bench-e .huge_bytes)
	stop_thpd
	scene_result "thpd" "$claimed"
	umount "$T/shm" 2>/dev/null || true
}

# --- (f) stalls ----------------------------------------------------------------------------------

bench_stall() {
	head_line "(f) worst stall of a thread that keeps touching 1 GiB, ms"
	local kind state out
	printf '%s\n' '[Match]' 'Comm=bench_stall' >"$T/etc/vm.d/stall.conf"
	for state in small pte; do
		for kind in memfd anon; do
			[ "$kind $state" = "anon pte" ] && continue
			: >"$T/whole" >"$T/loop" >"$T/thpd" >"$T/quiet"
			for ((round = 0; round < ROUNDS; round++)); do
				out=$("$THPD_BUILD/bench/bench_stall" $kind $state 1024 "$ONESHOT" @PID @START @BYTES 0 1)
				jq .worst_ns <<<"$out" >>"$T/whole"
				jq .quiet_worst_ns <<<"$out" >>"$T/quiet"
				"$THPD_BUILD/bench/bench_stall" $kind $state 1024 "$ONESHOT" @PID @START @BYTES 2097152 1 |
					jq .worst_ns >>"$T/loop"
				"$THPD_BUILD/bench/bench_stall" $kind $state 1024 "$THPD_BUILD/thpd" --once \
					--config-dir="$T/etc" --runtime-dir="$T/run" 2>/dev/null | jq .worst_ns >>"$T/thpd"
			done
			row stall "$kind $state: nobody collapses" "$(ms "$(median <"$T/quiet")")" ms
			row stall "$kind $state: one-shot, whole range" "$(ms "$(median <"$T/whole")")" ms
			row stall "$kind $state: one-shot, a call per 2 MiB" "$(ms "$(median <"$T/loop")")" ms 1.00 reference
			row stall "$kind $state: thpd --once" "$(ms "$(median <"$T/thpd")")" ms \
				"$(paired_ratio "$T/thpd" "$T/loop")" "of the loop's stall"
		done
	done
	rm -f "$T/etc/vm.d/stall.conf"
}

# --- idle ----------------------------------------------------------------------------------------

cpu_ticks() { # utime + stime of a process, all threads, in ns
	awk '{ sub(/.*\) /, ""); print ($12 + $13) }' "/proc/$1/stat"
}

cpu_ns_of() { # exact, from schedstat of all threads
	cat "/proc/$1"/task/*/schedstat | awk '{ n += $1 } END { printf "%.0f", n }'
}

bench_idle() {
	head_line "(idle) 64 guests of 1 GiB (sparse, 64 MiB touched) that do not change, over $IDLE_SECONDS s"
	local i before after rss poller
	for ((i = 0; i < 64; i++)); do start_holder "bench-$i" --kind=memfd --size=64 --reserve=1024 --state=huge; done
	start_thpd
	wait_until 60 all_idle
	sleep 35 # the young age of the VMs, when they are looked at more often, is over
	before=$(cpu_ns_of "$THPD_PID")
	sleep "$IDLE_SECONDS"
	after=$(cpu_ns_of "$THPD_PID")
	rss=$(awk '/^VmRSS/ { print $2 }' "/proc/$THPD_PID/status")
	row idle "thpd: CPU of one core" "$(awk -v n=$((after - before)) -v s="$IDLE_SECONDS" 'BEGIN { printf "%.4f", n / s / 1e7 }')" \
		percent "" "wanted at most 0.05"
	row idle "thpd: VmRSS" "$(awk -v k="$rss" 'BEGIN { printf "%.1f", k / 1024 }')" MiB "" "wanted at most 12"
	row idle "thpd: VmHWM" "$(awk '/^VmHWM/ { printf "%.1f", $2 / 1024 }' "/proc/$THPD_PID/status")" MiB
	local began reaction=()
	for ((i = 0; i < ROUNDS; i++)); do
		holder "bench-$i" pte 0 0 >/dev/null
		began=$(date +%s%N)
		wait_until 20 holder_is_huge "bench-$i"
		reaction+=($(($(date +%s%N) - began)))
	done
	row idle "thpd: a change in one of them is repaired after" \
		"$(printf '%s\n' "${reaction[@]}" | median | awk '{ printf "%.2f", $1 / 1e9 }')" s "" "wanted at most 2"
	stop_thpd
	poller=$("$TIME" bash -c '
		end=$((SECONDS + '"$IDLE_SECONDS"'))
		while [ $SECONDS -lt $end ]; do
			for p in "$@"; do cat /proc/$p/smaps; done >/dev/null
			sleep 10
		done' poller "${HOLDER_PID[@]}" 3>&1 >/dev/null | jq .cpu_ns)
	row idle "a poller that reads smaps of all 64 every 10 s" \
		"$(awk -v n="$poller" -v s="$IDLE_SECONDS" 'BEGIN { printf "%.4f", n / s / 1e7 }')" percent
	for ((i = 0; i < 64; i++)); do stop_holder "bench-$i"; done
}

all_idle() {
	[ "$(ctl status --json | jq '[.vms[] | select(.phase == "idle" and .cycles > 0)] | length')" = 64 ]
}

# --- all -----------------------------------------------------------------------------------------

printf 'thpd %s on Linux %s, %s CPUs; medians of %s rounds, arms in turns\n' "$("$THPD_BUILD/thpd" --version)" \
	"$(uname -r)" "$(nproc)" "$ROUNDS"
arms=("$@")
[ ${#arms[@]} -gt 0 ] || arms=(look remap copy khugepaged oneshot stall idle)
for arm in "${arms[@]}"; do "bench_$arm"; done
jq -s --arg kernel "$(uname -r)" '{kernel: $kernel, rows: .}' "$ROWS" >build/bench.json
rm -f "$ROWS"
printf '\nwritten: build/bench.json\n'
