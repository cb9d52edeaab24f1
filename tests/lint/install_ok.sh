#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `make install` installs these files and no others, and those that name a place or a version name the right one; the
# example of thpd-vmm(3) builds with what is installed; what is loaded into a VMM brings no other library with it, and
# AppArmor's parser takes the lines that let it be loaded; the completions know every option and verb that `thpctl --help`
# names, and no others.
# shellcheck disable=SC2317  # functions are called by name
set -u
umask 022
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/tap.sh.inc
. tests/lint/example.sh.inc
build=${THPD_BUILD:-build/release}
version=$(sed -n 's/^## \([0-9][0-9.]*\).*/\1/p' CHANGELOG | head -n 1)
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

# expected PREFIX UNITDIR: files, links (with what they point to) and empty directories.
expected() {
	local file
	for file in sbin/thpd bin/thpctl bin/thpd-run lib/libthpd.so.0 'lib/libthpd.so -> libthpd.so.0' lib/pkgconfig/libthpd.pc \
		lib/libthpd-vmm.so.0 'lib/libthpd-vmm.so -> libthpd-vmm.so.0' lib/libthpd-vmm.a lib/pkgconfig/libthpd-vmm.pc \
		lib/libthpd-vmm-preload.so share/doc/thpd/apparmor/thpd-vmm-preload include/thpd.h include/thpd-vmm.h \
		share/man/man1/thpctl.1 share/man/man1/thpd-run.1 share/man/man3/thpd-vmm.3 share/man/man5/thpd.conf.5 \
		share/man/man8/thpd.8 \
		share/bash-completion/completions/thpctl share/zsh/site-functions/_thpctl; do
		echo "$1/$file"
	done
	for file in conf/examples/*; do echo "$1/share/doc/thpd/examples/${file##*/}"; done
	printf '%s\n' "$2/thpd.service" "$2/thpd-prepare.service" /etc/thpd/thpd.conf /etc/thpd/thpd.conf.d/ /etc/thpd/vm.d/
}
installed() {
	(cd "$1" && find . -type l -printf '/%P -> %l\n' -o -type d -empty -printf '/%P/\n' -o ! -type d -printf '/%P\n') |
		sort
}
# A flag of another caller must not bring the compiler into this: what is built is installed.
install_to() {
	env -u bindir -u sbindir -u libdir -u includedir -u mandir -u sysconfdir -u B make --no-print-directory -s \
		MODE="${build##*/}" DESTDIR="$1" prefix="$2" unitdir="$3" install
}
value_of() { sed -n "s/^$2[=:] *//p" "$1"; }

# build_example ROOT PREFIX WORD...: with the words, and what pkg-config says of the installed library
build_example() {
	local root=$1 prefix=$2 flags
	shift 2
	flags=$(PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_LIBDIR=$root$prefix/lib/pkgconfig PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 \
		PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 pkg-config --cflags --libs ${1:+-"$1"} libthpd-vmm 2>&1) || { echo "$flags"; return; }
	# shellcheck disable=SC2086  # words
	cc -std=c99 -Wall -Wextra -pedantic -Werror "$@" -o "$tmp/example" "$tmp/example.c" $flags 2>&1
}
needed_of() { readelf -d "$1" 2>&1 | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'; }

check_example() {
	local root=$1 prefix=$2 name=$3
	verdict "$name: the example of thpd-vmm(3) builds" "$(build_example "$root" "$prefix")"
	verdict "$name: with libthpd-vmm.so.0" "$(needed_of "$tmp/example" | grep -qx libthpd-vmm.so.0 || echo "not needed")"
	verdict "$name: it builds statically" "$(build_example "$root" "$prefix" -static)"
	verdict "$name: with no library left to load" "$(needed_of "$tmp/example")"
	verdict "$name: libthpd-vmm.a shows what libthpd-vmm.so does, nothing else" "$(diff \
		<(nm -gj --defined-only "$root$prefix/lib/libthpd-vmm.a" | grep '^[a-z_]*$' | sort) \
		<(nm -Dj --defined-only "$root$prefix/lib/libthpd-vmm.so" | sed -n 's/@@.*//p' | grep '^[a-z]' | sort))"
}

# A VMM has libraries of its own, in versions of its own. glibc before 2.34 is in several files.
check_needed() {
	local root=$1 prefix=$2 name=$3 so needed
	for so in libthpd-vmm-preload.so libthpd-vmm.so.0; do
		needed=$(needed_of "$root$prefix/lib/$so")
		verdict "$name: $so needs libc" "$(grep -q '^libc\.so' <<<"$needed" || echo "it needs: $needed")"
		verdict "$name: $so needs nothing else" "$(grep -vE '^(libc|libpthread|libdl|ld-linux.*)\.so' <<<"$needed")"
	done
}

# What is wrong. The parser warns of a kernel without AppArmor as well, and succeeds.
parse_apparmor() {
	printf 'profile thpd-test /nowhere {\n  #include "%s"\n}\n' "$1" >"$tmp/profile"
	apparmor_parser -Q -K -S "$tmp/profile" >"$tmp/parsed" 2>"$tmp/said" || { echo "status $?" && cat "$tmp/said"; }
}

check_apparmor() {
	local text="$3: the lines for AppArmor can be parsed"
	if ! command -v apparmor_parser >/dev/null; then
		skip "$text" "apparmor_parser is missing"
		return
	fi
	verdict "$text" "$(parse_apparmor "$1$2/share/doc/thpd/apparmor/thpd-vmm-preload")"
}

check_install() {
	local prefix=$1 unitdir=$2 root=$tmp/root$1 name="install to prefix=$1" text file pc
	mkdir -p "$root"
	if ! text=$(install_to "$root" "$prefix" "$unitdir" 2>&1); then
		not_ok "$name" "$text"
		return
	fi
	verdict "$name: these files and no others" \
		"$(diff <(expected "$prefix" "$unitdir" | sort) <(installed "$root"))"
	verdict "$name: programs can be executed, the rest cannot and is readable by all" \
		"$(find "$root" -type f \( -path '*bin/*' ! -perm 755 -o ! -path '*bin/*' ! -perm 644 \) -printf '%m %P\n')"
	verdict "$name: ExecStart= is the installed thpd" \
		"$(diff <(echo "$prefix/sbin/thpd") <(value_of "$root$unitdir/thpd.service" ExecStart))"
	verdict "$name: and of thpd-prepare.service, with --prepare" \
		"$(diff <(echo "$prefix/sbin/thpd --prepare") <(value_of "$root$unitdir/thpd-prepare.service" ExecStart))"
	for pc in libthpd libthpd-vmm; do
		verdict "$name: $pc.pc" "$(diff <(printf '%s\n' "$prefix" "$prefix/lib" "$prefix/include" "$version") \
			<(for key in prefix libdir includedir Version; do
				value_of "$root$prefix/lib/pkgconfig/$pc.pc" $key
			done))"
	done
	verdict "$name: no placeholder is left" "$(grep -n '@[a-z]*@' "$root$prefix/lib/pkgconfig/"*.pc \
		"$root$unitdir"/thpd*.service "$root$prefix/bin/thpd-run" "$root$prefix/share/doc/thpd/apparmor/"*)"
	verdict "$name: thpd-run loads the installed library" \
		"$(diff <(echo "$prefix/lib/libthpd-vmm-preload.so") <(sed -n 's/^preload=//p' "$root$prefix/bin/thpd-run"))"
	verdict "$name: the programs are of this version" \
		"$(diff <(printf '%s\n' "thpd $version" "thpctl $version" "thpd-run $version") <("$root$prefix/sbin/thpd" --version
			"$root$prefix/bin/thpctl" --version; "$root$prefix/bin/thpd-run" --version))"
	check_example "$root" "$prefix" "$name"
	check_needed "$root" "$prefix" "$name"
	check_apparmor "$root" "$prefix" "$name"
	echo '# mine' >"$root/etc/thpd/thpd.conf"
	install_to "$root" "$prefix" "$unitdir" >/dev/null 2>&1
	verdict "$name: a second time leaves the administrator's file alone" \
		"$(diff <(echo '# mine') "$root/etc/thpd/thpd.conf")"
}

