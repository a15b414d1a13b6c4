#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# aipu-smi doctor: each cause that keeps a card from being used, one at a time, on captured machines: what is said, what is to be
# typed, the exit status; JSON; models on the software device. tests/guest/doctor.sh does it with real kernels.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"
# shellcheck source=tests/tools/_machine.sh
. "$(dirname "$0")/_machine.sh"

smi=$BUILD/bin/aipu-smi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Of ordinary users, who have to reach it
chmod 755 "$work"
root=$work/root
card=0000:03:00.0
fw=$root/lib/firmware/aipu/534f4654.fw

doctor()
{
	status=0
	AIPU_TEST_ROOT=$root "$smi" doctor "$@" >"$work/out" 2>"$work/err" || status=$?
	cat "$work/out" "$work/err"
}

# checks STATUS CHECK TEXT...: of the whole run; a problem in that check only ("-": in none), whose line has all of the texts
checks()
{
	local want=$1 check=$2 text line problems
	shift 2
	[ "$status" -eq "$want" ] && [ ! -s "$work/err" ] || { echo "exit status $status"; return 1; }
	problems=$(sed -n 's/^problem  *\([^ ]*\) .*/\1/p' "$work/out" | tr '\n' ' ')
	[ "$problems" = "${check/-/}${check:+ }" ] || [ "$check$problems" = "-" ] ||
		{ echo "problems: $problems"; return 1; }
	line=$(grep '^problem' "$work/out")
	for text; do
		[[ $line == *"$text"* ]] || { echo "without: $text"; return 1; }
	done
}

# typed: what the problem's line says to type, typed in the captured machine
typed()
{
	sed -n 's/^problem.*; do: //p' "$work/out" | sed "s# /etc/# $root/etc/#g; s#'/etc/#'$root/etc/#g; s# '/etc/# '$root/etc/#g" >"$work/remedy"
	cat "$work/remedy"
	EDITOR=: PATH=$work/commands:$PATH sh -e "$work/remedy"
}

# has STATUS-WORD CHECK TEXT...: a line of that kind
has()
{
	local line text
	line=$(grep "^$1  *$2 " "$work/out") || { cat "$work/out"; return 1; }
	shift 2
	for text; do
		[[ $line == *"$text"* ]] || { echo "$line"; return 1; }
	done
}

# A card that the driver could take
good()
{
	machine_new "$root"
	machine_card $card
	cp "$BUILD/firmware/aipu-soft.fw" "$fw"
}

# A machine on which all is well
well()
{
	good
	machine_bind aipu_accel 0
}

cause_is()
{
	doctor
	checks "$@"
}

well
tap_ok "all is well" cause_is 0 -
tap_ok "it says so" grep -qx usable "$work/out"
tap_ok "what cannot be asked of a captured machine is said to be unknown" has "not checked" open "captured"

machine_new "$root"
tap_ok "no card" cause_is 3 card "no function 1af4:10f0" "do: " "/sys/bus/pci/rescan"
rm -r "$root/sys/bus"
tap_ok "no PCI" cause_is 3 card "no PCI bus"

# --- the module
good; machine_unload; rm -r "$root/lib/modules/$machine_kernel"
tap_ok "no modules of this kernel" cause_is 5 module "no aipu_accel.ko for kernel $machine_kernel" "there is no /lib/modules/$machine_kernel" \
	"apt install linux-headers-$machine_kernel && make -C SOURCE modules modules_install"
good; machine_unload; rm -r "$root/lib/modules/$machine_kernel/updates" "$root/lib/modules/$machine_kernel/modules.dep"
mkdir -p "$root/lib/modules/6.1.0-old/updates/dkms" "$root/usr/src/aipu-0.9.0"
: >"$root/lib/modules/6.1.0-old/updates/dkms/aipu_accel.ko.xz"
tap_ok "a module of another kernel" cause_is 5 module "for kernel 6.1.0-old, but none for $machine_kernel" \
	"do: " "dkms install aipu/0.9.0 -k $machine_kernel"
