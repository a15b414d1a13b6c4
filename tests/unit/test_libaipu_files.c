// SPDX-License-Identifier: MIT
/*
 * Mapped files on the soft transport: arguments, files that become shorter while they are mapped, and the
 * SIGBUS of others, whose handlers were there before, come later or lie in the way.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libaipu_test.h"

#define PAGE 4096u

static int file_make(char *path, unsigned int pages)
{
	unsigned char page[PAGE];
	int fd;

	strcpy(path, "/tmp/aipu-test-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	for (unsigned int i = 0; i < pages; i++) {
		memset(page, (int)i + 1, sizeof(page));
		assert_int_equal(write(fd, page, sizeof(page)), sizeof(page));
	}
	return fd;
}

static void mapped_files(void **state)
{
	struct test_bench *bench = *state;
	struct aipu_buffer *buffer, *host = test_buffer(bench->device, 4 * PAGE);
	const unsigned char *bytes = aipu_buffer_data(host);
	char path[32];
	int fd = file_make(path, 4), pipes[2], from, to;

	assert_int_equal(aipu_buffer_map_file(NULL, fd, 0, PAGE, &buffer), -EINVAL);
	assert_int_equal(aipu_buffer_map_file(bench->device, fd, 0, PAGE, NULL), -EINVAL);
	assert_int_equal(aipu_buffer_map_file(bench->device, -1, 0, PAGE, &buffer), -EINVAL);
	assert_int_equal(aipu_buffer_map_file(bench->device, 9999, 0, PAGE, &buffer), -EBADF);
	assert_int_equal(aipu_buffer_map_file(bench->device, fd, 0, 0, &buffer), -EINVAL);
	assert_int_equal(aipu_buffer_map_file(bench->device, fd, 100, PAGE, &buffer), -EINVAL);
	assert_int_equal(aipu_buffer_map_file(bench->device, fd, 0, 4 * PAGE + 1, &buffer),
			 -ENODATA);
	assert_int_equal(aipu_buffer_map_file(bench->device, fd, 4 * PAGE, 1, &buffer), -ENODATA);
	assert_int_equal(aipu_buffer_map_file(bench->device, fd, 1ull << 62, 1ull << 48, &buffer),
			 -ENODATA);
	assert_int_equal(aipu_buffer_map_file(bench->device, fd, UINT64_MAX - PAGE + 1, PAGE,
					      &buffer),
			 -EINVAL);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(aipu_buffer_map_file(bench->device, pipes[0], 0, 1, &buffer), -EINVAL);
	close(pipes[0]);
	close(pipes[1]);
	assert_int_equal(aipu_buffer_map_file(bench->device, fd, PAGE, 2 * PAGE + 7, &buffer), 0);
	close(fd);
	unlink(path); /* the mapping stays */
	assert_int_equal(((unsigned char *)aipu_buffer_data(buffer))[0], 2);
	assert_int_equal(aipu_segment_bind(bench->context, buffer, 0, 0, AIPU_READ | AIPU_WRITE),
			 -EACCES);
	from = aipu_segment_bind(bench->context, buffer, 0, 0, AIPU_READ);
	to = aipu_segment_bind(bench->context, host, 0, 0, AIPU_WRITE);
	assert_true(from >= 0 && to >= 0);
	assert_int_equal(test_copy(bench->queue, to, 0, from, 0, 2 * PAGE + 7), AIPU_STATUS_OK);
	assert_int_equal(bytes[0], 2);
	assert_int_equal(bytes[2 * PAGE + 6], 4);
	assert_int_equal(bytes[2 * PAGE + 7], 0);
	assert_int_equal(test_copy(bench->queue, to, 0, from, 0, 2 * PAGE + 8),
			 AIPU_STATUS_OUT_OF_RANGE);
	assert_int_equal(aipu_segment_unbind(bench->context, from), 0);
	assert_int_equal(aipu_segment_unbind(bench->context, to), 0);
	assert_int_equal(aipu_buffer_destroy(buffer), 0);
	assert_int_equal(aipu_buffer_destroy(host), 0);
}

