// SPDX-License-Identifier: MIT
/* Energy, counters, limits of power and clock, and memory errors of the device model, by a clock of the test's own. */
#include "played_power.h"

/* --- energy and counters ---------------------------------------------------------------------------- */

/* [LIM-1] [LIM-2] [LIM-4] */
static void at_rest(void **state)
{
	(void)state;
	assert_int_equal(R(CAP_LO) & (AIPU_CAP_LIMITS | AIPU_CAP_RAS),
			 AIPU_CAP_LIMITS | AIPU_CAP_RAS);
	assert_int_equal(R(TEMPERATURE), 29000);
	assert_int_equal(R(POWER), IDLE_MW);
	assert_int_equal(R(CLOCK), 1000);
	assert_int_equal(R(POWER_LIMIT), 150000);
	assert_int_equal(R(CLOCK_LIMIT), 1000);
	assert_int_equal(R(TEMPERATURE_THROTTLE), 95000);
	assert_int_equal(R(TEMPERATURE_SHUTDOWN), 105000);
	assert_int_equal(R(THROTTLE), 0);
	assert_int_equal(R(CORRECTED_ERRORS), 0);
	assert_int_equal(R(UNCORRECTED_ERRORS), 0);
	assert_int_equal(R64(MEMORY_READ), 0);
	assert_int_equal(R64(MEMORY_WRITTEN), 0);
	assert_int_equal(R64(OPERATIONS), 0);
	assert_int_equal(R(MEMORY_PEAK_MBS), UINT32_MAX);
	/* However long: sums of a year do not overflow, and it stays as warm as it is */
	pass_time(400ull * 86400 * S);
	assert_int_equal(R(TEMPERATURE), 29000);
	assert_int_equal(R(POWER), IDLE_MW);
	assert_int_equal(R64(ENERGY_UJ), 400ull * 86400 * IDLE_MW * 1000);
}

static void what_the_host_configures(void **state)
{
	struct mount_options options = { .clock = own_clock,
					 .config = { .ambient_c = 40, .memory_peak_mbs = 12800 } };

	(void)state;
	mount = mount_create(&options);
	assert_int_equal(R(TEMPERATURE), 44000);
	assert_int_equal(R(MEMORY_PEAK_MBS), 12800);
}

/* [NRG-4] */
static void energy_at_rest_is_exact(void **state)
{
	static const uint64_t spans[] = { 1, 99, 100, 1, 999999999, 3 * S + 7 };
	uint64_t before = R64(ENERGY_UJ), passed = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
		pass_time(spans[i]);
		passed += spans[i];
		assert_int_equal(R64(ENERGY_UJ) - before, passed * IDLE_MW / 1000000);
	}
	/* A clock that goes back takes nothing away, and adds nothing */
	before = R64(ENERGY_UJ);
	atomic_fetch_sub(&now_ns, 50 * MS);
	assert_true(R64(ENERGY_UJ) <= before);
	atomic_fetch_add(&now_ns, 50 * MS);
	assert_int_equal(R64(ENERGY_UJ), before);
}

static uint64_t work_uj(uint64_t read, uint64_t written, uint64_t operations, uint64_t bus)
{
	return (read * 64000 + written * 72000 + operations * 400 + bus * 48000) / 1000000000;
}

static void copy(uint32_t from, uint32_t to, uint64_t bytes)
{
	struct aipu_job job = { .opcode = AIPU_JOB_COPY,
				.copy = { .src_segment = from,
					  .dst_segment = to,
					  .dst_offset = from == to ? BYTES / 2 : 0,
					  .length = bytes } };

	assert_int_equal(mount_job(queue, &job).status, AIPU_STATUS_OK);
}

