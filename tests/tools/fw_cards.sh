#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# aipu-fw and cards that cannot be used, in captured machines: none is left out, whatever is wrong with it, and none is touched.
# tests/guest/flash.sh has cards that work.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"
# shellcheck source=tests/tools/_machine.sh
. "$(dirname "$0")/_machine.sh"

fw=$BUILD/bin/aipu-fw
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_STATE_HOME=$work/state

# says STATUS OUT-LINES ERR-LINES TEXT... -- ARGUMENT...: of aipu-fw, all of the texts on stdout or stderr
says()
{
	local want=$1 out=$2 err=$3 texts=() got=0 text
	shift 3
	while [ "$1" != -- ]; do
		texts+=("$1")
		shift
	done
	shift
	AIPU_TEST_ROOT=$root "$fw" "$@" >"$work/out" 2>"$work/err" </dev/null || got=$?
	cat "$work/out" "$work/err"
	[ "$got" -eq "$want" ] || { echo "exit status $got, expected $want"; return 1; }
	[ "$(wc -l <"$work/out")" -eq "$out" ] && [ "$(wc -l <"$work/err")" -eq "$err" ] || { echo "$out and $err lines were expected"; return 1; }
	for text in "${texts[@]}"; do
		grep -qhxF -- "$text" "$work/out" "$work/err" || { echo "no '$text'"; return 1; }
	done
}

tap_ok "an image" "$fw" pack --default -o "$work/image.fw" --version 1.0.0 --key "$SRC/firmware-abi/development.pem"

# --- the driver is loaded; it has one card, another is another driver's, it did not take the third, and made no node for the fourth
machine_new "$work/machine"
machine_card 0000:01:00.0
machine_bind aipu_accel 3
machine_card 0000:02:00.0
machine_bind vfio-pci
machine_card 0000:03:00.0
machine_card 0000:04:00.0
machine_bind aipu_accel
other="0000:02:00.0: the driver vfio-pci has it, not aipu_accel"
untaken="0000:03:00.0: its driver did not take it, or was unbound; aipu-smi doctor looks for the reason"
nodeless="0000:04:00.0: its driver has made no node for it; aipu-smi doctor looks for the reason"
tap_ok "flash tells of each" says 3 4 0 "$other" "$untaken" "$nodeless" -- flash "$work/image.fw" --all
tap_ok "activate too" says 3 4 0 "$other" "$untaken" "$nodeless" -- activate --all
tap_ok "so does status" says 3 0 4 "aipu-fw: $other" "aipu-fw: $untaken" "aipu-fw: $nodeless" -- status
tap_ok "one that was not taken, by its address" says 1 1 0 "$untaken" -- flash "$work/image.fw" -i 03:00.0
tap_ok "one of another driver" says 3 1 0 "$other" -- flash "$work/image.fw" -i 02:00.0
tap_ok "one without a node" says 1 0 1 "aipu-fw: $nodeless" -- status -i 04:00.0
tap_ok "more than one is no guess" says 2 0 1 "aipu-fw: 4 cards: -i CARD or --all is expected" -- flash "$work/image.fw"
as_json()
{
	AIPU_TEST_ROOT=$root "$fw" status --json >"$work/json" 2>"$work/err"
	AIPU_TEST_ROOT=$root "$fw" flash "$work/image.fw" --all --json >"$work/results"
	/usr/bin/python3 - "$work/json" "$work/results" <<'T'
import json, sys

cards = json.load(open(sys.argv[1]))["cards"]
assert [card["pci_address"] for card in cards] == [f"0000:0{i}:00.0" for i in (1, 2, 3, 4)], cards
assert [card["state"] for card in cards] == [None, "no driver", "not taken", "not responding"], cards
assert all(card["problem"] and card["slots"] is None and card["firmware_version"] is None for card in cards), cards
results = json.load(open(sys.argv[2]))["results"]
assert [result["device"] for result in results] == [card["pci_address"] for card in cards], results
assert [(result["result"], result["exit_status"]) for result in results[1:]] == [("failed", 3), ("failed", 1), ("failed", 1)], results
T
}
tap_ok "JSON keeps them" as_json
as_shown()
{
	AIPU_TEST_ROOT=$root "$fw" status --read "$work/json" >"$work/out"
	cat "$work/out"
	[ "$(wc -l <"$work/out")" -eq 4 ] && grep -qxF "$untaken" "$work/out"
}
tap_ok "and is read back" as_shown

# --- no card can be used
machine_new "$work/unloaded"
machine_card 0000:01:00.0
rm -r "$root/sys/bus/pci/drivers/aipu_accel"
unloaded="0000:01:00.0: its driver is not loaded: modprobe aipu_accel"
tap_ok "the driver is not loaded" says 3 0 1 "aipu-fw: $unloaded" -- status
tap_ok "nothing is flashed in its place" says 3 1 0 "$unloaded" -- flash "$work/image.fw"
tap_ok "but the software device, if it is named" says 0 3 0 -- status -i soft

# --- no card
machine_new "$work/none"
tap_ok "no card: not the software device either" says 3 0 1 \
	"aipu-fw: no card: no PCI function is an AIPU (1af4:10f0); aipu-smi doctor looks for the reason, aipu-smi --device soft shows the software device" -- status
tap_ok "nothing came to be" test ! -e "$XDG_STATE_HOME"
tap_done
