# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A real QEMU with a monitor for thpd and another one for the test. Sourced after lib.sh.

VM_PID=''
VM_START=''
VM_NAME=''
VM_WRAP=()

# Once thpd lists it. In VM_WRAP: what stands before QEMU's name.
start_vm() { # NAME OPTION...
	VM_NAME=$HOLDER_COMM$1
	"${VM_WRAP[@]}" qemu-system-x86_64 -nodefaults -display none -machine q35 -name "guest=$VM_NAME" \
		-qmp "unix:$T/vm/$VM_NAME,server=on,wait=off" -qmp "unix:$T/vm/$VM_NAME.control,server=on,wait=off" "${@:2}" \
		>>"$T/qemu.log" 2>&1 &
	VM_PID=$!
	disown "$VM_PID"
	VM_START=$(process_starttime "$VM_PID")
	wait_until 30 test -S "$T/vm/$VM_NAME.control" && wait_until "$THPD_DEADLINE" vm_is_listed "$VM_PID"
}

stop_vm() {
	[ -z "$VM_PID" ] || process_signal "$VM_PID" "$VM_START" KILL
	VM_PID=''
}

test_cleanup() {
	stop_vm
}

control() { # COMMAND: by the other monitor
	{ printf '%s\n' '{"execute":"qmp_capabilities"}' "$1"; sleep 0.3; } |
		timeout 10 socat -t 5 - "UNIX-CONNECT:$T/vm/$VM_NAME.control" | tee "$T/controlled"
	! grep '"error"' "$T/controlled"
}

# Of all QEMUs of this test; [Match] and [Collapse] are there.
policy() { # LINE...
	printf '%s\n' '[Match]' "Name=$HOLDER_COMM*" '[Collapse]' Mode=full "$@" >"$T/etc/vm.d/qemu.conf" && ctl reload
}
