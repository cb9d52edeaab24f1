#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What thpd says of VMMs that have no library of it in them, and what it leaves alone: Firecracker with
# track_dirty_pages (a holder of memory with its name and command line), in a root of its own, too; Cloud Hypervisor;
# a static VMM; a QEMU with the monitor that libvirt gives to its guests.
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"

VM_PID=''
VM_START=''

test_cleanup() {
	[ -z "$VM_PID" ] || process_signal "$VM_PID" "$VM_START" KILL
}

# --- holders under other names -------------------------------------------------------------------

# Any helper is linked against libc; a VMM is what its program is called.
start_named() { # NAME PROGRAM OPTION...
	local program=$T/bin/$2-$1
	cp "$(helper holder)" "$program" && start_talker "$1" "$program" "${@:3}" && holder_note_memory "$1" "$READY"
}

build_static() { # PROGRAM
	"${CC:-gcc}" -std=gnu17 -D_GNU_SOURCE -O2 -static -iquote "$here/../lib" -o "$1" "$here/holder.c" "$here/../lib/"*.c
}

# In a root of its own, as Firecracker's jailer makes one.  The name that thpd is to serve is a link to the program.
start_jailed() { # NAME OPTION...
	local dir=$T/jail$T/bin
	mkdir -p "$dir" && cp "$T/bin/static" "$dir/firecracker-jailed" &&
		ln -s firecracker-jailed "$dir/$HOLDER_COMM$1" || return 1
	HOLDER_WRAP=(chroot "$T/jail")
	start_talker "$1" "$T/bin/static" "${@:2}"
	HOLDER_WRAP=()
	holder_note_memory "$1" "$READY"
}

is_logged() { # NAME ANSWER
	is_equal "$(vm_field "${HOLDER_PID[$1]}" .logged_for_life)" "$2"
}

is_static() { # NAME ANSWER
	is_equal "$(vm_field "${HOLDER_PID[$1]}" .static_vmm)" "$2"
}

is_barred_for_life() { # NAME
	vm_field "${HOLDER_PID[$1]}" '.reasons["dirty-logging-for-life"]' | grep -qx "$((64 << 20))"
}

explains() { # NAME WORDS
	ctl explain "${HOLDER_PID[$1]}" >"$T/explained" && cat "$T/explained" && grep -qF -- "$2" "$T/explained"
}

doctor_says() { # ID NAME
	ctl doctor --json | jq -e --arg id "$1" --arg name "$2" \
		'.checks[] | select(.id == $id and (.text | startswith($name)))' >/dev/null
}

is_not_nudged() { # WHO WHY [WORDS-OF-CURE]
	! ctl nudge "$1" --wait 2>"$T/refused" && cat "$T/refused" && grep -q "not nudged ($2)" "$T/refused" &&
		grep -qF -- "${3:-}" "$T/refused"
}

# --- a guest as libvirt starts it ----------------------------------------------------------------

start_domain() {
	mkdir -p "$T/domain-1-vm1"
	qemu-system-x86_64 -accel kvm -S -m 128 -nodefaults -display none -name "guest=$HOLDER_COMM,debug-threads=on" \
		-chardev "socket,id=charmonitor,path=$T/domain-1-vm1/monitor.sock,server=on,wait=off" \
		-mon chardev=charmonitor,id=monitor,mode=control "$@" >"$T/qemu.log" 2>&1 &
	VM_PID=$!
	disown "$VM_PID"
	VM_START=$(process_starttime "$VM_PID")
	wait_until 30 test -S "$T/domain-1-vm1/monitor.sock"
}

domain_is() { # FIELD VALUE
	is_equal "$(vm_field "$VM_PID" "$1")" "$2"
}

write_domain_rule() { # MONITOR
	printf '%s\n' '[Match]' "Name=$HOLDER_COMM" '[Collapse]' 'Mode=full' '[QEMU]' "Monitor=$1" >"$T/etc/vm.d/domain.conf"
}

live_begin jq qemu-system-x86_64
[ -w /dev/kvm ] || skip_all "no /dev/kvm"
build_static "$T/bin/static" 2>"$T/cc.log" || skip_all "a static program cannot be built"

# --- Firecracker ---------------------------------------------------------------------------------

echo '{"machine-config":{"vcpu_count":1,"mem_size_mib":64,"track_dirty_pages":true}}' >"$T/tracked.json"
echo '{"machine-config":{"vcpu_count":1,"mem_size_mib":64}}' >"$T/plain.json"
write_test_config ''
ok "thpd starts" start_thpd || exit 1
ok "a Firecracker with track_dirty_pages starts" \
	start_named vmm-log firecracker --kind=anon --size=64 --config-file "$T/tracked.json"
ok "and one without, and without a socket" \
	start_named vmm-plain firecracker --kind=anon --size=64 --no-api --config-file "$T/plain.json"
