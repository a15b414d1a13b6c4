#!/usr/bin/env bash
# guest test: runs scripts/vm, for minutes
# SPDX-License-Identifier: MIT
# The driver comes and goes on the debug kernel: loaded, used, unbound, bound, used, unloaded, many times, and nothing of it is
# left: neither device memory, nor mappings for the card, nor pinned pages, nor memory that nobody points to, nor any that grows.
# AIPU_CYCLES: how often (20; at least 12).
set -u
# shellcheck source=tests/guest/_host.sh
. "$(dirname "$0")/_host.sh"

cycles=${AIPU_CYCLES:-20}

prepare()
{
	driver_for debug && demo_answers --temperature 0 --max-tokens 8
}

boot()
{
	runs --kernel debug --card "--memory 64M" "${with_driver[@]}" --timeout 1500 --file "$work/qpc" -- \
		sh "$guest/_cycles.sh" "$work/debug/aipu_accel.ko" "$firmware" "$BUILD/bin/aipu-gen" "$work/qpc" "$work/expected" \
		"$guest/clean.sh" "$cycles"
}

tap_ok "what it needs" prepare
tap_ok "the guest runs to its end, and the kernel has nothing to say" boot
results "$cycles cycles"
tap_done
