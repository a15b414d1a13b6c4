/* SPDX-License-Identifier: MIT */
/*
 * libaipu-llm on a device that is reset: before every call, at every wait, behind every token, with a full token ring, while it
 * loads again. One story is told undisturbed, and again with each disturbance: the same tokens, logits and reasons come out,
 * each token once. And where there is nothing to go on with, the error comes and not a hang.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "aipu/dm.h"
#include "internal.h"
#include "llm_fixture.h"
#include "llm_internal.h"
#include "lossy.h"

#define CONTEXT 1500u
/* The host takes 32 records at a time: beyond so many tokens none can have been made when the first one is seen. */
#define AHEAD (LLM_RING_ENTRIES + 32u)
#define TEXT 400u /* tokens; more than AHEAD and 40 */
#define LANES 3u
#define MOST_TOKENS (CONTEXT + 1)
#define VOCABULARY 96u

/* A sanitizer makes everything some ten times slower: it sees fewer of the moments, of every kind. */
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STRIDE 5u
#else
#define STRIDE 1u
#endif

static int container; /* a memfd, for all tests */

/* --- what a device with a fault is ---------------------------------------------------------------- */

static uint32_t fatal_at; /* which job of the device model ends it; 0: none */
static uint32_t abort_at; /* before which one another thread wants an end of `aborted`; 0: none */
static struct aipu_llm *aborted;
static atomic_uint jobs_seen;

int __real_aipu_dm_create(const struct aipu_dm_config *config, const struct aipu_dm_ops *ops,
			  void *host, struct aipu_dm **dm);
int __wrap_aipu_dm_create(const struct aipu_dm_config *config, const struct aipu_dm_ops *ops,
			  void *host, struct aipu_dm **dm);

static void fault(void *host, enum aipu_dm_point point, struct aipu_dm_fault *fault)
{
	uint32_t job;

	(void)host;
	if (point != AIPU_DM_POINT_JOB)
		return;
	job = atomic_fetch_add(&jobs_seen, 1) + 1;
	if (job == fatal_at)
		fault->kind = AIPU_DM_FAULT_FATAL;
	if (job == abort_at)
		aipu_llm_abort(aborted);
}

int __wrap_aipu_dm_create(const struct aipu_dm_config *config, const struct aipu_dm_ops *ops,
			  void *host, struct aipu_dm **dm)
{
	static struct aipu_dm_ops ours;

	ours = *ops;
	ours.fault = fault;
	return __real_aipu_dm_create(config, &ours, host, dm);
}

/* --- a model on such a device ---------------------------------------------------------------------- */

struct stage {
	struct lossy *lossy;
	struct aipu_device *device;
	struct aipu_llm *llm;
	struct aipu_session *sessions[LANES];
	/* What its callback does: at token number `when` of the generation, counted from 1 */
	uint32_t when, tokens;
	void (*then)(struct stage *stage);
	int answer;
};

/* Everything that a caller saw of the sessions */
struct told {
	uint32_t count[LANES];
	uint32_t tokens[LANES][MOST_TOKENS];
	float logprobs[LANES][MOST_TOKENS];
	uint32_t last_reason[LANES];
	uint32_t reasons[8];
	float logits[2][7 * VOCABULARY];
};

static struct told *told_now; /* the callback's; lanes are sessions in the order of the generation */
static uint32_t told_order[LANES];

static int on_token(void *arg, const struct aipu_token *token)
{
	struct stage *stage = arg;
	uint32_t session = told_order[token->lane];
	uint32_t n = told_now->count[session]++;

	assert_true(n < MOST_TOKENS);
	assert_int_equal(told_now->last_reason[session], AIPU_END_NONE);
	told_now->tokens[session][n] = token->token;
	told_now->logprobs[session][n] = token->logprob;
	told_now->last_reason[session] = token->reason;
	if (++stage->tokens != stage->when)
		return 0;
	if (stage->then)
		stage->then(stage);
	return stage->answer;
}

static void container_path(char path[64])
{
	snprintf(path, 64, "/proc/self/fd/%d", container);
}

