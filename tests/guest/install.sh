#!/usr/bin/env bash
# guest test: runs scripts/vm
# SPDX-License-Identifier: MIT
# `make modules` and `make modules_install` are what users of a module from outside of the kernel's tree expect: built against
# headers, installed where modprobe finds it by its name and by a card's alias, its firmware where it looks for it. Builds in a
# copy of the source. The program of docs/uapi.md runs on the card.
set -u
# shellcheck source=tests/guest/_host.sh
. "$(dirname "$0")/_host.sh"

PATH=$PATH:/usr/sbin:/sbin
root=$work/root

# Debian's own headers where their compiler is here, else those of the debug kernel, which is built by what is here
headers()
{
	local gcc
	kernel=6.12
	headers=$("$SRC/scripts/kernel" --headers 6.12) || return
	gcc=$(sed -n 's/^CONFIG_GCC_VERSION=\([0-9]*\)[0-9]\{4\}$/\1/p' "$headers/.config")
	command -v "x86_64-linux-gnu-gcc-$gcc" >/dev/null && return
	kernel=debug
	headers=$("$SRC/scripts/kernel" --headers debug)
}

# mk ARGUMENT...: make in the copy
mk()
{
	env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -C "$work/src" --no-print-directory BUILD="$work/build" FW_IMAGE="$firmware" \
		KDIR="$headers" "$@"
}

# one_line TEXT ARGUMENT...: make fails and says one line with TEXT, but for make's own
one_line()
{
	local text=$1
	shift
	! mk "$@" >"$work/said" 2>&1 || return
	cat "$work/said"
	[ "$(grep -vc '^make: \*\*\*' "$work/said")" -eq 1 ] && grep -qF -- "$text" "$work/said"
}

# What the driver depends on, as a kernel's package installs it
kernel_root()
{
	local image_dir at file
	image_dir=$("$SRC/scripts/kernel" "$kernel") && release=$(cat "$image_dir/release") || return
	at=$image_dir/modules/lib/modules/$release
	mkdir -p "$root/lib/modules/$release"
	cp "$at"/modules.builtin* "$at/modules.order" "$root/lib/modules/$release/"
	modprobe -d "$image_dir/modules" -S "$release" --show-depends drm_shmem_helper | awk '$1 == "insmod" { print $2 }' |
		while read -r file; do
			install -D "$file" "$root/lib/modules/$release/${file#"$at"/}"
		done
}

quiet_install()
{
	mk DESTDIR="$root" modules_install >"$work/said" 2>"$work/err" || { cat "$work/said" "$work/err"; return 1; }
	cat "$work/err"
	[ ! -s "$work/err" ]
}

installed()
{
	find "$root" -type f
	compgen -G "$root/lib/modules/$release/updates/aipu_accel.ko*" && cmp "$firmware" "$root/lib/firmware/aipu/534f4654.fw" &&
		cmp "$SRC/udev/60-aipu.rules" "$root/usr/local/lib/udev/rules.d/60-aipu.rules"
}

firmware_name()
{
	local board
	board=$(sed -n 's/^#define AIPU_BOARD_SOFT 0x\([0-9a-f]*\)u .*/\1/p' "$SRC/firmware-abi/aipu_firmware.h")
	[ -n "$board" ] && [ -e "$root/lib/firmware/aipu/$board.fw" ]
}

found_by()
{
	[ "$(modprobe -d "$root" -S "$release" -R "$1")" = aipu_accel ]
}

# Whatever of our source the compiler read is in it, and its description names it so.
dkms_whole()
{
	local at file
	mk -s DESTDIR="$root" install-dkms >/dev/null || return
	at=$(echo "$root"/usr/src/aipu-*)
	[ "$(set +u && . "$at/dkms.conf" && echo "$root/usr/src/$PACKAGE_NAME-$PACKAGE_VERSION")" = "$at" ] || return
	cat "$work"/src/kernel/.*.cmd | grep -o "$work/src/[^ )]*\.[ch]\b" | sed 's#/[a-z]*/\.\./#/#g' | sort -u >"$work/read"
	[ "$(wc -l <"$work/read")" -gt 20 ] || return
	while read -r file; do
		[ -e "$at/${file#"$work/src/"}" ] || { echo "without ${file#"$work/src/"}"; return 1; }
	done <"$work/read"
}

