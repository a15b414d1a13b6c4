#!/usr/bin/env bash
# guest test: runs scripts/vm, for minutes
# SPDX-License-Identifier: MIT
# The kernel driver and a card that fails, is killed, reset, unbound, removed or unplugged while it works, each fault of aipu-emu
# among them, and errors on the bus: what is said, what survives, and that the next run is right. One boot a kernel, a card for
# each case of _faults.sh, all at once.
# FAULTS_GUESTS, FAULTS_CASES: only these, by the first words of their names.
set -u
# shellcheck source=tests/guest/_host.sh
. "$(dirname "$0")/_host.sh"

# CASE=CARD-OPTIONS. A run on a fresh card: jobs 1 to 7 clear and copy, 8 reads the prompt, 9 generates. Hot-unplug is without
# MSI-X, whose removal ends QEMU.
all=(
	"unharmed=--fault slow-boot@1:4000 --fault slow-job@8:3000 --fault lost-interrupt@2 --fault lost-interrupt@20
		--fault interrupt-storm@30:5000 --fault bad-completion@4:1 --fault corrupt-reply@9:2"
	"jobs=--fault hang@9 --fault fatal-error@26 --fault bad-completion@42:0"
	"replies=--fault corrupt-reply@9:0 --fault corrupt-reply@60:1"
	"refused=--fault corrupt-reply@7:3"
	"gone=--fault all-ones@100"
	"power_cut=--fault power-cut@18"
	"boot=--fault boot-failure@1 --fault boot-failure@3"
	"both=--fault hang@9"
	"overdue=--fault slow-job@1:6500"
	"overdue_long=--fault slow-job@1:100000"
	"unplugged=--msi --fault bad-completion@5:2"
	"left="
	"early=--fault event@6 --fault event@10 --fault corrupt-reply@11:1"
	"aer="
	"busy="
)

choose()
{
	local one
	chosen=()
	for one in "${all[@]}"; do
		[[ " ${FAULTS_CASES-${one%%=*}} " != *" ${one%%=*} "* ]] || chosen+=("$one")
	done
}

# boot KERNEL VM-OPTION...
boot()
{
	local kernel=$1 cards=() cases=() one options
	shift
	for one in "${chosen[@]}"; do
		options=${one#*=}
		cards+=("--card" "${#cases[@]}:--memory 64M --cores 1 ${options//[$'\n\t']/ }")
		cases+=("${one%%=*}")
	done
	rm -rf "$work/log" "$work/qmp"
	# No addresses are kept free: the kernel may put the window of a removed card back where the machine's firmware had it.
	runs --kernel "$kernel" "$@" --append pci=no_e820 --timeout 1500 --cards "${#cases[@]}" "${cards[@]}" \
		--allow-card-death --qmp "$work/qmp" --log "$work/log" "${with_driver[@]}" --module '?aer_inject' \
		--file "$work" --file "$firmware" --file "$BUILD/bin/aipu-gen" --file "$BUILD/tests/guest/overdue" -- \
		sh "$guest/_faults.sh" "$work/$kernel/aipu_accel.ko" "$firmware" "$BUILD/bin/aipu-gen" "$BUILD/tests/guest/overdue" \
		"$work/qpc" "$work/expected" "${cases[@]}"
}

# Every fault that was ordered has come: the cards' traces tell.
struck()
{
	local i word bad=0
	for i in "${!chosen[@]}"; do
		for word in ${chosen[i]#*=}; do
			[[ $word != *@* ]] || grep -qx "fault ${word%:*}" "$work/log/card$i.trace" || {
				echo "${chosen[i]%%=*}: no $word"
				bad=1
			}
		done
	done
	return $bad
}

# A letter for each write to COMMAND and CONTROL: Bus Master on or off, RESET, ENABLE
written()
{
	sed -nE 's/.*region-write config 0x4\+2 = 0x...[4-7c-f]\b.*/M/p; s/.*region-write config 0x4\+2 .*/m/p
		s/.*region-write bar0 0xc0\+4 = 0x0*2\b.*/R/p; s/.*region-write bar0 0xc0\+4 = 0x0*1\b.*/E/p' "$1" | tr -d '\n'
}

# A card that was left with Bus Master on may know of memory that is another's now: it reaches none until it was reset.
quiet_first()
{
	local i
	for i in "${!chosen[@]}"; do
		[[ ${chosen[i]} != left=* ]] || written "$work/log/card$i.trace" >"$work/written"
	done
	cat "$work/written"
	grep -q mRME "$work/written" && ! grep -q MR "$work/written"
}

# take_out CARD: QEMU takes it out when the guest asks for it.
take_out()
{
	local tries=0
	until grep -q "^# take it out" "$work/out" || [ $((tries += 1)) -gt 1800 ]; do
		sleep 0.5
	done
	/usr/bin/python3 - "$work/qmp" "aipu$1" <<'PY'
import json
import socket
import sys

with socket.socket(socket.AF_UNIX) as qmp:
    qmp.connect(sys.argv[1])
    file = qmp.makefile("rw")
    file.readline()
    for command in ({"execute": "qmp_capabilities"},
                    {"execute": "device_del", "arguments": {"id": sys.argv[2]}}):
        file.write(json.dumps(command) + "\n")
        file.flush()
        print(file.readline())
PY
}

# on NAME KERNEL VM-OPTION...
on()
{
	local name=$1 kernel=$2 helper="" i
	shift 2
	[[ " ${FAULTS_GUESTS-${name%% *}} " == *" ${name%% *} "* ]] || return 0
	tap_ok "$name: the module" driver_for "$kernel"
	tap_ok "$name: the module that holds it up" "$SRC/scripts/kernel" --modules "$kernel" "$SRC/tests/guest/modules/late" \
		"$work/$kernel/late"
	: >"$work/out"
	for i in "${!chosen[@]}"; do
		[[ ${chosen[i]} != unplugged=* ]] || {
			take_out "$i" >"$work/qmp.log" 2>&1 &
			helper=$!
		}
	done
	tap_ok "$name: runs" boot "$kernel" "$@"
	[ -z "$helper" ] || {
		kill "$helper" 2>/dev/null
		wait "$helper"
	}
	results "$name"
	tap_ok "$name: every fault was met" struck
	[[ " ${chosen[*]}" != *" left="* ]] || tap_ok "$name: a card that was left is reset before Bus Master is on" quiet_first
}

tap_ok "what aipu-gen answers" demo_answers --temperature 0 --max-tokens 20
choose
on "6.12" 6.12
on "intel IOMMU, 6.12" 6.12 --iommu=intel
on "virtio IOMMU, lazy, 6.12" 6.12 --iommu=virtio --append iommu.strict=0
on "new" new
on "debug" debug
tap_done
