#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in a guest, for tests/guest/fwcheck.sh, which says what is the matter with each card: _fwcheck.sh WORK AIPU-FWCHECK AIPU-GEN
# SETPRIV; WORK has modules/NAME, images/NAME.fw and qpc. TAP on stdout.
# shellcheck source=tests/guest/_guest.sh
. "${0%/*}/_guest.sh"
work=$1 check=$2 gen=$3 setpriv=$4
bus=/sys/bus/pci
driver=$bus/drivers/aipu_accel
image=/lib/firmware/aipu/534f4654.fw

# says STATUS TEXT... -- ARGUMENT...: of aipu-fwcheck, all of the texts
says()
{
	want=$1 got=0
	shift
	: >/tmp/texts
	while [ "$1" != -- ]; do
		printf '%s\n' "$1" >>/tmp/texts
		shift
	done
	shift
	$as "$check" "$@" >/tmp/said 2>&1 || got=$?
	cat /tmp/said
	echo "exit status $got, expected $want; texts expected:"
	cat /tmp/texts
	[ "$got" -eq "$want" ] || return 1
	while IFS= read -r text; do grep -qF -- "$text" /tmp/said || return 1; done </tmp/texts
}
as=

bind()
{
	echo "$card" >$driver/bind 2>/dev/null
	bound
}

unbind()
{
	! bound || echo "$card" >$driver/unbind
}

# As if it had just been switched on
power_on()
{
	unbind && echo 1 >"$bus/devices/$card/reset"
}

# --- versions ---------------------------------------------------------------------------------------

# upgrades CHECK...: the verdicts in /tmp/said that ask for an upgrade are of these
upgrades()
{
	grep -q "^  upgrade *\($1\): " /tmp/said
}

# judged: aipu-fwcheck's exit status, what it said in /tmp/said
judged()
{
	rc=0
	"$check" -i "$card" "$@" >/tmp/said 2>&1 || rc=$?
	cat /tmp/said
	echo "aipu-fwcheck: $rc"
}

# taken: what was foreseen is what the driver did, and a model loads where it was said to
taken()
{
	! $refused || { echo "the driver took it"; return 1; }
	judged --qpc "$work/qpc"
	loads=0
	"$gen" --device "$card" --qpc "$work/qpc" --prompt "Once" --temperature 0 --max-tokens 1 2>&1 || loads=$?
	echo "aipu-gen: $loads"
	if [ $loads -eq 0 ]; then
		works=$((works + 1))
		[ $rc -eq 0 ] && ! upgrades '.*'
	else
		[ $rc -eq 1 ] && ! upgrades 'image\|firmware and driver' && upgrades '.*'
	fi
}

# cell IMAGE: on $card, with the driver that is loaded
cell()
{
	power_on
	cp "$work/images/$1.fw" $image
	judged
	refused=false
	! upgrades 'image\|firmware and driver' || refused=true
	# 5: it was bound before, with another image
	[ $rc -eq 1 ] || [ $rc -eq 5 ] || [ $rc -eq 6 ] || return 1
	if bind; then
		taken
		return
	fi
	$refused || { dmesg | tail -n 5; echo "the driver did not take it"; return 1; }
	judged
	[ $rc -eq 1 ] && upgrades 'image\|firmware and driver'
}

# cells WORKING: all images on both boot ROMs; so many work to the end
cells()
{
	works=0 wrong=0
	for card in "$wide" "$narrow"; do
		for speaks in 0.1-0.8 1.0 1.0-1.1 1.1-1.2 2.0-2.1; do
			cell $speaks >/tmp/cell 2>&1 && continue
			wrong=$((wrong + 1))
			echo "card $card, firmware $speaks:"
			cat /tmp/cell
		done
		power_on
	done
	echo "$wrong disagree, $works work"
	[ $wrong -eq 0 ] && [ $works -eq "$1" ]
}

# --- cards ------------------------------------------------------------------------------------------

set -- $bus/devices/*
for device; do
	[ "$(cat "$device/vendor" "$device/device" | tr '\n' ' ')" != "0x1af4 0x10f0 " ] || cards="${cards-} ${device##*/}"