/* SEG-8: the job ends with DATA_LOST; the process gets no SIGBUS, neither in the device nor in itself */
static void truncated_while_mapped(void **state)
{
	struct test_bench *bench = *state;
	struct aipu_buffer *buffer, *other, *host = test_buffer(bench->device, 64 * PAGE);
	const volatile unsigned char *mapped;
	char path[32], path2[32];
	int fd = file_make(path, 64), fd2 = file_make(path2, 2), from, from2, to;

	test_not_on_cards("a card holds the pages that a file had when it was bound");
	assert_int_equal(aipu_buffer_map_file(bench->device, fd, 0, 64 * PAGE, &buffer), 0);
	assert_int_equal(aipu_buffer_map_file(bench->device, fd2, 0, 2 * PAGE, &other), 0);
	from = aipu_segment_bind(bench->context, buffer, 0, 0, AIPU_READ);
	from2 = aipu_segment_bind(bench->context, other, 0, 0, AIPU_READ);
	to = aipu_segment_bind(bench->context, host, 0, 0, AIPU_READ | AIPU_WRITE);
	assert_true(from >= 0 && from2 >= 0 && to >= 0);
	assert_int_equal(test_copy(bench->queue, to, 0, from, 0, 64 * PAGE), AIPU_STATUS_OK);
	assert_int_equal(ftruncate(fd, 3 * PAGE), 0);
	/* What is still there is no loss */
	assert_int_equal(test_copy(bench->queue, to, 0, from, 0, 3 * PAGE), AIPU_STATUS_OK);
	assert_int_equal(test_copy(bench->queue, to, 0, from, 0, 64 * PAGE), AIPU_STATUS_DATA_LOST);
	assert_int_equal(test_copy(bench->queue, to, 0, from, 63 * PAGE, PAGE),
			 AIPU_STATUS_DATA_LOST);
	/* This process may look as well */
	mapped = aipu_buffer_data(buffer);
	assert_int_equal(mapped[2 * PAGE], 3);
	assert_int_equal(mapped[40 * PAGE], 0);
	/* Another file is not concerned */
	assert_int_equal(test_copy(bench->queue, to, 0, from2, 0, 2 * PAGE), AIPU_STATUS_OK);
	assert_int_equal(aipu_segment_unbind(bench->context, from), 0);
	assert_int_equal(aipu_buffer_destroy(buffer), 0);
	/* The file as it is now can be mapped and read */
	assert_int_equal(ftruncate(fd, 4 * PAGE), 0);
	assert_int_equal(aipu_buffer_map_file(bench->device, fd, 0, 4 * PAGE, &buffer), 0);
	from = aipu_segment_bind(bench->context, buffer, 0, 0, AIPU_READ);
	assert_int_equal(test_copy(bench->queue, to, 0, from, 0, 4 * PAGE), AIPU_STATUS_OK);
	/* First touched by this process, then by the device */
	assert_int_equal(ftruncate(fd, 0), 0);
	mapped = aipu_buffer_data(buffer);
	assert_int_equal(mapped[0], 0);
	assert_int_equal(test_copy(bench->queue, to, 0, from, 0, PAGE), AIPU_STATUS_DATA_LOST);
	assert_int_equal(aipu_segment_unbind(bench->context, from), 0);
	assert_int_equal(aipu_segment_unbind(bench->context, from2), 0);
	assert_int_equal(aipu_segment_unbind(bench->context, to), 0);
	assert_int_equal(aipu_buffer_destroy(buffer), 0);
	assert_int_equal(aipu_buffer_destroy(other), 0);
	assert_int_equal(aipu_buffer_destroy(host), 0);
	close(fd);
	close(fd2);
	unlink(path);
	unlink(path2);
}

/* While a job reads it, again and again */
static void truncated_while_a_job_runs(void **state)
{
	struct test_bench *bench = *state;
	struct aipu_buffer *buffer, *host = test_buffer(bench->device, 64 * PAGE);
	struct aipu_buffer *list =
		test_buffer(bench->device, 1024 * sizeof(struct aipu_copy_entry));
	struct aipu_copy_entry *entries = aipu_buffer_data(list);
	const struct aipu_result *result;
	char path[32];
	int fd = file_make(path, 64), from, to, segment;
	unsigned int status;

	test_not_on_cards("a card holds the pages that a file had when it was bound");
	assert_int_equal(aipu_buffer_map_file(bench->device, fd, 0, 64 * PAGE, &buffer), 0);
	from = aipu_segment_bind(bench->context, buffer, 0, 0, AIPU_READ);
	to = aipu_segment_bind(bench->context, host, 0, 0, AIPU_WRITE);
	segment = aipu_segment_bind(bench->context, list, 0, 0, AIPU_READ);
	assert_true(from >= 0 && to >= 0 && segment >= 0);
	for (unsigned int i = 0; i < 1024; i++)
		entries[i] = (struct aipu_copy_entry){ .src_segment = (uint32_t)from,
						       .dst_segment = (uint32_t)to,
						       .length = 64 * PAGE };
	for (unsigned int i = 0; i < 8; i++)
		aipu_prep_copy_list(aipu_queue_get_job(bench->queue, i), segment, 0, 1024);
	assert_int_equal(aipu_queue_submit(bench->queue), 8);
	assert_int_equal(ftruncate(fd, PAGE), 0);
	/* 2 GiB to copy: the last job at the latest sees it */
	for (unsigned int i = 0; i < 8; i++) {
		result = test_wait(bench->queue);
		status = result->status;
		assert_true(status == AIPU_STATUS_OK || status == AIPU_STATUS_DATA_LOST);
		aipu_queue_seen(bench->queue, result);
	}
	assert_int_equal(status, AIPU_STATUS_DATA_LOST);
	assert_int_equal(aipu_segment_unbind(bench->context, from), 0);
	assert_int_equal(aipu_segment_unbind(bench->context, to), 0);
	assert_int_equal(aipu_segment_unbind(bench->context, segment), 0);
	assert_int_equal(aipu_buffer_destroy(buffer), 0);
	assert_int_equal(aipu_buffer_destroy(host), 0);
	assert_int_equal(aipu_buffer_destroy(list), 0);
	close(fd);
	unlink(path);
}

