#!/usr/bin/env bash
# guest test: runs scripts/vm
# SPDX-License-Identifier: MIT
# What standard monitors see of two cards: lm-sensors' program prints each of them with its sensors; fdinfo has the keys that
# DRM's monitors read, and they move while aipu-gen works; the attributes with the names that monitors of NPUs read do too.
# aipu-gen's own figures are those of the software device.
set -u
# shellcheck source=tests/guest/_host.sh
. "$(dirname "$0")/_host.sh"

prepare()
{
	driver_for 6.12 && demo_answers --max-tokens 20 --json --show-stats || return
	bytes=$(sed -n 's/^ *"memory_read_bytes": \([0-9]*\),$/\1/p' "$work/expected")
	[ "${bytes:-0}" -gt 0 ] && echo "$bytes" >"$work/bytes" || return 1
	# Of all lanes, as the container says, in whole pages; the same as the running program's
	kv=$("$BUILD/bin/aipu-qpc" show "$work/qpc" --json | /usr/bin/python3 -c 'import json, sys
model = json.load(sys.stdin)["model"]
print(model["kv_slot_bytes"] * model["batch_size"])') &&
		grep -q "\"kv_bytes\": $kv," "$work/expected" && echo $(((kv + 4095) / 4096 * 4)) >"$work/kv"
}

# The file is what makes the names of sensors; not every system has it
boots()
{
	local configuration=()
	[ ! -e /etc/sensors3.conf ] || configuration=(--file /etc/sensors3.conf)
	runs --cards 2 "${with_driver[@]}" --file "$work/qpc" --file "$(PATH=$PATH:/usr/sbin command -v sensors)" \
		"${configuration[@]}" -- sh "$guest/_monitors.sh" "$work/6.12/aipu_accel.ko" "$firmware" "$BUILD/bin/aipu-gen" \
		"$work/qpc" "$(cat "$work/bytes")" "$(cat "$work/kv")"
}

PATH=$PATH:/usr/sbin
if ! command -v sensors >/dev/null; then
	tap_skip monitors "no program sensors: the package lm-sensors"
	tap_done
fi
tap_ok "what it needs" prepare
tap_ok "the guest runs to its end" boots
results "two cards"
tap_done
