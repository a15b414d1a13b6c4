// SPDX-License-Identifier: MIT
/*
 * Buffers and bindings on the soft transport: every kind, every bad argument, device memory to its last
 * page, files that become shorter while they are mapped, and the SIGBUS of others.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libaipu_test.h"
#include "soft/soft.h"

#define PAGE 4096u

static void host_buffers(void **state)
{
	struct test_bench *bench = *state;
	struct aipu_buffer *buffer;

	assert_int_equal(aipu_buffer_create(bench->device, AIPU_BUFFER_HOST, 1, &buffer), 0);
	assert_int_equal(aipu_buffer_bytes(buffer), 1);
	assert_int_equal((uintptr_t)aipu_buffer_data(buffer) % PAGE, 0);
	assert_int_equal(*(unsigned char *)aipu_buffer_data(buffer), 0);
	assert_int_equal(aipu_buffer_destroy(buffer), 0);
	assert_int_equal(aipu_buffer_create(NULL, AIPU_BUFFER_HOST, 1, &buffer), -EINVAL);
	assert_int_equal(aipu_buffer_create(bench->device, AIPU_BUFFER_HOST, 1, NULL), -EINVAL);
	assert_int_equal(aipu_buffer_create(bench->device, AIPU_BUFFER_HOST, 0, &buffer), -EINVAL);
	assert_null(buffer);
	assert_int_equal(aipu_buffer_create(bench->device, 0, 1, &buffer), -EINVAL);
	assert_int_equal(aipu_buffer_create(bench->device, 3, 1, &buffer), -EINVAL);
	assert_int_equal(aipu_buffer_create(bench->device, AIPU_BUFFER_HOST, UINT64_MAX, &buffer),
			 -ENOMEM);
	assert_int_equal(aipu_buffer_create(bench->device, AIPU_BUFFER_HOST, 1ull << 48, &buffer),
			 -ENOMEM);
	assert_int_equal(aipu_buffer_destroy(NULL), 0);
	assert_null(aipu_buffer_data(NULL));
	assert_int_equal(aipu_buffer_bytes(NULL), 0);
}

static void bindings_are_checked(void **state)
{
	struct test_bench *bench = *state;
	struct aipu_buffer *buffer = test_buffer(bench->device, 3 * PAGE + 5);
	struct aipu_context *context = bench->context;
	struct aipu_device_info info;
	int segment, *segments;
	unsigned int count = 0;

	assert_int_equal(aipu_segment_bind(NULL, buffer, 0, 0, AIPU_READ), -EINVAL);
	assert_int_equal(aipu_segment_bind(context, NULL, 0, 0, AIPU_READ), -EINVAL);
	assert_int_equal(aipu_segment_bind(context, buffer, 0, 0, 0), -EINVAL);
	assert_int_equal(aipu_segment_bind(context, buffer, 0, 0, 4), -EINVAL);
	assert_int_equal(aipu_segment_bind(context, buffer, 64, 0, AIPU_READ), -EINVAL);
	assert_int_equal(aipu_segment_bind(context, buffer, 4 * PAGE, 0, AIPU_READ), -EINVAL);
	assert_int_equal(aipu_segment_bind(context, buffer, 0, 3 * PAGE + 6, AIPU_READ), -EINVAL);
	assert_int_equal(aipu_segment_bind(context, buffer, PAGE, UINT64_MAX, AIPU_READ), -EINVAL);
	assert_int_equal(aipu_segment_unbind(context, -1), -EINVAL);
	assert_int_equal(aipu_segment_unbind(NULL, 0), -EINVAL);
	assert_int_equal(aipu_segment_unbind(context, 0), -ENOENT);
	/* Length 0 is to the end, exactly */
	segment = aipu_segment_bind(context, buffer, 3 * PAGE, 0, AIPU_WRITE);
	assert_true(segment >= 0);
	assert_int_equal(test_fill(bench->queue, segment, 0, 5, 0x41414141), AIPU_STATUS_OK);
	assert_int_equal(test_fill(bench->queue, segment, 0, 6, 0), AIPU_STATUS_OUT_OF_RANGE);
	assert_memory_equal((char *)aipu_buffer_data(buffer) + 3 * PAGE, "AAAAA", 5);
	assert_int_equal(aipu_buffer_destroy(buffer), -EBUSY);
	assert_int_equal(aipu_segment_unbind(context, segment), 0);
	assert_int_equal(aipu_segment_unbind(context, segment), -ENOENT);
	/* All ids of a context, and again */
	assert_int_equal(aipu_device_query(bench->device, &info), 0);
	segments = calloc(info.max_segments, sizeof(*segments));
	for (unsigned int round = 0; round < 2; round++) {
		while ((segment = aipu_segment_bind(context, buffer, 0, PAGE, AIPU_READ)) >= 0)
			segments[count++] = segment;
		assert_int_equal(segment, -ENOSPC);
		assert_int_equal(count, info.max_segments);
		while (count)
			assert_int_equal(aipu_segment_unbind(context, segments[--count]), 0);
	}
	free(segments);
	assert_int_equal(aipu_buffer_destroy(buffer), 0);
}

