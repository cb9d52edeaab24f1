# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What KVM does when the host's mapping changes, when a dirty log goes on and off, and when addresses do not agree: the
# facts that thpd's acting rests on, with nobody at work but the tiny VMM. "4K 2M 1G" are numbers of mapped pages.
set -uo pipefail
# shellcheck source=../service.inc
. tests/lab/service.inc
# shellcheck source=../vmm.inc
. tests/lab/vmm.inc

readonly NONE='0 0 0' SMALL='16384 0 0' HUGE='0 32 0'

# A VMM with 64 MiB of memfd that the guest has touched, mapped huge; OPTION is the VMM's.
huge_vmm() { # NAME OPTION...
	start_vmm "$1" "${@:2}" && add_slot "$1" 0 memfd bytes=64M gpa=1G && holder "$1" state 0 small &&
		holder "$1" state 0 huge && guest_touches "$1" 0 store && has_sptes "$1" $HUGE
}

dirty_pages_are() { # NAME COUNT
	is_equal "$(answer_value pages "$(holder "$1" dirty 0)")" "$2"
}

touched() { # NAME 4K 2M 1G: after the guest has checked all of it
	guest_touches "$1" 0 check && has_sptes "$@"
}

written() { # NAME 4K 2M 1G: after the guest has written all of it
	guest_touches "$1" 0 store && has_sptes "$@"
}

# Linux 7 puts the large pages back in place. Before it, KVM forgets the small ones, and the guest's next touch brings
# large ones.
after_the_log() {
	case $KERNEL in
	6.*) echo "$NONE" ;;
	*) echo "$HUGE" ;;
	esac
}

collapse() {
	ok "collapse: a guest" huge_vmm vmm-a
	ok "collapse: its mapping is taken apart" holder vmm-a state 0 pte
	ok "collapse: KVM has none of it any more" has_sptes vmm-a $NONE
	ok "collapse: the guest's touch brings small pages" touched vmm-a $SMALL
	place=$(holder vmm-a frames 0)
	ok "collapse: it is mapped huge again" holder vmm-a state 0 huge
	ok "collapse: in place, without a copy" is_equal "$(holder vmm-a frames 0)" "$place"
	ok "collapse: KVM has none of the small ones any more" has_sptes vmm-a $NONE
	ok "collapse: the guest's touch brings large pages" touched vmm-a $HUGE
	ok "collapse: of what is huge already" holder vmm-a state 0 huge
	ok "collapse: that takes nothing away" has_sptes vmm-a $HUGE
	ok "collapse: the memslot is made anew" holder vmm-a recreate 0
	ok "collapse: KVM has none of it" has_sptes vmm-a $NONE
	ok "collapse: the guest's touch brings large pages" touched vmm-a $HUGE
	stop_holder vmm-a
}

dirty_log() {
	ok "log: a guest" huge_vmm vmm-a
	ok "log: on" holder vmm-a log 0
	ok "log: the guest's writes bring small pages" written vmm-a $SMALL
	ok "log: all of them are in it" dirty_pages_are vmm-a 16384
	ok "log: off" holder vmm-a unlog 0
	# shellcheck disable=SC2046  # three numbers
	ok "log: then $(after_the_log)" has_sptes vmm-a $(after_the_log)
	fact "after a dirty log, KVM's large pages are back at once" "the guest's next touch brings them" has_sptes vmm-a $HUGE
	ok "log: the guest's touch brings large pages" touched vmm-a $HUGE
	stop_holder vmm-a
}

# As QEMU has it: everything counts as dirty at first, and only what is cleared is write-protected.
initially_set() {
	ok "initially set: a guest" huge_vmm vmm-a --dirty-log=initially-set
	ok "initially set: on" holder vmm-a log 0
	ok "initially set: the guest's writes leave large pages" written vmm-a $HUGE
	ok "initially set: off" holder vmm-a unlog 0
	ok "initially set: nothing was lost" touched vmm-a $HUGE
	ok "initially set: on again" holder vmm-a log 0
	ok "initially set: all of it counts as dirty" dirty_pages_are vmm-a 16384
	ok "initially set: cleared" holder vmm-a clear 0
	ok "initially set: the guest's writes bring small pages" written vmm-a $SMALL
	ok "initially set: off" holder vmm-a unlog 0
	ok "initially set: the guest's touch brings large pages" touched vmm-a $HUGE
	stop_holder vmm-a
}

# Huge for the host, and never for the guest: the addresses differ within 2 MiB.
off_by_a_page() {
	ok "off: a VMM" start_vmm vmm-a
	ok "off: memory 4 KiB off its place in the guest" add_slot vmm-a 0 memfd bytes=64M gpa=0x40001000
	ok "off: small at first" holder vmm-a state 0 small
	ok "off: huge for the host" holder vmm-a state 0 huge
	ok "off: that is true" holder_is_huge vmm-a
	ok "off: small for the guest" written vmm-a $SMALL
	stop_holder vmm-a
	ok "skewed: a VMM" start_vmm vmm-a
	ok "skewed: memory 4 KiB off 2 MiB" add_slot vmm-a 0 memfd bytes=64M gpa=1G skew=4K
	ok "skewed: small at first" holder vmm-a state 0 small
	ok "skewed: the host cannot make it huge" is_not holder vmm-a state 0 huge
	ok "skewed: small for the guest" written vmm-a $SMALL
	stop_holder vmm-a
}

service_begin
collapse
dirty_log
initially_set
off_by_a_page
live_end
