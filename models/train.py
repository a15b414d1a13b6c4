#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Trains the demo model; for its author, started by train.sh, never by the build or the tests.

Owns the tokenizer and the training loop.  Writes its state to the --state
file as it goes, starts again from there, and leaves a Hugging Face directory in --out.  Nothing
here is random but by the seeds below; sums on several threads may still differ in the last bits, so
a new run is compared with the committed model by its held-out loss.
"""

import argparse
import io
import itertools
import math
import os
import random
import shutil
import sys
import time

import sentencepiece
import torch
from torch.nn import functional as F

import model as net
import split
import stories

DIALOGUE_SEED, ORDER_SEED = 3, 4
HELD_OUT_STORIES = 500
TOKENIZER_STORIES, TOKENIZER_DIALOGUES = 20000, 10000
BATCH = 16		# stories a step, some 130 tokens each
POOL = 50		# batches sorted by length together, so that rows need little padding
STEPS = 6200
WARMUP = 100
PEAK_RATE, LAST_RATE = 2e-3, 1e-4
LOSS_MARGIN = 0.03


def train_tokenizer(texts, path):
    """BPE with byte fallback.

    Texts with a letter beyond ASCII are left out, so that such letters become bytes, and a line of
    all printable ASCII characters is added, so that any plain prompt gets tokens of its own.
    """
    dialogues = itertools.islice(stories.stream(DIALOGUE_SEED, stories.dialogue),
                                 TOKENIZER_DIALOGUES)
    lines = texts[:TOKENIZER_STORIES] + [line for d in dialogues for line in d.split("\n")]
    lines.append(" ".join(map(chr, range(0x21, 0x7f))))
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([line for line in lines if line.isascii()]), model_writer=out,
        model_type="bpe", vocab_size=net.CONFIG["vocab_size"], byte_fallback=True,
        unk_id=net.UNK, bos_id=net.BOS, eos_id=net.EOS, pad_id=-1,
        character_coverage=1.0,
        normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True,
        num_threads=1, hard_vocab_limit=True, minloglevel=1)
    net.replace(path, out.getvalue())


def load_tokenizer(directory):
    return sentencepiece.SentencePieceProcessor(
        model_file=os.path.join(directory, "tokenizer.model"))


def encode(tokenizer, texts):
    return [[net.BOS, *ids, net.EOS] for ids in tokenizer.encode(texts)]


def rows_of(documents):
    """Inputs and targets, one story a row; a target of -1 is padding and not counted."""
    length = max(map(len, documents)) - 1
    ids = torch.zeros(len(documents), length, dtype=torch.long)
    targets = torch.full((len(documents), length), -1, dtype=torch.long)
    for row, doc in enumerate(documents):
        ids[row, :len(doc) - 1] = torch.tensor(doc[:-1])
        targets[row, :len(doc) - 1] = torch.tensor(doc[1:])
    return ids, targets


def loss_of(model, documents):
    """Summed cross-entropy in nats, and the tokens predicted."""
    ids, targets = rows_of(documents)
    logits = model(ids)
    loss = F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1), ignore_index=-1,
                           reduction="sum")
    return loss, int((targets >= 0).sum())


@torch.no_grad()
def held_out_loss(directory):
    """Mean loss, in nats a token, of a committed or exported model on the held-out stories."""
    model, documents = net.load(directory), encode(
        load_tokenizer(directory), list(itertools.islice(split.held_out_stream(), HELD_OUT_STORIES)))
    documents.sort(key=len)
    total = count = 0
    for i in range(0, len(documents), 25):
        loss, tokens = loss_of(model, documents[i:i + 25])
        total, count = total + float(loss), count + tokens
    return total / count


def batches(documents, skip):
    """Endless batches in an order given by ORDER_SEED, from batch `skip` on."""
    rng, number = random.Random(ORDER_SEED), 0
    while True:
        order = list(range(len(documents)))
        rng.shuffle(order)
        for i in range(0, len(order) - POOL * BATCH + 1, POOL * BATCH):
            pool = sorted(order[i:i + POOL * BATCH], key=lambda n: len(documents[n]))
            groups = [pool[j:j + BATCH] for j in range(0, len(pool), BATCH)]
            rng.shuffle(groups)
            for group in groups:
                if number >= skip:
                    yield [documents[n] for n in group]
                number += 1


def rate_at(step):
    """Cosine from the peak to the last learning rate, after a linear warm-up."""
    if step < WARMUP:
        return PEAK_RATE * (step + 1) / WARMUP
    part = (step - WARMUP) / max(1, STEPS - WARMUP)
    return LAST_RATE + (PEAK_RATE - LAST_RATE) * (1 + math.cos(math.pi * part)) / 2


def train(documents, state_path, out, stop_at):
    torch.manual_seed(ORDER_SEED)
    model = net.Model(net.CONFIG)
    model.init()
    matrices = [p for p in model.parameters() if p.dim() == 2]
    others = [p for p in model.parameters() if p.dim() != 2]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1},
                                   {"params": others, "weight_decay": 0.0}], betas=(0.9, 0.95))
    step = tokens = 0
    spent = 0.0
    if os.path.exists(state_path):
        state = torch.load(state_path)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, tokens, spent = state["step"], state["tokens"], state["spent"]
        print(f"goes on at step {step}", flush=True)
    began, recent = time.monotonic() - spent, []
    for documents_now in batches(documents, step):
        if step >= min(STEPS, stop_at):
            break
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step)
        loss, count = loss_of(model, documents_now)
        optimizer.zero_grad(set_to_none=True)
        (loss / count).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step, tokens = step + 1, tokens + count
        recent.append(float(loss) / count)
        if step % 50 == 0 or step == STEPS:
            spent = time.monotonic() - began
            print(f"step {step} of {STEPS}: loss {sum(recent) / len(recent):.4f}, "
                  f"{tokens} tokens in {spent:.0f} s", flush=True)
            recent = []
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(),
                        "step": step, "tokens": tokens, "spent": spent}, state_path + ".new")
            os.replace(state_path + ".new", state_path)
    net.save(model, out)


def export(state_path, out):
    model = net.Model(net.CONFIG)
    model.load_state_dict(torch.load(state_path)["model"])
    net.save(model, out)


def main():
    parser = argparse.ArgumentParser(description="Trains the demo model.")
    parser.add_argument("--out", required=True, help="directory for the model")
    parser.add_argument("--state", help="file for the training state (OUT/state.pt)")
    parser.add_argument("--committed", help="model to compare the held-out loss with")
    parser.add_argument("--new-tokenizer", action="store_true",
                        help="train a tokenizer too; without, the committed one is taken, as "
                        "losses a token can be compared for one vocabulary only")
    parser.add_argument("--threads", type=int, default=1,
                        help="threads (1: more wait for each other in openblas and OpenMP)")
    parser.add_argument("--steps", type=int, default=STEPS, help="stop early, after so many steps")
    parser.add_argument("--export", action="store_true",
                        help="do not train: write the model of the state as it is")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    os.makedirs(args.out, exist_ok=True)
    state = args.state or os.path.join(args.out, "state.pt")
    texts = split.training_stories()
    tokenizer_path = os.path.join(args.out, "tokenizer.model")
    if not os.path.exists(tokenizer_path):
        if args.committed and not args.new_tokenizer:
            shutil.copyfile(os.path.join(args.committed, "tokenizer.model"), tokenizer_path)
        else:
            train_tokenizer(texts, tokenizer_path)
    if args.export:
        export(state, args.out)
    else:
        documents = encode(load_tokenizer(args.out), texts)
        print(f"{len(documents)} stories, {sum(map(len, documents))} tokens, "
              f"{min(map(len, documents))} to {max(map(len, documents))} each", flush=True)
        train(documents, state, args.out, args.steps)
    new = held_out_loss(args.out)
    print(f"held-out loss, trained now: {new:.4f} nats a token")
    if not args.committed:
        return 0
    old = held_out_loss(args.committed)
    print(f"held-out loss, committed:   {old:.4f} nats a token")
    if abs(new - old) > LOSS_MARGIN * old:
        print(f"the two differ by {abs(new / old - 1):.1%}, at most {LOSS_MARGIN:.0%} is right")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
