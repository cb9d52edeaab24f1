# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Real QEMU guests for the live tests and `make run`.  To be sourced, after lib.sh; clean under set -u.
#
#   guests_init DIR                  builds the guest's Linux once, finds out whether KVM runs it
#   start_guest NAME KIND SIZE_MIB   KIND is one of the four ways to give a guest its memory:
#     A  a file on /dev/shm, aligned to 2 MiB; small pages at first
#     B  the same kind of file on a tmpfs of its own that gives huge pages at the start and none later, so
#        that khugepaged leaves it alone, as it does on a stock /dev/shm
#     C  a memfd: QEMU maps it 4 KiB off a 2 MiB boundary, so that it can never be huge
#     D  private anonymous memory, preallocated while huge pages are off
#     E  a file on /dev/shm, mapped as C is, preallocated
#     F  a memfd as C, preallocated
#                                    GUEST_QEMU: QEMU; GUEST_WRAP: a command in front of it that executes it;
#                                    GUEST_OPTIONS: more options of QEMU; GUEST_WORDS: for the guest's init
#   wait_serial NAME REGEX SECONDS, guest_passes NAME, guest_mismatches NAME, guest_is_healthy NAME,
#   guest_is_alive NAME, guest_say NAME WORD, qmp NAME JSON, background_snapshot NAME,
#   smaps_huge NAME                  prints "HUGE RESIDENT" in bytes, straight from the kernel's smaps
#   guests_match                     lines of [Match] for exactly these guests
#   stop_guest NAME, stop_all_guests
#
# Each guest owns a directory DIR/NAME: qmp.sock, serial.sock, serial.log, qemu.pid, qemu.log.

# What the guest's work load pauses between two passes over its memory.
: "${THPD_GUEST_PAUSE_MS:=100}"

GUESTS_DIR=''
GUESTS_BUILD=''
GUESTS_SHM=''
GUESTS_ACCEL=''
GUESTS_TAG=''
GUEST_QEMU=(qemu-system-x86_64)
GUEST_WRAP=()
GUEST_OPTIONS=()
GUEST_WORDS=''
# A number that is never open: closing it is harmless.
readonly NO_FD=250
THP_KEEPER_FD=$NO_FD
THP_KEEPER_PID=''
declare -A GUEST_PID=() GUEST_START=() GUEST_MIB=() GUEST_HVA=() GUEST_FILE=()

readonly THP_ENABLED=/sys/kernel/mm/transparent_hugepage/enabled
readonly THP_LOCK=/tmp/thpd-test-sysfs.lock
readonly THP_SAVED=/tmp/thpd-test-sysfs.saved

guests_init() {
	GUESTS_DIR=$1
	GUESTS_BUILD=${THPD_GUEST_DIR:-$LIVE_DIR/../../build/guest}
	"$(dirname "${BASH_SOURCE[0]}")/../guest/build.sh" "$GUESTS_BUILD" || return 1
	GUESTS_SHM=$(mktemp -d /dev/shm/thpd-live.XXXXXX) || return 1
	GUESTS_TAG=$(cut -c 1-8 /proc/sys/kernel/random/uuid)
	accel_probe
}

# The lines of [Match] that fit the guests of this script and no others.
guests_match() {
	printf "%s\n" "Comm=qemu-system-x86*" "UUID=$GUESTS_TAG-*"
}

# --- the machine ---------------------------------------------------------------------------------

# The words that both the probe and the guests put on QEMU's command line.
qemu_common() {
	printf '%s\n' "${GUEST_QEMU[@]}" -nodefaults -no-user-config -display none -no-reboot \
		-machine pc -smp 1 \
		-kernel "$GUESTS_BUILD/vmlinuz" -initrd "$GUESTS_BUILD/initrd.cpio"
}

guest_cmdline() {
	printf '%s' "console=ttyS0 quiet loglevel=3 panic=-1 mitigations=off nokaslr tsc=reliable" \
		" no_timer_check audit=0 nowatchdog transparent_hugepage=always pattern=$1 $GUEST_WORDS"
}

# The translation buffer is kept below MinRegion=: it is no guest memory.
qemu_accel() {
	case $1 in
	kvm) printf '%s\n' -accel kvm -cpu max ;;
	*) printf '%s\n' -accel tcg,tb-size=32 -cpu qemu64 ;;
	esac
}

