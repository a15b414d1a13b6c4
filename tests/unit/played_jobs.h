/* SPDX-License-Identifier: MIT */
/*
 * What tests of queues and jobs stand on: a device with two contexts and three queues, on which RUN and GENERATE are played
 * in place of the step executor, so that a test decides how many steps a job has, what it holds and when it pauses. Included by
 * one source file of a program, because it defines the executor's names. Not a test itself.
 */
#ifndef PLAYED_JOBS_H
#define PLAYED_JOBS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "model.h"
#include "mount.h"
#include "played_program.h"

#define RW (AIPU_ACCESS_READ | AIPU_ACCESS_WRITE)
#define HELD 5u /* a host segment that played jobs hold */
#define TOUCHED 6u /* a host segment that they write in each step */

/* --- the played step executor ------------------------------------------------------------------ */

struct dm_step_job {
	struct dm_context *context;
	uint32_t steps, done, pause_at;
	bool holds, touches, woke, gated;
	struct dm_mapping mapping;
};

static atomic_uint open_jobs, polls; /* reset by setup */
static atomic_uint ended_with; /* the reason of the job that ended last */
static atomic_bool room; /* the token ring has some */
static atomic_bool gate; /* open: the first step of a gated job ends */
static _Atomic uint64_t played_ns; /* each step takes a millisecond of this clock */

static inline uint64_t played_clock(void *host)
{
	(void)host;
	return atomic_load(&played_ns);
}

/*
 * block_count: steps. lane_count: pause before step n. block_segment, lane_segment: HELD, TOUCHED or 0.
 * block_offset: wait for the gate.
 */
unsigned int dm_step_job_begin(struct dm_context *context, const struct aipu_job *job,
			       struct dm_step_job **out, uint32_t *detail)
{
	struct dm_step_job *own = calloc(1, sizeof(*own));
	unsigned int status = AIPU_STATUS_OK;

	*detail = 16;
	own->context = context;
	own->steps = job->step.block_count;
	own->pause_at = job->step.lane_count;
	own->holds = job->step.block_segment;
	own->touches = job->step.lane_segment;
	own->gated = job->step.block_offset;
	if (own->holds)
		status = dm_segment_hold(context, HELD, 64, 64, RW, &own->mapping);
	if (status) {
		free(own);
		return status;
	}
	*detail = 0;
	atomic_fetch_add(&open_jobs, 1);
	*out = own;
	return AIPU_STATUS_OK;
}

enum dm_step_result dm_step_job_step(struct dm_step_job *job)
{
	if (job->pause_at && job->done + 1 == job->pause_at && !atomic_load(&room)) {
		atomic_fetch_add(&polls, 1);
		return DM_STEP_PAUSED;
	}
	while (job->gated && !atomic_load(&gate))
		usleep(20);
	atomic_fetch_add(&played_ns, 1000000);
	if (job->touches)
		dm_segment_write(job->context, TOUCHED, 0, &job->done, sizeof(job->done));
	job->done++;
	return job->done >= job->steps ? DM_STEP_DONE : DM_STEP_MORE;
}

unsigned int dm_step_job_end(struct dm_step_job *job, unsigned int reason, bool write_back,
			     uint32_t *detail)
{
	if (job->touches && write_back)
		dm_segment_write(job->context, TOUCHED, 64, &job->done, sizeof(job->done));
	if (job->holds && write_back)
		dm_mapping_write(&job->mapping, 8, &job->done, sizeof(job->done));
	if (job->holds)
		dm_segment_put(job->context, &job->mapping);
	atomic_store(&ended_with, reason);
	*detail = reason ? 0 : job->done;
	free(job);
	atomic_fetch_sub(&open_jobs, 1);
	return reason;
}

const struct dm_work *dm_step_job_work(const struct dm_step_job *job)
{
	static const struct dm_work none;

	(void)job;
	return &none;
}

bool dm_step_job_wake(struct dm_step_job *job)
{
	bool wake = job->done == 3 && !job->woke;

	job->woke |= wake;
	return wake;
}

void dm_step_job_progress(const struct dm_step_job *job, uint32_t *block, uint32_t *instruction)
{
	*block = 4;
	*instruction = job->done;
}

/* --- rig --------------------------------------------------------------------------------------- */

static struct mount *mount;
static struct mount_queue *queues[4]; /* 1 and 2 of context 1, 3 of context 2 */
static uint64_t touched, held;

static inline int setup_with(uint64_t (*clock)(void *host), bool uma)
{
	struct mount_options options = { .map = true, .config = { .uma = uma }, .clock = clock };

	atomic_store(&open_jobs, 0);
	atomic_store(&polls, 0);
	atomic_store(&room, false);
	atomic_store(&gate, false);
	mount = mount_ready(&options);
	held = mount_alloc(mount, 4096);
	touched = mount_alloc(mount, 4096);
	for (uint32_t context = 1; context <= 2; context++) {
		assert_int_equal(mount_create_context(mount, context), 0);
		assert_int_equal(mount_bind_host(mount, context, TOUCHED, touched, 4096, RW, 1), 0);
	}
	assert_int_equal(mount_bind_host(mount, 1, HELD, held, 4096, RW, 1), 0);
	queues[1] = mount_create_queue(mount, 1, 1, 8, 1);
	queues[2] = mount_create_queue(mount, 1, 2, 4, 2);
	queues[3] = mount_create_queue(mount, 2, 3, 8, 3);
	return 0;
}

static inline int setup(void **state)
{
	(void)state;
	return setup_with(NULL, true);
}

static inline int setup_clocked(void **state)
{
	(void)state;
	return setup_with(played_clock, true);
}

static inline int setup_without_uma(void **state)
{
	(void)state;
	return setup_with(NULL, false);
}

static inline int teardown(void **state)
{
	(void)state;
	mount_destroy(mount);
	for (int i = 1; i < 4; i++)
		free(queues[i]);
	assert_int_equal(atomic_load(&open_jobs), 0); /* each begin has its end */
	return 0;
}

static inline struct aipu_job nop_of(uint16_t id)
{
	return (struct aipu_job){ .opcode = AIPU_JOB_NOP, .id = id };
}

static inline struct aipu_job run_of(uint16_t id, uint32_t steps, uint32_t pause_at)
{
	return (struct aipu_job){ .opcode = AIPU_JOB_GENERATE,
				  .id = id,
				  .step = { .block_count = steps, .lane_count = pause_at } };
}

static inline void submit(struct mount_queue *queue, struct aipu_job job)
{
	mount_submit(queue, &job);
}

static inline bool nothing(struct mount_queue *queue)
{
	struct aipu_completion completion;

	return !mount_peek(queue, &completion);
}

static inline void wait_paused(void)
{
	unsigned int before = atomic_load(&polls);

	for (int i = 0; i < 300000 && atomic_load(&polls) < before + 2; i++)
		usleep(100);
	assert_true(atomic_load(&polls) >= before + 2);
}

/* A queue that has just seen a bell answers a command only after it */
static inline void settle(void)
{
	struct aipu_admin none = { .opcode = 0 };

	assert_int_equal(mount_admin(mount, &none, NULL), AIPU_STATUS_INVALID_OPCODE);
}

/* A test on a fresh device */
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define CLOCKED(name) cmocka_unit_test_setup_teardown(name, setup_clocked, teardown)
#define WITHOUT_UMA(name) cmocka_unit_test_setup_teardown(name, setup_without_uma, teardown)

#endif
