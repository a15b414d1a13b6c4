#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# aipu-smi report: what is in it, what must not be, and how the file comes to be, on a captured machine into which secrets were
# planted. tests/guest/doctor.sh does it with a real kernel.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"
# shellcheck source=tests/tools/_machine.sh
. "$(dirname "$0")/_machine.sh"

smi=$BUILD/bin/aipu-smi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
card=0000:03:00.0
export AIPU_TEST_ROOT=$root

machine_new "$root"
machine_card $card
machine_bind aipu_accel 0
echo 8 >"$root/sys/module/aipu_accel/parameters/depth"
echo 0123456789ABCDEF >"$root/sys/module/aipu_accel/srcversion"
printf 'PRETTY_NAME="Test Linux 7"\nHOME_URL="https://secret-url.example/"\n' >"$root/etc/os-release"
printf 'model name\t: Test CPU\nserial\t: 00secret-cpu\n' >"$root/proc/cpuinfo"
printf 'MemTotal: 1234 kB\n' >"$root/proc/meminfo"
echo "pci=realloc ip=192.0.2.77 root=UUID=secret-uuid intel_iommu=on,secret-host iommu.passphrase=secret-1 pcie_secret=secret-2" \
	"pci_secret=3 iommu.strict-secret=1 lockdownsecret aipu_accel.secret=5 modprobe.blacklist=aipu_accel module-blacklist=none" >"$root/proc/cmdline"
echo "blacklist aipu_accel" >"$root/etc/modprobe.d/acme secret.conf"
mkdir -p "$root/sys/class/devcoredump/devcd3" "$root/sys/class/devcoredump/devcd4"
ln -s "../../../devices/pci0000:00/0000:00:1c.0/$card" "$root/sys/class/devcoredump/devcd3/failing_device"
ln -s ../../../devices/pci0000:00/0000:00:02.0 "$root/sys/class/devcoredump/devcd4/failing_device"
printf 'secret-dump' >"$root/sys/class/devcoredump/devcd3/data"
touch -d 2025-03-04T05:06:07Z "$root/sys/class/devcoredump/devcd3/data"
# Whose it is
echo secret-host.secret-domain.example >"$root/proc/sys/kernel/hostname"
printf '127.0.0.1 localhost localhost.localdomain\n127.0.1.1 localhost secret-host.other-domain.example secret-host secret-alias\n' >"$root/etc/hosts"
printf 'root:x:0:0::/root:/bin/sh\nsecretuser:x:1000:1000::/srv/people/secretuser:/bin/sh\n' >"$root/etc/passwd"
# What the driver could have said of them
machine_log 6 "aipu_accel $card: [drm] Test card, firmware 1.0.0"
machine_log 3 "aipu_accel $card: on secret-host and SECRET-HOST.elsewhere.example, secret-alias, not notsecret-hosts"
machine_log 3 "aipu_accel $card: by secretuser in /srv/people/secretuser/secret-project/x.qpc, then in /home/another/secret-file: end"
machine_log 3 "aipu_accel $card: from 192.0.2.33:8080, 2001:db8::7, fe80::1%eth0, 02:42:ac:11:00:02 and 00-11-22-33-44-55-66-77."
machine_log 3 "aipu_accel $card: mail secret.name+x@corp.example, <secret_1@other-domain> and https://secretuser:pw@secret.example/."
machine_log 3 "aipu_accel: taints 1.2.3 at 12:34:56 on localhost"
# What others said
machine_log 3 "usb 1-1: SerialNumber: secret-usb aipu_accel $card: x"
machine_log 3 "nvme 0000:05:00.0: secret-nvme"
printf '14,101,5000000,-;aipu_accel %s: secret-process\n' $card >>"$root/dev/kmsg"
printf '6,102,5000000,-;audit: secret-audit\n aipu_accel %s: secret-continuation\n' $card >>"$root/dev/kmsg"

tap_ok "a report" "$smi" report -o "$work/report"
tap_ok "of its owner only" eval '[ "$(stat -c %a "$work/report")" = 600 ]'

in_it()
{
	grep -qxF -- "$1" "$work/report" || { cat "$work/report"; return 1; }
}
for line in "== versions" "== machine" "== settings" "== cards and bridges" "== aipu-smi --json" "== aipu-smi doctor" \
	"== kernel log of the driver and the cards" "== coredumps" \
	"kernel: $machine_kernel" "driver: loaded" "driver source version: 0123456789ABCDEF" 'PRETTY_NAME="Test Linux 7"' \
	"model name : Test CPU" "MemTotal: 1234 kB" "module parameter depth: 8" "kernel parameter: pci=realloc" \
	"kernel parameter: modprobe.blacklist=aipu_accel" "kernel parameter: module-blacklist=none" "kernel parameter: intel_iommu=on,[host]" \
	"kernel/io_uring_disabled: 0" "-- card $card" "-- bridge 0000:00:1c.0 above $card" "vendor: 0x1af4" "device: 0xa338" \
	"  f4 1a f0 10 06 00 10 00 01 00 00 12 00 00 00 00" "current_link_speed: 16.0 GT/s PCIe" \
	"[    5.000000] <6> aipu_accel $card: [drm] Test card, firmware 1.0.0" "[    5.000000] <3> aipu_accel: taints 1.2.3 at 12:34:56 on localhost" \
	"devcd3: $card, 2025-03-04 05:06:07 UTC, 11 bytes"; do
	tap_ok "it has: $line" in_it "$line"
