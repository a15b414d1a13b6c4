#!/usr/bin/env bash
# guest test: runs scripts/vm
# SPDX-License-Identifier: MIT
# The programs selftest_*.c, which are written with the kernel's own harness, in guests with a card: on
# Debian's kernel, on the newest, and on the debug kernel. Those that need the driver are not run here.
set -u
# shellcheck source=tests/guest/_host.sh
. "$(dirname "$0")/_host.sh"

# ends STATUS PROGRAM VM-OPTION...: to its end and with that exit status: all planned results are there.
ends()
{
	local due=$1 program=$2 status=0
	shift 2
	: >"$work/out"
	"$SRC/scripts/vm" "$@" -- "$BUILD/tests/guest/$program" >"$work/out" 2>"$work/err" || status=$?
	[ "$status" -eq "$due" ] && tap_whole "$work/out" && return
	echo "exit status $status, expected $due"
	cat "$work/out"
	tail -n 40 "$work/err"
	return 1
}

# on NAME PROGRAM VM-OPTION...: its results become ours.
on()
{
	local name=$1
	shift
	tap_ok "$1, $name" ends 0 "$@"
	tap_pass_on "$name" "$work/out"
}

all_fail()
{
	ends 1 "$1" --cards 0 && ! grep '^ok ' "$work/out"
}

tap_ok "they compile" made guest-tests
for source in "$SRC"/tests/guest/selftest_*.c; do
	! grep -qE 'aipu_accel\.h|"(accel|jobs)\.h"' "$source" || continue
	program=$(basename "$source" .c)
	for kernel in 6.12 new debug; do
		on "$kernel" "$program" --kernel "$kernel"
	done
	on "6.12 with an IOMMU" "$program" --iommu
	on "6.12, the first of two cards" "$program" --cards 2
	tap_ok "$program fails without a card" all_fail "$program"
done
tap_done
