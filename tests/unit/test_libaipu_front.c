// SPDX-License-Identifier: MIT
/*
 * libaipu's front over a transport that the test plays: what a device never does on purpose, and moments
 * that a real one does not hold still for. The transport completes jobs when the test says so.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "internal.h"
#include "libaipu_test.h"

struct aipu_transport_device {
	int unused;
};
struct aipu_transport_context {
	int unused;
};
struct aipu_transport_buffer {
	int unused;
};
/* What the transport was asked, and what it is to answer */
struct aipu_transport_queue {
	struct aipu_job taken[64];
	uint32_t taken_count, submits, accept, kicks, waits;
	struct aipu_completion completions[64];
	uint32_t first, count;
	int wait_error;
	struct aipu_token_ring *arrives; /* a record comes while it waits */
	atomic_bool abort_waits, abort_entered;
	int abort_error;
	uint16_t aborted;
};

static struct aipu_transport_device fake_device;
static struct aipu_transport_context fake_context;
static struct aipu_transport_queue fake;

static int fake_open(struct aipu_transport_device **device, const char *name,
		     const struct aipu_device_options *options, struct aipu_message *message)
{
	(void)name;
	(void)options;
	(void)message;
	*device = &fake_device;
	return 0;
}

static void fake_close(struct aipu_transport_device *device)
{
	(void)device;
}

static int fake_context_create(struct aipu_transport_device *device,
			       const struct aipu_context_options *options,
			       struct aipu_transport_context **context)
{
	(void)device;
	(void)options;
	*context = &fake_context;
	return 0;
}

static void fake_context_destroy(struct aipu_transport_context *context)
{
	(void)context;
}

static int fake_program_load(struct aipu_transport_context *context, uint32_t segment,
			     uint64_t offset, uint32_t bytes, uint32_t *id, uint32_t *detail)
{
	(void)context;
	(void)segment;
	(void)offset;
	(void)id;
	*detail = bytes; /* the test says the reason in the size */
	return -ENOEXEC;
}

static int fake_queue_create(struct aipu_transport_context *context, uint32_t capacity,
			     struct aipu_transport_queue **queue)
{
	(void)context;
	memset(&fake, 0, sizeof(fake));
	fake.accept = capacity;
	*queue = &fake;
	return 0;
}

static void fake_queue_destroy(struct aipu_transport_queue *queue)
{
	(void)queue;
}

static int fake_submit(struct aipu_transport_queue *queue, const struct aipu_job *jobs,
		       uint32_t count)
{
	uint32_t taken = count < queue->accept ? count : queue->accept;

	queue->submits++;
	memcpy(&queue->taken[queue->taken_count], jobs, taken * sizeof(*jobs));
	queue->taken_count += taken;
	return (int)taken;
}

static int fake_reap(struct aipu_transport_queue *queue, struct aipu_completion *completions,
		     uint32_t count)
{
	uint32_t taken = 0;

	while (taken < count && queue->count) {
		completions[taken++] = queue->completions[queue->first++];
		queue->count--;
	}
	return (int)taken;
}

static int fake_wait(struct aipu_transport_queue *queue, int64_t timeout_ns)
{
	(void)timeout_ns;
	queue->waits++;
	if (queue->arrives)
		queue->arrives->producer++;
	return queue->wait_error;
}

static int fake_fd(struct aipu_transport_queue *queue)
{
	(void)queue;
	return 42;
}

static int fake_abort(struct aipu_transport_queue *queue, uint16_t id)
{
	queue->aborted = id;
	atomic_store(&queue->abort_entered, true);
	while (atomic_load(&queue->abort_waits))
		sched_yield();
	return queue->abort_error;
}

static int fake_kick(struct aipu_transport_queue *queue)
{
	queue->kicks++;
	return 0;
}

static const struct aipu_transport_ops fake_ops = {
	.version = AIPU_TRANSPORT_VERSION,
	.name = "fake",
	.device_open = fake_open,
	.device_close = fake_close,
	.context_create = fake_context_create,
	.context_destroy = fake_context_destroy,
	.program_load = fake_program_load,
	.queue_create = fake_queue_create,
	.queue_destroy = fake_queue_destroy,
	.queue_submit = fake_submit,
	.queue_reap = fake_reap,
	.queue_wait = fake_wait,
	.queue_fd = fake_fd,
	.queue_abort = fake_abort,
	.queue_kick = fake_kick,
};

