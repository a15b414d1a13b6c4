#!/usr/bin/env bash
# guest test: runs scripts/vm
# SPDX-License-Identifier: MIT
# What the kernel's own tools say of the driver's source: sparse, checkpatch, kernel-doc. It boots nothing, but needs
# source and headers of the guests' kernel, so it is run where guests are. (Warnings of W=1 are errors wherever scripts/kernel builds.)
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/../tools/_tap.sh"

cd "$SRC" || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Types that checkpatch is not asked about, each with its reason:
ignored=(
	# members and locks are described in the comment above their structure
	UNCOMMENTED_DEFINITION
	# aipu_compat.h declares functions whose arguments differ between kernels, so a macro names more than one kernel uses;
	# lists of the contract are written as X(name, code, text)
	MACRO_ARG_UNUSED MACRO_ARG_PRECEDENCE BRACKET_SPACE
	# AIPU_ABI_ARGS() and the like are two arguments of a format, made of one
	COMPLEX_MACRO MACRO_ARG_REUSE
	# kobject_uevent_env() takes texts that are not constant
	STATIC_CONST_CHAR_ARRAY
)

# A copy in which Kbuild can write; $work/bad.c is what each tool has to find.
cat >"$work/bad.c" <<'T'
// SPDX-License-Identifier: GPL-2.0
#include <linux/types.h>

/**
 * aipu_bad - what is wrong here in three ways
 */
__le32 aipu_bad(u32 value);
__le32 aipu_bad(u32 value)
{
    return value;
}
T

sparse_runs()
{
	mkdir -p "$work/tree"
	cp -r Kbuild kernel firmware-abi "$work/tree/" && cp "$work/bad.c" "$work/tree/kernel/aipu_bad.c" || return 1
	# sparse does not know that guard() unlocks at the end of a block, and takes each for a lock that is left
	env -u MAKEFLAGS -u MAKELEVEL make -s -C "$headers" M="$work/tree" C=2 CF=-D__CHECK_ENDIAN__ \
		KBUILD_MODPOST_WARN=1 modules >"$work/out" 2>&1 || {
		tail -n 40 "$work/out"
		return 1
	}
	grep -E '(warning|error):' "$work/out" | grep -v 'warning: context imbalance in ' >"$work/sparse"
	return 0
}

# without NAME FILE: of the lines in FILE none is of another file than NAME
without()
{
	! grep -v "$1" "$2"
}

checkpatch()
{
	# as the kernel has them, so that user API is known as such
	(cd "${2:-kernel}" && perl "$source/scripts/checkpatch.pl" --strict --no-tree --no-summary --terse \
		--max-line-length=100 --show-types \
		--ignore "$(IFS=,; echo "${ignored[*]}")" -f "$1") 2>&1
}

kernel_doc()
{
	perl "$source/scripts/kernel-doc" -none -Werror "$@" 2>&1
}

bad_form()
{
	mkdir -p "$work/form" && cp "$work/bad.c" "$work/form/" && ! checkpatch bad.c "$work/form"
}

# A reason that is needed no longer is taken out.
all_reasons_needed()
{
	local type bad=0
	(cd kernel && find . -name '*.[ch]' -exec perl "$source/scripts/checkpatch.pl" --strict --no-tree --no-summary \
		--terse --max-line-length=100 --show-types -f {} \;) >"$work/all" 2>&1
	for type in "${ignored[@]}"; do
		grep -q ":$type:" "$work/all" || { echo "$type: nothing to ignore"; bad=1; }
	done
	return "$bad"
}

if ! source=$(scripts/kernel --source scripts/checkpatch.pl scripts/spelling.txt \
	scripts/const_structs.checkpatch scripts/kernel-doc 2>"$work/err"); then
	tap_skip "checkpatch and kernel-doc" "no source of the kernel: $(tail -n 1 "$work/err")"
else
	tap_ok "checkpatch finds bad form" bad_form
	for f in $(cd kernel && find . -name '*.[ch]' -printf '%P\n' | LC_ALL=C sort); do
		tap_ok "checkpatch: $f" checkpatch "$f"
	done
	tap_ok "checkpatch: what is not asked for is there" all_reasons_needed
	tap_exit "kernel-doc finds an argument that is not described" 1 kernel_doc "$work/bad.c"
	# shellcheck disable=SC2046
	tap_ok "kernel-doc" kernel_doc $(find kernel -name '*.[ch]')
fi

if ! command -v sparse >/dev/null; then
	tap_skip "sparse" "it is not installed (package sparse)"
elif ! headers=$(scripts/kernel --headers 6.12 2>"$work/err"); then
	tap_skip "sparse" "no headers of the kernel: $(tail -n 1 "$work/err")"
else
	gcc=$(sed -n 's/^CONFIG_GCC_VERSION=\([0-9]*\)[0-9]\{4\}$/\1/p' "$headers/.config")
	if ! command -v "x86_64-linux-gnu-gcc-${gcc:-none}" >/dev/null; then
		tap_skip "sparse" "the kernel was built by gcc ${gcc:-?}, which is not here"
	else
		tap_ok "sparse looks at every file" sparse_runs
		tap_ok "sparse finds what is of the wrong endianness" grep 'aipu_bad.c.*different base types' "$work/sparse"
		tap_ok "sparse: nothing else" without /aipu_bad.c: "$work/sparse"
	fi
fi
tap_done
