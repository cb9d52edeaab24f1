#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every source file says its licence in its first two lines: LGPL-2.1-or-later for what is compiled into the library,
# GPL-2.0-or-later for all else.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/tap.sh.inc

sources() {
	find lib daemon thpctl tests bench man systemd conf Makefile -type f \
		\( -name '*.[ch]' -o -name '*.def' -o -name '*.sh' -o -name '*.awk' -o -name '*.py' -o -name '*.inc' \
		-o -name '*.[1-8]' -o -name '*.service' -o -name '*.conf' -o -name Makefile \) \
		-not -path 'tests/golden/hosts/*' -not -path 'tests/fuzz/seeds/*' -not -path 'tests/golden/*/proc/*' \
		-not -path 'tests/golden/*/sys/*' | sort
}
check() { # check NAME LICENCE, files on stdin
	local name=$1 licence=$2 bad='' file n=0
	while read -r file; do
		n=$((n + 1))
		head -n 2 "$file" | grep -qF "SPDX-License-Identifier: $licence" || bad+="$file"$'\n'
	done
	verdict "$name: $licence ($n files)" "${bad%$'\n'}"
	[ $n -gt 0 ] || not_ok "$name: there are files"
}
check "lib/" LGPL-2.1-or-later < <(sources | grep -E '^lib/.*\.(c|h|def)$')
check "elsewhere" GPL-2.0-or-later < <(sources | grep -vE '^lib/.*\.(c|h|def)$')
finish
