# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the scripts share that start a guest and look at what it said: sourced by tests/guest/*.sh, run by none. $work is a
# directory that goes when the script ends; what the last guest said is in $work/out, what scripts/vm said of it in $work/err.
# shellcheck disable=SC2034 # of those who source it
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/../tools/_tap.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$work/out"
: >"$work/err"
guest=$SRC/tests/guest
firmware=$BUILD/firmware/aipu-soft.fw
# Of scripts/vm, where the driver is loaded, by a script that sources _guest.sh
with_driver=(--module drm --module drm_shmem_helper --file "$BUILD/lib/libaipu-drm.so" --file "$guest/_guest.sh")

# made TARGET...: by make, with warnings as errors
made()
{
	env -u MAKEFLAGS -u MAKELEVEL make -s -C "$SRC" BUILD="$BUILD" WERROR=1 "$@"
}

# driver_for KERNEL: the driver is $work/KERNEL/aipu_accel.ko
driver_for()
{
	"$SRC/scripts/kernel" --modules "$1" "$SRC" "$work/$1" >"$work/build.log" 2>&1 && return
	cat "$work/build.log"
	return 1
}

# demo_answers OPTION...: the demo model is in $work/qpc, and what aipu-gen answers with these options on the software device in
# $work/expected
demo_answers()
{
	"$BUILD/bin/aipu-compile" "$SRC/models/demo" -o "$work/qpc" &&
		"$BUILD/bin/aipu-gen" --device soft --qpc "$work/qpc" --prompt "Once upon a time" "$@" >"$work/expected" &&
		[ -s "$work/expected" ]
}

# runs VM-OPTION... -- COMMAND...: the guest comes to its end, and the command to a good one
runs()
{
	local status=0
	: >"$work/out"
	"$SRC/scripts/vm" "$@" >"$work/out" 2>"$work/err" || status=$?
	[ $status -ne 0 ] || return 0
	echo "exit status $status"
	tail -n 60 "$work/out" "$work/err"
	return 1
}

# All results of the guest's TAP are there.
whole()
{
	tap_whole "$work/out" && return
	tail -n 60 "$work/out" "$work/err"
	return 1
}

# said LINE
said()
{
	grep -qxF -- "$1" "$work/out" && return
	tail -n 60 "$work/out" "$work/err"
	return 1
}

# results NAME: the guest's are ours, and all of them are there
results()
{
	tap_pass_on "$1" "$work/out"
	tap_ok "$1: all of it" whole
}
