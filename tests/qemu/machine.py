# SPDX-License-Identifier: MIT
"""The machine: which QEMU, and its command line. Called by vm.py; starts nothing but scripts/debs
and "qemu --version"."""

import json
import os
import re
import shutil
import subprocess

from common import TOP, output_of

OLDEST = (10, 1)  # the first with vfio-user-pci
SUITES = "trixie,trixie-backports"
DEFAULT_BAR2 = 1 << 30
MESSAGE_TIMEOUT = 600000  # ms; a card that was stopped for a while (debugger, busy machine) stays
# Where cards may die: the guest stands still for so long when it happens between request and reply.
MORTAL_TIMEOUT = 20000
# ttyS0 to ttyS3. By default two share an interrupt, which is an edge that can get lost; the kernels
# ask the firmware which each has.
SERIAL_PORTS = (0x3F8, 0x2F8, 0x3E8, 0x2E8)
SERIAL_IRQS = (4, 3, 6, 7)


class Qemu:
    """How to start it: the program with its leading arguments, and what its environment needs."""

    def __init__(self, program, environment=None):
        self.program = program
        self.environment = environment or {}


def _system_qemu():
    path = shutil.which("qemu-system-x86_64")
    if not path:
        return None
    done = subprocess.run([path, "--version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True)
    match = re.search(r"version ([0-9]+)\.([0-9]+)", done.stdout)
    if not match or (int(match[1]), int(match[2])) < OLDEST:
        return None
    return Qemu([path])


def find_qemu():
    found = _system_qemu()
    if found:
        return found
    root = output_of([os.path.join(TOP, "scripts", "debs"), "tree", "qemu", SUITES,
                      "qemu-system-x86"], "QEMU 10.1 or later")
    libraries = os.path.join(root, "usr/lib/x86_64-linux-gnu")
    # Its own loader and libraries, without LD_LIBRARY_PATH, which would reach other programs.
    return Qemu(
        [os.path.join(root, "usr/lib64/ld-linux-x86-64.so.2"), "--library-path", libraries,
         "--argv0", "qemu-system-x86_64", os.path.join(root, "usr/bin/qemu-system-x86_64"),
         "-L", os.path.join(root, "usr/share/qemu"), "-L", os.path.join(root, "usr/share/seabios")],
        {"QEMU_MODULE_DIR": os.path.join(libraries, "qemu")},
    )


def can_kvm():
    return os.access("/dev/kvm", os.R_OK | os.W_OK)


def _accelerator(options):
    kvm = options.accel == "kvm" or (options.accel == "auto" and can_kvm())
    machine = "q35,memory-backend=ram"
    if kvm and options.iommu == "intel":
        machine += ",kernel-irqchip=split"  # KVM's own cannot remap interrupts
    # Not TCG's 40 bits: the firmware puts device memory at the top, and of 40 bits the kernel keeps
    # those addresses free, so that a card that was removed would not come back.
    cpu = "max" if kvm else "max,phys-bits=46"
    return ["-accel", "kvm" if kvm else "tcg,thread=multi", "-machine", machine, "-cpu", cpu]


def bar2_size(words):
    """Of a card with these options of aipu-emu."""
    for at, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option != "--memory":
            continue
        if not equals:
            value = words[at + 1] if at + 1 < len(words) else ""
        match = re.match(r"([0-9]+) *([kKMGT]?)", value)
        if match:
            return int(match[1]) << {"": 0, "k": 10, "K": 10, "M": 20, "G": 30, "T": 40}[match[2]]
    return DEFAULT_BAR2


def _cards(sockets, card_words, timeout):
    command, total = [], 0
    for index, (socket, words) in enumerate(zip(sockets, card_words)):
        reserve = 1 << max(29, (bar2_size(words) - 1).bit_length())
        total += reserve
        # A port of its own each: below one, it is an endpoint and can be reset and removed. On a
        # faster link the kernel would wait for a sign after a reset that QEMU's port does not give.
        command += ["-device", f"pcie-root-port,id=port{index},chassis={index + 1},"
                    f"slot={index + 1},pref64-reserve={reserve},x-speed=5"]
        command += ["-device", json.dumps({
            "driver": "vfio-user-pci", "id": f"aipu{index}", "bus": f"port{index}",
            "socket": {"type": "unix", "path": socket}, "x-msg-timeout": timeout})]
    if total > 16 << 30:
        command += ["-global", f"q35-pcihost.pci-hole64-size={total * 4}"]
    return command


def _image_form(path):
    with open(path, "rb") as file:
        return "qcow2" if file.read(4) == b"QFI\xfb" else "raw"


def _disk(index, path, form, serial):
    writable = not os.path.exists(path) or os.access(path, os.W_OK)
    name = f"disk{index}"
    return ["-blockdev", json.dumps({
        "driver": form, "node-name": name, "read-only": not writable,
        "file": {"driver": "file", "filename": path, "read-only": not writable}}),
            "-device", f"virtio-blk-pci,drive={name},serial={serial}"]


def kernel_arguments(options):
    words = ["console=ttyS0", "panic=-1", "log_buf_len=4M", "printk.devkmsg=on",
             "loglevel=7" if options.verbose else "loglevel=5",
             "nokaslr", "cryptomgr.notests",  # half a second each without KVM
             # On a loaded machine the timer's interrupts come late; a kernel with an IOMMU panics at that.
             "no_timer_check",
             # There, too, a processor that has no time looks like one that does not answer.
             "rcupdate.rcu_cpu_stall_timeout=60"]
    if options.iommu == "intel":
        words.append("intel_iommu=on")
    return " ".join(words + options.append)


def command_line(qemu, options, files):
    """files: kernel, initrd, sockets (of the cards), payload_disk or None, serials: the four file
    descriptors of the serial lines."""
    command = [*qemu.program, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    command += _accelerator(options)
    command += ["-smp", str(options.cpus), "-m", f"{options.memory >> 20}M", "-object",
                f"memory-backend-memfd,id=ram,size={options.memory >> 20}M,share=on"]
    command += ["-kernel", files.kernel, "-initrd", files.initrd,
                "-append", kernel_arguments(options)]
    lines = zip(files.serials, SERIAL_PORTS, SERIAL_IRQS)
    for index, (descriptor, port, irq) in enumerate(lines):
        command += ["-chardev", f"socket,id=serial{index},fd={descriptor}", "-device",
                    f"isa-serial,chardev=serial{index},index={index},iobase={port:#x},irq={irq}"]
    command += ["-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
    if options.iommu == "intel":
        command += ["-device", "intel-iommu,caching-mode=on,intremap=on"]
    elif options.iommu == "virtio":
        command += ["-device", "virtio-iommu-pci"]
    for index, path in enumerate(options.disk):
        command += _disk(index, path, _image_form(path), f"aipu-{index}")
    if files.payload_disk:
        command += _disk(len(options.disk), files.payload_disk, "raw", "aipu-payload")
    if options.nvme:
        command += ["-blockdev", "driver=null-co,node-name=nvme,size=1073741824,read-zeroes=on",
                    "-device", "nvme,drive=nvme,serial=aipu-nvme"]
    command += _cards(files.sockets, options.card_words,
                      MORTAL_TIMEOUT if options.allow_card_death else MESSAGE_TIMEOUT)
    if options.qmp:
        command += ["-qmp", "unix:" + options.qmp.replace(",", ",,") + ",server=on,wait=off"]
    return command
