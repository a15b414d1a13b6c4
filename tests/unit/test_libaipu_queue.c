// SPDX-License-Identifier: MIT
/*
 * Jobs, on the software device or a card: NOP, COPY, FILL in all directions, full queues, waits, the eventfd, abort,
 * time limits, reset, isolation of contexts. Where a test needs a job that runs while it looks, it takes
 * one that copies for much longer than that.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "libaipu_test.h"

#define ENDLESS_BYTES (16ull << 20)

/*
 * A job that copies within device memory 1,024 times 16 MiB, and what it needs. It makes digests of what it
 * copies: the copies alone take a second or two where the memory stays in a cache.
 */
struct endless {
	struct aipu_buffer *list, *memory;
	int list_segment, memory_segment;
};

static void endless_up(struct endless *endless, struct aipu_device *device,
		       struct aipu_context *context)
{
	uint8_t *zeros = calloc(1, ENDLESS_BYTES), digest[AIPU_DIGEST_BYTES];
	struct aipu_copy_entry *entries;

	assert_non_null(zeros);
	SHA256(zeros, ENDLESS_BYTES, digest); /* of the buffer as it is handed out */
	free(zeros);
	endless->list = test_buffer(device, AIPU_COPY_MAX_LIST * sizeof(*entries));
	assert_int_equal(aipu_buffer_create(device, AIPU_BUFFER_DEVICE, 2 * ENDLESS_BYTES,
					    &endless->memory),
			 0);
	endless->list_segment = aipu_segment_bind(context, endless->list, 0, 0, AIPU_READ);
	endless->memory_segment =
		aipu_segment_bind(context, endless->memory, 0, 0, AIPU_READ | AIPU_WRITE);
	assert_true(endless->list_segment >= 0 && endless->memory_segment >= 0);
	entries = aipu_buffer_data(endless->list);
	for (unsigned int i = 0; i < AIPU_COPY_MAX_LIST; i++) {
		entries[i] = (struct aipu_copy_entry){
			.src_segment = (uint32_t)endless->memory_segment,
			.dst_segment = (uint32_t)endless->memory_segment,
			.dst_offset = ENDLESS_BYTES,
			.length = ENDLESS_BYTES,
		};
		memcpy(entries[i].digest, digest, sizeof(digest));
	}
}

/*
 * Returns when it runs: between two jobs of another queue the device made steps that are not theirs. A card does not tell; it
 * takes the queues in turn.
 */
static void endless_runs(struct aipu_context *context)
{
	struct aipu_result result;
	struct aipu_queue *queue;
	uint32_t last = 0;

	assert_int_equal(aipu_queue_create(context, 1, &queue), 0);
	for (unsigned int i = 0, n = 0; i < 2; n++) {
		aipu_prep_nop(aipu_queue_get_job(queue, 0));
		assert_int_equal(test_run(queue, &result), AIPU_STATUS_OK);
		i += test_is_card() ? n % 5 == 4 : last && result.step_start != last;
		last = result.step_end;
	}
	aipu_queue_destroy(queue);
}

static void endless_prep(const struct endless *endless, struct aipu_queue *queue,
			 uint64_t user_data)
{
	struct aipu_job *job = aipu_queue_get_job(queue, user_data);

	assert_non_null(job);
	aipu_prep_copy_list(job, endless->list_segment, 0, AIPU_COPY_MAX_LIST);
	job->copy.flags = AIPU_COPY_VERIFY;
}

static void endless_down(struct endless *endless, struct aipu_context *context)
{
	assert_int_equal(aipu_segment_unbind(context, endless->list_segment), 0);
	assert_int_equal(aipu_segment_unbind(context, endless->memory_segment), 0);
	assert_int_equal(aipu_buffer_destroy(endless->list), 0);
	assert_int_equal(aipu_buffer_destroy(endless->memory), 0);
}

