#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Real guests with shared memory as QEMU maps it, with and without libthpd-vmm-preload.so: never huge without, all of it with.
# That nothing else changes is live_starts' to show.
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/live/guests.sh
. "$here/guests.sh"
preload=$THPD_BUILD/libthpd-vmm-preload.so

guest_is_huge() {
	share_is_at_least 99 "$(smaps_huge "$1")"
}

has_run() {
	wait_serial "$1" 'PATTERN pass=1 ' 120
}

is_barred() {
	vm_field "$1" '| .barred_bytes * 100 >= .resident_bytes * 99 and .reasons["misaligned-mapping"] > 0' |
		grep -qx true
}

has_nothing_huge() {
	is_equal "$(smaps_huge "$1" | cut -d ' ' -f 1)" 0
}

live_begin qemu-system-x86_64 socat jq cpio busybox
[ -e "$preload" ] || skip_all "$preload is not built"
guests_init "$T" || exit 1
note "the guests run under $GUESTS_ACCEL"
write_test_config '' '' "$(guests_match)"

ok "a memfd guest starts" start_guest F F 256 || exit 1
ok "a guest on a file starts" start_guest E E 256 || exit 1
GUEST_WRAP=(env "LD_PRELOAD=$preload")
ok "a memfd guest starts with the preload" start_guest FP F 256 || exit 1
ok "a guest on a file starts with the preload" start_guest EP E 256 || exit 1
GUEST_WRAP=()
for name in F E FP EP; do ok "$name runs its pattern" has_run "$name" || exit 1; done
ok "thpd starts" start_thpd
for name in FP EP; do ok "$name becomes huge" wait_until "$THPD_DEADLINE" guest_is_huge "$name"; done
for name in F E; do
	ok "$name is barred as misaligned" wait_until "$THPD_DEADLINE" is_barred "$name"
	ok "nothing of $name is huge" has_nothing_huge "$name"
done
for name in FP EP; do
	ok "$name goes on" guest_goes_on "$name" "$THPD_DEADLINE"
	ok "$name saw no wrong byte" guest_is_healthy "$name"
done
ok "thpd stops on SIGTERM with status 0" stop_thpd
stop_all_guests
live_end
