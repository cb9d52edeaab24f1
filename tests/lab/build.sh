#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Fetches and builds what the lab needs, into build/lab: a QEMU that emulates a KVM host well, one root image,
# and per kernel a vmlinuz and an initrd. A part that is there is made anew only if what it is made of changed.
#
#   build.sh [KERNEL...]        default: all of tests/lab/kernels
#
# Nothing is installed: packages of other releases are unpacked below build/lab.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$HERE/../.."
LAB=$PWD/build/lab
mkdir -p "$LAB"
# shellcheck source=apt.sh
. "$HERE/apt.sh"

# What thpd is linked with, what a KVM host has, what the scenarios use.
IMAGE_PACKAGES=(systemd systemd-sysv udev dbus policykit-1 kmod procps iproute2 util-linux
	libsystemd0 libiniparser1 libjson-c5 libsmartcols1
	ndctl daxctl xfsprogs e2fsprogs numactl numad jq socat strace busybox-static qemu-system-x86 seabios)
MODULES=(virtio_pci virtio_blk virtio_rng overlay ext4 xfs kvm_amd nfit nd_pmem dax_pmem device_dax)

say() {
	printf 'lab: %s\n' "$*" >&2
}

# made PART KEY: is this part of build/lab there, and made of what KEY says?
made() {
	[ "$(cat "$LAB/$1.made" 2>/dev/null)" = "$2" ]
}

key_of() { # FILE TEXT...: of the texts and of what makes things of them
	{ printf '%s\n' "${@:2}"; cat "$HERE/build.sh" "$HERE/$1"; } | sha256sum | cut -c 1-16
}

unpack() { # INTO DEB...
	local into=$1 deb
	shift
	for deb; do dpkg-deb -x "$deb" "$into"; done
}

# --- QEMU: Debian 12's own (7.2) is not reliable enough as an emulator of SVM ----------------------

make_qemu() {
	local packages=(qemu-system-x86 qemu-system-common qemu-system-data) p spec=() key
	for p in "${packages[@]}"; do spec+=("$p/$BACKPORTS"); done
	key=$(key_of apt.sh "$(apt_own apt-get -s --print-uris download "${spec[@]}" 2>/dev/null | awk '{ print $2 }')")
	! made qemu "$key" || return 0
	say "QEMU from $BACKPORTS"
	rm -rf "$LAB/qemu" "$LAB/debs/qemu"
	apt_fetch "$LAB/debs/qemu" "${spec[@]}"
	unpack "$LAB/qemu" "$LAB"/debs/qemu/*.deb
	rm -rf "$LAB/debs/qemu"
	echo "$key" >"$LAB/qemu.made"
}

# --- kernels ------------------------------------------------------------------------------------

# The newest cloud kernel of a series: the package's name.
kernel_package() { # SERIES
	apt_own apt-cache show linux-image-cloud-amd64 |
		sed -n 's/^Depends:.*\(linux-image-[0-9][^ ,]*\).*/\1/p' | grep "^linux-image-$1\." | sort -V | tail -n 1
}

# From 7.x on the image's package is empty and depends on others.
kernel_packages() { # PACKAGE
	apt_own apt-cache show "$1" | sed -n 's/^Depends: //p' | head -n 1 | tr ',' '\n' |
		sed -n 's/^ *\(linux-\(base\|binary\|modules\)-[0-9][^ ]*\).*/\1/p'
	echo "$1"
}

# Each module with all that it needs, for a kernel that does not run here. The host's modprobe.d is left out:
# Debian's ndctl has an install line there that hides libnvdimm.
module_files() { # ROOT VERSION
	local module
	for module in "${MODULES[@]}"; do
		modprobe -C /dev/null -d "$1" -S "$2" --show-depends "$module" 2>/dev/null |
			sed -n 's/^insmod \([^ ]*\).*/\1/p'
	done | sort -u
}

