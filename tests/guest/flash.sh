#!/usr/bin/env bash
# guest test: runs scripts/vm
# SPDX-License-Identifier: MIT
# aipu-fw on cards, by the kernel driver: what is flashed runs and outlives the card's power, without an image of the host; who
# may; cards that work; and cards whose power goes at each write to their flash, which all start again. A flash is a file of
# aipu-emu's.
set -u
# shellcheck source=tests/guest/_host.sh
. "$(dirname "$0")/_host.sh"

fw=$BUILD/bin/aipu-fw
# Where a power cut is tried: before the Nth write to flash, and with so many bytes of it done. The writes: the slot is empty, two
# pieces, it is good, it is on trial; then by the boot ROM: a try is taken, it is confirmed.
cuts=(1 1:80 2 2:30000 3 3:20000 4 4:100 5 5:100 6 6:100 7 7:100)

pack()
{
	local name=$1
	shift
	"$fw" pack --key "$SRC/firmware-abi/development.pem" -o "$work/images/$name.fw" "$@"
}

prepare()
{
	mkdir "$work/images" "$work/flash"
	head -c 100000 /dev/urandom >"$work/payload"
	printf 'start: never\n' >"$work/never"
	pack one --payload "$work/payload" --version 1.1.0 && pack two --payload "$work/payload" --version 1.2.0 &&
		pack three --payload "$work/payload" --version 1.3.0 && pack never --payload "$work/never" --version 1.4.0 &&
		pack seven --payload "$work/payload" --version 1.6.0 --rollback 7 &&
		pack board --payload "$work/payload" --version 1.5.0 --board 0x1234 &&
		"$fw" pack -o "$work/images/unsigned.fw" --payload "$work/payload" --version 1.5.0 &&
		cp "$BUILD/firmware/aipu-soft.fw" "$work/images/host.fw" &&
		demo_answers --temperature 0 --max-tokens 40 &&
		python3 "$SRC/tests/tools/_slow_model.py" "$work/model" 64 176 2 5 &&
		cp "$SRC/models/demo/tokenizer.model" "$work/model/" &&
		"$BUILD/bin/aipu-compile" "$work/model" -o "$work/long" --ctx-len 900 --prompt-len 4 &&
		driver_for 6.12
}

# boot PART VM-OPTION...: the part of _flash.sh in a guest; its results become ours
boot()
{
	local part=$1
	shift
	runs --timeout 1500 "$@" "${with_driver[@]}" --file "$work/images" --file "$work/qpc" --file "$work/long" \
		--file "$work/expected" --file "$work/6.12/aipu_accel.ko" --file "$fw" --file "$BUILD/bin/aipu-gen" \
		--file "$BUILD/bin/aipu-fwcheck" --file "$BUILD/bin/aipu-smi" -- \
		sh "$guest/_flash.sh" "$part" "$work/6.12/aipu_accel.ko" "$fw" "$work" "$BUILD/bin/aipu-gen" \
		"$(command -v setpriv)" "$BUILD/bin"
}

part()
{
	local name=$1
	shift
	tap_ok "$name: the guest runs to its end" boot "$@"
	results "$name"
}

# A card for each cut, all flashed alike: slot A runs 1.1.0, slot B holds 1.2.0
cut_cards=()
cut_again=()
for i in "${!cuts[@]}"; do
	cut_again+=(--card "$i:--memory 64M --cores 1 --serial $((i + 1)) --flash $work/flash/cut$i")
	cut_cards+=("${cut_again[@]: -2}" --card "$i:--fault flash-cut@${cuts[i]}")
done
cut_setup()
{
	local i
	for i in "${!cuts[@]}"; do cp "$work/flash/0" "$work/flash/cut$i" || return 1; done
}

# The emulator ended at that write, and at no other
all_cut()
{
	local i count=0
	for i in "${!cuts[@]}"; do
		cmp -s "$work/flash/0" "$work/flash/cut$i" || count=$((count + 1))
	done
	echo "$count of ${#cuts[@]} differ from what they were"
	[ "$count" -eq $((${#cuts[@]} - 1)) ] # but that whose first write was not begun
}

tap_ok "images, a model, the driver" prepare
part "two cards" first --cards 2 --card "--memory 64M" --card "0:--serial 10 --flash $work/flash/0" \
	--card "1:--serial 11 --flash $work/flash/1"
part "their next power-on" second --cards 2 --card "--memory 64M" --card "0:--serial 10 --flash $work/flash/0" \
	--card "1:--serial 11 --flash $work/flash/1"
part "an image left behind" recovery --cards 2 --card "--memory 64M" --card "0:--serial 12 --flash $work/flash/2" \
	--card "1:--fault boot-failure@1"
tap_ok "cards for cuts" cut_setup
part "power cuts" cut --allow-card-death --cards "${#cuts[@]}" "${cut_cards[@]}"
tap_ok "each write but the first left something" all_cut
part "after the cuts" after --cards "${#cuts[@]}" "${cut_again[@]}"
tap_done
