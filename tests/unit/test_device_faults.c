// SPDX-License-Identifier: MIT
/*
 * Faults that the host orders of the device model: what each does at its point, what goes on meanwhile, what ends it,
 * and that the device is as good as new afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "aipu_status.h"
#include "mount.h"

#define FOREVER_MS 600000u /* far beyond what any test waits */

static const struct aipu_job nop = { .opcode = AIPU_JOB_NOP, .id = 7 };

static struct mount *ready_with(const struct mount_fault *fault, struct mount_queue **queue)
{
	struct mount_options options = { .fault = fault };
	struct mount *mount = mount_ready(&options);

	assert_int_equal(mount_create_context(mount, 1), 0);
	*queue = mount_create_queue(mount, 1, 1, 8, 1);
	return mount;
}

static void finish(struct mount *mount, struct mount_queue *queue)
{
	free(queue);
	mount_destroy(mount);
}

static void wait_asked(struct mount *mount, enum aipu_dm_point point, unsigned int times)
{
	for (int i = 0; atomic_load(&mount->asked[point]) < times; i++) {
		assert_true(i < 1000000);
		usleep(20);
	}
}

static uint32_t heartbeat(struct mount *mount)
{
	return aipu_dm_read32(mount->dm, AIPU_REG_HEARTBEAT);
}

/* Boots, enables and runs a job */
static void as_good_as_new(struct mount *mount)
{
	struct mount_queue *queue;

	if (mount_state(mount) == AIPU_STATE_ROM)
		assert_int_equal(mount_boot(mount), AIPU_STATE_RUNNING);
	assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
	assert_int_equal(mount_create_context(mount, 1), 0);
	queue = mount_create_queue(mount, 1, 1, 8, 1);
	assert_int_equal(mount_job(queue, &nop).status, AIPU_STATUS_OK);
	free(queue);
}

static void every_point_is_asked_once(void **state)
{
	static const struct mount_fault none = { .at = 0 };
	struct mount_queue *queue;
	struct mount *mount = ready_with(&none, &queue);
	struct aipu_job bad = { .opcode = AIPU_JOB_NOP, .flags = 1 };

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(mount_job(queue, &nop).status, AIPU_STATUS_OK);
	assert_int_equal(mount_job(queue, &bad).status, AIPU_STATUS_INVALID_FIELD);
	assert_int_equal(atomic_load(&mount->asked[AIPU_DM_POINT_LOAD]), 1);
	assert_int_equal(atomic_load(&mount->asked[AIPU_DM_POINT_JOB]), 4);
	assert_int_equal(atomic_load(&mount->asked[AIPU_DM_POINT_COMPLETION]), 4);
	assert_int_equal(atomic_load(&mount->asked[AIPU_DM_POINT_REPLY]), 2);
	finish(mount, queue);
}

/* --- hang ------------------------------------------------------------------------------------------- */

enum stop { DISABLE, RESET, FUNCTION_RESET, DESTROY, STOPS };

static void a_hang_lasts_until_a_stop(void **state)
{
	static const struct mount_fault fault = { AIPU_DM_POINT_JOB, 2, { AIPU_DM_FAULT_HANG, 0 } };
	struct aipu_admin command = { .opcode = AIPU_ADMIN_CREATE_CONTEXT,
				      .context = { .context = 2 } };
	struct aipu_completion completion;

	(void)state;
	for (enum stop how = 0; how < STOPS; how++) {
		struct mount_queue *queue;
		struct mount *mount = ready_with(&fault, &queue);
		uint32_t beat;

		assert_int_equal(mount_job(queue, &nop).status, AIPU_STATUS_OK);
		mount_submit(queue, &nop);
		wait_asked(mount, AIPU_DM_POINT_JOB, 2);
		usleep(1000); /* now it stands */
		beat = heartbeat(mount);
		mount_submit(mount->admin, &command);
		usleep(150000);
		assert_int_equal(heartbeat(mount), beat);
		assert_int_equal(mount_state(mount), AIPU_STATE_READY);
		assert_false(aipu_dm_read32(mount->dm, AIPU_REG_STATUS) & AIPU_STATUS_IDLE);
		assert_false(mount_peek(queue, &completion));
		assert_false(mount_peek(mount->admin, &completion));
		/* No DMA is in flight */
		aipu_dm_bus_master(mount->dm, false);
		aipu_dm_bus_master(mount->dm, true);
		if (how == DISABLE) {
			aipu_dm_write32(mount->dm, AIPU_REG_CONTROL, 0);
			assert_true(mount_wait_state(mount, AIPU_STATE_RUNNING));
		} else if (how == RESET) {
			aipu_dm_write32(mount->dm, AIPU_REG_CONTROL, AIPU_CONTROL_RESET);
			assert_true(mount_wait_state(mount, AIPU_STATE_ROM));
		} else if (how == FUNCTION_RESET) {
			aipu_dm_reset(mount->dm);
		}
		if (how != DESTROY)
			as_good_as_new(mount);
		finish(mount, queue);
	}
}

