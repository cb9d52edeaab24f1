# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The table and the JSON of the benchmarks, and the little statistics that they need.
#
#   head_line TEXT               a new arm
#   row ARM NAME UNIT KEY=VALUE...
#     value=N | samples=FILE     one number, or one a round: then their median counts
#     ratio=N | against=FILE     how much better than the arm's base; against a file of the base's samples: the
#                                median of the ratios pair by pair, which holds when the machine's speed drifts
#     wanted='>=1.5'             about the ratio, or about the value where there is none; also <= and ==
#     doubt=TEXT                 why a number that misses its target says nothing
#     note=TEXT
#   row_skipped ARM WHY          in place of the rows of an arm that cannot be measured here
#   median <NUMBERS; worst <NUMBERS; ratio A B
#   rows_write FILE, rows_close FILE    the JSON; which targets were met

ROWS=$T/rows
: >"$ROWS"

head_line() {
	printf '\n%s\n%8s %6s  %-8s %-8s %10s %-8s\n' "$1" ratio noise wanted '' value ''
}

# is_reached NUMBER '>=1.5'
is_reached() {
	awk -v a="$1" -v op="${2:0:2}" -v b="${2:2}" \
		'BEGIN { exit !(op == ">=" ? a >= b : op == "<=" ? a <= b : op == "==" && a == b) }'
}

verdict_of() { # NUMBER WANTED DOUBT
	if [ -z "$2" ]; then
		return
	elif is_reached "$1" "$2"; then
		echo reached
	elif [ -n "$3" ]; then
		echo UNKNOWN
	else
		echo MISSED
	fi
}

row() {
	local arm=$1 name=$2 unit=$3 value='' samples='' ratio='' against='' wanted='' doubt='' note='' noise='' verdict
	shift 3
	local "$@"
	if [ -n "$samples" ]; then
		value=$(median <"$samples")
		noise=$(noise <"$samples")
	fi
	if [ -n "$against" ]; then
		ratio=$(pairs "$against" "$samples" | median)
		noise=$(pairs "$against" "$samples" | noise)
	fi
	verdict=$(verdict_of "${ratio:-$value}" "$wanted" "$doubt")
	printf '%8s %6s  %-8s %-8s %10s %-8s %s%s%s\n' "${ratio:+${ratio}x}" "${noise:+±$noise%}" "$wanted" "$verdict" \
		"$value" "$unit" "$name" "${note:+ ($note)}" "${doubt:+ [$doubt]}"
	jq -cn --arg arm "$arm" --arg name "$name" --argjson value "$value" --arg unit "$unit" --arg ratio "$ratio" \
		--arg noise "$noise" --arg wanted "$wanted" --arg verdict "$verdict" --arg doubt "$doubt" --arg note "$note" \
		--argjson samples "$(if [ -n "$samples" ]; then jq -cs . "$samples"; else echo null; fi)" '
		{arm: $arm, name: $name, ratio: ($ratio | tonumber? // null), noise_percent: ($noise | tonumber? // null),
		 wanted: $wanted, verdict: $verdict, value: $value, unit: $unit, samples: $samples, doubt: $doubt, note: $note}
		| with_entries(select(.value != null and .value != ""))' >>"$ROWS"
}

row_skipped() {
	printf '%8s %6s  skipped: %s\n' '' '' "$2"
	jq -cn --arg arm "$1" --arg why "$2" '{arm: $arm, skipped: $why}' >>"$ROWS"
}

rows_write() {
	jq -s --arg version "$("$THPD_BUILD/thpd" --version)" --arg kernel "$(uname -r)" --argjson cpus "$(nproc)" \
		--argjson rounds "$ROUNDS" --argjson gib "$GIB" --argjson is_complete "$2" --arg pressure "${PRESSURE:-}" \
		'{version: $version, kernel: $kernel, cpus: $cpus, rounds: $rounds, gib: $gib, is_complete: $is_complete,
		  cpu_pressure_before_percent: ($pressure | tonumber? // null),
		  rows: .}' "$ROWS" >"$1"
}

rows_close() {
	rows_write "$1" true
	printf '\n'
	jq -r '[.rows[] | select(.wanted)] as $all
		| "\([$all[] | select(.verdict == "reached")] | length) of \($all | length) targets reached",
		  ($all[] | select(.verdict != "reached")
			| "  \(.verdict): \(.arm): \(.name): \(.ratio // .value), wanted \(.wanted)")' "$1"
	printf 'written: %s\n' "$1"
}

# --- statistics: one number a line ---------------------------------------------------------------

median() {
	sort -g | awk '{ a[NR] = $1 } END { print (NR % 2) ? a[(NR + 1) / 2] : (a[NR / 2] + a[NR / 2 + 1]) / 2 }' | rounded
}

worst() {
	sort -g | tail -n 1
}

# Half of what lies between the best and the worst, in percent of the median.
noise() {
	sort -g | awk '{ a[NR] = $1 } END { m = a[int((NR + 1) / 2)]; if (m) printf "%.0f", 50 * (a[NR] - a[1]) / m }'
}

ratio() {
	awk -v a="$1" -v b="$2" 'BEGIN { if (b > 0) print a / b }' | rounded
}

rounded() {
	awk '{ printf(($1 >= 100 ? "%.0f" : $1 >= 1 ? "%.2f" : "%.4f"), $1) }'
}

pairs() { # FILE FILE
	paste "$1" "$2" | awk '{ print $1 / $2 }'
}
