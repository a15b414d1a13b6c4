// SPDX-License-Identifier: MIT
/*
 * Jobs that end before their end: ABORT, the end of their queue or context, a stop of the device; and bindings, which last until the
 * last job is done with them.
 */
#include "played_jobs.h"

/* --- early ends -------------------------------------------------------------------------------- */

/* [ADM-8] */
static void abort_ends_a_running_job_once(void **state)
{
	(void)state;
	submit(queues[1], run_of(1, UINT32_MAX, 0));
	submit(queues[1], nop_of(2));
	settle();
	assert_int_equal(mount_abort(mount, 1, 1), AIPU_STATUS_OK);
	/* The victim's completion is there already */
	struct aipu_completion completion;

	assert_true(mount_peek(queues[1], &completion));
	assert_int_equal(completion.id, 1);
	assert_int_equal(completion.status, AIPU_STATUS_ABORTED);
	assert_int_equal(mount_wait(queues[1]).id, 2);
	assert_int_equal(mount_abort(mount, 1, 1), AIPU_STATUS_NOT_FOUND);
	assert_true(nothing(queues[1]));
}

/* [ADM-8] */
static void abort_ends_a_queued_job_at_once(void **state)
{
	struct aipu_completion completion;

	(void)state;
	submit(queues[1], run_of(1, 10, 5));
	for (uint16_t id = 2; id <= 6; id++)
		submit(queues[1], nop_of(id));
	wait_paused();
	assert_int_equal(mount_abort(mount, 1, 4), AIPU_STATUS_OK);
	assert_true(mount_peek(queues[1], &completion));
	assert_int_equal(completion.id, 4);
	assert_int_equal(completion.status, AIPU_STATUS_ABORTED);
	assert_int_equal(completion.sq_head, 1); /* its entry is not free yet */
	assert_int_equal(mount_abort(mount, 1, 4), AIPU_STATUS_NOT_FOUND);
	atomic_store(&room, true);
	/* It is freed together with the last one before it. */
	for (uint16_t id = 1; id <= 6; id++) {
		if (id == 4)
			continue;
		completion = mount_wait(queues[1]);
		assert_int_equal(completion.id, id);
		assert_int_equal(completion.sq_head, id == 3 ? 4 : id);
	}
	settle();
	assert_true(nothing(queues[1]));
}

/* [RING-4] [ADM-8] Nothing runs after it, and its entry is free */
static void abort_of_the_last_job_frees_its_entry(void **state)
{
	struct aipu_completion completion;

	(void)state;
	submit(queues[1], run_of(1, 10, 5));
	submit(queues[1], nop_of(2));
	submit(queues[1], nop_of(3));
	wait_paused();
	assert_int_equal(mount_abort(mount, 1, 3), AIPU_STATUS_OK);
	assert_int_equal(mount_wait(queues[1]).sq_head, 1);
	assert_int_equal(mount_abort(mount, 1, 2), AIPU_STATUS_OK);
	completion = mount_wait(queues[1]);
	assert_int_equal(completion.id, 2);
	assert_int_equal(completion.sq_head, 3);
	assert_int_equal(mount_abort(mount, 1, 1), AIPU_STATUS_OK);
	assert_int_equal(mount_wait(queues[1]).sq_head, 3);
}

/* [ADM-8] [RING-5] */
static void abort_waits_for_room(void **state)
{
	struct aipu_admin command = { .opcode = AIPU_ADMIN_ABORT,
				      .id = 77,
				      .abort = { .queue = 2, .job = 11 } };
	struct aipu_completion completion;

	(void)state;
	/* Three places: two taken by unread completions, the third is the running job's */
	submit(queues[2], nop_of(1));
	submit(queues[2], nop_of(2));
	for (int i = 0; i < 2; i++)
		while (!mount_next(queues[2], &completion, false))
			usleep(20);
	submit(queues[2], run_of(10, 10, 5));
	submit(queues[2], nop_of(11));
	wait_paused();
	mount_submit(mount->admin, &command);
	settle();
	assert_true(nothing(mount->admin));
	assert_false(mount_next(queues[2], &completion, false));
	aipu_dm_write32(mount->dm, AIPU_DOORBELL_PAGE(2) + AIPU_DOORBELL_CQ_HEAD, queues[2]->head);
	completion = mount_wait(mount->admin);
	assert_int_equal(completion.id, 77);
	assert_int_equal(completion.status, AIPU_STATUS_OK);
	assert_true(mount_peek(queues[2], &completion));
	assert_int_equal(completion.id, 11);
	assert_int_equal(completion.status, AIPU_STATUS_ABORTED);
	atomic_store(&room, true);
	assert_int_equal(mount_wait(queues[2]).id, 10);
}