static int stage_try_open(struct stage *stage, struct lossy set, struct aipu_message *message)
{
	char path[64];

	memset(stage, 0, sizeof(*stage));
	stage->device = lossy_open(&stage->lossy);
	*stage->lossy = set;
	container_path(path);
	return aipu_llm_open(stage->device, path, NULL, &stage->llm, message);
}

static void stage_open(struct stage *stage, struct lossy set)
{
	struct aipu_message message;

	if (stage_try_open(stage, set, &message))
		fail_msg("%s", message.text);
	for (uint32_t i = 0; i < LANES; i++)
		assert_int_equal(aipu_session_create(stage->llm, &stage->sessions[i]), 0);
}

static void stage_close(struct stage *stage)
{
	aipu_llm_close(stage->llm);
	aipu_device_close(stage->device);
}

static uint64_t rebuilds(const struct stage *stage)
{
	struct aipu_llm_info info;

	assert_int_equal(aipu_llm_query(stage->llm, &info), 0);
	return info.rebuilds;
}

static void prefill(struct stage *stage, uint32_t session, uint32_t count, float *logits)
{
	uint32_t tokens[64];

	for (uint32_t i = 0; i < count; i++)
		tokens[i] = (7 * session + 13 * i + 5) % VOCABULARY;
	if (aipu_session_prefill(stage->sessions[session], tokens, count, logits))
		fail_msg("%s", aipu_llm_error(stage->llm));
}

/* Sessions `first` and, unless it is LANES, `second`, in that order */
static int generate(struct stage *stage, struct told *told, uint32_t first, uint32_t second,
		    uint32_t limit, uint32_t *reasons)
{
	struct aipu_session *sessions[2] = { stage->sessions[first] };
	struct aipu_sampling samplings[2] = {
		{ .temperature = 0.9f, .seed = 3 + first, .max_tokens = limit, .ignore_stop = true },
		{ .temperature = 1.3f,
		  .top_k = 30,
		  .seed = 3 + second,
		  .max_tokens = limit / 2 < 10 ? limit / 2 : 10 },
	};

	if (second < LANES)
		sessions[1] = stage->sessions[second];
	told_now = told;
	told_order[0] = first;
	told_order[1] = second;
	told->last_reason[first] = AIPU_END_NONE;
	if (second < LANES)
		told->last_reason[second] = AIPU_END_NONE;
	stage->tokens = 0;
	return aipu_llm_generate(stage->llm, sessions, samplings, 1 + (second < LANES), on_token,
				 stage, reasons);
}

/* Three sessions, one of which waits while two are at work, goes on alone, and the two once more */
static void tell(struct stage *stage, struct told *told)
{
	memset(told, 0, sizeof(*told));
	prefill(stage, 0, 11, NULL);
	prefill(stage, 1, 7, told->logits[0]);
	prefill(stage, 2, 9, NULL);
	if (generate(stage, told, 0, 1, 20, told->reasons))
		fail_msg("%s", aipu_llm_error(stage->llm));
	prefill(stage, 1, 7, told->logits[1]);
	if (generate(stage, told, 2, LANES, 9, told->reasons + 2) ||
	    generate(stage, told, 1, 0, 12, told->reasons + 4))
		fail_msg("%s", aipu_llm_error(stage->llm));
	assert_int_equal(told->count[0], 26);
	assert_int_equal(told->count[1], 22);
	assert_int_equal(told->count[2], 9);
}

static void undisturbed(struct told *told, struct lossy *counts)
{
	struct stage stage;

	stage_open(&stage, (struct lossy){ 0 });
	tell(&stage, told);
	assert_int_equal(rebuilds(&stage), 0);
	*counts = *stage.lossy;
	stage_close(&stage);
}

static void same(const struct told *told, const struct told *expected, const char *what, uint32_t n)
{
	if (memcmp(told, expected, sizeof(*told)))
		fail_msg("reset %s %u: another story", what, n);
}

/* --- the tests --------------------------------------------------------------------------------------- */

