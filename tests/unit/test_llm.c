/* SPDX-License-Identifier: MIT */
/*
 * libaipu-llm on the software device against transcripts and logits that others computed, and against itself:
 * the same bits from any chunk, core count, SIMD level and lane. What is compared with others is a tolerance,
 * what is compared with itself is equality.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "llm_fixture.h"

#define MODEL "stories260K/stories260K.bin"

/* A sanitizer makes everything some ten times slower: it sees fewer of the combinations, of every kind. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

struct transcript {
	struct test_ids ids;
	uint32_t *inputs; /* [ids.n] */
	uint32_t prompt; /* tokens of it, bos included */
};

static void transcript_load(struct transcript *t, int number)
{
	char name[64], *path, *prompt, *vocabulary;
	size_t i;

	snprintf(name, sizeof(name), "stories260K/greedy%d.ids", number);
	path = test_models_path(name);
	assert_int_equal(test_ids_read(path, &t->ids), 0);
	free(path);
	snprintf(name, sizeof(name), "stories260K/prompt%d.txt", number);
	path = test_models_path(name);
	prompt = test_read_file(path, NULL);
	free(path);
	vocabulary = test_models_path("stories260K/tok512.bin");
	assert_non_null(prompt);
	t->prompt = (uint32_t)test_ids_count_prompt(&t->ids, vocabulary, 512, prompt);
	assert_true(t->prompt > 0);
	free(vocabulary);
	free(prompt);
	t->inputs = calloc(t->ids.n, sizeof(*t->inputs));
	assert_non_null(t->inputs);
	for (i = 0; i < t->ids.n; i++)
		t->inputs[i] = t->ids.steps[i].input;
}

static void transcript_free(struct transcript *t)
{
	test_ids_free(&t->ids);
	free(t->inputs);
}

/* Logits of all of a transcript's steps, teacher-forced; to free() */
static float *forced_logits(struct llm_fixture *f, const struct transcript *t)
{
	struct aipu_session *session = llm_fixture_session(f);
	float *logits = malloc(t->ids.n * f->info.vocabulary * sizeof(*logits));

	assert_non_null(logits);
	if (aipu_session_prefill(session, t->inputs, (uint32_t)t->ids.n, logits))
		fail_msg("prefill: %s", aipu_llm_error(f->llm));
	aipu_session_destroy(session);
	return logits;
}

static double worst_difference(const struct transcript *t, const float *logits, uint32_t vocabulary)
{
	double worst = 0;
	size_t i;

	for (i = 0; i < t->ids.n; i++) {
		const struct test_step *s = &t->ids.steps[i];
		double d = fabs((double)logits[i * vocabulary + s->next] - (double)s->logit);

		worst = d > worst || isnan(d) ? d : worst;
	}
	return worst;
}

static uint32_t argmax(const float *x, uint32_t n)
{
	uint32_t best = 0, i;

	for (i = 1; i < n; i++)
		if (x[i] > x[best])
			best = i;
	return best;
}

struct collected {
	uint32_t count;
	uint32_t tokens[1024];
	float logprobs[1024];
	uint32_t reason;
	uint32_t stop_after; /* 0: never */
};

/* arg: struct collected [lanes] */
static int collect(void *arg, const struct aipu_token *token)
{
	struct collected *c = (struct collected *)arg + token->lane;

	assert_true(c->count < 1024);
	c->tokens[c->count] = token->token;
	c->logprobs[c->count++] = token->logprob;
	c->reason = token->reason;
	return c->stop_after && c->count == c->stop_after;
}

