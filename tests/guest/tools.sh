#!/usr/bin/env bash
# guest test: runs scripts/vm
# SPDX-License-Identifier: MIT
# aipu-gen and aipu-bench where there is no card, no driver, no permission, and with one of two cards: text or one line that
# says what is wrong, and the documented exit status. aipu-smi, aipu-fwcheck and aipu-fw have tests of their own.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/../tools/_tap.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

prepare()
{
	"$BUILD/bin/aipu-compile" "$SRC/models/demo" -o "$work/qpc" && chmod -R a+rX "$work" &&
		"$SRC/scripts/kernel" --modules 6.12 "$SRC" "$work/module"
}

# boot CARDS MODULE FILE...
boot()
{
	local cards=$1 module=$2
	shift 2
	"$SRC/scripts/vm" --cards "$cards" "$@" --file "$work/qpc" --file "$BUILD/bin/aipu-gen" --file "$BUILD/bin/aipu-bench" \
		--file "$BUILD/lib/libaipu-drm.so" --file "$BUILD/lib/libaipu-soft.so" --file "$BUILD/firmware/aipu-soft.fw" \
		--file "$(command -v setpriv)" --file "$SRC/tests/guest/_ok.sh" -- \
		sh "$SRC/tests/guest/_tools.sh" "$module" "$BUILD/firmware/aipu-soft.fw" "$BUILD/bin" \
		"$(command -v setpriv)" "$work/qpc" >"$work/out" 2>"$work/err" && tap_whole "$work/out" && return
	cat "$work/out"
	tail -n 40 "$work/err"
	return 1
}

tap_ok "a model and the driver" prepare
: >"$work/out"
tap_ok "no card: runs" boot 0 none
tap_pass_on "no card" "$work/out"
: >"$work/out"
tap_ok "two cards: runs" boot 2 "$work/module/aipu_accel.ko" --module drm_shmem_helper --file "$work/module"
tap_pass_on "two cards" "$work/out"
tap_done
