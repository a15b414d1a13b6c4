#!/usr/bin/env bash
# guest test: runs scripts/vm
# SPDX-License-Identifier: MIT
# What jobs and tokens cost through the driver, in system calls, doorbells, interrupts and bytes over PCIe; no figure is a time.
# The card's memory is trapped, so that each access to it is counted too.
set -u
# shellcheck source=tests/guest/_host.sh
. "$(dirname "$0")/_host.sh"

program=$BUILD/tests/guest/selftest_counts

prepare()
{
	made "$program" && driver_for 6.12 && "$BUILD/bin/aipu-compile" "$SRC/models/demo" -o "$work/qpc"
}

# In the guest: _guest.sh MODULE FIRMWARE PROGRAM
cat >"$work/guest.sh" <<'T'
. "$1"
driver_loads "$2" "$3" || exit 1
"$4"
echo "# status $?"
grep -h -e '^rescues' -e 'rescued doorbells' /sys/kernel/debug/accel/*/state | sed 's/^ */# /'
T

boots()
{
	runs --card=--trap-bar2 "${with_driver[@]}" --timeout 600 --env AIPU_QPC="$work/qpc" --file "$work/qpc" -- \
		sh "$work/guest.sh" "$guest/_guest.sh" "$work/6.12/aipu_accel.ko" "$firmware" "$program"
}

ended()
{
	grep -E '^# status [01]$' "$work/out"
}

tap_ok "what it needs" prepare
tap_ok "the guest runs to its end" boots
results "counts"
tap_ok "and its end" ended
tap_ok "the driver's rescue timer found nothing" said "# rescues: 0"
tap_ok "nor did the card's" said "# rescued doorbells: 0x00000000"
tap_done