static void jobs_end_in_order(void **state)
{
	struct test_bench *bench = *state;
	const struct aipu_result *result;

	for (unsigned int round = 0; round < 10; round++) {
		for (unsigned int i = 0; i < 8; i++) {
			struct aipu_job *job = aipu_queue_get_job(bench->queue, round * 8 + i);

			assert_non_null(job);
			aipu_prep_nop(job);
		}
		assert_null(aipu_queue_get_job(bench->queue, 0)); /* full */
		assert_int_equal(aipu_queue_submit(bench->queue), 8);
		for (unsigned int i = 0; i < 8; i++) {
			result = test_wait(bench->queue);
			assert_int_equal(result->user_data, round * 8 + i);
			assert_int_equal(result->status, AIPU_STATUS_OK);
			assert_int_equal(result->detail, 0);
			aipu_queue_seen(bench->queue, result);
		}
		assert_int_equal(aipu_queue_peek(bench->queue, &result), -EAGAIN);
		assert_int_equal(aipu_queue_wait(bench->queue, &result, 0), -ETIME);
	}
}

/* The largest and the smallest queue, filled to the last place several times round their rings */
static void queues_of_all_sizes(void **state)
{
	static const uint32_t sizes[] = { 1, 2, 3, 4, 5, 64, 4095 };
	struct test_bench *bench = *state;

	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct aipu_queue *queue;
		uint64_t next = 0;

		assert_int_equal(aipu_queue_create(bench->context, sizes[i], &queue), 0);
		for (unsigned int round = 0; round < 5; round++) {
			for (uint32_t n = 0; n < sizes[i]; n++)
				aipu_prep_nop(aipu_queue_get_job(queue, n));
			assert_null(aipu_queue_get_job(queue, 0));
			assert_int_equal(aipu_queue_submit(queue), sizes[i]);
			for (next = 0; next < sizes[i]; next++) {
				const struct aipu_result *result = test_wait(queue);

				assert_int_equal(result->user_data, next);
				assert_int_equal(result->status, AIPU_STATUS_OK);
				aipu_queue_seen(queue, result);
			}
		}
		aipu_queue_destroy(queue);
	}
}

/* JOB-3, JOB-6: every direction of COPY, odd lengths of FILL, and nothing beside the range */
static void copy_and_fill(void **state)
{
	struct test_bench *bench = *state;
	struct aipu_buffer *host = test_buffer(bench->device, 3 * 4096 + 100), *device;
	unsigned char *bytes = aipu_buffer_data(host);
	struct aipu_copy_entry *list;
	struct aipu_job *job;
	int h, d;

	assert_int_equal(aipu_buffer_create(bench->device, AIPU_BUFFER_DEVICE, 8192, &device), 0);
	h = aipu_segment_bind(bench->context, host, 0, 0, AIPU_READ | AIPU_WRITE);
	d = aipu_segment_bind(bench->context, device, 0, 0, AIPU_READ | AIPU_WRITE);
	assert_true(h >= 0 && d >= 0 && h != d);
	memset(bytes, 0xee, 3 * 4096 + 100);
	assert_int_equal(test_fill(bench->queue, h, 5, 7, 0x04030201), AIPU_STATUS_OK);
	assert_memory_equal(bytes, "\xee\xee\xee\xee\xee\1\2\3\4\1\2\3\xee\xee", 14);
	/* To the last byte, and not beyond */
	assert_int_equal(test_fill(bench->queue, h, 3 * 4096 + 99, 1, 0x55), AIPU_STATUS_OK);
	assert_int_equal(bytes[3 * 4096 + 99], 0x55);
	assert_int_equal(test_fill(bench->queue, h, 3 * 4096 + 99, 2, 0x66),
			 AIPU_STATUS_OUT_OF_RANGE);
	assert_int_equal(bytes[3 * 4096 + 99], 0x55);
	for (unsigned int i = 0; i < 4096; i++)
		bytes[i] = (unsigned char)(i * 7);
	/* host to device, device to device, device to host, host to host */
	assert_int_equal(test_copy(bench->queue, d, 3, h, 0, 4000), AIPU_STATUS_OK);
	assert_int_equal(test_copy(bench->queue, d, 4003, d, 3, 4000), AIPU_STATUS_OK);
	assert_int_equal(test_copy(bench->queue, h, 4097, d, 4003, 4000), AIPU_STATUS_OK);
	assert_int_equal(test_copy(bench->queue, h, 8192, h, 4097, 4000), AIPU_STATUS_OK);
	assert_memory_equal(bytes, bytes + 4097, 4000);
	assert_memory_equal(bytes, bytes + 8192, 4000);
	assert_int_equal(bytes[8192 + 4000], 0xee);
	if (aipu_buffer_data(device))
		assert_memory_equal((unsigned char *)aipu_buffer_data(device) + 4003, bytes, 4000);
	/* A list */
	list = (struct aipu_copy_entry *)(bytes + 4096);
	memset(list, 0, 2 * sizeof(*list));
	for (unsigned int i = 0; i < 2; i++)
		list[i] = (struct aipu_copy_entry){
			.src_segment = (uint32_t)h,
			.dst_segment = (uint32_t)d,
			.src_offset = i * 100,
			.dst_offset = 1000 - i * 100,
			.length = 100,
		};
	job = aipu_queue_get_job(bench->queue, 0);
	aipu_prep_copy_list(job, h, 4096, 2);
	assert_int_equal(test_run(bench->queue, NULL), AIPU_STATUS_OK);
	assert_int_equal(test_copy(bench->queue, h, 8192, d, 900, 200), AIPU_STATUS_OK);
	assert_memory_equal(bytes + 8192, bytes + 100, 100);
	assert_memory_equal(bytes + 8292, bytes, 100);
	assert_int_equal(aipu_segment_unbind(bench->context, h), 0);
	assert_int_equal(aipu_segment_unbind(bench->context, d), 0);
	assert_int_equal(aipu_buffer_destroy(host), 0);
	assert_int_equal(aipu_buffer_destroy(device), 0);
}

