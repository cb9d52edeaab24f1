# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the live tests share: TAP, waiting, processes, the daemon, plain memory holders.
# To be sourced by a test that has set -u; THPD_BUILD names the build directory (thpd, thpctl).
#
#   live_begin [PROGRAM...]          scratch directory $T, clean-up, skip if a program or root is missing
#   ok TEXT COMMAND..., skip TEXT WHY, note TEXT..., live_end
#   is_not COMMAND..., is_equal A B, exits_with STATUS COMMAND..., complains_of WORDS COMMAND...
#   wait_until SECONDS COMMAND...    polls; no test sleeps for luck
#   start_thpd [OPTION...], stop_thpd, thpd_is_alive, ctl VERB..., vm_field PID FIELD
#   lab_qemu                         prints its words
#   start_holder NAME OPTION..., holder NAME COMMAND..., stop_holder NAME, holder_huge NAME
#
# A test with more to tidy up defines test_cleanup.  It owns only processes that it started itself, and everything it writes is below $T.

LIVE_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${THPD_BUILD:=$LIVE_DIR/../../build}"
THPD_BUILD=$(cd "$THPD_BUILD" && pwd)

# What waits for the daemon's work may take long under ASan on a busy machine; it costs nothing else.
: "${THPD_DEADLINE:=90}"

# Between two looks at a condition; each look starts processes, which is dear where the processor is emulated.
: "${THPD_POLL:=0.1}"

T=''
TAP_COUNT=0
TAP_FAILED=0
TAP_IS_DONE=no
THPD_PID=''
THPD_LOG=''
THPD_WRAP=()
HOLDER_COMM=''
HOLDER_WRAP=()
READY=''
declare -A HOLDER_PID=() HOLDER_START=() HOLDER_IN=() HOLDER_OUT=() HOLDER_ADDR=() HOLDER_BYTES=()

# --- TAP -----------------------------------------------------------------------------------------

note() {
	printf '# %s\n' "$@"
}

# ok TEXT COMMAND...: the command's success is the result; its output is shown only if it fails.
# The command runs in this shell, so that it can start things.
ok() {
	local text=$1 rc=0
	shift
	TAP_COUNT=$((TAP_COUNT + 1))
	"$@" >"$T/ok.out" 2>&1 || rc=$?
	if [ "$rc" = 0 ]; then
		printf 'ok %d - %s\n' "$TAP_COUNT" "$text"
		return 0
	fi
	TAP_FAILED=$((TAP_FAILED + 1))
	printf 'not ok %d - %s\n' "$TAP_COUNT" "$text"
	printf '# %s: status %s\n' "$*" "$rc"
	tail -n 20 "$T/ok.out" | sed 's/^/#   /'
	return 1
}

skip() {
	TAP_COUNT=$((TAP_COUNT + 1))
	printf 'ok %d - %s # SKIP %s\n' "$TAP_COUNT" "$1" "$2"
}

skip_all() {
	printf "1..1\nok 1 - %s # SKIP %s\n" "$(basename "$0" .sh)" "$1"
	TAP_IS_DONE=yes
	exit 0
}

# The scratch directory and the promise to clean up.
scratch_begin() {
	T=$(mktemp -d "${TMPDIR:-/tmp}/thpd-live.XXXXXX")
	mkdir "$T/etc" "$T/etc/vm.d" "$T/run" "$T/bin"
	# Two tests at once must not serve each other's VMs: the kernel cuts a comm to 15 bytes.
	HOLDER_COMM=v$$-
	trap live_cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
}

live_begin() {
	local missing
	[ "$(id -u)" = 0 ] || skip_all "needs root"
	missing=$(missing_programs "$@")
	[ -z "$missing" ] || skip_all "missing:$missing"
	scratch_begin
}

# A directory on /dev/shm, gone with the test: everything else is below $T.
scratch_shm() {
	local shm
	shm=$(mktemp -d /dev/shm/thpd-live.XXXXXX)
	printf "%s\n" "$shm" >>"$T/shm-dirs"
	printf "%s\n" "$shm"
}

missing_programs() {
	local program
	for program in "$@"; do
		command -v "$program" >/dev/null || printf ' %s' "$program"
	done
}