good; machine_unload; machine_module 6.11.9-other
tap_ok "a module that was built for another kernel" cause_is 5 module "updates/aipu_accel.ko was built for kernel 6.11.9-other"
good; machine_unload; : >"$root/lib/modules/$machine_kernel/modules.dep"
tap_ok "a module that depmod has not seen" cause_is 5 module "not in modules.dep" "depmod $machine_kernel"
good; machine_unload
tap_ok "not loaded" cause_is 5 loaded "is there and not loaded" "modprobe aipu_accel"
machine_log 3 "aipu_accel: version magic '1 UP ' should be '2 SMP '"
tap_ok "the kernel refused it" cause_is 5 loaded "the kernel refused aipu_accel: version magic '1 UP ' should be '2 SMP '" "make -C SOURCE"
good; machine_unload; printf '# a comment\n\nblacklist  aipu-accel # why\n' >"$root/etc/modprobe.d/local.conf"
tap_ok "blacklisted" cause_is 5 blacklist "/etc/modprobe.d/local.conf forbids" "by itself" "sed -E -i "
tap_ok "what it says to type ends that" eval 'typed && doctor && checks 5 loaded'
echo "install aipu_accel /bin/false" >"$root/etc/modprobe.d/local.conf"
tap_ok "blocked" cause_is 5 blacklist "/etc/modprobe.d/local.conf forbids that aipu_accel is loaded;"
good; machine_unload; echo "ro module_blacklist=nouveau,aipu_accel quiet" >"$root/proc/cmdline"
tap_ok "blacklisted for the kernel" cause_is 5 blacklist "kernel's command line (module_blacklist=)"
good; machine_unload; echo "ro modprobe.blacklist=aipu_accel" >"$root/proc/cmdline"
tap_ok "blacklisted for modprobe on the kernel's command line" cause_is 5 blacklist "kernel's command line (modprobe.blacklist=) forbids" "by itself" \
	"/etc/default/grub"
printf 'blacklist aipu-accel\noptions aipu_accel x=1\n' >"$root/etc/modprobe.d/acme secret.conf"
tap_ok "in both places" cause_is 5 blacklist "/etc/modprobe.d/acme secret.conf and the kernel's command line (modprobe.blacklist=) forbid that" \
	"sed -E -i" "/etc/default/grub"
mkdir "$work/commands"
for command in update-grub reboot; do printf '#!/bin/sh\necho %s\n' $command >"$work/commands/$command"; chmod 755 "$work/commands/$command"; done
both_typed()
{
	typed >"$work/typed" 2>&1 || { cat "$work/typed"; return 1; }
	tail -n 2 "$work/typed"
	[ "$(tail -n 2 "$work/typed" | tr '\n' ' ')" = "update-grub reboot " ] && [ "$(cat "$root/etc/modprobe.d/acme secret.conf")" = "options aipu_accel x=1" ]
}
tap_ok "what it says to type mends the file, and opens the other" both_typed
# quoted NAME: a file of that name is named so that a shell takes it as one word, and a terminal as nothing else
quoted()
{
	good
	machine_unload
	echo "blacklist aipu_accel" >"$root/etc/modprobe.d/$1.conf"
	doctor
	checks 5 blacklist "sed -E -i" && ! grep -q '[^ -~]' "$work/out" && typed && [ -e "$root/etc/modprobe.d/$1.conf" ] &&
		[ ! -s "$root/etc/modprobe.d/$1.conf" ] && [ ! -e "$work/marked" ]
}
tap_ok "a name with a space is quoted" quoted "acme secret"
tap_ok "one with quotes" quoted "it's \"so\""
# shellcheck disable=SC2016
tap_ok "one that is a command" quoted 'a$(touch marked)`touch marked`;touch marked'
tap_ok "one with control bytes, percent and backslash" quoted "$(printf 'a\033[31m\nb\\%%s\377')"
good; machine_unload; echo "none [integrity] confidentiality" >"$root/sys/kernel/security/lockdown"
mkdir -p "$root/sys/firmware/efi/efivars"
printf '\006\0\0\0\001' >"$root/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
tap_ok "no signature" cause_is 5 signature "signed modules only (secure boot)" "updates/aipu_accel.ko has no signature" "sign-file sha256"
printf 'x~Module signature appended~\n' >>"$root/lib/modules/$machine_kernel/updates/aipu_accel.ko"
tap_ok "a signature" cause_is 5 loaded