/* FLT-1: a job that fails says why, and the next one runs */
static void bad_jobs_are_refused(void **state)
{
	struct test_bench *bench = *state;
	struct aipu_buffer *buffer = test_buffer(bench->device, 8192);
	struct aipu_result result;
	struct aipu_job *job;
	int r = aipu_segment_bind(bench->context, buffer, 0, 4096, AIPU_READ);
	int w = aipu_segment_bind(bench->context, buffer, 4096, 4096, AIPU_WRITE);

	assert_true(r >= 0 && w >= 0);
	assert_int_equal(test_fill(bench->queue, r, 0, 4, 1), AIPU_STATUS_ACCESS_DENIED);
	assert_int_equal(test_copy(bench->queue, w, 0, w, 64, 4), AIPU_STATUS_ACCESS_DENIED);
	assert_int_equal(test_copy(bench->queue, w, 0, r, 0, 4097), AIPU_STATUS_OUT_OF_RANGE);
	assert_int_equal(test_copy(bench->queue, w, 4096, r, 0, 1), AIPU_STATUS_OUT_OF_RANGE);
	assert_int_equal(test_copy(bench->queue, w, UINT64_MAX - 1, r, 0, 4),
			 AIPU_STATUS_OUT_OF_RANGE);
	assert_int_equal(test_copy(bench->queue, w, 0, -1, 0, 4), AIPU_STATUS_INVALID_SEGMENT);
	assert_int_equal(test_copy(bench->queue, 200, 0, r, 0, 4), AIPU_STATUS_INVALID_SEGMENT);
	assert_int_equal(test_copy(bench->queue, w, 0, r, 0, 0), AIPU_STATUS_INVALID_FIELD);
	job = aipu_queue_get_job(bench->queue, 9);
	job->opcode = 0x77;
	assert_int_equal(test_run(bench->queue, &result), AIPU_STATUS_INVALID_OPCODE);
	assert_int_equal(result.user_data, 9);
	job = aipu_queue_get_job(bench->queue, 0);
	aipu_prep_nop(job);
	job->reserved = 1;
	assert_int_equal(test_run(bench->queue, &result), AIPU_STATUS_INVALID_FIELD);
	assert_int_equal(result.detail, offsetof(struct aipu_job, reserved));
	job = aipu_queue_get_job(bench->queue, 0);
	aipu_prep_run(job, r, 0, 0, r, 0, 1);
	assert_int_not_equal(test_run(bench->queue, NULL), AIPU_STATUS_OK);
	assert_int_equal(test_copy(bench->queue, w, 0, r, 0, 4096), AIPU_STATUS_OK);
	assert_int_equal(aipu_segment_unbind(bench->context, r), 0);
	assert_int_equal(aipu_segment_unbind(bench->context, w), 0);
	/* Unbound is as good as never bound */
	assert_int_equal(test_fill(bench->queue, w, 0, 4, 1), AIPU_STATUS_INVALID_SEGMENT);
	assert_int_equal(aipu_buffer_destroy(buffer), 0);
}

