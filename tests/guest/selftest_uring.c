// SPDX-License-Identifier: GPL-2.0
/*
 * Jobs by io_uring: batches, refusals, and every way in which a ring, a queue or a task goes while
 * they run: each command is done once. In the kernel's own test harness, as selftest_jobs.c.
 */
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "jobs.h"
#include "ring.h"

#define BATCH 32u

/* 0, and its completion's res and word; or -errno */
static int take_one(struct io_uring *ring, uint64_t *sequence, int *res, uint64_t *word)
{
	struct io_uring_cqe *cqe;
	int err = io_uring_wait_cqe(ring, &cqe);

	if (err)
		return err;
	*sequence = cqe->user_data;
	*res = cqe->res;
	*word = cqe->big_cqe[0];
	io_uring_cqe_seen(ring, cqe);
	return 0;
}

QUEUE_FIXTURE(ring)

FIXTURE_VARIANT(ring)
{
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(ring, plain){
	.flags = RING_FLAGS,
};

FIXTURE_VARIANT_ADD(ring, defer_taskrun){
	.flags = RING_FLAGS | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
};

TEST_F(ring, batches)
{
	uint64_t doorbells, sequence, word;
	struct io_uring ring;
	int res;

	ASSERT_EQ(0, io_uring_queue_init(64, &ring, variant->flags));
	doorbells = counter(self->config, DOORBELLS);
	for (int i = 0; i < 20; i++) {
		for (int j = 0; j < 32; j++, self->next++)
			put_job(&ring, self->fd, self->queue, self->next, NULL,
				j < 31 ? DRM_AIPU_SUBMIT_MORE : 0);
		ASSERT_EQ(32, io_uring_submit_and_wait(&ring, 32));
		for (int j = 0; j < 32; j++) {
			ASSERT_EQ(0, take_one(&ring, &sequence, &res, &word));
			EXPECT_EQ(0, res);
			EXPECT_EQ(i * 32 + j + 1, sequence);
			EXPECT_EQ(0, AIPU_URING_STATUS(word));
		}
	}
	/* One a batch, or none while the card looks by itself; but where this task stood still in the middle of one, the driver did not wait for it. */
	doorbells = counter(self->config, DOORBELLS) - doorbells;
	EXPECT_GE(doorbells, shadows(self->fd) ? 1 : 20);
	EXPECT_LE(doorbells, 40);
	io_uring_queue_exit(&ring);
}

/*
 * Takes `count` completions of jobs that went well, which are numbered `first`, `first + step`, ...; 0, or which of them it was
 * not, from 1
 */
static int take_run(struct io_uring *ring, uint64_t first, uint64_t step, unsigned int count)
{
	uint64_t sequence, word;
	int res, err;

	for (unsigned int i = 0; i < count; i++) {
		err = take_one(ring, &sequence, &res, &word);
		if (err || res || sequence != first + i * step)
			return (int)i + 1;
	}
	return 0;
}

/* What the card tells of at once is several rings': each gets its own, in order, and nobody waits for ever. */
TEST_F(ring, two_that_share_a_queue)
{
	struct io_uring rings[2];
	uint32_t queue;

	ASSERT_EQ(0, make_queue(self->fd, self->context, ENTRIES, BATCH, -1, &queue));
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, io_uring_queue_init(64, &rings[i], variant->flags));
	for (int round = 0; round < 10; round++) {
		for (uint32_t i = 0; i < BATCH; i++, self->next++) {
			put_job(&rings[i % 2], self->fd, queue, self->next, NULL,
				i < BATCH - 1 ? DRM_AIPU_SUBMIT_MORE : 0);
			ASSERT_EQ(1, io_uring_submit(&rings[i % 2]));
		}
		for (int i = 0; i < 2; i++)
			EXPECT_EQ(0, take_run(&rings[i], self->next - BATCH + i, 2, BATCH / 2));
	}
	for (int i = 0; i < 2; i++)
		io_uring_queue_exit(&rings[i]);
	EXPECT_EQ(0, end_queue(self->fd, queue));
}