static void complete(uint16_t id, uint16_t status)
{
	fake.completions[fake.first + fake.count++] =
		(struct aipu_completion){ .id = id, .status = status, .time_ns = 7, .detail = 3 };
}

static int up(void **state)
{
	struct test_bench *bench = calloc(1, sizeof(*bench));

	assert_int_equal(aipu_device_open_transport(&bench->device, &fake_ops, NULL, NULL, NULL),
			 0);
	assert_int_equal(aipu_context_create(bench->device, &bench->context), 0);
	assert_int_equal(aipu_queue_create(bench->context, 4, &bench->queue), 0);
	*state = bench;
	return 0;
}

/* get_job hands out zeroed jobs up to the capacity; one submission takes them all, with ids of their own */
static void jobs_are_handed_out_and_submitted(void **state)
{
	struct aipu_queue *queue = ((struct test_bench *)*state)->queue;
	const struct aipu_result *result;
	struct aipu_job *job;
	unsigned int seen = 0;

	for (unsigned int i = 0; i < 4; i++) {
		job = aipu_queue_get_job(queue, 100 + i);
		assert_non_null(job);
		assert_memory_equal(job, &(struct aipu_job){ 0 }, sizeof(*job));
		aipu_prep_fill(job, 3, i, 4, 5);
	}
	assert_null(aipu_queue_get_job(queue, 0));
	assert_int_equal(aipu_queue_submit(queue), 4);
	assert_int_equal(aipu_queue_submit(queue), 0);
	assert_int_equal(fake.submits, 1);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(fake.taken[i].opcode, AIPU_JOB_FILL);
		assert_int_equal(fake.taken[i].fill.offset, i);
		assert_true(fake.taken[i].id < 4);
		seen |= 1u << fake.taken[i].id;
	}
	assert_int_equal(seen, 15);
	assert_int_equal(aipu_queue_peek(queue, &result), -EAGAIN);
	assert_null(result);
	complete(fake.taken[0].id, AIPU_STATUS_OUT_OF_RANGE);
	complete(fake.taken[1].id, AIPU_STATUS_OK);
	assert_int_equal(aipu_queue_peek(queue, &result), 0);
	assert_int_equal(result->user_data, 100);
	assert_int_equal(result->status, AIPU_STATUS_OUT_OF_RANGE);
	assert_int_equal(result->detail, 3);
	assert_int_equal(result->time_ns, 7);
	/* Still the same until it is seen, and its place is not free before */
	assert_int_equal(aipu_queue_peek(queue, &result), 0);
	assert_int_equal(result->user_data, 100);
	assert_null(aipu_queue_get_job(queue, 0));
	aipu_queue_seen(queue, result);
	assert_non_null(aipu_queue_get_job(queue, 104));
	assert_null(aipu_queue_get_job(queue, 0));
	assert_int_equal(aipu_queue_peek(queue, &result), 0);
	assert_int_equal(result->user_data, 101);
	/* Seen with something else than the one that was peeked does nothing */
	aipu_queue_seen(queue, result + 1);
	aipu_queue_seen(queue, NULL);
	assert_int_equal(aipu_queue_peek(queue, &result), 0);
	assert_int_equal(result->user_data, 101);
}

/* A transport that takes fewer than it was given gets the rest at the next submission, in order */
static void partial_submission_keeps_the_rest(void **state)
{
	struct aipu_queue *queue = ((struct test_bench *)*state)->queue;

	for (unsigned int i = 0; i < 4; i++)
		aipu_prep_fill(aipu_queue_get_job(queue, i), 0, i, 4, 0);
	fake.accept = 3;
	assert_int_equal(aipu_queue_submit(queue), 3);
	assert_int_equal(aipu_queue_submit(queue), 1);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(fake.taken[i].fill.offset, i);
}

