#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in a guest of two cards, for tests/guest/abi.sh: _abi.sh ABI-TEST GENERATE FIRMWARE MODEL.QPC ARGUMENTS-FILE...
# The contract's tests on the second card, TAP on stdout; then the generations on the first, "tokens FILE IDS".
abi=$1 generate=$2 firmware=$3 model=$4
shift 4

second=
for device in /sys/bus/pci/devices/*; do
	[ "$(cat "$device/vendor" "$device/device" | tr '\n' ' ')" = "0x1af4 0x10f0 " ] && second=${device##*/}
done
AIPU_PCI=$second "$abi" "$firmware"
echo "abi exit status $?"
for file in "$@"; do
	# The words are meant to be split.
	# shellcheck disable=SC2046
	echo "tokens ${file##*/} $("$generate" "$firmware" "$model" $(cat "$file"))"
done
