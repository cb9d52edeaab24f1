# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every option of the unit. With all of them thpd does its work for VMMs whose files, devices and limits they hide
# from it. Set tighter, each that can be breaks something, which shows that the same would be noticed of the unit.
# Those that cannot be set tighter are seen to be in force.
set -uo pipefail
# shellcheck source=../service.inc
. tests/lab/service.inc
# shellcheck source=../sandbox.inc
. tests/lab/sandbox.inc
# shellcheck source=../vmm.inc
. tests/lab/vmm.inc
# shellcheck source=../pmem.inc
. tests/lab/pmem.inc

readonly MIB=64

acts() {
	regains vmm-a
}

# Far longer than it takes.
acts_soon() {
	regains vmm-a 10
}

has_features() { # NAME...
	local have name
	have=$(ctl status --json | jq -r '.host.features | join(" ")')
	for name; do [[ " $have " == *" $name "* ]] || { echo "no $name: $have"; return 1; }; done
}

explains() { # NAME REASON
	local answer
	answer=$(ctl explain "${HOLDER_PID[$1]}" "$(printf '0x%x' "${HOLDER_ADDR[$1]}")" --json) || return 1
	jq -e --arg reason "$2" '[.. | objects | .reason? // empty] | index($reason)' <<<"$answer" && return
	echo "$answer"
	return 1
}

is_seen_as() { # NAME BACKING
	is_equal "$(vm_field "${HOLDER_PID[$1]}" .backing)" "$2"
}

# A VMM whose memory is a file in a directory that some option hides from thpd.
start_vmm_in() { # NAME DIRECTORY
	mkdir -p "$2" && mount -t tmpfs -o mode=1777 guests "$2" &&
		start_vmm_of 1001 "$1" --kind=file "--path=$2/ram" --size=$MIB --state=pte
}

# One that may not have another MiB: what is to be copied needs room for it.
start_limited_vmm() {
	local HOLDER_WRAP=(systemd-run --quiet --scope -p MemoryMax=$((MIB + 32))M)
	start_holder vmm-limited --kind=anon --size=$MIB --state=small
}

# One that no rule names: the fd of a KVM VM tells what it is.
start_kvm_vmm() {
	local HOLDER_WRAP=(setpriv --reuid=1001 --regid=1001 --clear-groups)
	chmod 666 /dev/kvm && start_vmm kvm && add_slot kvm 0 memfd bytes=${MIB}M gpa=1G
}

# As containers are.
start_contained_vmm() {
	local HOLDER_WRAP=(unshare --mount)
	start_holder vmm-contained --size=$MIB --state=pte
}

start_vmms() {
	ok "a VMM of another user" start_vmm_of 1001 vmm-a --size=$MIB --state=pte
	ok "one with its memory below /home" start_vmm_in vmm-home /home/guests
	ok "one in /tmp" start_vmm_in vmm-tmp /tmp/guests
	ok "one in a mount namespace of its own" start_contained_vmm
	ok "one with a memory limit" start_limited_vmm
	ok "one with a KVM VM" start_kvm_vmm
	ok "a file system with DAX" fsdax_mount /mnt/dax
	ok "one with its memory there" start_vmm_of 1001 vmm-fsdax --kind=file --path=/mnt/dax/ram --size=$MIB
}

# --- the unit as it is ---------------------------------------------------------------------------

as_shipped() {
	local name
	ok "the unit as it is: it starts" start_anew
	for name in vmm-a vmm-home vmm-tmp vmm-contained; do
		ok "the unit as it is: $name becomes huge" wait_until 60 holder_is_huge $name
	done
	ok "the unit as it is: it finds a KVM VM of another user" wait_until 30 is_found kvm
	ok "the unit as it is: it has every feature that hangs on a right" \
		has_features collapse collapse-shmem pfn kpageflags other-processes
	ok "the unit as it is: what needs no copy is known beforehand" only_remapped
	ok "the unit as it is: a memory limit is seen" wait_until 60 explains vmm-limited memcg-limit
	ok "the unit as it is: and heeded" is_not was_tried vmm-limited
	ok "the unit as it is: fs-dax is seen" wait_until 60 is_seen_as vmm-fsdax fsdax
	ok "the unit as it is: debugfs is not needed" without_debugfs
}

is_found() { # NAME
	journal_says "found: pid ${HOLDER_PID[$1]}, "
}

only_remapped() {
	ctl status --json | jq -e '.host.counters | .remap_calls > 0 and .collapse_calls == 0 and .copy_calls == 0'
}

asked_by_a_user() {
	setpriv --reuid=1001 --regid=1001 --clear-groups thpctl status --json | jq -e '.vms | length > 0'
}

without_debugfs() {
	local rc=0
	umount /sys/kernel/debug || return 1
	{ start_anew && acts; } || rc=1
	mount -t debugfs debugfs /sys/kernel/debug
	return $rc
}

