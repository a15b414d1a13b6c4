#!/usr/bin/env bash
# guest test: runs scripts/vm
# SPDX-License-Identifier: MIT
# Versions of the contract at bring-up: no firmware, refused, too old, too new are told apart, each naming what both sides speak;
# wider ranges work, and a card that runs firmware already needs no file. One boot with a card for each boot ROM.
set -u
# shellcheck source=tests/guest/_host.sh
. "$(dirname "$0")/_host.sh"

# The only version that this build speaks, as "1.0"
version=$("$BUILD/bin/aipu-fw" inspect --json "$BUILD/firmware/aipu-soft.fw" | sed -n 's/.*"contract_newest": "\([0-9.]*\)".*/\1/p')
wide=${version%.*}.$((${version#*.} + 9))

# pack NAME OPTION...
pack()
{
	local name=$1
	shift
	"$BUILD/bin/aipu-fw" pack --default "$@" --key "$SRC/firmware-abi/development.pem" -o "$work/images/$name.fw"
}

prepare()
{
	mkdir "$work/images"
	echo "not firmware" >"$work/images/text.fw"
	cp "$BUILD/firmware/aipu-soft.fw" "$work/images/good.fw"
	cp "$work/images/good.fw" "$work/images/spoiled.fw"
	printf '\377' | dd of="$work/images/spoiled.fw" bs=1 seek=100 conv=notrunc 2>/dev/null
	pack old --version 1.0.0 --abi-oldest 0.1 --abi-newest 0.8 &&
		pack new --version 3.0.0 --abi-oldest 2.0 --abi-newest 2.5 &&
		pack wide --abi-oldest "$version" --abi-newest "$wide" &&
		"$BUILD/bin/aipu-fw" pack --default --rollback 1 -o "$work/images/rollback.fw" &&
		driver_for 6.12
}

boot()
{
	VERSION=$version runs --cards 5 --card "--memory 64M" --card "1:--abi 2.0-2.5" \
		--card "2:--abi 0.1-0.8" --card "3:--abi $version-$wide" --card "4:--queues 4 --vectors 8 --rollback 1 --unsigned" \
		--env VERSION "${with_driver[@]}" --file "$work" -- \
		sh "$guest/_versions.sh" "$work/6.12/aipu_accel.ko" "$work/images" "$BUILD/tests/abi/aipu-abi-test-sysfs"
}

tap_ok "images and module" prepare
tap_ok "the guest runs to its end" boot
results "$version"
tap_done
