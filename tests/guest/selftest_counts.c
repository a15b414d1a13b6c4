// SPDX-License-Identifier: GPL-2.0
/*
 * What jobs and tokens cost, counted where it is spent: system calls by the kernel, doorbells,
 * interrupts and bytes by the card. In the kernel's own test harness, as selftest_jobs.c; the card
 * has --trap-bar2, so that each access to its memory is seen. AIPU_QPC names a compiled model,
 * generation goes through libaipu-llm.
 */
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"

#include "aipu/llm.h"
#include "jobs.h"
#include "ring.h"

#define TRACING "/sys/kernel/tracing"
#define JOBS 1000u
#define BATCH 32u
#define BATCHES ((JOBS + BATCH - 1) / BATCH)
#define FIRST 8u /* tokens until all runs evenly */
#define TOKENS 100u /* that are counted; fewer than the token ring takes */
/* A record, the producer's index, and that again where the ring was full; the consumer's indices */
#define RECORD_BYTES 44u
#define INDEX_BYTES 64u

/* --- system calls of this thread ---------------------------------------------------------------- */

/* A file that counts those with the number, or all: -1. Negative: there is none */
static int calls_open(int number)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr) };
	char filter[32];
	FILE *id;
	int fd;

	mount("tracing", TRACING, "tracefs", 0, NULL);
	id = fopen(TRACING "/events/raw_syscalls/sys_enter/id", "re");
	if (!id || fscanf(id, "%llu", &attr.config) != 1)
		return -1;
	fclose(id);
	fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	snprintf(filter, sizeof(filter), "id == %d", number);
	if (fd >= 0 && number >= 0 && ioctl(fd, PERF_EVENT_IOC_SET_FILTER, filter))
		return -1;
	return fd;
}

/* Of all calls, this one is counted too. */
static uint64_t calls(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : UINT64_MAX;
}

TEST(system_calls_are_counted)
{
	int all = calls_open(-1), waits = calls_open(SYS_ppoll);
	const struct timespec soon = { .tv_nsec = 1000 };
	uint64_t before_all, before;

	ASSERT_LE(0, all);
	ASSERT_LE(0, waits);
	before = calls(waits);
	before_all = calls(all);
	for (int i = 0; i < 3; i++)
		syscall(SYS_ppoll, NULL, 0, &soon, NULL, 8);
	getppid();
	EXPECT_EQ(4, calls(all) - before_all - 1);
	EXPECT_EQ(3, calls(waits) - before);
	close(all);
	close(waits);
}

/* --- jobs ----------------------------------------------------------------------------------------- */

FIXTURE(batches)
{
	int fd, config, calls;
	uint32_t context, queue;
	uint64_t next;
	uint64_t doorbells, heads, interrupts, before;
};

