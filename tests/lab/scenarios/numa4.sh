# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: 4 nodes
# What two nodes cannot show: memory on several wrong nodes, a home of two, stripes, and a table of four.
set -uo pipefail
# Looks are dear under emulation: see seeds.sh.
THPD_DEADLINE=120
# shellcheck source=../service.inc
. tests/lab/service.inc
# shellcheck source=../vmm.inc
. tests/lab/vmm.inc
# shellcheck source=../numa.inc
. tests/lab/numa.inc

# Its processor takes a part of the memory away and touches it again elsewhere.
is_spread() { # NAME NODE:BYTES...
	local part
	for part in "${@:2}"; do is_equal "$(bytes_on "$1" "${part%:*}")" "${part#*:}" || return; done
}

# vmm_spread NAME: half of its memory on node 2, half on node 3, all of it huge
vmm_spread() {
	local HOLDER_WRAP=(taskset -c 2)
	start_vmm "$1" && add_slot "$1" 0 memfd bytes=${MIB}M gpa=1G || return
	holder "$1" state 0 small from=0 bytes=32M && holder "$1" state 0 huge from=0 bytes=32M || return
	goes_to "$1" 3 && holder "$1" state 0 small from=32M bytes=32M && holder "$1" state 0 huge from=32M bytes=32M ||
		return
	guest_touches "$1" 0 store && is_spread "$1" 2:$((BYTES / 2)) 3:$((BYTES / 2))
}

columns() {
	ctl numa | sed -n 1p | grep -o 'NODE [0-9]' | tr '\n' ' '
}

found() { # NAME: nodes of the findings of remote memory, the largest first
	numa_field "$1" '.findings | map(select(.reason == "remote-memory") | "\(.node):\(.bytes)") | join(" ")'
}

is_interleaved() { # NAME
	ctl numa | grep -e "-$1 .* wide (interleaved)\$" || { ctl numa; return 1; }
}

service_begin
printf '%s\n' '[Manager]' 'Interval=200ms' 'MaxAge=2s' >"$CONF/thpd.conf.d/test.conf"
write_rule numa.conf full "$(holders_match)"
ok "the machine has four nodes" is_equal "$(cat /sys/devices/system/node/has_memory)" 0-3
ok "a guest on nodes 2 and 3" vmm_spread vmm-a
ok "it works on node 1" guest_works_on vmm-a 1
ok "thpd starts" systemctl start thpd
ok "remote memory is found" wait_until "$THPD_DEADLINE" has_finding vmm-a remote-memory
ok "on both nodes" is_equal "$(found vmm-a)" "2:$((BYTES / 2)) 3:$((BYTES / 2))"
ok "four columns are shown" is_equal "$(columns)" 'NODE 0 NODE 1 NODE 2 NODE 3 '
place follow 15s MoveInterval=1s
ok "memory is to follow a stable home" systemctl reload thpd
for node in 0 2 3 1 0; do
	ok "flips: it goes to node $node" goes_to vmm-a $node
	sleep 3
done
ok "flips: nothing has moved" is_spread vmm-a 2:$((BYTES / 2)) 3:$((BYTES / 2))
ok "flips: nor is that said" has_moved vmm-a 0
ok "it stays: all of it is on node 0" wait_until "$THPD_DEADLINE" lies_on vmm-a 0
ok "still huge" holder_is_huge vmm-a
place bind 1s MoveInterval=1s Nodes=2-3
ok "it is bound to two nodes" systemctl reload thpd
ok "it goes to these" wait_until "$THPD_DEADLINE" numa_is vmm-a '|"\(.home) \(.remote_bytes) \(.verdict)"' '[2,3] 0 wide'
ok "nothing is left on node 0" is_equal "$(bytes_on vmm-a 0)" 0
ok "still huge on two nodes" holder_is_huge vmm-a
place bind 1s MoveInterval=1s Nodes=2-3 Wide=interleave WideStripe=24M
ok "it is interleaved on two nodes" systemctl reload thpd
ok "what lies on the wrong one goes" wait_until "$THPD_DEADLINE" numa_is vmm-a \
	'|"\(.home_rule) \(.remote_bytes) \(.verdict)"' 'interleaved 0 wide'
ok "two stripes are on node 2, the rest of the memory on node 3" is_spread vmm-a 2:$((40 << 20)) 3:$((24 << 20))
ok "still huge in stripes" holder_is_huge vmm-a
ok "the table says so" is_interleaved vmm-a
place bind 1s MoveInterval=1s Nodes=0-3 Wide=interleave WideStripe=8M
ok "it is interleaved on four nodes" systemctl reload thpd
ok "it is spread over all" wait_until "$THPD_DEADLINE" is_spread vmm-a {0..3}:$((BYTES / 4))
ok "still huge on four nodes" holder_is_huge vmm-a
ok "no write was lost" guest_halts_well vmm-a
ok "the guest touches everything" guest_touches vmm-a 0 check
ok "huge in the guest" is_equal "$(spte_counts vmm-a)" "$HUGE"
live_end
