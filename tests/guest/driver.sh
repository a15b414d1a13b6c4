#!/usr/bin/env bash
# guest test: runs scripts/vm
# SPDX-License-Identifier: MIT
# The kernel driver in guests: it is built for their kernels, binds to a card, and aipu-gen answers through it what it
# answers on the software device, by io_uring and by ioctls alone, on two cards, with and without an IOMMU.
set -u
# shellcheck source=tests/guest/_host.sh
. "$(dirname "$0")/_host.sh"

sampling="--temperature 0.8 --seed 1 --max-tokens 60"

prepare()
{
	demo_answers $sampling && [ "$(wc -c <"$work/expected")" -gt 100 ]
}

# The four transcripts of a model that others made, where it is there
transcripts()
{
	local model=${AIPU_TEST_MODELS:-$SRC/../shared/models}/stories260K i text
	"$BUILD/bin/aipu-compile" "$model/stories260K.bin" --tokenizer "$model/tok512.model" --precision fp32 \
		-o "$work/stories" >/dev/null || return 1
	for i in 1 2 3 4; do
		text=$(cat "$model/prompt$i.txt")
		cp "$model/prompt$i.txt" "$work/prompt$i"
		"$BUILD/bin/aipu-gen" --device soft --qpc "$work/stories" --prompt "$text" --temperature 0 \
			--max-tokens 64 >"$work/story$i" || return 1
	done
}

# boot KERNEL VM-OPTION...
boot()
{
	local kernel=$1
	shift
	[ -e "$work/$kernel/aipu_accel.ko" ] || driver_for "$kernel" || return
	runs --kernel "$kernel" "$@" "${with_driver[@]}" --file "$BUILD/bin/aipu-gen" --file "$firmware" --file "$work" -- \
		sh "$guest/_driver.sh" "$work/$kernel/aipu_accel.ko" "$firmware" "$BUILD/bin/aipu-gen" "$work" $sampling
}

# on NAME KERNEL CARDS VM-OPTION...
on()
{
	local name=$1 kernel=$2 cards=$3 i
	shift 3
	tap_ok "$name: loads, generates, unloads" boot "$kernel" --cards "$cards" "$@"
	tap_ok "$name: no firmware is an error that names the file" said "no firmware: named"
	for ((i = 0; i < cards; i++)); do
		tap_ok "$name: card $i by index, io_uring" said "card $i uring: same"
		tap_ok "$name: card $i by PCI address, ioctls" said "card $i ioctl: same"
	done
	for f in "$work"/story?; do
		[ ! -e "$f" ] || tap_ok "$name: stories260K, ${f##*/}" said "${f##*/}: same"
	done
	tap_ok "$name: three rounds of bind and unbind" said "rounds: 3"
}

tap_ok "what the software device answers" prepare
if [ -d "${AIPU_TEST_MODELS:-$SRC/../shared/models}/stories260K" ]; then
	tap_ok "the transcripts" transcripts
else
	tap_skip "the transcripts" "no stories260K in AIPU_TEST_MODELS"
fi
[ $# -eq 0 ] || {
	on "$*" "$@"
	tap_done
}
# As in the README: nothing but the command. Its stdout is a serial line, so the text ends with a line break.
plainly()
{
	runs --driver -- "$BUILD/bin/aipu-gen" --device 0 --qpc "$work/qpc" --prompt "Once upon a time" $sampling &&
		[ "$(cat "$work/out")" = "$(cat "$work/expected")" ] && return
	cat "$work/out" "$work/err"
	return 1
}
tap_ok "scripts/vm --driver -- aipu-gen" plainly
on "6.12, two cards" 6.12 2
on "6.12, intel IOMMU" 6.12 1 --iommu=intel
on "6.12, virtio IOMMU, lazy" 6.12 1 --iommu=virtio --append iommu.strict=0
on "new" new 1
on "debug" debug 1
tap_done
