#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in a guest with two cards or none, for tests/guest/tools.sh: _tools.sh MODULE FIRMWARE BIN SETPRIV QPC. TAP on stdout.
# shellcheck source=tests/guest/_guest.sh
. "${0%/*}/_guest.sh"
module=$1 firmware=$2 bin=$3 setpriv=$4 qpc=$5

# A tool's shortest work
work()
{
	case $1 in
	aipu-gen) "$bin/aipu-gen" --device "$2" --qpc "$qpc" --prompt "Once" --max-tokens 4 ;;
	aipu-bench) "$bin/aipu-bench" --device "$2" --shape dim=64,hidden=64,layers=1,heads=2,kv_heads=2,vocab=64 -p 4 -n 4 -r 1 -o csv ;;
	esac
}

# exits STATUS TOOL DEVICE TEXT: 0: with something on stdout; else with one line of the tool's on stderr that has the text
exits()
{
	got=0
	work "$2" "$3" >/tmp/out 2>/tmp/err || got=$?
	cat /tmp/out /tmp/err
	echo "exit status $got, expected $1"
	[ $got -eq "$1" ] || return 1
	[ "$1" -ne 0 ] || { [ -s /tmp/out ]; return; }
	[ ! -s /tmp/out ] && grep -q "^$2: .*$4" /tmp/err && [ "$(wc -l </tmp/err)" -eq 1 ]
}

# quiet TOOL DEVICE: it works, and nothing is on stderr
quiet()
{
	exits 0 "$1" "$2" && [ ! -s /tmp/err ]
}

# falls_back TOOL TEXT: with "auto" it works on the software device, and one line says why not on a card
falls_back()
{
	exits 0 "$1" auto && [ "$(wc -l </tmp/err)" -eq 1 ] && grep -q "^$1: warning: $2.*; using the software device\$" /tmp/err
}

# In a shell of its own as a user in no group
ordinary()
{
	"$setpriv" --reuid=65534 --regid=65534 --clear-groups env ORDINARY=1 sh "$0" "$module" "$firmware" "$bin" "$setpriv" \
		"$qpc" "$@"
}

if [ -n "${ORDINARY-}" ]; then
	shift 5
	"$@"
	exit
fi

if [ "$module" = none ]; then
	for tool in aipu-gen aipu-bench; do
		ok "$tool: no card" exits 3 $tool 0 "no such device"
	done
	# Not aipu-bench: it measures the guest's processor, which is slow.
	ok "aipu-gen: no card, so the software device" quiet aipu-gen auto
	echo "1..$count"
	exit
fi
for tool in aipu-gen aipu-bench; do
	ok "$tool: driver not loaded" exits 3 $tool 0 "no such device"
done
driver_loads "$module" "$firmware" || exit 1
chmod 660 /dev/accel/accel*
chmod 1777 /tmp
for tool in aipu-gen aipu-bench; do
	ok "$tool: first card" exits 0 $tool 0
	ok "$tool: second card" exits 0 $tool accel1
	ok "$tool: no third one, but two" exits 3 $tool 2 \
		"2: no such device: there is soft, 0000:0.:00.0 (/dev/accel/accel0), 0000:0.:00.0 (/dev/accel/accel1)"
	rm -f /tmp/out /tmp/err
	ok "$tool: no permission" ordinary exits 4 $tool 0 "no permission"
	rm -f /tmp/out /tmp/err
done
ok "aipu-gen: no permission, so the software device, but not silently" ordinary falls_back aipu-gen \
	"/dev/accel/accel0: no permission: .* render"
rm -f /tmp/out /tmp/err
chmod 666 /dev/accel/accel1
ok "aipu-gen: permission for the second" ordinary quiet aipu-gen auto
rm -f /tmp/out /tmp/err /dev/accel/accel0
for tool in aipu-gen aipu-bench; do
	ok "$tool: the first one's node is missing" exits 3 $tool 0 "/dev/accel/accel0: the driver has the card, but this node is missing"
	ok "$tool: so the second" quiet $tool auto
done
rm /dev/accel/accel1
ok "aipu-gen: no node, so the software device, but not silently" falls_back aipu-gen "/dev/accel/accel0: .* node is missing"
mknod /dev/accel/accel0 c 1 3
ok "aipu-gen: a node of something else" exits 3 aipu-gen 0 "/dev/accel/accel0: it does not lead to the driver"
rmmod aipu_accel
echo "1..$count"
