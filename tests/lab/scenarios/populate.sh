# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Memory that is huge before the guest touches it. Inside: by thpd's library in a real QEMU of another user, by what KVM
# maps of it. From outside, by thpd in the unit's sandbox: of a guest that waits for its first instruction, and of a VMM
# without page tables, where the kernel lets it. Both on the node that the memory is bound to, wherever who fills it
# runs; from outside else on the node of the guest.
set -uo pipefail
# shellcheck source=../service.inc
. tests/lab/service.inc
# shellcheck source=../guests.inc
. tests/lab/guests.inc
# shellcheck source=../vmm.inc
. tests/lab/vmm.inc

GUEST_PRELOAD=$(find /usr/lib /usr/local/lib -name libthpd-vmm-preload.so | head -n 1)

# --- by the library ------------------------------------------------------------------------------

# What KVM maps of the blocks that the guest touches, from 4 MiB on; the rest is firmware and the first MiB, which is
# several slots.
readonly TOUCHED_BLOCKS=$(((GUEST_RAM >> 21) - 2))

kvm_maps_it_small() { # NAME
	local small large
	read -r small large <<<"$(guest_sptes "$1")"
	[ "$large" = 0 ] && [ "$small" -ge $((TOUCHED_BLOCKS * 512)) ] || { echo "4k $small 2m $large"; return 1; }
}

kvm_maps_it_huge() { # NAME
	local small large
	read -r small large <<<"$(guest_sptes "$1")"
	[ "$large" -ge $TOUCHED_BLOCKS ] && [ "$small" -le 1024 ] || { echo "4k $small 2m $large"; return 1; }
}

guest_is_all_huge() { # NAME
	local start end
	read -r start end <<<"$(ram_range "$1")"
	is_equal "$(smaps_range "${HOLDER_PID[$1]}" "$start" $((end - start)))" "$GUEST_RAM $GUEST_RAM"
}

# --- on which node -------------------------------------------------------------------------------

# QEMU is tied to processor 1, the one of node 1.
readonly BOUND_GUEST=(-m 64M -machine memory-backend=m0
	-object memory-backend-memfd,id=m0,size=64M,host-nodes=0,policy=bind)

# lies_on_node NAME POLICY NODE: so says the kernel of the mapping, and names no other node.
lies_on_node() {
	local start line nodes
	read -r start _ <<<"$(ram_range "$1")"
	line=$(grep "^$(printf '%x' "$start") " "/proc/${HOLDER_PID[$1]}/numa_maps")
	nodes=$(grep -o ' N[0-9]*=' <<<"$line")
	[[ $line == *" $2 "* ]] && is_equal "$nodes" " N$3=" || { echo "$line"; return 1; }
}

by_the_library_where_it_is_bound() {
	THPD_POPULATE=huge ok "a guest on node 1, its memory bound to node 0" \
		start_qemu bound '' "${BOUND_GUEST[@]}" -name guest=bound
	ok "bound: born huge, too" guest_is_all_huge bound
	ok "bound: on node 0" lies_on_node bound bind:0 0
	ok "bound: the guest touches its memory" guest_does bound store
	ok "bound: still there" lies_on_node bound bind:0 0
	ok "bound: it ends" holder bound halt
}

# --- populating ----------------------------------------------------------------------------------

write_populating_rule() { # FILE MATCH
	write_rule "$1" full "$2" && printf '%s\n' '[Populate]' 'Mode=huge' >>"$CONF/vm.d/$1"
}

huge_bytes() { # NAME
	local start end huge
	read -r start end <<<"$(ram_range "$1")"
	read -r huge _ <<<"$(smaps_range "${HOLDER_PID[$1]}" "$start" $((end - start)))"
	echo "$huge"
}

# All but the first blocks at most, where the firmware has put something.
is_born_huge() { # NAME
	local huge
	huge=$(huge_bytes "$1")
	[ "$huge" -ge $((GUEST_RAM - (4 << 20))) ] || { echo "$huge huge" && return 1; }
}

explains() { # NAME REASON
	ctl explain "${HOLDER_PID[$1]}" --json | jq -e --arg reason "$2" '.runs | any(.reason == $reason)'
}

