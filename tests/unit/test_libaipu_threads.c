// SPDX-License-Identifier: MIT
/*
 * Threads: each with a device of its own, and all on one device with contexts, buffers and queues of
 * their own. Made for the thread sanitizer; each thread also checks the bytes that it gets.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "libaipu_test.h"

#define THREADS 4u
#define ROUNDS 12u
#define WORDS (48u << 10)

/* Assertions jump out of the thread that they fail in, so threads count instead */
#define CHECK(worker, condition)                           \
	do {                                               \
		if (!(condition)) {                        \
			if (!(worker)->failures++)         \
				(worker)->line = __LINE__; \
			return;                            \
		}                                          \
	} while (0)

struct worker {
	struct aipu_device *device; /* shared, or NULL: opens its own */
	unsigned int number, failures;
	int line;
};

static unsigned int run_one(struct aipu_queue *queue)
{
	struct aipu_result result;

	return aipu_queue_submit_and_wait(queue, &result) ? ~0u : result.status;
}

static void queue_work(struct worker *worker, struct aipu_queue *queue, int device, int host,
		       const uint32_t *words)
{
	for (unsigned int round = 0; round < ROUNDS; round++) {
		uint32_t pattern = worker->number << 16 | round;

		aipu_prep_fill(aipu_queue_get_job(queue, 0), device, 0, WORDS * 4, pattern);
		CHECK(worker, run_one(queue) == AIPU_STATUS_OK);
		aipu_prep_copy(aipu_queue_get_job(queue, 1), host, 0, device, 0, WORDS * 4);
		CHECK(worker, run_one(queue) == AIPU_STATUS_OK);
		for (unsigned int i = 0; i < WORDS; i++)
			CHECK(worker, words[i] == pattern);
	}
}

static void context_work(struct worker *worker, struct aipu_device *device)
{
	struct aipu_buffer *near = NULL, *far = NULL;
	struct aipu_context *context;
	struct aipu_queue *queue;
	struct aipu_device_info info;
	int host, memory;

	CHECK(worker, !aipu_context_create(device, &context));
	CHECK(worker, !aipu_queue_create(context, 2, &queue));
	CHECK(worker, !aipu_buffer_create(device, AIPU_BUFFER_HOST, WORDS * 4, &near));
	CHECK(worker, !aipu_buffer_create(device, AIPU_BUFFER_DEVICE, WORDS * 4, &far));
	host = aipu_segment_bind(context, near, 0, 0, AIPU_READ | AIPU_WRITE);
	memory = aipu_segment_bind(context, far, 0, 0, AIPU_READ | AIPU_WRITE);
	CHECK(worker, host >= 0 && memory >= 0);
	queue_work(worker, queue, memory, host, aipu_buffer_data(near));
	CHECK(worker, !aipu_device_query(device, &info));
	aipu_queue_destroy(queue);
	CHECK(worker, !aipu_segment_unbind(context, host));
	CHECK(worker, !aipu_segment_unbind(context, memory));
	aipu_context_destroy(context);
	CHECK(worker, !aipu_buffer_destroy(near));
	CHECK(worker, !aipu_buffer_destroy(far));
}

static void *worker_main(void *arg)
{
	struct aipu_device_options options = { .cores = 2, .memory_bytes = 8u << 20 };
	struct worker *worker = arg;
	struct aipu_device *device = worker->device;

	if (!device && aipu_device_open(&device, test_device(), &options, NULL)) {
		worker->failures++;
		return NULL;
	}
	for (unsigned int i = 0; i < 2 && !worker->failures; i++)
		context_work(worker, device);
	if (!worker->device)
		aipu_device_close(device);
	return NULL;
}

static void work_together(struct aipu_device *device)
{
	struct worker workers[THREADS] = { 0 };
	pthread_t threads[THREADS];

	for (unsigned int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .device = device, .number = i + 1 };
		assert_int_equal(pthread_create(&threads[i], NULL, worker_main, &workers[i]), 0);
	}
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		if (workers[i].failures)
			print_error("# thread %u failed at line %d\n", i, workers[i].line);
		assert_int_equal(workers[i].failures, 0);
	}
}

static void a_device_each(void **state)
{
	(void)state;
	work_together(NULL);
}

static void one_device_for_all(void **state)
{
	struct aipu_device *device = test_open(2, 16u << 20);

	(void)state;
	work_together(device);
	aipu_device_close(device);
}

/* One thread submits and takes, another aborts whatever there is: every job ends exactly once */
struct aborter {
	struct aipu_queue *queue;
	atomic_bool stop;
	unsigned int hits, misses, errors;
};

static void *aborter_main(void *arg)
{
	struct aborter *aborter = arg;
	uint64_t next = 0;

	while (!atomic_load(&aborter->stop)) {
		switch (aipu_queue_abort(aborter->queue, next++ % 8)) {
		case 0:
			aborter->hits++;
			break;
		case -ENOENT:
			aborter->misses++;
			break;
		default:
			aborter->errors++;
		}
	}
	return NULL;
}

static void jobs_end_once_whoever_aborts(void **state)
{
	struct test_bench *bench = *state;
	struct aborter aborter = { .queue = bench->queue };
	unsigned int handed = 0, ended = 0, aborted = 0, inflight[8] = { 0 };
	struct aipu_buffer *buffer;
	pthread_t thread;
	int segment;

	assert_int_equal(aipu_buffer_create(bench->device, AIPU_BUFFER_DEVICE, 8u << 20, &buffer),
			 0);
	segment = aipu_segment_bind(bench->context, buffer, 0, 0, AIPU_WRITE);
	assert_true(segment >= 0);
	assert_int_equal(pthread_create(&thread, NULL, aborter_main, &aborter), 0);
	while (ended < 400) {
		const struct aipu_result *result;
		struct aipu_job *job;

		while (handed < 400 && (job = aipu_queue_get_job(bench->queue, handed % 8))) {
			aipu_prep_fill(job, segment, 0, 8u << 20, handed);
			inflight[handed++ % 8]++;
		}
		assert_true(aipu_queue_submit(bench->queue) >= 0);
		result = test_wait(bench->queue);
		assert_true(result->status == AIPU_STATUS_OK ||
			    result->status == AIPU_STATUS_ABORTED);
		assert_int_not_equal(inflight[result->user_data], 0);
		inflight[result->user_data]--;
		aborted += result->status == AIPU_STATUS_ABORTED;
		ended++;
		aipu_queue_seen(bench->queue, result);
	}
	atomic_store(&aborter.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(aborter.errors, 0);
	/* On a card the abort only asks, and the job may have ended before */
	assert_true(test_is_card() ? aborter.hits >= aborted : aborter.hits == aborted);
	assert_int_equal(aipu_segment_unbind(bench->context, segment), 0);
	assert_int_equal(aipu_buffer_destroy(buffer), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_each),
		cmocka_unit_test(one_device_for_all),
		cmocka_unit_test_setup_teardown(jobs_end_once_whoever_aborts, bench_up, bench_down),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("libaipu_threads", tests, NULL, NULL);
}
