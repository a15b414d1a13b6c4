#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: clean.sh [--leaks] [--since MARK]
# Runs in the guest: prints a line for each thing that the kernel complained about, nothing if it did
# not; exit status 1 if it did. Called by the guest's init at the end of every run, and by tests.
#
#   --leaks       also look for memory that nothing points to; takes ten seconds
#   --since MARK  only the log after the line with that word in it, and nothing else
#
# Must never write to the log, and must work on kernels that have none of the detectors.
set -u

leaks=""
since=""
while [ $# -gt 0 ]; do
	case $1 in
	--leaks) leaks=1 ;;
	--since)
		since=${2:-}
		[ -n "$since" ] || exit 2
		shift
		;;
	*)
		echo "clean.sh: unknown option $1" >&2
		exit 2
		;;
	esac
	shift
done

# What a report begins with. A bare "Call Trace" is none: injected faults print one, too.
reports='KASAN:|KCSAN:|UBSAN:|KFENCE:|KMSAN:|BUG:|BUG at|WARNING: |Oops|general protection|double fault'
reports="$reports|INFO: (possible|suspicious|task|rcu|trying|inconsistent|lockdep|NMI)|Kernel panic"
reports="$reports|ODEBUG:|DMA-API:|DEBUG_LOCKS_WARN_ON|list_(add|del) corruption|refcount_t:"
reports="$reports|kmemleak: [0-9]+ new|unreferenced object|sleeping function called|scheduling while atomic"
reports="$reports|detected (stall|buffer overflow|field-spanning)|self-detected stall|soft lockup|hard LOCKUP"
reports="$reports|nobody cared|Disabling IRQ|drm_mm_takedown|Memory manager not clean|held lock freed"
reports="$reports|lock held when returning|bad unlock balance|Bad page|corrupted stack|stack guard page"
# What detectors say of themselves when they start, and when another one switched them off.
harmless='DMA-API: (preallocated|debugging enabled)'

found=0

report()
{
	found=1
	echo "$*"
}

# One line for each, without the time.
log()
{
	if [ -n "$since" ]; then
		dmesg | awk -v mark="$since" 'seen; index($0, mark) { seen = 1 }'
	else
		dmesg
	fi | grep -E -e "$reports" | grep -v -E -e "$harmless" | sed 's/^\[[^]]*\] *//'
}

lines=$(log)
[ -z "$lines" ] || report "$lines"

if [ -z "$since" ]; then
	# A log that has been overwritten still leaves its mark here: a bad page (also KASAN), an oops, a
	# warning, a soft lockup.
	taint=$(cat /proc/sys/kernel/tainted)
	for bit in 5 7 9 14; do
		if [ $((taint >> bit & 1)) -eq 1 ]; then
			report "the kernel is tainted: bit $bit of /proc/sys/kernel/tainted"
		fi
	done
	if [ -e /proc/lockdep_stats ] && ! grep -q '^ *debug_locks: *1$' /proc/lockdep_stats; then
		report "lockdep is off: debug_locks is not 1"
	fi
	errors=$(cat /sys/kernel/debug/dma-api/error_count 2>/dev/null || echo 0)
	[ "$errors" = 0 ] || report "$errors errors in /sys/kernel/debug/dma-api/error_count"
fi

if [ -n "$leaks" ] && [ -w /sys/kernel/debug/kmemleak ]; then
	# An object is reported when it is older than five seconds and two scans found it unchanged.
	sleep 6
	echo scan >/sys/kernel/debug/kmemleak
	echo scan >/sys/kernel/debug/kmemleak
	lines=$(head -n 40 /sys/kernel/debug/kmemleak)
	[ -z "$lines" ] || report "$lines"
fi
exit "$found"
