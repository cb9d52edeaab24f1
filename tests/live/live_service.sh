#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# thpd as a service: what it tells the service manager, a configuration that goes away, and the rights that the unit
# leaves it.
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"

readonly UNIT=$here/../../systemd/thpd.service NOBODY=65534
SOCAT_PID=''
LOG_LINES=0

test_cleanup() {
	[ -z "$SOCAT_PID" ] || kill "$SOCAT_PID" 2>/dev/null
}

# --- the service manager -------------------------------------------------------------------------

# The datagrams come without line ends, in their order.
listen_to_notes() {
	socat -u "UNIX-RECV:$T/notify" "OPEN:$T/notes,creat,append" 2>"$T/socat.err" &
	SOCAT_PID=$!
	wait_until 30 test -S "$T/notify"
}

# noted PATTERN: of what came since forget_notes; N times: noted_times N WORD
noted() {
	grep -qE -- "$1" "$T/notes" || { cat "$T/notes"; echo; return 1; }
}

noted_times() {
	[ "$(grep -oF -- "$2" "$T/notes" | wc -l)" -ge "$1" ]
}

forget_notes() {
	: >"$T/notes"
}

# --- the rights of the unit ----------------------------------------------------------------------

# The names of the unit as setpriv wants them: sys_ptrace sys_nice ...
unit_rights() {
	sed -n 's/^CapabilityBoundingSet=//p' "$UNIT" | tr 'A-Z ' 'a-z\n' | sed -n 's/^cap_//p'
}

# as_unit NAME...: the words that run a command with these capabilities and no others.
as_unit() {
	local list
	list=-all$(printf ',+%s' "$@")
	THPD_WRAP=(setpriv "--bounding-set=$list" --inh-caps=-all --ambient-caps=-all --no-new-privs)
}

