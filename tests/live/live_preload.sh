#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Real guests with shared memory as QEMU maps it, with and without libthpd-vmm-preload.so: never huge without, all of it with; and
# COUNT=20 starts of random size and kind show that QEMU's memory is laid out for the guest as ever.
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/live/guests.sh
. "$here/guests.sh"
: "${COUNT:=20}"
preload=$THPD_BUILD/libthpd-vmm-preload.so

guest_is_huge() {
	share_is_at_least 99 "$(smaps_huge "$1")"
}

has_run() {
	wait_serial "$1" 'PATTERN pass=1 ' 120
}

is_barred() {
	vm_field "$1" '| .barred_bytes * 100 >= .resident_bytes * 99 and .reasons["misaligned-mapping"] > 0' |
		grep -qx true
}

has_nothing_huge() {
	is_equal "$(smaps_huge "$1" | cut -d ' ' -f 1)" 0
}

# --- what the guest sees -------------------------------------------------------------------------

# memory_map MEMORY MIB WORD...: `info mtree -f` of a QEMU that has not started its guest; the words come before it. QEMU
# numbers and orders its views by where they lie in its heap.
memory_map() {
	local memory=$1 mib=$2
	shift 2
	printf '%s\n' '{"execute":"qmp_capabilities"}' \
		'{"execute":"human-monitor-command","arguments":{"command-line":"info mtree -f"},"id":"map"}' \
		'{"execute":"quit"}' |
		timeout 30 "$@" qemu-system-x86_64 -nodefaults -no-user-config -display none -S -accel tcg,tb-size=32 \
			-object "$memory,id=ram,size=${mib}M" -machine pc,memory-backend=ram -m "${mib}M" -qmp stdio \
			"${SANDBOX[@]}" 2>"$T/map.err" | jq -r 'select(.id == "map").return' |
		sed 's/^FlatView #.*/FlatView/' | sort | grep .
}

random_memory() {
	case $((RANDOM % 4)) in
	0) echo memory-backend-memfd,share=on ;;
	1) echo "memory-backend-file,mem-path=$MAP_SHM/ram,share=on" ;;
	2) echo memory-backend-ram ;;
	3) echo memory-backend-ram,share=on ;;
	esac
}

# Odd sizes, whole huge pages, now and then whole gigabytes.
random_mib() {
	case $((RANDOM % 4)) in
	0) echo $((1 + RANDOM % 64)) ;;
	1) echo $((2 * (1 + RANDOM % 1024))) ;;
	2) echo $((1024 * (1 + RANDOM % 3))) ;;
	3) echo $((1 + RANDOM % 2048)) ;;
	esac
}

starts_alike() {
	local i memory mib plain loaded
	for ((i = 0; i < COUNT; i++)); do
		memory=$(random_memory) mib=$(random_mib)
		SANDBOX=()
		[ $((RANDOM % 2)) = 0 ] || SANDBOX=(-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny)
		plain=$(memory_map "$memory" "$mib" env) && loaded=$(memory_map "$memory" "$mib" env "LD_PRELOAD=$preload") || {
			echo "$memory $mib MiB ${SANDBOX[*]}: does not start" && cat "$T/map.err"
			return 1
		}
		rm -f "$MAP_SHM/ram"
		[ "$plain" = "$loaded" ] || { diff <(echo "$plain") <(echo "$loaded"); return 1; }
	done
}

live_begin qemu-system-x86_64 socat jq cpio busybox
[ -e "$preload" ] || skip_all "$preload is not built"
guests_init "$T" || exit 1
MAP_SHM=$(scratch_shm)
note "the guests run under $GUESTS_ACCEL"
write_test_config '' '' "$(guests_match)"

ok "a memfd guest starts" start_guest F F 256 || exit 1
ok "a guest on a file starts" start_guest E E 256 || exit 1
GUEST_WRAP=(env "LD_PRELOAD=$preload")
ok "a memfd guest starts with the preload" start_guest FP F 256 || exit 1
ok "a guest on a file starts with the preload" start_guest EP E 256 || exit 1
GUEST_WRAP=()
for name in F E FP EP; do ok "$name runs its pattern" has_run "$name" || exit 1; done
ok "thpd starts" start_thpd
for name in FP EP; do ok "$name becomes huge" wait_until "$THPD_DEADLINE" guest_is_huge "$name"; done
for name in F E; do
	ok "$name is barred as misaligned" wait_until "$THPD_DEADLINE" is_barred "$name"
	ok "nothing of $name is huge" has_nothing_huge "$name"
done
for name in FP EP; do
	ok "$name goes on" guest_goes_on "$name" "$THPD_DEADLINE"
	ok "$name saw no wrong byte" guest_is_healthy "$name"
done
ok "thpd stops on SIGTERM with status 0" stop_thpd
stop_all_guests
if is_sanitized "$THPD_BUILD/thpd"; then
	skip "$COUNT starts lay out memory as without" "the library is built without sanitizers: nothing else than in release"
else
	ok "$COUNT starts of any size and kind lay out memory as without" starts_alike
fi
live_end