/* The reference stops after 200 steps or at the end of the text; so does this. */
static void transcript_generate(struct llm_fixture *f, const struct transcript *t)
{
	uint32_t want = (uint32_t)t->ids.n - t->prompt + 1, i;
	struct aipu_sampling sampling = { .max_tokens = want };
	struct aipu_session *session = llm_fixture_session(f);
	struct collected c = { 0 };

	if (aipu_session_prefill(session, t->inputs, t->prompt, NULL) ||
	    aipu_llm_generate(f->llm, &session, &sampling, 1, collect, &c, NULL))
		fail_msg("%s", aipu_llm_error(f->llm));
	assert_int_equal(c.count, want);
	for (i = 0; i < want; i++)
		if (c.tokens[i] != t->ids.steps[t->prompt - 1 + i].next)
			fail_msg("token %u is %u, the reference has %u", i, c.tokens[i],
				 t->ids.steps[t->prompt - 1 + i].next);
	aipu_session_destroy(session);
}

static void check_precision(const char *precision, double tolerance)
{
	static const uint32_t prompt_lens[] = { 1, 8, 32, 128 };
	struct transcript t[4];
	float *first[4] = { NULL };
	unsigned int p, cores, i;

	if (!test_models_have(MODEL))
		skip();
	for (i = 0; i < 4; i++)
		transcript_load(&t[i], (int)i + 1);
	for (p = 0; p < 4; p += 1 + SANITIZED) {
		struct llm_fixture f;
		char arguments[128];

		snprintf(arguments, sizeof(arguments), "--precision %s --prompt-len %u", precision,
			 prompt_lens[p]);
		llm_fixture_compile(&f, "stories260K", arguments);
		for (cores = 1; cores <= 3; cores += 1 + SANITIZED) {
			llm_fixture_open(&f, cores, 0);
			for (i = 0; i < 4; i++) {
				float *logits = forced_logits(&f, &t[i]);
				size_t bytes = t[i].ids.n * f.info.vocabulary * sizeof(float);
				double worst = worst_difference(&t[i], logits, f.info.vocabulary);

				if (!(worst < tolerance))
					fail_msg("transcript %u: a logit is off by %g", i + 1,
						 worst);
				transcript_generate(&f, &t[i]);
				/* [PRG-7]: the same bits from any chunk and any number of cores */
				if (first[i]) {
					assert_memory_equal(first[i], logits, bytes);
					free(logits);
				} else {
					first[i] = logits;
				}
			}
			llm_fixture_shut(&f);
		}
		llm_fixture_close(&f);
	}
	for (i = 0; i < 4; i++) {
		free(first[i]);
		transcript_free(&t[i]);
	}
}

static void fp32_transcripts(void **state)
{
	(void)state;
	check_precision("fp32", 1e-3);
}

static void fp16_transcripts(void **state)
{
	(void)state;
	check_precision("fp16", 0.03);
}

/* Logits of the four transcripts, one after another, at a precision; to free() */
static void int8_against_fp32(void **state)
{
	struct llm_fixture exact, f;
	size_t steps = 0, same = 0, k;
	double worst = 0;
	int i;

	(void)state;
	if (!test_models_have(MODEL))
		skip();
	llm_fixture_compile(&exact, "stories260K", "--precision fp32");
	llm_fixture_compile(&f, "stories260K", "--precision int8");
	llm_fixture_open(&exact, 0, 0);
	llm_fixture_open(&f, 0, 0);
	for (i = 1; i <= 4; i++) {
		struct transcript t;
		float *a, *b;
		double d;

		transcript_load(&t, i);
		a = forced_logits(&exact, &t);
		b = forced_logits(&f, &t);
		for (k = 0; k < t.ids.n; k++) {
			size_t row = k * f.info.vocabulary;

			same += argmax(a + row, f.info.vocabulary) ==
				argmax(b + row, f.info.vocabulary);
		}
		steps += t.ids.n;
		d = worst_difference(&t, b, f.info.vocabulary);
		worst = d > worst || isnan(d) ? d : worst;
		free(a);
		free(b);
		transcript_free(&t);
	}
	print_message("int8: %zu of %zu steps have fp32's argmax, logits within %g\n", same, steps,
		      worst);
	assert_true(same * 100 >= steps * 98);
	assert_true(worst < 0.4);
	llm_fixture_close(&f);
	llm_fixture_close(&exact);
}

