// SPDX-License-Identifier: MIT
/*
 * The reference interpreter and the reference sampler against what others computed: llama2.c's
 * transcripts, torch's logits of the demo model, Random123's known answers, and golden draws.
 * Everything that is later compared with the reference stands on this; it must never compare the
 * reference with the device.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ref_model.h"
#include "ref_sampler.h"
#include "test_env.h"
#include "tiny_model.h"

#define LOGIT_TOLERANCE 1e-3

static struct ref_model *model_load(const char *path)
{
	const char *error;
	struct ref_model *m = ref_model_load(path, &error);

	if (!m)
		fail_msg("%s: %s", path, error);
	return m;
}

static size_t argmax(const float *x, size_t n)
{
	size_t best = 0;

	for (size_t i = 1; i < n; i++)
		if (x[i] > x[best])
			best = i;
	return best;
}

static char *story_path(const char *format, int number)
{
	char name[64];

	snprintf(name, sizeof(name), format, number);
	return test_models_path(name);
}

static void transcript_check(int number, enum ref_precision precision, float tolerance)
{
	if (!test_models_have("stories260K/stories260K.bin"))
		skip();

	char *model_path = story_path("stories260K/stories260K.bin", number);
	char *vocab_path = story_path("stories260K/tok512.bin", number);
	char *ids_path = story_path("stories260K/greedy%d.ids", number);
	char *prompt_path = story_path("stories260K/prompt%d.txt", number);
	char *prompt = test_read_file(prompt_path, NULL);
	struct ref_model *m = model_load(model_path);
	struct ref_session *s;
	struct test_ids ids;
	float *logits;
	size_t n_prompt;

	assert_non_null(prompt);
	assert_int_equal(ref_model_set_precision(m, precision), 0);
	assert_int_equal(test_ids_read(ids_path, &ids), 0);
	n_prompt = test_ids_count_prompt(&ids, vocab_path, m->vocab_size, prompt);
	assert_true(n_prompt > 0);
	s = ref_session_new(m);
	logits = calloc(m->vocab_size, sizeof(*logits));
	assert_non_null(s);
	assert_non_null(logits);
	for (size_t i = 0; i < ids.n; i++) {
		const struct test_step *step = &ids.steps[i];

		assert_int_equal(ref_forward(s, step->input, step->position, logits), 0);
		if (fabsf(logits[step->next] - step->logit) > tolerance)
			fail_msg("transcript %d, position %zu: logit %f, expected %f", number, i,
				 (double)logits[step->next], (double)step->logit);
		if (i + 1 >= n_prompt && argmax(logits, m->vocab_size) != step->next)
			fail_msg("transcript %d, position %zu: token %zu, expected %u", number, i,
				 argmax(logits, m->vocab_size), step->next);
	}
	free(logits);
	ref_session_free(s);
	test_ids_free(&ids);
	ref_model_free(m);
	free(prompt);
	free(prompt_path);
	free(ids_path);
	free(vocab_path);
	free(model_path);
}

static void transcript_1(void **state)
{
	(void)state;
	transcript_check(1, REF_FP32, LOGIT_TOLERANCE);
}

static void transcript_2(void **state)
{
	(void)state;
	transcript_check(2, REF_FP32, LOGIT_TOLERANCE);
}

static void transcript_3(void **state)
{
	(void)state;
	transcript_check(3, REF_FP32, LOGIT_TOLERANCE);
}

static void transcript_4(void **state)
{
	(void)state;
	transcript_check(4, REF_FP32, LOGIT_TOLERANCE);
}

static void transcripts_fp16(void **state)
{
	(void)state;
	for (int number = 1; number <= 4; number++)
		transcript_check(number, REF_FP16, 0.03f);
}

/*
 * At int8 the tokens may differ here and there; the logits stay near, and most tokens are the same.
 */