static void before_every_call(void **state)
{
	struct told *expected = malloc(sizeof(*expected)), *told = malloc(sizeof(*told));
	struct lossy counts;

	(void)state;
	undisturbed(expected, &counts);
	for (uint32_t refuse = 0; refuse < 2; refuse++) {
		uint32_t met = 0;

		for (uint32_t n = 1; n <= counts.calls; n += STRIDE) {
			struct stage stage;

			stage_open(&stage, (struct lossy){ .at_call = n, .refuse = refuse });
			tell(&stage, told);
			same(told, expected, "before call", n);
			met += stage.lossy->resets;
			/* Also one that came while it was opened, but for the first, when there was nothing to lose */
			assert_int_equal(rebuilds(&stage), n > 1);
			stage_close(&stage);
		}
		assert_int_equal(met, (counts.calls + STRIDE - 1) / STRIDE);
	}
	free(told);
	free(expected);
}

/* Where jobs run and tokens come: how many waits there are is a matter of time. */
static void at_every_wait(void **state)
{
	struct told *expected = malloc(sizeof(*expected)), *told = malloc(sizeof(*told));
	struct lossy counts;
	uint32_t met = 0;

	(void)state;
	undisturbed(expected, &counts);
	for (uint32_t n = 1; n <= counts.waits; n += STRIDE) {
		struct stage stage;

		stage_open(&stage, (struct lossy){ .at_wait = n, .refuse = n % 2 });
		tell(&stage, told);
		same(told, expected, "at wait", n);
		met += stage.lossy->resets;
		stage_close(&stage);
	}
	assert_true(met > 0);
	free(told);
	free(expected);
}

static void reset(struct stage *stage)
{
	lossy_reset(stage->lossy);
}

/* What comes where nothing happens */
static void text(struct told *told)
{
	struct stage stage;

	memset(told, 0, sizeof(*told));
	stage_open(&stage, (struct lossy){ 0 });
	prefill(&stage, 0, 11, NULL);
	assert_int_equal(generate(&stage, told, 0, LANES, TEXT, told->reasons), 0);
	assert_int_equal(told->count[0], TEXT);
	assert_int_equal(told->reasons[0], AIPU_END_LIMIT);
	stage_close(&stage);
}

static void behind_every_token(void **state)
{
	struct told *expected = malloc(sizeof(*expected)), *told = malloc(sizeof(*told));

	(void)state;
	text(expected);
	for (uint32_t n = 1; n <= 40; n += STRIDE) {
		struct stage stage;

		memset(told, 0, sizeof(*told));
		stage_open(&stage, (struct lossy){ .refuse = n % 2 });
		stage.when = n;
		stage.then = reset;
		prefill(&stage, 0, 11, NULL);
		assert_int_equal(generate(&stage, told, 0, LANES, TEXT, told->reasons), 0);
		same(told, expected, "behind token", n);
		assert_int_equal(stage.lossy->resets, 1);
		assert_int_equal(aipu_session_length(stage.sessions[0]), 11 + TEXT);
		assert_memory_equal(aipu_session_tokens(stage.sessions[0]) + 11,
				    expected->tokens[0], TEXT * sizeof(uint32_t));
		stage_close(&stage);
	}
	free(told);
	free(expected);
}

static uint32_t ring_held; /* records in the ring when the device was reset */

static void reset_with_a_full_ring(struct stage *stage)
{
	struct aipu_token_ring *ring =
		(struct aipu_token_ring *)(stage->llm->control.data + stage->llm->at.ring);
	unsigned int tries = 0;

	do {
		usleep(1000);
		ring_held = __atomic_load_n(&ring->producer, __ATOMIC_ACQUIRE) - ring->consumer;
	} while (ring_held < LLM_RING_ENTRIES && ++tries < 60000);
	lossy_reset(stage->lossy);
}

