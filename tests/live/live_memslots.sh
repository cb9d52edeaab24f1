#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The library in a VMM on the real KVM: what thpd's end is told is what the VMM did to its memslots, whatever else it
# does, forks and execs and closes; a nudge leaves nothing on; and a program without KVM has nothing of all that.
# Alone: kills a VMM in the middle of what takes milliseconds.
# shellcheck disable=SC2317,SC2016,SC2119,SC2120  # commands are called by name; variables are awk's and eval's
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"
preload=$THPD_BUILD/libthpd-vmm-preload.so
readonly DEADLINE=60
QEMU=''

vmm() {
	holder V "$@"
}

end() {
	holder E "$@"
}

# start_vmm [WORD...]: with the library; the words set the environment
start_vmm() {
	HOLDER_WRAP=(env "LD_PRELOAD=$preload" "THPD_VMM_SOCKET=$T/run/vmm" "$@")
	start_talker V "$(helper slotter)"
	local rc=$?
	HOLDER_WRAP=()
	return "$rc"
}

start_end() {
	start_talker E "$THPD_BUILD/tests/live/slot_end" "$T/run/vmm"
}

# told V [THEIRS]: the end's table is the VMM's; V as the VMM counts, THEIRS as the library does
told() {
	wait_until "$DEADLINE" is_told "$1" "${2:-$1}" && return
	vmm table "$1"
	end table "${2:-$1}"
	return 1
}

is_told() {
	[ "$(end table "$2")" = "$(vmm table "$1")" ]
}

state_is() { # MET HERE VMS
	wait_until "$DEADLINE" is_state "ok met=$1 here=$2 vms=$3" && return
	end state
	return 1
}

is_state() {
	[ "$(end state)" = "$1" ]
}

flags_are() { # V FLAGS
	wait_until "$DEADLINE" is_flags "$1" "ok flags=$2" && return
	end flags "$1"
	return 1
}

is_flags() {
	[ "$(end flags "$1")" = "$2" ]
}

nudge_says() { # V WORDS
	is_equal "$(end nudge "$1")" "ok $2"
}

nothing_is_logged() {
	is_equal "$(vmm logging "$1")" 'ok slots=0'
}

threads_of() {
	cat "/proc/$1/task/"*/comm | sort | uniq -c | awk '{ print $1, $2 }' | grep -F thpd-vmm
}

n_threads_is() { # PID N
	is_equal "$(find "/proc/$1/task" -mindepth 1 -maxdepth 1 | wc -l)" "$2"
}

# Every signal that can be blocked is, there; none is in the VMM's own thread.
only_its_own_signals_are_blocked() {
	local task mask
	for task in "/proc/$1/task/"*; do
		mask=$(awk '/^SigBlk:/ { print $2 }' "$task/status")
		case $(cat "$task/comm") in
		# All but SIGKILL and SIGSTOP, and the two that the C library keeps.
		thpd-vmm) is_equal "$mask" fffffffe7ffbfeff || return ;;
		*) is_equal "$mask" 0000000000000000 || return ;;
		esac
	done
}

# PID: has a socket, or a descriptor of the library's
has_descriptors() {
	find "/proc/$1/fd" -type l -printf '%l\n' | grep -E 'socket:|eventpoll|timerfd|eventfd'
}

n_stats_is_none() {
	is_not has_stats "${HOLDER_PID[V]}"
}

has_stats() {
	find "/proc/$1/fd" -type l -printf '%l\n' | grep -F kvm-vm-stats
}

