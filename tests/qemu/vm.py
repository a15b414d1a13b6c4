#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""scripts/vm: a virtual machine with emulated cards, for a shell or one command. This file puts the
parts together: options, payload, kernel and QEMU, images, the run."""

import _signal

_signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # no traceback until handle_signals()

import os
import re
import shlex
import shutil
import subprocess
import sys
from types import SimpleNamespace

import images
import machine
import options as command_line
from common import Failure, HARNESS, Interrupted, TOP, USAGE, output_of, say, start, stop
from modules import Modules
from payload import Payload, applets, build_directory
from rundir import RunDirectory
from supervise import NoBoot, Run, handle_signals

PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TERM", "NO_COLOR", "LD_LIBRARY_PATH")
FIRMWARE = "/lib/firmware/aipu/534f4654.fw"  # by the board id of the software device
HERE = os.path.dirname(os.path.abspath(__file__))


# -- what is in the guest --------------------------------------------------------------------------


def find_busybox():
    path = shutil.which("busybox", path=os.environ.get("PATH", "") + ":/bin:/usr/bin")
    if not path:
        raise Failure("needs busybox-static (scripts/install-packages vm)")
    if subprocess.run(["ldd", path], stdout=subprocess.DEVNULL,
                      stderr=subprocess.DEVNULL).returncode == 0:
        raise Failure(f"{path} is not static: needs busybox-static (scripts/install-packages vm)")
    return path


def environment(options):
    values = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    values.update({name: value for name, value in os.environ.items() if name.startswith("AIPU_")})
    if not os.isatty(1):
        values["TERM"] = "dumb"  # the guest's stdout is a terminal all the same
    values.setdefault("PATH", "/usr/bin:/bin")
    values["PATH"] += ":/usr/bin:/usr/sbin"
    values.update({name: value for name, value in options.env if value is not None})
    return [f"{name}={value}" for name, value in values.items()]


def command_script(options, payload):
    words = ["exec", "/.vm/busybox", "env", "-i", *environment(options)]
    if options.command is None:
        words += [r"PS1=\w # ", "/bin/sh"]
    else:
        program = payload.find_program(options.command[0])
        words += [program or options.command[0], *options.command[1:]]
    return f"cd {shlex.quote(os.getcwd())}\n" + " ".join(map(shlex.quote, words)) + "\n"


def terminal_settings(options):
    if options.command is not None:
        return ""
    size = os.get_terminal_size(0)
    return f"rows {size.lines} cols {size.columns}" if size.lines else "-icrnl icrnl"


def fill_payload(options):
    busybox = find_busybox()
    payload = Payload(busybox)
    for name in ("bin", "sbin", "lib", "lib64"):
        payload.add_path("/" + name)
    for path in options.file:
        payload.add_named(path)
    payload.add_path(".")
    if options.command is not None:
        payload.add_command(options.command)
    payload.add_directory(os.environ.get("HOME") or "/root")
    return payload, busybox


def read_text(path):
    with open(path) as file:
        return file.read()


def add_modules(payload, options, known, has_disk):
    lines = []
    for guest, here, parameters in known.order(wanted_modules(options, has_disk)):
        with open(here, "rb") as file:
            payload.add_data(guest, file.read())
        lines.append(" ".join([guest, *parameters]) + "\n")
    payload.add_data("/.vm/modules", "".join(lines).encode())
    for name, here in known.indexes():
        with open(here, "rb") as file:
            payload.add_data(f"/lib/modules/{known.release}/{name}", file.read())


def add_system(payload, busybox, options, binds):
    """Our own files, and busybox under every name that is still free."""
    config = f"check={'' if options.allow_splats else 1}\nterminal='{terminal_settings(options)}'\n"
    payload.add_data("/.vm/config", config.encode())
    payload.add_data("/.vm/command", os.fsencode(command_script(options, payload)))
    payload.add_data("/.vm/binds", os.fsencode("".join(f"{path}\n" for path in binds)))
    clean = os.path.join(TOP, "tests", "guest", "clean.sh")
    payload.add_data("/.vm/clean.sh", read_text(clean).encode())
    with open(busybox, "rb") as file:
        payload.add_data("/.vm/busybox", file.read(), 0o755)
    payload.add_data("/init", read_text(os.path.join(HERE, "init.sh")).encode(), 0o755)
    for path in applets(busybox):
        payload.add_link(path, "/.vm/busybox")


# -- what it needs ---------------------------------------------------------------------------------


def wanted_modules(options, has_disk):
    wanted = []
    if options.iommu == "virtio":
        wanted += ["?virtio_pci", "?virtio_iommu"]
    if has_disk or options.disk:
        # The last one is what ext4 wants, and asks for by another name.
        wanted += ["?virtio_pci", "?virtio_blk", "?crc32c_generic"]
    if has_disk:
        wanted += ["?ext4"]
    if options.nvme:
        wanted += ["nvme"]
    return wanted + options.module


def built(name, mode):
    """A product of the build, made if it is not there."""
    path = os.path.join(build_directory(), name)
    if not os.access(path, mode):
        say(f"building {path}")
        # Not as a part of a make that runs us.
        clean = {name: value for name, value in os.environ.items()
                 if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
        try:
            said = output_of(["make", "-s", "-j2", "-C", TOP, f"BUILD={build_directory()}", path],
                             os.path.basename(name), env=clean)
        except (Failure, OSError) as error:
            raise Failure(f"there is no {path}, and it cannot be built ({error}); run make there, "
                          "or name another build directory by BUILD") from error
        if said:
            sys.stderr.write(said + "\n")
    return path


def find_emu(options):
    if not options.cards or options.dry_run:
        return os.path.join(build_directory(), "bin", "aipu-emu")
    return built("bin/aipu-emu", os.X_OK)


def add_driver(payload, options, directory):
    """The module is built in `directory`, which is read again when the modules are taken."""
    with open(built("firmware/aipu-soft.fw", os.R_OK), "rb") as file:
        payload.add_data(FIRMWARE, file.read())
    payload.add(built("lib/libaipu-drm.so", os.R_OK))
    output_of([os.path.join(TOP, "scripts", "kernel"), "--modules", options.kernel, TOP, directory],
              f"the driver for kernel {options.kernel}")
    options.module.append(os.path.join(directory, "aipu_accel.ko"))


def card_commands(options, emu, sockets):
    commands = []
    for index, (socket, words) in enumerate(zip(sockets, options.card_words)):
        given = {word.split("=")[0] for word in words}
        command = [emu, "--socket", socket]
        if "--serial" not in given:
            command += ["--serial", str(index + 1)]
        if options.log and "--trace" not in given:
            command += ["--trace", re.sub(r"\.sock$", ".trace", socket)]
        commands.append(command + words)
    return commands


# -- the run ---------------------------------------------------------------------------------------


def dry_run(options, payload):
    files = SimpleNamespace(kernel="vmlinuz", initrd="initrd", payload_disk=None,
                            sockets=[f"card{i}.sock" for i in range(options.cards)],
                            serials=[3, 4, 5, 6])
    moved, roots = images.split(payload)
    if roots:
        files.payload_disk = "payload.img"
    for command in card_commands(options, find_emu(options), files.sockets):
        print("card", shlex.join(command))
    qemu = machine.Qemu(["qemu-system-x86_64"])
    print("qemu", shlex.join(machine.command_line(qemu, options, files)))
    for path in sorted(payload.entries):
        if payload.entries[path].kind != "dir" and path not in roots:
            print("initrd", path)
    for path in sorted(moved):
        print("disk", path)
    return 0


def keep_logs(directory, run):
    if directory:
        for name in os.listdir(run):
            if name.endswith((".log", ".trace")):
                shutil.copyfile(os.path.join(run, name), os.path.join(directory, name))


def boot_once(options, run_directory, emu, qemu, files):
    run = Run(options, run_directory.path)
    files.serials = run.serials()
    try:
        run.start_cards(card_commands(options, emu, files.sockets), files.sockets)
        run.start_qemu(machine.command_line(qemu, options, files), qemu.environment)
        status = run.carry()
        run.end_cards()
        return status
    finally:
        run.stop()
        keep_logs(options.log, run_directory.path)


def boot(options, payload, busybox):
    qemu = machine.find_qemu()
    kernel = output_of([os.path.join(TOP, "scripts", "kernel"), options.kernel],
                       f"kernel {options.kernel}").splitlines()[-1]
    emu = find_emu(options)
    release = read_text(os.path.join(kernel, "release")).strip()
    known = Modules(os.path.join(kernel, "modules"), release)
    if options.log:
        os.makedirs(options.log, exist_ok=True)
    with RunDirectory() as run_directory:
        if options.driver:
            add_driver(payload, options, run_directory.file("driver"))
        moved, roots = images.split(payload)
        add_modules(payload, options, known, bool(roots))
        add_system(payload, busybox, options, roots)
        files = SimpleNamespace(
            kernel=os.path.join(kernel, "vmlinuz"), initrd=run_directory.file("initrd"),
            payload_disk=run_directory.file("payload.img") if roots else None,
            sockets=[run_directory.file(f"card{i}.sock") for i in range(options.cards)])
        images.write_cpio(payload.entries, files.initrd)
        if roots:
            images.write_disk(moved, roots, files.payload_disk)
        try:
            return boot_once(options, run_directory, emu, qemu, files)
        except NoBoot as failure:
            say(f"{failure}; once more")
        return boot_once(options, run_directory, emu, qemu, files)


def install_packages():
    process = start([os.path.join(TOP, "scripts", "install-packages"), "vm"],
                    stdin=subprocess.DEVNULL, stdout=sys.stderr)
    try:
        status = process.wait()
    except BaseException:
        stop(process)
        raise
    if status != 0:
        raise Failure("packages are missing", status)


def main(arguments):
    options = command_line.parse(arguments)
    if options is None:
        print(command_line.HELP, end="")
        return 0
    try:
        os.getcwd()
    except OSError as error:
        raise Failure(f"the directory that this was started in: {error.strerror}") from error
    if not options.dry_run:
        install_packages()
        if options.command is None and not (os.isatty(0) and os.isatty(1)):
            raise Failure("no COMMAND after --, and no terminal for a shell", USAGE)
    payload, busybox = fill_payload(options)
    if options.dry_run:
        return dry_run(options, payload)
    return boot(options, payload, busybox)


def drop_output():
    """What stdout would not take; Python would try again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def run_main():
    handle_signals()
    try:
        status = main(sys.argv[1:])
        sys.stdout.flush()
        return status
    except Failure as failure:
        say(str(failure))
        for line in failure.detail:
            sys.stderr.write(f"  {line}\n")
        return failure.status
    except Interrupted as interrupted:
        return 128 + interrupted.number
    except BrokenPipeError:
        drop_output()
        return 141
    except OSError as error:
        drop_output()
        say(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        return HARNESS


if __name__ == "__main__":
    sys.exit(run_main())