static void with_a_full_ring(void **state)
{
	struct told *expected = calloc(1, sizeof(*expected)), *told = calloc(1, sizeof(*told));
	struct stage stage;

	(void)state;
	for (uint32_t disturbed = 0; disturbed < 2; disturbed++) {
		stage_open(&stage, (struct lossy){ 0 });
		if (disturbed) {
			stage.when = 1;
			stage.then = reset_with_a_full_ring;
		}
		prefill(&stage, 0, 11, NULL);
		assert_int_equal(generate(&stage, disturbed ? told : expected, 0, LANES, 0, NULL),
				 0);
		assert_int_equal(rebuilds(&stage), disturbed);
		stage_close(&stage);
	}
	assert_int_equal(ring_held, LLM_RING_ENTRIES);
	assert_int_equal(expected->count[0], CONTEXT + 1 - 11);
	assert_int_equal(expected->last_reason[0], AIPU_END_CONTEXT);
	same(told, expected, "with a full ring, records:", ring_held);
	free(told);
	free(expected);
}

/* The last token of a lane is known, the job's end is not: nothing is left to generate. */
static void behind_the_last_token_of_one(void **state)
{
	struct told *expected = malloc(sizeof(*expected)), *told = malloc(sizeof(*told));
	struct stage stage;

	(void)state;
	for (uint32_t disturbed = 0; disturbed < 2; disturbed++) {
		struct told *now = disturbed ? told : expected;

		memset(now, 0, sizeof(*now));
		stage_open(&stage, (struct lossy){ 0 });
		stage.when = disturbed ? 21 : 0; /* the shorter one has ended by then */
		stage.then = reset;
		prefill(&stage, 0, 11, NULL);
		prefill(&stage, 1, 5, NULL);
		assert_int_equal(generate(&stage, now, 0, 1, TEXT, now->reasons), 0);
		assert_int_equal(now->reasons[0], AIPU_END_LIMIT);
		assert_int_equal(now->reasons[1], AIPU_END_LIMIT);
		assert_int_equal(generate(&stage, now, 1, 0, 10, now->reasons + 2), 0);
		stage_close(&stage);
	}
	same(told, expected, "behind token", 21);
	free(told);
	free(expected);
}

/* Three resets without a token are borne, however far the loading came in between */
static void while_it_loads_again(void **state)
{
	struct told *expected = malloc(sizeof(*expected)), *told = malloc(sizeof(*told));
	struct lossy counts;

	(void)state;
	undisturbed(expected, &counts);
	for (uint32_t n = 1; n <= 30; n += STRIDE) {
		struct stage stage;

		stage_open(&stage, (struct lossy){ .refuse = n % 2 });
		stage.lossy->at_call = 1;
		stage.lossy->again = 2;
		stage.lossy->again_calls = n;
		tell(&stage, told);
		same(told, expected, "again at call", n);
		assert_int_equal(stage.lossy->resets, 3);
		stage_close(&stage);
	}
	free(told);
	free(expected);
}

/* One reset that many calls meet, one after the other, is one reset. */
static void a_reset_met_more_than_once(void **state)
{
	struct told *expected = malloc(sizeof(*expected)), *told = malloc(sizeof(*told));
	struct lossy counts;

	(void)state;
	undisturbed(expected, &counts);
	for (uint32_t refuse = 0; refuse < 2; refuse++) {
		struct stage stage;

		stage_open(&stage, (struct lossy){ .refuse = refuse });
		stage.lossy->at_call = 1;
		stage.lossy->echoes = 10;
		tell(&stage, told);
		same(told, expected, "met again, refuse:", refuse);
		assert_int_equal(stage.lossy->resets, 1);
		assert_int_equal(stage.lossy->echoes, 0);
		assert_int_equal(rebuilds(&stage), 1);
		stage_close(&stage);
	}
	free(told);
	free(expected);
}

