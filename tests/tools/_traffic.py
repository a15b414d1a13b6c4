# SPDX-License-Identifier: MIT
"""Bytes that a decode step of a container's first program reads, worked out from what aipu-qpc shows of it, for stats.sh: each
instruction reads each byte of its operands that takes part once (spec.md, NRG-2), and the draw its row of logits."""
import json
import subprocess

F32 = 4


class Traffic:
    def __init__(self, qpc_tool, container):
        shown = json.loads(subprocess.check_output([qpc_tool, "show", container, "--program", "--json"]))
        self.program = shown["programs"][0]
        self.tensors = self.program["tensor_table"]
        entry = next(e for e in self.program["entries"] if e["name"] == "decode")
        first = entry["first_instruction"]
        self.code = self.program["code"][first:first + entry["instructions"]]
        # K and V of one position, of all layers
        self.position_bytes = shown["model"]["kv_slot_bytes"] // shown["model"]["ctx_len"]

    def width(self, index):
        return self.tensors[index]["dims"][1]

    @staticmethod
    def elements_bytes(tensor, count):
        """Of `count` elements in a row: int8 has a scale of 2 bytes for each 32 of them"""
        return {"f32": count * 4, "f16": count * 2, "i8_g32": count + count // 32 * 2}[tensor["format"]]

    def weights(self):
        """What a cost model has to say: all matrices, each once"""
        total = 0
        for i in self.code:
            if i["opcode"] == "matmul":
                matrix = self.tensors[i["b"]]
                total += matrix["dims"][0] * self.elements_bytes(matrix, matrix["dims"][1])
        return total

    def rest(self, position):
        """All other operands of the step that computes the token at that position"""
        total = 0
        for i in self.code:
            dst = self.tensors[i["dst"]]
            row = dst["dims"][1] * F32
            if i["opcode"] == "embed":
                total += self.elements_bytes(self.tensors[i["a"]], self.width(i["a"]))
            elif i["opcode"] == "rmsnorm":
                total += row + self.width(i["b"]) * F32
            elif i["opcode"] == "matmul":
                total += self.width(i["a"]) * F32 + (row if i["add"] else 0)
                total += row if i["c"] is not None else 0
            elif i["opcode"] == "rope":  # in place, and a row of sines and cosines
                total += row * i["u"][1] // i["u"][0] + i["u"][1] * F32
            elif i["opcode"] == "kv_update":  # dst: [slot][head][head_dim][position]
                total += 2 * dst["dims"][1] * dst["dims"][2] * F32
            elif i["opcode"] == "attention":
                keys = self.tensors[i["b"]]
                one = self.elements_bytes(keys, keys["dims"][1] * keys["dims"][2])
                total += self.width(i["a"]) * F32 + 2 * (position + 1) * one
            elif i["opcode"] in ("activate", "add"):
                total += row * (1 if i["b"] is None else 2)
            elif i["opcode"] == "select":
                total += row
            else:
                raise ValueError(i["opcode"])
        return total + self.program["vocabulary"] * F32

    def decode(self, first_position, tokens):
        return sum(self.weights() + self.rest(first_position + i) for i in range(tokens))