/* As many wait for as several interrupts bring, of which each brings many. */
TEST_F(ring, waits_for_several_interrupts)
{
	struct io_uring ring;
	uint32_t queue;

	ASSERT_EQ(0, make_queue(self->fd, self->context, ENTRIES, 8, -1, &queue));
	ASSERT_EQ(0, io_uring_queue_init(64, &ring, variant->flags));
	for (int round = 0; round < 10; round++) {
		put_nops(&ring, self->fd, queue, &self->next, BATCH);
		ASSERT_EQ(BATCH, io_uring_submit_and_wait(&ring, BATCH));
		EXPECT_EQ(BATCH, io_uring_cq_ready(&ring));
		EXPECT_EQ(0, take_run(&ring, self->next - BATCH, 1, BATCH));
	}
	io_uring_queue_exit(&ring);
	EXPECT_EQ(0, end_queue(self->fd, queue));
}

/* From io_uring's workers, where the ring is not locked: one at a time, since they keep no order */
TEST_F(ring, workers)
{
	uint64_t sequence, word;
	struct io_uring ring;
	uint32_t taken;
	int res;

	ASSERT_EQ(0, io_uring_queue_init(4, &ring, variant->flags));
	for (; self->next <= 50; self->next++) {
		put_job(&ring, self->fd, self->queue, self->next, NULL, 0)->flags = IOSQE_ASYNC;
		ASSERT_EQ(1, io_uring_submit(&ring));
		ASSERT_EQ(0, take_one(&ring, &sequence, &res, &word));
		EXPECT_EQ(0, res);
	}
	ASSERT_EQ(0, nops(self->fd, self->queue, &self->next, ENTRIES, &taken));
	put_job(&ring, self->fd, self->queue, self->next, NULL, 0)->flags = IOSQE_ASYNC;
	ASSERT_EQ(1, io_uring_submit(&ring));
	ASSERT_EQ(0, take_one(&ring, &sequence, &res, &word));
	EXPECT_EQ(-EAGAIN, res);
	io_uring_queue_exit(&ring);
}

TEST_F(ring, refusals)
{
	struct aipu_job bad = { .opcode = 77 }, body = { .body = { 1 } };
	uint64_t sequence, word;
	struct io_uring ring;
	int res;

	ASSERT_EQ(0, io_uring_queue_init(128, &ring, RING_FLAGS));
	put_job(&ring, self->fd, self->queue + 1, 1, NULL, 0);
	ASSERT_EQ(1, io_uring_submit(&ring));
	ASSERT_EQ(0, take_one(&ring, &sequence, &res, &word));
	EXPECT_EQ(-ENOENT, res);
	put_job(&ring, self->fd, self->queue, 2, NULL, 0);
	ASSERT_EQ(1, io_uring_submit(&ring));
	ASSERT_EQ(0, take_one(&ring, &sequence, &res, &word));
	EXPECT_EQ(-ESTALE, res);
	put_job(&ring, self->fd, self->queue, 1, &bad, 0);
	ASSERT_EQ(1, io_uring_submit(&ring));
	ASSERT_EQ(0, take_one(&ring, &sequence, &res, &word));
	EXPECT_EQ(-EINVAL, res);
	put_job(&ring, self->fd, self->queue, 1, NULL, 2);
	ASSERT_EQ(1, io_uring_submit(&ring));
	ASSERT_EQ(0, take_one(&ring, &sequence, &res, &word));
	EXPECT_EQ(-EINVAL, res);
	put_job(&ring, self->fd, self->queue, 1, &body, 0);
	ASSERT_EQ(1, io_uring_submit(&ring));
	ASSERT_EQ(0, take_one(&ring, &sequence, &res, &word));
	EXPECT_EQ(-EINVAL, res);
	EXPECT_EQ(AIPU_STATUS_INVALID_FIELD, AIPU_URING_STATUS(word));
	io_uring_queue_exit(&ring);
}

