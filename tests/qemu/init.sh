#!/.vm/busybox sh
# SPDX-License-Identifier: MIT
# The guest's first process, put there by tests/qemu: loads modules, runs COMMAND with its streams
# on serial lines, looks at the kernel's log, ends the machine. What it tells the harness goes to
# ttyS3, a word and a text a line: init, ready, failed (it ends without COMMAND), exit, report, end. It
# must end the machine whatever happens; an end without the last word counts as a failure.

PATH=/usr/bin:/usr/sbin:/bin:/sbin
export PATH
mkdir -p /proc /sys /dev /tmp /run /etc
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts 2>/dev/null
mount -t tmpfs shm /dev/shm 2>/dev/null
mount -t debugfs debug /sys/kernel/debug 2>/dev/null
mount -t tracefs trace /sys/kernel/tracing 2>/dev/null
chmod 1777 /tmp /dev/shm
ln -sf /proc/self/fd /dev/fd
for number in 0:stdin 1:stdout 2:stderr; do
	ln -sf "/proc/self/fd/${number%:*}" "/dev/${number#*:}"
done
[ -e /etc/passwd ] || echo "root:x:0:0:root:/root:/bin/sh" >/etc/passwd
[ -e /etc/group ] || echo "root:x:0:" >/etc/group

for tty in 1 2 3; do
	stty -F /dev/ttyS$tty 115200 raw -echo
done
exec 5>/dev/ttyS3

tell()
{
	echo "$*" >&5
}

tell init

# Bytes still on their way out are lost with the machine.
drain()
{
	for tty in 1 2 3; do
		stty -F /dev/ttyS$tty raw -echo
	done
}

finish()
{
	sync
	drain
	# isa-debug-exit ends QEMU at this write.
	printf '\0' | dd of=/dev/port bs=1 seek=244 count=1 conv=notrunc 2>/dev/null
	echo o >/proc/sysrq-trigger
	sleep 60
}

give_up()
{
	tell "failed $*"
	finish
}

# What to do: modules (lines: file and parameters), binds, check, terminal (rows and columns).
. /.vm/config

ip link set lo up 2>/dev/null

while read -r file parameters; do
	[ -n "$file" ] || continue
	# shellcheck disable=SC2086
	problem=$(insmod "$file" $parameters 2>&1) || give_up "module $file: $problem"
done </.vm/modules

# The payload's disk is known by its serial number; others are COMMAND's business.
mount_payload()
{
	tries=10
	while [ $tries -gt 0 ]; do
		for device in /sys/block/vd*; do
			[ "$(cat "$device/serial" 2>/dev/null)" = aipu-payload ] || continue
			mount -t ext4 -o noatime "/dev/${device##*/}" /.vm/disk && return
		done
		tries=$((tries - 1))
		sleep 0.2
	done
	give_up "no payload disk"
}

if [ -s /.vm/binds ]; then
	mkdir -p /.vm/disk
	mount_payload
	while IFS= read -r path; do
		mount -o bind "/.vm/disk$path" "$path" || give_up "cannot bind $path"
	done </.vm/binds
fi

tell "ready $(cut -d' ' -f1 /proc/uptime)"
if [ -n "$terminal" ]; then
	# shellcheck disable=SC2086
	stty -F /dev/ttyS1 sane $terminal
	setsid -c sh /.vm/command </dev/ttyS1 >/dev/ttyS1 2>&1
else
	sh /.vm/command </dev/null >/dev/ttyS1 2>/dev/ttyS2
fi
tell "exit $?"
if [ -n "$check" ]; then
	sh /.vm/clean.sh >/.vm/log 2>&1 || [ -s /.vm/log ] || echo "the check of the log failed" >/.vm/log
	head -n 60 /.vm/log >/.vm/reports
	while read -r line; do
		tell "report $line"
	done </.vm/reports
fi
tell "end $(cut -d' ' -f1 /proc/uptime)"
finish
