#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in a guest, for tests/guest/libaipu.sh: _libaipu.sh MODULE FIRMWARE WITHOUT_URING AIPU-GEN PROGRAM...
# What each program and aipu-gen say, first as they are, then without io_uring, between lines that begin with "== ".
# shellcheck source=tests/guest/_guest.sh
. "${0%/*}/_guest.sh"
module=$1 firmware=$2 without=$3 gen=$4
shift 4
# A file system with O_DIRECT; the container lies in it
mkdir -p /mnt/disk
mount -t ext4 /dev/vda /mnt/disk || exit 1
driver_loads "$module" "$firmware" || exit 1
export AIPU_TEST_DEVICE=0 TMPDIR=/mnt/disk

# pass DOOR COMMAND...: everything, by that command
pass()
{
	door=$1
	shift
	for program in $programs; do
		echo "== $door ${program##*/}"
		timeout 200 "$@" "$program"
		echo "== status $?"
	done
	echo "== $door generate"
	"$@" "$gen" --device 0 --qpc /mnt/disk --prompt "Once upon a time" --temperature 0 --max-tokens 40
	status=$?
	echo
	echo "== status $status"
}

programs=$*
pass io_uring
pass ioctl "$without"
umount /mnt/disk
rmmod aipu_accel && echo "== unloaded"