# A /dev/kvm that opens is no proof: boot the guest once, small, and hear it speak.
kvm_runs_a_guest() {
	local words
	[ -r /dev/kvm ] && [ -w /dev/kvm ] || return 1
	mapfile -t words < <(qemu_common; qemu_accel kvm)
	timeout --kill-after=1 5 "${words[@]}" -m 128 -serial stdio \
		-append "$(guest_cmdline probe)" </dev/null 2>/dev/null |
		grep -q -m 1 'PATTERN probe'
}

# The answer holds until the next boot.  THPD_GUEST_ACCEL=kvm|tcg decides it by hand.
accel_probe() {
	local boot kept=$GUESTS_BUILD/accel boot_seen='' accel=''
	if [ -n "${THPD_GUEST_ACCEL:-}" ]; then
		GUESTS_ACCEL=$THPD_GUEST_ACCEL
		return 0
	fi
	boot=$(cat /proc/sys/kernel/random/boot_id)
	[ ! -r "$kept" ] || read -r boot_seen accel <"$kept" || true
	if [ "$boot_seen" != "$boot" ] || [ -z "$accel" ]; then
		accel=tcg
		! kvm_runs_a_guest || accel=kvm
		printf '%s %s\n' "$boot" "$accel" >"$kept"
	fi
	GUESTS_ACCEL=$accel
}

# --- starting ------------------------------------------------------------------------------------

# Huge pages for anonymous memory are off between thp_off and thp_on.  A process of its own keeps the
# lock and puts the old value back as soon as the pipe to it is closed: by thp_on, or by this script's
# death, whatever it was.  The value is also written down for whoever takes the lock next.
thp_keeper() {
	local saved
	trap '' INT TERM HUP
	exec 9>"$THP_LOCK"
	flock 9
	[ -s "$THP_SAVED" ] || sed 's/.*\[\(.*\)\].*/\1/' "$THP_ENABLED" >"$THP_SAVED"
	printf 'never\n' >"$THP_ENABLED" && : >"$1"
	cat >/dev/null
	read -r saved <"$THP_SAVED"
	printf '%s\n' "$saved" >"$THP_ENABLED" && rm -f "$THP_SAVED"
}

thp_off() {
	rm -f "$GUESTS_DIR/thp-is-off"
	exec {THP_KEEPER_FD}> >(thp_keeper "$GUESTS_DIR/thp-is-off")
	THP_KEEPER_PID=$!
	wait_until 60 test -e "$GUESTS_DIR/thp-is-off"
}

thp_on() {
	exec {THP_KEEPER_FD}>&-
	THP_KEEPER_FD=$NO_FD
	wait "$THP_KEEPER_PID"
}

# A tmpfs that only this one process sees, gone with it.  Replaces the shell that runs it.
with_huge_tmpfs() {
	local mount_point=$1
	shift
	# shellcheck disable=SC2016  # the inner shell expands
	exec unshare --mount --propagation private -- bash -c \
		'mount -t tmpfs -o huge=always,mode=0700 thpd-live "$1" && shift && exec "$@"' \
		bash "$mount_point" "$@"
}

