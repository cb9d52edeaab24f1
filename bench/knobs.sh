# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The host's THP knobs: one lock with the tests (tests/expect/README.md), and what is changed is put back
# however the benchmark ends.
#
#   with_knobs_kept COMMAND...    runs while nobody else may change a knob
#   knobs_push, knob_set NAME VALUE, knobs_pop    changes them, nobody else may meanwhile

KNOBS=/sys/kernel/mm/transparent_hugepage
KNOB_NAMES=(enabled shmem_enabled khugepaged/pages_to_scan khugepaged/scan_sleep_millisecs)
KNOB_GUARD=''
exec {KNOB_LOCK}>/run/lock/thpd-test-sysfs

knobs_lock() { # -s|-x
	flock -n "$1" "$KNOB_LOCK" && return
	echo "bench: waiting for a test that holds /run/lock/thpd-test-sysfs" >&2
	flock -w 600 "$1" "$KNOB_LOCK" || { echo "bench: it is held for ten minutes" >&2; exit 1; }
}

with_knobs_kept() {
	local rc=0
	[ -n "$KNOB_GUARD" ] || knobs_lock -s # we hold more than that between push and pop
	"$@" || rc=$?
	[ -n "$KNOB_GUARD" ] || flock -u "$KNOB_LOCK"
	return "$rc"
}

knob_set() {
	echo "$2" >"$KNOBS/$1"
}

knobs_read() {
	local name
	for name in "${KNOB_NAMES[@]}"; do
		printf '%s %s\n' "$name" "$(sed 's/.*\[\(.*\)\].*/\1/' "$KNOBS/$name")"
	done
}

# A process of its own puts the old values back when it is told so, or when the benchmark is gone and with
# it the only writer of the pipe: even after SIGKILL. It holds the lock until then.
knobs_guard() {
	local old=$1 name value
	trap '' INT TERM HUP
	read -r _ || true
	while read -r name value; do knob_set "$name" "$value"; done <<<"$old"
}

knobs_push() {
	local old
	knobs_lock -x
	old=$(knobs_read)
	mkfifo "$T/knobs"
	exec {KNOB_PIPE}<>"$T/knobs"
	knobs_guard "$old" <"$T/knobs" {KNOB_PIPE}>&- &
	KNOB_GUARD=$!
	exec {KNOB_WRITER}>"$T/knobs" {KNOB_PIPE}>&-
}

knobs_pop() {
	[ -n "$KNOB_GUARD" ] || return 0
	echo pop >&"$KNOB_WRITER"
	wait "$KNOB_GUARD" || true
	KNOB_GUARD=''
	exec {KNOB_WRITER}>&-
	rm -f "$T/knobs"
	flock -u "$KNOB_LOCK"
}
