# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Arms (e), (f) and idle: at what price.

# --- (e) the one-shot loop -----------------------------------------------------------------------

# 1 GiB of a file that a second process maps too; of every eighth block the guest gave half back, of one
# all. And a guest whose memory lies a page off (KERNEL.md 0.3).
build_scene() {
	local at file=$SCENE_DIR/ram
	begin_holder bench-e --kind=file --path="$file" --size=1024 --state=small
	begin_holder bench-off --kind=memfd --size=256 --skew=4096 --state=small
	begin_holder bench-second --kind=file --path="$file" --size=1024 --attach
	for ((at = 0; at < 1024; at += 16)); do holder bench-e punch $((at << 20)) $((1 << 20)) >/dev/null; done
	holder bench-e punch $((100 << 20)) $((2 << 20)) >/dev/null
	SCENE_MEMORY=$(count_field bench-e memory)
}

# scene_result WHO CLAIMED-BYTES [wanted=...]
scene_result() {
	local claimed_kib memory refilled_kib
	claimed_kib=$((($2 - $(count_field bench-e huge)) / 1024))
	memory=$(count_field bench-e memory)
	refilled_kib=$(((memory - SCENE_MEMORY) / 1024))
	# Reads everything: what a collapse in the other mapper's page table took out of this one comes back.
	holder bench-e verify >/dev/null || scene_fail "the guest's data is wrong after: $1"
	row oneshot "$1: huge, of what the guest holds then" \
		"$(ratio $((100 * $(count_field bench-e huge))) "$memory")" percent
	row oneshot "$1: refilled, though the guest had given it back" $refilled_kib KiB "${@:3}"
	row oneshot "$1: claimed to be huge, less what is" $claimed_kib KiB "${@:3}"
	for name in bench-e bench-off bench-second; do stop_holder "$name"; done
	rm -f "$SCENE_DIR/ram"
}

oneshot_scene() { # WHO CALL-BYTES
	build_scene
	oneshot bench-e "$2" 1 >"$T/claim"
	oneshot bench-off "$2" 1 >>"$T/claim"
	scene_result "$1" "$(jq -s 'map(.claimed_bytes) | add' "$T/claim")"
}

bench_oneshot() {
	local claimed name SCENE_DIR SCENE_MEMORY
	head_line "(e) 1 GiB with holes and a second mapper, and a guest that is misaligned"
	SCENE_DIR=$(scratch_shm)
	write_bench_config
	oneshot_scene "loop, a call per 2 MiB" "$LOOP_BYTES"
	oneshot_scene "loop, the whole range in one call" 0
	build_scene
	begin_thpd
	wait_until 60 is_idle bench-e
	ctl collapse "${HOLDER_PID[bench-e]}" --wait >/dev/null || true
	claimed=$(vm_field "${HOLDER_PID[bench-e]}" .huge_bytes)
	stop_thpd
	scene_result thpd "$claimed" 'wanted===0'
}

# --- (f) stalls ----------------------------------------------------------------------------------

# stall_run KIND STATE TO COMMAND...: the stall in ns goes to TO.stall, undisturbed to quiet.stall, the
# longest call (of the loop's JSON or of thpd's log) to TO.call
stall_run() {
	local kind=$1 state=$2 to=$3
	shift 3
	with_knobs_kept "$THPD_BUILD/bench/bench_stall" "$kind" "$state" 1024 "$@" 3>"$T/call" >"$T/stall" 2>"$T/call.log"
	jq .worst_ns "$T/stall" >>"$T/$to.stall"
	jq .quiet_worst_ns "$T/stall" >>"$T/quiet.stall"
	if [ -s "$T/call" ]; then
		jq .worst_call_ns "$T/call" >>"$T/$to.call"
	else
		sed -n 's/.*worst call \([0-9]*\) us.*/\1000/p' "$T/call.log" | worst >>"$T/$to.call"
	fi
}

stall_round() { # KIND STATE
	stall_run "$1" "$2" whole "$ONESHOT" @PID @START @BYTES 0 1
	stall_run "$1" "$2" loop "$ONESHOT" @PID @START @BYTES "$LOOP_BYTES" 1
	stall_run "$1" "$2" thpd "$THPD_BUILD/thpd" --once --config-dir="$T/etc" --runtime-dir="$T/run"
}

stall_row() { # KIND STATE TO TEXT
	local call=''
	[ ! -s "$T/$3.call" ] || call="note=longest call $(ms "$(median <"$T/$3.call")") ms"
	row stall "$1, $2: $4" "$(ms "$(median <"$T/$3.stall")")" ms samples="$T/$3.stall" ${call:+"$call"} \
		ratio="$(ratio "$(median <"$T/$3.stall")" "$(median <"$T/loop.stall")")"
}

bench_stall() {
	local scene kind state
	head_line "(f) longest stall of a thread that keeps touching 1 GiB; the ratio is to the loop's, less is better"
	write_bench_config
	add_rule stall 'bench_stall'
	for scene in 'memfd small' 'anon small' 'memfd pte'; do
		read -r kind state <<<"$scene"
		rm -f "$T"/*.stall "$T"/*.call
		for ((round = 0; round < ROUNDS; round++)); do stall_round "$kind" "$state"; done
		stall_row "$kind" "$state" quiet "nobody collapses"
		stall_row "$kind" "$state" whole "loop, the whole range in one call"
		stall_row "$kind" "$state" loop "loop, a call per 2 MiB"
		stall_row "$kind" "$state" thpd "thpd --once"
	done
}

# --- idle ----------------------------------------------------------------------------------------

IDLE_GUESTS=64 IDLE_MIB=64

cpu_ns_of() { # exact, of all threads
	cat "/proc/$1"/task/*/schedstat | awk '{ n += $1 } END { printf "%.0f", n }'
}