/* Completions of jobs that do not exist, or twice of one, are an error of the device, not of memory */
static void impossible_completions_are_refused(void **state)
{
	struct aipu_queue *queue = ((struct test_bench *)*state)->queue;
	const struct aipu_result *result;

	aipu_prep_nop(aipu_queue_get_job(queue, 1));
	assert_int_equal(aipu_queue_submit(queue), 1);
	complete(fake.taken[0].id, AIPU_STATUS_OK);
	complete(fake.taken[0].id, AIPU_STATUS_OK);
	assert_int_equal(aipu_queue_peek(queue, &result), 0);
	aipu_queue_seen(queue, result);
	assert_int_equal(aipu_queue_peek(queue, &result), -EIO);
	assert_int_equal(aipu_queue_wait(queue, &result, 0), -EIO);
	aipu_prep_nop(aipu_queue_get_job(queue, 2));
	assert_int_equal(aipu_queue_submit(queue), -EIO);
}

static void unknown_ids_are_refused(void **state)
{
	struct aipu_queue *queue = ((struct test_bench *)*state)->queue;
	const struct aipu_result *result;

	complete(0xffff, AIPU_STATUS_OK);
	assert_int_equal(aipu_queue_peek(queue, &result), -EIO);
}

/* -EINTR and -EIO of a wait are passed up; a timeout looks once more */
static void wait_passes_errors_up(void **state)
{
	struct aipu_queue *queue = ((struct test_bench *)*state)->queue;
	const struct aipu_result *result;

	fake.wait_error = -EINTR;
	assert_int_equal(aipu_queue_wait(queue, &result, -1), -EINTR);
	fake.wait_error = -EIO;
	assert_int_equal(aipu_queue_wait(queue, &result, SECOND), -EIO);
	fake.wait_error = -ETIME;
	assert_int_equal(aipu_queue_wait(queue, &result, SECOND), -ETIME);
	fake.waits = 0;
	assert_int_equal(aipu_queue_wait(queue, &result, 0), -ETIME);
	assert_int_equal(fake.waits, 0);
}

/* An id is not given out again while an abort of its last job is under way */
static void *abort_thread(void *arg)
{
	return (void *)(intptr_t)aipu_queue_abort(arg, 7);
}

static void id_is_not_reused_during_abort(void **state)
{
	struct aipu_queue *queue = ((struct test_bench *)*state)->queue;
	const struct aipu_result *result;
	pthread_t thread;
	void *error;

	for (unsigned int i = 0; i < 4; i++)
		aipu_prep_nop(aipu_queue_get_job(queue, i == 2 ? 7 : i));
	/* Not submitted: nothing to abort */
	assert_int_equal(aipu_queue_abort(queue, 7), -ENOENT);
	assert_int_equal(aipu_queue_submit(queue), 4);
	fake.abort_error = -ENOENT;
	atomic_store(&fake.abort_waits, true);
	assert_int_equal(pthread_create(&thread, NULL, abort_thread, queue), 0);
	while (!atomic_load(&fake.abort_entered))
		sched_yield();
	assert_int_equal(fake.aborted, fake.taken[2].id);
	complete(fake.taken[2].id, AIPU_STATUS_OK);
	assert_int_equal(aipu_queue_wait(queue, &result, -1), 0);
	assert_int_equal(result->user_data, 7);
	aipu_queue_seen(queue, result);
	assert_null(aipu_queue_get_job(queue, 8));
	atomic_store(&fake.abort_waits, false);
	pthread_join(thread, &error);
	assert_int_equal((intptr_t)error, -ENOENT);
	assert_non_null(aipu_queue_get_job(queue, 8));
	assert_int_equal(aipu_queue_abort(queue, 99), -ENOENT);
}

