#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# scripts/vm without a boot: what it refuses, what it would put into a guest, the machine it would
# make. tests/guest/vm.sh boots.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"

vm=$SRC/scripts/vm
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# refuses STATUS TEXT ARGUMENT...: ends with that status and one line that has the text
refuses()
{
	tap_refuses "$vm" "$@"
}

help_text()
{
	"$vm" --help >"$work/out" && grep -q '^usage: scripts/vm ' "$work/out" &&
		[ "$(awk 'length > 100' "$work/out" | wc -l)" -eq 0 ]
}

tap_ok "--help" help_text
full()
{
	local got=0
	"$vm" --help >/dev/full 2>"$work/err" || got=$?
	cat "$work/err"
	[ $got -eq 125 ] && [ "$(wc -l <"$work/err")" -eq 1 ] && grep -q "No space left" "$work/err" &&
		"$vm" --help >&- 2>"$work/err" && [ ! -s "$work/err" ]
}
tap_ok "no room on stdout, no stdout" full

tap_ok "an unknown option" refuses 2 --nosuch --nosuch
tap_ok "an abbreviated option" refuses 2 --mem --mem 1G -- true
tap_ok "an unknown kernel: the three there are" refuses 2 "6.12, new, debug" --kernel 5.10 -- true
tap_ok "too many cards" refuses 2 "from 0 to 24" --cards 25 -- true
tap_ok "half a card" refuses 2 "from 0 to 24" --cards 0.5 -- true
tap_ok "an unknown IOMMU" refuses 2 amd --iommu=amd -- true
tap_ok "a card that there is not" refuses 2 "1 cards" --card "1:--msi" -- true
tap_ok "a bad size" refuses 2 "512M" --memory much -- true
tap_ok "a missing disk" refuses 2 "$work/none" --disk "$work/none" -- true
tap_ok "a directory as disk" refuses 2 "$work" --disk "$work" -- true
tap_ok "a device that is no disk" refuses 2 /dev/null --disk /dev/null -- true
mkfifo "$work/fifo"
tap_ok "a pipe as disk" refuses 2 "$work/fifo" --disk "$work/fifo" -- true
tap_ok "a card's socket" refuses 2 "--socket" --card "--cores 1 --socket x" -- true
tap_ok "--card without options" refuses 2 "argument --card" --card -- true
tap_ok "COMMAND without --" refuses 2 "after --" lspci
tap_ok "no COMMAND after --" refuses 2 "no COMMAND" --
tap_ok "a shell without a terminal" refuses 2 "no terminal"

if ! command -v busybox >/dev/null; then
	tap_skip "what would be in the guest" "no busybox (scripts/install-packages vm)"
	tap_done
fi

: >"$work/plain"
printf '#!/usr/bin/env python3\n' >"$work/script.py"
printf '#!/bin/bash\n' >"$work/script"
chmod +x "$work/script" "$work/script.py"
tap_ok "no such COMMAND" refuses 127 no-such-program -- no-such-program
tap_ok "no such path" refuses 127 "$work/none" -- "$work/none"
tap_ok "COMMAND is not executable" refuses 126 "$work/plain" -- "$work/plain"
tap_ok "COMMAND is a directory" refuses 126 "$work" -- "$work"
tap_ok "COMMAND is a script for what the guest has not" refuses 126 --file -- "$work/script.py"
tap_ok "a --file that there is not" refuses 2 no-such-file --file no-such-file -- true

# plan ARGUMENT...: what it would do, in $work/plan
plan()
{
	"$vm" --dry-run "$@" >"$work/plan" 2>"$work/err" || { cat "$work/err"; return 1; }
}

# has WHERE PATH...
has()
{
	local path where=$1
	shift
	for path in "$@"; do
		grep -qxF "$where $path" "$work/plan" && continue
		echo "no line: $where $path"
		cat "$work/plan"
		return 1
	done
}

has_not()
{
	! grep -n -e "$1" "$work/plan"
}

# qemu REGEX...: each is in QEMU's command line, in this order
qemu()
{
	local all
	all=$(printf '%s.*' "$@")
	sed -n 's/^qemu //p' "$work/plan" | grep -qE -- "$all" || { grep '^qemu' "$work/plan"; return 1; }
}

