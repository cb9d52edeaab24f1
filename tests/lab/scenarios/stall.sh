# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What a guest that works feels of a nudge (nudge.sh), beside other ways to make KVM forget its small pages: the memslot
# made anew, and QEMU's measuring of dirty rates. Of the times one is tested, that a nudge by flags is felt for
# less than 10 ms: this is run by name, and alone. docs/NUDGE.md has all of them and their ratios, made of the lines
# "# COST", "# STALL" and "# QEMU" (tests/lab/nudge_doc.sh).
set -uo pipefail
# shellcheck source=../service.inc
. tests/lab/service.inc
# shellcheck source=../vmm.inc
. tests/lab/vmm.inc
# shellcheck source=../guests.inc
. tests/lab/guests.inc

readonly NUDGE_MOST_US=10000

test_cleanup() {
	rm -f "/dev/shm/$HOLDER_COMM"*.ram
}

# --- what it costs --------------------------------------------------------------------------------

# stalled VMM MIB WHAT ROUNDS: the guest loops; what it felt of so many calls
stalled() {
	local answer
	answer=$(holder "$1" stall 0 "$3" "rounds=$4") || { echo "$answer"; return 1; }
	printf '# COST\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$(answer_value call_us "$answer")" \
		"$(answer_value worst_us "$answer")" "$(answer_value most_us "$answer")" "$(answer_value step_ns "$answer")" \
		>>"$T/costs"
}

# The median of the rounds of what was noted last.
is_brief() {
	local us
	us=$(tail -n 1 "$T/costs" | cut -f 6)
	[ "$us" -lt "$NUDGE_MOST_US" ] || { echo "$us us"; return 1; }
}

# Made huge by parts, for each to be answered in time.
guest_of() { # VMM MIB
	local from
	holder "$1" drop 0
	add_slot "$1" 0 memfd "bytes=$2M" gpa=1G || return 1
	for ((from = 0; from < $2; from += 128)); do
		holder "$1" state 0 huge "from=${from}M" bytes=128M || return 1
	done
	guest_touches "$1" 0 store && holder "$1" loop 0 update
}

costs_of() { # MIB
	ok "cost: a guest of $1 MiB at work, INITIALLY_SET" guest_of set "$1"
	ok "cost: $1 MiB: nothing is done" stalled set "$1" none 7
	ok "cost: $1 MiB: a nudge" stalled set "$1" nudge 7
	ok "cost: $1 MiB: half of the nudges stall the guest for less than 10 ms" is_brief
	ok "cost: $1 MiB: KVM's large pages have stayed" is_equal "$(sptes set)" "0/$(($1 / 2))"
	ok "cost: $1 MiB: the slot is made anew" stalled set "$1" recreate 3
	ok "cost: $1 MiB: no write was lost" guest_halts_well set
	holder set drop 0
	ok "cost: a guest of $1 MiB at work, plain" guest_of plain "$1"
	ok "cost: $1 MiB: nothing is done, plain" stalled plain "$1" none 7
	ok "cost: $1 MiB: a nudge, plain" stalled plain "$1" nudge 3
	ok "cost: $1 MiB: no write was lost, plain" guest_halts_well plain
	holder plain drop 0
}

# --- real QEMU ------------------------------------------------------------------------------------

ask() { # NAME JSON
	printf '{"execute":"qmp_capabilities"}%s\n' "$2" | socat -t 20 - "UNIX-CONNECT:$T/$1.d/qmp" |
		grep -m 2 '"return"' | tail -n 1
}

is_measured() { # NAME
	ask "$1" '{"execute":"query-dirty-rate"}' | grep '"measured"'
}

qemu_counts() { # WHEN
	local small large
	read -r small large <<<"$(guest_sptes alpha)"
	printf '# QEMU\t%s\t%s/%s\n' "$1" "$small" "$large"
}

# While QEMU measures the guest's dirty rate by a dirty log, it clears the log of all memory.
dirty_rate() {
	ok "dirty rate: a guest of QEMU's" start_qemu alpha '' -m 128M -machine pc,memory-backend=m \
		-object "memory-backend-file,id=m,mem-path=$(guest_file alpha),size=128M,share=on,align=2M" || return
	ok "dirty rate: huge on the host" shim alpha huge $((4 << 20)) $((120 << 20))
	ok "dirty rate: it touches its memory" guest_does alpha store
	ok "dirty rate: huge in the guest" is_mostly_huge alpha
	qemu_counts before
	ask alpha '{"execute":"calc-dirty-rate","arguments":{"calc-time":5,"mode":"dirty-bitmap"}}' >/dev/null
	ok "dirty rate: meanwhile, all of it is small" wait_until 30 is_mostly_small alpha
	qemu_counts meanwhile
	ok "dirty rate: it is measured" wait_until 60 is_measured alpha
	qemu_counts afterwards
	ok "dirty rate: it touches its memory again" guest_does alpha check
	ok "dirty rate: huge in the guest again" is_mostly_huge alpha
	qemu_counts "afterwards, touched"
	stop_holder alpha
}

