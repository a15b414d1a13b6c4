// SPDX-License-Identifier: GPL-2.0
/*
 * Priorities and weights of contexts, by the device's step counters that come with each result. In the kernel's own test
 * harness, as selftest_jobs.c. Two contexts fill device memory: a FILL is at most sixteen steps of 4 MiB, and each queue has
 * all its jobs before the other's first one.
 */
#include <stdio.h>
#include <sys/mman.h>

#include "kselftest_harness.h"

#include "aipu_registers.h"
#include "jobs.h"

#define STEPS (FILL_BYTES >> 22) /* of a FILL */
#define LONG 60u /* jobs of the context that is measured against */
#define PATIENCE 64u /* of a class: [PRIO-4] */

struct user {
	int fd;
	uint32_t context, queue, segment;
	uint64_t next;
};

struct span {
	uint32_t seen, start, end;
};

FIXTURE(shares)
{
	struct user a, b;
	struct drm_aipu_device device;
};

FIXTURE_SETUP(shares)
{
	struct drm_aipu_query query = { .kind = DRM_AIPU_QUERY_DEVICE,
					.bytes = sizeof(self->device),
					.data = (uintptr_t)&self->device };

	/* Two files, as two programs have */
	self->a.fd = open(NODE, O_RDWR | O_CLOEXEC);
	self->b.fd = open(NODE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->a.fd);
	ASSERT_LE(0, self->b.fd);
	ASSERT_EQ(0, call(self->a.fd, DRM_IOCTL_AIPU_QUERY, &query));
	if (!(self->device.capabilities & AIPU_CAP_PRIORITIES))
		SKIP(return, "the card has no priorities");
}

FIXTURE_TEARDOWN(shares)
{
	close(self->a.fd);
	close(self->b.fd);
}

static int user_make(struct user *user, uint32_t priority, uint32_t weight)
{
	int err = make_share(user->fd, priority, weight, &user->context);

	user->next = 1;
	return err ? err : make_fills_of(user->fd, user->context, &user->queue, &user->segment);
}

static int user_fill(struct user *user, uint32_t jobs)
{
	return fill_all(user->fd, user->queue, user->segment, &user->next, jobs);
}

/* From the first of its jobs to the last */
static int user_span(struct user *user, uint32_t jobs, struct span *span)
{
	struct drm_aipu_result results[ENTRIES];
	uint32_t taken;
	int err = wait_for(user->fd, user->queue, results, jobs, jobs, FOREVER, &taken);

	for (uint32_t i = 0; !err && i < jobs; i++)
		err = results[i].error;
	*span = (struct span){ results[0].step_seen, results[0].step_start,
			       results[jobs - 1].step_end };
	return err;
}

/* Who comes later, with fewer jobs, does them in one step of two, or in three of four. */
TEST_F(shares, weights)
{
	struct span first, second;

	ASSERT_EQ(0, user_make(&self->a, 0, 1));
	ASSERT_EQ(0, user_make(&self->b, 0, 3));
	ASSERT_EQ(0, user_fill(&self->a, LONG));
	ASSERT_EQ(0, user_fill(&self->b, 20));
	ASSERT_EQ(0, user_span(&self->b, 20, &second));
	ASSERT_EQ(0, user_span(&self->a, LONG, &first));
	ASSERT_LT(second.end, first.end);
	/* 320 steps of its own, 320 / 3 of the other, a round more or less */
	EXPECT_LE(20 * STEPS + 20 * STEPS / 3 - 1, second.end - second.start);
	EXPECT_GE(20 * STEPS + 20 * STEPS / 3 + 1, second.end - second.start);
	EXPECT_GE(2, second.start - second.seen);
}

TEST_F(shares, no_weight_is_one)
{
	struct span first, second;

	ASSERT_EQ(0, user_make(&self->a, 0, 1));
	ASSERT_EQ(0, user_make(&self->b, 0, 0));
	ASSERT_EQ(0, user_fill(&self->a, LONG));
	ASSERT_EQ(0, user_fill(&self->b, 20));
	ASSERT_EQ(0, user_span(&self->b, 20, &second));
	ASSERT_EQ(0, user_span(&self->a, LONG, &first));
	ASSERT_LT(second.end, first.end);
	EXPECT_LE(40 * STEPS - 1, second.end - second.start);
	EXPECT_GE(40 * STEPS + 1, second.end - second.start);
}

