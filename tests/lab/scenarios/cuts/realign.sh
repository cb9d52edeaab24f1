# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# One life of a machine whose power is cut while files are realigned on persistent memory; LAB_KIND is the file system.
# tests/lab/cuts.sh starts it again and again with the same NVDIMMs. What the last life left is checked first.
set -uo pipefail
# shellcheck source=../../service.inc
. tests/lab/service.inc
# shellcheck source=../../../live/images.sh
. tests/live/images.sh

readonly MIB=64 HUGE=512
IMAGE=/dev/pmem0 IMAGE_KIND=$LAB_KIND MNT=/mnt/cuts

mount_it() {
	mkdir -p $MNT && mount -o dax=always $IMAGE $MNT
}

make_it() {
	ndctl create-namespace -f -e namespace0.0 -m fsdax -a 2M -M mem || return 1
	case $LAB_KIND in
	xfs) mkfs.xfs -q -f $IMAGE && { [ "$KERNEL" = 6.1 ] || xfs_allow_exchange $IMAGE; } ;;
	ext4) mkfs.ext4 -q -F -b 4096 $IMAGE ;;
	esac
	mount_it && dd if=/dev/urandom of=$MNT/file bs=1M count=$MIB status=none && sha256sum <$MNT/file >$MNT/sum &&
		sync -f $MNT
}

# The same data, a block off; the name leads to the old or to the new one.
misalign() {
	rm -f $MNT/new && fallocate -l $(((MIB << 20) + 4096)) $MNT/new && fallocate -c -o 0 -l 4096 $MNT/new &&
		dd if=$MNT/file of=$MNT/new bs=1M conv=notrunc,fsync status=none && mv $MNT/new $MNT/file && sync -f $MNT
}

has_the_data() {
	is_equal "$(sha256sum <$MNT/file)" "$(cat $MNT/sum)"
}

service_begin
systemctl stop "$UNIT"
if blkid $IMAGE >/dev/null; then
	ok "mounted after the cut" mount_it
	ok "the data are the same" has_the_data
	ok "the file system is sound" image_check
	ok "mounted again" mount_it
	ok "realigned" thpctl dax realign $MNT/file --no-legend
	ok "the data are the same" has_the_data
	ok "nothing is left beside it" is_equal "$(find $MNT -name '.*' -type f | wc -l)" 0
else
	ok "the first life: a file" make_it
fi
echo CUT-READY
while misalign && thpctl dax realign $MNT/file --no-legend >/dev/null; do :; done
ok "it was cut off before the work ended" false
live_end
