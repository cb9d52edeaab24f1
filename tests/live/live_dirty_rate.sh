#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# thpctl nudge VM where QEMU may be told to measure the guest's dirty rate for want of a library: a real QEMU is not
# told where something speaks against it, and thpctl says what. That it helps is the lab's to show.
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/live/monitored.sh
. "$here/monitored.sh"

nudges() {
	ctl status --json | jq .host.counters.nudges
}

# Neither is it told, nor does it measure. Who has just started may take longer to say why than thpd waits, and be asked
# again.
is_held() { # WHY
	! ctl nudge "$VM_PID" --wait >"$T/held" 2>&1 || return 1
	cat "$T/held" && grep "not nudged ($1)" "$T/held" && thpd_log_has "not nudged \\($1\\)" &&
		is_equal "$(nudges)" 0
}

never_measured() {
	control '{"execute":"query-dirty-rate"}' && grep '"unstarted"' "$T/controlled"
}

fails() { # ERRNO
	! ctl nudge "$VM_PID" --wait >"$T/held" 2>&1 && cat "$T/held" && grep 'dirty rate of .*: failed$' "$T/held" &&
		is_equal "$(vm_field "$VM_PID" '| .kvm.nudge | "\(.means) \(.result)"')" "qmp/calc-dirty-rate failed"
}

live_begin qemu-system-x86_64 socat jq
[ -w /dev/kvm ] || skip_all "no /dev/kvm"
mkdir -p "$T/vm" "$T/etc/vm.d"
write_test_config ''
ok "thpd starts" start_thpd || exit 1
policy '[Nudge]'

ok "a QEMU that is stopped, under KVM" start_vm stopped -m 128M -accel kvm -S
ok "by default it is not told" is_held memslots-not-told
policy '[Nudge]' DirtyRate=yes
ok "without a monitor it cannot be" is_held no-monitor
policy '[Nudge]' DirtyRate=yes '[QEMU]' "Monitor=$T/vm/%n"
ok "it is not while it is stopped" wait_until 30 is_held vm-not-running
ok "it never was" never_measured
ok "others measure it" control '{"execute":"calc-dirty-rate","arguments":{"calc-time":60}}'
ok "then it is not told either" wait_until 30 is_held dirty-logging-on
stop_vm
ok "one with a dirty ring" start_vm ring -m 128M -accel kvm,dirty-ring-size=4096 -S
ok "is not told" wait_until 30 is_held dirty-ring
stop_vm
ok "one with a netdev that may be vhost's" start_vm vhost -m 128M -accel kvm -S -netdev user,id=vhost0
ok "is not told" wait_until 30 is_held vhost-device
stop_vm
# QEMU 7.2 would end by a segmentation fault.
ok "one that runs, emulated" start_vm emulated -m 128M -accel tcg
ok "is not told" wait_until 30 is_held kvm-not-counted
ok "and lives" control '{"execute":"query-status"}'
kill -STOP "$VM_PID"
ok "one that does not answer is given up" fails
kill -CONT "$VM_PID"
stop_vm
ok "nobody was told" is_equal "$(nudges)" 0
ok "thpd stops on SIGTERM with status 0" stop_thpd
live_end