/* Nothing of one context can be named in another */
static void contexts_are_isolated(void **state)
{
	struct test_bench *bench = *state;
	struct aipu_buffer *mine = test_buffer(bench->device, 4096);
	struct aipu_buffer *theirs = test_buffer(bench->device, 4096);
	struct aipu_context *other;
	struct aipu_queue *queue;
	int here, there;

	assert_int_equal(aipu_context_create(bench->device, &other), 0);
	assert_int_equal(aipu_queue_create(other, 2, &queue), 0);
	memset(aipu_buffer_data(mine), 0x5a, 4096);
	memset(aipu_buffer_data(theirs), 0xa5, 4096);
	/* An id that only the first context has */
	assert_true(aipu_segment_bind(bench->context, mine, 0, 0, AIPU_READ) >= 0);
	here = aipu_segment_bind(bench->context, mine, 0, 0, AIPU_READ | AIPU_WRITE);
	there = aipu_segment_bind(other, theirs, 0, 0, AIPU_READ | AIPU_WRITE);
	assert_true(here >= 0 && there >= 0 && here != there);
	assert_int_equal(test_fill(queue, here, 0, 4096, 0), AIPU_STATUS_INVALID_SEGMENT);
	assert_int_equal(test_copy(queue, there, 0, here, 0, 64), AIPU_STATUS_INVALID_SEGMENT);
	assert_int_equal(test_copy(queue, here, 0, there, 0, 64), AIPU_STATUS_INVALID_SEGMENT);
	for (unsigned int i = 0; i < 4096; i++) {
		assert_int_equal(((unsigned char *)aipu_buffer_data(mine))[i], 0x5a);
		assert_int_equal(((unsigned char *)aipu_buffer_data(theirs))[i], 0xa5);
	}
	/* The same id names each one's own */
	assert_int_equal(test_fill(queue, there, 0, 4, 0x11111111), AIPU_STATUS_OK);
	assert_int_equal(*(uint32_t *)aipu_buffer_data(theirs), 0x11111111);
	assert_int_equal(*(uint32_t *)aipu_buffer_data(mine), 0x5a5a5a5a);
	aipu_queue_destroy(queue);
	/* The context takes its bindings with it; until then the buffer is in use */
	assert_int_equal(aipu_buffer_destroy(theirs), -EBUSY);
	aipu_context_destroy(other);
	assert_int_equal(aipu_buffer_destroy(theirs), 0);
	assert_int_equal(aipu_segment_unbind(bench->context, here), 0);
	assert_int_equal(aipu_buffer_destroy(mine), -EBUSY);
	assert_int_equal(aipu_segment_unbind(bench->context, 0), 0);
	assert_int_equal(aipu_buffer_destroy(mine), 0);
}

