# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A QEMU that is measured from exec on, one at a time: how long, how many page faults, how much of its memory is huge.

VM_MIB=1024 # of shared memory
VM_QEMU=0 # its pid; 0: none. Gone with the benchmark, however that ends.
VM_IN='' VM_OUT='' VM_BEGAN_US=0

# vm_begin COMMAND...: which speaks on its stdin and stdout
vm_begin() {
	VM_BEGAN_US=${EPOCHREALTIME/./}
	coproc VM { exec "$@" 2>"$T/vm.err"; }
	# shellcheck disable=SC2153,SC2034  # coproc sets them; the arms write to VM_IN
	VM_QEMU=$VM_PID VM_OUT=${VM[0]} VM_IN=${VM[1]}
}

vm_wait_for() { # WORDS: in a line that it says
	local line=''
	until [[ $line == *"$1"* ]]; do
		read -r -t 120 -u "$VM_OUT" line || scene_fail "QEMU does not say $1: $(<"$T/vm.err")"
	done
}

vm_end() {
	[ "$VM_QEMU" != 0 ] || return 0
	kill "$VM_QEMU" 2>/dev/null || true
	wait "$VM_QEMU" 2>/dev/null || true
	VM_QEMU=0
}

# The sum over the guest's RAM, in kB, of fields of smaps.
vm_kb() { # FIELDS
	awk -v fields="$1" -v kb=$((VM_MIB * 1024)) '
		/^[0-9a-f]+-[0-9a-f]+ / { is_shared = $2 ~ /s$/ }
		/^Size:/ { is_ram = is_shared && $2 == kb }
		is_ram && $1 ~ fields { sum += $2 }
		END { print sum + 0 }' "/proc/$VM_QEMU/smaps"
}

# What was in use until right before, all of it at once: the bank's lending follows huge pages only.
vm_warm() {
	bank_open "$VM_MIB"
	bank_close
}

# stat_fields PID VARIABLE: those of /proc/PID/stat from the third on
stat_fields() {
	local stat
	stat=$(<"/proc/$1/stat")
	read -ra "$2" <<<"${stat##*) }"
}

# The processor time, in ms, of all threads of QEMU, and of thpd where that works for it.
vm_cpu_ms() {
	local pid fields ticks=0
	for pid in "$VM_QEMU" $THPD_PID; do
		stat_fields "$pid" fields
		ticks=$((ticks + fields[11] + fields[12]))
	done
	echo $((ticks * 1000 / $(getconf CLK_TCK)))
}

# What it took since exec, its page faults, the processor time, and the shares of its RAM that are huge and there.
vm_note() { # TO
	local us=$((${EPOCHREALTIME/./} - VM_BEGAN_US)) fields
	printf '%d.%03d\n' $((us / 1000)) $((us % 1000)) >>"$T/$1.ms"
	stat_fields "$VM_QEMU" fields
	echo "${fields[7]}" >>"$T/$1.faults"
	vm_cpu_ms >>"$T/$1.cpu"
	echo $(($(vm_kb '^(ShmemPmdMapped|.*_Hugetlb):') * 100 / (VM_MIB * 1024))) >>"$T/$1.huge"
	echo $(($(vm_kb '^(Rss|.*_Hugetlb):') * 100 / (VM_MIB * 1024))) >>"$T/$1.there"
}

# A note, for people.
vm_noted() { # TO
	echo "$(median <"$T/$1.huge") % huge, $(median <"$T/$1.there") % there, $(median <"$T/$1.faults") page faults, $(
		median <"$T/$1.cpu") ms of processor time"
}

# All that was noted.
vm_forget() {
	rm -f "$T"/*.{ms,faults,cpu,huge,there}
}
