#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The socket for VMMs that load libthpd-vmm: what they tell is known of them and of nobody else, and whoever
# lies, floods, stands still or dies costs his own care and nobody else's (rude_vmm.c speaks by hand).
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"

# Of a build with a sanitizer the memory says nothing.
RSS_MAX_KIB=$((96 << 10))

start_vmm() { # NAME [MIB]
	local program
	program=$(helper rude_vmm) || return 1
	start_talker "$1" "$program" "$T/run/vmm" "${2:-80}" && is_equal "$READY" ready
}

kvm_field() { # NAME FIELD
	vm_field "${HOLDER_PID[$1]}" ".kvm$2"
}

kvm_is() { # NAME FIELD VALUE
	is_equal "$(kvm_field "$1" "$2")" "$3"
}

snapshot_has() { # NAME JQ-CONDITION
	ctl snapshot "${HOLDER_PID[$1]}" | jq -e "$2" >/dev/null
}

is_found() { # NAME
	vm_is_listed "${HOLDER_PID[$1]}"
}

thpd_serves_another() {
	unseen holder vmm-b pte && wait_until "$THPD_DEADLINE" holder_is_huge vmm-b
}

thpd_is_small() {
	is_sanitized "$THPD_BUILD/thpd" && return 0
	local kib
	kib=$(awk '/^VmRSS:/ { print $2 }' "/proc/$THPD_PID/status")
	echo "VmRSS $kib KiB"
	[ "$kib" -le "$RSS_MAX_KIB" ]
}

descriptors_of_thpd_are_at_most() {
	local n
	n=$(find "/proc/$THPD_PID/fd" -mindepth 1 | wc -l)
	echo "$n descriptors"
	[ "$n" -le "$1" ]
}

is_at_least() { # NUMBER "ok N"
	echo "$2"
	[ "${2#ok }" -ge "$1" ]
}

is_at_most() {
	echo "$2"
	[ "${2#ok }" -le "$1" ]
}

complaints() {
	grep -cE "pid $1 of user .* does not speak as libthpd-vmm does" "$THPD_LOG"
}

has_complained_once() { # NAME
	is_equal "$(complaints "${HOLDER_PID[$1]}")" 1
}