done
# shellcheck disable=SC2086
set -- $cards
wide=$1 narrow=$2 flash=$3 dead=$4 dying=$5
all="$1 $2 $3 $4 $5"
echo 0 >$bus/drivers_autoprobe
mkdir -p /lib/firmware/aipu

five()
{
	[ "$("$check" | grep -c '^0000:.*: driver not loaded: ')" -eq 4 ]
}
ok "no driver: all cards, and status 5" says 5 "PCI            1af4:10f0 revision " "subsystem 1af4:0001, driver none" "BAR0  " "BAR2           67108864 bytes at 0x" \
	"driver         not loaded" "$dead: driver not loaded: the card stopped answering" "$narrow: driver not loaded: the driver is not loaded: modprobe aipu_accel" --
ok "but for the one that has gone, which is worse" eval 'five && says 6 "$dead: not answering: its configuration space" --'
ok "no driver: root sees what the registers tell" says 5 "contract 0.1 to 4.0" "serial 00000000000000a1" -- -i "$wide"

# The driver of this build and its kind: 1.0. On the wide boot ROM 1.0 and 1.0-1.1 work, on the narrow one too.
insmod "$work/modules/old/aipu_accel.ko"
ok "the driver says what it speaks" says 1 "driver         user API 1.2, contract 1.0" -- -i "$wide"
ok "driver for 1.0: ten combinations" cells 4
rmmod aipu_accel
# 1.1-1.2 on the wide one is taken, and is too new for this libaipu
insmod "$work/modules/new/aipu_accel.ko"
ok "driver for 1.0 to 1.1: ten combinations" cells 4
rmmod aipu_accel
# On the wide one 1.0-1.1, and 1.1-1.2 for a newer libaipu; the narrow one is too old
insmod "$work/modules/newest/aipu_accel.ko"
ok "driver for 1.1 to 1.2: ten combinations" cells 1
rmmod aipu_accel

# --- the driver's user API --------------------------------------------------------------------------

other_api()
{
	card=$narrow
	cp "$work/images/1.0.fw" $image
	power_on
	bind || return 1
	says 1 "upgrade  driver and libaipu: install a newer libaipu (the driver's user API is 2.2, libaipu's 1.2)" \
		"$narrow: incompatible: /dev/accel/accel0: the driver's user API is 2.2, libaipu " -- -i "$narrow" || return 1
	! "$gen" --device "$narrow" --qpc "$work/qpc" --prompt "Once" --max-tokens 1
}
insmod "$work/modules/other/aipu_accel.ko"
ok "a driver of another major version" other_api
rmmod aipu_accel

# It refuses a flag that it does not know; so libaipu does not give it
older_api()
{
	card=$narrow
	power_on
	bind || return 1
	says 0 "note     driver and libaipu: the driver's user API is 1.1: what came with 1.2 is not offered" \
		"$narrow: compatible" -- -i "$narrow" || return 1
	"$gen" --device "$narrow" --qpc "$work/qpc" --prompt "Once" --max-tokens 1
}
insmod "$work/modules/older/aipu_accel.ko"
ok "an older driver: models run all the same" older_api
rmmod aipu_accel

# --- cards at work ----------------------------------------------------------------------------------

insmod "$work/modules/old/aipu_accel.ko"
works_on()
{
	card=$1
	power_on
	bind
}
cp "$work/images/1.0.fw" $image
ok "two cards work" eval 'works_on "$wide" && works_on "$narrow"'
ok "one card" says 0 "$narrow /dev/accel/accel1, AIPU " "serial 00000000000000a2" "boot ROM       1.0.0, board soft, rollback counter 0" \
	"firmware       0.9.0 (0.9.0 aipu-soft), from the host, contract 1.0, in use 1.0" "slot A         none" \
	"image          $image: 0.9.0 (aipu-soft), board soft, contract 1.0" "driver         user API 1.2, contract 1.0" \
	"$narrow: compatible" -- -i "$narrow" --strict
