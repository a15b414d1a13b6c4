#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The layout of every structure of the driver's user API is the committed one (tests/golden/uapi.txt, from pahole): offsets and
# sizes are what callers were built with. No holes, no padding but fields of that name. After a change that is meant:
# tests/tools/uapi.sh --update
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"

: "${CC:=gcc}"
cd "$SRC" || exit 1
golden=tests/golden/uapi.txt
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
drm=$(pkg-config --cflags libdrm 2>/dev/null || echo -I/usr/include/libdrm)

# layout HEADER-DIRECTORY: one line a field: type, name, offset, size
layout()
{
	local names
	names=$(sed -n 's/^struct \(drm_aipu_[a-z_]*\) {$/\1/p' "$1/drm/aipu_accel.h" | LC_ALL=C sort)
	[ -n "$names" ] || return 1
	{
		echo '#include <drm/aipu_accel.h>'
		for name in $names aipu_job; do echo "struct $name the_$name;"; done
	} >"$work/all.c"
	# shellcheck disable=SC2086
	$CC -g -c -I"$1" -Ifirmware-abi $drm "$work/all.c" -o "$work/all.o" || return 1
	for name in $names aipu_job; do
		# What pahole adds about cache lines, and a blank behind a brace, differs between its versions; some of them look for
		# another format too, and complain. What is missing is seen in the comparison.
		pahole -F dwarf -E -C "$name" "$work/all.o" 2>/dev/null |
			sed -e '/cacheline/{/size:/!d}' -e 's/, cachelines: [0-9]*//' -e '/^ *$/d' -e 's/[[:space:]]\+/ /g' \
				-e 's/}\([a-z]\)/} \1/'
	done
}

compared()
{
	layout kernel/include/uapi >"$work/now" && diff -u "$golden" "$work/now"
}

no_holes()
{
	! grep -nE 'hole|padding:|bit_padding|sum members' "$golden"
}

# A field of another size is found, though all behind it stay where they are.
found_out()
{
	mkdir -p "$work/uapi/drm" && sed 's/__u32 coalesce_us;/__u16 coalesce_us;/' kernel/include/uapi/drm/aipu_accel.h \
		>"$work/uapi/drm/aipu_accel.h" && layout "$work/uapi" >"$work/bad" || return 1
	! cmp -s "$golden" "$work/bad" && grep -q hole "$work/bad"
}

if [ "${1:-}" = --update ]; then
	layout kernel/include/uapi >"$work/now" && cp "$work/now" "$golden"
	exit
fi
if [ -n "${SAN:-}" ]; then
	tap_skip uapi "the same in every build, checked in the plain one"
elif ! command -v pahole >/dev/null; then
	tap_skip uapi "pahole is not installed (package dwarves)"
else
	tap_ok "a field of another size is found" found_out
	tap_ok "no holes" no_holes
	tap_ok "every structure as committed" compared
fi
tap_done
