#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# thpctl dax realign and prealloc on a real file system, aged: what is moved is aligned by another reader's word, every
# byte stays, and nothing is lost to a kill, a power cut, a full file system, or somebody who comes in the middle.
# XFS; live_realign_ext4.sh is the same on ext4, live_realign_copy.sh on an XFS where a copy takes the file's place.
# Alone: turns fs/lease-break-time.
# shellcheck disable=SC2317  # conditions are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/live/images.sh
. "$here/images.sh"

readonly MIB=$((1 << 20)) HUGE=512
: "${REALIGN_KIND:=xfs}" "${REALIGN_CUTS:=20}" "${REALIGN_KILLS:=150}" "${REALIGN_LAYOUTS:=12}" "${REALIGN_SEED:=1}"

test_cleanup() {
	[ -z "$break_time" ] || echo "$break_time" >$BREAK_TIME
	image_unmount
	! mountpoint -q "$T/medium" || umount "$T/medium"
}

dax() { # VERB FILE OPTION...
	timeout 120 "$THPD_BUILD/thpctl" dax "$@"
}

# The same numbers for the same seed.
random_below() { # N: sets $random
	REALIGN_SEED=$(((REALIGN_SEED * 1103515245 + 12345) & 0x7fffffff))
	random=$(((REALIGN_SEED >> 8) % $1))
}

# Data, allocated space and holes in any order, not one of them at a boundary but by chance; parts shared with another
# file where the file system can.
make_random_file() { # FILE
	local at=0 n size
	rm -f "$1" "$1.twin"
	random_below 60
	size=$(((20 + random) * MIB + random * 4096 + random * 7))
	truncate -s $size "$1"
	while [ $at -lt $((size - 9 * MIB)) ]; do
		random_below 1500
		n=$(((random + 1) * 4096))
		random_below 4
		case $random in
		0) ;;
		1) fallocate -n -o $at -l $n "$1" || return 1 ;;
		*) head -c $n /dev/urandom | dd of="$1" bs=64K seek=$at oflag=seek_bytes conv=notrunc status=none || return 1 ;;
		esac
		at=$((at + n))
	done
	sync "$1"
	random_below 2
	[ "$IMAGE_KIND" = ext4 ] || [ "$random" = 0 ] || cp --reflink=always "$1" "$1.twin"
}

# Pieces of which nothing is allocated.
hole_pieces() { # FILE
	fiemap "$1" | awk -v unit=$HUGE -v size="$(stat -c %s "$1")" '
		{ for (p = int($1 / unit); p <= int(($1 + $3 - 1) / unit); p++) used[p] = 1 }
		END { whole = int(size / 4096 / unit); for (p = 0; p < whole; p++) n += !(p in used); print n + 0 }'
}

# All but the holes.
is_realigned() { # FILE
	is_equal $(($(pieces_off "$1" $HUGE yes) + $(hole_pieces "$1"))) $(($(stat -c %s "$1") / (2 * MIB)))
}

# By cksum, since whole files are summed some five hundred times.
what_it_is() { # FILE
	cksum <"$1"
	stat -c '%s %a %u %g %y %h' "$1"
}

realigns() { # FILE [OPTION...]
	local before
	before=$(what_it_is "$1")
	dax realign "$@" --no-legend || return 1
	sync "$MNT"
	is_equal "$(what_it_is "$1")" "$before" && is_realigned "$1"
}

preallocates() { # FILE
	local before
	before=$(what_it_is "$1")
	dax prealloc "$1" --no-legend || return 1
	is_equal "$(what_it_is "$1")" "$before" && is_equal "$(hole_pieces "$1")" 0 && all_aligned "$1" $HUGE
}

check_random_layouts() {
	local i
	for ((i = 0; i < REALIGN_LAYOUTS; i++)); do
		make_random_file "$MNT/random" || return 1
		chmod 640 "$MNT/random"
		touch -d "2001-02-03 04:05:06.789" "$MNT/random"
		[ ! -e "$MNT/random.twin" ] || cksum <"$MNT/random.twin" >"$T/twin"
		if ! realigns "$MNT/random" || ! preallocates "$MNT/random"; then
			echo "layout $i"
			return 1
		fi
		[ ! -e "$MNT/random.twin" ] || is_equal "$(cksum <"$MNT/random.twin")" "$(cat "$T/twin")" || return 1
	done
	rm -f "$MNT"/random*
}

