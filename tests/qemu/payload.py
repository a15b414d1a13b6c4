# SPDX-License-Identifier: MIT
"""Which files of this machine are in the guest: a tree of paths with where each comes from, filled
from COMMAND and --file. Called by vm.py before anything boots; it reads files here and starts ldd,
and writes nothing."""

import os
import re
import shutil
import stat
import subprocess

from common import Failure, NOT_EXECUTABLE, NOT_FOUND, TOP, USAGE, say

GUESTS_OWN = ("/proc", "/sys", "/dev")
MAX_FILES = 200000
SHELLS = ("sh", "bash", "dash", "ash")
# Programs that open files which no library list names: files they cannot do without.
ALSO = {"lspci": ["/usr/share/misc/pci.ids"], "setpci": ["/usr/share/misc/pci.ids"]}


class Entry:
    """One path of the guest. kind: "dir", "file" (source: a path here, or data), "link" (target)."""

    def __init__(self, kind, mode=0o755, source=None, data=None, target=None, size=0):
        self.kind = kind
        self.mode = mode
        self.source = source
        self.data = data
        self.target = target
        self.size = size


def build_directory():
    return os.path.abspath(os.environ.get("BUILD") or os.path.join(TOP, "build"))


def applets(busybox):
    """Paths of busybox's programs."""
    said = subprocess.run([busybox, "--list-full"], stdout=subprocess.PIPE, text=True, check=True)
    return ["/" + path for path in said.stdout.split()]


