// SPDX-License-Identifier: MIT
/* Heat of the device model, and what it does against it, by a clock of the test's own. */
#include "played_power.h"

static void work_makes_it_warm(void **state)
{
	double at;

	(void)state;
	play(5 * S, 90000);
	assert_int_equal(run_only(1).time_ns, 5 * S);
	at = warmed(29000, 25, 100000, 5e9);
	assert_true(at > 43000 && at < 44000);
	temperature_is(at);
	assert_in_range(R(POWER), 99999, 100000);
	pass_time(100 * MS);
	assert_int_equal(R(POWER), lround(IDLE_MW + 90000 * exp(-1)));
	pass_time(9900 * MS);
	temperature_is(warmed(at, 25, IDLE_MW, 10e9));
	assert_int_equal(R(POWER), IDLE_MW);
	pass_time(1000 * S);
	assert_int_equal(R(TEMPERATURE), 29000);
	/* The same work in many steps makes it as warm as in one; which are looked at one by one, or not */
	play(500 * 1000, 90000);
	assert_int_equal(run_only(10000).time_ns, 5 * S);
	assert_in_range(R(TEMPERATURE), (uint32_t)at - 20, (uint32_t)at + 20);
}

/* [LIM-1] A reader in the middle of a step sees what was before it, and not a card at rest */
static void a_step_that_runs(void **state)
{
	struct aipu_job job = run(1);
	uint32_t power;
	double at;

	(void)state;
	play(5 * S, 90000);
	run_only(1);
	at = warmed(29000, 25, 100000, 5e9);
	power = R(POWER);
	atomic_store(&gate, true);
	play(0, 0);
	mount_submit(queue, &job);
	while (atomic_load(&steps_begun) < 2)
		usleep(100);
	pass_time(10 * S);
	assert_int_equal(R(POWER), power);
	temperature_is(warmed(at, 25, 100000, 10e9));
	atomic_store(&gate, false);
	assert_int_equal(mount_wait(queue).status, AIPU_STATUS_OK);
	/* It came to nothing: those ten seconds were at rest */
	temperature_is(warmed(at, 25, IDLE_MW, 10e9));
}

/* And one in what a lower clock adds sees its work spread over both */
static void in_the_middle_of_a_long_step(void **state)
{
	struct aipu_job job = run(1);
	struct aipu_completion completion;

	(void)state;
	assert_int_equal(set_limits(0, 500, NULL), AIPU_STATUS_OK);
	play(5 * S, 90000);
	mount_submit(queue, &job);
	while (!R(STEPS))
		usleep(100);
	/* The work is done, the step lasts as long again: 90 W over 10 s are 45 */
	pass_time(5 * S);
	assert_in_range(R(POWER), 54990, 55000);
	temperature_is(warmed(29000, 25, 55000, 10e9));
	while (!mount_peek(queue, &completion))
		usleep(100);
	assert_int_equal(completion.time_ns, 10 * S);
}

/* [LIM-5] [LIM-4] [ADM-9] */
static void heat_lowers_the_clock(void **state)
{
	double at = warmed(64000, 60, 150000, 10e9);

	(void)state;
	start_with(NULL, 60);
	assert_int_equal(R(TEMPERATURE), 64000);
	play(10 * S, 140000);
	assert_int_equal(run_only(1).time_ns, 10 * S);
	assert_true(at > 95000 && at < 105000);
	assert_int_equal(R(CLOCK), 100);
	assert_int_equal(R(THROTTLE), AIPU_THROTTLE_TEMPERATURE);
	assert_int_equal(next_event(), AIPU_EVENT_TEMPERATURE);
	/* Ten times as long */
	play(MS, 0);
	assert_int_equal(run_longer(1, 9 * MS).time_ns, 10 * MS);
	/* Below the limit, but not by as much as it takes */
	pass_time(2800 * MS);
	assert_in_range(R(TEMPERATURE), 90001, 94999);
	assert_int_equal(R(THROTTLE), AIPU_THROTTLE_TEMPERATURE);
	assert_int_equal(R(CLOCK), 100);
	pass_time(500 * MS);
	assert_in_range(R(TEMPERATURE), 85000, 90000);
	assert_int_equal(R(THROTTLE),
			 0); /* to who looks, at once; the device wakes up for the event */
	assert_int_equal(R(CLOCK), 1000);
	assert_int_equal(next_event(), AIPU_EVENT_TEMPERATURE);
	assert_int_equal(mount_state(mount), AIPU_STATE_READY);
	play(MS, 0);
	assert_int_equal(run_only(1).time_ns, MS);
	/* From below the same temperature is not hot */
	pass_time(100 * S);
	play(7 * S, 140000);
	run_only(1);
	assert_in_range(R(TEMPERATURE), 90001, 94999);
	assert_int_equal(R(THROTTLE), 0);
}

/* [LIM-6] [FLT-2] [BOOT-9] */
static void too_hot_is_the_end(void **state)
{
	struct aipu_admin event = { .opcode = AIPU_ADMIN_ASYNC_EVENT };
	struct aipu_job job = run(1);
	bool error = false;

	(void)state;
	start_with(NULL, 60);
	for (int i = 0; i < 2; i++)
		mount_submit(mount->admin, &event);
	play(20 * S, 140000);
	mount_submit(queue, &job);
	/* One event of each kind, in any order */
	for (int i = 0; i < 2; i++)
		error |= mount_wait(mount->admin).detail == AIPU_EVENT_ERROR;
	assert_true(error);
	assert_true(mount_wait_state(mount, AIPU_STATE_FAILED));
	assert_int_equal(R(ERROR), AIPU_ERROR_OVERHEATED);
	assert_true((int32_t)R(TEMPERATURE) > 105000);
	/* As hot it fails again, as soon as firmware runs */
	reset();
	assert_int_equal(R(ERROR), 0);
	mount_boot(mount);
	assert_true(mount_wait_state(mount, AIPU_STATE_FAILED));
	assert_int_equal(R(ERROR), AIPU_ERROR_OVERHEATED);
	/* And a while later it does not */
	pass_time(30 * S);
	assert_true((int32_t)R(TEMPERATURE) < 95000);
	start_again();
	play(MS, 0);
	assert_int_equal(mount_job(queue, &job).status, AIPU_STATUS_OK);
}

