#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every process_madvise fails, with each of the errors that the kernel may give: thpd goes on, says so,
# claims nothing, and no memory is harmed.
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/live/guests.sh
. "$here/guests.sh"

readonly ERRORS=(1:EPERM 3:ESRCH 4:EINTR 11:EAGAIN 12:ENOMEM 14:EFAULT 16:EBUSY 22:EINVAL 38:ENOSYS)

holder_claim_is() {
	is_equal "$(vm_field "${HOLDER_PID[$1]}" .huge_bytes)" "$2"
}

guest_is_huge() {
	share_is_at_least 99 "$(smaps_huge "$1")"
}

# It may fail or miss the target, but it must not hang: 124 is the watchman.
collapse_comes_back() {
	local rc=0
	ctl collapse "$1" --wait || rc=$?
	[ "$rc" -lt 124 ]
}

# Something that is not huge has a reason, every byte of it, or waits for its turn.
nothing_is_hidden() {
	# shellcheck disable=SC2016  # $small is jq's
	vm_field "$1" '| (.resident_bytes - .huge_bytes) as $small |
		([.reasons[]] | add // 0) >= $small' | grep -qx true
}

live_begin qemu-system-x86_64 socat jq cpio busybox
guests_init "$T" || exit 1
refuse=$(helper refuse) || exit 1
write_test_config ''
cat >"$T/etc/vm.d/qemu.conf" <<'CONF'
[Match]
Comm=qemu-system-x86*
Name=thpd-test-*
[Collapse]
Mode=full
CONF

ok "a guest runs" start_guest thpd-test-a A 256
ok "its pattern too" wait_serial thpd-test-a 'PATTERN pass=1 ' 120
for error in "${ERRORS[@]}"; do
	ok "${error#*:}: a VMM of shared memory starts, page-mapped" start_holder vmm-a --size=64 --state=pte
	ok "${error#*:}: a VMM of anonymous memory starts" start_holder vmm-b --kind=anon --size=64
	THPD_WRAP=("$refuse" "${error%:*}")
	ok "${error#*:}: thpd starts and answers" start_thpd
	ok "${error#*:}: it has looked at the first" wait_until "$THPD_DEADLINE" has_looked "${HOLDER_PID[vmm-a]}" 2
	ok "${error#*:}: and at the guest" wait_until "$THPD_DEADLINE" has_looked thpd-test-a 2
	ok "${error#*:}: it claims nothing" holder_claim_is vmm-a 0
	ok "${error#*:}: it hides nothing" nothing_is_hidden "${HOLDER_PID[vmm-a]}"
	ok "${error#*:}: thpctl explain has an answer" ctl explain "${HOLDER_PID[vmm-b]}"
	ok "${error#*:}: thpctl collapse --wait comes back" collapse_comes_back "${HOLDER_PID[vmm-a]}"
	ok "${error#*:}: contents are right (shared)" holder vmm-a verify
	ok "${error#*:}: contents are right (anonymous)" holder vmm-b verify
	ok "${error#*:}: thpd is still there, and stops with status 0" stop_thpd
	stop_holder vmm-a
	stop_holder vmm-b
done
ok "the guest goes on" guest_goes_on thpd-test-a "$THPD_DEADLINE"
ok "the guest saw no wrong byte" guest_is_healthy thpd-test-a

THPD_WRAP=()
ok "with the kernel back at work, thpd starts" start_thpd
ok "and the guest becomes huge" wait_until "$THPD_DEADLINE" guest_is_huge thpd-test-a
ok "thpd stops on SIGTERM with status 0" stop_thpd
live_end
