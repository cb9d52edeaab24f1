# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Arms (a) to (d): how fast.

# --- (a) looking ---------------------------------------------------------------------------------

look_cost() { # STATE READER
	jq -r --arg s "$1" --arg r "$2" 'select(.state == $s and .reader == $r).cpu_us_per_gib' "$T/look.json"
}

look_row() { # STATE READER TEXT [row arguments]
	local cost
	cost=$(look_cost "$1" "$2")
	row look "$1: $3" "$cost" us/GiB ratio="$(ratio "$(look_cost "$1" smaps)" "$cost")" "${@:4}"
}

bench_look() {
	local state wanted
	head_line "(a) looking at $LOOK_GIB GiB of memfd: CPU time; the ratio says how much cheaper than smaps"
	with_knobs_kept "$THPD_BUILD/bench/bench_look" "$LOOK_GIB" "$ROUNDS" >"$T/look.json"
	for state in huge pte-mapped small; do
		wanted=()
		[ $state != huge ] || wanted=('wanted=>=40')
		[ $state != pte-mapped ] || wanted=('wanted=>=10')
		look_row $state smaps "reading smaps"
		look_row $state look "thpd's look" "${wanted[@]}"
		look_row $state count "thpd's count of every page, only where it decides something"
	done
}

# --- (b) remap -----------------------------------------------------------------------------------

make_pte() {
	holder "$1" pte 0 0 >/dev/null || scene_fail "$1 cannot be mapped by pages"
}

# The running daemon's own time for one cycle, survey to verdict. It stands still while the guest loses
# its huge mappings, so that it meets all of it at once.
cycle_ns() { # NAME
	begin_thpd
	wait_until 60 is_idle "$1"
	unseen make_pte "$1"
	knobs_lock -s
	wait_for_log '*: done: +*'
	flock -u "$KNOB_LOCK"
	vm_field "${HOLDER_PID[$1]}" .last_action.cycle_ns
	stop_thpd
}

remap_round() {
	make_pte bench-b
	oneshot_ns bench-b "$LOOP_BYTES" 1 >>"$T/bare1"
	make_pte bench-b
	once_ns >>"$T/once"
	must_be_huge bench-b
	make_pte bench-b
	oneshot_ns bench-b "$LOOP_BYTES" 2 >>"$T/bare2"
	cycle_ns bench-b >"$T/cycle.one" # not in a subshell: the daemon is this shell's child
	cat "$T/cycle.one" >>"$T/cycle"
	must_be_huge bench-b
}

remap_row() { # FILE TEXT [row arguments]
	row remap "$2" "$(ms "$(median <"$T/$1")")" ms ratio="$(paired_ratio "$T/bare1" "$T/$1")" \
		samples="$T/$1" "${@:3}"
}

bench_remap() {
	local round
	head_line "(b) remap of one guest, $GIB GiB of huge folios mapped by pages; the ratio is speed"
	write_bench_config
	begin_holder bench-b --kind=memfd --size=$((GIB * 1024)) --state=huge
	rm -f "$T"/{bare1,bare2,once,cycle}
	for ((round = 0; round < ROUNDS; round++)); do remap_round; done
	stop_holder bench-b
	remap_row bare1 "bare loop, 1 thread, a call per 2 MiB"
	remap_row bare2 "bare loop, 2 threads"
	remap_row cycle "thpd, running: one cycle, from the survey to the verdict" 'wanted=>=1.5'
	remap_row once "thpd --once: start, find, look, remap, verify, exit" 'wanted=>=1.5'
}

# --- (c) copy ------------------------------------------------------------------------------------

# copy_arm MIB NAME... -- COMMAND...: small folios come only with fresh memory, so that every arm gets
# its own guests, of MIB each.
copy_arm() {
	local mib=$1 name names=()
	shift
	while [ "$1" != -- ]; do
		begin_holder "$1" --kind="$COPY_KIND" --size="$mib" --state=small
		names+=("$1")
		shift
	done
	shift
	bank free
	"$@"
	bank take
	for name in "${names[@]}"; do
		must_be_huge "$name"
		stop_holder "$name"
	done
}

