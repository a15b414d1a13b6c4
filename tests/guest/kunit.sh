#!/usr/bin/env bash
# guest test: runs scripts/vm
# SPDX-License-Identifier: MIT
# The KUnit suites on the debug kernel: the contract's headers in kernel C (modules/kunit), and what the driver computes
# without a card (kernel/tests).
set -eu
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/../tools/_tap.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$SRC/scripts/kernel" --modules debug "$SRC/tests/guest/modules/kunit" "$work" >/dev/null
"$SRC/scripts/kernel" --modules debug "$SRC/kernel/tests" "$work" >/dev/null
"$SRC/scripts/vm" --kernel debug --cards 0 -- sh "$SRC/tests/guest/_kunit.sh" \
	"$work/aipu_contract_kunit.ko" aipu_structs aipu_registers aipu_codes aipu_numerics \
	"$work/aipu_driver_kunit.ko" aipu_ring aipu_card aipu_process aipu_time aipu_compat
