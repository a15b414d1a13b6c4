/* SPDX-License-Identifier: MIT */
/*
 * What the tests of libaipu share: a device, a context and a queue, and short ways to run one job. The device is the software
 * device, or the card that AIPU_TEST_DEVICE names, as in the guest. Everything asserts; nothing here is under test.
 */
#ifndef AIPU_LIBAIPU_TEST_H
#define AIPU_LIBAIPU_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "aipu/aipu.h"

#define TEST_UNUSED __attribute__((unused))
#define SECOND 1000000000ll
/* Long enough for a loaded machine under a sanitizer; reached only by what hangs */
#define PATIENCE (120 * SECOND)

TEST_UNUSED static const char *test_device(void)
{
	const char *name = getenv("AIPU_TEST_DEVICE");

	return name && *name ? name : "soft";
}

TEST_UNUSED static bool test_is_card(void)
{
	return strcmp(test_device(), "soft") != 0;
}

/*
 * A context for bindings that come and go while another UNBIND waits for its job: any, but of a card's contexts each has one
 * UNBIND under way at a time.
 */
TEST_UNUSED static struct aipu_context *test_context_beside(struct aipu_context *context,
							    struct aipu_device *device)
{
	if (test_is_card())
		assert_int_equal(aipu_context_create(device, &context), 0);
	return context;
}

TEST_UNUSED static void test_context_drop(struct aipu_context *beside)
{
	if (test_is_card())
		aipu_context_destroy(beside);
}

/* Leaves a test of what cards do not do */
TEST_UNUSED static void test_not_on_cards(const char *why)
{
	if (!test_is_card())
		return;
	print_message("# skipped: %s\n", why);
	skip();
}

/* No entries at all is an error of its own where the call is permitted */
TEST_UNUSED static bool test_uring_permitted(void)
{
	return syscall(SYS_io_uring_setup, 0, NULL) < 0 && errno != EPERM && errno != ENOSYS;
}

TEST_UNUSED static struct aipu_device *test_open(uint32_t cores, uint64_t memory_bytes)
{
	struct aipu_device_options options = { .cores = cores, .memory_bytes = memory_bytes };
	struct aipu_message message;
	struct aipu_device *device = NULL;
	int error = aipu_device_open(&device, test_device(), &options, &message);

	if (error)
		print_error("# aipu_device_open: %d: %s\n", error, message.text);
	assert_int_equal(error, 0);
	return device;
}

TEST_UNUSED static struct aipu_buffer *test_buffer(struct aipu_device *device, uint64_t bytes)
{
	struct aipu_buffer *buffer;

	assert_int_equal(aipu_buffer_create(device, AIPU_BUFFER_HOST, bytes, &buffer), 0);
	assert_non_null(aipu_buffer_data(buffer));
	return buffer;
}

/* Submits what is prepped and gives the status of the one job */
TEST_UNUSED static unsigned int test_run(struct aipu_queue *queue, struct aipu_result *result)
{
	struct aipu_result local;

	if (!result)
		result = &local;
	assert_int_equal(aipu_queue_submit_and_wait(queue, result), 0);
	return result->status;
}

TEST_UNUSED static unsigned int test_fill(struct aipu_queue *queue, int segment, uint64_t offset,
					  uint64_t length, uint32_t pattern)
{
	struct aipu_job *job = aipu_queue_get_job(queue, 0);

	assert_non_null(job);
	aipu_prep_fill(job, segment, offset, length, pattern);
	return test_run(queue, NULL);
}

TEST_UNUSED static unsigned int test_copy(struct aipu_queue *queue, int to, uint64_t to_offset,
					  int from, uint64_t from_offset, uint64_t length)
{
	struct aipu_job *job = aipu_queue_get_job(queue, 0);

	assert_non_null(job);
	aipu_prep_copy(job, to, to_offset, from, from_offset, length);
	return test_run(queue, NULL);
}

TEST_UNUSED static const struct aipu_result *test_wait(struct aipu_queue *queue)
{
	const struct aipu_result *result = NULL;

	assert_int_equal(aipu_queue_wait(queue, &result, PATIENCE), 0);
	return result;
}

/* One device, one context, one queue */
struct test_bench {
	struct aipu_device *device;
	struct aipu_context *context;
	struct aipu_queue *queue;
};

TEST_UNUSED static int bench_up(void **state)
{
	struct test_bench *bench = calloc(1, sizeof(*bench));

	bench->device = test_open(1, 64u << 20);
	assert_int_equal(aipu_context_create(bench->device, &bench->context), 0);
	assert_int_equal(aipu_queue_create(bench->context, 8, &bench->queue), 0);
	*state = bench;
	return 0;
}

TEST_UNUSED static int bench_down(void **state)
{
	struct test_bench *bench = *state;

	aipu_queue_destroy(bench->queue);
	aipu_context_destroy(bench->context);
	aipu_device_close(bench->device);
	free(bench);
	return 0;
}

#endif
