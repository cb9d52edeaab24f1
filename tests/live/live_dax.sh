#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# thpctl dax on real file systems, fresh and aged: what it says of a file is what another reader sees, and what it
# makes is aligned. Nothing here is mapped directly: that takes persistent memory (tests/lab).
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/live/images.sh
. "$here/images.sh"

readonly MIB=$((1 << 20)) HUGE=512 GIGANTIC=$((512 * 512))

test_cleanup() {
	image_unmount
}

dax() { # VERB FILE OPTION...
	timeout 60 "$THPD_BUILD/thpctl" dax "$@"
}

dax_field() { # FILE FIELD: of `dax check`
	dax check "$1" --json=short | jq "$2"
}

# Grown in steps, as a disk image of a VM that fills up: pieces of all kinds.
make_scattered() { # FILE
	local i
	for ((i = 0; i < 40; i++)); do
		fallocate -o $((i * 3 * MIB + i % 3 * 4096)) -l $((2 * MIB + i % 5 * 300 * 1024)) "$1" || return 1
		[ $((i % 4)) != 0 ] || fallocate -l $(((i % 7 + 1) * 4096)) "$1.$i" || return 1
	done
	dd if=/dev/urandom of="$1" bs=1M seek=30 count=9 conv=notrunc status=none && sync "$1"
}

says_what_is_so() { # FILE
	is_equal "$(dax_field "$1" .huge.aligned_bytes)" $(($(pieces_off "$1" $HUGE yes) * 2 * MIB)) &&
		is_equal "$(dax_field "$1" .huge.misaligned_bytes)" $(($(pieces_off "$1" $HUGE no) * 2 * MIB)) &&
		is_equal "$(dax_field "$1" .extents)" "$(fiemap "$1" | wc -l)" &&
		is_equal "$(dax_field "$1" '[.pieces[].bytes] | add')" "$(stat -c %s "$1")"
}

used_blocks() {
	sync "$MNT"
	stat -f -c '%b %f' "$MNT" | awk '{ print $1 - $2 }'
}

# XFS frees the space of a file that is gone when it comes to it.
takes_no_more_than() { # BLOCKS
	[ "$(used_blocks)" -le "$1" ]
}

is_all_zero() { # FILE BYTES
	is_equal "$(stat -c %s "$1")" "$2" && cmp -n "$2" "$1" /dev/zero
}

# As much as was asked for, and no more.
takes_its_size() { # FILE BYTES
	local blocks
	blocks=$(stat -c %b "$1")
	[ $((blocks * 512)) -ge "$2" ] && [ $((blocks * 512)) -le $(($2 + 64 * 1024)) ]
}

check_create() { # WHAT
	local used
	ok "$1: create" dax create "$MNT/ram" --size=256M --no-legend
	ok "$1: another reader sees it aligned" all_aligned "$MNT/ram" $HUGE
	ok "$1: check agrees" exits_with 0 dax check "$MNT/ram"
	ok "$1: all of it is there, for its owner alone" is_equal "$(stat -c '%s %a' "$MNT/ram")" "$((256 * MIB)) 600"
	ok "$1: and no more" takes_its_size "$MNT/ram" $((256 * MIB))
	ok "$1: it reads as zeros" is_all_zero "$MNT/ram" $((256 * MIB))
	ok "$1: a file that exists is not replaced" complains_of 'exists already' dax create "$MNT/ram" --size=2M
	rm "$MNT/ram"
	used=$(used_blocks)
	ok "$1: more than there is: refused" complains_of 'No space left' dax create "$MNT/ram" --size=8G
	ok "$1: and nothing is left of it" wait_until 20 takes_no_more_than "$used"
	ok "$1: not even a name" is_not test -e "$MNT/ram"
}

check_check() { # WHAT
	ok "$1: a file of all kinds of pieces" make_scattered "$MNT/scattered"
	ok "$1: check says what another reader sees" says_what_is_so "$MNT/scattered"
	ok "$1: its status says that not all is well" exits_with 3 dax check "$MNT/scattered"
	ok "$1: reasons are named" is_equal \
		"$(dax_field "$MNT/scattered" '[.pieces[].reason] | index("dax-split-extent") != null')" true
	ok "$1: no mapping is spoken of" is_equal "$(dax_field "$MNT/scattered" .mapping_applies)" false
}

