// SPDX-License-Identifier: MIT
/*
 * aipu-emu's counters, seen over its socket: known work, compared to the last byte, doorbell and interrupt.
 */
#include "emu_bench.h"

#include <stdio.h>
#include <unistd.h>

#include "aipu-emu/emu.h"

static int setup_trapped(void **state)
{
	return setup_with(state, (const char *const[]){ "--trap-bar2", NULL });
}

struct count {
	enum emu_counter what;
	uint64_t by;
};

/* Once each completion has had its interrupt, which comes behind it */
static void all_counters(struct bench *b, uint64_t to[EMU_COUNTERS])
{
	for (unsigned int ms = 0; ms < CLIENT_PATIENCE_MS; ms++) {
		for (unsigned int i = 0; i < EMU_COUNTERS; i++)
			to[i] = bench_counter(b, i);
		if (to[EMU_COUNT_INTERRUPTS] == to[EMU_COUNT_COMPLETIONS])
			return;
		usleep(1000);
	}
	fail_msg("%llu completions, %llu interrupts", (unsigned long long)to[EMU_COUNT_COMPLETIONS],
		 (unsigned long long)to[EMU_COUNT_INTERRUPTS]);
}

/* Those named have moved by so much, and no other at all */
static void assert_counted(struct bench *b, const uint64_t before[EMU_COUNTERS],
			   const struct count *moved, size_t count, const char *what)
{
	uint64_t want[EMU_COUNTERS], now[EMU_COUNTERS];

	memcpy(want, before, sizeof(want));
	for (size_t i = 0; i < count; i++)
		want[moved[i].what] += moved[i].by;
	all_counters(b, now);
	for (unsigned int i = 0; i < EMU_COUNTERS; i++)
		if (now[i] != want[i])
			fail_msg("%s: counter %u is %llu, expected %llu", what, i,
				 (unsigned long long)now[i], (unsigned long long)want[i]);
}
#define COUNTED(b, before, what, ...)                                    \
	assert_counted(b, before, (const struct count[]){ __VA_ARGS__ }, \
		       sizeof((const struct count[]){ __VA_ARGS__ }) / sizeof(struct count), what)

/* One job at a time: each is an entry, a completion, two doorbells and an interrupt. */
static void test_counters_of_jobs(void **state)
{
	struct bench *b = *state;
	uint64_t before[EMU_COUNTERS];

	all_counters(b, before);
	for (unsigned int i = 0; i < 37; i++)
		NOP_OK(b, 1);
	COUNTED(b, before, "37 NOPs", { EMU_COUNT_DOORBELLS, 37 }, { EMU_COUNT_HEAD_DOORBELLS, 37 },
		{ EMU_COUNT_ENTRIES, 37 }, { EMU_COUNT_COMPLETIONS, 37 },
		{ EMU_COUNT_INTERRUPTS, 37 }, { EMU_COUNT_DMA_READS, 37 },
		{ EMU_COUNT_DMA_WRITES, 74 }, { EMU_COUNT_BYTES_FROM_HOST, 37 * 64 },
		{ EMU_COUNT_BYTES_TO_HOST, 37 * 32 });
}

/* Several entries for one doorbell, over the end of the ring */
static void test_counters_of_a_batch(void **state)
{
	struct bench *b = *state;
	struct ring *r = &b->q[1];
	const struct aipu_job nop = { .opcode = AIPU_JOB_NOP };
	uint64_t before[EMU_COUNTERS];
	uint16_t id = 0;

	for (unsigned int round = 0; round < 5; round++) {
		all_counters(b, before);
		for (unsigned int i = 0; i < 9; i++) {
			id = r->next_id++;
			r->got[id % 64].status = 0xffff;
			memcpy(r->sq[r->tail], &nop, sizeof(nop));
			memcpy(r->sq[r->tail] + offsetof(struct aipu_job, id), &id, sizeof(id));
			r->tail = (r->tail + 1) & (r->entries - 1);
		}
		guest_write(b->guest, AIPU_DOORBELL_PAGE(1) + AIPU_DOORBELL_SQ_TAIL, r->tail);
		/* No doorbell of the other kind before all are there */
		r->hold = true;
		assert_int_equal(ring_wait(&b->d, r, id), AIPU_STATUS_OK);
		r->hold = false;
		guest_write(b->guest, AIPU_DOORBELL_PAGE(1) + AIPU_DOORBELL_CQ_HEAD, r->head);
		assert_int_equal(bench_counter(b, EMU_COUNT_ENTRIES),
				 before[EMU_COUNT_ENTRIES] + 9);
		assert_int_equal(bench_counter(b, EMU_COUNT_COMPLETIONS),
				 before[EMU_COUNT_COMPLETIONS] + 9);
		assert_int_equal(bench_counter(b, EMU_COUNT_DOORBELLS),
				 before[EMU_COUNT_DOORBELLS] + 1);
		assert_int_equal(bench_counter(b, EMU_COUNT_HEAD_DOORBELLS),
				 before[EMU_COUNT_HEAD_DOORBELLS] + 1);
		assert_int_equal(bench_counter(b, EMU_COUNT_BYTES_FROM_HOST),
				 before[EMU_COUNT_BYTES_FROM_HOST] + 9 * 64);
	}
}

