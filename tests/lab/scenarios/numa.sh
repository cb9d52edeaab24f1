# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Memory on the wrong node, on the tiny VMM: 64 MiB on node 1, a vCPU on node 0. Where each page is says the VMM itself,
# what KVM maps ("4K 2M 1G") says KVM, and that no write was lost says the guest, which writes all the time.
set -uo pipefail
# Looks are dear under emulation: see seeds.sh.
THPD_DEADLINE=120
# shellcheck source=../service.inc
. tests/lab/service.inc
# shellcheck source=../vmm.inc
. tests/lab/vmm.inc
# shellcheck source=../numa.inc
. tests/lab/numa.inc

thpd_comes() { # CASE
	systemctl start thpd
	ok "$1: thpd understands what it is told" is_understood
}

# Anew, and what was said is understood.
is_told() {
	systemctl reload thpd && is_understood
}

thpd_goes() { # CASE
	local name
	note "$1: $(ctl status --json |
		jq -r '.host.counters | "\(.cycles) cycles, \(.look_cpu_ns / 1e6 | round) ms of looks"')"
	systemctl stop thpd
	for name in "${!HOLDER_PID[@]}"; do stop_holder "$name"; done
	rm -f "$CONF"/{vm.d/numa,thpd.conf.d/budget}.conf
}

# guest_at_work NAME KIND STATE...: on node 0, with its memory on node 1
guest_at_work() {
	vmm_on 1 "$@" && guest_works_on "$1" 0
}

# The guest halts: what it wrote is there, and mapped huge once it has touched it. No vCPU is left.
ends_well() { # TEXT NAME
	ok "$1: no write was lost" guest_is_well "$2"
	ok "$1: huge in the guest" is_mapped "$2" "$HUGE"
}

is_mapped() { # NAME "4K 2M 1G"
	is_equal "$(spte_counts "$1")" "$2"
}

guest_is_well() { # NAME
	guest_halts_well "$1" && guest_touches "$1" 0 check
}

# However often thpd looks: so much has been moved, and no more.
stays_on() { # NAME NODE MOVED-BYTES
	looked_again "$1" 2 && lies_on "$1" "$2" && has_moved "$1" "$3"
}

# --- one guest, several policies ------------------------------------------------------------------

nodes_of_host() {
	ctl status --json | jq -c '[.host.nodes[] | [.node, .has_cpus, .distances]]'
}

report() {
	ok "report: remote memory is found" wait_until "$THPD_DEADLINE" has_finding vmm-a remote-memory
	ok "report: which, and how far away" numa_is vmm-a \
		'.findings[] | select(.reason == "remote-memory") | "\(.node) \(.bytes) \(.distance)"' "1 $BYTES 20"
	ok "report: all of it is remote" numa_is vmm-a '|"\(.placement) \(.verdict) \(.home_bytes) \(.remote_bytes)"' \
		"report remote 0 $BYTES"
	ok "report: home is where the vCPU runs" numa_is vmm-a '|"\(.home) \(.home_source)"' '[0] vcpus'
	ok "report: one vCPU, on node 0" numa_is vmm-a '.vcpus | tojson' '[{"node":0,"vcpus":1}]'
	ok "report: the host's nodes are told" is_equal "$(nodes_of_host)" '[[0,true,"10 20"],[1,true,"20 10"]]'
	ok "report: nothing moves" stays_on vmm-a 1 0
	ok "report: huge as before" holder_is_huge vmm-a
}

follow() {
	local began line
	place follow 2s MoveInterval=10s
	began=$(now_ms)
	ok "follow: thpd is told to" is_told
	ok "follow: all of it is on node 0" wait_until "$THPD_DEADLINE" lies_on vmm-a 0
	line=$(row vmm-a 'thpd, memfd (waits 2 s)' $(($(now_ms) - began)))
	ok "follow: still huge on the host" holder_is_huge vmm-a
	ok "follow: thpd says that it is at home" wait_until "$THPD_DEADLINE" numa_is vmm-a \
		'|"\(.verdict) \(.home_bytes) \(.remote_bytes) \(.findings)"' "home $BYTES 0 []"
	ok "follow: and how much it moved" has_moved vmm-a $BYTES
	ends_well follow vmm-a
	note "$line, touched $(spte_counts vmm-a), worst step $(slowest_step vmm-a) ms"
}