static void simd_levels_agree(void **state)
{
	static const char *const precisions[] = { "fp32", "fp16", "int8",
						  "int8 --kv-precision fp32" };
	uint32_t levels[3];
	unsigned int n = llm_fixture_simd_levels(levels), p, l;

	(void)state;
	if (!test_models_have(MODEL))
		skip();
	assert_true(n >= 1);
	print_message("%u SIMD levels on this machine\n", n);
	for (p = 0; p < 4; p++) {
		struct llm_fixture f;
		struct transcript t;
		float *first = NULL;
		char arguments[128];

		snprintf(arguments, sizeof(arguments), "--precision %s", precisions[p]);
		transcript_load(&t, 2);
		llm_fixture_compile(&f, "stories260K", arguments);
		for (l = 0; l < n; l++) {
			float *logits;

			llm_fixture_open(&f, 2, levels[l]);
			logits = forced_logits(&f, &t);
			if (first)
				assert_memory_equal(first, logits,
						    t.ids.n * f.info.vocabulary * sizeof(float));
			llm_fixture_shut(&f);
			if (first)
				free(logits);
			else
				first = logits;
		}
		free(first);
		llm_fixture_close(&f);
		transcript_free(&t);
	}
}

/* The demo model against torch: tests/golden/demo.json says which weights the figures belong to */
static void demo_against_torch(void **state)
{
	struct llm_fixture f;
	struct aipu_session *session;
	char *path, *text, *end;
	uint32_t ids[64];
	float *golden, *logits;
	size_t bytes, n = 0, i;
	double worst = 0;

	(void)state;
	if (!test_source_have("tests/golden/demo_logits.f32"))
		skip();
	path = test_source_path("tests/golden/demo_ids.txt");
	text = test_read_file(path, NULL);
	free(path);
	assert_non_null(text);
	for (char *at = text; n < 64; at = end, n++) {
		ids[n] = (uint32_t)strtoul(at, &end, 10);
		if (end == at)
			break;
	}
	free(text);
	assert_int_equal(n, 64);
	path = test_source_path("tests/golden/demo_logits.f32");
	golden = test_read_file(path, &bytes);
	free(path);
	llm_fixture_compile(&f, "demo", "--precision fp32");
	llm_fixture_open(&f, 0, 0);
	assert_true(bytes >= 64 * f.info.vocabulary * sizeof(float));
	logits = malloc(64 * f.info.vocabulary * sizeof(float));
	session = llm_fixture_session(&f);
	assert_int_equal(aipu_session_prefill(session, ids, 64, logits), 0);
	for (i = 0; i < 64 * f.info.vocabulary; i++) {
		double d = fabs((double)logits[i] - (double)golden[i]);

		worst = d > worst || isnan(d) ? d : worst;
	}
	print_message("demo model: logits within %g of torch's\n", worst);
	assert_true(worst < 1e-3);
	free(logits);
	free(golden);
	llm_fixture_close(&f);
}

static const struct aipu_sampling draws[] = {
	{ .temperature = 0.0f },
	{ .temperature = 0.8f, .seed = 1 },
	{ .temperature = 1.0f, .top_k = 5, .seed = 2 },
	{ .temperature = 1.2f, .top_p = 0.9f, .seed = 3 },
	{ .temperature = 1.0f, .min_p = 0.05f, .seed = 4 },
	{ .temperature = 0.7f, .top_k = 40, .top_p = 0.95f, .min_p = 0.02f, .seed = 5 },
	{ .temperature = 0x1p-149f, .seed = 6 },
};
#define DRAWS (sizeof(draws) / sizeof(draws[0]))