/* --- the SIGBUS of others --------------------------------------------------------------------------- */

static sigjmp_buf foreign_jump;
static volatile sig_atomic_t foreign_count;
static void *volatile foreign_address;

static void foreign_handler(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	foreign_count++;
	foreign_address = info->si_addr;
	siglongjmp(foreign_jump, 1);
}

/* A page of a file that has none */
static volatile unsigned char *foreign_page(int fd)
{
	void *page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 16 * PAGE);

	assert_ptr_not_equal(page, MAP_FAILED);
	return page;
}

static void foreign_sigbus_reaches_the_previous_handler(void **state)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO }, before, now;
	struct test_bench *bench = *state;
	volatile unsigned char *page;
	struct aipu_buffer *buffers[2];
	char path[32];
	int fd = file_make(path, 4);

	test_not_on_cards("the handler of SIGBUS is the software device's");
	action.sa_sigaction = foreign_handler;
	assert_int_equal(sigaction(SIGBUS, &action, &before), 0);
	assert_int_equal(aipu_buffer_map_file(bench->device, fd, 0, 4 * PAGE, &buffers[0]), 0);
	assert_int_equal(aipu_buffer_map_file(bench->device, fd, 0, 4 * PAGE, &buffers[1]), 0);
	page = foreign_page(fd);
	foreign_count = 0;
	if (!sigsetjmp(foreign_jump, 1)) {
		(void)page[5];
		fail_msg("no SIGBUS");
	}
	assert_int_equal(foreign_count, 1);
	assert_ptr_equal(foreign_address, page + 5);
	/* Ours is not theirs */
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(((volatile unsigned char *)aipu_buffer_data(buffers[0]))[0], 0);
	assert_int_equal(foreign_count, 1);
	/* The last mapping takes the handler with it, the first of two does not */
	assert_int_equal(aipu_buffer_destroy(buffers[0]), 0);
	assert_int_equal(sigaction(SIGBUS, NULL, &now), 0);
	assert_true(now.sa_sigaction != foreign_handler);
	assert_int_equal(aipu_buffer_destroy(buffers[1]), 0);
	assert_int_equal(sigaction(SIGBUS, NULL, &now), 0);
	assert_true(now.sa_sigaction == foreign_handler);
	assert_int_equal(sigaction(SIGBUS, &before, NULL), 0);
	munmap((void *)page, PAGE);
	close(fd);
	unlink(path);
}

/* Installed over ours, chaining to ours by remembering it: no circle when ours is wanted again */
static struct sigaction under;

static void over_handler(int signal, siginfo_t *info, void *context)
{
	foreign_count++;
	if (foreign_count > 1)
		_exit(9);
	under.sa_sigaction(signal, info, context);
}

static int over_child(void)
{
	struct sigaction action = { .sa_handler = SIG_DFL };
	struct test_bench bench = { .device = test_open(1, 8u << 20) };
	volatile unsigned char *page;
	struct aipu_buffer *buffer;
	char path[32];
	int fd = file_make(path, 4);

	unlink(path);
	sigaction(SIGBUS, &action, NULL);
	if (aipu_buffer_map_file(bench.device, fd, 0, 4 * PAGE, &buffer))
		return 1;
	action.sa_flags = SA_SIGINFO;
	action.sa_sigaction = over_handler;
	sigaction(SIGBUS, &action, &under);
	if (aipu_buffer_destroy(buffer) ||
	    aipu_buffer_map_file(bench.device, fd, 0, 4 * PAGE, &buffer))
		return 2;
	if (ftruncate(fd, 0) || ((volatile unsigned char *)aipu_buffer_data(buffer))[0] ||
	    foreign_count)
		return 3;
	page = foreign_page(fd);
	return page[0] ? 4 : 5; /* neither: SIGBUS as if nobody were there */
}

