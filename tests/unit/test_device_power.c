// SPDX-License-Identifier: MIT
/*
 * Energy, heat, clock and memory errors of the device model, by a clock of the test's own: time passes only where a test
 * says so, so every number is exact. Steps of RUN are played here: each takes as long, and comes to as much work, as the
 * test wants. What real steps come to is in test_program_work.c.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "aipu_status.h"
#include "device.h"
#include "mount.h"

#define RW (AIPU_ACCESS_READ | AIPU_ACCESS_WRITE)
#define MS 1000000ull
#define S 1000000000ull
#define IDLE_MW 10000
#define R(register) aipu_dm_read32(mount->dm, AIPU_REG_##register)
#define R64(name) read64(AIPU_REG_##name##_LO)

enum { HOST = 1, DEVICE, BYTES = 8 << 20 };

static struct mount *mount;
static struct mount_queue *queue;
static uint64_t host; /* memory behind segment HOST */
static _Atomic uint64_t now_ns, step_ns; /* the clock, and how long a step of RUN takes */
static struct dm_work step_work;
static atomic_uint steps_begun, steps_done, ended_with;
static atomic_bool gate; /* closed: the next step does not come to its end */

static uint64_t own_clock(void *own)
{
	(void)own;
	return atomic_load(&now_ns);
}

static void pass_time(uint64_t ns)
{
	atomic_fetch_add(&now_ns, ns);
}

/* --- played steps --------------------------------------------------------------------------------- */

struct dm_step_job {
	uint32_t left;
	struct dm_work work;
};

unsigned int dm_step_job_begin(struct dm_context *context, const struct aipu_job *job,
			       struct dm_step_job **out, uint32_t *detail)
{
	(void)context;
	*detail = 0;
	*out = calloc(1, sizeof(**out));
	(*out)->left = job->step.block_count;
	return AIPU_STATUS_OK;
}

enum dm_step_result dm_step_job_step(struct dm_step_job *job)
{
	atomic_fetch_add(&steps_begun, 1);
	while (atomic_load(&gate))
		usleep(100);
	pass_time(atomic_load(&step_ns));
	job->work = step_work;
	atomic_fetch_add(&steps_done, 1);
	return --job->left ? DM_STEP_MORE : DM_STEP_DONE;
}

const struct dm_work *dm_step_job_work(const struct dm_step_job *job)
{
	return &job->work;
}

unsigned int dm_step_job_end(struct dm_step_job *job, unsigned int reason, bool write_back,
			     uint32_t *detail)
{
	(void)write_back;
	atomic_store(&ended_with, reason);
	*detail = 0;
	free(job);
	return reason;
}

bool dm_step_job_wake(struct dm_step_job *job)
{
	(void)job;
	return false;
}

void dm_step_job_progress(const struct dm_step_job *job, uint32_t *block, uint32_t *instruction)
{
	(void)job;
	*block = 0;
	*instruction = 0;
}

unsigned int dm_program_create(const struct dm_limits *limits, void *image, size_t bytes,
			       struct dm_program **program, uint32_t *detail)
{
	(void)limits;
	(void)bytes;
	*detail = 0;
	*program = image;
	return AIPU_STATUS_OK;
}

void dm_program_get(struct dm_program *program)
{
	(void)program;
}

void dm_program_put(struct dm_program *program)
{
	free(program);
}

/* --- rig ------------------------------------------------------------------------------------------ */

static uint64_t read64(uint32_t low)
{
	uint32_t high, again, value;

	do { /* NRG-1 */
		high = aipu_dm_read32(mount->dm, low + 4);
		value = aipu_dm_read32(mount->dm, low);
		again = aipu_dm_read32(mount->dm, low + 4);
	} while (high != again);
	return (uint64_t)high << 32 | value;
}

static void make_queue(void)
{
	assert_int_equal(mount_create_context(mount, 1), 0);
	free(queue);
	queue = mount_create_queue(mount, 1, 1, 8, 1);
	assert_int_equal(mount_bind_host(mount, 1, HOST, host, BYTES, RW, 1), 0);
	assert_int_equal(mount_bind_device(mount, 1, DEVICE, 0, BYTES, RW), 0);
}

