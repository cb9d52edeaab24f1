#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Real QEMU by thpd-run --populate: the guest's RAM is huge before its first instruction, and holds what it held; without, nothing
# is. Whatever stands in the way, QEMU starts all the same and says why, once.
# shellcheck disable=SC2317,SC2016  # commands are called by name; variables are the inner shell's
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"
MIB=256
PID=''
RUN=()
readonly TCG=(-accel 'tcg,tb-size=32') KVM=(-accel kvm -cpu max)
ACCEL=("${TCG[@]}")

test_cleanup() {
	end_vm
	[ ! -d "$T/small" ] || umount "$T/small" 2>/dev/null || true
}

end_vm() {
	[ -z "$PID" ] || { kill "$PID" 2>/dev/null && wait "$PID"; }
	PID=''
}

answers() {
	[ -S "$T/qmp" ] && socat -T 5 - "UNIX-CONNECT:$T/qmp" <<<'{"execute":"qmp_capabilities"}' 2>/dev/null | grep -q '"return"'
}

# begin_vm MEMORY WORD...: with its guest stopped before the first instruction; the pid is in PID
begin_vm() {
	local memory=$1
	shift
	rm -f "$T/qmp"
	"${RUN[@]}" qemu-system-x86_64 -nodefaults -no-user-config -display none -S "${ACCEL[@]}" -machine pc,memory-backend=ram \
		-m "${MIB}M" -object "$memory,id=ram,size=${MIB}M" -qmp "unix:$T/qmp,server=on,wait=off" "$@" 2>"$T/vm.err" &
	PID=$!
	wait_until 60 answers || { cat "$T/vm.err"; return 1; }
}

# The field of smaps, in kB, over the guest's RAM: mappings of that much shared memory.
ram_kb() {
	awk -v field="$1:" -v kb=$((MIB * 1024)) '
		/^[0-9a-f]+-[0-9a-f]+ / { is_shared = $2 ~ /s$/ }
		/^Size:/ { is_ram = is_shared && $2 == kb }
		is_ram && $1 == field { sum += $2 }
		END { print sum + 0 }' "/proc/$PID/smaps"
}

all_is_huge() {
	is_equal "$(ram_kb ShmemPmdMapped)" $((MIB * 1024))
}

nothing_is_there() {
	is_equal "$(ram_kb Rss)" 0
}

# QEMU 10 has a memfd for it.
ram_has_no_file() {
	grep -qF '/dev/zero (deleted)' "/proc/$PID/maps"
}

kvm_makes_a_vm() {
	[ "$(timeout 30 qemu-system-x86_64 -nodefaults -no-user-config -display none -S "${KVM[@]}" -machine pc -qmp stdio 2>/dev/null \
		<<<'{"execute":"qmp_capabilities"}{"execute":"quit"}' | grep -c '"return"')" = 2 ]
}

is_silent() {
	is_equal "$(cat "$T/vm.err")" ''
}

says_once() {
	is_equal "$(grep -c '^thpd: THPD_POPULATE: ' "$T/vm.err")" 1 && grep -F -- "$1" "$T/vm.err"
}

is_zero() {
	local fd
	for fd in "/proc/$PID/fd/"*; do
		case $(readlink "$fd") in */memfd:memory-backend*) cmp -n $((MIB << 20)) "$fd" /dev/zero && return ;; esac
	done
	return 1
}

is_bound() {
	grep -F 'memory-backend' "/proc/$PID/numa_maps" | grep -q ' bind:0 '
}

# Small pages here and there, whole blocks, much nothing.
write_contents() {
	local i
	truncate -s "${MIB}M" "$1"
	for i in 0 3 700 701 5000 65535; do
		dd if=/dev/urandom of="$1" bs=4096 count=1 seek="$i" conv=notrunc status=none
	done
	dd if=/dev/urandom of="$1" bs=1M count=5 seek=99 conv=notrunc status=none
}

sum_of() {
	sha256sum <"$1"
}

is_born_huge() { # TEXT MEMORY WORD...
	local text=$1
	shift
	ok "$text: QEMU starts" begin_vm "$@" || return 1
	ok "$text: all of the guest's RAM is huge before its first instruction" all_is_huge
	ok "$text: QEMU has nothing to say" is_silent
}

is_not_filled() { # TEXT MEMORY WORD...
	local text=$1
	shift
	ok "$text: QEMU starts" begin_vm "$@" || return 1
	ok "$text: nothing of the guest's RAM is there yet" nothing_is_there
	end_vm
}