# breaks NAME COMMAND...: a new process breaks a law; each law has its own process, since it is refused afterwards.
breaks() {
	local name=$1
	shift
	start_vmm "$name" 1 && holder "$name" connect || return 1
	while [ $# -gt 0 ]; do
		# shellcheck disable=SC2086  # a command and its numbers
		holder "$name" $1 || return 1
		shift
	done
	holder "$name" closed && has_complained_once "$name" && is_not holder "$name" connect && stop_holder "$name"
}

live_begin jq setpriv unshare
ulimit -n 8192
chmod 755 "$T" "$T/run" "$T/bin"
write_test_config ''
ok "a VMM starts that says nothing" start_holder vmm-b --size=64
ok "a VMM starts that will" start_vmm vmm-a
start_twins() {
	local i
	for i in 1 2 3; do start_vmm "vmm-i$i" 1 && start_vmm "vmm-j$i" 1 || return 1; done
}
ok "processes start that are small for long" start_twins
ok "thpd starts" start_thpd || exit 1
ok "the socket is there for all" is_equal "$(stat -c %a "$T/run/vmm")" 666
ok "thpd finds the one that says nothing" wait_until "$THPD_DEADLINE" is_found vmm-b
ok "nothing is known of the KVM of it" kvm_is vmm-b .registry null

# --- what is told --------------------------------------------------------------------------------

ok "the other one connects" holder vmm-a connect
ok "and tells" holder vmm-a honest
ok "thpd has found it" wait_until "$THPD_DEADLINE" is_found vmm-a
ok "thpd knows its library" wait_until "$THPD_DEADLINE" kvm_is vmm-a .registry.library rude
ok "and its slot" wait_until "$THPD_DEADLINE" kvm_is vmm-a .registry.complete true
ok "one" kvm_is vmm-a .registry.slots 1
ok "which is in the snapshot" snapshot_has vmm-a '.memslots | length == 1 and .[0].bytes == 83886080'
show_names_library() { ctl show "${HOLDER_PID[$1]}" | grep -qE 'library +rude'; }
ok "thpctl show names the library" show_names_library vmm-a
ok "half a table changes nothing" holder vmm-a part 0 0 2 4 0
ok "the slot of before is still there" snapshot_has vmm-a '.memslots | length == 1'
ok "another table" holder vmm-a table 0 1000 0
ok "is taken" wait_until "$THPD_DEADLINE" kvm_is vmm-a .registry.slots 1000
ok "whole" snapshot_has vmm-a '.memslots | length == 1000'
ok "slots were set before the library came" holder vmm-a vm 0 1
ok "so they are not known" wait_until "$THPD_DEADLINE" kvm_is vmm-a .registry.complete false
ok "nor in the snapshot" snapshot_has vmm-a '(.memslots // []) | length == 0'
ok "all is known again" holder vmm-a vm 0 0
ok "and is there again" wait_until "$THPD_DEADLINE" kvm_is vmm-a .registry.complete true
ok "all of it is logged" holder vmm-a table 0 40 1
is_migrating() { snapshot_has "$1" ".is_migrating == \"$2\""; }
ok "that is a migration" wait_until "$THPD_DEADLINE" is_migrating vmm-a yes
ok "it is over" holder vmm-a table 0 40 0
ok "and it is" wait_until "$THPD_DEADLINE" is_migrating vmm-a no
ok "it hangs up" holder vmm-a close
ok "and nothing is known any more" wait_until "$THPD_DEADLINE" kvm_is vmm-a .registry null
ok "nor in the snapshot" snapshot_has vmm-a '(.memslots // []) | length == 0'

# --- KVM's counts --------------------------------------------------------------------------------

if [ -w /dev/kvm ]; then
	ok "a VMM with a VM of KVM starts" start_vmm vmm-k
	ok "it makes one" holder vmm-k kvm
	ok "it connects" holder vmm-k connect
	ok "it tells" holder vmm-k honest
	ok "thpd asks it what KVM maps" holder vmm-k answer 40 0
	ok "and believes it" wait_until "$THPD_DEADLINE" kvm_is vmm-k .source vmm
	ok "by its number" kvm_is vmm-k .pages_2m 40
	ok "it does not tell the next time" holder vmm-k answer 0 2
	ok "thpd says so" wait_until "$THPD_DEADLINE" thpd_log_has "does not tell what KVM maps"
	stop_holder vmm-k
else
	skip "KVM's counts" "no /dev/kvm"
fi

# --- restart, and who comes first ------------------------------------------------------------------

ok "it connects again" holder vmm-a connect
ok "it tells" holder vmm-a honest
ok "it is known" wait_until "$THPD_DEADLINE" kvm_is vmm-a .registry.complete true
ok "thpd stops" stop_thpd
ok "the socket is gone" is_not test -e "$T/run/vmm"
ok "the connection is closed" holder vmm-a closed
ok "thpd starts" start_thpd || exit 1
ok "it connects, before or after it is found" holder vmm-a connect
ok "it tells" holder vmm-a honest
ok "and is known again" wait_until "$THPD_DEADLINE" kvm_is vmm-a .registry.complete true
ok "a small process connects" start_vmm vmm-s 1
ok "which is no VM yet" holder vmm-s connect
ok "it tells all the same" holder vmm-s honest
ok "then it has more memory" holder vmm-s grow 80
ok "and is known" wait_until "$THPD_DEADLINE" kvm_is vmm-s .registry.complete true
stop_holder vmm-s

# --- who does not keep to it -------------------------------------------------------------------------

ok "a second connection of a process is refused" holder vmm-a second
ok "the first one is not touched" holder vmm-a open
ok "noise is closed" breaks vmm-x1 "noise 100"
ok "noise of more than a message is closed" breaks vmm-x2 "noise 5000"
ok "slots of no VM are closed" breaks vmm-x3 "table 3 1 0"
ok "a VM that cannot be is closed" breaks vmm-x4 "vm 16 0"
ok "unknown flags are closed" breaks vmm-x5 "vm 0 4096"
ok "the end of a VM that is not there is closed" breaks vmm-x6 "gone 0"
ok "a part of nothing is closed" breaks vmm-x7 "vm 0 0" "part 0 64 64 128 0"
ok "parts that do not fit are closed" breaks vmm-x8 "vm 0 0" "part 0 0 64 128 0" "part 0 65 10 128 0"
ok "more slots than there are is closed" breaks vmm-x9 "vm 0 0" "part 0 0 64 1000000 0"
ok "too many over two VMs is closed" breaks vmm-x10 "vm 0 0" "vm 1 0" "part 0 0 64 65000 0" "part 1 0 64 1000 0"
ok "an answer to nothing is closed" breaks vmm-x11 answerless
ok "who says nothing is closed in time" start_vmm vmm-m 1
ok "..." holder vmm-m dial
ok "..." holder vmm-m closed
stop_holder vmm-m
ok "addresses of nobody are taken as said, and not touched" start_vmm vmm-e
ok "..." holder vmm-e connect
ok "..." holder vmm-e vm 0 0
ok "..." holder vmm-e elsewhere 0
ok "..." wait_until "$THPD_DEADLINE" kvm_is vmm-e .registry.complete true
stop_holder vmm-e
ok "who is honest was not touched by any of them" holder vmm-a open
ok "thpd serves the others" thpd_serves_another

# --- who floods --------------------------------------------------------------------------------------

ok "a VMM starts to flood" start_vmm vmm-f 1
ok "it connects" holder vmm-f connect
# 500 in 100 ms: it cannot be faster.
ok "20000 messages are held back" is_at_least 3500 "$(holder vmm-f flood 20000)"
ok "thpd has not grown" thpd_is_small
flood_on() { printf 'flood 100000\n' >&"${HOLDER_IN[vmm-f]}"; }
ok "a flood goes on" flood_on
ok "thpd serves the others" thpd_serves_another
ok "who is honest is heard" holder vmm-a table 0 77 0
ok "in spite of it" wait_until "$THPD_DEADLINE" kvm_is vmm-a .registry.slots 77
stop_holder vmm-f
ok "2000 connections of one process" start_vmm vmm-c 1
ok "are one" is_at_most 1 "$(holder vmm-c many 2000)"
ok "2000 processes connect" is_at_least 1000 "$(holder vmm-c swarm 2000)"
ok "thpd has not grown" thpd_is_small
ok "nor run out of descriptors" descriptors_of_thpd_are_at_most 5000
ok "thpd serves the others" thpd_serves_another
ok "who comes is let in" start_vmm vmm-n
ok "..." holder vmm-n connect
ok "..." holder vmm-n honest
ok "and known" wait_until "$THPD_DEADLINE" kvm_is vmm-n .registry.complete true
ok "they go" holder vmm-c unswarm
stop_holder vmm-c

# --- who connects is examined at once, and that once -------------------------------------------------

# In one answer: the second one has the lower pid, and would be found before it by one and the same pass.
is_found_alone() { # NAME OTHER
	jq -e --argjson one "${HOLDER_PID[$1]}" --argjson other "${HOLDER_PID[$2]}" \
		'[.vms[].pid] | index($one) != null and index($other) == null' "$T/seen.json"
}
sees() { # NAME
	ctl status --json >"$T/seen.json" && jq -e --argjson pid "${HOLDER_PID[$1]}" 'any(.vms[]; .pid == $pid)' "$T/seen.json"
}
# Both have become VMs. A pass over all processes, which is made every ten seconds, finds both: another try.
who_connects_is_found_first() {
	local i
	for i in 1 2 3; do
		holder "vmm-i$i" grow 80 && holder "vmm-j$i" grow 80 && holder "vmm-j$i" connect || return 1
		wait_until "$THPD_DEADLINE" sees "vmm-j$i" || return 1
		! is_found_alone "vmm-j$i" "vmm-i$i" || return 0
	done
	return 1
}
HOLDER_WRAP=(setpriv --reuid=65534 --regid=65534 --clear-groups)
ok "a process of another user starts that is no VM" start_vmm pest
HOLDER_WRAP=()
ok "it connects again and again" holder pest pester 500
ok "it is no VM for that" is_not is_found pest
ok "nor is it worth a line in the log" is_not thpd_log_has "pid ${HOLDER_PID[pest]} "
pester_on() { printf 'pester 100000\n' >&"${HOLDER_IN[pest]}"; }
ok "it goes on" pester_on
ok "a VM that connects is found at once in spite of it" who_connects_is_found_first
ok "thpd has not grown" thpd_is_small
ok "thpd serves the others" thpd_serves_another
ok "who is honest was not touched by it" holder vmm-a open
for name in pest vmm-{i,j}{1,2,3}; do stop_holder "$name"; done

ok "a VMM connects again and again" start_vmm vmm-r
ok "..." wait_until "$THPD_DEADLINE" is_found vmm-r
for _ in 1 2 3 4 5; do
	ok "it comes" holder vmm-r connect
	ok "it goes" holder vmm-r close
done
tells_of() { grep -c "vmm-r: tells of itself" "$THPD_LOG"; }
ok "the log has one line of that" is_equal "$(tells_of)" 1
stop_holder vmm-r

# --- other users and other namespaces -------------------------------------------------------------

HOLDER_WRAP=(setpriv --reuid=65534 --regid=65534 --clear-groups)
ok "a VMM of another user starts" start_vmm vmm-u
ok "it connects" holder vmm-u connect
ok "it tells" holder vmm-u honest
ok "and is known" wait_until "$THPD_DEADLINE" kvm_is vmm-u .registry.complete true
ok "20 of its processes tell of all slots there can be" is_at_most 8 "$(holder vmm-u swarm 20 hog)"
ok "thpd has not grown beyond its bounds" thpd_is_small
ok "root's is heard" holder vmm-n table 0 60000 0
ok "in spite of it" wait_until "$THPD_DEADLINE" kvm_is vmm-n .registry.slots 60000
ok "they go" holder vmm-u unswarm
stop_holder vmm-u
HOLDER_WRAP=(unshare --pid --fork --kill-child)
ok "a VMM in another pid namespace starts" start_vmm vmm-p
inner=$(pgrep -P "${HOLDER_PID[vmm-p]}")
ok "it connects" holder vmm-p connect
ok "it tells" holder vmm-p honest
inner_is_known() { is_equal "$(vm_field "$inner" .kvm.registry.complete)" true; }
ok "and is known by the pid it has here" wait_until "$THPD_DEADLINE" inner_is_known
stop_holder vmm-p
HOLDER_WRAP=()

# --- who dies ----------------------------------------------------------------------------------------

ok "processes die after each message" start_vmm vmm-d 1
ok "..." holder vmm-d mortals 140
ok "a child that keeps the connection of a dead process loses it" holder vmm-d orphan
ok "who is honest was not touched by any of them" holder vmm-a open
ok "thpd serves the others" thpd_serves_another
ok "thpd stops on SIGTERM with status 0" stop_thpd

# --- thpd in a pid namespace of its own ----------------------------------------------------------------

THPD_WRAP=(unshare --pid --fork --kill-child --mount-proc)
ok "thpd starts in a pid namespace" start_thpd
ok "who is outside of it is nobody there" is_not holder vmm-d connect
ok "thpd goes on" ctl status
kill -KILL "$THPD_PID"
THPD_PID=''
live_end