static void ring_is_read_in_order_and_wraps(void **state)
{
	_Alignas(64) unsigned char memory[AIPU_RING_BYTES(4)];
	struct aipu_token_record *places, records[8];
	struct aipu_ring ring;
	uint32_t next = 0;

	memset(memory, 0xff, sizeof(memory));
	assert_int_equal(aipu_ring_init(&ring, ((struct test_bench *)*state)->queue, memory, 4), 0);
	assert_int_equal(ring.header->producer, 0);
	assert_int_equal(ring.header->consumer, 0);
	assert_int_equal(aipu_ring_take(&ring, records, 8), 0);
	places = (struct aipu_token_record *)(ring.header + 1);
	/* Indices run through 2^32 */
	ring.header->producer = ring.header->consumer = 0xfffffffeu;
	for (unsigned int round = 0; round < 5; round++) {
		for (unsigned int i = 0; i < 3; i++)
			places[(ring.header->producer + i) & 3].token = next + i;
		ring.header->producer += 3;
		assert_int_equal(aipu_ring_take(&ring, records, 2), 2);
		assert_int_equal(records[0].token, next);
		assert_int_equal(records[1].token, next + 1);
		assert_int_equal(aipu_ring_take(&ring, records, 8), 1);
		assert_int_equal(records[0].token, next + 2);
		next += 3;
	}
	assert_int_equal(fake.kicks, 0);
	/* Room for a device that waits for some */
	ring.header->paused = 1;
	ring.header->producer += 4;
	assert_int_equal(aipu_ring_take(&ring, records, 1), 1);
	assert_int_equal(fake.kicks, 1);
	/* More than the ring holds cannot be */
	ring.header->producer += 4;
	assert_int_equal(aipu_ring_take(&ring, records, 1), -EIO);
	assert_int_equal(aipu_ring_wait(&ring, -1), -EIO);
}

static void ring_wait_wakes_for_both(void **state)
{
	_Alignas(64) unsigned char memory[AIPU_RING_BYTES(4)];
	struct aipu_queue *queue = ((struct test_bench *)*state)->queue;
	struct aipu_token_record record;
	const struct aipu_result *result;
	struct aipu_ring ring;

	assert_int_equal(aipu_ring_init(&ring, queue, memory, 4), 0);
	/* A record comes: the wake index was armed before */
	fake.arrives = ring.header;
	assert_int_equal(aipu_ring_wait(&ring, -1), 0);
	assert_int_equal(ring.header->wake, 0);
	assert_int_equal(fake.waits, 1);
	fake.arrives = NULL;
	/* Ready: no wait */
	assert_int_equal(aipu_ring_wait(&ring, -1), 0);
	assert_int_equal(fake.waits, 1);
	assert_int_equal(aipu_ring_take(&ring, &record, 1), 1);
	assert_int_equal(aipu_ring_wait(&ring, 0), -ETIME);
	fake.wait_error = -ETIME;
	assert_int_equal(aipu_ring_wait(&ring, SECOND), -ETIME);
	assert_int_equal(ring.header->wake, 1);
	fake.wait_error = -EINTR;
	assert_int_equal(aipu_ring_wait(&ring, SECOND), -EINTR);
	/* A completion ends the wait as well, and stays for peek */
	aipu_prep_nop(aipu_queue_get_job(queue, 5));
	assert_int_equal(aipu_queue_submit(queue), 1);
	complete(fake.taken[0].id, AIPU_STATUS_OK);
	assert_int_equal(aipu_ring_wait(&ring, -1), 0);
	assert_int_equal(aipu_queue_peek(queue, &result), 0);
	assert_int_equal(result->user_data, 5);
}

static void ring_arguments_are_checked(void **state)
{
	_Alignas(64) unsigned char memory[AIPU_RING_BYTES(4)];
	struct aipu_queue *queue = ((struct test_bench *)*state)->queue;
	struct aipu_token_record record;
	struct aipu_ring ring = { 0 };

	assert_int_equal(aipu_ring_init(NULL, queue, memory, 4), -EINVAL);
	assert_int_equal(aipu_ring_init(&ring, NULL, memory, 4), -EINVAL);
	assert_int_equal(aipu_ring_init(&ring, queue, NULL, 4), -EINVAL);
	assert_int_equal(aipu_ring_init(&ring, queue, memory + 4, 4), -EINVAL);
	assert_int_equal(aipu_ring_init(&ring, queue, memory, 0), -EINVAL);
	assert_int_equal(aipu_ring_init(&ring, queue, memory, 1), -EINVAL);
	assert_int_equal(aipu_ring_init(&ring, queue, memory, 3), -EINVAL);
	assert_int_equal(aipu_ring_init(&ring, queue, memory, 1u << 17), -EINVAL);
	assert_int_equal(aipu_ring_take(&ring, &record, 1), -EINVAL);
	assert_int_equal(aipu_ring_wait(&ring, 0), -EINVAL);
	assert_int_equal(aipu_ring_take(NULL, &record, 1), -EINVAL);
	assert_int_equal(aipu_ring_wait(NULL, 0), -EINVAL);
	assert_int_equal(aipu_ring_init(&ring, queue, memory, 4), 0);
	assert_int_equal(aipu_ring_take(&ring, NULL, 1), -EINVAL);
}

