#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# docs/NUDGE.md from what the scenarios `nudge`, `stall` and `qmp` said on each kernel of the lab in their last runs.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$HERE/../.."
mapfile -t kernels < <(sed 's/#.*//; /^$/d' "$HERE/kernels")
said=$(mktemp)
trap 'rm -f "$said"' EXIT
for kernel in "${kernels[@]}"; do
	for scenario in nudge stall qmp; do
		log=build/lab/runs/$kernel-$scenario/out.log
		[ -e "$log" ] || { echo "lab: no run of '$scenario' on $kernel: make check-lab" >&2; exit 1; }
		grep -aE $'^# (KERNEL |LEFT-OVER\t|COST\t|STALL\t|QEMU\t|MEASURED\t)' "$log" >>"$said"
	done
done

left_overs() {
	echo '| small pages are there because of | kernel | before | after a collapse | after a nudge | after both |'
	echo '|---|---|---|---|---|---|'
	awk -F '\t' '
		/^# KERNEL / { kernel = substr($0, 10) }
		$1 == "# LEFT-OVER" {
			counts = $3 " | " $4 " | " $5 " | " $6
			if (!($2 in rows)) order[++n] = $2
			rows[$2] = 1
			if (!(($2, counts) in where)) { kinds[$2]++; what[$2, kinds[$2]] = counts }
			where[$2, counts] = where[$2, counts] (where[$2, counts] == "" ? "" : ", ") kernel
		}
		END {
			for (i = 1; i <= n; i++)
				for (k = 1; k <= kinds[order[i]]; k++) {
					c = what[order[i], k]
					print "| " order[i] " | " (kinds[order[i]] == 1 ? "all" : where[order[i], c]) " | " c " |"
				}
		}' "$said"
}

# The ratio is to the same guest in the same run, to which nothing is done. It is unknown where that guest was given no
# processor for so long that it came to the end of no step.
costs() {
	echo '| kernel | guest | dirty log | what is done | the call, us | slowest step, us | ratio | slowest of all, us |'
	echo '|---|---|---|---|---|---|---|---|'
	awk -F '\t' '
		/^# KERNEL / { kernel = substr($0, 10) }
		$1 == "# COST" {
			if ($4 == "none") none = $6
			print "| " kernel " | " $3 " MiB | " ($2 == "set" ? "INITIALLY_SET" : "plain") " | " \
				($4 == "none" ? "nothing" : $4 == "nudge" ? "nudge" : "slot made anew") " | " $5 " | " $6 " | " \
				(none ? sprintf("%.1f", $6 / none) : "-") " | " $7 " |"
		}' "$said"
}

# Of runs of before there are none.
stalls() {
	echo '| kernel | guest | what is done | slowest step, us | ratio | least and most, us | steps in 1 ms | of those |'
	echo '|---|---|---|---|---|---|---|---|'
	awk -F '\t' '
		/^# KERNEL / { kernel = substr($0, 10) }
		$1 == "# STALL" {
			if ($3 == "none") { none = $5; steps = $7 }
			print "| " kernel " | " $2 " MiB | " \
				($3 == "none" ? "nothing" : $3 == "nudge" ? "nudge by the library" : "calc-dirty-rate, 1 s") " | " $5 " | " \
				(none ? sprintf("%.1f", $5 / none) : "-") " | " $4 " to " $6 " | " $7 " | " \
				(steps ? sprintf("%.0f %%", 100 * $7 / steps) : "-") " |"
		}' "$said"
}

counts() { # WHAT: of lines that begin so
	echo '| kernel | when | 4K/2M |'
	echo '|---|---|---|'
	awk -F '\t' -v what="$1" '
		/^# KERNEL / { kernel = substr($0, 10) }
		$1 == what { print "| " kernel " | " $2 " | " $3 " |" }' "$said"
}

{
	sed -n '1,/^<!-- left-overs -->$/p' "$HERE/nudge.md"
	left_overs
	sed -n '/^<!-- left-overs -->$/,/^<!-- costs -->$/p' "$HERE/nudge.md" | sed 1d
	costs
	sed -n '/^<!-- costs -->$/,/^<!-- qemu -->$/p' "$HERE/nudge.md" | sed 1d
	counts "# QEMU"
	sed -n '/^<!-- qemu -->$/,/^<!-- stalls -->$/p' "$HERE/nudge.md" | sed 1d
	stalls
	sed -n '/^<!-- stalls -->$/,/^<!-- measured -->$/p' "$HERE/nudge.md" | sed 1d
	counts "# MEASURED"
	sed -n '/^<!-- measured -->$/,$p' "$HERE/nudge.md" | sed 1d
} | grep -v '^<!--' >docs/NUDGE.md
