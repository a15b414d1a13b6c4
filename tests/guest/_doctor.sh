#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in a guest, for tests/guest/doctor.sh: _doctor.sh PCI-STUB|none BUILD WORK; WORK has the images, modules and the model. The
# cards in the order of their PCI addresses are those that doctor.sh asked for. TAP on stdout.
# shellcheck source=tests/guest/_guest.sh
. "${0%/*}/_guest.sh"
stub=$1 build=$2 work=$3
smi=$build/bin/aipu-smi
devices=/sys/bus/pci/devices
driver=/sys/bus/pci/drivers/aipu_accel
image=/lib/firmware/aipu/534f4654.fw
modules=/lib/modules/$(uname -r)

# finds STATUS CHECK TEXT...: doctor (as $as says) ends so, that check is the only problem ("-": there is none), and its line has
# all of the texts
finds()
{
	want=$1 check=$2 status=0
	shift 2
	$as "$smi" doctor ${card:+-i $card} $more >/tmp/out 2>/tmp/err || status=$?
	cat /tmp/out /tmp/err
	[ "$status" -eq "$want" ] && [ ! -s /tmp/err ] || { echo "exit status $status"; return 1; }
	grep '^problem ' /tmp/out >/tmp/problems
	if [ "$check" = - ]; then
		[ ! -s /tmp/problems ] && grep -qx usable /tmp/out
		return
	fi
	[ "$(wc -l </tmp/problems)" -eq 1 ] && [ "$(awk '{ print $2 }' /tmp/problems)" = "$check" ] || return
	for text; do
		grep -qF -- "$text" /tmp/problems || { echo "without: $text"; return 1; }
	done
}

# has STATUS CHECK TEXT: a line of the last run
has()
{
	cat /tmp/out
	grep "^$1  *$2 " /tmp/out | grep -qF -- "$3"
}