/* [GEN-2]: GENERATE gives what single RUN steps with the host's sampler give */
static void generate_equals_single_steps(void **state)
{
	struct llm_fixture f;
	struct transcript t;
	uint32_t greedy[60];
	unsigned int d;
	float *logits;

	(void)state;
	if (!test_models_have(MODEL))
		skip();
	transcript_load(&t, 2);
	llm_fixture_compile(&f, "stories260K", "--precision int8");
	llm_fixture_open(&f, 2, 0);
	logits = malloc(t.prompt * f.info.vocabulary * sizeof(float));
	for (d = 0; d < DRAWS; d++) {
		struct aipu_sampling sampling = draws[d];
		struct aipu_session *session = llm_fixture_session(&f);
		struct collected c = { 0 };
		uint32_t i, token, length;
		float logprob;

		sampling.max_tokens = 60;
		sampling.ignore_stop = true;
		aipu_session_set_sequence(session, 77 + d);
		assert_int_equal(aipu_session_prefill(session, t.inputs, t.prompt, NULL), 0);
		assert_int_equal(
			aipu_llm_generate(f.llm, &session, &sampling, 1, collect, &c, NULL), 0);
		assert_int_equal(c.count, 60);
		assert_int_equal(c.reason, AIPU_END_LIMIT);
		assert_int_equal(aipu_session_rewind(session, 0), 0);
		if (!d)
			memcpy(greedy, c.tokens, sizeof(greedy));
		else if (sampling.temperature < 1e-38f) /* [NUM-72] */
			assert_memory_equal(greedy, c.tokens, sizeof(greedy));

		assert_int_equal(aipu_session_prefill(session, t.inputs, t.prompt, logits), 0);
		for (i = 0; i < 60; i++) {
			const float *last = i ? logits
					      : logits + (t.prompt - 1) * f.info.vocabulary;

			length = aipu_session_length(session);
			assert_int_equal(aipu_llm_sample(last, f.info.vocabulary, &sampling, 77 + d,
							 length, &token, &logprob),
					 0);
			assert_int_equal(token, c.tokens[i]);
			assert_memory_equal(&logprob, &c.logprobs[i], sizeof(logprob));
			assert_int_equal(aipu_session_prefill(session, &token, 1, logits), 0);
		}
		aipu_session_destroy(session);
	}
	free(logits);
	llm_fixture_close(&f);
	transcript_free(&t);
}

/* [PRG-7]: eight lanes at different positions give each the tokens that it gives alone */
static void lanes_equal_alone(void **state)
{
	struct aipu_session *sessions[8];
	struct aipu_sampling samplings[8];
	struct collected *alone, *together;
	uint32_t reasons[8];
	struct llm_fixture f;
	struct transcript t[4];
	unsigned int i;

	(void)state;
	if (!test_models_have(MODEL))
		skip();
	for (i = 0; i < 4; i++)
		transcript_load(&t[i], (int)i + 1);
	llm_fixture_compile(&f, "stories260K", "--precision int8 --batch-size 8");
	llm_fixture_open(&f, 2, 0);
	alone = calloc(8, sizeof(*alone));
	together = calloc(8, sizeof(*together));
	for (i = 0; i < 8; i++) {
		sessions[i] = llm_fixture_session(&f);
		samplings[i] = draws[i % DRAWS];
		samplings[i].max_tokens = 20 + 11 * i;
		assert_int_equal(
			aipu_session_prefill(sessions[i], t[i % 4].inputs, 3 + 17 * i, NULL), 0);
		assert_int_equal(aipu_llm_generate(f.llm, &sessions[i], &samplings[i], 1, collect,
						   &alone[i], NULL),
				 0);
		assert_true(alone[i].count > 0);
		assert_int_equal(aipu_session_rewind(sessions[i], 3 + 17 * i), 0);
	}
	if (aipu_llm_generate(f.llm, sessions, samplings, 8, collect, together, reasons))
		fail_msg("%s", aipu_llm_error(f.llm));
	for (i = 0; i < 8; i++) {
		assert_int_equal(together[i].count, alone[i].count);
		assert_memory_equal(together[i].tokens, alone[i].tokens,
				    alone[i].count * sizeof(uint32_t));
		assert_memory_equal(together[i].logprobs, alone[i].logprobs,
				    alone[i].count * sizeof(float));
		assert_int_equal(reasons[i], alone[i].reason);
		aipu_session_destroy(sessions[i]);
	}
	free(alone);
	free(together);
	llm_fixture_close(&f);
	for (i = 0; i < 4; i++)
		transcript_free(&t[i]);
}

