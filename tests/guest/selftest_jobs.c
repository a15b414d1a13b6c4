// SPDX-License-Identifier: GPL-2.0
/*
 * Queues and jobs of the driver by ioctl: what is refused, what is taken, what comes back; with
 * NOPs, which need no memory. In the kernel's own test harness, which is taken from the kernel's
 * source when this is built ("make guest-tests"). Runs as root in a guest with the driver loaded,
 * on /dev/accel/accel0. Doorbells are counted by the card.
 */
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>

#include "kselftest_harness.h"

#include "jobs.h"

QUEUE_FIXTURE(jobs)

TEST_F(jobs, nops_in_batches)
{
	uint64_t doorbells = counter(self->config, DOORBELLS);
	uint32_t taken;

	for (int i = 0; i < 20; i++) {
		uint64_t first = self->next;

		ASSERT_EQ(0, nops(self->fd, self->queue, &self->next, 32, &taken));
		ASSERT_EQ(32, taken);
		ASSERT_EQ(0, take_all(self->fd, self->queue, first, 32));
	}
	EXPECT_EQ(641, self->next);
	doorbells = counter(self->config, DOORBELLS) - doorbells;
	EXPECT_GE(20, doorbells);
	EXPECT_LE(shadows(self->fd) ? 1 : 20, doorbells);
}

TEST_F(jobs, a_batch_beyond_a_chunk)
{
	uint64_t doorbells = counter(self->config, DOORBELLS);
	uint32_t taken;

	ASSERT_EQ(0, nops(self->fd, self->queue, &self->next, 50, &taken));
	ASSERT_EQ(50, taken);
	EXPECT_EQ(0, take_all(self->fd, self->queue, 1, 50));
	EXPECT_LE(counter(self->config, DOORBELLS) - doorbells, 3);
}

TEST_F(jobs, many_rounds_of_a_small_ring)
{
	uint32_t queue, taken;
	uint64_t next = 1;

	ASSERT_EQ(0, make_queue(self->fd, self->context, 1, 0, -1, &queue));
	for (int i = 0; i < 50; i++) {
		ASSERT_EQ(0, nops(self->fd, queue, &next, 1, &taken));
		ASSERT_EQ(0, take_all(self->fd, queue, next - 1, 1));
	}
	EXPECT_EQ(0, end_queue(self->fd, queue));
}

/* Job ids are 16 bits: they come round. */
TEST_F(jobs, more_jobs_than_ids)
{
	uint32_t queue, taken;
	uint64_t next = 1;

	ASSERT_EQ(0, make_queue(self->fd, self->context, 1023, 0, -1, &queue));
	while (next < 67000) {
		uint64_t first = next;

		ASSERT_EQ(0, nops(self->fd, queue, &next, 1000, &taken));
		ASSERT_EQ(0, take_all(self->fd, queue, first, 1000));
	}
}

TEST_F(jobs, another_sequence_is_refused)
{
	uint64_t sequence = 2;
	uint32_t taken;

	EXPECT_EQ(ESTALE, nops(self->fd, self->queue, &sequence, 3, &taken));
	EXPECT_EQ(1, sequence);
	EXPECT_EQ(0, taken);
	ASSERT_EQ(0, nops(self->fd, self->queue, &sequence, 3, &taken));
	sequence = 0;
	EXPECT_EQ(ESTALE, nops(self->fd, self->queue, &sequence, 1, &taken));
	EXPECT_EQ(4, sequence);
	EXPECT_EQ(0, take_all(self->fd, self->queue, 1, 3));
}

TEST_F(jobs, a_full_queue)
{
	uint32_t taken;

	EXPECT_EQ(EAGAIN, nops(self->fd, self->queue, &self->next, 100, &taken));
	EXPECT_EQ(ENTRIES, taken);
	EXPECT_EQ(EAGAIN, nops(self->fd, self->queue, &self->next, 1, &taken));
	EXPECT_EQ(0, taken);
	ASSERT_EQ(0, take_all(self->fd, self->queue, 1, 10));
	EXPECT_EQ(EAGAIN, nops(self->fd, self->queue, &self->next, 11, &taken));
	EXPECT_EQ(10, taken);
	EXPECT_EQ(0, take_all(self->fd, self->queue, 11, ENTRIES));
}

