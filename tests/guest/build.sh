#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the Linux that the test guests boot: build.sh OUTDIR
#
#   OUTDIR/vmlinuz       Debian's packaged cloud kernel (downloaded by apt, unpacked, never installed)
#   OUTDIR/modules/      what that kernel needs for a virtio balloon
#   OUTDIR/initrd.cpio   busybox, the work load (pattern.c), those modules and an init
#
# What is there already and still right is left alone, so a second call does nothing and needs no
# network.  THPD_GUEST_KERNEL names another vmlinuz in place of the download; without modules.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
readonly meta_package=linux-image-cloud-amd64
# In the order in which they are loaded.
readonly modules='virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_balloon'
: "${CC:=gcc}"

die() {
	printf 'guest/build.sh: %s\n' "$*" >&2
	exit 1
}

need() {
	local program package
	for program in "$@"; do
		package=${program#*:}
		program=${program%%:*}
		command -v "$program" >/dev/null ||
			die "$program is missing: apt-get install $package"
	done
}

# The kernel package that the meta package stands for today.
kernel_package() {
	apt-cache depends --important "$meta_package" 2>/dev/null |
		awk '$1 == "Depends:" && $2 ~ /^linux-image-[0-9]/ { print $2; exit }'
}

fetch_kernel() {
	local out=$1 package work
	[ -s "$out/vmlinuz" ] && [ -d "$out/modules" ] && return 0
	if [ -n "${THPD_GUEST_KERNEL:-}" ]; then
		cp -- "$THPD_GUEST_KERNEL" "$out/vmlinuz"
		mkdir -p "$out/modules"
		return 0
	fi
	need apt-get:apt dpkg:dpkg
	package=$(kernel_package)
	if [ -z "$package" ]; then
		apt-get update -qq || die "apt-get update failed: no package lists, no guest kernel"
		package=$(kernel_package)
	fi
	[ -n "$package" ] || die "apt knows no $meta_package"
	work=$(mktemp -d "$out/fetch.XXXXXX")
	# apt drops its rights to download and cannot enter a private directory: let it.
	chmod 755 "$work"
	# Package lists that are older than the archive name a version that is gone: refresh once.
	(cd "$work" && { apt-get download -qq "$package" 2>apt.log ||
		{ apt-get update -qq && apt-get download -qq "$package"; } >>apt.log 2>&1; }) || {
		cat "$work/apt.log" >&2
		rm -rf "$work"
		die "apt-get download $package failed"
	}
	dpkg -x "$work"/*.deb "$work/tree"
	mv "$work"/tree/boot/vmlinuz-* "$out/vmlinuz.new"
	mv "$out/vmlinuz.new" "$out/vmlinuz"
	keep_modules "$work/tree" "$out/modules"
	rm -rf "$work"
}

# What a kernel has built in, or not at all, is no module.
keep_modules() {
	local tree=$1 kept=$2 name module
	rm -rf "$kept" "$kept.new"
	mkdir "$kept.new"
	for name in $modules; do
		module=$(find "$tree" -name "$name.ko" -print -quit)
		[ -z "$module" ] || cp "$module" "$kept.new/"
	done
	mv "$kept.new" "$kept"
}

build_initrd() {
	local out=$1 initrd=$1/initrd.cpio tree source is_fresh=yes
	[ -s "$initrd" ] || is_fresh=no
	for source in "$here/pattern.c" "$here/init" "$here/build.sh" "$out/modules"; do
		[ "$initrd" -nt "$source" ] || is_fresh=no
	done
	[ "$is_fresh" = no ] || return 0
	need "$CC:gcc" cpio:cpio busybox:busybox-static
	busybox=$(command -v busybox)
	! ldd "$busybox" >/dev/null 2>&1 || die "$busybox is not static: apt-get install busybox-static"
	tree=$(mktemp -d "$out/initrd.XXXXXX")
	mkdir "$tree/bin" "$tree/proc" "$tree/dev"
	cp -r "$out/modules" "$tree/modules"
	printf '%s\n' $modules >"$tree/modules/order"
	cp "$busybox" "$tree/bin/busybox"
	install -m 755 "$here/init" "$tree/init"
	"$CC" -std=gnu17 -D_GNU_SOURCE -O2 -static -s -Wall -Wextra -o "$tree/bin/pattern" \
		"$here/pattern.c" || die "pattern.c does not compile (libc6-dev has the static libc)"
	(cd "$tree" && find . | LC_ALL=C sort | cpio -o -H newc --quiet --owner=0:0) >"$initrd.new"
	rm -rf "$tree"
	mv "$initrd.new" "$initrd"
}

main() {
	[ $# -eq 1 ] || die "usage: build.sh OUTDIR"
	mkdir -p "$1"
	local out
	out=$(cd "$1" && pwd)
	# Two test programs may come here at once.
	exec 9>"$out/.lock"
	flock 9
	fetch_kernel "$out"
	build_initrd "$out"
}

main "$@"