/* Stopped by the callback, a session goes on where it was, with the tokens it would have had */
static void stop_and_go_on(void **state)
{
	struct aipu_sampling sampling = { .temperature = 0.9f, .seed = 9, .max_tokens = 50 };
	struct collected whole = { 0 }, parts = { .stop_after = 17 };
	struct aipu_session *session;
	struct llm_fixture f;
	struct transcript t;
	uint32_t reason;

	(void)state;
	if (!test_models_have(MODEL))
		skip();
	transcript_load(&t, 3);
	llm_fixture_compile(&f, "stories260K", "");
	llm_fixture_open(&f, 2, 0);
	session = llm_fixture_session(&f);
	sampling.ignore_stop = true;
	assert_int_equal(aipu_session_prefill(session, t.inputs, t.prompt, NULL), 0);
	assert_int_equal(aipu_llm_generate(f.llm, &session, &sampling, 1, collect, &whole, NULL),
			 0);
	assert_int_equal(aipu_session_rewind(session, t.prompt), 0);
	assert_int_equal(aipu_llm_generate(f.llm, &session, &sampling, 1, collect, &parts, &reason),
			 0);
	assert_int_equal(parts.count, 17);
	assert_int_equal(aipu_session_length(session), t.prompt + 17);
	parts.stop_after = 0;
	sampling.max_tokens = 50 - 17;
	assert_int_equal(aipu_llm_generate(f.llm, &session, &sampling, 1, collect, &parts, NULL),
			 0);
	assert_int_equal(parts.count, 50);
	assert_memory_equal(parts.tokens, whole.tokens, 50 * sizeof(uint32_t));
	/* An abort that comes before ends the next generation at once */
	aipu_llm_abort(f.llm);
	assert_int_equal(aipu_llm_generate(f.llm, &session, &sampling, 1, NULL, NULL, &reason), 0);
	assert_int_equal(reason, AIPU_END_ABORT);
	aipu_session_destroy(session);
	llm_fixture_close(&f);
	transcript_free(&t);
}

/* [GEN-3]: the context ends a generation; the last token lies just behind it */
static void context_limits(void **state)
{
	struct aipu_sampling sampling = { .ignore_stop = true };
	struct aipu_session *session, *second;
	struct collected c = { 0 };
	struct llm_fixture f;
	struct transcript t;
	float nothing;
	uint32_t reason;

	(void)state;
	if (!test_models_have(MODEL))
		skip();
	transcript_load(&t, 1);
	llm_fixture_compile(&f, "stories260K", "--ctx-len 100");
	llm_fixture_open(&f, 1, 0);
	session = llm_fixture_session(&f);
	assert_int_equal(aipu_session_create(f.llm, &second), -ENOSPC);
	assert_int_equal(aipu_session_prefill(session, t.inputs, 101, NULL), -E2BIG);
	assert_non_null(strstr(aipu_llm_error(f.llm), "101"));
	assert_non_null(strstr(aipu_llm_error(f.llm), "100"));
	assert_int_equal(aipu_session_prefill(session, t.inputs, 90, NULL), 0);
	assert_int_equal(aipu_llm_generate(f.llm, &session, &sampling, 1, collect, &c, &reason), 0);
	assert_int_equal(reason, AIPU_END_CONTEXT);
	assert_int_equal(c.count, 11);
	/* Full, and one more: to append nothing is no error, with logits or without */
	assert_int_equal(aipu_session_length(session), 101);
	assert_int_equal(aipu_session_prefill(session, NULL, 0, NULL), 0);
	assert_int_equal(aipu_session_prefill(session, NULL, 0, &nothing), 0);
	assert_int_equal(aipu_llm_generate(f.llm, &session, &sampling, 1, collect, &c, &reason),
			 -E2BIG);
	assert_int_equal(aipu_session_rewind(session, 0), 0);
	assert_int_equal(aipu_llm_generate(f.llm, &session, &sampling, 1, collect, &c, &reason),
			 -EINVAL);
	aipu_session_destroy(session);
	llm_fixture_close(&f);
	transcript_free(&t);
}

