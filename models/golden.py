#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes the golden logits of the demo model with torch; for the model's author.

Owns tests/golden/demo*: the ids of held-out stories and the float32 logits that model.py, written
from the architecture's definition alone, gives for them.  demo.json names the digest of the weights
they belong to, so that a test notices when the model was replaced without them.
"""

import argparse
import hashlib
import itertools
import json
import os
import sys

import sentencepiece
import torch

import model as net
import split

HERE = os.path.dirname(os.path.abspath(__file__))
POSITIONS = 64


def digest(path):
    with open(path, "rb") as handle:
        return hashlib.sha256(handle.read()).hexdigest()


def main():
    parser = argparse.ArgumentParser(description="Writes golden logits of the demo model.")
    parser.add_argument("--model", default=os.path.join(HERE, "demo"))
    parser.add_argument("--out", default=os.path.join(HERE, "..", "tests", "golden"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = net.load(args.model)
    tokenizer = sentencepiece.SentencePieceProcessor(
        model_file=os.path.join(args.model, "tokenizer.model"))
    # The first held-out story with a letter outside the vocabulary: byte pieces are covered too.
    text = next(t for t in itertools.islice(split.held_out_stream(), 1000)
                if not t[:200].isascii())
    ids = [net.BOS, *tokenizer.encode(text)][:POSITIONS]
    with torch.no_grad():
        logits = model(torch.tensor([ids]))[0]
        # Where float32 rounds shows against float64; it must be far below what the tests allow.
        error = float((model.double()(torch.tensor([ids]))[0] - logits).abs().max())
    os.makedirs(args.out, exist_ok=True)
    paths = {k: os.path.join(args.out, v) for k, v in
             (("ids", "demo_ids.txt"), ("logits", "demo_logits.f32"), ("about", "demo.json"))}
    net.replace(paths["ids"], ("\n".join(map(str, ids)) + "\n").encode())
    net.replace(paths["logits"], logits.contiguous().numpy().astype("<f4").tobytes())
    about = {
        "model": "models/demo",
        "model_safetensors_sha256": digest(os.path.join(args.model, "model.safetensors")),
        "tokenizer_model_sha256": digest(os.path.join(args.model, "tokenizer.model")),
        "ids": {"file": "demo_ids.txt", "count": len(ids), "text": text},
        "logits": {"file": "demo_logits.f32", "dtype": "float32 little endian",
                   "shape": list(logits.shape), "sha256": digest(paths["logits"])},
        "tolerance": 1e-3,
    }
    net.replace(paths["about"], (json.dumps(about, indent=2) + "\n").encode())
    print(f"{len(ids)} positions; float32 differs from float64 by at most {error:.1e}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