# Not only what is there by now.
is_all_huge() { # NAME
	is_equal "$(holder_huge "$1")" "${HOLDER_BYTES[$1]} ${HOLDER_BYTES[$1]}"
}

is_judged() { # NAME
	is_all_huge "$1" || explains "$1" populate-refused || explains "$1" not-seen-from-start
}

# An emulated host may be too slow to see it within 30 s of its start: then another one. YOUNG is its name.
start_without_page_tables() {
	for YOUNG in young1 young2 young3; do
		start_vmm "$YOUNG" && add_slot "$YOUNG" 0 memfd bytes=64M gpa=1G && wait_until 120 is_judged "$YOUNG" || return 1
		explains "$YOUNG" not-seen-from-start >/dev/null || return 0
	done
	return 1
}

has_its_cure() { # NAME
	ctl explain "${HOLDER_PID[$1]}" | tr -s ' \n' ' ' | grep 'What to do: Linux 6.18 or newer'
}

failed_calls() {
	ctl status --json | jq -r .host.counters.failed_calls
}

on_request() { # NAME
	ctl populate "${HOLDER_PID[$1]}" --wait
}

# A touch makes the page table; a block that the kernel had made, and could not map, is huge with its own.
where_the_kernel_refuses() {
	local failed
	IS_REFUSED=yes
	ok "thpd says that this kernel does not, and since when" has_its_cure "$YOUNG"
	ok "it ends its cycle" looked_again "$YOUNG" 1
	failed=$(failed_calls)
	ok "it looks three times more" looked_again "$YOUNG" 3
	ok "and does not try again" is_equal "$(failed_calls)" "$failed"
	ok "the guest touches a page" guest_touches "$YOUNG" 0 store from=0 bytes=4K
	ok "on request it is populated then" wait_until 120 on_request "$YOUNG"
	ok "the guest touches everything" guest_touches "$YOUNG" 0 store
	ok "all of it is huge" wait_until 120 is_all_huge "$YOUNG"
}

IS_REFUSED=no

# Before Linux 6.18 it depends on whether QEMU had come to touch that GiB when thpd looked.
is_born_huge_if_it_may() { # NAME
	is_born_huge "$1" || { [ "$IS_REFUSED" = yes ] && explains "$1" populate-refused; }
}

populating_without_page_tables() {
	ok "a VMM without page tables" start_without_page_tables
	fact "memory is populated where the VMM has no page table" "Linux 6.18 is needed" is_all_huge "$YOUNG"
	is_all_huge "$YOUNG" || where_the_kernel_refuses
	ok "its guest writes" guest_touches "$YOUNG" 0 store
	ok "by large pages" has_sptes "$YOUNG" 0 32 0
	ok "and reads what it wrote" guest_touches "$YOUNG" 0 check
}

# What was refused is copied once the guest has touched it.
populating_before_the_first_instruction() {
	ok "a guest that waits" start_qemu_stopped gamma '' "${MEMFD_GUEST[@]}" -name guest=gamma
	ok "it is huge before its first instruction, where it may" wait_until 120 is_born_huge_if_it_may gamma
	ok "which it makes then" guest_begins gamma
	ok "it touches its memory" guest_does gamma store
	ok "which is huge" wait_until 120 is_born_huge gamma
	ok "and has lost nothing" guest_does gamma check
	ok "it ends" holder gamma halt
}

# thpd on the processor of node 1, as QEMU is.
from_outside_where_it_is_bound() {
	if [ "$IS_REFUSED" = yes ]; then
		note 'bound: from outside Linux 6.18 is needed'
		return
	fi
	ok "thpd runs on node 1" taskset -a -p -c 1 "$(systemctl show -P MainPID thpd)"
	ok "a guest that waits on node 1, its memory bound to node 0" \
		start_qemu_stopped epsilon '' "${BOUND_GUEST[@]}" -name guest=epsilon
	ok "epsilon: populated from outside" wait_until 120 is_born_huge epsilon
	ok "epsilon: on node 0" lies_on_node epsilon bind:0 0
	ok "epsilon: the guest begins" guest_begins epsilon
	ok "epsilon: it touches its memory" guest_does epsilon store
	ok "epsilon: still there" lies_on_node epsilon bind:0 0
	ok "epsilon: it ends" holder epsilon halt
}

