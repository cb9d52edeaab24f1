# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An apt of our own: packages of other Debian releases are downloaded and unpacked, nothing of them is
# installed. The mirror is the one of the machine's own sources, signatures are checked by apt.
#
#   apt_begin DIR SUITE...      lists below DIR; asks the network unless there are some of today
#   apt_own COMMAND ARG...      apt-get or apt-cache with these lists
#   apt_fetch DIR PACKAGE...    .deb files into DIR

# The Debian archive that the machine itself installs from (not its security archive).
apt_mirror() {
	apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' |
		awk '$1 == "Debian" && $2 == "Debian" { print $3; exit }'
}

apt_begin() {
	local mirror suite lists
	APT_DIR=$1
	shift
	mirror=$(apt_mirror)
	[ -n "$mirror" ] || { apt-get update -qq && mirror=$(apt_mirror); }
	[ -n "$mirror" ] || { echo "lab: the machine's own sources name no Debian archive" >&2; return 1; }
	mkdir -p "$APT_DIR"/lists/partial "$APT_DIR"/cache/archives/partial
	lists=$(for suite in "$@"; do
		echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
	done)
	# Older ones name packages that may be gone from the mirror.
	[ "$lists" != "$(cat "$APT_DIR/sources.list" 2>/dev/null)" ] ||
		[ -n "$(find "$APT_DIR/sources.list" -mmin +1440)" ] || return 0
	printf '%s\n' "$lists" >"$APT_DIR/sources.list.new"
	apt_own apt-get -o Dir::Etc::sourcelist="$APT_DIR/sources.list.new" -qq update || return 1
	mv "$APT_DIR/sources.list.new" "$APT_DIR/sources.list"
}

apt_own() {
	local program=$1
	shift
	"$program" -o Dir::Etc::sourcelist="$APT_DIR/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::Etc::preferencesparts=/dev/null -o Dir::State::Lists="$APT_DIR/lists" \
		-o Dir::Cache="$APT_DIR/cache" -o APT::Sandbox::User=root "$@"
}

apt_fetch() {
	local into=$1
	shift
	mkdir -p "$into"
	(cd "$into" && apt_own apt-get -qq download "$@")
}
