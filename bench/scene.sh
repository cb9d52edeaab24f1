# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the arms have in common: memory in a known state, thpd as a whole, the one-shot loop.
# Holders and the daemon are those of the live tests (tests/live/lib.sh); a VM is called by its pid.

TIME=$THPD_BUILD/bench/bench_time
ONESHOT=$THPD_BUILD/bench/bench_oneshot
LOOP_BYTES=$((2 << 20)) # the loop that everybody writes: a call per huge page
exec {NAP}<> <(:)

# A sleep that starts no process: a new pid is a sign of change to the daemon under measurement.
nap() {
	read -r -t "$1" -u "$NAP" || true
}

# One rule for the holders; nobody else's VM is touched. More lines of [Manager], [Budget] as arguments.
write_bench_config() {
	printf '%s\n' "$@" '[Collapse]' 'Mode=off' >"$T/etc/thpd.conf"
	rm -f "$T"/etc/vm.d/*
	add_rule holders "${HOLDER_COMM}*"
}

add_rule() { # FILE COMM
	printf '%s\n' '[Match]' "Comm=$2" '[Collapse]' 'Mode=full' >"$T/etc/vm.d/$1.conf"
}

# Many GiB take their time; the live tests' minute is too short for that.
holder_read() {
	local -n read_line=$2
	# shellcheck disable=SC2034  # a name for the caller's variable
	read -r -t 600 -u "${HOLDER_OUT[$1]}" read_line
}

scene_fail() {
	printf 'bench: %s\n' "$*" >&2
	exit 1
}

begin_holder() {
	with_knobs_kept start_holder "$@" || scene_fail "holder $1 did not get ready"
}

# count_field NAME huge|present|memory: what the page table says, by code that is not thpd's
count_field() {
	local answer
	answer=$(holder "$1" count 0 0)
	[[ $answer =~ $2=([0-9]+) ]] && printf '%s\n' "${BASH_REMATCH[1]}"
}

make_pte() {
	holder "$1" pte 0 0 >/dev/null || scene_fail "$1 cannot be mapped by pages"
}

# All of it, but for what the kernel refuses at random: a page between two LRU lists, one block in a thousand
# (tests/expect/README.md). More would mean that an arm was fast because it did not do its work.
must_be_huge() {
	local huge
	huge=$(count_field "$1" huge)
	[ $((huge * 1000)) -ge $((HOLDER_BYTES["$1"] * 995)) ] ||
		scene_fail "$1: only $huge of ${HOLDER_BYTES[$1]} bytes are huge after the arm"
}

# oneshot NAME CALL_BYTES [THREADS]: the loop's JSON
oneshot() {
	"$ONESHOT" "${HOLDER_PID[$1]}" "${HOLDER_ADDR[$1]}" "${HOLDER_BYTES[$1]}" "$2" "${3:-1}"
}

oneshot_ms() {
	with_knobs_kept oneshot "$@" | jq '.wall_ns / 1e6'
}

# Wall time of `thpd --once` over everything it finds, process start and end included.
once_ms() {
	with_knobs_kept "$TIME" "$THPD_BUILD/thpd" --config-dir="$T/etc" --runtime-dir="$T/run" --once \
		3>"$T/time.json" 2>"$T/once.log" || scene_fail "thpd --once: $(tail -n 1 "$T/once.log")"
	jq '.wall_ns / 1e6' "$T/time.json"
}

# log_has GLOB: by the shell itself, so that waiting costs the daemon no processor
log_has() {
	local text
	IFS= read -r -d '' text <"$THPD_LOG" || true
	# shellcheck disable=SC2053  # a pattern
	[[ $text == $1 ]]
}

# in_turns FUNCTION...: each ROUNDS times, there and back, so that what drifts favours none.
in_turns() {
	local round i
	for ((round = 0; round < ROUNDS; round++)); do
		for ((i = 1; i <= $#; i++)); do "${@:round % 2 ? $# + 1 - i : i:1}"; done
	done
}

wait_for_log() {
	local end=$((SECONDS + 60))
	until log_has "$1"; do
		[ "$SECONDS" -lt "$end" ] || scene_fail "the daemon's log does not say $1"
		nap 0.02
	done
}

is_idle() {
	[ "$(vm_field "${HOLDER_PID[$1]}" '|"\(.phase) \(.cycles > 0)"')" = 'idle true' ]
}

begin_thpd() {
	start_thpd || scene_fail "the daemon did not start"
}

# --- the bank --------------------------------------------------------------------------------------

# Where the host of this host takes free memory back (free page reporting), memory that lay free for two
# seconds costs a multiple to allocate, and whoever comes first pays. The bank holds what a copy will need
# and gives it back while it is needed: bank_open MIB, bank lend|take, bank_close.
bank_open() { # MIB
	coproc BANK { exec "$THPD_BUILD/bench/bench_bank" "$1"; }
	bank take
}

bank() { # lend|take
	local answer
	printf '%s\n' "$1" >&"${BANK[1]}"
	read -r -t 600 -u "${BANK[0]}" answer || answer=none
	[ "$answer" = ok ] || scene_fail "no memory to keep warm: answer '$answer'"
}

bank_close() {
	local pid=$BANK_PID in=${BANK[1]}
	exec {in}>&-
	wait "$pid" || true
}