TEST_F(ring, and_a_full_queue)
{
	uint64_t sequence, word;
	struct io_uring ring;
	uint32_t taken;
	int res;

	ASSERT_EQ(0, io_uring_queue_init(16, &ring, RING_FLAGS));
	ASSERT_EQ(0, nops(self->fd, self->queue, &self->next, ENTRIES, &taken));
	put_job(&ring, self->fd, self->queue, self->next, NULL, 0);
	put_job(&ring, self->fd, self->queue, self->next + 1, NULL, 0);
	ASSERT_EQ(2, io_uring_submit(&ring));
	ASSERT_EQ(0, take_one(&ring, &sequence, &res, &word));
	EXPECT_EQ(-EAGAIN, res);
	EXPECT_EQ(self->next, sequence);
	ASSERT_EQ(0, take_one(&ring, &sequence, &res, &word));
	EXPECT_EQ(-ESTALE, res);
	ASSERT_EQ(0, take_all(self->fd, self->queue, 1, ENTRIES));
	/* Both doors go on with the same numbers. */
	put_job(&ring, self->fd, self->queue, self->next++, NULL, 0);
	ASSERT_EQ(1, io_uring_submit(&ring));
	ASSERT_EQ(0, take_one(&ring, &sequence, &res, &word));
	EXPECT_EQ(0, res);
	ASSERT_EQ(0, nops(self->fd, self->queue, &self->next, 1, &taken));
	EXPECT_EQ(0, take_all(self->fd, self->queue, self->next - 1, 1));
	io_uring_queue_exit(&ring);
}

/* Flags that say nothing here, and a ring that is polled for what has no poll */
TEST_F(ring, takes_no_flags)
{
	static char page[4096];
	const struct iovec memory = { page, sizeof(page) };
	uint64_t sequence, word;
	struct io_uring ring;
	int res;

	ASSERT_EQ(0, io_uring_queue_init(4, &ring, RING_FLAGS));
	ASSERT_EQ(0, io_uring_register_buffers(&ring, &memory, 1));
	put_job(&ring, self->fd, self->queue, 1, NULL, 0)->rw_flags = 1; /* a registered buffer */
	ASSERT_EQ(1, io_uring_submit(&ring));
	ASSERT_EQ(0, take_one(&ring, &sequence, &res, &word));
	EXPECT_EQ(-EINVAL, res);
	io_uring_queue_exit(&ring);
	ASSERT_EQ(0, io_uring_queue_init(4, &ring, RING_FLAGS | IORING_SETUP_IOPOLL));
	put_job(&ring, self->fd, self->queue, 1, NULL, 0);
	ASSERT_EQ(1, io_uring_submit(&ring));
	ASSERT_EQ(0, take_one(&ring, &sequence, &res, &word));
	EXPECT_TRUE(res == -EOPNOTSUPP || !res);
	io_uring_queue_exit(&ring);
}

TEST_F(ring, needs_long_entries)
{
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	struct io_uring ring;

	ASSERT_EQ(0, io_uring_queue_init(4, &ring, 0));
	for (int i = 0; i < 2; i++) {
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_rw(IORING_OP_URING_CMD, sqe, self->fd, NULL, 0, 0);
		sqe->cmd_op = i ? 0x1234 : DRM_AIPU_URING_SUBMIT;
		ASSERT_EQ(1, io_uring_submit(&ring));
		ASSERT_EQ(0, io_uring_wait_cqe(&ring, &cqe));
		EXPECT_EQ(i ? -ENOTTY : -EINVAL, cqe->res);
		io_uring_cqe_seen(&ring, cqe);
	}
	io_uring_queue_exit(&ring);
}

/* --- ends ------------------------------------------------------------------------------------- */

FILLS_FIXTURE(fills)

/* ENTRIES jobs whose ring is gone end, and one more that is taken as soon as there is room: an errno */
static int all_end(int fd, uint32_t queue, uint64_t *next)
{
	uint32_t taken;
	int err;

	do {
		err = nops(fd, queue, next, 1, &taken);
		usleep(1000);
	} while (err == EAGAIN);
	return err ? err : take_all(fd, queue, ENTRIES + 1, 1);
}

TEST_F(fills, ring_exit_with_jobs_in_flight)
{
	struct aipu_job job = fill(self->segment);
	struct io_uring ring;

	ASSERT_EQ(0, io_uring_queue_init(64, &ring, RING_FLAGS));
	for (uint32_t i = 0; i < ENTRIES; i++)
		put_job(&ring, self->fd, self->queue, self->next++, &job, 0);
	ASSERT_EQ(ENTRIES, io_uring_submit(&ring));
	io_uring_queue_exit(&ring);
	EXPECT_EQ(0, all_end(self->fd, self->queue, &self->next));
}