# --- the card on its bus
well; head -c 64 /dev/zero | tr '\0' '\377' >"$device/config"
tap_ok "all ones" cause_is 6 config "reads as all ones" "echo 1 >/sys/bus/pci/devices/$card/remove"
good; machine_bars 0x00000000fe000000 0x00000000fe00ffff 0 0x3fffffff
tap_ok "BAR2 has no address" cause_is 1 bars "BAR2 of 1024 MiB has no address" "Above 4G Decoding" "pci=realloc" "update-grub"
good; machine_bars 0 0 0x0000003800000000 0x000000383fffffff; echo "pci=realloc" >"$root/proc/cmdline"
tap_ok "BAR0 has no address, and pci=realloc did not help" cause_is 1 bars "BAR0 has no address" "is given already"
good; machine_bind vfio-pci
tap_ok "another driver has it" cause_is 5 driver "the driver vfio-pci has the card" \
	"echo $card >/sys/bus/pci/drivers/vfio-pci/unbind; echo aipu_accel >/sys/bus/pci/devices/$card/driver_override"
good; echo pci-stub >"$device/driver_override"
tap_ok "it is kept for another driver" cause_is 5 driver "driver_override keeps the card for the driver pci-stub" \
	"echo $card >/sys/bus/pci/drivers_probe"

# --- firmware; who may read BAR0 is root in a machine, and here whoever runs this
good; rm "$fw"
tap_ok "firmware is missing" cause_is 1 firmware "/lib/firmware/aipu/534f4654.fw is missing" \
	"install -D -m 644 IMAGE /lib/firmware/aipu/534f4654.fw && echo $card >/sys/bus/pci/drivers/aipu_accel/bind"
good; rm "$fw" "$device/resource0"; machine_log 3 "aipu_accel $card: [drm] *ERROR* the card (board 534f4654) runs no firmware, and it cannot be read"
machine_log 3 "aipu_accel $card: [drm] *ERROR* boot failed (-2)"
tap_ok "firmware is missing: which, from the kernel's log" cause_is 1 firmware "/lib/firmware/aipu/534f4654.fw is missing"
good; rm -r "$root/lib/firmware/aipu" "$device/resource0"
tap_ok "no firmware at all" cause_is 1 firmware "/lib/firmware/aipu is missing" "/lib/firmware/aipu/BOARD.fw"
good; echo "not firmware" >"$fw"
tap_ok "not an image" cause_is 1 firmware "shorter than its header says"
good; printf '\377' | dd of="$fw" bs=1 seek=600 conv=notrunc 2>/dev/null
tap_ok "a damaged image" cause_is 1 firmware "does not have its digest"
good; "$BUILD/bin/aipu-fw" pack --default --board 0x1234 -o "$fw"
tap_ok "an image for another board" cause_is 1 firmware "for another board"
good; "$BUILD/bin/aipu-fw" pack --default --abi-oldest 2.0 --abi-newest 2.5 -o "$fw"
tap_ok "an image that the boot ROM does not speak" cause_is 1 firmware "from 2.0 to 2.5" "boot ROM speaks 1.0 to 1.0"
good; machine_registers 4 7
tap_ok "an image that the card refused" cause_is 1 firmware "the card refused /lib/firmware/aipu/534f4654.fw" "signature is missing or wrong (error 7)"
refusal="aipu_accel $card: [drm] *ERROR* the card refused firmware aipu/534f4654.fw: the signature is missing or wrong (error 7)"
echo "btime 1000000000" >"$root/proc/stat"; machine_log 3 "$refusal"
touch -d @1000000004 "$fw"
tap_ok "and it is the one that is there" cause_is 1 firmware "the card refused /lib/firmware/aipu/534f4654.fw" "install -D"
touch -d @1000000006 "$fw"
tap_ok "an image that came since: bind it anew" cause_is 1 firmware "/lib/firmware/aipu/534f4654.fw, which is whole and fits, came there since" \
	"do: sh -c 'echo $card >/sys/bus/pci/drivers/aipu_accel/bind'"
