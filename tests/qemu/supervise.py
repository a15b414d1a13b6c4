# SPDX-License-Identifier: MIT
"""A run from the first aipu-emu to the last byte: starts the processes, carries the guest's serial
lines to our streams, watches time and deaths, and leaves none of its processes behind. Called by
vm.py with everything prepared."""

import os
import re
import select
import signal
import socket
import subprocess
import sys
import termios
import time
import tty

from common import Failure, HARNESS, Interrupted, say, start, stop, tail

CARD_READY_SECONDS = 20
END_SECONDS = 30
BOOT_SECONDS = 150  # to the guest's init, on a machine however busy
READY_SECONDS = 300  # for a shell, where --timeout does not count
TAIL = 30
TROUBLE = r"BUG:|WARNING:|Oops|Kernel panic|KASAN:|INFO: "  # what came before a long trace
CONSOLE, OUT, ERR, CONTROL = range(4)
LIMIT = 1 << 16


class ClosedPipe(Exception):
    """Nobody reads our stdout any more."""


class NoBoot(Failure):
    """The guest's kernel did not come to its init, so nothing of ours has run in it. Under TCG that
    happens now and then: clocks that cannot be calibrated on a busy machine, code patched under the
    other processor."""


class Output:
    """Bytes on their way to a file of ours that must not make us wait."""

    def __init__(self, descriptor):
        self.descriptor = descriptor
        self.waiting = bytearray()

    def flush(self):
        """After poll() said that it takes some."""
        try:
            # A pipe that is ready takes this much at once.
            done = os.write(self.descriptor, self.waiting[: select.PIPE_BUF])
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError) as error:
            raise ClosedPipe from error
        except OSError as error:
            name = {1: "stdout", 2: "stderr"}[self.descriptor]
            raise Failure(f"{name}: {error.strerror}") from error
        del self.waiting[:done]


class Terminal:
    """Raw while the guest's shell runs. Nothing at all unless wanted."""

    def __init__(self, wanted):
        self.wanted = wanted

    def __enter__(self):
        if self.wanted:
            self.saved = termios.tcgetattr(0)
            tty.setraw(0)
        return self

    def __exit__(self, *_):
        if self.wanted:
            termios.tcsetattr(0, termios.TCSADRAIN, self.saved)


