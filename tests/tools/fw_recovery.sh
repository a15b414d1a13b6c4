#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A device that refuses the image it would be recovered with, since one of a greater anti-rollback counter ran: the software device with
# both slots damaged says what helps, shows what its flash has, and is flashed again; and what is no flash is not taken for one.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"

fw=$BUILD/bin/aipu-fw
check=$BUILD/bin/aipu-fwcheck
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_STATE_HOME=$work/state
unset AIPU_TEST_ROOT
flash=$XDG_STATE_HOME/aipu/soft.flash

# says STATUS TEXT... -- COMMAND...: that exit status, and on stdout or stderr all of the texts; what it said is left in $work/out, err
says()
{
	local want=$1 texts=() got=0 text
	shift
	while [ "$1" != -- ]; do
		texts+=("$1")
		shift
	done
	shift
	"$@" >"$work/out" 2>"$work/err" </dev/null || got=$?
	cat "$work/out" "$work/err"
	[ "$got" -eq "$want" ] || { echo "exit status $got, expected $want"; return 1; }
	for text in "${texts[@]}"; do
		grep -qhF -- "$text" "$work/out" "$work/err" || { echo "no '$text'"; return 1; }
	done
}

# pack NAME OPTION...: an image that is signed as software devices want it
pack()
{
	local name=$1
	shift
	"$fw" pack --default --key "$SRC/firmware-abi/development.pem" -o "$work/$name.fw" "$@"
}

# damaged: one byte of the build text in the header of each slot
damaged()
{
	/usr/bin/python3 - "$flash" <<'T'
import sys

with open(sys.argv[1], "r+b") as file:
    slot = (len(file.read()) - 8192) // 2 // 4096 * 4096
    for at in (8192, 8192 + slot):
        file.seek(at)
        header = bytearray(file.read(512))
        place = header.index(b"aipu-soft")
        header[place] ^= 1
        file.seek(at)
        file.write(header)
T
}

prepare()
{
	pack seven --version 0.6.0 --rollback 7 && pack next --version 0.6.1 --rollback 7 && pack zero --version 0.7.0 &&
		"$fw" flash "$work/seven.fw" --device soft --force && "$fw" flash "$work/next.fw" --device soft && damaged &&
		cp "$flash" "$work/damaged.flash"
}

tap_ok "a device whose slots are damaged, beyond the built-in image" prepare
line="soft: firmware (built in) refused: the firmware image is older than the device permits (error 8), and nothing in its flash starts: aipu-fw flash IMAGE --device soft, of rollback counter 7 or more"
tap_ok "who opens it is told what helps" says 1 "$line" -- "$BUILD/bin/aipu-smi" set --default --device soft
tap_ok "status says so too" says 1 "aipu-fw: $line" "boot ROM 1.0.0, anti-rollback counter 7" \
	'slot A: 0.6.0 "`ipu-soft", confirmed: the firmware image does not have its digest (error 5)' \
	'slot B: 0.6.1 "`ipu-soft", confirmed, active, but cannot start: the firmware image does not have its digest (error 5)' -- \
	"$fw" status --device soft
as_json()
{
	says 1 -- "$fw" status --device soft --json && /usr/bin/python3 - "$work/out" <<'T'
import json, sys

card, = json.load(open(sys.argv[1]))["cards"]
assert card["rollback"] == 7 and card["rom_version"] == "1.0.0" and card["firmware_version"] is None, card
assert [(slot["version"], slot["error"], slot["can_start"]) for slot in card["slots"]] == [("0.6.0", 5, False), ("0.6.1", 5, False)], card
assert card["problem"].startswith("soft: firmware (built in) refused"), card
T
}
tap_ok "and as JSON" as_json
tap_ok "aipu-fwcheck knows the counter" says 1 "boot ROM       1.0.0, board soft, rollback counter 7, contract 1.0" \
	"upgrade  image: install firmware with a rollback counter of 7 or more: that of (built in) is 0" \
	"note     slot B: firmware 0.6.1 does not start, though the next reset tries it first: the firmware image does not have its digest" -- \
	"$check" --device soft
tap_ok "an image that is given and too old" says 1 \
	"upgrade  image: install firmware with a rollback counter of 7 or more: that of $work/zero.fw is 0" -- \
	"$check" --device soft --firmware "$work/zero.fw"
tap_ok "one that would do; a damaged slot is not said to start" says 0 "soft: compatible" "note     slot B: firmware 0.6.1 does not start" -- \
	"$check" --device soft --firmware "$work/seven.fw"
tap_ok "looking changed no byte" cmp "$flash" "$work/damaged.flash"
tap_ok "an older image does not help" says 1 "soft: firmware $work/zero.fw refused: the firmware image is older than the device permits (error 8): its rollback counter is 0, 7 or more is needed" -- \
	"$fw" flash "$work/zero.fw" --device soft
tap_ok "a dry run of one that does" says 0 "0.6.1 would be written to slot A and started" -- "$fw" flash "$work/next.fw" --device soft --dry-run
tap_ok "neither wrote a byte" cmp "$flash" "$work/damaged.flash"
tap_ok "it is flashed" says 0 "soft: 0.6.1 runs from slot A" -- "$fw" flash "$work/next.fw" --device soft
tap_ok "and runs from then on" says 0 "soft: 0.6.1 runs from slot A; boot ROM 1.0.0, anti-rollback counter 7" -- "$fw" status --device soft

# --- what is no flash ---------------------------------------------------------------------------------------

# foreign COMMAND...: makes the file; it is not taken, is named, and stays
foreign()
{
	rm -f "$flash"
	"$@" >"$flash" && cp "$flash" "$work/foreign" &&
		says 1 "its flash cannot be read: $flash: it holds something else than a flash" -- "$fw" flash "$work/next.fw" --device soft &&
		says 1 "its flash cannot be read: $flash: it holds something else than a flash" -- "$fw" status --device soft &&
		says 1 "--flash $flash: it holds something else than a flash" -- "$BUILD/bin/aipu-emu" --socket "$work/s" --flash "$flash" &&
		cmp "$flash" "$work/foreign"
}
tap_ok "random bytes" foreign head -c 200000 /dev/urandom
tap_ok "a text" foreign sh -c 'yes AIPU | head -c 200000'
empty()
{
	rm -f "$flash"
	"$@" >"$flash" && says 0 "soft: 0.6.1 runs from slot A" -- "$fw" flash "$work/next.fw" --device soft --force
}
tap_ok "zeros are an empty flash" empty head -c 4194304 /dev/zero
tap_ok "so is a first write that was cut" empty sh -c 'head -c 4096 /dev/zero; printf AIPLF; head -c 4190203 /dev/zero'
tap_done
