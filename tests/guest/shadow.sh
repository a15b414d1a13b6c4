#!/usr/bin/env bash
# guest test: runs scripts/vm
# SPDX-License-Identifier: MIT
# Shadow doorbells through the driver: what costs a doorbell, and that a card which falls asleep misses no job: neither the
# driver's rescue timer finds one nor the card's. On the debug kernel too, and where the card's memory is behind an IOMMU.
# SHADOW_GUESTS: only these, by the first words of their names.
# [RING-13] [RING-14] [RING-16]
set -u
# shellcheck source=tests/guest/_host.sh
. "$(dirname "$0")/_host.sh"

program=$BUILD/tests/guest/selftest_shadow

# In the guest: _guest.sh MODULE FIRMWARE PROGRAM
cat >"$work/guest.sh" <<'T'
. "$1"
driver_loads "$2" "$3" || exit 1
"$4"
echo "# status $?"
grep -h '^rescues' /sys/kernel/debug/accel/*/state | sort | uniq -c | sed 's/  */ /g; s/^/#/'
grep -h 'rescued doorbells' /sys/kernel/debug/accel/*/state | sort | uniq -c | sed 's/  */ /g; s/^/#/'
rmmod aipu_accel && echo "# unloaded"
T

# boots KERNEL VM-OPTION...
boots()
{
	local kernel=$1
	shift
	driver_for "$kernel" || return
	runs --kernel "$kernel" "$@" --cards 4 --card "--memory 64M" --card "0:--poll-us 0" \
		--card "1:--poll-us 200" --card "2:--poll-us 10000000" --card "3:--no-shadow" \
		"${with_driver[@]}" --timeout 900 -- sh "$work/guest.sh" "$guest/_guest.sh" "$work/$kernel/aipu_accel.ko" "$firmware" \
		"$program"
}

# on NAME KERNEL VM-OPTION...
on()
{
	local name=$1
	shift
	[[ " ${SHADOW_GUESTS-${name%% *}} " == *" ${name%% *} "* ]] || return 0
	tap_ok "$name: the guest runs to its end" boots "$@"
	results "$name"
	tap_ok "$name: its exit status" said "# status 0"
	tap_ok "$name: the driver's rescue timer found nothing" said "# 4 rescues: 0"
	tap_ok "$name: nor did the cards'" said "# 4 rescued doorbells: 0x00000000"
	tap_ok "$name: the module can be unloaded" said "# unloaded"
}

tap_ok "it compiles" made "$program"
on "6.12" 6.12
on "virtio IOMMU, debug" debug --iommu=virtio
tap_done
