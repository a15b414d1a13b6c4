#!/usr/bin/env bash
# guest test: runs scripts/vm
# SPDX-License-Identifier: MIT
# aipu-smi doctor and report in guests: each cause that a guest can have for real keeps a card from being used, doctor names that one
# and no other, and what it says to type mends it. Not here, but with captured machines (tests/tools/doctor.sh): lockdown, a
# signed module, a link that is slower than it could be. tests/tools/report.sh has the other half of report.
set -u
# shellcheck source=tests/guest/_host.sh
. "$(dirname "$0")/_host.sh"

# pack NAME OPTION...
pack()
{
	local name=$1
	shift
	"$BUILD/bin/aipu-fw" pack --default "$@" -o "$work/images/$name.fw"
}

prepare()
{
	local key=$SRC/firmware-abi/development.pem
	mkdir "$work/images"
	made all "$BUILD/tests/guest/without_uring" &&
		cp "$BUILD/firmware/aipu-soft.fw" "$work/images/good.fw" && cp "$work/images/good.fw" "$work/images/spoiled.fw" &&
		printf '\377' | dd of="$work/images/spoiled.fw" bs=1 seek=600 conv=notrunc 2>/dev/null &&
		pack planted --build "by secret.name@secret-domain.example in /srv/secret-path" --key "$key" && pack unsigned && pack other --board 0x1234 --key "$key" &&
		pack old --version 1.0.0 --abi-oldest 0.1 --abi-newest 0.8 --key "$key" &&
		pack new --version 3.0.0 --abi-oldest 2.0 --abi-newest 2.5 --key "$key" &&
		"$BUILD/bin/aipu-compile" "$SRC/models/demo" -o "$work/qpc" &&
		driver_for 6.12 && mv "$work/6.12" "$work/module" || return
	# As if they came from other kernels: without versions of symbols the release counts, else all but it.
	sed 's/vermagic=6\.12\([^ ]*\)\(.*\) modversions/vermagic=6.11\1\2 modversionx/' "$work/module/aipu_accel.ko" >"$work/module/other.ko"
	sed 's/\(vermagic=6\.12[^ ]*\) SMP /\1 UNI /' "$work/module/aipu_accel.ko" >"$work/module/single.ko"
	for ko in other single; do
		[ "$(cmp -l "$work/module/aipu_accel.ko" "$work/module/$ko.ko" | wc -l)" -gt 1 ] || return
	done
	image=$("$SRC/scripts/kernel" 6.12) && stub=$(find "$image" -name 'pci-stub.ko*') && [ -n "$stub" ]
}

# boot OPTION... -- ARGUMENT...: of the script in the guest
boot()
{
	local options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	runs "${options[@]}" --file "$work" "${with_driver[@]}" --file "$BUILD/bin/aipu-smi" --file "$BUILD/bin/aipu-gen" \
		--file setpriv --file install --file "$BUILD/tests/guest/without_uring" -- \
		sh "$guest/_doctor.sh" "$@" "$BUILD" "$work"
}

prepare >"$work/log" 2>&1
tap_ok "images, modules, a model" eval 'cat "$work/log"; [ -n "${stub:-}" ]'
tap_ok "a guest without a card" boot --cards 0 -- none
results "no card"
tap_ok "a guest with cards" boot --cards 7 --card "--memory 64M" --card "0:--serial 0x1234567890abcdef" --card "1:--abi 2.0-2.5" --card "2:--abi 0.1-0.8" \
	--card "3:--memory 1M" --card "4:--fault all-ones@1" \
	--card "5:--fault boot-failure@2 --fault boot-failure@3" --card "6:--cores 1 --fault ambient@1:150" --append pci=nobar --file "$stub" -- "$stub"
results "guest"
tap_done