live_cleanup() {
	local rc=$? name
	trap '' INT TERM HUP
	[ -z "$THPD_PID" ] || kill -KILL "$THPD_PID" 2>/dev/null || true
	for name in "${!HOLDER_PID[@]}"; do stop_holder "$name"; done
	if declare -F test_cleanup >/dev/null; then test_cleanup; fi
	if declare -F stop_all_guests >/dev/null; then stop_all_guests; fi
	if [ "$TAP_IS_DONE" = no ]; then
		printf 'not ok %d - the test came to its end (status %d)\n1..%d\n' \
			$((TAP_COUNT + 1)) "$rc" $((TAP_COUNT + 1))
		[ -z "$THPD_LOG" ] || tail -n 20 "$THPD_LOG" | sed 's/^/# thpd: /'
		[ "$rc" != 0 ] || rc=1
	fi
	[ ! -e "$T/shm-dirs" ] || xargs -d "\n" rm -rf <"$T/shm-dirs"
	[ -z "$T" ] || rm -rf "$T"
	exit "$rc"
}

# Every test closes with a look at what the daemon wrote.
live_end() {
	ok "no sanitizer spoke up in the daemon" logs_are_clean
	TAP_IS_DONE=yes
	printf '1..%d\n' "$TAP_COUNT"
	[ "$TAP_FAILED" = 0 ] || { tail -n 20 "$THPD_LOG" 2>/dev/null | sed 's/^/# thpd: /'; exit 1; }
}

