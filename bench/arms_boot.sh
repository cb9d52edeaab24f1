# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Arm (i): a whole Linux boots, and fills its memory.

# boot_arm TO MEMORY COMMAND...: up, when its first program runs; full, when that has written most of the memory once.
boot_arm() {
	local to=$1 memory=$2 words
	shift 2
	mapfile -t words < <(qemu_common; qemu_accel "$GUESTS_ACCEL")
	vm_warm
	vm_begin "$@" "${words[@]}" -m "${VM_MIB}M" -object "$memory,id=ram,size=${VM_MIB}M,share=on" \
		-machine memory-backend=ram -serial stdio -append "$(guest_cmdline 0)"
	vm_wait_for 'PATTERN up'
	vm_note "boot.$to.up"
	vm_wait_for 'PATTERN ready'
	vm_note "boot.$to.full"
	paste "$T/boot.$to.full.ms" "$T/boot.$to.up.ms" | awk '{ print $1 - $2 }' >"$T/boot.$to.fill.ms"
	vm_end
}

boot_lazy() { boot_arm lazy memory-backend-memfd env; }
boot_touched() { boot_arm touched memory-backend-memfd,prealloc=on,prealloc-threads=2 env; }
boot_born() {
	boot_arm born memory-backend-memfd env "LD_PRELOAD=$THPD_BUILD/libthpd-vmm-preload.so" THPD_POPULATE=huge \
		THPD_POPULATE_THREADS=2
}

boot_rows() { # STAGE TEXT
	local arm how note
	local -A memory=([lazy]="4K pages as they are touched" [touched]="4K pages, prealloc=on, 2 threads"
		[born]="THPD_POPULATE=huge, 2 threads")
	for arm in lazy touched born; do
		how=against="$T/boot.lazy.$1.ms"
		[ $arm != lazy ] || how=ratio=1
		note=''
		[ "$1" = fill ] || note=$(vm_noted "boot.$arm.$1")
		row boot "$2: ${memory[$arm]}" ms samples="$T/boot.$arm.$1.ms" "$how" note="$note"
	done
}

# The guest's Linux is that of the live tests.
bench_boot() {
	guests_init "$T" 2>"$T/boot.err" || {
		head_line "(i) a Linux guest boots and fills its memory"
		row_skipped boot "no Linux for the guest: $(tail -n 1 "$T/boot.err"); THPD_GUEST_KERNEL=FILE names one"
		return
	}
	head_line "(i) a Linux guest of $VM_MIB MiB of memfd boots (${GUESTS_ACCEL^^}) and fills its memory; ratio: speed"
	vm_forget
	with_knobs_kept in_turns boot_lazy boot_touched boot_born
	boot_rows up "from exec to its first program"
	boot_rows fill "from there until most of its memory is written"
	boot_rows full "both"
}