/* [NRG-1] [NRG-2] [NRG-4] */
static void energy_is_the_table_times_the_counts(void **state)
{
	enum { A = 5000001, B = 4u << 20, C = 77, D = 300000, E = 1000003 };
	struct aipu_job fill = { .opcode = AIPU_JOB_FILL,
				 .fill = { .segment = DEVICE, .length = E } };

	(void)state;
	for (uint64_t times = 1; times <= 3; times++) {
		copy(HOST, DEVICE, A); /* more than one step */
		copy(DEVICE, DEVICE, B);
		copy(DEVICE, HOST, C);
		copy(HOST, HOST, D);
		assert_int_equal(mount_job(queue, &fill).status, AIPU_STATUS_OK);
		step_work =
			(struct dm_work){ .read = 1000, .written = 33, .operations = 12345678901 };
		run_only(2);
		/* Nothing but time could add to them, and it stands */
		assert_int_equal(R64(MEMORY_READ), times * (B + C + 2 * 1000));
		assert_int_equal(R64(MEMORY_WRITTEN), times * (A + B + E + 2 * 33));
		assert_int_equal(R64(OPERATIONS), times * 2 * 12345678901);
		assert_int_equal(R64(ENERGY_UJ), work_uj(R64(MEMORY_READ), R64(MEMORY_WRITTEN),
							 R64(OPERATIONS), times * (A + C + 2 * D)));
	}
	/* What fails its checks, or is none of it, does not count */
	fill.fill.segment = 100;
	assert_int_equal(mount_job(queue, &fill).status, AIPU_STATUS_INVALID_SEGMENT);
	assert_int_equal(mount_job(queue, &(struct aipu_job){ .id = 1 }).status, AIPU_STATUS_OK);
	assert_int_equal(R64(MEMORY_WRITTEN), 3 * (A + B + E + 2 * 33));
}

/* [NRG-1] [RAS-1] [LIM-2] */
static void counters_survive_and_limits_do_not(void **state)
{
	static const struct mount_fault fault = { AIPU_DM_POINT_JOB,
						  1,
						  { AIPU_DM_FAULT_MEMORY, 0 } };
	uint64_t uj;

	(void)state;
	start_with(&fault, 0);
	copy(DEVICE, DEVICE, 123456);
	step_work.operations = 5000000000;
	run_only(1);
	pass_time(2 * S);
	uj = R64(ENERGY_UJ);
	assert_int_equal(set_limits(20000, 600, NULL), AIPU_STATUS_OK);
	/* A disable leaves all of it */
	aipu_dm_write32(mount->dm, AIPU_REG_CONTROL, 0);
	assert_true(mount_wait_state(mount, AIPU_STATE_RUNNING));
	assert_int_equal(R(POWER_LIMIT), 20000);
	assert_int_equal(R(CLOCK_LIMIT), 600);
	assert_int_equal(R(CLOCK), 600);
	assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
	assert_int_equal(R(CLOCK_LIMIT), 600);
	for (int way = 0; way < 2; way++) {
		if (way)
			aipu_dm_reset(mount->dm);
		else
			reset();
		assert_int_equal(R(POWER_LIMIT), 150000);
		assert_int_equal(R(CLOCK_LIMIT), 1000);
		assert_int_equal(R(CLOCK), 1000);
		assert_int_equal(R64(MEMORY_READ), 123456);
		assert_int_equal(R64(MEMORY_WRITTEN), 123456);
		assert_int_equal(R64(OPERATIONS), 5000000000);
		assert_int_equal(R(CORRECTED_ERRORS), 1);
		assert_int_equal(R64(ENERGY_UJ), uj);
		start_again();
		assert_int_equal(set_limits(20000, 600, NULL), AIPU_STATUS_OK);
	}
}

/* --- limits ------------------------------------------------------------------------------------------ */