/* Full, freed, and zero again when it is handed out anew */
static void device_memory(void **state)
{
	struct test_bench *bench = *state;
	struct aipu_buffer *buffers[4], *buffer;
	struct aipu_device_info info;
	unsigned char *bytes;
	int segment;

	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(aipu_buffer_create(bench->device, AIPU_BUFFER_DEVICE, 16u << 20,
						    &buffers[i]),
				 0);
	assert_int_equal(aipu_device_query(bench->device, &info), 0);
	assert_int_equal(info.memory_free, 0);
	assert_int_equal(aipu_buffer_create(bench->device, AIPU_BUFFER_DEVICE, 1, &buffer),
			 -ENOSPC);
	assert_null(buffer);
	segment = aipu_segment_bind(bench->context, buffers[2], 0, 0, AIPU_READ | AIPU_WRITE);
	assert_true(segment >= 0);
	assert_int_equal(test_fill(bench->queue, segment, 0, 16u << 20, 0xdeadbeef),
			 AIPU_STATUS_OK);
	assert_int_equal(aipu_segment_unbind(bench->context, segment), 0);
	assert_int_equal(aipu_buffer_destroy(buffers[2]), 0);
	assert_int_equal(aipu_buffer_create(bench->device, AIPU_BUFFER_DEVICE, 17u << 20, &buffer),
			 -ENOSPC);
	assert_int_equal(aipu_buffer_create(bench->device, AIPU_BUFFER_DEVICE, (8u << 20) - 100,
					    &buffers[2]),
			 0);
	/* The whole buffer, and the rest of its last 64 bytes, are zero */
	segment = aipu_segment_bind(bench->context, buffers[2], 0, 0, AIPU_READ);
	assert_true(segment >= 0);
	buffer = test_buffer(bench->device, 8u << 20);
	memset(aipu_buffer_data(buffer), 0xff, 8u << 20);
	{
		int to = aipu_segment_bind(bench->context, buffer, 0, 0, AIPU_WRITE);

		assert_true(to >= 0);
		assert_int_equal(test_copy(bench->queue, to, 0, segment, 0, (8u << 20) - 128),
				 AIPU_STATUS_OK);
		assert_int_equal(aipu_segment_unbind(bench->context, to), 0);
	}
	bytes = aipu_buffer_data(buffer);
	for (unsigned int i = 0; i < (8u << 20) - 128; i++)
		assert_int_equal(bytes[i], 0);
	assert_int_equal(aipu_buffer_destroy(buffer), 0);
	assert_int_equal(aipu_segment_unbind(bench->context, segment), 0);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(aipu_buffer_destroy(buffers[i]), 0);
	assert_int_equal(aipu_device_query(bench->device, &info), 0);
	assert_int_equal(info.memory_free, info.memory_bytes);
}