# Written a moment ago, into space that was there: the file system still calls it unwritten.
keeps_what_is_not_on_the_medium() { # FILE
	local sum
	rm -f "$1"
	fallocate -l $((64 * MIB + 4096)) "$1" && misplace "$1" || return 1
	head -c $((9 * MIB)) /dev/urandom >"$T/news"
	dd if="$T/news" of="$1" bs=1M seek=11 conv=notrunc status=none
	sum=$({ head -c $((11 * MIB)) /dev/zero && cat "$T/news" && head -c $((44 * MIB)) /dev/zero; } | cksum)
	dax realign "$1" --no-legend || return 1
	is_equal "$(cksum <"$1")" "$sum" && all_aligned "$1" $HUGE
}

# Takes away a first block: what the file system had aligned is a block off.
misplace() { # FILE
	fallocate -c -o 0 -l 4096 "$1" && sync "$1" && [ "$(pieces_off "$1" $HUGE no)" -gt 0 ]
}

# As make_random_file, larger, for what is done in its middle.
make_large_file() { # FILE
	local i
	rm -f "$1"
	head -c 4096 /dev/zero >"$1"
	for ((i = 0; i < 12; i++)); do
		fallocate -l $(((i % 5 + 1) * 4096)) "$1.$i"
		dd if=/dev/urandom of="$1" bs=1M count=7 seek=$((i * 7 * MIB + 4096)) oflag=seek_bytes conv=notrunc \
			status=none || return 1
		sync "$1"
	done
	misplace "$1"
}

# Killed at a random moment, whole times over: the data are the same, and nothing else is left.
survives_kills() { # FILE
	local i sum struck=0
	make_large_file "$1"
	sum=$(cksum <"$1")
	for ((i = 0; i < REALIGN_KILLS; i++)); do
		random_below 150
		if { timeout -s KILL "0.$(printf '%03d' $((random + 1)))" "$THPD_BUILD/thpctl" dax realign "$1"; } \
			>"$T/killed.out" 2>&1; then
			# It was done before: the next one is to have work.
			scatter "$1" || return 1
		else
			struck=$((struck + 1))
		fi
		is_equal "$(cksum <"$1")" "$sum" || { echo "after kill $i"; return 1; }
	done
	note "struck it at work $struck times" >>"$T/notes"
	[ $struck -gt 0 ]
}

# The power fails at a random moment. What runs ends with an error; the data are the same after the start.
survives_cuts() { # FILE
	local i pid sum rc
	make_large_file "$1"
	sum=$(cksum <"$1")
	for ((i = 0; i < REALIGN_CUTS; i++)); do
		dax realign "$1" >"$T/cut.out" 2>&1 &
		pid=$!
		random_below 200
		sleep "0.$(printf '%03d' "$random")"
		image_cut_off || return 1
		rc=0
		wait $pid || rc=$?
		# 124: it hung.
		[ $rc != 124 ] || return 1
		image_restart || return 1
		is_equal "$(cksum <"$1")" "$sum" || { echo "after cut $i"; cat "$T/cut.out"; return 1; }
		[ $((i % 3)) != 2 ] || scatter "$1" || return 1
	done
}

# Cut off when the new file had its name: the old one is there under the other, and there is nothing more to move.
leaves_nothing_behind() { # FILE
	local spare
	spare=$(dirname "$1")/.thpd-realign.$(basename "$1")
	dax realign "$1" --no-legend && cp "$1" "$spare" && dax realign "$1" --no-legend && [ ! -e "$spare" ]
}

