#!/usr/bin/env bash
# guest test: runs scripts/vm
# SPDX-License-Identifier: MIT
# The contract's headers in kernel C: the KUnit suites of modules/kunit on the debug kernel.
set -eu
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/../tools/_tap.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$SRC/scripts/kernel" --modules debug "$SRC/tests/guest/modules/kunit" "$work" >/dev/null
"$SRC/scripts/vm" --kernel debug --cards 0 -- sh "$SRC/tests/guest/_kunit.sh" \
	"$work/aipu_contract_kunit.ko" aipu_structs aipu_registers aipu_codes aipu_numerics
