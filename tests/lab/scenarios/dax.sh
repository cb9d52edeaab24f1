# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# thpctl dax on emulated persistent memory, by what KVM maps: a guest on a file that was made so is huge, one on a file
# whose extents are off is not, and is once the file was realigned. Neither file system has a stripe unit to help.
set -uo pipefail
# shellcheck source=../service.inc
. tests/lab/service.inc
# shellcheck source=../vmm.inc
. tests/lab/vmm.inc
# shellcheck source=../pmem.inc
. tests/lab/pmem.inc
# shellcheck source=../../live/images.sh
. tests/live/images.sh

# Looks are dear under emulation.
THPD_DEADLINE=120
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

# By thpctl's own page faults.
comes_huge() { # FILE TRIED HUGE
	is_equal "$(dax check "$1" --probe --json=short | jq -c '.probe | [.tried_bytes, .huge_bytes]')" "[$2,$3]"
}

# start_guest NAME FILE [WORDS...]
start_guest() {
	start_vmm "$1" && add_slot "$1" 0 file bytes=${MIB}M gpa=1G "path=$2" "${@:3}"
}

# thpd is there for this only, so that its first look sees what is to be seen.
thpd_sees() { # COMMAND...
	local rc=0
	systemctl start "$UNIT" && wait_until "$THPD_DEADLINE" "$@" || rc=1
	systemctl stop "$UNIT"
	return $rc
}

counts_all_for() { # NAME REASON
	is_explained_by "$1" "$2" && is_equal "$(vm_field "${HOLDER_PID[$1]}" ".reasons[\"$2\"]")" $((MIB << 20))
}

# PAGEMAP_SCAN sees that DAX memory is mapped huge; a kernel without it leaves thpd with what follows from the extents.
counts_as_huge() { # NAME
	case $KERNEL in
	6.1) counts_all_for "$1" dax-likely-huge ;;
	*) is_explained_by "$1" none && claims_at_least 100 "${HOLDER_PID[$1]}" ;;
	esac
}

counts_as_small() { # NAME
	case $KERNEL in
	6.1) counts_all_for "$1" dax-likely-huge ;;
	*) counts_all_for "$1" dax-pte-entries ;;
	esac
}

# Blocks 0, 1 and 2 of the guest's memory, by what was done to the file below them.
has_reasons() { # NAME REASON...
	local i=0 reason
	for reason in "${@:2}"; do
		is_equal "$(reason_at "$1" $((i << 21)))" "$reason" || return 1
		i=$((i + 1))
	done
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
	ok "$1: it came by huge pages to thpctl, too" comes_huge $MNT/made $((MIB << 20)) $((MIB << 20))
	ok "$1: check says so of the VMM, where that can be seen" says_huge made $MNT/made $((MIB << 20))
	ok "$1: and thpd, as far as can be known" thpd_sees counts_as_huge made
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
	ok "$1: thpd says why" thpd_sees counts_all_for off dax-extent-misaligned
	ok "$1: realign while the guest runs: refused" is_refused_for off $MNT/off
	stop_guest off
}

# On XFS that can exchange parts of files these go to another place; else a copy takes the file's.
repaired() { # KIND REPLACED
	ok "$1: realign" is_equal "$(dax realign $MNT/off --json=short | jq -c '[.aligned, .replaced]')" "[true,$2]"
	ok "$1: another reader sees it aligned" all_aligned $MNT/off $HUGE
	ok "$1: it comes by huge pages" comes_huge $MNT/off $((MIB << 20)) $((MIB << 20))
	ok "$1: the guest again" start_guest again $MNT/off
	ok "$1: every word is where it was" guest_touches again 0 check
	ok "$1: KVM maps it by 2 MiB" has_sptes again 0 $((MIB / 2)) 0
	ok "$1: the guest writes" guest_touches again 0 update
	ok "$1: it stays so" has_sptes again 0 $((MIB / 2)) 0
	stop_guest again
}

