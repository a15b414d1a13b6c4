#!/usr/bin/env bash
# guest test: runs scripts/vm
# SPDX-License-Identifier: MIT
# What jobs and tokens cost through the driver, in system calls, doorbells, interrupts and bytes over PCIe; no figure is a time.
# The card's memory is trapped, so that each access to it is counted too.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/../tools/_tap.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
program=$BUILD/tests/guest/selftest_counts

prepare()
{
	env -u MAKEFLAGS -u MAKELEVEL make -s -C "$SRC" BUILD="$BUILD" WERROR=1 "$program" &&
		"$SRC/scripts/kernel" --modules 6.12 "$SRC" "$work/6.12" &&
		"$BUILD/bin/aipu-compile" "$SRC/models/demo" -o "$work/qpc"
}

# In the guest: MODULE FIRMWARE PROGRAM
cat >"$work/guest.sh" <<'T'
mkdir -p /lib/firmware/aipu
cp "$2" /lib/firmware/aipu/534f4654.fw
insmod "$1" || exit 1
"$3"
echo "# status $?"
grep -h -e '^rescues' -e 'rescued doorbells' /sys/kernel/debug/accel/*/state | sed 's/^ */# /'
T

boots()
{
	"$SRC/scripts/vm" --card=--trap-bar2 --module drm_shmem_helper --file "$BUILD/lib/libaipu-drm.so" --timeout 600 \
		--env AIPU_QPC="$work/qpc" --file "$work/qpc" -- sh "$work/guest.sh" "$work/6.12/aipu_accel.ko" \
		"$BUILD/firmware/aipu-soft.fw" "$program" >"$work/out" 2>"$work/err" && return
	tail -n 60 "$work/out" "$work/err"
	return 1
}

whole()
{
	cat "$work/out"
	grep -qE '^# status [01]$' "$work/out" && tap_whole "$work/out"
}

said()
{
	grep -qxF -- "$1" "$work/out" || {
		cat "$work/out"
		return 1
	}
}

tap_ok "what it needs" prepare
: >"$work/out"
tap_ok "the guest runs to its end" boots
tap_pass_on "counts" "$work/out"
tap_ok "all of it" whole
tap_ok "the driver's rescue timer found nothing" said "# rescues: 0"
tap_ok "nor did the card's" said "# rescued doorbells: 0x00000000"
tap_done