copy_row() { # FILE TEXT [row arguments]
	row copy "$COPY_KIND: $2" "$(ms "$(median <"$T/$1")")" ms ratio="$(paired_ratio "$T/bare" "$T/$1")" \
		samples="$T/$1" "${@:3}"
}

bench_copy() {
	local COPY_KIND round mib=$((GIB * 1024))
	write_bench_config
	bank_open $mib
	for COPY_KIND in memfd anon; do
		head_line "(c) copy of $GIB GiB of small folios, $COPY_KIND; the ratio is speed"
		rm -f "$T"/{bare,one,two}
		for ((round = 0; round < ROUNDS; round++)); do
			copy_arm $mib bench-c -- oneshot_ns bench-c "$LOOP_BYTES" 1 >>"$T/bare"
			copy_arm $mib bench-c -- once_ns >>"$T/one"
			copy_arm $((mib / 2)) bench-c bench-d -- once_ns >>"$T/two"
		done
		copy_row bare "bare loop, 1 thread, one guest"
		copy_row one "thpd --once, one guest" 'wanted=>=0.95'
		copy_row two "thpd --once, two guests of half the size at once" 'wanted=>=1.7'
	done
	bank_close
}

# --- (d) khugepaged ------------------------------------------------------------------------------

# MiB per second that became huge while khugepaged had SECONDS for it.
khugepaged_rate() { # SECONDS
	local before after
	before=$(count_field bench-k huge)
	nap "$1"
	# On shmem it only removes page tables: the next touch maps huge (KERNEL.md 0.2).
	holder bench-k read 0 $((1 << 30)) >/dev/null
	after=$(count_field bench-k huge)
	awk -v b=$((after - before)) -v s="$1" 'BEGIN { printf "%.1f", b / 1048576 / s }'
}

# khugepaged looks only at processes that mapped shared memory, or faulted in an empty block of private
# memory, while a knob allowed huge pages: hence the last touch. The holder fills with small folios all the same.
begin_khugepaged_holder() { # KIND
	knobs_push
	knob_set enabled always
	[ "$1" = anon ] || knob_set shmem_enabled always
	begin_holder bench-k --kind="$1" --size=1024 --reserve=1026 --state=small
	holder bench-k touch $((1 << 30)) 4096 >/dev/null
}

# khugepaged_arm KIND SECONDS [PAGES_TO_SCAN SLEEP_MS]
khugepaged_arm() {
	begin_khugepaged_holder "$1"
	[ $# = 2 ] || { knob_set khugepaged/pages_to_scan "$3" && knob_set khugepaged/scan_sleep_millisecs "$4"; }
	khugepaged_rate "$2" >"$T/rate"
	knobs_pop
	stop_holder bench-k
}

bench_khugepaged() {
	local kind
	head_line "(d) 1 GiB of small folios left to khugepaged, touched again at the end: what became huge a second"
	write_bench_config
	for kind in anon memfd; do
		begin_holder bench-k --kind=$kind --size=1024 --state=small
		once_ns | awk '{ printf "%.1f", 1024e9 / $1 }' >"$T/once"
		must_be_huge bench-k
		stop_holder bench-k
		row khugepaged "$kind: thpd --once, start to exit" "$(cat "$T/once")" MiB/s ratio=1
		khugepaged_arm $kind 5 2097152 1
		row khugepaged "$kind: khugepaged at full speed, for 5 s" "$(cat "$T/rate")" MiB/s \
			ratio="$(ratio "$(cat "$T/rate")" "$(cat "$T/once")")"
		khugepaged_arm $kind 25
		row khugepaged "$kind: khugepaged at its defaults, for 25 s" "$(cat "$T/rate")" MiB/s \
			ratio="$(ratio "$(cat "$T/rate")" "$(cat "$T/once")")"
	done
}
