#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# live_realign.sh on an XFS that cannot exchange parts of files, with smaller numbers: what takes its turn then is the
# same as on ext4 with DAX, which the lab has.
: "${REALIGN_LAYOUTS:=6}" "${REALIGN_KILLS:=60}" "${REALIGN_CUTS:=8}"
export REALIGN_LAYOUTS REALIGN_KILLS REALIGN_CUTS
REALIGN_KIND=plain exec bash "$(dirname "${BASH_SOURCE[0]}")/live_realign.sh"
