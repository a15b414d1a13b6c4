#!/usr/bin/env bash
# guest test: runs scripts/vm
# SPDX-License-Identifier: MIT
# Shadow doorbells through the driver: what costs a doorbell, and that a card which falls asleep misses no job: neither the
# driver's rescue timer finds one nor the card's. On the debug kernel too, and where the card's memory is behind an IOMMU.
# SHADOW_GUESTS: only these, by the first words of their names.
# [RING-13] [RING-14] [RING-16]
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/../tools/_tap.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
program=$BUILD/tests/guest/selftest_shadow

# In the guest: MODULE FIRMWARE PROGRAM
cat >"$work/guest.sh" <<'T'
mkdir -p /lib/firmware/aipu
cp "$2" /lib/firmware/aipu/534f4654.fw
insmod "$1" || exit 1
"$3"
echo "# status $?"
grep -h '^rescues' /sys/kernel/debug/accel/*/state | sort | uniq -c | sed 's/  */ /g; s/^/#/'
grep -h 'rescued doorbells' /sys/kernel/debug/accel/*/state | sort | uniq -c | sed 's/  */ /g; s/^/#/'
rmmod aipu_accel && echo "# unloaded"
T

build()
{
	env -u MAKEFLAGS -u MAKELEVEL make -s -C "$SRC" BUILD="$BUILD" WERROR=1 "$program"
}

# boots KERNEL VM-OPTION...
boots()
{
	local kernel=$1
	shift
	"$SRC/scripts/kernel" --modules "$kernel" "$SRC" "$work/$kernel" >"$work/build.log" 2>&1 || {
		cat "$work/build.log"
		return 1
	}
	"$SRC/scripts/vm" --kernel "$kernel" "$@" --cards 4 --card "--memory 64M" --card "0:--poll-us 0" \
		--card "1:--poll-us 200" --card "2:--poll-us 10000000" --card "3:--no-shadow" \
		--module drm_shmem_helper --timeout 900 -- sh "$work/guest.sh" "$work/$kernel/aipu_accel.ko" \
		"$BUILD/firmware/aipu-soft.fw" "$program" >"$work/out" 2>"$work/err" && return
	tail -n 60 "$work/out" "$work/err"
	return 1
}

whole()
{
	cat "$work/out"
	grep -qxF '# status 0' "$work/out" && tap_whole "$work/out"
}

said()
{
	grep -qxF -- "$1" "$work/out" || {
		cat "$work/out"
		return 1
	}
}

# on NAME KERNEL VM-OPTION...
on()
{
	local name=$1
	shift
	[[ " ${SHADOW_GUESTS-${name%% *}} " == *" ${name%% *} "* ]] || return 0
	: >"$work/out"
	tap_ok "$name: the guest runs to its end" boots "$@"
	tap_pass_on "$name" "$work/out"
	tap_ok "$name: all of it" whole
	tap_ok "$name: the driver's rescue timer found nothing" said "# 4 rescues: 0"
	tap_ok "$name: nor did the cards'" said "# 4 rescued doorbells: 0x00000000"
	tap_ok "$name: the module can be unloaded" said "# unloaded"
}

tap_ok "it compiles" build
on "6.12" 6.12
on "virtio IOMMU, debug" debug --iommu=virtio
tap_done
