// SPDX-License-Identifier: MIT
/*
 * Where libaipu-llm does not load again: a job that the device cannot bear is said so of, once; who aborts while the device is lost
 * is given no error, and the rest when he goes on; a context that was reset is not lost.
 */
#include "rebuild_stage.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_job_that_is_guilty),
		cmocka_unit_test(an_abort_at_the_same_time),
		cmocka_unit_test(an_abort_while_it_reads),
		cmocka_unit_test(a_reset_of_the_context_only),
	};

	return cmocka_run_group_tests_name("llm_rebuild_ends", tests, setup, teardown);
}
