#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The manual pages format without a warning.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/tap.sh.inc

for page in man/*.[1-8]; do
	if command -v groff >/dev/null; then
		verdict "$page" "$(LC_ALL=C.UTF-8 groff -man -Tutf8 -ww -z "$page" 2>&1)"
	else
		skip "$page" "groff is missing (package groff-base)"
	fi
done
finish
