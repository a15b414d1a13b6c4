# SPDX-License-Identifier: MIT
"""Which stories the demo model is trained on, and which are kept from it.

Called by train.py, samples.py and golden.py, which must all agree; standard library alone, so that
samples can be judged where torch is not installed.
"""

import itertools
import zlib

import stories

TRAIN_SEED, HELD_OUT_SEED = 1, 2
TRAIN_STORIES = 60000


def held_out(text):
    """One opening sentence in 16 is kept from training, with every story that starts so."""
    return zlib.crc32(stories.opening(text).encode()) % 16 == 0


def training_stories():
    return list(itertools.islice((t for t in stories.stream(TRAIN_SEED) if not held_out(t)),
                                 TRAIN_STORIES))


def held_out_stream():
    return filter(held_out, stories.stream(HELD_OUT_SEED))
