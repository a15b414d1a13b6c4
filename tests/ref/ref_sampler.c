// SPDX-License-Identifier: MIT
/*
 * The reference sampler; see ref_sampler.h. Each stage is a plain loop over sorted candidates. It
 * must never borrow a shortcut (partial sorting, early exit) from the device's sampler, since those
 * are what it checks.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "ref_sampler.h"

typedef unsigned __int128 wide;

struct candidate {
	float logit;
	uint32_t token;
	uint64_t weight;
};

void ref_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
	uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
	uint32_t k0 = key[0], k1 = key[1];

	for (int round = 0; round < 10; round++) {
		uint64_t a = (uint64_t)0xd2511f53 * c0;
		uint64_t b = (uint64_t)0xcd9e8d57 * c2;

		c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
		c1 = (uint32_t)b;
		c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
		c3 = (uint32_t)a;
		/* The key's Weyl sequence: the golden ratio and sqrt(3) - 1. */
		k0 += 0x9e3779b9;
		k1 += 0xbb67ae85;
	}
	out[0] = c0;
	out[1] = c1;
	out[2] = c2;
	out[3] = c3;
}

size_t ref_draw(uint64_t seed, uint64_t sequence, uint32_t position, const uint64_t *weights,
		size_t n)
{
	const uint32_t counter[4] = { (uint32_t)sequence, (uint32_t)(sequence >> 32), position, 0 };
	const uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };
	uint64_t total = 0, cumulative = 0, target;
	uint32_t bits[4];
	size_t i;

	for (i = 0; i < n; i++)
		total += weights[i];
	ref_philox(counter, key, bits);
	target = (uint64_t)((wide)(bits[0] | (uint64_t)bits[1] << 32) * total >> 64);
	for (i = 0; i + 1 < n; i++) {
		cumulative += weights[i];
		if (cumulative > target)
			break;
	}
	return i;
}

static int candidate_compare(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;

	if (a->logit != b->logit)
		return a->logit > b->logit ? -1 : 1;
	return a->token < b->token ? -1 : a->token > b->token;
}

static uint64_t weight_of(const struct ref_sampler *s, float difference)
{
	double (*exponential)(double) = s->exp_ref ? s->exp_ref : exp;

	return (uint64_t)floor(exponential(difference) * 0x1p40);
}

static size_t keep_min_p(const struct candidate *c, size_t n, float min_p)
{
	uint64_t p = (uint64_t)((double)min_p * 0x1p24);
	size_t kept = 0;

	while (kept < n && (wide)c[kept].weight << 24 >= (wide)p << 40)
		kept++;
	return kept;
}

static size_t keep_top_p(const struct candidate *c, size_t n, float top_p)
{
	uint64_t p = (uint64_t)((double)top_p * 0x1p24);
	wide total = 0, cumulative = 0;

	for (size_t i = 0; i < n; i++)
		total += c[i].weight;
	for (size_t i = 0; i < n; i++) {
		cumulative += c[i].weight;
		if (cumulative << 24 >= total * p)
			return i + 1;
	}
	return n;
}

/* The largest is finite. At least one of the candidates is kept: the first has the weight 2^40. */
static int choose(const struct ref_sampler *s, struct candidate *c, size_t n, uint64_t sequence,
		  uint32_t position, struct ref_choice *choice)
{
	const float largest = c[0].logit;
	uint64_t *weights;

	if (s->top_k && s->top_k < n)
		n = s->top_k;
	for (size_t i = 0; i < n; i++) {
		const float below = c[i].logit - largest;

		c[i].weight = weight_of(s, below / s->temperature);
	}
	if (s->min_p > 0)
		n = keep_min_p(c, n, s->min_p < 1 ? s->min_p : 1);
	if (s->top_p > 0 && s->top_p < 1)
		n = keep_top_p(c, n, s->top_p);

	weights = calloc(n, sizeof(*weights));
	if (!weights)
		return -ENOMEM;
	choice->total = 0;
	for (size_t i = 0; i < n; i++) {
		weights[i] = c[i].weight;
		choice->total += weights[i];
	}
	choice->n_kept = n;
	choice->token = c[ref_draw(s->seed, sequence, position, weights, n)].token;
	free(weights);
	return 0;
}

int ref_sample(const struct ref_sampler *s, const float *logits, size_t n, uint64_t sequence,
	       uint32_t position, struct ref_choice *choice)
{
	struct candidate *c;
	double sum = 0;
	float largest;
	int err = 0;

	if (!n)
		return -EDOM;
	c = calloc(n, sizeof(*c));
	if (!c)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		c[i] = (struct candidate){ .logit = isnan(logits[i]) ? -INFINITY : logits[i],
					   .token = (uint32_t)i };
	qsort(c, n, sizeof(*c), candidate_compare);
	largest = c[0].logit;
	if (s->temperature > 0 && !isinf(largest))
		err = choose(s, c, n, sequence, position, choice);
	else
		*choice = (struct ref_choice){ .token = c[0].token,
					       .n_kept = 1,
					       .total = 1ull << 40 };
	free(c);
	if (err)
		return err;
	choice->logprob = 0;
	if (isinf(largest))
		return 0;
	for (size_t i = 0; i < n; i++)
		if (!isnan(logits[i]))
			sum += (double)weight_of(s, logits[i] - largest);
	choice->logprob = (float)((double)(logits[choice->token] - largest) - log(sum * 0x1p-40));
	return 0;
}
