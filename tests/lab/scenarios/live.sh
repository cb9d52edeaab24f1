# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Those of the live tests that need no guest of QEMU, on this kernel: below 6.7 the daemon looks without
# PAGEMAP_SCAN.
set -uo pipefail
export THPD_DEADLINE=120
failed=0 n=0
for name in pause two_mappers exec once knob pager balloon many; do
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