percent_of_core() { # NS
	awk -v n="$1" -v s="$IDLE_SECONDS" 'BEGIN { printf "%.4f", n / s / 1e7 }'
}

status_mib() { # FIELD
	awk -v f="$1:" '$1 == f { printf "%.1f", $2 / 1024 }' "/proc/$THPD_PID/status"
}

# What would be a reason to look: split huge pages anywhere on the host, and the daemon's own looks.
disturbances() {
	local vmstat
	vmstat=$(awk '$1 == "thp_split_pmd" || $1 == "thp_split_page" { n += $2 } END { print n }' /proc/vmstat)
	printf '%s %s\n' "$vmstat" "$(ctl status --json | jq '[.vms[].cycles] | add')"
}

all_idle() {
	[ "$(ctl status --json | jq '[.vms[] | select(.phase == "idle" and .cycles > 0)] | length')" = $IDLE_GUESTS ]
}

# One quiet period, for the daemon and for the poller beside it: to idle.ns, poll.ns, idle.disturbed.
idle_period() {
	local before looks
	"$THPD_BUILD/bench/bench_poll" "$IDLE_SECONDS" 10 "${HOLDER_PID[@]}" >"$T/poll.json" &
	local poller=$!
	nap 3
	looks=$(disturbances)
	nap 3
	before=$(cpu_ns_of "$THPD_PID")
	nap "$IDLE_SECONDS"
	echo $(($(cpu_ns_of "$THPD_PID") - before)) >"$T/idle.ns"
	wait "$poller"
	[ "$looks" = "$(disturbances)" ]
}

last_pid() {
	awk '{ print $5 }' /proc/loadavg
}

# The whole host must be quiet for it: huge pages that others split are a reason to look at everybody, and
# new processes are looked at once, for they could be VMs.
bench_unchanged() {
	local try pid note
	for try in 1 2 3 4; do
		pid=$(last_pid)
		note="try $try, unchanged"
		idle_period && break
		note="try $try: NOT unchanged, somebody on this host split huge pages"
	done
	note="note=$note; $(($(last_pid) - pid)) processes came to be meanwhile"
	row idle "thpd: CPU, of one core" "$(percent_of_core "$(cat "$T/idle.ns")")" percent 'wanted=<=0.05' \
		ratio="$(ratio "$(cat "$T/idle.ns")" "$(jq .cpu_ns "$T/poll.json")")" "$note"
	row idle "a poller that reads all 64 smaps every 10 s, beside it" \
		"$(percent_of_core "$(jq .cpu_ns "$T/poll.json")")" percent ratio=1
}

# react_s NAME OFFSET COMMAND: seconds from the moment that the holder's memory at OFFSET has pages that
# are not huge until it has none, seen by a watcher that costs the daemon nothing.
react_s() {
	local name=$1 offset=$2 command=$3 bytes=$4
	"$THPD_BUILD/bench/bench_react" "${HOLDER_PID[$name]}" $((HOLDER_ADDR["$name"] + offset)) "$bytes" >"$T/react.json" &
	local watcher=$!
	nap "2.$((RANDOM % 900 + 100))" # any phase of the daemon's tick; and its pid is no news any more
	holder "$name" "$command" "$offset" "$bytes" >/dev/null
	wait "$watcher" || scene_fail "$name is not repaired after a minute"
	jq '.reaction_ns / 1e9' "$T/react.json"
}

bench_reaction() {
	local i bytes=$((IDLE_MIB << 20))
	rm -f "$T"/{remap,copy}.s
	for ((i = 0; i < 2 * ROUNDS; i++)); do
		react_s "bench-$i" 0 pte $bytes >>"$T/remap.s"
		react_s "bench-$i" $bytes touch $((8 << 20)) >>"$T/copy.s"
	done
	row idle "a guest loses its huge mappings: repaired after, worst of $((2 * ROUNDS))" \
		"$(worst <"$T/remap.s" | xargs printf %.2f)" s 'wanted=<=2' \
		note="median $(median <"$T/remap.s" | xargs printf %.2f) s" samples="$T/remap.s"
	row idle "a guest touches 8 MiB for the first time: huge after, worst of $((2 * ROUNDS))" \
		"$(worst <"$T/copy.s" | xargs printf %.2f)" s 'wanted=<=2' \
		note="median $(median <"$T/copy.s" | xargs printf %.2f) s" samples="$T/copy.s"
}

bench_idle() {
	local i
	head_line "(idle) $IDLE_GUESTS guests of 1 GiB (sparse, $IDLE_MIB MiB touched); unchanged for $IDLE_SECONDS s, then changes"
	write_bench_config
	for ((i = 0; i < IDLE_GUESTS; i++)); do
		begin_holder "bench-$i" --kind=memfd --size=$IDLE_MIB --reserve=1024 --state=huge
	done
	begin_thpd
	wait_until 60 all_idle
	nap 35 # found guests are looked at more often for half a minute
	bench_unchanged
	bench_reaction
	row idle "thpd: VmRSS after all of this" "$(status_mib VmRSS)" MiB 'wanted=<=12'
	row idle "thpd: the most it ever was (VmHWM)" "$(status_mib VmHWM)" MiB 'wanted=<=12'
	stop_thpd
	for ((i = 0; i < IDLE_GUESTS; i++)); do stop_holder "bench-$i"; done
}
