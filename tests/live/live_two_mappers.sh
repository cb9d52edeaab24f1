#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# One file, two mappers: a VMM and, as a vhost-user back end would, a process that thpd has no business
# with.  What the second one does to its own page table must not keep the VMM from becoming huge, and
# neither may see a wrong byte.
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"

# On Linux 6.1 a copy that meets page faults of the other mapper may leave a block unmapped in the VMM: it is huge in
# the file, and mapped so at the next touch.
is_huge_once_touched() {
	holder "$1" read && holder_is_huge "$1"
}

live_begin jq
shm=$(scratch_shm)
write_test_config ''
ok "thpd starts" start_thpd || exit 1

for state in small pte; do
	ok "a VMM maps a file of /dev/shm ($state)" unseen start_holder vmm-a --kind=file --path="$shm/ram" \
		--size=128 --state="$state"
	ok "another process maps it, page by page" start_holder backend --kind=file --path="$shm/ram" \
		--size=128 --attach
	ok "thpd makes the VMM's mapping huge" wait_until "$THPD_DEADLINE" is_huge_once_touched vmm-a
	ok "the other process is none of thpd's VMs" is_not vm_is_listed "${HOLDER_PID[backend]}"

	ok "the other process touches all of it" holder backend read
	ok "and maps it page by page again" unseen holder backend pte
	ok "thpd looks twice more" wait_until "$THPD_DEADLINE" has_looked "${HOLDER_PID[vmm-a]}" \
		$(($(looks_of "${HOLDER_PID[vmm-a]}") + 2))
	ok "the VMM is still huge" holder_is_huge vmm-a

	ok "the VMM loses its huge mapping" unseen holder vmm-a pte
	ok "thpd mends it, the other mapper notwithstanding" wait_until "$THPD_DEADLINE" holder_is_huge vmm-a
	ok "the VMM writes everything anew" holder vmm-a rewrite
	ok "the VMM's contents are right" holder vmm-a verify
	stop_holder vmm-a
	ok "the other process dies of nothing" holder_is_alive backend
	holder backend next >/dev/null
	ok "and reads what the VMM wrote" holder backend verify
	stop_holder backend
	rm -f "$shm/ram"
done

ok "two VMMs map one file" unseen start_holder vmm-a --kind=file --path="$shm/ram" --size=128
ok "the second page by page" unseen start_holder vmm-b --kind=file --path="$shm/ram" --size=128 --attach
ok "the first becomes huge" wait_until "$THPD_DEADLINE" holder_is_huge vmm-a
# What thpd did to the first took away the second's page tables: what it touches comes back huge.
ok "the second touches its memory" holder vmm-b read
ok "and is huge too" wait_until "$THPD_DEADLINE" holder_is_huge vmm-b
ok "the first's contents are right" holder vmm-a verify
ok "thpd stops on SIGTERM with status 0" stop_thpd
live_end
