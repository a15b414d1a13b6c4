#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Golden bytes of the contract's structures: each field, in the order of the written layout, takes the next number
1, 2, 3, ... in its own width, little endian; text and byte fields repeat their number's low byte. Independent of the C
headers: the layouts are written down here a second time. Prints "name hex" lines: abi_bytes.txt."""

# b h i q: 1, 2, 4, 8 bytes; a number after s: that many bytes
LAYOUTS = {
    "job_copy": "b b h i  i i q q q i i q  q",
    "job_fill": "b b h i  i i q q q q q  q",
    "job_step": "b b h i  i i q i i q i i q  q",
    "copy_entry": "i i q q q s32",
    "block": "i i i i q q",
    "operand": "i i q q q",
    "sampler": "i i i i q i i i i i i q i i q i i q i i q q q",
    "lane_result": "i i i i q",
    "token_record": "i h h i i i i q",
    "completion": "q i i i i h h h h",
    "admin_bind": "b b h i  i i b b h i q q q q  q",
    "admin_queue": "b b h i  i i q q q i h h i i  q",
    "admin_program": "b b h i  i i i i q q q q  q",
    "admin_context": "b b h i  i i i i q q q q  q",
    "admin_abort": "b b h i  i i q q q q q  q",
    "segment_descriptor": "b b h i q q q q",
    "extent": "q q",
    "progress": "i i i i i i q",
    "slot": "b b h i q s48",
    "tensor": "h b b b s3 q q i i i i i i q q",
    "instruction": "b b b b h h h h h h i i i i i i i i q q",
    "entry": "s32 i i i i i i h h h h",
    "program_header": "i i i i i i q q i i i i i i i i i i" + " q" * 19,
    "firmware_header": "q i i q i i i i i i s64 s32 s32 s64 s272",
    "qpc_section": "i i q q s32 q",
    "qpc_model": "s64 s32 q" + " i" * 26 + " q" + " q" * 16,
}

WIDTH = {"b": 1, "h": 2, "i": 4, "q": 8}


def golden(layout):
    out = bytearray()
    for number, field in enumerate(layout.split(), 1):
        if field[0] == "s":
            out += bytes([number & 0xFF]) * int(field[1:])
        else:
            out += number.to_bytes(WIDTH[field], "little")
    return out


for name, layout in LAYOUTS.items():
    print(name, golden(layout).hex())