# mends [WORD REPLACEMENT]: what the last run said to type, typed
mends()
{
	sed 's/.*; do: //' /tmp/problems >/tmp/remedy
	[ $# -eq 0 ] || sed -i "s#$1#$2#" /tmp/remedy
	cat /tmp/remedy
	sh /tmp/remedy
}

# bind IMAGE: the driver tries the card with this image (none: there is no file), as after power-on
bind()
{
	[ ! -e "$devices/$card/driver" ] || echo "$card" >"$devices/$card/driver/unbind"
	echo 1 >"$devices/$card/reset"
	rm -f "$image"
	[ "$1" = none ] || cp "$work/images/$1.fw" "$image"
	echo "$card" >$driver/bind 2>/dev/null
	[ -e "$devices/$card/accel" ]
}

unbound()
{
	! bind "$1"
}

# limited KIB COMMAND...: with so much memory that may be locked; busybox's shell knows -l
limited()
{
	kib=$1
	shift
	# shellcheck disable=SC3045
	(ulimit -l "$kib" && "$@")
}

card='' as='' more=''
if [ "$stub" = none ]; then
	mkdir -p "$modules/updates"
	cp "$work/module/aipu_accel.ko" "$modules/updates/"
	echo "updates/aipu_accel.ko:" >"$modules/modules.dep"
	ok "no card" finds 3 card "no function 1af4:10f0 is on the PCI bus" "echo 1 >/sys/bus/pci/rescan"
	echo "1..$count"
	exit
fi

# shellcheck disable=SC2046
set -- $(cards_of)
newer=$2 older=$3 small=$4 gone=$5 stuck=$6 hot=$7
card=$1
echo 0 >/sys/bus/pci/drivers_autoprobe
mkdir -p /lib/firmware/aipu
cp "$work/images/good.fw" "$image"
printf 'joe:x:1000:1000::/srv/joe:/bin/sh\n' >>/etc/passwd
printf 'render:x:105:\n' >>/etc/group

# --- the module
ok "no module for this kernel" finds 5 module "there is no aipu_accel.ko for kernel $(uname -r)" "linux-headers-$(uname -r)"
mkdir -p /lib/modules/6.1.0-old/updates "$modules/updates"
cp "$work/module/aipu_accel.ko" /lib/modules/6.1.0-old/updates/
ok "one for another kernel" finds 5 module "for kernel 6.1.0-old, but none for $(uname -r)"
cp "$work/module/other.ko" "$modules/updates/aipu_accel.ko"
echo "updates/aipu_accel.ko:" >"$modules/modules.dep"
ok "the kernel refuses one of another kernel" sh -c "! insmod $modules/updates/aipu_accel.ko"
ok "built for another kernel" finds 5 module "was built for kernel 6.11"
cp "$work/module/single.ko" "$modules/updates/aipu_accel.ko"
ok "the kernel refuses one of another configuration" sh -c "! insmod $modules/updates/aipu_accel.ko"
ok "built for another configuration" finds 5 loaded "the kernel refused aipu_accel: version magic '" " UNI "
cp "$work/module/aipu_accel.ko" "$modules/updates/"
: >"$modules/modules.dep"
ok "without depmod" finds 5 module "is not in modules.dep" "depmod $(uname -r)"
echo "updates/aipu_accel.ko:" >"$modules/modules.dep"
mkdir -p /etc/modprobe.d
echo "blacklist aipu-accel" >"/etc/modprobe.d/it's local.conf"
ok "blacklisted" finds 5 blacklist "/etc/modprobe.d/it's local.conf"
ok "what it says to type ends that" mends
ok "not loaded" finds 5 loaded "modprobe aipu_accel"
ok "what it says to type loads it" mends

# --- firmware
ok "the driver wants firmware" unbound none
ok "firmware is missing" finds 1 firmware "$image is missing"
ok "what it says to type makes the card usable" mends IMAGE "$work/images/good.fw"
ok "usable" finds 0 -
ok "it answers" has ok open "it answers"
ok "the driver refuses a spoiled image" unbound spoiled
ok "a spoiled image" finds 1 firmware "does not have its digest"
ok "the driver refuses an image of another board" unbound other
ok "an image of another board" finds 1 firmware "is for another board"
ok "the driver refuses an image that is too new for the boot ROM" unbound new
ok "an image that is too new for the boot ROM" finds 1 firmware "from 2.0 to 2.5" "boot ROM speaks 1.0 to 1.0"
ok "the card refuses an image without signature" unbound unsigned
ok "refused by the card" finds 1 firmware "the card refused firmware aipu/534f4654.fw" "signature is missing or wrong (error 7)"
# Which of the two was first is told by the clock, to half a second
sleep 1
cp "$work/images/good.fw" "$image"
ok "another image is there since" finds 1 firmware "$image, which is whole and fits, came there since"
ok "what it says to type binds the card" mends
ok "and makes it usable" finds 0 -
echo "$card" >$driver/unbind
ok "loaded, and unbound by somebody" finds 5 probe "was unbound from it" "echo $card >$driver/bind"
ok "what it says to type binds it again" mends
card=$newer
ok "the driver refuses firmware that is too new" unbound new
ok "firmware is too new" finds 1 contract "speaks the contract from 2.0 to 2.5" "a newer driver is needed"
card=$older
ok "the driver refuses firmware that is too old" unbound old
ok "firmware is too old" finds 1 contract "speaks the contract from 0.1 to 0.8" "a newer firmware is needed"
card=$gone
ok "the driver refuses a card that is gone" unbound good
ok "the card does not answer" finds 6 config "reads as all ones" "echo 1 >$devices/$card/remove"
card=$stuck
ok "a card whose next two boots fail" bind good
ok "is reset" sh -c "! $smi reset -i $card"
ok "wedged" finds 6 open "did not come back from a reset (wedged)"
ok "what it says to type brings it back" mends
ok "and it is usable" finds 0 -
card=$hot
ok "a card whose air gets hot is bound" bind good
ok "its temperature is told" eval '"$smi" doctor -i "$card" >/tmp/out; has ok temperature " C"'
overheats()
{
	timeout 60 "$build/bin/aipu-gen" --device "$card" --qpc "$work/qpc" --prompt "Once" --max-tokens 2 >/tmp/text 2>&1
	for try in $(seq 240); do
		finds 6 temperature "the card is too hot" "let it cool down" "do: aipu-smi reset -i $card" >/tmp/found && return
		sleep 1
	done
	cat /tmp/text /tmp/found
	return 1
}
ok "it works, and is too hot" overheats
ok "aipu-smi says where to look" eval '! "$smi" -i "$card" >/tmp/out && grep -q "^$card: .*aipu-smi doctor" /tmp/out'
ok "a reset does not help while it is hot" sh -c "! $smi reset -i $card"
ok "still too hot" finds 6 temperature "a reset before that fails again"
card=$1
ok "the first card still is usable" finds 0 -

# --- drivers
echo "$card" >$driver/unbind
case $stub in *.xz) xz -dc "$stub" >/tmp/pci-stub.ko ;; *) cp "$stub" /tmp/pci-stub.ko ;; esac
insmod /tmp/pci-stub.ko
echo pci-stub >"$devices/$card/driver_override"
ok "kept for another driver" finds 5 driver "driver_override keeps the card for the driver pci-stub"
echo "$card" >/sys/bus/pci/drivers/pci-stub/bind
ok "another driver has it" finds 5 driver "the driver pci-stub has the card"
ok "what it says to type gives it back" mends
ok "usable again" finds 0 -

