#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A VMM whose memory is under a userfaultfd that another process holds (a pager: postcopy, lazy restore). It
# has no such fd itself, so that only the search through all processes can tell; and the search must have
# been made anew by the time at which something is to be done, not at start only.
# Alone: before Linux 6.4 no thpd touches shared memory while anybody has a userfaultfd.
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"

readonly MIB=64

sweeps() {
	ctl status --json | jq .host.counters.sweeps
}

has_swept_after() {
	[ "$(sweeps)" -gt "$1" ]
}

# SWEEP_NS of daemon/sweep.c: what was found out is believed for five seconds.
sweep_is_old() {
	[ $((SECONDS - armed)) -gt 6 ]
}

# The calls of one cycle; the next one knows better.
has_failed_once_since() {
	[ $(($(failed_calls) - $1)) -le 2 ]
}

failed_calls() {
	ctl status --json | jq .host.counters.failed_calls
}

is_barred() {
	is_equal "$(vm_field "$1" '.reasons.userfaultfd')" $((MIB << 20))
}

# Before Linux 6.4 a collapse fills what a pager waits for (KERNEL.md B7): as long as any userfaultfd is in use on
# the host, nobody's shared memory is touched.
is_kernel_before_6_4() {
	local major minor
	IFS=.- read -r major minor _ < <(uname -r)
	[ "$major" -lt 6 ] || { [ "$major" = 6 ] && [ "$minor" -lt 4 ]; }
}

everybody_is_left_alone() {
	ok "the first is barred: userfaultfd" wait_until "$THPD_DEADLINE" is_barred "$pid"
	ok "the first was left alone" holder_has_nothing_huge vmm-a
	ok "so was the other" holder_has_nothing_huge vmm-b
	ok "the pager ends" holder vmm-a disarm
	armed=$SECONDS
	ok "what thpd knows of pagers becomes old" wait_until 30 sweep_is_old
	ok "asked for, the first becomes huge" ctl collapse "$pid" --wait --target=99
	ok "asked for, so does the other" ctl collapse "${HOLDER_PID[vmm-b]}" --wait --target=99
}

only_it_is_left_alone() {
	ok "the other becomes huge" wait_until "$THPD_DEADLINE" holder_is_huge vmm-b
	ok "the first is barred: userfaultfd" wait_until "$THPD_DEADLINE" is_barred "$pid"
	ok "the first was left alone" holder_has_nothing_huge vmm-a
	ok "nothing was tried" is_equal "$(vm_field "$pid" .last_action)" null
	ok "the pager ends" holder vmm-a disarm
	ok "asked for, the first becomes huge" ctl collapse "$pid" --wait --target=99
	ok "that is true" holder_is_huge vmm-a
	# Right after a search that found nobody: then the kernel refuses, and thpd asks why.
	armed=$SECONDS
	ok "what thpd knows becomes old once more" wait_until 30 sweep_is_old
	ok "it searches anew for the other's sake" unseen holder vmm-b pte
	ok "and makes it huge" wait_until "$THPD_DEADLINE" holder_is_huge vmm-b
	before=$(failed_calls)
	ok "a pager arms it right after" holder vmm-a arm
	ok "it loses its huge mappings" unseen holder vmm-a pte
	ok "it is barred: userfaultfd" wait_until "$THPD_DEADLINE" is_barred "$pid"
	ok "it is not tried again and again" has_failed_once_since "$before"
	ok "it stays as it is" holder_has_nothing_huge vmm-a
	ok "the pager ends" holder vmm-a disarm
}

live_begin jq
write_test_config ''
ok "a VMM starts, huge" start_holder vmm-a --size=$MIB --state=huge
ok "another VMM starts, huge" start_holder vmm-b --size=$MIB --state=huge
pid=${HOLDER_PID[vmm-a]}
if ! why=$(holder vmm-a arm); then
	[[ $why == *implemented* || $why == *"Invalid argument"* || $why == *permitted* ]] &&
		skip_all "no userfaultfd with write protection of shared memory here: $why"
	ok "its memory is armed by a pager ($why)" false
fi
holder vmm-a disarm >/dev/null
ok "thpd starts" start_thpd || exit 1
ok "thpd finds both" wait_until "$THPD_DEADLINE" vm_is_listed "${HOLDER_PID[vmm-b]}"
ok "a pager arms the memory of the first" holder vmm-a arm
armed=$SECONDS
ok "what thpd knows of pagers becomes old" wait_until 30 sweep_is_old
before=$(sweeps)
ok "both lose their huge mappings: the first" unseen holder vmm-a pte
ok "both lose their huge mappings: the other" unseen holder vmm-b pte
ok "thpd searches anew before it does anything" wait_until "$THPD_DEADLINE" has_swept_after "$before"
if is_kernel_before_6_4; then everybody_is_left_alone; else only_it_is_left_alone; fi
ok "its contents are right" holder vmm-a verify
ok "the other's are" holder vmm-b verify
ok "thpd stops on SIGTERM with status 0" stop_thpd
live_end
