#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in a guest, for tests/guest/driver.sh: _driver.sh MODULE FIRMWARE AIPU-GEN WORK SAMPLING...
# WORK has the compiled models and what is to come out; one line of text a result.
# shellcheck source=tests/guest/_guest.sh
. "${0%/*}/_guest.sh"
module=$1 firmware=$2 gen=$3 work=$4
shift 4

# answers NAME FILE ARGUMENT...: the command's output is the file's content
answers()
{
	name=$1 file=$2
	shift 2
	"$@" >/tmp/answer 2>/tmp/errors
	if cmp -s /tmp/answer "$file"; then
		echo "$name: same"
	else
		echo "$name: differs (exit status $?)"
		head -c 300 /tmp/answer
		cat /tmp/errors
	fi
}

insmod "$module" || exit 1
dmesg | grep -q 'firmware.*aipu/534f4654.fw' && echo "no firmware: named"
rmmod aipu_accel
driver_loads "$module" "$firmware" || exit 1

i=0
while [ -e "/dev/accel/accel$i" ]; do
	echo 0 >/proc/sys/kernel/io_uring_disabled
	answers "card $i uring" "$work/expected" "$gen" --device "$i" --qpc "$work/qpc" --prompt "Once upon a time" "$@"
	echo 2 >/proc/sys/kernel/io_uring_disabled
	pci=$(readlink -f "/sys/class/accel/accel$i/device")
	answers "card $i ioctl" "$work/expected" "$gen" --device "${pci##*/}" --qpc "$work/qpc" \
		--prompt "Once upon a time" "$@"
	i=$((i + 1))
done
echo 0 >/proc/sys/kernel/io_uring_disabled
for story in "$work"/story?; do
	[ -e "$story" ] || continue
	n=${story##*story}
	answers "story$n" "$story" "$gen" --device 0 --qpc "$work/stories" --prompt "$(cat "$work/prompt$n")" \
		--temperature 0 --max-tokens 64
done

rounds=0
while [ $rounds -lt 3 ]; do
	for device in /sys/bus/pci/drivers/aipu_accel/0000:*; do
		echo "${device##*/}" >/sys/bus/pci/drivers/aipu_accel/unbind
		echo "${device##*/}" >/sys/bus/pci/drivers/aipu_accel/bind
	done
	"$gen" --device 0 --qpc "$work/qpc" --prompt "Once upon a time" "$@" | cmp -s - "$work/expected" || break
	rounds=$((rounds + 1))
done
echo "rounds: $rounds"
rmmod aipu_accel
