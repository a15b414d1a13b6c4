// SPDX-License-Identifier: MIT
/*
 * The device's sampler against the golden draws (computed to 50 digits elsewhere) and, on many
 * random rows, against the reference sampler of tests/ref, which sorts everything.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aipu_numerics_float.h"
#include "compute/sampler.h"
#include "ref_sampler.h"
#include "test_env.h"

#define MAX_N 5000u

static const struct aipu_kernels *kernels(enum aipu_simd level)
{
	const struct aipu_kernels *k = NULL;

	return aipu_kernels_select(level, &k) ? NULL : k;
}

static double exp_for_reference(double x)
{
	return (double)aipu_exp((float)x);
}

static uint32_t sample(const struct aipu_kernels *k, const float *logits, uint32_t n,
		       const struct aipu_sampler_params *p, uint64_t sequence, uint32_t position,
		       float *logprob)
{
	void *scratch = test_malloc(aipu_sample_scratch_bytes(n));
	uint32_t token = aipu_sample(k, logits, n, p, sequence, position, scratch, logprob);

	test_free(scratch);
	return token;
}

/* [NUM-72] [NUM-75] [NUM-76] */
static void golden(void **state)
{
	char *path, *text, *line, *next, *rest;
	unsigned int draws = 0, samples = 0;
	float *logits;

	(void)state;
	if (!test_source_have("tests/golden/sampler_draws.txt"))
		skip();
	path = test_source_path("tests/golden/sampler_draws.txt");
	text = test_read_file(path, NULL);
	assert_non_null(text);
	logits = test_malloc(MAX_N * sizeof(*logits));
	for (line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
		struct aipu_sampler_params p = { 0 };
		uint64_t sequence, sum = 0, target;
		uint32_t position, want, n, i;

		if (!strncmp(line, "draw ", 5)) {
			uint64_t weights[128];

			p.seed = strtoull(line + 5, &rest, 10);
			sequence = strtoull(rest, &rest, 10);
			position = (uint32_t)strtoul(rest, &rest, 10);
			want = (uint32_t)strtoul(rest, &rest, 10);
			n = (uint32_t)strtoul(rest, &rest, 10);
			assert_in_range(n, 1, 128);
			for (i = 0; i < n; i++)
				sum += weights[i] = strtoull(rest, &rest, 10);
			target = aipu_mulhi64(aipu_draw_bits(p.seed, sequence, position), sum);
			for (i = 0, sum = 0; i < n; i++) {
				sum += weights[i];
				if (sum > target)
					break;
			}
			assert_int_equal(i, want);
			draws++;
		} else if (!strncmp(line, "sample ", 7)) {
			float logprob, want_logprob;

			p.seed = strtoull(line + 7, &rest, 10);
			sequence = strtoull(rest, &rest, 10);
			position = (uint32_t)strtoul(rest, &rest, 10);
			p.temperature = strtof(rest, &rest);
			p.top_k = (uint32_t)strtoul(rest, &rest, 10);
			p.top_p = strtof(rest, &rest);
			p.min_p = strtof(rest, &rest);
			want = (uint32_t)strtoul(rest, &rest, 10);
			strtoul(rest, &rest,
				10); /* how many were kept: seen through the choice alone */
			want_logprob = strtof(rest, &rest);
			n = (uint32_t)strtoul(rest, &rest, 10);
			assert_in_range(n, 1, MAX_N);
			for (i = 0; i < n; i++)
				logits[i] = strtof(rest, &rest);
			for (int level = AIPU_SIMD_SCALAR; level < AIPU_SIMD_COUNT; level++) {
				const struct aipu_kernels *k = kernels((enum aipu_simd)level);

				if (!k)
					continue;
				if (sample(k, logits, n, &p, sequence, position, &logprob) != want)
					fail_msg("%s: not %u: %.100s", k->name, want, line);
				assert_true(fabsf(logprob - want_logprob) <=
					    4e-6f * (1 + fabsf(want_logprob)));
			}
			samples++;
		}
	}
	free(path);
	free(text);
	test_free(logits);
	assert_true(draws >= 1000 && samples >= 100);
}

static uint64_t random_state = 1234567;

static uint32_t random_u32(void)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 32);
}

