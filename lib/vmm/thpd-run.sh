#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Starts a VMM with libthpd-vmm-preload.so: thpd-run(1).
set -eu
preload=@libdir@/libthpd-vmm-preload.so

usage() {
	echo 'usage: thpd-run [--populate] [--] COMMAND [ARGUMENT...]'
}

fail() {
	echo "thpd-run: $*" >&2
	exit 125
}

while [ $# -gt 0 ]; do
	case $1 in
	--populate) export THPD_POPULATE=huge ;;
	--help) usage && exit ;;
	--version) echo 'thpd-run @version@' && exit ;;
	--) shift && break ;;
	-*) usage >&2 && fail "no such option: $1" ;;
	*) break ;;
	esac
	shift
done
[ $# -gt 0 ] || { usage >&2 && fail 'no command is given'; }
[ -r "$preload" ] || fail "$preload cannot be read: install thpd (make install), or let this user read it"
command -v -- "$1" >/dev/null || { echo "thpd-run: $1 is not found: give its whole path, or see to PATH" >&2 && exit 127; }
export LD_PRELOAD="$preload${LD_PRELOAD:+:$LD_PRELOAD}"
exec "$@"
