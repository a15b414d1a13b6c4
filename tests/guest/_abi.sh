#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in a guest of two cards, for tests/guest/abi.sh: _abi.sh ABI-TEST GENERATE FIRMWARE MODEL.QPC ARGUMENTS-FILE...
# The contract's tests on the second card, TAP on stdout; then the generations on the first, "tokens FILE IDS".
# shellcheck source=tests/guest/_guest.sh
. "${0%/*}/_guest.sh"
abi=$1 generate=$2 firmware=$3 model=$4
shift 4

second=$(cards_of | tail -n 1)
AIPU_PCI=$second "$abi" "$firmware"
echo "abi exit status $?"
for file in "$@"; do
	# The words are meant to be split.
	# shellcheck disable=SC2046
	echo "tokens ${file##*/} $("$generate" "$firmware" "$model" $(cat "$file"))"
done
