#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Draws stories from the demo model with torch and judges them; for the model's author.

Starts from opening sentences that training never saw, samples at temperature 0.7 until </s>, and
prints the share that the grammar accepts and the share that is not in the training text.  As the
openings are new by choice, what follows the opening is looked up, among all that follows one in the
training text.  A sample that does not end within the context does not count as a story.  With --judge it draws nothing and
judges texts from a file (one a line, or JSON as aipu-gen writes it), which needs neither torch nor
sentencepiece.  With --openings it prints the openings alone, for another program to go on from.
"""

import argparse
import os
import sys

import stories

HERE = os.path.dirname(os.path.abspath(__file__))
MIN_PARSE, MIN_NEW = 0.95, 0.5


def openings(count):
    """Different opening sentences that no training story has."""
    import split
    seen = {}
    for text in split.held_out_stream():
        seen.setdefault(stories.opening(text))
        if len(seen) == count:
            return list(seen)


def draw(directory, prompts, temperature, seed):
    """A story from each prompt; an unfinished one is marked with a trailing "..."."""
    import model as net
    import sentencepiece
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model = net.load(directory)
    tokenizer = sentencepiece.SentencePieceProcessor(
        model_file=os.path.join(directory, "tokenizer.model"))
    limit = model.config["max_position_embeddings"]
    rows = [[net.BOS, *ids] for ids in tokenizer.encode(prompts)]
    # All rows take one step at a time; as long as a row has tokens of its prompt, those win.
    current, cache, position = torch.tensor([row[:1] for row in rows]), {}, 0
    waiting = [row[1:] for row in rows]
    rows = [[] for _ in rows]
    with torch.no_grad():
        while position < limit and not all(row and row[-1] == net.EOS for row in rows):
            logits = model(current, cache, position)[:, -1]
            current = torch.multinomial((logits / temperature).softmax(-1), 1)
            position += 1
            for i, row in enumerate(rows):
                if waiting[i]:
                    current[i, 0] = waiting[i].pop(0)
                if not row or row[-1] != net.EOS:
                    row.append(int(current[i, 0]))
    return [tokenizer.decode(row[:-1]) if row[-1] == net.EOS else tokenizer.decode(row) + "..."
            for row in rows]


def after_opening(text):
    return text.partition(".")[2]


def judge(texts, verbose):
    """Print both shares; true when both are high enough."""
    import split
    known = {after_opening(t) for t in split.training_stories()}
    good = [stories.parses(t) for t in texts]
    new = [after_opening(t) not in known for t in texts]
    if verbose:
        for text, ok in zip(texts, good):
            print(("      " if ok else "wrong ") + text)
    share_good, share_new = sum(good) / len(texts), sum(new) / len(texts)
    print(f"{len(texts)} samples, {share_good:.1%} parse (at least {MIN_PARSE:.0%} is right), "
          f"{share_new:.1%} not in the training text (at least {MIN_NEW:.0%})")
    return share_good >= MIN_PARSE and share_new >= MIN_NEW


def main():
    parser = argparse.ArgumentParser(description="Draws and judges stories of the demo model.")
    parser.add_argument("--model", default=os.path.join(HERE, "demo"))
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--openings", action="store_true", help="print the openings and stop")
    parser.add_argument("--judge", metavar="FILE", help="judge these texts, - is standard input")
    parser.add_argument("--verbose", action="store_true", help="print the samples too")
    args = parser.parse_args()
    if args.openings:
        print("\n".join(openings(args.count)))
        return 0
    if args.judge:
        with (sys.stdin if args.judge == "-" else open(args.judge, encoding="utf-8")) as handle:
            texts = [t.strip() for t in stories.read_texts(handle)]
        if not texts:
            print(f"samples.py: no text in {args.judge}", file=sys.stderr)
            return 1
    else:
        texts = draw(args.model, openings(args.count), args.temperature, args.seed)
    return 0 if judge(texts, args.verbose) else 1


if __name__ == "__main__":
    sys.exit(main())
