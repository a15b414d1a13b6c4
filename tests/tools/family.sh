#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# aipu-smi, aipu-fwcheck and aipu-fw status as one family: a card is named the same way in all of them and the same line says that
# there is none; what each writes the others read; the same key has the same value. Fixtures byte for byte.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"
# shellcheck source=tests/tools/_machine.sh
. "$(dirname "$0")/_machine.sh"

golden=$SRC/tests/golden
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_STATE_HOME=$work/state
unset AIPU_TEST_ROOT

# run TOOL ARGUMENT...: of aipu-fw it is status that looks
run()
{
	local tool=$1
	shift
	case $tool in
	aipu-fw) "$BUILD/bin/aipu-fw" status "$@" ;;
	*) "$BUILD/bin/$tool" "$@" ;;
	esac
}

# all STATUS LINE ARGUMENT...: each tool ends so, says nothing on stdout, and this one line on stderr
all()
{
	local want=$1 line=$2 tool got
	shift 2
	for tool in aipu-smi aipu-fwcheck aipu-fw; do
		got=0
		run "$tool" "$@" >"$work/out" 2>"$work/err" </dev/null || got=$?
		cat "$work/err"
		[ "$got" -eq "$want" ] && [ ! -s "$work/out" ] && [ "$(cat "$work/err")" = "$tool: $line" ] ||
			{ echo "exit status $got of $tool; expected: $tool: $line"; return 1; }
	done
}

# --- names ------------------------------------------------------------------------------------------

for option in -i --device; do
	tap_ok "$option without a name" all 2 "$option '': soft or a card's index, node, PCI address or serial number is expected" "$option" ''
	# shellcheck disable=SC2046
	tap_ok "$option too often" all 2 "$option '65': at most 64 cards can be named" $(printf -- "$option %d " {1..65})
done

machine_new "$work/empty"
AIPU_TEST_ROOT=$work/empty tap_ok "no card" all 3 "no card: no PCI function is an AIPU (1af4:10f0); aipu-smi doctor looks for the reason, aipu-smi --device soft shows the software device"
machine_new "$work/machine"
machine_card 0000:01:00.0
machine_bind aipu_accel 3
export AIPU_TEST_ROOT=$work/machine
there="there is soft, 0000:01:00.0 (/dev/accel/accel3); 1 of them does not tell a serial number"
for name in 0 9 0000:02:00.0 accel33 /dev/accel/accel4 00000000000000ff auto sofa; do
	tap_ok "no card of the name $name" all 3 "$name: no such card: $there" -i soft --device "$name"
done
# found NAME: each tool says of that card, whose node nobody can open, or none, that it cannot be had
found()
{
	local tool
	for tool in aipu-smi aipu-fwcheck aipu-fw; do
		run "$tool" -i "$1" >"$work/out" 2>&1 </dev/null
		cat "$work/out"
		! grep -q 'no such card' "$work/out" && grep -q '0000:01:00.0\|accel3' "$work/out" || { echo "$tool"; return 1; }
	done
}
for name in 3 accel3 /dev/accel/accel3 0000:01:00.0 01:00.0; do
	tap_ok "the card as $name" found "$name"
done
unset AIPU_TEST_ROOT

# --- the same key has the same value ----------------------------------------------------------------

"$BUILD/bin/aipu-fw" flash "$BUILD/firmware/aipu-soft.fw" -i soft >/dev/null
same_keys()
{
	local tool
	for tool in aipu-smi aipu-fwcheck aipu-fw; do
		run "$tool" -i soft --json >"$work/$tool.json" || return 1
	done
	/usr/bin/python3 - "$work"/aipu-{smi,fwcheck,fw}.json <<'T'
import itertools, json, sys

of_one_moment = {"time", "problem"}
wrong, shared = [], {}

def compare(a, b, where):
    for key in a.keys() & b.keys() - of_one_moment:
        if where == "" and key in ("tool", "cards", "exit_status"):
            continue
        shared.setdefault(where + key, 0)
        shared[where + key] += 1
        if isinstance(a[key], list):
            for x, y in zip(a[key], b[key], strict=True):
                compare(x, y, where + key + ".")
        elif a[key] != b[key]:
            wrong.append((where + key, a[key], b[key]))

roots = [json.load(open(name)) for name in sys.argv[1:]]
for a, b in itertools.combinations(roots, 2):
    compare(a, b, "")
    compare(a["cards"][0], b["cards"][0], "cards.")
assert not wrong, wrong
in_all = {key for key, count in shared.items() if count >= 3}
wanted = {"schema_version", "tool_version", "library_version", "kernel"} | {"cards." + key for key in (
    "state", "pci_address", "node", "model", "serial", "board_id", "rom_version", "rollback", "firmware", "firmware_version",
    "firmware_source", "contract_oldest", "contract_newest", "contract_in_use", "active_slot", "slots")} | {
    "cards.slots." + key for key in ("slot", "state", "tries", "error", "error_text", "version", "build", "contract_oldest",
    "contract_newest", "board_id", "rollback", "bytes", "sha256")}
assert in_all == wanted, in_all ^ wanted
card = roots[2]["cards"][0]
assert card["firmware_source"] == card["active_slot"] == "slot_a" and card["slots"][0]["state"] == "confirmed", card
T
}
tap_ok "the keys that all have, and their values" same_keys

