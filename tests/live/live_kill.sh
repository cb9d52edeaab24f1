#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# VMMs die by SIGKILL while thpd is in the middle of their memory: the daemon goes on, and so does
# everybody else.
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/live/guests.sh
. "$here/guests.sh"

guest_is_huge() {
	share_is_at_least 99 "$(smaps_huge "$1")"
}

guest_is_partly_huge() {
	local now
	now=$(smaps_huge "$1")
	share_is_at_least 3 "$now" && ! share_is_at_least 90 "$now"
}

live_begin qemu-system-x86_64 socat jq cpio busybox
guests_init "$T" || exit 1
# Slow copies, so that there is a middle to be killed in.
write_test_config '[Budget]
CopyBandwidth=48M' 'CopyCallSize=8M'
write_drop_in qemu.conf "$(guests_match)" CopyCallSize=8M

ok "thpd starts" start_thpd || exit 1
for kind in memfd anon; do
	name=vmm-$kind
	ok "a holder of $kind memory starts" start_holder "$name" --kind="$kind" --size=256
	pid=${HOLDER_PID[$name]}
	ok "thpd is in the middle of it" wait_until "$THPD_DEADLINE" holder_is_partly_huge "$name"
	stop_holder "$name"
	ok "thpd survives its death" thpd_is_alive
	ok "and strikes it off the list" wait_until "$THPD_DEADLINE" is_not vm_is_listed "$pid"
done

ok "a guest that will be killed starts" start_guest thpd-test-victim A 512
ok "a guest that will stay starts" start_guest thpd-test-survivor A 256
ok "thpd is in the middle of the first" wait_until "$THPD_DEADLINE" guest_is_partly_huge thpd-test-victim
pid=${GUEST_PID[thpd-test-victim]}
process_signal "$pid" "${GUEST_START[thpd-test-victim]}" KILL
ok "the first is gone" wait_until 20 guest_is_gone thpd-test-victim
ok "thpd survives" thpd_is_alive
ok "and strikes it off the list" wait_until "$THPD_DEADLINE" is_not vm_is_listed "$pid"
ok "the other guest becomes huge" wait_until "$THPD_DEADLINE" guest_is_huge thpd-test-survivor
ok "the other guest runs" wait_serial thpd-test-survivor 'PATTERN pass=1 ' 120
ok "and goes on" guest_goes_on thpd-test-survivor "$THPD_DEADLINE"
ok "and saw no wrong byte" guest_is_healthy thpd-test-survivor
ok "thpd still answers" ctl status
ok "thpd stops on SIGTERM with status 0" stop_thpd
live_end
