# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Arms on files that guests have as memory, on file systems in images.

# shellcheck source=../tests/live/images.sh
source tests/live/images.sh

FILE_MIB=${FILE_MIB:-1024}

# One allocation, a block off.
make_misaligned() { # FILE
	rm -f "$1"
	{ head -c 4096 /dev/zero && head -c "${FILE_MIB}M" /dev/urandom; } >"$1" && sync "$1" &&
		fallocate -c -o 0 -l 4096 "$1" && sync "$1" && [ "$(pieces_off "$1" 512 no)" -gt $((FILE_MIB / 4)) ] ||
		scene_fail "a file whose pieces are off could not be made on $IMAGE_KIND"
	echo 3 >/proc/sys/vm/drop_caches
}

# Mebibytes a second, of what had to be moved.
timed_copy() { # SAMPLES COMMAND...
	local samples=$1 began ended
	shift
	began=$(date +%s%N)
	"$@" >"$T/copy.out" 2>&1 || { cat "$T/copy.out"; scene_fail "$*"; }
	ended=$(date +%s%N)
	echo "$FILE_MIB $began $ended" | awk '{ print $1 / (($3 - $2) / 1e9) }' >>"$samples"
}

copy_with_cp() {
	cp --reflink=never "$MNT/file" "$MNT/copy" && sync "$MNT/copy"
}

copy_with_dd() {
	dd if="$MNT/file" of="$MNT/copy" bs=8M iflag=direct oflag=direct conv=fsync
}

realign_it() {
	"$THPD_BUILD/thpctl" dax realign "$MNT/file"
}

realign_by_copy() {
	"$THPD_BUILD/thpctl" dax realign "$MNT/file" --copy
}

# KIND WANTED WHAT: what is done to the file.
realign_on() {
	local round way
	image_mount "$1" $((3 * FILE_MIB + 1024)) || scene_fail "no image of $1"
	for ((round = 0; round < ROUNDS; round++)); do
		for way in copy_with_cp copy_with_dd realign_it realign_by_copy; do
			rm -f "$MNT/copy"
			make_misaligned "$MNT/file"
			timed_copy "$T/$1.$way" $way
		done
		all_aligned "$MNT/file" 512 || scene_fail "$1: the file was not realigned"
	done
	row realign "$1: cp --reflink=never, and sync" MiB/s samples="$T/$1.copy_with_cp" ratio=1
	row realign "$1: the medium: dd, O_DIRECT on both sides" MiB/s samples="$T/$1.copy_with_dd" \
		ratio="$(faster "$T/$1.copy_with_cp" "$T/$1.copy_with_dd")"
	row realign "$1: thpctl dax realign: $3" MiB/s samples="$T/$1.realign_it" \
		ratio="$(faster "$T/$1.copy_with_cp" "$T/$1.realign_it")" wanted="$2"
	row realign "$1: thpctl dax realign --copy: copied, compared, in its place" MiB/s samples="$T/$1.realign_by_copy" \
		ratio="$(faster "$T/$1.copy_with_cp" "$T/$1.realign_by_copy")" wanted="$2"
	image_unmount
	rm -f "$IMAGE"
}

faster() { # BASE SAMPLES: more is better here
	ratio "$(median <"$2")" "$(median <"$1")"
}

# Every other block of 4 KiB of the first 400 MiB.
make_extents() { # FILE N
	local i
	truncate -s 100G "$1"
	for ((i = 0; i < $2; i++)); do echo "falloc $((i * 8192)) 4096"; done | xfs_io "$1" >/dev/null 2>&1
	sync "$1"
}

check_extents() {
	local round began n=50000
	image_mount xfs 2048 || scene_fail "no image"
	make_extents "$MNT/sparse" $n
	[ "$(fiemap "$MNT/sparse" | wc -l)" -ge $n ] || scene_fail "there are not $n extents"
	for ((round = 0; round < ROUNDS; round++)); do
		began=$(date +%s%N)
		filefrag -v "$MNT/sparse" >/dev/null
		echo $((($(date +%s%N) - began) / 1000)) >>"$T/filefrag"
		began=$(date +%s%N)
		"$THPD_BUILD/thpctl" dax check "$MNT/sparse" >/dev/null || true
		echo $((($(date +%s%N) - began) / 1000)) >>"$T/check"
	done
	row realign "100 GiB, $n extents: filefrag -v" us samples="$T/filefrag" ratio=1
	row realign "100 GiB, $n extents: thpctl dax check" us samples="$T/check" against="$T/filefrag"
	image_unmount
	rm -f "$IMAGE"
}

bench_realign() {
	head_line "(g) files of guests, $FILE_MIB MiB on an image: speed; ratio: against cp"
	realign_on xfs '>=0.9' 'copied, compared twice, exchanged'
	realign_on ext4 '>=0.9' 'moved by the kernel, page by page'
	check_extents
}
