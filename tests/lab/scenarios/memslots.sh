# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A real QEMU of another user with thpd's library in it, and thpd in the unit's sandbox: thpd is told of the memslots,
# aligned by the library, and counts by it what KVM maps; also after thpd was started anew, and no longer than the VM
# lives. What nobody tells is not known.
# And what [Nudge] Mode=auto does about memory that KVM maps small because its guest executed in it: one guest does so
# once, and one goes on.
set -uo pipefail
# shellcheck source=../service.inc
. tests/lab/service.inc
# shellcheck source=../guests.inc
. tests/lab/guests.inc

GUEST_PRELOAD=$(find /usr/lib /usr/local/lib -name libthpd-vmm-preload.so | head -n 1)

# The slots of the guest's memory are where that is mapped, and have all of it but for what the firmware takes of the first
# MiB; each of them can be huge, but for parts of that MiB.
slots_are_of_its_ram() { # NAME
	local start end space gpa size hva huge sum=0
	read -r start end <<<"$(ram_range "$1")"
	ctl memslots "$1" --bytes --no-legend >"$T/slots" || return 1
	while read -r _ space gpa size hva _ huge; do
		[ "$space" = 0 ] && [ $((hva)) -ge "$start" ] && [ $((hva)) -lt "$end" ] || continue
		[ $((gpa)) = $((hva - start)) ] && { [ "$huge" = yes ] || [ $((gpa)) -lt $((1 << 20)) ]; } || break
		sum=$((sum + size))
	done <"$T/slots"
	[ $sum -ge $((GUEST_RAM - (1 << 20))) ] && [ $sum -le $GUEST_RAM ] ||
		{ echo "$start $end $sum" && cat "$T/slots" && return 1; }
}

is_told() { # NAME
	ctl memslots "$1" >/dev/null
}

nobody_tells() { # NAME
	! ctl memslots "$1" >"$T/untold" 2>&1 && cat "$T/untold" && grep -q "memslots of $1 are" "$T/untold" &&
		grep -q thpd-run "$T/untold"
}

# Without the edges of the firmware, which it may not write.
nudge_was_done() { # NAME
	local result bytes
	vm_field "${HOLDER_PID[$1]}" '| .kvm.nudge | "\(.result) \(.bytes)"' >"$T/nudge" && cat "$T/nudge" || return 1
	read -r result bytes <"$T/nudge"
	[ "$result" = "done" ] && [ "$bytes" -ge $((GUEST_RAM - (1 << 20))) ]
}

knows() { # NAME
	[ -n "$(vm_field "${HOLDER_PID[$1]}" .name)" ]
}

# --- by itself --------------------------------------------------------------------------------------

configure() { # LINE...
	printf '%s\n' '[Manager]' 'Interval=200ms' 'MaxAge=2s' "$@" >"$CONF/thpd.conf.d/test.conf"
}

code_must_be_in_small_pages() {
	echo 0 >/sys/module/kvm/parameters/nx_huge_pages_recovery_ratio && echo force >/sys/module/kvm/parameters/nx_huge_pages
}

is_huge_on_the_host() { # NAME
	claims_at_least 90 "${HOLDER_PID[$1]}"
}

# Two samples, ten seconds apart, of most of the guest's memory by small pages.
is_small_for_long() { # NAME
	ctl snapshot "$1" >"$T/snapshot.json" && jq -e '.kvm.read_ns - .kvm_before.read_ns >= 10000000000 and
		([.kvm, .kvm_before] | all(.pages_4k > 8192 and .pages_2m < 8))' "$T/snapshot.json" ||
		{ jq -c '[.kvm, .kvm_before]' "$T/snapshot.json"; return 1; }
}

nudges_are() { # COUNT
	is_equal "$(ctl status --json | jq .host.counters.nudges)" "$1"
}

is_held_by_policy() { # NAME
	is_equal "$(ctl plan "$1" --json | jq -r .nudge_held.reason)" policy-off
}

nothing_is_done_without_leave() {
	is_held_by_policy alpha && is_held_by_policy gamma && nudges_are 0
}

