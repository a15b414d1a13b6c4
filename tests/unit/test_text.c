/* SPDX-License-Identifier: MIT */
/*
 * Text without a device: split UTF-8, tokenizer, the host's sampler against the independent one.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "aipu/llm.h"
#include "aipu_numerics_float.h"
#include "ref_sampler.h"
#include "test_env.h"

#define BAD "\xef\xbf\xbd"

/* Pushes `in` in pieces of `step` bytes; the result must be `want` whatever the step */
static void utf8_case(const char *in, size_t bytes, const char *want)
{
	size_t step, at;

	for (step = 1; step <= bytes; step++) {
		struct aipu_utf8 state = { { 0 }, 0 };
		char out[512];
		size_t n = 0;

		for (at = 0; at < bytes; at += step)
			n += aipu_utf8_push(&state, in + at, bytes - at < step ? bytes - at : step,
					    out + n);
		n += aipu_utf8_flush(&state, out + n);
		out[n] = 0;
		assert_string_equal(out, want);
	}
}

static void utf8_is_held_back(void **state)
{
	struct aipu_utf8 utf8 = { { 0 }, 0 };
	char out[64];

	(void)state;
	assert_int_equal(aipu_utf8_push(&utf8, "a\xe2\x82", 3, out), 1);
	assert_int_equal(aipu_utf8_push(&utf8, "\xac", 1, out), 3);
	assert_memory_equal(out, "\xe2\x82\xac", 3);
	utf8_case("plain", 5, "plain");
	utf8_case("caf\xc3\xa9 \xf0\x9f\x98\x80!", 11, "caf\xc3\xa9 \xf0\x9f\x98\x80!");
	utf8_case("\xff\xfe", 2, BAD BAD);
	utf8_case("\xe2\x82", 2, BAD); /* cut off at the end */
	utf8_case("\xe2\x82x", 3, BAD "x");
	utf8_case("\xc0\xaf", 2, BAD BAD); /* overlong */
	utf8_case("\xe0\x80\x80", 3, BAD BAD BAD);
	utf8_case("\xed\xa0\x80", 3, BAD BAD BAD); /* surrogate */
	utf8_case("\xf4\x90\x80\x80", 4, BAD BAD BAD BAD); /* above U+10FFFF */
	utf8_case("\xf0\x9f\xf0\x9f\x98\x80", 6, BAD "\xf0\x9f\x98\x80");
}

static void tokenizer_refuses(void **state)
{
	struct aipu_tokenizer *tokenizer;
	struct aipu_message message;
	char *path;

	(void)state;
	assert_int_equal(aipu_tokenizer_open("/nonexistent/t.model", &tokenizer, &message),
			 -ENOENT);
	assert_non_null(strstr(message.text, "/nonexistent/t.model"));
	path = test_source_path("Makefile");
	assert_int_equal(aipu_tokenizer_open(path, &tokenizer, &message), -EINVAL);
	free(path);
}

static void tokenizer_round_trip(void **state)
{
	static const char text[] = "Once upon a time, there was a caf\xc3\xa9 \xf0\x9f\x98\x80.";
	struct aipu_tokenizer *tokenizer;
	struct aipu_utf8 utf8 = { { 0 }, 0 };
	char out[512], piece[64];
	uint32_t *ids, previous;
	size_t n = 0;
	char *path;
	int count, i;

	(void)state;
	if (!test_models_have("stories260K/tok512.model"))
		skip();
	path = test_models_path("stories260K/tok512.model");
	assert_int_equal(aipu_tokenizer_open(path, &tokenizer, NULL), 0);
	free(path);
	assert_int_equal(aipu_tokenizer_vocabulary(tokenizer), 512);
	count = aipu_tokenizer_encode(tokenizer, text, strlen(text), &ids);
	assert_true(count > 10);
	previous = 1; /* bos: the leading space is dropped */
	for (i = 0; i < count; i++) {
		int bytes = aipu_tokenizer_piece(tokenizer, previous, ids[i], piece, sizeof(piece));

		assert_true(bytes >= 0);
		n += aipu_utf8_push(&utf8, piece, (size_t)bytes, out + n);
		previous = ids[i];
	}
	out[n] = 0;
	assert_string_equal(out, text);
	free(ids);
	assert_int_equal(aipu_tokenizer_encode(tokenizer, "\xff", 1, &ids), -EILSEQ);
	assert_int_equal(aipu_tokenizer_encode(tokenizer, "", 0, &ids), 0);
	free(ids);
	assert_int_equal(aipu_tokenizer_piece(tokenizer, ~0u, 512, piece, sizeof(piece)), -ERANGE);
	aipu_tokenizer_close(tokenizer);
}

