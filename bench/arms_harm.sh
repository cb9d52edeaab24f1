# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Arms (e), (f) and idle: at what price.

percent_of() { # PART WHOLE
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", 100 * a / b }'
}

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

SCENE_HOLDERS=(bench-e bench-off bench-second)

sum_of() { # COMMAND [ARGUMENT...]: over the holders of the scene
	local name sum=0
	for name in "${SCENE_HOLDERS[@]}"; do sum=$((sum + $("$1" "$name" "${@:2}"))); done
	echo $sum
}

# scene_result WHO CLAIMED-BYTES [wanted=...]
scene_result() {
	local name memory huge claimed_kib=$((($2 - $(sum_of count_field huge)) / 1024))
	memory=$(count_field bench-e memory)
	# Reads everything: what a collapse in the other mapper's page table took out of this one comes back.
	holder bench-e verify >/dev/null || scene_fail "the guest's data is wrong after: $1"
	huge=$(count_field bench-e huge)
	row oneshot "$1: huge, of what the guest holds then" percent value="$(percent_of "$huge" "$memory")"
	row oneshot "$1: refilled, though the guest had given it back" KiB value=$(((memory - SCENE_MEMORY) / 1024)) \
		"${@:3}"
	row oneshot "$1: claimed to be huge, less what is" KiB value=$claimed_kib "${@:3}"
	for name in "${SCENE_HOLDERS[@]}"; do stop_holder "$name"; done
	rm -f "$SCENE_DIR/ram"
}

oneshot_scene() { # WHO CALL-BYTES
	build_scene
	with_knobs_kept oneshot bench-e "$2" >"$T/claim"
	with_knobs_kept oneshot bench-off "$2" >>"$T/claim"
	scene_result "$1" "$(jq -s 'map(.claimed_bytes) | add' "$T/claim")"
}

claim_of() { # NAME: what thpd says is huge
	vm_field "${HOLDER_PID[$1]}" .huge_bytes
}

collapse_scene() {
	local name rc
	for name in "${SCENE_HOLDERS[@]}"; do
		rc=0
		ctl collapse "${HOLDER_PID[$name]}" --wait >"$T/collapse.log" 2>&1 || rc=$?
		[ $rc = 0 ] || [ $rc = 3 ] || scene_fail "thpctl collapse ended with status $rc"
	done
	for name in "${SCENE_HOLDERS[@]}"; do
		wait_until 60 is_idle "$name" || scene_fail "the daemon does not come to rest"
	done
}

bench_oneshot() {
	local claimed SCENE_DIR SCENE_MEMORY
	head_line "(e) 1 GiB with holes and a second mapper, and a guest that is misaligned: one run each"
	SCENE_DIR=$(scratch_shm)
	write_bench_config
	oneshot_scene "loop, a call per 2 MiB" "$LOOP_BYTES"
	oneshot_scene "loop, the whole range in one call" 0
	build_scene
	begin_thpd
	with_knobs_kept collapse_scene
	claimed=$(sum_of claim_of)
	stop_thpd
	scene_result thpd "$claimed" 'wanted===0'
}

# --- (f) stalls ----------------------------------------------------------------------------------

STALL_MIB=1024

# stall_run TO COMMAND...: the stall goes to TO.stall, undisturbed to quiet.stall, the longest call (of the
# loop's JSON or of thpd's log) to TO.call, how much became huge to TO.huge
stall_run() {
	local to=$1
	shift
	with_knobs_kept "$THPD_BUILD/bench/bench_stall" "$KIND" "$STATE" $STALL_MIB "$@" 3>"$T/call" >"$T/stall" \
		2>"$T/call.log" || scene_fail "the arm '$to' failed: $(tail -n 1 "$T/call.log")"
	jq '.worst_ns / 1e6' "$T/stall" >>"$T/$to.stall"
	jq '.quiet_worst_ns / 1e6' "$T/stall" >>"$T/quiet.stall"
	jq ".huge_bytes * 100 / $((STALL_MIB << 20))" "$T/stall" >>"$T/$to.huge"
	if [ -s "$T/call" ]; then
		jq '.worst_call_ns / 1e6' "$T/call" >>"$T/$to.call"
	else
		sed -n 's/.*worst call \([0-9]*\) us.*/\1e-3/p' "$T/call.log" | worst >>"$T/$to.call"
	fi
}

stall_whole() { stall_run whole "$ONESHOT" @PID @START @BYTES 0 1; }
stall_loop() { stall_run loop "$ONESHOT" @PID @START @BYTES "$LOOP_BYTES" 1; }
stall_thpd() { stall_run thpd "$THPD_BUILD/thpd" --once --config-dir="$T/etc" --runtime-dir="$T/run"; }

stall_row() { # TO TEXT KEY=VALUE...
	row stall "$KIND, $STATE: $2" ms samples="$T/$1.stall" "${@:3}" \
		note="worst $(worst <"$T/$1.stall" | xargs printf %.1f)$(stall_note "$1")"
}

stall_note() {
	[ ! -e "$T/$1.call" ] || printf '; longest call %s, %s %% huge' "$(median <"$T/$1.call")" "$(median <"$T/$1.huge")"
}

