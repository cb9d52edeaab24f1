#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What real QEMU tells by its monitor is what the kernel says of it: each span of the guest's map is one mapping of
# the right memory backend, each vCPU its thread; and nobody is asked who may not be.
# Alone: QEMU has a second for each answer.
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"

readonly NOBODY=65534
# As the unit has it: root without the right to pass over file modes.
readonly AS_UNIT=(setpriv --inh-caps=-all
	"--bounding-set=-all,+sys_ptrace,+sys_nice,+dac_read_search,+sys_admin")
ASK_WRAP=("${AS_UNIT[@]}")
QEMU=(qemu-system-x86_64)
VM_WRAP=()
ACCEL=(-accel tcg)
VM_PID=''
VM_START=''
VM_UID=0
HOLD_PID=''

# --- the guest -----------------------------------------------------------------------------------

# Backends of different sizes, so that each has a mapping of its own size.
# shellcheck disable=SC2054  # the commas are QEMU's
readonly TWO_NODES=(-m 384M,slots=2,maxmem=2G -smp 3
	-object memory-backend-memfd,id=m0,size=128M,share=on -object memory-backend-ram,id=m1,size=256M
	-numa node,nodeid=0,cpus=0,memdev=m0 -numa node,nodeid=1,cpus=1-2,memdev=m1)
# shellcheck disable=SC2054
readonly PLUGGED=(-object memory-backend-memfd,id=m2,size=64M -device pc-dimm,memdev=m2,node=1)

start_vm() { # OPTION...
	rm -f "$T/vm/qmp" "$T/vm/control"
	"${VM_WRAP[@]}" "${QEMU[@]}" "${ACCEL[@]}" -nodefaults -display none -name guest=vm1,debug-threads=on \
		-device virtio-balloon-pci -qmp "unix:$T/vm/qmp,server=on,wait=off" \
		-qmp "unix:$T/vm/control,server=on,wait=off" "$@" >>"$T/qemu.log" 2>&1 &
	VM_PID=$!
	disown "$VM_PID"
	VM_START=$(process_starttime "$VM_PID")
	wait_until 30 test -S "$T/vm/control" && wait_until 30 has_vcpus
}

has_vcpus() {
	[ -n "$(vcpu_tids)" ]
}

# "N TID" of each vCPU, by the names of the threads.
vcpu_tids() {
	local task name
	for task in "/proc/$VM_PID/task/"*; do
		name=$(cat "$task/comm" 2>/dev/null)
		[[ $name =~ ^CPU\ ([0-9]+)/ ]] && echo "${BASH_REMATCH[1]} ${task##*/}"
	done
}

stop_vm() {
	[ -z "$VM_PID" ] || process_signal "$VM_PID" "$VM_START" KILL
	VM_PID=''
}

test_cleanup() {
	[ -z "$HOLD_PID" ] || kill "$HOLD_PID" 2>/dev/null
	stop_vm
}

control() { # COMMAND: by the other monitor
	{ printf '%s\n' '{"execute":"qmp_capabilities"}' "$1"; sleep 0.3; } |
		timeout 10 socat -t 5 - "UNIX-CONNECT:$T/vm/control"
}

# --- asking --------------------------------------------------------------------------------------

ask() {
	"${ASK_WRAP[@]}" "$THPD_BUILD/tests/live/ask/ask" "$VM_PID" "$VM_UID" "${1:-$T/vm/qmp}" >"$T/told"
}

is_told() {
	ask && cat "$T/told" && grep -qx -- "$1" "$T/told"
}

is_refused() { # WORDS [SOCKET]
	! ask "${2:-}" && cat "$T/told" && grep -q -- "^refused: .*$1" "$T/told" && is_in_time
}

is_in_time() {
	[ "$(sed -n 's/^took_us //p' "$T/told")" -lt 1500000 ]
}

