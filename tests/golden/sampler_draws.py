#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/golden/sampler_draws.txt: draws and choices that every sampler must reproduce.

Run by hand (`sampler_draws.py >sampler_draws.txt`) and by tests/tools/golden_sampler.sh, which
compares. Draws are integers only. For whole choices the exponential is computed to 50 digits, and a
case is written only when no decision in it would change if every weight were off by one part in a
million: an implementation whose exponential is exact to a few units in the last place of float32
must make the same choice. It must never read another implementation's results.
"""
import random
import struct
from decimal import Decimal, getcontext

getcontext().prec = 50
MASK = 0xFFFFFFFF
MARGIN = Decimal(1) / 1000000


def philox(counter, key):
    """Philox4x32-10, Salmon et al. 2011, section 3.3 and table 2."""
    c = list(counter)
    k = list(key)
    for _ in range(10):
        a = 0xD2511F53 * c[0]
        b = 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & MASK, (a >> 32) ^ c[3] ^ k[1], a & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return c


def random_bits(seed, sequence, position):
    out = philox((sequence & MASK, sequence >> 32, position, 0), (seed & MASK, seed >> 32))
    return out[0] | out[1] << 32


def draw(seed, sequence, position, weights):
    target = random_bits(seed, sequence, position) * sum(weights) >> 64
    cumulative = 0
    for i, weight in enumerate(weights):
        cumulative += weight
        if cumulative > target:
            return i
    raise ValueError("no candidate has a weight")


INFINITY = float("inf")


def f32(x):
    """Rounded to float32; what is too large for it is infinite."""
    try:
        return struct.unpack("<f", struct.pack("<f", x))[0]
    except OverflowError:
        return INFINITY if x > 0 else -INFINITY


class Borderline(Exception):
    """A decision of this case hangs on the last digits of the exponential."""


def above(value, limit):
    """value >= limit, when that is certain."""
    value, limit = Decimal(value), Decimal(limit)
    if abs(value - limit) <= MARGIN * max(value, limit):
        raise Borderline
    return value > limit


def weight_of(difference):
    return int((Decimal(difference).exp() * 2**40).to_integral_value("ROUND_FLOOR"))


def sample(logits, temperature, top_k, top_p, min_p, seed, sequence, position):
    """Returns the token, how many candidates were left, and the token's log-probability."""
    logits = [-INFINITY if x != x else x for x in logits]
    order = sorted(range(len(logits)), key=lambda i: (-logits[i], i))
    kept = order
    largest = logits[order[0]]
    if abs(largest) == INFINITY:
        return order[0], 1, 0.0
    if temperature == 0:
        kept = order[:1]
        token = order[0]
    else:
        if top_k:
            kept = kept[:top_k]
        # Differences and then quotients of float32 numbers, each rounded to float32. No float64 in
        # between shows, but in a subnormal quotient, whose exponential is 1 either way.
        weights = [weight_of(f32(f32(logits[i] - largest) / temperature)) for i in kept]
        if min_p:
            p = int(min_p * 2**24)
            left = 0
            # Equal to the largest is exact: exp(0) is 1 everywhere.
            while left < len(weights) and (
                weights[left] == 2**40 or above(weights[left] << 24, p << 40)
            ):
                left += 1
            kept, weights = kept[:left], weights[:left]
        if 0 < top_p < 1:
            p = int(top_p * 2**24)
            total, cumulative, left = sum(weights), 0, 0
            for weight in weights:
                cumulative += weight
                left += 1
                if above(cumulative << 24, p * total):
                    break
            kept, weights = kept[:left], weights[:left]
        target = random_bits(seed, sequence, position) * sum(weights) >> 64
        cumulative = 0
        for token, weight in zip(kept, weights):
            cumulative += weight
            # Chosen whatever its weight is, when last; an absolute margin, as errors add up.
            if token != kept[-1] and abs(Decimal(cumulative - target)) <= MARGIN * sum(weights):
                raise Borderline
            if cumulative > target:
                break
        else:
            raise ValueError("no candidate was chosen")
    total = sum((Decimal(x) - Decimal(largest)).exp() for x in logits)
    return token, len(kept), float(Decimal(logits[token]) - Decimal(largest) - total.ln())