bench_stall() {
	local scene KIND STATE
	write_bench_config
	add_rule stall 'bench_stall'
	for scene in 'memfd small' 'anon small' 'memfd pte'; do
		read -r KIND STATE <<<"$scene"
		head_line "(f) longest stall of a thread that keeps touching $STALL_MIB MiB, $scene; ratio: how much shorter"
		rm -f "$T"/*.{stall,call,huge}
		in_turns stall_loop stall_whole stall_thpd
		stall_row loop "loop, a call per 2 MiB" ratio=1
		stall_row whole "loop, the whole range in one call" against="$T/loop.stall"
		stall_row thpd "thpd --once" against="$T/loop.stall"
		row stall "$KIND, $STATE: nobody collapses" ms samples="$T/quiet.stall"
	done
}

# --- idle ----------------------------------------------------------------------------------------

IDLE_GUESTS=64 IDLE_MIB=64

# Of all threads, exact; and of the children that ended (thpd reads strangers by a child), in 10 ms.
cpu_ns_of() {
	{
		cat "/proc/$1"/task/*/schedstat
		sed 's/.*) //' "/proc/$1/stat" | awk '{ print ($14 + $15) * 1e7 }'
	} | awk '{ n += $1 } END { printf "%.0f", n }'
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

# One period, for the daemon and for the poller beside it: to idle.ns, poll.ns. Prints what disturbed it.
idle_period() {
	local before looks pid poller
	"$THPD_BUILD/bench/bench_poll" "$IDLE_SECONDS" 10 "${HOLDER_PID[@]}" >"$T/poll.json" &
	poller=$!
	nap 3
	looks=$(disturbances)
	nap 3
	pid=$(last_pid)
	before=$(cpu_ns_of "$THPD_PID")
	nap "$IDLE_SECONDS"
	echo $(($(cpu_ns_of "$THPD_PID") - before)) >"$T/idle.ns"
	pid=$(($(last_pid) - pid))
	wait "$poller"
	[ "$looks" = "$(disturbances)" ] || printf 'somebody split huge pages, or guests were looked at; '
	[ $pid -le "$IDLE_SECONDS" ] || printf '%s processes came to be' $pid
}

last_pid() {
	awk '{ print $5 }' /proc/loadavg
}

# The whole host must be quiet for it: huge pages that others split are a reason to look at everybody, and
# new processes are looked at, for they could be VMs. What is measured in a disturbed minute is too much, so
# that it can reach the target but not miss it.
bench_unchanged() {
	local try doubt own poller
	for try in 1 2 3; do
		idle_period >"$T/doubt"
		doubt=$(<"$T/doubt")
		[ -n "$doubt" ] || break
	done
	own=$(cat "$T/idle.ns") poller=$(jq .cpu_ns "$T/poll.json")
	row idle "a poller that reads all $IDLE_GUESTS smaps every 10 s, beside it" percent \
		value="$(percent_of_core "$poller")" ratio=1
	row idle "thpd: CPU, of one core" percent value="$(percent_of_core "$own")" wanted='<=0.05' \
		note="try $try" doubt="$doubt"
	row idle "thpd: CPU, against the poller's" percent value="$(percent_of_core "$own")" \
		ratio="$(ratio "$poller" "$own")"
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

reaction_row() { # FILE TEXT
	row idle "$2" s value="$(worst <"$1" | xargs printf %.2f)" wanted='<=2' \
		note="worst of $((2 * ROUNDS)), median $(median <"$1") s"
}

bench_reaction() {
	local i bytes=$((IDLE_MIB << 20))
	rm -f "$T"/{remap,copy}.s
	for ((i = 0; i < 2 * ROUNDS; i++)); do
		react_s "bench-$i" 0 pte $bytes >>"$T/remap.s"
		react_s "bench-$i" $bytes touch $((8 << 20)) >>"$T/copy.s"
	done
	reaction_row "$T/remap.s" "a guest loses its huge mappings: repaired after"
	reaction_row "$T/copy.s" "a guest touches 8 MiB for the first time: huge after"
}

bench_idle() {
	local i
	head_line "(idle) $IDLE_GUESTS guests of 1 GiB (sparse, $IDLE_MIB MiB touched); unchanged for $IDLE_SECONDS s, then changes"
	write_bench_config
	for ((i = 0; i < IDLE_GUESTS; i++)); do
		begin_holder "bench-$i" --kind=memfd --size=$IDLE_MIB --reserve=1024 --state=huge
	done
	begin_thpd
	wait_until 60 all_idle || scene_fail "the daemon does not come to rest"
	nap 35 # found guests are looked at more often for half a minute
	bench_unchanged
	with_knobs_kept bench_reaction
	row idle "thpd: VmRSS after all of this" MiB value="$(status_mib VmRSS)" wanted='<=12'
	row idle "thpd: the most it ever was (VmHWM)" MiB value="$(status_mib VmHWM)" wanted='<=12'
	stop_thpd
	for ((i = 0; i < IDLE_GUESTS; i++)); do stop_holder "bench-$i"; done
}
