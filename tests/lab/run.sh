#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Boots a virtual KVM host and runs a scenario in it, or a shell.
#
#   run.sh BUILD-DIR KERNEL SCENARIO     TAP on stdout; 0 passed, 1 failed, 2 no result (the machine did not
#                                        come to an end, or the emulator erred: the caller may try once more)
#                                        LAB_PMEM=DIR keeps the NVDIMMs there, for the next boot; LAB_CUT=SECONDS cuts
#                                        the power so long after the machine has said CUT-READY
#   run.sh BUILD-DIR KERNEL --shell      a root shell on this terminal; leave it with `exit`
#
# A scenario is tests/lab/scenarios/NAME.sh, run there as root on a booted system with the built programs in
# /lab/build, the tests in /lab/tests and thpd installed as `make install` does it. The machine has 2 processors,
# 4 GiB and an NVDIMM of 4 GiB on each of two nodes, and /dev/kvm. A scenario that needs more nodes says so in a line
# "# machine: 4 nodes" of its own; each has a processor and its share of the memory. What it said is kept in
# build/lab/runs/KERNEL-SCENARIO/.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$HERE/../.."
BUILD=$1 KERNEL=$2 SCENARIO=$3
LAB=$PWD/build/lab
RUN=$LAB/runs/$KERNEL-${SCENARIO//\//-}
: "${LAB_PMEM:=$RUN}" "${LAB_CUT:=}" "${LAB_KIND:=xfs}"
SECONDS_MAX=${LAB_SECONDS:-600}
NODES=$(sed -n 's/^# machine: \([0-9]*\) nodes$/\1/p' "tests/lab/scenarios/$SCENARIO.sh" 2>/dev/null || true)
: "${NODES:=2}"
PMEM=()
# A complaint of the kernel fails the run, whatever the scenario says.
COMPLAINTS='WARNING: |BUG: |Oops|possible (recursive|circular) locking|Kernel panic|blocked for more than'
# Faults of the emulator, as a rule in early boot: it has lost a processor's timer, or has run the breakpoint by which
# the kernel patches its text after that was gone (a stale translation). Whatever comes of it is no result.
EMULATOR='detected (expedited )?stall|Oops: int3|int3: 0000'

say() {
	printf '# %s\n' "$*"
}

# --- what travels with the initrd -----------------------------------------------------------------

write_run_script() { # FILE
	cat >"$1" <<-END
		#!/bin/bash
		stty -onlcr
		cp -a /lab/installed/. /
		systemctl daemon-reload
		modprobe -a kvm_amd nfit nd_pmem dax_pmem device_dax
		udevadm settle
		echo 0 >/proc/sys/kernel/numa_balancing
		export THPD_BUILD=/lab/build THPD_POLL=0.5 KERNEL=$KERNEL LAB_KIND=$LAB_KIND
		trap 'read -r up _ </proc/uptime; echo "LAB-UPTIME \${up%.*}"' EXIT
		cd /lab
		$2
	END
	chmod +x "$1"
}

make_payload() { # COMMAND
	local tree=$RUN/tree/payload
	mkdir -p "$tree"/{build/tests,tests}
	# It writes below the build directory, too, and runs may go on side by side.
	flock "$LAB/install.lock" make --no-print-directory -s install DESTDIR="$tree/installed" prefix=/usr \
		unitdir=/usr/lib/systemd/system MODE="${BUILD##*/}" >/dev/null
	cp "$BUILD"/{thpd,thpctl} "$tree/build/"
	cp -a "$BUILD"/tests/{live,expect,lab} "$tree/build/tests/"
	cp -a tests/{live,lib,lab} "$tree/tests/"
	write_run_script "$tree/run" "$1"
	(cd "$RUN/tree" && find . | cpio -o -H newc --quiet) >"$RUN/payload"
	rm -rf "$RUN/tree"
	cat "$LAB/kernel-$KERNEL.initrd" "$RUN/payload" >"$RUN/initrd"
	rm "$RUN/payload"
}

# --- the machine ----------------------------------------------------------------------------------

# One NVDIMM a node, without labels: a scenario makes of them what it needs (tests/lab/pmem.inc). A 1 GiB aligned
# address is what 1 GiB pages of device-dax take.
add_pmem() {
	local node
	for node in 0 1; do
		truncate -s 4G "$LAB_PMEM/pmem$node"
		PMEM+=(-object "memory-backend-file,id=nv$node,share=on,mem-path=$LAB_PMEM/pmem$node,size=4G,align=1G"
			-device "nvdimm,id=nvdimm$node,memdev=nv$node,node=$node")
	done
}

# A processor a node; the memory is shared out.
nodes() { # COUNT
	local node
	printf '%s\n' -smp "$1,sockets=$1"
	for ((node = 0; node < $1; node++)); do
		printf '%s\n' -object "memory-backend-ram,id=m$node,size=$((4096 / $1))M" \
			-numa "node,nodeid=$node,memdev=m$node,cpus=$node"
	done
}

# MTTCG, EPYC, QEMU 10: solid, where QEMU 7.2 oopses in early boot and a single TCG thread locks up.
boot() { # QEMU-OPTIONS... for the serial ports
	local nodes
	mapfile -t nodes < <(nodes "$NODES")
	exec nice -n 10 timeout -k 5 "$SECONDS_MAX" "$LAB/qemu/usr/bin/qemu-system-x86_64" \
		-L "$LAB/qemu/usr/share/qemu" -L /usr/share/seabios -L /usr/share/qemu \
		-nodefaults -no-user-config -display none -no-reboot \
		-machine q35,hpet=off,nvdimm=on -accel tcg,thread=multi,tb-size=512 -cpu EPYC \
		-m 4G,slots=4,maxmem=64G "${nodes[@]}" "${PMEM[@]}" \
		-drive "file=$LAB/image,if=none,id=d0,format=raw,readonly=on" -device virtio-blk-pci,drive=d0 \
		-object rng-random,id=r0,filename=/dev/urandom -device virtio-rng-pci,rng=r0 \
		-kernel "$LAB/kernel-$KERNEL.vmlinuz" -initrd "$RUN/initrd" \
		-append "console=ttyS0 rdinit=/init mitigations=off nokaslr quiet loglevel=4 systemd.show_status=false audit=0 lsm= panic=-1 tsc=reliable no_timer_check" \
		"$@" 2>"$RUN/qemu.log"
}

run_scenario() {
	local pid
	boot -serial "file:$RUN/console.log" -serial "file:$RUN/out.raw" </dev/null &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		! is_misled || kill "$pid"
		[ -z "$LAB_CUT" ] || ! grep -qa '^CUT-READY' "$RUN/out.raw" 2>/dev/null || cut_off "$pid"
		sleep 1
	done
	wait "$pid" || true
	tr -d '\r' <"$RUN/out.raw" >"$RUN/out.log" 2>/dev/null || true
}

cut_off() { # PID
	sleep "$LAB_CUT"
	LAB_CUT=''
	pkill -KILL -P "$1" || kill -KILL "$1"
}

is_misled() {
	grep -qaE "$EMULATOR" "$RUN/console.log" 2>/dev/null
}

# Its clock has jumped ahead, as the host's time stamp counter may if the host is a machine of that kind itself: what
# thpd waits for hours for was done at once, and every deadline is past.
is_ahead() {
	local uptime
	uptime=$(sed -n 's/^LAB-UPTIME \([0-9]*\)$/\1/p' "$RUN/out.log" | tail -n 1)
	[ -n "$uptime" ] && [ "$uptime" -gt $((SECONDS + 60)) ]
}

judge() {
	local complaint status
	! is_misled || { say "a fault of the emulator: $RUN/console.log"; return 2; }
	! is_ahead || { say "the machine's clock jumped: $RUN/out.log"; return 2; }
	grep -aE '^(ok|not ok|1\.\.|#)' "$RUN/out.log" || true
	complaint=$(grep -aEm 1 "$COMPLAINTS" "$RUN/console.log" || true)
	status=$(sed -n 's/^LAB-EXIT \([0-9]*\)$/\1/p' "$RUN/out.log" | tail -n 1)
	[ -z "$complaint" ] || { echo "not ok - the kernel complained: $complaint"; say "see $RUN/console.log"; return 1; }
	[ -n "$status" ] || { say "the machine said nothing of how it ended: $RUN"; tail -n 5 "$RUN"/{console,qemu}.log | sed 's/^/#   /'; return 2; }
	[ "$status" = 0 ] || say "ended with status $status: see $RUN"
	[ "$status" = 0 ] || return 1
}

[ -e "$LAB/kernel-$KERNEL.made" ] || { echo "lab: no kernel '$KERNEL' in build/lab: make lab" >&2; exit 1; }
rm -rf "$RUN"
mkdir -p "$RUN"
add_pmem
if [ "$SCENARIO" = --shell ]; then
	SECONDS_MAX=infinity
	make_payload 'setsid -c bash -l'
	boot -serial "file:$RUN/console.log" -serial stdio
fi
[ -e "$HERE/scenarios/$SCENARIO.sh" ] || { echo "lab: no scenario '$SCENARIO' in tests/lab/scenarios" >&2; exit 1; }
make_payload "bash tests/lab/scenarios/$SCENARIO.sh"
run_scenario
rc=0
judge || rc=$?
rm -f "$RUN"/{initrd,out.raw,pmem0,pmem1}
exit $rc
