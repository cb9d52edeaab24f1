#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# thpd-vmm(3) is right about musl: by its command the archive is made, without a warning, and with that its example is a
# static program that runs.
# shellcheck disable=SC2317  # functions are called by name
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/tap.sh.inc
. tests/lint/example.sh.inc
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
archive=$tmp/musl/static/libthpd-vmm.a

# Nothing of a make that runs this.
make_archive() {
	local command
	command=$(write_musl_command)
	[[ $command == *' B=build/musl '*' build/musl/static/libthpd-vmm.a '* ]] ||
		{ echo "not in thpd-vmm(3): $command"; return; }
	env -u MAKEFLAGS -u MFLAGS -u MODE bash -c "${command//build\/musl/"$tmp/musl"}" >"$tmp/made" 2>&1 || cat "$tmp/made"
	grep -i warning "$tmp/made"
}
build_example() {
	musl-gcc -static -std=c99 -Wall -Wextra -pedantic -Werror -idirafter /usr/include \
		-idirafter "/usr/include/$(uname -m)-linux-gnu" -I lib/vmm -o "$tmp/example" "$tmp/example.c" "$archive" 2>&1
}

if ! command -v musl-gcc >/dev/null; then
	skip "the library is built with musl" "musl-gcc is missing: apt-get install musl-tools"
	finish
fi
write_example >"$tmp/example.c"
verdict "the library is built with musl as thpd-vmm(3) says" "$(make_archive)"
verdict "the example of thpd-vmm(3) is with it" "$(build_example)"
verdict "and needs no library" "$(readelf -d "$tmp/example" 2>&1 | grep -F NEEDED)"
verdict "nor anything of glibc" "$(strings "$tmp/example" 2>&1 | grep -F GLIBC_)"
if [ -w /dev/kvm ]; then
	verdict "it runs" "$("$tmp/example" </dev/null >"$tmp/said" 2>&1 || cat "$tmp/said")"
else
	skip "it runs" "no /dev/kvm"
fi
finish
