#!/usr/bin/env bash
# guest test: runs scripts/vm, for minutes
# SPDX-License-Identifier: MIT
# The contract's tests, and whole generations with the tokens that aipu-gen gives on this machine, inside guests: through
# sysfs and a huge page where there is no IOMMU, through VFIO where there is one.
set -u
# shellcheck source=tests/guest/_host.sh
. "$(dirname "$0")/_host.sh"
# shellcheck source=tests/guest/_tokens.sh
. "$guest/_tokens.sh"

# boot WAY VM-OPTION...
boot()
{
	local way=$1
	shift
	# The second card is as the tests want theirs, the first as it comes.
	runs "$@" --timeout 600 --cards 2 --file "$guest/_guest.sh" --card --unsigned \
		--card "1:--memory 64M --queues 4 --vectors 8 --rollback 1" -- \
		sh "$guest/_abi.sh" "$BUILD/tests/abi/aipu-abi-test-$way" "$BUILD/tests/guest/generate-$way" \
		"$work/rollback.fw" "$work/qpc/model.qpc" "$work"/*.arguments
}

# It came to its end, and what it printed is all there.
complete()
{
	grep -x 'abi exit status [01]' "$work/out" && whole
}

# same CASE
same()
{
	local got
	got=$(sed -n "s/^tokens $1\\.arguments //p" "$work/out")
	[ -n "$got" ] && [ "$got" = "$(cat "$work/$1.tokens")" ] && return
	echo "expected: $(cat "$work/$1.tokens")"
	echo "got:      $got"
	cat "$work/err"
	return 1
}

# on KERNEL IOMMU [MSI]
on()
{
	local name="$1, ${2:-no} IOMMU${3:+, MSI}" vm=(--kernel "$1" ${3:+--card=--msi}) way=sysfs
	if [ -n "$2" ]; then
		way=vfio
		vm+=("--iommu=$2" --module vfio-pci --module vfio_iommu_type1)
	fi
	tap_ok "$name: boots" boot "$way" "${vm[@]}"
	tap_pass_on "$name" "$work/out"
	tap_ok "$name: all of the contract's tests" complete
	tap_ok "$name: tokens, greedy" same greedy
	tap_ok "$name: tokens, drawn" same drawn
	tap_ok "$name: tokens of a long prompt, to the stop id" same long
}

tap_ok "what aipu-gen answers" tokens_prepare "$work"
"$BUILD/bin/aipu-fw" pack --default --rollback 1 -o "$work/rollback.fw" >/dev/null
on 6.12 ""
on 6.12 intel
on 6.12 virtio MSI
on new "" MSI
on debug ""
tap_done