start_guest() {
	local name=$1 kind=$2 mib=$3 dir=$GUESTS_DIR/$1 memory words wrap=() rc=0
	mkdir -p "$dir/mem"
	GUEST_FILE[$name]=''
	case $kind in
	A)
		GUEST_FILE[$name]=$GUESTS_SHM/$name.mem
		memory=memory-backend-file,mem-path=$GUESTS_SHM/$name.mem,share=on,align=2M,prealloc=on
		;;
	B)
		memory=memory-backend-file,mem-path=$dir/mem/ram,share=on,align=2M,prealloc=on
		wrap=(with_huge_tmpfs "$dir/mem")
		;;
	C) memory="memory-backend-memfd,share=on" ;;
	D) memory="memory-backend-ram,prealloc=on" ;;
	E)
		GUEST_FILE[$name]=$GUESTS_SHM/$name.mem
		memory=memory-backend-file,mem-path=$GUESTS_SHM/$name.mem,share=on,prealloc=on
		;;
	F) memory="memory-backend-memfd,share=on,prealloc=on" ;;
	*) return 2 ;;
	esac
	mapfile -t words < <(qemu_common; qemu_accel "$GUESTS_ACCEL")
	[ "$kind" != D ] || thp_off || rc=1
	"${wrap[@]}" "${GUEST_WRAP[@]}" "${words[@]}" -name "$name" -uuid "$GUESTS_TAG$(cut -c 9- /proc/sys/kernel/random/uuid)" \
		-object "$memory,id=ram,size=${mib}M" -machine memory-backend=ram -m "${mib}M" \
		-qmp "unix:$dir/qmp.sock,server=on,wait=off" \
		-chardev "socket,id=tty,path=$dir/serial.sock,server=on,wait=off,logfile=$dir/serial.log" \
		-serial chardev:tty -pidfile "$dir/qemu.pid" \
		-append "$(guest_cmdline "$THPD_GUEST_PAUSE_MS")" "${GUEST_OPTIONS[@]}" \
		</dev/null >"$dir/qemu.log" 2>&1 {THP_KEEPER_FD}>&- &
	GUEST_PID[$name]=$!
	disown "$!"
	GUEST_MIB[$name]=$mib
	GUEST_START[$name]=$(process_starttime "${GUEST_PID[$name]}") &&
		wait_until 60 guest_answers "$name" && guest_find_memory "$name" || rc=1
	[ "$kind$rc" != B0 ] || nsenter --mount --target "${GUEST_PID[$name]}" \
		mount -o remount,huge=never "$dir/mem" || rc=1
	[ "$kind" != D ] || thp_on
	[ "$rc" = 0 ] || { echo "guest $name does not start:" && cat "$dir/qemu.log"; } >&2
	return "$rc"
}

# QEMU answers when it has preallocated the guest's memory.
guest_answers() {
	! guest_is_alive "$1" || qmp "$1" '{"execute":"query-status"}' >/dev/null
}

