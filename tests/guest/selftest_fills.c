// SPDX-License-Identifier: GPL-2.0
/*
 * Jobs in flight whose end comes from elsewhere: cancelled, their queue, context, file or process
 * gone, the context or the card reset. In the kernel's own test harness, as selftest_jobs.c. The
 * jobs fill device memory, a queue of them takes a second.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "jobs.h"

FILLS_FIXTURE(fills)

TEST_F(fills, cancel)
{
	struct drm_aipu_result results[ENTRIES];
	uint32_t taken, cancelled = 0;

	ASSERT_EQ(0, fill_all(self->fd, self->queue, self->segment, &self->next, ENTRIES));
	for (uint64_t s = ENTRIES; s > ENTRIES / 2; s--)
		EXPECT_EQ(0, cancel(self->fd, self->queue, s));
	EXPECT_EQ(ENOENT, cancel(self->fd, self->queue, ENTRIES + 1));
	EXPECT_EQ(ENOENT, cancel(self->fd, self->queue, 0));
	ASSERT_EQ(0, wait_for(self->fd, self->queue, results, ENTRIES, ENTRIES, FOREVER, &taken));
	EXPECT_EQ(ENOENT, cancel(self->fd, self->queue, 1));
	for (uint32_t i = 0; i < ENTRIES; i++) {
		if (results[i].sequence <= ENTRIES / 2) {
			EXPECT_EQ(0, results[i].error);
		} else if (results[i].error) {
			EXPECT_EQ(AIPU_STATUS_ABORTED, results[i].status);
		}
		cancelled += results[i].error == -ECANCELED;
	}
	EXPECT_LT(0, cancelled);
	/* Every place is free again. */
	for (int i = 0; i < 100; i++) {
		ASSERT_EQ(0, nops(self->fd, self->queue, &self->next, 1, &taken));
		ASSERT_EQ(0, take_all(self->fd, self->queue, self->next - 1, 1));
	}
}

TEST_F(fills, destroy_with_jobs_in_flight)
{
	struct drm_aipu_result result;
	uint32_t taken;

	ASSERT_EQ(0, fill_all(self->fd, self->queue, self->segment, &self->next, ENTRIES));
	EXPECT_EQ(0, end_queue(self->fd, self->queue));
	EXPECT_EQ(ENOENT, wait_for(self->fd, self->queue, &result, 1, 1, FOREVER, &taken));
}

TEST_F(fills, close_with_jobs_in_flight)
{
	int other = open(NODE, O_RDWR | O_CLOEXEC);
	uint32_t context, queue;
	uint64_t next = 1;

	ASSERT_EQ(0, make_context(other, &context));
	ASSERT_EQ(0, make_queue(other, context, ENTRIES, 0, -1, &queue));
	ASSERT_EQ(0, fill_all(self->fd, self->queue, self->segment, &self->next, ENTRIES));
	ASSERT_EQ(0, fill_all(other, queue, 0, &next, 10));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, close(other));
	self->fd = open(NODE, O_RDWR | O_CLOEXEC);
}

struct waiter {
	int fd, err;
	uint32_t queue, taken;
	struct drm_aipu_result results[ENTRIES];
};

static void *wait_thread(void *arg)
{
	struct waiter *w = arg;

	w->err = wait_for(w->fd, w->queue, w->results, ENTRIES, ENTRIES, FOREVER, &w->taken);
	return NULL;
}

TEST_F(fills, destroy_ends_a_wait)
{
	struct waiter w = { .fd = self->fd, .queue = self->queue };
	pthread_t thread;

	ASSERT_EQ(0, fill_all(self->fd, self->queue, self->segment, &self->next, ENTRIES - 1));
	ASSERT_EQ(0, pthread_create(&thread, NULL, wait_thread, &w));
	usleep(20000);
	EXPECT_EQ(0, end_queue(self->fd, self->queue));
	pthread_join(thread, NULL);
	if (w.err != ENOENT) {
		EXPECT_EQ(0, w.err);
		EXPECT_EQ(ENTRIES - 1, w.taken);
		EXPECT_EQ(-ECANCELED, w.results[w.taken - 1].error);
	}
}

