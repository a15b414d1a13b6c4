// SPDX-License-Identifier: MIT
/*
 * What only a card can do to libaipu's callers, on the card that AIPU_TEST_DEVICE names: which door of the driver is taken, and
 * jobs whose device is reset under them. Run by tests/guest/libaipu.sh with io_uring and without, to the same results.
 */
#include <fcntl.h>
#include <stdio.h>

#include "libaipu_test.h"

#define FILL_BYTES (16ull << 20)

/* Of io_uring instances, as /proc shows them */
static unsigned int rings_open(void)
{
	unsigned int count = 0;
	char path[64], target[64];

	for (int fd = 0; fd < 256; fd++) {
		ssize_t bytes;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		bytes = readlink(path, target, sizeof(target) - 1);
		if (bytes < 0)
			continue;
		target[bytes] = '\0';
		count += !strcmp(target, "anon_inode:[io_uring]");
	}
	return count;
}

/* A card's queue has a ring of io_uring where that is permitted; said for whoever runs this with and without */
static void the_door_is_the_one_meant(void **state)
{
	bool uring = test_uring_permitted();
	struct test_bench *bench = *state;
	struct aipu_queue *queue;

	print_message("# door: %s\n", uring ? "io_uring" : "ioctl");
	assert_int_equal(rings_open(), uring);
	assert_int_equal(aipu_queue_create(bench->context, 1, &queue), 0);
	assert_int_equal(rings_open(), 2 * uring);
	aipu_queue_destroy(queue);
	assert_int_equal(rings_open(), uring);
}

/* The first card's function-level reset, by hand */
static void reset_card(void)
{
	int fd = open("/sys/class/accel/accel0/device/reset", O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "1", 1), 1);
	close(fd);
}

/* Each of `count` jobs has a result; those that the reset took say so. Returns how many */
static unsigned int take_results(struct aipu_queue *queue, unsigned int count)
{
	const struct aipu_result *result;
	unsigned int lost = 0;
	uint64_t seen = 0;

	for (unsigned int i = 0; i < count; i++) {
		result = test_wait(queue);
		assert_true(result->user_data < count);
		assert_int_equal(seen & 1ull << result->user_data, 0);
		seen |= 1ull << result->user_data;
		if (result->status) {
			assert_int_equal(aipu_status_errno(result->status), -ECANCELED);
			lost++;
		}
		aipu_queue_seen(queue, result);
	}
	assert_int_equal(aipu_queue_peek(queue, &result), -EAGAIN);
	return lost;
}

/* In flight, given afterwards, aborted afterwards: each ends once, with a status that says why, and nobody waits for ever */
static void jobs_of_a_lost_queue_end(void **state)
{
	struct test_bench *bench = *state;
	struct aipu_buffer *buffer;
	int segment;

	assert_int_equal(aipu_buffer_create(bench->device, AIPU_BUFFER_DEVICE, FILL_BYTES, &buffer),
			 0);
	segment = aipu_segment_bind(bench->context, buffer, 0, 0, AIPU_WRITE);
	assert_true(segment >= 0);
	for (unsigned int i = 0; i < 8; i++)
		aipu_prep_fill(aipu_queue_get_job(bench->queue, i), segment, 0, FILL_BYTES, i);
	assert_int_equal(aipu_queue_submit(bench->queue), 8);
	reset_card();
	take_results(bench->queue, 8);
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < 3; i++)
			aipu_prep_nop(aipu_queue_get_job(bench->queue, i));
		assert_int_equal(aipu_queue_submit(bench->queue), 3);
		if (round == 2)
			aipu_queue_abort(bench->queue, 1);
		assert_int_equal(take_results(bench->queue, 3), 3);
	}
	assert_int_equal(aipu_segment_bind(bench->context, buffer, 0, 0, AIPU_READ), -ECANCELED);
	assert_int_equal(aipu_segment_unbind(bench->context, segment), -ECANCELED);
	assert_int_equal(aipu_buffer_destroy(buffer), 0);
}

/* A new context on the same device is as good as ever */
static void a_device_is_used_on_after_a_reset(void **state)
{
	struct test_bench *bench = *state;
	struct aipu_context *context;
	struct aipu_queue *queue;

	reset_card();
	assert_int_equal(aipu_context_create(bench->device, &context), 0);
	assert_int_equal(aipu_queue_create(context, 2, &queue), 0);
	aipu_prep_nop(aipu_queue_get_job(queue, 0));
	assert_int_equal(test_run(queue, NULL), AIPU_STATUS_OK);
	aipu_prep_nop(aipu_queue_get_job(bench->queue, 0));
	assert_int_equal(aipu_queue_submit(bench->queue), 1);
	assert_int_equal(take_results(bench->queue, 1), 1);
	aipu_queue_destroy(queue);
	aipu_context_destroy(context);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_up, bench_down)
	const struct CMUnitTest tests[] = {
		TEST(the_door_is_the_one_meant),
		TEST(jobs_of_a_lost_queue_end),
		TEST(a_device_is_used_on_after_a_reset),
	};

	if (!test_is_card()) {
		puts("1..0 # SKIP AIPU_TEST_DEVICE names no card");
		return 0;
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("libaipu_card", tests, NULL, NULL);
}
