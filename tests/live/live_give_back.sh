#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Guests of a real Linux whose memory is populated before they run, and who then give back what they do not need: one
# by a balloon that is inflated, one by free page reporting. It stays given back, whatever the policy and whoever asks;
# also if a thpd that saw nothing of it is started later.
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/live/guests.sh
. "$here/guests.sh"
readonly MIB=256 SHMEM_ENABLED=/sys/kernel/mm/transparent_hugepage/shmem_enabled
preload=$THPD_BUILD/libthpd-vmm-preload.so
# What the guest's kernel may come to use meanwhile; it is to give back far more.
readonly SLACK=$((8 << 20)) GIVEN=$((48 << 20))
declare -A LEFT=()

# start_stopped NAME DEVICE-OPTIONS: half of its memory is for the work load.
start_stopped() {
	GUEST_WRAP=(env "LD_PRELOAD=$preload")
	GUEST_OPTIONS=(-S -device "virtio-balloon-pci$2")
	GUEST_WORDS='balloon share=50'
	start_guest "$1" C "$MIB"
}

# What the memory file holds, mapped or not.
memory_bytes() {
	local fd
	for fd in "/proc/${GUEST_PID[$1]}/fd"/*; do
		[[ $(readlink "$fd") == /memfd:* ]] || continue
		echo $(($(stat -L -c %b "$fd") * 512))
		return
	done
	return 1
}

is_whole() {
	is_equal "$(smaps_huge "$1")" "$((MIB << 20)) $((MIB << 20))"
}

begins() {
	qmp "$1" '{"execute":"cont"}' >/dev/null && wait_serial "$1" 'PATTERN pass=1 ' 180
}

# All of it: what is left falls no more. Afterwards a refill of what it gave back last would be seen, too.
has_given_back() {
	local before
	before=$(memory_bytes "$1")
	sleep 1
	LEFT[$1]=$(memory_bytes "$1")
	[ "${LEFT[$1]}" = "$before" ] && [ "$before" -le $(((MIB << 20) - GIVEN)) ]
}

is_not_filled() {
	local now
	now=$(memory_bytes "$1")
	[ "$now" -le $((LEFT[$1] + SLACK)) ] || { echo "$now bytes, ${LEFT[$1]} were left"; return 1; }
}

# explains NAME REASON STATE
explains() {
	ctl explain "$1" --json | jq -e --arg reason "$2" --arg state "$3" \
		'.runs | any(.reason == $reason and .state == $state)'
}

ask_three_times() {
	local round
	for round in 1 2 3; do ctl populate "$1" --wait || return 1; done
}

looked_since() {
	wait_until "$THPD_DEADLINE" has_looked "${GUEST_PID[$1]}" $(($(looks_of "${GUEST_PID[$1]}") + $2))
}

stays_given_back() { # NAME REASON
	ok "$1: thpd looks three times more" looked_since "$1" 3
	ok "$1: $2" wait_until "$THPD_DEADLINE" explains "$1" "$2" empty
	ok "$1: thpctl populate, three times" ask_three_times "$1"
	ok "$1: still $2" explains "$1" "$2" empty
	ok "$1: it is not filled" is_not_filled "$1"
	ok "$1: the guest saw no wrong byte" guest_is_healthy "$1"
}

seconds_of() {
	local up
	read -r up _ </proc/uptime
	echo $((${up%.*} - GUEST_START[$1] / $(getconf CLK_TCK)))
}

is_older_than_thpd_trusts() {
	[ "$(seconds_of "$1")" -gt 30 ]
}

live_begin qemu-system-x86_64 socat jq cpio busybox
[ -e "$preload" ] || skip_all "$preload is not built"
grep -q '\[never\]' "$SHMEM_ENABLED" || skip_all "$SHMEM_ENABLED is not never"
guests_init "$T" || exit 1
[ -e "$GUESTS_BUILD/modules/virtio_balloon.ko" ] || skip_all "the guest's kernel has no virtio_balloon module"
write_test_config '' 'HoldLost=1s
[Populate]
Mode=huge' "$(guests_match)"
printf '%s\n' '[Budget]' 'CopyBandwidth=infinity' 'FreeReserve=0' >>"$T/etc/thpd.conf"

ok "thpd starts" start_thpd
ok "BA: a guest with a balloon starts, and waits" start_stopped BA '' || exit 1
ok "RE: one that reports free pages" start_stopped RE ,free-page-reporting=on || exit 1
for name in BA RE; do ok "$name: all of it becomes huge" wait_until "$THPD_DEADLINE" is_whole $name; done
for name in BA RE; do ok "$name: it runs its pattern" begins $name; done
ok "BA: the balloon is inflated" qmp BA '{"execute":"balloon","arguments":{"value":'$(((MIB - 64) << 20))'}}'
for name in BA RE; do
	ok "$name: memory is given back" wait_until "$THPD_DEADLINE" has_given_back $name
	stays_given_back $name gave-back-memory
done
ok "thpd stops on SIGTERM with status 0" stop_thpd
ok "the guests are older than thpd would trust them" wait_until 40 is_older_than_thpd_trusts RE
ok "another thpd starts, which saw nothing of it" start_thpd
for name in BA RE; do
	ok "$name: it is found" wait_until "$THPD_DEADLINE" vm_is_listed "${GUEST_PID[$name]}"
	stays_given_back $name not-seen-from-start
	stop_guest $name
done
ok "thpd stops on SIGTERM with status 0" stop_thpd
stop_all_guests
live_end