/* Bytes are those of the data and of the two ring entries; what stays in device memory is none. */
static void test_counters_of_bytes(void **state)
{
	enum { BYTES = 123457 };
	struct bench *b = *state;
	uint64_t before[EMU_COUNTERS];

	all_counters(b, before);
	assert_int_equal(BENCH_JOB(b, 1, COPY,
				   .copy = { .src_segment = BENCH_HOST,
					     .dst_segment = BENCH_NEAR,
					     .length = BYTES }),
			 AIPU_STATUS_OK);
	assert_int_equal(bench_counter(b, EMU_COUNT_BYTES_FROM_HOST),
			 before[EMU_COUNT_BYTES_FROM_HOST] + 64 + BYTES);
	assert_int_equal(bench_counter(b, EMU_COUNT_BYTES_TO_HOST),
			 before[EMU_COUNT_BYTES_TO_HOST] + 32);
	all_counters(b, before);
	assert_int_equal(BENCH_JOB(b, 1, FILL, .fill = { .segment = BENCH_HOST, .length = BYTES }),
			 AIPU_STATUS_OK);
	assert_int_equal(bench_counter(b, EMU_COUNT_BYTES_FROM_HOST),
			 before[EMU_COUNT_BYTES_FROM_HOST] + 64);
	assert_int_equal(bench_counter(b, EMU_COUNT_BYTES_TO_HOST),
			 before[EMU_COUNT_BYTES_TO_HOST] + 32 + BYTES);
	all_counters(b, before);
	assert_int_equal(BENCH_JOB(b, 1, FILL,
				   .fill = { .segment = BENCH_BIG, .length = BENCH_PIECE }),
			 AIPU_STATUS_OK);
	COUNTED(b, before, "a FILL of device memory", { EMU_COUNT_DOORBELLS, 1 },
		{ EMU_COUNT_HEAD_DOORBELLS, 1 }, { EMU_COUNT_ENTRIES, 1 },
		{ EMU_COUNT_COMPLETIONS, 1 }, { EMU_COUNT_INTERRUPTS, 1 },
		{ EMU_COUNT_DMA_READS, 1 }, { EMU_COUNT_DMA_WRITES, 2 },
		{ EMU_COUNT_BYTES_FROM_HOST, 64 }, { EMU_COUNT_BYTES_TO_HOST, 32 });
}

static void test_counters_of_accesses(void **state)
{
	struct bench *b = *state;
	uint64_t before[EMU_COUNTERS], pair;
	uint32_t word = 0;

	all_counters(b, before);
	for (unsigned int i = 0; i < 13; i++)
		assert_int_equal(BENCH_REG(b, MAGIC), AIPU_MAGIC);
	assert_int_equal(client_read(client_of(b), BAR0, AIPU_REG_SERIAL_LO, &pair, 8), 0);
	for (unsigned int i = 0; i < 6; i++)
		assert_int_equal(
			client_write(client_of(b), BAR0, AIPU_REG_HOST_ABI_OLDEST, &word, 4), 0);
	assert_int_equal(client_write(client_of(b), BAR0,
				      AIPU_DOORBELL_PAGE(1) + AIPU_DOORBELL_KICK, &word, 4),
			 0);
	COUNTED(b, before, "accesses", { EMU_COUNT_REGISTER_READS, 15 },
		{ EMU_COUNT_REGISTER_WRITES, 6 }, { EMU_COUNT_HEAD_DOORBELLS, 1 });
	all_counters(b, before);
	assert_int_equal(client_unmap(client_of(b), 1ull << 50, 4096, 0), 0);
	assert_int_equal(client_map(client_of(b), 1ull << 50, 4096, -1, 0, 3), 0);
	assert_int_equal(client_map(client_of(b), 1ull << 50, 4096, -1, 0, 3), -EEXIST);
	assert_int_equal(client_unmap(client_of(b), 1ull << 50, 4096, 0), 0);
	COUNTED(b, before, "maps", { EMU_COUNT_MAPS, 1 }, { EMU_COUNT_UNMAPS, 1 });
}

