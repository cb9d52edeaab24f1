#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Configuration that is no configuration, clients that are no clients: the daemon says what is wrong,
# runs on, and serves the VM all the same.
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"

declare -A RUDE_PID=() RUDE_IN=()

# --- configuration -------------------------------------------------------------------------------

readonly MAIN_CONF=$'[Manager]\nInterval=200ms\n[Collapse]\nMode=off'

bad_binary() { head -c 65536 /dev/urandom >"$1"; }
bad_huge() { yes '# a very long file of nothing but remarks' | head -c 67108864 >"$1"; }
bad_long_line() { { printf '[Manager]\nInterval='; head -c 1048576 /dev/zero | tr '\0' 9; echo; } >"$1"; }
bad_directory() { mkdir "$1"; }
bad_dangling() { ln -s "$T/nowhere" "$1"; }
bad_loop() { ln -s "$1" "$1"; }
bad_fifo() { mkfifo "$1"; }
bad_device() { ln -s /dev/zero "$1"; }
bad_unreadable() {
	printf '%s\n' '[Manager]' >"$1"
	chmod 000 "$1"
}
bad_unknown_key() { printf '%s\n' '[Manager]' 'Intervall=3s' 'MaxAge=soon' '[Nonsense]' 'A=b' >"$1"; }

# Without these two root reads everything.
readonly AS_MORTAL=(setpriv "--bounding-set=-dac_override,-dac_read_search"
	"--inh-caps=-dac_override,-dac_read_search")

log_names() {
	thpd_log_has "$1"
}

# First what it has begun comes to its end: a mapping torn behind a collapse that just succeeded is held
# back for a minute, and rightly so.
serves_the_vm() {
	wait_until "$THPD_DEADLINE" claims_at_least 100 "${HOLDER_PID[vmm-a]}" &&
		unseen holder vmm-a pte && wait_until "$THPD_DEADLINE" holder_is_huge vmm-a
}

check_config_objects() {
	local rc=0
	timeout 60 "$THPD_BUILD/thpd" --config-dir="$T/etc" --check-config || rc=$?
	is_equal "$rc" 1
}

try_config() {
	local kind=$1 where=$2
	rm -rf "${T:?}/etc"
	mkdir -p "$T/etc/vm.d" "$T/etc/thpd.conf.d"
	printf '%s\n' "$MAIN_CONF" >"$T/etc/thpd.conf"
	write_drop_in test.conf "$(holders_match)"
	rm -f "$T/etc/$where"
	"bad_$kind" "$T/etc/$where"
	THPD_WRAP=()
	[ "$kind" != unreadable ] || THPD_WRAP=("${AS_MORTAL[@]}")
	ok "$where $kind: thpd starts" start_thpd
	ok "$where $kind: it names the file" log_names "${where##*/}"
	ok "$where $kind: it serves the VM" serves_the_vm
	ok "$where $kind: cat-config answers" ctl cat-config
	[ "$kind" = unreadable ] || ok "$where $kind: --check-config exits 1" check_config_objects
	ok "$where $kind: it stops with status 0" stop_thpd
	THPD_WRAP=()
}

cat_config_shows() {
	ctl cat-config | grep -i "$1"
}

# --- clients -------------------------------------------------------------------------------------

start_rude() {
	local name=$1 fd program ready=''
	shift
	program=$(helper rude_client) || return 1
	mkfifo "$T/$name.rude"
	exec {fd}<>"$T/$name.rude"
	"$program" "$T/run/bus" "$@" <"$T/$name.rude" >"$T/$name.said" 2>&1 {fd}>&- &
	RUDE_PID[$name]=$! RUDE_IN[$name]=$fd
	wait_until 30 grep -q ready "$T/$name.said"
}

stop_rude() {
	local fd=${RUDE_IN[$1]}
	exec {fd}>&-
	kill "${RUDE_PID[$1]}" 2>/dev/null
	wait "${RUDE_PID[$1]}" 2>/dev/null
	rm -f "$T/$1.rude"
	unset "RUDE_PID[$1]" "RUDE_IN[$1]"
}

fds_of_thpd() {
	find "/proc/$THPD_PID/fd" -mindepth 1 | wc -l
}

fds_are_back() {
	[ "$(fds_of_thpd)" -le "$1" ]
}

rss_kib() {
	sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$1/status"
}

# What a client may cost.  A sanitizer keeps what was freed: it looks for leaks in its own way.
rss_grew_little() {
	local now
	now=$(rss_kib "$THPD_PID")
	echo "from $1 to $now KiB"
	[ "$now" -lt $(($1 + 65536)) ]
}

status_answers() {
	wait_until 30 ctl status --json
}

try_client() {
	local mode=$1 fds=$2 rss=$3
	ok "client $mode: connects" start_rude "$mode" "$mode" "$4"
	ok "client $mode: others get their answer" status_answers
	ok "client $mode: the VM is served" serves_the_vm
	if is_sanitized "$THPD_BUILD/thpd"; then
		skip "client $mode: thpd's memory grew little" "a sanitizer keeps what was freed"
	else
		ok "client $mode: thpd's memory grew little" rss_grew_little "$rss"
	fi
	stop_rude "$mode"
	ok "client $mode: nothing of it is left" wait_until 30 fds_are_back "$fds"
}

test_cleanup() {
	local name
	for name in "${!RUDE_PID[@]}"; do kill "${RUDE_PID[$name]}" 2>/dev/null; done
}

live_begin jq setpriv
ok "a VMM starts" start_holder vmm-a --size=64 || exit 1

for kind in binary huge long_line directory dangling loop fifo device unreadable unknown_key; do
	try_config "$kind" thpd.conf
done
for kind in binary directory fifo unknown_key; do
	try_config "$kind" vm.d/00-bad.conf
	try_config "$kind" thpd.conf.d/00-bad.conf
done

rm -rf "${T:?}/etc"
mkdir -p "$T/etc/vm.d"
write_test_config 'MaxAge=soon
Intervall=3s' 'MinPopulated=120%'
ok "unknown key and bad values: thpd starts" start_thpd
for word in 'thpd.conf' 'Manager' 'MaxAge' 'Intervall' 'test.conf' 'MinPopulated'; do
	ok "the log names $word" thpd_log_has "$word"
done
ok "cat-config shows the unknown key" cat_config_shows Intervall

sleepers_before=$(fds_of_thpd)
memory_before=$(rss_kib "$THPD_PID")
try_client garbage "$sleepers_before" "$memory_before" 50
try_client half "$sleepers_before" "$memory_before" 1
try_client idle "$sleepers_before" "$memory_before" 200
try_client greeted "$sleepers_before" "$memory_before" 200
try_client deaf "$sleepers_before" "$memory_before" 50000
ok "no such file: a verb without a daemon fails" is_not "$THPD_BUILD/thpctl" --runtime-dir="$T/nowhere" status
ok "contents of the VM are right" holder vmm-a verify
ok "thpd stops on SIGTERM with status 0" stop_thpd
live_end