TEST_F(jobs, refused_jobs_and_arguments)
{
	struct aipu_job jobs[3] = {};
	struct drm_aipu_submit args;
	uint64_t next = 1;
	uint32_t taken;

	jobs[1].opcode = AIPU_JOB_GENERATE + 1;
	EXPECT_EQ(EINVAL, submit(self->fd, self->queue, &next, jobs, 3, 0, &taken));
	EXPECT_EQ(1, taken);
	jobs[1] = (struct aipu_job){ .flags = 1 };
	EXPECT_EQ(EINVAL, submit(self->fd, self->queue, &next, jobs, 3, 0, &taken));
	EXPECT_EQ(1, taken);
	jobs[1] = (struct aipu_job){ .id = 1 };
	EXPECT_EQ(EINVAL, submit(self->fd, self->queue, &next, jobs, 3, 0, &taken));
	jobs[1] = (struct aipu_job){ .reserved = 1 };
	EXPECT_EQ(EINVAL, submit(self->fd, self->queue, &next, jobs, 3, 0, &taken));
	EXPECT_EQ(5, next);
	EXPECT_EQ(0, take_all(self->fd, self->queue, 1, 4));
	EXPECT_EQ(EINVAL, submit(self->fd, self->queue, &next, jobs, 1, 2, &taken));
	EXPECT_EQ(EINVAL, submit(self->fd, self->queue, &next, jobs, 0, 0, &taken));
	EXPECT_EQ(EINVAL, submit(self->fd, self->queue, &next, jobs, 4097, 0, &taken));
	EXPECT_EQ(0, taken);
	EXPECT_EQ(ENOENT, submit(self->fd, self->queue + 1, &next, jobs, 1, 0, &taken));
	EXPECT_EQ(EFAULT, submit(self->fd, self->queue, &next, (void *)8, 1, 0, &taken));
	EXPECT_EQ(EFAULT, submit(self->fd, self->queue, &next, (void *)-64, 2, 0, &taken));
	args = (struct drm_aipu_submit){
		.queue = self->queue, .jobs = (uintptr_t)jobs, .count = 1, .sequence = 5
	};
	args.in_sync_count = 1;
	EXPECT_EQ(EOPNOTSUPP, call(self->fd, DRM_IOCTL_AIPU_SUBMIT, &args));
	args.in_sync_count = 65;
	EXPECT_EQ(EINVAL, call(self->fd, DRM_IOCTL_AIPU_SUBMIT, &args));
	args.in_sync_count = 0;
	EXPECT_EQ(0, call(self->fd, DRM_IOCTL_AIPU_SUBMIT, &args));
}

/* What lies before the hole is taken, at a chunk's end or not. */
TEST_F(jobs, jobs_that_end_at_a_hole)
{
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t taken;

	ASSERT_NE(MAP_FAILED, pages);
	ASSERT_EQ(0, munmap(pages + 4096, 4096));
	EXPECT_EQ(EFAULT, submit(self->fd, self->queue, &self->next,
				 (struct aipu_job *)(pages + 4096 - 20 * 64), 30, 0, &taken));
	EXPECT_EQ(16, taken);
	EXPECT_EQ(0, take_all(self->fd, self->queue, 1, taken));
}

TEST_F(jobs, what_the_card_refuses)
{
	struct aipu_job job = { .body = { 1 } };
	struct drm_aipu_result result;
	uint32_t taken;

	ASSERT_EQ(0, submit(self->fd, self->queue, &self->next, &job, 1, 0, &taken));
	ASSERT_EQ(0, wait_for(self->fd, self->queue, &result, 1, 1, FOREVER, &taken));
	EXPECT_EQ(-EINVAL, result.error);
	EXPECT_EQ(AIPU_STATUS_INVALID_FIELD, result.status);
	EXPECT_EQ(1, result.sequence);
	EXPECT_EQ(result.step_start, result.step_end);
}

TEST_F(jobs, more_is_rung_in_the_end)
{
	static const struct aipu_job jobs[40];
	uint64_t doorbells = counter(self->config, DOORBELLS);
	uint32_t taken;

	ASSERT_EQ(0, submit(self->fd, self->queue, &self->next, jobs, 3, DRM_AIPU_SUBMIT_MORE,
			    &taken));
	EXPECT_EQ(0, take_all(self->fd, self->queue, 1, 3));
	EXPECT_EQ(1, counter(self->config, DOORBELLS) - doorbells);
}

