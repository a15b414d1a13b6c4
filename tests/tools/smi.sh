#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# aipu-smi: the software device in every form, snapshots from files byte for byte, machines that are made of files
# (AIPU_TEST_ROOT) with cards that nobody drives or that are dead, processes, exit codes, a terminal and none.
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"

smi=$BUILD/bin/aipu-smi
golden=$SRC/tests/golden
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
two=$golden/smi_two_cards.json

# says STATUS TEXT COMMAND...: ends with that status, and its output, of both kinds, has this text
says()
{
	local status=$1 text=$2 got rc=0
	shift 2
	got=$("$@" 2>&1) || rc=$?
	[ "$rc" -eq "$status" ] && grep -qF -- "$text" <<<"$got" && return
	printf 'exit status %s, no "%s" in:\n%s\n' "$rc" "$text" "$got"
	return 1
}

# refuses STATUS TEXT ARGUMENT...: nothing on stdout, one line on stderr
refuses()
{
	tap_refuses "$smi" "$@"
}

# --- files ------------------------------------------------------------------------------------------

shows()
{
	local file=$1
	shift
	"$smi" --read "$two" "$@" >"$work/out" && diff "$golden/$file" "$work/out"
}

again()
{
	"$smi" --read "$two" --json >"$work/a" && "$smi" --read "$work/a" --json >"$work/b" && cmp "$work/a" "$work/b" &&
		[ "$(diff "$two" "$work/a" | grep -c '^>')" -eq 1 ] && diff "$two" "$work/a" | grep '^>' | grep -q model
}

harmless()
{
	local form
	for form in "" -q --json --csv; do
		# shellcheck disable=SC2086
		! "$smi" --read "$two" $form | LC_ALL=C grep -q '[^ -~]' || { echo "form '$form'"; return 1; }
	done
}

tap_ok "two cards, one dead: table" shows smi_two_cards.table
tap_ok "all fields" shows smi_two_cards.query -q
tap_ok "CSV" shows smi_two_cards.csv --csv
tap_ok "JSON is read as it was written, but for escapes" again
tap_ok "what a model's name says to a terminal does not reach it" harmless
tap_ok "standard input" says 0 '0000:02:00.0' "$smi" --read - <"$two"

csv()
{
	local want=$1
	shift
	"$smi" --read "$two" "$@" | diff <(printf '%b' "$want") -
}
tap_ok "fields that are named, by either name" csv \
	'pci_address,power [W],memory_used [MiB]\n0000:01:00.0,31.2 W,1536.0 MiB\n0000:02:00.0,,\n' --csv pci_address,power_mw,memory_used
tap_ok "the same with =" csv 'index\n0\n1\n' --csv=index
tap_ok "no header" csv '0,900 MHz\n1,\n' --csv index,clock --no-header
tap_ok "no units" csv 'index,clock [MHz]\n0,900\n1,\n' --csv index,clock --no-units
tap_ok "no such field" refuses 2 "no field 'nope'" --read "$two" --csv pci_address,nope

