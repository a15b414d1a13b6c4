/* SPDX-License-Identifier: MIT */
/*
 * The sampler a second time, written from its specification for tests: what the device and the host
 * library choose must be what this chooses. Called by tests only. It must never include the
 * device's numerics: the exponential is handed in by the caller.
 */
#ifndef REF_SAMPLER_H
#define REF_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

struct ref_sampler {
	float temperature; /* 0: greedy */
	uint32_t top_k; /* 0: off */
	float top_p; /* 0, or 1 and above: off */
	float min_p; /* 0: off */
	uint64_t seed;
	double (*exp_ref)(
		double x); /* NULL: the C library's; called with differences of float32 numbers, x <= 0 */
};

struct ref_choice {
	uint32_t token;
	float logprob; /* natural logarithm, of the raw logits over the whole vocabulary */
	size_t n_kept; /* candidates left by top-k, min-p and top-p; 1 when greedy */
	uint64_t total; /* sum of their weights; 2^40 when greedy */
};

/*
 * Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3; SC 2011).
 */
void ref_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/**
 * ref_draw() - draw one of several weighted candidates
 * @seed: key of the generator
 * @sequence: sequence id, the counter's first two words
 * @position: position of the token that is drawn, the counter's third word
 * @weights: their sum is above 0 and below 2^64
 * @n: number of weights
 *
 * Return: the first index whose cumulative weight exceeds floor(r · sum / 2^64), with r the
 * generator's first 64 bits.
 */
size_t ref_draw(uint64_t seed, uint64_t sequence, uint32_t position, const uint64_t *weights,
		size_t n);

/**
 * ref_sample() - choose a token
 * @sampler: parameters
 * @logits: [n]
 * @n: vocabulary size
 * @sequence: sequence id
 * @position: position of the token that is chosen
 * @choice: filled in
 *
 * A logit that is NaN counts as -infinity. Where the largest is infinite, the choice is as if
 * greedy, with the log-probability 0.
 *
 * Return: 0, -EDOM without a candidate, -ENOMEM.
 */
int ref_sample(const struct ref_sampler *sampler, const float *logits, size_t n, uint64_t sequence,
	       uint32_t position, struct ref_choice *choice);

#endif
