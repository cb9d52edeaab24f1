# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The table and the JSON of the benchmarks, and the little statistics that they need.
#
#   head_line TEXT               a new arm
#   row ARM NAME VALUE UNIT [ratio=N] [wanted='>=1.5'|'<=2'|'==0'] [note=TEXT] [samples=FILE]
#                                `wanted` is about the ratio, or about the value where there is none
#   median, worst <NUMBERS; ratio A B; paired_ratio FILE FILE [FACTOR]; ms NS
#   rows_close FILE              writes the JSON, prints which targets were met

ROWS=$T/rows

head_line() {
	printf '\n%s\n%9s  %-9s %-7s %12s %-7s\n' "$1" ratio wanted '' value ''
}

# is_reached NUMBER '>=1.5'
is_reached() {
	local than=${2:2}
	case $2 in
	'>='*) awk -v a="$1" -v b="$than" 'BEGIN { exit !(a >= b) }' ;;
	'<='*) awk -v a="$1" -v b="$than" 'BEGIN { exit !(a <= b) }' ;;
	'=='*) awk -v a="$1" -v b="$than" 'BEGIN { exit !(a == b) }' ;;
	*) scene_fail "'$2' is no target" ;;
	esac
}

row() {
	local arm=$1 name=$2 value=$3 unit=$4 ratio='' wanted='' note='' samples='' verdict=''
	shift 4
	[ $# = 0 ] || local "$@"
	[ -z "$wanted" ] || { is_reached "${ratio:-$value}" "$wanted" && verdict=reached || verdict=MISSED; }
	printf '%9s  %-9s %-7s %12s %-7s %s%s\n' "${ratio:+${ratio}x}" "$wanted" "$verdict" "$value" "$unit" \
		"$name" "${note:+ ($note)}"
	jq -cn --arg arm "$arm" --arg name "$name" --argjson value "$value" --arg unit "$unit" --arg ratio "$ratio" \
		--arg wanted "$wanted" --arg verdict "$verdict" --arg note "$note" \
		--arg samples "$([ -z "$samples" ] || cat "$samples")" '
		{arm: $arm, name: $name}
		+ (if $ratio == "" then {} else {ratio: ($ratio | tonumber)} end)
		+ (if $wanted == "" then {} else {wanted: $wanted, is_reached: ($verdict == "reached")} end)
		+ {value: $value, unit: $unit}
		+ (if $note == "" then {} else {note: $note} end)
		+ (if $samples == "" then {} else {samples: ($samples | split("\n") | map(tonumber))} end)' >>"$ROWS"
}

rows_close() {
	jq -s --arg version "$("$THPD_BUILD/thpd" --version)" --arg kernel "$(uname -r)" --argjson cpus "$(nproc)" \
		--argjson rounds "$ROUNDS" --argjson gib "$GIB" \
		'{version: $version, kernel: $kernel, cpus: $cpus, rounds: $rounds, gib: $gib, rows: .}' "$ROWS" >"$1"
	printf '\n'
	jq -r '[.rows[] | select(.wanted)] as $w | [$w[] | select(.is_reached | not)] as $missed
		| "\($w | length - ($missed | length)) of \($w | length) targets reached",
		  ($missed[] | "  missed: \(.arm): \(.name): \(.ratio // .value), wanted \(.wanted)")' "$1"
	printf 'written: %s\n' "$1"
}

# --- statistics: one number a line ---------------------------------------------------------------

median() {
	sort -g | awk '{ a[NR] = $1 } END { print (NR % 2) ? a[(NR + 1) / 2] : (a[NR / 2] + a[NR / 2 + 1]) / 2 }'
}

worst() {
	sort -g | tail -n 1
}

ratio() {
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", (b > 0 ? a / b : 0) }'
}

# Median of the ratios of two files, pair by pair: holds when the machine's speed drifts.
paired_ratio() {
	paste "$1" "$2" | awk '$2 > 0 { print $1 / $2 }' | median | awk -v f="${3:-1}" '{ printf "%.2f", $1 * f }'
}

ms() {
	awk -v n="$1" 'BEGIN { printf "%.1f", n / 1000000 }'
}
