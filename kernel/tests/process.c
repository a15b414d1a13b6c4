// SPDX-License-Identifier: GPL-2.0
/*
 * What the driver makes of a process's words (aipu_check.h): ranges of buffers and the pieces of
 * memory that they are, jobs, flash commands. Part of aipu_driver_kunit.ko.
 */
#include <kunit/test.h>
#include <linux/prandom.h>

#include "aipu_check.h"

#define R DRM_AIPU_ACCESS_READ
#define W DRM_AIPU_ACCESS_WRITE

static const struct segment_case {
	u64 bytes, offset, length;
	u32 access;
	bool device;
	int error;
} segment_cases[] = {
	{ 4096, 0, 4096, R | W, false, 0 },
	{ 4096, 0, 1, R, false, 0 },
	{ 4096, 4095, 1, W, false, 0 },
	/* Beyond the buffer: by one byte, by all, and where the sum turns over */
	{ 4096, 0, 0, R, false, -EINVAL },
	{ 4096, 4096, 0, R, false, -EINVAL },
	{ 4096, 4096, 1, R, false, -EINVAL },
	{ 4096, 4095, 2, R, false, -EINVAL },
	{ 4096, 0, 4097, R, false, -EINVAL },
	{ 4096, U64_MAX, 1, R, false, -EINVAL },
	{ 4096, U64_MAX, 2, R, false, -EINVAL },
	{ 4096, 1, U64_MAX, R, false, -EINVAL },
	{ 4096, 2, U64_MAX, R, false, -EINVAL },
	{ 4096, U64_MAX, U64_MAX, R, false, -EINVAL },
	{ 4096, BIT_ULL(63), BIT_ULL(63), R, false, -EINVAL },
	{ 4096, BIT_ULL(63), BIT_ULL(63) + 64, R, false, -EINVAL },
	{ U64_MAX, U64_MAX - 1, 1, R, false, 0 },
	{ 0, 0, 1, R, false, -EINVAL },
	/* Access: some of two bits */
	{ 4096, 0, 64, 0, false, -EINVAL },
	{ 4096, 0, 64, R | W | BIT(2), false, -EINVAL },
	{ 4096, 0, 64, BIT(31), false, -EINVAL },
	/* Device memory is bound by 64 bytes, host memory is not. */
	{ 4096, 64, 64, R, true, 0 },
	{ 4096, 4032, 64, R | W, true, 0 },
	{ 4096, 32, 64, R, true, -EINVAL },
	{ 4096, 64, 32, R, true, -EINVAL },
	{ 4096, 1, 64, R, true, -EINVAL },
	{ 4096, 64, 63, R, true, -EINVAL },
	{ 4096, 4032, 128, R, true, -EINVAL },
	{ 4096, U64_MAX - 63, 64, R, true, -EINVAL },
};

static void ranges_are_within_their_buffer(struct kunit *test)
{
	for (size_t i = 0; i < ARRAY_SIZE(segment_cases); i++) {
		const struct segment_case *c = &segment_cases[i];

		KUNIT_EXPECT_EQ_MSG(test,
				    aipu_segment_check(c->bytes, c->offset, c->length, c->access,
						       c->device),
				    c->error, "case %zu: %llu + %llu of %llu, access %x", i,
				    c->offset, c->length, c->bytes, c->access);
	}
}

#define PIECES 8u

/* Mapped pieces, and what came out of them */
struct extents {
	struct scatterlist list[PIECES];
	struct sg_table table;
	u64 address[PIECES], bytes[PIECES];
	unsigned int count;
};

static void take(void *to, unsigned int i, u64 address, u64 bytes)
{
	struct extents *extents = to;

	if (i < PIECES) {
		extents->address[i] = address;
		extents->bytes[i] = bytes;
	}
	extents->count++;
}

static struct extents *extents_begin(struct kunit *test)
{
	struct extents *extents = kunit_kzalloc(test, sizeof(*extents), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, extents);
	sg_init_table(extents->list, PIECES);
	extents->table.sgl = extents->list;
	return extents;
}

static void extents_add(struct extents *extents, u64 address, u32 bytes)
{
	struct scatterlist *sg = &extents->list[extents->table.nents++];

	sg_dma_address(sg) = address;
	sg_dma_len(sg) = bytes;
}

static unsigned int extents_of(struct extents *extents, u64 offset, u64 length)
{
	extents->count = 0;
	return aipu_each_extent(&extents->table, offset, length, take, extents);
}