mkdir -p "$T/jail"
cp "$T/tracked.json" "$T/jail/vm.json"
ok "and one in a root of its own" start_jailed vmm-jailed --kind=anon --size=64 --config-file /vm.json
ok "the one without is made huge" wait_until "$THPD_DEADLINE" holder_is_huge vmm-plain
ok "it is known to log nothing" is_logged vmm-plain no
ok "the first is known to log for life" wait_until "$THPD_DEADLINE" is_logged vmm-log yes
ok "so is the one in a root of its own" wait_until "$THPD_DEADLINE" is_logged vmm-jailed yes
ok "which is static" is_static vmm-jailed yes
ok "as the others are not" is_static vmm-log no
ok "it is looked at" wait_until "$THPD_DEADLINE" is_barred_for_life vmm-log
ok "a cycle that is asked for changes nothing" ctl collapse "${HOLDER_PID[vmm-log]}" --wait
ok "nothing of it is huge" holder_has_nothing_huge vmm-log
ok "nor of the one in a root of its own" holder_has_nothing_huge vmm-jailed
ok "explain says why, and what helps" explains vmm-log "Start the VM without track_dirty_pages"
ok "doctor warns" doctor_says guest-dirty-logging-for-life "${HOLDER_COMM}vmm-log"
ok "it is not nudged" is_not_nudged "${HOLDER_PID[vmm-log]}" dirty-logging-for-life
ok "nor is the other, whose VMM has no way" is_not_nudged "${HOLDER_PID[vmm-plain]}" vmm-has-no-way "thpd-vmm(3)"

printf '%s\n' '[Match]' "Comm=${HOLDER_COMM}vmm-log" '[Collapse]' 'Mode=full' 'DirtyLogged=yes' >"$T/etc/vm.d/a.conf"
ok "the policy of one VM says otherwise" ctl reload
ok "then it is made huge" wait_until "$THPD_DEADLINE" holder_is_huge vmm-log
ok "and that one alone" holder_has_nothing_huge vmm-jailed
stop_holder vmm-log
stop_holder vmm-plain
stop_holder vmm-jailed

# --- others --------------------------------------------------------------------------------------

ok "a Cloud Hypervisor starts" start_named vmm-ch cloud-hypervisor --size=64
ok "thpd makes it huge" wait_until "$THPD_DEADLINE" holder_is_huge vmm-ch
ok "it has no way to be nudged" is_not_nudged "${HOLDER_PID[vmm-ch]}" vmm-has-no-way
ok "nor its memslots to be told" complains_of "This VMM (Cloud Hypervisor" ctl memslots "${HOLDER_PID[vmm-ch]}"
stop_holder vmm-ch
start_static() { start_talker vmm-static "$T/bin/static" --size=64 && holder_note_memory vmm-static "$READY"; }
ok "a static VMM of no known name starts" start_static
ok "thpd makes it huge" wait_until "$THPD_DEADLINE" holder_is_huge vmm-static
ok "it is not told to load a library" is_not_nudged "${HOLDER_PID[vmm-static]}" vmm-is-static "thpd-vmm(3)"
stop_holder vmm-static

# --- libvirt -------------------------------------------------------------------------------------

write_domain_rule none
ok "the rule for a domain is read" ctl reload
if start_domain; then
	ok "the domain is found" wait_until "$THPD_DEADLINE" vm_is_listed "$VM_PID"
	ok "and known to be libvirt's" domain_is .libvirt true
	ok "it is not nudged but through libvirt" is_not_nudged "$VM_PID" through-libvirt "virsh domdirtyrate-calc"
	if [ -d /sys/kernel/debug/kvm ]; then
		skip "what KVM maps is said to lack" "debugfs tells it"
	else
		lacks_counts() { is_equal "$(vm_field "$VM_PID" '.hint.lacks[0]')" kvm-counts; }
		ok "what KVM maps is said to lack" wait_until "$THPD_DEADLINE" lacks_counts
		explains_domain() { ctl explain "$VM_PID" >"$T/explained" && grep -q '^through-libvirt (for kvm-counts)' "$T/explained"; }
		ok "explain says through whom it is known" explains_domain
		ok "so does doctor" doctor_says guest-through-libvirt "$HOLDER_COMM"
	fi
	write_domain_rule "$T/domain-1-vm1/monitor.sock"
	ok "the monitor that is libvirt's is named to thpd" ctl reload
	ok "which does not use it" wait_until "$THPD_DEADLINE" thpd_log_has "Monitor= names the monitor that is libvirt's own"
else
	note "$(tail -n 3 "$T/qemu.log")"
	skip "a domain" "QEMU does not start with KVM here"
fi
ok "thpd stops on SIGTERM with status 0" stop_thpd
live_end