# A scheduler that cannot make up its mind: its vCPU is nowhere for long.
hysteresis() {
	local node
	place follow 20s MoveInterval=1s
	ok "flips: home must be stable for 20 s" is_told
	ok "flips: the guest works on node 1" guest_works_on vmm-a 1
	ok "flips: thpd sees that" wait_until 15 numa_is vmm-a '.vcpus | tojson' '[{"node":1,"vcpus":1}]'
	for node in 0 1 0 1 0; do
		ok "flips: it goes to node $node" goes_to vmm-a "$node"
		sleep 3
	done
	ok "flips: nothing moves" stays_on vmm-a 0 $BYTES
}

bind() {
	place bind 2s MoveInterval=1s Nodes=1
	ok "bind: to node 1" is_told
	ok "bind: all of it is on node 1" wait_until "$THPD_DEADLINE" lies_on vmm-a 1
	ok "bind: its home is what was said" wait_until "$THPD_DEADLINE" numa_is vmm-a \
		'|"\(.placement) \(.home) \(.home_source) \(.verdict)"' 'bind [1] policy home'
	ok "bind: the vCPU is still on node 0" vcpu_is_on vmm-a 0
	ok "bind: nothing moves back" stays_on vmm-a 1 $((2 * BYTES))
	ok "bind: still huge on the host" holder_is_huge vmm-a
	ends_well bind vmm-a
}

# One guest, which thpd has served with another policy before each of these.
placements() {
	write_rule numa.conf full "$(holders_match)"
	ok "placements: a guest on huge memfd" guest_at_work vmm-a memfd small huge || return
	ok "placements: huge on the host" holder_is_huge vmm-a
	ok "placements: and in the guest" is_mapped vmm-a "$HUGE"
	thpd_comes placements
	report
	follow
	hysteresis
	bind
}

# --- kinds of memory -------------------------------------------------------------------------------

# They are made huge as well, and in the end on the right node: whichever thpd does first.
kinds() {
	local name began line
	place follow 2s MoveInterval=10s
	ok "kinds: huge folios mapped page by page" guest_at_work vmm-pte memfd small huge pte || return
	# The policy of a process, as numactl sets it, is not one of its memory: it does not forbid a move.
	local VMM_WRAP=(numactl --membind=1)
	ok "kinds: small pages, of a process under numactl" guest_at_work vmm-sml memfd small || return
	VMM_WRAP=()
	ok "kinds: anonymous memory, huge" guest_at_work vmm-ano anon small huge || return
	for name in vmm-pte vmm-sml; do
		ok "kinds: $name: nothing is huge on the host" holder_has_nothing_huge $name
		ok "kinds: $name: nor in the guest" is_mapped $name "$SMALL"
	done
	ok "kinds: vmm-ano: huge in the guest" is_mapped vmm-ano "$HUGE"
	thpd_comes kinds
	began=$(now_ms)
	for name in vmm-pte vmm-sml vmm-ano; do
		ok "kinds: $name: all of it is on node 0" wait_until "$THPD_DEADLINE" lies_on $name 0
		ok "kinds: $name: huge on the host" wait_until "$THPD_DEADLINE" holder_is_huge $name
		line=$(row $name "thpd, $name (waits 2 s)" $(($(now_ms) - began)))
		ok "kinds: $name: and there it stays" lies_on $name 0
		ends_well "kinds: $name" $name
		note "$line, touched $(spte_counts $name), worst step $(slowest_step $name) ms"
	done
}

# --- what is in the way ----------------------------------------------------------------------------

in_cpuset() { # NAME NODES
	is_equal "$(sed -n 's/^Mems_allowed_list:[[:space:]]*//p' "/proc/${HOLDER_PID[$1]}/status")" "$2"
}

were_refused_since() { # COUNT
	[ "$(moves_refused)" -gt "$1" ]
}