# The medium takes no more writes in the middle: the image lies where there is no room any more, and every write to a new
# place of it fails. Then the medium is replaced, and the machine started again.
survives_bad_medium() { # KIND
	local file room sum rc=0
	image_unmount
	mkdir "$T/medium" && mount -t tmpfs -o size=3G medium "$T/medium" || return 1
	IMAGE_DIR=$T/medium image_mount "$1" 1024 || return 1
	file=$MNT/bad
	make_large_file "$file" || return 1
	sum=$(cksum <"$file")
	sync -f "$MNT"
	room=$(($(df -B1 --output=used "$T/medium" | tail -n 1) + 24 * MIB))
	mount -o remount,size=$room "$T/medium" || return 1
	dax realign "$file" >"$T/bad.out" 2>&1 || rc=$?
	cat "$T/bad.out"
	# An error, not a signal, and not a hang.
	[ $rc -gt 0 ] && [ $rc -lt 124 ] || return 1
	mount -o remount,size=3G "$T/medium" && wait_until 20 image_unmount || return 1
	# ext4 drops the list of files that were to vanish when it has seen an error: the space is e2fsck's to find.
	[ "$1" != ext4 ] || e2fsck -fy "$IMAGE" || [ $? = 1 ] || return 1
	mount -o loop "$IMAGE" "$MNT" || return 1
	is_equal "$(cksum <"$file")" "$sum" && dax realign "$file" --no-legend &&
		is_equal "$(cksum <"$file")" "$sum" && image_check && umount "$T/medium"
}

# The same file anew, its pieces off.
scatter() { # FILE
	local i n
	n=$(($(stat -c %s "$1") / MIB))
	rm -f "$1.new"
	head -c 4096 /dev/zero >"$1.new"
	for ((i = 0; i < n; i += 7)); do
		fallocate -l 12288 "$1.gap.$RANDOM" 2>/dev/null
		dd if="$1" of="$1.new" bs=1M count=7 skip=$i seek=$((i * MIB + 4096)) oflag=seek_bytes conv=notrunc,fsync \
			status=none || return 1
	done
	misplace "$1.new" && mv "$1.new" "$1"
}

# Whoever opens it in the middle gets it, soon, with the data that it had.
gives_way() { # FILE
	local sum pid rc=0 opened=0 i
	sum=$({ head -c $((5 * MIB)) "$1" && printf guest && tail -c +$((5 * MIB + 6)) "$1"; } | cksum)
	for ((i = 0; i < 5; i++)); do
		scatter "$1" || return 1
		dax realign "$1" >"$T/giving.out" 2>&1 &
		pid=$!
		random_below 60
		sleep "0.$(printf '%03d' "$random")"
		# Waits for the lease, if there is one.
		printf 'guest' | timeout 40 dd of="$1" bs=1 seek=$((5 * MIB)) conv=notrunc status=none || return 1
		[ "$(dd if="$1" bs=1 skip=$((5 * MIB)) count=5 status=none)" = guest ] || return 1
		wait $pid || rc=$?
		grep -q 'Somebody' "$T/giving.out" && opened=$((opened + 1))
		is_equal "$(cksum <"$1")" "$sum" || return 1
	done
	note "gave way $opened times" >>"$T/notes"
	[ $opened -gt 0 ]
}

readonly BREAK_TIME=/proc/sys/fs/lease-break-time
break_time=''

# thpctl stands still right before the exchange, for longer than the kernel keeps a writer waiting: the write is not lost.
# Every ioctl comes late; the writer comes when the kernel has noted what the file is like (XFS_IOC_START_COMMIT).
loses_no_late_write() { # FILE
	break_time=$(cat $BREAK_TIME)
	local pid rc=0
	fallocate -l $((2 * MIB + 4096)) "$1" && misplace "$1" && head -c $((2 * MIB)) /dev/urandom >"$T/news" &&
		dd if="$T/news" of="$1" bs=1M conv=notrunc,fsync status=none && echo 1 >$BREAK_TIME || return 1
	strace -f -o "$T/ioctls" -e trace=ioctl -e inject=ioctl:delay_enter=4s \
		"$THPD_BUILD/thpctl" dax realign "$1" >"$T/late.out" 2>&1 &
	pid=$!
	wait_until 90 grep -q '0x58, 0x82.* = 0' "$T/ioctls"
	printf 'late' | dd of="$1" bs=1 conv=notrunc status=none
	wait $pid || rc=$?
	echo "$break_time" >$BREAK_TIME
	cat "$T/late.out"
	[ $rc != 0 ] && grep -qF 'Somebody changed the file' "$T/late.out" && is_equal "$(head -c 4 "$1")" late &&
		is_equal "$(tail -c +5 "$1" | cksum)" "$(tail -c +5 "$T/news" | cksum)"
}