def write_draws(rng, count):
    print("# draw SEED SEQUENCE POSITION CHOSEN N WEIGHT...")
    edges = [
        (0, 0, 0, [1]),
        (0, 0, 0, [2**40]),
        (2**64 - 1, 2**64 - 1, 2**32 - 1, [2**40, 2**40]),
        (1, 0, 0, [0, 0, 5]),
        (1, 0, 0, [0, 7, 0, 0]),
        (2**32, 1, 2, [2**40, 1, 1, 1]),
        (1, 2**32, 2, [1, 1, 1, 2**40]),
        (1, 1, 2**31, [2**63, 2**62, 2**62 - 1]),
        (7, 7, 7, [1] * 64),
        (8, 7, 7, [2**57] * 64),
    ]
    for i in range(count):
        if i < len(edges):
            seed, sequence, position, weights = edges[i]
        else:
            # Small seeds and ids as users have them, and whole words.
            seed = rng.getrandbits(rng.choice((4, 32, 64)))
            sequence = rng.getrandbits(rng.choice((3, 64)))
            position = rng.getrandbits(rng.choice((7, 12, 32)))
            n = rng.choice((1, 2, 2, 3, 3, 4, 5, 6, 8))
            width = rng.choice((1, 8, 32, 40, 40, 57))
            weights = [rng.getrandbits(width) for _ in range(n)]
            weights[rng.getrandbits(8) % n] |= 1
            weights.sort(reverse=rng.getrandbits(3) != 0)
        chosen = draw(seed, sequence, position, weights)
        print("draw", seed, sequence, position, chosen, len(weights), *weights)


def write_samples(rng, count):
    print("# sample SEED SEQUENCE POSITION TEMPERATURE TOP_K TOP_P MIN_P TOKEN KEPT LOGPROB N",
          "LOGIT...")
    print("# KEPT: candidates left for the draw; LOGPROB: natural logarithm, to within 1e-5 relative")
    print("# above 1; TEMPERATURE, TOP_P, MIN_P and LOGIT are float32 numbers in decimal, read back exact")
    written = 0
    while written < count:
        # Every sixth case at the edges of each parameter, the others as users set them.
        edge = written % 6 == 5
        n = rng.choice((1, 2)) if edge else rng.choice((5, 16, 40, 40))
        # Eighths, so that ties are common; every fourth case far apart, so that weights reach 0.
        spread = 400 if written % 4 == 3 else 64
        logits = [(rng.getrandbits(16) % spread - spread // 2) / 8 for _ in range(n)]
        temperature = f32(rng.choice((0, 0.01, 100) if edge else (0.7, 1, 1, 1.3, 2)))
        top_k = rng.choice((0, 1, n, n + 1) if edge else (0, 0, 0, 3, 10, 20))
        top_p = f32(rng.choice((0, 0.01, 1) if edge else (0, 0, 0.8, 0.9, 0.95)))
        min_p = f32(rng.choice((0, 1) if edge else (0, 0, 0.01, 0.02, 0.05)))
        seed = rng.getrandbits(rng.choice((4, 64)))
        sequence = rng.getrandbits(rng.choice((3, 64)))
        position = rng.getrandbits(9)
        try:
            token, kept, logprob = sample(
                logits, temperature, top_k, top_p, min_p, seed, sequence, position
            )
        except Borderline:
            continue
        print("sample", seed, sequence, position, temperature, top_k, top_p, min_p, token, kept,
              f"{logprob:.7f}", n, *logits)
        written += 1
    # The ends of the temperature, and logits that no model should give.
    nan = float("nan")
    tie = [1.0, -2.5, 3.0, 3.0, 2.875]
    smallest, largest = 2.0**-149, (2 - 2.0**-23) * 2.0**127
    for temperature, logits in (
        (smallest, tie[:3]),
        (smallest, tie),
        (f32(1e-38), tie[:3]),
        (f32(1e-38), [largest, -largest, largest / 2]),
        (f32(3e38), tie),
        (largest, tie),
        (largest, [largest, -largest, 0.0]),
        (1.0, [2.0] * 9),
        (f32(0.7), [nan, 1.0, -INFINITY, 1.25, nan, 1.0]),
        (0.0, [nan, 1.0, -INFINITY, 1.25, nan, 1.25]),
        (1.0, [0.0, INFINITY, nan, INFINITY]),
        (1.0, [nan, -INFINITY, nan]),
        (1.0, [-0.0, 0.0, -0.0, nan]),
    ):
        for seed in (1, 2, 5):
            chosen = sample(logits, temperature, 0, 0.0, 0.0, seed, 3, 4)
            print("sample", seed, 3, 4, temperature, 0, 0.0, 0.0, chosen[0], chosen[1],
                  f"{chosen[2]:.7f}", len(logits), *logits)


def main():
    rng = random.Random(20111112)
    assert philox((0, 0, 0, 0), (0, 0)) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    print("# Golden choices of the sampler; written by sampler_draws.py.")
    write_draws(rng, 1000)
    write_samples(rng, 200)


main()
