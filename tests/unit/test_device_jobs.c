// SPDX-License-Identifier: MIT
/* Rings, doorbells, pauses and time limits of jobs, and what the device counts and tells of them. */
#include "played_jobs.h"

/* --- rings ------------------------------------------------------------------------------------- */

/* [JOB-2] [RING-3] [RING-4] [RING-7] */
static void rings_wrap_and_phases_turn(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < 50; i++) {
		struct aipu_job job = nop_of(i);
		struct aipu_completion completion = mount_job(queues[2], &job);

		assert_int_equal(completion.id, i);
		assert_int_equal(completion.status, AIPU_STATUS_OK);
		assert_int_equal(completion.sq_head, (i + 1) % 4);
		assert_int_equal(completion.phase, 1 - i / 4 % 2);
		assert_int_equal(completion.detail, 0);
	}
	assert_true(nothing(queues[2]));
	assert_int_equal(atomic_load(&mount->interrupts[2]), 50);
}

/* [RING-1] */
static void one_doorbell_for_many(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < 7; i++) {
		struct aipu_job job = nop_of(i);

		mount_put(queues[1], &job);
	}
	settle();
	assert_true(nothing(queues[1]));
	mount_ring(queues[1]);
	for (uint16_t i = 0; i < 7; i++)
		assert_int_equal(mount_wait(queues[1]).id, i);
}

/* [RING-5] [RING-6] */
static void full_completion_ring_is_not_overwritten(void **state)
{
	struct aipu_completion completion;
	uint16_t got = 0, sent = 0;

	(void)state;
	/* Entries are reused as soon as sq_head allows, completions stay unread */
	while (sent < 3)
		submit(queues[2], nop_of(sent++));
	while (!mount_next(queues[2], &completion, false))
		usleep(20);
	assert_int_equal(completion.id, got++);
	while (got < 3)
		if (mount_next(queues[2], &completion, false))
			assert_int_equal(completion.id, got++);
	while (sent < 6)
		submit(queues[2], nop_of(sent++));
	settle();
	usleep(2000);
	assert_false(mount_next(queues[2], &completion, false));
	aipu_dm_write32(mount->dm, AIPU_DOORBELL_PAGE(2) + AIPU_DOORBELL_CQ_HEAD, queues[2]->head);
	while (got < 6)
		assert_int_equal(mount_wait(queues[2]).id, got++);
}

/* [RING-2] [ADM-9] */
static void bad_doorbells_stop_that_queue_only(void **state)
{
	static const struct {
		uint32_t offset, value;
	} bells[] = {
		{ AIPU_DOORBELL_SQ_TAIL, 8 },
		{ AIPU_DOORBELL_SQ_TAIL, UINT32_MAX },
		{ AIPU_DOORBELL_CQ_HEAD, 8 },
		{ AIPU_DOORBELL_CQ_HEAD, 1 }, /* nothing was completed yet */
	};
	struct aipu_admin event = { .opcode = AIPU_ADMIN_ASYNC_EVENT };
	struct aipu_job job = nop_of(9);

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct aipu_admin destroy = { .opcode = AIPU_ADMIN_DESTROY_QUEUE,
					      .queue = { .context = 2, .queue = 3 } };
		uint32_t detail;

		aipu_dm_write32(mount->dm, AIPU_DOORBELL_PAGE(3) + bells[i].offset, bells[i].value);
		assert_int_equal(mount_admin(mount, &event, &detail), AIPU_STATUS_OK);
		assert_int_equal(detail, AIPU_EVENT_ERROR);
		assert_int_equal(aipu_dm_read32(mount->dm, AIPU_REG_ERROR), AIPU_ERROR_QUEUE);
		submit(queues[3], job);
		settle();
		assert_true(nothing(queues[3]));
		assert_int_equal(mount_job(queues[1], &job).status, AIPU_STATUS_OK);
		assert_int_equal(mount_admin(mount, &destroy, NULL), AIPU_STATUS_OK);
		free(queues[3]);
		queues[3] = mount_create_queue(mount, 2, 3, 8, 3);
	}
	/* A tail that moves back while entries wait */
	submit(queues[3], run_of(1, 2, 1));
	submit(queues[3], nop_of(2));
	submit(queues[3], nop_of(3));
	wait_paused();
	aipu_dm_write32(mount->dm, AIPU_DOORBELL_PAGE(3), 2);
	assert_int_equal(mount_admin(mount, &event, NULL), AIPU_STATUS_OK);
	for (uint16_t id = 1; id <= 3; id++) {
		struct aipu_completion completion = mount_wait(queues[3]);

		assert_int_equal(completion.id, id);
		assert_int_equal(completion.status, AIPU_STATUS_ABORTED);
	}
	/* The running one as well: what its lanes' results are made from */
	assert_int_equal(atomic_load(&ended_with), AIPU_STATUS_ABORTED);
}

