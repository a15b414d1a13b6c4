#!/usr/bin/env bash
# guest test: runs scripts/vm
# SPDX-License-Identifier: MIT
# aipu-gen and aipu-bench where there is no card, no driver, no permission, and with one of two cards: text or one line that
# says what is wrong, and the documented exit status. aipu-smi, aipu-fwcheck and aipu-fw have tests of their own.
set -u
# shellcheck source=tests/guest/_host.sh
. "$(dirname "$0")/_host.sh"

prepare()
{
	"$BUILD/bin/aipu-compile" "$SRC/models/demo" -o "$work/qpc" && chmod -R a+rX "$work" &&
		driver_for 6.12
}

# boot CARDS MODULE FILE...
boot()
{
	local cards=$1 module=$2
	shift 2
	runs --cards "$cards" "$@" "${with_driver[@]}" --file "$work/qpc" --file "$BUILD/bin/aipu-gen" --file "$BUILD/bin/aipu-bench" \
		--file "$BUILD/lib/libaipu-soft.so" --file "$firmware" --file "$(command -v setpriv)" -- \
		sh "$guest/_tools.sh" "$module" "$firmware" "$BUILD/bin" "$(command -v setpriv)" "$work/qpc"
}

tap_ok "a model and the driver" prepare
tap_ok "no card: runs" boot 0 none
results "no card"
tap_ok "two cards: runs" boot 2 "$work/6.12/aipu_accel.ko" --file "$work/6.12"
results "two cards"
tap_done
