// SPDX-License-Identifier: GPL-2.0
/*
 * Jobs in flight whose end comes from elsewhere: cancelled, their queue, context, file or process
 * gone, the context or the card reset. In the kernel's own test harness, as selftest_jobs.c. The
 * jobs fill device memory, a queue of them takes a second.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
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

/* Mappings of device memory are taken away by a reset, and come back */
TEST_F(fills, reset_and_mappings)
{
	struct drm_aipu_buffer_create create = { .kind = DRM_AIPU_BUFFER_DEVICE, .bytes = 4096 };
	struct drm_aipu_buffer_info info = {};
	struct drm_aipu_reset reset = {};
	struct rusage before, after;
	volatile char *map;

	ASSERT_EQ(0, call(self->fd, DRM_IOCTL_AIPU_BUFFER_CREATE, &create));
	info.handle = create.handle;
	ASSERT_EQ(0, call(self->fd, DRM_IOCTL_AIPU_BUFFER_INFO, &info));
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, info.map_offset);
	ASSERT_NE(MAP_FAILED, (void *)map);
	for (int i = 0; i < 2; i++) {
		getrusage(RUSAGE_SELF, &before);
		*map = 1;
		getrusage(RUSAGE_SELF, &after);
	}
	EXPECT_EQ(before.ru_minflt, after.ru_minflt);
	ASSERT_EQ(0, call(self->fd, DRM_IOCTL_AIPU_RESET, &reset));
	getrusage(RUSAGE_SELF, &before);
	*map = 2;
	getrusage(RUSAGE_SELF, &after);
	EXPECT_LT(before.ru_minflt, after.ru_minflt);
	EXPECT_EQ(2, *map);
	munmap((void *)map, 4096);
}

/* --- what is left to the card --------------------------------------------------------------------- */

#define LEFT 20u
#define LONG_LIST 1000u
#define HELD 4u
#define HOLDS 8 /* attempts to be faster than that job */

static void no_more(int signal)
{
	(void)signal;
}

/* Signals come all the time from now on, and end what they find: for 0, no longer. */
static void interrupt_every(int us)
{
	const struct itimerval every = { { .tv_usec = us }, { .tv_usec = us } };
	const struct sigaction action = { .sa_handler = no_more };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
}

/*
 * Jobs from *next on, HELD at most, which hold LEFT small segments of the fixture's buffer, from 1 on; each goes on for long
 */
static int hold_segments(int fd, uint32_t context, uint32_t queue, uint32_t segment, uint64_t *next,
			 uint32_t count)
{
	struct drm_aipu_buffer_create create = { .kind = DRM_AIPU_BUFFER_HOST, .bytes = 1 << 20 };
	struct drm_aipu_segment_bind bind = { .context = context, .access = 3, .length = 4096 };
	struct aipu_job jobs[HELD] = {};
	struct drm_aipu_buffer_info info = {};
	struct aipu_copy_entry *list;
	uint32_t taken;

	if (call(fd, DRM_IOCTL_AIPU_BUFFER_CREATE, &create))
		return -1;
	bind.handle = create.handle;
	for (uint32_t i = 1; i <= LEFT; i++)
		if (call(fd, DRM_IOCTL_AIPU_SEGMENT_BIND, &bind) || bind.segment != i)
			return -2;
	bind.length = create.bytes;
	info.handle = create.handle;
	if (call(fd, DRM_IOCTL_AIPU_SEGMENT_BIND, &bind) ||
	    call(fd, DRM_IOCTL_AIPU_BUFFER_INFO, &info))
		return -3;
	list = mmap(NULL, create.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, info.map_offset);
	if (list == MAP_FAILED)
		return -4;
	for (uint32_t i = 0; i < LONG_LIST; i++)
		list[i] = i < LEFT ? (struct aipu_copy_entry){ .src_segment = i + 1,
							       .dst_segment = segment,
							       .length = 64 }
				   : (struct aipu_copy_entry){ .src_segment = segment,
							       .dst_segment = segment,
							       .dst_offset = FILL_BYTES / 2,
							       .length = FILL_BYTES / 2 };
	munmap(list, create.bytes);
	for (uint32_t i = 0; i < count; i++)
		jobs[i] = (struct aipu_job){
			.opcode = AIPU_JOB_COPY,
			.copy = { .src_segment = bind.segment, .list_count = LONG_LIST },
		};
	return submit(fd, queue, next, jobs, count, 0, &taken);
}

/* Commands that the card was given so far, modulo 256; -1: nobody knows */
static int commands_given(void)
{
	char target[256] = "", path[320], line[128];
	int tail = -1;
	FILE *state;

	if (readlink("/sys/class/accel/accel0/device", target, sizeof(target) - 1) < 0)
		return -1;
	snprintf(path, sizeof(path), "/sys/kernel/debug/accel%s/state", strrchr(target, '/'));
	state = fopen(path, "re");
	while (state && tail < 0 && fgets(line, sizeof(line), state))
		sscanf(line, "admin: tail %d", &tail);
	if (state)
		fclose(state);
	return tail;
}