/* --- slow ------------------------------------------------------------------------------------------- */

static void a_slow_job_is_only_slow(void **state)
{
	static const struct mount_fault fault = { AIPU_DM_POINT_JOB,
						  1,
						  { AIPU_DM_FAULT_SLOW, 300 } };
	struct mount_queue *queue;
	struct mount *mount = ready_with(&fault, &queue);
	struct aipu_completion completion;
	uint32_t beat;

	(void)state;
	mount_submit(queue, &nop);
	wait_asked(mount, AIPU_DM_POINT_JOB, 1);
	beat = heartbeat(mount);
	while (heartbeat(mount) == beat)
		usleep(1000);
	/* The device looks at commands when the step is over, and then the job has ended by itself */
	assert_int_equal(mount_abort(mount, 1, nop.id), AIPU_STATUS_NOT_FOUND);
	assert_true(mount_peek(queue, &completion));
	assert_int_equal(completion.status, AIPU_STATUS_OK);
	assert_true(completion.time_ns >= 300000000u);
	assert_int_equal(mount_job(queue, &nop).status, AIPU_STATUS_OK);
	finish(mount, queue);
}

/* [REG-5] */
static void the_heartbeat_goes_on_under_doorbells(void **state)
{
	static const struct mount_fault fault = { AIPU_DM_POINT_JOB,
						  1,
						  { AIPU_DM_FAULT_SLOW, FOREVER_MS } };
	struct mount_queue *queue;
	struct mount *mount = ready_with(&fault, &queue);
	uint32_t beat;

	(void)state;
	mount_submit(queue, &nop);
	wait_asked(mount, AIPU_DM_POINT_JOB, 1);
	beat = heartbeat(mount);
	for (int i = 0; heartbeat(mount) == beat; i++) {
		assert_true(i < 10000);
		mount_ring(queue);
		usleep(1000);
	}
	finish(mount, queue);
}

static void a_stop_ends_slowness_at_once(void **state)
{
	static const struct mount_fault fault = { AIPU_DM_POINT_JOB,
						  1,
						  { AIPU_DM_FAULT_SLOW, FOREVER_MS } };

	(void)state;
	for (enum stop how = 0; how < STOPS; how++) {
		struct mount_queue *queue;
		struct mount *mount = ready_with(&fault, &queue);
		struct aipu_completion completion;

		mount_submit(queue, &nop);
		wait_asked(mount, AIPU_DM_POINT_JOB, 1);
		if (how == DISABLE) {
			aipu_dm_write32(mount->dm, AIPU_REG_CONTROL, 0);
			assert_true(mount_wait_state(mount, AIPU_STATE_RUNNING));
		} else if (how == RESET) {
			aipu_dm_write32(mount->dm, AIPU_REG_CONTROL, AIPU_CONTROL_RESET);
			assert_true(mount_wait_state(mount, AIPU_STATE_ROM));
		} else if (how == FUNCTION_RESET) {
			aipu_dm_reset(mount->dm);
		}
		assert_false(mount_peek(queue, &completion));
		if (how != DESTROY)
			as_good_as_new(mount);
		finish(mount, queue);
	}
}

/* --- boot ------------------------------------------------------------------------------------------- */

static void a_boot_may_fail_with_any_error(void **state)
{
	(void)state;
	for (uint32_t error = 1; error < AIPU_ERROR_COUNT; error++) {
		struct mount_fault fault = { AIPU_DM_POINT_LOAD, 1, { AIPU_DM_FAULT_FAIL, error } };
		struct mount_options options = { .fault = &fault };
		struct mount *mount = mount_create(&options);

		assert_int_equal(mount_boot(mount), AIPU_STATE_FAILED);
		assert_int_equal(aipu_dm_read32(mount->dm, AIPU_REG_ERROR), error);
		assert_int_equal(aipu_dm_read32(mount->dm, AIPU_REG_FIRMWARE_VERSION), 0);
		aipu_dm_write32(mount->dm, AIPU_REG_CONTROL, AIPU_CONTROL_RESET);
		assert_true(mount_wait_state(mount, AIPU_STATE_ROM));
		as_good_as_new(mount);
		mount_destroy(mount);
	}
}

