# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Arms (a) to (d): how fast.

# --- (a) looking ---------------------------------------------------------------------------------

look_row() { # STATE READER TEXT KEY=VALUE...
	local samples=$T/look.$1.$2
	jq --arg s "$1" --arg r "$2" 'select(.state == $s and .reader == $r).cpu_us_per_gib' "$T/look.json" >"$samples"
	row look "$1: $3" us/GiB samples="$samples" "${@:4}"
}

bench_look() {
	local state base
	local -A wanted=([huge]='>=40' [pte-mapped]='>=10')
	head_line "(a) looking at $LOOK_GIB GiB of memfd: CPU time; ratio: how much cheaper than smaps"
	with_knobs_kept "$THPD_BUILD/bench/bench_look" "$LOOK_GIB" "$ROUNDS" >"$T/look.json" ||
		scene_fail "bench_look failed, or a look gave a wrong answer"
	for state in huge pte-mapped small; do
		base=$T/look.$state.smaps
		look_row $state smaps "reading smaps" ratio=1
		look_row $state look "thpd's look" against="$base" wanted="${wanted[$state]:-}"
		look_row $state nodes "the same, and on which node each block lies" against="$base"
		look_row $state count "thpd's count of every page, only where it decides something" against="$base"
	done
}

# --- (b) remap -----------------------------------------------------------------------------------

remap_loop() { # THREADS
	make_pte bench-b
	oneshot_ms bench-b "$LOOP_BYTES" "$1" >>"$T/bare$1"
	must_be_huge bench-b
}

remap_bare1() { remap_loop 1; }
remap_bare2() { remap_loop 2; }

remap_once() {
	make_pte bench-b
	once_ms >>"$T/once"
	must_be_huge bench-b
}

# The running daemon's own time for one cycle, survey to verdict. It stands still while the guest loses
# its huge mappings, so that it meets all of it at once.
remap_cycle() {
	begin_thpd
	wait_until 60 is_idle bench-b || scene_fail "the daemon does not come to rest"
	knobs_lock -s
	unseen make_pte bench-b
	wait_for_log '*: +* MiB huge by *'
	flock -u "$KNOB_LOCK"
	vm_field "${HOLDER_PID[bench-b]}" '.last_action.cycle_ns / 1e6' >>"$T/cycle"
	stop_thpd
	must_be_huge bench-b
}

bench_remap() {
	head_line "(b) remap of one guest, $GIB GiB of huge folios mapped by pages: wall time; ratio: speed"
	write_bench_config
	begin_holder bench-b --kind=memfd --size=$((GIB * 1024)) --state=huge
	rm -f "$T"/{bare1,bare2,once,cycle}
	in_turns remap_bare1 remap_once remap_bare2 remap_cycle
	stop_holder bench-b
	row remap "bare loop, 1 thread, a call per 2 MiB" ms samples="$T/bare1" ratio=1
	row remap "bare loop, 2 threads" ms samples="$T/bare2" against="$T/bare1"
	row remap "thpd --once: start, find, look, remap, verify, exit" ms samples="$T/once" against="$T/bare1" \
		wanted='>=1.5'
	row remap "thpd, running: one cycle, from the survey to the verdict" ms samples="$T/cycle" against="$T/bare1" \
		wanted='>=1.5'
}

# --- (c) copy ------------------------------------------------------------------------------------

# copy_arm TO GUESTS COMMAND...: what it says is kept if everything is huge after it. Small folios come only
# with fresh memory, so that every arm gets its own guests, of $GIB GiB together.
copy_arm() {
	local to=$1 guests=$2 name ms names
	shift 2
	names=(bench-c bench-d)
	names=("${names[@]:0:guests}")
	for name in "${names[@]}"; do
		begin_holder "$name" --kind="$COPY_KIND" --size=$((GIB * 1024 / guests)) --state=small
	done
	bank lend
	ms=$("$@")
	bank take
	for name in "${names[@]}"; do
		must_be_huge "$name"
		stop_holder "$name"
	done
	echo "$ms" >>"$T/$to"
}

# Both loops at once; the later end counts.
two_loops() {
	oneshot bench-c "$LOOP_BYTES" >"$T/loop.c" &
	local other=$!
	oneshot bench-d "$LOOP_BYTES" >"$T/loop.d"
	wait $other
	jq -s 'map(.wall_ns) | max / 1e6' "$T"/loop.[cd]
}

copy_bare() { copy_arm bare 1 oneshot_ms bench-c "$LOOP_BYTES"; }
copy_once() { copy_arm once 1 once_ms; }
copy_bare_two() { copy_arm bare_two 2 with_knobs_kept two_loops; }
copy_once_two() { copy_arm once_two 2 once_ms; }

copy_row() { # SAMPLES TEXT KEY=VALUE...
	row copy "$COPY_KIND: $2" ms samples="$T/$1" "${@:3}"
}