process_has_open() { # PID FILE
	find "/proc/$1/fd" -lname "$2" | grep -q .
}

refuses_what_is_in_use() {
	local pid rc=0
	tail -f "$1" >/dev/null 2>&1 &
	pid=$!
	wait_until 10 process_has_open "$pid" "$1" || return 1
	complains_of "process $pid has it open" dax realign "$1" || rc=1
	complains_of 'Somebody has the file open' dax realign "$1" --dry-run || rc=1
	kill $pid
	wait $pid 2>/dev/null
	return $rc
}

refuses_what_is_mapped() {
	start_holder mapper --kind=file --path="$1" --size=16 --attach || return 1
	complains_of "process ${HOLDER_PID[mapper]} has it mapped" dax realign "$1" || return 1
	stop_holder mapper
}

# Without what the file system keeps ready behind the end of a file.
where_and_what() { # FILE
	cksum <"$1"
	fiemap "$1" | awk -v size="$(stat -c %s "$1")" '$1 * 4096 < size { print $1, $2 }'
}

leaves_as_it_was() { # FILE COMMAND...
	local before file=$1
	shift
	before=$(where_and_what "$file")
	"$@" || return 1
	is_equal "$(where_and_what "$file")" "$before"
}

when_full() { # FILE
	local rc=0
	fallocate -l $((($(stat -f -c '%a * %S' "$MNT") - 70 * MIB) / 4096 * 4096)) "$MNT/filler" || return 1
	complains_of 'No space left' dax realign "$1" || rc=1
	rm "$MNT/filler"
	return $rc
}

when_immutable() { # FILE
	local rc=0
	chattr +i "$1" || return 1
	complains_of 'cannot be opened' dax realign "$1" || rc=1
	chattr -i "$1"
	return $rc
}

when_readonly() { # FILE
	local rc=0
	mount -o remount,ro "$MNT" || return 1
	complains_of 'cannot be opened' dax realign "$1" || rc=1
	mount -o remount,rw "$MNT"
	return $rc
}

check_refusals() {
	local file=$MNT/large
	make_large_file "$file"
	ok "$kind: --dry-run changes nothing" leaves_as_it_was "$file" is_dry "$file"
	ok "$kind: open elsewhere: refused, with the process" leaves_as_it_was "$file" refuses_what_is_in_use "$file"
	ok "$kind: mapped elsewhere: refused, with the process" leaves_as_it_was "$file" refuses_what_is_mapped "$file"
	ok "$kind: immutable: refused" leaves_as_it_was "$file" when_immutable "$file"
	ok "$kind: read-only: refused" leaves_as_it_was "$file" when_readonly "$file"
	ok "$kind: no room: refused" leaves_as_it_was "$file" when_full "$file"
	[ "$kind" != plain ] ||
		ok "$kind: with another name: refused" leaves_as_it_was "$file" has_other_names "$file"
}

# What another reader says of it, the time of access apart, which reading changes.
all_of() { # FILE
	stat -c '%a %u %g %y %h %s' "$1"
	getfacl -cp "$1"
	getfattr -d -m - -e hex "$1" | grep -v '^# file'
	lsattr "$1" | cut -d' ' -f1
	lsattr -p "$1" | awk '{ print $1 }'
	cksum <"$1"
}