printf '{"schema_version": 1, "tool": "aipu-smi", "cards": []}' >"$work/older"
printf '{"schema_version": 2, "tool": "aipu-smi", "cards": [{"power_mw": 1.5}]}' >"$work/real"
printf '{"schema_version": 2' >"$work/cut"
tap_ok "an older snapshot" refuses 1 "schema_version is 1, this aipu-smi reads 2" --read "$work/older"
tap_ok "a value that is none" refuses 1 "cards[0].power_mw: 1.5: an integer or null is expected" --read "$work/real"
printf '{"schema_version": 2, "tool": "aipu-smi", "cards": []}\n%.0s' 1 2 >"$work/looks"
printf '{"schema_version": 2, "cards": [{"name": "0000:01:00.0"}]}' >"$work/foreign"
tap_ok "an object of nobody" refuses 1 "tool is missing; aipu-smi, aipu-fwcheck or aipu-fw is expected" --read "$work/foreign"
printf '{"schema_version": 2, "tool": "aipu-fw", "results": []}' >"$work/results"
tap_ok "what is no snapshot" refuses 1 "it has no list of cards; aipu-fw writes it, by status --json" --read "$work/results"
tap_ok "several snapshots" refuses 1 "line 2: more follows the snapshot; one is expected" --read "$work/looks"
tap_ok "the last of them" says 0 "0 cards" "$smi" --read <(tail -n 1 "$work/looks") -q
# interrupted SIGNAL: it comes while a pipe is read that nobody writes to
interrupted()
{
	/usr/bin/python3 - "$smi" "$1" <<-'end'
		import signal, subprocess, sys, time
		child = subprocess.Popen([sys.argv[1], "--read", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
			stderr=subprocess.PIPE)
		number = getattr(signal, "SIG" + sys.argv[2])
		# Caught from there on, whether it reads already or not
		caught = lambda: int(open("/proc/%d/status" % child.pid).read().split("SigCgt:")[1].split()[0], 16)
		end = time.monotonic() + 60
		while not caught() >> (number - 1) & 1 and time.monotonic() < end: time.sleep(0.01)
		child.send_signal(number)
		status = child.wait(60)
		said = child.stdout.read() + child.stderr.read()
		assert status == 130 and not said, (status, said)
	end
}
tap_ok "^C while a pipe is read: 130" interrupted INT
tap_ok "SIGTERM there: 130" interrupted TERM
tap_ok "no JSON" refuses 1 "line 1" --read "$work/cut"
tap_ok "no file" refuses 1 "No such file" --read "$work/nothing"
tap_ok "a directory" refuses 1 "Is a directory" --read "$work"

# --- the software device ----------------------------------------------------------------------------

soft_json()
{
	"$smi" --device soft --json >"$work/soft" && /usr/bin/python3 - "$work/soft" "$golden/smi_keys.txt" <<-'end'
		import json, sys
		root = json.load(open(sys.argv[1]))
		assert list(root) == ["schema_version", "tool", "tool_version", "library_version", "kernel", "time", "window_ms",
			"cards"], list(root)
		assert root["schema_version"] == 2 and root["window_ms"] >= 200 and len(root["cards"]) == 1
		card = root["cards"][0]
		assert list(card) == open(sys.argv[2]).read().split(), list(card)
		assert card["state"] == "ready" and card["model"] == "AIPU software device" and card["contract_in_use"]
		assert card["firmware_source"] == "host" and [s["state"] for s in card["slots"]] == ["empty", "empty"]
		assert card["memory_total_bytes"] == 1 << 30 and card["memory_used_bytes"] == 0
		assert card["utilization_permille"] == 0 and card["steps"] == 0 and card["running_jobs"] == 0
		assert {card[key] for key in ("index", "pci_address", "node", "link_width", "driver", "iommu_group")} == {None}
		assert all(value is None or type(value) in (int, str) for key, value in card.items() if key != "slots")
		assert "" not in card.values()
	end
}

# rows COUNT ARGUMENT...: three looks have so many lines
rows()
{
	local count=$1
	shift
	[ "$("$smi" --device soft -w 0.05 --count 3 "$@" | tee "$work/rows" | wc -l)" -eq "$count" ] && return
	cat "$work/rows"
	return 1
}

tap_ok "JSON: schema, keys, what is known and what is not" soft_json
tap_ok "table" says 0 "soft  ready" "$smi" --device soft
tap_ok "-i soft is the same" says 0 "soft  ready" "$smi" -i soft
once()
{
	[ "$("$smi" -i soft --device soft --csv state)" = $'state\nready' ]
}
tap_ok "named twice, it is one row" once
tap_ok "live without a terminal: heading and lines" rows 4
tap_ok "as CSV: one header" rows 4 --csv time,state
tap_ok "as JSON: an object a line" rows 3 --json
tap_ok "each of them is whole" /usr/bin/python3 -c 'import json, sys
assert all(json.loads(line)["schema_version"] == 2 for line in open(sys.argv[1]))' "$work/rows"
tap_ok "reset, and counted" says 0 "ready, firmware 0.9.0, resets 0 -> 1" "$smi" reset --device soft
tap_ok "reset with the host's firmware" says 0 "resets 0 -> 1" "$smi" reset --device soft --recovery --wait=0

tap_ok "limit of power" says 0 "soft: power limit 30.5 W, clock limit" "$smi" set --device soft --power-limit 30.5
tap_ok "that it ends at once is said" says 0 " MHz; they end with this process, as its software device does" "$smi" set -i soft --power-limit 30.5
tap_ok "limit of clock" says 0 "clock limit 500 MHz" "$smi" set --device soft --clock-limit 500
tap_ok "power beyond what it can" refuses 1 "soft: 3000000.0 W: beyond what the card can" \
	set --device soft --power-limit 3000000
tap_ok "clock beyond what it can" refuses 1 "soft: 4000000000 MHz: beyond what the card can" \
	set --device soft --clock-limit 4000000000
tap_ok "both" refuses 1 "soft: 3000000.0 W and 500 MHz: beyond" \
	set --device soft --power-limit 3000000 --clock-limit 500
tap_ok "the default" says 0 "soft: power limit" "$smi" set --device soft --default

closed_pipe()
{
	local rc
	"$smi" --device soft -w 0.05 | head -n 1 >/dev/null
	rc=${PIPESTATUS[0]}
	[ "$rc" -eq 141 ] || { echo "exit status $rc"; return 1; }
}
tap_ok "a reader that goes away ends the live view" closed_pipe
full()
{
	"$smi" --read "$two" >/dev/full
}
tap_exit "standard output that takes nothing" 1 full

# --- usage ------------------------------------------------------------------------------------------

tap_ok "no such command" refuses 2 "one of ps, reset, set, events" nope
tap_ok "a command after an option" refuses 2 "a command comes first: aipu-smi ps, then its options; '-i' is before it" -i 0 ps
tap_ok "with an option of its own" refuses 2 "a command comes first: aipu-smi doctor" --device soft doctor --qpc x
tap_ok "a card that is called like a command" refuses 3 "ps: no" -i ps
tap_ok "two forms" refuses 2 "one of -q, --json and --csv" -q --json
tap_ok "--no-units of nothing" refuses 2 "belong to --csv" --no-units
tap_ok "--count of nothing" refuses 2 "belongs to -w" --count 3
tap_ok "a file and a card" refuses 2 "takes no -i" --read "$two" -i 0
tap_ok "-w 0" refuses 2 "-w '0': a number from 0.05" -w 0
tap_ok "-i without a value" refuses 2 "a value is missing after '-i'" -i
tap_ok "-i ''" refuses 2 "-i '': soft or a card's index" -i ''
tap_ok "set nothing" refuses 2 "--power-limit, --clock-limit or --default" set
tap_ok "--power-limit -1" refuses 2 "--power-limit '-1'" set --power-limit=-1
tap_ok "the range is said in digits" refuses 2 "a number from 0.001 to 4000000 is expected" set --power-limit=5000000
tap_ok "--wait 5" refuses 2 "reset: '5' is not expected; seconds stand behind a =, --wait=5" reset --wait 5
tap_ok "--wait=5 6" refuses 2 "reset: '6' is not expected; a card is named by -i" reset --wait=5 6
helps()
{
	local command option
	"$smi" --help >"$work/help" && grep -q '^usage: aipu-smi' "$work/help" || return 1
	for option in --help -h; do
		for command in "" ps reset set events doctor report; do
			# shellcheck disable=SC2086
			"$smi" $command $option >"$work/out" 2>"$work/err" && cmp "$work/help" "$work/out" &&
				[ ! -s "$work/err" ] || { echo "$command $option"; return 1; }
		done
	done
}
tap_ok "--help and -h of every command" helps
tap_ok "--wait=x" refuses 2 "--wait 'x'" reset --wait=x
tap_ok "--interval 1" refuses 2 "from 10 to" events --interval 1
tap_ok "ps of the software device" refuses 2 "belongs to one process" ps -i soft
tap_ok "ps --device, the same" refuses 2 "belongs to one process" ps --device soft
tap_ok "ps, one word more" refuses 2 "'x' is not expected" ps x
tap_ok "an option with an escape in it" refuses 2 "'--?[31m'" $'--\033[31m'

# --- machines of files ------------------------------------------------------------------------------

# card ROOT PCI-ADDRESS DRIVER COMMAND: a function as sysfs shows it; no driver: ""
card()
{
	local at=$1/sys/bus/pci/devices/$2
	mkdir -p "$at" "$1/sys/bus/pci/drivers/$3"
	# Configuration space: ids, command, revision and class, header type 0, subsystem
	{
		printf '\xf4\x1a\xf0\x10%b\x00\x00\x01\x00\x00\x12\x00\x00\x00\x00' "$4"
		head -c 28 /dev/zero
		printf '\xf4\x1a\x00\x11'
		head -c 16 /dev/zero
	} >"$at/config"
	echo 0x1af4 >"$at/vendor"
	echo 0x10f0 >"$at/device"
	echo 0x120000 >"$at/class"
	echo 0 >"$at/irq"
	for ((i = 0; i < 7; i++)); do echo "0x0000000000000000 0x0000000000000000 0x0000000000000000"; done >"$at/resource"
	echo "16.0 GT/s PCIe" >"$at/max_link_speed"
	echo "8.0 GT/s PCIe" >"$at/current_link_speed"
	echo 16 >"$at/max_link_width"
	echo 8 >"$at/current_link_width"
	echo -1 >"$at/numa_node"
	[ -z "$3" ] || ln -s "../../drivers/$3" "$at/driver"
}

# at ROOT COMMAND...
at()
{
	AIPU_TEST_ROOT=$work/$1 "${@:2}"
}

refuses_at()
{
	local root=$1
	shift
	AIPU_TEST_ROOT=$work/$root tap_refuses "$smi" "$@"
}

mkdir -p "$work/none/sys/bus/pci/devices" "$work/nothing" "$work/none/proc"
card "$work/idle" 0000:01:00.0 "" '\x06\x00'
card "$work/other" 0000:01:00.0 vfio-pci '\x06\x00'
card "$work/mixed" 0000:01:00.0 "" '\x06\x00'
card "$work/mixed" 0000:02:00.0 aipu_accel '\xff\xff'
card "$work/node" 0000:01:00.0 aipu_accel '\x06\x00'
mkdir -p "$work/node/sys/bus/pci/devices/0000:01:00.0/accel/accel3"

tap_ok "no card" refuses_at none 3 "aipu-smi doctor"
tap_ok "and how to see the software device" refuses_at none 3 ", aipu-smi --device soft shows the software device" ps
tap_ok "no PCI bus" refuses_at nothing 3 "no PCI bus"
tap_ok "a card that is named where there is none" refuses_at none 3 "nosuch: no card: no PCI function" -i nosuch
tap_ok "the same for ps, without a bus" refuses_at nothing 3 "nosuch: no card: there is no PCI bus here" ps --device nosuch
for command in ps reset events "set --default"; do
	# shellcheck disable=SC2086
	tap_ok "no card for $command" refuses_at none 3 "aipu-smi doctor" $command
done
tap_ok "no driver: a row, and 5" says 5 "0000:01:00.0  no driver" at idle "$smi"
tap_ok "and what is known of it" says 5 '"link_generation": 3,' at idle "$smi" --json
tap_ok "another driver" says 5 "0000:01:00.0  driver vfio-pci" at other "$smi"
tap_ok "a dead card beside it: both shown, and 6" says 6 "0000:02:00.0  not responding" at mixed "$smi"
tap_ok "the one without driver alone" says 5 "no driver" at mixed "$smi" -i 01:00.0
tap_ok "a node that is not there" says 1 "no node" at node "$smi" -i 3
tap_ok "no such card: what there is" refuses_at node 3 "9: no such card: there is soft, 0000:01:00.0 (/dev/accel/accel3)" -i 9
tap_ok "reset of a card without driver" refuses_at idle 5 "0000:01:00.0: not reset: no driver" reset
tap_ok "set of a dead one" refuses_at mixed 6 "0000:02:00.0: limits not set" set --default -i 02:00.0
tap_ok "events of a dead one" refuses_at mixed 6 "0000:02:00.0: its configuration space" events -i 02:00.0
tap_ok "what to type: the driver is not loaded" says 5 "no driver is bound to it: modprobe aipu_accel; " at idle "$smi"
mkdir -p "$work/loaded/sys/module/aipu_accel"
card "$work/loaded" 0000:01:00.0 "" '\x06\x00'
tap_ok "what to type: it is" says 5 "no driver is bound to it: echo 0000:01:00.0 >/sys/bus/pci/drivers/aipu_accel/bind; " at loaded "$smi"

# turns ROW...: until the live view's last rows are those
turns()
{
	local try
	for ((try = 0; try < 600; try++)); do
		[ "$(tail -n $# "$work/rows" | sort)" = "$(printf '%s\n' "$@")" ] && return
		sleep 0.1
	done
	cat "$work/rows"
	return 1
}
card "$work/live" 0000:01:00.0 "" '\x06\x00'
AIPU_TEST_ROOT=$work/live "$smi" -w 0.05 --csv pci_address,state --no-header >"$work/rows" 2>"$work/err" &
watch=$!
tap_ok "live: no driver" turns "0000:01:00.0,no driver"
mkdir -p "$work/live/sys/bus/pci/drivers/vfio-pci"
ln -s ../../drivers/vfio-pci "$work/live/sys/bus/pci/devices/0000:01:00.0/driver"
tap_ok "live: a driver that came" turns "0000:01:00.0,driver vfio-pci"
card "$work/came" 0000:02:00.0 "" '\x06\x00'
mv "$work/came/sys/bus/pci/devices/0000:02:00.0" "$work/live/sys/bus/pci/devices"
tap_ok "live: a card that came" turns "0000:01:00.0,driver vfio-pci" "0000:02:00.0,no driver"
mv "$work/live/sys/bus/pci/devices/0000:01:00.0" "$work/came/sys/bus/pci/devices"
tap_ok "live: one that went" turns "0000:01:00.0,not responding" "0000:02:00.0,no driver"
mv "$work/came/sys/bus/pci/devices/0000:01:00.0" "$work/live/sys/bus/pci/devices"
tap_ok "live: and came back" turns "0000:01:00.0,driver vfio-pci" "0000:02:00.0,no driver"
kill -INT "$watch"
ended=0
wait "$watch" || ended=$?
tap_ok "live: ended" eval 'cat "$work/err"; [ $ended -eq 130 ] && [ ! -s "$work/err" ]'
tap_ok "live: the code of the last look" says 6 "not responding" at mixed "$smi" -w 0.05 --count 2

# --- processes --------------------------------------------------------------------------------------

# client ROOT PID FD NAME PCI CLIENT ENGINE-NS DEVICE-MEMORY [KV]: without the last, of an older driver
client()
{
	local at=$work/$1/proc/$2
	mkdir -p "$at/fd" "$at/fdinfo"
	printf '%s\n' "$4" >"$at/comm"
	ln -s /dev/accel/accel0 "$at/fd/$3"
	printf 'pos:\t0\ndrm-driver:\taipu_accel\ndrm-client-id:\t%s\ndrm-pdev:\t%s\ndrm-engine-compute:\t%s ns\n' \
		"$6" "$5" "$7" >"$at/fdinfo/$3"
	printf 'drm-total-device:\t%s\ndrm-resident-device:\t%s\ndrm-total-host:\t64 KiB\naipu_accel-jobs:\t3\n' \
		"$8" "$8" >>"$at/fdinfo/$3"
	[ $# -lt 9 ] || printf 'aipu_accel-kv-device:\t%s\naipu_accel-kv-host:\t0 KiB\n' "$9" >>"$at/fdinfo/$3"
}
client mixed 41 3 aipu-gen 0000:01:00.0 7 5000000 "3 MiB" "1536 KiB"
client mixed 41 4 aipu-gen 0000:01:00.0 7 5000000 "3 MiB" "1536 KiB" # a copy
client mixed 41 5 aipu-gen 0000:01:00.0 8 1000000 "1 MiB" "512 KiB"
client mixed 41 6 aipu-gen 0000:02:00.0 7 0 0 "0 KiB"
client mixed 42 3 $'child\033[2J' 0000:01:00.0 7 5000000 "3 MiB" "1536 KiB" # inherited
client mixed 43 3 $'\033[2Jbad' 0000:01:00.0 9 77 "1 KiB"
client mixed 44 3 elsewhere 0000:07:00.0 9 77 "1 KiB"
mkdir -p "$work/mixed/proc/45/fd" "$work/mixed/proc/self"
ln -s /etc/passwd "$work/mixed/proc/45/fd/3"

clients()
{
	at mixed "$smi" ps --json >"$work/ps" && /usr/bin/python3 - "$work/ps" <<-'end'
		import json, sys
		root = json.load(open(sys.argv[1]))
		assert root["schema_version"] == 2 and root["unreadable_processes"] == 0 and root["window_ms"] >= 200
		got = [(p["pid"], p["name"], p["device"], p["clients"], p["device_bytes"], p["device_kv_bytes"], p["host_bytes"],
			p["host_kv_bytes"], p["engine_ns"], p["jobs_ended"], p["share_permille"]) for p in root["processes"]]
		got.sort()
		want = [(41, "aipu-gen", "0000:01:00.0", 2, 4 << 20, 2 << 20, 128 << 10, 0, 6000000, 6, 0),
			(41, "aipu-gen", "0000:02:00.0", 1, 0, 0, 64 << 10, 0, 0, 3, 0),
			(43, "?[2Jbad", "0000:01:00.0", 1, 1 << 10, None, 64 << 10, None, 77, 3, 0)]
		assert got == want, got
		assert root["processes"][0]["host_resident_bytes"] is None
	end
}
tap_ok "processes: a client is counted once, others' cards are not ours" clients
tap_ok "as text, harmless" says 0 "43  ?[2Jbad" at mixed "$smi" ps
# columns WANTED ARGUMENT...: a line, without runs of blanks
columns()
{
	local want=$1
	shift
	at mixed "$smi" ps "$@" | sed 's/^ *//; s/  */ /g' | tee "$work/columns" | grep -qxF -- "$want" && return
	cat "$work/columns"
	return 1
}
tap_ok "the columns" columns "pid name card device MiB KV MiB host MiB engine ms share"
tap_ok "memory, and of it KV caches" columns "41 aipu-gen 0000:01:00.0 4.0 2.0 0.1 6.0 0.0%"
tap_ok "of an older driver a dash" columns "43 ?[2Jbad 0000:01:00.0 0.0 - 0.1 0.0 0.0%"
tap_ok "of one card" says 0 "share: of" at mixed "$smi" ps -i 02:00.0
only()
{
	[ "$(at mixed "$smi" ps -i 02:00.0 | grep -c '^ *4')" -eq 1 ]
}
tap_ok "and no other" only

# --- a terminal -------------------------------------------------------------------------------------

for case in colour no_color resize quit quit_lines interrupt terminate stop stop_lines dumb; do
	tap_ok "terminal: $case" /usr/bin/python3 "$SRC/tests/tools/_smi_terminal.py" "$case" "$smi"
done
tap_done
