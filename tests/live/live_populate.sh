#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Real guests on a memfd that are stopped before their first instruction: [Populate] Mode=huge gives all of it huge
# pages, changes no byte, leaves alone what holds data already, and what QEMU mapped so that it can never be huge; and
# the guest runs on it.
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/live/guests.sh
. "$here/guests.sh"
readonly MIB=256 SHMEM_ENABLED=/sys/kernel/mm/transparent_hugepage/shmem_enabled
preload=$THPD_BUILD/libthpd-vmm-preload.so

# start_stopped NAME [WORD...]: the words come before QEMU.
start_stopped() {
	local name=$1
	shift
	# shellcheck disable=SC2016  # the inner shell expands
	GUEST_WRAP=("$@" sh -c 'exec "$@" -S' sh)
	start_guest "$name" C "$MIB"
}

ram_file() {
	local fd
	for fd in "/proc/${GUEST_PID[$1]}/fd"/*; do
		[[ $(readlink "$fd") != /memfd:* ]] || { echo "$fd" && return; }
	done
	return 1
}

ram_sum() {
	sha256sum <"$(ram_file "$1")"
}

# A page of noise at the end of the sixth huge page, which the VMM has not mapped.
write_noise() {
	dd if=/dev/urandom of="$(ram_file "$1")" bs=4096 count=1 seek=$((6 * 512 - 1)) conv=notrunc status=none
}

huge_is() {
	is_equal "$(smaps_huge "$1")" "$2 $2"
}

# explains NAME REASON STATE
explains() {
	ctl explain "$1" --json | jq -e --arg reason "$2" --arg state "$3" \
		'.runs | any(.reason == $reason and .state == $state)'
}

# What a balloon does: the first 8 MiB of the file.
give_back() {
	fallocate --punch-hole --offset 0 --length $((8 << 20)) "$(ram_file "$1")"
}

# An operator who asks again and again, until the hold on lost pages is over.
asking_explains() {
	ctl populate "$1" --wait >/dev/null
	explains "$@"
}

nothing_is_resident() {
	is_equal "$(smaps_huge "$1")" '0 0'
}

live_begin qemu-system-x86_64 socat jq cpio busybox
[ -e "$preload" ] || skip_all "$preload is not built"
grep -q '\[never\]' "$SHMEM_ENABLED" || skip_all "$SHMEM_ENABLED is not never"
guests_init "$T" || exit 1
write_test_config '' '[Populate]
Mode=huge' "$(guests_match)"
printf '%s\n' '[Budget]' 'CopyBandwidth=infinity' 'FreeReserve=0' >>"$T/etc/thpd.conf"
all=$((MIB << 20))

ok "thpd starts" start_thpd
ok "an aligned guest starts, and waits" start_stopped AL env "LD_PRELOAD=$preload" || exit 1
before=$(ram_sum AL)
ok "all of it becomes huge before it has run" wait_until "$THPD_DEADLINE" huge_is AL "$all"
ok "and its bytes are the same" is_equal "$(ram_sum AL)" "$before"
ok "a misaligned guest starts, and waits" start_stopped MI || exit 1
ok "it is barred" wait_until "$THPD_DEADLINE" explains MI misaligned-mapping barred
ok "and not populated" nothing_is_resident MI
for name in AL MI; do
	qmp "$name" '{"execute":"cont"}' >/dev/null
	ok "$name runs its pattern" wait_serial "$name" 'PATTERN pass=1 ' 180
	ok "$name saw no wrong byte" guest_is_healthy "$name"
done
stop_guest AL
stop_guest MI

ok "thpd stops on SIGTERM with status 0" stop_thpd
ok "a guest starts with data in its file" start_stopped DA env "LD_PRELOAD=$preload" || exit 1
ok "noise is written" write_noise DA
before=$(ram_sum DA)
ok "thpd starts" start_thpd
ok "all but the block that holds them becomes huge" wait_until "$THPD_DEADLINE" huge_is DA $((all - (2 << 20)))
ok "which is explained" wait_until "$THPD_DEADLINE" explains DA file-has-data empty
ok "and its bytes are the same" is_equal "$(ram_sum DA)" "$before"
stop_guest DA
ok "thpd stops on SIGTERM with status 0" stop_thpd

write_test_config '' '[Collapse]
HoldLost=1s' "$(guests_match)"
printf '%s\n' '[Budget]' 'CopyBandwidth=infinity' 'FreeReserve=0' >>"$T/etc/thpd.conf"
ok "thpd starts, with Mode=off" start_thpd
ok "a guest starts" start_stopped VE env "LD_PRELOAD=$preload" || exit 1
ok "thpd knows it" wait_until "$THPD_DEADLINE" explains VE never-touched empty
ok "nothing of it is populated" nothing_is_resident VE
ok "thpctl populate does it on request" ctl populate VE --wait --target=100
ok "all of it is huge" huge_is VE "$all"
ok "some of it is given back before thpd looks at all of it again" give_back VE
ok "who asks again is told so" wait_until "$THPD_DEADLINE" asking_explains VE gave-back-memory empty
ok "and it is not filled" huge_is VE $((all - (8 << 20)))
stop_guest VE
ok "thpd stops on SIGTERM with status 0" stop_thpd
stop_all_guests
live_end