/* Each refusal has its own words, and names what its index counts */
static void refusals_have_words(void **state)
{
	struct aipu_context *context = ((struct test_bench *)*state)->context;
	struct aipu_program *program;
	struct aipu_message message;

	assert_int_equal(aipu_program_load(context, 0, 0, 13u << 24 | 5, &program, &message),
			 -ENOEXEC);
	assert_non_null(strstr(message.text, "shapes of the operands"));
	assert_non_null(strstr(message.text, "instruction 5"));
	assert_int_equal(aipu_program_load(context, 0, 0, 8u << 24 | 17, &program, &message),
			 -ENOEXEC);
	assert_non_null(strstr(message.text, "tensor 17"));
	assert_int_equal(aipu_program_load(context, 0, 0, 200u << 24, &program, &message),
			 -ENOEXEC);
	assert_non_null(strstr(message.text, "does not know"));
	assert_int_equal(aipu_program_load(context, 0, 0, 8u << 24, &program, NULL), -ENOEXEC);
	assert_int_equal(aipu_program_load(context, 0, 4, 8, &program, &message), -EINVAL);
	assert_int_equal(aipu_program_load(context, 0, 0, 0, &program, &message), -EINVAL);
	assert_int_equal(aipu_program_load(context, -1, 0, 8, &program, &message), -EINVAL);
	assert_int_equal(aipu_program_load(NULL, 0, 0, 8, &program, &message), -EINVAL);
	assert_int_equal(aipu_program_load(context, 0, 0, 8, NULL, &message), -EINVAL);
	assert_int_equal(aipu_program_unload(NULL), -EINVAL);
	assert_int_equal(aipu_program_id(NULL), UINT32_MAX);
}

static void statuses_have_words_and_errnos(void **state)
{
	(void)state;
	for (unsigned int status = 0; status < AIPU_STATUS_COUNT; status++) {
		assert_non_null(aipu_status_text(status));
		assert_true(status ? aipu_status_errno(status) < 0 : !aipu_status_errno(status));
		for (unsigned int other = 0; other < status; other++)
			assert_string_not_equal(aipu_status_text(status), aipu_status_text(other));
	}
	assert_non_null(aipu_status_text(AIPU_STATUS_COUNT));
	assert_int_equal(aipu_status_errno(12345), -EIO);
	assert_int_equal(aipu_status_errno(AIPU_STATUS_ABORTED), -ECANCELED);
	assert_int_equal(aipu_status_errno(AIPU_STATUS_DATA_LOST), -ENODATA);
	assert_int_equal(aipu_status_errno(AIPU_STATUS_TIMEOUT), -ETIMEDOUT);
}