/* ADM-8: of a running job and of one that waits behind it; twice is once */
static void abort_ends_jobs(void **state)
{
	struct test_bench *bench = *state;
	const struct aipu_result *result;
	struct endless endless;

	endless_up(&endless, bench->device, bench->context);
	endless_prep(&endless, bench->queue, 1);
	endless_prep(&endless, bench->queue, 2);
	aipu_prep_nop(aipu_queue_get_job(bench->queue, 3));
	assert_int_equal(aipu_queue_abort(bench->queue, 1), -ENOENT); /* not submitted */
	assert_int_equal(aipu_queue_submit(bench->queue), 3);
	/* The completion of a queued job does not wait for its turn */
	assert_int_equal(aipu_queue_abort(bench->queue, 2), 0);
	result = test_wait(bench->queue);
	assert_int_equal(result->user_data, 2);
	assert_int_equal(result->status, AIPU_STATUS_ABORTED);
	aipu_queue_seen(bench->queue, result);
	assert_int_equal(aipu_queue_abort(bench->queue, 2), -ENOENT);
	assert_int_equal(aipu_queue_abort(bench->queue, 1), 0);
	result = test_wait(bench->queue);
	assert_int_equal(result->user_data, 1);
	assert_int_equal(result->status, AIPU_STATUS_ABORTED);
	aipu_queue_seen(bench->queue, result);
	result = test_wait(bench->queue);
	assert_int_equal(result->user_data, 3);
	assert_int_equal(result->status, AIPU_STATUS_OK);
	aipu_queue_seen(bench->queue, result);
	assert_int_equal(aipu_queue_abort(bench->queue, 1), -ENOENT);
	assert_int_equal(aipu_queue_peek(bench->queue, &result), -EAGAIN);
	/* Ended, but not reaped yet */
	aipu_prep_nop(aipu_queue_get_job(bench->queue, 4));
	aipu_prep_nop(aipu_queue_get_job(bench->queue, 5));
	assert_int_equal(aipu_queue_submit(bench->queue), 2);
	result = test_wait(bench->queue);
	aipu_queue_seen(bench->queue, result);
	result = test_wait(bench->queue);
	assert_int_equal(aipu_queue_abort(bench->queue, 5), -ENOENT);
	aipu_queue_seen(bench->queue, result);
	endless_down(&endless, bench->context);
}

/* RING-4: places come back with the job before; until then one that finds none stays prepped, and nothing is lost */
static void places_of_aborted_jobs(void **state)
{
	struct test_bench *bench = *state;
	const struct aipu_result *result;
	struct aipu_queue *queue;
	struct endless endless;
	uint64_t job = 2;
	int taken;

	endless_up(&endless, bench->device, bench->context);
	assert_int_equal(aipu_queue_create(bench->context, 3, &queue), 0);
	endless_prep(&endless, queue, 1);
	endless_prep(&endless, queue, 2); /* waits to be started */
	assert_int_equal(aipu_queue_submit(queue), 2);
	for (;;) {
		aipu_prep_nop(aipu_queue_get_job(queue, ++job));
		taken = aipu_queue_submit(queue);
		if (taken != 1)
			break;
		assert_int_equal(aipu_queue_abort(queue, job), 0);
		result = test_wait(queue);
		assert_int_equal(result->user_data, job);
		assert_int_equal(result->status, AIPU_STATUS_ABORTED);
		aipu_queue_seen(queue, result);
		assert_true(job < 100);
	}
	assert_int_equal(taken, 0);
	assert_int_equal(aipu_queue_abort(queue, job), -ENOENT); /* not submitted */
	for (uint64_t i = 1; i <= 2; i++) {
		assert_int_equal(aipu_queue_abort(queue, i), 0);
		result = test_wait(queue);
		assert_int_equal(result->user_data, i);
		assert_int_equal(result->status, AIPU_STATUS_ABORTED);
		aipu_queue_seen(queue, result);
	}
	assert_int_equal(aipu_queue_submit(queue), 1);
	result = test_wait(queue);
	assert_int_equal(result->user_data, job);
	assert_int_equal(result->status, AIPU_STATUS_OK);
	aipu_queue_seen(queue, result);
	aipu_queue_destroy(queue);
	endless_down(&endless, bench->context);
}

