# SPDX-License-Identifier: MIT
"""The command line of scripts/vm: parses and checks it, and nothing else. What can be wrong with it
is found here or in payload.py, before anything is fetched or booted."""

import argparse
import os
import re
import shlex
import stat

from common import Failure, USAGE

KERNELS = ("6.12", "new", "debug")
MAX_CARDS = 24

HELP = """\
usage: scripts/vm [OPTION...] [-- COMMAND [ARGUMENT...]]

Boots a virtual machine with emulated cards (aipu-emu) and runs COMMAND in it, with its output on
stdout and stderr and its exit status; without COMMAND, a shell on the terminal.

  --kernel KERNEL    6.12 (default), new: the newest in Debian's backports, or debug: 6.12 with
                     KASAN, lockdep, kmemleak, KUnit and more (built once; see docs/testing.md)
  --cards N          0 to 24 (default 1)
  --card OPTIONS     further options of aipu-emu, for every card; N:OPTIONS for card N, from 0
  --iommu[=KIND]     an IOMMU for all devices: intel (default) or virtio
  --disk FILE        one more disk, /dev/vda (again: /dev/vdb, ...); qcow2, or anything else as raw
  --nvme             an NVMe drive that keeps nothing: /dev/nvme0n1, /dev/ng0n1
  --cpus N           default 2
  --memory SIZE      of the guest: 512M, 2G; default 1G, with the debug kernel 2G
  --file PATH        a file, directory or program that shall be in the guest too
  --env NAME[=VALUE] an environment variable of COMMAND's, by default with its value here
  --driver           build this tree's kernel driver and load it before COMMAND, with the
                     firmware that the cards want and libaipu's part for it
  --module MODULE    load it before COMMAND, with what it needs: a name, or the path of a .ko file;
                     parameters follow it: --module "vfio enable_unsafe_noiommu_mode=1"
  --append ARGUMENTS of the kernel
  --timeout SECONDS  for boot and COMMAND together, default 300; 0: none. A shell has none
  --accel KIND       tcg (default), kvm, or auto: kvm where /dev/kvm can be used
  --qmp SOCKET       QEMU's control socket
  --log DIR          keep the console's, QEMU's and the cards' logs there
  --allow-splats     reports of the kernel (oops, KASAN, lockdep, ...) do not fail the run
  --allow-card-death the run goes on when an aipu-emu ends, or answers nothing for 20 seconds
  --dry-run          print QEMU's command line; boot nothing
  --verbose          the kernel's console and what the harness does, on stderr
  -h, --help

In the guest, at the same paths: COMMAND's program with its libraries, and every argument that is a
file or directory (also as --option=PATH), with their libraries if they are programs; in the text
after sh -c, programs and paths that stand there plainly. More than 16 MiB go there on a disk. All
else is busybox, sh too unless bash is named. COMMAND is root, stands in this directory, and has
PATH, HOME, LANG, LC_ALL, NO_COLOR, LD_LIBRARY_PATH, AIPU_* and TERM of the environment; TERM is
dumb if stdout is no terminal. Its stdin is /dev/null; its stdout and stderr are serial lines (to
COMMAND terminals), which carry every byte unchanged, 150 KB a second without KVM. Nothing is
written back, except to --disk.

Exit status: COMMAND's. 2: wrong usage. 125: the run failed: no boot (tried twice), no end in time,
a panic, a report of the kernel (unless COMMAND failed by itself), the end of QEMU or of an
aipu-emu. 126: COMMAND is not executable. 127: there is no COMMAND. 129, 130, 143: SIGHUP, SIGINT,
SIGTERM. 141: nobody reads stdout.

QEMU (where this system's is older than 10.1) and kernels come from this machine's package sources
into ${XDG_CACHE_HOME:-~/.cache}/aipu. BUILD names the build directory for aipu-emu and our other
programs (build).
"""


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise Failure(f"{message} (scripts/vm --help lists the options)", USAGE)


def size(text):
    match = re.fullmatch(r"([1-9][0-9]*)([MG])(iB)?", text)
    if not match:
        raise argparse.ArgumentTypeError(f"\"{text}\" is no size such as 512M or 2G")
    return int(match[1]) << (20 if match[2] == "M" else 30)