live_begin qemu-system-x86_64 socat
is_not is_sanitized "$THPD_BUILD/thpd" || skip_all "the library is built without sanitizers: nothing else than in release"
[ -e "$THPD_BUILD/libthpd-vmm-preload.so" ] || skip_all "libthpd-vmm-preload.so is not built"
sed "s|@libdir@|$THPD_BUILD|" "$here/../../lib/vmm/thpd-run.sh" >"$T/bin/thpd-run" && chmod 755 "$T/bin/thpd-run"
thpd_run=$T/bin/thpd-run
note "shmem_enabled: $(cat /sys/kernel/mm/transparent_hugepage/shmem_enabled)"
shm=$(scratch_shm)
memfd='memory-backend-memfd,share=on'

is_not_filled "without thpd-run" $memfd
RUN=("$thpd_run")
is_not_filled "without --populate" $memfd
RUN=("$thpd_run" --populate --)
is_born_huge memfd $memfd
ok "memfd: every byte is zero" is_zero
end_vm
is_born_huge "bound to a node" $memfd,host-nodes=0,policy=bind
ok "bound to a node: the policy is there" is_bound
end_vm
is_born_huge "with preallocation too" $memfd,prealloc=on,prealloc-threads=2
end_vm
is_born_huge "with every system call denied that QEMU can deny" $memfd \
	-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny
end_vm
write_contents "$shm/ram"
before=$(sum_of "$shm/ram")
is_born_huge "a file with contents" "memory-backend-file,share=on,mem-path=$shm/ram"
ok "a file with contents: every byte is as it was" is_equal "$(sum_of "$shm/ram")" "$before"
end_vm
rm "$shm/ram"
is_not_filled "reserve=off" $memfd,reserve=off
is_not_filled "private memory of a file" "memory-backend-file,share=off,mem-path=$shm/ram"
no_file='memory-backend-ram,share=on'
ok "memory without a file, without KVM: QEMU starts" begin_vm $no_file
if ram_has_no_file; then
	ok "memory without a file, without KVM: nothing of it is there yet" nothing_is_there
else
	skip "memory without a file, without KVM" "this QEMU has a file for it"
fi
end_vm
if kvm_makes_a_vm; then
	ACCEL=("${KVM[@]}")
	is_born_huge "memory without a file, with KVM" $no_file
	end_vm
	is_born_huge "memory without a file, with KVM, bound to a node" $no_file,host-nodes=0,policy=bind
	end_vm
	is_not_filled "memory without a file, with KVM, reserve=off" $no_file,reserve=off
	ACCEL=("${TCG[@]}")
else
	skip "memory without a file, with KVM" "KVM makes no VM here"
fi
mkdir "$T/small"
if mount -t tmpfs -o size=64M none "$T/small" 2>/dev/null; then
	ok "a file system that is too small: QEMU starts" begin_vm "memory-backend-file,share=on,mem-path=$T/small/ram"
	ok "a file system that is too small: it says so, once" says_once 'guest memory is not all huge'
	end_vm
else
	skip "a file system that is too small" "no right to mount"
fi

# refused ERRNO REASON: the kernel's answer to each collapse, by a filter of system calls
refused() {
	RUN=("$(helper refuse)" "$1" "$thpd_run" --populate --)
	ok "$2: QEMU starts" begin_vm "$memfd"
	ok "$2: nothing is huge" is_equal "$(ram_kb ShmemPmdMapped)" 0
	ok "$2: it says so, once" says_once "guest memory is not all huge: $2"
	ok "$2: it says nothing else" is_equal "$(wc -l <"$T/vm.err")" 1
	end_vm
}

refused 12 'no huge pages are free'
refused 16 'the memory limit of its cgroup is reached'
refused 11 'some of its pages are held by others'
refused 22 'the kernel does not collapse shared memory'

# --- thpd-run ------------------------------------------------------------------------------------

ok "it keeps what is preloaded, and what is populated" is_equal \
	"$(LD_PRELOAD=$THPD_BUILD/libthpd-vmm-preload.so "$thpd_run" --populate sh -c 'echo "$LD_PRELOAD $THPD_POPULATE"')" \
	"$THPD_BUILD/libthpd-vmm-preload.so:$THPD_BUILD/libthpd-vmm-preload.so huge"
ok "without --populate it sets nothing more" is_equal "$("$thpd_run" -- sh -c 'echo "${THPD_POPULATE-none}"')" none
ok "the command's status is its own" exits_with 3 "$thpd_run" sh -c 'exit 3'
ok "no command: it says so" complains_of 'no command is given' "$thpd_run" --populate
ok "an unknown option: it says so" complains_of 'no such option: --x' "$thpd_run" --x true
ok "an unknown command: it says so" complains_of "$T/none is not found" "$thpd_run" "$T/none"
ok "an unknown command: status 127" exits_with 127 "$thpd_run" "$T/none"
sed "s|@libdir@|$T/nowhere|" "$here/../../lib/vmm/thpd-run.sh" >"$T/bin/elsewhere"
ok "no library: it names the cure" complains_of 'install thpd' sh "$T/bin/elsewhere" true
live_end
