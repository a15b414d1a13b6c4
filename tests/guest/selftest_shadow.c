// SPDX-License-Identifier: GPL-2.0
/*
 * Shadow doorbells of the driver: which jobs cost a register write, and that none is missed by a card
 * that falls asleep. In the kernel's own test harness, as selftest_jobs.c. Four cards, as shadow.sh
 * has them: one that sleeps at once, one that does after about the time that a job takes, one that
 * stays awake, and one without shadow doorbells. Doorbells are counted by the card.
 */
#include <stdio.h>
#include <stdlib.h>

#include "kselftest_harness.h"

#include "jobs.h"
#include "ring.h"

#define JOBS 2000u
#define BATCH 32u

FIXTURE(card)
{
	int fd, config;
	uint32_t context, queue;
	uint64_t next, doorbells, heads;
};

FIXTURE_VARIANT(card)
{
	unsigned int card;
	/* Of JOBS jobs, one at a time: doorbells at least and at most */
	uint32_t least, most;
};

FIXTURE_VARIANT_ADD(card, sleeps_at_once){ .card = 0, .least = 1, .most = JOBS };
FIXTURE_VARIANT_ADD(card, sleeps_soon){ .card = 1, .least = 1, .most = JOBS };
FIXTURE_VARIANT_ADD(card, stays_awake){ .card = 2, .least = 1, .most = 1 };
FIXTURE_VARIANT_ADD(card, has_none){ .card = 3, .least = JOBS, .most = JOBS };

FIXTURE_SETUP(card)
{
	char path[80];

	snprintf(path, sizeof(path), "/dev/accel/accel%u", variant->card);
	self->fd = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	snprintf(path, sizeof(path), "/sys/class/accel/accel%u/device/config", variant->card);
	self->config = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, self->config);
	ASSERT_EQ(0, make_context(self->fd, &self->context));
	ASSERT_EQ(0, make_queue(self->fd, self->context, ENTRIES, 0, -1, &self->queue));
	self->next = 1;
	self->doorbells = counter(self->config, DOORBELLS);
	self->heads = counter(self->config, HEAD_DOORBELLS);
}

FIXTURE_TEARDOWN(card)
{
	close(self->config);
	close(self->fd);
}

/* Or the others would show nothing. */
TEST_F(card, offers_what_it_should)
{
	EXPECT_EQ(variant->card != 3, shadows(self->fd));
}

/* The pauses are about as long as a card stays awake, so that it falls asleep before, amid and after a submission. */
TEST_F_TIMEOUT(card, one_at_a_time, 300)
{
	uint32_t taken, doorbells;

	for (uint32_t i = 0; i < JOBS; i++) {
		int64_t until = now_ns() + i % 100 * 2000;

		while (now_ns() < until)
			;
		ASSERT_EQ(0, nops(self->fd, self->queue, &self->next, 1, &taken));
		ASSERT_EQ(0, take_all(self->fd, self->queue, self->next - 1, 1));
	}
	doorbells = (uint32_t)(counter(self->config, DOORBELLS) - self->doorbells);
	TH_LOG("%u doorbells for %u jobs", doorbells, JOBS);
	EXPECT_LE(variant->least, doorbells);
	EXPECT_GE(variant->most, doorbells);
	/* Of a ring of 64 places the card is told once a round, when it could be full; or by memory */
	EXPECT_LE(variant->card == 3 ? JOBS / 64 : 0,
		  counter(self->config, HEAD_DOORBELLS) - self->heads);
	EXPECT_GE(variant->card == 3 ? JOBS / 60 : 0,
		  counter(self->config, HEAD_DOORBELLS) - self->heads);
}

TEST_F_TIMEOUT(card, batches, 300)
{
	uint32_t taken, doorbells;

	for (uint32_t i = 0; i < JOBS / BATCH; i++) {
		ASSERT_EQ(0, nops(self->fd, self->queue, &self->next, BATCH, &taken));
		ASSERT_EQ(0, take_all(self->fd, self->queue, self->next - BATCH, BATCH));
	}
	doorbells = (uint32_t)(counter(self->config, DOORBELLS) - self->doorbells);
	TH_LOG("%u doorbells for %u batches", doorbells, JOBS / BATCH);
	EXPECT_LE(variant->card == 3 ? JOBS / BATCH : 1, doorbells);
	EXPECT_GE(variant->card == 2 ? 1 : JOBS / BATCH, doorbells);
}

TEST_F_TIMEOUT(card, batches_by_io_uring, 300)
{
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	unsigned int head;

	ASSERT_EQ(0, io_uring_queue_init(BATCH, &ring, RING_FLAGS));
	for (uint32_t i = 0; i < JOBS / BATCH; i++) {
		uint32_t seen = 0;

		put_nops(&ring, self->fd, self->queue, &self->next, BATCH);
		ASSERT_EQ(BATCH, io_uring_submit_and_wait(&ring, BATCH));
		io_uring_for_each_cqe(&ring, head, cqe)
		{
			ASSERT_EQ(0, cqe->res);
			seen++;
		}
		ASSERT_EQ(BATCH, seen);
		io_uring_cq_advance(&ring, seen);
	}
	if (variant->card == 2) {
		EXPECT_EQ(1, counter(self->config, DOORBELLS) - self->doorbells);
	}
	io_uring_queue_exit(&ring);
}

/* More jobs are to follow, but a card that is awake need not wait for them. */
TEST_F(card, more_may_follow)
{
	static const struct aipu_job jobs[3];
	uint32_t taken;

	ASSERT_EQ(0, nops(self->fd, self->queue, &self->next, 1, &taken));
	ASSERT_EQ(0, take_all(self->fd, self->queue, 1, 1));
	ASSERT_EQ(0, submit(self->fd, self->queue, &self->next, jobs, 3, DRM_AIPU_SUBMIT_MORE,
			    &taken));
	EXPECT_EQ(0, take_all(self->fd, self->queue, 2, 3));
	if (variant->card >= 2) {
		EXPECT_EQ(variant->card - 1, counter(self->config, DOORBELLS) - self->doorbells);
	}
}

TEST_HARNESS_MAIN
