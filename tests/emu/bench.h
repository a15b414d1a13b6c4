/* SPDX-License-Identifier: MIT */
/*
 * An emulated card brought to work by tests/abi's driver, for tests of what happens around that work: firmware loaded,
 * one context with two queues and a few segments. Asserts (cmocka) that this much goes well; what a test then does it
 * judges itself. Not for access_emu.c, which must run without a test framework.
 */
#ifndef EMU_BENCH_H
#define EMU_BENCH_H

#include "driver.h"
#include "guest.h"

#define BENCH_DATA_BYTES (256u << 10)
#define BENCH_NEAR_BYTES (1u << 20)
#define BENCH_PIECE (16u << 20) /* of a long copy, as long as half of BENCH_BIG */

#define BENCH_REPLIES \
	6u /* of the admin queue, and as many interrupts of vector 0: bench_enable() */

/* Segments of context 1 */
enum {
	BENCH_HOST, /* b->data */
	BENCH_NEAR, /* the first MiB of device memory */
	BENCH_BIG, /* 32 MiB of device memory from 16 MiB on */
	BENCH_FREE, /* and above: the test's */
};

struct bench {
	struct device d;
	struct guest *guest;
	struct ring q[3]; /* 1 and 2: of context 1, vectors 1 and 2 */
	uint8_t *data; /* BENCH_DATA_BYTES of host memory */
	uint64_t data_address;
	uint64_t page_address; /* two pages for an extent list */
	struct aipu_extent_page *page;
};

#define BENCH_ADMIN(b, op, ...)          \
	ring_run(&(b)->d, &(b)->d.admin, \
		 &(struct aipu_admin){ .opcode = AIPU_ADMIN_##op, __VA_ARGS__ })
#define BENCH_START(b, n, op, ...) \
	ring_start(&(b)->d, &(b)->q[n], &(struct aipu_job){ .opcode = AIPU_JOB_##op, __VA_ARGS__ })
#define BENCH_JOB(b, n, op, ...) \
	ring_run(&(b)->d, &(b)->q[n], &(struct aipu_job){ .opcode = AIPU_JOB_##op, __VA_ARGS__ })
#define BENCH_REG(b, name) guest_read((b)->guest, AIPU_REG_##name)

/* A server with guest_shape, less the rollback counter, and these options; a card in state ROM */
void bench_open(struct bench *b, const char *const *options);
void bench_close(struct bench *b);
/* LOAD of the image that the build made. The state. */
uint32_t bench_load(struct bench *b);
/* From state RUNNING to a context to work in */
void bench_enable(struct bench *b);
/* All three */
void bench_ready(struct bench *b, const char *const *options);
/* After a disconnect, or where the card was reset: what host memory held is gone */
void bench_again(struct bench *b);
/* Binds a host segment of one extent. Its completion's status. */
uint32_t bench_bind(struct bench *b, uint32_t segment, uint64_t address, uint64_t bytes);
/* Memory of the test's own for DMA, filled with `fill`: its pointer, and its file */
uint8_t *bench_memory(uint64_t bytes, uint8_t fill, int *fd);
/* A counter of the vendor-specific capability, by its place in tools/aipu-emu/emu.h; ~0 where there is none */
uint64_t bench_counter(struct bench *b, unsigned int which);
/* Starts a COPY of 1024 times BENCH_PIECE between two segments, or the halves of one: 16 GiB, in slices. Its id. */
uint16_t bench_copy_long(struct bench *b, unsigned int queue, uint32_t from, uint32_t to);

#endif