/* It waits for the step that runs, whatever the other's weight is; that one has a turn in 65. */
TEST_F(shares, high_goes_before_normal)
{
	struct span first, second;

	ASSERT_EQ(0, user_make(&self->a, 0, 256));
	ASSERT_EQ(0, user_make(&self->b, 2, 1));
	ASSERT_EQ(0, user_fill(&self->a, LONG));
	ASSERT_EQ(0, user_fill(&self->b, 20));
	ASSERT_EQ(0, user_span(&self->b, 20, &second));
	ASSERT_EQ(0, user_span(&self->a, LONG, &first));
	ASSERT_LT(second.end, first.end);
	EXPECT_GE(1, second.start - second.seen);
	EXPECT_LE(20 * STEPS + 20 * STEPS / PATIENCE - 1, second.end - second.start);
	EXPECT_GE(20 * STEPS + 20 * STEPS / PATIENCE, second.end - second.start);
}

TEST_F(shares, low_waits_for_normal)
{
	struct span first, second;

	ASSERT_EQ(0, user_make(&self->a, 0, 1));
	ASSERT_EQ(0, user_make(&self->b, 1, 256));
	ASSERT_EQ(0, user_fill(&self->a, LONG));
	ASSERT_EQ(0, user_fill(&self->b, 3));
	ASSERT_EQ(0, user_span(&self->a, LONG, &first));
	ASSERT_EQ(0, user_span(&self->b, 3, &second));
	EXPECT_LT(first.start, second.start);
	EXPECT_LE(PATIENCE, second.start - second.seen);
	/* One turn in 65 while the other works, the rest afterwards */
	EXPECT_GE(LONG * STEPS + LONG * STEPS / PATIENCE, first.end - first.start);
	EXPECT_LE(3 * STEPS - (LONG * STEPS / PATIENCE + 1), second.end - first.end);
}

/* A COPY of 32 GiB, for a context of a higher class; it is given up at the end */
static int endless_copy(struct user *user, struct aipu_copy_entry **list)
{
	const size_t bytes = AIPU_COPY_MAX_LIST * sizeof(**list);
	struct drm_aipu_buffer_create buffer = { .kind = DRM_AIPU_BUFFER_HOST, .bytes = bytes };
	struct drm_aipu_segment_bind bind = { .context = user->context,
					      .length = bytes,
					      .access = DRM_AIPU_ACCESS_READ };
	struct drm_aipu_buffer_info info = {};
	struct aipu_job job = { .opcode = AIPU_JOB_COPY,
				.copy = { .list_count = AIPU_COPY_MAX_LIST } };
	uint32_t taken;
	int err = call(user->fd, DRM_IOCTL_AIPU_BUFFER_CREATE, &buffer);

	info.handle = bind.handle = buffer.handle;
	if (!err)
		err = call(user->fd, DRM_IOCTL_AIPU_BUFFER_INFO, &info);
	if (!err)
		err = call(user->fd, DRM_IOCTL_AIPU_SEGMENT_BIND, &bind);
	if (err)
		return err;
	*list = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, user->fd, info.map_offset);
	if (*list == MAP_FAILED)
		return errno;
	for (uint32_t i = 0; i < AIPU_COPY_MAX_LIST; i++)
		(*list)[i] = (struct aipu_copy_entry){ .src_segment = user->segment,
						       .dst_segment = user->segment,
						       .dst_offset = FILL_BYTES / 2,
						       .length = FILL_BYTES / 2 };
	job.copy.src_segment = bind.segment;
	return submit(user->fd, user->queue, &user->next, &job, 1, 0, &taken);
}

/* Memory is cleared by the driver's own context before anybody gets it. */
TEST_F(shares, clearing_is_not_held_up_for_ever)
{
	struct aipu_copy_entry *list = NULL;
	struct drm_aipu_result result;
	uint32_t taken;

	ASSERT_EQ(0, user_make(&self->a, 2, 256));
	ASSERT_EQ(0, endless_copy(&self->a, &list));
	ASSERT_EQ(0, user_make(&self->b, 1, 1));
	EXPECT_EQ(ETIME, wait_for(self->a.fd, self->a.queue, &result, 1, 1, 0, &taken));
	/* Nor is work of the lowest class */
	ASSERT_EQ(0, nops(self->b.fd, self->b.queue, &self->b.next, 1, &taken));
	EXPECT_EQ(0, take_all(self->b.fd, self->b.queue, 1, 1));
	EXPECT_EQ(ETIME, wait_for(self->a.fd, self->a.queue, &result, 1, 1, 0, &taken));
	EXPECT_EQ(0, cancel(self->a.fd, self->a.queue, 1));
	EXPECT_EQ(0, wait_for(self->a.fd, self->a.queue, &result, 1, 1, FOREVER, &taken));
	EXPECT_EQ(-ECANCELED, result.error);
	munmap(list, AIPU_COPY_MAX_LIST * sizeof(*list));
}

TEST_HARNESS_MAIN