# --- what a guest of QEMU's feels -----------------------------------------------------------------

readonly WINDOW=3 # seconds, or as long as it takes

# Its processor has one of the host's for itself; all else, QEMU's other threads as well, the other one.
is_left_to_itself() { # NAME
	taskset -p -c 0 $$ && taskset -a -p -c 0 "${HOLDER_PID[$1]}" && vcpu_goes_to "$1" 0 1
}

# With the library; huge in the guest.
start_worker() { # NAME MIB
	local GUEST_PRELOAD from
	GUEST_PRELOAD=$(find /usr/lib /usr/local/lib -name libthpd-vmm-preload.so | head -n 1)
	test -r "$GUEST_PRELOAD" && THPD_VMM_SOCKET=$T/vmm start_qemu "$1" '' -name debug-threads=on \
		-m "$2M" -machine pc,memory-backend=m -object \
		"memory-backend-file,id=m,mem-path=$(guest_file "$1"),size=$2M,share=on,align=2M" || return 1
	for ((from = 4; from < $2; from += 126)); do
		shim "$1" huge $((from << 20)) $(((from + 126 < $2 ? 126 : $2 - from) << 20)) || return 1
	done
	is_left_to_itself "$1" && guest_does "$1" store && is_mostly_huge "$1" "$2"
}

do_none() {
	:
}

do_nudge() {
	local answer
	answer=$(holder end nudge 0)
	echo "$answer"
	[[ $answer == "ok result=0 err=0 toggled="[1-9]* ]]
}

do_measure() { # NAME
	ask "$1" '{"execute":"calc-dirty-rate","arguments":{"calc-time":1,"mode":"dirty-bitmap"}}' &&
		wait_until 30 is_measured "$1"
}

guest_mhz() {
	dmesg | sed -n 's/.*tsc: Detected \([0-9]*\)\..* MHz processor$/\1/p' | head -n 1
}

# The guest loops until what is done is over. Before, it touches all of its memory, so that all is mapped again.
a_round() { # NAME MIB WHAT
	local passes answer doing took rc=0
	passes=$(guest_passes "$1") && is_mostly_huge "$1" "$2" && holder "$1" loop || return 1
	took=$(now_ms)
	"do_$3" "$1" &
	doing=$!
	sleep "$WINDOW"
	wait "$doing" || rc=1
	answer=$(holder "$1" halt)
	is_equal "$(answer_value mismatches "$answer")" 0 || rc=1
	passes=$(($(answer_value passes "$answer") - passes)) took=$(($(now_ms) - took))
	echo "$2 $3 $(($(answer_value slowest "$answer") * 1024 / MHZ)) $((passes * $2 * 256 / took))" >>"$T/rounds"
	return "$rc"
}

now_ms() {
	echo $((${EPOCHREALTIME/./} / 1000))
}

guest_passes() { # NAME
	local answer
	answer=$(holder "$1" update)
	answer_value passes "$answer"
}

rounds_of() { # MIB WHAT FIELD: in order
	awk -v of="$1 $2" -v field="$3" '$1 " " $2 == of { print $field }' "$T/rounds" | sort -n
}

# The least, the median and the most of the slowest steps of the rounds, and the median of the steps in a millisecond.
note_rounds() { # MIB WHAT
	local slowest speeds
	mapfile -t slowest < <(rounds_of "$1" "$2" 3)
	mapfile -t speeds < <(rounds_of "$1" "$2" 4)
	printf '# STALL\t%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "${slowest[0]}" "${slowest[${#slowest[@]} / 2]}" \
		"${slowest[-1]}" "${speeds[${#speeds[@]} / 2]}"
}

# In turns, since the machine is not as fast at all times.
stalls_of() { # MIB ROUNDS
	local i what
	ok "QEMU: a guest of $1 MiB" start_worker "w$1" "$1"
	ok "QEMU: $1 MiB: the library has told of it" wait_until 60 holder end table 0
	for ((i = 1; i <= $2; i++)); do
		for what in none nudge measure; do ok "QEMU: $1 MiB: round $i: $what" a_round "w$1" "$1" "$what"; done
	done
	for what in none nudge measure; do note_rounds "$1" "$what"; done
	stop_holder "w$1"
	rm -f "$(guest_file "w$1")"
}

service_begin
: >"$T/costs"
echo "# KERNEL $(uname -r)"
ok "a VMM with INITIALLY_SET" start_vmm set --dirty-log=initially-set
ok "a VMM without" start_vmm plain
costs_of 256
costs_of 1024
cat "$T/costs"
stop_holder set
stop_holder plain
dirty_rate
MHZ=$(guest_mhz)
ok "one end of what the library says" start_talker end "$THPD_BUILD/tests/live/slot_end" "$T/vmm"
chmod 666 "$T/vmm"
stalls_of 256 5
stalls_of 1024 5
sed 's/^/# round: /' "$T/rounds"
live_end
