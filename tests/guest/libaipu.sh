#!/usr/bin/env bash
# guest test: runs scripts/vm
# SPDX-License-Identifier: MIT
# libaipu on a card: those of its unit tests that use its public API, the same programs as for the software device, in a guest
# with a card. Once as they are, and once where a seccomp filter refuses io_uring_setup: libaipu then takes the driver's ioctls,
# and the results are the same, to the line. aipu-gen too, with a container on a disk that is read past the page cache.
set -u
# shellcheck source=tests/guest/_host.sh
. "$(dirname "$0")/_host.sh"

programs="test_libaipu_queue test_libaipu_memory test_libaipu_files test_libaipu_generate test_libaipu_threads
	test_libaipu_device test_libaipu_load test_libaipu_shares test_libaipu_card"

build()
{
	# shellcheck disable=SC2046,SC2086
	made all "$BUILD/tests/guest/without_uring" $(printf "$BUILD/tests/unit/%s " $programs) && driver_for 6.12
}

prepare()
{
	PATH=$PATH:/usr/sbin:/sbin
	demo_answers --temperature 0 --max-tokens 40 && truncate -s 32M "$work/disk" && mke2fs -q -t ext4 -d "$work/qpc" "$work/disk"
}

boot()
{
	local arguments=() p
	for p in $programs; do arguments+=("$BUILD/tests/unit/$p"); done
	runs --card "--memory 64M" --disk "$work/disk" "${with_driver[@]}" --module ext4 --timeout 900 -- \
		sh "$guest/_libaipu.sh" "$work/6.12/aipu_accel.ko" "$firmware" "$BUILD/tests/guest/without_uring" \
		"$BUILD/bin/aipu-gen" "${arguments[@]}"
}

# part DOOR NAME: what it said, with skipped tests as TAP has them, to $work/part; fails where its exit status was not 0
part()
{
	sed -n "/^== $1 $2\$/,/^== status/p" "$work/out" >"$work/all"
	awk '/^# skipped: / { why = substr($0, 12); next }
		/^not ok [0-9]+ # SKIP / { print "ok " $3 " - " $6 " # SKIP " why; next }
		!/^== / { print }' "$work/all" >"$work/part"
	grep -qx '== status 0' "$work/all" && return
	cat "$work/all"
	return 1
}

part_whole()
{
	part "$@" && tap_whole "$work/part"
}

# door_is DOOR TEXT: the card's test saw that door
door_is()
{
	part "$1" test_libaipu_card && grep -qx "# door: $2" "$work/part"
}

same()
{
	part io_uring "$1" && grep -E '^(not )?ok |^1\.\.' "$work/part" >"$work/first" &&
		part ioctl "$1" && grep -E '^(not )?ok |^1\.\.' "$work/part" | diff "$work/first" -
}

# But for the line feed that ends it on a terminal
generated()
{
	part "$1" generate && [ "$(cat "$work/part")" = "$(cat "$work/expected")" ] && return
	cat "$work/part"
	return 1
}

tap_ok "the driver, the library and its tests compile" build
tap_ok "what the software device answers" prepare
tap_ok "the guest runs to its end" boot
tap_ok "at first queues have a ring of io_uring" door_is io_uring io_uring
tap_ok "then it is refused, and they have none" door_is ioctl ioctl
for door in io_uring ioctl; do
	for program in $programs; do
		tap_ok "$door: $program, all of it" part_whole "$door" "$program"
		tap_pass_on "$door, $program" "$work/part"
	done
	tap_ok "$door: aipu-gen answers what it answers on the software device" generated "$door"
done
for program in $programs; do
	tap_ok "$program: the same results by both doors" same "$program"
done
tap_ok "the module can be unloaded" said "== unloaded"
tap_done
