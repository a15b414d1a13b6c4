#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: _seeded.sh CLEAN KCOV MODULE KUNIT_MODULE
# Runs in a guest of its own: has seeded.ko do one wrong thing after the other, and sees for each that
# its detector says so and that clean.sh hears it. Prints TAP. Called by seeded.sh.
#
# The order matters: a report of lockdep switches lockdep off, and so does one of KASAN; what needs
# lockdep (RCU) comes before both.
set -u
clean=$1
kcov=$2
module=$3
kunit_module=$4

debug=/sys/kernel/debug
trigger=$debug/aipu-seeded/trigger
tests=0
failed=0

result()
{
	tests=$((tests + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $tests $2"
	else
		failed=1
		echo "not ok $tests $2"
	fi
}

# caught NAME PATTERN WHAT: triggers NAME; within ten seconds clean.sh must print a line with PATTERN.
caught()
{
	mark=seeded-mark-$1
	echo "$mark" >/dev/kmsg
	echo "$1" >"$trigger"
	heard=1
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		if sh "$clean" --since "$mark" | grep -q -E -e "$2"; then
			heard=0
			break
		fi
		sleep 0.5
	done
	result "$heard" "$3"
	[ "$heard" -eq 0 ] || dmesg | sed "1,/$mark/d" | head -n 20 | sed 's/^/# /'
}

lockdep_on()
{
	grep -q '^ *debug_locks: *1$' /proc/lockdep_stats 2>/dev/null
}

# The first allocation of the write fails, and no other: the shell has opened all files before.
fail_slab()
{
	(
		[ -d $debug/failslab ] || exit 1
		cd $debug/failslab || exit 1
		echo Y >task-filter
		echo N >ignore-gfp-wait
		echo 0 >verbose
		echo -1 >times
		exec 3>"$trigger" 4>/proc/self/make-it-fail
		echo 1 >&4
		echo 100 >probability
		echo allocate >&3
		echo 0 >&4
		echo 0 >probability
	)
	[ "$(cat $debug/aipu-seeded/allocations_failed)" = 1 ]
}

coverage_file()
{
	find $debug/gcov -name seeded.gcda 2>/dev/null | head -n 1
}

coverage()
{
	md5sum <"$(coverage_file)"
}

# Counts that change when the module's code runs
gcov_counts()
{
	[ -n "$(coverage_file)" ] || return 1
	before=$(coverage)
	echo cover >"$trigger"
	after=$(coverage)
	[ "$(coverage_file | xargs wc -c | awk '{ print $1 }')" -gt 100 ] && [ "$before" != "$after" ]
}

kunit_reports()
{
	insmod "$kunit_module" 2>/dev/null || return 1
	grep -E '^ *(not )?ok ' $debug/kunit/aipu_seeded/results | sed 's/^/# /'
	grep -q '^ *ok 1 seeded_holds' $debug/kunit/aipu_seeded/results &&
		grep -q '^ *not ok 2 seeded_fails' $debug/kunit/aipu_seeded/results
}

hung_task()
{
	[ -e /proc/sys/kernel/hung_task_timeout_secs ] || return 1
	echo 1 >/proc/sys/kernel/hung_task_timeout_secs
}

leak()
{
	echo leak >"$trigger"
	sh "$clean" --leaks --since nothing-has-this-mark | grep -q 'seeded_leak'
}

echo "1..21"
if ! sh "$clean" >/tmp/clean; then
	sed 's/^/# /' /tmp/clean
	result 1 "the kernel has nothing to say before"
else
	result 0 "the kernel has nothing to say before"
fi
if ! insmod "$module"; then
	echo "Bail out! $module does not load"
	exit 1
fi

caught warning 'WARNING: .*seeded_warning' "a warning of a driver"
caught rcu 'suspicious RCU usage' "PROVE_RCU: a pointer of RCU outside of a read section"
caught preempt 'using smp_processor_id\(\) in preemptible' "DEBUG_PREEMPT: the processor's number"
caught atomic-sleep 'sleeping function called from invalid context' \
	"DEBUG_ATOMIC_SLEEP: sleeping with a spin lock held"
caught free-timer 'ODEBUG: free active.*timer_list' "DEBUG_OBJECTS: a running timer is freed"
caught dma-size 'DMA-API: .*aipu-seeded.*different size' "DMA_API_DEBUG: unmapped with another size"
[ "$(cat $debug/dma-api/error_count 2>/dev/null)" = 1 ]
result $? "DMA_API_DEBUG counts it"
caught list 'list_del corruption' "DEBUG_LIST: an entry is taken out twice"
caught shift 'UBSAN: shift-out-of-bounds in .*seeded' "UBSAN: a shift by too much"
caught bounds 'UBSAN: array-index-out-of-bounds in .*seeded' "UBSAN: an index beyond the array"
fail_slab
result $? "failslab: one allocation fails on request"
"$kcov" "$trigger" cover
result $? "KCOV: places in the module's code"
gcov_counts
result $? "GCOV: counts of the module's code"
kunit_reports
result $? "KUnit: of two cases the wrong one fails"
hung_task
caught hung-task 'INFO: task seeded-hang.*blocked for more than' "DETECT_HUNG_TASK: a thread that waits for ever"
echo hung-task-end >"$trigger"
leak
result $? "kmemleak: objects that nothing points to"
if lockdep_on; then
	caught lock-order 'possible circular locking dependency' "lockdep: two locks in both orders"
else
	result 1 "lockdep: two locks in both orders (it is off)"
fi
caught heap-overflow 'KASAN: slab-out-of-bounds in seeded_heap_overflow' "KASAN: behind a heap object"
caught use-after-free 'KASAN: slab-use-after-free in seeded_use_after_free' "KASAN: a heap object that was freed"
caught vmalloc-overflow 'KASAN: vmalloc-out-of-bounds in seeded_vmalloc_overflow' "KASAN: behind vmalloc's memory"
exit "$failed"