/* JOB-7 */
static void time_limit_ends_jobs(void **state)
{
	struct test_bench *bench = *state;
	struct endless endless;
	struct aipu_job *job;

	endless_up(&endless, bench->device, bench->context);
	job = aipu_queue_get_job(bench->queue, 0);
	aipu_prep_copy_list(job, endless.list_segment, 0, AIPU_COPY_MAX_LIST);
	job->copy.flags = AIPU_COPY_VERIFY;
	aipu_job_set_timeout(job, 2);
	assert_int_equal(test_run(bench->queue, NULL), AIPU_STATUS_TIMEOUT);
	aipu_prep_nop(aipu_queue_get_job(bench->queue, 0));
	assert_int_equal(test_run(bench->queue, NULL), AIPU_STATUS_OK);
	endless_down(&endless, bench->context);
}

/* ADM-5: jobs end with CONTEXT_RESET; queue, segments stay, and the other context's job goes on */
static void context_reset_ends_its_jobs_only(void **state)
{
	struct test_bench *bench = *state;
	const struct aipu_result *result;
	struct aipu_context *other;
	struct aipu_queue *queue;
	struct endless endless, others;

	assert_int_equal(aipu_context_create(bench->device, &other), 0);
	assert_int_equal(aipu_queue_create(other, 4, &queue), 0);
	endless_up(&endless, bench->device, bench->context);
	others.list = endless.list;
	others.list_segment = aipu_segment_bind(other, endless.list, 0, 0, AIPU_READ);
	others.memory_segment =
		aipu_segment_bind(other, endless.memory, 0, 0, AIPU_READ | AIPU_WRITE);
	assert_int_equal(others.memory_segment, endless.memory_segment);
	endless_prep(&endless, bench->queue, 1);
	endless_prep(&endless, bench->queue, 2);
	endless_prep(&others, queue, 3);
	assert_int_equal(aipu_queue_submit(queue), 1);
	assert_int_equal(aipu_queue_submit(bench->queue), 2);
	assert_int_equal(aipu_context_reset(bench->context), 0);
	for (unsigned int i = 1; i <= 2; i++) {
		/* A card's answer may be here before the interrupt of its jobs. */
		result = test_wait(bench->queue);
		assert_int_equal(result->user_data, i);
		assert_int_equal(result->status, AIPU_STATUS_CONTEXT_RESET);
		aipu_queue_seen(bench->queue, result);
	}
	assert_int_equal(aipu_queue_peek(queue, &result), -EAGAIN);
	assert_int_equal(test_fill(bench->queue, endless.memory_segment, 0, 64, 5), AIPU_STATUS_OK);
	assert_int_equal(aipu_queue_abort(queue, 3), 0);
	result = test_wait(queue);
	assert_int_equal(result->status, AIPU_STATUS_ABORTED);
	aipu_queue_seen(queue, result);
	aipu_queue_destroy(queue);
	aipu_context_destroy(other);
	endless_down(&endless, bench->context);
}

/* JOB-8: a job of another queue waits for at most one step of the one that runs */
static void long_jobs_delay_others_by_one_step(void **state)
{
	struct test_bench *bench = *state;
	const struct aipu_result *result;
	struct aipu_context *other;
	struct aipu_queue *queue;
	struct endless endless;

	assert_int_equal(aipu_context_create(bench->device, &other), 0);
	assert_int_equal(aipu_queue_create(other, 1, &queue), 0);
	endless_up(&endless, bench->device, bench->context);
	endless_prep(&endless, bench->queue, 1);
	assert_int_equal(aipu_queue_submit(bench->queue), 1);
	for (unsigned int i = 0; i < 20; i++) {
		struct aipu_result nop;

		aipu_prep_nop(aipu_queue_get_job(queue, i));
		assert_int_equal(test_run(queue, &nop), AIPU_STATUS_OK);
		assert_true(nop.step_start - nop.step_seen <= 1);
	}
	assert_int_equal(aipu_queue_peek(bench->queue, &result), -EAGAIN);
	/* Destroying a queue ends what runs on it */
	aipu_queue_destroy(queue);
	assert_int_equal(aipu_queue_create(other, 1, &queue), 0);
	aipu_queue_destroy(queue);
	aipu_context_destroy(other);
	assert_int_equal(aipu_queue_abort(bench->queue, 1), 0);
	result = test_wait(bench->queue);
	assert_true(test_is_card() || result->step_end - result->step_start >= 20);
	aipu_queue_seen(bench->queue, result);
	endless_down(&endless, bench->context);
}

