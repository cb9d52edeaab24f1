#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# lib/thpd.h is all that a user of libthpd needs: it compiles alone as strict C99 and as C++, each of its functions can
# be called from there, and libthpd.so exports what it declares and nothing else.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/tap.sh.inc
build=${THPD_BUILD:-build/release}
header=lib/thpd.h library=$build/libthpd.so
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

# What is left of the header when nothing else is: its declarations without remarks and directives.
declared() {
	sed -e 's|/\*.*\*/||' -e '/\/\*/,/\*\//d' -e '/^#/d' "$header" | tr '\n' ' ' | tr ';' '\n' |
		sed -n '/THPD_API/s/.*[ *]\([a-z_0-9]*\)(.*/\1/p' | sort
}
exported() { nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort; }

# compile NAME COMPILER FILE FLAG...
compile() {
	local name=$1 compiler=$2 file=$3
	shift 3
	if ! command -v "$compiler" >/dev/null; then
		skip "$name" "$compiler is missing"
		return
	fi
	verdict "$name" "$("$compiler" "$@" -Wall -Wextra -Wundef -pedantic -Werror -iquote lib -fsyntax-only "$file" 2>&1)"
}

# Twice, first and alone: nothing may come before it, and it must bear being read again.
{
	printf '#include "thpd.h"\n#include "thpd.h"\nint main(void)\n{\n\treturn'
	declared | xargs printf ' !%s ||'
	printf ' 0;\n}\n'
} >"$tmp/user.c"
cp "$tmp/user.c" "$tmp/user.cc"
# A function's address is never null, and some compilers say so.
for compiler in gcc clang; do
	compile "$header as C99 with $compiler" $compiler "$tmp/user.c" -std=c99 -Wstrict-prototypes -Wno-address \
		-Wno-pointer-bool-conversion
done
for compiler in g++ clang++; do
	compile "$header as C++ with $compiler" $compiler "$tmp/user.cc" -std=c++98 -Wno-long-long -Wno-address \
		-Wno-pointer-bool-conversion -Wno-variadic-macros -Wno-c++11-long-long
done

verdict "$header declares functions" "$([ -n "$(declared)" ] || echo none)"
if ! command -v nm >/dev/null; then
	skip "$library exports what $header declares" "nm is missing"
elif [ ! -e "$library" ]; then
	skip "$library exports what $header declares" "it is not built"
else
	verdict "$library exports what $header declares, nothing else" "$(diff <(declared) <(exported))"
	verdict "every name that $library exports begins with thpd_" "$(exported | grep -v '^thpd_')"
	verdict "lib/libthpd.map lists the same" \
		"$(diff <(declared) <(sed -n '/global:/,/local:/s/^\t\([a-z_0-9]*\);.*/\1/p' lib/libthpd.map | sort))"
fi
finish
