# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# File systems in images, for tests of how files lie on them. To be sourced after lib.sh.
#
#   IMAGE_DIR: where images go; chosen by the first one
#   image_mount KIND MIB [OPTION...]   makes and mounts one at $MNT: xfs, ext4; plain: an XFS without exchange-range, as
#                             this release makes it; options of mkfs
#   image_cut_off, image_restart   a power cut, and the start after it
#   image_age                 leaves its free space in pieces
#   image_check               unmounts it and has the file system's own program check it
#   fiemap FILE               "LOGICAL PHYSICAL BLOCKS FLAGS" in blocks of 4 KiB, by filefrag: not thpd's own reader
#   pieces_off FILE UNIT-BLOCKS yes|no, all_aligned FILE UNIT-BLOCKS

MNT=''
IMAGE=''
IMAGE_KIND=''
IMAGE_DIR=''

# In memory, where four of the first have room: the images are sparse, and other tests have theirs. Of a disk a test of
# thousands of syncs would only see how busy it is. That an image's file keeps what a power cut took from the file
# system's memory is the same on both.
image_directory() { # MIB
	if [ $(($(stat -f -c '%a * %S' /dev/shm) >> 20)) -ge $(($1 * 4)) ]; then scratch_shm; else echo "$T"; fi
}

image_mount() { # KIND MIB
	image_unmount
	[ -n "$IMAGE_DIR" ] || IMAGE_DIR=$(image_directory "$2")
	IMAGE_KIND=$1 IMAGE=$IMAGE_DIR/$1.img MNT=$T/$1
	rm -f "$IMAGE"
	truncate -s "${2}M" "$IMAGE" && mkdir -p "$MNT" || return 1
	shift 2
	case $IMAGE_KIND in
	xfs) mkfs.xfs -q "$@" "$IMAGE" && xfs_allow_exchange "$IMAGE" ;;
	plain) mkfs.xfs -q "$@" "$IMAGE" ;;
	ext4) mkfs.ext4 -q -F "$@" "$IMAGE" ;;
	esac && mount -o loop "$IMAGE" "$MNT"
}

# What a newer mkfs.xfs does with -i exchange=1: the feature's bit in every superblock.
readonly XFS_EXCHANGE=$((1 << 6))
xfs_allow_exchange() { # IMAGE
	xfs_set_incompat "$1" $(($(xfs_incompat "$1") | XFS_EXCHANGE))
}

xfs_incompat() { # IMAGE
	xfs_db -x -c 'sb 0' -c 'print features_incompat' "$1" | sed -n 's/^features_incompat = //p'
}

xfs_set_incompat() { # IMAGE VALUE
	local n count args=()
	count=$(xfs_db -c 'sb 0' -c 'print agcount' "$1" | sed -n 's/^agcount = //p')
	for ((n = 0; n < count; n++)); do args+=(-c "sb $n" -c "write -d features_incompat $2"); done
	xfs_db -x "${args[@]}" "$1" >/dev/null
}

# One that was cut off does not answer mountpoint(1).
image_unmount() {
	[ -z "$MNT" ] || ! grep -qF " $MNT " /proc/self/mounts || umount "$MNT"
}

# As if the power failed: nothing more reaches the medium, not even the log that is in memory. Then the machine is
# started again.
image_cut_off() {
	xfs_io -x -c shutdown "$MNT"
}

image_restart() {
	wait_until 20 image_unmount && mount -o loop "$IMAGE" "$MNT"
}

# Hundreds of files of odd sizes, most of them gone again; by one process for all.
image_age() {
	local i
	mkdir "$MNT/old"
	for ((i = 0; i < 1500; i++)); do
		printf 'open -f %s\nfalloc 0 %d\nclose\n' "$MNT/old/$i" $(((i * 7919 % 1500 + 1) * 1024))
	done | xfs_io >/dev/null 2>&1
	sync "$MNT"
	for ((i = 0; i < 1500; i++)); do
		[ $((i % 4)) = 0 ] || printf '%s\n' "$MNT/old/$i"
	done | xargs rm -f
	sync "$MNT"
}

# xfs_repair of this release does not know the feature: it is shown the image without it.
image_check() {
	image_unmount
	case $IMAGE_KIND in
	xfs) xfs_set_incompat "$IMAGE" $(($(xfs_incompat "$IMAGE") & ~XFS_EXCHANGE)) && xfs_repair -n "$IMAGE" ;;
	plain) xfs_repair -n "$IMAGE" ;;
	ext4) e2fsck -fn "$IMAGE" ;;
	esac
}

fiemap() { # FILE
	filefrag -v -b4096 "$1" | awk '$1 ~ /^[0-9]+:$/ {
		gsub(/\.\./, " "); gsub(/:/, " "); print $2, $4, $6, ($NF ~ /^[a-z_,]+$/ ? $NF : "-") }'
}

# Pieces that lie in one extent, by how far that is off.
pieces_off() { # FILE UNIT-BLOCKS yes|no
	fiemap "$1" | awk -v unit="$2" -v aligned="$3" -v size="$(stat -c %s "$1")" '{
		end = $1 + $3
		if (end * 4096 > size) end = int(size / 4096)
		for (at = int(($1 + unit - 1) / unit) * unit; at + unit <= end; at += unit)
			n += (($2 + at - $1) % unit == 0) == (aligned == "yes")
	} END { print n + 0 }'
}

all_aligned() { # FILE UNIT-BLOCKS
	is_equal "$(pieces_off "$1" "$2" yes)" $(($(stat -c %s "$1") / 4096 / $2))
}