static void transcripts_int8(void **state)
{
	if (!test_models_have("stories260K/stories260K.bin"))
		skip();

	char *model_path = story_path("stories260K/stories260K.bin", 0);
	size_t steps = 0, same = 0;
	struct ref_model *fp32 = model_load(model_path), *int8 = model_load(model_path);
	float *a = calloc(fp32->vocab_size, sizeof(*a)), *b = calloc(fp32->vocab_size, sizeof(*b));

	(void)state;
	assert_int_equal(ref_model_set_precision(int8, REF_INT8), 0);
	assert_int_equal(ref_model_set_precision(int8, REF_INT8), -EINVAL);
	for (int number = 1; number <= 4; number++) {
		char *ids_path = story_path("stories260K/greedy%d.ids", number);
		struct ref_session *sa = ref_session_new(fp32), *sb = ref_session_new(int8);
		struct test_ids ids;

		assert_int_equal(test_ids_read(ids_path, &ids), 0);
		for (size_t i = 0; i < ids.n; i++) {
			assert_int_equal(ref_forward(sa, ids.steps[i].input, (uint32_t)i, a), 0);
			assert_int_equal(ref_forward(sb, ids.steps[i].input, (uint32_t)i, b), 0);
			assert_true(fabsf(b[ids.steps[i].next] - ids.steps[i].logit) <= 0.4f);
			same += argmax(a, fp32->vocab_size) == argmax(b, fp32->vocab_size);
			steps++;
		}
		test_ids_free(&ids);
		ref_session_free(sa);
		ref_session_free(sb);
		free(ids_path);
	}
	printf("# int8: the same token in %zu of %zu steps\n", same, steps);
	assert_true((double)same >= 0.98 * (double)steps);
	free(a);
	free(b);
	ref_model_free(fp32);
	ref_model_free(int8);
	free(model_path);
}

/*
 * One model in both formats: the order of RoPE pairs, dtypes, shards, tied and separate
 * classifiers.
 */
static void hf_equals_llama2c(void **state)
{
	static const struct tiny_hf forms[] = {
		{ .dtype = "F32" },
		{ .dtype = "F16" },
		{ .dtype = "BF16" },
		{ .dtype = "F32", .shards = 2 },
		{ .dtype = "BF16", .shards = 3 },
	};
	struct tiny_model *tiny[2] = { tiny_model_new(false), tiny_model_new(true) };

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(forms) / sizeof(forms[0]); i++) {
		const struct tiny_model *t = tiny[i % 2];
		char *dir = test_make_temp_dir(), *file = NULL;
		float from_file[TINY_VOCAB], from_dir[TINY_VOCAB];
		struct ref_session *sf, *sd;
		struct ref_model *mf, *md;

		assert_non_null(dir);
		assert_true(asprintf(&file, "%s/tiny.bin", dir) > 0);
		assert_int_equal(tiny_model_write_llama2c(t, file), 0);
		assert_int_equal(tiny_model_write_hf(t, dir, &forms[i / 2]), 0);
		mf = model_load(file);
		md = model_load(dir);
		assert_int_equal(mf->classifier != mf->embedding, i % 2);
		assert_int_equal(md->classifier != md->embedding, i % 2);
		sf = ref_session_new(mf);
		sd = ref_session_new(md);
		for (uint32_t position = 0; position < TINY_CONTEXT; position++) {
			uint32_t token = (position * 7 + 3) % TINY_VOCAB;

			assert_int_equal(ref_forward(sf, token, position, from_file), 0);
			assert_int_equal(ref_forward(sd, token, position, from_dir), 0);
			for (size_t k = 0; k < TINY_VOCAB; k++) {
				assert_true(isfinite(from_file[k]));
				assert_true(fabsf(from_file[k] - from_dir[k]) < 1e-5f);
			}
		}
		ref_session_free(sf);
		ref_session_free(sd);
		ref_model_free(mf);
		ref_model_free(md);
		assert_int_equal(test_remove_tree(dir), 0);
		free(file);
		free(dir);
	}
	tiny_model_free(tiny[0]);
	tiny_model_free(tiny[1]);
}

static void load_refusals(void **state)
{
	struct tiny_model *t = tiny_model_new(false);
	char *dir = test_make_temp_dir(), *file = NULL, *data;
	const char *error = NULL;
	struct ref_session *s;
	struct ref_model *m;
	size_t size;

	(void)state;
	assert_non_null(dir);
	assert_null(ref_model_load("/nonexistent", &error));
	assert_non_null(error);
	assert_true(asprintf(&file, "%s/tiny.bin", dir) > 0);
	assert_int_equal(tiny_model_write_llama2c(t, file), 0);
	data = test_read_file(file, &size);
	assert_non_null(data);
	assert_int_equal(test_write_file(file, data, size - 4), 0);
	assert_null(ref_model_load(file, &error));
	assert_int_equal(test_write_file(file, data, size), 0);
	m = model_load(file);
	s = ref_session_new(m);
	assert_int_equal(ref_forward(s, TINY_VOCAB, 0, NULL), -EINVAL);
	assert_int_equal(ref_forward(s, 0, TINY_CONTEXT, NULL), -EINVAL);
	ref_session_free(s);
	ref_model_free(m);
	/* No config.json in this directory. */
	assert_null(ref_model_load(dir, &error));
	assert_int_equal(test_remove_tree(dir), 0);
	free(data);
	free(file);
	free(dir);
	tiny_model_free(t);
}

