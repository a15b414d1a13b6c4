/* SPDX-License-Identifier: MIT */
/*
 * The device's sampler: one row of logits to one token, [NUM-70] to [NUM-77] of
 * firmware-abi/numerics.md. Called once a step and lane by whoever ends the step; must never read
 * beyond the n logits and the scratch it is given.
 */
#ifndef AIPU_DM_SAMPLER_H
#define AIPU_DM_SAMPLER_H

#include "compute/compute.h"

struct aipu_sampler_params {
	float temperature; /* not above 0 (or NaN): greedy; down to the smallest subnormal */
	uint32_t top_k; /* 0: off */
	float top_p; /* off unless 0 < top_p < 1 */
	float min_p; /* off unless above 0; above 1 counts as 1 */
	uint64_t seed;
};

/*
 * Bytes of scratch for n logits, 64-byte aligned by the caller, contents undefined before and
 * after.
 */
static inline uint64_t aipu_sample_scratch_bytes(uint32_t n)
{
	return (uint64_t)n * 12 + 64;
}

/*
 * Draws one token for `position` (the position the new token will have) of sequence `sequence`.
 * logits: n >= 1 floats, not changed. NaN counts as -infinity; where the largest is infinite, the
 * first of the largest is taken and its log-probability is 0. logprob may be NULL.
 */
uint32_t aipu_sample(const struct aipu_kernels *kernels, const float *logits, uint32_t n,
		     const struct aipu_sampler_params *params, uint64_t sequence, uint32_t position,
		     void *scratch, float *logprob);

#endif
