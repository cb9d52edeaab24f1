#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# tests/run.sh runs side by side what may be, and by itself what says that it must be; and those of the live tests that
# turn a knob of the machine say so, and none of them has a rule for the VMs of others.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/tap.sh.inc
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Each ends well only if the other comes while it is there.
write_meeting() { # NAME OTHER
	cat >"$scratch/$1.sh" <<-EOF
		touch $scratch/$1.here $scratch/$1.came
		for ((i = 0; i < 600; i++)); do
			[ ! -e $scratch/$2.came ] || { rm $scratch/$1.here; echo "ok 1 - met"; exit; }
			sleep 0.1
		done
		echo "not ok 1 - nobody came"
	EOF
}

write_loner() {
	cat >"$scratch/loner.sh" <<-EOF
		# Alone: the others have come and gone.
		cd $scratch && ls a.came b.came && ! ls *.here && echo "ok 1 - alone"
	EOF
}

# shellcheck disable=SC2016  # a pattern
readonly KNOBS='\$\{?(KNOB|BREAK_TIME|THP_ENABLED|SHMEM_ENABLED)|/sys/|/proc/sys/'

knob_turners() {
	grep -lE "^[^#]*((>|tee( -a)?) ?[\"']?($KNOBS)|start_four_guests|start_guest [^ ]+ D )" tests/live/live_*.sh
}

# By such a pattern it would serve the VMs of each test that runs beside it.
rules_for_all() {
	grep -nE '^[^#]*(Exe|Comm|Name|Cgroup|User)=\*' tests/live/live_*.sh
}

write_meeting a b
write_meeting b a
write_loner
said=$(tests/run.sh --build "$scratch" --jobs 2 "$scratch"/{a,loner,b}.sh)
verdict "two run at once, the third after them" "$([ "$(grep -c '^ok ' <<<"$said")" = 3 ] || echo "$said")"
verdict "who turns a knob runs alone" "$(knob_turners | xargs grep -L '^# Alone: ')"
verdict "no rule of a test takes in the VMs of another" "$(rules_for_all)"
[ "$(knob_turners | wc -l)" -ge 3 ] || not_ok "there are some who turn knobs"
finish
