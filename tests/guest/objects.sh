#!/usr/bin/env bash
# guest test: runs scripts/vm, for minutes
# SPDX-License-Identifier: MIT
# The driver by its user API, and that a guest is clean behind it: the programs selftest_*.c that need the driver, of which each
# result is one here. On every kernel and with every kind of IOMMU, in one boot: those of queues, jobs and io_uring on the first
# card, whose memory is large; the others on the two behind it, those of flash, of what a card reports and of heat on one each;
# on the lazy IOMMU the first card has no shadow doorbells. The debug kernel then looks for memory that nothing points to; with an
# IOMMU it is slow enough to meet a card that goes while memory is mapped for it.
# OBJECTS_GUESTS: only these, by the first words of their names.
set -u
# shellcheck source=tests/guest/_host.sh
. "$(dirname "$0")/_host.sh"

objects="selftest_buffers selftest_objects selftest_sensors selftest_flash selftest_events selftest_heat selftest_arguments"
# Errors of memory, the second one not corrected; hot air, and cool again: as selftest_events.c has it
events_card="--fault memory-error@2 --fault memory-error@4:1 --fault ambient@6:100 --fault ambient@8:25"
# Air in which it fails in ten seconds, and cool again when the host has loaded twice: as selftest_heat.c has it
heat_card="--fault ambient@1:150 --fault load-ambient@2:25"
jobs="selftest_jobs selftest_fills selftest_uring selftest_priorities"

build()
{
	# shellcheck disable=SC2046,SC2086
	made $(printf "$BUILD/tests/guest/%s " $objects $jobs)
}

# In the guest: _guest.sh CLEAN MODULE FIRMWARE PROGRAM...; a line after each program, and at the end what the kernel still has
cat >"$work/guest.sh" <<'T'
. "$1"
clean=$2 module=$3
driver_loads "$module" "$4" || exit 1
shift 4
for program; do
	case $program in
	*_flash) export AIPU_FIRST_CARD=3 ;;
	*_events) export AIPU_FIRST_CARD=4 ;;
	*_heat) export AIPU_FIRST_CARD=5 ;;
	*_buffers | *_objects | *_arguments | *_sensors) export AIPU_FIRST_CARD=1 ;;
	*) unset AIPU_FIRST_CARD ;;
	esac
	echo "# program ${program##*/}"
	"$program" 2>&1 # where an assertion failed is on stderr
	echo "# status $?"
done
rmmod aipu_accel && insmod "$module" && rmmod aipu_accel && echo "# unloaded"
sh "$clean" --leaks && echo "# clean"
T

# part_whole NAME: the program NAME ran to its end, and every result that it planned is there
part_whole()
{
	sed -n "/^# program $1\$/,/^# status/p" "$work/out" >"$work/part"
	grep -qE '^# status [0-4]$' "$work/part" && tap_whole "$work/part" && return
	cat "$work/part"
	tail -n 40 "$work/err"
	return 1
}

# boots KERNEL VM-OPTION...
boots()
{
	local kernel=$1
	shift
	driver_for "$kernel" || return
	rm -f "$work/flash" "$work/flash.heat"
	# shellcheck disable=SC2046,SC2086
	runs --kernel "$kernel" "$@" --cards 6 --card "1:--memory 64M" --card "2:--memory 64M" \
		--card "3:--memory 64M --flash $work/flash" --card "4:--memory 64M $events_card" \
		--card "5:--memory 64M --flash $work/flash.heat $heat_card" \
		--file "$work/low.fw" --env AIPU_LOW_LIMITS="$work/low.fw" "${with_driver[@]}" --timeout 900 -- \
		sh "$work/guest.sh" "$guest/_guest.sh" "$guest/clean.sh" "$work/$kernel/aipu_accel.ko" "$firmware" \
		$(printf "$BUILD/tests/guest/%s " $programs)
}

# An image that the software device never starts, signed as those that it does
never_starts()
{
	printf 'start: never\n' >"$work/never" &&
		"$BUILD/bin/aipu-fw" pack --payload "$work/never" --version 9.9.9 --board soft \
			--key "$SRC/firmware-abi/development.pem" -o "$work/never.fw"
}

# One with lower limits than the software device has
low_limits()
{
	printf 'limits: 20000-60000 mW, 300-500 MHz\n' >"$work/low" &&
		"$BUILD/bin/aipu-fw" pack --payload "$work/low" --version 9.9.8 --board soft \
			--key "$SRC/firmware-abi/development.pem" -o "$work/low.fw"
}

tap_ok "they compile" build
tap_ok "an image that never starts" never_starts
tap_ok "an image of lower limits" low_limits
# on NAME KERNEL VM-OPTION...
on()
{
	local name=$1 program programs=${only:-$objects $jobs}
	shift
	[[ " ${OBJECTS_GUESTS-${name%% *}} " == *" ${name%% *} "* ]] || return 0
	tap_ok "$name: the guest runs to its end" boots "$@"
	for program in $programs; do
		tap_ok "$name: $program, all of it" part_whole "$program"
		tap_pass_on "$name, $program" "$work/part"
	done
	tap_ok "$name: the module can be unloaded and loaded again" said "# unloaded"
	tap_ok "$name: nothing is left, nothing was complained about" said "# clean"
}

# Here alone: it waits for half a minute.
on "6.12" 6.12 --file "$work/never.fw" --env AIPU_NEVER_STARTS="$work/never.fw"
on "intel IOMMU, 6.12" 6.12 --iommu=intel
on "virtio IOMMU, lazy, 6.12" 6.12 --iommu=virtio --append iommu.strict=0 --card "0:--no-shadow"
on "new" new
on "debug" debug
only=selftest_arguments on "debug-iommu" debug --iommu=virtio
tap_done