static double exp_of_numerics(double x)
{
	return (double)aipu_exp((float)x);
}

static void sampler_agrees_with_reference(void **state)
{
	uint32_t random = 1, i, token;
	float logits[300], logprob;

	(void)state;
	for (i = 0; i < 2000; i++) {
		uint32_t n = 1 + i % 300, k;
		struct aipu_sampling s = {
			.temperature = (float)(i % 5) * 0.4f,
			.top_k = i % 7 * 3,
			.top_p = (float)(i % 4) * 0.3f,
			.min_p = (float)(i % 3) * 0.1f,
			.seed = i * 0x9e3779b97f4a7c15ull,
		};
		struct ref_sampler r = { s.temperature, s.top_k, s.top_p,
					 s.min_p,	s.seed,	 exp_of_numerics };
		struct ref_choice choice;

		for (k = 0; k < n; k++) {
			random = random * 1664525u + 1013904223u;
			/* coarse, so that ties occur */
			logits[k] = (float)(random >> 26) * 0.25f - 4.0f;
		}
		assert_int_equal(aipu_llm_sample(logits, n, &s, i, i / 3, &token, &logprob), 0);
		assert_int_equal(ref_sample(&r, logits, n, i, i / 3, &choice), 0);
		assert_int_equal(token, choice.token);
		assert_true(fabsf(logprob - choice.logprob) < 1e-4f);
	}
	for (i = 0; i < 6 * 64; i++) {
		/* the ends of the temperature, and logits that no model should give */
		static const float temperatures[] = { 0, 0x1p-149f, 1e-38f,
						      1, 3e38f,	    0x1.fffffep127f };
		static const float odd[] = { NAN,   INFINITY, -INFINITY, 0.0f,
					     -0.0f, 2.5f,     -3e38f,	 0x1p-149f };
		const struct aipu_sampling s = { .temperature = temperatures[i % 6],
						 .top_k = i & 8 ? 4 : 0,
						 .top_p = i & 16 ? 0.8f : 0,
						 .min_p = i & 32 ? 0.5f : 0,
						 .seed = i };
		const struct ref_sampler r = { s.temperature, s.top_k, s.top_p,
					       s.min_p,	      s.seed,  exp_of_numerics };
		uint32_t n = 1 + i % 7, k, kinds = i % 5 ? ~0u : 0u;
		struct ref_choice choice;

		for (k = 0; k < n; k++) {
			random = random * 1664525u + 1013904223u;
			/* every fifth row: all the same; every third: no +infinity */
			logits[k] = odd[kinds ? random >> 29 : i / 5 % 8];
			if (i % 3 && logits[k] == INFINITY)
				logits[k] = 1;
		}
		assert_int_equal(aipu_llm_sample(logits, n, &s, i, i / 3, &token, &logprob), 0);
		assert_int_equal(ref_sample(&r, logits, n, i, i / 3, &choice), 0);
		assert_int_equal(token, choice.token);
		assert_true(fabsf(logprob - choice.logprob) <= 1e-5f * fabsf(choice.logprob));
	}
	logits[0] = NAN;
	logits[1] = 1;
	assert_int_equal(
		aipu_llm_sample(logits, 2, &(struct aipu_sampling){ 0 }, 0, 0, &token, NULL), 0);
	assert_int_equal(token, 1);
	assert_int_equal(aipu_llm_sample(logits, 2, &(struct aipu_sampling){ .temperature = -1 }, 0,
					 0, &token, NULL),
			 -EINVAL);
	assert_int_equal(aipu_llm_sample(logits, 2,
					 &(struct aipu_sampling){ .temperature = INFINITY }, 0, 0,
					 &token, NULL),
			 -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(utf8_is_held_back),
		cmocka_unit_test(tokenizer_refuses),
		cmocka_unit_test(tokenizer_round_trip),
		cmocka_unit_test(sampler_agrees_with_reference),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
