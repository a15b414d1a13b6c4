#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in a guest with two cards, for tests/guest/monitors.sh: _monitors.sh MODULE FIRMWARE AIPU-GEN QPC BYTES KV; BYTES is what the
# software device read of its memory for 20 tokens, KV the size of the model's KV cache in KiB
module=$1 firmware=$2 gen=$3 qpc=$4 bytes=$5 kv=$6
# shellcheck source=tests/guest/_guest.sh
. "${0%/*}/_guest.sh"

driver_loads "$module" "$firmware" || exit 1
pci=$(readlink -f /sys/class/accel/accel0/device)
other=$(readlink -f /sys/class/accel/accel1/device)
weights=1500000 # the demo model has more

# --- lm-sensors ---------------------------------------------------------------------------------------

# chip PATH: as lm-sensors calls what is at 0000:BB:DD.F
chip()
{
	echo "${1##*/}" | sed 's/^....:\(..\):\(..\)\.\(.\)$/0x\1 0x\2 \3/' | {
		read -r bus slot function
		printf 'aipu-pci-%02x%02x\n' $((bus)) $((slot << 3 | function))
	}
}

# raw CHIP SENSOR: its value, without a unit
raw()
{
	sensors -u "$1" | awk -v name="$2:" '$1 == name { print $2; found = 1 } END { exit !found }'
}

prints_cards()
{
	sensors >/tmp/sensors
	cat /tmp/sensors
	for device in "$pci" "$other"; do grep -qx "$(chip "$device")" /tmp/sensors || return 1; done
	[ "$(grep -c '^aipu-pci-' /tmp/sensors)" -eq 2 ] && [ "$(grep -c '^Adapter: PCI adapter$' /tmp/sensors)" -eq 2 ]
}

# Of one card: degrees with both limits, watts with theirs, joules
prints_values()
{
	sensors "$(chip "$pci")" | tee /tmp/card
	grep -Eq '^card: +\+?-?[0-9.]+.{0,2}C +\(high = .*crit = ' /tmp/card &&
		grep -Eq '^card: +[0-9.]+ m?W +\(cap = +[0-9.]+ W\)' /tmp/card &&
		grep -Eq '^card: +[0-9.]+ [km]?J' /tmp/card && ! grep -qE 'N/A|ERROR|ALARM' /tmp/card
}

# The same as the driver's attributes: those that do not change, to the digit
values_agree()
{
	hwmon=$(echo "$pci"/hwmon/hwmon*)
	for pair in temp1_max:1000 temp1_crit:1000 power1_cap:1000000; do
		attribute=${pair%:*}
		awk -v said="$(raw "$(chip "$pci")" "$attribute")" -v value="$(cat "$hwmon/$attribute")" -v unit="${pair#*:}" \
			-v name="$attribute" 'BEGIN { print name, said, value
				exit !(said != "" && value > 0 && said * unit == value) }' || return 1
	done
}

# --- aipu-gen at work -----------------------------------------------------------------------------------

# start CARD NAME: it loads the model and reads its prompt from a FIFO, and its text goes to another. This shell holds both
# ends of them, as 7 and 8 for "one", 9 and 6 for "two", which the program must not, or its prompt would have no end.
start()
{
	"$gen" --device "$1" --qpc "$qpc" --prompt-file "/tmp/$2.prompt" --max-tokens 400 --temperature 0.8 --seed 1 \
		>"/tmp/$2.text" 2>"/tmp/$2.err" 6>&- 7>&- 8>&- 9>&- &
	echo $! >"/tmp/$2.pid"
}

# fdinfo NAME: of the process' only open card, on stdout
fdinfo()
{
	for info in /proc/"$(cat "/tmp/$1.pid")"/fdinfo/*; do
		grep -l '^drm-driver:' "$info" 2>/dev/null
	done | {
		read -r first || return 1
		cat "$first"
	}
}

# key NAME KEY: without its unit
key()
{
	fdinfo "$1" | awk -v name="$2:" '$1 == name { print $2; found = 1 } END { exit !found }'
}

# loaded NAME: it reads its prompt, so what it needs of the card it has
loaded()
{
	ls -l /proc/"$(cat "/tmp/$1.pid")"/fd | grep -q "/tmp/$1.prompt\$" && return
	cat "/tmp/$1.err"
	return 1
}

has_keys()
{
	fdinfo one | tee /tmp/info
	for wanted in drm-driver drm-client-id drm-pdev drm-engine-compute drm-total-device drm-resident-device \
		drm-total-host drm-resident-host; do
		grep -q "^$wanted:	" /tmp/info || { echo "no $wanted"; return 1; }
	done
	grep -qx "drm-driver:	aipu_accel" /tmp/info && grep -qx "drm-pdev:	${pci##*/}" /tmp/info &&
		grep -Eqx 'drm-engine-compute:	[0-9]+ ns' /tmp/info
}