/* Each prep gives the bytes that the contract wants, and leaves nothing of what was there before */
static void preps_fill_in_jobs(void **state)
{
	struct aipu_job job, expected;

	(void)state;
	memset(&job, 0xff, sizeof(job));
	memset(&expected, 0, sizeof(expected));
	aipu_prep_nop(&job);
	assert_memory_equal(&job, &expected, sizeof(job));

	memset(&job, 0xff, sizeof(job));
	aipu_prep_copy(&job, 2, 3, 4, 5, 6);
	expected.opcode = AIPU_JOB_COPY;
	expected.copy = (struct aipu_job_copy){
		.dst_segment = 2, .dst_offset = 3, .src_segment = 4, .src_offset = 5, .length = 6
	};
	assert_memory_equal(&job, &expected, sizeof(job));

	memset(&job, 0xff, sizeof(job));
	aipu_prep_copy_list(&job, 7, 8, 9);
	expected.copy =
		(struct aipu_job_copy){ .src_segment = 7, .src_offset = 8, .list_count = 9 };
	assert_memory_equal(&job, &expected, sizeof(job));

	memset(&job, 0xff, sizeof(job));
	aipu_prep_fill(&job, 1, 2, 3, 0x01020304);
	aipu_job_set_timeout(&job, 77);
	memset(&expected, 0, sizeof(expected));
	expected.opcode = AIPU_JOB_FILL;
	expected.timeout_ms = 77;
	expected.fill = (struct aipu_job_fill){
		.segment = 1, .pattern = 0x01020304, .offset = 2, .length = 3
	};
	assert_memory_equal(&job, &expected, sizeof(job));

	memset(&job, 0xff, sizeof(job));
	aipu_prep_run(&job, 1, 2, 3, 4, 5, 6);
	memset(&expected, 0, sizeof(expected));
	expected.opcode = AIPU_JOB_RUN;
	expected.step = (struct aipu_job_step){
		.block_segment = 1,
		.block_offset = 2,
		.block_count = 3,
		.lane_segment = 4,
		.lane_offset = 5,
		.lane_count = 6,
	};
	assert_memory_equal(&job, &expected, sizeof(job));

	aipu_prep_generate(&job, 1, 2, 3, 4, 5, 6, 7, 8, 16);
	expected.opcode = AIPU_JOB_GENERATE;
	expected.step.ring_segment = 7;
	expected.step.ring_offset = 8;
	expected.step.ring_entries = 16;
	assert_memory_equal(&job, &expected, sizeof(job));
}

static void queue_arguments_are_checked(void **state)
{
	struct test_bench *bench = *state;
	const struct aipu_result *peeked;
	struct aipu_result result;
	struct aipu_queue *queue;

	assert_int_equal(aipu_queue_create(NULL, 4, &queue), -EINVAL);
	assert_int_equal(aipu_queue_create(bench->context, 4, NULL), -EINVAL);
	assert_int_equal(aipu_queue_create(bench->context, 0, &queue), -EINVAL);
	assert_int_equal(aipu_queue_create(bench->context, 4096, &queue), -EINVAL);
	assert_null(queue);
	assert_null(aipu_queue_get_job(NULL, 0));
	assert_int_equal(aipu_queue_submit(NULL), -EINVAL);
	assert_int_equal(aipu_queue_peek(NULL, &peeked), -EINVAL);
	assert_int_equal(aipu_queue_peek(bench->queue, NULL), -EINVAL);
	assert_int_equal(aipu_queue_wait(NULL, &peeked, 0), -EINVAL);
	assert_int_equal(aipu_queue_fd(NULL), -EINVAL);
	assert_int_equal(aipu_queue_fd(bench->queue), 42);
	assert_int_equal(aipu_queue_abort(NULL, 0), -EINVAL);
	aipu_queue_seen(NULL, NULL);
	aipu_queue_destroy(NULL);
	/* Nothing prepped; two prepped; one in flight already */
	assert_int_equal(aipu_queue_submit_and_wait(bench->queue, &result), -EINVAL);
	aipu_queue_get_job(bench->queue, 0);
	assert_int_equal(aipu_queue_submit_and_wait(bench->queue, NULL), -EINVAL);
	aipu_queue_get_job(bench->queue, 0);
	assert_int_equal(aipu_queue_submit_and_wait(bench->queue, &result), -EINVAL);
	assert_int_equal(aipu_queue_submit(bench->queue), 2);
	aipu_queue_get_job(bench->queue, 0);
	assert_int_equal(aipu_queue_submit_and_wait(bench->queue, &result), -EINVAL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, up, bench_down)
	const struct CMUnitTest tests[] = {
		TEST(jobs_are_handed_out_and_submitted),
		TEST(partial_submission_keeps_the_rest),
		TEST(impossible_completions_are_refused),
		TEST(unknown_ids_are_refused),
		TEST(wait_passes_errors_up),
		TEST(id_is_not_reused_during_abort),
		TEST(ring_is_read_in_order_and_wraps),
		TEST(ring_wait_wakes_for_both),
		TEST(ring_arguments_are_checked),
		TEST(refusals_have_words),
		TEST(statuses_have_words_and_errnos),
		TEST(preps_fill_in_jobs),
		TEST(queue_arguments_are_checked),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("libaipu_front", tests, NULL, NULL);
}
