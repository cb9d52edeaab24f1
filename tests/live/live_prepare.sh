#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# thpd --prepare on a real XFS and ext4: new files of its directories are checked and given aligned space, nothing else is
# touched, and nobody who may write there leads it elsewhere.
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/live/images.sh
. "$here/images.sh"

readonly MIB=$((1 << 20)) HUGE=512
PREPARE_PID=''

test_cleanup() {
	[ -z "$PREPARE_PID" ] || stop_prepare
	image_unmount
}

# configure LINE...: of [DAX]
configure() {
	mkdir -p "$T/prepare"
	printf '%s\n' '[DAX]' "$@" >"$T/prepare/thpd.conf"
}

start_prepare() {
	"$THPD_BUILD/thpd" --prepare --config-dir="$T/prepare" 2>"$T/prepare.log" &
	PREPARE_PID=$!
}

stop_prepare() {
	local rc=0 pid=$PREPARE_PID
	PREPARE_PID=''
	kill -TERM "$pid"
	wait "$pid" || rc=$?
	return $rc
}

# By now: the whole log, so that nothing of before is taken for an answer, has to be looked for by file.
says() { # FILE WORDS
	grep -F -- "$1: " "$T/prepare.log" | grep -qF -- "$2"
}

soon() { # COMMAND...
	wait_until 30 "$@" || { tail -n 20 "$T/prepare.log"; return 1; }
}

has_hint() { # DIRECTORY
	is_equal "$(xfs_io -c extsize "$1")" "[2097152] $1"
}

# Allocated, and a block off.
make_misaligned() { # FILE
	fallocate -l $((8 * MIB + 4096)) "$1" && fallocate -c -o 0 -l 4096 "$1" && [ "$(pieces_off "$1" $HUGE no)" -gt 0 ]
}

allocated() { # FILE
	stat -c %b "$1"
}

# What came before, in the order of names, was dealt with when this one is.
deals_with_another() { # DIRECTORY NAME
	make_misaligned "$1/$2" && soon says "$1/$2" misaligned
}

# Two seconds of quiet, and then some: if it were to be touched, it would have been.
stays_sparse() { # FILE DIRECTORY
	deals_with_another "$2" "after-$RANDOM" && is_equal "$(allocated "$1")" 0
}

waits_for_the_end_of_use() { # FILE
	exec 9>"$1"
	truncate -s 8M "$1"
	soon says "$1" 'not given space while it is in use' || { exec 9>&-; return 1; }
	is_equal "$(allocated "$1")" 0 || { exec 9>&-; return 1; }
	# It is not asked about again and again: two rounds of quiet, and one line.
	sleep 5
	is_equal "$(grep -cF -- "$1: not given space" "$T/prepare.log")" 1 || { exec 9>&-; return 1; }
	exec 9>&-
	soon all_aligned "$1" $HUGE
}

# The kernel has it, and no process: it is told once, tried less and less often, and given space in the end.
waits_for_the_kernel() { # FILE
	local loop
	truncate -s 8M "$1" && loop=$(losetup -f --show "$1") || return 1
	soon says "$1" 'not given space while it is in use' || { losetup -d "$loop"; return 1; }
	sleep 5
	is_equal "$(grep -cF -- "$1: " "$T/prepare.log")" 1 && is_equal "$(allocated "$1")" 0 ||
		{ losetup -d "$loop"; return 1; }
	losetup -d "$loop" && wait_until 60 all_aligned "$1" $HUGE
}

come_by_another_way() { # DIRECTORY
	truncate -s 8M "$MNT/outside" && mv "$MNT/outside" "$1/moved" && soon all_aligned "$1/moved" $HUGE
}

# FILE of elsewhere stays as it is, whatever leads to it.
is_not_led_away() { # DIRECTORY
	truncate -s 8M "$MNT/other" "$MNT/linked" && ln -s "$MNT/other" "$1/link" && ln "$MNT/linked" "$1/hard" &&
		mkdir -p "$1/sub" && truncate -s 8M "$1/sub/file" "$1/.hidden" && mkfifo "$1/fifo" || return 1
	stays_sparse "$MNT/other" "$1" && is_equal "$(allocated "$MNT/linked")" 0 &&
		is_equal "$(allocated "$1/sub/file")" 0 && is_equal "$(allocated "$1/.hidden")" 0
}