rm "$device/resource0"
machine_log 3 "${refusal/refused firmware/(board 534f4654) refused firmware}"
machine_log 3 "aipu_accel $card: [drm] *ERROR* the card (board 534f4654) runs no firmware, and it cannot be read"
tap_ok "what another reason came for" cause_is 1 probe "(with another image: the one that is there now is newer)" "/bind"
good; mkdir -p "$root/lib/firmware/updates/aipu"; cp "$BUILD/firmware/aipu-soft.fw" "$root/lib/firmware/updates/aipu/534f4654.fw"
machine_unload
doctor >/dev/null
tap_ok "the first directory of the kernel's has it" has ok firmware "/lib/firmware/updates/aipu/534f4654.fw"
mkdir -p "$root/lib/firmware/updates/$machine_kernel/aipu"; : >"$root/lib/firmware/updates/$machine_kernel/aipu/534f4654.fw.zst"
doctor >/dev/null
tap_ok "that of this very kernel, compressed" has "not checked" firmware "/lib/firmware/updates/$machine_kernel/aipu/534f4654.fw.zst is compressed"
good; machine_registers 2 0 0x20000 0x20005
tap_ok "firmware is too new" cause_is 1 contract "firmware speaks the contract from 2.0 to 2.5" "a newer driver is needed"
good; machine_registers 2 0 1 8
tap_ok "firmware is too old" cause_is 1 contract "from 0.1 to 0.8" "a newer firmware is needed"
good; machine_registers 2; machine_log 3 "aipu_accel $card: [drm] *ERROR* the card is unusable: too few queues"
machine_log 3 "aipu_accel $card: probe with driver aipu_accel failed with error -5"
tap_ok "the driver said why" cause_is 1 probe "did not take the card: the card is unusable: too few queues" "dmesg | grep $card"
machine_log 6 "aipu_accel $card: [drm] Card, firmware 1.0.0, contract 1.0"
tap_ok "it had it, and somebody unbound it" cause_is 5 probe "aipu_accel is loaded, had the card and was unbound from it" \
	"do: sh -c 'echo $card >/sys/bus/pci/drivers/aipu_accel/bind'"
good; machine_registers 2; printf '11,100,5000000,-;aipu_accel %s: [drm] *ERROR* a lie\n' $card >>"$root/dev/kmsg"
tap_ok "what a process wrote into the log is nothing" cause_is 1 probe "does not say why"
good; head -c 4096 /dev/zero | tr '\0' '\377' >"$device/resource0"
tap_ok "registers are all ones" cause_is 6 probe "BAR0 begins with ffffffff" "does not answer"
good; machine_registers 2 0 0x10000 0x10000 5
doctor >/dev/null
tap_ok "a flash slot was passed over" has warning slots "flash slot A" "does not have its digest" "aipu-fw flash IMAGE --device $card --slot a"
good; machine_config 4 >"$device/config"
doctor >/dev/null
tap_ok "a function that is not enabled is left alone" has "not checked" firmware "the function is not enabled"
good; machine_bind vfio-pci; head -c 4096 /dev/zero >"$device/resource0"
doctor >/dev/null
tap_ok "as is one that a driver has" has "not checked" contract "a driver is bound"

# --- heat: of a card that has its driver, tests/guest/doctor.sh
good; machine_registers 4 19
tap_ok "too hot" cause_is 6 temperature "the card is too hot" "let it cool down" "airflow" "do: sh -c 'echo $card >/sys/bus/pci/drivers/aipu_accel/bind'"
good; rm "$device/resource0"
machine_log 6 "aipu_accel $card: [drm] Card, firmware 1.0.0, contract 1.0"
machine_log 4 "aipu_accel $card: [drm] the card is too hot: resetting the card, all contexts are lost"
machine_log 3 "aipu_accel $card: [drm] *ERROR* the card did not come back; reset or rebind it"
machine_log 4 "aipu_accel $card: [drm] asked for by an administrator: resetting the card, all contexts are lost"
machine_log 3 "aipu_accel $card: [drm] *ERROR* the card did not come back; reset or rebind it"
tap_ok "too hot, from the kernel's log" cause_is 6 temperature "the card is too hot"
machine_log 4 "aipu_accel $card: [drm] the card failed: resetting the card, all contexts are lost"
tap_ok "another reason since" cause_is 1 probe
well
doctor >/dev/null
tap_ok "a captured machine has no temperature" has "not checked" temperature "not known"

# --- the node
well; rm "$root/dev/accel/accel0"
tap_ok "the node is missing" cause_is 1 node "/dev/accel/accel0 is missing" "udevadm trigger --action=add --subsystem-match=accel"
mkdir "$root/run"; : >"$root/run/.containerenv"
tap_ok "a container without it" cause_is 1 node "not in this container" "docker run --device /dev/accel/accel0"
well; rm -r "$device/accel"
tap_ok "a driver without a node" cause_is 1 node "gave it no node"

