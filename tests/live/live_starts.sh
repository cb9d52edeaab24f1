#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# QEMU of random size and kind, COUNT=200 times, by turns under TCG and KVM, and of 7.2 and the lab's; each without and with
# libthpd-vmm-preload.so: none fails to start, and what it lays out for its guest, asks of KVM and says is the same. One
# in 25 runs a guest that checks its own memory. SEED=N: the same ones again.
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/live/guests.sh
. "$here/guests.sh"
: "${COUNT:=200}" "${SEED:=$RANDOM}"
readonly RUNS_A_GUEST=25
preload=$THPD_BUILD/libthpd-vmm-preload.so
LOADED=()
LAB_QEMU=()
QEMU=()
ACCEL=()
SANDBOX=()
MEMORY=''
MEMORY_FILE=''
MIB=0
MACHINE=''
N_KVM=0
N_LAB=0

# --- which ones ----------------------------------------------------------------------------------

random_memory() {
	case $((RANDOM % 4)) in
	0) MEMORY='memory-backend-memfd,share=on' ;;
	1) MEMORY="memory-backend-file,mem-path=$MEMORY_FILE,share=on" ;;
	2) MEMORY='memory-backend-ram' ;;
	3) MEMORY='memory-backend-ram,share=on' ;;
	esac
}

# Odd sizes, whole huge pages, now and then whole gigabytes.
random_mib() {
	case $((RANDOM % 4)) in
	0) MIB=$((1 + RANDOM % 64)) ;;
	1) MIB=$((2 * (1 + RANDOM % 1024))) ;;
	2) MIB=$((1024 * (1 + RANDOM % 3))) ;;
	3) MIB=$((1 + RANDOM % 2048)) ;;
	esac
}

turn_of_qemu() { # N
	QEMU=(qemu-system-x86_64)
	[ ${#LAB_QEMU[@]} = 0 ] || [ $(($1 % 2)) = 0 ] || QEMU=("${LAB_QEMU[@]}")
}

# KVM need not be able to run a guest: it takes the memslots of one that never starts.
turn_of_accel() { # N
	ACCEL=(-accel "tcg,tb-size=32")
	[ ! -w /dev/kvm ] || [ $(($1 % 2)) = 0 ] || ACCEL=(-accel kvm -trace kvm_set_user_memory -D "$T/trace")
}

choose() { # N
	random_memory
	random_mib
	turn_of_accel "$1"
	turn_of_qemu $(($1 / 2))
	[ $((RANDOM % 2)) = 0 ] && MACHINE=pc || MACHINE=q35
	SANDBOX=()
	[ $((RANDOM % 2)) = 0 ] || SANDBOX=(-sandbox "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny")
}

is_under_kvm() {
	[ "${ACCEL[1]}" = kvm ]
}

# --- what is the same ----------------------------------------------------------------------------

# start WORD...: a QEMU that does not start its guest, and tells its `info mtree -f`; the words come before it.
start() {
	rm -f "$T/trace"
	printf '%s\n' '{"execute":"qmp_capabilities"}' \
		'{"execute":"human-monitor-command","arguments":{"command-line":"info mtree -f"},"id":"map"}' \
		'{"execute":"quit"}' |
		timeout 60 "$@" "${QEMU[@]}" -nodefaults -no-user-config -display none -S "${ACCEL[@]}" \
			-object "$MEMORY,id=ram,size=${MIB}M" -machine "$MACHINE,memory-backend=ram" -m "${MIB}M" -qmp stdio \
			"${SANDBOX[@]}" 2>"$T/said" | jq -r 'select(.id == "map").return' >"$T/map" && [ -s "$T/map" ]
}

# QEMU numbers and orders its views by where they lie in its heap; where in its own memory a memslot is may differ.
seen() {
	sed 's/^FlatView #.*/FlatView/' "$T/map" | sort
	cat "$T/said"
	! is_under_kvm || sed 's/ ua=0x[0-9a-f]*//' "$T/trace"
}

is_started() { # FILE WORD...
	start "${@:2}" && seen >"$1" && { ! is_under_kvm || kvm_has_slots; } && return
	cat "$T/said"
	return 1
}

# RAM and ROM at least.
kvm_has_slots() {
	[ "$(grep -c 'ret=0$' "$T/trace")" -ge 2 ] && ! grep -v 'ret=0$' "$T/trace"
}

is_alike() {
	is_started "$T/plain" env && is_started "$T/loaded" "${LOADED[@]}" && diff "$T/plain" "$T/loaded"
}

all_are_alike() {
	local i
	for ((i = 0; i < COUNT; i++)); do
		choose "$i"
		is_alike || { echo "start $i: ${QEMU[0]} ${ACCEL[1]} $MACHINE $MEMORY $MIB MiB ${SANDBOX[*]}"; return 1; }
		rm -f "$MEMORY_FILE"
		! is_under_kvm || N_KVM=$((N_KVM + 1))
		[ "${QEMU[0]}" = qemu-system-x86_64 ] || N_LAB=$((N_LAB + 1))
	done
}

# Those that ended before the library's own thread had its turn have told nothing.
most_have_told() {
	local said
	said=$(holder E state)
	echo "$said"
	[[ $said =~ ^ok\ met=([0-9]+)\  ]] || { cat "$T/holders.log"; return 1; }
	[ $((BASH_REMATCH[1] * 2)) -ge "$N_KVM" ] && [ "${BASH_REMATCH[1]}" -le "$N_KVM" ]
}

# --- guests that check themselves ----------------------------------------------------------------

runs() { # NAME
	wait_serial "$1" 'PATTERN pass=2 ' 120 && guest_is_healthy "$1"
}

random_guest() { # N
	local kinds=(A C E F) populate='' kind mib
	kind=${kinds[RANDOM % 4]} mib=$((96 + RANDOM % 128))
	[ $((RANDOM % 2)) = 0 ] || populate=huge
	turn_of_qemu "$1"
	GUEST_QEMU=("${QEMU[@]}")
	GUEST_WRAP=("${LOADED[@]}" "THPD_POPULATE=$populate")
	ok "a guest of kind $kind with $mib MiB${populate:+, born huge}" start_guest "G$1" "$kind" "$mib" || return
	ok "runs, and sees no wrong byte" runs "G$1"
	stop_guest "G$1"
}

live_begin qemu-system-x86_64 socat jq cpio busybox
[ -e "$preload" ] || skip_all "$preload is not built"
is_not is_sanitized "$THPD_BUILD/thpd" || skip_all "the library is built without sanitizers: no other than in release"
guests_init "$T" || exit 1
MEMORY_FILE=$(scratch_shm)/ram
LOADED=(env "LD_PRELOAD=$preload" "THPD_VMM_SOCKET=$T/run/vmm")
RANDOM=$SEED
note "SEED=$SEED"
mapfile -t LAB_QEMU < <(lab_qemu)
[ ${#LAB_QEMU[@]} -gt 0 ] || skip "QEMU of the lab" "make lab"

ok "thpd's end appears" start_talker E "$(helper slot_end)" "$T/run/vmm"
ok "$COUNT starts of any size and kind are as without" all_are_alike
note "$N_KVM of them under KVM, $N_LAB of the lab's QEMU"
if [ -w /dev/kvm ]; then
	ok "under KVM the library told of most" most_have_told
else
	skip "what is asked of KVM is as without" "no /dev/kvm"
fi
for ((n = 0; n < COUNT / RUNS_A_GUEST; n++)); do random_guest "$n"; done
live_end
