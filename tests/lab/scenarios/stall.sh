# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What a guest that works feels of a nudge (nudge.sh), beside other ways to make KVM forget its small pages: the memslot
# made anew, and QEMU's measuring of dirty rates. Times are noted, and not tested: docs/NUDGE.md has their ratios, made
# of the lines "# COST" and "# QEMU" (tests/lab/nudge_doc.sh).
set -uo pipefail
# shellcheck source=../service.inc
. tests/lab/service.inc
# shellcheck source=../vmm.inc
. tests/lab/vmm.inc
# shellcheck source=../guests.inc
. tests/lab/guests.inc

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
live_end
