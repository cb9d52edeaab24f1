#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A snapshot taken here is decided the same at another desk: offline, by a user without any right.  With Mode=report
# nothing is planned, here and there; with --dry-run what would be done is.  What KVM maps, and whether a nudge is due, is
# said of the snapshot as the daemon says it; and a record has of KVM what debugfs tells.
# shellcheck disable=SC2317,SC2016  # conditions are called by name; "$@" is sh's
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"

readonly NOBODY=65534 SLOTS=40
preload=$THPD_BUILD/libthpd-vmm-preload.so

# Neither the scratch directory nor the program need be within the reach of others.
give_to_nobody() {
	chmod 711 "$T" && mkdir "$T/nobody" && install -m 755 "$THPD_BUILD/thpctl" "$T/nobody/thpctl"
}

# Start, bytes and kind of each action, whatever else an action may say; all three must be there.
actions_of() {
	jq -ce '.actions | map({start, bytes, kind}) | if all(.[][]; . != null) then . else "incomplete" | error end' "$1"
}

# elsewhere OPTION...: what somebody without any right gets of the snapshot
elsewhere() {
	setpriv --reuid="$NOBODY" --regid="$NOBODY" --clear-groups --inh-caps=-all --bounding-set=-all \
		"$T/nobody/thpctl" plan --snapshot="$T/snapshot.json" "$@"
}

# plan_both PID: by the daemon, and of its snapshot
plan_both() {
	ctl snapshot "$1" >"$T/snapshot.json" && ctl plan "$1" --json >"$T/here.json" || return 1
	chmod 644 "$T/snapshot.json"
	elsewhere --json >"$T/there.json"
}

# plans_agree PID KIND...: and these are the kinds of action they hold, sorted.
plans_agree() {
	local pid=$1 here there
	shift
	plan_both "$pid" && here=$(actions_of "$T/here.json") && there=$(actions_of "$T/there.json") || return 1
	is_equal "$there" "$here" && is_equal "$(jq -r '[.[].kind] | unique | join(" ")' <<<"$here")" "$*"
}

# nudges_agree PID REASON: which holds it back, here and there
nudges_agree() {
	plan_both "$1" || return 1
	is_equal "$(jq -r .nudge_held.reason "$T/there.json")" "$2" &&
		is_equal "$(jq -S .nudge_held "$T/here.json")" "$(jq -S .nudge_held "$T/there.json")"
}

# What of KVM is of the VM itself, and not of the daemon's dealings with its VMM.
kvm_of() {
	jq -S '.kvm | del(.registry, .nudge, .nudge_refused)' "$1"
}

# views_agree PID: of what KVM maps, and it is the library that tells
views_agree() {
	ctl explain "$1" --json >"$T/explained.json" && plan_both "$1" || return 1
	is_equal "$(jq -r .kvm.source "$T/there.json")" vmm && is_equal "$(kvm_of "$T/there.json")" "$(kvm_of "$T/explained.json")"
}

is_told() {
	[ "$(ctl memslots "$1" --json | jq '.memslots | length')" = "$SLOTS" ]
}

is_counted() {
	[ "$(vm_field "$1" .kvm.source)" = vmm ]
}

start_kvm_vmm() {
	HOLDER_WRAP=(env "LD_PRELOAD=$preload" "THPD_VMM_SOCKET=$T/run/vmm")
	start_talker vmm-k "$(helper slotter)"
	local rc=$?
	HOLDER_WRAP=()
	[ "$rc" = 0 ] && FD=$(holder vmm-k vm) && FD=${FD#ok fd=} && holder vmm-k add 0 0 "$SLOTS"
}

# In a mount namespace of its own: the host need not have debugfs mounted.
with_debugfs() {
	unshare --mount --propagation=private sh -c 'mount -t debugfs none /sys/kernel/debug && exec "$@"' sh "$@"
}

record_has_counts() { # PID
	local vm=sys/kernel/debug/kvm/$1-$FD
	mkdir "$T/record" && with_debugfs "$THPD_BUILD/thpctl" record "$T/record" "$1" --scrub &&
		is_equal "$(cd "$T/record/sys/kernel/debug/kvm" && find . -type f | sort | tr '\n' ' ')" \
			"./$1-$FD/nx_lpage_splits ./$1-$FD/pages_1g ./$1-$FD/pages_2m ./$1-$FD/pages_4k " &&
		is_equal "$(cat "$T/record/$vm/pages_4k")" "$(with_debugfs cat "/$vm/pages_4k")" &&
		is_equal "$(readlink "$T/record/proc/$1/fd/$FD")" anon_inode:kvm-vm &&
		is_equal "$(cat "$T/record/proc/$1/task/$1/comm")" vmm
}

# Of a VM with memslots, of which the library inside its VMM tells. There is a thpd for it already.
test_kvm() {
	local pid
	if ! [ -w /dev/kvm ] || ! [ -e "$preload" ]; then
		skip "what KVM maps is in the snapshot" "there is no /dev/kvm, or $preload is not built"
		return
	fi
	ok "a VMM with a VM starts" start_kvm_vmm || return
	pid=${HOLDER_PID[vmm-k]}
	ok "its memslots are told" wait_until "$THPD_DEADLINE" is_told "$pid"
	ok "KVM's counts are, too" wait_until "$THPD_DEADLINE" is_counted "$pid"
	ok "what KVM maps is in the snapshot as in explain" views_agree "$pid"
	ok "and why it is not nudged, as in the plan" nudges_agree "$pid" nothing-to-nudge
	ok "which is said in words, too" eval "elsewhere | grep -F 'No nudge (nothing-to-nudge): '"
	if with_debugfs test -d /sys/kernel/debug/kvm; then
		ok "a record has KVM's counts, those that thpd reads, and whose they are" record_has_counts "$pid"
	else
		skip "a record has KVM's counts" "debugfs cannot be mounted, or there is no KVM in it"
	fi
}

live_begin jq setpriv
ok "another user gets thpctl and nothing else" give_to_nobody || exit 1
ok "a VMM of anonymous memory starts" start_holder vmm-a --size=64 --kind=anon
ok "the guest gives a page back" holder vmm-a punch 4194304 4096
ok "a VMM of shared memory starts, page-mapped" start_holder vmm-b --size=64 --state=pte
for way in Mode=report --dry-run; do
	write_test_config '' $'MinRegion=16M\n[Nudge]\nMode=auto'
	[ "$way" = --dry-run ] || sed -i "s/^Mode=full/$way/" "$T/etc/vm.d/test.conf"
	[ "$way" = --dry-run ] && options=(--dry-run) || options=()
	ok "$way: thpd starts" start_thpd "${options[@]}" || exit 1
	for vm in vmm-a vmm-b; do
		pid=${HOLDER_PID[$vm]} kinds=()
		[ "$way" = Mode=report ] || { [ "$vm" = vmm-a ] && kinds=(copy) || kinds=(remap); }
		ok "$way, $vm: thpd has looked" wait_until "$THPD_DEADLINE" has_looked "$pid" 1
		ok "$way, $vm: nobody's plan of the snapshot is the daemon's plan: ${kinds[*]:-nothing}" \
			plans_agree "$pid" "${kinds[@]}"
		ok "$way, $vm: nothing was done" holder_has_nothing_huge "$vm"
	done
	[ "$way" = Mode=report ] || test_kvm
	ok "$way: thpd stops on SIGTERM with status 0" stop_thpd
done
live_end