static void demo_logits(void **state)
{
	if (!test_source_have("models/demo/model.safetensors") ||
	    !test_source_have("tests/golden/demo_ids.txt") ||
	    !test_source_have("tests/golden/demo_logits.f32"))
		skip();

	char *model_path = test_source_path("models/demo");
	char *ids_path = test_source_path("tests/golden/demo_ids.txt");
	char *logits_path = test_source_path("tests/golden/demo_logits.f32");
	struct ref_session *s;
	struct ref_model *m;
	char *text, *next;
	float *golden, *logits, worst = 0;
	uint32_t position = 0;
	size_t size;

	(void)state;
	m = model_load(model_path);
	s = ref_session_new(m);
	text = test_read_file(ids_path, NULL);
	golden = test_read_file(logits_path, &size);
	logits = calloc(m->vocab_size, sizeof(*logits));
	assert_non_null(text);
	assert_non_null(golden);
	assert_non_null(logits);
	next = text;
	for (;;) {
		char *end;
		unsigned long token = strtoul(next, &end, 10);

		if (end == next)
			break;
		next = end;
		assert_true((position + 1) * m->vocab_size * sizeof(float) <= size);
		assert_int_equal(ref_forward(s, (uint32_t)token, position, logits), 0);
		for (size_t i = 0; i < m->vocab_size; i++)
			worst = fmaxf(worst,
				      fabsf(logits[i] - golden[position * m->vocab_size + i]));
		position++;
	}
	assert_string_equal(next + strspn(next, " \n"), "");
	assert_true(position >= 64);
	assert_int_equal(position * m->vocab_size * sizeof(float), size);
	printf("# demo: largest difference from torch over %u positions: %g\n", position,
	       (double)worst);
	assert_true(worst <= (float)LOGIT_TOLERANCE);
	free(text);
	free(golden);
	free(logits);
	ref_session_free(s);
	ref_model_free(m);
	free(model_path);
	free(ids_path);
	free(logits_path);
}

/* Random123's kat_vectors, philox 4x32 with 10 rounds. */
static void philox_known_answers(void **state)
{
	static const uint32_t vectors[3][10] = {
		{ 0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 },
		{ ~0u, ~0u, ~0u, ~0u, ~0u, ~0u, 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd },
		{ 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0,
		  0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 },
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		uint32_t out[4];

		ref_philox(vectors[i], vectors[i] + 4, out);
		assert_memory_equal(out, vectors[i] + 6, sizeof(out));
	}
}

/* Calls @check with the numbers of each golden line of this @kind; returns how many there are. */
static size_t golden_lines(const char *kind, void (*check)(char *numbers))
{
	char *path = test_source_path("tests/golden/sampler_draws.txt");
	char *text = test_read_file(path, NULL), *rest = text, *line;
	size_t count = 0, length = strlen(kind);

	if (!text)
		fail_msg("%s: %s", path, strerror(errno));
	while ((line = strsep(&rest, "\n"))) {
		if (strncmp(line, kind, length) || line[length] != ' ')
			continue;
		check(line + length);
		count++;
	}
	free(text);
	free(path);
	return count;
}

static void draw_check(char *at)
{
	uint64_t seed = strtoull(at, &at, 10), sequence = strtoull(at, &at, 10);
	uint32_t position = (uint32_t)strtoul(at, &at, 10);
	size_t chosen = strtoul(at, &at, 10), n = strtoul(at, &at, 10);
	uint64_t *weights = calloc(n, sizeof(*weights));

	assert_non_null(weights);
	for (size_t i = 0; i < n; i++)
		weights[i] = strtoull(at, &at, 10);
	assert_string_equal(at, "");
	assert_int_equal(ref_draw(seed, sequence, position, weights, n), chosen);
	free(weights);
}

static void golden_draws(void **state)
{
	(void)state;
	assert_int_equal(golden_lines("draw", draw_check), 1000);
}

static void sample_check(char *at)
{
	struct ref_sampler sampler = { .seed = strtoull(at, &at, 10) };
	uint64_t sequence = strtoull(at, &at, 10);
	uint32_t position = (uint32_t)strtoul(at, &at, 10);
	struct ref_choice choice;
	uint32_t token;
	double logprob;
	float *logits;
	size_t kept, n;

	sampler.temperature = strtof(at, &at);
	sampler.top_k = (uint32_t)strtoul(at, &at, 10);
	sampler.top_p = strtof(at, &at);
	sampler.min_p = strtof(at, &at);
	token = (uint32_t)strtoul(at, &at, 10);
	kept = strtoul(at, &at, 10);
	logprob = strtod(at, &at);
	n = strtoul(at, &at, 10);
	logits = calloc(n, sizeof(*logits));
	assert_non_null(logits);
	for (size_t i = 0; i < n; i++)
		logits[i] = strtof(at, &at);
	assert_string_equal(at, "");
	assert_int_equal(ref_sample(&sampler, logits, n, sequence, position, &choice), 0);
	assert_int_equal(choice.token, token);
	assert_int_equal(choice.n_kept, kept);
	assert_true(fabs((double)choice.logprob - logprob) < 1e-5 * fmax(1, fabs(logprob)));
	free(logits);
}

