#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes the recorded hosts of real guests anew: tests/golden/hosts/{qemu-guests,qemu-memfd}. Needs root,
# qemu-system-x86, a built thpctl. The guests run no system (-S): prealloc=on alone fills their memory.
# Then: UPDATE_GOLDEN=1 build/release/tests/golden/test_golden, and read the difference.
set -euo pipefail
cd "$(dirname "$0")/../.."
thpctl=$PWD/build/thpctl
work=$(mktemp -d)
shm=/dev/shm/thpd-golden-$$
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$work" "$shm"' EXIT
mkdir "$shm"

guest() { # NAME QEMU-ARGUMENT...
	local name=$1
	shift
	(
		# Nothing inherited goes into the record.
		for fd in /proc/self/fd/*; do
			fd=${fd##*/}
			((fd > 2 && fd < 255)) && eval "exec $fd>&-"
		done
		exec qemu-system-x86_64 -accel tcg -S -nographic -nodefaults -name "$name" -monitor none -serial none \
			-uuid "$(cat /proc/sys/kernel/random/uuid)" "$@"
	) </dev/null >"$work/$name.log" 2>&1 &
	pids+=($!)
}

# Until the memory of the newest guest is there: KILOBYTES.
wait_resident() {
	for _ in $(seq 100); do
		[ "$(awk '/^VmRSS:/ { print $2 }' "/proc/${pids[-1]}/status")" -ge "$1" ] && return
		sleep 0.1
	done
	echo "guest ${pids[-1]} did not fill its memory" >&2
	exit 1
}

# Code and libraries say nothing about guests; thousands of lines of smaps and statistics do not either.
prune() { # TREE
	find "$1"/sys/kernel/mm/transparent_hugepage -mindepth 1 -type d ! -name hugepages-2048kB -prune \
		-exec rm -rf {} +
	find "$1"/sys/kernel/mm/ksm -type f ! -name run -delete
	find "$1"/sys/kernel/mm/transparent_hugepage -maxdepth 1 -type f \
		! -name enabled ! -name shmem_enabled ! -name hpage_pmd_size -delete
	sed -i 's/^release \([0-9.]*\).*/release \1/' "$1/thpd-record"
	for file in "$1"/proc/[0-9]*/{maps,smaps}; do
		[ -e "$file" ] || continue
		# thpd-pages speaks of mappings of 1 MiB and more.
		keep_large "$([ "${file##*/}" = maps ] && echo 1048576 || echo 16777216)" <"$file" >"$work/pruned"
		cp "$work/pruned" "$file"
	done
}

# Of maps or smaps, the mappings of so many BYTES and more.
keep_large() {
	local line keep=false
	while IFS= read -r line; do
		if [[ $line =~ ^([0-9a-f]+)-([0-9a-f]+)\  ]]; then
			keep=false
			((16#${BASH_REMATCH[2]} - 16#${BASH_REMATCH[1]} >= $1)) && keep=true
		fi
		$keep && printf '%s\n' "$line"
	done
	return 0
}

record() { # HOST: all guests that run now
	local tree=tests/golden/hosts/$1
	rm -rf "$tree"
	mkdir -p "$tree"
	"$thpctl" record "$tree" "${pids[@]}" --scrub
	prune "$tree"
	kill "${pids[@]}"
	wait "${pids[@]}" 2>/dev/null || true
	pids=()
}

guest file -m 96M -machine q35,memory-backend=m \
	-object memory-backend-file,id=m,size=96M,mem-path="$shm/file",share=on,align=2M,prealloc=on
wait_resident 98304
guest anon -m 64M -machine q35,memory-backend=m -object memory-backend-ram,id=m,size=64M,prealloc=on
wait_resident 65536
guest lazy -m 128M
sleep 1
record qemu-guests

guest memfd -m 64M -machine q35,memory-backend=m \
	-object memory-backend-memfd,id=m,size=64M,share=on,prealloc=on
wait_resident 65536
record qemu-memfd
