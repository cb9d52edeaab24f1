#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Four real guests, as in `make run`: what can be repaired is, what cannot is explained, nobody is hurt.
# Alone: turns transparent_hugepage/enabled off while its guest D gets its memory.
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/live/guests.sh
. "$here/guests.sh"

all_four_looked_at() {
	local name
	for name in A B C D; do has_looked "$name" "${1:-1}" || return 1; done
}

guest_is_huge() {
	share_is_at_least 99 "$(smaps_huge "$1")"
}

# The daemon's number and the kernel's, to the byte.
claim_is_true() {
	[ "$(vm_field "$1" .huge_bytes)" = "$(smaps_huge "$1" | cut -d ' ' -f 1)" ]
}

c_is_explained() {
	ctl explain C --json | jq -e '[.. | objects | select(.reason? == "misaligned-mapping") |
		select((.cure // "") != "" and (.sentence // "") != "")] | length > 0'
}

c_is_barred() {
	vm_field C '| .barred_bytes * 100 >= .resident_bytes * 99 and .reasons["misaligned-mapping"] > 0' |
		grep -qx true
}

# D is anonymous memory with advice: khugepaged may have found a few blocks of it by itself.
nothing_is_huge() {
	local name
	for name in A B C; do is_equal "$(smaps_huge "$name" | cut -d ' ' -f 1)" 0 || return 1; done
	is_not share_is_at_least 10 "$(smaps_huge D)"
}

live_begin qemu-system-x86_64 socat jq cpio busybox unshare nsenter
guests_init "$T" || exit 1
note "the guests run under $GUESTS_ACCEL"
write_test_config '' '' "$(guests_match)"

ok "four guests run their patterns" start_four_guests 512 || exit 1
ok "guest B is huge at first" guest_is_huge B
ok "a background snapshot of B completes" background_snapshot B
ok "nothing of the four is huge now" nothing_is_huge

ok "thpd --dry-run starts" start_thpd --dry-run
ok "it finds the four and looks twice at each" wait_until "$THPD_DEADLINE" all_four_looked_at 2
ok "it changes nothing" nothing_is_huge
ok "it stops on SIGTERM with status 0" stop_thpd

ok "thpd starts" start_thpd
for name in A B D; do
	ok "guest $name becomes huge, by the kernel's account" wait_until "$THPD_DEADLINE" guest_is_huge "$name"
	ok "thpd's account of $name is the kernel's" wait_until "$THPD_DEADLINE" claim_is_true "$name"
done
ok "C is barred as misaligned" wait_until "$THPD_DEADLINE" c_is_barred
ok "C is explained, with a cure" c_is_explained
ok "nothing of C is huge" is_equal "$(smaps_huge C | cut -d ' ' -f 1)" 0
for name in A B C D; do
	ok "guest $name goes on" guest_goes_on "$name" "$THPD_DEADLINE"
	ok "guest $name saw no wrong byte" guest_is_healthy "$name"
done
ok "thpd stops on SIGTERM with status 0" stop_thpd

ok "B loses its huge mappings once more" background_snapshot B
ok "B has lost them" is_not guest_is_huge B
ok "thpd --once ends with status 0" timeout 120 "$THPD_BUILD/thpd" --config-dir="$T/etc" \
	--runtime-dir="$T/run" --once
ok "and B is huge again" guest_is_huge B
ok "B goes on" guest_goes_on B "$THPD_DEADLINE"
ok "B saw no wrong byte" guest_is_healthy B
live_end
