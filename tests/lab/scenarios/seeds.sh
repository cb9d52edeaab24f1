# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The cases this project began with, on the tiny VMM, with KVM's own count of what it maps into the guest. Each is
# brought about while thpd is away; then the service starts. "4K 2M 1G" below are numbers of mapped pages.
set -uo pipefail
# Looks are dear under emulation, the more so on a machine with more to do, and thpd spends one part in a hundred of a
# processor on those of a VM: one that has just been looked at has to wait.
THPD_DEADLINE=240
# shellcheck source=../service.inc
. tests/lab/service.inc
# shellcheck source=../vmm.inc
. tests/lab/vmm.inc
# shellcheck source=../pmem.inc
. tests/lab/pmem.inc

readonly MIB=64 SMALL='16384 0 0' HUGE='0 32 0'

# The VMM NAME with one slot of MIB at 1 GiB; WORDS as of `slot`, after its number.
vmm_with() { # NAME WORDS...
	start_vmm "$1" && add_slot "$1" 0 "${@:2}" bytes=${MIB}M gpa=1G
}

# A shared memory whose folios are huge, mapped page by page, and a guest that has touched all of it.
make_remappable() { # NAME
	holder "$1" state 0 small && holder "$1" state 0 huge && holder "$1" state 0 pte && guest_touches "$1" 0 store
}

is_backed_by() { # NAME BACKING
	is_equal "$(vm_field "${HOLDER_PID[$1]}" .backing)" "$2"
}

# PAGEMAP_SCAN sees that DAX memory is mapped huge; a kernel without it leaves thpd without an answer.
is_known_as_far_as_can_be() { # NAME
	case $KERNEL in
	6.1) is_explained_by "$1" dax-likely-huge ;;
	*) is_explained_by "$1" none && claims_at_least 100 "${HOLDER_PID[$1]}" ;;
	esac
}

was_never_acted_on() { # NAME
	is_equal "$(vm_field "${HOLDER_PID[$1]}" .last_action)" null
}

ended_at() { # NAME: when its last action was
	vm_field "${HOLDER_PID[$1]}" .last_action.ended_realtime_us
}

thpd_comes() {
	systemctl start thpd
}

