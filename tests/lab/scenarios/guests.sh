# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Guests of a real QEMU under KVM, started as libvirt starts them: thpd knows them by name and UUID, and the memory of
# one that is huge but mapped page by page becomes huge on both sides, while it runs and while it is stopped.
set -uo pipefail
# shellcheck source=../service.inc
. tests/lab/service.inc
# shellcheck source=../guests.inc
. tests/lab/guests.inc

# What the guest touches of alpha begins at 4 MiB: 87 blocks, of which 12 are huge at first. 13.8 % and 12 are the
# figures of the 2019 report.
readonly MIB=178 FIRST=$((4 << 20)) BYTES=$((174 << 20)) HUGE_AT_FIRST=$((24 << 20))
readonly UUID_ALPHA=5f0c3d52-8a51-4b62-9c1e-3d6f0f7a9b01 UUID_WEB=5f0c3d52-8a51-4b62-9c1e-3d6f0f7a9b02 \
	UUID_GAMMA=5f0c3d52-8a51-4b62-9c1e-3d6f0f7a9b03

test_cleanup() {
	rm -f "/dev/shm/$HOLDER_COMM"*.ram
}

is_known_as() { # GUEST NAME UUID
	is_equal "$(vm_field "${HOLDER_PID[$1]}" '|"\(.name) \(.uuid)"')" "$2 $3"
}

table_shows() { # NAME...
	local table name
	table=$(ctl status) || return 1
	for name; do grep -E "^ *$name +" <<<"$table" || { echo "$table"; return 1; }; done
}

is_shown_by() { # WHO GUEST
	ctl show "$1" | grep -w "${HOLDER_PID[$2]}"
}

is_gone() { # GUEST
	[ -z "$(vm_field "${HOLDER_PID[$1]}" .pid)" ]
}

# One of the two ways tells the name: the cgroup that libvirt makes, or the command line.
start_guests() {
	ok "alpha: by both, on a tmpfs file" start_qemu alpha 'machine-qemu\x2d1\x2dalpha.scope' \
		-name guest=alpha,debug-threads=on -uuid $UUID_ALPHA -m ${MIB}M -machine pc,memory-backend=m \
		-object "memory-backend-file,id=m,mem-path=$(guest_file alpha),size=${MIB}M,share=on,align=2M"
	ok "web-2: by its scope, on a memfd" start_qemu web 'machine-qemu\x2d2\x2dweb\x2d2.scope' \
		-uuid $UUID_WEB -m 72M -machine pc,memory-backend=m -object memory-backend-memfd,id=m,size=72M,share=on
	ok "gamma: by its command line, on anonymous memory" start_qemu gamma '' \
		-name guest=gamma -uuid $UUID_GAMMA -m 72M
}

# --- alpha ---------------------------------------------------------------------------------------

# Before the guest touches it: what KVM maps then is what the host maps.
make_alpha_remappable() {
	local answer
	answer=$(shim alpha huge $FIRST $BYTES) && holder_note_memory alpha "$answer" &&
		shim alpha pte $((FIRST + HUGE_AT_FIRST)) $((BYTES - HUGE_AT_FIRST))
}

has_large_sptes() { # N [MOST-4K]
	local small large
	read -r small large <<<"$(guest_sptes alpha)"
	is_equal "$large" "$1" && [ "$small" -le "${2:-99999}" ] || { echo "$small by 4K, $large by 2M"; return 1; }
}

alpha_before() {
	ok "alpha: its file is huge, and mapped page by page but for 12 blocks" make_alpha_remappable
	ok "alpha: the guest touches everything" guest_does alpha store
	ok "alpha: before: 12 blocks of 87 on the host, 13.8 %" is_equal "$(holder_huge alpha | cut -d ' ' -f 1)" $HUGE_AT_FIRST
	ok "alpha: before: 12 large pages in the guest" has_large_sptes 12
}

# Of what is mapped: the guest's code and what the firmware left are a few pages of 4K.
is_huge_on_the_host() {
	share_is_at_least 99 "$(holder_huge alpha)"
}

alpha_after() {
	ok "alpha: after: 99 % on the host" wait_until 120 is_huge_on_the_host
	ok "alpha: thpd says so" wait_until 120 claims_at_least 99 alpha
	ok "alpha: the guest lost no write" guest_does alpha halt
	ok "alpha: it touches everything" guest_does alpha update
	ok "alpha: after: 99 % in the guest" has_large_sptes $((BYTES >> 21)) $(((BYTES >> 12) / 100))
}

alpha_while_stopped() {
	ok "alpha: stop" qmp alpha stop
	ok "alpha: its memory is mapped page by page meanwhile" while_thpd_stands_still shim alpha pte $FIRST $BYTES
	ok "alpha: huge again while it is stopped" wait_until 120 is_huge_on_the_host
	ok "alpha: cont" qmp alpha cont
	ok "alpha: every word is there" guest_does alpha update
	ok "alpha: huge in the guest" has_large_sptes $((BYTES >> 21)) $(((BYTES >> 12) / 100))
}

# --- web-2 ---------------------------------------------------------------------------------------

reason_in() { # GUEST: of most of its memory
	vm_field "${HOLDER_PID[$1]}" '.reasons | to_entries | max_by(.value) | .key'
}

is_explained() { # GUEST REASON
	is_equal "$(reason_in "$1")" "$2"
}

service_begin
missing=$(missing_programs qemu-system-x86_64 socat)
ok "QEMU is there" is_equal "$missing" ''
printf '%s\n' '[Manager]' 'Interval=200ms' 'MaxAge=2s' >"$CONF/thpd.conf.d/test.conf"
write_rule test.conf full User=1001
start_guests
alpha_before
ok "web-2: its guest touches everything" guest_does web store
ok "gamma: its guest touches everything" guest_does gamma store
ok "alpha: the guest writes meanwhile" holder alpha loop
ok "thpd starts" systemctl start thpd
ok "alpha: its name and UUID" wait_until 60 is_known_as alpha alpha $UUID_ALPHA
ok "web-2: its name and UUID" wait_until 60 is_known_as web web-2 $UUID_WEB
ok "gamma: its name and UUID" wait_until 60 is_known_as gamma gamma $UUID_GAMMA
ok "thpctl status shows them" table_shows alpha web-2 gamma
ok "one is found by its name" is_shown_by web-2 web
ok "one is found by its UUID" is_shown_by $UUID_GAMMA gamma
alpha_after
alpha_while_stopped
ok "web-2: cannot be huge, and that is said" wait_until 120 is_explained web misaligned-mapping
ok "web-2: never acted on" is_equal "$(vm_field "${HOLDER_PID[web]}" .last_action)" null
for name in web gamma; do ok "$name: every word is there" guest_does $name check; done
ok "gamma ends" qmp gamma quit
ok "gamma is gone from thpctl status" wait_until 60 is_gone gamma
ok "the others are still there" table_shows alpha web-2
ok "thpd stops" systemctl stop thpd
live_end
