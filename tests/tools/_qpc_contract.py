#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes a container for other versions: _qpc_contract.py IN OUT VERSION OLDEST NEWEST [OLDEST NEWEST]

VERSION is of the container format, the first range ("1.0" "1.2") that of the container, the second that of its program (default:
the same). Digests are made good again, so that versions are all that is different.
"""
import hashlib
import struct
import sys

HEADER_BYTES, SECTIONS, SECTION_BYTES, DIGEST = 4096, 256, 64, 40
PROGRAM = 2


def abi(text):
    major, minor = text.split(".")
    return int(major) << 16 | int(minor)


def main():
    source, target, version, oldest, newest, *program = sys.argv[1:]
    program = program or [oldest, newest]
    with open(source, "rb") as container:
        data = bytearray(container.read())
    struct.pack_into("<I", data, 8, int(version))
    struct.pack_into("<II", data, 16, abi(oldest), abi(newest))
    count, = struct.unpack_from("<I", data, 32)
    for i in range(count):
        at = SECTIONS + i * SECTION_BYTES
        kind, _, offset, size = struct.unpack_from("<IIQQ", data, at)
        if kind == PROGRAM:
            struct.pack_into("<II", data, offset + 8, abi(program[0]), abi(program[1]))
            data[at + 24:at + 56] = hashlib.sha256(data[offset:offset + size]).digest()
    data[DIGEST:DIGEST + 32] = bytes(32)
    data[DIGEST:DIGEST + 32] = hashlib.sha256(data[:HEADER_BYTES]).digest()
    with open(target, "wb") as container:
        container.write(data)


main()