/* [LIM-2] [LIM-3] */
static void ranges_of_limits(void **state)
{
	static const struct {
		uint32_t power, clock, field;
	} bad[] = {
		{ 10499, 500, offsetof(struct aipu_admin, limits.power_mw) },
		{ 150001, 500, offsetof(struct aipu_admin, limits.power_mw) },
		{ 1, 1, offsetof(struct aipu_admin, limits.power_mw) },
		{ 20000, 199, offsetof(struct aipu_admin, limits.clock_mhz) },
		{ 20000, 1001, offsetof(struct aipu_admin, limits.clock_mhz) },
		{ 0, UINT32_MAX, offsetof(struct aipu_admin, limits.clock_mhz) },
	};
	struct aipu_admin reserved = { .opcode = AIPU_ADMIN_SET_LIMITS };
	uint32_t detail;

	(void)state;
	assert_int_equal(set_limits(10500, 200, NULL), AIPU_STATUS_OK);
	assert_int_equal(R(POWER_LIMIT), 10500);
	assert_int_equal(R(CLOCK_LIMIT), 200);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(set_limits(bad[i].power, bad[i].clock, &detail),
				 AIPU_STATUS_INVALID_FIELD);
		assert_int_equal(detail, bad[i].field);
		assert_int_equal(R(POWER_LIMIT), 10500);
		assert_int_equal(R(CLOCK_LIMIT), 200);
	}
	reserved.limits.reserved[2] = 1;
	assert_int_equal(mount_admin(mount, &reserved, &detail), AIPU_STATUS_INVALID_FIELD);
	assert_int_equal(detail, offsetof(struct aipu_admin, limits.reserved[2]));
	assert_int_equal(set_limits(0, 300, NULL), AIPU_STATUS_OK);
	assert_int_equal(R(POWER_LIMIT), 150000);
	assert_int_equal(R(CLOCK_LIMIT), 300);
	assert_int_equal(R(CLOCK), 300);
	assert_int_equal(R(THROTTLE), 0); /* it is where its limit is */
	assert_int_equal(set_limits(150000, 0, NULL), AIPU_STATUS_OK);
	assert_int_equal(R(CLOCK_LIMIT), 1000);
}

