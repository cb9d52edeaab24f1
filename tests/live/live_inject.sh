#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every process_madvise fails, with each of the errors that the kernel may give: thpd goes on, says so,
# claims nothing, and no memory is harmed.
#
# Two ways to fail.  From birth, by a seccomp filter (refuse.c): the start-up probe fails as well, and thpd
# runs, looks, explains, and says whose fault it is.  From later on, by strace on the running daemon: the probe was
# fine, so thpd has to live with it.
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/live/guests.sh
. "$here/guests.sh"

# These only say that the moment is bad.
readonly ERRORS_PASSING=(11:EAGAIN 12:ENOMEM 16:EBUSY)
# These take the right to collapse away: looking and explaining is left.
readonly ERRORS_FINAL=(1:EPERM 13:EACCES 22:EINVAL 38:ENOSYS)
readonly ERRORS_LATER=(EPERM ESRCH EINTR EAGAIN ENOMEM EFAULT EBUSY EINVAL ENOSYS)
STRACE_PID=''

guest_is_huge() {
	share_is_at_least 99 "$(smaps_huge "$1")"
}

holder_claim_is() {
	is_equal "$(vm_field "${HOLDER_PID[$1]}" .huge_bytes)" "$2"
}

# It may fail or miss the target, but it must not hang: 124 is the watchman.
collapse_comes_back() {
	local rc=0
	ctl collapse "$1" --wait || rc=$?
	[ "$rc" -lt 124 ]
}

