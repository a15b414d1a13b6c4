// SPDX-License-Identifier: MIT
/*
 * One row of logits to one token; see sampler.h. The order of candidates is total (logit
 * descending, then id), so a key of 64 bits holds a candidate: the smaller key comes first. Instead
 * of sorting the vocabulary, the keys become a heap, from which only as many are taken as the draw
 * needs. All sums are of integers, so their order is free.
 */
#include <math.h>

#include "aipu_numerics_float.h"
#include "compute/sampler.h"

/* Smaller is earlier. NaN counts as -infinity, and -0 as +0. */
static uint64_t candidate_key(float logit, uint32_t id)
{
	uint32_t bits = logit == logit ? aipu_f32_bits(logit + 0.0f) : 0xff800000u;

	bits ^= bits >> 31 ? 0xffffffffu : 0x80000000u; /* now ordered as the floats are */
	return (uint64_t)~bits << 32 | id;
}

/* [NUM-72] e is in [0, 1], as exp_shifted() promises under a finite maximum */
static uint64_t weight_of(float e)
{
	return (uint64_t)(e * 0x1p40f);
}

static void heap_sink(uint64_t *heap, uint32_t n, uint32_t i)
{
	const uint64_t key = heap[i];

	for (;;) {
		uint64_t child = 2 * (uint64_t)i + 1;

		if (child >= n)
			break;
		if (child + 1 < n && heap[child + 1] < heap[child])
			child++;
		if (heap[child] >= key)
			break;
		heap[i] = heap[child];
		i = (uint32_t)child;
	}
	heap[i] = key;
}

static void heap_make(uint64_t *heap, uint32_t n)
{
	for (uint32_t i = n / 2; i-- > 0;)
		heap_sink(heap, n, i);
}

/* Removes the smallest of n keys; n - 1 are left. */
static uint64_t heap_take(uint64_t *heap, uint32_t n)
{
	const uint64_t key = heap[0];

	heap[0] = heap[n - 1];
	if (n > 1)
		heap_sink(heap, n - 1, 0);
	return key;
}

/* floor(p * 2^24) */
static uint32_t fraction(float p)
{
	return (uint32_t)(aipu_min(p, 1.0f) * 0x1p24f);
}

/*
 * The candidates that min-p leaves, packed to the front: in order, those before the first whose
 * weight is too small. Without a sort: those before the smallest key of all that fail.
 */
static uint32_t keep_min_p(uint64_t *key, uint32_t n, const float *e, uint32_t p)
{
	uint64_t first_failing = UINT64_MAX;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < n; i++) {
		const uint64_t w = weight_of(e[(uint32_t)key[i]]);

		if (!aipu_fraction_reached(w, p, (uint64_t)1 << AIPU_WEIGHT_SHIFT) &&
		    key[i] < first_failing)
			first_failing = key[i];
	}
	for (uint32_t i = 0; i < n; i++)
		if (key[i] < first_failing)
			key[kept++] = key[i];
	return kept;
}

/*
 * The first candidate has the weight 2^40 and no filter takes it away: the sum is above 0, the
 * target below the sum.
 */
static uint32_t draw(uint64_t *key, float *e, uint32_t n, const struct aipu_sampler_params *params,
		     uint64_t sequence, uint32_t position, uint32_t first)
{
	const bool top_p = params->top_p > 0.0f && params->top_p < 1.0f;
	const uint64_t bits = aipu_draw_bits(params->seed, sequence, position);
	uint64_t total = 0, sum = 0, target;
	uint32_t kept = n, taken = 0;

	if (params->top_k && params->top_k < n) {
		/*
		 * The keys that are taken, in order, fill the space that the shrinking heap leaves.
		 */
		heap_make(key, n);
		for (kept = 0; kept < params->top_k; kept++) {
			const uint64_t k = heap_take(key, n - kept);

			key[n - kept - 1] = k;
		}
		memmove(key, key + n - kept, kept * sizeof(*key));
	}
	if (params->min_p > 0.0f)
		kept = keep_min_p(key, kept, e, fraction(params->min_p));
	for (uint32_t i = 0; i < kept; i++)
		total += weight_of(e[(uint32_t)key[i]]);
	heap_make(key, kept);
	target = aipu_mulhi64(bits, total);
	if (top_p) {
		/*
		 * The prefix first: its sum decides the target. It goes behind the heap, last
		 * candidate in front.
		 */
		const uint32_t p = fraction(params->top_p);

		do {
			const uint64_t k = heap_take(key, kept - taken);

			key[kept - ++taken] = k;
			sum += weight_of(e[(uint32_t)k]);
		} while (!aipu_fraction_reached(sum, p, total) && taken < kept);
		target = aipu_mulhi64(bits, sum);
		sum = 0;
		for (uint32_t i = kept; i-- > kept - taken;) {
			sum += weight_of(e[(uint32_t)key[i]]);
			if (sum > target)
				return (uint32_t)key[i];
		}
		return first;
	}
	for (; taken < kept; taken++) {
		const uint64_t k = heap_take(key, kept - taken);

		sum += weight_of(e[(uint32_t)k]);
		if (sum > target)
			return (uint32_t)k;
	}
	return first;
}

uint32_t aipu_sample(const struct aipu_kernels *kernels, const float *logits, uint32_t n,
		     const struct aipu_sampler_params *params, uint64_t sequence, uint32_t position,
		     void *scratch, float *logprob)
{
	uint64_t *key = scratch;
	float *e = (float *)(key + n), max;
	const uint32_t first = kernels->argmax(logits, n, &max);
	uint32_t token = first;

	if (isinf(max)) { /* [NUM-71]; differences to it would be no numbers */
		if (logprob)
			*logprob = 0.0f;
		return first;
	}
	if (params->temperature > 0.0f) {
		kernels->exp_shifted(logits, n, params->temperature, max, e);
		for (uint32_t i = 0; i < n; i++)
			key[i] = candidate_key(logits[i], i);
		token = draw(key, e, n, params, sequence, position, first);
	}
	if (logprob) {
		uint64_t sum = 0;

		kernels->exp_shifted(logits, n, 1.0f, max, e);
		for (uint32_t i = 0; i < n; i++)
			sum += weight_of(e[i]);
		*logprob = (logits[token] - max) - aipu_ln((float)sum * 0x1p-40f);
	}
	return token;
}