/* Submitted by the kernel's own thread, which ends with the ring */
TEST_F(fills, and_a_ring_with_a_thread)
{
	struct aipu_job job = fill(self->segment);
	uint64_t sequence, word;
	struct io_uring ring;
	int res;

	ASSERT_EQ(0, io_uring_queue_init(64, &ring, RING_FLAGS | IORING_SETUP_SQPOLL));
	for (uint32_t i = 0; i < ENTRIES; i++)
		put_job(&ring, self->fd, self->queue, self->next++, &job, 0);
	ASSERT_EQ(ENTRIES, io_uring_submit(&ring));
	for (uint32_t i = 1; i <= 3; i++) {
		ASSERT_EQ(0, take_one(&ring, &sequence, &res, &word));
		EXPECT_EQ(0, res);
		EXPECT_EQ(i, sequence);
	}
	io_uring_queue_exit(&ring);
	EXPECT_EQ(0, all_end(self->fd, self->queue, &self->next));
}

/* Commands hold the file open, and so does a ring that has it registered: all goes with the ring. */
TEST_F(fills, and_a_file_that_is_closed)
{
	struct aipu_job job = fill(self->segment);
	struct drm_aipu_query query = { .kind = DRM_AIPU_QUERY_MEMORY };
	struct drm_aipu_memory memory = {};
	struct io_uring ring;
	uint64_t sequence, word;
	int res;

	ASSERT_EQ(0, io_uring_queue_init(64, &ring, RING_FLAGS));
	ASSERT_EQ(0, io_uring_register_files(&ring, &self->fd, 1));
	for (uint32_t i = 0; i < 10; i++)
		put_job(&ring, self->fd, self->queue, self->next++, &job, 0);
	ASSERT_EQ(10, io_uring_submit(&ring));
	EXPECT_EQ(0, close(self->fd));
	put_job(&ring, 0, self->queue, self->next++, &job, 0)->flags = IOSQE_FIXED_FILE;
	ASSERT_EQ(1, io_uring_submit(&ring));
	for (uint32_t i = 1; i <= 11; i++) {
		ASSERT_EQ(0, take_one(&ring, &sequence, &res, &word));
		EXPECT_EQ(0, res);
		EXPECT_EQ(i, sequence);
	}
	self->fd = open(NODE, O_RDWR | O_CLOEXEC);
	query.data = (uintptr_t)&memory;
	query.bytes = sizeof(memory);
	EXPECT_EQ(0, call(self->fd, DRM_IOCTL_AIPU_QUERY, &query));
	EXPECT_LE(memory.free, memory.total - FILL_BYTES);
	io_uring_queue_exit(&ring);
	/* The ring's end is a work of the kernel's. */
	for (int i = 0; i < 2000 && memory.free != memory.total; i++) {
		usleep(5000);
		EXPECT_EQ(0, call(self->fd, DRM_IOCTL_AIPU_QUERY, &query));
	}
	EXPECT_EQ(memory.total, memory.free);
}

TEST_F(fills, cancel_by_ioctl)
{
	struct aipu_job job = fill(self->segment);
	unsigned int cancelled = 0;
	struct io_uring ring;
	uint64_t sequence, word;
	int res;

	ASSERT_EQ(0, io_uring_queue_init(64, &ring, RING_FLAGS));
	for (uint32_t i = 0; i < ENTRIES; i++)
		put_job(&ring, self->fd, self->queue, self->next++, &job, 0);
	ASSERT_EQ(ENTRIES, io_uring_submit(&ring));
	EXPECT_EQ(0, cancel(self->fd, self->queue, ENTRIES));
	for (uint32_t i = 0; i < ENTRIES; i++) {
		ASSERT_EQ(0, take_one(&ring, &sequence, &res, &word));
		if (!res)
			continue;
		EXPECT_EQ(-ECANCELED, res);
		EXPECT_EQ(ENTRIES, sequence);
		EXPECT_EQ(AIPU_STATUS_ABORTED, AIPU_URING_STATUS(word));
		cancelled++;
	}
	EXPECT_EQ(1, cancelled);
	io_uring_queue_exit(&ring);
}