# The directory goes, and another comes.
comes_back() { # DIRECTORY
	mv "$1" "$1.away" || return 1
	soon grep -qF "$1 is not there any more" "$T/prepare.log" || return 1
	mkdir "$1" && truncate -s 8M "$1/new" && wait_until 60 all_aligned "$1/new" $HUGE
}

# It keeps nobody from unmounting, and watches what is mounted afterwards; below the mount it watches nothing.
survives_unmount() { # DIRECTORY
	wait_until 10 umount "$MNT" || return 1
	soon grep -qF "$1 is not there any more" "$T/prepare.log" || return 1
	mkdir -p "$1" || return 1
	wait_until 30 test "$(grep -cF "watching $1" "$T/prepare.log")" -ge 2
	mount -o loop "$IMAGE" "$MNT" && truncate -s 8M "$1/mounted" && wait_until 60 all_aligned "$1/mounted" $HUGE
}

is_reloaded() { # DIRECTORY
	configure "PrepareDirectories=$1" Preallocate=no
	kill -HUP "$PREPARE_PID"
	truncate -s 8M "$1/report-only" && soon says "$1/report-only" '8192 KiB are holes' &&
		is_equal "$(allocated "$1/report-only")" 0 || return 1
	# And the other way round, what was only told about is done.
	configure "PrepareDirectories=$1" Preallocate=yes
	kill -HUP "$PREPARE_PID"
	soon all_aligned "$1/report-only" $HUGE
}

check_directory() { # KIND
	local dir=$MNT/guests
	mkdir "$dir"
	truncate -s 8M "$dir/before"
	configure "PrepareDirectories=$MNT/not-there $dir" Preallocate=yes
	start_prepare
	ok "$1: what was there before it came" soon all_aligned "$dir/before" $HUGE
	ok "$1: the directory that is not there is named" soon grep -qF "$MNT/not-there cannot be watched yet" "$T/prepare.log"
	case $1 in
	xfs) ok "$1: the directory has the hint" has_hint "$dir" ;;
	ext4) ok "$1: no hint, and it says so" soon grep -qF "$dir: The file system takes no hint" "$T/prepare.log" ;;
	esac
	ok "$1: a new file gets aligned space" truncate -s 8M "$dir/new"
	ok "$1: all of it" soon all_aligned "$dir/new" $HUGE
	ok "$1: and it says so" soon says "$dir/new" '8192 KiB lie right'
	ok "$1: a file that is off is named, with the cure" deals_with_another "$dir" off
	ok "$1: the cure is a command" says "$dir/off" 'thpctl dax realign'
	ok "$1: a file in use is left until it is closed" waits_for_the_end_of_use "$dir/open"
	ok "$1: a file under a loop device" waits_for_the_kernel "$dir/loop"
	ok "$1: a file that is moved in" come_by_another_way "$dir"
	ok "$1: links, other names, hidden names, what lies below and FIFOs are left alone" is_not_led_away "$dir"
	ok "$1: its file system is unmounted and mounted again" survives_unmount "$dir"
	ok "$1: the directory goes and comes" comes_back "$dir"
	ok "$1: a directory that came to be" mkdir "$MNT/not-there"
	ok "$1: is watched" wait_until 30 grep -qF "watching $MNT/not-there" "$T/prepare.log"
	ok "$1: reloaded: without Preallocate= it only tells" is_reloaded "$dir"
	ok "$1: it ends when told to" stop_prepare
	ok "$1: no sanitizer spoke up in it" is_not grep -q 'ERROR: \|runtime error' "$T/prepare.log"
}

nothing_to_do() {
	configure PrepareDirectories=none
	start_prepare
	soon grep -qF 'names no directory' "$T/prepare.log" && stop_prepare
}

bad_value() {
	configure PrepareDirectories=relative/path Preallocate=perhaps
	start_prepare
	soon grep -qF 'PrepareDirectories=relative/path: expected absolute paths' "$T/prepare.log" &&
		soon grep -qF 'Preallocate=perhaps: expected yes or no' "$T/prepare.log" && stop_prepare
}

live_begin mkfs.xfs mkfs.ext4 xfs_io filefrag
for kind in xfs ext4; do
	ok "$kind: an image" image_mount $kind 1024 || continue
	check_directory $kind
	ok "$kind: the file system is sound" image_check
done
ok "nothing to do, and it says so" nothing_to_do
ok "values that are none are named" bad_value
live_end
