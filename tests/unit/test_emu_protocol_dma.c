// SPDX-License-Identifier: MIT
/*
 * aipu-emu's DMA: maps and unmaps, good, wrong and while a job runs, Bus Master, and what the memory of the client looks
 * like afterwards. What a job reaches shows what is mapped.
 */
#include "emu_bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "aipu-emu/emu.h"

#define AREA_ADDRESS 0x900000000ull
#define AREA_BYTES (1ull << 20)
#define RW (VFU_MAP_READ | VFU_MAP_WRITE)
#define BUS_MASTER 6u

/* Status of a write of one page from the device to this address, and of a read from it */
static uint32_t write_to(struct bench *b, uint64_t address)
{
	uint32_t status;

	assert_int_equal(bench_bind(b, BENCH_FREE, address, 4096), AIPU_STATUS_OK);
	status =
		BENCH_JOB(b, 1, FILL,
			  .fill = { .segment = BENCH_FREE, .pattern = 0xa5a5a5a5, .length = 4096 });
	assert_int_equal(BENCH_ADMIN(b, UNBIND, .unbind = { .context = 1, .segment = BENCH_FREE }),
			 AIPU_STATUS_OK);
	return status;
}

static uint32_t read_from(struct bench *b, uint64_t address)
{
	uint32_t status;

	assert_int_equal(bench_bind(b, BENCH_FREE, address, 4096), AIPU_STATUS_OK);
	status = BENCH_JOB(
		b, 1, COPY,
		.copy = { .src_segment = BENCH_FREE, .dst_segment = BENCH_NEAR, .length = 4096 });
	assert_int_equal(BENCH_ADMIN(b, UNBIND, .unbind = { .context = 1, .segment = BENCH_FREE }),
			 AIPU_STATUS_OK);
	return status;
}

static bool all(const uint8_t *p, uint8_t value, size_t bytes)
{
	return !bytes || (p[0] == value && !memcmp(p, p + 1, bytes - 1));
}

/* --- maps ------------------------------------------------------------------------------------------------ */

static void test_map_bad(void **state)
{
	static const struct {
		const char *what;
		struct vfu_map map;
		uint32_t bytes, fds;
	} rows[] = {
		{ "argsz 0", { 0, RW, 0, AREA_ADDRESS, 4096 }, 32, 1 },
		{ "argsz 31", { 31, RW, 0, AREA_ADDRESS, 4096 }, 32, 1 },
		{ "no access", { 32, 0, 0, AREA_ADDRESS, 4096 }, 32, 1 },
		{ "an unknown flag", { 32, RW | 4, 0, AREA_ADDRESS, 4096 }, 32, 1 },
		{ "all flags", { 32, ~0u, 0, AREA_ADDRESS, 4096 }, 32, 1 },
		{ "size 0", { 32, RW, 0, AREA_ADDRESS, 0 }, 32, 1 },
		{ "part of a page", { 32, RW, 0, AREA_ADDRESS, 4095 }, 32, 1 },
		{ "an odd address", { 32, RW, 0, AREA_ADDRESS + 64, 4096 }, 32, 1 },
		{ "an odd offset", { 32, RW, 512, AREA_ADDRESS, 4096 }, 32, 1 },
		{ "beyond the file", { 32, RW, AREA_BYTES, AREA_ADDRESS, 4096 }, 32, 1 },
		{ "over its end", { 32, RW, AREA_BYTES - 4096, AREA_ADDRESS, 8192 }, 32, 1 },
		{ "an offset that wraps", { 32, RW, 0ull - 4096, AREA_ADDRESS, 8192 }, 32, 1 },
		{ "a negative offset", { 32, RW, 1ull << 63, AREA_ADDRESS, 4096 }, 32, 1 },
		{ "an end of 2^63", { 32, RW, (1ull << 63) - 4096, AREA_ADDRESS, 4096 }, 32, 1 },
		{ "a range that wraps", { 32, RW, 0, 0ull - 4096, 8192 }, 32, 1 },
		{ "the largest size", { 32, RW, 0, 4096, 0ull - 4096 }, 32, 1 },
		{ "two files", { 32, RW, 0, AREA_ADDRESS, 4096 }, 32, 2 },
		{ "a byte short", { 32, RW, 0, AREA_ADDRESS, 4096 }, 31, 1 },
		{ "nothing", { 32, RW, 0, AREA_ADDRESS, 4096 }, 0, 1 },
	};
	struct bench *b = *state;
	uint8_t *area;
	int fds[2], n;

	area = bench_memory(AREA_BYTES, 0, &fds[0]);
	fds[1] = fds[0];
	for (size_t i = 0; i < EMU_COUNT(rows); i++) {
		n = client_call(client_of(b), VFU_DMA_MAP, &rows[i].map, rows[i].bytes, fds,
				rows[i].fds);
		if (n >= 0 || n == -EPIPE || n == -ETIMEDOUT)
			fail_msg("%s: %d", rows[i].what, n);
		assert_true(emu_answers(client_of(b)));
	}
	/* None of them has left anything */
	assert_int_equal(client_map(client_of(b), AREA_ADDRESS, AREA_BYTES, fds[0], 0, RW), 0);
	assert_int_equal(write_to(b, AREA_ADDRESS), AIPU_STATUS_OK);
	munmap(area, AREA_BYTES);
	close(fds[0]);
}