logs_are_clean() {
	! grep -hE 'ERROR: (Address|Leak|Thread)Sanitizer|WARNING: ThreadSanitizer|runtime error' \
		"$T"/*.log
}

is_not() {
	! "$@"
}

# is_equal A B, with both shown where they differ
is_equal() {
	[ "$1" = "$2" ] || { echo "'$1' is not '$2'"; return 1; }
}

exits_with() { # STATUS COMMAND...
	local want=$1 rc=0
	shift
	"$@" || rc=$?
	is_equal "$rc" "$want"
}

complains_of() { # WORDS COMMAND...: fails, and says so
	local words=$1
	shift
	! "$@" 2>"$T/complaint" || return 1
	grep -qF -- "$words" "$T/complaint" || { cat "$T/complaint"; return 1; }
}

# --- waiting and processes -----------------------------------------------------------------------

wait_until() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep "$THPD_POLL"
	done
}

# Field 22 of /proc/PID/stat, counted after the last ')': a process may call itself anything.
process_starttime() {
	local stat='' fields
	{ IFS= read -r -d '' stat <"/proc/$1/stat"; } 2>/dev/null || [ -n "$stat" ] || return 1
	read -ra fields <<<"${stat##*) }"
	[ "${fields[0]}" != Z ] || return 1
	printf '%s\n' "${fields[19]}"
}

process_is() {
	local start
	start=$(process_starttime "$1") && [ "$start" = "$2" ]
}

process_signal() {
	! process_is "$1" "$2" || kill -s "$3" "$1" 2>/dev/null || true
}

# smaps_range PID START BYTES prints "HUGE RESIDENT": the sums over the mappings that touch the range.
smaps_range() {
	awk -v start="$2" -v bytes="$3" '
		function number(hex,   i, n) {
			for (i = 1; i <= length(hex); i++)
				n = n * 16 + index("0123456789abcdef", substr(hex, i, 1)) - 1
			return n
		}
		/^[0-9a-f]+-[0-9a-f]+ / {
			split($1, ends, "-")
			is_inside = number(ends[1]) < start + bytes && number(ends[2]) > start
		}
		is_inside && /^(AnonHugePages|ShmemPmdMapped|FilePmdMapped):/ { huge += $2 }
		is_inside && /^Rss:/ { rss += $2 }
		END { printf "%.0f %.0f\n", huge * 1024, rss * 1024 }' "/proc/$1/smaps"
}

# share_is_at_least PERCENT "HUGE RESIDENT"
share_is_at_least() {
	local huge rss
	read -r huge rss <<<"$2"
	[ "${rss:-0}" -gt 0 ] && [ $((huge * 100)) -ge $((rss * $1)) ]
}

# --- helper programs -----------------------------------------------------------------------------

# The words of the lab's newer QEMU, one a line; none where it is not there.
lab_qemu() {
	local usr=$LIVE_DIR/../../build/lab/qemu/usr
	[ ! -x "$usr/bin/qemu-system-x86_64" ] ||
		printf '%s\n' "$usr/bin/qemu-system-x86_64" -L "$usr/share/qemu" -L /usr/share/seabios -L /usr/share/qemu
}

is_sanitized() {
	grep -qaE "__(a|t)san_init" "$1"
}

# The Makefile builds them; a test that is run by hand builds what it lacks.  A sanitizer would put its
# shadow into their memory, and thpd would see terabytes of it: then they are built without.
helper() {
	local name=$1 built=$THPD_BUILD/tests/live/$1 own=$T/bin/$1
	if [ -x "$built" ] && [ "$built" -nt "$LIVE_DIR/$name.c" ] && ! is_sanitized "$built"; then
		printf '%s\n' "$built"
		return 0
	fi
	[ -x "$own" ] || "${CC:-gcc}" -std=gnu17 -D_GNU_SOURCE -O2 -Wall -Wextra -iquote "$LIVE_DIR/../lib" \
		-iquote "$LIVE_DIR/../../lib/vmm" \
		-o "$own" "$LIVE_DIR/$name.c" "$LIVE_DIR/../lib/"*.c >&2 || return 1
	printf '%s\n' "$own"
}

# --- the daemon ----------------------------------------------------------------------------------

# write_drop_in FILE MATCH [POLICY]: vm.d/FILE, with the lines of its two sections.
write_drop_in() {
	printf '%s\n' '[Match]' "$2" '[Collapse]' 'Mode=full' "${3:-}" >"$T/etc/vm.d/$1"
}

# The usual configuration: quick looks, and nobody's memory but the test's own.  Lines of [Manager] and
# [Budget] may come first, lines of the policy second; the third replaces the [Match] lines.
write_test_config() {
	printf '%s\n' '[Manager]' 'Interval=200ms' 'MaxAge=2s' "${1:-}" '[Collapse]' 'Mode=off' >"$T/etc/thpd.conf"
	write_drop_in test.conf "${3:-$(holders_match)}" "${2:-}"
}

holders_match() {
	printf 'Comm=%svmm-*\n' "$HOLDER_COMM"
}

ctl() {
	timeout 60 "$THPD_BUILD/thpctl" --runtime-dir="$T/run" "$@"
}

ctl_answers() {
	! thpd_is_alive || ctl status --json >/dev/null 2>&1
}

# Runs the daemon in the background and returns when it answers.  THPD_WRAP: a command in front of it.
start_thpd() {
	local fd
	THPD_LOG=$(mktemp "$T/thpd.XXXXXX.log")
	(
		for fd in "${HOLDER_IN[@]}" "${HOLDER_OUT[@]}"; do exec {fd}>&-; done
		exec "${THPD_WRAP[@]}" "$THPD_BUILD/thpd" --config-dir="$T/etc" \
			--runtime-dir="$T/run" "$@" </dev/null >>"$THPD_LOG" 2>&1
	) &
	THPD_PID=$!
	wait_until 60 ctl_answers
	thpd_is_alive
}

thpd_is_alive() {
	[ -n "$THPD_PID" ] && process_starttime "$THPD_PID" >/dev/null
}

thpd_is_gone() {
	! thpd_is_alive
}

# SIGTERM; the daemon's own exit status, 1 if it had to be killed.
stop_thpd() {
	local pid=$THPD_PID rc=0
	[ -n "$pid" ] || return 1
	kill -TERM "$pid" 2>/dev/null || true
	wait_until 30 thpd_is_gone || {
		kill -KILL "$pid" 2>/dev/null
		rc=1
	}
	THPD_PID=''
	wait "$pid" 2>/dev/null || rc=$?
	return "$rc"
}

# vm_field WHO JQ-FIELD: one value of the row of `thpctl status --json`; WHO is a pid or a name.
vm_field() {
	ctl status --json 2>/dev/null |
		jq -r --arg who "$1" "first(.vms[] | select((.pid|tostring) == \$who or .name == \$who))$2"
}

thpd_log_has() {
	grep -qE -- "$1" "$THPD_LOG"
}

# thpd's own claim about a VM: as share_is_at_least.
claims_at_least() {
	share_is_at_least "$1" "$(vm_field "$2" '|"\(.huge_bytes) \(.resident_bytes)"')"
}

# --- plain memory holders ------------------------------------------------------------------------

# A holder is a process that looks like a VMM to thpd if its name begins with vmm-, and does what it is told.
# HOLDER_WRAP: a command in front of it that executes it (setpriv).
start_holder() {
	local program
	program=$(helper holder) || return 1
	start_talker "$1" "$program" "${@:2}" && holder_note_memory "$1" "$READY"
}

# start_talker NAME PROGRAM OPTION...: a program that obeys a line at a time, as the holder does. READY is what it
# said first.
start_talker() {
	local name=$1 program=$2 in out pid
	shift 2
	ln -sf "$program" "$T/bin/$HOLDER_COMM$name"
	mkfifo "$T/$name.in" "$T/$name.out"
	exec {in}<>"$T/$name.in" {out}<>"$T/$name.out"
	"${HOLDER_WRAP[@]}" "$T/bin/$HOLDER_COMM$name" "$@" <"$T/$name.in" >"$T/$name.out" 2>>"$T/holders.log" {in}>&- {out}>&- &
	pid=$!
	disown "$pid"
	HOLDER_PID[$name]=$pid HOLDER_IN[$name]=$in HOLDER_OUT[$name]=$out
	HOLDER_START[$name]=$(process_starttime "$pid") || return 1
	holder_read "$name" READY
}

holder_note_memory() {
	[[ $2 =~ ^(ready|ok)\ addr=0x([0-9a-f]+)\ bytes=([0-9]+)$ ]] || {
		echo "holder $1: $2" >&2
		return 1
	}
	HOLDER_ADDR[$1]=$((16#${BASH_REMATCH[2]}))
	HOLDER_BYTES[$1]=${BASH_REMATCH[3]}
}

holder_read() {
	local -n read_line=$2
	# shellcheck disable=SC2034  # a name for the caller's variable
	read -r -t 60 -u "${HOLDER_OUT[$1]}" read_line
}

# holder NAME COMMAND...: prints the answer; fails unless it begins with "ok".
holder() {
	local name=$1 answer=''
	shift
	printf '%s\n' "$*" >&"${HOLDER_IN[$name]}"
	holder_read "$name" answer || true
	printf '%s\n' "$answer"
	[[ $answer == ok* ]]
}

# The holder becomes a new program with new memory; same pid, same start time.
holder_exec() {
	local ready
	printf 'exec\n' >&"${HOLDER_IN[$1]}"
	holder_read "$1" ready && holder_note_memory "$1" "$ready"
}

holder_huge() {
	smaps_range "${HOLDER_PID[$1]}" "${HOLDER_ADDR[$1]}" "${HOLDER_BYTES[$1]}"
}

holder_is_huge() {
	share_is_at_least 100 "$(holder_huge "$1" 2>/dev/null)"
}

holder_has_nothing_huge() {
	is_equal "$(holder_huge "$1" | cut -d ' ' -f 1)" 0
}

holder_is_alive() {
	process_is "${HOLDER_PID[$1]:-0}" "${HOLDER_START[$1]:-0}"
}

stop_holder() {
	local in=${HOLDER_IN[$1]} out=${HOLDER_OUT[$1]}
	process_signal "${HOLDER_PID[$1]}" "${HOLDER_START[$1]:-0}" KILL
	exec {in}>&- {out}>&-
	rm -f "$T/$1.in" "$T/$1.out"
	unset "HOLDER_PID[$1]" "HOLDER_IN[$1]" "HOLDER_OUT[$1]"
}

# The daemon has looked at the VM at least this often since it found it.
looks_of() {
	local looks
	looks=$(vm_field "$1" .cycles)
	printf '%s\n' "${looks:-0}"
}

has_looked() {
	[ "$(looks_of "$1")" -ge "$2" ]
}

vm_is_listed() {
	[ -n "$(vm_field "$1" .pid)" ]
}

# Between these percentages: the daemon is in the middle of its work.
holder_is_partly_huge() {
	local now
	now=$(holder_huge "$1" 2>/dev/null)
	share_is_at_least 5 "$now" && ! share_is_at_least 90 "$now"
}

# SIGSTOP is answered by a thread when it leaves the kernel: a collapse under way is brought to its end first.
thpd_stands_still() {
	[ -z "$(grep -LE '^State:[[:space:]]+T' "/proc/$THPD_PID/task/"*/status)" ]
}

# Runs a command while the daemon stands still: what passes through several states on its way is seen by
# it only at the end.
unseen() {
	local rc=0
	kill -STOP "$THPD_PID"
	if wait_until 30 thpd_stands_still; then "$@" || rc=$?; else rc=1; fi
	kill -CONT "$THPD_PID"
	return "$rc"
}
