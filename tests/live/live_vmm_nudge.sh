#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# thpctl nudge VM: what thpd asks of the library inside a VMM, and makes of the answers (rude_vmm.c is the
# library).  What KVM does then is the lab's to show.
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"

start_vmm() { # NAME
	local program
	program=$(helper rude_vmm) || return 1
	start_talker "$1" "$program" "$T/run/vmm" 80 && is_equal "$READY" ready &&
		holder "$1" kvm && holder "$1" connect && holder "$1" honest
}

kvm_is() { # NAME FIELD VALUE
	is_equal "$(vm_field "${HOLDER_PID[$1]}" ".kvm$2")" "$3"
}

nudges() {
	ctl status --json | jq .host.counters.nudges
}

nudge() { # NAME [--wait]
	ctl nudge "${HOLDER_PID[$1]}" "${@:2}"
}

# The answers are given while thpctl waits, which says what came of it.
nudge_answered() { # NAME RESULT SLOTS STATUS
	local rc=0 waiter status=0
	nudge "$1" --wait >"$T/nudge.out" 2>&1 &
	waiter=$!
	holder "$1" nudged "$2" "$3" && holder "$1" answer 4000 0 || rc=1
	wait "$waiter" || status=$?
	is_equal "$status" "$4" || rc=1
	cat "$T/nudge.out"
	return "$rc"
}

is_not_nudged() { # NAME WHY
	local before
	before=$(nudges)
	! nudge "$1" --wait 2>"$T/refused" && grep "not nudged ($2)" "$T/refused" || return 1
	is_equal "$(nudges)" "$before" && thpd_log_has "not nudged \\($2\\)"
}

is_known() { kvm_is "$1" .registry.complete true; }

live_begin jq
[ -w /dev/kvm ] || skip_all "no /dev/kvm"

write_test_config ''
ok "thpd starts" start_thpd || exit 1
ok "a VMM without a library starts" start_holder vmm-b --size=64
ok "thpd finds it" wait_until "$THPD_DEADLINE" vm_is_listed "${HOLDER_PID[vmm-b]}"
ok "it is not nudged" is_not_nudged vmm-b memslots-not-told
ok "a VMM with one starts" start_vmm vmm-a
ok "and is known" wait_until "$THPD_DEADLINE" is_known vmm-a
ok "the host does what it can" ctl collapse "${HOLDER_PID[vmm-a]}" --wait
ok "a nudge is asked for, and waited for" nudge_answered vmm-a 0 3 0
ok "it was one" is_equal "$(nudges)" 1
ok "it is told" kvm_is vmm-a .nudge.result "done"
ok "with its slots" kvm_is vmm-a .nudge.slots 3
ok "and what KVM maps then" kvm_is vmm-a .huge_bytes $((4000 << 21))
ok "there is no verdict yet" kvm_is vmm-a .nudge.verdict null
serve() { printf 'serve\n' >&"${HOLDER_IN[vmm-a]}"; }
ok "it tells from now on what KVM maps" serve
ok "ten seconds later there is one" wait_until "$THPD_DEADLINE" kvm_is vmm-a .nudge.verdict.vain false
stop_holder vmm-a

ok "another VMM starts" start_vmm vmm-c
ok "and is known" wait_until "$THPD_DEADLINE" is_known vmm-c
ok "it says that nudges are not cheap" nudge_answered vmm-c 3 0 1
ok "that is told" kvm_is vmm-c .nudge.result uncheap
ok "its memory is logged" holder vmm-c table 0 40 1
is_migrating() { ctl snapshot "${HOLDER_PID[$1]}" | jq -e '.is_migrating == "yes"' >/dev/null; }
ok "that is a migration" wait_until "$THPD_DEADLINE" is_migrating vmm-c
ok "in which it is not nudged" is_not_nudged vmm-c dirty-logging-on
ok "it is over" holder vmm-c table 0 40 0
ok "it is paused" ctl pause "${HOLDER_PID[vmm-c]}"
ok "and not nudged" is_not_nudged vmm-c paused
ok "it goes on" ctl resume "${HOLDER_PID[vmm-c]}"
# With the answer to an earlier nudge, thpctl would say what came of that.
start_nudging() {
	nudge vmm-c --wait >"$T/hung-up" 2>&1 &
	waiter=$!
}
nobody_answered() {
	local status=0
	wait "$waiter" || status=$?
	cat "$T/hung-up" && is_equal "$status" 1 && grep -q 'did nothing: no answer' "$T/hung-up"
}
ok "a nudge is asked for" start_nudging
is_acting() { is_equal "$(vm_field "${HOLDER_PID[$1]}" .phase)" acting; }
ok "and under way" wait_until "$THPD_DEADLINE" is_acting vmm-c
ok "the VMM hangs up instead of an answer" holder vmm-c close
is_idle() { is_equal "$(vm_field "${HOLDER_PID[$1]}" .phase)" idle; }
ok "the cycle ends all the same" wait_until "$THPD_DEADLINE" is_idle vmm-c
ok "and who waits is told that nobody answered" nobody_answered
ok "thpd stops on SIGTERM with status 0" stop_thpd
live_end