static void destroying_a_queue_aborts(void **state)
{
	struct test_bench *bench = *state;
	struct aipu_queue *queue;
	struct endless endless;

	endless_up(&endless, bench->device, bench->context);
	assert_int_equal(aipu_queue_create(bench->context, 2, &queue), 0);
	endless_prep(&endless, queue, 1);
	endless_prep(&endless, queue, 2);
	assert_int_equal(aipu_queue_submit(queue), 2);
	aipu_queue_destroy(queue);
	endless_down(&endless, bench->context);
}

struct unbinder {
	struct aipu_context *context;
	int segment, error;
	atomic_bool started, ended;
};

static void *unbind_thread(void *arg)
{
	struct unbinder *unbinder = arg;

	atomic_store(&unbinder->started, true);
	unbinder->error = aipu_segment_unbind(unbinder->context, unbinder->segment);
	atomic_store(&unbinder->ended, true);
	return NULL;
}

/* SEG-5: UNBIND of what a job holds waits for the job, and holds up no other admin command */
static void unbind_waits_alone(void **state)
{
	struct test_bench *bench = *state;
	const struct aipu_result *result;
	struct unbinder unbinder = { .context = bench->context };
	struct aipu_context *beside;
	struct aipu_buffer *buffer;
	struct endless endless;
	pthread_t thread;
	bool early;
	int segment;

	beside = test_context_beside(bench->context, bench->device);
	endless_up(&endless, bench->device, bench->context);
	endless_prep(&endless, bench->queue, 1);
	assert_int_equal(aipu_queue_submit(bench->queue), 1);
	endless_runs(bench->context);
	unbinder.segment = endless.memory_segment;
	assert_int_equal(pthread_create(&thread, NULL, unbind_thread, &unbinder), 0);
	while (!atomic_load(&unbinder.started))
		sched_yield();
	for (unsigned int i = 0; i < 10; i++) {
		buffer = test_buffer(bench->device, 4096);
		segment = aipu_segment_bind(beside, buffer, 0, 0, AIPU_READ);
		assert_true(segment >= 0);
		assert_true(beside != bench->context || segment != unbinder.segment);
		assert_int_equal(aipu_segment_unbind(beside, segment), 0);
		assert_int_equal(aipu_buffer_destroy(buffer), 0);
	}
	assert_int_equal(aipu_segment_unbind(beside, 9999), -ENOENT);
	early = atomic_load(&unbinder.ended);
	assert_int_equal(aipu_queue_abort(bench->queue, 1), 0);
	pthread_join(thread, NULL);
	assert_false(early);
	assert_int_equal(unbinder.error, 0);
	result = test_wait(bench->queue);
	assert_int_equal(result->status, AIPU_STATUS_ABORTED);
	aipu_queue_seen(bench->queue, result);
	assert_int_equal(aipu_buffer_destroy(endless.memory), 0);
	assert_int_equal(aipu_segment_unbind(bench->context, endless.list_segment), 0);
	assert_int_equal(aipu_buffer_destroy(endless.list), 0);
	test_context_drop(beside);
}