# --- completions ---------------------------------------------------------------------------------

options_in() { grep -oE -- '--[a-z][a-z-]*' | sort -u; }
options_of_help() { "$build/thpctl" --help | options_in; }
verbs_of_help() {
	"$build/thpctl" --help |
		awk '/^[^ ]/ { inside = /^Verbs:/ } inside && /^  [a-z]/ { print $1 }' | sort -u
}
options_of_bash() { grep -E '^[[:space:]]*(local options=|[a-z |]+\) options\+=)' thpctl/completion/bash | options_in; }
verbs_of_bash() { sed -n "s/.*local verbs='\(.*\)'.*/\1/p" thpctl/completion/bash | tr ' ' '\n' | sort -u; }
# The specifications of _arguments, without what stands in brackets and without calls of thpctl.
options_of_zsh() {
	sed -n '/_arguments/,/->verb/p' thpctl/completion/zsh | sed -e 's/\[[^]]*\]//g' -e 's/{-h,--help}/--help/' | options_in
}
verbs_of_zsh() {
	sed -n '/local -a verbs=(/,/^\t)/s/^[[:space:]]*.\([a-z-]*\):.*/\1/p' thpctl/completion/zsh | sort -u
}
# What follows the names in `case` must be names as well.
cases_of() {
	grep -oE '^[[:space:]]*[a-z-]+( \| [a-z-]+)*\)' "$1" | tr -d ' \t)' | tr '|' '\n' | grep -vxE 'verb|word' | sort -u
}

write_example >"$tmp/example.c"
if [ ! -x "$build/thpctl" ] || [ ! -x "$build/thpd" ]; then
	skip "make install" "$build/thpd and $build/thpctl are not built"
	skip "completions" "$build/thpctl is not built"
	finish
fi
case $build in
build/* | "$PWD"/build/*)
	check_install /usr /usr/lib/systemd/system
	check_install /opt/x /opt/x/lib/systemd/system
	;;
*) skip "make install" "$build is no build directory of this tree" ;;
esac
verdict "thpctl --help names options and verbs" \
	"$(for f in options_of_help verbs_of_help; do [ -n "$($f)" ] || echo "$f: none"; done)"
for shell in bash zsh; do
	verdict "$shell completion and thpctl --help name the same options" \
		"$(diff <(options_of_help) <("options_of_$shell"))"
	verdict "$shell completion and thpctl --help name the same verbs" "$(diff <(verbs_of_help) <("verbs_of_$shell"))"
	verdict "$shell completion has cases for verbs only" \
		"$(comm -13 <(verbs_of_help) <(cases_of "thpctl/completion/$shell"))"
	if command -v $shell >/dev/null; then
		verdict "$shell completion can be parsed by $shell" "$($shell -n thpctl/completion/$shell 2>&1)"
	else
		skip "$shell completion can be parsed by $shell" "$shell is missing"
	fi
done
finish