# In the guest: as udev does when it sees a card, then by name
cat >"$work/guest.sh" <<'T'
root=$1
cp -r "$root/lib/firmware" /lib/
for alias in /sys/bus/pci/devices/*/modalias; do
	modprobe -d "$root" -q "$(cat "$alias")"
done
[ -c /dev/accel/accel0 ] && echo "card: by its alias"
modprobe -d "$root" -r aipu_accel && ! grep -q '^aipu_accel ' /proc/modules && [ ! -e /dev/accel/accel0 ] && echo "card: let go"
modprobe -d "$root" aipu_accel && [ -c /dev/accel/accel0 ] && echo "card: by name"
[ -c /dev/accel/accel0 ] || dmesg | grep aipu
"$2" >/tmp/said && cat /tmp/said
T

boots()
{
	runs --kernel "$kernel" --file "$root" --file "$(command -v modprobe)" -- bash "$work/guest.sh" "$root" "$work/example"
}

# By the name that kernels have for a staging directory: all of it is there, nothing in the places themselves
below()
{
	local other=$work/other
	mk -s INSTALL_MOD_PATH="$other" PREFIX="/opt$work" FIRMWAREDIR="/firmware$work" modules_install >"$work/said" 2>&1 || {
		cat "$work/said"
		return 1
	}
	find "$other" -type f
	cmp "$firmware" "$other/firmware$work/aipu/534f4654.fw" &&
		cmp "$SRC/udev/60-aipu.rules" "$other/opt$work/lib/udev/rules.d/60-aipu.rules" &&
		compgen -G "$other/lib/modules/*/updates/aipu_accel.ko*" && [ ! -e "/opt$work" ] && [ ! -e "/firmware$work" ] || return
	mk -s INSTALL_MOD_PATH="$other" PREFIX="/opt$work" FIRMWAREDIR="/firmware$work" modules_uninstall >/dev/null || return
	[ -z "$(find "$other" -type f \( -name '*aipu*' -o -name '*.fw' \))" ]
}

gone()
{
	mk -s DESTDIR="$root" modules_uninstall >/dev/null && rm -rf "$root"/usr/src/aipu-* || return
	find "$root" -type f -name '*aipu*'
	[ -z "$(find "$root" -type f -name '*aipu*')" ] && ! found_by aipu_accel 2>/dev/null
}

# The program of the driver's guide, as it is printed there
example()
{
	sed -n '/^```c$/,/^```$/{/^```/d;p}' "$SRC/docs/uapi.md" >"$work/example.c"
	# shellcheck disable=SC2046
	"${CC:-gcc}" -std=c17 -Wall -Wextra -Werror -I"$SRC/firmware-abi" -I"$SRC/kernel/include/uapi" $(pkg-config --cflags libdrm) \
		"$work/example.c" -o "$work/example" -luring
}

clean()
{
	mk -s clean && (cd "$work/src" && find . -type f) | sort >"$work/after" && diff "$work/before" "$work/after"
}

mkdir "$work/src"
(cd "$SRC" && tar -ch --exclude='*.o' --exclude='*.cmd' Makefile Kbuild kernel firmware-abi udev) | tar -C "$work/src" -x
(cd "$work/src" && find . -type f) | sort >"$work/before"
tap_ok "headers" headers
headers >/dev/null 2>&1
tap_ok "without headers one line names their package" one_line "install the package linux-headers-$(uname -r)" \
	modules KDIR=/nonexistent
tap_ok "nothing is installed before it is built" one_line "run make modules" modules_install DESTDIR="$root"
tap_ok "it is built" mk -j2 modules
kernel_root
tap_ok "it is installed without a complaint" quiet_install
tap_ok "module, firmware and rule are where they belong" installed
tap_ok "the firmware has the name that the driver asks for" firmware_name
tap_ok "modprobe finds it by name" found_by aipu_accel
tap_ok "by a card's alias" found_by pci:v00001AF4d000010F0sv00001AF4sd00000001bc12sc00i00
tap_exit "not by another card's" 1 found_by pci:v00001AF4d00001050sv00001AF4sd00000001bc12sc00i00
tap_ok "DKMS gets all of its source" dkms_whole
tap_ok "the guide's program is compiled" example
tap_ok "a guest boots with it" boots
for line in "by its alias" "let go" "by name"; do
	tap_ok "in the guest: $line" said "card: $line"
done
for line in "job 2: error 0, status 0" "by ioctl" "job 4: error 0, status 0" "by io_uring"; do
	tap_ok "the guide's program: $line" said "$line"
done
tap_ok "INSTALL_MOD_PATH has all of it, and lets go of it" below
tap_ok "it is uninstalled" gone
tap_ok "clean leaves the source" clean
tap_done
