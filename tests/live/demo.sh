#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What `make run` shows: four real QEMU guests, thpd at work on them, and the proof.
#
#   demo.sh BUILDDIR       BUILDDIR/thpd and BUILDDIR/thpctl are the programs
#
# Exit status 0 only if every requirement of the verdict holds.
# shellcheck disable=SC2317  # conditions are called by name
set -euo pipefail

[ $# -eq 1 ] || { echo "usage: demo.sh BUILDDIR" >&2; exit 2; }
THPD_BUILD=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/live/guests.sh
. "$here/guests.sh"

readonly SIZE_MIB=${THPD_DEMO_MIB:-512}
readonly WORK_SECONDS=${THPD_DEMO_SECONDS:-180}
readonly NAMES=(A B C D) REPAIRED=(A B D)
declare -A LAST_PASSES=() WITNESS=()
VERDICT=0

# --- talking -------------------------------------------------------------------------------------

if [ -t 1 ]; then
	readonly BOLD=$'\e[1m' GREEN=$'\e[32m' RED=$'\e[31m' PLAIN=$'\e[0m'
else
	readonly BOLD='' GREEN='' RED='' PLAIN=''
fi

headline() {
	printf '\n%s%s%s\n' "$BOLD" "$1" "$PLAIN"
}

say() {
	printf '   %s\n' "$@"
}

show() {
	printf '   %s$ %s%s\n' "$BOLD" "$*" "$PLAIN"
}

fail() {
	printf '%s\n' "$@" >&2
	exit 1
}

mib() {
	printf '%d' $(($1 >> 20))
}

# percent HUGE RESIDENT, rounded down, so that 99.9 never reads as 100
percent() {
	printf '%d' $(($2 > 0 ? $1 * 100 / $2 : 0))
}

tables() {
	sed 's/^/   /'
}

host_setting() {
	sed 's/.*\[\(.*\)\].*/\1/' "/sys/kernel/mm/transparent_hugepage/$1"
}

# --- the scenes ----------------------------------------------------------------------------------

introduce() {
	local huge='' missing
	[ "$(id -u)" = 0 ] || fail "make run needs root: it starts guests and looks into their page tables."
	missing=$(missing_programs qemu-system-x86_64 socat jq cpio busybox unshare)
	[ -z "$missing" ] || fail "missing:$missing (make deps installs them)"
	huge="$(host_setting enabled) for anonymous memory, $(host_setting shmem_enabled) for shared memory"
	printf '%sthpd: four real guests, and what happens to their memory%s\n' "$BOLD" "$PLAIN"
	say "A guest runs faster when its memory is mapped by huge pages (2 MiB) instead of small ones (4 KiB)." \
		"Here are four QEMU guests that lost theirs, or never had any. thpd finds them and repairs what can" \
		"be repaired, while they run." \
		"" \
		"host: Linux $(uname -r), $(nproc) CPUs, huge pages: $huge"
}

start_guests() {
	headline "1. Start four guests"
	guests_init "$T" || fail "the guests' Linux could not be built"
	say "A  $SIZE_MIB MiB, a file on /dev/shm, aligned to 2 MiB      small pages from the start" \
		"B  $SIZE_MIB MiB, the same kind of file                     huge pages at first, see 2" \
		"C  $((SIZE_MIB / 2)) MiB, a memfd                                  mapped askew by QEMU: never huge" \
		"D  $SIZE_MIB MiB, private anonymous memory                 small pages: huge ones were off at its start"
	if [ "$GUESTS_ACCEL" = tcg ]; then
		say "KVM cannot run a guest on this machine: QEMU emulates (TCG). The host's side of memory is the same."
	else
		say "The guests run under KVM."
	fi
	start_four_guests "$SIZE_MIB" || fail "not all guests came up"
	say "All four have booted Linux. Each fills most of its memory with a pattern, and from now on reads it" \
		"back and renews it without a break: a page that is lost, old or in the wrong place is reported."
}

break_b() {
	local before after
	headline "2. Guest B takes a snapshot and loses its huge mappings"
	before=$(smaps_huge B)
	background_snapshot B || fail "QEMU's background snapshot ended as: $MIGRATION"
	after=$(smaps_huge B)
	say "B was $(percent "${before% *}" "${before#* }") % huge, and after QEMU's own background snapshot (QMP) it is $(percent "${after% *}" "${after#* }") %. The memory" \
		"still consists of huge folios, but each is mapped 4 KiB by 4 KiB, and nothing on a stock host mends it."
	share_is_at_least 99 "$before" || fail "guest B was not huge to begin with: $before"
	! share_is_at_least 50 "$after" || fail "guest B did not lose its huge mappings: $after"
}

configure() {
	printf "%s\n" "[Manager]" "Interval=500ms" "# other VMs of this machine are none of our business" \
		"[Collapse]" "Mode=off" >"$T/etc/thpd.conf"
	write_drop_in demo.conf "$(guests_match)"
}

all_are_looked_at() {
	ctl status --json 2>/dev/null | jq -e '
		[.vms[] | select(.name | test("^[A-D]$")) |
		 select(.resident_bytes > 0 and (.reasons["not-looked-yet"] // 0) == 0)] | length == 4' >/dev/null
}

show_status() {
	show "thpctl status"
	ctl status | tables
}

look_only() {
	headline "3. What thpd sees, before it may touch anything (thpd --dry-run)"
	start_thpd --dry-run || { tail -n 20 "$THPD_LOG" >&2; fail "thpd --dry-run does not run"; }
	wait_until 60 all_are_looked_at || fail "thpd did not find the four guests" "$(ctl status 2>&1)"
	show_status
	stop_thpd || say "(thpd --dry-run ended with status $?)"
}

claims() {
	ctl status --json 2>/dev/null | jq -r '.vms[] | "\(.name) \(.huge_bytes) \(.resident_bytes)"'
}

# Prints one line with the three shares; succeeds when all are at 99 %.
progress_line() {
	local name huge rss line='' left=${#REPAIRED[@]}
	while read -r name huge rss; do
		[[ " ${REPAIRED[*]} " == *" $name "* ]] || continue
		line="$line   $name $(printf %3d "$(percent "$huge" "$rss")") %"
		! share_is_at_least 99 "$huge $rss" || left=$((left - 1))
	done < <(claims)
	PROGRESS=$line
	[ "$left" = 0 ]
}

work() {
	local begin=$SECONDS last='' name rc=0
	headline "4. thpd goes to work"
	say "A and D are copied into huge pages, at a bounded rate; B is only mapped anew, without a copy."
	for name in "${NAMES[@]}"; do LAST_PASSES[$name]=$(guest_passes "$name"); done
	start_thpd || { tail -n 20 "$THPD_LOG" >&2; fail "thpd does not run"; }
	while ! progress_line; do
		if [ -t 1 ]; then
			printf '\r   huge, after %3d s:%s ' $((SECONDS - begin)) "$PROGRESS"
		elif [ "$SECONDS" != "$last" ]; then
			printf '   huge, after %3d s:%s\n' $((SECONDS - begin)) "$PROGRESS"
			last=$SECONDS
		fi
		if [ $((SECONDS - begin)) -ge "$WORK_SECONDS" ] || ! thpd_is_alive; then
			rc=1
			break
		fi
		sleep 0.25
	done
	[ ! -t 1 ] || printf '\r'
	printf '   huge, after %3d s:%s \n' $((SECONDS - begin)) "$PROGRESS"
	[ "$rc" = 0 ] || say "Not all of it became huge within $WORK_SECONDS s."
}

show_after() {
	headline "5. What thpd says now"
	show_status
	show "thpctl explain C"
	ctl explain C | tables || true
}

c_is_explained() {
	ctl explain C --json | jq -e '[.. | objects | select(.reason? == "misaligned-mapping") |
		select((.cure // "") != "" and (.sentence // "") != "")] | length > 0' >/dev/null
}

# --- the proof -----------------------------------------------------------------------------------

witness_table() {
	local name claim huge
	headline "6. The proof: the kernel's own account (smaps) beside thpd's, and the guests' word"
	for name in "${NAMES[@]}"; do
		guest_goes_on "$name" "$THPD_DEADLINE" || true
		WITNESS[$name]=$(smaps_huge "$name")
	done
	printf '   %s%-5s %12s %14s %14s %12s %11s%s\n' "$BOLD" GUEST RESIDENT 'HUGE (kernel)' 'HUGE (thpd)' \
		'NEW PASSES' MISMATCHES "$PLAIN"
	for name in "${NAMES[@]}"; do
		claim=$(vm_field "$name" .huge_bytes)
		huge=${WITNESS[$name]% *}
		printf '   %-5s %8d MiB %10d MiB %10d MiB %12d %11d\n' "$name" "$(mib "${WITNESS[$name]#* }")" \
			"$(mib "$huge")" "$(mib "${claim:-0}")" \
			$(($(guest_passes "$name") - LAST_PASSES[$name])) "$(guest_mismatches "$name")"
	done
}

verdict() {
	local text=$1
	shift
	if "$@"; then
		printf '   %syes%s  %s\n' "$GREEN" "$PLAIN" "$text"
	else
		printf '   %sNO%s   %s\n' "$RED" "$PLAIN" "$text"
		VERDICT=1
	fi
}

is_repaired() {
	share_is_at_least 99 "${WITNESS[$1]}" && claims_at_least 99 "$1"
}

went_on_unharmed() {
	guest_is_healthy "$1" && [ "$(guest_passes "$1")" -gt "${LAST_PASSES[$1]}" ]
}

all_went_on_unharmed() {
	local name
	for name in "${NAMES[@]}"; do went_on_unharmed "$name" || return 1; done
}

judge() {
	headline "7. Verdict"
	verdict "A is at least 99 % huge (small pages, copied)" is_repaired A
	verdict "B is at least 99 % huge (huge folios, mapped anew)" is_repaired B
	verdict "D is at least 99 % huge (anonymous memory, copied)" is_repaired D
	verdict "C cannot be huge, and thpd says why and what cures it" c_is_explained
	verdict "all guests went on, and none saw a single wrong byte" all_went_on_unharmed
	verdict "thpd stopped when it was told to, without an error" stop_thpd
}

farewell() {
	stop_all_guests
	TAP_IS_DONE=yes
	if [ "$VERDICT" = 0 ]; then
		headline "Done in $SECONDS s. Everything that was started is stopped."
	else
		headline "Something is not as it should be. The end of thpd's log:"
		tail -n 20 "$THPD_LOG" | tables
	fi
	exit "$VERDICT"
}

introduce
scratch_begin
# From here on the clean-up has nothing to say in TAP.
TAP_IS_DONE=yes
start_guests
break_b
configure
look_only
work
show_after
witness_table
judge
farewell