done
tap_ok "doctor's findings" grep -q "^ok  *driver  *$card: aipu_accel has the card" "$work/report"
snapshot()
{
	sed -n '/^== aipu-smi --json$/,/^== aipu-smi doctor$/p' "$work/report" | sed '1d;/^exit status /,$d' >"$work/snapshot"
	python3 - "$work/snapshot" "$card" <<'P'
import json, sys
text = open(sys.argv[1]).read()
said = json.loads(text)
assert said["schema_version"] == 2 and sys.argv[2] in text and "serial" not in text, text
P
}
tap_ok "the snapshot, without serial numbers" snapshot
tap_ok "the host's name is taken out" in_it \
	"[    5.000000] <3> aipu_accel $card: on [host] and [host], [host], not notsecret-hosts"
tap_ok "names and homes of users are taken out" in_it \
	"[    5.000000] <3> aipu_accel $card: by [user] in [home], then in [home]: end"
tap_ok "addresses of mail are taken out" in_it \
	"[    5.000000] <3> aipu_accel $card: mail [email], <[email]> and https://[user]:[email]/."
tap_ok "what a file is called is not told" grep -q \
	"^note  *blacklist  */etc/modprobe.d/\[file\] and the kernel's command line (modprobe.blacklist=) forbid aipu_accel: at the next" "$work/report"
tap_ok "parameters are known by their whole names" eval '[ "$(grep -c "^kernel parameter: " "$work/report")" -eq 4 ]'
tap_ok "addresses are taken out" in_it \
	"[    5.000000] <3> aipu_accel $card: from [ip]:8080, [ip], [ip]%eth0, [mac] and [mac]."

# None of what was planted, but for the word that only looks so
nothing_else()
{
	sed 's/notsecret-hosts//' "$work/report" >"$work/left"
	! grep -inE 'secret|other-domain|elsewhere|/home|192\.0\.2|2001:db8|0000:00:02\.0|0000:05:00\.0|devcd4' "$work/left"
}
tap_ok "nothing else of all that was planted" nothing_else
tap_ok "this machine's own name is not in it" eval '! grep -wF -- "$(uname -n)" "$work/left" || [ "$(uname -n)" = localhost ]'

tap_ok "says what it did, and to read it" eval '"$smi" report -o "$work/other" 2>"$work/err" && [ "$(wc -l <"$work/err")" -eq 1 ] &&
	grep -q "read it before you send it" "$work/err" && grep -q "Read this file before you send it" "$work/other"'
tap_ok "what is there stays" tap_refuses "$smi" 1 "is there already: another name or --force is expected" report -o "$work/report"
tap_ok "and is whole" in_it "== coredumps"
echo old >"$work/report"
chmod 644 "$work/report"
tap_ok "but with --force" "$smi" report -o "$work/report" --force
tap_ok "it is replaced" eval 'in_it "== coredumps" && ! grep -qx old "$work/report" && [ "$(stat -c %a "$work/report")" = 600 ]'
ln -s report "$work/link"
tap_ok "no symbolic link is" tap_refuses "$smi" 1 "no regular file" report -o "$work/link" --force
tap_ok "nor followed" tap_refuses "$smi" 1 "is there already" report -o "$work/link"
tap_ok "no directory" tap_refuses "$smi" 1 "No such file or directory" report -o "$work/none/report"
tap_ok "to standard output" eval '"$smi" report -o - >"$work/stdout" 2>"$work/err" && [ ! -s "$work/err" ] &&
	[ "$(sed "s/, [0-9]* bytes free//" "$work/stdout" | grep -c "^== ")" -eq 8 ]'
tap_ok "a name with the time" eval 'cd "$work" && mkdir named && cd named && "$smi" report 2>/dev/null &&
	ls | grep -qxE "aipu-report-[0-9]{8}-[0-9]{6}\.txt"'
left_over()
{
	! compgen -G "$work/*part*"
}
tap_ok "a full disk leaves nothing" eval '! "$smi" report -o - >/dev/full 2>"$work/err" && [ "$(wc -l <"$work/err")" -eq 1 ] && left_over'
tap_ok "no name" tap_refuses "$smi" 2 "a file is expected" report -o ""
tap_ok "an operand" tap_refuses "$smi" 2 "unexpected 'x'" report x
tap_done
