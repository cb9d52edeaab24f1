# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The nudge: dirty logging on and off at once, by which a VMM makes KVM look again at what it maps by small pages. For
# each way in which they come to be: what a collapse does about them, what a nudge does, what both do, the collapse
# first. "4K/2M" are numbers of mapped pages, after the guest has touched all of it. docs/NUDGE.md is made of the lines
# "# LEFT-OVER" (tests/lab/nudge_doc.sh).
set -uo pipefail
# shellcheck source=../service.inc
. tests/lab/service.inc
# shellcheck source=../vmm.inc
. tests/lab/vmm.inc

readonly BYTES=4M SMALL=1024/0 HUGE=0/2
# One block of 4K, and of what KVM maps for the inner guest 4 or 8 pages: it fetches more than it was asked for.
case $KERNEL in
6.1) readonly NESTED=516/1 ;;
*) readonly NESTED=520/1 ;;
esac
# What the guest steps through, where it is not all of the slot.
RANGE=''

test_cleanup() {
	rm -f "/dev/shm/$HOLDER_COMM"rom
}

# The guest looks at every word, and KVM maps what it needs.
sptes_when_touched() { # NAME
	# shellcheck disable=SC2086  # words of a command
	guest_touches "$1" 0 check $RANGE >/dev/null && sptes "$1"
}

# Memory that nobody has touched, in place of what was there.
fresh() { # NAME KIND WORD...
	holder "$1" drop 0
	add_slot "$1" 0 "$2" "bytes=$BYTES" "${@:3}"
}

# left_over TEXT VMM BEFORE COLLAPSED NUDGED BOTH SETUP...: the counts before, after a collapse alone, after a nudge
# alone, and after a nudge that followed the collapse. What SETUP makes is made twice.
left_over() {
	local text=$1 vmm=$2 before collapsed both nudged
	ok "$text: made" "${@:7}" "$vmm"
	before=$(sptes_when_touched "$vmm")
	holder "$vmm" collapse 0 >/dev/null
	collapsed=$(sptes_when_touched "$vmm")
	holder "$vmm" nudge 0 >/dev/null
	both=$(sptes_when_touched "$vmm")
	ok "$text: made once more" "${@:7}" "$vmm"
	holder "$vmm" nudge 0 >/dev/null
	nudged=$(sptes_when_touched "$vmm")
	printf '# LEFT-OVER\t%s\t%s\t%s\t%s\t%s\n' "$text" "$before" "$collapsed" "$nudged" "$both"
	ok "$text: before" is_equal "$before" "$3"
	ok "$text: a collapse" is_equal "$collapsed" "$4"
	ok "$text: a nudge" is_equal "$nudged" "$5"
	ok "$text: both" is_equal "$both" "$6"
}

# --- the ways -------------------------------------------------------------------------------------

# Linux 6.1 to 6.12 break a huge zero page up when it is written to.
if_zero_page_is_split() { # THEN ELSE
	case $KERNEL in
	6.*) echo "$1" ;;
	*) echo "$2" ;;
	esac
}

small_folios() { # KIND VMM
	fresh "$2" "$1" gpa=1G && holder "$2" state 0 small && guest_touches "$2" 0 store
}

huge_folios() { # KIND VMM
	small_folios "$@" && holder "$2" state 0 huge && guest_touches "$2" 0 store
}

page_by_page() { # KIND VMM
	huge_folios "$@" && holder "$2" state 0 pte
}

# Written while every page is in the log; of INITIALLY_SET only what was cleared is.
logged() { # VMM
	holder "$1" log 0 && holder "$1" dirty 0 && { [ "$1" = plain ] || holder "$1" clear 0; } && guest_touches "$1" 0 store
}

log_ended() { # VMM
	huge_folios memfd "$1" && logged "$1" && holder "$1" unlog 0
}

log_ended_while_small() { # VMM
	huge_folios memfd "$1" && logged "$1" && holder "$1" state 0 pte && guest_touches "$1" 0 check &&
		holder "$1" unlog 0
}

log_goes_on() { # VMM
	huge_folios memfd "$1" && logged "$1"
}

log_goes_on_uncleared() { # VMM
	page_by_page memfd "$1" && guest_touches "$1" 0 check && holder "$1" log 0
}

# The words do not belong there at first. With THP on the guest reads the huge zero page.
read_then_written() { # KIND VMM
	thp always && fresh "$2" "$1" gpa=1G && holder "$2" touch 0 check && guest_touches "$2" 0 store && thp never
}

off_by_a_page() { # VMM
	fresh "$1" memfd gpa=0x40001000 && holder "$1" state 0 small && holder "$1" state 0 huge && guest_touches "$1" 0 store
}

# A slot that begins and ends in the middle of 2 MiB.
halves_at_the_ends() { # VMM
	fresh "$1" anon gpa=1025M skew=1M && guest_touches "$1" 0 store && holder "$1" collapse 0
}

# A ROM that was logged while its guest read it.
rom_was_logged() { # VMM
	local file=/dev/shm/${HOLDER_COMM}rom
	rm -f "$file"
	fresh "$1" file gpa=1G "path=$file" && holder "$1" state 0 huge && guest_touches "$1" 0 store &&
		fresh "$1" file gpa=1G "path=$file" readonly=1 && holder "$1" state 0 huge && holder "$1" log 0 &&
		guest_touches "$1" 0 check && holder "$1" unlog 0
}

# The guest has run a guest of its own. KVM shadows the inner page table as long as it takes it for one, write-protects
# it for that, and maps the block in which it lies by 4K.
nested_guest() { # VMM
	huge_folios memfd "$1" && holder "$1" nest 0 && guest_touches "$1" 0 store from=20K
}

