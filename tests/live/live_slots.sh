#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# KVM's memslots by QEMU's monitor, of a real QEMU under KVM: thpctl memslots and explain say so and mark it, nothing is
# nudged by them, and the library in the VMM, where there is one, tells the same and is preferred. That the monitor tells
# the truth is live_qmp's to show.
# Alone: QEMU has a second for all answers.
# shellcheck disable=SC2317,SC2016  # conditions are called by name; variables are jq's
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/live/monitored.sh
. "$here/monitored.sh"
preload=$THPD_BUILD/libthpd-vmm-preload.so

# Where QEMU maps a memfd of its own is a matter of chance, and never where it can be huge; all of it is there.
# shellcheck disable=SC2054  # the commas are QEMU's
readonly OPTIONS=(-accel kvm -S -m 64M -machine "memory-backend=ram"
	-object memory-backend-memfd,id=ram,size=64M,share=on,prealloc=on)

table() {
	ctl memslots "$VM_PID" --json >"$T/table"
}

table_is() { # CONDITION
	table && jq -e "$1" "$T/table" && return
	cat "$T/table"
	return 1
}

# What this test asks the monitor itself, in the words of the table.
asked_is_the_table() {
	"$THPD_BUILD/tests/live/ask/ask" "$VM_PID" 0 "$T/vm/$VM_NAME" >"$T/told" && grep -qx 'slots whole' "$T/told" &&
		sed -n 's/^slot gpa \([0-9a-f]*\) size \([0-9a-f]*\) hva \([0-9a-f]*\) /0x\1 \2 0x\3 /p' "$T/told" | sort |
		while read -r gpa size rest; do echo "$gpa $((16#$size)) $rest"; done >"$T/asked"
	table && jq -r '.memslots[] | select(.address_space == 0) | "\(.gpa) \(.bytes) \(.hva) " +
		(if .flags | index("readonly") then "readonly" else "rw" end)' "$T/table" | sort >"$T/listed"
	[ -s "$T/asked" ] && diff "$T/asked" "$T/listed"
}

shown() { # TEXT
	ctl memslots "$VM_PID" >"$T/shown" && grep -F -- "$1" "$T/shown"
}

explained() { # PATTERN
	ctl explain "$VM_PID" >"$T/explained" && grep -x -- "$1" "$T/explained" && return
	cat "$T/explained"
	return 1
}

snapshot_has_the_table() {
	ctl snapshot "$VM_PID" >"$T/snapshot" && ctl memslots --json --snapshot="$T/snapshot" >"$T/again" &&
		is_equal "$(jq -c '[.inferred, .memslots]' "$T/again")" "$(jq -c '[.inferred, .memslots]' "$T/table")"
}

nothing_is_off() {
	ctl explain "$VM_PID" >"$T/explained" && ! grep "slot-not-congruent" "$T/explained"
}

# What lies in no whole block of its slot: up to 768 KiB, where the first MiB of a PC is cut up, and from 1 to 2 MiB.
# The last MiB is in no whole block of QEMU's mapping either, and told as that.
head_and_tail_are_told() { # INFERRED TEXT
	ctl explain "$VM_PID" --json | jq -ce '.kvm.findings' >"$T/found" &&
		jq -e --argjson inferred "$1" 'any(.[]; .reason == "slot-head-tail" and .bytes == (768 + 1024) * 1024 and
			.inferred == $inferred)' "$T/found" && explained "slot-head-tail (1.8M$2)" && explained 'hva-too-short (1.0M)' &&
		return
	cat "$T/found"
	return 1
}

is_not_known() {
	! ctl memslots "$VM_PID" >"$T/out" 2>&1 && cat "$T/out" && grep "are not known" "$T/out"
}

is_not_nudged() {
	! ctl nudge "$VM_PID" --wait >"$T/out" 2>&1 && cat "$T/out" && grep "not nudged (memslots-not-told)" "$T/out"
}

live_begin qemu-system-x86_64 socat jq
[ -w /dev/kvm ] || skip_all "no /dev/kvm"
[ -x "$THPD_BUILD/tests/live/ask/ask" ] || skip_all "not built: make live-programs"
mkdir -p "$T/vm" "$T/etc/vm.d"
write_test_config ''
ok "thpd starts" start_thpd || exit 1
policy

ok "a QEMU under KVM" start_vm plain "${OPTIONS[@]}"
ok "without a monitor its memslots are not known" is_not_known
policy '[QEMU]' "Monitor=$T/vm/%n"
ok "with one they are inferred" wait_until 30 table_is '.known and .inferred and (.memslots | length) >= 3'
ok "a moment before the last look" table_is '.age_ns | type == "number" and . >= 0 and . < 600e9'
ok "they are those that the monitor tells" asked_is_the_table
ok "no number of a slot is made up" table_is 'all(.memslots[]; has("slot") | not)'
ok "thpctl memslots says who told" shown "Inferred from QEMU's monitor"
ok "and that the guest's memory is off" table_is 'any(.memslots[]; .misaligned_bytes > 0 and .bytes > 62000000)'
ok "thpctl explain has that, as inferred" wait_until 30 explained "slot-not-congruent (.*, inferred from QEMU's monitor)"
ok "a snapshot has it" snapshot_has_the_table
ok "nobody is nudged by what is inferred" is_not_nudged
policy
ok "without the monitor they are forgotten" is_not_known
stop_vm

VM_WRAP=(env "LD_PRELOAD=$preload" "THPD_VMM_SOCKET=$T/run/vmm")
policy '[QEMU]' "Monitor=$T/vm/%n"
ok "a QEMU with the library in it" start_vm library "${OPTIONS[@]}"
ok "tells by itself" wait_until 30 table_is '.known and (.inferred | not) and all(.memslots[]; has("slot"))'
ok "what the monitor would" wait_until 30 asked_is_the_table
ok "and what the library aligned agrees" nothing_is_off
stop_vm

# shellcheck disable=SC2054  # the commas are QEMU's
readonly ODD=(-accel kvm -S -m 65M -machine memory-backend=ram)
ok "a QEMU with the library, whose memory ends within a block" start_vm odd "${ODD[@]}" \
	-object memory-backend-memfd,id=ram,size=65M,share=on,prealloc=on
ok "what is in no whole block of a slot is told" wait_until 30 head_and_tail_are_told false ''
ok "a slot that has none is named" shown 'no, too short'
ok "and nothing is said to be off" nothing_is_off
stop_vm
VM_WRAP=()
ok "one without" start_vm file "${ODD[@]}" \
	-object "memory-backend-file,id=ram,size=65M,share=on,prealloc=on,align=2M,mem-path=$(scratch_shm)/ram"
ok "the same is told, as inferred" wait_until 30 head_and_tail_are_told true ", inferred from QEMU's monitor"
stop_vm
ok "thpd stops on SIGTERM with status 0" stop_thpd
live_end
