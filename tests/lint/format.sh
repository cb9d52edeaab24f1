#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The layout is what clang-format makes of it (`make format`).
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/tap.sh.inc

if ! command -v clang-format >/dev/null; then
	skip "clang-format" "clang-format is missing (package clang-format)"
	finish
fi
# Layout changes between versions; 14 is Debian 12's.
if ! clang-format --version | grep -q 'version 14\.'; then
	skip "clang-format" "this is $(clang-format --version), the layout is that of version 14"
	finish
fi
mapfile -t files < <(find lib daemon thpctl tests bench -type f -name '*.[ch]' | sort)
verdict "clang-format (${#files[@]} files)" \
	"$(clang-format --dry-run -Werror "${files[@]}" 2>&1 | sed -n 's/^\([^:]*\):.*error:.*/\1/p' | sort | uniq -c)"
finish
