#!/usr/bin/env bash
# guest test: runs scripts/vm
# SPDX-License-Identifier: MIT
# aipu-fwcheck on cards. Drivers of several versions with firmware of several versions, on two boot ROMs: before the driver tries a
# card it says whether it will take it, and afterwards whether a model loads. Then no card, one, two, no driver, no permission, cards
# that do not answer, slots in flash. One boot.
set -u
# shellcheck source=tests/guest/_host.sh
. "$(dirname "$0")/_host.sh"

# Cards, in the order of their addresses
cards=(
	"--serial 0xa1 --abi 0.1-4.0"
	"--serial 0xa2"
	"--serial 0xA3 --flash $work/card.flash"
	"--serial 0xa4 --fault all-ones@3"
	"--serial 165 --fault all-ones@200"
)

# driver NAME FLAGS [SED-SCRIPT]: a driver that was built so; the script changes its user API
driver()
{
	local tree=$work/$1-source
	mkdir "$tree" && tar -C "$SRC" -c --exclude='*.o' --exclude='*.ko' --exclude='*.cmd' --exclude='*.mod' --exclude='*.mod.c' \
		Kbuild kernel firmware-abi | tar -C "$tree" -x || return
	echo "ccflags-y += $2" >>"$tree/Kbuild"
	[ $# -eq 2 ] || sed -i "$3" "$tree/kernel/include/uapi/drm/aipu_accel.h"
	"$SRC/scripts/kernel" --modules 6.12 "$tree" "$work/modules/$1" >"$work/log" 2>&1 && return
	cat "$work/log"
	return 1
}

drivers()
{
	mkdir "$work/modules" && driver old -DAIPU_ABI_CURRENT=0x10000u && driver new -DAIPU_ABI_CURRENT=0x10001u &&
		driver newest "-DAIPU_ABI_OLDEST=0x10001u -DAIPU_ABI_CURRENT=0x10002u" &&
		driver other -DAIPU_ABI_CURRENT=0x10000u 's/\(AIPU_DRIVER_VERSION_MAJOR\) 1/\1 2/' &&
		driver older -DAIPU_ABI_CURRENT=0x10000u \
			's/\(AIPU_DRIVER_VERSION_MINOR\) 2/\1 1/; s/\(define DRM_AIPU_\(FEATURE_KV_BUFFER\|BUFFER_KV\)\) (1.*)/\1 0u/'
}

# pack NAME OLDEST NEWEST [OPTION...]
pack()
{
	"$BUILD/bin/aipu-fw" pack --default --abi-oldest "$2" --abi-newest "$3" "${@:4}" \
		--key "$SRC/firmware-abi/development.pem" -o "$work/images/$1.fw"
}

images()
{
	mkdir "$work/images" && pack 0.1-0.8 0.1 0.8 && pack 1.0 1.0 1.0 && pack 1.0-1.1 1.0 1.1 && pack 1.1-1.2 1.1 1.2 &&
		pack 2.0-2.1 2.0 2.1 && pack flashed 1.0 1.0 --version 0.8.1 --build flashed &&
		pack next 1.0 1.1 --version 0.8.2 --build next &&
		"$BUILD/bin/aipu-compile" "$SRC/models/demo" -o "$work/qpc" >/dev/null 2>&1
}

# The software device's flash is a file of the same form as a card's
flash()
{
	export XDG_STATE_HOME=$work/state
	"$BUILD/bin/aipu-fw" flash "$work/images/flashed.fw" --device soft --slot a --force &&
		"$BUILD/bin/aipu-fwcheck" --device soft | grep 'firmware *0.8.1 .*from slot A' &&
		cp "$work/state/aipu/soft.flash" "$work/card.flash"
}

boot()
{
	local options=() i
	for i in "${!cards[@]}"; do options+=(--card "$i:--memory 64M --cores 1 ${cards[i]}"); done
	runs --timeout 1500 --cards "${#cards[@]}" "${options[@]}" "${with_driver[@]}" --file "$work/modules" \
		--file "$work/images" --file "$work/qpc" --file "$BUILD/bin/aipu-gen" --file "$BUILD/lib/libaipu-soft.so" \
		--file "$(command -v setpriv)" -- \
		sh "$guest/_fwcheck.sh" "$work" "$BUILD/bin/aipu-fwcheck" "$BUILD/bin/aipu-gen" "$(command -v setpriv)"
}

tap_ok "drivers of five versions" drivers
tap_ok "images and a model" images
tap_ok "a flash with an image" flash
tap_ok "the guest runs to its end" boot
results guest
tap_done
