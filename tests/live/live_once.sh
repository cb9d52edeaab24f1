#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Two ends: SIGTERM in the middle of a copy, which loses nothing, and that of --once, which comes when all is done, and
# at once: the rate of [Budget] is the daemon's.
# Alone: stops thpd in the middle of what takes tenths of a second.
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"
STOP_STATUS=''

# No pause between the looks: at full speed the copy takes some tenths of a second.
is_amid_copy() {
	local end=$((SECONDS + THPD_DEADLINE))
	until holder_is_partly_huge vmm-a; do
		[ "$SECONDS" -lt "$end" ] && is_not holder_is_huge vmm-a || return 1
	done
}

# Who comes too late tries again with a new VMM.
stop_amid_copy() {
	local try
	for try in 1 2 3 4 5; do
		start_holder vmm-a --size=512 --kind=anon && start_thpd --verbose || return 1
		is_amid_copy
		STOP_STATUS=0
		stop_thpd || STOP_STATUS=$?
		note "try $try: $(holder_huge vmm-a) huge and resident, status $STOP_STATUS"
		is_not holder_is_huge vmm-a && share_is_at_least 1 "$(holder_huge vmm-a)" && return 0
		stop_holder vmm-a
	done
	return 1
}

once() {
	timeout 120 "$THPD_BUILD/thpd" --config-dir="$T/etc" --runtime-dir="$T/run" --once
}

live_begin jq
write_test_config $'[Budget]\nCopyBandwidth=infinity'
ok "SIGTERM in the middle of a copy comes through" stop_amid_copy
ok "thpd ended with status 0" is_equal "$STOP_STATUS" 0
ok "the contents are right" holder vmm-a verify
stop_holder vmm-a

write_test_config $'[Budget]\nCopyBandwidth=1M'
ok "a VMM of anonymous memory starts" start_holder vmm-b --size=64 --kind=anon
ok "thpd --once with CopyBandwidth=1M ends with status 0" once
ok "the VMM is huge" holder_is_huge vmm-b
ok "its contents are right" holder vmm-b verify
live_end