class Run:
    def __init__(self, options, logs):
        self.options = options
        self.logs = logs  # directory
        self.cards = []
        self.qemu = None
        self.ours = []  # our ends of the serial lines
        self.theirs = []
        self.words = {}  # what the guest's init told last, by its first word
        self.reports = []
        self.control = b""
        self.console = open(self.log("console.log"), "wb", buffering=0)
        self.outputs = {1: Output(1), 2: Output(2)}
        self.keys = bytearray()
        self.started = time.monotonic()
        self.first_output = None
        for _ in range(4):
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            self.ours.append(ours)
            self.theirs.append(theirs)

    def log(self, name):
        return os.path.join(self.logs, name)

    def serials(self):
        return [end.fileno() for end in self.theirs]

    def verbose(self, text):
        if self.options.verbose:
            say(text)

    # -- processes -------------------------------------------------------------------------------

    def start_cards(self, commands, sockets):
        for path in filter(os.path.exists, sockets):  # of the attempt before
            os.unlink(path)
        for index, command in enumerate(commands):
            with open(self.log(f"card{index}.log"), "wb") as log:
                self.cards.append(start(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        end = time.monotonic() + CARD_READY_SECONDS
        for index, path in enumerate(sockets):
            while not os.path.exists(path):
                problem = None
                if self.cards[index].poll() is not None:
                    problem = f"aipu-emu of card {index} {death(self.cards[index])} at its start"
                elif time.monotonic() > end:
                    problem = f"aipu-emu of card {index} made no socket in {CARD_READY_SECONDS} s"
                if problem:
                    raise Failure(problem, detail=tail(self.log(f"card{index}.log"), TAIL))
                time.sleep(0.005)

    def start_qemu(self, command, environment):
        with open(self.log("qemu.log"), "wb") as log:
            self.qemu = start(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                              env=dict(os.environ, **environment), pass_fds=self.serials())
        for end in self.theirs:
            end.close()
        self.started = time.monotonic()

    def stop(self):
        """Everything, at once; harmless when repeated."""
        if self.qemu:
            stop(self.qemu)
        for card in self.cards:
            stop(card)
        for end in self.ours:
            end.close()
        self.console.close()

    def end_cards(self):
        """After the guest's end: they have logs to complete."""
        for card in self.cards:
            if card.poll() is None:
                card.send_signal(signal.SIGTERM)
        end = time.monotonic() + 5
        for card in self.cards:
            while card.poll() is None and time.monotonic() < end:
                time.sleep(0.005)

    # -- the serial lines ------------------------------------------------------------------------

    def _take(self, line, data):
        if line == CONSOLE:
            self.console.write(data)
            if self.options.verbose:
                self.outputs[2].waiting += data
        elif line == CONTROL:
            *lines, self.control = (self.control + data).split(b"\n")
            for text in lines:
                self._told(text.decode(errors="replace").strip())
        else:
            if self.first_output is None:
                self.first_output = time.monotonic() - self.started
                self.verbose(f"first output of COMMAND after {self.first_output:.1f} s")
            self.outputs[1 if line == OUT else 2].waiting += data

    def _told(self, text):
        word, _, rest = text.partition(" ")
        self.words[word] = rest
        if word == "ready":
            self.verbose(f"COMMAND starts after {time.monotonic() - self.started:.1f} s"
                         f" ({rest} s in the guest)")
        elif word == "report":
            self.reports.append(rest)

    def _goes_to(self, line):
        if line == OUT:
            return self.outputs[1]
        if line == ERR or self.options.verbose:
            return self.outputs[2]
        return None

    def _watch(self, poll, open_lines, descriptors):
        """What poll() shall look at now: lines whose readers keep up, readers with bytes."""
        for line in list(open_lines):
            reader = self._goes_to(line)
            ready = reader is None or len(reader.waiting) < LIMIT
            events = select.POLLIN if ready else 0
            if line == OUT and self.keys:
                events |= select.POLLOUT
            poll.register(self.ours[line], events)
        for descriptor, output in self.outputs.items():
            if output.waiting:
                poll.register(descriptor, select.POLLOUT)
            elif descriptor in descriptors:
                poll.unregister(descriptor)
        return {descriptor for descriptor, output in self.outputs.items() if output.waiting}

    def _read_line(self, line, poll, open_lines):
        try:
            data = self.ours[line].recv(LIMIT)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if data:
            self._take(line, data)
        else:
            open_lines.discard(line)
            poll.unregister(self.ours[line])

    def _send_keys(self):
        try:
            del self.keys[: self.ours[OUT].send(self.keys)]
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            pass

    def _carry(self, deadline):
        """Until the guest's lines are closed, which is QEMU's end. Ends early by Failure."""
        poll = select.poll()
        open_lines = set(range(4))
        files = {end.fileno(): line for line, end in enumerate(self.ours)}
        deaths = {os.pidfd_open(card.pid): index for index, card in enumerate(self.cards)}
        for descriptor in deaths:
            poll.register(descriptor, select.POLLIN)
        if self.options.command is None:
            poll.register(0, select.POLLIN)
        watched = set()
        try:
            while open_lines or any(output.waiting for output in self.outputs.values()):
                watched = self._watch(poll, open_lines, watched)
                left = deadline() - time.monotonic()
                if left <= 0 and open_lines:
                    raise self._late()
                for descriptor, _ in poll.poll(min(1000 * left, 1e6) if open_lines else None):
                    if descriptor in deaths:
                        poll.unregister(descriptor)
                        self._card_died(deaths[descriptor])
                    elif descriptor == 0:
                        self._read_keys(poll)
                    elif descriptor in self.outputs:
                        self.outputs[descriptor].flush()
                    elif files[descriptor] in open_lines:
                        self._read_line(files[descriptor], poll, open_lines)
                        if self.keys and files[descriptor] == OUT:
                            self._send_keys()
        finally:
            for descriptor in deaths:
                os.close(descriptor)

    def _read_keys(self, poll):
        data = os.read(0, 4096)
        if not data:
            poll.unregister(0)
        self.keys += data
        self._send_keys()

    def _late(self):
        end = time.monotonic() - self.started
        if self.options.command is not None and 0 < self.options.timeout <= end:
            return Failure(f"no end after {self.options.timeout} s (--timeout)")
        if "init" not in self.words:
            return NoBoot(f"the guest's kernel did not boot in {BOOT_SECONDS} s")
        return Failure(f"no shell after {READY_SECONDS} s")

    def _card_died(self, index):
        card = self.cards[index]
        card.wait()
        text = f"aipu-emu of card {index} {death(card)} while the guest ran"
        if "end" in self.words:
            return
        if not self.options.allow_card_death:
            raise Failure(text, detail=tail(self.log(f"card{index}.log"), TAIL))
        say(text)

    # -- the whole -------------------------------------------------------------------------------

    def _deadline(self):
        if self.options.command is None:
            seconds = READY_SECONDS if "ready" not in self.words else 0
        else:
            seconds = self.options.timeout
        if "init" not in self.words:
            seconds = min(seconds or BOOT_SECONDS, BOOT_SECONDS)
        return self.started + seconds if seconds else float("inf")

    def carry(self):
        """Carries the guest to its end; returns the exit status."""
        try:
            with Terminal(self.options.command is None):
                self._carry(self._deadline)
            self._wait_for_qemu()
            return self._judge()
        except Failure as failure:
            if not failure.detail:
                failure.detail = self._console_tail()
            raise
        except ClosedPipe:
            return 141

    def _wait_for_qemu(self):
        try:
            self.qemu.wait(END_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise Failure("QEMU closed the guest's lines but does not end",
                          detail=tail(self.log("qemu.log"), TAIL)) from error

    def _console_tail(self):
        lines = tail(self.log("console.log"), sys.maxsize)
        first = [line for line in lines[:-TAIL] if re.search(TROUBLE, line)][:1]
        return ["the console's last lines:", *first, *lines[-TAIL:]] if lines else []

    def _judge(self):
        words = self.words
        if "failed" in words:
            raise Failure(f"the guest gave up: {words['failed']}")
        if "end" not in words:
            if self.qemu.returncode != 0:
                raise Failure(f"QEMU {death(self.qemu)} before the guest's end",
                              detail=tail(self.log("qemu.log"), TAIL) + self._console_tail())
            what = "while COMMAND ran" if "ready" in words else "before COMMAND"
            if "exit" in words:
                what = "after COMMAND"
            kind = Failure if "init" in words else NoBoot
            raise kind(f"the guest ended {what}, by a panic or by itself")
        status = int(words["exit"])
        if self.reports:
            say("the kernel reports:")
            for report in self.reports:
                sys.stderr.write(f"  {report}\n")
        self.verbose(f"the guest ended after {time.monotonic() - self.started:.1f} s")
        return status or (HARNESS if self.reports else 0)


def death(process):
    """How it ended, as the rest of a sentence."""
    status = process.poll()
    if status is None:
        return "runs"
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def handle_signals():
    def handler(number, _):
        for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        raise Interrupted(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # nohup's choice stays.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)
