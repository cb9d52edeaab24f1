#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# systemd accepts the unit without a word, and its sandbox is worth at most 2.5 (0 is best, 10 is none).
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/tap.sh.inc
limit=25 # tenths

if ! command -v systemd-analyze >/dev/null; then
	skip "thpd.service" "systemd-analyze is missing (package systemd)"
	finish
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
thpd=$PWD/${THPD_BUILD:-build/release}/thpd
[ -x "$thpd" ] || thpd=/bin/true
sed "s|@sbindir@/thpd|$thpd|" systemd/thpd.service >"$dir/thpd.service"
verdict "no placeholder is left over" "$(grep -n '@[a-z]*@' "$dir/thpd.service" | grep -v 'SystemCallFilter')"
verdict "systemd-analyze verify" "$(systemd-analyze verify --man=no "$dir/thpd.service" 2>&1)"
# "→ Overall exposure level for thpd.service: 1.7 OK"
figure=$(systemd-analyze security --offline=true --no-pager "$dir/thpd.service" 2>&1 |
	sed -n 's/.*exposure level for thpd.service: \([0-9]*\)\.\([0-9]\).*/\1\2/p')
if [ -n "$figure" ] && [ "$((10#$figure))" -le $limit ]; then
	ok "systemd-analyze security: $((10#$figure)) tenths, at most $limit"
else
	not_ok "systemd-analyze security: ${figure:-no figure}, at most $limit tenths"
fi
finish