# What the holder's own page table says is not asked: through the page cache of a disk nothing is huge.
check_mappings() {
	local m
	fallocate -l 16M "$MNT/mapped"
	ok "a process maps a file" start_holder mapper --kind=file --path="$MNT/mapped" --size=16 --attach
	m=$(dax_field "$MNT/mapped" '.mappings[0] | [.pid, .start, .bytes, .offset, .shared, .off_by_bytes, .huge_bytes] | @text')
	ok "check tells who maps it, where, and that nothing of it is huge" is_equal "$m" \
		"$(printf '"[%d,\\"0x%x\\",%d,0,true,%d,0]"' "${HOLDER_PID[mapper]}" "${HOLDER_ADDR[mapper]}" $((16 * MIB)) \
			$((HOLDER_ADDR[mapper] % (2 * MIB))))"
	stop_holder mapper
}

check_edges() {
	: >"$MNT/empty"
	ok "an empty file has nothing that is wrong" exits_with 0 dax check "$MNT/empty"
	ok "a file that is not mapped directly is not probed" complains_of 'not mapped directly' dax check "$MNT/empty" --probe
	ok "a directory is refused" complains_of 'no regular file' dax check "$MNT"
	mkfifo "$MNT/fifo"
	ok "a FIFO does not hang it" complains_of 'no regular file' dax check "$MNT/fifo"
	ok "a file that is not there" complains_of 'cannot be opened' dax check "$MNT/nothing"
	ok "a size that is no multiple" complains_of 'multiple of the alignment' dax create "$MNT/ram" --size=3M
	ok "a size that is none" complains_of "is not a size" dax create "$MNT/ram" --size=1X
	ok "an alignment that is none" complains_of "is not 2M or 1G" dax create "$MNT/ram" --size=4M --align=4K
	ok "no size" complains_of "wants: thpctl dax create" dax create "$MNT/ram"
	ok "a directory that is not there" complains_of 'No file can be made' dax create "$MNT/no/ram" --size=2M
	ok "a file system of another kind" complains_of 'Only XFS and ext4' dax create "$shm/ram" --size=2M
}

# Killed at any moment it leaves nothing: neither a name nor space.
check_kills() {
	local i used rc=0
	used=$(used_blocks)
	for ((i = 1; i <= 20; i++)); do
		{ timeout -s KILL "0.$(printf '%03d' $((i * 4)))" "$THPD_BUILD/thpctl" dax create "$MNT/killed" \
			--size=512M; } >"$T/killed.out" 2>&1 || true
		[ ! -e "$MNT/killed" ] || all_aligned "$MNT/killed" $HUGE || rc=1
		rm -f "$MNT/killed"
	done
	ok "killed at 20 moments: what has a name is whole" test $rc = 0
	ok "and no space is lost" wait_until 20 takes_no_more_than "$used"
}

live_begin jq mkfs.xfs mkfs.ext4 xfs_db xfs_repair filefrag
shm=$(scratch_shm)
for kind in xfs ext4; do
	ok "$kind: an image" image_mount $kind 2048 || exit 1
	check_create "$kind, fresh"
	check_check "$kind, fresh"
	check_kills
	image_age
	check_create "$kind, aged"
	rm -f "$MNT"/scattered*
	check_check "$kind, aged"
	[ $kind != xfs ] || check_edges
	[ $kind != xfs ] || check_mappings
	ok "$kind: the file system is sound" image_check
done
# Small allocation groups hold no whole gigabyte.
ok "xfs: a larger image" image_mount xfs 6144 -d agcount=2
ok "aligned to 1G" dax create "$MNT/ram" --size=1G --align=1G --no-legend
ok "another reader sees it so" all_aligned "$MNT/ram" $GIGANTIC
live_end
