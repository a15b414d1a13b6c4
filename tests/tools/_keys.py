# SPDX-License-Identifier: MIT
"""Types into an interactive shell on a terminal of its own: _keys.py SHELL START DIRECTORY < KEYS, for completion.sh.

START is a file that the shell reads first; it binds Ctrl-X Ctrl-X to write the line that is being edited, and a line feed, to
the file $LINE. Each line of KEYS, with \\t for the Tab key, is typed into an empty line; what the line is then is printed."""
import os
import pty
import select
import sys
import tempfile
import time

LIMIT_S = 120
shell, start, directory = sys.argv[1:]
options = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"]}[shell]
dump = tempfile.NamedTemporaryFile()

pid, terminal = pty.fork()
if pid == 0:
    os.chdir(directory)
    os.environ.update(TERM="dumb", LINE=dump.name, PS1="")
    os.execvp(shell, [shell, *options])

said = b""


def until(condition, what):
    """Reads what the shell writes, which nobody else does, until the condition holds."""
    global said
    end = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"{shell}: {what}: not within {LIMIT_S} s; it said {said[-2000:]!r}")
        if select.select([terminal], [], [], 0.05)[0]:
            said += os.read(terminal, 65536)


def type_keys(keys):
    os.write(terminal, keys.encode())


type_keys(f". {start} && echo rea''dy\n")
until(lambda: b"ready\r\n" in said, f"reading {start}")
for line in sys.stdin.read().splitlines():
    before = os.path.getsize(dump.name)
    type_keys("\x15" + line.replace("\\t", "\t") + "\x18\x18")
    until(lambda: os.path.getsize(dump.name) > before and dump.seek(before) == before
          and dump.read().endswith(b"\n"), f"typing {line!r}")
    dump.seek(before)
    print(dump.read().decode().rstrip("\n"))
type_keys("\x15exit\n")
try:
    until(lambda: False, "leaving")
except OSError:  # the terminal is gone with the shell
    pass
os.waitpid(pid, 0)