FIXTURE_SETUP(batches)
{
	self->fd = open(NODE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	self->config = open_config();
	ASSERT_LE(0, self->config);
	self->calls = calls_open(-1);
	ASSERT_LE(0, self->calls);
	ASSERT_EQ(0, make_context(self->fd, &self->context));
	ASSERT_EQ(0, make_queue(self->fd, self->context, 1023, BATCH, -1, &self->queue));
	self->next = 1;
	self->doorbells = counter(self->config, DOORBELLS);
	self->heads = counter(self->config, HEAD_DOORBELLS);
	self->interrupts = counter(self->config, INTERRUPTS);
	self->before = calls(self->calls);
}

FIXTURE_TEARDOWN(batches)
{
	close(self->calls);
	close(self->config);
	close(self->fd);
}

static uint32_t batch(uint64_t next)
{
	return next + BATCH > JOBS + 1 ? (uint32_t)(JOBS + 1 - next) : BATCH;
}

/* One a batch; fewer, where the card was awake still, but the first finds it asleep. */
static void expect_doorbells(struct __test_metadata *_metadata, const FIXTURE_DATA(batches) * self)
{
	uint64_t doorbells = counter(self->config, DOORBELLS) - self->doorbells;

	EXPECT_GE(BATCHES, doorbells);
	EXPECT_LE(shadows(self->fd) ? 1 : BATCHES, doorbells);
}

TEST_F_TIMEOUT(batches, by_io_uring, 120)
{
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	uint64_t made;

	ASSERT_EQ(0, io_uring_queue_init(BATCH, &ring,
					 RING_FLAGS | IORING_SETUP_SINGLE_ISSUER |
						 IORING_SETUP_DEFER_TASKRUN));
	self->before = calls(self->calls);
	while (self->next <= JOBS) {
		uint32_t count = batch(self->next), seen = 0;
		unsigned int head;

		put_nops(&ring, self->fd, self->queue, &self->next, count);
		ASSERT_EQ(count, io_uring_submit_and_wait(&ring, count));
		io_uring_for_each_cqe(&ring, head, cqe)
		{
			ASSERT_EQ(0, cqe->res);
			seen++;
		}
		ASSERT_EQ(count, seen);
		io_uring_cq_advance(&ring, seen);
	}
	made = calls(self->calls) - self->before - 1;
	EXPECT_EQ(BATCHES, made);
	expect_doorbells(_metadata, self);
	EXPECT_EQ(0, counter(self->config, HEAD_DOORBELLS) - self->heads);
	EXPECT_GE(BATCHES, counter(self->config, INTERRUPTS) - self->interrupts);
	EXPECT_LE(1, counter(self->config, INTERRUPTS) - self->interrupts);
	io_uring_queue_exit(&ring);
}

/* Two system calls: one gives the jobs, one takes the results. */
TEST_F_TIMEOUT(batches, by_ioctl, 120)
{
	uint32_t taken;

	while (self->next <= JOBS) {
		uint64_t first = self->next;
		uint32_t count = batch(first);

		ASSERT_EQ(0, nops(self->fd, self->queue, &self->next, count, &taken));
		ASSERT_EQ(0, take_all(self->fd, self->queue, first, count));
	}
	EXPECT_EQ(2 * BATCHES, calls(self->calls) - self->before - 1);
	expect_doorbells(_metadata, self);
	EXPECT_EQ(0, counter(self->config, HEAD_DOORBELLS) - self->heads);
	EXPECT_GE(BATCHES, counter(self->config, INTERRUPTS) - self->interrupts);
}

/* A ring that comes round: the card is told of its completions' places once a round, not each time; or by memory. */
TEST_F_TIMEOUT(batches, of_one_in_a_small_ring, 120)
{
	uint32_t queue, taken;
	uint64_t next = 1;

	ASSERT_EQ(0, make_queue(self->fd, self->context, 63, 0, -1, &queue));
	self->heads = counter(self->config, HEAD_DOORBELLS);
	while (next <= 640) {
		ASSERT_EQ(0, nops(self->fd, queue, &next, 1, &taken));
		ASSERT_EQ(0, take_all(self->fd, queue, next - 1, 1));
	}
	EXPECT_LE(shadows(self->fd) ? 0 : 9, counter(self->config, HEAD_DOORBELLS) - self->heads);
	EXPECT_GE(shadows(self->fd) ? 0 : 11, counter(self->config, HEAD_DOORBELLS) - self->heads);
}

/* --- tokens --------------------------------------------------------------------------------------- */

enum { ALL_CALLS, WAITS, ENTERS, IOCTLS, KINDS };

struct totals {
	uint64_t card[MEMORY_WRITTEN + 1];
	uint64_t calls[KINDS];
};

FIXTURE(generation)
{
	struct aipu_device *device;
	struct aipu_llm *llm;
	struct aipu_session *session;
	struct aipu_llm_info info;
	int config, calls[KINDS];
	unsigned int seen;
	bool late;
	struct totals from, to;
};

FIXTURE_SETUP(generation)
{
	static const int numbers[KINDS] = { -1, SYS_ppoll, SYS_io_uring_enter, SYS_ioctl };
	uint32_t first = 1;

	ASSERT_NE(NULL, getenv("AIPU_QPC"));
	ASSERT_EQ(0, aipu_device_open(&self->device, "0", NULL, NULL));
	ASSERT_EQ(0, aipu_llm_open(self->device, getenv("AIPU_QPC"), NULL, &self->llm, NULL));
	ASSERT_EQ(0, aipu_llm_query(self->llm, &self->info));
	ASSERT_EQ(0, aipu_session_create(self->llm, &self->session));
	ASSERT_EQ(0, aipu_session_prefill(self->session, &first, 1, NULL));
	self->config = open_config();
	ASSERT_LE(0, self->config);
	for (int i = 0; i < KINDS; i++) {
		self->calls[i] = calls_open(numbers[i]);
		ASSERT_LE(0, self->calls[i]);
	}
}

FIXTURE_TEARDOWN(generation)
{
	for (int i = 0; i < KINDS; i++)
		close(self->calls[i]);
	close(self->config);
	aipu_session_destroy(self->session);
	aipu_llm_close(self->llm);
	aipu_device_close(self->device);
}

typedef FIXTURE_DATA(generation) generation;

static void read_card(generation *self, struct totals *totals)
{
	for (unsigned int i = 0; i <= MEMORY_WRITTEN; i++)
		totals->card[i] = counter(self->config, i);
}

/* Their own calls lie outside of what is counted, but for one. */
static void begin_count(generation *self)
{
	read_card(self, &self->from);
	for (int i = KINDS - 1; i >= 0; i--)
		self->from.calls[i] = calls(self->calls[i]);
}

static void end_count(generation *self)
{
	for (int i = 0; i < KINDS; i++)
		self->to.calls[i] = calls(self->calls[i]);
	self->to.calls[ALL_CALLS]--;
	read_card(self, &self->to);
}

static uint64_t crossed(const generation *self, unsigned int what)
{
	return self->to.card[what] - self->from.card[what];
}

static uint64_t called(const generation *self, unsigned int kind)
{
	return self->to.calls[kind] - self->from.calls[kind];
}

static int token(void *arg, const struct aipu_token *token)
{
	generation *self = arg;

	(void)token;
	self->seen++;
	if (self->late && self->seen == 1)
		while (counter(self->config, RECORDS) - self->from.card[RECORDS] < FIRST + TOKENS)
			usleep(1000);
	if (self->seen == FIRST)
		begin_count(self);
	if (self->seen == FIRST + TOKENS)
		end_count(self);
	return 0;
}

static int generate(generation *self)
{
	struct aipu_sampling sampling = { .max_tokens = FIRST + TOKENS, .ignore_stop = true };

	read_card(self, &self->from);
	return aipu_llm_generate(self->llm, &self->session, &sampling, 1, token, self, NULL);
}

TEST_F_TIMEOUT(generation, costs_a_wait_a_token_at_most, 240)
{
	uint64_t waits;

	ASSERT_EQ(0, generate(self));
	ASSERT_EQ(FIRST + TOKENS, self->seen);
	waits = called(self, WAITS);
	TH_LOG("%llu waits, %llu system calls for %u tokens", (unsigned long long)waits,
	       (unsigned long long)called(self, ALL_CALLS), TOKENS);
	EXPECT_GE(TOKENS, waits);
	EXPECT_EQ(0, called(self, ENTERS));
	EXPECT_EQ(0, called(self, IOCTLS));
	EXPECT_EQ(0, crossed(self, DOORBELLS));
	EXPECT_EQ(0, crossed(self, HEAD_DOORBELLS));
	EXPECT_EQ(0, crossed(self, ENTRIES_READ));
}

/* A token's keys and values alone are more than all that goes either way. */
TEST_F_TIMEOUT(generation, moves_no_cache_and_no_weights, 240)
{
	uint64_t before, tokens;

	before = counter(self->config, RECORDS);
	ASSERT_EQ(0, generate(self));
	tokens = counter(self->config, RECORDS) - before;
	ASSERT_EQ(FIRST + TOKENS, tokens);
	EXPECT_EQ(0, crossed(self, MEMORY_READ));
	EXPECT_EQ(0, crossed(self, MEMORY_WRITTEN));
	EXPECT_GE(tokens * RECORD_BYTES, crossed(self, BYTES_TO_HOST));
	EXPECT_GE(tokens * INDEX_BYTES, crossed(self, BYTES_FROM_HOST));
	EXPECT_LT(RECORD_BYTES + INDEX_BYTES, self->info.kv_bytes / self->info.ctx_len);
}

TEST_F_TIMEOUT(generation, takes_tokens_that_are_there_without_a_call, 240)
{
	self->late = true;
	ASSERT_EQ(0, generate(self));
	ASSERT_EQ(FIRST + TOKENS, self->seen);
	EXPECT_EQ(0, called(self, ALL_CALLS));
}

TEST_HARNESS_MAIN