ok "by its node" says 0 "$narrow /dev/accel/accel1" -- -i accel1
ok "by its serial number" says 0 "$narrow /dev/accel/accel1" -- -i 00000000000000a2
ok "two cards" says 0 "$wide: compatible" "$narrow: compatible" -- -i 0 -i 1
ok "a card that is none" says 3 "7: no such card: there is soft" -- -i 7
cp "$work/images/next.fw" /tmp/next.fw
ok "an image that would not do, asked about before" says 1 \
	"upgrade  firmware and driver: install a newer driver (it speaks 1.0, the firmware needs 2.0)" "$narrow: incompatible" -- \
	-i 1 --firmware "$work/images/2.0-2.1.fw"
ok "an image that is older is no update" says 0 "$narrow: compatible" -- -i 1 --strict --firmware /tmp/next.fw

as="$setpriv --reuid=65534 --regid=65534 --clear-groups"
chmod 600 /dev/accel/accel*
ok "no permission" says 4 "PCI            1af4:10f0" "driver aipu_accel" "$narrow: no permission: /dev/accel/accel1: no permission: be in the group" -- -i 1
chmod 666 /dev/accel/accel1
ok "with permission nothing more is needed" says 0 "$narrow: compatible" -- -i "$narrow"
ok "the worse of two" says 4 "$wide: no permission" "$narrow: compatible" -- -i 0 -i 1
as=
mv /dev/accel/accel1 /tmp/
ok "its node is missing" says 6 "/dev/accel/accel1: the driver has the card, but this node is missing" -- -i 1
mv /tmp/accel1 /dev/accel/

# --- flash ------------------------------------------------------------------------------------------

card=$flash
rm $image
ok "a card with firmware of its own needs no image" works_on "$flash"
ok "its slots" says 0 "firmware       0.8.1 (0.8.1 flashed), from slot A, contract 1.0, in use 1.0" \
	"slot A         confirmed, active: 0.8.1 (flashed), contract 1.0" "slot B         empty" "image          none: there is no $image" \
	"$flash: compatible" -- -i "$flash" --strict
cp "$work/images/next.fw" $image
ok "an image that is newer" says 7 "update   update: $image: firmware 0.8.2 is newer than 0.8.1, which runs" \
	"$flash: compatible, update available" -- -i "$flash" --strict
ok "which is no failure" says 0 "$flash: compatible, update available" -- -i "$flash"

# --- cards that do not answer -----------------------------------------------------------------------

cp "$work/images/1.0.fw" $image
card=$dead
ok "the driver does not take it" eval '! bind'
ok "a card that reads all ones" says 6 "$dead: not answering: its configuration space reads all ones: the card is gone" -- -i "$dead"
ok "one that dies later works at first" works_on "$dying"
use()
{
	"$gen" --device "$dying" --qpc "$work/qpc" --prompt "Once" --temperature 0 --max-tokens 200 >/dev/null 2>&1
	says 6 "$dying: not answering: " -- -i "$dying"
}
ok "then it is gone" until_ok use
ok "the worst of all" says 6 "$narrow: compatible" "$dying: not answering" -- -i "$narrow" -i "$dying"

card=$flash
unbind
as="$setpriv --reuid=65534 --regid=65534 --clear-groups"
ok "unbound, as an ordinary user" says 6 "unknown  firmware and driver: what the firmware speaks is not known" \
	"$flash: not answering: the driver did not take the card: aipu-smi doctor looks for the reason" -- -i "$flash"
as=
ok "as root" says 5 "$flash: not bound: the card was unbound from its driver: echo $flash >/sys/bus/pci/drivers/aipu_accel/bind" "ok       firmware and driver: the firmware speaks 1.0, the driver 1.0" "from slot A" -- -i "$flash"

# --- no card ----------------------------------------------------------------------------------------

for card in $all; do echo 1 >"$bus/devices/$card/remove"; done
ok "no card" says 3 "aipu-fwcheck: no card: no PCI function is an AIPU (1af4:10f0); aipu-smi doctor looks for the reason" --
ok "unload" rmmod aipu_accel
echo "1..$count"