loader=$(readlink -f /lib64/ld-linux-x86-64.so.2)
program()
{
	plan -- bash -c : && has initrd "$(readlink -f "$(command -v bash)")" "$loader" &&
		has initrd "$(readlink -f /lib/x86_64-linux-gnu/libtinfo.so.6)"
}
tap_ok "a program, its loader and libraries" program

mkdir "$work/directory"
echo text >"$work/directory/a file"
ln -s "a file" "$work/directory/near"
ln -s "$work/plain" "$work/directory/far"
named()
{
	plan -- true "$work/directory" "--input=$work/script" nothing &&
		has initrd "$work/directory/a file" "$work/directory/near" "$work/directory/far" \
			"$work/plain" "$work/script" && has_not nothing
}
tap_ok "what the arguments name, links with what they lead to" named

ln -s directory "$work/link"
through()
{
	(cd "$work" && plan -- cat "link/a file") && has initrd "$work/link" "$work/directory/a file"
}
tap_ok "a relative path through a link" through

soft=$BUILD/lib/libaipu-soft.so
own()
{
	plan --file "$work/plain" -- aipu-gen && has initrd "$BUILD/bin/aipu-gen" "$soft" "$work/plain"
}
if [ -e "$soft" ] && ! ldd "$BUILD/bin/aipu-gen" | grep -q 'lib[a-z]*san\.'; then
	tap_ok "our own program from the build directory, with what libaipu opens" own
fi

text()
{
	plan -- sh -c "lspci -v | cat - '$work/plain'; ls /proc /" &&
		has initrd /usr/share/misc/pci.ids "$work/plain" && has_not '/usr/bin/cat$'
}
if command -v lspci >/dev/null; then
	tap_ok "programs and paths in the text after sh -c" text
else
	tap_skip "programs and paths in the text after sh -c" "no lspci"
fi

shell()
{
	plan -- sh "$work/plain" && has_not "$loader"
}
tap_ok "sh is busybox's" shell

truncate -s 17M "$work/large"
large()
{
	plan -- cat "$work/large" "$work/plain" && has disk "$work/large" && has initrd "$work/plain" &&
		qemu 'virtio-blk-pci,.*serial=aipu-payload'
}
tap_ok "what is large is on a disk" large

: >"$work/user.img"
machine()
{
	plan --cards 2 --card "--cores 1" --card "1:--msi --serial 7" --iommu --cpus 3 --memory 768M \
		--disk "$work/user.img" --append "one two" -- true || return
	grep -qx "card $BUILD/bin/aipu-emu --socket card0.sock --serial 1 --cores 1" "$work/plan" &&
		grep -qx "card $BUILD/bin/aipu-emu --socket card1.sock --cores 1 --msi --serial 7" \
			"$work/plan" || { cat "$work/plan"; return 1; }
	qemu '-smp 3' 'size=768M,share=on' 'intel_iommu=on one two' 'intel-iommu,caching-mode=on' \
		"$work/user.img" 'pcie-root-port,id=port0' 'vfio-user-pci.*card0.sock' \
		'pcie-root-port,id=port1' 'vfio-user-pci.*card1.sock'
}
tap_ok "two cards, an IOMMU, a disk" machine

dashes()
{
	plan --card --msi --card 0:--trap-bar2 --append --one -- true &&
		grep -q -- '^card .* --msi --trap-bar2$' "$work/plan" && qemu 'timeout=60 --one'
}
tap_ok "values that begin with dashes" dashes

gone()
{
	local got=0
	mkdir "$work/gone"
	(cd "$work/gone" && rmdir "$work/gone" && exec "$vm" -- true) >"$work/out" 2>&1 || got=$?
	cat "$work/out"
	[ $got -eq 125 ] && grep -q '^vm: .*directory' "$work/out" && ! grep -q Traceback "$work/out"
}
tap_ok "a current directory that is no more" gone

room()
{
	plan --card "--memory 16G" -- true && qemu 'pref64-reserve=17179869184'
}
tap_ok "room for 16 GiB of device memory" room

tap_done
