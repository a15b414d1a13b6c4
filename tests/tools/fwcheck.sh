#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# aipu-fwcheck from outside: the software device with images and models that fit and that do not, snapshots byte for byte, captured
# machines whose cards nobody drives, exit codes, one line for each error. tests/guest/fwcheck.sh has cards.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"
# shellcheck source=tests/tools/_machine.sh
. "$(dirname "$0")/_machine.sh"

check=$BUILD/bin/aipu-fwcheck
fw=$BUILD/bin/aipu-fw
golden=$SRC/tests/golden/fwcheck
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_STATE_HOME=$work/state
unset AIPU_TEST_ROOT

# says STATUS TEXT... -- ARGUMENT...: that exit status, nothing on stderr, and all of the texts in what it says
says()
{
	local want=$1 texts=() got=0 text
	shift
	while [ "$1" != -- ]; do
		texts+=("$1")
		shift
	done
	shift
	"$check" "$@" </dev/null >"$work/out" 2>"$work/err" || got=$?
	cat "$work/out" "$work/err"
	[ "$got" -eq "$want" ] || { echo "exit status $got, expected $want"; return 1; }
	[ ! -s "$work/err" ] || return 1
	for text in "${texts[@]}"; do
		grep -qF -- "$text" "$work/out" || { echo "no '$text'"; return 1; }
	done
}

refuses()
{
	tap_refuses "$check" "$@"
}

# --- the software device ----------------------------------------------------------------------------

# pack NAME OPTION...
pack()
{
	local name=$1
	shift
	"$fw" pack --default --key "$SRC/firmware-abi/development.pem" "$@" -o "$work/$name.fw"
}

prepare()
{
	"$BUILD/bin/aipu-compile" "$SRC/models/demo" -o "$work/model" >"$work/log" 2>&1 && pack good &&
		pack older --version 0.0.1 && pack newer --version 9.0.0 && pack board --board 0x1234 &&
		pack contract --version 3.0.0 --abi-oldest 2.0 --abi-newest 2.5 &&
		"$fw" pack --default -o "$work/unsigned.fw" && : >"$work/empty.fw" && cp "$work/good.fw" "$work/damaged.fw" &&
		printf x | dd of="$work/damaged.fw" bs=1 seek=600 conv=notrunc 2>/dev/null &&
		cp -r "$work/model" "$work/bad-model" &&
		printf x | dd of="$work/bad-model/model.qpc" bs=1 seek=300 conv=notrunc 2>/dev/null
}

tap_ok "images and models" prepare
key_id=$("$fw" inspect "$work/good.fw" | sed -n 's/^key: *\(.\{16\}\).*/\1/p')
tap_ok "the software device" says 0 "ok       image: (built in): 0.9.0, speaks 1.0, the boot ROM 1.0" \
	"ok       firmware and libaipu: the firmware speaks 1.0, libaipu 1.0" "from the host" "soft: compatible" -- --device soft
tap_ok "with a model" says 0 "ok       program and firmware: the program speaks 1.0, the firmware 1.0" \
	"ok       program and device: all that the program needs is offered" "ok       device memory: the program needs " -- \
	--device soft --qpc "$work/model"
tap_ok "its container named" says 0 "soft: compatible" -- --device soft --qpc "$work/model/model.qpc"
tap_ok "firmware for another contract" says 1 \
	"upgrade  image: install older firmware, for contract 1.0 ($work/contract.fw speaks 2.0 to 2.5, the boot ROM 1.0)" \
	"boot ROM       1.0.0, board soft, rollback counter 0, contract 1.0" \
	"firmware       0.9.0 (0.9.0 aipu-soft), from the host" "slot A         empty" "slot B         empty" \
	"soft: incompatible: firmware $work/contract.fw speaks contract 2.0 to 2.5" -- --device soft --firmware "$work/contract.fw"
