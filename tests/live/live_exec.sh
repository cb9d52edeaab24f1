#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A VMM replaces itself by exec: same pid, same start time, other memory.  What thpd knew is worth
# nothing then, and it must notice.
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"

listed_once() {
	is_equal "$(ctl status --json | jq --arg pid "$1" '[.vms[] | select((.pid|tostring) == $pid)] | length')" 1
}

live_begin jq
write_test_config '[Budget]
CopyBandwidth=64M' 'CopyCallSize=8M'
ok "thpd starts" start_thpd || exit 1
for kind in memfd anon; do
	name=vmm-$kind
	ok "a holder of $kind memory starts" start_holder "$name" --kind="$kind" --size=128
	pid=${HOLDER_PID[$name]}
	ok "thpd makes it huge" wait_until "$THPD_DEADLINE" holder_is_huge "$name"
	ok "it replaces itself" holder_exec "$name"
	ok "it is the same process" holder_is_alive "$name"
	ok "its new memory is small" is_not holder_is_huge "$name"
	ok "thpd is in the middle of the new memory" wait_until "$THPD_DEADLINE" holder_is_partly_huge "$name"
	ok "it replaces itself again, right there" holder_exec "$name"
	ok "thpd makes the third memory huge" wait_until "$THPD_DEADLINE" holder_is_huge "$name"
	ok "its contents are right" holder "$name" verify
	ok "it is one VM in the list" listed_once "$pid"
	ok "and thpd's account is right" wait_until "$THPD_DEADLINE" claims_at_least 100 "$pid"
	stop_holder "$name"
done
# A known stranger makes no new pid when it becomes a VMM, and is not young any more: its memory gives it away.
HOLDER_WRAP=(bash -c 'read -rt 8 <> <(:); exec "$@"' late)
ok "a process that waited for long becomes a VMM" start_holder vmm-late --size=128
ok "thpd finds it before the minute is over" wait_until 40 vm_is_listed "${HOLDER_PID[vmm-late]}"
ok "and makes it huge" wait_until "$THPD_DEADLINE" holder_is_huge vmm-late
ok "thpd stops on SIGTERM with status 0" stop_thpd
live_end
