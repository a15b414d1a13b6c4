#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in a guest, for tests/guest/versions.sh: _versions.sh MODULE IMAGES ABI-TEST; IMAGES is a directory with the
# firmware images, ABI-TEST boots a card without the driver. The cards in the order of their PCI addresses are those that versions.sh asked for. TAP on stdout.
# shellcheck source=tests/guest/_guest.sh
. "${0%/*}/_guest.sh"
module=$1 images=$2 abi=$3
driver=/sys/bus/pci/drivers/aipu_accel
image=/lib/firmware/aipu/534f4654.fw

# attempt IMAGE: the driver tries the next card, or the same again, with this image (none: there is no file); what it says goes
# to /tmp/said
attempt()
{
	rm -f "$image"
	[ "$1" = none ] || cp "$images/$1.fw" "$image"
	dmesg -c >/dev/null
	echo "$card" >$driver/bind
	dmesg | grep "$card" >/tmp/said
}

# fails IMAGE TEXT...: the card is not bound, and one line of the kernel's has all of the texts
fails()
{
	attempt "$1"
	shift
	cat /tmp/said
	! bound || return 1
	cp /tmp/said /tmp/left
	for text; do
		grep -F -- "$text" /tmp/left >/tmp/right
		mv /tmp/right /tmp/left
	done
	[ "$(grep -c . /tmp/left)" -eq 1 ]
}

# works IMAGE: bound, with this driver's newest version
works()
{
	attempt "$1"
	cat /tmp/said
	bound && grep -q "contract $VERSION," /tmp/said
}

release()
{
	echo "$card" >$driver/unbind && ! bound
}

# As if it had just been switched on
power_on()
{
	release
	echo 1 >"/sys/bus/pci/devices/$card/reset"
}

# shellcheck disable=SC2046
set -- $(cards_of)
echo 0 >/sys/bus/pci/drivers_autoprobe
mkdir -p /lib/firmware/aipu
insmod "$module" || exit 1
ours="this driver from $VERSION to $VERSION"
rom="the boot ROM speaks the contract from $VERSION to $VERSION, $ours"

card=$1
ok "no firmware" fails none "runs no firmware" "/lib/firmware/aipu/534f4654.fw" "install an image for this board" "$rom"
ok "not an image" fails text "the card refused firmware aipu/534f4654.fw: " "shorter than its header says" "$rom"
ok "a spoiled image" fails spoiled "does not have its digest" "for the contract from $VERSION to $VERSION, $rom"
ok "an image that is too new for the boot ROM" fails new "the firmware speaks no contract version of the boot ROM" \
	"image 3.0.0 is for the contract from 2.0 to 2.5, $rom"
ok "an image that is too old for the boot ROM" fails old "the firmware speaks no contract version of the boot ROM" \
	"image 1.0.0 is for the contract from 0.1 to 0.8, $rom"
ok "an image for more than the boot ROM speaks" works wide
power_on
ok "after a reset it needs an image again" fails none "runs no firmware"
ok "the image of this build" works good
release

card=$2
ok "firmware that is too new" fails new "firmware 3.0.0: it speaks the contract from 2.0 to 2.5, $ours" \
	"the firmware is too new, install a newer driver"

card=$3
ok "firmware that is too old" fails old "firmware 1.0.0: it speaks the contract from 0.1 to 0.8, $ours" \
	"the firmware is too old, install a newer one"

card=$4
ok "boot ROM and firmware that speak newer versions too" works wide
power_on
ok "firmware of one version on a boot ROM of many" works good

# What another program started, and left enabled
card=$5
ok "another program boots the card" sh -c "AIPU_PCI=$card $abi $images/rollback.fw >/tmp/abi"
ok "a card that runs firmware needs no file" works none

ok "unload" rmmod aipu_accel
echo "1..$count"
