#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# docs/driver-points.md names functions and tests that exist, and says where the driver's lines go.
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"

# The driver's lines that are neither comments nor blank: it stays a driver that one can read.
MOST=6000

# points TOP: what is not so, if anything
points()
{
	/usr/bin/python3 "$SRC/tests/tools/_points.py" "$1" >"$TMPDIR/points" || return
	grep -v '^code: ' "$TMPDIR/points"
}

true_to_the_tree()
{
	! points "$SRC" && grep -q '^code: [0-9]* of [1-9][0-9]* rows$' "$TMPDIR/points"
}

# A copy in which one thing is another is seen: what is named, and what is counted
another()
{
	local copy=$TMPDIR/copy
	rm -rf "$copy"
	mkdir -p "$copy/docs"
	ln -s "$SRC/kernel" "$SRC/tests" "$copy"
	sed "$1" "$SRC/docs/driver-points.md" >"$copy/docs/driver-points.md"
	! cmp -s "$SRC/docs/driver-points.md" "$copy/docs/driver-points.md" || return
	points "$copy" | grep -q "$2"
}

small()
{
	local lines
	lines=$(sed -n 's/^code: \([0-9]*\) of .*/\1/p' "$TMPDIR/points")
	echo "# lines of code of the driver: $lines"
	[ "$lines" -gt 0 ] && [ "$lines" -lt $MOST ]
}

tap_ok "functions, tests and lines are as the tables say" true_to_the_tree
tap_ok "fewer than $MOST lines of code" small
tap_ok "a function that is not there" another 's/device_fault()/device_fall()/' 'kernel/aipu_map.c has no device_fall()'
tap_ok "a test that is not there" another 's/`objects: contexts`/`objects: kontexts`/' 'selftest_objects.c has no kontexts'
tap_ok "lines that went elsewhere" another 's/| segment.c | [0-9]* |/| segment.c | 100 |/' '^segments: '
tap_done