/* [NUM-70] [NUM-71] [NUM-72] [NUM-73] [NUM-74] [NUM-76] [NUM-77] */
static void against_reference(void **state)
{
	static const uint32_t sizes[] = { 1, 2, 3, 16, 17, 100, 513, MAX_N };
	static const float temperatures[] = { 0.0f, 0.05f, 0.7f, 1.0f, 1.3f, 10.0f };
	static const uint32_t top_ks[] = { 0, 0, 1, 5, 40, 100000 };
	static const float top_ps[] = { 0.0f, 0.0f, 0.0001f, 0.5f, 0.95f, 1.0f, 2.0f };
	static const float min_ps[] = { 0.0f, 0.0f, 0.01f, 0.3f, 1.0f };
	float *logits = test_malloc(MAX_N * sizeof(*logits));
	size_t kept_many = 0, kept_some = 0;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		const uint32_t n = sizes[random_u32() % (round % 16 ? 7 : 8)];
		struct aipu_sampler_params p = {
			.temperature = temperatures[random_u32() % 6],
			.top_k = top_ks[random_u32() % 6],
			.top_p = top_ps[random_u32() % 7],
			.min_p = min_ps[random_u32() % 5],
			.seed = (uint64_t)random_u32() << 32 | random_u32(),
		};
		struct ref_sampler ref = { p.temperature, p.top_k, p.top_p,
					   p.min_p,	  p.seed,  exp_for_reference };
		const uint64_t sequence = (uint64_t)random_u32() << 20;
		const uint32_t position = random_u32() % 4096, coarse = random_u32() % 3;
		struct ref_choice choice;
		float previous = 0;

		for (uint32_t i = 0; i < n; i++) {
			/* Many ties, none, and a wide range in which weights vanish */
			logits[i] = (float)((int32_t)random_u32()) * 0x1p-31f *
				    (coarse == 2 ? 60.0f : 6.0f);
			if (!coarse)
				logits[i] = floorf(logits[i]);
		}
		assert_int_equal(ref_sample(&ref, logits, n, sequence, position, &choice), 0);
		kept_many += choice.n_kept == n;
		kept_some += choice.n_kept > 1 && choice.n_kept < n;
		for (int level = AIPU_SIMD_SCALAR; level < AIPU_SIMD_COUNT; level++) {
			const struct aipu_kernels *k = kernels((enum aipu_simd)level);
			float logprob;
			uint32_t token;

			if (!k)
				continue;
			token = sample(k, logits, n, &p, sequence, position, &logprob);
			if (token != choice.token)
				fail_msg(
					"%s, round %d: %u, not %u (n %u, t %g, k %u, p %g, min %g)",
					k->name, round, token, choice.token, n,
					(double)p.temperature, p.top_k, (double)p.top_p,
					(double)p.min_p);
			assert_true(fabsf(logprob - choice.logprob) <=
				    4e-6f * (1 + fabsf(choice.logprob)));
			assert_true(level == AIPU_SIMD_SCALAR || logprob == previous);
			previous = logprob;
		}
	}
	test_free(logits);
	/* The filters did something and left something alone. */
	assert_true(kept_many > 100 && kept_some > 300);
}

/*
 * [NUM-2] [NUM-71] What no model should give still ends in a token of the vocabulary, inside the
 * scratch.
 */
static void hostile(void **state)
{
	static const uint32_t bits[] = { 0x7fc00000, 0xff800000, 0x7f800000,
					 0x7f7fffff, 0xff7fffff, 0x80000000 };
	const struct aipu_kernels *k = kernels(AIPU_SIMD_AUTO);
	float logits[33], logprob;

	(void)state;
	for (uint32_t round = 0; round < 6 * 6 * 6 * 4; round++) {
		const struct aipu_sampler_params p = {
			.temperature = round & 1 ? 1e-40f : 0.8f,
			.top_k = round & 2 ? 7 : 0,
			.top_p = round % 5 ? 0.9f : aipu_f32(0x7fc00000),
			.min_p = round % 3 ? 0.1f : aipu_f32(0x7fc00000),
			.seed = round,
		};

		for (uint32_t i = 0; i < 33; i++)
			logits[i] = aipu_f32(bits[i % 3 == 0   ? round % 6
						  : i % 3 == 1 ? round / 6 % 6
							       : round / 36 % 6]);
		assert_in_range(sample(k, logits, 33, &p, 1, round, &logprob), 0, 32);
		assert_true(logprob <= 0.0f);
	}
	/* Greedy takes the lowest of equal maxima and no NaN. */
	for (int i = 0; i < 33; i++)
		logits[i] = i == 4 ? NAN : i % 7 == 6 ? 2.5f : -1.0f;
	const struct aipu_sampler_params greedy = { 0 };

	assert_int_equal(sample(k, logits, 33, &greedy, 0, 0, &logprob), 6);
}

