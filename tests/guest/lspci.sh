#!/usr/bin/env bash
# guest test: runs scripts/vm
# SPDX-License-Identifier: MIT
# The card as a kernel shows it: what lspci -vvv says of each function, on every kernel, with every kind of IOMMU, of one card
# and of two, so that each pair of these three occurs.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/../tools/_tap.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# boot NAME VM-OPTION...: what lspci says goes to $work/NAME.N for function N from 0
boot()
{
	local name=$1
	shift
	"$SRC/scripts/vm" "$@" -- lspci -D -vvv -nn -d 1af4:10f0 >"$work/$name" 2>"$work/$name.log" || {
		echo "exit status $?"
		tail -n 40 "$work/$name.log"
		return 1
	}
	rm -f "$work/$name".[0-9]
	awk -v name="$work/$name" '/^[^ \t]/ { file = name "." n++ } NF { print >file }' "$work/$name"
}

# cards NAME N: there are N functions
cards()
{
	cat "$work/$1"
	[ "$(grep -c '^[0-9a-f]' "$work/$1")" -eq "$2" ]
}

# shows FILE REGEX...: each is in a line of the file
shows()
{
	local file=$1 regex bad=0
	shift
	for regex in "$@"; do
		grep -Eq -- "$regex" "$file" || { echo "nothing like: $regex"; bad=1; }
	done
	[ $bad -eq 0 ] || { cat "$file"; return 1; }
}

# What lspci prints where it finds configuration space malformed, or the kernel gave a BAR no place
not_shows()
{
	! grep -nE '!!!|[Uu]nknown|<chain looped>|<unassigned>|<ignored>|<access denied>|Unassigned' "$1"
}

# messages FILE KIND: MSI-X with the table in BAR4, or MSI, never both
messages()
{
	if [ "$2" = msix ]; then
		shows "$1" 'MSI-X: Enable- Count=8 Masked-' 'Vector table: BAR=4 offset=00000000' \
			'PBA: BAR=4 offset=0*[1-9a-f][0-9a-f]*$' 'Region 4: Memory at [0-9a-f]+ \(' &&
			! grep 'MSI: ' "$1"
	else
		shows "$1" 'MSI: Enable- Count=1/8 .*64bit\+' && ! grep 'MSI-X: ' "$1"
	fi
}

# Not zero; the same in no two files
serial_numbers()
{
	sed -n 's/.*Device Serial Number //p' "$@" >"$work/serials"
	cat "$work/serials"
	[ "$(wc -l <"$work/serials")" -eq $# ] && [ "$(sort -u "$work/serials" | wc -l)" -eq $# ] &&
		! grep -q '^00-00-00-00-00-00-00-00$' "$work/serials"
}

# function NAME FILE BAR2-SIZE KIND
function_is()
{
	tap_ok "$1: processing accelerator 1af4:10f0" shows "$2" \
		'^[0-9a-f:.]+ Processing accelerators \[1200\]: .*\[1af4:10f0\] \(rev [0-9a-f]+\)$' 'Subsystem: .*\[1af4:'
	tap_ok "$1: BAR0 registers, not prefetchable" shows "$2" \
		'Region 0: Memory at [0-9a-f]+ \((32|64)-bit, non-prefetchable\) .*\[size=64K\]'
	tap_ok "$1: BAR2 is $3, 64 bit, prefetchable, assigned" shows "$2" \
		"Region 2: Memory at [0-9a-f]*[1-9a-f][0-9a-f]* \\(64-bit, prefetchable\\) .*\\[size=$3\\]"
	tap_ok "$1: interrupts by $4" messages "$2" "$4"
	tap_ok "$1: endpoint with FLR, AER, serial number, counters" shows "$2" 'Express \(v2\) Endpoint' 'FLReset\+' \
		'Advanced Error Reporting' 'Device Serial Number' 'Vendor Specific Information: ID=0001 Rev=1 Len=[0-9a-f]+'
	tap_ok "$1: nothing malformed" not_shows "$2"
}

# group FILE IOMMU: the kernel's IOMMU has the function, or there is none
group()
{
	if [ -n "$2" ]; then
		shows "$1" 'IOMMU group: [0-9]+$'
	else
		[ -s "$1" ] && ! grep 'IOMMU group' "$1"
	fi
}

# functions NAME IOMMU FILE...: what all functions of one boot have
functions()
{
	local name=$1 iommu=$2 file
	shift 2
	tap_ok "$name: serial numbers of their own" serial_numbers "$@"
	for file in "$@"; do
		tap_ok "$name: ${file##*.} is behind ${iommu:-no} IOMMU" group "$file" "$iommu"
	done
}

# one KERNEL IOMMU BAR2-SIZE
one()
{
	local name="$1, ${2:-no} IOMMU, one card"
	tap_ok "$name: boots" boot one --kernel "$1" ${2:+"--iommu=$2"} --card "--queues 8 --vectors 8 --memory $3"
	tap_ok "$name: one function" cards one 1
	[ ! -f "$work/one.0" ] || function_is "$name" "$work/one.0" "$3" msix
	functions "$name" "$2" "$work/one.0"
	rm -f "$work"/one*
}

# two KERNEL IOMMU: they differ in all that options can tell
two()
{
	local name="$1, ${2:-no} IOMMU, two cards"
	tap_ok "$name: boots" boot two --kernel "$1" ${2:+"--iommu=$2"} --cards 2 --card "--queues 8 --vectors 8" \
		--card "0:--memory 64M" --card "1:--memory 512M --msi"
	tap_ok "$name: two functions" cards two 2
	[ ! -f "$work/two.0" ] || function_is "$name, 0" "$work/two.0" 64M msix
	[ ! -f "$work/two.1" ] || function_is "$name, 1" "$work/two.1" 512M msi
	functions "$name" "$2" "$work/two.0" "$work/two.1"
	rm -f "$work"/two*
}

one 6.12 "" 256M
two 6.12 intel
one 6.12 virtio 1G
two new ""
one new intel 2G
two new virtio
one debug "" 4G
two debug intel
one debug virtio 16G
tap_done