/* [RST-2] */
static void a_reset_ends_a_slow_boot(void **state)
{
	static const struct mount_fault fault = { AIPU_DM_POINT_LOAD,
						  1,
						  { AIPU_DM_FAULT_SLOW, FOREVER_MS } };
	struct mount_options options = { .fault = &fault };
	struct mount *mount = mount_create(&options);

	(void)state;
	aipu_dm_write32(mount->dm, AIPU_REG_BOOT_COMMAND, AIPU_BOOT_LOAD);
	wait_asked(mount, AIPU_DM_POINT_LOAD, 1);
	assert_int_equal(mount_state(mount), AIPU_STATE_LOADING);
	aipu_dm_write32(mount->dm, AIPU_REG_CONTROL, AIPU_CONTROL_RESET);
	assert_true(mount_wait_state(mount, AIPU_STATE_ROM));
	as_good_as_new(mount);
	mount_destroy(mount);
}

static void a_slow_boot_gets_there(void **state)
{
	static const struct mount_fault fault = { AIPU_DM_POINT_LOAD,
						  1,
						  { AIPU_DM_FAULT_SLOW, 20 } };
	struct mount_options options = { .fault = &fault };
	struct mount *mount = mount_create(&options);

	(void)state;
	assert_int_equal(mount_boot(mount), AIPU_STATE_RUNNING);
	as_good_as_new(mount);
	mount_destroy(mount);
}

/* --- internal failure ----------------------------------------------------------------------------------- */

/* [FLT-2] */
static void an_internal_failure_fails_the_device(void **state)
{
	static const struct mount_fault fault = { AIPU_DM_POINT_JOB,
						  2,
						  { AIPU_DM_FAULT_FATAL, 0 } };
	struct aipu_admin event = { .opcode = AIPU_ADMIN_ASYNC_EVENT, .id = 99 };

	(void)state;
	for (unsigned int waiting = 0; waiting < 3; waiting++) {
		struct mount_queue *queue;
		struct mount *mount = ready_with(&fault, &queue);
		struct aipu_completion completion;

		for (unsigned int i = 0; i < waiting; i++)
			mount_submit(mount->admin, &event);
		assert_int_equal(mount_job(queue, &nop).status, AIPU_STATUS_OK);
		mount_submit(queue, &nop);
		if (waiting) {
			completion = mount_wait(mount->admin);
			assert_int_equal(completion.id, 99);
			assert_int_equal(completion.status, AIPU_STATUS_OK);
			assert_int_equal(completion.detail, AIPU_EVENT_ERROR);
		}
		assert_true(mount_wait_state(mount, AIPU_STATE_FAILED));
		assert_true(mount_wait_idle(mount));
		/* Whom the event woke found the state, and that it is not over yet */
		if (waiting)
			assert_int_equal(atomic_load(&mount->status), AIPU_STATE_FAILED);
		assert_int_equal(aipu_dm_read32(mount->dm, AIPU_REG_ERROR), AIPU_ERROR_FATAL);
		assert_int_equal(aipu_dm_read32(mount->dm, AIPU_REG_CONTROL), 0);
		/* One event, and nothing of the job or of who still waited */
		assert_false(mount_peek(queue, &completion));
		assert_false(mount_peek(mount->admin, &completion));
		aipu_dm_write32(mount->dm, AIPU_REG_CONTROL, AIPU_CONTROL_ENABLE);
		assert_int_equal(mount_state(mount), AIPU_STATE_FAILED);
		assert_int_equal(aipu_dm_read32(mount->dm, AIPU_REG_ERROR), AIPU_ERROR_FATAL);
		aipu_dm_write32(mount->dm, AIPU_REG_CONTROL, AIPU_CONTROL_RESET);
		assert_true(mount_wait_state(mount, AIPU_STATE_ROM));
		assert_int_equal(aipu_dm_read32(mount->dm, AIPU_REG_ERROR), AIPU_ERROR_NONE);
		as_good_as_new(mount);
		finish(mount, queue);
	}
}