/* Every table must give what the reference gives, in the same bits */
static void assert_choice(const float *logits, uint32_t n, const struct aipu_sampler_params *p)
{
	const struct ref_sampler ref = { p->temperature, p->top_k, p->top_p,
					 p->min_p,	 p->seed,  exp_for_reference };
	struct ref_choice choice;

	assert_int_equal(ref_sample(&ref, logits, n, 3, 4, &choice), 0);
	for (int level = AIPU_SIMD_SCALAR; level < AIPU_SIMD_COUNT; level++) {
		const struct aipu_kernels *k = kernels((enum aipu_simd)level);
		float logprob;

		if (!k)
			continue;
		if (sample(k, logits, n, p, 3, 4, &logprob) != choice.token)
			fail_msg("%s: not %u (t %g)", k->name, choice.token,
				 (double)p->temperature);
		assert_true(fabsf(logprob - choice.logprob) <= 4e-6f * (1 + fabsf(choice.logprob)));
	}
}

/*
 * [NUM-72] The least temperatures leave the greedy token, whatever the seed; the greatest leave
 * none out.
 */
static void extreme_temperatures(void **state)
{
	static const float temperatures[] = { 0x1p-149f, 1e-40f, 1e-38f, 3e38f, 0x1.fffffep127f };
	float logits[37];

	(void)state;
	for (uint32_t round = 0; round < 300; round++) {
		struct aipu_sampler_params p = {
			.top_k = round % 4 == 1 ? 5 : 0,
			.top_p = round % 4 == 2 ? 0.9f : 0.0f,
			.min_p = round % 4 == 3 ? 0.1f : 0.0f,
		};
		uint32_t greedy;

		for (uint32_t i = 0; i < 37; i++)
			logits[i] =
				ldexpf((float)(int32_t)random_u32(), (int)(round % 5) * 24 - 31);
		logits[random_u32() % 37] = round % 3 ? 0.0f : NAN;
		greedy = sample(kernels(AIPU_SIMD_SCALAR), logits, 37, &p, 0, 0, NULL);
		for (uint32_t t = 0; t < 5; t++) {
			p.temperature = temperatures[t];
			p.seed = (uint64_t)random_u32() << 32 | random_u32();
			assert_choice(logits, 37, &p);
			if (t < 3)
				assert_int_equal(sample(kernels(AIPU_SIMD_AUTO), logits, 37, &p, 3,
							4, NULL),
						 greedy);
		}
	}
}

/* [NUM-70] [NUM-71] */
static void no_numbers(void **state)
{
	static const float temperatures[] = { 0.0f, 0x1p-149f, 1.0f, 3e38f };
	static const struct {
		float logits[4];
		uint32_t token; /* 4: any but none of NaN */
	} rows[] = {
		{ { NAN, 1, NAN, -INFINITY }, 1 },	{ { -1, INFINITY, NAN, INFINITY }, 1 },
		{ { NAN, NAN, NAN, NAN }, 0 },		{ { NAN, -INFINITY, NAN, -INFINITY }, 0 },
		{ { NAN, NAN, -INFINITY, -3e38f }, 3 }, { { INFINITY, 0, INFINITY, NAN }, 0 },
		{ { 2.5f, 2.5f, 2.5f, 2.5f }, 4 },	{ { 0.0f, -0.0f, -0.0f, 0.0f }, 4 },
	};

	(void)state;
	for (unsigned int r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		uint32_t seen = 0;

		for (uint32_t i = 0; i < 4 * 32; i++) {
			const struct aipu_sampler_params p = { .temperature = temperatures[i % 4],
							       .top_k = i & 4 ? 3 : 0,
							       .top_p = i & 8 ? 0.999f : 0,
							       .min_p = i & 16 ? 1 : 0,
							       .seed = i };
			uint32_t token;

			assert_choice(rows[r].logits, 4, &p);
			token = sample(kernels(AIPU_SIMD_AUTO), rows[r].logits, 4, &p, 3, 4, NULL);
			assert_true(token == rows[r].token || rows[r].token == 4);
			seen |= 1u << token;
		}
		assert_true(rows[r].token != 4 || seen == 15);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden),
		cmocka_unit_test(against_reference),
		cmocka_unit_test(extreme_temperatures),
		cmocka_unit_test(no_numbers),
		cmocka_unit_test(hostile),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