/* --- pauses and time limits -------------------------------------------------------------------- */

/* [GEN-7] */
static void wake_raises_the_interrupt_before_the_end(void **state)
{
	(void)state;
	submit(queues[3], run_of(1, 10, 6));
	wait_paused();
	assert_int_equal(atomic_load(&mount->interrupts[3]), 1);
	atomic_store(&room, true);
	assert_int_equal(mount_wait(queues[3]).status, AIPU_STATUS_OK);
}

static void paused_jobs_let_others_pass(void **state)
{
	struct aipu_job job = nop_of(4);

	(void)state;
	submit(queues[1], run_of(1, 10, 5));
	wait_paused();
	for (int i = 0; i < 20; i++)
		assert_int_equal(mount_job(queues[2], &job).status, AIPU_STATUS_OK);
	assert_true(nothing(queues[1]));
	atomic_store(&room, true);
	assert_int_equal(mount_wait(queues[1]).detail, 10);
}

static void kick(uint32_t queue)
{
	aipu_dm_write32(mount->dm, AIPU_DOORBELL_PAGE(queue) + AIPU_DOORBELL_KICK, 1);
}

/* [GEN-5] */
static void kick_ends_a_pause(void **state)
{
	(void)state;
	/* This clock stands still during a pause, so the 1 ms poll never comes */
	submit(queues[1], run_of(1, 10, 5));
	while (!atomic_load(&polls))
		usleep(20);
	atomic_store(&room, true);
	settle();
	assert_true(nothing(queues[1]));
	kick(1);
	assert_int_equal(mount_wait(queues[1]).detail, 10);
}

/* [JOB-7] */
static void time_limits(void **state)
{
	struct aipu_job job = run_of(1, UINT32_MAX, 0);
	struct aipu_completion completion;

	(void)state;
	job.timeout_ms = 5;
	completion = mount_job(queues[1], &job);
	assert_int_equal(completion.status, AIPU_STATUS_TIMEOUT);
	assert_int_equal(completion.step_end - completion.step_start,
			 7); /* the last one is the end */
	assert_int_equal(completion.time_ns, 6000000);
	/* Six steps of a millisecond in six are in time */
	job = run_of(2, 6, 0);
	job.timeout_ms = 6;
	assert_int_equal(mount_job(queues[1], &job).status, AIPU_STATUS_OK);
}

/* [JOB-7] */
static void time_limits_leave_out_pauses_and_queueing(void **state)
{
	struct aipu_job job = run_of(1, 10, 5);

	(void)state;
	job.timeout_ms = 10;
	mount_submit(queues[1], &job);
	job = run_of(2, 4, 0);
	job.timeout_ms = 4;
	mount_submit(queues[1], &job);
	for (int i = 0; i < 5; i++) {
		unsigned int before = atomic_load(&polls);

		atomic_fetch_add(&played_ns, 1000000000);
		for (int turn = 0; turn < 300000 && atomic_load(&polls) == before; turn++)
			usleep(100);
	}
	assert_true(atomic_load(&polls) >= 5);
	assert_true(nothing(queues[1]));
	atomic_store(&room, true);
	kick(1);
	assert_int_equal(mount_wait(queues[1]).status, AIPU_STATUS_OK);
	assert_int_equal(mount_wait(queues[1]).status, AIPU_STATUS_OK);
}

/* --- interrupts and counters ------------------------------------------------------------------- */