holds_model()
{
	total=$(key one drm-total-device) resident=$(key one drm-resident-device)
	echo "total $total KiB, resident $resident KiB"
	[ $((total * 1024)) -ge $weights ] && [ "$resident" -eq "$total" ]
}

# All of it, and nothing else; no other device memory is counted twice
labels_kv()
{
	grep '^aipu_accel-kv-' /tmp/info
	grep -qx "aipu_accel-kv-device:	$kv KiB" /tmp/info && grep -qx "aipu_accel-kv-host:	0 KiB" /tmp/info &&
		[ "$(key one drm-total-device)" -gt "$kv" ]
}

clients_differ()
{
	[ "$(key one drm-client-id)" -ne "$(key two drm-client-id)" ] &&
		[ "$(key two drm-pdev)" = "${other##*/}" ]
}

# busier NAME NANOSECONDS
busier()
{
	[ "$(key "$1" drm-engine-compute)" -gt "$2" ]
}

# attribute NAME
attribute()
{
	cat "$pci/npu_$1"
}

memory_is()
{
	[ "$(attribute memory_utilization)" -eq "$1" ]
}

ok "sensors prints both cards" prints_cards
ok "temperature, power and energy with units and limits" prints_values
ok "they are what the driver's attributes say" values_agree

ok "the clock is within its maximum" eval \
	'[ "$(attribute current_frequency_mhz)" -gt 0 ] &&
	[ "$(attribute current_frequency_mhz)" -le "$(attribute max_frequency_mhz)" ]'
memory=$(attribute memory_utilization) busy=$(attribute busy_time_us) joules=$(raw "$(chip "$pci")" energy1_input)
mkfifo /tmp/one.prompt /tmp/one.text /tmp/two.prompt /tmp/two.text
exec 7<>/tmp/one.prompt 8<>/tmp/one.text 9<>/tmp/two.prompt 6<>/tmp/two.text
start 0 one
start 1 two
ok "aipu-gen is loaded and waits" until_ok loaded one
ok "another one too" until_ok loaded two
ok "fdinfo has the keys that monitors read" has_keys
ok "the file holds the model" holds_model
ok "and as much of it in the KV cache as the model wants" labels_kv
ok "two clients, each on its card" clients_differ
ok "memory in use is as much more" eval \
	'[ $(($(attribute memory_utilization) - memory)) -ge $weights ] &&
	[ $(($(attribute memory_utilization) - memory)) -ge $(($(key one drm-total-device) * 1024)) ]'

# As much as fits a pipe, so that the first token waits for a reader, and with it the process and its file
dd if=/dev/zero bs=4096 count=16 >&8 2>/dev/null
ns=$(key one drm-engine-compute)
idle=$(key two drm-engine-compute)
echo "Once upon a time" >&7
exec 7>&-
ok "engine time moves while it works" until_ok busier one "$ns"
ok "npu_busy_time_us moves" until_ok eval '[ "$(attribute busy_time_us)" -gt "$busy" ]'
ok "that of who waits stands still" eval '[ "$(key two drm-engine-compute)" -eq "$idle" ]'
ok "energy moves" until_ok eval \
	'awk -v a="$joules" -v b="$(raw "$(chip "$pci")" energy1_input)" "BEGIN { exit !(b > a) }"'

# finish NAME: it ends by itself, with 0, when somebody reads its text and its prompt has an end
finish()
{
	wait "$(cat "/tmp/$1.pid")" && [ ! -s "/tmp/$1.err" ] && return
	cat "/tmp/$1.err"
	return 1
}
cat </tmp/one.text >/tmp/answer 8>&- &
reader=$!
exec 8>&-
ok "the text goes on when somebody reads it" finish one
wait "$reader"
ok "all of it" eval '[ "$(wc -c </tmp/answer)" -gt $((65536 + 200)) ]'
ok "memory is free again" until_ok memory_is "$memory"
echo "Once" >&9
exec 9>&-
ok "so does the other" finish two

# The emulated card tells no bandwidth of its memory, and nobody measures this machine's in its place
stats()
{
	"$gen" --device 0 --qpc "$qpc" --prompt "Once upon a time" --max-tokens 20 --json --show-stats >/tmp/json || return 1
	cat /tmp/json
	grep -Eq '"temperature_c": [0-9.]+,' /tmp/json && grep -Eq '"energy_j_per_token": [0-9.e-]*[1-9]' /tmp/json &&
		grep -q "\"memory_read_bytes\": $bytes," /tmp/json && grep -q '"memory_peak_fraction": null,' /tmp/json
}
ok "aipu-gen --show-stats: as many bytes as on the software device, and energy" stats
rmmod aipu_accel && echo "1..$count"
