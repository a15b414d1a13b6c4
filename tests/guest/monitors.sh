#!/usr/bin/env bash
# guest test: runs scripts/vm
# SPDX-License-Identifier: MIT
# What standard monitors see of two cards: lm-sensors' program prints each of them with its sensors; fdinfo has the keys that
# DRM's monitors read, and they move while aipu-gen works; the attributes with the names that monitors of NPUs read do too.
# aipu-gen's own figures are those of the software device.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/../tools/_tap.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

prepare()
{
	"$SRC/scripts/kernel" --modules 6.12 "$SRC" "$work/6.12" >"$work/log" 2>&1 &&
		"$BUILD/bin/aipu-compile" "$SRC/models/demo" -o "$work/qpc" >>"$work/log" 2>&1 &&
		"$BUILD/bin/aipu-gen" --device soft --qpc "$work/qpc" --prompt "Once upon a time" --max-tokens 20 --json \
			--show-stats >"$work/json" 2>>"$work/log" || { cat "$work/log"; return 1; }
	bytes=$(sed -n 's/^ *"memory_read_bytes": \([0-9]*\),$/\1/p' "$work/json")
	[ "${bytes:-0}" -gt 0 ] && echo "$bytes" >"$work/bytes" || return 1
	# Of all lanes, as the container says, in whole pages; the same as the running program's
	kv=$("$BUILD/bin/aipu-qpc" show "$work/qpc" --json | /usr/bin/python3 -c 'import json, sys
model = json.load(sys.stdin)["model"]
print(model["kv_slot_bytes"] * model["batch_size"])') &&
		grep -q "\"kv_bytes\": $kv," "$work/json" && echo $(((kv + 4095) / 4096 * 4)) >"$work/kv"
}

# The file is what makes the names of sensors; not every system has it
boots()
{
	local configuration=()
	[ ! -e /etc/sensors3.conf ] || configuration=(--file /etc/sensors3.conf)
	"$SRC/scripts/vm" --cards 2 --module drm_shmem_helper --file "$BUILD/lib/libaipu-drm.so" --file "$work/qpc" \
		--file "$(PATH=$PATH:/usr/sbin command -v sensors)" "${configuration[@]}" --file "$SRC/tests/guest/_ok.sh" -- \
		sh "$SRC/tests/guest/_monitors.sh" "$work/6.12/aipu_accel.ko" "$BUILD/firmware/aipu-soft.fw" \
		"$BUILD/bin/aipu-gen" "$work/qpc" "$(cat "$work/bytes")" "$(cat "$work/kv")" >"$work/out" 2>"$work/err" && return
	echo "exit status $?"
	tail -n 60 "$work/out" "$work/err"
	return 1
}

whole()
{
	tap_whole "$work/out" && return
	cat "$work/out"
	tail -n 40 "$work/err"
	return 1
}

PATH=$PATH:/usr/sbin
if ! command -v sensors >/dev/null; then
	tap_skip monitors "no program sensors: the package lm-sensors"
	tap_done
fi
tap_ok "what it needs" prepare
: >"$work/out"
tap_ok "the guest runs to its end" boots
tap_pass_on "two cards" "$work/out"
tap_ok "all of it" whole
tap_done