# Killed at some moment, again and again: the name leads to the same data, and what was left is gone after the next.
survives_kills() { # FILE
	local sum i struck=0
	sum=$(sha256sum <"$1")
	for i in 1 2 3 4 5 6 7 8; do
		timeout -s KILL "0.$((i % 4 + 1))" thpctl dax realign "$1" >/dev/null 2>&1 || struck=$((struck + 1))
		is_equal "$(sha256sum <"$1")" "$sum" || { echo "after kill $i"; return 1; }
		[ "$i" != 4 ] || make_misaligned_again "$1" || return 1
	done
	echo "# struck it at work $struck times"
	dax realign "$1" --no-legend && is_equal "$(sha256sum <"$1")" "$sum" &&
		is_equal "$(find $MNT -maxdepth 1 -name '.*' | wc -l)" 0 && [ $struck -gt 0 ]
}

# The same data, a block off.
make_misaligned_again() { # FILE
	fallocate -l $(((MIB << 20) + 4096)) "$1.new" && fallocate -c -o 0 -l 4096 "$1.new" &&
		dd if="$1" of="$1.new" bs=1M conv=notrunc,fsync status=none && mv "$1.new" "$1" &&
		[ "$(pieces_off "$1" $HUGE no)" -gt 0 ]
}

killed_in_the_middle() { # KIND
	ok "$1: a file that is off, with data" make_misaligned $MNT/killed
	ok "$1: all of it random" dd if=/dev/urandom of=$MNT/killed bs=1M count=$MIB conv=notrunc status=none
	ok "$1: killed in the middle of a realign: nothing is lost, nothing left" survives_kills $MNT/killed
}

# Holes get aligned space before a guest's first write does.
preallocated() { # KIND
	ok "$1: a file with nothing in it" truncate -s ${MIB}M $MNT/sparse
	ok "$1: prealloc" dax prealloc $MNT/sparse --no-legend
	ok "$1: a guest on it" start_guest sparse $MNT/sparse
	ok "$1: the guest touches everything" guest_touches sparse 0 store
	ok "$1: KVM maps it by 2 MiB" has_sptes sparse 0 $((MIB / 2)) 0
	stop_guest sparse
}

# thpd-prepare.service, under its sandbox: a file that a user makes in his own directory.
prepared() { # KIND
	local dir=$MNT/guests
	mkdir "$dir" && chown 1001:1001 "$dir"
	mkdir -p $CONF/thpd.conf.d
	printf '%s\n' '[DAX]' "PrepareDirectories=$dir" Preallocate=yes >$CONF/thpd.conf.d/dax.conf
	ok "$1: thpd-prepare.service" systemctl start thpd-prepare
	ok "$1: a user makes a file" setpriv --reuid=1001 --regid=1001 --clear-groups truncate -s ${MIB}M "$dir/ram"
	ok "$1: it gets aligned space" wait_until 60 all_aligned "$dir/ram" $HUGE
	ok "$1: it is the user's" is_equal "$(stat -c '%u %g %h' "$dir/ram")" '1001 1001 1'
	ok "$1: a guest on it" start_guest prepared "$dir/ram"
	ok "$1: the guest touches everything" guest_touches prepared 0 store
	ok "$1: KVM maps it by 2 MiB" has_sptes prepared 0 $((MIB / 2)) 0
	stop_guest prepared
	ok "$1: the service says what it did" grep -qF '1 were given space' <(systemctl status --no-pager thpd-prepare)
	ok "$1: it stops" systemctl stop thpd-prepare
	rm $CONF/thpd.conf.d/dax.conf
}

# A mapping whose address is off, and what it leaves behind.
addresses_that_are_off() { # KIND
	ok "$1: a file that lies right" dax create $MNT/colour --size=${MIB}M --no-legend
	ok "$1: a guest that maps it a page off" start_guest colour $MNT/colour skew=4096
	ok "$1: the guest touches everything" guest_touches colour 0 store
	ok "$1: KVM maps it by 4 KiB" has_sptes colour $((MIB * 256)) 0 0
	ok "$1: thpd says that it is the address" thpd_sees counts_all_for colour dax-colour
	stop_guest colour
	ok "$1: a guest that maps it right" start_guest after $MNT/colour
	ok "$1: the guest touches everything" guest_touches after 0 store
	ok "$1: still by 4 KiB: the kernel keeps to the small entries" has_sptes after $((MIB * 256)) 0 0
	ok "$1: thpd says so, where that can be seen" thpd_sees counts_as_small after
	ok "$1: and so do the faults of thpctl" comes_huge $MNT/colour $((MIB << 20)) 0
	stop_guest after
	ok "$1: the cure: the inode is evicted" mount_again
	ok "$1: the guest again" start_guest cured $MNT/colour
	ok "$1: the guest touches everything" guest_touches cured 0 store
	ok "$1: now KVM maps it by 2 MiB" has_sptes cured 0 $((MIB / 2)) 0
	stop_guest cured
}

