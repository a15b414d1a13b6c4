#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# guest test: runs scripts/vm
# What guests are made from: the directory of each kernel is whole, a module is built for each of
# them and loads there, warnings are refused, sources stay clean, two builds at once and killed ones
# leave whole entries.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/../tools/_tap.sh"

kernel=$SRC/scripts/kernel
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
PATH=$PATH:/usr/sbin:/sbin
mod=$work/mod
mkdir "$mod"

# A module that no cache holds.
cat >"$mod/aipu_hello.c" <<T
// SPDX-License-Identifier: GPL-2.0
#include <linux/module.h>
#include "answer.h"
static int __init aipu_hello_init(void)
{
	pr_info("aipu_hello: %d\\n", ANSWER);
	return 0;
}
module_init(aipu_hello_init);
static void __exit aipu_hello_exit(void)
{
}
module_exit(aipu_hello_exit);
MODULE_DESCRIPTION("nothing, $$ $(date +%s%N)");
MODULE_LICENSE("GPL");
T
echo '#define ANSWER 42' >"$mod/answer.h"
echo 'obj-m := aipu_hello.o' >"$mod/Kbuild"
before=$(ls -lA "$mod")

# whole DIRECTORY: and every module has what it depends on
whole()
{
	local release modules
	release=$(cat "$1/release")
	modules=$1/modules/lib/modules/$release
	[ -s "$1/vmlinuz" ] && grep -q '^CONFIG_PCI=y' "$1/config" && [ -s "$modules/modules.dep" ] ||
		{ ls -lR "$1" | head -n 20; return 1; }
	tr -s ': ' '\n' <"$modules/modules.dep" | sort -u | while read -r ko; do
		[ -z "$ko" ] || [ -s "$modules/$ko" ] || { echo "without $ko"; return 1; }
	done
}

# Each is a module, or built in.
has_modules()
{
	local dir=$1 m modules
	shift
	modules=$dir/modules/lib/modules/$(cat "$dir/release")
	for m in "$@"; do
		grep -qE "(^|/)$m\.ko" "$modules/modules.dep" "$modules/modules.builtin" ||
			{ echo "no $m"; return 1; }
	done
}

for_its_kernel()
{
	"$kernel" --modules "$1" "$mod" "$work/out-$1" >"$work/out" || return 1
	[ "$(cat "$work/out")" = "$work/out-$1" ] || return 1
	modinfo -F vermagic "$work/out-$1/aipu_hello.ko" | grep -F "$(cat "$2/release") "
}

loads()
{
	"$SRC/scripts/vm" --kernel "$1" -- sh -c \
		"insmod $work/out-$1/aipu_hello.ko && dmesg | grep 'aipu_hello: 42'"
}

# the same without cached modules; what they need besides is taken from the cache there is
with_other_cache()
{
	local real=${AIPU_CACHE:-}
	[ -n "$real" ] || real=$(. "$SRC/scripts/lib/cache.sh" && cache_dir)
	AIPU_CACHE=$real XDG_CACHE_HOME=$1 AIPU_OFFLINE=1 "${@:2}"
}

spoiled()
{
	local got=0
	rm -rf "$work/bad" && cp -r "$mod" "$work/bad" && echo "$2" >>"$work/bad/aipu_hello.c"
	with_other_cache "$work/c1" "$kernel" --modules "$1" "$work/bad" >"$work/out" 2>"$work/err" ||
		got=$?
	cat "$work/err"
	[ "$got" -eq 1 ] && [ ! -s "$work/out" ] && grep -qF "$3" "$work/err"
}

# another NAME: a module like it that no cache holds
another()
{
	cp -r "$mod" "$work/$1" && echo "/* $1 */" >>"$work/$1/aipu_hello.c"
}

two_at_once()
{
	another two
	with_other_cache "$work/c2" "$kernel" --modules 6.12 "$work/two" >"$work/a" 2>"$work/a.err" &
	with_other_cache "$work/c2" "$kernel" --modules 6.12 "$work/two" >"$work/b" 2>"$work/b.err" ||
		{ cat "$work/b.err"; return 1; }
	wait $! || return 1
	cat "$work/a.err" "$work/b.err"
	cmp "$work/a" "$work/b" && [ -s "$(cat "$work/a")/aipu_hello.ko" ] &&
		[ "$(cat "$work/a.err" "$work/b.err" | grep -c ' built in ')" -eq 1 ]
}

killed()
{
	local delay dir
	another three
	for delay in 0.1 0.4 0.8 1.5 2.5 4; do
		with_other_cache "$work/c3" setsid "$kernel" --modules 6.12 "$work/three" >/dev/null 2>&1 &
		sleep "$delay"
		# The session's leader is the child of the function's own shell.
		kill -KILL -- $(ps -o pid= --ppid $! | sed 's/^ */-/') 2>/dev/null
		wait $! 2>/dev/null
		for dir in "$work"/c3/aipu/kernel/modules/*; do
			[ ! -d "$dir" ] || [ -s "$dir/aipu_hello.ko" ] || { ls -l "$dir"; return 1; }
		done
	done
	with_other_cache "$work/c3" "$kernel" --modules 6.12 "$work/three" >"$work/out" || return 1
	modinfo -F vermagic "$(cat "$work/out")/aipu_hello.ko" | grep -q ^6.12 || return 1
	[ -z "$(ls "$work/c3/aipu/tmp" "$work/c3/aipu/work" | grep -v :)" ] ||
		{ ls -l "$work/c3/aipu/tmp" "$work/c3/aipu/work"; return 1; }
}

for k in 6.12 new debug; do
	if ! dir=$("$kernel" "$k"); then
		tap_ok "$k: is there" false
		continue
	fi
	tap_ok "$k: is whole" whole "$dir"
	tap_ok "$k: has what guests need" has_modules "$dir" drm virtio_pci virtio_blk virtio-iommu vfio-pci \
		nvme ext4 9p overlay
	tap_ok "$k: a module is built" for_its_kernel "$k" "$dir"
	tap_ok "$k: and loads" loads "$k"
	tap_ok "$k: a warning is an error" spoiled "$k" 'int stray(void) { return 0; }' "previous prototype for"
	tap_ok "$k: one of the linker's too" spoiled "$k" '
extern void aipu_no_such(void); void aipu_calls(void); void aipu_calls(void) { aipu_no_such(); }' aipu_no_such
done
tap_ok "sources stay clean" [ "$(ls -lA "$mod")" = "$before" ]
AIPU_MODULE_TREE=1 tap_ok "6.12: with the compiler of a Debian tree" for_its_kernel 6.12 "$("$kernel" 6.12)"
tap_ok "two at once build it once" two_at_once
tap_ok "killed, nothing half is left" killed
tap_done