# --- snapshots --------------------------------------------------------------------------------------

# reads STATUS FIXTURE EXPECTED TOOL OPTION...: what it shows is byte for byte this
reads()
{
	local want=$1 fixture=$2 expected=$3 got=0
	shift 3
	run "$@" --read "$golden/$fixture" >"$work/shown" 2>"$work/err" || got=$?
	cat "$work/err"
	diff -u "$golden/$expected" "$work/shown" && [ "$got" -eq "$want" ] && [ ! -s "$work/err" ] || { echo "exit status $got"; return 1; }
}
tap_ok "aipu-fw status: what was captured, as text" reads 0 fw/cards.json fw/cards.txt aipu-fw
tap_ok "and as JSON" reads 0 fw/cards.json fw/cards.json aipu-fw --json
tap_ok "aipu-fw reads aipu-smi" reads 0 smi_two_cards.json fw/of_smi.txt aipu-fw
tap_ok "aipu-fw reads aipu-fwcheck" reads 0 fwcheck/two_cards.json fw/of_fwcheck.txt aipu-fw
tap_ok "aipu-smi reads aipu-fw" reads 0 fw/cards.json smi_of_fw.table aipu-smi
tap_ok "aipu-smi reads aipu-fwcheck" reads 0 fwcheck/two_cards.json smi_of_fwcheck.table aipu-smi
tap_ok "aipu-fwcheck reads aipu-smi" reads 6 smi_two_cards.json fwcheck/of_smi.txt aipu-fwcheck
tap_ok "aipu-fwcheck reads aipu-fw" reads 6 fw/cards.json fwcheck/of_fw.txt aipu-fwcheck

# refused TEXT JSON: by all three, with the same line
refused()
{
	printf '%s' "$2" >"$work/bad.json"
	all 1 "$work/bad.json: $1" --read "$work/bad.json"
}
tap_ok "a slot that is none" refused 'cards[1].slots[1].state: "new": one of "empty", "good", "trial", "confirmed", "failed" or null is expected' \
	'{"schema_version":2,"tool":"aipu-smi","cards":[{},{"slots":[null,{"state":"new"}]}]}'
tap_ok "a card that is none" refused 'cards[0]: 1: an object or null is expected' '{"schema_version":2,"tool":"aipu-smi","cards":[1]}'
tap_ok "of another program" refused 'no snapshot: tool is "lspci"; aipu-smi, aipu-fwcheck or aipu-fw is expected' \
	'{"schema_version":2,"tool":"lspci","cards":[]}'
tap_ok "two in one file" refused 'line 2: more follows the snapshot; one is expected, of those of -w a single line' \
	$'{"schema_version":2,"tool":"aipu-smi","cards":[]}\n{}'
tap_ok "a head that is none" refused 'kernel: 6: a text or null is expected' '{"schema_version":2,"tool":"aipu-smi","kernel":6,"cards":[]}'
tap_ok "no file" all 1 "$work/none: No such file or directory" --read "$work/none"
tap_ok "a directory" all 1 "$work: Is a directory" --read "$work"
too_many()
{
	/usr/bin/python3 -c 'import json; print(json.dumps({"schema_version": 2, "tool": "aipu-smi", "cards": [{}] * 1025}))' >"$work/many"
	all 1 "$work/many: 1025 cards, at most 1024 are expected" --read "$work/many"
}
tap_ok "too many cards" too_many
harmless()
{
	/usr/bin/python3 - >"$work/hostile" <<'T'
import json
bad = "a\u001b[2J\nb\u009bc"
slot = {"state": "good", "version": "1.0.0", "build": bad, "error_text": bad}
print(json.dumps({"schema_version": 2, "tool": "aipu-fw", "kernel": bad, "cards": [
    {"node": bad, "model": bad, "serial": bad, "state": bad, "firmware": bad, "firmware_version": "1.0.0", "slots": [slot, slot]},
    {"pci_address": bad, "problem": bad}]}))
T
	local tool
	for tool in aipu-smi aipu-fwcheck aipu-fw; do
		run "$tool" --read "$work/hostile" >"$work/shown" 2>"$work/err"
		run "$tool" --read "$work/hostile" --json >>"$work/shown" 2>>"$work/err"
		[ -s "$work/shown" ] && [ ! -s "$work/err" ] && grep -q 'b??' "$work/shown" && ! LC_ALL=C grep -q '[^ -~]' "$work/shown" ||
			{ cat -v "$work/shown" "$work/err"; return 1; }
	done
}
tap_ok "nothing of a file reaches a terminal raw" harmless
tap_done
