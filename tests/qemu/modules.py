# SPDX-License-Identifier: MIT
"""Which kernel modules a guest loads, in which order. Called by vm.py; only reads."""

import os
import re

from common import Failure, USAGE


class Modules:
    """The modules of one kernel: a directory with lib/modules/RELEASE, as depmod leaves it."""

    def __init__(self, root, release):
        self.base = os.path.join(root, "lib", "modules", release)
        self.release = release
        self.needs = {}  # path below base: the paths that it needs
        self.paths = {}
        for line in self._lines("modules.dep"):
            path, _, needs = line.partition(":")
            self.needs[path] = needs.split()
            self.paths[plain_name(path)] = path
        self.builtin = {plain_name(line) for line in self._lines("modules.builtin")}

    def _lines(self, name):
        try:
            with open(os.path.join(self.base, name)) as file:
                return file.read().splitlines()
        except OSError:
            return []

    def order(self, requests):
        """[(path in the guest, path here, parameters)] in the order of loading. A request is a
        module's name or path, with its parameters; with "?" before it, it may be missing."""
        result, seen = [], set()
        for request in requests:
            name, *parameters = request.lstrip("?").split()
            if request.startswith("?") and plain_name(name) not in self.paths:
                continue
            if "/" in name or name.endswith(".ko"):
                self._order_own(name, parameters, result, seen)
            else:
                self._order_named(name, parameters, result, seen)
        return result

    def _take(self, guest, here, parameters, result, seen):
        name = plain_name(guest)
        if name not in seen:
            seen.add(name)
            result.append((guest, here, parameters))

    def _order_named(self, name, parameters, result, seen):
        name = plain_name(name)
        if name in self.builtin:
            return
        if name not in self.paths:
            raise Failure(f"--module {name}: kernel {self.release} has no such module", USAGE)
        path = self.paths[name]
        for need in reversed(self.needs[path]):
            self._take(os.path.join("/lib/modules", self.release, need),
                       os.path.join(self.base, need), [], result, seen)
        self._take(os.path.join("/lib/modules", self.release, path),
                   os.path.join(self.base, path), parameters, result, seen)

    def _order_own(self, path, parameters, result, seen):
        if not os.path.isfile(path):
            raise Failure(f"--module {path}: no such file", USAGE)
        with open(path, "rb") as file:
            found = re.search(rb"\0depends=([^\0]*)\0", b"\0" + file.read())
        for need in (found[1].decode() if found else "").split(","):
            if need and plain_name(need) not in seen:
                self._order_named(need, [], result, seen)
        self._take(os.path.abspath(path), os.path.abspath(path), parameters, result, seen)

    def indexes(self):
        """(name, path here) of the lists that modprobe and libkmod read."""
        wanted = re.compile(r"modules\.(dep|alias|symbols|softdep|builtin)(\.alias)?(\.bin)?")
        return [(name, os.path.join(self.base, name)) for name in sorted(os.listdir(self.base))
                if wanted.fullmatch(name)]


def plain_name(path):
    return os.path.basename(path).split(".")[0].replace("-", "_")
