# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# QEMU's monitor, asked from within the unit's sandbox: what it says of KVM's mappings is what KVM says, and the map of
# the guest's nodes is what the kernel says. And thpd goes by it: each part of a guest that is wider than a node goes to
# where the vCPUs run that it belongs to. By it, too, QEMU is told to measure the guest's dirty rate, upon which KVM maps
# anew what the guest has made it take apart. Without a monitor what KVM maps is known by debugfs.
set -uo pipefail
# shellcheck source=../service.inc
. tests/lab/service.inc
# shellcheck source=../guests.inc
. tests/lab/guests.inc

readonly MONITORS=/run/vm-monitors ASK=/run/systemd/system/ask.service

# The unit, but for what it runs.
ask() {
	sed -e "s|^ExecStart=.*|ExecStart=$THPD_BUILD/tests/live/ask/ask ${HOLDER_PID[alpha]} 1001 $MONITORS/alpha|" \
		-e '/^\(Restart\|WatchdogSec\|RuntimeDirectory.*\|ExecReload\)=/d' -e 's/^Type=.*/Type=oneshot/' \
		-e "/^ExecStart=/a StandardOutput=truncate:$T/told" "/usr/lib/systemd/system/$UNIT" >"$ASK"
	systemctl daemon-reload && systemctl start ask.service
}

told() { # LINE
	cat "$T/told" && grep -qx -- "$1" "$T/told"
}

counts_are_kvms() {
	local small large
	ask && read -r small large <<<"$(guest_sptes alpha)" && told "kvm 4k $small 2m $large 1g 0 nx [0-9]*" &&
		[ $((small + 512 * large)) -ge 8192 ]
}

