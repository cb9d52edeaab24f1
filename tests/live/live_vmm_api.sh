#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A VMM whose author linked libthpd-vmm as it was installed, dynamically and statically: what thpd's end is told is what the VMM did,
# thpd may come late and go, an impostor is told nothing, and the memory is huge. The same with thpd itself, which shows the
# slots and has the VM nudged; and in a VMM that is preloaded as well.
# shellcheck disable=SC2317,SC2016  # commands are called by name; variables are the inner shell's
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"
top=$here/../..
readonly DEADLINE=60 NOBODY=65534
SOCKET=''

vmm() {
	holder V "$@"
}

end() {
	holder E "$@"
}

install_root() {
	env -u B make -C "$top" --no-print-directory -s MODE="${THPD_BUILD##*/}" DESTDIR="$T/root" prefix=/usr \
		unitdir=/usr/lib/systemd/system install
}

# build_author dynamic|static|archive: as its author would; archive: but for the library a dynamic one
build_author() {
	local how=() flags
	[ "$1" != static ] || how=(-static)
	flags=$(PKG_CONFIG_SYSROOT_DIR=$T/root PKG_CONFIG_LIBDIR=$T/root/usr/lib/pkgconfig PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 \
		PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 pkg-config --cflags --libs "${how[@]/#/-}" libthpd-vmm) || return 1
	[ "$1" != archive ] || flags=${flags/-lthpd-vmm/-l:libthpd-vmm.a}
	# shellcheck disable=SC2086  # words
	"${CC:-cc}" -std=gnu17 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror "${how[@]}" -iquote "$here" -o "$T/bin/$1" \
		"$here/author/author.c" $flags
}

# start_vmm NAME [COMMAND...]: the command comes before it
start_vmm() {
	local name=$1 rc
	shift
	HOLDER_WRAP=(env "LD_LIBRARY_PATH=$T/root/usr/lib" "THPD_VMM_SOCKET=$SOCKET" "$@")
	start_talker V "$T/bin/$name"
	rc=$?
	HOLDER_WRAP=()
	return $rc
}

# start_end [COMMAND...]
start_end() {
	local rc
	HOLDER_WRAP=("$@")
	start_talker E "$T/bin/slot_end" "$SOCKET"
	rc=$?
	HOLDER_WRAP=()
	return $rc
}

is_told() {
	[ "$(end table 0)" = "$(vmm table)" ]
}

told() {
	wait_until "$DEADLINE" is_told && return
	vmm table
	end table 0
	return 1
}

# end_says COMMAND... ANSWER: sooner or later
end_says() {
	wait_until "$DEADLINE" is_said "$@" && return
	end "${@:1:$#-1}"
	return 1
}

