# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Arm (h): a guest whose memory is all there before it runs.

POOL=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
POOL_BEFORE=''

# A guest that waits before its first instruction; QEMU answers when the machine is ready.
born_begin() { # MEMORY COMMAND...
	vm_begin "${@:2}" qemu-system-x86_64 -nodefaults -no-user-config -display none -S -accel tcg,tb-size=32 \
		-name "guest=$HOLDER_COMM" -machine pc,memory-backend=ram -m ${VM_MIB}M \
		-object "$1,id=ram,size=${VM_MIB}M,share=on" -qmp stdio
	echo '{"execute":"qmp_capabilities"}' >&"$VM_IN"
	vm_wait_for '"return"'
}

born_arm() { # TO MEMORY COMMAND...
	[ "$1" = pool ] || vm_warm
	born_begin "${@:2}"
	vm_note "$1"
	vm_end
}

born_lazy() { born_arm lazy memory-backend-memfd env; }
born_touch1() { born_arm touch1 memory-backend-memfd,prealloc=on,prealloc-threads=1 env; }
born_touch2() { born_arm touch2 memory-backend-memfd,prealloc=on,prealloc-threads=2 env; }
born_huge() { # THREADS
	born_arm "born$1" memory-backend-memfd env "LD_PRELOAD=$THPD_BUILD/libthpd-vmm-preload.so" THPD_POPULATE=huge \
		THPD_POPULATE_THREADS="$1"
}
born_huge1() { born_huge 1; }
born_huge2() { born_huge 2; }

# QEMU as it is, whose memory thpd fills from outside, until all of it is huge. QEMU maps a memfd where nothing can be
# huge, a file with align=2M where it can.
born_outside() {
	local shm
	shm=$(scratch_shm)
	begin_thpd
	vm_warm
	born_begin "memory-backend-file,mem-path=$shm/ram,align=2M" env
	wait_until_born_huge
	vm_note outside
	vm_end
	stop_thpd
	rm "$shm/ram"
}

wait_until_born_huge() {
	local end=$((SECONDS + 120))
	until [ "$(vm_kb '^ShmemPmdMapped:')" = $((VM_MIB * 1024)) ]; do
		[ "$SECONDS" -lt $end ] || scene_fail "thpd does not populate: $(tail -n 20 "$THPD_LOG")"
		nap 0.02
	done
}

write_born_config() {
	write_bench_config '[Budget]' 'CopyBandwidth=infinity'
	printf '%s\n' '[Match]' "Name=$HOLDER_COMM" '[Collapse]' 'Mode=full' '[Populate]' 'Mode=huge' \
		>"$T/etc/vm.d/born.conf"
}

# What prealloc=on does: QEMU 6.2 and later on Linux 5.14 and later leave it to the kernel.
prealloc_way() {
	local way='by a way that strace does not show'
	strace -f -qq -e trace=madvise -o "$T/prealloc.trace" qemu-system-x86_64 -nodefaults -no-user-config \
		-display none -S -accel tcg,tb-size=32 -machine pc,memory-backend=ram -m 64M \
		-object memory-backend-memfd,id=ram,size=64M,share=on,prealloc=on,prealloc-threads=1 -qmp stdio \
		<<<'{"execute":"qmp_capabilities"}{"execute":"quit"}' >/dev/null 2>&1 || true
	! grep -qE 'madvise\(0x[0-9a-f]+, 67108864, MADV_POPULATE_WRITE\) += 0' "$T/prealloc.trace" ||
		way='which is MADV_POPULATE_WRITE of all of it (strace)'
	echo "$way"
}

# The pool is filled before, and not timed: who reserves it at boot pays with memory that nobody else has.
born_pool() {
	POOL_BEFORE=$(<$POOL)
	vm_warm
	echo $((POOL_BEFORE + VM_MIB / 2)) >$POOL
	if [ "$(<$POOL)" -ge $((POOL_BEFORE + VM_MIB / 2)) ]; then
		born_arm pool memory-backend-memfd,hugetlb=on,hugetlbsize=2M,prealloc=on,prealloc-threads=2 env
	fi
	pool_restore
}

# However the benchmark ends.
pool_restore() {
	[ -z "$POOL_BEFORE" ] || echo "$POOL_BEFORE" >$POOL
	POOL_BEFORE=''
}

born_row() { # ARM TEXT KEY=VALUE...
	[ -s "$T/$1.ms" ] || return 0
	row born "$2" ms samples="$T/$1.ms" note="$(vm_noted "$1")" "${@:3}"
}

bench_born() {
	local way
	way=$(prealloc_way)
	head_line "(h) QEMU (TCG), $VM_MIB MiB of memfd, from exec to its first answer; ratio: speed"
	vm_forget
	write_born_config
	with_knobs_kept in_turns born_touch1 born_huge1 born_touch2 born_huge2 born_pool born_outside born_lazy
	born_row touch1 "prealloc=on, 1 thread, $way" ratio=1
	born_row touch2 "prealloc=on, 2 threads" against="$T/touch1.ms"
	born_row born1 "THPD_POPULATE=huge, 1 thread" against="$T/touch1.ms" wanted='>=1.5'
	born_row born2 "THPD_POPULATE=huge, 2 threads" against="$T/touch1.ms" wanted='>=1.5'
	born_row outside "thpd with [Populate] Mode=huge, QEMU as it is, a file with align=2M: until all is huge" \
		against="$T/touch1.ms"
	born_row pool "hugetlb pool, prealloc=on, 2 threads; the pool was filled before" against="$T/touch1.ms"
	born_row lazy "nothing: memory comes as the guest touches it" against="$T/touch1.ms"
}
