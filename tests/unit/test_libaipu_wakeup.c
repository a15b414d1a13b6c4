// SPDX-License-Identifier: MIT
/*
 * A queue's fd is readable as long as a result waits, also for who takes one each time that poll says so. The moment in which a
 * peek that found nothing clears it is the test's: it stands before the transport's read.
 */
#include <poll.h>
#include <stdio.h>

#include "internal.h"
#include "libaipu_test.h"

#define MOST_JOBS 70u

static struct aipu_device *device;
static struct aipu_context *context;
static struct aipu_queue *queue;
static bool armed; /* the next read of the queue's fd is preceded by two jobs */

ssize_t __real_read(int fd, void *to, size_t bytes);
ssize_t __wrap_read(int fd, void *to, size_t bytes);

/* What was written to it since it was read */
static unsigned long long written(int fd)
{
	unsigned long long count = 0;
	char path[64], line[128];
	FILE *info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = fopen(path, "re");
	assert_non_null(info);
	while (fgets(line, sizeof(line), info))
		if (sscanf(line, "eventfd-count: %llx", &count) == 1)
			break;
	fclose(info);
	return count;
}

ssize_t __wrap_read(int fd, void *to, size_t bytes)
{
	if (armed && queue && fd == aipu_queue_fd(queue)) {
		armed = false;
		for (uint64_t i = 1; i <= 2; i++)
			aipu_prep_nop(aipu_queue_get_job(queue, i));
		assert_int_equal(aipu_queue_submit(queue), 2);
		/* Both have ended, and both have been told of */
		while (written(fd) < 3)
			usleep(100);
	}
	return __real_read(fd, to, bytes);
}

static bool readable(void)
{
	struct pollfd fd = { .fd = aipu_queue_fd(queue), .events = POLLIN };

	return poll(&fd, 1, 0) == 1;
}

static int setup(void **state)
{
	struct aipu_device_options options = { .cores = 1, .memory_bytes = 1u << 20 };

	(void)state;
	return aipu_device_open_transport(&device, aipu_transport_plugin(AIPU_TRANSPORT_VERSION),
					  "soft", &options, NULL) ||
	       aipu_context_create(device, &context) ||
	       aipu_queue_create(context, MOST_JOBS, &queue);
}

static int teardown(void **state)
{
	(void)state;
	aipu_queue_destroy(queue);
	queue = NULL;
	aipu_context_destroy(context);
	aipu_device_close(device);
	return 0;
}

static void what_ends_while_the_fd_is_cleared(void **state)
{
	const struct aipu_result *result;
	int error;

	(void)state;
	/* A first one, whose word is left in the fd */
	aipu_prep_nop(aipu_queue_get_job(queue, 0));
	assert_int_equal(aipu_queue_submit(queue), 1);
	aipu_queue_seen(queue, test_wait(queue));
	while (!readable())
		usleep(100);
	armed = true;
	do {
		error = aipu_queue_peek(queue, &result);
	} while (armed); /* the word comes a moment before it is known to have come */
	assert_int_equal(error, 0);
	assert_int_equal(result->user_data, 1);
	assert_true(readable());
	aipu_queue_seen(queue, result);
	/* "Readable while completions wait": who looks once for each word finds the second one too */
	assert_true(readable());
	assert_int_equal(aipu_queue_peek(queue, &result), 0);
	assert_int_equal(result->user_data, 2);
	aipu_queue_seen(queue, result);
	assert_int_equal(aipu_queue_peek(queue, &result), -EAGAIN);
	assert_false(readable());
}

/* One at a time, however many were there at the first look */
static void as_long_as_one_waits(void **state)
{
	const struct aipu_result *result;

	(void)state;
	for (uint32_t jobs = 1; jobs <= MOST_JOBS; jobs++) {
		for (uint64_t i = 0; i < jobs; i++)
			aipu_prep_nop(aipu_queue_get_job(queue, i));
		assert_int_equal(aipu_queue_submit(queue), jobs);
		/* The device model raises an interrupt for each */
		while (written(aipu_queue_fd(queue)) < jobs)
			usleep(100);
		for (uint64_t i = 0; i < jobs; i++) {
			assert_true(readable());
			assert_int_equal(aipu_queue_peek(queue, &result), 0);
			assert_int_equal(result->user_data, i);
			aipu_queue_seen(queue, result);
		}
		while (readable())
			assert_int_equal(aipu_queue_peek(queue, &result), -EAGAIN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_ends_while_the_fd_is_cleared, setup, teardown),
		cmocka_unit_test_setup_teardown(as_long_as_one_waits, setup, teardown),
	};

	return cmocka_run_group_tests_name("libaipu_wakeup", tests, NULL, NULL);
}
