# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# QEMU's monitor, asked from within the unit's sandbox: what it says of KVM's mappings is what KVM says, and the map of
# the guest's nodes is what the kernel says.
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
		[ "$(<"$task/comm")" != "CPU $1/KVM" ] || told "cpu ${task##*/} node $2" && return
	done
	return 1
}

is_refused() { # WORDS
	! ask && cat "$T/told" && grep -q "^refused: .*$1" "$T/told"
}

service_begin
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
live_end