# Two guests at once cannot be faster than the machine, which two bare loops at once show.
limit_doubt() {
	local limit
	limit=$(pairs "$T/bare" "$T/bare_two" | median)
	is_reached "$limit" "$1" || printf 'two bare loops reach %sx here' "$limit"
}

bench_copy() {
	local COPY_KIND wanted_two='>=1.7'
	write_bench_config
	bank_open $((GIB * 1024))
	for COPY_KIND in memfd anon; do
		head_line "(c) copy of $GIB GiB of small folios, $COPY_KIND: wall time; ratio: speed"
		rm -f "$T"/{bare,once,bare_two,once_two}
		in_turns copy_bare copy_once copy_bare_two copy_once_two
		copy_row bare "bare loop, 1 thread, a call per 2 MiB, one guest" ratio=1
		copy_row once "thpd --once, one guest" against="$T/bare" wanted='>=0.95'
		copy_row bare_two "two bare loops at once, two guests of half the size: the machine's limit" \
			against="$T/bare"
		copy_row once_two "thpd --once, two guests of half the size" against="$T/bare" wanted=$wanted_two \
			doubt="$(limit_doubt $wanted_two)"
	done
	bank_close
}

# --- (d) khugepaged ------------------------------------------------------------------------------

KHUGEPAGED_MIB=1024

begin_small_holder() {
	begin_holder bench-k --kind="$KIND" --size=$KHUGEPAGED_MIB --state=small "$@"
	bank lend
}

end_small_holder() {
	stop_holder bench-k
	bank take
}

once_rate() {
	local ms
	begin_small_holder
	ms=$(once_ms)
	must_be_huge bench-k
	end_small_holder
	awk -v mib=$KHUGEPAGED_MIB -v ms="$ms" 'BEGIN { print mib * 1000 / ms }' >>"$T/once"
}

# MiB per second that became huge, until khugepaged says that all is or until SECONDS are over.
khugepaged_rate() { # SECONDS PAGES_TO_SCAN SLEEP_MS
	local before counter=$KNOBS/khugepaged/pages_collapsed enough began_us took_us=0
	before=$(count_field bench-k huge)
	# All but what it did before we looked, or cannot do; what there is in the end is counted.
	enough=$(($(<"$counter") + (KHUGEPAGED_MIB << 20) / LOOP_BYTES * 98 / 100))
	began_us=${EPOCHREALTIME/./}
	knob_set khugepaged/pages_to_scan "$2"
	knob_set khugepaged/scan_sleep_millisecs "$3"
	while [ $took_us -lt $(($1 * 1000000)) ] && [ "$(<"$counter")" -lt $enough ]; do
		nap 0.01
		took_us=$((${EPOCHREALTIME/./} - began_us))
	done
	# On shmem it only removes page tables: the next touch maps huge (KERNEL.md 0.2).
	holder bench-k read 0 $((KHUGEPAGED_MIB << 20)) >/dev/null
	awk -v b=$(($(count_field bench-k huge) - before)) -v us="$took_us" 'BEGIN { print b / 1.048576 / us }'
}

# khugepaged_arm TO SECONDS PAGES_TO_SCAN SLEEP_MS
# It looks only at processes that mapped shared memory, or faulted in an empty block of private memory,
# while a knob allowed huge pages: hence the touch. The holder fills with small folios all the same.
khugepaged_arm() {
	knobs_push
	knob_set khugepaged/scan_sleep_millisecs 600000 # not yet
	knob_set enabled always
	[ "$KIND" = anon ] || knob_set shmem_enabled always
	begin_small_holder --reserve=$((KHUGEPAGED_MIB + 2))
	holder bench-k touch $((KHUGEPAGED_MIB << 20)) 4096 >/dev/null
	khugepaged_rate "${@:2}" >>"$T/$1"
	knobs_pop
	end_small_holder
}

khugepaged_full_speed() { khugepaged_arm full 15 2097152 1; }

bench_khugepaged() {
	local KIND
	write_bench_config
	bank_open $KHUGEPAGED_MIB
	for KIND in anon memfd; do
		head_line "(d) $KHUGEPAGED_MIB MiB of small folios, $KIND, left to khugepaged; ratio: speed"
		rm -f "$T"/{once,full,default}
		in_turns once_rate khugepaged_full_speed
		khugepaged_arm default 60 4096 10000
		row khugepaged "$KIND: thpd --once, start to exit" MiB/s samples="$T/once" ratio=1
		row khugepaged "$KIND: khugepaged at full speed, then touched again" MiB/s samples="$T/full" \
			ratio="$(ratio "$(median <"$T/full")" "$(median <"$T/once")")"
		row khugepaged "$KIND: khugepaged at the kernel's defaults" MiB/s value="$(cat "$T/default")" \
			ratio="$(ratio "$(cat "$T/default")" "$(median <"$T/once")")" note="one run of a minute; it scans 16 MiB in 10 s, of whoever has his turn"
	done
	bank_close
}
