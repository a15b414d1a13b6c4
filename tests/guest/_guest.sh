# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# What the scripts share that run in a guest: sourced by them, run by none. Needs nothing but sh.
count=0

# ok NAME COMMAND...: a result; what a failing command said follows it
ok()
{
	name=$1
	shift
	count=$((count + 1))
	if "$@" >/tmp/why 2>&1; then
		echo "ok $count - $name"
	else
		echo "not ok $count - $name"
		sed 's/^/# /' /tmp/why
	fi
}

# until_ok COMMAND...: within two minutes
until_ok()
{
	for try in $(seq 600); do
		"$@" && return
		sleep 0.2
	done
	echo "not after $try attempts: $*"
	return 1
}

# PCI addresses of the cards, in their order
cards_of()
{
	for device in /sys/bus/pci/devices/*; do
		[ "$(cat "$device/vendor" "$device/device" | tr '\n' ' ')" != "0x1af4 0x10f0 " ] || echo "${device##*/}"
	done
}

# driver_loads MODULE FIRMWARE [PARAMETER...]
driver_loads()
{
	mkdir -p /lib/firmware/aipu
	cp "$2" /lib/firmware/aipu/534f4654.fw
	module_file=$1
	shift 2
	insmod "$module_file" "$@"
}

# --- of the card $card, which the script sets ---

# shellcheck disable=SC2154
bound()
{
	[ -e "/sys/bus/pci/devices/$card/accel" ]
}

function_reset()
{
	echo 1 >"/sys/bus/pci/devices/$card/reset"
}

# As far as drivers are concerned the machine sleeps for a second.
sleep_and_wake()
{
	echo 1 >/sys/module/suspend/parameters/pm_test_delay
	echo devices >/sys/power/pm_test && echo freeze >/sys/power/state
}