# What looks cost there is worth knowing: it decides how long all of this takes.
thpd_goes() { # SEED
	local name
	note "$1: $(ctl status --json | jq -r '.host.counters | "\(.cycles) cycles, \(.look_cpu_ns / 1e6 | round) ms of looks"')"
	systemctl stop thpd
	for name in "${!HOLDER_PID[@]}"; do stop_holder "$name"; done
	rm -rf "${shm:?}"/*
}

# 87 blocks, 12 of them huge: the coverage of 13.8 % and the 12 large pages of the 2019 report.
seed_a() {
	ok "a: a guest on tmpfs" start_vmm vmm-a || return
	ok "a: of 174 MiB" add_slot vmm-a 0 file "path=$shm/ram" bytes=174M gpa=1G || return
	ok "a: its file is huge" make_remappable vmm-a || return
	ok "a: twelve blocks are mapped so" holder vmm-a state 0 huge bytes=24M
	ok "a: the guest touches everything" guest_touches vmm-a 0 check
	ok "a: before: 13.8 % on the host" is_equal "$(holder_huge vmm-a)" "$((24 << 20)) $((174 << 20))"
	ok "a: before: 12 large pages in the guest" has_sptes vmm-a 38400 12 0
	local place
	place=$(frames vmm-a)
	ok "a: the guest writes meanwhile" holder vmm-a loop 0 update
	thpd_comes
	ok "a: after: everything huge on the host" wait_until "$THPD_DEADLINE" holder_is_huge vmm-a
	ok "a: thpd says so" wait_until "$THPD_DEADLINE" claims_at_least 99 "${HOLDER_PID[vmm-a]}"
	ok "a: the guest lost no write" guest_halts_well vmm-a
	ok "a: the guest touches everything" guest_touches vmm-a 0 check
	ok "a: after: everything huge in the guest" has_sptes vmm-a 0 87 0
	ok "a: without a copy" stays_in_place vmm-a "$place"
}

seed_b() {
	ok "b: a guest on tmpfs" vmm_with vmm-b file "path=$shm/ram" || return
	ok "b: huge, mapped page by page" make_remappable vmm-b || return
	ok "b: another process maps it" start_holder vmm-report --kind=file "--path=$shm/ram" --size=$MIB --attach || return
	ok "b: page by page" holder vmm-report pte
	thpd_comes
	ok "b: the VMM's mapping is repaired" wait_until "$THPD_DEADLINE" holder_is_huge vmm-b
	ok "b: the guest touches everything" guest_touches vmm-b 0 check
	ok "b: the guest's, too" has_sptes vmm-b $HUGE
	ok "b: the other's is reported" wait_until "$THPD_DEADLINE" is_reported vmm-report $((MIB << 20))
	ok "b: and left as it is" holder_has_nothing_huge vmm-report
}

# A private mapping of a snapshot: as restored, and with a page that the guest wrote in every block.
seed_c() {
	ok "c: a snapshot in tmpfs" start_holder maker --kind=file "--path=$shm/ram" --size=$MIB --state=huge || return
	local name clean copied
	for name in vmm-clean vmm-copied; do
		ok "c: $name maps it for itself" vmm_with $name private "path=$shm/ram" || return
		ok "c: $name reads it all" holder $name touch 0 check
		ok "c: $name maps it page by page" holder $name state 0 pte
	done
	ok "c: one writes to each block" guest_touches vmm-copied 0 store stride=2M
	clean=$(frames vmm-clean) copied=$(frames vmm-copied)
	thpd_comes
	for name in vmm-clean vmm-copied; do
		ok "c: $name: explained" wait_until "$THPD_DEADLINE" is_explained_by $name private-file
		ok "c: $name: looked at again" looked_again $name 2
		ok "c: $name: never forced" was_never_acted_on $name
		ok "c: $name: nothing huge" holder_has_nothing_huge $name
	done
	ok "c: the first's pages are where they were" stays_in_place vmm-clean "$clean"
	ok "c: the second's, too" stays_in_place vmm-copied "$copied"
	ok "c: what was written is there" guest_touches vmm-copied 0 check stride=2M
}

is_refused() { # NAME
	local reason
	reason=$(reason_at "$1" 0)
	[ "$reason" = busy-retry ] || [ "$reason" = pinned-suspected ] || { echo "$reason"; return 1; }
}

# Pinned by io_uring, as VFIO pins: there is no IOMMU in the lab to assign a device with.
seed_d() {
	ok "d: a guest on memfd" vmm_with vmm-remap memfd || return
	ok "d: huge, mapped page by page" make_remappable vmm-remap || return
	ok "d: one of small pages" vmm_with vmm-memfd memfd || return
	ok "d: one of anonymous small pages" vmm_with vmm-anon anon || return
	local name ended
	local -A place=()
	for name in vmm-memfd vmm-anon; do
		ok "d: $name: filled" holder $name state 0 small
		ok "d: $name: the guest touches everything" guest_touches $name 0 store
	done
	for name in vmm-remap vmm-memfd vmm-anon; do
		ok "d: $name: pinned" holder $name pin 0
		place[$name]=$(frames $name)
	done
	thpd_comes
	ok "d: pinned, remapped" wait_until "$THPD_DEADLINE" holder_is_huge vmm-remap
	ok "d: the guest touches everything" guest_touches vmm-remap 0 check
	ok "d: huge in the guest" has_sptes vmm-remap $HUGE
	for name in vmm-memfd vmm-anon; do
		ok "d: $name: the copy is refused, and that is said" wait_until "$THPD_DEADLINE" is_refused $name
		ended=$(ended_at $name)
		ok "d: $name: it was tried" is_not is_equal "$ended" null
		ok "d: $name: looked at again" looked_again $name 3
		ok "d: $name: not tried again" is_equal "$(ended_at $name)" "$ended"
		ok "d: $name: nothing huge" holder_has_nothing_huge $name
	done
	for name in vmm-remap vmm-memfd vmm-anon; do
		ok "d: $name: every page is where it was" stays_in_place $name "${place[$name]}"
		ok "d: $name: the contents are right" guest_touches $name 0 check
	done
	ok "d: the pin ends" holder vmm-memfd unpin 0
	ok "d: the guest writes meanwhile" holder vmm-memfd loop 0 update
	# The kernel refuses a block now and then while a guest writes into it.
	ok "d: asked for, it is copied" thpctl collapse "${HOLDER_PID[vmm-memfd]}" --wait
	ok "d: that is true" is_not holder_has_nothing_huge vmm-memfd
	ok "d: the guest lost no write" guest_halts_well vmm-memfd
	ok "d: asked for once more, it becomes huge" thpctl collapse "${HOLDER_PID[vmm-memfd]}" --wait --target=99
	ok "d: that is true" holder_is_huge vmm-memfd
	ok "d: the contents are right" guest_touches vmm-memfd 0 check
}

seed_e() {
	ok "e: a guest on memfd" vmm_with vmm-e memfd || return
	ok "e: huge, mapped page by page" make_remappable vmm-e || return
	ok "e: a pager arms it" holder vmm-e arm 0
	thpd_comes
	ok "e: barred: userfaultfd" wait_until "$THPD_DEADLINE" is_explained_by vmm-e userfaultfd
	ok "e: looked at again" looked_again vmm-e 3
	ok "e: untouched" was_never_acted_on vmm-e
	ok "e: mapped as it was" has_sptes vmm-e $SMALL
	ok "e: the pager ends" holder vmm-e disarm 0
	ok "e: huge after it" wait_until "$THPD_DEADLINE" holder_is_huge vmm-e
	ok "e: the guest touches everything" guest_touches vmm-e 0 check
	ok "e: huge in the guest" has_sptes vmm-e $HUGE
}

# Everything that a user asks of thpd, too, keeps off the page table.
nothing_walks_it() { # NAME
	local verb
	for verb in explain show plan snapshot; do thpctl "$verb" "${HOLDER_PID[$1]}" || return 1; done
	thpctl record "$T/record" "${HOLDER_PID[$1]}"
}

# A walk of the page table of 1 GiB pages splits them, and KVM's pages with them: the scenario does it itself at the end.
seed_f() {
	ok "f: a file system with DAX" fsdax_mount /mnt/dax || return
	ok "f: a guest on it" vmm_with vmm-fsdax file path=/mnt/dax/ram || return
	ok "f: its guest touches everything" guest_touches vmm-fsdax 0 store
	ok "f: huge from birth" has_sptes vmm-fsdax $HUGE
	ok "f: a device-dax with 1 GiB pages" devdax_make 1G || return
	ok "f: a guest on it" start_vmm vmm-devdax || return
	ok "f: of 1 GiB" add_slot vmm-devdax 0 file path=/dev/dax1.0 bytes=1G gpa=1G || return
	ok "f: its guest touches every 2 MiB" guest_touches vmm-devdax 0 store stride=2M
	ok "f: one page of 1 GiB" has_sptes vmm-devdax 0 0 1
	thpd_comes
	ok "f: seen: fs-dax" wait_until "$THPD_DEADLINE" is_backed_by vmm-fsdax fsdax
	ok "f: said to be huge, where that can be known" wait_until "$THPD_DEADLINE" is_known_as_far_as_can_be vmm-fsdax
	fact "whether a DAX file is mapped huge can be seen" "PAGEMAP_SCAN needs Linux 6.7" \
		claims_at_least 100 "${HOLDER_PID[vmm-fsdax]}"
	ok "f: seen: device-dax" wait_until "$THPD_DEADLINE" is_backed_by vmm-devdax devdax
	ok "f: explained: 1 GiB pages" wait_until "$THPD_DEADLINE" is_explained_by vmm-devdax device-dax-1g
	for name in vmm-fsdax vmm-devdax; do
		ok "f: $name: looked at again" looked_again $name 3
		ok "f: $name: never acted on" was_never_acted_on $name
	done
	ok "f: the device is asked about" nothing_walks_it vmm-devdax
	ok "f: its page of 1 GiB stays" has_sptes vmm-devdax 0 0 1
	ok "f: the file's pages of 2 MiB stay" has_sptes vmm-fsdax $HUGE
	ok "f: the file's contents are right" guest_touches vmm-fsdax 0 check
	ok "f: the device's, too" guest_touches vmm-devdax 0 check stride=2M
	ok "f: somebody walks the device's page table" holder vmm-devdax host 0
	ok "f: and the page of 1 GiB is gone" has_sptes vmm-devdax 0 0 0
}

seed_g() {
	ok "g: a guest on it" vmm_with vmm-g hugetlb || return
	ok "g: its guest touches everything" guest_touches vmm-g 0 store
	thpd_comes
	ok "g: reported as what it is" wait_until "$THPD_DEADLINE" is_backed_by vmm-g hugetlb
	ok "g: and why nothing is to be done" wait_until "$THPD_DEADLINE" is_explained_by vmm-g hugetlb
	ok "g: looked at again" looked_again vmm-g 2
	ok "g: never acted on" was_never_acted_on vmm-g
	ok "g: huge in the guest" has_sptes vmm-g $HUGE
}

# At the beginning: memory is whole then.
make_pool() {
	echo 32 >/proc/sys/vm/nr_hugepages
	is_equal "$(cat /proc/sys/vm/nr_hugepages)" 32
}

service_begin
shm=$(scratch_shm)
printf '%s\n' '[Manager]' 'Interval=200ms' 'MaxAge=2s' >"$CONF/thpd.conf.d/test.conf"
write_rule test.conf full "$(holders_match)"
write_rule 10-report.conf report "Comm=${HOLDER_COMM}vmm-report"
ok "a pool of hugetlb pages for g" make_pool
for seed in a b c d e f g; do
	seed_"$seed"
	thpd_goes "$seed"
done
live_end
