#!/usr/bin/env bash
# guest test: runs scripts/vm
# SPDX-License-Identifier: MIT
# One bug for each detector of the debug kernel, in a boot of its own: each must be caught, or no clean
# run of any other test means anything. What is done is in _seeded.sh and modules/seeded.
set -eu
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/../tools/_tap.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$SRC/scripts/kernel" --modules debug "$SRC/tests/guest/modules/seeded" "$work" >/dev/null
guest=$SRC/tests/guest
# Looking for leaks takes the longer the more memory there is.
"$SRC/scripts/vm" --kernel debug --cards 0 --memory 512M --allow-splats -- sh "$guest/_seeded.sh" "$guest/clean.sh" \
	"$BUILD/tests/guest/seeded_kcov" "$work/seeded.ko" "$work/seeded_kunit.ko"