TEST_F(jobs, wait_and_time)
{
	struct drm_aipu_result results[4];
	uint32_t taken;
	int64_t begin = now_ns();

	EXPECT_EQ(ETIME, wait_for(self->fd, self->queue, results, 4, 1, 0, &taken));
	EXPECT_EQ(ETIME, wait_for(self->fd, self->queue, results, 4, 1, -5, &taken));
	EXPECT_EQ(ETIME, wait_for(self->fd, self->queue, results, 4, 1, 1, &taken));
	EXPECT_EQ(ETIME, wait_for(self->fd, self->queue, results, 4, 1, begin + 20000000, &taken));
	EXPECT_LE(begin + 20000000, now_ns());
	EXPECT_EQ(0, taken);
	ASSERT_EQ(0, nops(self->fd, self->queue, &self->next, 2, &taken));
	EXPECT_EQ(ETIME,
		  wait_for(self->fd, self->queue, results, 4, 4, now_ns() + 500000000, &taken));
	EXPECT_EQ(2, taken);
	EXPECT_EQ(EINVAL, wait_for(self->fd, self->queue, results, 1, 2, 0, &taken));
	EXPECT_EQ(EINVAL, wait_for(self->fd, self->queue, results, 0, 0, 0, &taken));
	EXPECT_EQ(ENOENT, wait_for(self->fd, 77, results, 1, 1, 0, &taken));
}

TEST_F(jobs, results_are_not_lost_at_a_bad_address)
{
	uint32_t taken;

	ASSERT_EQ(0, nops(self->fd, self->queue, &self->next, 5, &taken));
	EXPECT_EQ(EFAULT, wait_for(self->fd, self->queue, (void *)16, 5, 5, FOREVER, &taken));
	EXPECT_EQ(0, taken);
	EXPECT_EQ(0, take_all(self->fd, self->queue, 1, 5));
}

TEST_F(jobs, eventfd_tells)
{
	int event = eventfd(0, EFD_CLOEXEC);
	uint32_t queue, taken;
	uint64_t next = 1, count;

	ASSERT_LE(0, event);
	EXPECT_EQ(EBADF, make_queue(self->fd, self->context, 4, 0, self->fd, &queue));
	EXPECT_EQ(EBADF, make_queue(self->fd, self->context, 4, 0, 1000, &queue));
	EXPECT_EQ(EBADF, make_queue(self->fd, self->context, 4, 0, -2, &queue));
	ASSERT_EQ(0, make_queue(self->fd, self->context, 4, 0, event, &queue));
	ASSERT_EQ(0, nops(self->fd, queue, &next, 1, &taken));
	ASSERT_EQ(8, read(event, &count, 8));
	EXPECT_EQ(0, take_all(self->fd, queue, 1, 1));
	EXPECT_EQ(0, end_queue(self->fd, queue));
	close(event);
}

TEST_F(jobs, queue_arguments)
{
	struct drm_aipu_queue_create create = { .context = self->context, .eventfd = -1 };
	struct drm_aipu_queue pad = { .queue = self->queue, .pad = 1 };

	EXPECT_EQ(EINVAL, call(self->fd, DRM_IOCTL_AIPU_QUEUE_CREATE, &create));
	create.entries = 1u << 31;
	EXPECT_EQ(EINVAL, call(self->fd, DRM_IOCTL_AIPU_QUEUE_CREATE, &create));
	create.entries = 5;
	create.kind = 2;
	EXPECT_EQ(EINVAL, call(self->fd, DRM_IOCTL_AIPU_QUEUE_CREATE, &create));
	create.kind = DRM_AIPU_QUEUE_FENCED;
	EXPECT_EQ(EOPNOTSUPP, call(self->fd, DRM_IOCTL_AIPU_QUEUE_CREATE, &create));
	create.kind = 0;
	create.flags = 1;
	EXPECT_EQ(EINVAL, call(self->fd, DRM_IOCTL_AIPU_QUEUE_CREATE, &create));
	create.flags = 0;
	create.coalesce_count = 65536;
	EXPECT_EQ(EINVAL, call(self->fd, DRM_IOCTL_AIPU_QUEUE_CREATE, &create));
	create.coalesce_count = 0;
	create.coalesce_us = 1000001;
	EXPECT_EQ(EINVAL, call(self->fd, DRM_IOCTL_AIPU_QUEUE_CREATE, &create));
	create.coalesce_us = 0;
	create.context = self->context + 1;
	EXPECT_EQ(ENOENT, call(self->fd, DRM_IOCTL_AIPU_QUEUE_CREATE, &create));
	create.context = self->context;
	EXPECT_EQ(0, call(self->fd, DRM_IOCTL_AIPU_QUEUE_CREATE, &create));
	EXPECT_EQ(7, create.entries);
	EXPECT_EQ(EINVAL, call(self->fd, DRM_IOCTL_AIPU_QUEUE_DESTROY, &pad));
	EXPECT_EQ(EINVAL, call(self->fd, DRM_IOCTL_AIPU_KICK, &pad));
	pad.pad = 0;
	EXPECT_EQ(0, call(self->fd, DRM_IOCTL_AIPU_KICK, &pad));
	EXPECT_EQ(0, end_queue(self->fd, create.queue));
	EXPECT_EQ(ENOENT, end_queue(self->fd, create.queue));
	EXPECT_EQ(ENOENT, end_queue(self->fd, 0));
}