mount_again() {
	umount $MNT && mount -o dax=always $DEVICE $MNT
}

# One block without its first page, one without any.
with_holes() { # KIND
	ok "$1: a file with holes" dax create $MNT/holes --size=${MIB}M --no-legend
	ok "$1: one in the first piece" fallocate -p -o 4096 -l 4096 $MNT/holes
	ok "$1: and one of a whole piece" fallocate -p -o 2M -l 2M $MNT/holes
	ok "$1: a guest on it" start_guest holes $MNT/holes
	ok "$1: thpd says what can be huge before anything is touched" thpd_sees \
		has_reasons holes dax-split-extent dax-hole never-touched
	stop_guest holes
}

not_direct() { # KIND
	ok "$1: mounted without DAX" remount_without_dax
	ok "$1: a guest on it" start_guest cached $MNT/made
	ok "$1: the guest touches everything" guest_touches cached 0 check
	ok "$1: thpd says that it could be direct" thpd_sees is_explained_by cached dax-not-dax
	stop_guest cached
}

remount_without_dax() {
	umount $MNT && mount -o dax=never $DEVICE $MNT
}

# A device whose place and size allow more than its alignment.
device_of_4k() {
	ok "a DAX device of 4 KiB pages" devdax_make 4K
	ok "a guest on it" start_guest device /dev/dax1.0
	ok "the guest touches everything" guest_touches device 0 store
	ok "KVM maps it by 4 KiB" has_sptes device $((MIB * 256)) 0 0
	ok "thpd says that the device could do better" thpd_sees is_explained_by device devdax-align-small
	ok "and so does dax check" exits_with 3 dax check /dev/dax1.0
	ok "with the mapping" is_equal "$(dax check /dev/dax1.0 --json=short | jq -c '[.align_bytes, .node,
		(.mappings | map([.pid, .bytes, has("huge_bytes")]))]')" "[4096,1,[[${HOLDER_PID[device]},$((MIB << 20)),false]]]"
	stop_guest device
}

device_of_2m() {
	ok "a DAX device of 2 MiB pages" devdax_make 2M
	ok "a guest on it" start_guest middle /dev/dax1.0
	ok "the guest touches everything" guest_touches middle 0 store
	ok "KVM maps it by 2 MiB" has_sptes middle 0 $((MIB / 2)) 0
	ok "thpd says that it is a device's, and looks no further" thpd_sees is_explained_by middle dax
	stop_guest middle
}

# One page of 1 GiB: whoever walked the page table would split it.
device_of_1g() {
	ok "a DAX device of 1 GiB pages" devdax_make 1G
	ok "a guest on it" start_vmm large
	ok "of 1 GiB" add_slot large 0 file path=/dev/dax1.0 bytes=1G gpa=1G
	ok "the guest touches every 2 MiB" guest_touches large 0 store stride=2M
	ok "KVM maps it by 1 GiB" has_sptes large 0 0 1
	ok "dax check: all is well" exits_with 0 dax check /dev/dax1.0
	ok "the page is whole still" has_sptes large 0 0 1
	stop_guest large
}

service_begin
chmod 666 /dev/kvm
systemctl stop "$UNIT"
ok "a namespace" ndctl create-namespace -f -e namespace0.0 -m fsdax -a 2M -M mem
for kind in xfs ext4; do
	ok "$kind: a file system with DAX" make_filesystem $kind
	made_files $kind
	files_that_are_off $kind
	if [ $kind = xfs ] && has_exchange; then
		repaired $kind null
	else
		repaired $kind true
		killed_in_the_middle $kind
	fi
	preallocated $kind
	prepared $kind
	with_holes $kind
	addresses_that_are_off $kind
	not_direct $kind
done
device_of_4k
device_of_2m
device_of_1g
fact "parts of XFS files can be exchanged" "Linux 6.10 is needed" has_exchange
image_unmount
live_end
