# SPDX-License-Identifier: MIT
"""What every part of the harness needs: how it speaks, how it fails, how it starts processes that
cannot outlive it. Knows nothing of guests; must not keep state."""

import ctypes
import os
import signal
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HARNESS = 125  # the run itself failed, whatever COMMAND did
NOT_EXECUTABLE = 126
NOT_FOUND = 127
USAGE = 2

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


class Failure(Exception):
    """Ends the run with one line on stderr (more below it if there is detail) and a status."""

    def __init__(self, text, status=HARNESS, detail=()):
        super().__init__(text)
        self.status = status
        self.detail = list(detail)


class Interrupted(Exception):
    """Raised by the handlers of SIGINT, SIGTERM and SIGHUP wherever the run happens to be."""

    def __init__(self, number):
        super().__init__(signal.Signals(number).name)
        self.number = number


def say(text):
    try:
        sys.stderr.write(f"vm: {text}\n")
        sys.stderr.flush()
    except OSError:
        pass


def die_with(parent):
    """For a child between fork and exec: SIGKILL when the parent ends, however it ends."""

    def prepare():
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(HARNESS)

    return prepare


def start(command, **more):
    """A process in a session of its own, so that a terminal's Ctrl-C reaches only us."""
    return subprocess.Popen(
        command, start_new_session=True, preexec_fn=die_with(os.getpid()), **more
    )


def stop(process):
    """Kills a process of start() with all it started, and waits for it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    process.wait()


def output_of(command, what, **more):
    """What a helper prints; its stderr is ours. A helper that fails ends the run."""
    process = start(
        command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, **more
    )
    try:
        text = process.communicate()[0]
    except BaseException:
        stop(process)
        raise
    if process.returncode != 0:
        raise Failure(f"{what}: {' '.join(command[:3])} ended with status {process.returncode}")
    return text.strip()


def tail(path, count):
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 65536))
            lines = file.read().decode(errors="replace").replace("\r", "").splitlines()
    except OSError:
        return []
    return lines[-count:]