/*
 * The card has one UNBIND of a context at a time, however many were left to it by signals: else one process could take all
 * the room that there is for commands.
 */
TEST_F_TIMEOUT(fills, unbinds_left_by_signals, 240)
{
	struct drm_aipu_segment_unbind unbind = { .context = self->context };
	struct drm_aipu_result result;
	int before, after, left;
	uint64_t next = 1;
	uint32_t taken;
	bool held = false;

	/* Again where the job was over before: a guest that got no time has not asked while they were held. */
	for (int i = 0; i < HOLDS && !held; i++) {
		ASSERT_EQ(0, hold_segments(self->fd, self->context, self->queue, self->segment,
					   &next, 1));
		before = commands_given();
		ASSERT_LE(0, before);
		left = 0;
		interrupt_every(500);
		for (unbind.segment = 1; unbind.segment <= LEFT; unbind.segment++)
			left += call(self->fd, DRM_IOCTL_AIPU_SEGMENT_UNBIND, &unbind) == EINTR;
		interrupt_every(0);
		after = commands_given();
		held = wait_for(self->fd, self->queue, &result, 1, 1, 0, &taken) == ETIME;
		for (unbind.segment = 1; unbind.segment <= LEFT && !held; unbind.segment++)
			call(self->fd, DRM_IOCTL_AIPU_SEGMENT_UNBIND, &unbind);
	}
	/* The job runs on, so all of them are held still. */
	ASSERT_TRUE(held);
	EXPECT_EQ(LEFT, left);
	EXPECT_EQ(1, (after - before) & 255);
	EXPECT_EQ(0, cancel(self->fd, self->queue, next - 1));
	for (unbind.segment = 1; unbind.segment <= LEFT; unbind.segment++)
		EXPECT_EQ(0, call(self->fd, DRM_IOCTL_AIPU_SEGMENT_UNBIND, &unbind));
	unbind.segment = 1;
	EXPECT_EQ(ENOENT, call(self->fd, DRM_IOCTL_AIPU_SEGMENT_UNBIND, &unbind));
	EXPECT_EQ(0, wait_for(self->fd, self->queue, &result, 1, 1, FOREVER, &taken));
	EXPECT_EQ(-ECANCELED, result.error);
}

/* --- beside a reset ------------------------------------------------------------------------------- */

struct resetter {
	int fd, other, stop;
	uint32_t flags;
	bool held_up; /* runs when nobody else wants to */
};

static void *reset_thread(void *arg)
{
	struct resetter *resetter = arg;
	struct drm_aipu_reset reset = { .flags = resetter->flags };
	const struct sched_param none = {};

	if (resetter->held_up)
		pthread_setschedparam(pthread_self(), SCHED_IDLE, &none);
	while (!__atomic_load_n(&resetter->stop, __ATOMIC_RELAXED))
		resetter->other += call(resetter->fd, DRM_IOCTL_AIPU_RESET, &reset) != EBUSY;
	return NULL;
}

/* A reset that is refused takes no cancel with it: the job behind seven others never starts. */
TEST_F_TIMEOUT(fills, cancel_beside_resets_of_an_idle_card, 240)
{
	struct resetter resetter = { .fd = self->fd, .flags = DRM_AIPU_RESET_IDLE };
	struct drm_aipu_result results[8];
	uint32_t queue, taken, lost = 0;
	uint64_t next = 1;
	pthread_t thread;

	/* Jobs that go on for long, so that the card is never idle */
	ASSERT_EQ(0, make_queue(self->fd, self->context, HELD, 0, -1, &queue));
	ASSERT_EQ(0, hold_segments(self->fd, self->context, queue, self->segment, &next, HELD));
	ASSERT_EQ(0, pthread_create(&thread, NULL, reset_thread, &resetter));
	for (int i = 0; i < 40; i++) {
		ASSERT_EQ(0, fill_all(self->fd, self->queue, self->segment, &self->next, 8));
		ASSERT_EQ(0, cancel(self->fd, self->queue, self->next - 1));
		ASSERT_EQ(0, wait_for(self->fd, self->queue, results, 8, 8, FOREVER, &taken));
		for (int job = 0; job < 8; job++)
			lost += results[job].sequence == self->next - 1 &&
				results[job].status != AIPU_STATUS_ABORTED;
	}
	__atomic_store_n(&resetter.stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, lost);
	EXPECT_EQ(0, resetter.other);
}

/*
 * Nor does it end the watch over the jobs that run, which looks at the card's registers now and then; nobody else does here. Two, since
 * one that resets meets no watch on its own processor.
 */
