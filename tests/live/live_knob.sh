#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An administrator turns a knob while thpd runs: thpd notices by itself, says which knob it is, and goes on
# when it is turned back.
# Alone: turns shmem_enabled.
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"

readonly KNOB=/sys/kernel/mm/transparent_hugepage/shmem_enabled
KNOB_WAS=''

# Programs that need the knobs as they are hold this lock shared.
turn_knob() {
	if [ -z "$KNOB_WAS" ]; then
		exec {KNOB_LOCK}>/run/lock/thpd-test-sysfs
		flock -x "$KNOB_LOCK"
		KNOB_WAS=$(sed 's/.*\[\(.*\)\].*/\1/' "$KNOB")
	fi
	echo "$1" >"$KNOB"
}

restore_knob() {
	[ -n "$KNOB_WAS" ] || return 0
	echo "$KNOB_WAS" >"$KNOB"
	flock -u "$KNOB_LOCK"
	KNOB_WAS=''
}

test_cleanup() {
	restore_knob
}

explains() {
	ctl explain "$1" --json | jq -e --arg reason "$2" 'any(.runs[]; .reason == $reason)' >/dev/null
}

says_lost() {
	ctl status --json | jq -e 'any(.host.lost[]; test("shmem_enabled"))' >/dev/null
}

live_begin jq
[ -w "$KNOB" ] || skip_all "no $KNOB"
write_test_config ''
ok "thpd starts" start_thpd || exit 1
ok "a VMM of shared memory starts" start_holder vmm-a --size=64
ok "thpd makes it huge" wait_until "$THPD_DEADLINE" holder_is_huge vmm-a
ok "shmem_enabled becomes deny" turn_knob deny
ok "thpd says that the knob was turned" wait_until "$THPD_DEADLINE" thpd_log_has "knob"
ok "and what is lost" wait_until "$THPD_DEADLINE" says_lost
ok "another VMM starts" start_holder vmm-b --size=64
ok "thpd blames the knob" wait_until "$THPD_DEADLINE" explains "${HOLDER_PID[vmm-b]}" shmem-deny
ok "and leaves it alone" is_not holder_is_huge vmm-b
ok "the knob is turned back" restore_knob
ok "thpd makes the second huge, too" wait_until "$THPD_DEADLINE" holder_is_huge vmm-b
ok "nothing is lost any more" wait_until "$THPD_DEADLINE" is_not says_lost
ok "thpd stops on SIGTERM with status 0" stop_thpd
live_end
