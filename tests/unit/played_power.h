/* SPDX-License-Identifier: MIT */
/*
 * What tests of energy and heat stand on: a device by a clock of the test's own, where time passes only where a test says so,
 * so every number is exact. Steps of RUN are played: each takes as long, and comes to as much work, as the test wants. What real
 * steps come to is in test_program_work.c. Included by one source file of a program, because it defines the executor's names.
 * Not a test itself.
 */
#ifndef PLAYED_POWER_H
#define PLAYED_POWER_H

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
#include "played_program.h"

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

static inline uint64_t own_clock(void *own)
{
	(void)own;
	return atomic_load(&now_ns);
}

static inline void pass_time(uint64_t ns)
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

/* --- rig ------------------------------------------------------------------------------------------ */

static inline uint64_t read64(uint32_t low)
{
	uint32_t high, again, value;

	do { /* NRG-1 */
		high = aipu_dm_read32(mount->dm, low + 4);
		value = aipu_dm_read32(mount->dm, low);
		again = aipu_dm_read32(mount->dm, low + 4);
	} while (high != again);
	return (uint64_t)high << 32 | value;
}

static inline void make_queue(void)
{
	assert_int_equal(mount_create_context(mount, 1), 0);
	free(queue);
	queue = mount_create_queue(mount, 1, 1, 8, 1);
	assert_int_equal(mount_bind_host(mount, 1, HOST, host, BYTES, RW, 1), 0);
	assert_int_equal(mount_bind_device(mount, 1, DEVICE, 0, BYTES, RW), 0);
}

static inline void start_with(const struct mount_fault *fault, uint32_t ambient_c)
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

static inline int setup(void **state)
{
	(void)state;
	queue = NULL;
	start_with(NULL, 0);
	return 0;
}

static inline int setup_bare(void **state)
{
	(void)state;
	queue = NULL;
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	atomic_store(&gate, false);
	free(queue);
	mount_destroy(mount);
	return 0;
}

static inline struct aipu_job run(uint32_t steps)
{
	return (struct aipu_job){ .opcode = AIPU_JOB_RUN,
				  .id = 9,
				  .step = { .block_count = steps } };
}

/* Steps of so many watts above those at rest, for so long each; none of less than a femtojoule is needed */
static inline void play(uint64_t ns, uint64_t milliwatts)
{
	atomic_store(&step_ns, ns);
	step_work = (struct dm_work){ .operations = milliwatts * ns / 1000 * 1000000 / 400 };
}

/* Time stands but for the steps themselves */
static inline struct aipu_completion run_only(uint32_t steps)
{
	struct aipu_job job = run(steps);

	return mount_job(queue, &job);
}

/* Each step is longer by so much, and after its work that is what passes */
static inline struct aipu_completion run_longer(uint32_t steps, uint64_t longer)
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

static inline unsigned int set_limits(uint32_t power_mw, uint32_t clock_mhz, uint32_t *detail)
{
	struct aipu_admin command = { .opcode = AIPU_ADMIN_SET_LIMITS,
				      .limits = { .power_mw = power_mw, .clock_mhz = clock_mhz } };

	return mount_admin(mount, &command, detail);
}

static inline uint32_t next_event(void)
{
	struct aipu_admin command = { .opcode = AIPU_ADMIN_ASYNC_EVENT };
	uint32_t detail = 0;

	assert_int_equal(mount_admin(mount, &command, &detail), AIPU_STATUS_OK);
	return detail;
}

static inline void reset(void)
{
	aipu_dm_write32(mount->dm, AIPU_REG_CONTROL, AIPU_CONTROL_RESET);
	assert_true(mount_wait_state(mount, AIPU_STATE_ROM));
}

static inline void start_again(void)
{
	reset();
	assert_int_equal(mount_boot(mount), AIPU_STATE_RUNNING);
	assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
	make_queue();
}

/* Millidegrees after `ns` of a power in mW, in air of `ambient` degrees */
static inline double warmed(double from, double ambient, double mw, double ns)
{
	double end = 1000 * ambient + DM_HEAT_RESISTANCE * mw;

	return end + (from - end) * exp(-ns / DM_HEAT_TAU_NS);
}

static inline void temperature_is(double millidegrees)
{
	int32_t difference = (int32_t)R(TEMPERATURE) - (int32_t)lround(millidegrees);

	assert_in_range(difference + 1, 0, 2);
}

/* A test on a device that is ready, and one that starts its own */
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define BARE(name) cmocka_unit_test_setup_teardown(name, setup_bare, teardown)

#endif