is_said() {
	[ "$(end "${@:1:$#-1}")" = "${!#}" ]
}

memory_is_huge() {
	awk '/^[0-9a-f]+-[0-9a-f]+ / { is_ram = /memfd:ram/ } is_ram && /^ShmemPmdMapped:/ { sum += $2 }
		END { print sum + 0; exit sum != 65536 }' "/proc/${HOLDER_PID[V]}/smaps"
}

needs_no_library() {
	is_not grep -F libthpd-vmm.so "/proc/${HOLDER_PID[V]}/maps"
}

has_library() {
	grep -qF libthpd-vmm.so.0 "/proc/${HOLDER_PID[V]}/maps"
}

n_threads_is_one() {
	is_equal "$(find "/proc/${HOLDER_PID[V]}/task" -mindepth 1 -maxdepth 1 | wc -l)" 1
}

# A VMM's life, as thpd sees it.
lives() { # TEXT
	ok "$1: it starts" start_vmm "$1" || return 1
	ok "$1: it has no thread of the library's" n_threads_is_one
	ok "$1: thpd is told of a VM" end_says state 'ok met=1 here=1 vms=1'
	ok "$1: the memory is populated" vmm populate
	ok "$1: and huge" memory_is_huge
	ok "$1: it sets slots" vmm set 0 20
	ok "$1: and another one" vmm set 10 44
	ok "$1: thpd is told of them" told
	ok "$1: no nudge where it would cost large pages" is_equal "$(end nudge 0)" 'ok result=3 err=0 toggled=0 passed_over=0'
	ok "$1: it makes dirty logs cheap" vmm cheap
	ok "$1: thpd is told of that" end_says flags 0 'ok flags=6'
	ok "$1: it is nudged" is_equal "$(end nudge 0)" 'ok result=0 err=0 toggled=2 passed_over=0'
	ok "$1: KVM's counts are read" is_equal "$(end count 0)" 'ok err=0 pages_4k=0'
	ok "$1: it logs a small part, as of a display" vmm log 0
	ok "$1: thpd is told, and" told
	ok "$1: nudges the rest" is_equal "$(end nudge 0)" 'ok result=0 err=0 toggled=1 passed_over=1'
	ok "$1: that log ends" vmm unlog 0
	ok "$1: it logs most of it" vmm log 10
	ok "$1: thpd is told of that, too, and" told
	ok "$1: does not nudge it" is_equal "$(end nudge 0)" 'ok result=2 err=0 toggled=0 passed_over=0'
	ok "$1: the log ends" vmm unlog 10
	ok "$1: a child may free what it has of the library" is_equal "$(vmm fork)" 'ok status=0'
	ok "$1: a slot goes" vmm set 10 0
	ok "$1: thpd is told by the parent" told
	ok "$1: another VM takes the place of the first" vmm gone
	ok "$1: it has no slot, thpd is told" end_says table 0 'ok total=0 sum=0x0'
	ok "$1: nor is it as the first was" end_says flags 0 'ok flags=0'
}

# --- with thpd itself ----------------------------------------------------------------------------

kvm_is() { # FIELD VALUE
	is_equal "$(vm_field "${HOLDER_PID[V]}" ".kvm$1")" "$2"
}

is_known() {
	kvm_is .registry.complete true
}

# slots_are I,N...: as thpctl shows them is how they were set, and there are no others
slots_are() {
	local ram expected='' shown slot space gpa size hva rest
	ram=$((16#$(sed -n 's/^\([0-9a-f]*\)-.* rw-s .*memfd:ram.*/\1/p' "/proc/${HOLDER_PID[V]}/maps")))
	for slot in "$@"; do
		gpa=$((${slot%,*} << 21))
		expected+="${slot%,*} 0 $gpa $((${slot#*,} << 20)) $((ram + gpa))"$'\n'
	done
	shown=$(ctl memslots "${HOLDER_PID[V]}" --bytes --no-legend) || return 1
	shown=$(while read -r slot space gpa size hva rest; do
		echo "$slot $space $((gpa)) $((size)) $((hva))"
	done <<<"$shown" | sort -n)
	is_equal "$shown"$'\n' "$expected"
}

# shows I,N...: sooner or later
shows() {
	wait_until "$DEADLINE" slots_are "$@" && return
	ctl memslots "${HOLDER_PID[V]}" --bytes
	return 1
}

is_served() { # TEXT
	ok "$1: it sets slots" vmm set 0 20
	ok "$1: and another one" vmm set 10 44
	ok "$1: it makes dirty logs cheap" vmm cheap
	ok "$1: thpd knows of it" wait_until "$DEADLINE" is_known
	ok "$1: and shows these, and no others" shows 0,20 10,44
	ok "$1: by the author's library" kvm_is .registry.library "$("$THPD_BUILD/thpd" --version | awk '{ print $2; exit }')"
	ok "$1: it is nudged" ctl nudge "${HOLDER_PID[V]}" --wait
	ok "$1: both of them" kvm_is '.nudge|"\(.result) \(.slots)"' "done 2"
	ok "$1: by no thread of the library's" n_threads_is_one
}

live_begin make pkg-config cc setpriv jq
[ -x "$THPD_BUILD/tests/live/slot_end" ] || skip_all "tests/live/slot_end is not built (make live-programs)"
[ -w /dev/kvm ] || skip_all "there is no /dev/kvm"
install -m 755 "$THPD_BUILD/tests/live/slot_end" "$T/bin/slot_end"
SOCKET=$T/run/vmm
ok "make install" install_root || exit 1
ok "the author's VMM builds" build_author dynamic || exit 1
ok "and statically, too" build_author static || exit 1
ok "and with the archive only" build_author archive || exit 1

# --- with thpd -----------------------------------------------------------------------------------

for how in dynamic static; do
	ok "$how: thpd's end starts" start_end || exit 1
	lives $how || exit 1
	[ $how = static ] || ok "dynamic: the library is loaded" has_library
	[ $how = dynamic ] || ok "static: no library is loaded" needs_no_library
	before=$(vmm fds)
	ok "$how: the author leaves the library" vmm free
	ok "$how: thpd is told nothing any more" end_says state 'ok met=1 here=0 vms=1'
	ok "$how: its descriptors are gone" is_equal "$(vmm fds)" "ok fds=$((${before#ok fds=} - 4))"
	ok "$how: and the VM goes on" vmm set 3 2
	stop_holder V
	stop_holder E
done

# --- without, and with another -------------------------------------------------------------------

ok "no thpd: the VMM starts" start_vmm dynamic || exit 1
ok "no thpd: slots are set" vmm set 0 64
ok "thpd comes" start_end
ok "thpd comes: it is told all that there is" told
stop_holder E
ok "thpd goes: slots are set" vmm set 0 0
ok "thpd goes: and set again" vmm set 1 30
ok "another comes" start_end
ok "another comes: it is told all anew" told
stop_holder E
stop_holder V

# --- with thpd itself ----------------------------------------------------------------------------

write_test_config '' '' "Comm=${HOLDER_COMM}V"
ok "thpd itself starts" start_thpd || exit 1
ok "thpd itself: the VMM starts" start_vmm dynamic || exit 1
is_served "thpd itself"
ok "thpd itself: a slot goes" vmm set 10 0
ok "thpd itself: it is not shown any more" shows 0,20
ok "thpd itself: it stops" stop_thpd
ok "thpd itself: meanwhile there is another slot" vmm set 12 2
ok "thpd itself: it starts anew" start_thpd || exit 1
ok "thpd itself: it shows what there is now" shows 0,20 12,2
quit() { printf 'quit\n' >&"${HOLDER_IN[V]}"; }
ok "thpd itself: the VMM ends" quit
ok "thpd itself: it is not there any more" wait_until "$DEADLINE" is_not vm_is_listed "${HOLDER_PID[V]}"
stop_holder V

# --- a VMM that is preloaded as well: one of the two tells ----------------------------------------

for how in dynamic archive; do
	ok "$how, preloaded: the VMM starts" start_vmm $how LD_PRELOAD="$T/root/usr/lib/libthpd-vmm-preload.so" || exit 1
	is_served "$how, preloaded"
	ok "$how, preloaded: another VM takes the place of the first" vmm gone
	ok "$how, preloaded: it has a slot" vmm set 3 2
	ok "$how, preloaded: thpd shows that" shows 3,2
	ok "$how, preloaded: the author leaves the library" vmm free
	ok "$how, preloaded: thpd is told nothing any more" wait_until "$DEADLINE" kvm_is .registry null
	ok "$how, preloaded: and the VM goes on" vmm set 6 2
	stop_holder V
done
ok "thpd itself: it stops on SIGTERM with status 0" stop_thpd

# --- an impostor ---------------------------------------------------------------------------------

chmod 711 "$T"
install -d -o $NOBODY "$T/theirs"
SOCKET=$T/theirs/vmm
ok "another user listens there" start_end setpriv --reuid=$NOBODY --clear-groups || exit 1
ok "impostor: the VMM starts" start_vmm dynamic || exit 1
ok "impostor: it is told nothing" end_says state 'ok met=1 here=0 vms=0'
stop_holder V
ok "believed by name: the VMM starts" start_vmm dynamic THPD_VMM_DAEMON_UID=$NOBODY || exit 1
ok "believed by name: it is told of a VM" end_says state 'ok met=2 here=1 vms=1'
stop_holder V
ok "another is believed by name: the VMM starts" start_vmm dynamic THPD_VMM_DAEMON_UID=1 || exit 1
ok "another is believed by name: this one is told nothing" end_says state 'ok met=3 here=0 vms=0'
live_end