static unsigned int context_command(uint8_t opcode, uint32_t context)
{
	struct aipu_admin command = { .opcode = opcode, .context = { .context = context } };

	return mount_admin(mount, &command, NULL);
}

/* [ADM-5] [RING-4] */
static void reset_context_ends_its_jobs_only(void **state)
{
	struct aipu_job job = nop_of(9);

	(void)state;
	submit(queues[1], run_of(1, UINT32_MAX, 0));
	submit(queues[1], nop_of(2));
	submit(queues[2], run_of(3, 10, 5));
	submit(queues[2], nop_of(4));
	submit(queues[3], run_of(5, 10, 5));
	wait_paused();
	assert_int_equal(context_command(AIPU_ADMIN_RESET_CONTEXT, 1), AIPU_STATUS_OK);
	for (uint16_t id = 1; id <= 4; id++) {
		struct aipu_completion completion;

		assert_true(mount_peek(queues[1 + (id - 1) / 2], &completion));
		assert_int_equal(completion.id, id);
		assert_int_equal(completion.status, AIPU_STATUS_CONTEXT_RESET);
		assert_int_equal(completion.sq_head, 1 + (id - 1) % 2);
	}
	/* Its queues and segments go on, the other context's job too */
	assert_int_equal(mount_job(queues[1], &job).status, AIPU_STATUS_OK);
	assert_int_equal(mount_job(queues[2], &job).status, AIPU_STATUS_OK);
	atomic_store(&room, true);
	assert_int_equal(mount_wait(queues[3]).status, AIPU_STATUS_OK);
}

/* [ADM-7] */
static void destroy_queue_ends_its_jobs(void **state)
{
	struct aipu_admin destroy = { .opcode = AIPU_ADMIN_DESTROY_QUEUE,
				      .queue = { .context = 1, .queue = 1 } };
	struct aipu_completion completion;

	(void)state;
	submit(queues[1], run_of(1, 10, 5));
	submit(queues[1], nop_of(2));
	wait_paused();
	assert_int_equal(mount_admin(mount, &destroy, NULL), AIPU_STATUS_OK);
	for (uint16_t id = 1; id <= 2; id++) {
		assert_true(mount_next(queues[1], &completion, false));
		assert_int_equal(completion.id, id);
		assert_int_equal(completion.status, AIPU_STATUS_ABORTED);
	}
	assert_int_equal(mount_abort(mount, 1, 1), AIPU_STATUS_INVALID_QUEUE);
}

/* [ADM-5] */
static void destroy_context_ends_everything(void **state)
{
	struct aipu_completion completion;

	(void)state;
	submit(queues[1], run_of(1, UINT32_MAX, 0));
	submit(queues[2], run_of(2, 10, 5));
	wait_paused();
	assert_int_equal(context_command(AIPU_ADMIN_DESTROY_CONTEXT, 1), AIPU_STATUS_OK);
	assert_true(mount_next(queues[1], &completion, false));
	assert_int_equal(completion.status, AIPU_STATUS_ABORTED);
	assert_true(mount_next(queues[2], &completion, false));
	assert_int_equal(atomic_load(&open_jobs), 0);
	assert_int_equal(mount_create_context(mount, 1), AIPU_STATUS_OK);
	free(queues[1]);
	queues[1] = mount_create_queue(mount, 1, 1, 8, 1);
	/* Segments of the old one are gone */
	submit(queues[1],
	       (struct aipu_job){ .opcode = AIPU_JOB_RUN, .step = { .block_segment = HELD } });
	assert_int_equal(mount_wait(queues[1]).status, AIPU_STATUS_INVALID_SEGMENT);
}

/* [RST-1] [RST-2] [RST-3] */
static void stops_end_jobs_without_a_trace(void **state)
{
	struct aipu_job job = run_of(1, UINT32_MAX, 0);
	uint32_t *words = mount_pointer(mount, touched);

	(void)state;
	job.step.lane_segment = TOUCHED;
	for (int turn = 0; turn < 3; turn++) {
		mount_submit(queues[1], &job);
		while (!__atomic_load_n(&words[0], __ATOMIC_RELAXED))
			usleep(20);
		if (turn == 0)
			aipu_dm_write32(mount->dm, AIPU_REG_CONTROL, 0);
		else if (turn == 1)
			aipu_dm_write32(mount->dm, AIPU_REG_CONTROL, AIPU_CONTROL_RESET);
		else
			aipu_dm_reset(mount->dm);
		assert_true(mount_wait_state(mount, turn ? AIPU_STATE_ROM : AIPU_STATE_RUNNING));
		atomic_store(&mount->closed, true);
		assert_int_equal(words[16], 0); /* no result was written */
		assert_int_equal(atomic_load(&open_jobs), 0);
		usleep(3000);
		assert_int_equal(atomic_load(&mount->late), 0);
		assert_true(nothing(queues[1]));
		atomic_store(&mount->closed, false);
		if (turn == 2)
			break;
		words[0] = 0;
		if (turn)
			assert_int_equal(mount_boot(mount), AIPU_STATE_RUNNING);
		assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
		assert_int_equal(mount_create_context(mount, 1), AIPU_STATUS_OK);
		assert_int_equal(mount_bind_host(mount, 1, TOUCHED, touched, 4096, RW, 1), 0);
		free(queues[1]);
		queues[1] = mount_create_queue(mount, 1, 1, 8, 1);
	}
}

