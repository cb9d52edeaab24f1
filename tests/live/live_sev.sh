#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A VMM that holds /dev/sev: KVM has pinned its guest's memory, so that nothing is done to it, and what it is that
# stands in the way is said. No such processor is needed: a holder of memory with a file of that name in a mount
# namespace of its own, as libvirt gives one to its guests; the pins are not there, so that whatever thpd tried would
# succeed, and be seen.
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"
readonly MIB=64

# start_sev NAME OPTION...
start_sev() {
	# shellcheck disable=SC2016  # the inner shell expands
	HOLDER_WRAP=(unshare --mount --propagation private sh -c
		'mount -t tmpfs dev /dev && : >/dev/sev && exec "$@" 7</dev/sev' sh)
	start_holder "$@"
	local rc=$?
	HOLDER_WRAP=()
	return "$rc"
}

says() { # NAME FIELD VALUE
	is_equal "$(vm_field "${HOLDER_PID[$1]}" "$2")" "$3"
}

shows_sev() { # NAME VALUE
	is_equal "$(ctl show "${HOLDER_PID[$1]}" --json | jq .vm.has_sev)" "$2"
}

explains() { # NAME WORDS
	ctl explain "${HOLDER_PID[$1]}" >"$T/explained" && cat "$T/explained" && grep -qF -- "$2" "$T/explained"
}

is_not_populated() {
	ctl populate "${HOLDER_PID[$1]}" --force --wait >"$T/populated" 2>&1
	cat "$T/populated"
	holder_has_nothing_huge "$1"
}

live_begin jq unshare
unshare --mount --propagation private sh -c 'mount -t tmpfs dev /dev && : >/dev/sev' 2>/dev/null ||
	skip_all "no mount namespace of one's own"
all=$((MIB << 20))

write_test_config '' '[Populate]
Mode=huge'
printf '%s\n' '[Budget]' 'CopyBandwidth=infinity' 'FreeReserve=0' >>"$T/etc/thpd.conf"
ok "thpd starts" start_thpd || exit 1
ok "a guest of SEV starts, on small pages" start_sev vmm-small --size="$MIB" || exit 1
ok "one whose pages are huge, mapped one by one" start_sev vmm-pte --size="$MIB" --state=pte
ok "one whose memory is private" start_sev vmm-anon --size="$MIB" --kind=anon
ok "one that was huge before" start_sev vmm-huge --size="$MIB" --state=huge
ok "and one of no SEV" start_holder vmm-none --size="$MIB"
ok "the last is made huge" wait_until "$THPD_DEADLINE" holder_is_huge vmm-none
ok "and is known to be none" shows_sev vmm-none false
for name in vmm-small vmm-pte vmm-anon; do
	ok "$name: thpd knows what it is" wait_until "$THPD_DEADLINE" shows_sev "$name" true
	ok "$name: all of it is said to be pinned" \
		wait_until "$THPD_DEADLINE" says "$name" '.reasons["sev-or-guest-memfd"]' "$all"
	ok "$name: as it is of what KVM maps" \
		says "$name" '|.kvm.findings[]|"\(.reason) \(.bytes)"' "sev-or-guest-memfd $all"
	ok "$name: a cycle that is asked for changes nothing" ctl collapse "${HOLDER_PID[$name]}" --wait
	ok "$name: nothing of it is huge" holder_has_nothing_huge "$name"
	ok "$name: nor by populating it" is_not_populated "$name"
	ok "$name: explain says what helps" explains "$name" "thpd-run(1) with --populate"
done
ok "what was huge stays so" holder_is_huge vmm-huge
ok "and nothing is wrong with it" says vmm-huge '.reasons["sev-or-guest-memfd"] // 0' 0
ok "nor for KVM" says vmm-huge '|[.kvm.findings[]?]|length' 0
for name in vmm-small vmm-pte vmm-anon vmm-huge; do
	ok "$name: its bytes are right" holder "$name" verify
	stop_holder "$name"
done
stop_holder vmm-none
ok "thpd stops on SIGTERM with status 0" stop_thpd
live_end
