// SPDX-License-Identifier: MIT
/* See bench.h. */
#include "bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define MAX_OPTIONS 24
#define BIG_AT (16ull << 20)
#define VENDOR_SPECIFIC 0x000bu

static const char *const shape[] = { "--memory", "64M", "--cores",   "2",
				     "--queues", "4",	"--vectors", "8" };
#define SHAPE_WORDS (sizeof(shape) / sizeof(shape[0]))

static void lay_out(struct bench *b)
{
	b->d.used = 0;
	ring_alloc(&b->d, &b->d.admin, 0, 16);
	ring_alloc(&b->d, &b->q[1], 1, 16);
	ring_alloc(&b->d, &b->q[2], 2, 16);
	b->page = dma_alloc(&b->d, 2 * sizeof(*b->page), &b->page_address);
	b->data = dma_alloc(&b->d, BENCH_DATA_BYTES, &b->data_address);
}

void bench_open(struct bench *b, const char *const *options)
{
	const char *all[SHAPE_WORDS + MAX_OPTIONS + 1] = { NULL };
	unsigned int n = SHAPE_WORDS;
	int error;

	memcpy(all, shape, sizeof(shape));
	for (; options && *options && n < SHAPE_WORDS + MAX_OPTIONS; options++)
		all[n++] = *options;
	*b = (struct bench){ 0 };
	error = guest_open(&b->guest, &b->d.access, all);
	if (error)
		fail_msg("no emulated card: %s", strerror(-error));
	lay_out(b);
}

void bench_close(struct bench *b)
{
	char said[4096];
	int status;

	server_output(&b->guest->server, said, sizeof(said));
	status = guest_close(b->guest);
	if (status)
		fail_msg("the server ended with status %#x; before, it said: %s", status, said);
}

uint32_t bench_load(struct bench *b)
{
	const char *build = getenv("BUILD");
	char path[4096];
	size_t bytes;
	FILE *f;

	snprintf(path, sizeof(path), "%s/firmware/aipu-soft.fw", build ? build : "build");
	f = fopen(path, "rb");
	assert_non_null(f);
	bytes = fread(b->data, 1, BENCH_DATA_BYTES, f);
	fclose(f);
	return device_load(&b->d, b->data_address, (uint32_t)bytes);
}

uint32_t bench_bind(struct bench *b, uint32_t segment, uint64_t address, uint64_t bytes)
{
	memset(b->page, 0, sizeof(*b->page));
	b->page->extents[0] = (struct aipu_extent){ .address = address, .bytes = bytes };
	return BENCH_ADMIN(b, BIND,
			   .bind = { .context = 1,
				     .segment = segment,
				     .descriptor = { .kind = AIPU_SEGMENT_HOST,
						     .access = 3,
						     .extent_count = 1,
						     .length = bytes,
						     .address = b->page_address } });
}

static void bind_memory(struct bench *b, uint32_t segment, uint64_t offset, uint64_t bytes)
{
	assert_int_equal(BENCH_ADMIN(b, BIND,
				     .bind = { .context = 1,
					       .segment = segment,
					       .descriptor = { .kind = AIPU_SEGMENT_DEVICE,
							       .access = 3,
							       .length = bytes,
							       .address = offset } }),
			 AIPU_STATUS_OK);
}

void bench_enable(struct bench *b)
{
	device_setup(&b->d);
	assert_int_equal(device_enable(&b->d), AIPU_STATE_READY);
	assert_int_equal(BENCH_ADMIN(b, CREATE_CONTEXT, .context = { .context = 1 }), 0);
	for (uint32_t i = 1; i <= 2; i++) {
		struct ring *r = &b->q[i];

		ring_restart(r);
		assert_int_equal(BENCH_ADMIN(b, CREATE_QUEUE,
					     .queue = { .context = 1,
							.queue = i,
							.sq_address = r->sq_address,
							.cq_address = r->cq_address,
							.entries = r->entries,
							.vector = (uint16_t)i }),
				 AIPU_STATUS_OK);
	}
	assert_int_equal(bench_bind(b, BENCH_HOST, b->data_address, BENCH_DATA_BYTES), 0);
	bind_memory(b, BENCH_NEAR, 0, BENCH_NEAR_BYTES);
	bind_memory(b, BENCH_BIG, BIG_AT, 2 * BENCH_PIECE);
}

void bench_ready(struct bench *b, const char *const *options)
{
	bench_open(b, options);
	assert_int_equal(bench_load(b), AIPU_STATE_RUNNING);
	bench_enable(b);
	/* An interrupt comes behind its completion; a test that counts them begins with none on the way. */
	for (unsigned int ms = 0;
	     __atomic_load_n(&b->d.access.interrupts[0], __ATOMIC_SEQ_CST) < BENCH_REPLIES; ms++) {
		assert_true(ms < CLIENT_PATIENCE_MS);
		usleep(1000);
	}
}

void bench_again(struct bench *b)
{
	lay_out(b);
	assert_int_equal(bench_load(b), AIPU_STATE_RUNNING);
	bench_enable(b);
}

uint8_t *bench_memory(uint64_t bytes, uint8_t fill, int *fd)
{
	uint8_t *p;

	*fd = memfd_create("memory", MFD_CLOEXEC);
	assert_true(*fd >= 0);
	assert_int_equal(ftruncate(*fd, (off_t)bytes), 0);
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	memset(p, fill, bytes);
	return p;
}

uint64_t bench_counter(struct bench *b, unsigned int which)
{
	struct client *c = &b->guest->client;
	uint32_t at = 0x100, header, low;

	while ((header = client_config(c, at, 4)) != ~0u && (header & 0xffff) != VENDOR_SPECIFIC) {
		at = header >> 20;
		if (at < 0x100)
			return ~0ull;
	}
	low = client_config(c, at + 8 + 8 * which, 4);
	return low | (uint64_t)client_config(c, at + 12 + 8 * which, 4) << 32;
}

uint16_t bench_copy_long(struct bench *b, unsigned int queue, uint32_t from, uint32_t to)
{
	struct aipu_copy_entry *list = (struct aipu_copy_entry *)(void *)b->data;

	for (uint32_t i = 0; i < AIPU_COPY_MAX_LIST; i++)
		list[i] = (struct aipu_copy_entry){ .src_segment = from,
						    .dst_segment = to,
						    .dst_offset = from == to ? BENCH_PIECE : 0,
						    .length = BENCH_PIECE };
	return BENCH_START(b, queue, COPY,
			   .copy = { .src_segment = BENCH_HOST, .list_count = AIPU_COPY_MAX_LIST });
}