/* [RING-7] */
static void interrupts_coalesce(void **state)
{
	uint64_t rings = mount_alloc(mount, 8192);
	struct mount_queue queue = {
		.mount = mount, .id = 9, .entries = 32, .sq = rings, .cq = rings + 4096, .phase = 1
	};
	struct aipu_admin create = { .opcode = AIPU_ADMIN_CREATE_QUEUE,
				     .queue = { .context = 1,
						.queue = 9,
						.sq_address = queue.sq,
						.cq_address = queue.cq,
						.entries = 32,
						.vector = 5,
						.coalesce_count = 4,
						.coalesce_us = 60000000 } };
	struct aipu_job job = nop_of(1);

	(void)state;
	assert_int_equal(mount_admin(mount, &create, NULL), AIPU_STATUS_OK);
	for (int i = 0; i < 11; i++)
		mount_job(&queue, &job);
	settle();
	assert_int_equal(atomic_load(&mount->interrupts[5]), 2);
	mount_job(&queue, &job);
	settle();
	assert_int_equal(atomic_load(&mount->interrupts[5]), 3);
	/* By time: a limit that one completion reaches alone */
	create.queue.queue = queue.id = 10;
	create.queue.vector = 6;
	create.queue.coalesce_us = 100;
	memset(mount_pointer(mount, rings), 0, 8192);
	queue.tail = queue.head = 0;
	queue.phase = 1;
	assert_int_equal(mount_admin(mount, &create, NULL), AIPU_STATUS_OK);
	mount_job(&queue, &job);
	for (int i = 0; i < 100000 && !atomic_load(&mount->interrupts[6]); i++)
		usleep(100);
	assert_int_equal(atomic_load(&mount->interrupts[6]), 1);
}

/* [ADM-10] */
static void progress_names_the_job(void **state)
{
	uint64_t page = mount_alloc(mount, 4096);
	const struct aipu_progress *data = mount_pointer(mount, page);
	struct aipu_admin command = { .opcode = AIPU_ADMIN_GET_PROGRESS,
				      .progress = { .context = 1, .address = page } };

	(void)state;
	submit(queues[2], run_of(321, 10, 5));
	wait_paused();
	assert_int_equal(mount_admin(mount, &command, NULL), AIPU_STATUS_OK);
	assert_int_equal(data->queue, 2);
	assert_int_equal(data->job, 321);
	assert_int_equal(data->running, 1);
	assert_int_equal(data->block, 4);
	assert_int_equal(data->instruction, 4);
	command.progress.context = 2;
	assert_int_equal(mount_admin(mount, &command, NULL), AIPU_STATUS_OK);
	assert_int_equal(data->queue, 0);
	/* The end of another job does not hide the one that waits, once the device looked at it again */
	command.progress.context = 1;
	for (int i = 0; i < 3; i++) {
		struct aipu_job job = nop_of(5);

		assert_int_equal(mount_job(queues[1], &job).status, AIPU_STATUS_OK);
	}
	wait_paused();
	assert_int_equal(mount_admin(mount, &command, NULL), AIPU_STATUS_OK);
	assert_int_equal(data->queue, 2);
	assert_int_equal(data->job, 321);
	assert_int_equal(data->running, 1);
}

/* [REG-5] [RING-9] */
static void steps_are_counted(void **state)
{
	struct aipu_job job = run_of(1, 7, 0);
	struct aipu_completion completion = mount_job(queues[1], &job);

	(void)state;
	assert_int_equal(completion.step_start, 0);
	assert_int_equal(completion.step_end, 7);
	assert_int_equal(aipu_dm_read32(mount->dm, AIPU_REG_STEPS), 7);
	assert_int_equal(aipu_dm_read32(mount->dm, AIPU_REG_RESCUES), 0);
	aipu_dm_write32(mount->dm, AIPU_REG_CONTROL, AIPU_CONTROL_RESET);
	assert_true(mount_wait_state(mount, AIPU_STATE_ROM));
	assert_int_equal(aipu_dm_read32(mount->dm, AIPU_REG_STEPS), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(rings_wrap_and_phases_turn),
		T(one_doorbell_for_many),
		T(full_completion_ring_is_not_overwritten),
		T(bad_doorbells_stop_that_queue_only),
		T(wake_raises_the_interrupt_before_the_end),
		T(paused_jobs_let_others_pass),
		CLOCKED(kick_ends_a_pause),
		CLOCKED(time_limits),
		CLOCKED(time_limits_leave_out_pauses_and_queueing),
		T(interrupts_coalesce),
		T(progress_names_the_job),
		T(steps_are_counted),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