thpd_rights() {
	local bits=$((16#$(sed -n 's/^CapEff:[[:space:]]*//p' "/proc/$THPD_PID/status"))) n=0
	for (( ; bits; bits >>= 1)); do n=$((n + (bits & 1))); done
	printf '%d\n' "$n"
}

# VMMs run as other users: from here on a holder does, too.  It needs a program that this user can reach.
holders_are_nobody() {
	local program
	program=$(helper holder) || return 1
	chmod 711 "$T" && mkdir "$T/nobody" && install -m 755 "$program" "$T/nobody/holder" || return 1
	# shellcheck disable=SC2016  # for the shell that runs it
	printf '#!/bin/sh\nln -sf holder "%s"\nexec setpriv --reuid=%d --regid=%d --clear-groups "%s" "$@"\n' \
		"$T/nobody/"'${0##*/}' "$NOBODY" "$NOBODY" "$T/nobody/"'${0##*/}' >"$T/nobody/start"
	chmod 755 "$T/nobody/start"
	helper() { printf '%s\n' "$T/nobody/start"; }
}

says_lost() {
	ctl status --json | jq -e --arg what "$1" 'any(.host.lost[]; contains($what))'
}

# --- the configuration ------------------------------------------------------------------------------------

# The log is kept for the look at its end: what counts here is what comes on top.
log_has_new() {
	tail -n "+$((LOG_LINES + 1))" "$THPD_LOG" | grep -E -- "$1"
}

reload() {
	LOG_LINES=$(wc -l <"$THPD_LOG")
	kill -HUP "$THPD_PID" && wait_until 30 log_has_new 'configuration reloaded|reload failed'
}

config_comes_back() {
	chmod 755 "$T/etc" && reload && ctl cat-config | grep '^Interval=200ms' &&
		wait_until "$THPD_DEADLINE" vm_is_listed "${HOLDER_PID[$1]}"
}

live_begin jq socat setpriv
ok "somebody listens on NOTIFY_SOCKET" listen_to_notes || exit 1
write_test_config ''
THPD_WRAP=(env -u WATCHDOG_PID "NOTIFY_SOCKET=$T/notify" WATCHDOG_USEC=1000000)
ok "thpd starts as Type=notify" start_thpd || exit 1
ok "READY=1" wait_until 30 noted 'READY=1'
ok "WATCHDOG=1 again and again" wait_until 30 noted_times 4 WATCHDOG=1
forget_notes
ok "SIGHUP" kill -HUP "$THPD_PID"
ok "RELOADING=1, then READY=1" wait_until 30 noted 'RELOADING=1.*READY=1'
forget_notes
ok "WATCHDOG=1 after that, too" wait_until 30 noted_times 2 WATCHDOG=1
ok "no STOPPING=1 so far" is_not noted STOPPING
ok "thpd stops on SIGTERM with status 0" stop_thpd
ok "STOPPING=1" wait_until 30 noted 'STOPPING=1'

ok "a VMM starts" start_holder vmm-a --size=64
# Should the defaults hold after all, they would act on other people's VMs: --dry-run.  Without
# CAP_DAC_READ_SEARCH, because with it everything can be read.
as_unit sys_ptrace sys_nice
ok "thpd starts, --dry-run" start_thpd --dry-run || exit 1
ok "it knows the VMM" wait_until "$THPD_DEADLINE" vm_is_listed "${HOLDER_PID[vmm-a]}"
for what in gone unreadable; do
	if [ "$what" = gone ]; then mv "$T/etc" "$T/elsewhere"; else chmod 000 "$T/etc"; fi
	ok "SIGHUP with the configuration directory $what" reload
	ok "directory $what: the log names it" log_has_new "$T/etc.*cannot be read"
	ok "directory $what: the old configuration stays" log_has_new "the old configuration stays"
	ok "directory $what: the process still is a VM" vm_is_listed "${HOLDER_PID[vmm-a]}"
	ok "directory $what: the daemon answers" ctl status
	[ "$what" != gone ] || mv "$T/elsewhere" "$T/etc"
	ok "directory $what: SIGHUP when it is back makes it good" config_comes_back vmm-a
done
mv "$T/etc/vm.d/test.conf" "$T/test.conf"
ok "SIGHUP when no rule claims the VMM any more" reload
ok "it is no VM any more" wait_until "$THPD_DEADLINE" log_has_new "is no VM any more"
ok "the daemon answers" ctl status
mv "$T/test.conf" "$T/etc/vm.d/test.conf"
ok "SIGHUP when one does again" config_comes_back vmm-a
ok "thpd stops with status 0" stop_thpd
stop_holder vmm-a

ok "VMMs belong to another user from here on" holders_are_nobody || exit 1
write_test_config ''
ok "a VMM of memfd memory starts" start_holder vmm-c --size=64
ok "it is another user's" is_equal "$(stat -c %u "/proc/${HOLDER_PID[vmm-c]}")" "$NOBODY"
mapfile -t rights < <(unit_rights)
as_unit "${rights[@]}"
ok "thpd starts with the rights of the unit: ${rights[*]}" start_thpd || exit 1
ok "it has these and no others" is_equal "$(thpd_rights)" "${#rights[@]}"
ok "it makes the VMM huge" wait_until "$THPD_DEADLINE" holder_is_huge vmm-c
ok "nothing is lost for want of a right" is_not says_lost CAP_
ok "thpd stops with status 0" stop_thpd
mapfile -t rights < <(unit_rights | grep -vx sys_admin)
as_unit "${rights[@]}"
ok "thpd starts without CAP_SYS_ADMIN" start_thpd || exit 1
ok "it has one right less" is_equal "$(thpd_rights)" "${#rights[@]}"
ok "the log says what is lost" thpd_log_has "Huge folios cannot be told from small ones.*CAP_SYS_ADMIN"
ok "thpctl status does" says_lost CAP_SYS_ADMIN
ok "another VMM starts" start_holder vmm-d --size=64
ok "it becomes huge all the same" wait_until "$THPD_DEADLINE" holder_is_huge vmm-d
for vm in vmm-c vmm-d; do ok "$vm: contents are right" holder "$vm" verify; done
ok "thpd stops on SIGTERM with status 0" stop_thpd
live_end
