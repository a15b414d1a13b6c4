#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in a guest, for scripts/bench-guest: guest.sh MODULE FIRMWARE DOORS DECODE MODEL ROUNDS TOKENS PAUSE
# What the two programs print, and at the end what the driver has counted.
mkdir -p /lib/firmware/aipu
cp "$2" /lib/firmware/aipu/534f4654.fw
insmod "$1" || exit 1
"$3" "$6" /dev/accel/accel0 /dev/ng0n1 /dev/accel/accel1 /dev/accel/accel2 || exit 1
"$4" run 0 "$5" "$7" "$6" "$8" || exit 1
cat /sys/kernel/debug/accel/*/state | awk '/^rescues/ { n += $2 } END { print "rescues: " n }'