/* It is this job that the device cannot bear: said so, once, and the next job is right. */
static void a_job_that_is_guilty(void **state)
{
	struct told *expected = malloc(sizeof(*expected)), *told = malloc(sizeof(*told));

	(void)state;
	text(expected);
	for (uint32_t refuse = 0; refuse < 2; refuse++) {
		struct stage stage;

		memset(told, 0, sizeof(*told));
		stage_open(&stage, (struct lossy){ .kill = AIPU_JOB_GENERATE, .refuse = refuse });
		prefill(&stage, 0, 11, NULL);
		assert_int_equal(generate(&stage, told, 0, LANES, TEXT, NULL), -ECANCELED);
		assert_int_equal(stage.lossy->resets, 4);
		assert_int_equal(rebuilds(&stage), 3);
		assert_non_null(strstr(aipu_llm_error(stage.llm), "reset 4 times"));
		assert_null(strchr(aipu_llm_error(stage.llm), '\n'));
		assert_int_equal(told->count[0], 0);
		stage.lossy->kill = 0;
		assert_int_equal(generate(&stage, told, 0, LANES, TEXT, told->reasons), 0);
		same(told, expected, "by a guilty job, refuse:", refuse);
		stage_close(&stage);
	}
	/* While it is opened: the same */
	for (uint32_t refuse = 0; refuse < 2; refuse++) {
		struct aipu_message message;
		struct stage stage;

		assert_int_equal(
			stage_try_open(&stage,
				       (struct lossy){ .kill = AIPU_JOB_COPY, .refuse = refuse },
				       &message),
			-ECANCELED);
		assert_int_equal(stage.lossy->resets, 4);
		assert_non_null(strstr(message.text, "reset 4 times"));
		aipu_device_close(stage.device);
	}
	free(told);
	free(expected);
}

/* One token is progress: a device that is reset again and again, but not before it gave one, comes to the end. */
static void reset_again(struct stage *stage)
{
	lossy_reset(stage->lossy);
	stage->when += AHEAD + 1;
}

static void many_resets_with_progress(void **state)
{
	struct told *expected = calloc(1, sizeof(*expected)), *told = calloc(1, sizeof(*told));
	const uint32_t limit = 5 * (AHEAD + 1), last = limit - AHEAD;

	(void)state;
	for (uint32_t disturbed = 0; disturbed < 2; disturbed++) {
		struct told *now = disturbed ? told : expected;
		const struct aipu_lane *lane;
		struct stage stage;

		stage_open(&stage, (struct lossy){ 0 });
		stage.when = disturbed;
		stage.then = reset_again;
		prefill(&stage, 0, 11, NULL);
		assert_int_equal(generate(&stage, now, 0, LANES, limit, now->reasons), 0);
		assert_int_equal(now->reasons[0], AIPU_END_LIMIT);
		assert_int_equal(rebuilds(&stage), 5 * disturbed);
		/* Each job was asked for no more than what was left. */
		lane = (const struct aipu_lane *)(stage.llm->control.data + stage.llm->at.lanes);
		assert_true(lane->sampler.token_limit <= (disturbed ? limit - last : limit));
		stage_close(&stage);
	}
	same(told, expected, "again and again, tokens:", limit);
	free(told);
	free(expected);
}

static void a_device_that_does_not_come_back(void **state)
{
	static const int errors[] = { -EIO, -ENODEV };
	struct told *told = malloc(sizeof(*told));
	uint32_t before[5];

	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		struct stage stage;
		uint32_t token = 3;

		memset(told, 0, sizeof(*told));
		stage_open(&stage, (struct lossy){ .dead = errors[i / 2], .refuse = i % 2 });
		stage.when = 5;
		stage.then = reset;
		prefill(&stage, 0, 11, NULL);
		assert_int_equal(generate(&stage, told, 0, LANES, 0, NULL), errors[i / 2]);
		assert_int_equal(stage.lossy->resets, 1);
		assert_non_null(strstr(aipu_llm_error(stage.llm), "was reset"));
		assert_non_null(strstr(aipu_llm_error(stage.llm), strerror(-errors[i / 2])));
		assert_true(told->count[0] >= 5 && told->count[0] <= LLM_RING_ENTRIES + 40);
		if (i)
			assert_memory_equal(told->tokens[0], before, sizeof(before));
		memcpy(before, told->tokens[0], sizeof(before));
		for (uint32_t k = 0; k < 20; k++)
			assert_int_equal(aipu_session_prefill(stage.sessions[1], &token, 1, NULL),
					 errors[i / 2]);
		stage_close(&stage);
	}
	free(told);
}