/* The event cannot be posted: the admin queue has no room */
static void an_internal_failure_without_room_for_the_event(void **state)
{
	static const struct mount_fault fault = { AIPU_DM_POINT_JOB,
						  1,
						  { AIPU_DM_FAULT_FATAL, 0 } };
	struct aipu_admin event = { .opcode = AIPU_ADMIN_ASYNC_EVENT };
	struct aipu_admin again = { .opcode = AIPU_ADMIN_CREATE_CONTEXT,
				    .context = { .context = 1 } };
	struct mount_queue *queue;
	struct mount *mount = ready_with(&fault, &queue);
	struct aipu_completion completion;
	unsigned int unread = mount->admin->entries - 1;

	(void)state;
	mount_submit(mount->admin, &event);
	for (unsigned int i = 0; i < unread; i++) {
		mount_submit(mount->admin, &again);
		wait_asked(mount, AIPU_DM_POINT_REPLY, 3 + i);
	}
	mount_submit(queue, &nop);
	assert_true(mount_wait_state(mount, AIPU_STATE_FAILED));
	assert_true(mount_wait_idle(mount));
	assert_int_equal(aipu_dm_read32(mount->dm, AIPU_REG_ERROR), AIPU_ERROR_FATAL);
	for (unsigned int i = 0; i < unread; i++) {
		assert_true(mount_next(mount->admin, &completion, false));
		assert_int_equal(completion.status, AIPU_STATUS_BUSY);
	}
	assert_false(mount_next(mount->admin, &completion, false));
	finish(mount, queue);
}

/* --- answers that are wrong ---------------------------------------------------------------------------------- */

static void check_corrupt(uint32_t value, const struct aipu_completion *completion, uint16_t id,
			  uint32_t entries)
{
	assert_int_equal(completion->id, value == AIPU_DM_CORRUPT_ID ? (uint16_t)~id : id);
	assert_int_equal(completion->sq_head >= entries, value == AIPU_DM_CORRUPT_SQ_HEAD);
	assert_int_equal(completion->status >= AIPU_STATUS_COUNT, value == AIPU_DM_CORRUPT_STATUS);
	assert_true(completion->phase <= 1);
}

static void a_completion_may_be_wrong(void **state)
{
	(void)state;
	for (uint32_t value = 0; value <= AIPU_DM_CORRUPT_STATUS; value++) {
		struct mount_fault fault = { AIPU_DM_POINT_COMPLETION,
					     2,
					     { AIPU_DM_FAULT_CORRUPT, value } };
		struct mount_queue *queue;
		struct mount *mount = ready_with(&fault, &queue);
		struct aipu_completion completion;

		assert_int_equal(mount_job(queue, &nop).id, nop.id);
		completion = mount_job(queue, &nop);
		check_corrupt(value, &completion, nop.id, 8);
		completion = mount_job(queue, &nop);
		assert_int_equal(completion.id, nop.id);
		assert_int_equal(completion.status, AIPU_STATUS_OK);
		assert_int_equal(completion.sq_head, 3);
		finish(mount, queue);
	}
}

static void a_reply_may_be_wrong(void **state)
{
	(void)state;
	for (uint32_t value = 0; value <= AIPU_DM_CORRUPT_STATUS; value++) {
		struct mount_fault fault = { AIPU_DM_POINT_REPLY,
					     3,
					     { AIPU_DM_FAULT_CORRUPT, value } };
		struct aipu_admin command = { .opcode = AIPU_ADMIN_CREATE_CONTEXT,
					      .id = 5,
					      .context = { .context = 2 } };
		struct mount_queue *queue;
		struct mount *mount = ready_with(&fault, &queue);
		struct aipu_completion completion;

		mount_submit(mount->admin, &command);
		completion = mount_wait(mount->admin);
		check_corrupt(value, &completion, 5, mount->admin->entries);
		assert_int_equal(mount_create_context(mount, 2),
				 AIPU_STATUS_BUSY); /* it was done */
		finish(mount, queue);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_point_is_asked_once),
		cmocka_unit_test(a_hang_lasts_until_a_stop),
		cmocka_unit_test(a_slow_job_is_only_slow),
		cmocka_unit_test(the_heartbeat_goes_on_under_doorbells),
		cmocka_unit_test(a_stop_ends_slowness_at_once),
		cmocka_unit_test(a_boot_may_fail_with_any_error),
		cmocka_unit_test(a_reset_ends_a_slow_boot),
		cmocka_unit_test(a_slow_boot_gets_there),
		cmocka_unit_test(an_internal_failure_fails_the_device),
		cmocka_unit_test(an_internal_failure_without_room_for_the_event),
		cmocka_unit_test(a_completion_may_be_wrong),
		cmocka_unit_test(a_reply_may_be_wrong),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