tap_ok "for another board" says 1 "upgrade  image: install an image for board soft: $work/board.fw is for board 0x00001234" -- \
	--device soft --firmware "$work/board.fw"
tap_ok "not signed" says 1 "$work/unsigned.fw: 0.9.0 (aipu-soft), board soft, contract 1.0, not signed" \
	"built in       (built in): 0.9.0 (aipu-soft), board soft, contract 1.0, signed by $key_id..." "upgrade  image: install an image that is signed for this device" -- \
	--device soft --firmware "$work/unsigned.fw"
tap_ok "damaged" says 1 "upgrade  image: install a whole image: $work/damaged.fw: the firmware image does not have its digest" -- \
	--device soft --firmware "$work/damaged.fw"
tap_ok "an empty file" says 1 "install a whole image: $work/empty.fw: " -- --device soft --firmware "$work/empty.fw"
update="update   update: (built in): firmware 0.9.0 is newer than 0.0.1, which runs"
tap_ok "an update, which is no failure" says 0 "$update" "soft: compatible, update available" -- --device soft --firmware "$work/older.fw"
tap_ok "but with --strict" says 7 "$update" -- --device soft --firmware "$work/older.fw" --strict
tap_ok "no update" says 0 "soft: compatible" -- --device soft --firmware "$work/newer.fw" --strict
# What the device keeps itself is next to what it is given
flashed()
{
	"$fw" flash "$work/older.fw" --device soft --slot a --force >"$work/log" 2>&1 && return
	cat "$work/log"
	return 1
}
tap_ok "firmware in flash" flashed
tap_ok "is what runs" says 0 "firmware       0.0.1 (0.0.1 aipu-soft), from slot A" "slot A         confirmed, active: 0.0.1 (aipu-soft), contract 1.0" \
	"slot B         empty" "$update" -- -i soft
tap_ok "an image that is given comes before" says 0 "firmware       9.0.0 (9.0.0 aipu-soft), from the host" \
	"note     slot A: the next reset starts firmware 0.0.1" -- -i soft --firmware "$work/newer.fw"
counted()
{
	pack counted --version 0.9.1 --rollback 2 && "$fw" flash "$work/counted.fw" --device soft >"$work/log" 2>&1 &&
		says 1 "upgrade  image: install firmware with a rollback counter of 2 or more: that of $work/older.fw is 0" \
			"firmware       0.9.1 (0.9.1 aipu-soft), from slot B" "slot A         confirmed: 0.0.1" \
			"note     slot A: firmware 0.0.1 does not start: the firmware image is older than the device permits" \
			-- -i soft --firmware "$work/older.fw"
}
tap_ok "an image below the counter that the flash keeps; what else is known stays known" counted
rm -r "$work/state"

tap_ok "a damaged model" says 1 "upgrade  program: compile the model again: $work/bad-model/model.qpc: damaged" -- \
	--device soft --qpc "$work/bad-model"
tap_ok "no such image" refuses 1 "--firmware $work/none: No such file" --device soft --firmware "$work/none"
tap_ok "a directory as image" refuses 1 "--firmware $work: Is a directory" --device soft --firmware "$work"
tap_ok "a pipe as image" eval 'mkfifo "$work/fifo" && refuses 1 "fifo: a regular file is expected" --device soft --firmware "$work/fifo"'
tap_ok "no such model" refuses 1 "--qpc $work/none" --device soft --qpc "$work/none"

# Permissions bind root only without the capability to override them.
runner=()
chmod 0 "$work/newer.fw"
[ "$(id -u)" -ne 0 ] || runner=(setpriv "--bounding-set=-dac_override,-dac_read_search")
unprivileged()
{
	local got=0
	"${runner[@]}" "$check" "$@" >"$work/out" 2>"$work/err" || got=$?
	cat "$work/out" "$work/err"
	[ "$got" -eq 4 ] && [ ! -s "$work/out" ] && grep -q "^aipu-fwcheck: .*newer.fw: Permission denied$" "$work/err"
}
if "${runner[@]}" "$check" --version >/dev/null 2>&1; then
	tap_ok "an image one may not read" unprivileged --device soft --firmware "$work/newer.fw"
	tap_ok "a snapshot one may not read" unprivileged --read "$work/newer.fw"
