# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# thpd as its users start it: by systemd, in its sandbox, for a VMM of another user.
set -uo pipefail
# shellcheck source=../service.inc
. tests/lab/service.inc

readonly UNIT=thpd.service CONF=/etc/thpd MIB=64

shows() { # PROPERTY VALUE
	is_equal "$(systemctl show -P "$1" "$UNIT")" "$2"
}

is_listed() {
	[ "$(vm_field "${HOLDER_PID[vmm-a]}" .pid)" = "${HOLDER_PID[vmm-a]}" ]
}

main_pid() {
	systemctl show -P MainPID "$UNIT"
}

is_another() { # PID: the main process now is not that one any more
	[ "$(main_pid)" != 0 ] && [ "$(main_pid)" != "$1" ] && shows ActiveState active
}

# In tenths, as systemd-analyze computes it.
exposure() {
	systemd-analyze security --no-pager "$UNIT" | sed -n 's/.*exposure level for [^:]*: \([0-9]*\)\.\([0-9]\) .*/\1\2/p'
}

exposure_is_at_most() { # TENTHS WHAT
	local tenths
	tenths=$((10#$(exposure)))
	note "exposure $2, in tenths: $tenths"
	ok "exposure $2 is at most $1 tenths" [ "$tenths" -le "$1" ]
}

drop_in() { # NAME LINE...
	mkdir -p "/etc/systemd/system/$UNIT.d"
	printf '%s\n' '[Service]' "${@:2}" >"/etc/systemd/system/$UNIT.d/$1.conf"
	systemctl daemon-reload
	systemctl restart "$UNIT"
}

no_drop_in() {
	rm -f "/etc/systemd/system/$UNIT.d/$1.conf"
	systemctl daemon-reload
}

is_over() {
	[ "$SECONDS" -ge "$over" ]
}

is_quiet() {
	! journalctl -b -u "$UNIT" -p err --no-pager -o cat --since "$1" | grep .
}

loses_and_regains() {
	holder vmm-a pte && wait_until 30 holder_is_huge vmm-a
}

service_begin
printf '%s\n' '[Manager]' 'Interval=200ms' >"$CONF/thpd.conf.d/test.conf"
printf '%s\n' '[Match]' "$(holders_match)" '[Collapse]' 'Mode=full' >"$CONF/vm.d/test.conf"
began=$(date '+%F %T')
ok "systemctl enable --now thpd" systemctl enable --now "$UNIT"
ok "it is active: it said READY=1" shows ActiveState active
ok "systemctl status is readable" systemctl status --no-pager "$UNIT"
ok "a VMM of another user starts" start_vmm_of 1001 vmm-a --size=$MIB --state=pte
ok "thpd finds it" wait_until 30 is_listed
ok "it becomes huge" wait_until 30 holder_is_huge vmm-a
ok "its contents are right" holder vmm-a verify
ok "systemctl reload" systemctl reload "$UNIT"
ok "still active" shows ActiveState active
ok "it works after the reload" loses_and_regains
pid=$(main_pid)
ok "systemctl restart" systemctl restart "$UNIT"
ok "another process" is_another "$pid"
ok "it works after the restart" loses_and_regains
ok "no error in the journal so far" is_quiet "$began"
pid=$(main_pid)
ok "killed by SIGKILL" kill -KILL "$pid"
ok "it comes back" wait_until 30 is_another "$pid"
ok "and goes on" loses_and_regains
ok "the watchdog is kept" drop_in watchdog WatchdogSec=2
pid=$(main_pid)
restarts=$(systemctl show -P NRestarts "$UNIT")
ok "it works meanwhile" loses_and_regains
over=$((SECONDS + 7))
ok "three periods go by" wait_until 30 is_over
ok "it was not restarted" shows NRestarts "$restarts"
kill -STOP "$pid"
ok "one that hangs is replaced" wait_until 60 is_another "$pid"
no_drop_in watchdog
exposure_is_at_most 25 "with PFN reading"
ok "without CAP_SYS_ADMIN it starts" drop_in caps 'CapabilityBoundingSet=' \
	'CapabilityBoundingSet=CAP_SYS_PTRACE CAP_SYS_NICE CAP_DAC_READ_SEARCH'
exposure_is_at_most 15 "without PFN reading"
ok "it works without" loses_and_regains
no_drop_in caps
ok "systemctl stop" systemctl stop "$UNIT"
ok "it stopped cleanly" shows Result success
ok "the VMM's contents are right" holder vmm-a verify
live_end