static void imported_memory(void **state)
{
	struct test_bench *bench = *state;
	unsigned char *memory =
		mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct aipu_buffer *buffer;
	int segment;

	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_int_equal(aipu_buffer_import(NULL, memory, PAGE, AIPU_READ, &buffer), -EINVAL);
	assert_int_equal(aipu_buffer_import(bench->device, NULL, PAGE, AIPU_READ, &buffer),
			 -EINVAL);
	assert_int_equal(aipu_buffer_import(bench->device, memory + 8, PAGE, AIPU_READ, &buffer),
			 -EINVAL);
	assert_int_equal(aipu_buffer_import(bench->device, memory, 0, AIPU_READ, &buffer), -EINVAL);
	assert_int_equal(aipu_buffer_import(bench->device, memory, UINT64_MAX, AIPU_READ, &buffer),
			 -EINVAL);
	assert_int_equal(aipu_buffer_import(bench->device, memory, PAGE, 0, &buffer), -EINVAL);
	assert_int_equal(aipu_buffer_import(bench->device, memory, PAGE, 8, &buffer), -EINVAL);
	assert_int_equal(aipu_buffer_import(bench->device, memory, PAGE, AIPU_READ, NULL), -EINVAL);
	/* A hole in it */
	munmap(memory + 2 * PAGE, PAGE);
	assert_int_equal(aipu_buffer_import(bench->device, memory, 3 * PAGE, AIPU_READ, &buffer),
			 -EFAULT);
	assert_null(buffer);
	assert_int_equal(aipu_buffer_import(bench->device, memory, PAGE + 9, AIPU_READ | AIPU_WRITE,
					    &buffer),
			 0);
	assert_ptr_equal(aipu_buffer_data(buffer), memory);
	segment = aipu_segment_bind(bench->context, buffer, 0, 0, AIPU_READ | AIPU_WRITE);
	assert_true(segment >= 0);
	assert_int_equal(test_fill(bench->queue, segment, 0, PAGE + 9, 0x61616161), AIPU_STATUS_OK);
	assert_memory_equal(memory + PAGE, "aaaaaaaaa", 10); /* and a zero */
	assert_int_equal(aipu_segment_unbind(bench->context, segment), 0);
	assert_int_equal(aipu_buffer_destroy(buffer), 0);
	/* Still the caller's */
	assert_int_equal(memory[0], 'a');
	assert_int_equal(aipu_buffer_import(bench->device, memory, PAGE, AIPU_READ, &buffer), 0);
	assert_int_equal(aipu_segment_bind(bench->context, buffer, 0, 0, AIPU_WRITE), -EACCES);
	assert_int_equal(aipu_buffer_destroy(buffer), 0);
	munmap(memory, 2 * PAGE);
}

/* --- files ---------------------------------------------------------------------------------------- */

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
	pid_t pid = fork();

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

/* --- inner parts ------------------------------------------------------------------------------------ */

static void dma_reaches_regions_only(void **state)
{
	struct soft_region *rw, *ro;
	const volatile bool *lost;
	static unsigned char memory[64];
	unsigned char byte = 7;
	uint64_t word = 0x1122334455667788, back = 0;
	struct soft_dma dma;

	(void)state;
	soft_dma_init(&dma);
	assert_int_equal(soft_dma_read(&dma, 0, &byte, 1), -EFAULT);
	assert_int_equal(soft_dma_alloc(&dma, 100, &rw), 0);
	assert_int_equal(rw->bytes, PAGE);
	assert_int_equal(soft_dma_add(&dma, memory, 63, false, &ro), 0);
	assert_int_equal(soft_dma_write(&dma, rw->address + 8, &word, 8), 0);
	assert_int_equal(soft_dma_read(&dma, rw->address + 8, &back, 8), 0);
	assert_true(back == word);
	assert_int_equal(soft_dma_write(&dma, rw->address + PAGE - 1, &byte, 1), 0);
	assert_int_equal(soft_dma_write(&dma, rw->address + PAGE, &byte, 1), -EFAULT);
	assert_int_equal(soft_dma_write(&dma, rw->address + PAGE - 1, &word, 2), -EFAULT);
	assert_int_equal(soft_dma_write(&dma, rw->address - 1, &byte, 1), -EFAULT);
	assert_int_equal(soft_dma_read(&dma, rw->address + 1, &byte, SIZE_MAX), -EFAULT);
	assert_int_equal(soft_dma_read(&dma, UINT64_MAX, &byte, 1), -EFAULT);
	assert_int_equal(soft_dma_read(&dma, ro->address + 62, &byte, 1), 0);
	assert_int_equal(soft_dma_read(&dma, ro->address + 63, &byte, 1), -EFAULT);
	assert_int_equal(soft_dma_write(&dma, ro->address, &byte, 1), -EFAULT);
	assert_null(soft_dma_map(&dma, ro->address, 1, true, &lost));
	assert_ptr_equal(soft_dma_map(&dma, ro->address + 1, 62, false, &lost), memory + 1);
	assert_false(*lost);
	assert_null(soft_dma_map(&dma, ro->address + 1, 63, false, NULL));
	/* An address is never used twice */
	word = rw->address;
	soft_dma_free(&dma, rw);
	assert_int_equal(soft_dma_read(&dma, word, &byte, 1), -EFAULT);
	assert_int_equal(soft_dma_alloc(&dma, 100, &rw), 0);
	assert_true(rw->address > word);
	soft_dma_remove(&dma, ro);
	soft_dma_finish(&dma); /* frees rw */
}