# A round of moves tries each of the 32 blocks once, and the kernel counts what it could not move: in 10 s there is room
# for two rounds with MoveInterval=10s.
tries_few_times() {
	local before
	before=$(moves_refused)
	sleep 10
	[ $(($(moves_refused) - before)) -le 64 ] || { echo "$before, then $(moves_refused)"; return 1; }
}

obstacles() {
	local refused place pid name
	place follow 2s MoveInterval=10s
	budget FreeReserve=3G
	# First: when systemd begins to use cpusets, Linux before 6.2 forgets which processors all others were tied to.
	local VMM_WRAP=(systemd-run --quiet --scope -p AllowedMemoryNodes=1)
	ok "cpuset: a guest" guest_at_work vmm-cps memfd small huge || return
	ok "cpuset: it may have memory of node 1 alone" in_cpuset vmm-cps 1
	VMM_WRAP=()
	ok "full: a guest" guest_at_work vmm-ful memfd small huge || return
	ok "pinned: a guest" guest_at_work vmm-pin memfd small huge || return
	ok "pinned: its memory" holder vmm-pin pin 0
	place=$(frames vmm-pin)
	thpd_comes obstacles
	pid=$(main_pid)
	ok "full: node 0 has less than the reserve, and that is said" \
		wait_until "$THPD_DEADLINE" has_finding vmm-ful node-full
	ok "full: nothing moves" stays_on vmm-ful 1 0
	ok "full: nothing was split" holder_is_huge vmm-ful
	ok "cpuset: it is said what is in the way" wait_until "$THPD_DEADLINE" has_finding vmm-cps pinned-by-cpuset
	refused=$(moves_refused)
	budget FreeReserve=64M
	ok "full: the reserve is lowered" is_told
	ok "full: all of it is on node 0" wait_until "$THPD_DEADLINE" lies_on vmm-ful 0
	ok "full: and huge" holder_is_huge vmm-ful
	ok "pinned: it was tried" wait_until "$THPD_DEADLINE" were_refused_since "$refused"
	ok "pinned: and not again and again" tries_few_times
	ok "pinned: thpd has not moved it" stays_on vmm-pin 1 0
	# While the kernel tries a page it is not mapped (migration entries), and has no frame to be read: for a moment.
	ok "pinned: every page is where it was" wait_until "$THPD_DEADLINE" stays_in_place vmm-pin "$place"
	ok "pinned: still huge" holder_is_huge vmm-pin
	ok "cpuset: nothing moves" stays_on vmm-cps 1 0
	for name in vmm-ful vmm-pin vmm-cps; do
		ends_well "obstacles: $name" $name
	done
	ok "obstacles: thpd has been there all the time" is_equal "$(main_pid)" "$pid"
}

# --- a node in pieces -----------------------------------------------------------------------------

# The part of the lowest zone that the kernel keeps for devices, of what lies in the zones above: 256 is one part in so
# many.
low_memory_kept() { # PART
	local rest
	read -r _ rest </proc/sys/vm/lowmem_reserve_ratio && echo "$1 $rest" >/proc/sys/vm/lowmem_reserve_ratio
}

# What the kernel had set apart, and lists of processors held, comes together later.
stays_in_pieces() {
	echo 1 >/sys/devices/system/node/node0/compact
	is_in_pieces 0 DMA || { holder shatter again; return 1; }
}

nothing_was_split_since() { # COUNT
	is_equal "$(folios_split)" "$1"
}

# On 6.12 it happened that a tenth of the node stayed free in blocks of 4 MiB, of which a process that asks for huge
# pages there gets none; thpd moved the guest into them, whole. Why is not known, nor when.
comes_together() {
	[[ $(uname -r) == 6.12.* ]] && ! wait_until 20 stays_in_pieces
}

