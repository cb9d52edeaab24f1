#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Placement on the machine's own nodes. With one node, as a rule, there is nothing to place: that is said, nothing is
# moved, and everything else goes on. What a second node brings the lab shows (scenario numa).
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"

readonly MIB=64

counter_is() { # NAME VALUE
	is_equal "$(ctl status --json | jq -r ".host.counters.$1")" "$2"
}

is_told_to_follow() {
	is_equal "$(ctl show "${HOLDER_PID[vmm-a]}" --json |
		jq -r '.policy[] | select(.key == "NUMA.Placement") | .value')" follow
}

says_one_node() {
	is_equal "$(ctl numa)" 'One NUMA node: nothing to place.'
}

numa_json_is() { # JQ VALUE
	is_equal "$(ctl numa "${HOLDER_PID[vmm-a]}" --json | jq -c "$1")" "$2"
}

live_begin jq
[ "$(cat /sys/devices/system/node/has_memory)" = 0 ] || skip_all "this machine has several nodes: see the lab"
write_test_config '' $'[NUMA]\nPlacement=follow\nStableFor=0s\nMinGain=2M\nMoveInterval=0s'
ok "thpd starts" start_thpd || exit 1
ok "a VMM starts" start_holder vmm-a --size=$MIB
ok "thpd makes it huge" wait_until "$THPD_DEADLINE" holder_is_huge vmm-a
ok "memory is to follow its vCPUs" is_told_to_follow
ok "its nodes are not looked at" is_equal "$(vm_field "${HOLDER_PID[vmm-a]}" .numa)" null
ok "thpctl numa says why" says_one_node
ok "and as JSON" numa_json_is '[(.vms | length), .vms[0].numa, (.host.nodes | length)]' '[1,null,1]'
ok "the node is told with its free memory" numa_json_is '.host.nodes[0] | [.node, .free_bytes > 0]' '[0,true]'
ok "thpd can tell on which node memory lies" is_equal \
	"$(ctl status --json | jq -r '.host.features | index("nodes") != null')" true
ok "nothing was moved" counter_is place_calls 0
ok "a VM that is not there is named" is_not ctl numa no-such-vm
ok "contents are right" holder vmm-a verify
ok "thpd stops on SIGTERM with status 0" stop_thpd
live_end