# Every resident byte that is not huge is in the account of the reasons.
nothing_is_hidden() {
	# shellcheck disable=SC2016  # $small is jq's
	vm_field "$1" '| (.resident_bytes - .huge_bytes) as $small |
		([.reasons[]] | add // 0) >= $small' | grep -qx true
}

# This kernel is new enough, or the other tests would have failed: a filter it is, and not the kernel.
blames_the_filter() {
	is_not thpd_log_has "needs Linux 6\.1" &&
		thpd_log_has "process_madvise is refused \\($1\\).*seccomp filter.*Allow process_madvise"
}

status_blames_the_filter() {
	ctl status --json | jq -e --arg error "$1" '.host | (.features | index("collapse") == null) and
		(.lost | any(contains("(" + $error + ")") and contains("seccomp")))'
}

doctor_blames_the_filter() {
	is_not timeout 60 "$refuse" "$1" "$THPD_BUILD/thpctl" --runtime-dir="$T/run" doctor --json >"$T/doctor"
	jq -e --arg error "$2" '.ok == false and
		(.checks | any(.id == "collapse" and .result == "fail" and (.text | contains("(" + $error + ")")))) and
		(.checks | any(.id == "collapse-shmem" and .result == "warn"))' "$T/doctor"
}

explain_says_no_permission() {
	ctl explain "$1" --json | jq -e '.runs | length > 0 and all(.reason == "no-permission" or .reason == "hva-too-short")'
}

# --- strace on the running daemon ----------------------------------------------------------------

is_traced() {
	local status
	for status in "/proc/$THPD_PID/task/"*/status; do
		grep -qx "TracerPid:[[:space:]]*$STRACE_PID" "$status" || return 1
	done
}

inject() {
	strace -f -qq -o "$T/strace" -e trace=process_madvise -e "inject=process_madvise:error=$1" \
		-p "$THPD_PID" 2>"$T/strace.err" &
	STRACE_PID=$!
	wait_until 30 is_traced
}

has_injected() {
	grep -q INJECTED "$T/strace"
}

stop_injecting() {
	[ -n "$STRACE_PID" ] || return 0
	kill -INT "$STRACE_PID" 2>/dev/null
	wait "$STRACE_PID" 2>/dev/null
	STRACE_PID=''
	return 0
}

test_cleanup() {
	stop_injecting
}

# --- what must hold ------------------------------------------------------------------------------

nothing_is_harmed() {
	ok "$1: nothing became huge" is_not holder_is_huge vmm-a
	ok "$1: contents are right (shared)" holder vmm-a verify
	ok "$1: contents are right (anonymous)" holder vmm-b verify
}

daemon_reports() {
	ok "$1: thpd is there and answers" ctl status
	ok "$1: it lists the VM" wait_until "$THPD_DEADLINE" vm_is_listed "${HOLDER_PID[vmm-a]}"
	ok "$1: it claims nothing" wait_until "$THPD_DEADLINE" holder_claim_is vmm-a 0
	ok "$1: it hides nothing" wait_until "$THPD_DEADLINE" nothing_is_hidden "${HOLDER_PID[vmm-a]}"
	ok "$1: thpctl explain has an answer" ctl explain "${HOLDER_PID[vmm-b]}"
	ok "$1: thpctl collapse --wait comes back" collapse_comes_back "${HOLDER_PID[vmm-a]}"
}

# Nothing can ever be collapsed, and whose fault it is is told everywhere.
fail_for_good() {
	local error=${1#*:}
	ok "$2: the log names the filter and the cure, not the kernel" blames_the_filter "$error"
	ok "$2: thpctl status does" wait_until "$THPD_DEADLINE" status_blames_the_filter "$error"
	ok "$2: thpctl doctor does" doctor_blames_the_filter "${1%:*}" "$error"
	ok "$2: thpctl explain says no-permission" wait_until "$THPD_DEADLINE" \
		explain_says_no_permission "${HOLDER_PID[vmm-a]}"
}

fail_from_birth() {
	local what="${1#*:} from birth"
	THPD_WRAP=("$refuse" "${1%:*}")
	ok "$what: thpd starts" start_thpd
	THPD_WRAP=()
	[ -z "${2:-}" ] || fail_for_good "$1" "$what"
	ok "$what: it has looked at the VM" wait_until "$THPD_DEADLINE" has_looked "${HOLDER_PID[vmm-a]}" 1
	daemon_reports "$what"
	nothing_is_harmed "$what"
	ok "$what: it stops with status 0" stop_thpd
}

# The VMs become thpd's business only when the calls fail already.
fail_later() {
	rm -f "$T/etc/vm.d"/*.conf
	ok "$1: thpd starts" start_thpd
	ok "$1: from now on every call fails" inject "$1"
	write_drop_in test.conf "$(holders_match)"
	kill -HUP "$THPD_PID"
	ok "$1: thpd has tried" wait_until "$THPD_DEADLINE" has_injected
	daemon_reports "$1"
	nothing_is_harmed "$1"
	# No leak sanitizer can work under strace.  What thpd does once the calls work again is undone.
	stop_injecting
	ok "$1: it stops with status 0" stop_thpd
	holder vmm-a pte >/dev/null
	holder vmm-b pte >/dev/null
}

live_begin qemu-system-x86_64 socat jq cpio busybox strace
guests_init "$T" || exit 1
refuse=$(helper refuse) || exit 1
write_test_config ''
ok "a VMM of shared memory starts, page-mapped" start_holder vmm-a --size=64 --state=pte || exit 1
ok "a VMM of anonymous memory starts" start_holder vmm-b --kind=anon --size=64 || exit 1

for error in "${ERRORS_PASSING[@]}"; do fail_from_birth "$error"; done
for error in "${ERRORS_FINAL[@]}"; do fail_from_birth "$error" for-good; done
for error in "${ERRORS_LATER[@]}"; do fail_later "$error"; done

ok "a guest runs" start_guest thpd-test-a A 256
ok "its pattern too" wait_serial thpd-test-a 'PATTERN pass=1 ' 120
for error in EAGAIN ENOMEM; do
	rm -f "$T/etc/vm.d"/*.conf
	ok "$error, with a guest: thpd starts" start_thpd
	ok "$error, with a guest: from now on every call fails" inject "$error"
	write_drop_in qemu.conf "$(guests_match)"
	kill -HUP "$THPD_PID"
	ok "$error, with a guest: thpd has tried" wait_until "$THPD_DEADLINE" has_injected
	ok "$error, with a guest: the guest goes on" guest_goes_on thpd-test-a "$THPD_DEADLINE"
	stop_injecting
	ok "$error, with a guest: it saw no wrong byte" guest_is_healthy thpd-test-a
	ok "$error, with a guest: thpd stops with status 0" stop_thpd
done
ok "with the kernel back at work, thpd starts" start_thpd
ok "and the guest becomes huge" wait_until "$THPD_DEADLINE" guest_is_huge thpd-test-a
ok "the guest goes on" guest_goes_on thpd-test-a "$THPD_DEADLINE"
ok "the guest saw no wrong byte" guest_is_healthy thpd-test-a
ok "thpd stops on SIGTERM with status 0" stop_thpd
live_end