# The mappings of the two backends differ in size.
span_is() { # MIB NODE
	local range rest
	while read -r range rest; do
		[ $((16#${range#*-} - 16#${range%-*})) = $(($1 << 20)) ] || continue
		[[ $rest == rw-s*memfd* ]] && told "span $range node $2" && return
	done <"/proc/${HOLDER_PID[alpha]}/maps"
	return 1
}

cpu_is() { # N NODE
	local task
	for task in "/proc/${HOLDER_PID[alpha]}/task/"*; do
		[ "$(<"$task/comm")" = "CPU $1/KVM" ] || continue
		told "cpu ${task##*/} node $2"
		return
	done
	return 1
}

is_refused() { # WORDS
	! ask && cat "$T/told" && grep -q "^refused: .*$1" "$T/told"
}

# PAGES-ON-0 PAGES-ON-1 of a backend's memory, as the VMM maps it.
pages_by_node() { # NAME BACKEND
	awk -v file="file=$(guest_file "$1-$2")" '$0 ~ file {
		for (i = 3; i <= NF; i++) if (split($i, part, "=") == 2 && part[1] ~ /^N[01]$/) n[part[1]] += part[2]
	} END { print n["N0"] + 0, n["N1"] + 0 }' "/proc/${HOLDER_PID[$1]}/numa_maps"
}

# Blocks that are not full are held back: at most two.
lies_mostly_on_0() { # NAME BACKEND PAGES-IN-ALL
	local on0 on1
	read -r on0 on1 <<<"$(pages_by_node "$1" "$2")"
	[ $((on0 + on1)) = "$3" ] && [ "$on0" -ge $(($3 - 1024)) ] || { echo "$on0 $on1"; return 1; }
}

is_split() { # NAME
	ctl numa | grep -e "^$1 .* wide (split by guest nodes)\$" || { ctl numa; return 1; }
}

# Of the slots that are in the mapping of a backend.
slots_of() { # NAME BACKEND: "BYTES REASON" of each
	local range rest
	ctl memslots "$1" --json >"$T/table" || return 1
	read -r range rest < <(grep -F "$(guest_file "$1-$2")" "/proc/${HOLDER_PID[$1]}/maps")
	jq -r '.memslots[] | "\(.hva) \(.bytes) \(.reason)"' "$T/table" | while read -r hva bytes reason; do
		((hva < 16#${range%-*} || hva >= 16#${range#*-})) || echo "$bytes $reason"
	done
}

# All of it but what is below 1 MiB is in one slot that can be huge, which agrees with what KVM does.
memory_is_inferred() { # NAME
	slots_of "$1" m0 >"$T/m0" && slots_of "$1" m1 >"$T/m1" && jq -e '.known and .inferred' "$T/table" &&
		is_equal "$(tail -n 1 "$T/m0")" "$((63 << 20)) none" && is_equal "$(<"$T/m1")" "$((64 << 20)) none"
}

# Without a monitor the unit, as it is, reads debugfs.
without_monitor() { # NAME
	write_rule qmp.conf full "Name=$1" && systemctl reload thpd
}

snapshot_says_what_kvm_maps() { # NAME
	ctl snapshot "$1" >"$T/snapshot" && ctl plan --snapshot="$T/snapshot" >"$T/plan" &&
		grep -E "^KVM: .* of the .* that it maps into the guest is by huge pages \(by the kernel's debugfs\)" "$T/plan" ||
		{ cat "$T/plan"; return 1; }
}

# The four files, which say that something is mapped, and by what the VM is known to be that process's.
record_has_kvms_counts() { # NAME
	local pid=${HOLDER_PID[$1]} vm names
	mkdir "$T/record" && ctl record "$T/record" "$pid" --scrub || return 1
	vm=("$T/record/sys/kernel/debug/kvm/$pid-"*)
	names=$(cd "${vm[0]}" && echo *)
	is_equal "${#vm[@]} $names" '1 nx_lpage_splits pages_1g pages_2m pages_4k' &&
		[ $(($(<"${vm[0]}/pages_4k") + $(<"${vm[0]}/pages_2m"))) -gt 0 ] &&
		is_equal "$(readlink "$T/record/proc/$pid/fd/${vm[0]##*-}")" anon_inode:kvm-vm &&
		[ -d "$T/record/proc/$pid/task/$pid" ]
}

# A memfd of QEMU's would lie where it can never be huge.
backend() { # NAME BACKEND
	printf 'memory-backend-file,id=%s,size=64M,mem-path=%s,share=on,align=2M' "$2" "$(guest_file "$1-$2")"
}

# --- the nudge by QEMU's measuring of its dirty rate ----------------------------------------------

# For docs/NUDGE.md (tests/lab/nudge_doc.sh).
counts_when() { # NAME WHEN
	local small large
	read -r small large <<<"$(guest_sptes "$1")"
	printf '# MEASURED\t%s\t%s/%s\n' "$2" "$small" "$large"
}

may_measure() { # NAME yes|no
	sed -i '/^\[Nudge\]$/,$d' "$CONF/vm.d/qmp.conf" && printf '%s\n' '[Nudge]' "DirtyRate=$2" >>"$CONF/vm.d/qmp.conf" &&
		systemctl reload thpd
}

is_held() { # NAME WHY
	! ctl nudge "$1" --wait >"$T/held" 2>&1 && cat "$T/held" && grep "not nudged ($2)" "$T/held"
}

nudge_was() { # NAME RESULT
	is_equal "$(vm_field "${HOLDER_PID[$1]}" '| .kvm.nudge | "\(.means) \(.result)"')" "qmp/calc-dirty-rate $2"
}

# KVM takes pages apart in which a guest executes, if it is told to.
nx_huge_pages() { # force|off
	echo "$1" >/sys/module/kvm/parameters/nx_huge_pages
}

# A monitor that did not answer within a second may be asked again: the machine is emulated.
nudged_by_qemu() { # NAME
	ok "the host does what it can" ctl collapse "$1" --wait
	ok "the guest executes in all of its memory" guest_executes "$1"
	ok "KVM has taken it apart" is_mostly_small "$1"
	counts_when "$1" before
	ok "without leave it is not nudged" is_held "$1" memslots-not-told
	ok "with leave" may_measure "$1" yes
	ok "it is nudged by QEMU" wait_until 120 ctl nudge "$1" --wait
	counts_when "$1" afterwards
	ok "that is told" nudge_was "$1" "done"
	ok "the guest has lost nothing by it" guest_does "$1" check
	ok "no log is left on: KVM maps it huge" is_mostly_huge "$1"
	counts_when "$1" "afterwards, touched"
	ok "it may not be again so soon" is_held "$1" measured-lately
	ok "thpd starts anew" systemctl restart thpd
	ok "and finds it" wait_until 60 ctl show "$1"
	ok "QEMU remembers" wait_until 120 is_held "$1" measured-lately
	ok "the guest is stopped" qmp "$1" stop
	ok "a guest that is stopped is not nudged" wait_until 120 is_held "$1" vm-not-running
	ok "it goes on" qmp "$1" cont
	ok "KVM maps it huge still" is_mostly_huge "$1"
	ok "not without leave" may_measure "$1" no
}

# --- the same on evidence -------------------------------------------------------------------------

nudged_by_itself() { # NAME
	ok "the host does what it can" ctl collapse "$1" --wait
	ok "the guest executes in all of its memory" guest_executes "$1"
	ok "KVM has taken it apart" is_mostly_small "$1"
	ok "it is nudged by QEMU, and nobody asked for it" wait_until 240 nudge_was "$1" "done"
	ok "the guest has lost nothing by it" guest_does "$1" check
	ok "no log is left on: KVM maps it huge" is_mostly_huge "$1"
	ok "thpd knows that it helped" wait_until 120 helped "$1"
	ok "the guest executes in all of its memory again" guest_executes "$1"
	ok "KVM has taken it apart again" is_mostly_small "$1"
	ok "the guest keeps that for this day" wait_until 120 is_small_and_held "$1"
}

# Entries that were dropped come back when the guest touches its memory.
helped() { # NAME
	guest_does "$1" check && is_equal "$(vm_field "${HOLDER_PID[$1]}" '| .kvm.nudge.verdict.vain')" false
}

# There is evidence again, and it is not the evidence that lacks.
is_small_and_held() { # NAME
	ctl plan "$1" --json >"$T/plan" && jq -c .nudge_held.reason "$T/plan" &&
		jq -e '.nudge_held.reason | . == "measured-lately" or . == "nudged-lately"' "$T/plan" && is_mostly_small "$1"
}

# Of two nodes, with a monitor for thpd.
start_pair() { # NAME
	start_qemu "$1" '' -name "guest=$1,debug-threads=on" -smp 2 \
		-m 128M -object "$(backend "$1" m0)" -object "$(backend "$1" m1)" \
		-numa node,nodeid=0,cpus=0,memdev=m0 -numa node,nodeid=1,cpus=1,memdev=m1 \
		-qmp "unix:$MONITORS/$1,server=on,wait=off"
}

service_begin
echo "# KERNEL $(uname -r)"
install -d -o 1001 -g 0 -m 2770 "$MONITORS"
umask 0002
ok "a guest of two nodes, of another user" start_qemu alpha '' -name guest=alpha,debug-threads=on -smp 2 -m 112M \
	-object memory-backend-memfd,id=m0,size=64M -object memory-backend-memfd,id=m1,size=48M \
	-numa node,nodeid=0,cpus=0,memdev=m0 -numa node,nodeid=1,cpus=1,memdev=m1 \
	-qmp "unix:$MONITORS/alpha,server=on,wait=off"
umask 0022
ok "it touches its memory" guest_does alpha store
ok "KVM's counts are KVM's" counts_are_kvms
ok "the first node is the first backend" span_is 64 0
ok "the second node is the second backend" span_is 48 1
ok "the first vCPU is of the first node" cpu_is 0 0
ok "the second vCPU is of the second node" cpu_is 1 1
chmod 750 "$MONITORS/alpha"
ok "without the right to write to the socket it is refused" is_refused "its mode and group decide"
ok "the guest has lost nothing" guest_does alpha check
ok "it ends" holder alpha halt
umask 0002
ok "a guest with two nodes, all of it on one of the host's" start_pair beta
umask 0022
ok "it touches its memory" guest_does beta store
before0=$(pages_by_node beta m0) before1=$(pages_by_node beta m1)
ok "the first half is on node 1" is_equal "${before0% *}" 0
ok "the second half is on node 1" is_equal "${before1% *}" 0
ok "its first vCPU goes to node 0" vcpu_goes_to beta 0 0
printf '%s\n' '[Manager]' 'Interval=200ms' 'MaxAge=2s' >"$CONF/thpd.conf.d/test.conf"
write_rule qmp.conf full Name=beta &&
	printf '%s\n' '[NUMA]' Placement=bind Nodes=0-1 StableFor=1s MinGain=2M '[QEMU]' "Monitor=$MONITORS/%n" \
		>>"$CONF/vm.d/qmp.conf"
ok "thpd starts" systemctl start thpd
ok "the first half goes to node 0" wait_until 240 lies_mostly_on_0 beta m0 "${before0#* }"
ok "the second half stays on node 1" is_equal "$(pages_by_node beta m1)" "$before1"
ok "thpctl numa says how it is divided" wait_until 60 is_split beta
ok "the guest has lost nothing by that" guest_does beta check
ok "status has KVM's counts, by the monitor" wait_until 240 status_has_kvms_counts beta qmp
ok "its memslots are inferred, and can be huge" wait_until 240 memory_is_inferred beta
ok "which KVM bears out" is_mostly_huge beta
ok "KVM guards against code in huge pages" nx_huge_pages force
nudged_by_qemu beta
umask 0002
ok "another guest" start_pair gamma
umask 0022
ok "it touches its memory" guest_does gamma store
write_rule gamma.conf full Name=gamma &&
	printf '%s\n' '[Nudge]' Mode=auto DirtyRate=yes '[QEMU]' "Monitor=$MONITORS/%n" >>"$CONF/vm.d/gamma.conf"
ok "which may be nudged on evidence" systemctl reload thpd
nudged_by_itself gamma
ok "and no more" nx_huge_pages off
ok "the monitor is taken out of the configuration" without_monitor beta
ok "nobody tells the memslots any more" is_not ctl memslots beta
ok "status has KVM's counts, by debugfs" wait_until 240 status_has_kvms_counts beta debugfs
ok "a snapshot has them elsewhere, too" snapshot_says_what_kvm_maps beta
ok "and so has a record" record_has_kvms_counts beta
live_end