# With everything that a file may have besides its data; by another path than its own.
keeps_all() { # FILE
	local before
	mkdir "$(dirname "$1")" && setfacl -d -m u:99:rwx,g:98:rx "$(dirname "$1")" &&
		make_random_file "$1" && misplace "$1" && setfacl -b "$1" || return 1
	chown 1234:4321 "$1"
	chmod 6750 "$1"
	setfacl -m u:77:rw,g:88:r "$1" && setfattr -n user.note -v 'a note' "$1" && setfattr -n trusted.secret -v 1 "$1" &&
		setfattr -n security.label -v x "$1" && chattr +dA "$1" && touch -d "2001-02-03 04:05:06.789" "$1" &&
		ln -sf "$1" "$T/link" || return 1
	before=$(all_of "$1")
	dax realign "$T/link" --no-legend || return 1
	is_equal "$(all_of "$1")" "$before" && is_realigned "$1" && [ -L "$T/link" ]
}

# With --copy, and with nothing to do no copy is made.
copies_on_demand() { # FILE
	local inode
	make_large_file "$1" || return 1
	inode=$(stat -c %i "$1")
	realigns "$1" --copy && [ "$(stat -c %i "$1")" != "$inode" ] || return 1
	inode=$(stat -c %i "$1")
	dax realign "$1" --copy --no-legend && is_equal "$(stat -c %i "$1")" "$inode" && rm "$1"
}

# A file of mode 660 in a directory whose new files let somebody else in.
lets_nobody_in() { # FILE
	local before
	make_random_file "$1" && misplace "$1" && setfacl -b "$1" && chmod 660 "$1" || return 1
	before=$(all_of "$1")
	dax realign "$1" --copy --no-legend && is_equal "$(all_of "$1")" "$before"
}

# Flags that ext4 alone has: a copy has them, too.
keeps_flags_of_ext4() { # FILE
	make_large_file "$1" && chattr +st "$1" && realigns "$1" --copy &&
		is_equal "$(lsattr "$1" | cut -d' ' -f1 | tr -d -- -)" ste
}

# realign_while FILE COMMAND...: by a copy, which stands still right behind the exchange of names; then the command. It
# gives up.
realign_while() {
	local pid rc=0
	rm -f "$T/renames"
	strace -f -o "$T/renames" -e trace=renameat2 -e inject=renameat2:delay_exit=2s:when=1 \
		"$THPD_BUILD/thpctl" dax realign "$1" --copy >"$T/race.out" 2>&1 &
	pid=$!
	wait_until 20 test -e "$(spare_of "$1")" && wait_until 20 grep -q renameat2 "$T/renames" || return 1
	sleep 0.3
	"${@:2}"
	wait $pid || rc=$?
	cat -v "$T/race.out"
	[ $rc != 0 ]
}

spare_of() { # FILE
	printf '%s/.thpd-realign.%s' "$(dirname "$1")" "$(basename "$1")"
}

open_in_the_background() { # FILE
	head -c 1 "$1" >/dev/null 2>&1 &
}

# Who opens the old one, whatever for: it has its name again.
gives_the_name_back() { # FILE
	local sum inode
	make_large_file "$1" || return 1
	sum=$(cksum <"$1") inode=$(stat -c %i "$1")
	realign_while "$1" open_in_the_background "$(spare_of "$1")" || return 1
	is_equal "$(cksum <"$1") $(stat -c %i "$1")" "$sum $inode" && [ ! -e "$(spare_of "$1")" ]
}

# Who opens both: the new one has the name, the old one is kept.
keeps_both() { # FILE
	local sum
	make_large_file "$1" || return 1
	sum=$(cksum <"$1")
	realign_while "$1" open_both "$1" || return 1
	is_equal "$(cksum <"$1")" "$sum" && is_equal "$(cksum <"$1.thpd-kept")" "$sum" || return 1
	# The name is taken now.
	make_large_file "$1" && realign_while "$1" open_both "$1" && is_equal "$(cksum <"$1.thpd-kept")" "$sum" &&
		is_equal "$(cksum <"$1.thpd-kept2")" "$(cksum <"$1")" && rm "$1".thpd-kept*
}

open_both() { # FILE
	open_in_the_background "$1"
	open_in_the_background "$(spare_of "$1")"
}

# Who puts a third file under the name has it there.
leaves_a_third_file() { # FILE
	make_large_file "$1" && echo third >"$1.third" || return 1
	realign_while "$1" mv "$1.third" "$1" || return 1
	is_equal "$(cat "$1")" third && rm -f "$(spare_of "$1")"
}

