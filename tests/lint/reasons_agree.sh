#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The REASONS of thpctl(1) are those of lib/model/reasons.def. --fix writes them anew.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/tap.sh.inc
page=man/thpctl.1

generated() { awk -f man/reasons.awk lib/model/reasons.def; }
in_page() { sed -n '/^\.\\" BEGIN lib\/model\/reasons.def/,/^\.\\" END/p' $page | sed '1d;$d'; }

if [ "${1:-}" = --fix ]; then
	new=$(mktemp)
	{
		sed '/^\.\\" BEGIN lib\/model\/reasons.def/q' $page
		generated
		sed -n '/^\.\\" END/,$p' $page
	} >"$new" && cat "$new" >$page
	rm -f "$new"
fi
n=$(grep -c '^REASON(' lib/model/reasons.def)
if [ "$n" -gt 0 ] && [ "$(generated | grep -c '^\.TP')" -eq "$n" ]; then
	ok "man/reasons.awk reads all $n reasons"
else
	not_ok "man/reasons.awk reads all $n reasons"
fi
verdict "thpctl(1) has the reasons of the table (else: tests/lint/reasons_agree.sh --fix)" \
	"$(diff <(generated) <(in_page))"
verdict "no slug twice" "$(generated | sed -n 's/^\.B //p' | sort | uniq -d)"
finish