static void reset_and_abort(struct stage *stage)
{
	lossy_reset(stage->lossy);
	aipu_llm_abort(stage->llm);
}

/* Ended by the caller at the same time: no error, no new load, and who goes on later gets the rest. */
static void an_abort_at_the_same_time(void **state)
{
	struct told *expected = malloc(sizeof(*expected)), *told = malloc(sizeof(*told));

	(void)state;
	text(expected);
	for (uint32_t i = 0; i < 4; i++) {
		struct stage stage;
		uint32_t reason;

		memset(told, 0, sizeof(*told));
		stage_open(&stage, (struct lossy){ .refuse = i % 2 });
		stage.when = 5;
		stage.then = i < 2 ? reset : reset_and_abort;
		stage.answer = i < 2;
		prefill(&stage, 0, 11, NULL);
		assert_int_equal(generate(&stage, told, 0, LANES, TEXT, &reason), 0);
		assert_int_equal(reason, AIPU_END_ABORT);
		assert_true(told->count[0] >= 5 && told->count[0] < TEXT);
		assert_int_equal(rebuilds(&stage), 0);
		stage.when = 0;
		assert_int_equal(
			generate(&stage, told, 0, LANES, TEXT - told->count[0], told->reasons), 0);
		same(told, expected, "and aborted,", i);
		assert_int_equal(rebuilds(&stage), 1);
		stage_close(&stage);
	}
	free(told);
	free(expected);
}

/* Before job `job` from here on, by a thread of the device's: no signal comes with it. */
static void abort_before(struct stage *stage, uint32_t job)
{
	atomic_store(&jobs_seen, 0);
	aborted = stage->llm;
	abort_at = job;
}

/* A prompt is read in many jobs: the one that runs is the last. Nothing is lost, and who goes on later gets the whole text. */
static void an_abort_while_it_reads(void **state)
{
	struct told *expected = malloc(sizeof(*expected)), *told = malloc(sizeof(*told));
	uint32_t tokens[64] = { 0 }, reason;
	struct stage stage;

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		struct told *now = i ? told : expected;

		memset(now, 0, sizeof(*now));
		stage_open(&stage, (struct lossy){ 0 });
		if (i) {
			abort_before(&stage, 3);
			assert_int_equal(aipu_session_prefill(stage.sessions[0], tokens, 64, NULL),
					 -EINTR);
			assert_int_equal(atomic_load(&jobs_seen), 3);
			/* Not told yet: so it ends this one */
			assert_int_equal(generate(&stage, now, 0, LANES, 20, &reason), 0);
			assert_int_equal(reason, AIPU_END_ABORT);
			assert_int_equal(atomic_load(&jobs_seen), 3);
			/* Which would have read on */
			abort_before(&stage, 4);
			assert_int_equal(generate(&stage, now, 0, LANES, 20, &reason), 0);
			assert_int_equal(reason, AIPU_END_ABORT);
			assert_int_equal(atomic_load(&jobs_seen), 4);
			abort_at = 0;
		} else if (aipu_session_prefill(stage.sessions[0], tokens, 64, NULL)) {
			fail_msg("%s", aipu_llm_error(stage.llm));
		}
		assert_int_equal(aipu_session_length(stage.sessions[0]), 64);
		assert_int_equal(generate(&stage, now, 0, LANES, 20, &reason), 0);
		assert_int_equal(reason, AIPU_END_LIMIT);
		assert_int_equal(rebuilds(&stage), 0);
		stage_close(&stage);
	}
	same(told, expected, "not at all, but", 1);
	free(told);
	free(expected);
}

static void reset_context(struct stage *stage)
{
	assert_int_equal(aipu_context_reset(stage->llm->context), 0);
}

