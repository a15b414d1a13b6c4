#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The tokens of tests/guest/generate.c, which knows nothing but the contract, are those of aipu-gen: on the software
# device, and on the card of aipu-emu by its socket. tests/guest/abi.sh does the same in a virtual machine.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"
# shellcheck source=tests/guest/_tokens.sh
. "$SRC/tests/guest/_tokens.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# same PROGRAM CASE FIRMWARE
same()
{
	local want
	want=$(cat "$work/$2.tokens") || return 1
	# The words of .arguments are meant to be split.
	# shellcheck disable=SC2046
	"$1" "$3" "$work/qpc/model.qpc" $(cat "$work/$2.arguments") >"$work/out" || return 1
	[ "$(cat "$work/out")" = "$want" ] && return
	echo "expected: $want"
	echo "got:      $(cat "$work/out")"
	return 1
}

other_seed()
{
	sed 's/ 7 / 8 /' "$work/drawn.arguments" >"$work/other.arguments"
	cp "$work/drawn.tokens" "$work/other.tokens"
	! same "$@" >"$work/log" && grep -q '^got: *[0-9]' "$work/log"
}

# One line, status 1, nothing on stdout
damaged()
{
	local status=0
	head -c 600 "$3" >"$work/damaged.fw"
	# shellcheck disable=SC2046
	"$1" "$work/damaged.fw" "$work/qpc/model.qpc" $(cat "$work/greedy.arguments") >"$work/out" 2>"$work/err" || status=$?
	cat "$work/err"
	[ "$status" -eq 1 ] && [ ! -s "$work/out" ] && [ "$(grep -c . "$work/err")" -eq 1 ] &&
		grep -q 'refused by the boot ROM: ERROR' "$work/err"
}

# runs NAME PROGRAM FIRMWARE
runs()
{
	tap_ok "$1: greedy" same "$2" greedy "$3"
	tap_ok "$1: drawn" same "$2" drawn "$3"
	tap_ok "$1: a prompt of several prefill steps, to the stop id" same "$2" long "$3"
	tap_ok "$1: another seed is another answer" other_seed "$2" other "$3"
	tap_ok "$1: an image that is cut short is refused" damaged "$2" - "$3"
}

tap_ok "what aipu-gen answers" tokens_prepare "$work"
# Both are set up for the contract's tests, which need a card that refuses images of rollback counter 0.
"$BUILD/bin/aipu-fw" pack --default --rollback 1 -o "$work/rollback.fw" >/dev/null
runs "software device" "$BUILD/tests/guest/generate" "$work/rollback.fw"
if [ -f "$SRC/tests/abi/access_emu.c" ]; then
	runs "aipu-emu" "$BUILD/tests/guest/generate-emu" "$work/rollback.fw"
fi
tap_done
