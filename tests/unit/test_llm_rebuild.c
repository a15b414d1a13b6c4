// SPDX-License-Identifier: MIT
/*
 * libaipu-llm on a device that is reset: before every call, at every wait, behind every token, with a full token ring, while it
 * loads again. One story is told undisturbed, and again with each disturbance: the same tokens, logits and reasons come out,
 * each token once. And where there is nothing to go on with, the error comes and not a hang.
 */
#include "rebuild_stage.h"

/* A sanitizer makes everything some ten times slower: it sees fewer of the moments, of every kind. */
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STRIDE 5u
#else
#define STRIDE 1u
#endif

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
		cmocka_unit_test(many_resets_with_progress),
		cmocka_unit_test(a_device_that_does_not_come_back),
		cmocka_unit_test(a_software_device_that_fails),
	};

	return cmocka_run_group_tests_name("llm_rebuild", tests, setup, teardown);
}