/* [LIM-2] [LIM-3] Firmware with less of both; or whose payload only looks like it */
static void ranges_of_firmware(void **state)
{
	static const struct {
		const char *payload;
		uint32_t power[2], clock[2]; /* least and most */
	} images[] = {
		{ "limits: 20000-60000 mW, 300-500 MHz\n", { 20000, 60000 }, { 300, 500 } },
		{ "limits: 10500-10500 mW, 200-1000 MHz\nand more",
		  { 10500, 10500 },
		  { 200, 1000 } },
		{ "limits: 10499-60000 mW, 300-500 MHz\n", { 10500, 150000 }, { 200, 1000 } },
		{ "limits: 20000-60000 mW, 300-1001 MHz\n", { 10500, 150000 }, { 200, 1000 } },
		{ "limits: 60000-20000 mW, 300-500 MHz\n", { 10500, 150000 }, { 200, 1000 } },
		{ "limits: 20000-60000 mW, 300-500 MHz", { 10500, 150000 }, { 200, 1000 } },
		{ "limits: 20000-60000 mW\n", { 10500, 150000 }, { 200, 1000 } },
		{ "l", { 10500, 150000 }, { 200, 1000 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++) {
		const uint32_t *power = images[i].power, *clock = images[i].clock;
		struct aipu_firmware_header header;

		reset();
		mount_image(&header, images[i].payload);
		mount_seal(&header, images[i].payload);
		assert_int_equal(mount_load(mount, &header, images[i].payload), AIPU_STATE_RUNNING);
		assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
		assert_int_equal(R(POWER_LIMIT), power[1]);
		assert_int_equal(R(CLOCK_LIMIT), clock[1]);
		assert_int_equal(R(CLOCK), clock[1]);
		assert_int_equal(set_limits(power[1] + 1, 0, NULL), AIPU_STATUS_INVALID_FIELD);
		assert_int_equal(set_limits(power[0] - 1, 0, NULL), AIPU_STATUS_INVALID_FIELD);
		assert_int_equal(set_limits(0, clock[1] + 1, NULL), AIPU_STATUS_INVALID_FIELD);
		assert_int_equal(set_limits(0, clock[0] - 1, NULL), AIPU_STATUS_INVALID_FIELD);
		assert_int_equal(set_limits(power[0], clock[0], NULL), AIPU_STATUS_OK);
		assert_int_equal(R(POWER_LIMIT), power[0]);
		assert_int_equal(R(CLOCK_LIMIT), clock[0]);
		assert_int_equal(set_limits(0, 0, NULL), AIPU_STATUS_OK);
		assert_int_equal(R(POWER_LIMIT), power[1]);
		assert_int_equal(R(CLOCK_LIMIT), clock[1]);
	}
	/* RESET forgets it */
	reset();
	start_again();
	assert_int_equal(R(POWER_LIMIT), 150000);
	assert_int_equal(R(CLOCK_LIMIT), 1000);
}

/* [LIM-4] */
static void a_lower_clock_makes_steps_longer(void **state)
{
	struct aipu_completion completion;

	(void)state;
	play(10 * MS, 0);
	assert_int_equal(run_only(3).time_ns, 30 * MS);
	assert_int_equal(R(LONGEST_STEP_US), 10000);
	assert_int_equal(set_limits(0, 250, NULL), AIPU_STATUS_OK);
	completion = run_longer(2, 30 * MS);
	assert_int_equal(completion.status, AIPU_STATUS_OK);
	assert_int_equal(completion.time_ns, 2 * 40 * MS);
	assert_int_equal(completion.step_end - completion.step_start, 2);
	assert_int_equal(R(LONGEST_STEP_US), 40000);
	assert_int_equal(R(BUSY_US_LO), 30000 + 80000);
	assert_int_equal(set_limits(0, 0, NULL), AIPU_STATUS_OK);
	assert_int_equal(run_only(1).time_ns, 10 * MS);
}

/* [LIM-4] [ADM-11] [REG-5] */
static void a_long_step_holds_up_nothing_else(void **state)
{
	struct aipu_admin identify = { .opcode = AIPU_ADMIN_IDENTIFY,
				       .identify = { mount_alloc(mount, 4096) } };
	struct aipu_job job = run(1), nop = { .id = 3 };
	struct aipu_completion completion;
	uint32_t beat;

	(void)state;
	assert_int_equal(set_limits(0, 500, NULL), AIPU_STATUS_OK);
	play(3600 * S, 0);
	mount_put(queue, &job);
	mount_submit(queue, &nop);
	while (!atomic_load(&steps_done))
		usleep(100);
	/* Another hour of it is to come; nobody waits for that but the jobs */
	for (int i = 0; i < 4; i++)
		assert_int_equal(mount_admin(mount, &identify, NULL), AIPU_STATUS_OK);
	beat = R(HEARTBEAT);
	while (R(HEARTBEAT) == beat)
		usleep(1000);
	assert_false(R(STATUS) & AIPU_STATUS_IDLE);
	assert_false(mount_peek(queue, &completion));
	assert_int_equal(R(STEPS), 1);
	/* ABORT ends the job, but the cores are where they were: the next one waits for them */
	assert_int_equal(mount_abort(mount, 1, job.id), AIPU_STATUS_OK);
	completion = mount_wait(queue);
	assert_int_equal(completion.id, job.id);
	assert_int_equal(completion.status, AIPU_STATUS_ABORTED);
	assert_int_equal(mount_admin(mount, &identify, NULL), AIPU_STATUS_OK);
	assert_false(mount_peek(queue, &completion));
	pass_time(3600 * S);
	assert_int_equal(mount_wait(queue).id, nop.id);
}

/* [LIM-4] [RST-1] [RST-2] */
static void stops_end_a_long_step(void **state)
{
	struct aipu_admin destroy = { .opcode = AIPU_ADMIN_DESTROY_CONTEXT,
				      .context = { .context = 1 } };
	struct aipu_completion completion;
	struct aipu_job job = run(1);

	(void)state;
	for (int how = 0; how < 4; how++) {
		atomic_store(&steps_done, 0);
		assert_int_equal(set_limits(0, 500, NULL), AIPU_STATUS_OK);
		play(3600 * S, 0);
		mount_submit(queue, &job);
		while (!atomic_load(&steps_done))
			usleep(100);
		switch (how) {
		case 0:
			aipu_dm_write32(mount->dm, AIPU_REG_CONTROL, 0);
			assert_true(mount_wait_state(mount, AIPU_STATE_RUNNING));
			assert_false(mount_peek(queue, &completion));
			assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
			make_queue();
			break;
		case 1:
			assert_int_equal(mount_admin(mount, &destroy, NULL), AIPU_STATUS_OK);
			assert_int_equal(mount_wait(queue).status, AIPU_STATUS_ABORTED);
			pass_time(3600 * S);
			make_queue();
			break;
		case 2:
			start_again();
			break;
		default:
			return; /* power off, by teardown */
		}
		play(MS, 0);
		assert_int_equal(set_limits(0, 0, NULL), AIPU_STATUS_OK);
		assert_int_equal(mount_job(queue, &job).time_ns, MS);
	}
}

/* [LIM-7] [LIM-4] */
static void a_power_limit_lowers_the_clock(void **state)
{
	(void)state;
	assert_int_equal(set_limits(30000, 0, NULL), AIPU_STATUS_OK);
	/* 20 W above rest are left, and the work wants 40 */
	play(10 * MS, 40000);
	assert_int_equal(run_only(1).time_ns, 10 * MS); /* nobody could know */
	assert_int_equal(R(CLOCK), 500);
	assert_int_equal(R(THROTTLE), AIPU_THROTTLE_POWER);
	assert_int_equal(run_longer(4, 10 * MS).time_ns, 4 * 20 * MS);
	/* So the mean is the limit: four steps of 10 ms and 40 W above rest, in 80 ms */
	pass_time(MS + 1); /* and at rest there is no reason */
	assert_int_equal(R(CLOCK), 1000);
	assert_int_equal(R(THROTTLE), 0);
	/* A clock limit that is low enough by itself */
	assert_int_equal(set_limits(30000, 400, NULL), AIPU_STATUS_OK);
	assert_int_equal(run_longer(2, 15 * MS).time_ns, 2 * 25 * MS);
	assert_int_equal(R(THROTTLE), 0);
	assert_int_equal(R(CLOCK), 400);
	/* What no clock gets down to */
	assert_int_equal(set_limits(10500, 1000, NULL), AIPU_STATUS_OK);
	pass_time(10 * MS);
	assert_int_equal(run_only(1).time_ns, 10 * MS);
	assert_int_equal(R(CLOCK), 100);
	assert_int_equal(R(THROTTLE), AIPU_THROTTLE_POWER);
	assert_int_equal(run_longer(1, 90 * MS).time_ns, 100 * MS);
}

/* [LIM-7] by the default nothing of a gigabyte in a millisecond */
static void the_default_is_out_of_the_way(void **state)
{
	(void)state;
	atomic_store(&step_ns, MS);
	step_work = (struct dm_work){ .read = 1u << 30, .operations = 1ull << 36 };
	assert_int_equal(run_only(10).time_ns, 10 * MS);
	assert_int_equal(R(THROTTLE), 0);
	assert_int_equal(R(CLOCK), 1000);
}

/* --- errors of memory ------------------------------------------------------------------------------------- */

/* [RAS-1] [RAS-2] [RAS-3] [FLT-1] */
static void memory_errors(void **state)
{
	struct mount_fault fault = { AIPU_DM_POINT_JOB, 2, { AIPU_DM_FAULT_MEMORY, 0 } };

	(void)state;
	for (uint32_t uncorrected = 0; uncorrected < 2; uncorrected++) {
		fault.fault.value = uncorrected;
		start_with(&fault, 0);
		for (uint32_t i = 1; i <= 3; i++) {
			struct aipu_completion completion = run_only(2);
			bool hit = uncorrected && i == 2;

			assert_int_equal(completion.status,
					 hit ? AIPU_STATUS_INTERNAL : AIPU_STATUS_OK);
			assert_int_equal(completion.step_end - completion.step_start, hit ? 1 : 2);
			assert_int_equal(atomic_load(&ended_with), completion.status);
			assert_int_equal(R(CORRECTED_ERRORS), !uncorrected && i >= 2);
			assert_int_equal(R(UNCORRECTED_ERRORS), uncorrected && i >= 2);
		}
		assert_int_equal(next_event(), AIPU_EVENT_RAS);
		assert_int_equal(R(ERROR), 0);
		if (!uncorrected)
			teardown(NULL);
		queue = uncorrected ? queue : NULL;
	}
	start_again();
	assert_int_equal(R(UNCORRECTED_ERRORS), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(at_rest),
		BARE(what_the_host_configures),
		T(energy_at_rest_is_exact),
		T(energy_is_the_table_times_the_counts),
		BARE(counters_survive_and_limits_do_not),
		T(ranges_of_limits),
		T(ranges_of_firmware),
		T(a_lower_clock_makes_steps_longer),
		T(a_long_step_holds_up_nothing_else),
		T(stops_end_a_long_step),
		T(a_power_limit_lowers_the_clock),
		T(the_default_is_out_of_the_way),
		BARE(memory_errors),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