/* --- bindings ---------------------------------------------------------------------------------- */

/* [SEG-5] With direct pointers, and without */
static void unbind_waits_for_the_last_access(void **state)
{
	const bool uma = aipu_dm_read32(mount->dm, AIPU_REG_CAP_LO) & AIPU_CAP_UMA;
	const uint32_t *words = mount_pointer(mount, held);
	struct aipu_admin command = { .opcode = AIPU_ADMIN_UNBIND,
				      .id = 500,
				      .unbind = { .context = 1, .segment = HELD } };
	struct aipu_job holder = run_of(1, 10, 5);
	struct aipu_completion completion;

	(void)state;
	holder.step.block_segment = HELD;
	mount_submit(queues[1], &holder);
	wait_paused();
	assert_int_equal(atomic_load(&mount->maps), 8 + uma); /* rings and the job's operand */
	mount_submit(mount->admin, &command);
	settle();
	assert_true(nothing(mount->admin));
	/* Meanwhile nothing new starts on it, and a second UNBIND is told so */
	assert_int_equal(mount_job(queues[2], &holder).status, AIPU_STATUS_INVALID_SEGMENT);
	assert_int_equal(mount_unbind(mount, 1, HELD), AIPU_STATUS_BUSY);
	assert_int_equal(mount_bind_device(mount, 1, HELD, 0, 4096, RW), AIPU_STATUS_BUSY);
	atomic_store(&room, true);
	completion = mount_wait(mount->admin);
	assert_int_equal(completion.id, 500);
	assert_int_equal(completion.status, AIPU_STATUS_OK);
	assert_int_equal(atomic_load(&mount->maps), 8);
	assert_int_equal(mount_wait(queues[1]).status, AIPU_STATUS_OK);
	assert_int_equal(words[(64 + 8) / 4], 10); /* written while the UNBIND waited */
	assert_int_equal(mount_bind_device(mount, 1, HELD, 0, 4096, RW), AIPU_STATUS_OK);
}

/* [SEG-7] */
static void contexts_do_not_share_segments(void **state)
{
	struct aipu_job fill = { .opcode = AIPU_JOB_FILL,
				 .fill = { .segment = 0, .pattern = 0x22222222, .length = 4096 } };
	uint8_t *memory = aipu_dm_memory(mount->dm, NULL, NULL);

	(void)state;
	assert_int_equal(mount_bind_device(mount, 1, 0, 0, 4096, RW), AIPU_STATUS_OK);
	/* Not bound in context 2 */
	assert_int_equal(mount_job(queues[3], &fill).status, AIPU_STATUS_INVALID_SEGMENT);
	/* The same id names something else there */
	assert_int_equal(mount_bind_device(mount, 2, 0, 8192, 4096, RW), AIPU_STATUS_OK);
	assert_int_equal(mount_job(queues[3], &fill).status, AIPU_STATUS_OK);
	assert_int_equal(memory[0], 0);
	assert_int_equal(memory[8192], 0x22);
	fill.fill.offset = UINT64_MAX - 8191; /* 8192 below the segment's start */
	assert_int_equal(mount_job(queues[3], &fill).status, AIPU_STATUS_OUT_OF_RANGE);
	/* Its queue cannot be destroyed under the other's name */
	struct aipu_admin destroy = { .opcode = AIPU_ADMIN_DESTROY_QUEUE,
				      .queue = { .context = 1, .queue = 3 } };

	assert_int_equal(mount_admin(mount, &destroy, NULL), AIPU_STATUS_INVALID_QUEUE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(abort_ends_a_running_job_once),
		T(abort_ends_a_queued_job_at_once),
		T(abort_of_the_last_job_frees_its_entry),
		T(abort_waits_for_room),
		T(reset_context_ends_its_jobs_only),
		T(destroy_queue_ends_its_jobs),
		T(destroy_context_ends_everything),
		T(stops_end_jobs_without_a_trace),
		T(unbind_waits_for_the_last_access),
		WITHOUT_UMA(unbind_waits_for_the_last_access),
		T(contexts_do_not_share_segments),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
