#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A checkpoint of a model that takes seconds for its context, for tests: _slow_model.py DIR DIM HIDDEN LAYERS SEED

Writes model.safetensors and config.json, a Llama with a vocabulary of 1,024. SEED 0: all weights are zero and the file is
sparse, so every token is as likely; else they are drawn, and each token depends on all before it. Same arguments, same bytes.
"""

import json
import os
import random
import struct
import sys

VOCABULARY = 1024
HEADS = 16
DRAWN = 65521  # weights; prime, so that no two rows are alike


def shapes(dim, hidden, layers):
    yield "model.embed_tokens", (VOCABULARY, dim)
    yield "lm_head", (VOCABULARY, dim)
    yield "model.norm", (dim,)
    for i in range(layers):
        for name, shape in (("input_layernorm", (dim,)), ("post_attention_layernorm", (dim,)),
                            ("self_attn.q_proj", (dim, dim)), ("self_attn.k_proj", (dim, dim)),
                            ("self_attn.v_proj", (dim, dim)), ("self_attn.o_proj", (dim, dim)),
                            ("mlp.gate_proj", (hidden, dim)), ("mlp.up_proj", (hidden, dim)),
                            ("mlp.down_proj", (dim, hidden))):
            yield "model.layers.%d.%s" % (i, name), shape


def bf16(value):
    return struct.pack("<f", value)[2:]


def fill(out, shape, drawn):
    count = shape[0] * (shape[1] if len(shape) > 1 else 1)
    pattern = drawn if len(shape) > 1 else bf16(1.0)
    while count > 0:
        part = min(count, len(pattern) // 2)
        out.write(pattern[:2 * part])
        count -= part


def main():
    directory = sys.argv[1]
    dim, hidden, layers, seed = (int(a) for a in sys.argv[2:6])
    tensors, end = {}, 0
    for name, shape in shapes(dim, hidden, layers):
        size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        tensors[name + ".weight"] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    header = json.dumps(tensors).encode()
    os.makedirs(directory, exist_ok=True)
    draw = random.Random(seed)
    drawn = b"".join(bf16(draw.gauss(0, 2 / dim ** 0.5)) for _ in range(DRAWN)) if seed else b""
    with open(directory + "/model.safetensors", "wb") as out:
        out.write(struct.pack("<Q", len(header)) + header)
        for _, shape in shapes(dim, hidden, layers) if seed else ():
            fill(out, shape, drawn)
        out.truncate(8 + len(header) + end)
    with open(directory + "/config.json", "w", encoding="ascii") as out:
        json.dump({"model_type": "llama", "hidden_size": dim, "intermediate_size": hidden,
                   "num_hidden_layers": layers, "num_attention_heads": HEADS, "vocab_size": VOCABULARY,
                   "max_position_embeddings": 4096}, out)


if __name__ == "__main__":
    main()
