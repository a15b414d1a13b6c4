// SPDX-License-Identifier: MIT
/*
 * Queues, arbitration and the life of jobs. RUN and GENERATE are played by the functions below in place of
 * the step executor, so that a test decides how many steps a job has, what it holds and when it pauses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "model.h"
#include "mount.h"

#define RW (AIPU_ACCESS_READ | AIPU_ACCESS_WRITE)
#define HELD 5u /* a host segment that played jobs hold */
#define TOUCHED 6u /* a host segment that they write in each step */

/* --- the played step executor ---------------------------------------------------------------------- */

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

static uint64_t played_clock(void *host)
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

/* --- rig ---------------------------------------------------------------------------------------------- */

static struct mount *mount;
static struct mount_queue *queues[4]; /* 1 and 2 of context 1, 3 of context 2 */
static uint64_t touched, held;

static int setup_with(uint64_t (*clock)(void *host), bool uma)
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

static int setup(void **state)
{
	(void)state;
	return setup_with(NULL, true);
}

static int setup_clocked(void **state)
{
	(void)state;
	return setup_with(played_clock, true);
}

static int setup_without_uma(void **state)
{
	(void)state;
	return setup_with(NULL, false);
}

static int teardown(void **state)
{
	(void)state;
	mount_destroy(mount);
	for (int i = 1; i < 4; i++)
		free(queues[i]);
	assert_int_equal(atomic_load(&open_jobs), 0); /* each begin has its end */
	return 0;
}

static struct aipu_job nop_of(uint16_t id)
{
	return (struct aipu_job){ .opcode = AIPU_JOB_NOP, .id = id };
}

static struct aipu_job run_of(uint16_t id, uint32_t steps, uint32_t pause_at)
{
	return (struct aipu_job){ .opcode = AIPU_JOB_GENERATE,
				  .id = id,
				  .step = { .block_count = steps, .lane_count = pause_at } };
}

static void submit(struct mount_queue *queue, struct aipu_job job)
{
	mount_submit(queue, &job);
}

static bool nothing(struct mount_queue *queue)
{
	struct aipu_completion completion;

	return !mount_peek(queue, &completion);
}

static void wait_paused(void)
{
	unsigned int before = atomic_load(&polls);

	for (int i = 0; i < 300000 && atomic_load(&polls) < before + 2; i++)
		usleep(100);
	assert_true(atomic_load(&polls) >= before + 2);
}

/* A queue that has just seen a bell answers a command only after it */
static void settle(void)
{
	struct aipu_admin none = { .opcode = 0 };

	assert_int_equal(mount_admin(mount, &none, NULL), AIPU_STATUS_INVALID_OPCODE);
}

/* --- rings -------------------------------------------------------------------------------------------- */

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

/* --- arbitration ---------------------------------------------------------------------------------------- */

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

/* --- pauses and time limits ---------------------------------------------------------------------------- */

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

/* --- early ends ------------------------------------------------------------------------------------------ */

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

/* --- bindings --------------------------------------------------------------------------------------------- */

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

/* --- the rest ----------------------------------------------------------------------------------------------- */

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

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(rings_wrap_and_phases_turn),
		T(one_doorbell_for_many),
		T(full_completion_ring_is_not_overwritten),
		T(bad_doorbells_stop_that_queue_only),
		T(long_jobs_delay_others_by_one_step),
		T(queues_take_turns),
		T(weights_share_the_steps),
		T(higher_classes_go_first),
		T(a_lower_class_has_a_turn_in_the_end),
		T(jobs_of_a_queue_keep_their_order),
		T(wake_raises_the_interrupt_before_the_end),
		T(paused_jobs_let_others_pass),
		cmocka_unit_test_setup_teardown(kick_ends_a_pause, setup_clocked, teardown),
		cmocka_unit_test_setup_teardown(time_limits, setup_clocked, teardown),
		cmocka_unit_test_setup_teardown(time_limits_leave_out_pauses_and_queueing,
						setup_clocked, teardown),
		T(abort_ends_a_running_job_once),
		T(abort_ends_a_queued_job_at_once),
		T(abort_of_the_last_job_frees_its_entry),
		T(abort_waits_for_room),
		T(reset_context_ends_its_jobs_only),
		T(destroy_queue_ends_its_jobs),
		T(destroy_context_ends_everything),
		T(unbind_waits_for_the_last_access),
		cmocka_unit_test_setup_teardown(unbind_waits_for_the_last_access, setup_without_uma,
						teardown),
		T(contexts_do_not_share_segments),
		T(interrupts_coalesce),
		T(progress_names_the_job),
		T(steps_are_counted),
		T(stops_end_jobs_without_a_trace),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
