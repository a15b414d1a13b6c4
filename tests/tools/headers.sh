#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Each contract header compiles alone as C17, C++17 and freestanding C (a kernel and a firmware
# include it); each public header of the runtime alone as C17 and C++17.
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"

: "${CC:=gcc}" "${CXX:=g++}"
cd "$SRC" || exit 1
warn="-Wall -Wextra -Wpedantic -Werror -fsyntax-only"
inc="-Ifirmware-abi -Iuserspace/include"

# alone COMPILER FLAGS HEADER: included twice, so that a missing guard is seen too.
alone()
{
	# shellcheck disable=SC2086
	printf '#include "%s"\n#include "%s"\nextern int used;\n' "$3" "$3" | $1 $2 $warn $inc -
}

for h in firmware-abi/*.h; do
	f=${h#firmware-abi/}
	tap_ok "$f as C17" alone "$CC" "-xc -std=c17" "$f"
	tap_ok "$f as C++17" alone "$CXX" "-xc++ -std=c++17" "$f"
	case $f in
	aipu_numerics_float.h) ;; # floating point: userspace only
	*) tap_ok "$f freestanding" alone "$CC" "-xc -std=c17 -ffreestanding -nostdlib" "$f" ;;
	esac
done
for h in userspace/include/aipu/*.h; do
	f=${h#userspace/include/}
	tap_ok "$f as C17" alone "$CC" "-xc -std=c17" "$f"
	tap_ok "$f as C++17" alone "$CXX" "-xc++ -std=c++17" "$f"
done
must_fail()
{
	printf 'int x = NOT_DEFINED;\n' >"$TMPDIR/bad.h"
	! alone "$CC" "-xc -std=c17" "$TMPDIR/bad.h"
}
tap_ok "a header that needs another fails" must_fail
tap_done
