// SPDX-License-Identifier: MIT
/* Priorities and weights of contexts, as far as the library: what it refuses, and that the device gets what was asked for. */
#include "libaipu_test.h"

static const struct aipu_context_options low = { .priority = AIPU_PRIORITY_LOW, .weight = 256 };

static void options_are_checked(void **state)
{
	static const struct aipu_context_options good[] = {
		{ .weight = 0 },
		{ .weight = 256 },
		{ .priority = AIPU_PRIORITY_HIGH, .weight = 1 },
		{ .priority = AIPU_PRIORITY_LOW },
	};
	static const struct aipu_context_options bad[] = {
		{ .priority = AIPU_PRIORITY_HIGH + 1 },
		{ .weight = 257 },
		{ .reserved = { 1 } },
		{ .reserved = { 0, 0, 1 } },
	};
	struct test_bench *bench = *state;
	struct aipu_context *context;

	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(aipu_context_create_with(bench->device, &good[i], &context), 0);
		aipu_context_destroy(context);
		assert_int_equal(aipu_context_create_with(bench->device, &bad[i], &context),
				 -EINVAL);
	}
	assert_int_equal(aipu_context_create_with(bench->device, NULL, &context), 0);
	aipu_context_destroy(context);
	assert_int_equal(aipu_context_create_with(NULL, &low, &context), -EINVAL);
	assert_int_equal(aipu_context_create_with(bench->device, &low, NULL), -EINVAL);
}

/* Steps that a job of the lowest class waits while one of the bench's context works; one may end before the other is seen */
static uint32_t low_waits(struct test_bench *bench, int segment, struct aipu_queue *queue)
{
	struct aipu_result result;

	/* 8 steps each */
	for (unsigned int i = 0; i < 8; i++)
		aipu_prep_fill(aipu_queue_get_job(bench->queue, i), segment, 0, 32u << 20, i);
	assert_int_equal(aipu_queue_submit(bench->queue), 8);
	aipu_prep_nop(aipu_queue_get_job(queue, 0));
	assert_int_equal(test_run(queue, &result), AIPU_STATUS_OK);
	for (unsigned int i = 0; i < 8; i++) {
		const struct aipu_result *done = test_wait(bench->queue);

		assert_int_equal(done->status, AIPU_STATUS_OK);
		aipu_queue_seen(bench->queue, done);
	}
	return result.step_start - result.step_seen;
}

static void the_device_is_told(void **state)
{
	struct test_bench *bench = *state;
	struct aipu_context *context;
	struct aipu_buffer *buffer;
	struct aipu_queue *queue;
	unsigned int tries = 0;
	int segment;

	test_not_on_cards("results of cards do not have step counters");
	assert_int_equal(aipu_buffer_create(bench->device, AIPU_BUFFER_DEVICE, 32u << 20, &buffer),
			 0);
	segment = aipu_segment_bind(bench->context, buffer, 0, 0, AIPU_WRITE);
	assert_int_equal(aipu_context_create_with(bench->device, &low, &context), 0);
	assert_int_equal(aipu_queue_create(context, 1, &queue), 0);
	while (low_waits(bench, segment, queue) < 32 && tries++ < 50)
		;
	assert_true(tries < 50);
	aipu_queue_destroy(queue);
	aipu_context_destroy(context);
	assert_int_equal(aipu_segment_unbind(bench->context, segment), 0);
	assert_int_equal(aipu_buffer_destroy(buffer), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(options_are_checked, bench_up, bench_down),
		cmocka_unit_test_setup_teardown(the_device_is_told, bench_up, bench_down),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