/* Never two owners of a byte, never lost bytes, long ones aligned */
static void device_memory_allocator(void **state)
{
	struct {
		uint64_t offset, bytes;
	} taken[64] = { 0 };
	const uint64_t total = 64ull << 20;
	struct soft_memory memory;
	uint32_t seed = 1;
	uint64_t used = 0;

	(void)state;
	assert_int_equal(soft_memory_init(&memory, total + 100), 0);
	for (unsigned int round = 0; round < 20000; round++) {
		unsigned int i;

		seed = seed * 1664525 + 1013904223;
		i = seed >> 26;
		if (taken[i].bytes) {
			soft_memory_give(&memory, taken[i].offset);
			used -= taken[i].bytes;
			taken[i].bytes = 0;
		} else {
			uint64_t bytes = 1 + (seed >> 8) % (seed & 0x80 ? 8u << 20 : 20000), offset;

			if (soft_memory_take(&memory, bytes, &offset))
				continue;
			bytes = soft_page_align(bytes);
			assert_int_equal(offset % (bytes >= 2u << 20 ? 2u << 20 : PAGE), 0);
			assert_true(offset + bytes <= total);
			for (unsigned int n = 0; n < 64; n++)
				assert_true(!taken[n].bytes ||
					    offset >= taken[n].offset + taken[n].bytes ||
					    taken[n].offset >= offset + bytes);
			taken[i].offset = offset;
			taken[i].bytes = bytes;
			used += bytes;
		}
		assert_int_equal(soft_memory_free(&memory), total - used);
	}
	for (unsigned int i = 0; i < 64; i++) {
		if (taken[i].bytes)
			soft_memory_give(&memory, taken[i].offset);
	}
	/* One piece again */
	assert_int_equal(soft_memory_take(&memory, total, &used), 0);
	assert_int_equal(used, 0);
	soft_memory_give(&memory, 12345); /* nobody's */
	assert_int_equal(soft_memory_free(&memory), 0);
	soft_memory_finish(&memory);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_up, bench_down)
	const struct CMUnitTest tests[] = {
		/* These fork, so they come while there is one thread */
		cmocka_unit_test(foreign_sigbus_without_a_handler),
		cmocka_unit_test(sent_sigbus_is_passed_on),
		cmocka_unit_test(handlers_above_make_no_circle),
		TEST(host_buffers),
		TEST(bindings_are_checked),
		TEST(device_memory),
		TEST(imported_memory),
		TEST(mapped_files),
		TEST(truncated_while_mapped),
		TEST(truncated_while_a_job_runs),
		TEST(foreign_sigbus_reaches_the_previous_handler),
		TEST(a_handler_in_the_way_is_overlaid),
		cmocka_unit_test(dma_reaches_regions_only),
		cmocka_unit_test(device_memory_allocator),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("libaipu_memory", tests, NULL, NULL);
}