else
	tap_skip "permission denied" "root, and setpriv cannot drop the capability to override permissions"
fi

# --- snapshots --------------------------------------------------------------------------------------

# shows NAME STATUS: a snapshot as text and as JSON is byte for byte what it was
shows()
{
	local got=0
	"$check" --read "$golden/$1.json" --strict >"$work/text" || got=$?
	diff -u "$golden/$1.txt" "$work/text" && [ "$got" -eq "$2" ] || { echo "exit status $got"; return 1; }
	"$check" --read - --strict --json <"$golden/$1.json" | diff -u "$golden/$1.json" -
}

tap_ok "a software device with a model, shown as it was captured" shows soft 0
tap_ok "two cards, one with flash" shows two_cards 1
tap_ok "a card without a driver" shows no_driver 5
tap_ok "an update" shows update 7

# the same keys in all JSON, whatever is known; null for what is not
keys()
{
	"$check" --device soft --json >"$work/now.json" && /usr/bin/python3 - "$work/now.json" "$golden"/*.json <<'T'
import json, sys

found = {}

def look(value, path):
    if isinstance(value, dict):
        assert found.setdefault(path, set(value)) == set(value), (path, found[path] ^ set(value))
        for key, inner in value.items():
            look(inner, path + "." + key)
    elif isinstance(value, list):
        for inner in value:
            look(inner, path)

for name in sys.argv[1:]:
    look(json.load(open(name)), "")
assert sum(len(keys) for keys in found.values()) == 121, found
root = json.load(open(sys.argv[1]))
assert root["schema_version"] == 2 and root["exit_status"] == 0
assert root["program"] is None and root["cards"][0]["pci_address"] is None
assert root["cards"][0]["result"] == "compatible"
assert root["cards"][0]["board_id"] == root["cards"][0]["image"]["board_id"] == "0x534f4654"
for slot in root["cards"][0]["slots"]:
    assert slot["state"] == "empty" and slot["tries"] is None and slot["version"] is None
assert all(set(v) == {"check", "result", "text"} for v in root["cards"][0]["verdicts"])
T
}
tap_ok "the keys of JSON" keys

# unknown CARD TEXT...: of a snapshot in which nothing is known but CARD it is not said that it fits, and null stays null
unknown()
{
	printf '{"schema_version":2,"tool":"aipu-fwcheck","cards":[%s]}' "$1" >"$work/unknown.json"
	shift
	says 6 "$@" -- --read "$work/unknown.json" && ! grep -q '^  ok \|compatible' "$work/out" || return 1
	"$check" --read "$work/unknown.json" --json >"$work/out"
	[ $? -eq 6 ] && grep -q '"driver_loaded": null' "$work/out" && ! grep -q '"state": "empty"' "$work/out"
}
tap_ok "a software device of which nothing is known" unknown '{}' "firmware       unknown" "slot A         unknown" \
	"libaipu        unknown, user API unknown, contract unknown" "soft: unknown"
tap_ok "a card of which nothing is known" unknown '{"state":null,"pci_address":"card","slots":[{"state":null},{}]}' \
	"PCI            unknown revision unknown, subsystem unknown, driver none" "slot A         unknown" "slot B         unknown" \
	"driver         user API unknown, contract unknown" "card: unknown"
tap_ok "one that is ready, and no more is known" unknown '{"state":"ready","pci_address":"card"}' "card: unknown"
tap_ok "one in a state that only aipu-smi knows" unknown '{"state":"resetting","pci_address":"card"}' "card: unknown"

# half CHANGE: of a snapshot in which half of a range is missing it is not said that it fits, whichever half it is
half()
{
	/usr/bin/python3 -c 'import json, sys
root = json.load(open(sys.argv[1]))
exec(sys.argv[2], {"root": root, "card": root["cards"][0]})
json.dump(root, sys.stdout)' "$golden/soft.json" "$1" >"$work/half.json" && says 6 "soft: unknown" -- --read "$work/half.json"
}
for end in oldest newest; do
	tap_ok "libaipu's $end version is missing" half "root['library_contract_$end'] = None"
	tap_ok "that of what runs" half "card['contract_$end'] = None"
done

# interrupted SIGNAL: while standard input is waited for
interrupted()
{
	/usr/bin/python3 - "$check" "$1" <<'T'
import signal, subprocess, sys, time

child = subprocess.Popen([sys.argv[1], "--read", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
late = time.monotonic() + 60
caught = False
while not caught and time.monotonic() < late:
    with open(f"/proc/{child.pid}/status") as status:
        caught = int(status.read().split("SigCgt:")[1].split()[0], 16) >> getattr(signal, sys.argv[2]) - 1 & 1
child.send_signal(getattr(signal, sys.argv[2]))
code = child.wait()
said = child.stdout.read()
assert code == 130 and not said, (code, said)
T
}
tap_ok "interrupted while it reads" interrupted SIGINT
tap_ok "terminated while it reads" interrupted SIGTERM

# bad TEXT JSON
bad()
{
	printf '%s' "$2" >"$work/bad.json"
	refuses 1 "$work/bad.json: $1" --read "$work/bad.json"
}
tap_ok "no JSON" bad "line 1" 'text'
head='"schema_version":2,"tool":"aipu-fwcheck"'
tap_ok "of another schema" bad "schema_version is 1, this aipu-fwcheck reads 2" '{"schema_version":1,"machine":{},"cards":[{}]}'
tap_ok "of no tool" bad "no snapshot: tool is missing; aipu-smi, aipu-fwcheck or aipu-fw is expected" '{"schema_version":2,"cards":[{}]}'
tap_ok "without a card" bad "it has no card: there is nothing to judge" "{$head,\"cards\":[]}"
tap_ok "without a list of cards" bad "no snapshot: it has no list of cards" "{$head}"
tap_ok "a card that is none" bad "cards[1]: 5: an object or null is expected" "{$head,\"cards\":[{},5]}"
tap_ok "a wrong type, and where" bad 'cards[1].bars[0].bytes: "1": a number of bytes or null is expected' \
	"{$head,\"cards\":[{},{\"bars\":[{\"bytes\":\"1\"}]}]}"
tap_ok "a version that is none" bad 'cards[0].firmware_version: "1.256.0": "X.Y.Z" or null is expected' \
	"{$head,\"cards\":[{\"firmware_version\":\"1.256.0\"}]}"
tap_ok "a contract version that is none" bad 'cards[0].slots[1].contract_newest: 1: "X.Y" or null is expected' \
	"{$head,\"cards\":[{\"slots\":[null,{\"contract_newest\":1}]}]}"
tap_ok "a mask that is none" bad 'cards[0].offered.formats: "0xg": "0x" with hexadecimal digits or null is expected' \
	"{$head,\"cards\":[{\"offered\":{\"formats\":\"0xg\"}}]}"
tap_ok "a word that is none" bad 'cards[0].firmware_source: "slot_c": one of "host", "slot_a", "slot_b" or null is expected' \
	"{$head,\"cards\":[{\"firmware_source\":\"slot_c\"}]}"
tap_ok "a digest that is none" bad 'cards[0].slots[0].sha256: "ab": 64 hexadecimal digits or null is expected' \
	"{$head,\"cards\":[{\"slots\":[{\"sha256\":\"ab\"}]}]}"
tap_ok "a slot too many" bad 'cards[0].slots: a list of at most 2 or null is expected' "{$head,\"cards\":[{\"slots\":[{},{},{}]}]}"
tap_ok "a number beyond 32 bits" bad 'cards[0].rollback: 4294967296: a number of 32 bits or null is expected' \
	"{$head,\"cards\":[{\"rollback\":4294967296}]}"
tap_ok "neither true nor false" bad 'driver_loaded: 1: true, false or null is expected' "{$head,\"driver_loaded\":1,\"cards\":[{}]}"
tap_ok "a key twice" bad "line 1" '{"schema_version":2,"schema_version":2}'
long_snapshot()
{
	head -c 16777217 /dev/zero >"$work/long"
	refuses 1 "longer than the 16777216 bytes" --read "$work/long"
}
tap_ok "too long" long_snapshot
hostile()
{
	printf '{"schema_version":2,"tool":"aipu-fwcheck","library_version":"\\u001b[2J","cards":[{"model":"a\\nb\\u009bc","new":1}]}' >"$work/bad.json"
	"$check" --read "$work/bad.json" >"$work/out"
	cat -v "$work/out"
	grep -q 'a?b??c' "$work/out" && ! LC_ALL=C grep -q '[^ -~]' "$work/out"
}
tap_ok "control characters, and keys of later versions" hostile

# --- captured machines ------------------------------------------------------------------------------

le32()
{
	local word
	for word; do le 4 "$word"; done
}

# machine NAME DRIVER: a machine with one card at 0000:01:00.0; DRIVER has it ("": none); $root and $card are theirs. Nobody may read
# the card's registers, and the driver is not loaded.
machine()
{
	machine_new "$work/$1"
	rmdir "$root/sys/bus/pci/drivers/aipu_accel"
	machine_card 0000:01:00.0
	card=$device
	rm "$card/resource0"
	machine_bars 0x00000000fe000000 0x00000000fe04ffff 0x0000003800000000 0x000000383fffffff
	echo 8 >"$card/current_link_width"
	# ids, memory decoding, revision 3 and class, BARs, subsystem
	{ le32 0x10f01af4 0x00100006 0x12000003 0 0xfe000000 0 0x0000000c 0x38 0 0 0 0x11001af4; head -c 16 /dev/zero; } >"$card/config"
	[ -z "$2" ] || machine_bind "$2"
}

# loaded CONTRACT USER-API: the driver is
loaded()
{
	mkdir -p "$root/sys/bus/pci/drivers/aipu_accel"
	echo "$1" >"$root/sys/bus/pci/drivers/aipu_accel/contract"
	echo "$2" >"$root/sys/bus/pci/drivers/aipu_accel/user_api"
}

# registers STATE ERROR FIRMWARE OLDEST NEWEST: BAR0 of the card
registers()
{
	{
		le32 0x55504941 "$5" "$4" 0x534f4654 "$3" 2 7 0 0x01000000 $(($3 ? 1 : 0))
		head -c $((0xc4 - 40)) /dev/zero
		le32 "$1" "$2"
		head -c $((4096 - 0xcc)) /dev/zero
	} >"$card/resource0"
}

# image NAME FILE: in /lib/firmware of the machine
image()
{
	mkdir -p "$root/lib/firmware/$1aipu"
	cp "$work/$2.fw" "$root/lib/firmware/$1aipu/534f4654.fw"
}

here()
{
	AIPU_TEST_ROOT=$root "$@"
}

root=$work/empty
mkdir -p "$root/sys/bus/pci/devices"
tap_ok "no card" here refuses 3 "no card: no PCI function is an AIPU (1af4:10f0); aipu-smi doctor looks for the reason"
root=$work/nothing
tap_ok "no PCI" here refuses 3 "no card: there is no PCI bus here"

machine unloaded ""
tap_ok "the driver is not loaded: what PCI tells" here says 5 "0000:01:00.0" \
	"PCI            1af4:10f0 revision 03, subsystem 1af4:1100, driver none" "link           16.0 GT/s PCIe x8, at most 16.0 GT/s PCIe x16" \
	"BAR0           327680 bytes at 0xfe000000" "BAR2           1073741824 bytes at 0x3800000000" "driver         not loaded" \
	"0000:01:00.0: driver not loaded: the driver is not loaded: modprobe aipu_accel" --
tap_ok "by its address" here says 5 "driver not loaded" -- -i 01:00.0 -i 0000:01:00.0
tap_ok "another address" here refuses 3 "0000:02:00.0: no such card: there is soft, 0000:01:00.0; 1 of them does not tell a serial number" \
	-i 01:00.0 --device 0000:02:00.0
tap_ok "the card and the software device" here says 5 "0000:01:00.0: driver not loaded" "soft: compatible" -- -i soft --device 01:00.0
tap_ok "as JSON" here says 5 '"state": "no driver"' '"pci_address": "0000:01:00.0"' '"driver_loaded": false' '"firmware_version": null' -- --json

machine other vfio-pci
loaded 1.0-1.0 1.1
tap_ok "another driver has it" here says 5 "driver vfio-pci" "the card belongs to the driver vfio-pci" --

machine too_new ""
loaded 1.0-1.1 1.1
registers 2 0 0x03000000 0x10002 0x10003
tap_ok "not taken: firmware too new" here says 1 "firmware       3.0.0, from the host, contract 1.2 to 1.3" \
	"upgrade  firmware and driver: install a newer driver (it speaks 1.0 to 1.1, the firmware needs 1.2)" \
	"0000:01:00.0: incompatible: the driver did not take the card" "serial 0000000000000007" --

machine no_image ""
loaded 1.0-1.0 1.1
registers 0 0 0 0x10000 0x10000
tap_ok "not taken: no image" here says 1 "boot ROM       1.0.0, board soft, rollback counter 2, contract 1.0" \
	"upgrade  image: install an image for board soft: there is no /lib/firmware/aipu/534f4654.fw" --
image "" good
tap_ok "an image below the card's counter" here says 1 "install firmware with a rollback counter of 2 or more: that of /lib/firmware/aipu/534f4654.fw is 0" --
pack counted --rollback 2
image "" counted
tap_ok "one that fits: then the driver's reason is another" here says 6 "ok       image: /lib/firmware/aipu/534f4654.fw: 0.9.0, speaks 1.0" \
	"0000:01:00.0: not answering: the driver did not take the card: aipu-smi doctor looks for the reason" --
machine_log 6 "aipu_accel 0000:01:00.0: [drm] Example card, firmware 0.9.0, contract 1.0, 64 MiB, 3 vectors"
machine_log 3 "aipu_accel 0000:02:00.0: [drm] *ERROR* another card"
machine_log 3 "aipu_accel 0000:01:00.0: [drm] *ERROR* a job took too long"
tap_ok "the driver had it: somebody unbound it" here says 5 \
	"0000:01:00.0: not bound: the card was unbound from its driver: echo 0000:01:00.0 >/sys/bus/pci/drivers/aipu_accel/bind" --
machine_log 3 "aipu_accel 0000:01:00.0: [drm] *ERROR* firmware 0.9.0: refused: its signature"
machine_log 3 "aipu_accel 0000:01:00.0: [drm] *ERROR* boot failed (-5)"
tap_ok "the log says why it was not taken" here says 6 \
	"0000:01:00.0: not answering: the driver did not take the card: firmware 0.9.0: refused: its signature" --
: >"$root/dev/kmsg"
image updates/ board
tap_ok "the kernel looks in updates/ first" here says 1 "/lib/firmware/updates/aipu/534f4654.fw is for board 0x00001234" --
"$fw" pack --default -o "$work/plain.fw" --rollback 2 --version 0.9.9
tap_ok "one that is not signed, which a card may refuse" here says 6 "plain.fw: 0.9.9 (aipu-soft), board soft, contract 1.0, not signed" \
	"note     signature: $work/plain.fw is not signed: the device may refuse it" -- --strict --firmware "$work/plain.fw"
signature()
{
	here "$check" --firmware "$work/$1.fw" --json >"$work/out"
	json "o['cards'][0]['image']['signature_kind'] == $2 and o['cards'][0]['image']['key_id'] == $3" <"$work/out" || { cat "$work/out"; return 1; }
}
json()
{
	/usr/bin/python3 -c "import json, sys; o = json.load(sys.stdin); sys.exit(0 if ($1) else 1)"
}
tap_ok "and as JSON" signature plain "'none'" None
tap_ok "one that is" signature counted "'ed25519'" "'$("$fw" inspect "$work/counted.fw" | sed -n 's/^key: *//p')'"
tap_ok "an image by name comes before" here says 6 "ok       image: $work/counted.fw" -- --firmware "$work/counted.fw"
rm -r "$root/lib/firmware/updates" "$root/lib/firmware/aipu/534f4654.fw"
: >"$root/lib/firmware/aipu/534f4654.fw.zst"
tap_ok "one that is compressed cannot be looked into" here says 6 "unknown  image: /lib/firmware/aipu/534f4654.fw.zst cannot be read here" --

registers 4 5 0 0x10000 0x10000
tap_ok "a card that failed says why" here says 6 "the card failed: the firmware image does not have its digest" --
printf '\377%.0s' {1..4096} >"$card/resource0"
tap_ok "a card that reads all ones" here says 6 "not answering: BAR0 begins with ffffffff, not with 55504941: the card does not answer" --
head -c 4096 /dev/zero >"$card/resource0"
tap_ok "a card that is none" here says 6 "not this kind of card" --
printf '\377%.0s' {1..64} >"$card/config"
tap_ok "configuration space is gone" here says 6 "its configuration space reads all ones" --
rm "$card/resource0"
{ le32 0x10f01af4 0x00100000 0x12000003; head -c 52 /dev/zero; } >"$card/config"
tap_ok "registers that cannot be read" here says 6 "unknown  image: the card's board id is not known here" \
	"unknown  firmware and driver: what the firmware speaks is not known" --

# --- usage ------------------------------------------------------------------------------------------

tap_ok "unknown option" refuses 2 "unknown option '--fast'" --fast
tap_ok "unknown letter" refuses 2 "unknown option '-x'" -x
tap_ok "no value" refuses 2 "a value is missing after '-i'" -i
tap_ok "an argument" refuses 2 "'0': only options are expected" 0
tap_ok "--read and a card" refuses 2 "--read goes with --strict and --json only" --read x -i 0
tap_ok "no name" refuses 2 "--qpc '': a directory is expected" --qpc ''
tap_ok "no card's name" refuses 2 "-i '': soft or a card's index, node, PCI address or serial number is expected" -i ''
tap_ok "no such snapshot" refuses 1 "$work/none: No such file" --read "$work/none"
tap_ok "an escape in an argument" refuses 2 "'--?[31m'" $'--\033[31m'
tap_ok "many cards" refuses 2 "-i '65': at most 64 cards can be named" $(printf -- '-i %d ' {1..65})
tap_exit "a full disk" 1 sh -c '"$1" --device soft >/dev/full' - "$check"
closed_pipe()
{
	/usr/bin/python3 -c 'import os, subprocess, sys
reading, writing = os.pipe()
os.close(reading)
sys.exit(subprocess.call(sys.argv[1:], stdout=writing))' "$check" --device soft --json
}
tap_exit "a closed pipe" 141 closed_pipe
tap_exit "help" 0 "$check" --help
tap_ok "help, in short" says 0 "usage: aipu-fwcheck [-i CARD]" -- -h
tap_exit "version" 0 "$check" --version
tap_done
