#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# 64 VMs at once, as plain memory holders of three kinds; a third of them has to be copied.
# Alone: measures thpd's memory, which grows with the processes of the machine.
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"

readonly COUNT=64 EACH_MIB=32 RSS_MAX_KIB=$((12 * 1024))

start_all() {
	local i kinds=(memfd anon memfd) states=(small small pte)
	for ((i = 0; i < COUNT; i++)); do
		start_holder "vmm-$i" --kind="${kinds[i % 3]}" --size="$EACH_MIB" --state="${states[i % 3]}" ||
			return 1
	done
}

# Those that are done are not asked again.
declare -A IS_DONE=()
all_are_huge() {
	local i
	for ((i = 0; i < COUNT; i++)); do
		[ -z "${IS_DONE[$i]:-}" ] || continue
		holder_is_huge "vmm-$i" || return 1
		IS_DONE[$i]=yes
	done
}

all_are_right() {
	local i
	for ((i = 0; i < COUNT; i++)); do
		holder "vmm-$i" verify || { echo "vmm-$i"; return 1; }
	done
}

all_are_listed() {
	local claimed
	claimed=$(ctl status --json | jq '[.vms[] | select(.mode == "full") |
		select(.huge_bytes == .resident_bytes and .resident_bytes > 0)] | length')
	is_equal "$claimed" "$COUNT"
}

rss_kib() {
	sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$1/status"
}

rss_is_small() {
	local now
	now=$(rss_kib "$THPD_PID")
	echo "$now KiB"
	[ "$now" -le "$RSS_MAX_KIB" ]
}

live_begin jq
write_test_config '[Budget]
CopyBandwidth=1G' "MinRegion=${EACH_MIB}M"
ok "$COUNT holders start" start_all || exit 1
ok "thpd starts" start_thpd || exit 1
begin=$SECONDS
ok "all become huge" wait_until $((THPD_DEADLINE * 2)) all_are_huge
note "after $((SECONDS - begin)) s"
ok "thpd's account of each is right" wait_until "$THPD_DEADLINE" all_are_listed
ok "all contents are right" all_are_right
if is_sanitized "$THPD_BUILD/thpd"; then
	skip "thpd needs at most 12 MiB" "a sanitizer's shadow is no memory of thpd's"
else
	note "thpd's resident memory: $(rss_kib "$THPD_PID") KiB"
	ok "thpd needs at most 12 MiB" rss_is_small
fi
ok "one of them loses its huge mappings" unseen holder vmm-17 pte
begin=$SECONDS
ok "and is mended" wait_until "$THPD_DEADLINE" holder_is_huge vmm-17
note "after $((SECONDS - begin)) s, to the second"
ok "thpd stops on SIGTERM with status 0" stop_thpd
live_end
