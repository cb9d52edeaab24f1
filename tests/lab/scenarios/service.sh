# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# thpd as its users start it: by systemd, in its sandbox, for VMMs of another user; reloaded, restarted, killed and
# stopped while it has nothing to do, and in the middle of its work.
set -uo pipefail
# shellcheck source=../service.inc
. tests/lab/service.inc

# Copies are slow here, so that there is time to do something to thpd meanwhile.
readonly MIB=64 COPY_MIB=128 COPY_RATE=16M REMAP_MIB=256

is_listed() {
	[ "$(vm_field "${HOLDER_PID[vmm-a]}" .pid)" = "${HOLDER_PID[vmm-a]}" ]
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
	write_drop_in_of_unit "$@" && systemctl restart "$UNIT"
}

is_over() {
	[ "$SECONDS" -ge "$over" ]
}

is_quiet() { # SINCE
	! journal_since "$1" -p err | grep .
}

# --- under load ----------------------------------------------------------------------------------

# Anonymous memory to be copied, the one kind of work that holds the VMM's mmap lock, and a file to be remapped.
start_load() {
	while_thpd_stands_still holder vmm-remap pte &&
		start_vmm_of 1001 vmm-copy --kind=anon --size=$COPY_MIB --state=small
}

is_in_the_middle() {
	holder_huge vmm-copy
	holder_is_partly_huge vmm-copy
}

load_is_done() {
	holder_is_huge vmm-copy && holder_is_huge vmm-remap
}

is_the_same() { # PID
	is_equal "$(main_pid)" "$1" && shows ActiveState active
}

# Not ended by SIGKILL, which is what systemd does at the end of TimeoutStopSec.
stop_cleanly() {
	systemctl stop "$UNIT" && shows ActiveState inactive && shows Result success && shows ExecMainCode 1 &&
		shows ExecMainStatus 0
}

start_again() {
	systemctl start "$UNIT" && is_another "$1"
}

declare -rA SAYS=(
	[is_the_same]="the same process is active" [is_another]="another process is active"
	[start_again]="it can be started again"
)

# under_load WHAT AFTERWARDS COMMAND...: AFTERWARDS is called with the pid that the main process had.
under_load() {
	local what=$1 afterwards=$2 pid name
	pid=$(main_pid)
	ok "$what under load: the load" start_load
	ok "$what under load: thpd is in the middle of it" wait_until 60 is_in_the_middle
	ok "$what under load" "${@:3}"
	ok "$what under load: that was in the middle" is_in_the_middle
	ok "$what under load: ${SAYS[$afterwards]}" wait_until 60 "$afterwards" "$pid"
	ok "$what under load: thpd goes on to the end" wait_until 90 load_is_done
	for name in copy remap; do ok "$what under load: contents of vmm-$name are right" holder "vmm-$name" verify; done
	stop_holder vmm-copy
}

service_begin
printf '%s\n' '[Manager]' 'Interval=200ms' '[Budget]' "CopyBandwidth=$COPY_RATE" >"$CONF/thpd.conf.d/test.conf"
write_rule test.conf full "$(holders_match)"
began=$(date '+%F %T')
ok "systemctl enable --now thpd" systemctl enable --now "$UNIT"
ok "it is active: it said READY=1" shows ActiveState active
ok "systemctl status is readable" systemctl status --no-pager "$UNIT"
ok "a VMM of another user starts" while_thpd_stands_still start_vmm_of 1001 vmm-a --size=$MIB --state=pte
ok "thpd finds it" wait_until 30 is_listed
ok "it becomes huge" wait_until 30 holder_is_huge vmm-a
ok "its contents are right" holder vmm-a verify
ok "systemctl reload" systemctl reload "$UNIT"
ok "still active" shows ActiveState active
ok "it works after the reload" regains vmm-a
pid=$(main_pid)
ok "systemctl restart" systemctl restart "$UNIT"
ok "another process" is_another "$pid"
ok "it works after the restart" regains vmm-a
ok "a VMM with more memory starts" start_vmm_of 1001 vmm-remap --size=$REMAP_MIB --state=huge
under_load reload is_the_same systemctl reload "$UNIT"
under_load restart is_another systemctl restart "$UNIT"
under_load stop start_again stop_cleanly
ok "no error in the journal so far" is_quiet "$began"
pid=$(main_pid)
ok "killed by SIGKILL" kill -KILL "$pid"
ok "it comes back" wait_until 30 is_another "$pid"
ok "and goes on" regains vmm-a
under_load SIGKILL is_another systemctl kill --kill-who=main --signal=KILL "$UNIT"
ok "the watchdog is kept" drop_in watchdog WatchdogSec=2
pid=$(main_pid)
restarts=$(systemctl show -P NRestarts "$UNIT")
ok "it works meanwhile" regains vmm-a
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
ok "it works without" regains vmm-a
no_drop_in caps
ok "systemctl stop: it ends cleanly" stop_cleanly
ok "the VMM's contents are right" holder vmm-a verify
live_end
