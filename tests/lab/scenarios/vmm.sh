# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The socket for libthpd-vmm from within the unit's sandbox, for VMMs of other users; below Linux 6.5 the kernel does not
# hand out the pidfd of who connects.
set -uo pipefail
# shellcheck source=../service.inc
. tests/lab/service.inc

start_vmm() { # NAME UID [MIB]
	local HOLDER_WRAP=(setpriv --reuid="$2" --regid="$2" --clear-groups)
	start_talker "$1" "$THPD_BUILD/tests/live/rude_vmm" /run/thpd/vmm "${3:-80}" && is_equal "$READY" ready
}

registry_is() { # NAME FIELD VALUE
	is_equal "$(vm_field "${HOLDER_PID[$1]}" ".kvm.registry$2")" "$3"
}

says() { # WORDS
	journalctl -u "$UNIT" -o cat | grep -qE -- "$1"
}

service_begin
write_rule vmm.conf report "$(holders_match)"
ok "thpd starts" systemctl restart "$UNIT"
ok "its socket is there for all" is_equal "$(stat -c %a /run/thpd/vmm)" 666
ok "nothing kept it from it" is_not says "VMMs cannot tell"
ok "a VMM of another user starts" start_vmm vmm-a 1001
ok "it connects" holder vmm-a connect
ok "it tells" holder vmm-a honest
ok "thpd knows it" wait_until 120 registry_is vmm-a .complete true
ok "a second connection is refused" holder vmm-a second
ok "a child that keeps the connection of a dead process loses it" holder vmm-a orphan
ok "one that does not keep to the protocol" start_vmm vmm-x 1002 1
ok "connects" holder vmm-x connect
ok "talks nonsense" holder vmm-x noise 100
ok "is closed" holder vmm-x closed
ok "and named" says "pid ${HOLDER_PID[vmm-x]} of user 1002 does not speak as libthpd-vmm does"
ok "and refused" is_not holder vmm-x connect
ok "processes die after each message" holder vmm-a mortals 42
ok "the first one was not touched by that" holder vmm-a open
ok "thpd is restarted" systemctl restart "$UNIT"
ok "it notices" holder vmm-a closed
ok "it connects again" holder vmm-a connect
ok "it tells" holder vmm-a honest
ok "thpd knows it again" wait_until 120 registry_is vmm-a .complete true
live_end
