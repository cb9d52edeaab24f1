# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Those of the live tests that need no guest of QEMU and hang on what the kernel does; all of them below 6.7, where the
# daemon looks without PAGEMAP_SCAN. (Above it looks as it does on the machine that runs `make check`.)
set -uo pipefail
export THPD_DEADLINE=120
failed=0 n=0
names=(two_mappers once knob pager)
[ "$KERNEL" != 6.1 ] || names+=(pause exec balloon many)
for name in "${names[@]}"; do
	n=$((n + 1)) began=$SECONDS
	if timeout 240 bash "tests/live/live_$name.sh" >/tmp/tap 2>&1; then
		echo "ok $n - live_$name ($(grep -c '^ok' /tmp/tap), $((SECONDS - began)) s)"
	else
		failed=1
		echo "not ok $n - live_$name"
		grep -vE '^ok' /tmp/tap | tail -n 25 | sed 's/^/#   /'
	fi
done
echo "1..$n"
exit $failed