static void neighbours_are_one_extent(struct kunit *test)
{
	struct extents *extents = extents_begin(test);

	extents_add(extents, 0x10000, 0x1000);
	extents_add(extents, 0x11000, 0x1000);
	extents_add(extents, 0x20000, 0x1000);
	/* Before the one before it, and the same once more: no neighbours */
	extents_add(extents, 0x1f000, 0x1000);
	extents_add(extents, 0x1f000, 0x1000);

	KUNIT_EXPECT_EQ(test, extents_of(extents, 0, 0x5000), 4);
	KUNIT_EXPECT_EQ(test, extents->count, 4);
	KUNIT_EXPECT_EQ(test, extents->address[0], 0x10000);
	KUNIT_EXPECT_EQ(test, extents->bytes[0], 0x2000);
	KUNIT_EXPECT_EQ(test, extents->address[3], 0x1f000);
	KUNIT_EXPECT_EQ(test, extents->bytes[3], 0x1000);
	/* Begins and ends within pieces */
	KUNIT_EXPECT_EQ(test, extents_of(extents, 0x1800, 0x900), 2);
	KUNIT_EXPECT_EQ(test, extents->address[0], 0x11800);
	KUNIT_EXPECT_EQ(test, extents->bytes[0], 0x800);
	KUNIT_EXPECT_EQ(test, extents->address[1], 0x20000);
	KUNIT_EXPECT_EQ(test, extents->bytes[1], 0x100);
	/* The last byte, then one that is not there, and far beyond */
	KUNIT_EXPECT_EQ(test, extents_of(extents, 0x4fff, 1), 1);
	KUNIT_EXPECT_EQ(test, extents_of(extents, 0x4fff, 2), 0);
	KUNIT_EXPECT_EQ(test, extents_of(extents, 0x5000, 1), 0);
	KUNIT_EXPECT_EQ(test, extents_of(extents, U64_MAX, 1), 0);
	KUNIT_EXPECT_EQ(test, extents_of(extents, 0, U64_MAX), 0);
}

/* Lengths of more than 32 bits, of pieces that have fewer */
static void extents_may_be_large(struct kunit *test)
{
	struct extents *extents = extents_begin(test);

	for (u64 i = 0; i < PIECES; i++)
		extents_add(extents, BIT_ULL(40) + i * SZ_2G, SZ_2G);
	KUNIT_EXPECT_EQ(test, extents_of(extents, SZ_1G, PIECES * (u64)SZ_2G - SZ_1G), 1);
	KUNIT_EXPECT_EQ(test, extents->address[0], BIT_ULL(40) + SZ_1G);
	KUNIT_EXPECT_EQ(test, extents->bytes[0], PIECES * (u64)SZ_2G - SZ_1G);
}

/* Where byte `at` of a table is, piece by piece */
static u64 where(struct extents *extents, u64 at)
{
	unsigned int i = 0;

	for (; at >= sg_dma_len(&extents->list[i]); i++)
		at -= sg_dma_len(&extents->list[i]);
	return sg_dma_address(&extents->list[i]) + at;
}

/* Of every range, every byte is where it was, in as few pieces as there can be. */
static void every_byte_is_in_its_extent(struct kunit *test)
{
	struct rnd_state random;

	prandom_seed_state(&random, 1);
	for (int round = 0; round < 200; round++) {
		struct extents *extents = extents_begin(test);
		u64 total = 0, offset, length, at;
		unsigned int count;

		for (u32 i = 0; i < PIECES; i++) {
			u32 bytes = 1 + prandom_u32_state(&random) % 16;

			/* Of addresses there are so few that neighbours meet. */
			extents_add(extents, prandom_u32_state(&random) % 64, bytes);
			total += bytes;
		}
		offset = prandom_u32_state(&random) % total;
		length = 1 + prandom_u32_state(&random) % (total - offset);
		count = extents_of(extents, offset, length);
		KUNIT_ASSERT_GE(test, count, 1);
		KUNIT_ASSERT_EQ(test, count, extents->count);
		at = offset;
		for (u32 i = 0; i < count; i++) {
			for (u64 b = 0; b < extents->bytes[i]; b++)
				KUNIT_ASSERT_EQ(test, extents->address[i] + b,
						where(extents, at++));
			if (i)
				KUNIT_ASSERT_NE(test, extents->address[i],
						extents->address[i - 1] + extents->bytes[i - 1]);
		}
		KUNIT_ASSERT_EQ(test, at, offset + length);
	}
}