# by COMMAND...: doctor by an ordinary user; for root that is nobody with no groups but those of $groups
by()
{
	status=0
	if [ "$(id -u)" -eq 0 ]; then
		AIPU_TEST_ROOT=$root setpriv --reuid=65534 --regid=65534 ${groups:---clear-groups} "$smi" doctor >"$work/out" 2>"$work/err" ||
			status=$?
	else
		doctor
	fi
	cat "$work/out" "$work/err"
}
permission_is()
{
	by
	checks "$@"
}
well; groups=
user=$([ "$(id -u)" -eq 0 ] && id -nu 65534 || id -nu)
# A file's owner is asked by other bits than its group.
chmod 060 "$root/dev/accel/accel0"
if [ "$(id -u)" -eq 0 ] && ! setpriv --reuid=65534 --regid=65534 --clear-groups "$smi" --version >/dev/null 2>&1; then
	tap_skip "no permission" "an ordinary user cannot reach the build directory"
elif [ "$(id -u)" -ne 0 ]; then
	tap_skip "no permission" "the owner of the file is in its group; run as root"
else
	printf 'root:x:0:\nrender:x:%d:\n' 105 >"$root/etc/group"
	chgrp 105 "$root/dev/accel/accel0"
	tap_ok "no permission" permission_is 4 permission "is for group render, and user $user is not in it" "sudo usermod -aG render $user"
	printf 'render:x:105:other,%s\n' "$user" >"$root/etc/group"
	tap_ok "in the group since after the login" permission_is 4 permission "log in again" "newgrp render"
	groups=--groups=105
	tap_ok "in the group" permission_is 0 -
	groups=
	: >"$root/etc/group"
	tap_ok "a group without a name" permission_is 4 permission "group 105, which has no name here" "chgrp render /dev/accel/accel0"
	chmod 600 "$root/dev/accel/accel0"
	tap_ok "for its owner only" permission_is 4 permission "mode 0600" "udevadm control --reload"
	chmod 660 "$root/dev/accel/accel0"
	well; echo 1 >"$root/proc/sys/kernel/io_uring_disabled"; echo 105 >"$root/proc/sys/kernel/io_uring_group"
	chmod 666 "$root/dev/accel/accel0"
	tap_ok "io_uring for a group" eval 'by; checks 0 - && has warning io_uring "io_uring_disabled is 1, and the user is not in its group" \
		"getent group 105"'
fi

# --- what makes it slower
well; echo 2 >"$root/proc/sys/kernel/io_uring_disabled"
tap_ok "io_uring is off: usable" cause_is 0 -
tap_ok "and a warning" has warning io_uring "io_uring_disabled is 2" "through ioctls" "sysctl -w kernel.io_uring_disabled=0"
well; rm "$device/iommu_group"; rm -r "$root/sys/class/iommu"
doctor >/dev/null
tap_ok "no IOMMU" has note iommu "there is no IOMMU" "can reach all memory"
well; echo "2.5 GT/s PCIe" >"$device/current_link_speed"; echo 4 >"$device/current_link_width"
tap_ok "a slow link: usable" cause_is 0 -
tap_ok "and a note" has note link "x4, 2.5 GT/s PCIe; the card can x16, 16.0 GT/s PCIe"

# memlock KIB STATUS CHECK TEXT...: with that limit, hard and soft, and without the capability that lifts it
memlock()
{
	local kib=$1
	shift
	status=0
	# shellcheck disable=SC2086
	(ulimit -l "$kib" && AIPU_TEST_ROOT=$root exec $unprivileged "$smi" doctor) >"$work/out" 2>"$work/err" || status=$?
	cat "$work/out" "$work/err"
	checks "$@"
}
well; unprivileged=
[ "$(id -u)" -ne 0 ] || unprivileged="setpriv --inh-caps=-ipc_lock --bounding-set=-ipc_lock"
tap_ok "no locked memory" memlock 0 1 memlock "not a page of memory may be locked" "/etc/security/limits.d/aipu.conf"
tap_ok "little locked memory: usable" memlock 1024 0 -
tap_ok "and a warning" has warning memlock "1024 KiB of memory may be locked" "4096 are wanted"