fork_child() {
	local said
	said=$(vmm fork) || { echo "$said"; return 1; }
	CHILD=${said#ok child=}
}

vmm_is_gone() {
	! holder_is_alive V
}

kill_vmm() {
	kill -KILL "${HOLDER_PID[V]}" && wait_until "$DEADLINE" vmm_is_gone
}

# A new VMM with two VMs, the first with SLOTS slots that can be nudged.
begin_vmm() { # SLOTS
	start_vmm && vmm vm && vmm vm && vmm cheap 0 && vmm add 0 0 "$1"
}

# begin_qemu [WORD...]: under KVM, its guest stopped before the first instruction
begin_qemu() {
	LD_PRELOAD=$preload THPD_VMM_SOCKET=$T/run/vmm qemu-system-x86_64 -nodefaults -no-user-config -display none -S \
		-machine q35,accel=kvm,memory-backend=ram -m 64M -object memory-backend-memfd,id=ram,size=64M,share=on "$@" \
		2>"$T/qemu.err" &
	QEMU=$!
	wait_until "$DEADLINE" has_slots || { cat "$T/qemu.err"; return 1; }
}

has_slots() {
	[[ $(end table 0) =~ ^ok\ total=[1-9] ]]
}

end_qemu() {
	[ -z "$QEMU" ] || { kill "$QEMU" 2>/dev/null && wait "$QEMU"; }
	QEMU=''
}

test_cleanup() {
	end_qemu
}

live_begin
[ -e "$preload" ] || skip_all "$preload is not built"
[ -x "$THPD_BUILD/tests/live/slot_end" ] || skip_all "tests/live/slot_end is not built (make live-programs)"
[ -w /dev/kvm ] || skip_all "there is no /dev/kvm"

# --- the table -----------------------------------------------------------------------------------

ok "thpd's end starts" start_end || exit 1
ok "a VMM starts" start_vmm || exit 1
pid=${HOLDER_PID[V]}
ok "before KVM is opened it has one thread" n_threads_is "$pid" 1
ok "before KVM is opened it has none of the library's descriptors" is_not has_descriptors "$pid"
ok "it makes a VM" vmm vm || exit 1
ok "and then has one thread more" n_threads_is "$pid" 2
ok "whose name says whose it is" is_equal "$(threads_of "$pid")" '1 thpd-vmm'
ok "no signal of the VMM's can go there" only_its_own_signals_are_blocked "$pid"
ok "it makes another VM" vmm vm
ok "which costs no thread" n_threads_is "$pid" 2
ok "both are told of" state_is 1 1 2
ok "an empty table is told" told 0
ok "thousands of slots are set" vmm add 0 0 4000
ok "and some of the other VM" vmm add 1 100 70
ok "the first VM's are told" told 0
ok "the second VM's are told" told 1
ok "every second one goes" vmm remove 0 0 2001
ok "one moves" vmm move 0 3 $((1 << 40))
ok "some are logged" vmm log 0 0 100
ok "all of that is told" told 0
ok "the log may cost much, and that is told" flags_are 0 0
ok "the log gets cheap" vmm cheap 0
ok "and that is told" flags_are 0 6
ok "KVM's counts are read" is_equal "$(end count 0)" 'ok err=0 pages_4k=0'
ok "and stay open for nobody" n_stats_is_none
ok "there are no counts of a VM that is not" is_equal "$(end count 7)" 'ok err=2 pages_4k=0'

# --- the nudge -----------------------------------------------------------------------------------

ok "what the VMM logs is passed over" nudge_says 0 'result=0 err=0 toggled=2949 passed_over=50'
ok "all is logged" vmm log 0 0 4000
ok "no nudge while the VMM logs most of it" nudge_says 0 'result=2 err=0 toggled=0 passed_over=0'
ok "its log ends" vmm unlog 0 0 4000
ok "no nudge where it is dear" nudge_says 1 'result=3 err=0 toggled=0 passed_over=0'
ok "every slot is nudged" nudge_says 0 'result=0 err=0 toggled=2999 passed_over=0'
ok "no log stays on" nothing_is_logged 0
ok "the table is as it was" told 0
ok "slots are set all the time" vmm again 0 4001
ok "while all others are nudged" end nudge 0
ok "and that comes to its end" vmm wait
ok "no log stays on after that" nothing_is_logged 0
ok "the table is right after that" told 0

# --- children ------------------------------------------------------------------------------------

ok "it forks, and the child has a VM of its own" fork_child
ok "the child has no thread more" n_threads_is "$CHILD" 1
ok "the child has none of the library's descriptors" is_not has_descriptors "$CHILD"
ok "nothing is told of the child's VM" state_is 1 1 2
ok "the parent sets a slot" vmm add 1 500 1
ok "which is told" told 1
ok "the child ends" vmm reap
ok "a child of vfork() closes the VM" vmm vfork 1
ok "the parent sets a slot again" vmm add 1 502 1
ok "which is told again" told 1

# --- closing -------------------------------------------------------------------------------------

ok "a VM is closed" vmm close 1
ok "which is told, too" state_is 1 1 1
ok "there is a third" vmm vm
ok "which is told as the second" state_is 1 1 2
ok "it is closed by a range" vmm range 2
ok "which is told like that" state_is 1 1 1
ok "there is a fourth" vmm vm
ok "which is told as well" state_is 1 1 2
ok "another descriptor takes its place" vmm replace 3
ok "so that it is gone" state_is 1 1 1
ok "there is a fifth" vmm vm
ok "with some slots" vmm add 4 0 3
ok "which are told of" told 4 1
ok "it is closed unseen" vmm lose 4
ok "its number is the sixth's" vmm vm
ok "of which nothing else is the fifth's" told 5 1
ok "all descriptors that there may be are closed" vmm closeall
ok "the VM is gone, the library's own are not" state_is 1 1 0
ok "so that another VM" vmm vm
ok "is told of" state_is 1 1 1
ok "with its slots" vmm add 6 0 3
ok "which are told" told 6 0
ok "a VM that nobody saw made has a slot" eval 'vmm foreign && vmm add 7 0 1'
ok "it is told of as incomplete" flags_are 1 1
ok "and the other one, which it may be, too" flags_are 0 1
ok "neither is nudged" nudge_says 0 'result=1 err=0 toggled=0 passed_over=0'

# --- ends ----------------------------------------------------------------------------------------

ok "it becomes another program" is_equal "$(vmm exec)" "$READY"
ok "whose connection is gone" state_is 1 0 2
ok "and which begins anew" eval 'vmm vm && vmm add 0 0 2'
ok "as another VMM" state_is 2 1 1
ok "with its own table" told 0
stop_holder V
ok "it ends, and its connection does" state_is 2 0 1
n_cut=0
for i in 1 2 3 4 5; do
	ok "a VMM with thousands of slots, $i" begin_vmm 8000
	ok "is told of, $i" told 0
	ok "a nudge begins, $i" end ask 0
	ok "in the middle of which it is killed, $i" kill_vmm
	ok "thpd's end hears of it, $i" state_is $((2 + i)) 0 2
	[ "$(end answered)" = 'ok answered=1' ] || n_cut=$((n_cut + 1))
	stop_holder V
done
note "$n_cut of 5 were killed before the answer"
ok "one at least was in the middle" [ "$n_cut" -gt 0 ]

# --- QEMU ----------------------------------------------------------------------------------------

# Its ROMs are passed over.
test_qemu() { # TEXT WORD...
	local text=$1
	shift
	start_end
	ok "$text under KVM tells of its slots" begin_qemu "$@" || return
	ok "$text asks for logs that are cheap" flags_are 0 6
	ok "$text is counted" is_equal "$(end count 0)" 'ok err=0 pages_4k=0'
	ok "$text is nudged" eval 'wait_until "$DEADLINE" qemu_is_nudged'
	end_qemu
	ok "$text ends" state_is 1 0 1
	stop_holder E
}

# Until the last of its slots is there, they may be too few.
qemu_is_nudged() {
	[[ $(end nudge 0) =~ ^ok\ result=0\ err=0\ toggled=[1-9] ]]
}

stop_holder E
if [ -n "$(missing_programs qemu-system-x86_64)" ]; then
	skip "QEMU under KVM" "qemu-system-x86_64 is missing"
else
	test_qemu QEMU
	test_qemu "QEMU in its sandbox" -sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny
fi

# --- without thpd --------------------------------------------------------------------------------

rm -f "$T/run/vmm"
ok "without thpd a VMM works as ever" begin_vmm 100
ok "thpd's end appears" start_end
ok "and is told all" told 0
stop_holder V
ok "THPD_VMM=off" start_vmm THPD_VMM=off
ok "starts no thread" eval 'vmm vm && vmm add 0 0 2 && n_threads_is "${HOLDER_PID[V]}" 1'
ok "and tells nothing" eval '[ "$(end state)" = "ok met=1 here=0 vms=2" ]'
live_end
