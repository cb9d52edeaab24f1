#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A process can keep everybody waiting who reads its maps, its fds, its stat or its command line
# (hanger.c).
# Any local user can make one.  It may cost its own care, and nobody else's: not the other VMs', not the
# operators'.
# Alone: whoever reads /proc of its processes hangs, a pgrep of another test as well.
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"

declare -A HANGER_PID=() HANGER_IN=() HANGER_OUT=() VICTIM=()

# --- processes that hang -------------------------------------------------------------------------

start_hanger() {
	local name=$1 how=$2 program in out ready
	program=$(helper hanger) || return 1
	cp "$program" "$T/bin/$HOLDER_COMM$name"
	touch "$T/$name.file"
	mkfifo "$T/$name.in" "$T/$name.out"
	exec {in}<>"$T/$name.in" {out}<>"$T/$name.out"
	"$T/bin/$HOLDER_COMM$name" "$T/$name.file" 64 "$how" <"$T/$name.in" >"$T/$name.out" 2>"$T/$name.err" {in}>&- {out}>&- &
	HANGER_PID[$name]=$! HANGER_IN[$name]=$in HANGER_OUT[$name]=$out
	disown "${HANGER_PID[$name]}"
	read -r -t 60 -u "$out" ready || return 1
	VICTIM[$name]=${ready#ready }
}

tell_hanger() {
	local answer
	printf '%s\n' "$2" >&"${HANGER_IN[$1]}"
	read -r -t 60 -u "${HANGER_OUT[$1]}" answer && is_equal "$answer" "$3"
}

stop_hanger() {
	local in=${HANGER_IN[$1]} out=${HANGER_OUT[$1]} pid=${HANGER_PID[$1]}
	exec {in}>&- {out}>&-
	kill -KILL "${VICTIM[$1]}" "$pid" 2>/dev/null
	rm -f "$T/$1.in" "$T/$1.out"
	unset "HANGER_PID[$1]" "HANGER_IN[$1]" "HANGER_OUT[$1]" "VICTIM[$1]"
	return 0
}

test_cleanup() {
	local name
	for name in "${!HANGER_PID[@]}"; do stop_hanger "$name"; done
}

# The proof that the scene is what it says: somebody else waits, too.
is_hanging() {
	! timeout 2 cat "/proc/$1/$2" >/dev/null
}

victim_is_huge() {
	[ "$(awk '/^AnonHugePages:/ { n += $2 } END { print n + 0 }' "/proc/${VICTIM[$1]}/smaps")" -ge $((60 << 10)) ]
}

is_stuck() {
	is_equal "$(vm_field "$1" .phase)" stuck
}

somebody_was_passed_over() {
	[ "$(ctl status --json | jq .host.counters.silent_processes)" -gt 0 ]
}

is_not_listed() {
	! vm_is_listed "$1"
}

live_begin jq
[ -c /dev/fuse ] || skip_all "missing: /dev/fuse"
start_hanger vmm-h exec || {
	grep -q FUSE "$T/vmm-h.err" && skip_all "FUSE cannot be mounted"
	exit 1
}
write_test_config ''

# --- before thpd knows them ----------------------------------------------------------------------

ok "a process hangs in execve" tell_hanger vmm-h hang hanging
ok "who reads its stat hangs as well" is_hanging "${VICTIM[vmm-h]}" stat
ok "a VMM starts" start_holder vmm-a --size=64
ok "thpd starts" start_thpd || exit 1
ok "thpd makes the VMM huge" wait_until "$THPD_DEADLINE" holder_is_huge vmm-a
ok "thpctl answers" ctl status
ok "the search for userfaultfds has passed it over" wait_until "$THPD_DEADLINE" somebody_was_passed_over
ok "the exec goes on" tell_hanger vmm-h release released
ok "thpd takes it for a VM" wait_until "$THPD_DEADLINE" vm_is_listed "${VICTIM[vmm-h]}"
ok "thpd makes it huge" wait_until "$THPD_DEADLINE" victim_is_huge vmm-h
stop_hanger vmm-h

ok "a process starts whose command line thpd reads" start_hanger vmm-qemu lock
victim=${VICTIM[vmm-qemu]:-0}
ok "its memory is locked" tell_hanger vmm-qemu hang hanging
ok "who reads its command line hangs" wait_until 30 is_hanging "$victim" cmdline
ok "thpd names it" wait_until "$THPD_DEADLINE" thpd_log_has "pid $victim does not let itself be identified"
ok "a VMM starts" start_holder vmm-d --size=64
ok "thpd makes it huge" wait_until "$THPD_DEADLINE" holder_is_huge vmm-d
ok "it lets go" tell_hanger vmm-qemu release released
# The longer it was silent, the later.
ok "thpd asks it again, and takes it for a VM" wait_until 300 vm_is_listed "$victim"
ok "thpd makes it huge" wait_until "$THPD_DEADLINE" victim_is_huge vmm-qemu
stop_hanger vmm-qemu

# --- a VM that is cared for ----------------------------------------------------------------------

ok "another VM starts" start_hanger vmm-h exec
victim=${VICTIM[vmm-h]:-0}
ok "thpd finds it" wait_until "$THPD_DEADLINE" vm_is_listed "$victim"
ok "thpd makes it huge" wait_until "$THPD_DEADLINE" victim_is_huge vmm-h
# What thpd waits for both is waited once.
ok "one more that will hang to the end" start_hanger vmm-z exec
ok "thpd makes it huge" wait_until "$THPD_DEADLINE" victim_is_huge vmm-z
ok "it hangs" tell_hanger vmm-h hang hanging
ok "the other as well" tell_hanger vmm-z hang hanging
ok "who reads its stat hangs as well" is_hanging "$victim" stat
ok "a new VMM is made huge all the same" start_holder vmm-b --size=64
ok "thpd makes it huge" wait_until "$THPD_DEADLINE" holder_is_huge vmm-b
ok "thpd gives up the VM that hangs" wait_until "$THPD_DEADLINE" is_stuck "$victim"
ok "and names it" thpd_log_has "pid $victim has not let itself be read"
ok "thpctl collapse of it comes back with an error" is_not ctl collapse "$victim" --wait
ok "one more VMM starts" start_holder vmm-c --size=64
ok "and is made huge" wait_until "$THPD_DEADLINE" holder_is_huge vmm-c
ok "it lets go" tell_hanger vmm-h release released
ok "thpd says so" wait_until "$THPD_DEADLINE" thpd_log_has "lets itself be read again"
ok "and makes its new memory huge" wait_until "$THPD_DEADLINE" victim_is_huge vmm-h
stop_hanger vmm-h
ok "gone is gone" wait_until "$THPD_DEADLINE" is_not_listed "$victim"

# --- the end ---------------------------------------------------------------------------------------

ok "thpd hangs on the other" wait_until "$THPD_DEADLINE" is_stuck "${VICTIM[vmm-z]}"
ok "thpd stops on SIGTERM with status 0 all the same" stop_thpd
live_end
