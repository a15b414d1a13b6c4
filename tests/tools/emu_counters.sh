#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What a generation costs on the card of aipu-emu, by the counters of its DMA and register layer: a record for each token, and
# nothing else that grows with their number; no doorbell, no submission, no logits, no keys and values.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"
# shellcheck source=tests/guest/_tokens.sh
. "$SRC/tests/guest/_tokens.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# generates TOKENS: so many come, and the counters are in $work/TOKENS
generates()
{
	local rest
	rest=$(cut -d' ' -f4- "$work/greedy.arguments")
	# shellcheck disable=SC2086
	AIPU_EMU_TRACE=$work/trace "$BUILD/tests/guest/generate-emu" "$work/rollback.fw" "$work/qpc/model.qpc" \
		0 1 "$1" $rest >"$work/out" || return 1
	grep -o '[a-z_]*=[0-9]*' <<<"$(tail -n 1 "$work/trace")" >"$work/$1"
	[ "$(wc -w <"$work/out")" -eq "$1" ]
}

# counter TOKENS NAME
counter()
{
	sed -n "s/^$2=//p" "$work/$1"
}

# grows NAME MIN [MAX]: from 10 tokens to 40
grows()
{
	local from to
	from=$(counter 10 "$1")
	to=$(counter 40 "$1")
	echo "$1: from $from to $to"
	[ -n "$from" ] && [ $((to - from)) -ge "$2" ] && [ $((to - from)) -le "${3:-$2}" ]
}

tap_ok "the demo model" tokens_prepare "$work"
"$BUILD/bin/aipu-fw" pack --default --rollback 1 -o "$work/rollback.fw" >/dev/null
tap_ok "10 tokens" generates 10
tap_ok "40 tokens" generates 40
tap_ok "a record for each" test "$(counter 10 records)-$(counter 40 records)" = 10-40
tap_ok "no more doorbells" grows doorbells 0
# One for each time that the ring of 16 was full and is so no longer
tap_ok "nor of the other kind, but for a ring that was full" grows head_doorbells 0 3
tap_ok "no more submissions" grows entries 0
tap_ok "no more completions" grows completions 0
# 32 bytes of the record and 4 of the producer index; 4 more each time the ring is full, and is so no longer
tap_ok "36 to 44 bytes to the host for each" grows bytes_to_host $((30 * 36)) $((30 * 44))
tap_ok "no DMA was refused" test "$(counter 40 dma_refused)" = 0
tap_done