class Payload:
    def __init__(self, busybox):
        self.entries = {}
        self.roots = []  # what is moved to a disk as one
        self.applets = {os.path.basename(path) for path in applets(busybox)}
        self._examined = set()

    # -- paths -----------------------------------------------------------------------------------

    def _place(self, path):
        """Where a path of the guest's own is, with /bin and its like being links as here."""
        _, first, *rest = path.split("/")
        top = self.entries.get("/" + first)
        if top and top.kind == "link":
            return os.path.join("/", top.target, *rest)
        return path

    def add_data(self, path, data, mode=0o644):
        path = self._place(path)
        self.add_directory(os.path.dirname(path))
        self.entries[path] = Entry("file", mode, data=data, size=len(data))

    def add_directory(self, path):
        """A directory that need not be here."""
        while path not in self.entries and path != "/":
            self.entries[path] = Entry("dir")
            path = os.path.dirname(path)

    def add_link(self, path, target):
        """Unless something is there."""
        place = self._place(path)
        if place not in self.entries:
            self.add_directory(os.path.dirname(place))
            self.entries[place] = Entry("link", target=target)

    def add_path(self, path):
        """The directories and symbolic links that lead to a path; returns the real path, or None if
        that is nothing that the guest can have."""
        at = "/" if path.startswith("/") else os.getcwd()
        self.add_directory(at)
        rest = path.split("/")[::-1]
        links = 0
        while rest:
            part = rest.pop()
            if part in ("", "."):
                continue
            if part == "..":
                at = os.path.dirname(at)
                continue
            step = os.path.join(at, part)
            if step in GUESTS_OWN:
                return None
            try:
                status = os.lstat(step)
            except OSError:
                return None
            if stat.S_ISLNK(status.st_mode):
                links += 1
                if links > 40:
                    return None
                target = os.readlink(step)
                self.entries.setdefault(step, Entry("link", target=target))
                rest.extend(target.split("/")[::-1])
                if target.startswith("/"):
                    at = "/"
                continue
            if stat.S_ISDIR(status.st_mode):
                self.entries.setdefault(step, Entry("dir", stat.S_IMODE(status.st_mode)))
            at = step
        return at

    def _add_file(self, path, status):
        if path in self.entries:
            return
        if not os.access(path, os.R_OK):
            raise Failure(f"{path}: cannot be read", 1)
        mode = stat.S_IMODE(status.st_mode) | 0o400
        self.entries[path] = Entry("file", mode, source=path, size=status.st_size)
        if len(self.entries) > MAX_FILES:
            raise Failure(f"more than {MAX_FILES} files for the guest, the last of them {path}")

    def _add_directory_tree(self, top):
        for directory, names, files in os.walk(top):
            self.entries.setdefault(directory, Entry("dir", 0o755))
            for name in names + files:
                path = os.path.join(directory, name)
                status = os.lstat(path)
                if stat.S_ISLNK(status.st_mode):
                    self.entries.setdefault(path, Entry("link", target=os.readlink(path)))
                    real = os.path.realpath(path)
                    if not real.startswith(top + "/") and os.path.isfile(real):
                        self.add(path)
                elif stat.S_ISREG(status.st_mode):
                    self._add_file(path, status)
                    self._add_libraries(path)

    def add(self, path):
        """A file or directory with all that programs in it need; returns its real path."""
        real = self.add_path(path)
        if real is None or real == "/" or real in self._examined:
            return real
        self._examined.add(real)
        status = os.stat(real)
        if stat.S_ISDIR(status.st_mode):
            self._add_directory_tree(real)
            self.roots.append(real)
        elif stat.S_ISREG(status.st_mode):
            self._add_file(real, status)
            self.roots.append(real)
            self._add_libraries(real)
        return real

    # -- programs --------------------------------------------------------------------------------

    def _add_libraries(self, path):
        if not is_dynamic_elf(path):
            return
        found = subprocess.run(
            ["ldd", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ).stdout
        for line in found.splitlines():
            if "not found" in line:
                say(f"warning: {path} needs {line.split()[0]}, which is not here")
            for word in line.split():
                if word.startswith("/"):
                    self.add(word)
                    self._add_opened_by(word)
        if os.path.exists("/lib/x86_64-linux-gnu/libgcc_s.so.1"):
            self.add("/lib/x86_64-linux-gnu/libgcc_s.so.1")  # opened to unwind and to cancel

    def _add_opened_by(self, library):
        """What libaipu opens on demand lies beside it."""
        if os.path.basename(library).startswith("libaipu.so"):
            soft = os.path.join(os.path.dirname(library), "libaipu-soft.so")
            if os.path.exists(soft):
                self.add(soft)

    def find_program(self, name):
        """Where it is here; None: the guest's busybox has it. COMMAND not found ends the run."""
        if "/" not in name:
            base = name
            if base in ("sh", "busybox"):
                return None
            found = shutil.which(name) or shutil.which(
                name, path=os.path.join(build_directory(), "bin") + ":/usr/sbin:/sbin"
            )
            if found:
                return found
            if base in self.applets:
                return None
            raise Failure(f"{name}: not found in PATH, in {build_directory()}/bin, in busybox",
                          NOT_FOUND)
        if not os.path.exists(name):
            raise Failure(f"{name}: no such file", NOT_FOUND)
        if os.path.isdir(name) or not os.access(name, os.X_OK):
            raise Failure(f"{name}: not executable", NOT_EXECUTABLE)
        return name

    def add_program(self, name):
        path = self.find_program(name)
        if path is None:
            return
        real = self.add(path)
        if real is None:
            raise Failure(f"{name}: the guest has its own {path}", NOT_EXECUTABLE)
        for more in ALSO.get(os.path.basename(path), []):
            if os.path.exists(more):
                self.add(more)
        self._add_interpreter(real)

    def _add_interpreter(self, path):
        with open(path, "rb") as file:
            line = file.readline(256)
        if not line.startswith(b"#!"):
            return
        words = line[2:].decode(errors="replace").split()
        if words and os.path.basename(words[0]) == "env":
            words = [word for word in words[1:] if not word.startswith("-")]
        if not words:
            return
        name = os.path.basename(words[0])
        if name in self.applets:
            return
        if name == "bash":
            self.add_program(words[0])
            return
        program = shutil.which(words[0])
        if not program or os.path.realpath(program) not in self.entries:
            raise Failure(
                f"{path}: runs with {words[0]}, which is in the guest only when asked for: --file "
                f"{program or words[0]} and --file for each directory that it needs",
                NOT_EXECUTABLE,
            )

    # -- command lines ---------------------------------------------------------------------------

    def add_named(self, path):
        """--file: a path, or a program's name."""
        if not os.path.exists(path) and "/" not in path:
            try:
                self.add_program(path)
            except Failure as error:
                raise Failure(f"--file {error}", USAGE) from error
        elif not os.path.exists(path):
            raise Failure(f"--file {path}: no such file", USAGE)
        else:
            self.add(path)

    def _add_text(self, text):
        """Of a shell's -c: what are plainly programs and paths."""
        for word in re.findall(r"[^\s;|&()<>\"'`$={}*?\[\]]+", text):
            if "/" in word:
                if os.path.exists(word) and os.path.abspath(word) != "/":
                    self.add(word)
            elif word not in self.applets and re.fullmatch(r"[\w.+-]+", word):
                try:
                    self.add_program(word)
                except Failure:
                    pass

    def add_command(self, command):
        self.add_program(command[0])
        is_shell = os.path.basename(command[0]) in SHELLS
        for before, word in zip(command, command[1:]):
            if is_shell and re.fullmatch(r"-[a-z]*c", before):
                self._add_text(word)
                continue
            option = re.match(r"--?[\w-]+=(.+)", word)
            for path in (word, option[1] if option else ""):
                if path and os.path.exists(path):
                    self.add(path)


def is_dynamic_elf(path):
    """Programs and shared libraries, not objects or kernel modules."""
    try:
        with open(path, "rb") as file:
            head = file.read(18)
    except OSError:
        return False
    return head[:4] == b"\x7fELF" and head[16:18] in (b"\x02\x00", b"\x03\x00")
