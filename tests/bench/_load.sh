#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in a guest with the driver, for tests/bench/load.sh: _load.sh AIPU-GEN PAIRS. The disk is mounted, each time with an empty
# page cache; one line a pair: milliseconds of loading the container, of copying it on the
# same disk, and of reading it alone.
gen=$1 pairs=$2
mkdir -p /mnt/disk
mount -t ext4 /dev/vda /mnt/disk || exit 1
[ -e /dev/accel/accel0 ] || {
	dmesg | grep aipu
	exit 1
}

drop()
{
	rm -f /mnt/disk/copy
	sync
	echo 3 >/proc/sys/vm/drop_caches
}

# Uptime in hundredths of a second
now()
{
	read -r up rest </proc/uptime
	echo "${up%.*}${up#*.}"
}

i=0
while [ $i -lt "$pairs" ]; do
	drop
	load=$("$gen" --device 0 --qpc /mnt/disk/qpc --prompt a --max-tokens 1 --temperature 0 --json |
		sed -n 's/.*"load_ms": *\([0-9]*\).*/\1/p')
	drop
	from=$(now)
	/bin/cp /mnt/disk/qpc/model.qpc /mnt/disk/copy || exit 1
	to=$(now)
	copy=$(((to - from) * 10))
	drop
	from=$(now)
	dd if=/mnt/disk/qpc/model.qpc of=/dev/null bs=1M 2>/dev/null
	to=$(now)
	echo "pair $load $copy $(((to - from) * 10))"
	i=$((i + 1))
done
