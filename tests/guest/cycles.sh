#!/usr/bin/env bash
# guest test: runs scripts/vm
# SPDX-License-Identifier: MIT
# The driver comes and goes on the debug kernel: loaded, used, unbound, bound, used, unloaded, many times, and nothing of it is
# left: neither device memory, nor mappings for the card, nor pinned pages, nor memory that nobody points to, nor any that grows.
# AIPU_CYCLES: how often (20; at least 12).
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/../tools/_tap.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cycles=${AIPU_CYCLES:-20}

prepare()
{
	"$SRC/scripts/kernel" --modules debug "$SRC" "$work" >"$work/build.log" 2>&1 || { cat "$work/build.log"; return 1; }
	"$BUILD/bin/aipu-compile" "$SRC/models/demo" -o "$work/qpc" && "$BUILD/bin/aipu-gen" --device soft --qpc "$work/qpc" \
		--prompt "Once upon a time" --temperature 0 --max-tokens 8 >"$work/expected" && [ -s "$work/expected" ]
}

boot()
{
	"$SRC/scripts/vm" --kernel debug --card "--memory 64M" --module drm_shmem_helper --timeout 1500 --file "$work/qpc" \
		--file "$BUILD/lib/libaipu-drm.so" --file "$SRC/tests/guest/_ok.sh" -- \
		sh "$SRC/tests/guest/_cycles.sh" "$work/aipu_accel.ko" "$BUILD/firmware/aipu-soft.fw" "$BUILD/bin/aipu-gen" \
		"$work/qpc" "$work/expected" "$SRC/tests/guest/clean.sh" "$cycles" >"$work/out" 2>"$work/err" && return
	echo "exit status $?"
	tail -n 40 "$work/err"
	return 1
}

complete()
{
	tail -n 5 "$work/out"
	tap_whole "$work/out"
}

tap_ok "what it needs" prepare
tap_ok "the guest runs to its end, and the kernel has nothing to say" boot
tap_pass_on "$cycles cycles" "$work/out"
tap_ok "all results are there" complete
tap_done
