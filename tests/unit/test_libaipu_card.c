// SPDX-License-Identifier: MIT
/*
 * What only a card can do to libaipu's callers, on the card that AIPU_TEST_DEVICE names: which door of the driver is taken, and
 * jobs whose device is reset or taken away under them. Run by tests/guest/libaipu.sh with io_uring and without, to the same results.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>

#include "aipu/manage.h"
#include "aipu_firmware.h"
#include "libaipu_test.h"
#include "refuse_call.h"

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

/* A ring of io_uring can be made from now on, by this thread, but nothing is done with it. */
static bool refuse_enter(void)
{
	return !refuse_call(SYS_io_uring_enter);
}

/* A file of `bytes`, open and without a name; -1: there is none */
static int some_file(uint64_t bytes)
{
	const char *directory = getenv("TMPDIR");
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/aipu-XXXXXX", directory ? directory : "/tmp");
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -1;
	unlink(path);
	return ftruncate(fd, (off_t)bytes) ? -1 : fd;
}

/* Three times eight jobs, with as many results; 0, or the line that failed */
static int jobs_end_well(struct aipu_queue *queue)
{
	const struct aipu_result *result;

	for (unsigned int n = 0; n < 3; n++) {
		for (unsigned int i = 0; i < 8; i++)
			aipu_prep_nop(aipu_queue_get_job(queue, i));
		if (aipu_queue_submit(queue) != 8)
			return __LINE__;
		for (unsigned int i = 0; i < 8; i++) {
			if (aipu_queue_wait(queue, &result, PATIENCE))
				return __LINE__;
			if (result->user_data != i || result->status)
				return __LINE__;
			aipu_queue_seen(queue, result);
		}
	}
	return aipu_queue_peek(queue, &result) == -EAGAIN ? 0 : __LINE__;
}

/* Everything that a ring is used for; 0, or the line that failed */
static int works_without_enter(struct aipu_device *device, bool late)
{
	struct aipu_load_report report;
	struct aipu_load_options options = { .report = &report };
	struct aipu_context *context;
	struct aipu_queue *queue;
	struct aipu_buffer *buffer;
	int segment, line, fd = some_file(FILL_BYTES);

	if (aipu_context_create(device, &context) || (!late && !refuse_enter()) ||
	    aipu_queue_create(context, 8, &queue) || (late && !refuse_enter()))
		return __LINE__;
	line = jobs_end_well(queue);
	if (line)
		return line;
	if (rings_open())
		return __LINE__;
	if (aipu_buffer_create(device, AIPU_BUFFER_DEVICE, FILL_BYTES, &buffer))
		return __LINE__;
	segment = aipu_segment_bind(context, buffer, 0, 0, AIPU_WRITE);
	if (aipu_load(queue, segment, 0, fd, 0, FILL_BYTES, &options, NULL))
		return __LINE__;
	return report.bytes == FILL_BYTES && !report.uring ? 0 : __LINE__;
}