/* Not a loss: the job that ran too long is the caller's own. Nothing has to be loaded again. */
static void a_reset_of_the_context_only(void **state)
{
	struct told *expected = malloc(sizeof(*expected)), *told = calloc(1, sizeof(*told));
	struct stage stage;

	(void)state;
	stage_open(&stage, (struct lossy){ 0 });
	prefill(&stage, 0, 11, NULL);
	memset(expected, 0, sizeof(*expected));
	assert_int_equal(generate(&stage, expected, 0, LANES, 600, expected->reasons), 0);
	stage_close(&stage);

	stage_open(&stage, (struct lossy){ 0 });
	stage.when = 5;
	stage.then = reset_context;
	prefill(&stage, 0, 11, NULL);
	assert_int_equal(generate(&stage, told, 0, LANES, 600, NULL), -ETIMEDOUT);
	assert_non_null(strstr(aipu_llm_error(stage.llm), "context"));
	assert_true(told->count[0] >= 5 && told->count[0] < 600);
	stage.when = 0;
	assert_int_equal(generate(&stage, told, 0, LANES, 600 - told->count[0], told->reasons), 0);
	same(told, expected, "of the context behind token", 5);
	assert_int_equal(rebuilds(&stage), 0);
	stage_close(&stage);
	free(told);
	free(expected);
}

/*
 * The software device has nobody who would reset it: its end is an error, and soon. What it may still reach is not given back,
 * so that is no leak.
 */
static void a_software_device_that_fails(void **state)
{
	struct aipu_device_options options = { .cores = 1, .memory_bytes = 64u << 20 };
	struct aipu_message message = { "" };
	int last = 0;

	(void)state;
#if defined(__SANITIZE_ADDRESS__)
	__lsan_disable();
#endif
	for (fatal_at = 1; fatal_at < 12; fatal_at += 3) {
		struct aipu_sampling sampling = { .max_tokens = 30, .ignore_stop = true };
		struct stage stage = { 0 };
		struct told *told = calloc(1, sizeof(*told));
		uint32_t tokens[9] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
		char path[64];
		int err;

		told_now = told;
		atomic_store(&jobs_seen, 0);
		container_path(path);
		assert_int_equal(
			aipu_device_open_transport(&stage.device,
						   aipu_transport_plugin(AIPU_TRANSPORT_VERSION),
						   NULL, &options, &message),
			0);
		err = aipu_llm_open(stage.device, path, NULL, &stage.llm, &message);
		if (!err)
			err = aipu_session_create(stage.llm, &stage.sessions[0]);
		if (!err)
			err = aipu_session_prefill(stage.sessions[0], tokens, 9, NULL);
		if (!err)
			err = aipu_llm_generate(stage.llm, stage.sessions, &sampling, 1, on_token,
						&stage, NULL);
		assert_true(err == -EIO || (!err && jobs_seen < fatal_at));
		aipu_llm_close(stage.llm);
		aipu_device_close(stage.device);
		free(told);
		last = err;
	}
#if defined(__SANITIZE_ADDRESS__)
	__lsan_enable();
#endif
	assert_int_equal(last, 0); /* behind the last job */
	fatal_at = 0;
}

static int setup(void **state)
{
	(void)state;
	container = llm_fixture_random_lanes(CONTEXT, LANES);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return close(container);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(before_every_call),
		cmocka_unit_test(at_every_wait),
		cmocka_unit_test(behind_every_token),
		cmocka_unit_test(with_a_full_ring),
		cmocka_unit_test(behind_the_last_token_of_one),
		cmocka_unit_test(while_it_loads_again),
		cmocka_unit_test(a_reset_met_more_than_once),
		cmocka_unit_test(a_job_that_is_guilty),
		cmocka_unit_test(many_resets_with_progress),
		cmocka_unit_test(a_device_that_does_not_come_back),
		cmocka_unit_test(an_abort_at_the_same_time),
		cmocka_unit_test(an_abort_while_it_reads),
		cmocka_unit_test(a_reset_of_the_context_only),
		cmocka_unit_test(a_software_device_that_fails),
	};

	return cmocka_run_group_tests_name("llm_rebuild", tests, setup, teardown);
}