TEST_F(jobs, all_queues_of_the_card)
{
	uint32_t queues[2048];
	uint32_t count = 0;
	int err;

	while (count < 2048 &&
	       !(err = make_queue(self->fd, self->context, 1, 0, -1, &queues[count])))
		count++;
	EXPECT_EQ(ENOSPC, err);
	EXPECT_LT(1, count);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t next = 1;
		uint32_t taken;

		ASSERT_EQ(0, nops(self->fd, queues[i], &next, 1, &taken));
	}
	for (uint32_t i = 0; i < count; i++) {
		ASSERT_EQ(0, take_all(self->fd, queues[i], 1, 1));
		ASSERT_EQ(0, end_queue(self->fd, queues[i]));
	}
}

TEST_F(jobs, another_file_has_no_such_queue)
{
	int other = open(NODE, O_RDWR | O_CLOEXEC);
	struct drm_aipu_cancel cancel = { .queue = self->queue, .sequence = 1 };
	struct drm_aipu_result result;
	uint64_t next = 1;
	uint32_t taken;

	ASSERT_LE(0, other);
	EXPECT_EQ(ENOENT, nops(other, self->queue, &next, 1, &taken));
	EXPECT_EQ(ENOENT, wait_for(other, self->queue, &result, 1, 1, 0, &taken));
	EXPECT_EQ(ENOENT, call(other, DRM_IOCTL_AIPU_CANCEL, &cancel));
	EXPECT_EQ(ENOENT, end_queue(other, self->queue));
	close(other);
}

TEST_F(jobs, context_takes_its_queues_with_it)
{
	struct drm_aipu_context destroy = { .context = self->context };
	uint32_t taken;

	ASSERT_EQ(0, nops(self->fd, self->queue, &self->next, 10, &taken));
	ASSERT_EQ(0, call(self->fd, DRM_IOCTL_AIPU_CONTEXT_DESTROY, &destroy));
	EXPECT_EQ(ENOENT, nops(self->fd, self->queue, &self->next, 1, &taken));
	EXPECT_EQ(ENOENT, end_queue(self->fd, self->queue));
}

/* --- what tools see --------------------------------------------------------------------------- */

#define TRACING "/sys/kernel/tracing"

static int trace_write(const char *file, const char *text)
{
	char path[128];
	int fd, ok;

	snprintf(path, sizeof(path), TRACING "/%s", file);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok ? 0 : -1;
}

/* Lines of the trace that have `text` */
static int traced(const char *text)
{
	FILE *file = fopen(TRACING "/trace", "re");
	char line[512];
	int count = 0;

	while (file && fgets(line, sizeof(line), file))
		count += !!strstr(line, text);
	if (file)
		fclose(file);
	return count;
}

/* Each job is given and done once; one doorbell lets all of them run. */
TEST_F(jobs, tracepoints)
{
	struct drm_aipu_reset reset = {};
	uint32_t taken;

	mount("tracing", TRACING, "tracefs", 0, NULL);
	if (access(TRACING "/events/aipu", F_OK))
		SKIP(return, "this kernel has no tracefs");
	ASSERT_EQ(0, trace_write("trace", "\n"));
	ASSERT_EQ(0, trace_write("events/aipu/enable", "1"));
	ASSERT_EQ(0, nops(self->fd, self->queue, &self->next, 5, &taken));
	EXPECT_EQ(0, take_all(self->fd, self->queue, 1, 5));
	EXPECT_EQ(0, call(self->fd, DRM_IOCTL_AIPU_RESET, &reset));
	ASSERT_EQ(0, trace_write("events/aipu/enable", "0"));
	EXPECT_EQ(5, traced(" aipu_job_queue: "));
	EXPECT_EQ(1, traced(" aipu_job_run: "));
	EXPECT_EQ(1, traced(" sequence=5 opcode=0 running=5"));
	EXPECT_EQ(5, traced(" aipu_job_done: "));
	EXPECT_EQ(1, traced(" aipu_reset: "));
}

TEST_HARNESS_MAIN