static void golden_samples(void **state)
{
	(void)state;
	assert_int_equal(golden_lines("sample", sample_check), 239);
}

static void sampler_edges(void **state)
{
	const float tie[4] = { 1, 3, 3, -INFINITY }, nan_inside[2] = { NAN, 0 },
		    infinite[2] = { 0, INFINITY }, none[2] = { NAN, -INFINITY };
	struct ref_sampler sampler = { .temperature = 0 };
	struct ref_choice choice;

	(void)state;
	assert_int_equal(ref_sample(&sampler, tie, 4, 0, 0, &choice), 0);
	assert_int_equal(choice.token, 1);
	assert_true(fabsf(choice.logprob - logf(1 / (2 + expf(-2)))) < 1e-6f);
	/* Both of the largest keep exactly 2^40; min_p 1 leaves these two. */
	sampler.temperature = 0.5f;
	sampler.min_p = 1;
	assert_int_equal(ref_sample(&sampler, tie, 4, 0, 0, &choice), 0);
	assert_int_equal(choice.n_kept, 2);
	assert_true(choice.total == 2ull << 40);
	/* Half of the sum is reached, not passed, by the first of them. */
	sampler.top_p = 0.5f;
	assert_int_equal(ref_sample(&sampler, tie, 4, 0, 0, &choice), 0);
	assert_int_equal(choice.n_kept, 1);
	assert_int_equal(choice.token, 1);
	/* The smallest temperature leaves what greedy takes; in the weights nothing is no number. */
	sampler = (struct ref_sampler){ .temperature = 0x1p-149f };
	assert_int_equal(ref_sample(&sampler, tie, 1, 0, 0, &choice), 0);
	assert_true(choice.total == 1ull << 40);
	assert_int_equal(ref_sample(&sampler, tie, 4, 0, 0, &choice), 0);
	assert_true(choice.total == 2ull << 40);
	assert_int_equal(ref_sample(&sampler, nan_inside, 2, 0, 0, &choice), 0);
	assert_int_equal(choice.token, 1);
	assert_true(choice.total == 1ull << 40 && choice.logprob == 0);
	assert_int_equal(ref_sample(&sampler, infinite, 2, 0, 0, &choice), 0);
	assert_int_equal(choice.token, 1);
	assert_true(choice.logprob == 0);
	assert_int_equal(ref_sample(&sampler, none, 2, 0, 0, &choice), 0);
	assert_int_equal(choice.token, 0);
	assert_true(choice.logprob == 0);
	assert_int_equal(ref_sample(&sampler, none, 0, 0, 0, &choice), -EDOM);
}

static void rounding(void **state)
{
	float group[40] = { 0 };

	(void)state;
	assert_true(ref_round_fp16(1 + 0x1p-11) == 1);
	assert_true(ref_round_fp16(1 + 0x1.8p-10) == 1 + 0x1p-9);
	assert_true(ref_round_fp16(0x1p-25) == 0);
	assert_true(ref_round_fp16(-0x1.8p-24) == -0x1p-23);
	assert_true(ref_round_fp16(65519) == 65504);
	assert_true(isinf(ref_round_fp16(65520)));
	group[0] = 127;
	group[1] = 0.5f;
	group[2] = 1.5f;
	group[3] = -2.5f;
	/* A short group at the end has its own scale. */
	group[39] = 1;
	group[38] = 0.25f;
	ref_round_int8(group, 40, false);
	assert_true(group[0] == 127 && group[1] == 0 && group[2] == 2 && group[3] == -2);
	assert_true(group[39] == 127 * (1 / 127.0f) && fabsf(group[38] - 32 / 127.0f) < 1e-6f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transcript_1),	     cmocka_unit_test(transcript_2),
		cmocka_unit_test(transcript_3),	     cmocka_unit_test(transcript_4),
		cmocka_unit_test(transcripts_fp16),  cmocka_unit_test(transcripts_int8),
		cmocka_unit_test(hf_equals_llama2c), cmocka_unit_test(load_refusals),
		cmocka_unit_test(demo_logits),	     cmocka_unit_test(philox_known_answers),
		cmocka_unit_test(golden_draws),	     cmocka_unit_test(golden_samples),
		cmocka_unit_test(sampler_edges),     cmocka_unit_test(rounding),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("ref", tests, NULL, NULL);
}
