#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Nothing of the machine that it was written on: no absolute path of a work tree or a home, no mirror or proxy host.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/tap.sh.inc

search() {
	grep -rInE "$1" --exclude-dir=.git --exclude-dir=build --exclude-dir=.ci --exclude=no_paths.sh . | cut -c1-200 |
		head -n 20
}
verdict "no path of a work tree or a home" \
	"$(search '(^|[^A-Za-z0-9_.-])/(work|root|home/[a-z]+|workspace|builds)/[A-Za-z.]')"
verdict "no path below /tmp with a fixed name in the sources" \
	"$(grep -rnE '"/tmp/[A-Za-z]' --include='*.[ch]' lib daemon thpctl | cut -c1-200)"
verdict "no mirror, proxy or private host" \
	"$(search 'https?://([a-z0-9.-]*(mirror|proxy|artifactory|nexus)[a-z0-9.-]*|10\.[0-9.]+|192\.168\.[0-9.]+|localhost)')"
finish
