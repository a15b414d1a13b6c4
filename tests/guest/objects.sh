#!/usr/bin/env bash
# guest test: runs scripts/vm
# SPDX-License-Identifier: MIT
# The driver's objects by its ioctls: buffers, contexts, segments, programs, what arguments it refuses, and that a guest is
# clean behind them: the programs selftest_buffers, _objects and _arguments, of which each result is one here. On Debian's kernel, and
# on the debug kernel, which then looks for memory that nothing points to.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/../tools/_tap.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
programs="selftest_buffers selftest_objects selftest_arguments"

build()
{
	# shellcheck disable=SC2046,SC2086
	env -u MAKEFLAGS -u MAKELEVEL make -s -C "$SRC" BUILD="$BUILD" WERROR=1 \
		$(printf "$BUILD/tests/guest/%s " $programs)
}

# In the guest: MODULE FIRMWARE CLEAN PROGRAM...; a line after each program, and at the end what the kernel still has
cat >"$work/guest.sh" <<'T'
mkdir -p /lib/firmware/aipu
cp "$2" /lib/firmware/aipu/534f4654.fw
insmod "$1" || exit 1
module=$1 clean=$3
shift 3
for program; do
	echo "# program ${program##*/}"
	"$program"
	echo "# status $?"
done
rmmod aipu_accel && insmod "$module" && rmmod aipu_accel && echo "# unloaded"
sh "$clean" --leaks && echo "# clean"
T

# whole NAME: the program NAME ran to its end, and every result that it planned is there
whole()
{
	sed -n "/^# program $1\$/,/^# status/p" "$work/out" >"$work/part"
	grep -qE '^# status [0-4]$' "$work/part" && grep -qE '^(not )?ok ' "$work/part" &&
		grep -qx "1\.\.$(grep -cE '^(not )?ok ' "$work/part")" "$work/part" && return
	cat "$work/part"
	tail -n 40 "$work/err"
	return 1
}

# pass_on NAME: the results of the program that whole() found become ours
pass_on()
{
	local line how
	while read -r line; do
		case $line in
		"ok "*) how="ok" ;;
		"not ok "*) how="not ok" tap_bad=$((tap_bad + 1)) ;;
		*) continue ;;
		esac
		tap_count=$((tap_count + 1))
		echo "$how $tap_count - $1: $(cut -d' ' -f2- <<<"${line#*ok }")"
	done <"$work/part"
	[ "$tap_bad" -eq 0 ] || grep "^#" "$work/err"
}

boots()
{
	local kernel=$1 p arguments=()
	for p in $programs; do arguments+=("$BUILD/tests/guest/$p"); done
	"$SRC/scripts/kernel" --modules "$kernel" "$SRC" "$work/$kernel" >"$work/build.log" 2>&1 || {
		cat "$work/build.log"
		return 1
	}
	"$SRC/scripts/vm" --kernel "$kernel" --cards 2 --card "--memory 64M" --module drm_shmem_helper --timeout 900 -- \
		sh "$work/guest.sh" "$work/$kernel/aipu_accel.ko" "$BUILD/firmware/aipu-soft.fw" \
		"$SRC/tests/guest/clean.sh" "${arguments[@]}" >"$work/out" 2>"$work/err" && return
	echo "exit status $?"
	tail -n 60 "$work/out"
	tail -n 60 "$work/err"
	return 1
}

said()
{
	grep -qxF -- "$1" "$work/out" || {
		tail -n 60 "$work/out"
		return 1
	}
}

tap_ok "they compile" build
for kernel in 6.12 debug; do
	: >"$work/out"
	tap_ok "$kernel: the guest runs to its end" boots "$kernel"
	for program in $programs; do
		tap_ok "$kernel: $program, all of it" whole "$program"
		pass_on "$kernel, $program"
	done
	tap_ok "$kernel: the module can be unloaded and loaded again" said "# unloaded"
	tap_ok "$kernel: nothing is left, nothing was complained about" said "# clean"
done
tap_done
