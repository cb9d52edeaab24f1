#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# docs/KERNELS.md from what the scenario `expect` said on each kernel of the lab in its last runs.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$HERE/../.."
mapfile -t kernels < <(sed 's/#.*//; /^$/d' "$HERE/kernels")
logs=()
for kernel in "${kernels[@]}"; do
	log=build/lab/runs/$kernel-expect/out.log
	[ -e "$log" ] || { echo "lab: no run of 'expect' on $kernel: make check-lab SCENARIOS=expect" >&2; exit 1; }
	logs+=("$log")
done
cat >docs/KERNELS.md <<'END'
# What the kernels do

Made by tests/lab/kernels_doc.sh of what the programs of tests/expect saw on the kernels of the lab: do not edit. yes: the fact
holds; **no**: it does not, and thpd must not rely on it there; else why it was not tried.

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
		printf "| program | fact |"
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