static void jobs_are_checked(struct kunit *test)
{
	struct aipu_job job;

	for (u32 opcode = 0; opcode <= U8_MAX; opcode++) {
		job = (struct aipu_job){ .opcode = opcode, .timeout_ms = cpu_to_le32(U32_MAX) };
		/* What the job names is the card's to check. */
		memset(job.body, 0xff, sizeof(job.body));
		KUNIT_EXPECT_EQ_MSG(test, aipu_job_check(&job, DRM_AIPU_QUEUE_UNFENCED),
				    opcode <= AIPU_JOB_GENERATE ? 0 : -EINVAL, "opcode %u", opcode);
	}
	for (u32 bit = 0; bit < 64; bit++) {
		job = (struct aipu_job){ .reserved = cpu_to_le64(BIT_ULL(bit)) };
		KUNIT_EXPECT_EQ(test, aipu_job_check(&job, DRM_AIPU_QUEUE_UNFENCED), -EINVAL);
		if (bit < 16) {
			job = (struct aipu_job){ .id = cpu_to_le16(BIT(bit)) };
			KUNIT_EXPECT_EQ(test, aipu_job_check(&job, DRM_AIPU_QUEUE_UNFENCED),
					-EINVAL);
		}
		if (bit < 8) {
			job = (struct aipu_job){ .flags = BIT(bit) };
			KUNIT_EXPECT_EQ(test, aipu_job_check(&job, DRM_AIPU_QUEUE_UNFENCED),
					-EINVAL);
		}
	}
	job = (struct aipu_job){};
	KUNIT_EXPECT_EQ(test, aipu_job_check(&job, DRM_AIPU_QUEUE_FENCED), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, aipu_job_check(&job, U32_MAX), -EOPNOTSUPP);
}

static const struct flash_case {
	struct drm_aipu_flash args;
	int error;
} flash_cases[] = {
	{ { .op = DRM_AIPU_FLASH_INFO, .data = 1, .bytes = 1 }, 0 },
	{ { .op = DRM_AIPU_FLASH_INFO, .bytes = 4096 }, 0 },
	{ { .op = DRM_AIPU_FLASH_INFO, .bytes = 4097 }, -EINVAL },
	{ { .op = DRM_AIPU_FLASH_INFO, .bytes = 0 }, -EINVAL },
	{ { .op = DRM_AIPU_FLASH_INFO, .bytes = 1, .slot = 1 }, -EINVAL },
	{ { .op = DRM_AIPU_FLASH_INFO, .bytes = 1, .offset = 1 }, -EINVAL },
	{ { .op = DRM_AIPU_FLASH_WRITE, .bytes = SZ_64K, .offset = U64_MAX, .slot = 1 }, 0 },
	{ { .op = DRM_AIPU_FLASH_WRITE, .bytes = SZ_64K + 1 }, -EINVAL },
	{ { .op = DRM_AIPU_FLASH_WRITE, .bytes = 0 }, -EINVAL },
	{ { .op = DRM_AIPU_FLASH_READ, .bytes = 1, .slot = 2 }, -EINVAL },
	{ { .op = DRM_AIPU_FLASH_READ, .bytes = U32_MAX }, -EINVAL },
	{ { .op = DRM_AIPU_FLASH_COMMIT, .slot = 1 }, 0 },
	{ { .op = DRM_AIPU_FLASH_COMMIT, .slot = U32_MAX }, -EINVAL },
	{ { .op = DRM_AIPU_FLASH_COMMIT, .bytes = 1 }, -EINVAL },
	{ { .op = DRM_AIPU_FLASH_COMMIT, .data = 1 }, -EINVAL },
	{ { .op = DRM_AIPU_FLASH_COMMIT, .offset = 1 }, -EINVAL },
	{ { .op = DRM_AIPU_FLASH_ACTIVATE, .slot = 1 }, 0 },
	{ { .op = DRM_AIPU_FLASH_ACTIVATE, .offset = BIT_ULL(63) }, -EINVAL },
	{ { .op = DRM_AIPU_FLASH_ACTIVATE + 1 }, -EINVAL },
	{ { .op = U32_MAX, .bytes = 1 }, -EINVAL },
};

static void flash_commands_are_checked(struct kunit *test)
{
	for (size_t i = 0; i < ARRAY_SIZE(flash_cases); i++)
		KUNIT_EXPECT_EQ_MSG(test, aipu_flash_check(&flash_cases[i].args),
				    flash_cases[i].error, "case %zu", i);
}

static struct kunit_case process_cases[] = { KUNIT_CASE(ranges_are_within_their_buffer),
					     KUNIT_CASE(neighbours_are_one_extent),
					     KUNIT_CASE(extents_may_be_large),
					     KUNIT_CASE(every_byte_is_in_its_extent),
					     KUNIT_CASE(jobs_are_checked),
					     KUNIT_CASE(flash_commands_are_checked),
					     {} };

static struct kunit_suite process_suite = {
	.name = "aipu_process",
	.test_cases = process_cases,
};

kunit_test_suite(process_suite);
