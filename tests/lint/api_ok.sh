#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# lib/thpd.h is all that a user of libthpd needs, lib/vmm/thpd-vmm.h all that a VMM needs: each compiles alone as strict
# C99 and as C++, each of its functions can be called from there, and its library exports what it declares and no more.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/tap.sh.inc
build=${THPD_BUILD:-build/release}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

# What is left of the header when nothing else is: its declarations without remarks and directives.
declared() {
	sed -e 's|/\*.*\*/||' -e '/\/\*/,/\*\//d' -e '/^#/d' "$header" | tr '\n' ' ' | tr ';' '\n' |
		sed -nE '/THPD_(VMM_)?API/s/.*[ *]([a-z_0-9]*)\(.*/\1/p' | sort
}
exported() { nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort; }
listed() { sed -n '/global:/,/local:/s/^\t\([a-z_0-9]*\);.*/\1/p' "$map" | sort; }

# compile NAME COMPILER FILE FLAG...
compile() {
	local name=$1 compiler=$2 file=$3
	shift 3
	set -- "$@" -Wall -Wextra -Wundef -pedantic -Werror -iquote "${header%/*}"
	if ! command -v "$compiler" >/dev/null; then
		skip "$name" "$compiler is missing"
		return
	fi
	verdict "$name" "$("$compiler" "$@" -fsyntax-only "$file" 2>&1)"
}

# Twice, first and alone: nothing may come before it, and it must bear being read again.
write_user() {
	printf '#include "%s"\n' "${header##*/}" "${header##*/}"
	printf 'int main(void)\n{\n\treturn'
	declared | xargs printf ' !%s ||'
	printf ' 0;\n}\n'
}

# A function's address is never null, and some compilers say so.
check_header() {
	local compiler
	write_user >"$tmp/user.c"
	cp "$tmp/user.c" "$tmp/user.cc"
	for compiler in gcc clang; do
		compile "$header as C99 with $compiler" $compiler "$tmp/user.c" -std=c99 -Wstrict-prototypes -Wno-address \
			-Wno-pointer-bool-conversion
	done
	for compiler in g++ clang++; do
		compile "$header as C++ with $compiler" $compiler "$tmp/user.cc" -std=c++98 -Wno-long-long -Wno-address \
			-Wno-pointer-bool-conversion -Wno-variadic-macros -Wno-c++11-long-long
	done
	verdict "$header declares functions" "$([ -n "$(declared)" ] || echo none)"
}

# check_library PREFIX: of the names
check_library() {
	if ! command -v nm >/dev/null; then
		skip "$library exports what $header declares" "nm is missing"
	elif [ ! -e "$library" ]; then
		skip "$library exports what $header declares" "it is not built"
	else
		verdict "$library exports what $header declares, nothing else" "$(diff <(declared) <(exported))"
		verdict "every name that $library exports begins with $1" "$(exported | grep -v "^$1")"
		verdict "$map lists the same" "$(diff <(declared) <(listed))"
	fi
}

header=lib/thpd.h library=$build/libthpd.so map=lib/libthpd.map
check_header
check_library thpd_
header=lib/vmm/thpd-vmm.h library=$build/libthpd-vmm.so map=lib/vmm/libthpd-vmm.map
check_header
check_library thpd_vmm_
finish