def number(least, most):
    def convert(text):
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"\"{text}\" is no number from {least} to {most}")
        return int(text)

    return convert


def one_of(*names):
    def convert(text):
        if text not in names:
            raise argparse.ArgumentTypeError(f"\"{text}\" is none of {', '.join(names)}")
        return text

    return convert


def variable(text):
    name, equals, value = text.partition("=")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise argparse.ArgumentTypeError(f"\"{name}\" is no variable's name")
    return name, value if equals else os.environ.get(name)


def make_parser():
    parser = Parser(prog="vm", add_help=False, allow_abbrev=False)
    add = parser.add_argument
    add("--kernel", default="6.12", type=one_of(*KERNELS))
    add("--cards", default=1, type=number(0, MAX_CARDS))
    add("--card", default=[], action="append")
    add("--iommu", nargs="?", const="intel", type=one_of("intel", "virtio"))
    add("--disk", default=[], action="append")
    add("--nvme", action="store_true")
    add("--cpus", default=2, type=number(1, 64))
    add("--memory", type=size)
    add("--file", default=[], action="append")
    add("--env", default=[], action="append", type=variable)
    add("--driver", action="store_true")
    add("--module", default=[], action="append")
    add("--append", default=[], action="append")
    add("--timeout", default=300, type=number(0, 1000000))
    add("--accel", default="tcg", type=one_of("tcg", "kvm", "auto"))
    add("--qmp")
    add("--log")
    add("--allow-splats", action="store_true")
    add("--allow-card-death", action="store_true")
    add("--dry-run", action="store_true")
    add("--verbose", action="store_true")
    add("-h", "--help", action="store_true")
    add("rest", nargs="*")
    return parser


def with_values(arguments):
    """For argparse, which takes a value with "--" in front ("--card --msi") for an option."""
    words = iter(arguments)
    for word in words:
        value = next(words, None) if word in ("--card", "--append") else None
        yield word if value is None else f"{word}={value}"


def card_options(texts, cards):
    """The words for each card."""
    words = [[] for _ in range(cards)]
    for text in texts:
        match = re.match(r"([0-9]+):", text)
        if match and int(match[1]) >= cards:
            raise Failure(f"--card {text}: there are {cards} cards, from 0", USAGE)
        try:
            new = shlex.split(text[match.end():] if match else text)
        except ValueError as error:
            raise Failure(f"--card {text}: {error}", USAGE) from error
        if any(word.split("=")[0] == "--socket" for word in new):
            raise Failure(f"--card {text}: the socket is chosen here", USAGE)
        for card in [int(match[1])] if match else range(cards):
            words[card] += new
    return words


def check_files(options):
    for disk in options.disk:
        if not os.path.exists(disk):
            raise Failure(f"--disk {disk}: no such file", USAGE)
        mode = os.stat(disk).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)) or not os.access(disk, os.R_OK):
            raise Failure(f"--disk {disk}: not a file that can be read", USAGE)
    if options.qmp and os.path.lexists(options.qmp):
        raise Failure(f"--qmp {options.qmp}: exists already", USAGE)
    if options.log and os.path.exists(options.log) and not os.path.isdir(options.log):
        raise Failure(f"--log {options.log}: not a directory", USAGE)
    for module in options.module:
        if not module.split():
            raise Failure("--module: a module's name or path is missing", USAGE)


def parse(arguments):
    """The options, with .command (None: a shell) and .card_words; None if --help was asked for."""
    command = None
    if "--" in arguments:
        at = arguments.index("--")
        arguments, command = arguments[:at], arguments[at + 1:]
        if not command or not command[0]:
            raise Failure("no COMMAND after --", USAGE)
    options = make_parser().parse_args(list(with_values(arguments)))
    if options.help:
        return None
    if options.rest:
        raise Failure(f"unexpected \"{options.rest[0]}\" (COMMAND comes after --)", USAGE)
    options.command = command
    options.card_words = card_options(options.card, options.cards)
    options.memory = options.memory or (2 << 30 if options.kernel == "debug" else 1 << 30)
    check_files(options)
    return options
