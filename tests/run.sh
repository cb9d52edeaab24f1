#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs the programs of the named tiers and counts their TAP lines.
# Usage: run.sh [--build DIR] [--jobs N] [--tally FILE] [--summary] TIER...
#   tiers: lint unit fake golden expect live fuzz; or FILE paths of single programs
# With N > 1 that many run side by side; a script with a line "# Alone: WHY" by itself, after the others.
# A program that ends badly without a `not ok` of its own counts as one failure; so does one that ran no test.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

build=build/release jobs=1 tally='' summary=false
while [ $# -gt 0 ]; do
	case $1 in
	--build) build=$2; shift 2 ;;
	--jobs) jobs=$2; shift 2 ;;
	--tally) tally=$2; shift 2 ;;
	--summary) summary=true; shift ;;
	*) break ;;
	esac
done
own_tally=false
[ -n "$tally" ] || { tally=$(mktemp); own_tally=true; }
logs=$build/log
mkdir -p "$logs"

programs_of() {
	case $1 in
	lint) ls tests/lint/*.sh 2>/dev/null ;;
	unit | fake | golden) for f in tests/"$1"/test_*.c; do [ -e "$f" ] && echo "$build/${f%.c}"; done ;;
	expect) for f in tests/expect/expect_*.c; do [ -e "$f" ] && echo "$build/${f%.c}"; done ;;
	fuzz) for f in tests/fuzz/fuzz_*.c; do [ -e "$f" ] && echo "$build/${f%.c}"; done ;;
	# The longest first, so that none of them is left over at the end.
	live)
		printf 'tests/live/live_%s.sh\n' realign_ext4 prepare realign_copy starts preload dax inject vmm_socket
		ls tests/live/live_*.sh
		;;
	*) echo "$1" ;;
	esac
}

# One program: its TAP to a log, its counts as one line "passed failed skipped name" into the tally.
run_one() {
	local program=$1 name log status=0 passed failed skipped limit=${THPD_TEST_TIMEOUT:-600}
	name=${program#"$build"/}
	log=$logs/$(echo "$name" | tr / _).tap
	local command=("$program")
	case $program in
	*.sh) command=(bash "$program") ;;
	*/fuzz_*)
		local seeds=tests/fuzz/seeds/${program##*/fuzz_} corpus
		corpus=$(mktemp -d)
		command=("$program" -max_total_time="${THPD_FUZZ_SECONDS:-30}" -max_len=65536 -rss_limit_mb=1024 -timeout=10
			-artifact_prefix="$logs/" -print_final_stats=0 "$corpus")
		[ -d "$seeds" ] && command+=("$seeds")
		;;
	esac
	CMOCKA_MESSAGE_OUTPUT=TAP THPD_BUILD=$build timeout -k 10 "$limit" "${command[@]}" >"$log" 2>"$log.err" </dev/null || status=$?
	case $program in
	*/fuzz_*)
		rm -rf "$corpus"
		if [ $status -eq 0 ]; then echo "ok 1 - $name" >>"$log"; else echo "not ok 1 - $name: see $log.err" >>"$log"; fi
		;;
	esac
	# cmocka writes a skip as "not ok N # SKIP name".
	skipped=$(grep -ciE '^(not )?ok .*# *SKIP' "$log")
	passed=$(grep -E '^ok ' "$log" | grep -vciE '# *SKIP')
	failed=$(grep -E '^not ok ' "$log" | grep -vciE '# *SKIP')
	if [ "$failed" -eq 0 ] && { [ $status -ne 0 ] || [ $((passed + skipped)) -eq 0 ]; }; then
		failed=1
		echo "not ok - $name ended with status $status after $passed tests" >>"$log"
	fi
	echo "$passed $failed $skipped $name" >>"$tally"
	if [ "$failed" -gt 0 ]; then
		echo "FAIL $name (status $status)"
		grep -E '^not ok' "$log" | grep -viE '# *SKIP' | sed 's/^/     /' | head -n 20
		tail -n 15 "$log.err" | sed 's/^/     | /'
	else
		printf 'ok   %-44s %s passed%s\n' "$name" "$passed" "$([ "$skipped" -gt 0 ] && echo ", $skipped skipped")"
	fi
	grep -iE '^(not )?ok .*# *SKIP' "$log" | sed 's/^/     /'
}

wants_the_machine() {
	[[ $1 == *.sh ]] && grep -q '^# Alone: ' "$1"
}

mapfile -t programs < <(for tier in "$@"; do programs_of "$tier"; done | awk '!seen[$0]++')
alone=()
for program in "${programs[@]}"; do
	if [ "$jobs" -gt 1 ] && wants_the_machine "$program"; then
		alone+=("$program")
		continue
	fi
	while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
	if [ "$jobs" -gt 1 ]; then run_one "$program" & else run_one "$program"; fi
done
wait
for program in "${alone[@]}"; do run_one "$program"; done
status=0
awk '{ f += $2 } END { exit f > 0 }' "$tally" || status=1
if $summary; then
	awk '{ p += $1; f += $2; s += $3 } END { printf "%d passed, %d failed, %d skipped\n", p, f, s }' "$tally"
fi
if $own_tally; then rm -f "$tally"; fi
exit $status