/* One that took the signal over and does not chain: the next mapping takes it back */
static void a_handler_in_the_way_is_overlaid(void **state)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO }, before;
	struct test_bench *bench = *state;
	struct aipu_buffer *buffers[2];
	char path[32];
	int fd = file_make(path, 4);

	test_not_on_cards("the handler of SIGBUS is the software device's");
	assert_int_equal(sigaction(SIGBUS, NULL, &before), 0);
	assert_int_equal(aipu_buffer_map_file(bench->device, fd, 0, 4 * PAGE, &buffers[0]), 0);
	action.sa_sigaction = foreign_handler;
	assert_int_equal(sigaction(SIGBUS, &action, NULL), 0);
	assert_int_equal(aipu_buffer_map_file(bench->device, fd, 0, 4 * PAGE, &buffers[1]), 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	foreign_count = 0;
	if (!sigsetjmp(foreign_jump, 1)) {
		assert_int_equal(((volatile unsigned char *)aipu_buffer_data(buffers[0]))[0], 0);
		assert_int_equal(((volatile unsigned char *)aipu_buffer_data(buffers[1]))[0], 0);
	}
	assert_int_equal(foreign_count, 0);
	/* The same when it comes between two uses */
	assert_int_equal(aipu_buffer_destroy(buffers[0]), 0);
	assert_int_equal(sigaction(SIGBUS, &action, NULL), 0);
	assert_int_equal(aipu_buffer_destroy(buffers[1]), 0);
	assert_int_equal(ftruncate(fd, PAGE), 0);
	assert_int_equal(aipu_buffer_map_file(bench->device, fd, 0, PAGE, &buffers[0]), 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	if (!sigsetjmp(foreign_jump, 1))
		assert_int_equal(((volatile unsigned char *)aipu_buffer_data(buffers[0]))[0], 0);
	assert_int_equal(foreign_count, 0);
	assert_int_equal(aipu_buffer_destroy(buffers[0]), 0);
	assert_int_equal(sigaction(SIGBUS, &before, NULL), 0);
	close(fd);
	unlink(path);
}

/* With no handler before, it ends the process as ever */
static int default_child(void)
{
	struct test_bench bench = { .device = test_open(1, 8u << 20) };
	struct sigaction action = { .sa_handler = SIG_DFL };
	volatile unsigned char *page;
	struct aipu_buffer *buffer;
	char path[32];
	int fd = file_make(path, 4);

	unlink(path);
	sigaction(SIGBUS, &action, NULL);
	if (aipu_buffer_map_file(bench.device, fd, 0, 4 * PAGE, &buffer))
		return 1;
	page = foreign_page(fd);
	return page[0] ? 2 : 3;
}

/* Whoever sends a SIGBUS gets what he would have got */
static int sent_child(void)
{
	struct test_bench bench = { .device = test_open(1, 8u << 20) };
	struct sigaction action = { .sa_handler = SIG_DFL };
	struct aipu_buffer *buffer;
	char path[32];
	int fd = file_make(path, 4);

	unlink(path);
	action.sa_handler = SIG_IGN;
	sigaction(SIGBUS, &action, NULL);
	if (aipu_buffer_map_file(bench.device, fd, 0, 4 * PAGE, &buffer))
		return 1;
	raise(SIGBUS); /* ignored */
	if (aipu_buffer_destroy(buffer))
		return 2;
	action.sa_handler = SIG_DFL;
	sigaction(SIGBUS, &action, NULL);
	if (aipu_buffer_map_file(bench.device, fd, 0, 4 * PAGE, &buffer))
		return 3;
	raise(SIGBUS);
	return 4;
}

static void ends_by_sigbus(int (*child)(void))
{
	int status;
	pid_t pid;

	test_not_on_cards("the handler of SIGBUS is the software device's");
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(child());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
}

static void foreign_sigbus_without_a_handler(void **state)
{
	(void)state;
	ends_by_sigbus(default_child);
}

static void sent_sigbus_is_passed_on(void **state)
{
	(void)state;
	ends_by_sigbus(sent_child);
}

static void handlers_above_make_no_circle(void **state)
{
	(void)state;
	ends_by_sigbus(over_child);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_up, bench_down)
	const struct CMUnitTest tests[] = {
		/* These fork, so they come while there is one thread */
		cmocka_unit_test(foreign_sigbus_without_a_handler),
		cmocka_unit_test(sent_sigbus_is_passed_on),
		cmocka_unit_test(handlers_above_make_no_circle),
		TEST(mapped_files),
		TEST(truncated_while_mapped),
		TEST(truncated_while_a_job_runs),
		TEST(foreign_sigbus_reaches_the_previous_handler),
		TEST(a_handler_in_the_way_is_overlaid),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("libaipu_files", tests, NULL, NULL);
}