# --- several cards
well; machine_card 0000:04:00.0; machine_registers 2; machine_bind vfio-pci
tap_ok "two cards, one of them well" cause_is 5 driver "0000:04:00.0: the driver vfio-pci"
tap_ok "the well one alone, by index" eval 'doctor -i 0; checks 0 -'
tap_ok "by node" eval 'doctor -i /dev/accel/accel0; checks 0 -'
tap_ok "the other, by PCI address" eval 'doctor -i 04:00.0; checks 5 driver'
tap_ok "both by name" eval 'doctor -i 04:00.0 -i 0 -i accel0; checks 5 driver && [ "$(grep -c " bars " "$work/out")" -eq 2 ]'
export AIPU_TEST_ROOT=$root
tap_ok "a card that is not there" tap_refuses "$smi" 3 "7: no such card: there is soft, 0000:03:00.0 (/dev/accel/accel0), 0000:04:00.0" doctor -i 7
unset AIPU_TEST_ROOT

# --- JSON
json()
{
	well
	rm "$root/dev/accel/accel0"
	doctor --json >/dev/null
	[ "$status" -eq 1 ] && python3 - "$work/out" <<'P'
import json, sys
said = json.load(open(sys.argv[1]))
assert list(said) == ["schema_version", "usable", "exit_status", "checks"], list(said)
assert said["schema_version"] == 1 and said["usable"] is False and said["exit_status"] == 1
assert len(said["checks"]) == 24, len(said["checks"])
for check in said["checks"]:
    assert list(check) == ["check", "device", "status", "text", "remedy", "code"], check
    assert check["status"] in ("ok", "problem", "warning", "note", "not checked"), check
    assert check["device"] in (None, "0000:03:00.0") and check["text"]
    assert (check["code"] is None) == (check["status"] != "problem"), check
problem, = [c for c in said["checks"] if c["status"] == "problem"]
assert problem["check"] == "node" and problem["code"] == 1 and "udevadm" in problem["remedy"]
P
}
tap_ok "JSON" json
# A name that is no text, in JSON and on a terminal
strange()
{
	good
	printf 'a\033[31m\377b\n' >"$device/driver_override"
	doctor
	has problem driver 'for the driver a?[31m?b' && doctor --json >/dev/null && python3 -m json.tool "$work/out" >/dev/null
}
tap_ok "a name that is no text" strange

# --- models, on the software device
qpc=$work/qpc
tap_ok "a model" "$BUILD/bin/aipu-compile" "$SRC/models/demo" -o "$qpc"
root=
tap_ok "it runs on the software device" eval 'doctor --device soft --qpc "$qpc"; checks 0 -'
tap_ok "all four are checked" eval '[ "$(grep -c "^ok  *qpc" "$work/out")" -eq 4 ]'
tap_ok "no model" eval 'doctor --device soft --qpc "$work/none"; checks 1 qpc "No such file" "do: aipu-compile MODEL -o DIR"'
cp -r "$qpc" "$work/damaged"
printf '\377' | dd of="$work/damaged/model.qpc" bs=1 seek=100 conv=notrunc 2>/dev/null
tap_ok "a damaged model" eval 'doctor --device soft --qpc "$work/damaged"; checks 1 qpc "damaged" "aipu-qpc verify $work/damaged"'
mv "$work/damaged" "$work/very damaged"
tap_ok "its name is quoted" eval 'doctor --device soft --qpc "$work/very damaged"; checks 1 qpc "do: aipu-qpc verify '"'"'$work/very damaged'"'"'"'

# --- usage
tap_ok "an operand" tap_refuses "$smi" 2 "doctor: 'x' is not expected; a card is named by -i" doctor x
tap_ok "no value" tap_refuses "$smi" 2 "a value is missing after '--qpc'" doctor --qpc
root=$work/machine
good; machine_bind aipu_accel 0
tap_ok "a card and the software device: both" eval \
	'doctor -i 03:00.0 --device soft; has ok open "soft: it answers" && has ok driver "$card"'
root=$work/none
mkdir -p "$root/sys/bus/pci/devices"
tap_ok "a card that is not there and the software device" eval \
	'doctor -i 0 --device soft; [ $status -eq 3 ] && has problem card "on the PCI bus" && has ok open "soft: it answers"'
tap_done
