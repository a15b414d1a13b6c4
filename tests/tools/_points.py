#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""docs/driver-points.md: does what its tables name exist, and are its lines counted? For points.sh: TOP; a line for each that is
not so, and then for code: how many lines of the driver are neither comments nor blank."""

import glob
import os
import re
import subprocess
import sys

TOP = sys.argv[1]
NEAR = 0.03  # what lines of a row may differ by before somebody has to count again


def text(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        return file.read()


def missing(paths, names):
    """Those of the names, of functions, types or tests (with *), that none of the files has"""
    absent = [path for path in paths if not os.path.exists(os.path.join(TOP, path))]
    if absent:
        yield f"there is no {absent[0]}"
        return
    have = "".join(map(text, paths))
    for name in names:
        pattern = r"\b" + re.escape(name.removesuffix("()")).replace(r"\*", r"\w*") + r"\b"
        if not re.search(pattern, have):
            yield f"{paths[0]} has no {name}"


def where(cell):
    path = None
    for word in re.findall(r"`([^`]+)`", cell):
        file, colon, names = word.partition(": ")
        if colon and re.fullmatch(r"\w+\.[ch]", file):
            path = f"kernel/aipu_{file}"
            yield from missing([path], names.split(", "))
        elif path and re.fullmatch(r"\w+\(\)", word):
            yield from missing([path], [word])


def test_files(name):
    """What has the tests called `name` in a table"""
    if name == "faults":
        return ["tests/guest/faults.sh", "tests/guest/_faults.sh"]
    return [f"tests/guest/selftest_{name}.c"]


def shown(cell):
    files = None
    for word in re.findall(r"`([^`]+)`", cell):
        if re.fullmatch(r"\w+\.(sh|c)", word):
            if not os.path.exists(os.path.join(TOP, "tests/guest", word)):
                yield f"there is no tests/guest/{word}"
            continue
        name, colon, tests = word.partition(": ")
        if colon:
            files = test_files(name)
        if not colon and re.fullmatch(r"[a-z_*0-9]+", word):
            tests = "" if os.path.exists(os.path.join(TOP, test_files(word)[0])) else word
        if tests and files:
            yield from missing(files, tests.split(", "))


def count(names):
    """Lines of "drv.c, .h, ring.h": a suffix alone is of the name before"""
    lines, stem = 0, ""
    for name in names.split(", "):
        stem = name.rpartition(".")[0] or stem
        with open(os.path.join(TOP, "kernel", f"aipu_{stem}.{name.rpartition('.')[2]}"), "rb") as file:
            lines += sum(1 for _ in file)
    return lines


def sizes(cells):
    files, said = cells[1], int(cells[2])
    lines = count(files) if files else sum(
        count(os.path.basename(path)[len("aipu_"):])
        for path in glob.glob(os.path.join(TOP, "kernel/aipu_*")))
    if abs(lines - said) > NEAR * said:
        yield f"{cells[0]}: {lines} lines, the table says {said}"


def code():
    """Lines that are neither comments nor blank"""
    lines = 0
    for path in glob.glob(os.path.join(TOP, "kernel/aipu_*.[ch]")):
        out = subprocess.run(["gcc", "-fpreprocessed", "-dD", "-E", "-P", path], check=True,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        lines += sum(1 for line in out.splitlines() if line.strip())
    return lines


def main():
    rows = 0
    for line in text("docs/driver-points.md").splitlines():
        if not line.startswith("| ") or line.startswith("| ---"):
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        rows += 1
        if len(cells) == 3 and cells[2].isdigit():
            problems = sizes(cells)
        else:
            problems = [*where(" ".join(cells[:-1])), *shown(cells[-1])]
        for problem in problems:
            print(problem)
    print(f"code: {code()} of {rows} rows")


main()