/* The fd alone is enough to know when to look, every time */
static void eventfd_can_be_polled(void **state)
{
	struct test_bench *bench = *state;
	struct pollfd fd = { .fd = aipu_queue_fd(bench->queue), .events = POLLIN };
	const struct aipu_result *result;

	assert_true(fd.fd >= 0);
	assert_int_equal(poll(&fd, 1, 0), 0);
	for (unsigned int i = 0; i < 2000; i++) {
		unsigned int seen = 0, jobs = 1 + i % 3;

		for (unsigned int n = 0; n < jobs; n++)
			aipu_prep_nop(aipu_queue_get_job(bench->queue, i));
		assert_int_equal(aipu_queue_submit(bench->queue), jobs);
		while (seen < jobs) {
			assert_int_equal(poll(&fd, 1, 120000), 1);
			while (!aipu_queue_peek(bench->queue, &result)) {
				assert_int_equal(result->user_data, i);
				aipu_queue_seen(bench->queue, result);
				seen++;
			}
		}
	}
}

static void on_signal(int signal)
{
	(void)signal;
}

struct signaller {
	pthread_t target;
	atomic_bool stop;
};

static void *signal_thread(void *arg)
{
	struct signaller *signaller = arg;
	struct timespec pause = { .tv_nsec = 1000000 };

	while (!atomic_load(&signaller->stop)) {
		pthread_kill(signaller->target, SIGUSR1);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void waits_end(void **state)
{
	struct test_bench *bench = *state;
	struct sigaction action = { .sa_handler = on_signal }, before;
	struct signaller signaller = { .target = pthread_self() };
	const struct aipu_result *result;
	struct endless endless;
	pthread_t thread;

	endless_up(&endless, bench->device, bench->context);
	endless_prep(&endless, bench->queue, 1);
	assert_int_equal(aipu_queue_submit(bench->queue), 1);
	assert_int_equal(aipu_queue_wait(bench->queue, &result, 0), -ETIME);
	assert_int_equal(aipu_queue_wait(bench->queue, &result, 2000000), -ETIME);
	assert_null(result);
	assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
	assert_int_equal(pthread_create(&thread, NULL, signal_thread, &signaller), 0);
	assert_int_equal(aipu_queue_wait(bench->queue, &result, -1), -EINTR);
	atomic_store(&signaller.stop, true);
	pthread_join(thread, NULL);
	sigaction(SIGUSR1, &before, NULL);
	assert_int_equal(aipu_queue_abort(bench->queue, 1), 0);
	result = test_wait(bench->queue);
	aipu_queue_seen(bench->queue, result);
	endless_down(&endless, bench->context);
}

/* More than a second: the waiter looks whether the device lives, and goes on waiting */
static void *late_abort_thread(void *arg)
{
	struct timespec pause = { .tv_sec = 1, .tv_nsec = 300000000 };

	nanosleep(&pause, NULL);
	return (void *)(intptr_t)aipu_queue_abort(arg, 1);
}

static void abort_comes_from_another_thread(void **state)
{
	struct test_bench *bench = *state;
	const struct aipu_result *result;
	struct endless endless;
	pthread_t thread;
	void *error;

	endless_up(&endless, bench->device, bench->context);
	endless_prep(&endless, bench->queue, 1);
	assert_int_equal(aipu_queue_submit(bench->queue), 1);
	assert_int_equal(pthread_create(&thread, NULL, late_abort_thread, bench->queue), 0);
	result = test_wait(bench->queue);
	assert_int_equal(result->status, AIPU_STATUS_ABORTED);
	pthread_join(thread, &error);
	assert_int_equal((intptr_t)error, 0);
	aipu_queue_seen(bench->queue, result);
	endless_down(&endless, bench->context);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_up, bench_down)
	const struct CMUnitTest tests[] = {
		TEST(jobs_end_in_order),
		TEST(queues_of_all_sizes),
		TEST(copy_and_fill),
		TEST(bad_jobs_are_refused),
		TEST(contexts_are_isolated),
		TEST(abort_ends_jobs),
		TEST(places_of_aborted_jobs),
		TEST(time_limit_ends_jobs),
		TEST(context_reset_ends_its_jobs_only),
		TEST(long_jobs_delay_others_by_one_step),
		TEST(destroying_a_queue_aborts),
		TEST(unbind_waits_alone),
		TEST(eventfd_can_be_polled),
		TEST(waits_end),
		TEST(abort_comes_from_another_thread),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("libaipu_queue", tests, NULL, NULL);
}
