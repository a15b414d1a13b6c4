# SPDX-License-Identifier: MIT
"""aipu-smi on a terminal, for tests/tools/smi.sh: _smi_terminal.py CASE AIPU-SMI. Exit status 0: as it should be."""

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

LIMIT = 60  # seconds that a loaded machine may take for anything here
TAKEN = b"\033[?1049h"
GIVEN = b"\033[?1049l"
CURSOR = b"\033[?25h"


class Terminal:
    """A program on a terminal of its own; what it writes is gathered."""

    def __init__(self, arguments, rows=24, columns=100, **environment):
        self.got = b""
        self.status = None
        self.pid, self.fd = pty.fork()
        if not self.pid:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            changed = {**os.environ, "TERM": "xterm", **environment}
            if "NO_COLOR" not in environment:
                changed.pop("NO_COLOR", None)
            os.execve(arguments[0], arguments, changed)
        self.end = time.monotonic() + LIMIT

    def read(self):
        if time.monotonic() > self.end:
            raise SystemExit("no end within %d s; it wrote %r" % (LIMIT, self.got[-2000:]))
        if select.select([self.fd], [], [], 0.1)[0]:
            try:
                more = os.read(self.fd, 65536)
            except OSError:
                return False
            self.got += more
            return bool(more)
        return True

    def until(self, text, times=1, after=0):
        """Where it has written the text so often."""
        while self.got[after:].count(text) < times:
            if not self.read():
                raise SystemExit("it ended without %r: %r" % (text, self.got[-2000:]))
        return self.got.index(text, after)

    def ended(self):
        """All that it wrote; self.status is how it ended."""
        while self.read():
            pass
        self.status = os.waitpid(self.pid, 0)[1]
        return self.got

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def echoes(self):
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)


def require(condition, what):
    if not condition:
        raise SystemExit(what)


def lines_of(screen):
    """Length of each line that was drawn, without escapes."""
    import re

    return [len(re.sub(rb"\033\[[0-9;?]*[A-Za-z]", b"", line.rstrip(b"\r"))) for line in screen.split(b"\r\n")]


def colour(smi):
    t = Terminal([smi, "--device", "soft"])
    got = t.ended()
    require(t.status == 0 and b"\033[32mready\033[0m" in got and TAKEN not in got, "colour: %r" % got)


def no_color(smi):
    t = Terminal([smi, "--device", "soft"], NO_COLOR="1")
    got = t.ended()
    require(t.status == 0 and b"\033" not in got and b"ready" in got, "NO_COLOR: %r" % got)


def dumb(smi):
    t = Terminal([smi, "--device", "soft", "-w", "0.05", "--count", "2"], TERM="dumb")
    got = t.ended()
    require(t.status == 0 and b"\033" not in got and got.count(b"ready") == 2, "dumb: %r" % got)


def live(smi):
    t = Terminal([smi, "--device", "soft", "-w", "0.05"])
    t.until(b"q ends", 2)
    require(t.got.startswith(TAKEN), "it takes the screen first: %r" % t.got[:40])
    require(not t.echoes(), "keys are not echoed")
    return t


def given(t, what):
    """The screen is given back, and that is the last that is written."""
    got = t.ended()
    require(got.count(GIVEN) == got.count(TAKEN), what + ": the screen is given back")
    require(got.endswith(CURSOR + GIVEN), what + ": and nothing follows: %r" % got[-80:])


def resize(smi):
    t = Terminal([smi, "--device", "soft", "-w", "3600"])
    first = t.until(b"q ends")
    widest = max(lines_of(t.got[t.got.index(b"\033[H") : first]))
    require(widest > 50, "the table is wide: %d" % widest)
    # No look is due for an hour: what is drawn now is the answer to the change
    t.resize(3, 40)
    at = t.until(b"\033[H", after=first)
    t.until(b"\033[J", after=at)
    drawn = lines_of(t.got[at : t.got.index(b"\033[J", at)])
    require(len(drawn) == 3 and max(drawn) == 40, "3 lines of at most 40 columns: %r" % drawn)
    os.write(t.fd, b"q")
    given(t, "q")


def quit(smi):
    t = live(smi)
    os.write(t.fd, b"xq")
    given(t, "q")
    require(t.status == 0, "q is no failure: %x" % t.status)


def quit_lines(smi):
    # Forms that are no table take no screen, but q ends them too
    for form in (["-q"], ["--json"], ["--csv"]):
        t = Terminal([smi, "--device", "soft", "-w", "0.05", *form])
        t.until(b"ready", 2)
        require(not t.echoes(), "%s: keys are not echoed" % form)
        os.write(t.fd, b"xq")
        got = t.ended()
        require(t.status == 0 and TAKEN not in got and b"\033" not in got, "%s: %x %r" % (form, t.status, got[-200:]))


def stop_lines(smi):
    t = Terminal([smi, "--device", "soft", "-w", "0.05", "-q"])
    t.until(b"ready", 2)
    os.write(t.fd, b"\032")
    os.waitpid(t.pid, os.WUNTRACED)
    require(t.echoes(), "a stopped one leaves the terminal as it was")
    os.kill(t.pid, signal.SIGCONT)
    at = len(t.got)
    t.until(b"ready", 2, after=at)
    require(not t.echoes(), "and takes its keys again")
    os.write(t.fd, b"q")
    t.ended()
    require(t.status == 0, "q after ^Z: %x" % t.status)


def interrupt(smi):
    t = live(smi)
    os.write(t.fd, b"\003")
    given(t, "^C")
    require(os.WEXITSTATUS(t.status) == 130, "^C is 130: %x" % t.status)


def terminate(smi):
    for number in (signal.SIGTERM, signal.SIGHUP):
        t = live(smi)
        os.kill(t.pid, number)
        given(t, "signal %d" % number)
        require(os.WIFSIGNALED(t.status) and os.WTERMSIG(t.status) == number, "ended by it: %x" % t.status)


def stop(smi):
    t = live(smi)
    os.write(t.fd, b"\032")
    os.waitpid(t.pid, os.WUNTRACED)
    while GIVEN not in t.got:
        t.read()
    require(t.echoes(), "a stopped one leaves the terminal as it was")
    os.kill(t.pid, signal.SIGCONT)
    t.until(b"q ends", after=t.got.index(GIVEN))
    require(not t.echoes() and t.got.count(TAKEN) == 2, "and takes it again")
    os.write(t.fd, b"q")
    given(t, "q after ^Z")


CASES = {f.__name__: f for f in (colour, no_color, dumb, resize, quit, quit_lines, interrupt, terminate, stop, stop_lines)}
CASES[sys.argv[1]](sys.argv[2])