make_initrd() { # ROOT VERSION INTO
	local tree file
	tree=$(mktemp -d "$LAB/initrd.XXXXXX")
	mkdir -p "$tree"/{bin,proc,sys,dev,payload} "$tree/lib/modules/$2"
	cp /bin/busybox "$tree/bin/busybox"
	cp "$HERE/init" "$tree/init"
	while read -r file; do
		install -D -m 644 "$file" "$tree/lib/modules/$2/${file#*/lib/modules/"$2"/}"
	done < <(module_files "$1" "$2")
	find "$tree" -name '*.xz' -exec xz -d {} + 2>/dev/null || true
	find "$tree" -name '*.zst' -exec zstd -q -d --rm {} + 2>/dev/null || true
	cp "$1/lib/modules/$2"/modules.{order,builtin,builtin.modinfo} "$tree/lib/modules/$2/" 2>/dev/null || true
	depmod -b "$tree" "$2"
	(cd "$tree" && find . | cpio -o -H newc --quiet) >"$3"
	rm -rf "$tree"
}

make_kernel() { # SERIES
	local package packages version root key
	package=$(kernel_package "$1")
	[ -n "$package" ] || { say "no kernel of the series $1 is to be had"; return 1; }
	key=$(key_of init "$package" "${MODULES[*]}")
	! made "kernel-$1" "$key" || return 0
	say "kernel $1: $package"
	mapfile -t packages < <(kernel_packages "$package")
	root=$LAB/kernel-$1.root version=${package#linux-image-}
	rm -rf "$root" "$LAB/debs/$1"
	apt_fetch "$LAB/debs/$1" "${packages[@]}"
	unpack "$root" "$LAB/debs/$1"/*.deb
	[ -e "$root/lib" ] || ln -s usr/lib "$root/lib"
	find "$root" -name "vmlinuz*" -type f -exec cp {} "$LAB/kernel-$1.vmlinuz" \;
	depmod -b "$root" "$version"
	make_initrd "$root" "$version" "$LAB/kernel-$1.initrd"
	rm -rf "$root" "$LAB/debs/$1"
	echo "$key" >"$LAB/kernel-$1.made"
}

# --- the root image -----------------------------------------------------------------------------

make_image() {
	local key tree=$LAB/image.tree mib
	key=$(key_of lab.service "${IMAGE_PACKAGES[*]}" "$RELEASE")
	! made image "$key" || return 0
	say "the root image: $RELEASE"
	rm -rf "$tree"
	echo "deb $(apt_mirror) $RELEASE main" |
		mmdebstrap --quiet --variant=apt --include="$(IFS=,; echo "${IMAGE_PACKAGES[*]}")" \
			--dpkgopt='path-exclude=/usr/share/{man,locale,doc,info}/*' \
			--aptopt='APT::Install-Recommends "false"' "$RELEASE" "$tree" - 2>"$LAB/image.log" ||
		{ tail -n 20 "$LAB/image.log" >&2; return 1; }
	rm -rf "$tree"/var/cache/apt/* "$tree"/var/lib/apt/lists/* "$tree"/usr/share/{doc,man,locale,info}
	install -m 644 "$HERE/lab.service" "$tree/etc/systemd/system/lab.service"
	mkdir -p "$tree/etc/systemd/system/multi-user.target.wants" "$tree/lab"
	ln -sf ../lab.service "$tree/etc/systemd/system/multi-user.target.wants/lab.service"
	# numad would move every scenario's memory about: one starts it by hand.
	for unit in getty@tty1.service apt-daily.timer apt-daily-upgrade.timer systemd-timesyncd.service \
		e2scrub_all.timer fstrim.timer numad.service; do
		ln -sf /dev/null "$tree/etc/systemd/system/$unit"
	done
	echo lab >"$tree/etc/hostname"
	: >"$tree/etc/fstab"
	: >"$tree/etc/machine-id"
	mib=$(($(du -sm "$tree" | cut -f 1) * 13 / 10 + 64))
	rm -f "$LAB/image"
	mke2fs -q -t ext4 -O ^has_journal -m 0 -d "$tree" "$LAB/image" "${mib}M"
	rm -rf "$tree"
	echo "$key" >"$LAB/image.made"
}

# shellcheck disable=SC1091
RELEASE=$(. /etc/os-release && echo "$VERSION_CODENAME")
BACKPORTS=$RELEASE-backports
all_kernels=()
[ $# -gt 0 ] || mapfile -t all_kernels < <(sed 's/#.*//; /^$/d' "$HERE/kernels")
apt_begin "$LAB/apt" "$RELEASE" "$BACKPORTS" trixie trixie-backports
make_qemu
for series in "$@" "${all_kernels[@]}"; do make_kernel "$series"; done
make_image
