#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# docs/KERNELS.md from what the scenarios said on each kernel of the lab in their last runs: `expect` above all.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$HERE/../.."
mapfile -t kernels < <(sed 's/#.*//; /^$/d' "$HERE/kernels")
said=$(mktemp -d)
trap 'rm -rf "$said"' EXIT
logs=()
for kernel in "${kernels[@]}"; do
	for scenario in expect kvm seeds sandbox dax; do
		log=build/lab/runs/$kernel-$scenario/out.log
		[ -e "$log" ] || { echo "lab: no run of '$scenario' on $kernel: make check-lab" >&2; exit 1; }
		grep -aE $'^# (KERNEL |FACT\t)' "$log" >>"$said/$kernel"
	done
	logs+=("$said/$kernel")
done
cat >docs/KERNELS.md <<'END'
# What the kernels do

Made by tests/lab/kernels_doc.sh of what the programs of tests/expect and the lab's scenarios saw on the kernels of the lab: do
not edit. yes: the fact holds; **no**: it does not, and thpd must not rely on it there; else what the kernel lacks, or why it was
not tried.

END
awk -F '\t' '
	FNR == 1 { n++ }
	/^# KERNEL / { version[n] = substr($0, 10) }
	$1 == "# FACT" && $3 != "not run" {
		key = $2 "\t" $3
		if (!(key in seen)) { seen[key] = ++facts; order[facts] = key }
		if (value[key, n] != "no")
			value[key, n] = $4
	}
	$1 == "# FACT" && $3 == "not run" { whole[$2, n] = $4 }
	END {
		printf "| seen by | fact |"
		for (i = 1; i <= n; i++) printf " %s |", version[i]
		printf "\n|---|---|"
		for (i = 1; i <= n; i++) printf "---|"
		print ""
		for (f = 1; f <= facts; f++) {
			split(order[f], part, "\t")
			gsub(/\|/, "\\|", part[2])
			printf "| %s | %s |", part[1], part[2]
			for (i = 1; i <= n; i++) {
				v = value[order[f], i]
				if (v == "") v = whole[part[1], i]
				if (v == "no") v = "**no**"
				printf " %s |", v == "" ? "-" : v
			}
			print ""
		}
	}' "${logs[@]}" >>docs/KERNELS.md
