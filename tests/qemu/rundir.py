# SPDX-License-Identifier: MIT
"""The directory of a run: sockets, images, logs. Gone at the end; what a killed run left is removed
by the next one. Its owner holds the lock beside it, so a directory whose lock is free has none."""

import errno
import fcntl
import os
import secrets
import shutil
import tempfile

from common import Failure

LONGEST_SOCKET = 100  # sun_path has 108 bytes


def _base():
    """Short enough for sockets."""
    for base in (os.environ.get("TMPDIR"), tempfile.gettempdir(), "/tmp"):
        if base and len(base) < LONGEST_SOCKET - 40 and os.access(base, os.W_OK | os.X_OK):
            return os.path.abspath(base)
    raise Failure("no temporary directory that can be written: set TMPDIR to one with a short path")


def _prefix():
    return f"aipu-vm-{os.getuid()}-"


def _lock(path, create):
    """The open file with its lock, or None if somebody else has it or it went away meanwhile."""
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT | os.O_EXCL if create else 0)
    try:
        file = os.open(path, flags, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.stat(path).st_ino == os.fstat(file).st_ino:
            return file
    except OSError:
        pass
    os.close(file)
    return None


def sweep(base):
    """Removes what killed runs of this user left."""
    for name in os.listdir(base):
        if not name.startswith(_prefix()) or not name.endswith(".lock"):
            continue
        path = os.path.join(base, name)
        file = _lock(path, create=False)
        if file is None:
            continue
        shutil.rmtree(path[:-5], ignore_errors=True)
        if not os.path.lexists(path[:-5]):
            os.unlink(path)
        os.close(file)


class RunDirectory:
    """With-statement: .path inside, nothing after."""

    def __enter__(self):
        base = _base()
        sweep(base)
        for _ in range(1000):
            name = _prefix() + secrets.token_hex(4)
            self.path = os.path.join(base, name)
            self._file = _lock(self.path + ".lock", create=True)
            if self._file is None:
                continue
            try:
                os.mkdir(self.path, 0o700)
                return self
            except FileExistsError:
                os.close(self._file)
        raise Failure(f"cannot make a directory in {base}")

    def __exit__(self, _, error, __):
        shutil.rmtree(self.path, ignore_errors=True)
        if not os.path.lexists(self.path):
            os.unlink(self.path + ".lock")
        os.close(self._file)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise Failure(f"{os.path.dirname(self.path)}: {error.strerror}; TMPDIR names another "
                          "directory") from error

    def file(self, name):
        return os.path.join(self.path, name)
