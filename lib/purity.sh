#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Which undefined symbols do the objects of the pure layers have, and does lib/purity.allow admit each?
# Usage: purity.sh ALLOW-FILE OBJECT-DIR. Lines of the allow file: "LAYER SYMBOL ..." (all = every pure layer).
set -euo pipefail
allow=$1 objects=$2 bad=0

own=$(nm --defined-only -g --format=posix "$objects"/{base,model,core}/*.o | awk '{print $1}' | sort -u)
for layer in base model core; do
	admitted=$(awk -v l="$layer" '!/^#/ && ($1 == l || $1 == "all") { for (i = 2; i <= NF; i++) print $i }' "$allow" | sort -u)
	for object in "$objects/$layer"/*.o; do
		while read -r symbol; do
			[ -n "$symbol" ] || continue
			echo "$object calls $symbol: not pure (lib/purity.allow has what lib/$layer may call)" >&2
			bad=1
		done < <(nm -u --format=posix "$object" | awk '{print $1}' | sort -u |
			comm -23 - <(printf '%s\n%s\n' "$own" "$admitted" | sort -u))
	done
done
# The include paths keep a layer from what is above it; a path that climbs out of its folder would not.
if grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"[^"]*/' lib/base/*.[ch] lib/model/*.[ch] lib/core/*.[ch] lib/kernel/*.[ch] >&2; then
	echo "includes are flat: \"name.h\", found by the layer's include path" >&2
	bad=1
fi
exit $bad
