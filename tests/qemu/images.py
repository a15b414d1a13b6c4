# SPDX-License-Identifier: MIT
"""A payload's tree as what QEMU takes: a cpio archive (the "newc" form that the kernel documents in
early-userspace/buffer-format) and, for what is large, an ext4 disk. Called by vm.py; writes only
the two files that it is told to."""

import os
import stat
import subprocess

from common import Failure, die_with
from payload import Entry

DISK_FROM = 16 << 20
_KINDS = {"dir": stat.S_IFDIR, "file": stat.S_IFREG, "link": stat.S_IFLNK}


# -- what goes where -------------------------------------------------------------------------------


def below(path, top):
    return path == top or path.startswith(top + "/")


def split(payload):
    """Takes the largest roots out of the tree until the rest is small. Returns their entries and
    the roots' paths; mount points stay in the tree."""
    sizes = {root: 0 for root in payload.roots}
    tops = [root for root in sizes if not any(below(root, r) and r != root for r in sizes)]
    for path, entry in payload.entries.items():
        for top in tops:
            if below(path, top):
                sizes[top] += entry.size
    total = sum(entry.size for entry in payload.entries.values())
    moved, roots = {}, []
    for top in sorted(tops, key=lambda top: -sizes[top]):
        if total <= DISK_FROM:
            break
        total -= sizes[top]
        roots.append(top)
        for path in [path for path in payload.entries if below(path, top)]:
            moved[path] = payload.entries.pop(path)
        kind = moved[top].kind
        payload.entries[top] = Entry(kind, moved[top].mode, data=b"")
    return moved, roots


# -- cpio ------------------------------------------------------------------------------------------


def _header(number, mode, size, name_size):
    fields = [number, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0]
    return b"070701" + b"".join(b"%08X" % field for field in fields)


def _pad(file, size):
    file.write(b"\0" * (-size % 4))


def _content(entry):
    if entry.kind == "link":
        return os.fsencode(entry.target)
    if entry.kind == "dir":
        return b""
    if entry.source is None:
        return entry.data
    with open(entry.source, "rb") as source:
        return source.read()


def _write_one(file, number, path, mode, content):
    name = os.fsencode(path) + b"\0"
    file.write(_header(number, mode, len(content), len(name)))
    file.write(name)
    _pad(file, 110 + len(name))
    file.write(content)
    _pad(file, len(content))


def write_cpio(entries, to):
    with open(to, "wb") as file:
        for number, path in enumerate(sorted(entries), 1):
            entry = entries[path]
            mode = _KINDS[entry.kind] | (0o777 if entry.kind == "link" else entry.mode)
            _write_one(file, number, path.lstrip("/"), mode, _content(entry))
        _write_one(file, 0, "TRAILER!!!", 0, b"")


# -- ext4 ------------------------------------------------------------------------------------------


def _quote(path):
    if '"' in path or "\n" in path:
        raise Failure(f"{path}: a name with a quote or line feed cannot go to the guest's disk")
    return f'"{path}"'


def _debugfs_lines(entries, roots):
    made = set()
    for root in roots:
        parts = root.strip("/").split("/")[:-1]
        for depth in range(len(parts)):
            path = "/" + "/".join(parts[: depth + 1])
            if path not in made and path not in entries:
                made.add(path)
                yield f"mkdir {_quote(path)}"
    for path in sorted(entries):
        entry = entries[path]
        if entry.kind == "dir":
            yield f"mkdir {_quote(path)}"
        elif entry.kind == "link":
            yield f"symlink {_quote(path)} {_quote(entry.target)}"
        else:
            yield f"write {_quote(entry.source)} {_quote(path)}"


def write_disk(entries, roots, to):
    """No root needed, and no copy of the files besides the image."""
    size = sum(-(-entry.size // 4096) * 4096 for entry in entries.values())
    inodes = len(entries) + 64 + sum(root.count("/") for root in roots)
    with open(to, "wb") as file:
        file.truncate(size + size // 16 + inodes * 4096 + (16 << 20))
    environment = dict(os.environ, PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    more = {"env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT,
            "text": True, "errors": "surrogateescape", "preexec_fn": die_with(os.getpid())}
    made = subprocess.run(
        ["mke2fs", "-q", "-t", "ext4", "-m", "0", "-b", "4096", "-N", str(inodes),
         "-O", "^has_journal", "-E", "lazy_itable_init=1,root_owner=0:0", to], **more)
    if made.returncode != 0:
        raise Failure("mke2fs failed", detail=made.stdout.splitlines())
    filled = subprocess.run(["debugfs", "-w", "-f", "-", to],
                            input="\n".join(_debugfs_lines(entries, roots)) + "\n", **more)
    bad = [line for line in filled.stdout.splitlines()
           if not line.startswith(("debugfs", "Allocated inode"))]
    if filled.returncode != 0 or bad:
        raise Failure("debugfs cannot fill the guest's disk", detail=bad[:10])