/* [LIM-6] [FLS-3] nothing of its own is started in heat, and no try is taken for that */
static void too_hot_for_flash(void **state)
{
	static uint8_t bytes[128u << 10];
	struct mount_flash flash = { .bytes = bytes, .power = UINT64_MAX };
	struct mount_options options = { .clock = own_clock,
					 .config = { .flash_bytes = sizeof(bytes) },
					 .flash = &flash };
	struct aipu_admin command = { .opcode = AIPU_ADMIN_FLASH_WRITE };
	struct aipu_firmware_header header;
	struct aipu_flash_info *info;
	uint64_t image, page;

	(void)state;
	memset(bytes, 0, sizeof(bytes));
	atomic_store(&now_ns, 12345 * S);
	mount = mount_create(&options);
	while (mount_state(mount) == AIPU_STATE_LOADING)
		;
	assert_int_equal(mount_boot(mount), AIPU_STATE_RUNNING);
	assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
	image = mount_alloc(mount, sizeof(header) + 3);
	page = mount_alloc(mount, 4096);
	info = mount_pointer(mount, page);
	mount_image(&header, "one");
	memcpy(mount_pointer(mount, image), &header, sizeof(header));
	memcpy((uint8_t *)mount_pointer(mount, image) + sizeof(header), "one", 3);
	command.flash.address = image;
	command.flash.bytes = sizeof(header) + 3;
	assert_int_equal(mount_admin(mount, &command, NULL), AIPU_STATUS_OK);
	command = (struct aipu_admin){ .opcode = AIPU_ADMIN_FLASH_COMMIT };
	assert_int_equal(mount_admin(mount, &command, NULL), AIPU_STATUS_OK);
	command.opcode = AIPU_ADMIN_FLASH_ACTIVATE;
	assert_int_equal(mount_admin(mount, &command, NULL), AIPU_STATUS_OK);
	dm_power_ambient(mount->dm, 150);
	pass_time(60 * S);
	/* More often than there are tries */
	for (int i = 0; i < 5; i++) {
		aipu_dm_write32(mount->dm, AIPU_REG_CONTROL, AIPU_CONTROL_RESET);
		assert_true(mount_wait_state(mount, AIPU_STATE_FAILED));
		assert_true(mount_wait_idle(mount));
		assert_int_equal(R(ERROR), AIPU_ERROR_OVERHEATED);
		assert_int_equal(R(FIRMWARE_VERSION), 0);
		assert_int_equal(R(SLOT_A_ERROR), AIPU_ERROR_NONE);
	}
	dm_power_ambient(mount->dm, 25);
	pass_time(60 * S);
	aipu_dm_write32(mount->dm, AIPU_REG_CONTROL, AIPU_CONTROL_RESET);
	assert_true(mount_wait_state(mount, AIPU_STATE_RUNNING));
	assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
	assert_int_equal(R(BOOT_SOURCE), AIPU_BOOT_FROM_SLOT_A);
	command = (struct aipu_admin){ .opcode = AIPU_ADMIN_FLASH_INFO };
	command.flash.address = page;
	assert_int_equal(mount_admin(mount, &command, NULL), AIPU_STATUS_OK);
	assert_int_equal(info->slots[0].state, AIPU_FLASH_CONFIRMED);
}

/* [LIM-5] [LIM-6] nobody works, nobody reads: the air alone; in RUNNING too */
static void hot_air(void **state)
{
	static const struct mount_fault fault = { AIPU_DM_POINT_JOB,
						  2,
						  { AIPU_DM_FAULT_AMBIENT, 110 } };
	struct aipu_job nop = { .id = 1 };

	(void)state;
	for (int disabled = 0; disabled < 2; disabled++) {
		start_with(&fault, 0);
		mount_job(queue, &nop);
		pass_time(S);
		assert_int_equal(R(TEMPERATURE), 29000);
		mount_job(queue, &nop);
		assert_int_equal(R(TEMPERATURE), 29000);
		pass_time(10 * S);
		temperature_is(warmed(29000, 110, IDLE_MW, 10e9));
		assert_int_equal(R(THROTTLE), 0);
		if (disabled) {
			aipu_dm_write32(mount->dm, AIPU_REG_CONTROL, 0);
			assert_true(mount_wait_state(mount, AIPU_STATE_RUNNING));
			assert_true(mount_wait_idle(mount)); /* no event will come of it */
		}
		pass_time(7 * S);
		if (!disabled)
			assert_int_equal(next_event(), AIPU_EVENT_TEMPERATURE);
		assert_int_equal(R(THROTTLE), AIPU_THROTTLE_TEMPERATURE);
		pass_time(40 * S);
		assert_true(mount_wait_state(mount, AIPU_STATE_FAILED));
		assert_int_equal(R(ERROR), AIPU_ERROR_OVERHEATED);
		if (!disabled)
			teardown(NULL);
		queue = disabled ? queue : NULL;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(work_makes_it_warm),
		T(a_step_that_runs),
		T(in_the_middle_of_a_long_step),
		BARE(heat_lowers_the_clock),
		BARE(too_hot_is_the_end),
		BARE(too_hot_for_flash),
		BARE(hot_air),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
