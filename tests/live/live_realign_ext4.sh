#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# live_realign.sh on ext4: a test of its own, since each takes minutes.
REALIGN_KIND=ext4 exec bash "$(dirname "${BASH_SOURCE[0]}")/live_realign.sh"
