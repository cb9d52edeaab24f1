#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `thpctl pause VM`: thpd keeps its hands off; `thpctl resume VM`: the work is done.
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"

# Another VM that loses its mappings and gets them back is the proof that thpd was at work meanwhile.
thpd_serves_another() {
	unseen holder vmm-b pte && wait_until "$THPD_DEADLINE" holder_is_huge vmm-b
}

is_paused() {
	is_equal "$(vm_field "$1" .paused)" "$2"
}

live_begin jq
write_test_config ''
ok "a VMM starts, huge" start_holder vmm-a --size=128 --state=huge
ok "another VMM starts" start_holder vmm-b --size=64
pid=${HOLDER_PID[vmm-a]}
ok "thpd starts" start_thpd || exit 1
ok "thpd finds the first" wait_until "$THPD_DEADLINE" vm_is_listed "$pid"
ok "thpctl pause" ctl pause "$pid"
ok "status says so" wait_until 20 is_paused "$pid" true
ok "the VM loses its huge mappings" unseen holder vmm-a pte
for round in 1 2 3; do
	ok "thpd serves another VM meanwhile, round $round" thpd_serves_another
done
ok "the paused VM was left alone" holder_has_nothing_huge vmm-a
ok "thpctl resume" ctl resume "$pid"
ok "status says so" wait_until 20 is_paused "$pid" false
ok "the VM becomes huge again" wait_until "$THPD_DEADLINE" holder_is_huge vmm-a
ok "its contents are right" holder vmm-a verify
ok "pause of a VM that does not exist fails" is_not ctl pause no-such-vm
ok "thpd stops on SIGTERM with status 0" stop_thpd
live_end