# What the options are for is so.
in_force() {
	covers Nice LimitNOFILE NoNewPrivileges ProtectSystem ReadOnlyPaths InaccessiblePaths ProtectHome PrivateTmp PrivateDevices \
		ProtectKernelLogs ProtectKernelModules ProtectKernelTunables ProtectControlGroups PrivateNetwork PrivateMounts \
		ProtectHostname ProtectClock DevicePolicy RestrictNamespaces RestrictRealtime RestrictSUIDSGID LockPersonality \
		MemoryDenyWriteExecute RemoveIPC KeyringMode SystemCallArchitectures IPAddressDeny
	ok "Nice, LimitNOFILE" limits_are_those_of_the_unit
	ok "CapabilityBoundingSet: these four and no others" is_equal "$(status_field CapEff)" "$(four_rights)"
	ok "NoNewPrivileges" is_equal "$(status_field NoNewPrivs)" 1
	ok "UMask" is_equal "$(status_field Umask)" 0077
	ok "SystemCallFilter, Restrict…, Lock…, MemoryDeny…: a filter" is_equal "$(status_field Seccomp)" 2
	ok "ProtectSystem, ReadOnlyPaths: /usr, /etc, /var and /run cannot be written" all_readonly_within /usr /etc /var /run
	ok "InaccessiblePaths: nothing is seen of /dev/shm" is_not within test -e "$shm"
	ok "ProtectHome: nothing is seen of /home" is_not within test -e /home/guests
	ok "PrivateTmp: nothing of /tmp" is_not within test -e /tmp/guests
	ok "PrivateDevices: no /dev/kvm, no /dev/vda" is_not within sh -c 'test -e /dev/kvm || test -e /dev/vda'
	ok "ProtectKernelLogs: no /dev/kmsg" is_not within test -e /dev/kmsg
	ok "ProtectKernelModules: no modules" is_not within sh -c 'ls /usr/lib/modules/* 2>/dev/null | grep .'
	ok "ProtectKernelTunables: /proc/sys and /sys cannot be written" all_readonly_within /proc/sys /sys
	ok "ProtectControlGroups: no cgroup, either" all_readonly_within /sys/fs/cgroup
	ok "PrivateNetwork: no network but its own" is_equal "$(within ip -o link | wc -l)" 1
	ok "PrivateMounts: mounts of its own" has_its_own mnt
	ok "ProtectHostname: a name of its own" has_its_own uts
	ok "DevicePolicy, ProtectClock: devices are closed" shows DevicePolicy closed
	ok "RuntimeDirectoryMode: another user may ask" asked_by_a_user
	ok "ExecReload: it can be reloaded" reload
	ok "Restart: killed, it comes back" comes_back
	ok "RuntimeDirectoryPreserve: an orchestrator's rule is kept" rule_outlives_a_restart
	ok "it acts" acts
}

limits_are_those_of_the_unit() {
	is_equal "$(awk '/^Max open files/ { print $4 }' "/proc/$(main_pid)/limits")" 65536 &&
		is_equal "$(ps -o ni= -p "$(main_pid)" | tr -d ' ')" 5
}

# By their numbers in capability.h.
four_rights() {
	local dac_read_search=2 sys_ptrace=19 sys_admin=21 sys_nice=23
	printf '%016x' $((1 << dac_read_search | 1 << sys_ptrace | 1 << sys_admin | 1 << sys_nice))
}

all_readonly_within() { # PATH...
	local path
	for path; do is_readonly_within "$path" || return 1; done
}

has_its_own() { # KIND of namespace
	[ "$(readlink /proc/self/ns/"$1")" != "$(readlink "/proc/$(main_pid)/ns/$1")" ]
}

reload() {
	systemctl reload "$UNIT"
}

comes_back() {
	local pid
	pid=$(main_pid)
	kill -KILL "$pid" && wait_until 20 is_another "$pid"
}

rule_outlives_a_restart() {
	mkdir -p /run/thpd/vm.d && : >/run/thpd/vm.d/orchestrator.conf && systemctl restart "$UNIT" &&
		[ -e /run/thpd/vm.d/orchestrator.conf ]
}

# --- what it is to systemd -----------------------------------------------------------------------

# Reload, stop and the watchdog while there is work to do: scenarios/service.sh, where a stop that is cut off fails.
management() {
	covers Type ExecStart Restart WatchdogSec TimeoutStopSec
	ok "Type=notify: if it cannot say READY=1, it does not count as started" \
		is_not restart_with UnsetEnvironment=NOTIFY_SOCKET TimeoutStartSec=3
	ok "Type=notify: systemd waited for it" shows Result timeout
	breaks ExecReload= reload
	ok "Restart=no: killed, it stays away" stays_dead
	ok "WatchdogSec: of a millisecond, it is ended for want of a sign of life" restarts_until watchdog WatchdogSec=1ms
	fatal RuntimeDirectory= 'may not write to the runtime directory|cannot make the runtime directory' \
		RuntimeDirectoryPreserve=no
	breaks RuntimeDirectoryMode=0700 asked_by_a_user
	breaks RuntimeDirectoryPreserve=no rule_outlives_a_restart
	ok "LimitNOFILE: of a dozen, it does not do its work" is_useless_with LimitNOFILE=12
	breaks_outright TasksMax=1
}

