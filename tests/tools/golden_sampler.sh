#!/bin/sh
# SPDX-License-Identifier: MIT
# The committed golden draws are what their script writes: nobody edited either alone. Run by `make check`
# with SRC set; it must never write into the source directory.
set -eu

: "${SRC:=$(cd "$(dirname "$0")/../.." && pwd)}"
golden=$SRC/tests/golden

echo 1..1
if ! command -v python3 >/dev/null; then
	echo "ok 1 - golden_sampler_is_reproduced # SKIP python3 is not installed"
elif python3 "$golden/sampler_draws.py" | cmp - "$golden/sampler_draws.txt" >&2; then
	echo "ok 1 - golden_sampler_is_reproduced"
else
	echo "not ok 1 - golden_sampler_is_reproduced"
	exit 1
fi
