# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# thpctl dax on emulated persistent memory, by what KVM maps: a guest on a file that was made so is huge, one on a file
# whose extents are off is not, and is once the file was realigned. Neither file system has a stripe unit to help.
set -uo pipefail
# shellcheck source=../service.inc
. tests/lab/service.inc
# shellcheck source=../vmm.inc
. tests/lab/vmm.inc
# shellcheck source=../../live/images.sh
. tests/live/images.sh

readonly MIB=64 HUGE=512 DEVICE=/dev/pmem0
MNT=/mnt/dax

dax() {
	timeout 300 thpctl dax "$@"
}

has_exchange() {
	[ "$KERNEL" != 6.1 ]
}

make_filesystem() { # KIND
	image_unmount
	case $1 in
	xfs) mkfs.xfs -q -f $DEVICE && { ! has_exchange || xfs_allow_exchange $DEVICE; } ;;
	ext4) mkfs.ext4 -q -F -b 4096 $DEVICE ;;
	esac && mkdir -p $MNT && mount -o dax=always $DEVICE $MNT
}

# Allocated in one piece, as far as that goes; without its first block it is a block off where it was not.
make_misaligned() { # FILE
	fallocate -l $(((MIB << 20) + 4096)) "$1" && fallocate -c -o 0 -l 4096 "$1" && sync "$1" &&
		is_equal "$(pieces_off "$1" $HUGE yes)" 0
}

says() { # FILE JQ-EXPRESSION VALUE
	is_equal "$(dax check "$1" --json=short | jq "$2")" "$3"
}

# says_huge NAME FILE BYTES: below Linux 6.7 it is not known, and not said.
says_huge() {
	local bytes=$3
	[ "$KERNEL" != 6.1 ] || bytes=null
	is_equal "$(dax check "$2" --json=short | jq -c '.mappings | map([.pid, .huge_bytes])')" \
		"[[${HOLDER_PID[$1]},$bytes]]"
}

# start_guest NAME FILE
start_guest() {
	start_vmm "$1" && add_slot "$1" 0 file bytes=${MIB}M gpa=1G "path=$2"
}

# Its memory is given back by the kernel in its own time.
stop_guest() { # NAME
	local pid=${HOLDER_PID[$1]}
	stop_holder "$1"
	wait_until 30 is_not kill -0 "$pid"
}

is_refused_for() { # NAME FILE
	complains_of "process ${HOLDER_PID[$1]} has it mapped" dax realign "$2"
}

made_files() { # KIND
	ok "$1: create" dax create $MNT/made --size=${MIB}M --no-legend
	ok "$1: check: all is well" exits_with 0 dax check $MNT/made
	ok "$1: it is mapped directly, and its address is known" \
		says $MNT/made '.mapping_applies and .storage.dax and (.storage.base_bytes > 0)' true
	ok "$1: a guest on it" start_guest made $MNT/made
	ok "$1: the guest touches everything" guest_touches made 0 store
	ok "$1: KVM maps it by 2 MiB" has_sptes made 0 $((MIB / 2)) 0
	ok "$1: check says so of the VMM, where that can be seen" says_huge made $MNT/made $((MIB << 20))
	stop_guest made
}

files_that_are_off() { # KIND
	ok "$1: a file whose extents are off" make_misaligned $MNT/off
	ok "$1: check says so" exits_with 3 dax check $MNT/off
	ok "$1: and by how much" says $MNT/off '.huge.aligned_bytes' 0
	ok "$1: a guest on it" start_guest off $MNT/off
	ok "$1: the guest touches everything" guest_touches off 0 store
	ok "$1: KVM maps it by 4 KiB" has_sptes off $((MIB * 256)) 0 0
	ok "$1: check says so of the VMM, where that can be seen" says_huge off $MNT/off 0
	ok "$1: realign while the guest runs: refused" is_refused_for off $MNT/off
	stop_guest off
}

repaired() {
	ok "realign" dax realign $MNT/off --no-legend
	ok "another reader sees it aligned" all_aligned $MNT/off $HUGE
	ok "the guest again" start_guest again $MNT/off
	ok "every word is where it was" guest_touches again 0 check
	ok "KVM maps it by 2 MiB" has_sptes again 0 $((MIB / 2)) 0
	ok "the guest writes" guest_touches again 0 update
	ok "it stays so" has_sptes again 0 $((MIB / 2)) 0
	stop_guest again
}

not_repaired() { # KIND WORDS
	ok "$1: realign is refused, with the reason" complains_of "$2" dax realign $MNT/off
	ok "$1: the guest again" start_guest again $MNT/off
	ok "$1: every word is where it was" guest_touches again 0 check
	stop_guest again
}

# Holes get aligned space before a guest's first write does.
preallocated() {
	ok "a file with nothing in it" truncate -s ${MIB}M $MNT/sparse
	ok "prealloc" dax prealloc $MNT/sparse --no-legend
	ok "a guest on it" start_guest sparse $MNT/sparse
	ok "the guest touches everything" guest_touches sparse 0 store
	ok "KVM maps it by 2 MiB" has_sptes sparse 0 $((MIB / 2)) 0
	stop_guest sparse
}

service_begin
chmod 666 /dev/kvm
systemctl stop "$UNIT"
ok "a namespace" ndctl create-namespace -f -e namespace0.0 -m fsdax -a 2M -M mem
for kind in xfs ext4; do
	ok "$kind: a file system with DAX" make_filesystem $kind
	made_files $kind
	files_that_are_off $kind
	if [ $kind = ext4 ]; then
		not_repaired ext4 'mapped directly (DAX)'
	elif has_exchange; then
		repaired
		preallocated
	else
		not_repaired xfs 'cannot exchange parts of files'
	fi
done
fact "parts of XFS files can be exchanged" "Linux 6.10 is needed" has_exchange
image_unmount
live_end
