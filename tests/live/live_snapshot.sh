#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A snapshot taken here is decided the same at another desk: offline, by a user without any right.  With Mode=report
# nothing is planned, here and there; with --dry-run what would be done is.
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"

readonly NOBODY=65534

# Neither the scratch directory nor the program need be within the reach of others.
give_to_nobody() {
	chmod 711 "$T" && mkdir "$T/nobody" && install -m 755 "$THPD_BUILD/thpctl" "$T/nobody/thpctl"
}

# Start, bytes and kind of each action, whatever else an action may say; all three must be there.
actions_of() {
	jq -ce '.actions | map({start, bytes, kind}) | if all(.[][]; . != null) then . else "incomplete" | error end' "$1"
}

# plans_agree PID KIND...: and these are the kinds of action they hold, sorted.
plans_agree() {
	local pid=$1 here there
	shift
	ctl snapshot "$pid" >"$T/snapshot.json" && ctl plan "$pid" --json >"$T/here.json" || return 1
	chmod 644 "$T/snapshot.json"
	setpriv --reuid="$NOBODY" --regid="$NOBODY" --clear-groups --inh-caps=-all --bounding-set=-all \
		"$T/nobody/thpctl" plan --snapshot="$T/snapshot.json" --json >"$T/there.json" || return 1
	here=$(actions_of "$T/here.json") && there=$(actions_of "$T/there.json") || return 1
	is_equal "$there" "$here" && is_equal "$(jq -r '[.[].kind] | unique | join(" ")' <<<"$here")" "$*"
}

live_begin jq setpriv
ok "another user gets thpctl and nothing else" give_to_nobody || exit 1
ok "a VMM of anonymous memory starts" start_holder vmm-a --size=64 --kind=anon
ok "the guest gives a page back" holder vmm-a punch 4194304 4096
ok "a VMM of shared memory starts, page-mapped" start_holder vmm-b --size=64 --state=pte
for way in Mode=report --dry-run; do
	write_test_config ''
	[ "$way" = --dry-run ] || sed -i "s/^Mode=full/$way/" "$T/etc/vm.d/test.conf"
	[ "$way" = --dry-run ] && options=(--dry-run) || options=()
	ok "$way: thpd starts" start_thpd "${options[@]}" || exit 1
	for vm in vmm-a vmm-b; do
		pid=${HOLDER_PID[$vm]} kinds=()
		[ "$way" = Mode=report ] || { [ "$vm" = vmm-a ] && kinds=(copy) || kinds=(remap); }
		ok "$way, $vm: thpd has looked" wait_until "$THPD_DEADLINE" has_looked "$pid" 1
		ok "$way, $vm: nobody's plan of the snapshot is the daemon's plan: ${kinds[*]:-nothing}" \
			plans_agree "$pid" "${kinds[@]}"
		ok "$way, $vm: nothing was done" holder_has_nothing_huge "$vm"
	done
	ok "$way: thpd stops on SIGTERM with status 0" stop_thpd
done
live_end
