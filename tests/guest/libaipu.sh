#!/usr/bin/env bash
# guest test: runs scripts/vm
# SPDX-License-Identifier: MIT
# libaipu on a card: those of its unit tests that use its public API, the same programs as for the software device, in a guest
# with a card. Once as they are, and once where a seccomp filter refuses io_uring_setup: libaipu then takes the driver's ioctls,
# and the results are the same, to the line. aipu-gen too, with a container on a disk that is read past the page cache.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/../tools/_tap.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
programs="test_libaipu_queue test_libaipu_memory test_libaipu_files test_libaipu_generate test_libaipu_threads
	test_libaipu_device test_libaipu_load test_libaipu_shares test_libaipu_card"

build()
{
	# shellcheck disable=SC2046,SC2086
	env -u MAKEFLAGS -u MAKELEVEL make -s -C "$SRC" BUILD="$BUILD" WERROR=1 all "$BUILD/tests/guest/without_uring" \
		$(printf "$BUILD/tests/unit/%s " $programs) &&
		"$SRC/scripts/kernel" --modules 6.12 "$SRC" "$work/6.12" >"$work/build.log" 2>&1 || {
		cat "$work/build.log"
		return 1
	}
}

prepare()
{
	PATH=$PATH:/usr/sbin:/sbin
	"$BUILD/bin/aipu-compile" "$SRC/models/demo" -o "$work/qpc" &&
		"$BUILD/bin/aipu-gen" --device soft --qpc "$work/qpc" --prompt "Once upon a time" --temperature 0 \
			--max-tokens 40 >"$work/expected" && [ "$(wc -c <"$work/expected")" -gt 50 ] &&
		truncate -s 32M "$work/disk" && mke2fs -q -t ext4 -d "$work/qpc" "$work/disk"
}

boot()
{
	local arguments=() p
	for p in $programs; do arguments+=("$BUILD/tests/unit/$p"); done
	"$SRC/scripts/vm" --card "--memory 64M" --disk "$work/disk" --module drm_shmem_helper --module ext4 --timeout 900 \
		--file "$BUILD/lib/libaipu-drm.so" -- \
		sh "$SRC/tests/guest/_libaipu.sh" "$work/6.12/aipu_accel.ko" "$BUILD/firmware/aipu-soft.fw" \
		"$BUILD/tests/guest/without_uring" "$BUILD/bin/aipu-gen" "${arguments[@]}" \
		>"$work/out" 2>"$work/err" && return
	echo "exit status $?"
	tail -n 30 "$work/out"
	tail -n 40 "$work/err"
	return 1
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

whole()
{
	part "$@" && tap_whole "$work/part"
}

# said DOOR TEXT: the card's test saw that door
said()
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
: >"$work/out"
tap_ok "the guest runs to its end" boot
tap_ok "at first queues have a ring of io_uring" said io_uring io_uring
tap_ok "then it is refused, and they have none" said ioctl ioctl
for door in io_uring ioctl; do
	for program in $programs; do
		tap_ok "$door: $program, all of it" whole "$door" "$program"
		tap_pass_on "$door, $program" "$work/part"
	done
	tap_ok "$door: aipu-gen answers what it answers on the software device" generated "$door"
done
for program in $programs; do
	tap_ok "$program: the same results by both doors" same "$program"
done
tap_ok "the module can be unloaded" grep -qx "== unloaded" "$work/out"
tap_done
