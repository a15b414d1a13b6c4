# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A captured machine for tools that look at one: sourced by tests/tools/*.sh, run by none. machine_new makes a directory that
# AIPU_TEST_ROOT names: a good machine with kernel 6.12.0-test, the driver's module loaded; the machine_* below add to it.

machine_kernel=6.12.0-test

# le BYTES NUMBER: little endian
le()
{
	local i
	for ((i = 0; i < $1; i++)); do
		# shellcheck disable=SC2059
		printf "\\x$(printf %02x $((($2 >> 8 * i) & 255)))"
	done
}

# machine_new DIRECTORY
machine_new()
{
	root=$1
	rm -rf "$root"
	mkdir -p "$root"/sys/{bus/pci/devices,bus/pci/drivers/aipu_accel,class/iommu/dmar0,devices/pci0000:00,kernel/security} \
		"$root"/sys/module/{aipu_accel/parameters,module/parameters} "$root"/proc/sys/kernel "$root"/dev/accel "$root"/etc/modprobe.d \
		"$root/lib/modules/$machine_kernel/updates" "$root"/lib/firmware/aipu
	echo "$machine_kernel" >"$root/proc/sys/kernel/osrelease"
	echo 0 >"$root/proc/sys/kernel/io_uring_disabled"
	echo -1 >"$root/proc/sys/kernel/io_uring_group"
	echo "BOOT_IMAGE=/vmlinuz root=/dev/sda1 ro quiet" >"$root/proc/cmdline"
	echo "[none] integrity confidentiality" >"$root/sys/kernel/security/lockdown"
	echo N >"$root/sys/module/module/parameters/sig_enforce"
	: >"$root/dev/kmsg"
	printf 'root:x:0:\nrender:x:105:\n' >"$root/etc/group"
	machine_module "$machine_kernel"
}

# machine_module VERMAGIC-RELEASE: a module file, with an entry in modules.dep
machine_module()
{
	printf 'ELF\0license=GPL\0vermagic=%s SMP preempt mod_unload \0' "$1" \
		>"$root/lib/modules/$machine_kernel/updates/aipu_accel.ko"
	printf 'kernel/drivers/gpu/drm/drm.ko:\nupdates/aipu_accel.ko: kernel/drivers/gpu/drm/drm.ko\n' \
		>"$root/lib/modules/$machine_kernel/modules.dep"
}

machine_unload()
{
	rm -r "$root/sys/module/aipu_accel"
}

# machine_config COMMAND: the first bytes of configuration space
machine_config()
{
	le 4 0x10f01af4
	le 2 "$1"
	le 2 0x10
	le 4 0x12000001
	le 4 0
	le 4 0xfe000000
	le 4 0
	le 4 0xc
	le 4 0x38
	le 12 0
	le 4 0x10f01af4
	le 16 0
}

# machine_card PCI: a card that nobody has, behind a bridge; $device is its directory
machine_card()
{
	local bridge=$root/sys/devices/pci0000:00/0000:00:1c.0
	device=$bridge/$1
	mkdir -p "$device"
	# Another function, which must not show anywhere
	printf '0x8086\n' >"$bridge/vendor"
	printf '0xa338\n' >"$bridge/device"
	printf '0x060400\n' >"$bridge/class"
	printf '16\n' >"$bridge/irq"
	printf '0x0 0x0 0x0\n' >"$bridge/resource"
	{ le 4 0xa3388086; le 4 0x00100007; le 4 0x06040000; le 4 0x00010000; le 48 0; } >"$bridge/config"
	ln -sfn "../../../devices/pci0000:00/0000:00:1c.0" "$root/sys/bus/pci/devices/0000:00:1c.0"
	ln -sfn "../../../devices/pci0000:00/0000:00:1c.0/$1" "$root/sys/bus/pci/devices/$1"
	printf '0x1af4\n' | tee "$device/vendor" >"$device/subsystem_vendor"
	printf '0x10f0\n' | tee "$device/device" >"$device/subsystem_device"
	printf '0x120000\n' >"$device/class"
	printf '0x01\n' >"$device/revision"
	printf '16\n' >"$device/irq"
	printf '(null)\n' >"$device/driver_override"
	printf 'D0\n' >"$device/power_state"
	printf '16.0 GT/s PCIe\n' | tee "$device/max_link_speed" >"$device/current_link_speed"
	printf '16\n' | tee "$device/max_link_width" >"$device/current_link_width"
	printf '0\n' >"$device/numa_node"
	mkdir -p "$root/sys/kernel/iommu_groups/7"
	ln -sfn "../../../../kernel/iommu_groups/7" "$device/iommu_group"
	machine_config 6 >"$device/config"
	machine_bars 0x00000000fe000000 0x00000000fe00ffff 0x0000003800000000 0x000000383fffffff
	machine_registers 0
}

# machine_bars START END START END: of BAR0 and BAR2 (1 GiB, prefetchable)
machine_bars()
{
	local none="0x0000000000000000 0x0000000000000000 0x0000000000000000" i
	{
		printf '%s %s 0x0000000000040200\n%s\n' "$1" "$2" "$none"
		printf '%s %s 0x000000000014220c\n' "$3" "$4"
		for ((i = 0; i < 4; i++)); do echo "$none"; done
	} >"$device/resource"
}

# machine_registers STATE [ERROR [ABI-OLDEST ABI-NEWEST [SLOT-A-ERROR]]]: the first page of BAR0, of a board "SOFT"
machine_registers()
{
	{
		le 4 0x55504941
		le 4 "${4:-0x10000}"
		le 4 "${3:-0x10000}"
		le 4 0x534f4654
		le 4 "$(($1 == 2 ? 0x03000000 : 0))"
		le 20 0
		le 4 "${5:-0}"
		le 4 0
		le 148 0
		le 4 "$1"
		le 4 "${2:-0}"
		head -c 3892 /dev/zero
	} >"$device/resource0"
}

# machine_bind DRIVER [INDEX]: the card has that driver; with an index a node too
machine_bind()
{
	mkdir -p "$root/sys/bus/pci/drivers/$1"
	ln -sfn "../../../../bus/pci/drivers/$1" "$device/driver"
	[ $# -eq 1 ] || {
		mkdir -p "$device/accel/accel$2"
		echo "261:$2" >"$device/accel/accel$2/dev"
		: >"$root/dev/accel/accel$2"
		chmod 660 "$root/dev/accel/accel$2"
	}
}

# machine_log LEVEL TEXT: a line of the kernel's
machine_log()
{
	printf '%d,100,5000000,-;%s\n SUBSYSTEM=pci\n' "$1" "$2" >>"$root/dev/kmsg"
}
