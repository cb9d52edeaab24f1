# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Three VMMs of three users under the service, with three policies by drop-in: each gets exactly that.
set -uo pipefail
# shellcheck source=../service.inc
. tests/lab/service.inc

readonly MIB=64

# One drop-in for each, by its user: vm.d decides, not its name.
claim() { # MODE UID
	write_rule "10-$1.conf" "$1" "User=$2" "$(holders_match)"
}

has_mode() { # NAME MODE
	is_equal "$(vm_field "${HOLDER_PID[$1]}" .mode)" "$2"
}

is_not_looked_at() {
	is_equal "$(vm_field "${HOLDER_PID[$1]}" .cycles)" 0
}

service_begin
claim off 1001
claim report 1002
claim full 1003
ok "a VMM of the first user starts" start_vmm_of 1001 vmm-off --size=$MIB --state=pte
ok "of the second" start_vmm_of 1002 vmm-report --size=$MIB --state=pte
ok "of the third" start_vmm_of 1003 vmm-full --size=$MIB --state=pte
ok "thpd starts" systemctl start thpd
for mode in off report full; do ok "mode $mode" wait_until 60 has_mode vmm-$mode $mode; done
ok "full: becomes huge" wait_until 60 holder_is_huge vmm-full
ok "report: what could be done is said" wait_until 60 is_reported vmm-report $((MIB << 20))
for round in 1 2 3; do ok "the third is served, round $round" regains vmm-full; done
ok "report: nothing was done" holder_has_nothing_huge vmm-report
ok "report: nor is it claimed" is_reported vmm-report $((MIB << 20))
ok "off: nothing was done" holder_has_nothing_huge vmm-off
ok "off: it was not even looked at" is_not_looked_at vmm-off
for name in off report full; do ok "contents of vmm-$name are right" holder vmm-$name verify; done
# A drop-in that changes is obeyed after a reload.
claim full 1002
rm "$CONF/vm.d/10-report.conf"
ok "the second user's VMM is to be served now" systemctl reload thpd
ok "it becomes huge" wait_until 60 holder_is_huge vmm-report
ok "thpd stops" systemctl stop thpd
live_end