/* In a process of its own, since a filter stays */
static void without_enter(bool late)
{
	struct aipu_device *device;
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (!child) {
		/* That of the parent's bench is open here too. */
		close_range(3, ~0u, 0);
		status = aipu_device_open(&device, test_device(), NULL, NULL);
		_exit(status ? 1 : works_without_enter(device, late) % 256);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void rings_that_are_of_no_use(void **state)
{
	(void)state;
	without_enter(false);
}

static void a_ring_that_is_forbidden_later(void **state)
{
	(void)state;
	without_enter(true);
}

static void *submit_refused(void *argument)
{
	return (void *)(intptr_t)(refuse_enter() ? aipu_queue_submit(argument) : -1);
}

static void ends_with(struct aipu_queue *queue, uint64_t user_data, int error)
{
	const struct aipu_result *result = test_wait(queue);

	assert_int_equal(result->user_data, user_data);
	assert_int_equal(aipu_status_errno(result->status), error);
	aipu_queue_seen(queue, result);
}

/* A job that was said to have failed, since the ring did not take it, is not given to it with a later one. */
static void what_a_ring_did_not_take_never_runs(void **state)
{
	int error = test_uring_permitted() ? -EIO : 0;
	struct test_bench *bench = *state;
	const struct aipu_result *result;
	pthread_t thread;
	void *taken;

	/* Not seen, so that the queue cannot take the other door */
	aipu_prep_nop(aipu_queue_get_job(bench->queue, 1));
	assert_int_equal(aipu_queue_submit(bench->queue), 1);
	aipu_prep_nop(aipu_queue_get_job(bench->queue, 2));
	assert_int_equal(pthread_create(&thread, NULL, submit_refused, bench->queue), 0);
	pthread_join(thread, &taken);
	assert_int_equal((intptr_t)taken, 1);
	ends_with(bench->queue, 1, 0);
	ends_with(bench->queue, 2, error);
	aipu_prep_nop(aipu_queue_get_job(bench->queue, 3));
	assert_int_equal(aipu_queue_submit(bench->queue), 1);
	ends_with(bench->queue, 3, error);
	assert_int_equal(aipu_queue_wait(bench->queue, &result, SECOND), -ETIME);
}

static void tell_kernel(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* The first card's function-level reset, by hand */
static void reset_card(void)
{
	tell_kernel("/sys/class/accel/accel0/device/reset", "1");
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

static void names_one_card(const char *name, const struct aipu_device_info *want)
{
	struct aipu_device_info info;
	struct aipu_device *device;
	struct aipu_message message;

	if (aipu_device_open(&device, name, NULL, &message))
		print_error("# %s: %s\n", name, message.text);
	assert_non_null(device);
	assert_int_equal(aipu_device_query(device, &info), 0);
	assert_string_equal(info.node, want->node);
	assert_string_equal(info.serial, want->serial);
	aipu_device_close(device);
}

#define DRIVER "/sys/bus/pci/drivers/aipu_accel/"

static unsigned int mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned int lines = 0;
	char line[512];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		lines += !!strchr(line, '\n');
	fclose(maps);
	return lines;
}

struct leaving {
	const char *pci;
	uint64_t at; /* bytes; 0: it is gone */
};

/* The driver lets go of the card in the middle of a load */
static int leave(void *argument, uint64_t bytes)
{
	struct leaving *leaving = argument;

	if (leaving->at && bytes >= leaving->at) {
		tell_kernel(DRIVER "unbind", leaving->pci);
		leaving->at = 0;
	}
	return 0;
}

/* Jobs have results and whatever was made of it can be ended, in the usual order; nothing of it stays behind. */
static void a_card_that_goes(void **state)
{
	struct aipu_load_options options = { 0 };
	struct leaving leaving = { .at = 0 };
	struct aipu_buffer *memory, *host;
	struct test_bench *bench;
	struct aipu_device_info info;
	struct aipu_message message;
	int far, near, fd = some_file(FILL_BYTES);
	unsigned int before;

	/* Its own: the card has its old name when nobody has it open, and is for other programs again. */
	bench_up(state);
	bench = *state;
	options.progress = leave;
	options.argument = &leaving;
	assert_true(fd >= 0);
	assert_int_equal(aipu_device_query(bench->device, &info), 0);
	leaving.pci = info.pci;
	assert_int_equal(aipu_buffer_create(bench->device, AIPU_BUFFER_DEVICE, FILL_BYTES, &memory),
			 0);
	far = aipu_segment_bind(bench->context, memory, 0, 0, AIPU_WRITE);
	assert_true(far >= 0);
	/* All that the C library will ever map is there then. */
	assert_int_equal(aipu_load(bench->queue, far, 0, fd, 0, FILL_BYTES, &options, &message), 0);
	before = mappings();
	host = test_buffer(bench->device, 4096);
	near = aipu_segment_bind(bench->context, host, 0, 0, AIPU_WRITE);
	assert_true(near >= 0);
	leaving.at = FILL_BYTES / 4;
	assert_int_not_equal(aipu_load(bench->queue, far, 0, fd, 0, FILL_BYTES, &options, &message),
			     0);
	assert_int_equal(leaving.at, 0);
	/* By both doors as those of a device that was reset: whoever makes all anew then learns that it is gone. */
	for (unsigned int i = 0; i < 3; i++)
		aipu_prep_nop(aipu_queue_get_job(bench->queue, i));
	assert_int_equal(aipu_queue_submit(bench->queue), 3);
	assert_int_equal(take_results(bench->queue, 3), 3);
	/* What cannot be pinned is no matter of limits. */
	assert_int_equal(aipu_load(bench->queue, far, 0, fd, 0, FILL_BYTES, &options, &message),
			 -ENODEV);
	assert_null(strstr(message.text, "ulimit"));
	assert_int_equal(aipu_segment_unbind(bench->context, near), -ENODEV);
	assert_int_equal(aipu_buffer_destroy(host), 0);
	assert_int_equal(mappings(), before);
	assert_int_equal(aipu_segment_unbind(bench->context, far), -ENODEV);
	assert_int_equal(aipu_buffer_destroy(memory), 0);
	close(fd);
	bench_down(state);
	tell_kernel(DRIVER "bind", info.pci);
	aipu_device_close(test_open(1, 64u << 20));
}

/* Who it is, by all of its names */
static void a_card_tells_who_it_is(void **state)
{
	struct test_bench *bench = *state;
	struct aipu_device_info info;
	struct aipu_device *none;

	assert_int_equal(aipu_device_query(bench->device, &info), 0);
	assert_int_equal(info.board_id, AIPU_BOARD_SOFT);
	assert_int_not_equal(info.rom_version, 0);
	assert_int_equal(info.boot_source, AIPU_BOOT_FROM_HOST);
	assert_int_equal(info.slot_errors[0] | info.slot_errors[1], AIPU_ERROR_NONE);
	assert_int_equal(info.state, AIPU_DEVICE_READY);
	assert_true(info.driver_version >= (1u << 16 | 1u));
	assert_string_equal(info.node, "/dev/accel/accel0");
	assert_string_equal(info.name, "accel0");
	assert_int_equal(strlen(info.serial), 16);
	names_one_card(info.node, &info);
	names_one_card(info.pci, &info);
	names_one_card(info.pci + 5, &info);
	names_one_card(info.serial, &info);
	assert_int_equal(aipu_device_open(&none, "fedcba9876543210", NULL, NULL), -ENODEV);
}

/* Counters, limits, a reset while nothing runs, and what a card without flash refuses */
static void what_operators_do(void **state)
{
	struct test_bench *bench = *state;
	struct aipu_telemetry before, after;
	struct aipu_device_info info, again;
	struct aipu_message message;
	struct aipu_flash_info flash;

	assert_int_equal(aipu_device_query(bench->device, &info), 0);
	assert_int_equal(aipu_device_telemetry(bench->device, &before), 0);
	for (size_t i = 0; i < sizeof(before.reserved) / sizeof(before.reserved[0]); i++)
		assert_true(before.reserved[i] == AIPU_UNKNOWN);
	for (unsigned int i = 0; i < 5; i++) {
		aipu_prep_nop(aipu_queue_get_job(bench->queue, i));
		assert_int_equal(test_run(bench->queue, NULL), AIPU_STATUS_OK);
	}
	assert_int_equal(aipu_device_telemetry(bench->device, &after), 0);
	assert_int_equal(after.steps, before.steps + 5);
	assert_int_equal(after.running_jobs, 0);
	assert_int_equal(aipu_device_set_limits(bench->device, 0, 0),
			 info.capabilities & AIPU_CAP_LIMITS ? 0 : -EOPNOTSUPP);
	assert_false(info.capabilities & AIPU_CAP_FLASH);
	assert_int_equal(aipu_flash_query(bench->device, &flash), -EOPNOTSUPP);
	assert_int_equal(aipu_flash_activate(bench->device, 0), -EOPNOTSUPP);
	assert_int_equal(aipu_device_reset(bench->device, AIPU_RESET_RECOVERY, &message),
			 -EOPNOTSUPP);
	assert_non_null(strstr(message.text, "/dev/accel/accel0"));
	assert_int_equal(aipu_device_reset(bench->device, AIPU_RESET_IDLE, &message), 0);
	assert_int_equal(aipu_device_query(bench->device, &again), 0);
	assert_int_equal(again.resets, info.resets + 1);
	assert_int_equal(again.state, AIPU_DEVICE_READY);
	assert_int_equal(aipu_device_telemetry(bench->device, &after), 0);
	assert_true(after.card_resets > before.card_resets);
	assert_true(after.steps < before.steps + 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_up, bench_down)
	const struct CMUnitTest tests[] = {
		TEST(the_door_is_the_one_meant),      TEST(rings_that_are_of_no_use),
		TEST(a_ring_that_is_forbidden_later), TEST(what_a_ring_did_not_take_never_runs),
		TEST(a_card_tells_who_it_is),	      TEST(what_operators_do),
		TEST(jobs_of_a_lost_queue_end),	      TEST(a_device_is_used_on_after_a_reset),
		cmocka_unit_test(a_card_that_goes),
	};

	if (!test_is_card()) {
		puts("1..0 # SKIP AIPU_TEST_DEVICE names no card");
		return 0;
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("libaipu_card", tests, NULL, NULL);
}
