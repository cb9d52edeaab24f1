# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the kernel of the lab really does: the programs of `make check`, on this kernel. A fact that does not hold
# here must stand in tests/lab/differences, and what stands there must not hold. Each is also printed as
#   # FACT <tab> program <tab> fact <tab> yes | no | why it was not tried
# of which docs/KERNELS.md is made.
set -uo pipefail
failed=0 n=0

# The facts of one program's TAP: FACT<tab>OUTCOME
facts() {
	sed -nE -e 's/^(not )?ok [0-9]+ - (.*) # SKIP (.*)$/\2\t\3/p; t' \
		-e 's/^ok [0-9]+ - (.*)$/\1\tyes/p; t' -e 's/^not ok [0-9]+ - ([^#]*[^# ]) *#.*$/\1\tno/p; t' \
		-e 's/^not ok [0-9]+ - (.*)$/\1\tno/p'
}

known_differences() { # PROGRAM
	awk -F '\t' -v k="$KERNEL" -v p="$1" '$1 == k && $2 == p { print $3 }' tests/lab/differences
}

# As Debian's kernels come (always), khugepaged would do things behind the programs' backs.
echo madvise >/sys/kernel/mm/transparent_hugepage/enabled
echo "# KERNEL $(uname -r)"
for program in build/tests/expect/expect_*; do
	n=$((n + 1))
	name=${program##*/}
	"$program" >/tmp/tap 2>/tmp/err
	facts </tmp/tap >/tmp/facts
	sed "s/^/# FACT\t$name\t/" /tmp/facts
	known_differences "$name" | sort >/tmp/known
	awk -F '\t' '$2 == "no" { print $1 }' /tmp/facts | sort >/tmp/seen
	if [ -s /tmp/facts ] && cmp -s /tmp/known /tmp/seen; then
		echo "ok $n - $name"
	else
		failed=1
		echo "not ok $n - $name"
		comm -13 /tmp/known /tmp/seen | sed 's/^/#   does not hold: /'
		comm -23 /tmp/known /tmp/seen | sed 's/^/#   holds, though tests\/lab\/differences denies it: /'
		sed -n '/^not ok/s/^/#   /p' /tmp/tap
		sed 's/^/#   /' /tmp/err
	fi
done
echo "1..$n"
exit $failed