# A gigabyte free, and no huge page to be had: as long as that is so the guest stays, and whole. Three pieces of 4 MiB
# are free all the time in the zone for old devices, which the kernel gives to nobody else: a host with much memory has
# gigabytes of that kind in the zone below 4 GiB. The reserve is for a block that comes together by itself.
fragmented() {
	local place split
	place follow 2s MoveInterval=10s
	budget FreeReserve=4M
	ok "fragmented: a guest" vmm_on 1 vmm-frg memfd small huge || return
	ok "fragmented: the zone of old devices is kept for them" low_memory_kept 1
	ok "fragmented: node 0 comes to pieces" start_shatter 0 || return
	ok "fragmented: the guest works on node 0" guest_works_on vmm-frg 0
	if comes_together; then
		skip "fragmented: and compaction does not mend it" "this kernel keeps blocks that shatter does not get"
		stop_holder shatter
		ends_well fragmented vmm-frg
		low_memory_kept 256
		return
	fi
	ok "fragmented: and compaction does not mend it" wait_until "$THPD_DEADLINE" stays_in_pieces
	place=$(frames vmm-frg) split=$(folios_split)
	thpd_comes fragmented
	ok "fragmented: that the node has no huge page is said" wait_until "$THPD_DEADLINE" has_finding vmm-frg node-full
	ok "fragmented: nothing moves" stays_on vmm-frg 1 0
	ok "fragmented: every page is where it was" stays_in_place vmm-frg "$place"
	ok "fragmented: still huge" holder_is_huge vmm-frg
	ok "fragmented: nothing was split" nothing_was_split_since "$split"
	ok "fragmented: as the node was in pieces all the time" is_in_pieces 0 DMA
	stop_holder shatter
	ok "mended: all of it is on node 0" wait_until "$THPD_DEADLINE" lies_on vmm-frg 0
	ok "mended: huge" holder_is_huge vmm-frg
	ok "mended: nothing was split" nothing_was_split_since "$split"
	ok "mended: thpd says that it moved it" wait_until "$THPD_DEADLINE" has_moved vmm-frg $BYTES
	ok "mended: and has no more to say" wait_until "$THPD_DEADLINE" numa_is vmm-frg '|"\(.verdict) \(.findings)"' 'home []'
	ends_well mended vmm-frg
	low_memory_kept 256
	echo 1 >/sys/devices/system/node/node0/compact
}

# --- how fast --------------------------------------------------------------------------------------

# A move of 64 MiB takes 15 s then, so that it can be looked at several times, slow as looks are there.
readonly PER_SECOND=$((4 << 20))

is_partly_on() { # NAME NODE
	local bytes
	bytes=$(bytes_on "$1" "$2")
	if [ "$bytes" = 0 ] || [ "$bytes" = $BYTES ]; then return 1; fi
}

is_gone() { # PID
	[ -z "$(vm_field "$1" .pid)" ]
}

uses_no_cpusets() {
	! grep -w cpuset /sys/fs/cgroup/cgroup.subtree_control
}

# Killed in the middle, the VMM takes what thpd holds of it along; then another one is served, at the pace that was set.
pace() {
	local killed pid
	place follow 2s MoveInterval=10s
	budget "CopyBandwidth=$PER_SECOND"
	# When it ends to use them, affinities are forgotten as well.
	ok "killed: systemd uses no cpusets any more" wait_until "$THPD_DEADLINE" uses_no_cpusets
	ok "killed: a guest" guest_at_work vmm-kil memfd small huge || return
	thpd_comes pace
	pid=$(main_pid)
	ok "killed: in the middle of its move" wait_until "$THPD_DEADLINE" is_partly_on vmm-kil 0 || return
	killed=${HOLDER_PID[vmm-kil]}
	stop_holder vmm-kil
	ok "killed: thpd knows that it is gone" wait_until "$THPD_DEADLINE" is_gone "$killed"
	ok "pace: another guest" guest_at_work vmm-pac memfd small huge || return
	ok "pace: its move is watched" watch_move vmm-pac 0 "$THPD_DEADLINE" "$T/move"
	ok "pace: it was seen at least three times on its way" was_seen_on_its_way "$T/move" 3
	ok "pace: never faster than the budget" kept_pace "$T/move" $PER_SECOND
	ok "pace: thpd says how much it moved" wait_until "$THPD_DEADLINE" has_moved vmm-pac $BYTES
	ok "pace: still huge on the host" holder_is_huge vmm-pac
	ends_well pace vmm-pac
	ok "pace: thpd is the same one" is_equal "$(main_pid)" "$pid"
}

# --- NUMA balancing --------------------------------------------------------------------------------

