#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every key of daemon/config.def is in conf/thpd.conf, commented and with its default, and in thpd.conf(5) with its
# default, in the right section; and neither holds a key that is not in the table.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/tap.sh.inc

# Lines "Section Key default", in all three sources.
keys_of_table() {
	awk -F'"' '/^CONFIG_(MAIN|POLICY)\(/ { print $2, $4, $6 }' daemon/config.def | sort
}
keys_of_conf() {
	awk '/^\[/ { section = substr($1, 2, length($1) - 2) }
		/^#[A-Z][A-Za-z]*=/ { split(substr($0, 2), a, "="); print section, a[1], a[2] }' conf/thpd.conf | sort
}
keys_of_page() {
	awk '/^\.SH/ { section = ""; if (match($0, /\[[A-Za-z]+\]/)) section = substr($0, RSTART + 1, RLENGTH - 2) }
		/^\.BI [A-Za-z]+= / { key = $2; sub(/=.*/, "", key); if (section == "Match") print section, key }
		/^Default: .*\.$/ { text = substr($0, 10); print section, key, substr(text, 1, length(text) - 1) }' \
		man/thpd.conf.5 | sort
}
match_keys() { grep -o 'MATCH_KEY("[A-Za-z]*"' daemon/config_key.c | cut -d'"' -f2 | sed 's/^/Match /' | sort; }

if [ "$(keys_of_table | wc -l)" -ge 10 ] && [ "$(match_keys | wc -l)" -ge 6 ]; then
	ok "the tables can be read"
else
	not_ok "the tables can be read" "$(keys_of_table; match_keys)"
fi
verdict "conf/thpd.conf has every key with its default, and no other" \
	"$(diff <(keys_of_table) <(keys_of_conf))"
verdict "thpd.conf(5) has every key with its default, and no other" \
	"$(diff <({ keys_of_table; match_keys; } | sort) <(keys_of_page))"
verdict "conf/thpd.conf sets nothing" "$(grep -nE '^[^#[]' conf/thpd.conf)"

thpd=${THPD_BUILD:-build/release}/thpd
if [ ! -x "$thpd" ]; then
	skip "thpd accepts its own files" "$thpd is not built"
	finish
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/vm.d"
sed 's/^#\([A-Z][A-Za-z]*=\)/\1/' conf/thpd.conf >"$dir/thpd.conf"
cp conf/examples/*.conf "$dir/vm.d/"
verdict "thpd accepts conf/thpd.conf with every comment taken off, and the examples" \
	"$("$thpd" --check-config --config-dir="$dir" 2>&1 >/dev/null || echo "exit status $?")"
echo 'Trubo=1' >>"$dir/thpd.conf"
if "$thpd" --check-config --config-dir="$dir" >/dev/null 2>&1; then
	not_ok "thpd --check-config exits with 1 on an unknown key"
else
	ok "thpd --check-config exits with 1 on an unknown key"
fi
finish