# What has the name of a spare file and is in use is not thpctl's to remove.
leaves_spares_in_use() { # FILE
	local rc=0
	make_large_file "$1" && echo precious >"$(spare_of "$1")" || return 1
	exec 8<"$(spare_of "$1")"
	complains_of 'in use' dax realign "$1" --copy || rc=1
	exec 8<&-
	[ $rc = 0 ] && is_equal "$(cat "$(spare_of "$1")")" precious && rm "$(spare_of "$1")"
}

check_replacing() {
	ok "$kind: it lets nobody in that was not" lets_nobody_in "$MNT/shared/closed"
	ok "$kind: somebody opens the old file at the exchange of names: it has its name again" gives_the_name_back "$MNT/back"
	ok "$kind: somebody opens both: both are kept" keeps_both "$MNT/both"
	ok "$kind: somebody puts another file there: it stays" leaves_a_third_file "$MNT/third"
	ok "$kind: a file with the spare name that is in use stays" leaves_spares_in_use "$MNT/spare"
}

# Where a copy would take its place the other name would keep the old one.
has_other_names() { # FILE
	local rc=0
	ln "$1" "$1.other" || return 1
	complains_of 'hard links' dax realign "$1" || rc=1
	rm "$1.other"
	return $rc
}

is_dry() { # FILE
	local answer
	answer=$(dax realign "$1" --dry-run --json=short)
	[ "$(jq '.to_move_bytes > 0 and (has("moved_bytes") | not)' <<<"$answer")" = true ] || { echo "$answer"; return 1; }
}

# What a sanitizer makes slower is not what decides here.
if is_sanitized "$THPD_BUILD/thpctl"; then
	REALIGN_KILLS=$((REALIGN_KILLS / 5)) REALIGN_CUTS=$((REALIGN_CUTS / 4)) REALIGN_LAYOUTS=$((REALIGN_LAYOUTS / 3))
fi
live_begin jq mkfs.xfs mkfs.ext4 xfs_db xfs_repair filefrag chattr strace setfacl setfattr
note "REALIGN_SEED=$REALIGN_SEED"
kind=$REALIGN_KIND
ok "$kind: an image" image_mount "$kind" 2048 || exit 1
image_age
ok "$kind: $REALIGN_LAYOUTS random layouts: aligned, the data and all else the same" check_random_layouts
ok "$kind: what was written a moment ago is kept" keeps_what_is_not_on_the_medium "$MNT/news"
ok "$kind: owner, mode, times, ACL, attributes and flags are kept" keeps_all "$MNT/shared/all"
[ "$kind" != plain ] || check_replacing
[ "$kind" != ext4 ] || ok "$kind: its own flags are kept by a copy" keeps_flags_of_ext4 "$MNT/flags"
check_refusals
ok "$kind: a large file" realigns "$MNT/large"
ok "$kind: another, by a copy" copies_on_demand "$MNT/another"
ok "$kind: once more, nothing is to be done" leaves_as_it_was "$MNT/large" dax realign "$MNT/large" --no-legend
ok "$kind: somebody opens it in the middle" gives_way "$MNT/large"
[ "$kind" != xfs ] || ok "$kind: a write right before the exchange, behind the lease, is kept" loses_no_late_write "$MNT/late"
ok "$kind: killed $REALIGN_KILLS times: the data are the same" survives_kills "$MNT/killed"
cat "$T/notes"
ok "$kind: cut off $REALIGN_CUTS times: the data are the same" survives_cuts "$MNT/cut"
ok "$kind: what was left behind the last step is taken away, too" leaves_nothing_behind "$MNT/cut"
ok "$kind: the next run takes away what the last one left" dax realign "$MNT/cut" --no-legend
ok "$kind: and the next" dax realign "$MNT/killed" --no-legend
ok "$kind: no name is left but those that were there" is_equal "$(find "$MNT" -maxdepth 1 -name '.*' | wc -l)" 0
ok "$kind: the file system is sound" image_check
ok "$kind: writes fail in the middle: the data are the same" survives_bad_medium "$kind"
live_end