TEST_F_TIMEOUT(fills, jobs_are_watched_after_refused_resets, 240)
{
	struct resetter resetters[2] = {
		{ .fd = self->fd, .flags = DRM_AIPU_RESET_IDLE },
		{ .fd = self->fd, .flags = DRM_AIPU_RESET_IDLE },
	};
	struct drm_aipu_result results[HELD];
	int config = open_config();
	pthread_t threads[2];
	uint64_t reads;
	uint32_t taken;

	ASSERT_LE(0, config);
	ASSERT_EQ(0, hold_segments(self->fd, self->context, self->queue, self->segment, &self->next,
				   HELD));
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, reset_thread, &resetters[i]));
	sleep(1);
	for (int i = 0; i < 2; i++)
		__atomic_store_n(&resetters[i].stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	ASSERT_EQ(0, resetters[0].other + resetters[1].other);
	reads = counter(config, REGISTER_READS);
	ASSERT_LT(0, reads);
	for (int i = 0; i < 600 && counter(config, REGISTER_READS) == reads; i++)
		ASSERT_EQ(ETIME, wait_for(self->fd, self->queue, results, HELD, HELD,
					  now_ns() + 100000000, &taken));
	EXPECT_NE(reads, counter(config, REGISTER_READS));
	close(config);
}

/* Buffers made beside resets: some, and some that a reset met; the error of one that failed otherwise, or 0 */
static int buffers_beside(struct resetter *resetter, unsigned int *made, unsigned int *lost)
{
	pthread_t thread;
	int other = 0;

	if (pthread_create(&thread, NULL, reset_thread, resetter))
		return EAGAIN;
	for (int i = 0; i < 20000 && (i < 300 || !*made || !*lost); i++) {
		struct drm_aipu_buffer_create create = { .kind = DRM_AIPU_BUFFER_DEVICE,
							 .bytes = 4096 };
		struct drm_gem_close close = {};
		int err = call(resetter->fd, DRM_IOCTL_AIPU_BUFFER_CREATE, &create);

		close.handle = create.handle;
		if (!err)
			err = call(resetter->fd, DRM_IOCTL_GEM_CLOSE, &close) ? EBADF : 0;
		*made += !err;
		*lost += err == ECANCELED;
		if (err && err != ECANCELED)
			other = err;
	}
	__atomic_store_n(&resetter->stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	return other;
}

/* Memory is cleared in a context that a reset takes away at any moment: then it is that which is told. */
TEST_F_TIMEOUT(fills, buffers_beside_resets, 240)
{
	struct resetter resetter = { .fd = self->fd };
	unsigned int made = 0, lost = 0;

	EXPECT_EQ(0, buffers_beside(&resetter, &made, &lost));
	EXPECT_LT(0, made);
	EXPECT_LT(0, lost);
}

/* And none meets the same one twice, though who resets gets no processor between its first step and the second. */
TEST_F_TIMEOUT(fills, buffers_beside_a_reset_that_is_held_up, 240)
{
	struct resetter resetter = { .fd = self->fd, .held_up = true };
	unsigned int made = 0, lost = 0;
	cpu_set_t first;

	CPU_ZERO(&first);
	CPU_SET(0, &first);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(first), &first));
	EXPECT_EQ(0, buffers_beside(&resetter, &made, &lost));
	EXPECT_LT(0, made);
	EXPECT_LT(0, lost);
	EXPECT_LE(lost, resetter.other);
}

static void *contexts_thread(void *arg)
{
	struct resetter *resetter = arg;
	struct drm_aipu_context destroy = {};

	while (!__atomic_load_n(&resetter->stop, __ATOMIC_RELAXED))
		if (!make_context(resetter->fd, &destroy.context))
			call(resetter->fd, DRM_IOCTL_AIPU_CONTEXT_DESTROY, &destroy);
	return NULL;
}

/* An administrator's reset is for no job, also where it meets a context that is being destroyed. */
TEST_F_TIMEOUT(fills, reset_beside_contexts_that_end, 240)
{
	struct drm_aipu_reset reset = {};
	struct drm_aipu_result results[8];
	uint32_t taken, guilty = 0;
	struct resetter others = {};
	pthread_t thread;

	others.fd = open(NODE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, others.fd);
	ASSERT_EQ(0, pthread_create(&thread, NULL, contexts_thread, &others));
	for (int i = 0; i < 20; i++) {
		ASSERT_EQ(0, fill_all(self->fd, self->queue, self->segment, &self->next, 8));
		ASSERT_EQ(0, call(self->fd, DRM_IOCTL_AIPU_RESET, &reset));
		ASSERT_EQ(0, wait_for(self->fd, self->queue, results, 8, 8, FOREVER, &taken));
		for (uint32_t job = 0; job < taken; job++)
			guilty += results[job].flags & DRM_AIPU_RESULT_GUILTY;
		close(self->fd);
		self->fd = open(NODE, O_RDWR | O_CLOEXEC);
		self->next = 1;
		ASSERT_EQ(0, make_fills(self->fd, &self->context, &self->queue, &self->segment));
	}
	__atomic_store_n(&others.stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, close(others.fd));
	EXPECT_EQ(0, guilty);
}

TEST_HARNESS_MAIN