nothing_was_done_by_the_next_look() { # COUNT
	looked_again alpha 1 && looked_again gamma 1 && nudges_are "$1" ||
		{ ctl status --json | jq -c '.host.counters, .vms[]'; return 1; }
}

# verdict_is NAME VAIN JQ-CONDITION: with what KVM mapped before and after, in MiB
verdict_is() {
	ctl status --json >"$T/verdict.json" && jq -e --arg name "$1" --argjson is_vain "$2" '.vms[] | select(.name == $name) |
		.kvm.nudge | .result == "done" and (.verdict | .vain == $is_vain and
		([.small_before_bytes, .huge_before_bytes, .small_after_bytes, .huge_after_bytes] | map(. / 1048576) | '"$3"'))' \
		"$T/verdict.json" || { jq -c '.vms[] | [.name, .kvm.nudge]' "$T/verdict.json"; return 1; }
}

# Entries that were dropped come back when the guests touch their memory; one of them goes on executing there.
verdicts_are_there() {
	guest_does alpha check && guest_executes gamma &&
		[ "$(ctl status --json | jq '[.vms[].kvm.nudge.verdict | values] | length')" = 2 ]
}

service_begin
configure
write_rule alpha.conf full Name=alpha
write_rule beta.conf full Name=beta
write_rule gamma.conf full Name=gamma
ok "the library is installed" test -r "$GUEST_PRELOAD"
ok "a guest with the library, of another user, before thpd" start_memfd_guest alpha
ok "it touches its memory" guest_does alpha store
ok "and another one" start_memfd_guest gamma
ok "which does, too" guest_does gamma store
ok "thpd starts" systemctl start thpd
ok "it is told of the guest's memslots" wait_until 120 is_told alpha
ok "they are those of its memory, and can be huge" slots_are_of_its_ram alpha
ok "status has KVM's counts, by the library" wait_until 240 status_has_kvms_counts alpha vmm
ok "it is nudged, and thpctl waits for it" ctl nudge alpha --wait
ok "its memory is what was toggled" nudge_was_done alpha
ok "the guest has lost nothing" guest_does alpha check
ok "KVM's counts come again" wait_until 240 status_has_kvms_counts alpha vmm
ok "the host has it huge" wait_until 120 is_huge_on_the_host alpha
ok "and the other one" wait_until 120 is_huge_on_the_host gamma
ok "KVM is to map no code by large pages" code_must_be_in_small_pages
ok "a guest executes in all of its memory" guest_executes alpha
ok "and the other one" guest_executes gamma
ok "thpd starts anew" systemctl restart thpd
ok "it is told again" wait_until 120 is_told alpha
ok "of the same" slots_are_of_its_ram alpha
ok "and of KVM's counts" wait_until 240 status_has_kvms_counts alpha vmm
GUEST_PRELOAD=''
ok "a guest without it" start_memfd_guest beta
ok "is found" wait_until 120 knows beta
ok "nobody tells of its memslots, and thpctl says what would" nobody_tells beta
ok "KVM has had the first one small for long" wait_until 120 is_small_for_long alpha
ok "and the other one" wait_until 120 is_small_for_long gamma
ok "without leave nothing is done about it" nothing_is_done_without_leave
configure '[Nudge]' 'Mode=auto'
ok "thpd is given leave" systemctl reload thpd
ok "each is nudged" wait_until 120 nudges_are 2
ok "one of them goes on executing, until thpd knows what came of it" wait_until 120 verdicts_are_there
ok "it helped the one that does so no more" verdict_is alpha false '.[0] > 32 and .[1] < 16 and .[2] < 16 and .[3] > 32'
ok "and was in vain where the guest goes on" verdict_is gamma true '.[0] > 32 and .[1] < 16 and .[2] > 32 and .[3] < 16'
ok "neither is nudged again" nothing_was_done_by_the_next_look 2
ok "the first guest has lost nothing" guest_does alpha check
ok "nor has the one that goes on" guest_does gamma check
ok "it ends" holder alpha halt
ok "the others end" holder beta halt
ok "..." holder gamma halt
live_end