/* What is no memory cannot be mapped; what may not be written is not mapped for writing. */
static void test_map_of_no_memory(void **state)
{
	struct bench *b = *state;
	char path[64];
	uint8_t *area;
	int pipes[2], fd, reader;

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_true(client_map(client_of(b), AREA_ADDRESS, 4096, pipes[0], 0, RW) < 0);
	close(pipes[0]);
	close(pipes[1]);
	area = bench_memory(AREA_BYTES, 3, &fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reader = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(reader >= 0);
	assert_true(client_map(client_of(b), AREA_ADDRESS, AREA_BYTES, reader, 0, RW) < 0);
	assert_int_equal(
		client_map(client_of(b), AREA_ADDRESS, AREA_BYTES, reader, 0, VFU_MAP_READ), 0);
	assert_int_equal(read_from(b, AREA_ADDRESS), AIPU_STATUS_OK);
	assert_int_equal(write_to(b, AREA_ADDRESS), AIPU_STATUS_DMA_ERROR);
	assert_true(all(area, 3, AREA_BYTES));
	munmap(area, AREA_BYTES);
	close(fd);
	close(reader);
}

static void test_map_over_a_map(void **state)
{
	static const struct {
		uint64_t address, size;
	} over[] = {
		{ AREA_ADDRESS, AREA_BYTES },
		{ AREA_ADDRESS, 4096 },
		{ AREA_ADDRESS + AREA_BYTES - 4096, 4096 },
		{ AREA_ADDRESS - 4096, 8192 },
		{ AREA_ADDRESS + AREA_BYTES - 4096, 8192 },
		{ AREA_ADDRESS - 4096, AREA_BYTES - 4096 },
	};
	struct bench *b = *state;
	uint8_t *area;
	int fd;

	area = bench_memory(AREA_BYTES, 0, &fd);
	/* Likewise for what cannot be reached, as a ROM of the client */
	for (unsigned int way = 0; way < 2; way++) {
		assert_int_equal(client_map(client_of(b), AREA_ADDRESS, AREA_BYTES, way ? -1 : fd,
					    0, RW),
				 0);
		for (size_t i = 0; i < EMU_COUNT(over); i++)
			assert_int_equal(client_map(client_of(b), over[i].address, over[i].size, fd,
						    0, RW),
					 -EEXIST);
		assert_int_equal(write_to(b, AREA_ADDRESS),
				 way ? AIPU_STATUS_DMA_ERROR : AIPU_STATUS_OK);
		assert_int_equal(client_unmap(client_of(b), AREA_ADDRESS, AREA_BYTES, 0), 0);
	}
	munmap(area, AREA_BYTES);
	close(fd);
}

/* Offsets in files, neighbours of different files, one access over both */
static void test_map_pieces(void **state)
{
	struct bench *b = *state;
	uint8_t *one, *two;
	int fds[2];

	one = bench_memory(AREA_BYTES, 1, &fds[0]);
	two = bench_memory(AREA_BYTES, 2, &fds[1]);
	assert_int_equal(client_map(client_of(b), AREA_ADDRESS, 8192, fds[0], 65536, RW), 0);
	assert_int_equal(client_map(client_of(b), AREA_ADDRESS + 8192, 8192, fds[1], 4096, RW), 0);
	assert_int_equal(bench_bind(b, BENCH_FREE, AREA_ADDRESS + 100, 16000), AIPU_STATUS_OK);
	assert_int_equal(BENCH_JOB(b, 1, FILL,
				   .fill = { .segment = BENCH_FREE,
					     .pattern = 0x77777777,
					     .length = 16000 }),
			 AIPU_STATUS_OK);
	assert_true(all(one, 1, 65536 + 100));
	assert_true(all(one + 65536 + 100, 0x77, 8192 - 100));
	assert_true(all(one + 65536 + 8192, 1, AREA_BYTES - 65536 - 8192));
	assert_true(all(two, 2, 4096));
	assert_true(all(two + 4096, 0x77, 16100 - 8192));
	assert_true(all(two + 4096 + 16100 - 8192, 2, AREA_BYTES - 4096 - (16100 - 8192)));
	assert_int_equal(BENCH_ADMIN(b, UNBIND, .unbind = { .context = 1, .segment = BENCH_FREE }),
			 AIPU_STATUS_OK);
	/* The same page of a file at two addresses is one page */
	assert_int_equal(client_map(client_of(b), 2 * AREA_ADDRESS, 4096, fds[1], 4096, RW), 0);
	assert_int_equal(write_to(b, 2 * AREA_ADDRESS), AIPU_STATUS_OK);
	assert_true(all(two + 4096, 0xa5, 4096));
	/* A hole behind the second ends an access with an error */
	assert_int_equal(write_to(b, AREA_ADDRESS + 4 * 4096 - 2048), AIPU_STATUS_DMA_ERROR);
	munmap(one, AREA_BYTES);
	munmap(two, AREA_BYTES);
	close(fds[0]);
	close(fds[1]);
}

static void test_map_access(void **state)
{
	struct bench *b = *state;
	uint8_t *area;
	int fd;

	area = bench_memory(AREA_BYTES, 9, &fd);
	assert_int_equal(client_map(client_of(b), AREA_ADDRESS, 4096, fd, 0, VFU_MAP_READ), 0);
	assert_int_equal(
		client_map(client_of(b), AREA_ADDRESS + 4096, 4096, fd, 4096, VFU_MAP_WRITE), 0);
	assert_int_equal(read_from(b, AREA_ADDRESS), AIPU_STATUS_OK);
	assert_int_equal(write_to(b, AREA_ADDRESS), AIPU_STATUS_DMA_ERROR);
	assert_int_equal(write_to(b, AREA_ADDRESS + 4096), AIPU_STATUS_OK);
	assert_int_equal(read_from(b, AREA_ADDRESS + 4096), AIPU_STATUS_DMA_ERROR);
	assert_true(all(area, 9, 4096));
	munmap(area, AREA_BYTES);
	close(fd);
}

/* A client that makes its own memory shorter harms its own jobs, not the server. */
static void test_map_truncated(void **state)
{
	struct bench *b = *state;
	uint8_t *area;
	int fd;

	area = bench_memory(AREA_BYTES, 0, &fd);
	assert_int_equal(client_map(client_of(b), AREA_ADDRESS, AREA_BYTES, fd, 0, RW), 0);
	assert_int_equal(write_to(b, AREA_ADDRESS + 65536), AIPU_STATUS_OK);
	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_int_equal(write_to(b, AREA_ADDRESS + 65536), AIPU_STATUS_DMA_ERROR);
	assert_int_equal(read_from(b, AREA_ADDRESS + 65536), AIPU_STATUS_DMA_ERROR);
	assert_int_equal(write_to(b, AREA_ADDRESS), AIPU_STATUS_OK);
	assert_int_equal(BENCH_JOB(b, 2, NOP, .timeout_ms = 0), AIPU_STATUS_OK);
	munmap(area, AREA_BYTES);
	close(fd);
}

/* --- unmaps ---------------------------------------------------------------------------------------------- */

static void test_unmap_bad(void **state)
{
	static const struct {
		const char *what;
		struct vfu_unmap unmap;
		uint32_t bytes;
	} rows[] = {
		{ "argsz 0", { 0, 0, AREA_ADDRESS, AREA_BYTES }, 24 },
		{ "argsz 23", { 23, 0, AREA_ADDRESS, AREA_BYTES }, 24 },
		{ "a dirty bitmap", { 24, 1, AREA_ADDRESS, AREA_BYTES }, 24 },
		{ "an unknown flag", { 24, 4, AREA_ADDRESS, AREA_BYTES }, 24 },
		{ "all, but a range", { 24, VFU_UNMAP_ALL, AREA_ADDRESS, AREA_BYTES }, 24 },
		{ "size 0", { 24, 0, AREA_ADDRESS, 0 }, 24 },
		{ "part of a page", { 24, 0, AREA_ADDRESS, AREA_BYTES + 1 }, 24 },
		{ "an odd address", { 24, 0, AREA_ADDRESS - 1, AREA_BYTES + 4096 }, 24 },
		{ "a range that wraps", { 24, 0, AREA_ADDRESS, 0ull - 4096 }, 24 },
		{ "the first part of a map", { 24, 0, AREA_ADDRESS, AREA_BYTES - 4096 }, 24 },
		{ "the last part", { 24, 0, AREA_ADDRESS + 4096, AREA_BYTES - 4096 }, 24 },
		{ "its middle", { 24, 0, AREA_ADDRESS + 4096, 4096 }, 24 },
		{ "from before it into it", { 24, 0, AREA_ADDRESS - 8192, 12288 }, 24 },
		{ "a byte short", { 24, 0, AREA_ADDRESS, AREA_BYTES }, 23 },
		{ "nothing", { 24, 0, AREA_ADDRESS, AREA_BYTES }, 0 },
	};
	struct bench *b = *state;
	uint8_t *area;
	int fd, n;

	area = bench_memory(AREA_BYTES, 0, &fd);
	assert_int_equal(client_map(client_of(b), AREA_ADDRESS, AREA_BYTES, fd, 0, RW), 0);
	for (size_t i = 0; i < EMU_COUNT(rows); i++) {
		n = client_call(client_of(b), VFU_DMA_UNMAP, &rows[i].unmap, rows[i].bytes, NULL,
				0);
		if (n >= 0 || n == -EPIPE || n == -ETIMEDOUT)
			fail_msg("%s: %d", rows[i].what, n);
		if (write_to(b, AREA_ADDRESS) || write_to(b, AREA_ADDRESS + AREA_BYTES - 4096))
			fail_msg("%s: and the map is gone", rows[i].what);
	}
	munmap(area, AREA_BYTES);
	close(fd);
}

/* The ranges of an emulated IOMMU match no map: all within goes, and nothing is no error. */
static void test_unmap_ranges(void **state)
{
	struct bench *b = *state;
	uint8_t *area;
	int fd;

	area = bench_memory(AREA_BYTES, 0, &fd);
	for (unsigned int i = 0; i < 16; i++)
		assert_int_equal(client_map(client_of(b), AREA_ADDRESS + i * 8192, 4096,
					    i % 3 ? fd : -1, i * 4096, RW),
				 0);
	assert_int_equal(client_unmap(client_of(b), AREA_ADDRESS + 4096, 4096, 0), 0);
	assert_int_equal(client_unmap(client_of(b), AREA_ADDRESS + 8192, 4096, 0), 0);
	assert_int_equal(write_to(b, AREA_ADDRESS + 8192), AIPU_STATUS_DMA_ERROR);
	assert_int_equal(write_to(b, AREA_ADDRESS + 2 * 8192), AIPU_STATUS_OK);
	assert_int_equal(client_unmap(client_of(b), AREA_ADDRESS + 4096, 6 * 8192, 0), 0);
	for (unsigned int i = 1; i < 16; i++)
		if (i % 3)
			assert_int_equal(write_to(b, AREA_ADDRESS + i * 8192),
					 i <= 6 ? AIPU_STATUS_DMA_ERROR : AIPU_STATUS_OK);
	/* As large as intel-iommu has been seen to ask for, up to the end of the address space */
	assert_int_equal(client_unmap(client_of(b), 0x800000000, 0ull - 0x800000000, 0), 0);
	for (unsigned int i = 7; i < 16; i++)
		assert_int_equal(write_to(b, AREA_ADDRESS + i * 8192), AIPU_STATUS_DMA_ERROR);
	assert_int_equal(client_unmap(client_of(b), 0x800000000, 0ull - 0x800000000, 0), 0);
	/* A map that ends with the address space is one as any other. */
	assert_int_equal(client_map(client_of(b), 0ull - 8192, 8192, fd, 0, RW), 0);
	assert_int_equal(write_to(b, 0ull - 8192), AIPU_STATUS_OK);
	assert_int_equal(client_unmap(client_of(b), 0ull - 8192, 8192, 0), 0);
	assert_int_equal(write_to(b, 0ull - 8192), AIPU_STATUS_DMA_ERROR);
	munmap(area, AREA_BYTES);
	close(fd);
}

static void test_unmap_all(void **state)
{
	struct bench *b = *state;
	const uint64_t before = bench_counter(b, EMU_COUNT_UNMAPS);
	uint8_t *area;
	int fd;

	area = bench_memory(AREA_BYTES, 0, &fd);
	for (unsigned int i = 0; i < 200; i++)
		assert_int_equal(client_map(client_of(b), AREA_ADDRESS + i * 4096, 4096, fd,
					    (199 - i) * 4096, RW),
				 0);
	assert_int_equal(client_unmap(client_of(b), 0, 0, VFU_UNMAP_ALL), 0);
	assert_int_equal(bench_counter(b, EMU_COUNT_UNMAPS) - before, 201);
	assert_int_equal(client_unmap(client_of(b), 0, 0, VFU_UNMAP_ALL), 0);
	/* The rings, too, are gone; mapped again and started anew the card works. */
	assert_int_equal(client_map(client_of(b), GUEST_HOST_ADDRESS, GUEST_HOST_BYTES,
				    b->guest->host_fd, 0, RW),
			 0);
	assert_int_equal(device_reset(&b->d), AIPU_STATE_ROM);
	bench_again(b);
	assert_int_equal(write_to(b, AREA_ADDRESS), AIPU_STATUS_DMA_ERROR);
	munmap(area, AREA_BYTES);
	close(fd);
}

/* Thousands of maps, in an order that no list likes; the limit that VERSION named is kept */
static void test_map_many(void **state)
{
	enum { MAPS = 65535, AT_ONCE = 100 };
	struct bench *b = *state;
	struct client *c = client_of(b);
	struct vfu_map map = { sizeof(map), RW, 0, 0, 4096 };
	uint8_t *area;
	int fd;

	area = bench_memory(AREA_BYTES, 0, &fd);
	/* One is there: the host memory of the bench. Most without a file, as fast as they go */
	for (uint32_t i = 1; i <= MAPS; i += AT_ONCE) {
		for (uint32_t n = i; n < i + AT_ONCE && n <= MAPS; n++) {
			map.address = AREA_ADDRESS + (uint64_t)(n * 40503u % 65536u) * 8192;
			assert_true(client_request(c, VFU_DMA_MAP, 0, &map, sizeof(map), &fd,
						   n % 1000 == 1) >= 0);
		}
		for (uint32_t n = i; n < i + AT_ONCE && n <= MAPS; n++) {
			assert_int_equal(client_receive(c, CLIENT_PATIENCE_MS), 0);
			assert_int_equal(c->header.flags,
					 n < MAPS ? VFU_REPLY : VFU_REPLY | VFU_ERROR);
		}
	}
	assert_int_equal(write_to(b, AREA_ADDRESS + 40503u * 8192ull), AIPU_STATUS_OK);
	assert_int_equal(client_unmap(c, AREA_ADDRESS, 65536ull * 8192, 0), 0);
	assert_int_equal(write_to(b, AREA_ADDRESS + 40503u * 8192ull), AIPU_STATUS_DMA_ERROR);
	munmap(area, AREA_BYTES);
	close(fd);
}

/* --- while a job runs ------------------------------------------------------------------------------------ */

struct target {
	uint8_t *memory;
	int fd;
	uint16_t job;
};

/* A long COPY from zeros to a memory of ones, begun: its first bytes have come */
static void copy_begin(struct bench *b, struct target *t)
{
	t->memory = bench_memory(BENCH_PIECE, 0xff, &t->fd);
	assert_int_equal(client_map(client_of(b), AREA_ADDRESS, BENCH_PIECE, t->fd, 0, RW), 0);
	assert_int_equal(bench_bind(b, BENCH_FREE, AREA_ADDRESS, BENCH_PIECE), AIPU_STATUS_OK);
	t->job = bench_copy_long(b, 1, BENCH_BIG, BENCH_FREE);
	for (unsigned int ms = 0; __atomic_load_n(t->memory, __ATOMIC_ACQUIRE); ms++) {
		assert_true(ms < CLIENT_PATIENCE_MS);
		usleep(1000);
	}
}

/* From now on not one byte changes. The wait is time for a fault to show, not a limit that something must keep. */
static void copy_has_stopped(struct target *t)
{
	memset(t->memory, 0x5a, BENCH_PIECE);
	usleep(30000);
	assert_true(all(t->memory, 0x5a, BENCH_PIECE));
	munmap(t->memory, BENCH_PIECE);
	close(t->fd);
}

static void test_unmap_in_flight(void **state)
{
	struct bench *b = *state;
	unsigned int rounds = 0;
	struct target t;

	do {
		copy_begin(b, &t);
		/* Each second time by a range around it */
		assert_int_equal(client_unmap(client_of(b), AREA_ADDRESS - (rounds % 2) * 4096,
					      BENCH_PIECE + (rounds % 2) * 8192, 0),
				 0);
		copy_has_stopped(&t);
		assert_int_equal(ring_wait(&b->d, &b->q[1], t.job), AIPU_STATUS_DMA_ERROR);
		assert_int_equal(BENCH_ADMIN(b, UNBIND,
					     .unbind = { .context = 1, .segment = BENCH_FREE }),
				 AIPU_STATUS_OK);
		rounds++;
		/* Some unmaps must have met a slice in flight, or all of this shows nothing. */
	} while (rounds < 6 || (bench_counter(b, EMU_COUNT_UNMAPS_DEFERRED) < 3 && rounds < 100));
	assert_true(bench_counter(b, EMU_COUNT_UNMAPS_DEFERRED) >= 3);
	assert_int_equal(BENCH_JOB(b, 1, NOP, .timeout_ms = 0), AIPU_STATUS_OK);
}

/* Everything at once: the rings are gone as well, and nobody is left to tell. */
static void test_unmap_all_in_flight(void **state)
{
	struct bench *b = *state;
	struct target t;

	copy_begin(b, &t);
	assert_int_equal(client_unmap(client_of(b), 0, 0, VFU_UNMAP_ALL), 0);
	copy_has_stopped(&t);
	assert_int_equal(BENCH_REG(b, MAGIC), AIPU_MAGIC);
	assert_int_equal(client_map(client_of(b), GUEST_HOST_ADDRESS, GUEST_HOST_BYTES,
				    b->guest->host_fd, 0, RW),
			 0);
	assert_int_equal(device_reset(&b->d), AIPU_STATE_ROM);
	bench_again(b);
	assert_int_equal(BENCH_JOB(b, 1, NOP, .timeout_ms = 0), AIPU_STATUS_OK);
}

/* What comes behind a waiting unmap is answered, and may be answered first; each once. */
static void test_requests_behind_unmap(void **state)
{
	const struct vfu_unmap unmap = { sizeof(unmap), 0, AREA_ADDRESS, BENCH_PIECE };
	const struct vfu_access read = { AIPU_REG_MAGIC, VFIO_PCI_BAR0_REGION_INDEX, 4 };
	struct bench *b = *state;
	struct client *c = client_of(b);
	struct target t;

	for (unsigned int round = 0; round < 5; round++) {
		int first, seen[9] = { 0 };

		copy_begin(b, &t);
		first = client_request(c, VFU_DMA_UNMAP, 0, &unmap, sizeof(unmap), NULL, 0);
		for (unsigned int i = 1; i < EMU_COUNT(seen); i++)
			assert_true(client_request(c, VFU_REGION_READ, 0, &read, sizeof(read), NULL,
						   0) > 0);
		for (unsigned int i = 0; i < EMU_COUNT(seen); i++) {
			assert_int_equal(client_receive(c, CLIENT_PATIENCE_MS), 0);
			assert_int_equal(c->header.flags, VFU_REPLY);
			assert_true(c->header.id >= first && c->header.id < first + 9);
			assert_int_equal(seen[c->header.id - first]++, 0);
			assert_int_equal(c->header.command,
					 c->header.id == first ? VFU_DMA_UNMAP : VFU_REGION_READ);
		}
		copy_has_stopped(&t);
		assert_int_equal(ring_wait(&b->d, &b->q[1], t.job), AIPU_STATUS_DMA_ERROR);
		assert_int_equal(BENCH_ADMIN(b, UNBIND,
					     .unbind = { .context = 1, .segment = BENCH_FREE }),
				 0);
	}
}

static void test_bus_master_off_in_flight(void **state)
{
	struct bench *b = *state;
	struct target t;

	copy_begin(b, &t);
	assert_int_equal(client_set_config(client_of(b), 4, 2, 2), 0);
	copy_has_stopped(&t);
	assert_int_equal(client_config(client_of(b), 4, 2), 2);
	assert_int_equal(BENCH_REG(b, MAGIC), AIPU_MAGIC);
}

/* [RST-5] Off: nothing is read and nothing written, be it mapped or not; on again, a new queue works. */
static void test_bus_master_off(void **state)
{
	struct bench *b = *state;
	const uint64_t refused = bench_counter(b, EMU_COUNT_DMA_REFUSED);
	const uint64_t to = bench_counter(b, EMU_COUNT_BYTES_TO_HOST);
	const uint64_t from = bench_counter(b, EMU_COUNT_BYTES_FROM_HOST);

	assert_int_equal(client_set_config(client_of(b), 4, 2, 2), 0);
	BENCH_START(b, 1, FILL, .fill = { .segment = BENCH_HOST, .pattern = ~0u, .length = 4096 });
	for (unsigned int ms = 0; BENCH_REG(b, ERROR) != AIPU_ERROR_QUEUE; ms++) {
		assert_true(ms < CLIENT_PATIENCE_MS);
		usleep(1000);
	}
	assert_true(bench_counter(b, EMU_COUNT_DMA_REFUSED) > refused);
	assert_int_equal(bench_counter(b, EMU_COUNT_BYTES_TO_HOST), to);
	assert_int_equal(bench_counter(b, EMU_COUNT_BYTES_FROM_HOST), from);
	assert_int_equal(client_set_config(client_of(b), 4, 2, BUS_MASTER), 0);
	assert_int_equal(BENCH_JOB(b, 2, NOP, .timeout_ms = 0), AIPU_STATUS_OK);
	assert_int_equal(BENCH_ADMIN(b, DESTROY_QUEUE, .queue = { .context = 1, .queue = 1 }), 0);
	ring_restart(&b->q[1]);
	assert_int_equal(BENCH_ADMIN(b, CREATE_QUEUE,
				     .queue = { .context = 1,
						.queue = 1,
						.sq_address = b->q[1].sq_address,
						.cq_address = b->q[1].cq_address,
						.entries = b->q[1].entries }),
			 AIPU_STATUS_OK);
	assert_int_equal(BENCH_JOB(b, 1, NOP, .timeout_ms = 0), AIPU_STATUS_OK);
}

/* A client that goes takes its memory with it: when the next one is served, nothing writes there any more. */
static void test_disconnect_in_flight(void **state)
{
	struct bench *b = *state;
	struct target t;

	for (unsigned int round = 0; round < 3; round++) {
		copy_begin(b, &t);
		guest_disconnect(b->guest);
		assert_int_equal(guest_connect(b->guest), 0);
		copy_has_stopped(&t);
		assert_int_equal(BENCH_REG(b, STATUS) & AIPU_STATUS_STATE_MASK, AIPU_STATE_ROM);
		bench_again(b);
		assert_int_equal(BENCH_JOB(b, 1, NOP, .timeout_ms = 0), AIPU_STATUS_OK);
	}
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_map_bad),
		TEST(test_map_of_no_memory),
		TEST(test_map_over_a_map),
		TEST(test_map_pieces),
		TEST(test_map_access),
		TEST(test_map_truncated),
		TEST(test_unmap_bad),
		TEST(test_unmap_ranges),
		TEST(test_unmap_all),
		TEST(test_map_many),
		TEST(test_unmap_in_flight),
		TEST(test_unmap_all_in_flight),
		TEST(test_requests_behind_unmap),
		TEST(test_bus_master_off_in_flight),
		TEST(test_bus_master_off),
		TEST(test_disconnect_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