/* The queue goes while its jobs run: every command is done once. */
TEST_F(fills, and_destroy)
{
	struct aipu_job job = fill(self->segment);
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	uint64_t sequence, word;
	int res;

	ASSERT_EQ(0, io_uring_queue_init(64, &ring, RING_FLAGS));
	for (uint32_t i = 0; i < ENTRIES; i++)
		put_job(&ring, self->fd, self->queue, self->next++, &job, 0);
	ASSERT_EQ(ENTRIES, io_uring_submit(&ring));
	EXPECT_EQ(0, end_queue(self->fd, self->queue));
	for (uint32_t i = 0; i < ENTRIES; i++)
		ASSERT_EQ(0, take_one(&ring, &sequence, &res, &word));
	EXPECT_EQ(-ECANCELED, res);
	usleep(10000);
	EXPECT_EQ(-EAGAIN, io_uring_peek_cqe(&ring, &cqe));
	io_uring_queue_exit(&ring);
}

TEST_F(fills, and_a_process_that_dies)
{
	struct aipu_job job = fill(self->segment);
	pid_t child = fork();
	int status;

	if (!child) {
		struct io_uring ring;

		if (io_uring_queue_init(64, &ring, RING_FLAGS))
			_exit(1);
		for (uint32_t i = 0; i < ENTRIES; i++)
			put_job(&ring, self->fd, self->queue, self->next++, &job, 0);
		_exit(io_uring_submit(&ring) != ENTRIES);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	self->next += ENTRIES;
	EXPECT_EQ(0, all_end(self->fd, self->queue, &self->next));
}

/* --- races ------------------------------------------------------------------------------------ */

QUEUE_FIXTURE(uring)

struct sharer {
	struct io_uring *ring;
	int fd;
	uint32_t queue;
	uint64_t next;
	pthread_barrier_t barrier; /* given, and taken */
	int submitted;
};

static void *share_thread(void *arg)
{
	struct sharer *sharer = arg;

	put_nops(sharer->ring, sharer->fd, sharer->queue, &sharer->next, BATCH / 2);
	sharer->submitted = io_uring_submit(sharer->ring);
	pthread_barrier_wait(&sharer->barrier);
	pthread_barrier_wait(&sharer->barrier);
	return NULL;
}

/* What the card tells of at once is two threads', of one ring. */
TEST_F(uring, two_threads_that_share_a_ring)
{
	struct sharer sharer = { .fd = self->fd, .next = 1 };
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	uint64_t seen = 0;
	pthread_t thread;

	ASSERT_EQ(0, make_queue(self->fd, self->context, ENTRIES, BATCH, -1, &sharer.queue));
	ASSERT_EQ(0, io_uring_queue_init(64, &ring, RING_FLAGS));
	sharer.ring = &ring;
	ASSERT_EQ(0, pthread_barrier_init(&sharer.barrier, NULL, 2));
	for (int round = 0; round < 10; round++, seen = 0) {
		ASSERT_EQ(0, pthread_create(&thread, NULL, share_thread, &sharer));
		pthread_barrier_wait(&sharer.barrier);
		ASSERT_EQ(BATCH / 2, sharer.submitted);
		put_nops(&ring, self->fd, sharer.queue, &sharer.next, BATCH / 2);
		ASSERT_EQ(BATCH / 2, io_uring_submit(&ring));
		for (uint32_t i = 0; i < BATCH; i++) {
			ASSERT_EQ(0, io_uring_wait_cqe(&ring, &cqe));
			EXPECT_EQ(0, cqe->res);
			seen |= 1ull << (sharer.next - 1 - cqe->user_data);
			io_uring_cqe_seen(&ring, cqe);
		}
		EXPECT_EQ((1ull << BATCH) - 1, seen);
		pthread_barrier_wait(&sharer.barrier);
		pthread_join(thread, NULL);
	}
	pthread_barrier_destroy(&sharer.barrier);
	io_uring_queue_exit(&ring);
	EXPECT_EQ(0, end_queue(self->fd, sharer.queue));
}

struct racer {
	int fd;
	uint32_t queue;
	unsigned int delay_us;
};

static void *destroy_thread(void *arg)
{
	struct racer *racer = arg;

	usleep(racer->delay_us);
	end_queue(racer->fd, racer->queue);
	return NULL;
}

/*
 * A queue's end against completions: as many completions as commands, of both outcomes over all
 * rounds.
 */
TEST_F_TIMEOUT(uring, race_of_destroy_and_completions, 240)
{
	unsigned int done = 0, cancelled = 0, refused = 0;
	struct io_uring_cqe *cqe;
	struct io_uring ring;

	ASSERT_EQ(0, io_uring_queue_init(1024, &ring, RING_FLAGS));
	for (unsigned int round = 0; round < 60; round++) {
		struct racer racer = { .fd = self->fd, .delay_us = round * 40 };
		pthread_t thread;

		ASSERT_EQ(0, make_queue(self->fd, self->context, 1023, 0, -1, &racer.queue));
		for (uint64_t s = 1; s <= 500; s++)
			put_job(&ring, self->fd, racer.queue, s, NULL,
				s % 7 ? DRM_AIPU_SUBMIT_MORE : 0);
		ASSERT_EQ(0, pthread_create(&thread, NULL, destroy_thread, &racer));
		ASSERT_EQ(500, io_uring_submit(&ring));
		for (unsigned int i = 0; i < 500; i++) {
			ASSERT_EQ(0, io_uring_wait_cqe(&ring, &cqe));
			if (!cqe->res)
				done++;
			else if (cqe->res == -ECANCELED)
				cancelled++;
			else
				refused++;
			io_uring_cqe_seen(&ring, cqe);
		}
		pthread_join(thread, NULL);
		ASSERT_EQ(-EAGAIN, io_uring_peek_cqe(&ring, &cqe));
	}
	TH_LOG("%u done, %u cancelled, %u refused", done, cancelled, refused);
	EXPECT_LT(0, done);
	EXPECT_LT(0, cancelled);
	io_uring_queue_exit(&ring);
}

/* The ring goes while completions come. */
TEST_F_TIMEOUT(uring, race_of_ring_exit_and_completions, 240)
{
	for (unsigned int round = 0; round < 60; round++) {
		struct io_uring ring;
		uint32_t queue;

		ASSERT_EQ(0, make_queue(self->fd, self->context, 255, 0, -1, &queue));
		ASSERT_EQ(0, io_uring_queue_init(256, &ring, RING_FLAGS));
		for (uint64_t s = 1; s <= 200; s++)
			put_job(&ring, self->fd, queue, s, NULL, s % 9 ? DRM_AIPU_SUBMIT_MORE : 0);
		ASSERT_EQ(200, io_uring_submit(&ring));
		usleep(round * 20);
		io_uring_queue_exit(&ring);
		ASSERT_EQ(0, end_queue(self->fd, queue));
	}
}

static void submit_and_die(int fd, uint32_t queue, unsigned int flags, unsigned int delay_us)
{
	struct io_uring ring;

	if (io_uring_queue_init(256, &ring, flags))
		_exit(1);
	for (uint64_t s = 1; s <= 200; s++)
		put_job(&ring, fd, queue, s, NULL, s % 9 ? DRM_AIPU_SUBMIT_MORE : 0);
	if (io_uring_submit(&ring) != 200)
		_exit(2);
	usleep(delay_us);
	_exit(0);
}

/*
 * The task goes, and the ring with it: not the ring alone where it completes in its task only,
 * which io_uring itself then asserts (6.12, with lockdep).
 */
TEST_F_TIMEOUT(ring, race_of_exit_and_completions, 240)
{
	for (unsigned int round = 0; round < 20; round++) {
		uint32_t queue;
		pid_t child;
		int status;

		ASSERT_EQ(0, make_queue(self->fd, self->context, 255, 0, -1, &queue));
		child = fork();
		if (!child)
			submit_and_die(self->fd, queue, variant->flags, round * 50);
		ASSERT_EQ(child, waitpid(child, &status, 0));
		ASSERT_EQ(0, status);
		ASSERT_EQ(0, end_queue(self->fd, queue));
	}
}

TEST_HARNESS_MAIN