stays_dead() {
	kill -KILL "$(main_pid)" && wait_until 20 shows ActiveState failed && shows Result signal
}

is_ended_by() { # RESULT
	wait_until 60 shows Result "$1"
}

restarts_until() { # RESULT SETTING
	write_drop_in_of_unit tight Restart=no "$2" && systemctl reset-failed "$UNIT"
	systemctl restart "$UNIT"
	is_ended_by "$1"
}

# Either it does not start or it cannot do its work, and says so.
is_useless_with() { # SETTING
	! restart_with "$1" || ! acts_soon
}

breaks_outright() { # SETTING
	covers "${1%%=*}"
	ok "$1: it does not do its work" is_useless_with "$1"
	ok "$1: and says so" complains
}

complains() {
	journal_since "$BEGAN" -p warning | grep .
}

# --- rights --------------------------------------------------------------------------------------

without_right() { # RIGHT
	printf 'CapabilityBoundingSet=~%s' "$1"
}

rights() {
	loses "$(without_right CAP_SYS_PTRACE)" 'VMs of other users may not be recognized.*CAP_SYS_PTRACE'
	fact "CAP_SYS_ADMIN will do to read the map of another user's process" "CAP_SYS_PTRACE is needed" \
		setpriv --bounding-set=-sys_ptrace cat "/proc/${HOLDER_PID[vmm-a]}/maps"
	ok "without CAP_SYS_PTRACE: it finds what a rule names" wait_until 30 is_found vmm-a
	ok "without CAP_SYS_PTRACE: it does not see what has a KVM VM" is_not is_found kvm
	loses "$(without_right CAP_SYS_NICE)" 'Nothing can be collapsed.*CAP_SYS_NICE'
	loses "$(without_right CAP_SYS_ADMIN)" 'page frame numbers need CAP_SYS_ADMIN'
	ok "without CAP_DAC_READ_SEARCH: it starts" restart_with "$(without_right CAP_DAC_READ_SEARCH)"
	ok "without CAP_DAC_READ_SEARCH: it does not act" is_not acts_soon
	ok "without CAP_SYS_PTRACE and CAP_SYS_ADMIN: it starts" \
		restart_with 'CapabilityBoundingSet=~CAP_SYS_PTRACE CAP_SYS_ADMIN'
	ok "without CAP_SYS_PTRACE and CAP_SYS_ADMIN: it does not act" is_not acts_soon
}

# --- what is hidden ------------------------------------------------------------------------------

hidden() {
	fatal ProcSubset=pid 'stopped: /proc/vmstat'
	bears ProtectProc=invisible
	ok "with no knob to be read, it does not do its work" is_useless_with InaccessiblePaths=/sys/kernel/mm
	ok "with no cgroup to be read, the limit is not seen" limit_is_overlooked
}

limit_is_overlooked() {
	restart_with InaccessiblePaths=/sys/fs/cgroup && wait_until 60 was_tried vmm-limited
}

was_tried() { # NAME
	vm_field "${HOLDER_PID[$1]}" .last_action | grep -v null
}

# --- what is forbidden ---------------------------------------------------------------------------

# Calls of thpd without which it is nothing, and what it says without each.
forbidden() {
	fatal RestrictAddressFamilies=none 'socket in the runtime directory cannot be made'
	loses SystemCallFilter=~process_madvise 'a seccomp filter forbids it'
	loses SystemCallFilter=~move_pages 'On which node memory lies cannot be told'
	breaks_outright SystemCallFilter=~pidfd_open
	breaks_outright SystemCallFilter=~fork\ clone\ clone3\ vfork
	bears SystemCallErrorNumber=kill
	bears SystemCallFilter=~@privileged\ @setuid\ @chown\ @keyring\ @mount\ @debug SystemCallErrorNumber=kill
	bears UMask=0777
}

service_begin
shm=$(scratch_shm)
printf '%s\n' '[Manager]' 'Interval=200ms' 'MaxAge=2s' >"$CONF/thpd.conf.d/test.conf"
write_rule test.conf full "$(holders_match)"
start_vmms
as_shipped
in_force
management
rights
hidden
forbidden
ok "every option of the unit is covered" all_are_covered
for name in vmm-a vmm-home vmm-tmp vmm-contained vmm-limited; do ok "contents of $name are right" holder $name verify; done
live_end
