#!/usr/bin/env bash
# guest test: runs scripts/vm
# SPDX-License-Identifier: MIT
# The kernel driver and a card that fails: each fault of aipu-emu once (but power-cut: QEMU stands still then), and a driver
# that is unbound, reset and removed while it works: what is said, what survives, and that the next run is right.
# FAULTS_KERNELS: on which kernels; FAULTS_ONLY: a part of the name of a boot.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/../tools/_tap.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

prepare()
{
	"$BUILD/bin/aipu-compile" "$SRC/models/demo" -o "$work/qpc" &&
		"$BUILD/bin/aipu-gen" --qpc "$work/qpc" --prompt "Once upon a time" --temperature 0 --max-tokens 20 \
			>"$work/expected" && [ -s "$work/expected" ]
}

module()
{
	[ -f "$work/$1/aipu_accel.ko" ] || "$SRC/scripts/kernel" --modules "$1" "$SRC" "$work/$1"
}

# boot KERNEL NAME VM-OPTIONS CASE=CARD-OPTIONS...
boot()
{
	local kernel=$1 vm cards=() cases=() one
	read -ra vm <<<"$3"
	shift 3
	for one in "$@"; do
		cards+=("--card" "${#cases[@]}:--memory 64M ${one#*=}")
		cases+=("${one%%=*}")
	done
	"$SRC/scripts/vm" --kernel "$kernel" "${vm[@]}" --timeout 900 --cards "${#cases[@]}" "${cards[@]}" \
		--module drm --module drm_shmem_helper --file "$work" --file "$BUILD/firmware/aipu-soft.fw" \
		--file "$BUILD/bin/aipu-gen" --file "$BUILD/lib/libaipu-drm.so" \
		--file "$BUILD/tests/guest/overdue" -- \
		sh "$SRC/tests/guest/_faults.sh" "$work/$kernel/aipu_accel.ko" "$BUILD/firmware/aipu-soft.fw" \
		"$BUILD/bin/aipu-gen" "$BUILD/tests/guest/overdue" "$work/qpc" "$work/expected" "${cases[@]}" >"$work/out" 2>"$work/err" && return
	echo "exit status $?"
	tail -n 60 "$work/err"
	return 1
}

complete()
{
	tail -n 5 "$work/out"
	tap_whole "$work/out"
}

# on KERNEL NAME VM-OPTIONS CASE=CARD-OPTIONS...
on()
{
	[[ $2 == *${FAULTS_ONLY-}* ]] || return 0
	: >"$work/out"
	tap_ok "$1, $2: runs" boot "$@"
	tap_pass_on "$1, $2" "$work/out"
	tap_ok "$1, $2: came to its end" complete
}

# QEMU takes the card out when the guest asks for it.
take_out()
{
	local tries=0
	until grep -q "^# take it out" "$work/out" || [ $((tries += 1)) -gt 1200 ]; do
		sleep 0.5
	done
	/usr/bin/python3 - "$work/qmp" <<'PY'
import json
import socket
import sys

with socket.socket(socket.AF_UNIX) as qmp:
    qmp.connect(sys.argv[1])
    file = qmp.makefile("rw")
    file.readline()
    for command in ({"execute": "qmp_capabilities"},
                    {"execute": "device_del", "arguments": {"id": "aipu0"}}):
        file.write(json.dumps(command) + "\n")
        file.flush()
        print(file.readline())
PY
}

# unplug KERNEL: without MSI-X, whose removal ends QEMU
unplug()
{
	local helper
	[[ "hot-unplug" == *${FAULTS_ONLY-}* ]] || return 0
	: >"$work/out"
	take_out >"$work/qmp.log" 2>&1 &
	helper=$!
	on "$1" "hot-unplug" "--allow-card-death --qmp $work/qmp" "unplugged=--msi"
	wait "$helper"
}

# Jobs of a run on a fresh card: 1 to 7 clear and copy, 8 reads the prompt, 9 generates.
# remove_rescan: the kernel must be allowed to put the window back where the machine's firmware had it.
all()
{
	on "$1" "jobs" "" "hang=--fault hang@9" "slow=--fault slow-job@8:4000" \
		"lost=--fault lost-interrupt@2 --fault lost-interrupt@20 --fault lost-interrupt@45" \
		"storm=--fault interrupt-storm@8:20000" "bad_id=--fault bad-completion@9:0" \
		"bad_head=--fault bad-completion@4:1" "bad_status=--fault bad-completion@9:2" "fatal=--fault fatal-error@8"
	on "$1" "commands" "" "reply_status=--fault corrupt-reply@9:0" "reply_id=--fault corrupt-reply@9:1" \
		"reply_head=--fault corrupt-reply@9:2" "gone=--fault all-ones@100" "slow_boot=--fault slow-boot@1:4000" \
		"boot_failure=--fault boot-failure@1" "boot_later=--fault boot-failure@2" "both=--fault hang@9"
	on "$1" "at work" "--append pci=no_e820" "killed=" "overdue=--fault slow-job@1:4500" \
		"overdue_long=--fault slow-job@1:100000" "busy="
	unplug "$1"
}

tap_ok "what aipu-gen answers" prepare
for kernel in ${FAULTS_KERNELS:-6.12 debug}; do
	tap_ok "$kernel: the module" module "$kernel"
	all "$kernel"
done
tap_done