static void start_with(const struct mount_fault *fault, uint32_t ambient_c)
{
	struct mount_options options = { .clock = own_clock,
					 .fault = fault,
					 .config = { .ambient_c = ambient_c, .serial = 7 } };

	atomic_store(&now_ns, 12345 * S);
	atomic_store(&step_ns, 0);
	atomic_store(&steps_begun, 0);
	atomic_store(&steps_done, 0);
	step_work = (struct dm_work){ 0 };
	mount = mount_ready(&options);
	host = mount_alloc(mount, BYTES);
	make_queue();
}

static int setup(void **state)
{
	(void)state;
	queue = NULL;
	start_with(NULL, 0);
	return 0;
}

static int setup_bare(void **state)
{
	(void)state;
	queue = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	atomic_store(&gate, false);
	free(queue);
	mount_destroy(mount);
	return 0;
}

static struct aipu_job run(uint32_t steps)
{
	return (struct aipu_job){ .opcode = AIPU_JOB_RUN,
				  .id = 9,
				  .step = { .block_count = steps } };
}

/* Steps of so many watts above those at rest, for so long each; none of less than a femtojoule is needed */
static void play(uint64_t ns, uint64_t milliwatts)
{
	atomic_store(&step_ns, ns);
	step_work = (struct dm_work){ .operations = milliwatts * ns / 1000 * 1000000 / 400 };
}

/* Time stands but for the steps themselves */
static struct aipu_completion run_only(uint32_t steps)
{
	struct aipu_job job = run(steps);

	return mount_job(queue, &job);
}

/* Each step is longer by so much, and after its work that is what passes */
static struct aipu_completion run_longer(uint32_t steps, uint64_t longer)
{
	struct aipu_job job = run(steps);
	uint32_t before = R(STEPS);

	mount_submit(queue, &job);
	for (uint32_t i = 1; i <= steps; i++) {
		while (R(STEPS) - before < i)
			usleep(20);
		pass_time(longer);
	}
	return mount_wait(queue);
}

static unsigned int set_limits(uint32_t power_mw, uint32_t clock_mhz, uint32_t *detail)
{
	struct aipu_admin command = { .opcode = AIPU_ADMIN_SET_LIMITS,
				      .limits = { .power_mw = power_mw, .clock_mhz = clock_mhz } };

	return mount_admin(mount, &command, detail);
}

static uint32_t next_event(void)
{
	struct aipu_admin command = { .opcode = AIPU_ADMIN_ASYNC_EVENT };
	uint32_t detail = 0;

	assert_int_equal(mount_admin(mount, &command, &detail), AIPU_STATUS_OK);
	return detail;
}

static void reset(void)
{
	aipu_dm_write32(mount->dm, AIPU_REG_CONTROL, AIPU_CONTROL_RESET);
	assert_true(mount_wait_state(mount, AIPU_STATE_ROM));
}

static void start_again(void)
{
	reset();
	assert_int_equal(mount_boot(mount), AIPU_STATE_RUNNING);
	assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
	make_queue();
}

/* Millidegrees after `ns` of a power in mW, in air of `ambient` degrees */
static double warmed(double from, double ambient, double mw, double ns)
{
	double end = 1000 * ambient + DM_HEAT_RESISTANCE * mw;

	return end + (from - end) * exp(-ns / DM_HEAT_TAU_NS);
}

static void temperature_is(double millidegrees)
{
	int32_t difference = (int32_t)R(TEMPERATURE) - (int32_t)lround(millidegrees);

	assert_in_range(difference + 1, 0, 2);
}

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

/* --- heat ----------------------------------------------------------------------------------------------- */

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
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define BARE(name) cmocka_unit_test_setup_teardown(name, setup_bare, teardown)
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
		T(work_makes_it_warm),
		T(a_step_that_runs),
		T(in_the_middle_of_a_long_step),
		BARE(heat_lowers_the_clock),
		BARE(too_hot_is_the_end),
		BARE(too_hot_for_flash),
		BARE(hot_air),
		BARE(memory_errors),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