# The guest uses that page for other things then, and KVM lets go of it.
nested_guest_ended() { # VMM
	nested_guest "$1" && holder "$1" touch 0 store from=0 bytes=4K stride=4
}

# The guest executes in every page, while KVM is told that this must not be in large pages.
executed() { # VMM
	huge_folios memfd "$1" && holder "$1" touch 0 call
}

without_executable_large_pages() {
	echo force >/sys/module/kvm/parameters/nx_huge_pages
	left_over "executed by the guest, nx_huge_pages=force" set $SMALL $SMALL $HUGE $HUGE executed
	echo off >/sys/module/kvm/parameters/nx_huge_pages
}

left_overs() { # TEXT: with nested paging or without
	left_over "memfd, huge folios mapped page by page$1" set $SMALL $HUGE $SMALL $HUGE page_by_page memfd
	left_over "memfd, small folios$1" set $SMALL $HUGE $SMALL $HUGE small_folios memfd
	left_over "dirty log that ended, host huge$1" set $HUGE $HUGE $HUGE $HUGE log_ended
	left_over "plain dirty log that ended, host huge$1" plain $HUGE $HUGE $HUGE $HUGE log_ended
	left_over "dirty log that ended while the host was 4K$1" set $SMALL $HUGE $SMALL $HUGE log_ended_while_small
}

all_left_overs() {
	left_overs ''
	left_over "anonymous, huge folios mapped page by page" set $SMALL $HUGE $SMALL $HUGE page_by_page anon
	left_over "anonymous, small folios" set $SMALL $HUGE $SMALL $HUGE small_folios anon
	left_over "dirty log that goes on, cleared" set $SMALL $SMALL $SMALL $SMALL log_goes_on
	left_over "plain dirty log that goes on" plain $SMALL $SMALL $SMALL $SMALL log_goes_on
	left_over "dirty log that goes on, never cleared, host 4K" set $SMALL $SMALL $SMALL $SMALL log_goes_on_uncleared
	left_over "anonymous, read before it is written" set "$(if_zero_page_is_split $SMALL $HUGE)" $HUGE \
		"$(if_zero_page_is_split $SMALL $HUGE)" $HUGE read_then_written anon
	left_over "memfd, read before it is written" set $SMALL $HUGE $SMALL $HUGE read_then_written memfd
	left_over "4 KiB off its place in the guest" set $SMALL $SMALL $SMALL $SMALL off_by_a_page
	left_over "half a block at each end of the slot" set 512/1 512/1 512/1 512/1 halves_at_the_ends
	left_over "read-only slot that was logged" set $SMALL $SMALL $SMALL $SMALL rom_was_logged
	without_executable_large_pages
	RANGE=from=20K
	left_over "nested guest, its page table still in place" set $NESTED $NESTED $NESTED $NESTED nested_guest
	left_over "nested guest, its page table written over" set $HUGE $HUGE $HUGE $HUGE nested_guest_ended
	RANGE=''
}

# --- who is not touched ---------------------------------------------------------------------------

log_is_left_alone() { # VMM
	local answer
	log_goes_on "$1" && answer=$(holder "$1" nudge 0) && return 1
	holder "$1" dirty 0 && guest_touches "$1" 0 store && answer=$(holder "$1" dirty 0)
	is_equal "$(answer_value pages "$answer")" 1024
}

# --- races ----------------------------------------------------------------------------------------

# churned KIND ROUNDS: the guest writes all the time while its memory is taken apart and collapsed. A refused round, of
# which pages were held by others for a moment, shows nothing.
churned() {
	local answer
	answer=$(holder set churn 0 "rounds=$2") && is_equal "$(answer_value left "$answer")" 0 &&
		[ "$(answer_value refused "$answer")" -lt "$2" ] || { echo "$answer"; return 1; }
}

races() { # KIND TIMES ROUNDS
	local i
	ok "race: $1: a guest at work" huge_folios "$1" set && ok "race: $1: it loops" holder set loop 0 update
	for ((i = 1; i <= $2; i++)); do ok "race: $1: no small page is left, $i" churned "$1" "$3"; done
	ok "race: $1: no write was lost" guest_halts_well set
}

# --- shadow paging --------------------------------------------------------------------------------

module_goes() {
	rmmod kvm_amd
}

has_nested_paging() { # Y|N
	wait_until 60 module_goes && modprobe kvm_amd "$2" && is_equal "$(</sys/module/kvm_amd/parameters/npt)" "$1"
}

start_both() {
	start_vmm set --dirty-log=initially-set && start_vmm plain
}

stop_both() {
	stop_holder set
	stop_holder plain
}

# khugepaged would do things behind the tests' backs. It ends where THP are off, which a collapse does not care for;
# where one test needs them, it begins with a single page of the oldest process, and sleeps.
thp() { # always|never
	echo "$1" >/sys/kernel/mm/transparent_hugepage/enabled
}

khugepaged_ends() {
	echo 1 >/sys/kernel/mm/transparent_hugepage/khugepaged/pages_to_scan &&
		echo 4294967295 >/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs && thp never
}

live_begin
ok "khugepaged ends" khugepaged_ends
echo "# KERNEL $(uname -r)"
ok "two VMMs" start_both
all_left_overs
ok "a log that goes on is left alone" log_is_left_alone set
races memfd 6 10
races anon 4 3
stop_both
ok "shadow paging" has_nested_paging N npt=0
ok "two VMMs once more" start_both
left_overs ", shadow paging"
stop_both
live_end