# As fast as the kernel looks, so that a test sees it within seconds; the scan of a new task begins at once. Only memory
# without a policy of its own that is not a file's is balanced.
balancing() { # 0|1
	local at=/sys/kernel/debug/sched/numa_balancing
	echo 100 >"$at/scan_delay_ms" && echo 100 >"$at/scan_period_min_ms" && echo 1000 >"$at/scan_period_max_ms" &&
		echo "$1" >/proc/sys/kernel/numa_balancing
}

# Its vCPU never stays for long, and the kernel carries its memory after it.
is_seen_thrashing() { # NAME
	local node end=$((SECONDS + THPD_DEADLINE))
	while [ "$SECONDS" -lt "$end" ]; do
		for node in 1 0; do
			goes_to "$1" $node >/dev/null
			if wait_until 3 has_finding "$1" autonuma-thrash; then return 0; fi
		done
	done
	return 1
}

does_not_thrash() { # NAME
	numa_is "$1" '.findings | map(select(.reason == "autonuma-thrash")) | length' 0
}

balanced() {
	place report 2s
	ok "balanced: a guest on anonymous memory" guest_at_work vmm-bal anon small || return
	thpd_comes balanced
	ok "balanced: nothing is found while NUMA balancing is off" wait_until "$THPD_DEADLINE" does_not_thrash vmm-bal
	ok "balanced: it is on" balancing 1
	ok "balanced: the kernel's moves are found" is_seen_thrashing vmm-bal
	ok "balanced: the knob is as it was" is_equal "$(</proc/sys/kernel/numa_balancing)" 1
	ok "balanced: it is off" balancing 0
	ok "balanced: then they are no finding any more" wait_until "$THPD_DEADLINE" does_not_thrash vmm-bal
	ok "balanced: thpd has moved nothing" has_moved vmm-bal 0
	ok "balanced: no write was lost" guest_is_well vmm-bal
}

# --- by others -------------------------------------------------------------------------------------

# noted NAME WHO COMMAND...: what comes of it is a line of a table; what the guest lost would be an error.
noted() {
	local began line
	began=$(now_ms)
	"${@:3}"
	line=$(row "$1" "$2" $(($(now_ms) - began)))
	# For the guest to go over all of it again: by small pages, on a busy machine, that takes longer than the move.
	sleep 3
	ok "others: $2: no write was lost" guest_is_well "$1"
	note "$line, touched $(spte_counts "$1"), worst step $(slowest_step "$1") ms"
	stop_holder "$1"
}

# It serves processes of 300 MB and more, and on a host that has been up for five minutes: this guest it leaves alone.
# It hastens khugepaged besides, so that it comes last.
by_numad() { # NAME
	numad -S 0 -p "${HOLDER_PID[$1]}" -i 1:2
	wait_until 6 lies_on "$1" 0 >/dev/null
	numad -i 0
}

# What an administrator has without thpd.
others() {
	ok "others: a huge memfd" guest_at_work vmm-o memfd small huge || return
	noted vmm-o 'migratepages, memfd' migratepages "${HOLDER_PID[vmm-o]}" 1 0
	ok "others: huge anonymous memory" guest_at_work vmm-o anon small huge || return
	noted vmm-o 'migratepages, anon' migratepages "${HOLDER_PID[vmm-o]}" 1 0
	ok "others: huge folios mapped page by page" guest_at_work vmm-o memfd small huge pte || return
	noted vmm-o 'migratepages, by pages' migratepages "${HOLDER_PID[vmm-o]}" 1 0
	ok "others: small pages" guest_at_work vmm-o memfd small || return
	noted vmm-o 'migratepages, small' migratepages "${HOLDER_PID[vmm-o]}" 1 0
	ok "others: a guest for numad" guest_at_work vmm-o memfd small huge || return
	noted vmm-o 'numad, memfd' by_numad vmm-o
}

service_begin
printf '%s\n' '[Manager]' 'Interval=200ms' 'MaxAge=2s' >"$CONF/thpd.conf.d/test.conf"
# What was in pieces has to come together again: after what goes by the default reserve.
for case in placements kinds obstacles pace balanced fragmented; do
	$case
	thpd_goes $case
done
others
live_end
