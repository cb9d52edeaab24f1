#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# cppcheck: warnings, performance, portability.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/tap.sh.inc

if ! command -v cppcheck >/dev/null; then
	skip "cppcheck" "cppcheck is missing (package cppcheck)"
	finish
fi
cache=${THPD_BUILD:-build/release}/cppcheck
mkdir -p "$cache"
includes=()
for dir in lib lib/base lib/model lib/core lib/kernel lib/vmm daemon thpctl; do includes+=(-I "$dir"); done
# unknownMacro: cmocka's and systemd's tables are not seen. nullPointerOutOfMemory and the like do not exist in 2.10.
# va_list_usedBeforeStarted, uninitvar: the cleanup attribute and *ret on success only are beyond it.
for dir in lib daemon thpctl; do
	if [ -z "$(find "$dir" -name '*.c')" ]; then
		skip "cppcheck $dir" "$dir has no sources yet"
		continue
	fi
	verdict "cppcheck $dir" "$(cppcheck --quiet --std=c11 --platform=unix64 --enable=warning,performance,portability \
		--inline-suppr --suppress=missingInclude --suppress=missingIncludeSystem --suppress=unknownMacro \
		--suppress=uninitvar --suppress=va_end_missing --suppress=normalCheckLevelMaxBranches \
		-D_GNU_SOURCE '-DTHPD_VERSION="0"' --max-configs=1 --cppcheck-build-dir="$cache" -j 2 \
		"${includes[@]}" "$dir" 2>&1)"
done
finish
