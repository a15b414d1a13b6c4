#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The contract's tests as the maker of a device meets them: devices of other shapes pass, what cannot be tested ends at once with
# the reason, and a way to a device is a file more. docs/conformance.md.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
test=$BUILD/tests/abi/aipu-abi-test-emu
fw=$BUILD/firmware/aipu-soft.fw
key=$SRC/firmware-abi/development.pem

# on "OPTIONS OF AIPU-EMU" [ARGUMENT...]: the result is the tests' exit status, their output is in $work/out
on()
{
	local status=0
	AIPU_EMU_OPTIONS=$1 "$test" "${@:2}" </dev/null >"$work/out" 2>"$work/err" || status=$?
	cat "$work/out" "$work/err"
	return "$status"
}

# passes "OPTIONS" [ARGUMENT...]: all of them ran, and none failed
passes()
{
	on "$@" && tap_whole "$work/out" && [ "$(grep -c '^ok ' "$work/out")" -ge 50 ]
}

# bails STATUS TEXT "OPTIONS" [ARGUMENT...]: the last line says why, and there is no plan
bails()
{
	local status=0
	on "${@:3}" || status=$?
	[ "$status" -eq "$1" ] && tail -n 1 "$work/out" | grep '^Bail out! ' | grep -qF -- "$2" &&
		! grep -q '^1\.\.' "$work/out"
}

skips_rollback()
{
	passes "--unsigned --rollback 0" && [ "$(grep -c '# SKIP ROLLBACK is 0' "$work/out")" -eq 1 ] &&
		grep '# SKIP' "$work/out" | grep -q 'image.rollback'
}

help()
{
	"$test" --help >"$work/out" && grep -q '^usage: aipu-abi-test' "$work/out" && grep -q -- '--key' "$work/out" &&
		! "$test" --help >/dev/full
}

# An image of so many bytes of payload
image()
{
	head -c "$1" /dev/zero >"$work/payload" &&
		"$BUILD/bin/aipu-fw" pack --payload "$work/payload" --version 1.0.0 -o "$work/$1.fw"
}

# Firmware in flash, as aipu-fw flash leaves it
flash()
{
	"$BUILD/bin/aipu-fw" pack --default --version 0.9.7 --key "$key" -o "$work/flash.fw" &&
		XDG_STATE_HOME=$work "$BUILD/bin/aipu-fw" flash "$work/flash.fw" --device soft &&
		mv "$work/aipu/soft.flash" "$work/flash"
}

in_flash()
{
	passes "--flash $work/flash" "$fw" --key "$key" && grep -q '^# .* RECOVERY$' "$work/out"
}

tap_ok "--help says what to give" help
tap_ok "one interrupt vector" passes "--unsigned --vectors 1"
tap_ok "no shadow doorbells, messages in place of MSI-X" passes "--unsigned --no-shadow --msi"
tap_ok "many queues, other limits" passes "--unsigned --queues 1022 --vectors 2048 --cores 1"
tap_ok "an even anti-rollback counter" passes "--unsigned --rollback 2"
tap_ok "none: no image can be below it" skips_rollback
tap_ok "a device that takes signed images alone" passes "" "$fw" --key "$key"
tap_ok "an image in flash" flash
tap_ok "a device that starts it" in_flash
tap_ok "a large image" image 700000
tap_ok "it is loaded whole" passes "--unsigned" "$work/700000.fw"

openssl genpkey -algorithm ed25519 -out "$work/other.pem" 2>/dev/null
tap_ok "no key, and one is wanted" bails 1 "--key KEY signs them" "" "$fw"
tap_ok "another key" bails 1 "images that this key signed" "" "$fw" --key "$work/other.pem"
tap_ok "no key in the file" bails 1 "not an Ed25519 private key" "" "$fw" --key "$SRC/README.md"
tap_ok "no image" bails 1 "no firmware image" "--unsigned" "$SRC/README.md"
tap_ok "no file" bails 1 "$work/none: No such file" "--unsigned" "$work/none"
tap_ok "an image that is too large" image 800000
tap_ok "it is not cut short" bails 1 "has more than 720896 bytes" "--unsigned" "$work/800000.fw"
tap_ok "an image for another contract version" bails 1 "does not start the image" "--unsigned --abi 2.0-2.1"
tap_ok "an unknown option" bails 2 "--bogus" "--unsigned" --bogus
tap_ok "too few queues" bails 1 "MAX_QUEUES of 4" "--unsigned --queues 3"
tap_ok "too little device memory" bails 1 "48 MiB of device memory" "--unsigned --memory 32M"
tap_ok "a device that goes away" bails 1 "it is gone" "--unsigned --fault all-ones@40"
tap_ok "a device that hangs" bails 1 "it does not answer" "--unsigned --fault hang@5"
tap_done