/* BAR2 by message only, byte for byte; the card's own accesses are not among them. */
static void test_trapped_memory(void **state)
{
	struct bench *b = *state;
	static const uint32_t sizes[] = { 1, 2, 3, 4, 8, 4096, CLIENT_MAX_DATA };
	uint64_t before[EMU_COUNTERS], bytes = 0;
	uint8_t *data = calloc(1, CLIENT_MAX_DATA);
	struct vfio_region_info info;
	int fd;

	assert_non_null(data);
	assert_null(b->d.access.memory);
	assert_int_equal(client_region_info(client_of(b), BAR2, &info, &fd), 0);
	assert_int_equal(fd, -1);
	assert_int_equal(info.flags, VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE);
	assert_int_equal(info.size, 64 << 20);
	all_counters(b, before);
	for (size_t i = 0; i < EMU_COUNT(sizes); i++) {
		memset(data, (int)i + 1, sizes[i]);
		assert_int_equal(client_write(client_of(b), BAR2, 77, data, sizes[i]), 0);
		bytes += sizes[i];
	}
	assert_int_equal(client_read(client_of(b), BAR2, 80, data, 16), 0);
	COUNTED(b, before, "BAR2", { EMU_COUNT_MEMORY_WRITTEN, bytes },
		{ EMU_COUNT_MEMORY_READ, 16 });
	assert_int_equal(BENCH_JOB(b, 1, COPY,
				   .copy = { .src_segment = BENCH_NEAR,
					     .dst_segment = BENCH_HOST,
					     .src_offset = 77,
					     .length = 4096 }),
			 AIPU_STATUS_OK);
	assert_int_equal(b->data[0], EMU_COUNT(sizes));
	assert_int_equal(b->data[4095], EMU_COUNT(sizes));
	assert_int_equal(bench_counter(b, EMU_COUNT_MEMORY_READ), 16);
	free(data);
}

/* The trace ends with the same numbers, and has a line for each message. */
static void test_trace(void **state)
{
	const char *tmp = getenv("TMPDIR");
	char path[512], line[64], *text = calloc(1, 1 << 20);
	uint64_t counted[EMU_COUNTERS];
	struct bench b;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/emu-trace-XXXXXX", tmp ? tmp : "/tmp");
	fd = mkstemp(path);
	assert_non_null(text);
	assert_true(fd >= 0);
	bench_ready(&b, (const char *const[]){ "--trace", path, NULL });
	for (unsigned int i = 0; i < 10; i++)
		NOP_OK(&b, 1);
	all_counters(&b, counted);
	bench_close(&b);
	assert_true(read(fd, text, (1 << 20) - 1) > 0);
	assert_non_null(strstr(text, " version 0.0: ok\n"));
	assert_non_null(strstr(text, " dma-map 0x740000000+0x100000 rw file+0x0: ok\n"));
	assert_non_null(strstr(text, " region-write bar0 0x2000+4 = 0x0000000a: ok\n"));
#define TRACED(NAME, name, what)                                 \
	snprintf(line, sizeof(line), " " #name "=%llu",          \
		 (unsigned long long)counted[EMU_COUNT_##NAME]); \
	if (!strstr(text, line))                                 \
		fail_msg("the trace does not end with%s", line);
	EMU_COUNTER_LIST(TRACED)
#undef TRACED
	free(text);
	close(fd);
	unlink(path);
}

int main(void)
{
#define TEST(function, set_up) cmocka_unit_test_setup_teardown(function, set_up, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_counters_of_jobs, setup),	  TEST(test_counters_of_a_batch, setup),
		TEST(test_counters_of_bytes, setup),	  TEST(test_counters_of_accesses, setup),
		TEST(test_trapped_memory, setup_trapped), cmocka_unit_test(test_trace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
