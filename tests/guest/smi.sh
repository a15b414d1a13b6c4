#!/usr/bin/env bash
# guest test: runs scripts/vm, for minutes
# SPDX-License-Identifier: MIT
# aipu-smi on cards behind the kernel driver: none, several, one of them dead, no driver, an ordinary user; who uses a card, resets
# beside a running job, limits, events. SMI_KERNELS: on which kernels.
set -u
# shellcheck source=tests/guest/_host.sh
. "$(dirname "$0")/_host.sh"

# Cards, in the order of their addresses. A run on a fresh card has some nine jobs: most clear memory and load the model.
cards=(
	"--serial 171 --flash FLASH"
	"--serial 172 --fault slow-job@9:75000"
	"--serial 173 --fault slow-job@9:60000"
	"--serial 174 --fault all-ones@2000"
	"--serial 175 --fault memory-error@3 --fault ambient@8:120"
	"--serial 176 --fault boot-failure@2 --fault boot-failure@3"
)

prepare()
{
	demo_answers --temperature 0 --max-tokens 20 || return
	# Of all lanes, in whole pages
	"$BUILD/bin/aipu-qpc" show "$work/qpc" --json | /usr/bin/python3 -c 'import json, sys
model = json.load(sys.stdin)["model"]
print((model["kv_slot_bytes"] * model["batch_size"] + 4095) // 4096 * 4096)' >"$work/kv"
}

# Nothing but the command. Its streams are serial lines, so a text ends with a line break.
none()
{
	local rc=0
	"$SRC/scripts/vm" --cards 0 -- "$BUILD/bin/aipu-smi" >"$work/out" 2>"$work/err" || rc=$?
	cat "$work/out" "$work/err"
	[ "$rc" -eq 3 ] && [ ! -s "$work/out" ] && grep -q '^aipu-smi: no card: .*aipu-smi doctor' "$work/err"
}

one()
{
	runs --driver -- "$BUILD/bin/aipu-smi" --csv index,state,firmware_version --no-header &&
		grep -q '^0,ready,[0-9]' "$work/out" && [ "$(wc -l <"$work/out")" -eq 1 ] && return
	cat "$work/out" "$work/err"
	return 1
}

# boot KERNEL
boot()
{
	local kernel=$1 options=() i
	for i in "${!cards[@]}"; do
		options+=("--card" "$i:--memory 64M --cores 1 ${cards[i]/FLASH/$work/flash}")
	done
	driver_for "$kernel" &&
		runs --kernel "$kernel" --timeout 1200 --cards "${#cards[@]}" "${options[@]}" "${with_driver[@]}" \
			--file "$work/qpc" --file "$work/expected" -- \
			sh "$guest/_smi.sh" "$work/$kernel/aipu_accel.ko" "$firmware" "$BUILD/bin/aipu-gen" "$BUILD/bin/aipu-smi" \
			"$(command -v setpriv)" "$work" "$(cat "$work/kv")"
}

tap_ok "no card" none
tap_ok "one card, as in the README" one
tap_ok "a model and what aipu-gen answers" prepare
for kernel in ${SMI_KERNELS:-6.12 debug}; do
	tap_ok "$kernel: runs" boot "$kernel"
	results "$kernel"
done
tap_done
