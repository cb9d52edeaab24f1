# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Arm (h): a guest whose memory is all there before it runs.

BORN_MIB=1024
POOL=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
POOL_BEFORE=''

# The sum over the guest's RAM, in kB, of fields of smaps.
born_kb() { # PID FIELDS
	awk -v fields="$2" -v kb=$((BORN_MIB * 1024)) '
		/^[0-9a-f]+-[0-9a-f]+ / { is_shared = $2 ~ /s$/ }
		/^Size:/ { is_ram = is_shared && $2 == kb }
		is_ram && $1 ~ fields { sum += $2 }
		END { print sum + 0 }' "/proc/$1/smaps"
}

# What was in use until right before, all of it at once: the bank's lending follows huge pages only.
born_warm() {
	bank_open "$BORN_MIB"
	bank_close
}

# born_arm TO MEMORY COMMAND...: from exec to QEMU's first answer, which comes when the machine is ready; its page
# faults until then, and the share of the RAM that is huge.
born_arm() {
	local to=$1 memory=$2 line='' began_us took_us stat fields pid in
	shift 2
	[ "$to" = pool ] || born_warm
	began_us=${EPOCHREALTIME/./}
	coproc VM {
		exec "$@" qemu-system-x86_64 -nodefaults -no-user-config -display none -S -accel tcg,tb-size=32 \
			-machine pc,memory-backend=ram -m ${BORN_MIB}M -object "$memory,id=ram,size=${BORN_MIB}M,share=on" \
			-qmp stdio 2>"$T/born.err"
	}
	# shellcheck disable=SC2153  # coproc sets it
	pid=$VM_PID in=${VM[1]}
	echo '{"execute":"qmp_capabilities"}' >&"$in"
	until [[ $line == *'"return"'* ]]; do
		read -r -t 120 -u "${VM[0]}" line || scene_fail "QEMU does not start: $(<"$T/born.err")"
	done
	took_us=$((${EPOCHREALTIME/./} - began_us))
	stat=$(<"/proc/$pid/stat")
	read -ra fields <<<"${stat##*) }"
	echo "$((took_us / 1000)).$(printf %03d $((took_us % 1000)))" >>"$T/$to.ms"
	echo "${fields[7]}" >>"$T/$to.faults"
	echo $(($(born_kb "$pid" '^(ShmemPmdMapped|.*_Hugetlb):') * 100 / (BORN_MIB * 1024))) >>"$T/$to.huge"
	echo $(($(born_kb "$pid" '^(Rss|.*_Hugetlb):') * 100 / (BORN_MIB * 1024))) >>"$T/$to.there"
	echo '{"execute":"quit"}' >&"$in"
	wait "$pid" || true
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

# The pool is filled before, and not timed: who reserves it at boot pays with memory that nobody else has.
born_pool() {
	POOL_BEFORE=$(<$POOL)
	born_warm
	echo $((POOL_BEFORE + BORN_MIB / 2)) >$POOL
	if [ "$(<$POOL)" -ge $((POOL_BEFORE + BORN_MIB / 2)) ]; then
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
	row born "$2" ms samples="$T/$1.ms" note="$(median <"$T/$1.huge") % huge, $(median <"$T/$1.there") % there, $(
		median <"$T/$1.faults") page faults" "${@:3}"
}

bench_born() {
	head_line "(h) QEMU (TCG), $BORN_MIB MiB of memfd, from exec to its first answer; ratio: speed"
	rm -f "$T"/*.{ms,faults,huge,there}
	with_knobs_kept in_turns born_touch1 born_huge1 born_touch2 born_huge2 born_pool born_lazy
	born_row touch1 "prealloc=on, 1 thread" ratio=1
	born_row touch2 "prealloc=on, 2 threads" against="$T/touch1.ms"
	born_row born1 "THPD_POPULATE=huge, 1 thread" against="$T/touch1.ms" wanted='>=1.5'
	born_row born2 "THPD_POPULATE=huge, 2 threads" against="$T/touch1.ms" wanted='>=1.5'
	born_row pool "hugetlb pool, prealloc=on, 2 threads; the pool was filled before" against="$T/touch1.ms"
	born_row lazy "nothing: memory comes as the guest touches it" against="$T/touch1.ms"
}