# --- node and rights
node=$(echo "$devices/$card"/accel/accel*)
node=/dev/accel/${node##*/}
numbers=$(sed 's/:/ /' "$devices/$card/accel/${node##*/}/dev")
rm "$node"
ok "no node" finds 1 node "$node is missing" "udevadm trigger"
: >/run/.containerenv
ok "a container without it" finds 1 node "docker run --device $node"
rm /run/.containerenv
# shellcheck disable=SC2086
mknod "$node" c ${numbers% *} $((${numbers#* } + 7))
ok "a node of something else" finds 1 node "is not the driver's node" "rm $node; udevadm trigger"
rm "$node"
# shellcheck disable=SC2086
mknod "$node" c $numbers
chmod 660 "$node"
chown 0:105 "$node"
ordinary="/usr/bin/setpriv --reuid=1000 --regid=1000 --clear-groups"
as=$ordinary
ok "no permission" finds 4 permission "$node is for group render, and user joe is not in it" "sudo usermod -aG render joe"
sed -i 's/^render:.*/render:x:105:joe/' /etc/group
ok "in the group since after the login" finds 4 permission "log in again" "newgrp render"
as="/usr/bin/setpriv --reuid=1000 --regid=1000 --groups=105"
ok "in the group" finds 0 -
chmod 600 "$node"
ok "for its owner" finds 4 permission "mode 0600"
chmod 666 "$node"

# --- slower
as=$ordinary
sysctl -w kernel.io_uring_disabled=1 >/dev/null
ok "io_uring for a group only: usable" finds 0 -
ok "and a warning" has warning io_uring "kernel.io_uring_disabled is 1"
sysctl -w kernel.io_uring_disabled=2 >/dev/null
ok "no io_uring: usable" finds 0 -
ok "and the warning" has warning io_uring "do: sudo sysctl -w kernel.io_uring_disabled=0"
as=
sysctl -w kernel.io_uring_disabled=0 >/dev/null
as=$build/tests/guest/without_uring
ok "a filter of system calls: usable" finds 0 -
ok "and its warning" has warning io_uring "refused (Operation not permitted), by a filter"
as=$ordinary
ok "io_uring: nothing" eval 'finds 0 - && has ok io_uring works'
ok "no locked memory" limited 0 finds 1 memlock "not a page of memory may be locked" "limits.d/aipu.conf"
ok "little locked memory: usable" limited 1024 finds 0 -
ok "and its own warning" has warning memlock "1024 KiB of memory may be locked"
as=

# --- a model
more="--qpc $work/qpc"
ok "a model fits" finds 0 -
ok "all four were checked" eval '[ "$(grep -c "^ok  *qpc" /tmp/out)" -eq 4 ]'
card=$small
ok "a small card is bound" bind good
ok "a model does not fit" finds 1 qpc-memory "bytes of device memory are needed" "compile with a smaller --ctx-len or --batch-size"
card=$1 more=

# --- a report
hostname secret-host
echo "127.0.1.1 secret-host.secret-domain.example secret-host" >/etc/hosts
echo "secretuser:x:1001:1001::/srv/secret-home:/bin/sh" >>/etc/passwd
echo "secret-line of a process" >/dev/kmsg
echo "<3>aipu_accel $card: secret-line that is not the driver's" >/dev/kmsg
ok "firmware with a text that was planted" bind planted
ok "which the card tells" eval '"$smi" -q -i "$card" >/tmp/q; grep -q "secret.name@" /tmp/q'
ok "what was planted is in the log" sh -c 'dmesg | grep -q secret-line'
ok "a report" env HOME=/srv/secret-home USER=secretuser "$smi" report -o /tmp/report
ok "of its owner only" eval '[ "$(stat -c %a /tmp/report)" = 600 ]'
ok "nothing of what was planted" eval '! grep -n secret /tmp/report && [ "$(grep -c "^== " /tmp/report)" -eq 8 ]'
ok "the driver's own words" grep -q "> aipu_accel $card: \[drm\] \*ERROR\* the card refused firmware" /tmp/report
ok "its cards" eval '[ "$(grep -c "^-- card " /tmp/report)" -eq 7 ] && grep -q "^-- bridge .* above $card" /tmp/report'
ok "the card's serial number is one" eval '"$smi" -q -i "$card" | tee /tmp/q | grep -qi "serial.*1234567890abcdef" || { cat /tmp/q; false; }'
ok "and not in it" eval '! grep -iE "1234567890abcdef|12-34-56-78" /tmp/report && grep -q "\"pci_address\": \"$card\"" /tmp/report'

# --- no address: with pci=nobar the kernel assigns none where a BAR reads as zero
echo "$card" >$driver/unbind
port=$(basename "$(dirname "$(readlink -f "$devices/$card")")")
dd if=/dev/zero of="$devices/$card/config" bs=4 seek=6 count=2 conv=notrunc 2>/dev/null
echo 1 >"$devices/$port/remove"
echo 1 >/sys/bus/pci/rescan
echo "$card" >$driver/bind 2>/dev/null
ok "the driver says that BAR2 has no address" sh -c "dmesg | grep -q '$card: .*BAR2 is not assigned'"
ok "BAR2 has no address" finds 1 bars "BAR2 has no address" "pci=realloc" "Above 4G Decoding"

# --- signatures: from here on for good
rmmod aipu_accel
echo 1 >/sys/module/module/parameters/sig_enforce
card=$newer
ok "the kernel wants a signature" sh -c "! insmod $modules/updates/aipu_accel.ko"
# Its firmware, which is too new, runs still: two problems.
ok "no signature" eval 'finds 5 signature; [ "$status" -eq 5 ] && has problem signature "signed modules only (module.sig_enforce)"'
echo "1..$count"
