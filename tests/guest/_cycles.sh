#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in a guest, for tests/guest/cycles.sh: _cycles.sh MODULE FIRMWARE AIPU-GEN QPC EXPECTED CLEAN CYCLES
# One card. TAP on stdout; what was measured, as comments.
# shellcheck source=tests/guest/_guest.sh
. "${0%/*}/_guest.sh"
module=$1 firmware=$2 gen=$3 qpc=$4 expected=$5 clean=$6 cycles=$7
driver=/sys/bus/pci/drivers/aipu_accel
debug=/sys/kernel/debug
# From here on memory is compared: what the kernel keeps for good is there by then.
settled=10

free_entries()
{
	cat "$debug/dma-api/num_free_entries"
}

# Nothing is mapped for the card. To ask the DMA debugger for all that it knows takes long, its count is there at once.
unmapped()
{
	[ "$(free_entries)" -eq "$all_free" ] || ! grep "$card" "$debug/dma-api/dump"
}

generate()
{
	timeout 100 "$gen" --device 0 --qpc "$qpc" --prompt "Once upon a time" --temperature 0 --max-tokens 8 >/tmp/text || return
	cmp /tmp/text "$expected" || return
	# All that the process had is given back, and the driver's own share is the same each time.
	cat "$debug/accel/$card/memory"
	head -n 1 "$debug/accel/$card/memory" >/tmp/memory
	[ -s /tmp/memory.first ] || cp /tmp/memory /tmp/memory.first
	grep -q ', used 0$' /tmp/memory && cmp /tmp/memory /tmp/memory.first
}

# Nothing of the driver is left in the places where it shows itself.
gone()
{
	for left in /dev/accel/accel* "$debug/accel/$card" "/sys/bus/pci/devices/$card/hwmon"; do
		[ ! -e "$left" ] || { echo "$left is left"; return 1; }
	done
	grep aipu /proc/modules /proc/interrupts /proc/vmallocinfo && return 1
	unmapped
}

cycle()
{
	insmod "$module" && generate && [ "$(free_entries)" -lt "$all_free" ] || return
	echo "$card" >"$driver/unbind" && unmapped && echo "$card" >"$driver/bind" && generate &&
		rmmod aipu_accel && gone
}

# All cycles up to number $1
cycles_to()
{
	while [ "$done_cycles" -lt "$1" ]; do
		cycle || { echo "cycle $((done_cycles + 1)) failed"; return 1; }
		done_cycles=$((done_cycles + 1))
	done
}

# measure FILE: what the kernel has in use, in KiB or in numbers, when it has let go of all that it can spare
measure()
{
	sync
	echo 3 >/proc/sys/vm/drop_caches
	# KASAN keeps freed objects for a while; a cache that shrinks lets go of its own.
	for cache in /sys/kernel/slab/*/shrink; do echo 1 >"$cache"; done
	sleep 1
	{
		awk '{ print $1, $2 }' /proc/meminfo | grep -E '^(SUnreclaim|VmallocUsed|Percpu|Shmem|Mlocked|PageTables|MemFree):'
		awk '{ print $1 ": " $2 }' /proc/vmstat | grep nr_foll_pin
		sed -n 's/^ *lock-classes: *\([0-9]*\).*/lock-classes: \1/p' /proc/lockdep_stats
		echo "free-dma-entries: $(free_entries)"
	} >"$1"
	sed "s/^/# cycle $done_cycles: /" "$1"
}

# value FILE NAME
value()
{
	sed -n "s/^$2: //p" "$1"
}

# grew NAME LIMIT: not by more than that since it was settled
grew()
{
	from=$(value /tmp/settled "$1") to=$(value /tmp/end "$1")
	echo "$1: from $from to $to, at most $2 more"
	[ -n "$from" ] && [ -n "$to" ] && [ $((to - from)) -le "$2" ]
}

pins_balance()
{
	cat /tmp/end
	[ -n "$(value /tmp/end nr_foll_pin_acquired)" ] &&
		[ "$(value /tmp/end nr_foll_pin_acquired)" = "$(value /tmp/end nr_foll_pin_released)" ]
}

same_dma_entries()
{
	cat /tmp/start /tmp/end
	[ "$(value /tmp/start free-dma-entries)" = "$(value /tmp/end free-dma-entries)" ]
}

card=$(cards_of)
mkdir -p /lib/firmware/aipu
cp "$firmware" /lib/firmware/aipu/534f4654.fw
done_cycles=0
all_free=$(free_entries)
measure /tmp/start
ok "the first $settled: the same tokens, and all device memory is free again" cycles_to "$settled"
measure /tmp/settled
ok "the others too" cycles_to "$cycles"
measure /tmp/end
ok "entries of the DMA debugger are as many as before" same_dma_entries
ok "as many pages were unpinned as pinned" pins_balance
# kmemleak finds what nobody points to; these find what lists and tables collect, and whole pages. Between two measurements of an
# idle kernel slabs differ by 200 KiB or so, the others hardly.
ok "slabs do not grow" grew SUnreclaim 512
for what in VmallocUsed Percpu Shmem; do
	ok "$what does not grow" grew "$what" 64
done
# Now and then the kernel takes a lock for the first time.
ok "fewer lock classes came than cycles" grew lock-classes $((cycles - settled - 1))
ok "no report, no leak" sh "$clean" --leaks
echo "1..$count"