# thpd on the processor of the other node.
from_outside_where_it_runs() {
	[ "$IS_REFUSED" = no ] || return 0
	ok "thpd runs on node 0" taskset -a -p -c 0 "$(systemctl show -P MainPID thpd)"
	ok "a guest that waits on node 1, its memory bound to no node" \
		start_qemu_stopped zeta '' "${MEMFD_GUEST[@]}" -name guest=zeta,debug-threads=on
	ok "zeta: populated from outside" wait_until 120 is_born_huge zeta
	ok "zeta: on its own node" lies_on_node zeta default 1
	ok "zeta: the guest begins" guest_begins zeta
	ok "zeta: it ends" holder zeta halt
}

# More than a node has, and less than both together.
from_outside_with_no_room() {
	[ "$IS_REFUSED" = no ] || return 0
	printf '%s\n' '[Budget]' 'FreeReserve=2G' >"$CONF/thpd.conf.d/reserve.conf"
	ok "no node has anything above its reserve" systemctl reload thpd
	ok "a guest that waits" start_qemu_stopped eta '' "${MEMFD_GUEST[@]}" -name guest=eta,debug-threads=on
	ok "eta: its node is full" wait_until 120 explains eta node-full
	ok "eta: thpd looks again" looked_again eta 2
	ok "eta: nothing was populated" is_equal "$(huge_bytes eta)" 0
	rm "$CONF/thpd.conf.d/reserve.conf"
	ok "there is room" systemctl reload thpd
	ok "eta: populated" wait_until 120 is_born_huge eta
	ok "eta: on its own node" lies_on_node eta default 1
	ok "eta: the guest begins" guest_begins eta
	ok "eta: it ends" holder eta halt
}

# A tmpfs file of another user's may be written to by nobody else.
populating_a_file() {
	ok "a guest that waits, on a file of its user's" start_qemu_stopped delta '' -name guest=delta -m 64M \
		-object "memory-backend-file,id=m0,size=64M,share=on,align=2M,mem-path=$(guest_file delta)" \
		-machine memory-backend=m0
	ok "thpd may not write to it, and says so" wait_until 120 explains delta file-not-writable
	rm -f "$(guest_file delta)"
}

service_begin
printf '%s\n' '[Manager]' 'Interval=200ms' 'MaxAge=2s' >"$CONF/thpd.conf.d/test.conf"
write_populating_rule gamma.conf Name=gamma
write_populating_rule delta.conf Name=delta
write_populating_rule epsilon.conf Name=epsilon
write_populating_rule zeta.conf Name=zeta
write_populating_rule eta.conf Name=eta
write_populating_rule young.conf "Comm=${HOLDER_COMM}young*"
preload=$GUEST_PRELOAD
ok "the library is installed" test -r "$GUEST_PRELOAD"
ok "a guest with the library, of another user" start_memfd_guest alpha
ok "it touches its memory" guest_does alpha store
ok "KVM maps it by small pages" kvm_maps_it_small alpha
THPD_POPULATE=huge ok "a guest that is born huge" start_memfd_guest born
ok "all of its memory is huge in the VMM before the guest touches it" guest_is_all_huge born
ok "no policy says otherwise: on the node where QEMU runs" lies_on_node born default 1
ok "it touches its memory" guest_does born store
ok "KVM maps it by huge pages from the first touch on" kvm_maps_it_huge born
ok "the guest has lost nothing" guest_does born check
note "KVM's 4K and 2M entries: lazily $(guest_sptes alpha), born huge $(guest_sptes born)"
ok "it ends" holder born halt
ok "the other one ends" holder alpha halt
by_the_library_where_it_is_bound
ok "thpd starts" systemctl start thpd
GUEST_PRELOAD=''
populating_without_page_tables
populating_a_file
GUEST_PRELOAD=$preload
populating_before_the_first_instruction
from_outside_where_it_is_bound
from_outside_where_it_runs
from_outside_with_no_room
live_end