TEST_F(fills, context_reset)
{
	struct drm_aipu_context reset = { .context = self->context };
	struct drm_aipu_result results[ENTRIES];
	uint32_t taken;

	ASSERT_EQ(0, fill_all(self->fd, self->queue, self->segment, &self->next, ENTRIES));
	ASSERT_EQ(0, call(self->fd, DRM_IOCTL_AIPU_CONTEXT_RESET, &reset));
	ASSERT_EQ(0, wait_for(self->fd, self->queue, results, ENTRIES, ENTRIES, FOREVER, &taken));
	EXPECT_EQ(-ECANCELED, results[ENTRIES - 1].error);
	EXPECT_EQ(AIPU_STATUS_CONTEXT_RESET, results[ENTRIES - 1].status);
	ASSERT_EQ(0, nops(self->fd, self->queue, &self->next, 1, &taken));
	EXPECT_EQ(0, take_all(self->fd, self->queue, ENTRIES + 1, 1));
}

TEST_F(fills, a_process_dies)
{
	pid_t child = fork();
	int status;

	if (!child) {
		int fd = open(NODE, O_RDWR | O_CLOEXEC);
		uint32_t context, queue, taken;
		struct drm_aipu_result result;
		uint64_t next = 1;

		if (fd < 0 || make_context(fd, &context) ||
		    make_queue(fd, context, ENTRIES, 60, -1, &queue) ||
		    nops(fd, queue, &next, 20, &taken))
			_exit(1);
		wait_for(fd, queue, &result, 1, 1, FOREVER, &taken);
		for (;;)
			pause();
	}
	ASSERT_EQ(0, fill_all(self->fd, self->queue, self->segment, &self->next, 10));
	usleep(50000);
	kill(child, SIGKILL);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(1, WIFSIGNALED(status));
	EXPECT_EQ(0, take_all(self->fd, self->queue, 1, 10));
}

/*
 * A device reset by an administrator: results first, then ECANCELED, until a new context is made.
 */
TEST_F(fills, reset)
{
	struct drm_aipu_reset reset = {};
	struct drm_aipu_result results[ENTRIES];
	uint32_t taken, context, queue;
	uint64_t next = 1;

	ASSERT_EQ(0, fill_all(self->fd, self->queue, self->segment, &self->next, ENTRIES));
	ASSERT_EQ(0, call(self->fd, DRM_IOCTL_AIPU_RESET, &reset));
	ASSERT_EQ(0, wait_for(self->fd, self->queue, results, ENTRIES, ENTRIES, FOREVER, &taken));
	EXPECT_EQ(ENTRIES, taken);
	EXPECT_EQ(-ECANCELED, results[ENTRIES - 1].error);
	EXPECT_EQ(DRM_AIPU_RESULT_INNOCENT, results[ENTRIES - 1].flags);
	EXPECT_EQ(ECANCELED, wait_for(self->fd, self->queue, results, 1, 1, FOREVER, &taken));
	EXPECT_EQ(ECANCELED, nops(self->fd, self->queue, &self->next, 1, &taken));
	EXPECT_EQ(ENOENT, cancel(self->fd, self->queue, 1));
	EXPECT_EQ(0, end_queue(self->fd, self->queue));
	ASSERT_EQ(0, make_context(self->fd, &context));
	ASSERT_EQ(0, make_queue(self->fd, context, ENTRIES, 0, -1, &queue));
	ASSERT_EQ(0, nops(self->fd, queue, &next, 5, &taken));
	EXPECT_EQ(0, take_all(self->fd, queue, 1, 5));
}

TEST_HARNESS_MAIN
