#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# --help and the manual page of each program name the same options and verbs, and the program knows them.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/tap.sh.inc
build=${THPD_BUILD:-build/release}

options_of_help() { "$1" --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u; }
# First words of the indented lines below "Verbs:" or "Commands:"; a verb may have several lines.
verbs_of_help() {
	"$1" --help 2>/dev/null | awk '
		tolower($0) ~ /^(verbs|commands)/ { inside = 1; next }
		/^[^ \t]/ { inside = 0 }
		inside && /^ ? ? ? [a-z]/ { n = split($1, words, "|"); for (i = 1; i <= n; i++) print words[i] }' | sort -u
}
section() { awk -v name="$2" '/^\.SH/ { inside = ($0 == ".SH " name) } inside' "$1" | sed 's/\\-/-/g'; }
# The tags of a section: the line below each .TP, without macros and fonts.
tags() { section "$1" "$2" | awk 'tag { print; tag = 0 } /^\.TP/ { tag = 1 }' | sed 's/^\.[A-Z]* *//'; }
options_of_page() { tags "$1" OPTIONS | grep -oE -- '--[a-z][a-z-]*' | sort -u; }
verbs_of_page() { tags "$1" VERBS | sed 's/"//g' | awk '{ print $1 }' | sort -u; }

check_program() {
	local program=$build/$1 page=$2
	if [ ! -x "$program" ]; then
		skip "$1" "$program is not built"
		return
	fi
	if [ -z "$(options_of_help "$program")" ]; then
		not_ok "$1 --help names options"
		return
	fi
	verdict "$1 --help and $page name the same options" \
		"$(diff <(options_of_help "$program") <(options_of_page "$page"))"
	verdict "$1 --help and $page name the same verbs" "$(diff <(verbs_of_help "$program") <(verbs_of_page "$page"))"
	"$program" --no-such-option >/dev/null 2>&1
	[ $? -eq 2 ] && ok "$1 exits with 2 on an unknown option" || not_ok "$1 exits with 2 on an unknown option"
	if "$program" --version | grep -qE "^$1 [0-9]+(\.[0-9]+)*$"; then
		ok "$1 --version"
	else
		not_ok "$1 --version" "$("$program" --version 2>&1)"
	fi
}
check_program thpd man/thpd.8
check_program thpctl man/thpctl.1
finish
