// SPDX-License-Identifier: MIT
/* Whose step comes next: jobs of a queue, queues of a context, contexts by class and weight. The arbiter alone: test_device_arbiter.c. */
#include "played_jobs.h"

/* [JOB-8] [RING-9] */
static void long_jobs_delay_others_by_one_step(void **state)
{
	struct aipu_job job = nop_of(1);
	struct aipu_completion completion;

	(void)state;
	submit(queues[1], run_of(1, 200000, 0));
	for (int i = 0; i < 50; i++) {
		completion = mount_job(queues[3], &job);
		assert_true(completion.step_start - completion.step_seen <= 1);
		assert_int_equal(completion.step_end - completion.step_start, 1);
	}
	completion = mount_wait(queues[1]);
	assert_int_equal(completion.status, AIPU_STATUS_OK);
	assert_int_equal(completion.detail, 200000);
	assert_true(completion.step_end - completion.step_start >= 200000);
	assert_true(aipu_dm_read32(mount->dm, AIPU_REG_STEPS) >= 200050);
}

/* [JOB-8] [PRIO-2] [PRIO-3] Two queues of a context have its turns, not two turns */
static void queues_take_turns(void **state)
{
	static const uint32_t starts[] = { 0, 0, 2, 1 }, ends[] = { 0, 2999, 3000, 2000 };
	struct aipu_job first = run_of(1, 1000, 0);

	(void)state;
	/* The others arrive while the first is held up in its first step */
	first.step.block_offset = 1;
	mount_submit(queues[1], &first);
	submit(queues[2], run_of(2, 1000, 0));
	submit(queues[3], run_of(3, 1000, 0));
	atomic_store(&gate, true);
	for (uint32_t i = 1; i <= 3; i++) {
		struct aipu_completion completion = mount_wait(queues[i]);

		assert_int_equal(completion.step_start, starts[i]);
		assert_int_equal(completion.step_end, ends[i]);
	}
}

/* A context in place of `context`, with one queue in place of `id` */
static void share_context(uint32_t context, uint32_t id, uint32_t priority, uint32_t weight)
{
	struct aipu_admin entry = { .opcode = AIPU_ADMIN_DESTROY_CONTEXT,
				    .context = { .context = context } };

	assert_int_equal(mount_admin(mount, &entry, NULL), AIPU_STATUS_OK);
	entry.opcode = AIPU_ADMIN_CREATE_CONTEXT;
	entry.context.priority = priority;
	entry.context.weight = weight;
	assert_int_equal(mount_admin(mount, &entry, NULL), AIPU_STATUS_OK);
	free(queues[id]);
	queues[id] = mount_create_queue(mount, context, id, 8, id);
}

/* Jobs of queues 1 and 3 that are ready together, with so many steps: the completions of both */
static void run_together(uint32_t steps_1, uint32_t steps_3, struct aipu_completion done[4])
{
	struct aipu_job first = run_of(1, steps_1, 0);

	first.step.block_offset = 1;
	mount_submit(queues[1], &first);
	while (!atomic_load(&open_jobs))
		usleep(20);
	submit(queues[3], run_of(3, steps_3, 0));
	atomic_store(&gate, true);
	done[1] = mount_wait(queues[1]);
	done[3] = mount_wait(queues[3]);
}

/* [PRIO-2] [ADM-3] Three turns of four, until it has done 900; the gate's step was the round's first */
static void weights_share_the_steps(void **state)
{
	struct aipu_completion done[4];

	(void)state;
	share_context(1, 1, AIPU_PRIORITY_NORMAL, 0);
	share_context(2, 3, AIPU_PRIORITY_NORMAL, 3);
	run_together(1000, 900, done);
	assert_int_equal(done[3].step_start, 1);
	assert_int_equal(done[3].step_end, 1200);
	assert_int_equal(done[1].step_end, 1900);
}

/* [PRIO-1] */
static void higher_classes_go_first(void **state)
{
	static const uint32_t classes[] = { AIPU_PRIORITY_LOW, AIPU_PRIORITY_NORMAL,
					    AIPU_PRIORITY_HIGH };
	struct aipu_completion done[4];

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		atomic_store(&gate, false);
		/* The weight is nothing to another class. */
		share_context(1, 1, classes[i], 256);
		share_context(2, 3, classes[i + 1], 1);
		run_together(100, 64, done);
		assert_int_equal(done[3].step_start - done[1].step_start, 1);
		assert_int_equal(done[3].step_end - done[3].step_start, 64);
		assert_int_equal(done[1].step_end - done[1].step_start, 164);
	}
}

/* [PRIO-4] */
static void a_lower_class_has_a_turn_in_the_end(void **state)
{
	struct aipu_completion done[4];

	(void)state;
	share_context(1, 1, AIPU_PRIORITY_LOW, 1);
	share_context(2, 3, AIPU_PRIORITY_HIGH, 256);
	run_together(1 + 10, 100000, done);
	assert_int_equal(done[1].step_end - done[1].step_start, 1 + 10 * 65);
}

/* [JOB-8] */
static void jobs_of_a_queue_keep_their_order(void **state)
{
	(void)state;
	submit(queues[1], run_of(1, 500, 0));
	submit(queues[1], nop_of(2));
	submit(queues[1], run_of(3, 5, 0));
	for (uint16_t id = 1; id <= 3; id++)
		assert_int_equal(mount_wait(queues[1]).id, id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(long_jobs_delay_others_by_one_step),
		T(queues_take_turns),
		T(weights_share_the_steps),
		T(higher_classes_go_first),
		T(a_lower_class_has_a_turn_in_the_end),
		T(jobs_of_a_queue_keep_their_order),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
