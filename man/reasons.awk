# SPDX-License-Identifier: GPL-2.0-or-later
# Prints the REASONS section of thpctl(1) from lib/model/reasons.def:
#   awk -f man/reasons.awk lib/model/reasons.def
# tests/lint/reasons_agree.sh compares it with what stands in the page between the two markers.

# The next C string literal at or behind position `at` of text; sets next_at behind it. Adjacent literals are one.
function literal(text, at,    out, c) {
	out = ""
	while (substr(text, at, 1) != "\"") at++
	for (at++; (c = substr(text, at, 1)) != "\""; at++) {
		if (c == "\\") c = substr(text, ++at, 1)
		out = out c
	}
	next_at = at + 1
	return out
}
function roff(text) {
	gsub(/\\/, "\\e", text)
	gsub(/-/, "\\-", text)
	gsub(/'/, "\\(aq", text)
	gsub(/`[^`]*`/, "\\fB&\\fR", text)
	gsub(/`/, "", text)
	if (text ~ /^\./) text = "\\&" text
	return text
}
/^REASON\(/ { entry = "" }
/^REASON\(/, /\)$/ {
	entry = entry $0
	if ($0 ~ /"\)$/) {
		slug = literal(entry, 1)
		sentence = literal(entry, next_at)
		cure = literal(entry, next_at)
		printf ".TP\n.B %s\n%s\n.br\n.I Cure:\n%s\n", roff(slug), roff(sentence), roff(cure)
	}
}