# Where the guest's first byte is in QEMU's address space.
guest_find_memory() {
	local reply
	reply=$(qmp "$1" '{"execute":"human-monitor-command","arguments":{"command-line":"gpa2hva 0"}}') ||
		return 1
	[[ $reply =~ is\ 0x([0-9a-f]+) ]] || return 1
	GUEST_HVA[$1]=$((16#${BASH_REMATCH[1]}))
}

# --- asking --------------------------------------------------------------------------------------

guest_is_alive() {
	process_is "${GUEST_PID[$1]:-0}" "${GUEST_START[$1]:-0}"
}

serial_has() {
	grep -aqE -- "$2" "$GUESTS_DIR/$1/serial.log" 2>/dev/null
}

serial_has_or_dead() {
	serial_has "$1" "$2" || ! guest_is_alive "$1"
}

wait_serial() {
	wait_until "$3" serial_has_or_dead "$1" "$2"
	serial_has "$1" "$2"
}

# The last whole line `PATTERN pass=N mismatches=M`, as "N M"; "0 0" before the first.
guest_progress() {
	local last
	last=$(tail -c 16384 "$GUESTS_DIR/$1/serial.log" 2>/dev/null | tr -d '\r' |
		grep -aoE '^PATTERN pass=[0-9]+ mismatches=[0-9]+$' | tail -n 1) || true
	[[ $last =~ pass=([0-9]+)\ mismatches=([0-9]+) ]] || set -- 0 0
	printf '%s %s\n' "${BASH_REMATCH[1]:-0}" "${BASH_REMATCH[2]:-0}"
}

guest_passes() {
	local passes
	read -r passes _ < <(guest_progress "$1")
	printf '%s\n' "$passes"
}

guest_mismatches() {
	local wrong
	read -r _ wrong < <(guest_progress "$1")
	printf '%s\n' "$wrong"
}

guest_passes_beyond() {
	[ "$(guest_passes "$1")" -gt "$2" ]
}

# Two whole passes from now: the first may have begun before the caller's last act.
guest_goes_on() {
	wait_until "${2:-60}" guest_passes_beyond "$1" "$(($(guest_passes "$1") + 1))"
}

guest_is_healthy() {
	guest_is_alive "$1" && [ "$(guest_mismatches "$1")" = 0 ] &&
		! serial_has "$1" 'PATTERN MISMATCH|PATTERN failed|Kernel panic|Oops|BUG:'
}

guest_say() {
	printf '%s\n' "$2" | socat -t 0 - "UNIX-CONNECT:$GUESTS_DIR/$1/serial.sock" >/dev/null
}

# One QMP command; prints its reply, and fails if that is an error.
qmp() {
	local id='"id": "thpd-test"' line='' reply='' fd socat_pid
	# shut-none: QEMU would take the end of our words for the end of the talk.
	exec {fd}< <(exec socat -t 60 - "UNIX-CONNECT:$GUESTS_DIR/$1/qmp.sock,shut-none" 2>/dev/null \
		< <(printf '{"execute":"qmp_capabilities"}\n%s,"id":"thpd-test"}\n' "${2%\}}"))
	socat_pid=$!
	while [ -z "$reply" ] && read -r -t 60 -u "$fd" line; do
		case $line in *"$id"*) reply=$line ;; esac
	done
	# QEMU serves one client at a time: do not leave this one in the way.
	exec {fd}<&-
	kill "$socat_pid" 2>/dev/null || true
	printf '%s\n' "$reply"
	[[ $reply == *'"return"'* ]]
}

migration_status_is_final() {
	MIGRATION=$(qmp "$1" '{"execute":"query-migrate"}' | jq -r '.return.status // "none"')
	[[ $MIGRATION == completed || $MIGRATION == failed || $MIGRATION == cancelled ]]
}

# QEMU write-protects all memory page by page (userfaultfd) and saves it to nowhere.  The folios stay
# huge; every huge mapping is gone afterwards (KERNEL.md 0.5).
background_snapshot() {
	local name=$1 caps='"execute":"migrate-set-capabilities"' cap='"capability":"background-snapshot"'
	MIGRATION=none
	qmp "$name" "{$caps,\"arguments\":{\"capabilities\":[{$cap,\"state\":true}]}}" >/dev/null &&
		qmp "$name" '{"execute":"migrate-set-parameters","arguments":{"max-bandwidth":34359738368}}' \
			>/dev/null &&
		qmp "$name" '{"execute":"migrate","arguments":{"uri":"exec:cat >/dev/null"}}' >/dev/null &&
		wait_until 90 migration_status_is_final "$name" &&
		[ "$MIGRATION" = completed ] &&
		qmp "$name" "{$caps,\"arguments\":{\"capabilities\":[{$cap,\"state\":false}]}}" >/dev/null
}

smaps_huge() {
	smaps_range "${GUEST_PID[$1]}" "${GUEST_HVA[$1]}" $((GUEST_MIB[$1] << 20))
}

# --- stopping ------------------------------------------------------------------------------------

guest_is_gone() {
	! guest_is_alive "$1"
}

stop_guest() {
	local name=$1
	if guest_is_alive "$name"; then
		process_signal "${GUEST_PID[$name]}" "${GUEST_START[$name]}" TERM
		wait_until 5 guest_is_gone "$name" ||
			process_signal "${GUEST_PID[$name]}" "${GUEST_START[$name]}" KILL
		wait_until 20 guest_is_gone "$name" || echo "guest $name does not end" >&2
	fi
	[ -z "${GUEST_FILE[$name]:-}" ] || rm -f "${GUEST_FILE[$name]}"
	unset "GUEST_PID[$name]" "GUEST_START[$name]"
}

stop_all_guests() {
	local name
	for name in "${!GUEST_PID[@]}"; do stop_guest "$name"; done
	[ -z "$GUESTS_SHM" ] || rm -rf "$GUESTS_SHM"
	GUESTS_SHM=''
}

# --- the four guests of the first light ----------------------------------------------------------

# Starts A, B, C and D under these names and waits until their patterns run.
start_four_guests() {
	local mib=$1 name
	start_guest A A "$mib" && start_guest B B "$mib" && start_guest C C $((mib / 2)) &&
		start_guest D D "$mib" || return 1
	for name in A B C D; do
		wait_serial "$name" 'PATTERN pass=1 ' 180 || {
			echo "guest $name never ran its pattern; its console:" >&2
			tail -n 5 "$GUESTS_DIR/$name/serial.log" >&2
			return 1
		}
	done
}