# The mapping of so many bytes that may be written to: "START-END".
mapping_of() { # MIB
	local range rest from to
	while read -r range rest; do
		from=${range%-*} to=${range#*-}
		[ $((16#$to - 16#$from)) = $(($1 << 20)) ] && [[ $rest == rw* ]] && echo "$range"
	done <"/proc/$VM_PID/maps"
}

span_is() { # MIB NODE
	local range
	range=$(mapping_of "$1")
	[ -n "$range" ] && grep -qx "span $range node $2" "$T/told"
}

memfd_is() { # MIB: that mapping is of a memfd of this size
	local range
	range=$(mapping_of "$1")
	grep -q "^$range rw-s .*/memfd:memory-backend-memfd" "/proc/$VM_PID/maps"
}

cpus_are() { # NODE...: of vCPU 0, 1, ...
	local n tid nodes=("$@")
	[ "$(grep -c '^cpu ' "$T/told")" = $# ] || return 1
	while read -r n tid; do
		grep -qx "cpu $tid node ${nodes[n]}" "$T/told" || return 1
	done < <(vcpu_tids)
}

map_is_the_kernels() {
	ask && cat "$T/told" && is_in_time && grep -qx "map whole" "$T/told" &&
		span_is 128 0 && memfd_is 128 && span_is 256 1 && cpus_are 0 1 1
}

plugged_is_there() {
	map_is_the_kernels && span_is 64 1 && memfd_is 64 && is_equal "$(grep -c '^span' "$T/told")" 3
}

has_no_map() {
	ask && cat "$T/told" && ! grep -q '^span\|^cpu' "$T/told" && grep -qx "map whole" "$T/told"
}

# --- its memslots --------------------------------------------------------------------------------

# What QEMU asked KVM for, by its own trace: the slots of the first address space that are there at the end.
slots_traced() {
	local line space slot
	local -A slots=()
	while read -r line; do
		[[ $line =~ AddrSpace#([0-9]+)\ Slot#([0-9]+)\ |Slot#([0-9]+)\  ]] || continue
		space=${BASH_REMATCH[1]:-0} slot=${BASH_REMATCH[2]:-${BASH_REMATCH[3]}}
		[ "$space" = 0 ] || continue
		[[ $line =~ flags=0x([0-9a-f]+)\ gpa=0x([0-9a-f]+)\ size=0x([0-9a-f]+)\ ua=0x([0-9a-f]+) ]] || continue
		unset "slots[$slot]"
		[ "${BASH_REMATCH[3]}" = 0 ] && continue
		slots[$slot]="slot gpa ${BASH_REMATCH[2]} size ${BASH_REMATCH[3]} hva ${BASH_REMATCH[4]}"
		[ $((16#${BASH_REMATCH[1]} & 2)) = 0 ] && slots[$slot]+=" rw" || slots[$slot]+=" readonly"
	done <"$T/trace"
	printf '%s\n' "${slots[@]}" | sort
}

slots_are_those_of_kvm() {
	ask && is_in_time && grep -qx "slots whole" "$T/told" || { cat "$T/told"; return 1; }
	slots_traced >"$T/traced"
	grep '^slot ' "$T/told" | sort >"$T/slots"
	[ -s "$T/traced" ] && diff "$T/traced" "$T/slots"
}

# Guest memory at both sides of the hole below 4 GiB, ROM, a display and a DIMM.
with_slots() { # NAME MACHINE
	local name="$1, $2" ACCEL=(-accel kvm -trace kvm_set_user_memory -D "$T/trace")
	[ -w /dev/kvm ] || { skip "$name: its memslots are those of KVM" "no /dev/kvm"; return; }
	: >"$T/trace"
	start_vm -machine "$2" -m 3G,slots=2,maxmem=8G -object memory-backend-memfd,id=m0,size=3G,reserve=off \
		-numa node,memdev=m0 -device VGA "${PLUGGED[@]/node=1/node=0}" -S
	ok "$name: its memslots are those of KVM" wait_until 30 slots_are_those_of_kvm
	note "$(sed -n 's/^took_us/microseconds:/p' "$T/told"), $(grep -c . "$T/slots") slots"
	stop_vm
}

has_no_slots() {
	is_told "slots QEMU's .info mtree -f. shows no memslot of KVM" && ! grep '^slot ' "$T/told"
}

# --- measuring its dirty rate ---------------------------------------------------------------------

measure() {
	"${ASK_WRAP[@]}" "$THPD_BUILD/tests/live/ask/ask" "$VM_PID" "$VM_UID" "$T/vm/qmp" measure >"$T/told"
}

told_all() { # LINE...
	local line
	cat "$T/told"
	for line; do grep -qx -- "$line" "$T/told" || return 1; done
}

# KVM does not run the guest here, but keeps its log.
is_measured() {
	measure
	told_all "enabled yes" "running no" "migrating no" "measuring no" "vhost no" "vfio no" "ring no" "step stopped"
}

# By the clock that thpd goes by.
remembers_it() {
	measure
	told_all 'measured_s_ago [0-9]\{1,2\}'
}

has_what_forbids_it() {
	measure
	told_all "enabled yes" "vhost yes" "ring yes" "refused: .*dirty-bitmap.*"
}

# A QEMU that has just started may take longer than thpd waits.
with_measuring() { # NAME
	[ -w /dev/kvm ] || { skip "$1: its dirty rate is measured" "no /dev/kvm"; return; }
	local ACCEL=(-accel kvm)
	start_vm -machine q35 -m 256M -S
	ok "$1: its dirty rate is measured" wait_until 30 is_measured
	ok "$1: and it knows when" wait_until 30 remembers_it
	stop_vm
	ACCEL=(-accel kvm,dirty-ring-size=4096)
	start_vm -machine q35 -m 256M -S -netdev user,id=vhost0
	ok "$1: what speaks against it is seen" wait_until 30 has_what_forbids_it
	stop_vm
}

# --- tests ---------------------------------------------------------------------------------------

try_version() { # NAME MACHINE...
	local name=$1 machine
	shift
	for machine; do
		with_slots "$name" "$machine"
		start_vm -machine "$machine" "${TWO_NODES[@]}" || note "$(tail -n 3 "$T/qemu.log")"
		ok "$name, $machine: the map is what the kernel says" map_is_the_kernels
		note "$(sed -n 's/^took_us/microseconds:/p' "$T/told")"
		stop_vm
	done
	start_vm -machine q35 "${TWO_NODES[@]}" "${PLUGGED[@]}"
	ok "$name: with a DIMM that was plugged in" plugged_is_there
	stop_vm
	with_measuring "$name"
}

migrates() {
	control '{"execute":"migrate","arguments":{"uri":"exec:sleep 60"}}' >"$T/migrate"
	is_told "migrating yes"
}

asks_many_times() {
	local i
	for ((i = 0; i < 50; i++)); do ask || return 1; done
	control '{"execute":"query-status"}' | grep -q '"status": "running"'
}

live_begin qemu-system-x86_64 socat setpriv
[ -x "$THPD_BUILD/tests/live/ask/ask" ] || skip_all "not built: make live-programs"
mkdir "$T/vm"

try_version "QEMU 7.2" q35 pc pc-i440fx-3.1
mapfile -t QEMU < <(lab_qemu)
if [ ${#QEMU[@]} -gt 0 ]; then
	try_version "QEMU of the lab" q35 pc
else
	skip "QEMU of the lab" "make lab"
fi
QEMU=(qemu-system-x86_64)

start_vm -machine q35 -m 256M
ok "a guest without nodes has no map" has_no_map
ok "nor memslots, since KVM is not there" has_no_slots
ok "it is not migrating" is_told "migrating no"
ok "its balloon is as large as it" is_told "balloon $((256 << 20))"
ok "fifty times in a row, and the guest runs on" asks_many_times
socat -u "UNIX-CONNECT:$T/vm/qmp" "CREATE:$T/held" &
HOLD_PID=$!
wait_until 10 test -s "$T/held"
ok "a monitor that another client holds is given up" is_refused "another client"
kill "$HOLD_PID" && wait "$HOLD_PID" 2>/dev/null
HOLD_PID=''
ok "and asked again afterwards" is_told "map whole"
socat "UNIX-LISTEN:$T/vm/other,fork" EXEC:cat &
HOLD_PID=$!
wait_until 10 test -S "$T/vm/other"
ok "another process is not listened to" is_refused "another process" "$T/vm/other"
kill "$HOLD_PID" && wait "$HOLD_PID" 2>/dev/null
HOLD_PID=''
kill -STOP "$VM_PID"
ok "who stands still is given up" is_refused "."
kill -CONT "$VM_PID"
ok "a migration under way is told" migrates
stop_vm

VM_UID=$NOBODY
VM_WRAP=(setpriv --reuid="$NOBODY" --regid="$NOBODY" --clear-groups)
chmod 755 "$T"
chown "$NOBODY:0" "$T/vm"
chmod 2770 "$T/vm"
umask 0002
start_vm -machine q35 "${TWO_NODES[@]}"
ok "another user's QEMU, by the group of the directory" map_is_the_kernels
stop_vm
umask 0022
start_vm -machine q35 "${TWO_NODES[@]}"
ok "without the group's right to write it is refused, and why" is_refused "its mode and group decide"
VM_UID=1
ok "the socket of a third user is refused" is_refused "neither root's nor the VM's"
stop_vm
live_end
