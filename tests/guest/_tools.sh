#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in a guest with two cards or none, for tests/guest/tools.sh: _tools.sh MODULE FIRMWARE BIN SETPRIV QPC. TAP on stdout.
# shellcheck source=tests/guest/_ok.sh
. "${0%/*}/_ok.sh"
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

# In a shell of its own as a user in no group
ordinary()
{
	"$setpriv" --reuid=65534 --regid=65534 --clear-groups env ORDINARY=1 sh "$0" "$module" "$firmware" "$bin" "$setpriv" \
		"$qpc" "$@"
}

if [ -n "${ORDINARY-}" ]; then
	shift 5
	exits "$@"
	exit
fi

if [ "$module" = none ]; then
	for tool in aipu-gen aipu-bench; do
		ok "$tool: no card" exits 3 $tool 0 "no such device"
	done
	# Not aipu-bench: it measures the guest's processor, which is slow.
	ok "aipu-gen: no card, so the software device" exits 0 aipu-gen auto
	echo "1..$count"
	exit
fi
for tool in aipu-gen aipu-bench; do
	ok "$tool: driver not loaded" exits 3 $tool 0 "no such device"
done
mkdir -p /lib/firmware/aipu
cp "$firmware" /lib/firmware/aipu/534f4654.fw
insmod "$module" || exit 1
chmod 660 /dev/accel/accel*
chmod 1777 /tmp
for tool in aipu-gen aipu-bench; do
	ok "$tool: first card" exits 0 $tool 0
	ok "$tool: second card" exits 0 $tool accel1
	ok "$tool: no third one" exits 3 $tool 2 "no such device"
	rm -f /tmp/out /tmp/err
	ok "$tool: no permission" ordinary 4 $tool 0 "no permission"
	rm -f /tmp/out /tmp/err
done
rmmod aipu_accel
echo "1..$count"
