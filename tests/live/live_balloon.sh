#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest gives back memory out of blocks that thpd made huge.  It must stay given back, however often
# thpd looks and even when an operator asks for a collapse.
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"

readonly MIB=$((1 << 20))

memory_bytes() {
	holder "$1" count | sed -n "s/.*memory=//p"
}

# `explain` says about the block at this offset that it is being left alone.
block_is_held_back() {
	local address
	address=$(printf '0x%x' $((HOLDER_ADDR[$1] + $2)))
	ctl explain "${HOLDER_PID[$1]}" "$address" --json |
		jq -e '[.. | objects | .reason? // empty] | any(. == "lost-pages" or . == "sparse")'
}

looked_since() {
	wait_until "$THPD_DEADLINE" has_looked "$1" $(($(looks_of "$1") + $2))
}

# Exit 3 says that the target was missed, which is the right answer here.
collapse_by_hand() {
	local rc=0
	ctl collapse "$1" --wait || rc=$?
	[ "$rc" = 0 ] || [ "$rc" = 3 ]
}

live_begin jq
shm=$(scratch_shm)
write_test_config ''
ok "thpd starts" start_thpd || exit 1
for kind in memfd anon file; do
	name=vmm-$kind
	ok "a holder of $kind memory starts" unseen start_holder "$name" --kind="$kind" --path="$shm/ram" --size=64
	pid=${HOLDER_PID[$name]}
	ok "thpd makes it huge" wait_until "$THPD_DEADLINE" holder_is_huge "$name"

	holder "$name" punch $((11 * MIB)) "$MIB" >/dev/null
	holder "$name" punch $((14 * MIB + 8192)) 4096 >/dev/null
	holder "$name" punch $((18 * MIB)) $((2 * MIB)) >/dev/null
	left=$(memory_bytes "$name")
	ok "half a block, one page and a whole block are given back" \
		is_equal "$left" $((61 * MIB - 4096))

	ok "thpd looks three times more" looked_since "$pid" 3
	ok "nothing is filled again" is_equal "$(memory_bytes "$name")" "$left"
	for round in 1 2 3; do
		ok "collapse by hand, round $round" collapse_by_hand "$pid"
	done
	ok "still nothing is filled" is_equal "$(memory_bytes "$name")" "$left"
	ok "half a block: held back, with its reason" block_is_held_back "$name" $((10 * MIB))
	ok "one page: held back, with its reason" block_is_held_back "$name" $((14 * MIB))
	ok "the rest is right, and the holes are holes" holder "$name" verify

	# The guest takes one page back: still its own business.
	holder "$name" touch $((14 * MIB + 8192)) 4096 >/dev/null
	ok "thpd looks three times more" looked_since "$pid" 3
	ok "what is resident is what the guest touched" is_equal "$(memory_bytes "$name")" $((left + 4096))
	ok "contents are right" holder "$name" verify
	stop_holder "$name"
done
ok "thpd stops on SIGTERM with status 0" stop_thpd
live_end