struct disturbance {
	const char *path;
	bool rename; /* put an empty file in its place; else cut it */
	uint32_t tokens[64], count;
};

static int disturb(void *arg, const struct aipu_token *token)
{
	struct disturbance *d = arg;
	char other[4096];
	int fd;

	if (d->count < 64)
		d->tokens[d->count] = token->token;
	if (++d->count != 5)
		return 0;
	if (!d->rename)
		return truncate(d->path, 8192);
	snprintf(other, sizeof(other), "%s.new", d->path);
	fd = open(other, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	return rename(other, d->path);
}

/* [SEG-8]: cut while it is in use: an error line and no signal. Replaced by rename: the old one goes on. */
static void container_changes_while_generating(void **state)
{
	struct aipu_sampling sampling = { .max_tokens = 40, .ignore_stop = true };
	struct disturbance calm = { 0 }, d = { 0 };
	struct aipu_session *session;
	struct llm_fixture f;
	uint32_t first;
	char *path;
	int err;

	(void)state;
	llm_fixture_compile(&f, "demo", "");
	llm_fixture_open(&f, 2, 0);
	session = llm_fixture_session(&f);
	first = f.info.bos_id;
	assert_true(asprintf(&path, "%s/model.qpc", f.qpc) > 0);
	d.path = path;

	assert_int_equal(aipu_session_prefill(session, &first, 1, NULL), 0);
	calm.count = 1000; /* never the fifth */
	assert_int_equal(aipu_llm_generate(f.llm, &session, &sampling, 1, disturb, &calm, NULL), 0);
	calm.count = 0;
	assert_int_equal(aipu_session_rewind(session, 1), 0);
	d.rename = true;
	assert_int_equal(aipu_llm_generate(f.llm, &session, &sampling, 1, disturb, &d, NULL), 0);
	assert_int_equal(d.count, 40);
	llm_fixture_close(&f);

	llm_fixture_compile(&f, "demo", "");
	llm_fixture_open(&f, 2, 0);
	session = llm_fixture_session(&f);
	free(path);
	assert_true(asprintf(&path, "%s/model.qpc", f.qpc) > 0);
	memcpy(calm.tokens, d.tokens, sizeof(calm.tokens));
	memset(&d, 0, sizeof(d));
	d.path = path;
	sampling.max_tokens = 400;
	assert_int_equal(aipu_session_prefill(session, &first, 1, NULL), 0);
	err = aipu_llm_generate(f.llm, &session, &sampling, 1, disturb, &d, NULL);
	assert_true(err < 0);
	assert_non_null(strstr(aipu_llm_error(f.llm), "shorter"));
	assert_memory_equal(d.tokens, calm.tokens, 5 * sizeof(uint32_t));
	free(path);
	llm_fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fp32_transcripts),
		cmocka_unit_test(fp16_transcripts),
		cmocka_unit_test(int8_against_fp32),
		cmocka_unit_test(simd_levels_agree),
		cmocka_unit_test(demo_against_torch),
		cmocka_unit_test(generate_equals_single_steps),
		cmocka_unit_test(lanes_equal_alone),
		cmocka_unit_test(stop_and_go_on),
		cmocka_unit_test(context_limits),
		cmocka_unit_test(container_changes_while_generating),
	};

	return cmocka_run_group_tests_name("llm", tests, NULL, NULL);
}
