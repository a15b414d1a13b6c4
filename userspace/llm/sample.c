/* SPDX-License-Identifier: MIT */
/*
 * The host's sampler: the choice that the device makes in GENERATE, for callers that take single steps
 * (firmware-abi/numerics.md, "Sampler"). Plain and complete, not fast. It keeps no state.
 */
#include <errno.h>
#include <stdlib.h>

#include "aipu/llm.h"
#include "aipu_numerics.h"
#include "aipu_numerics_float.h"

struct candidate {
	float logit;
	uint32_t id;
	uint64_t weight;
};

static int by_logit(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->logit != y->logit)
		return x->logit > y->logit ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* below_max: 0 or less, -infinity too, never NaN */
static uint64_t weight_of(float below_max)
{
	return (uint64_t)(aipu_exp(below_max) * (float)(1ull << AIPU_WEIGHT_SHIFT));
}

static uint32_t fraction(float p)
{
	return (uint32_t)(aipu_min(p, 1.0f) * (float)(1u << AIPU_FRACTION_SHIFT));
}

int aipu_llm_sample(const float *logits, uint32_t vocabulary, const struct aipu_sampling *sampling,
		    uint64_t sequence, uint32_t position, uint32_t *token, float *logprob)
{
	float temperature = sampling->temperature;
	uint32_t kept = vocabulary, chosen = 0, i;
	uint64_t all = 0, total = 0, sum = 0, target;
	struct candidate *c;

	if (!vocabulary || !(temperature >= 0.0f && temperature < __builtin_inff()))
		return -EINVAL;
	c = malloc((size_t)vocabulary * sizeof(*c));
	if (!c)
		return -ENOMEM;
	for (i = 0; i < vocabulary; i++) {
		/* NaN counts as the least */
		c[i].logit = logits[i] == logits[i] ? logits[i] : -__builtin_inff();
		c[i].id = i;
	}
	qsort(c, vocabulary, sizeof(*c), by_logit);
	if (__builtin_isinf(c[0].logit)) {
		/* [NUM-71]: differences to it would be no numbers */
		*token = c[0].id;
		if (logprob)
			*logprob = 0.0f;
		free(c);
		return 0;
	}
	for (i = 0; i < vocabulary; i++)
		all += weight_of(c[i].logit - c[0].logit);

	if (temperature > 0.0f) {
		if (sampling->top_k && sampling->top_k < kept)
			kept = sampling->top_k;
		for (i = 0; i < kept; i++)
			/* [NUM-72]: in this order no temperature makes a NaN */
			c[i].weight = weight_of((c[i].logit - c[0].logit) / temperature);
		if (sampling->min_p > 0.0f) {
			uint32_t p = fraction(sampling->min_p);

			for (i = 1; i < kept; i++)
				if (!aipu_fraction_reached(c[i].weight, p,
							   1ull << AIPU_WEIGHT_SHIFT))
					break;
			kept = i;
		}
		for (i = 0; i < kept; i++)
			total += c[i].weight;
		if (sampling->top_p > 0.0f && sampling->top_p < 1.0f) {
			uint32_t p = fraction(sampling->top_p);

			for (i = 0; i < kept; i++) {
				sum += c[i].weight;
				if (aipu_fraction_reached(sum, p, total))
					break;
			}
			kept = i < kept ? i + 1 : kept;
			total = sum;
		}
		target = aipu_mulhi64(aipu_draw_bits(sampling->seed, sequence, position), total);
		for (sum = 0, chosen = 0; chosen < kept - 1; chosen++) {
			sum += c[chosen].weight;
			if (sum > target)
				break;
		}
	}
	*token = c[chosen].id;
	if (logprob)
		*logprob = (c[chosen].logit - c[0].logit) -
			   aipu_ln((float)all * (1.0f / (float)(1ull << AIPU_WEIGHT_SHIFT)));
	free(c);
	return 0;
}
