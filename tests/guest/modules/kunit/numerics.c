// SPDX-License-Identifier: GPL-2.0
/*
 * The integer half of the arithmetic compiles and computes in kernel C: known answers of the random
 * number generator, the wide product, and the sizes of weights. Part of the KUnit module of the contract.
 */
#include <kunit/test.h>
#include <linux/math64.h>

#include "aipu_numerics.h"

/* The known answers of philox4x32-10 for all zeros and all ones (Random123, kat_vectors). */
static void philox_known_answers(struct kunit *test)
{
	u32 zeros[4] = { 0, 0, 0, 0 };
	u32 ones[4] = { ~0u, ~0u, ~0u, ~0u };

	aipu_philox(zeros, 0, 0);
	KUNIT_EXPECT_EQ(test, zeros[0], 0x6627e8d5);
	KUNIT_EXPECT_EQ(test, zeros[1], 0xe169c58d);
	KUNIT_EXPECT_EQ(test, zeros[2], 0xbc57ac4c);
	KUNIT_EXPECT_EQ(test, zeros[3], 0x9b00dbd8);
	aipu_philox(ones, ~0u, ~0u);
	KUNIT_EXPECT_EQ(test, ones[0], 0x408f276d);
	KUNIT_EXPECT_EQ(test, ones[1], 0x41c83b0e);
	KUNIT_EXPECT_EQ(test, ones[2], 0xa20bc7c6);
	KUNIT_EXPECT_EQ(test, ones[3], 0x6d5451fd);
	KUNIT_EXPECT_EQ(test, aipu_draw_bits(0, 0, 0), 0xe169c58d6627e8d5);
}

static void wide_products(struct kunit *test)
{
	u64 a = 1, b = ~0ull;
	int i;

	for (i = 0; i < 1000; i++) {
		KUNIT_EXPECT_EQ(test, aipu_mulhi64(a, b), mul_u64_u64_shr(a, b, 64));
		a = a * 6364136223846793005 + 1442695040888963407;
		b = b * 2862933555777941757 + 3037000493;
	}
}

static void fractions(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, aipu_fraction_reached(1, 1 << 24, 1));
	KUNIT_EXPECT_FALSE(test, aipu_fraction_reached(0, 1, 1));
	KUNIT_EXPECT_TRUE(test, aipu_fraction_reached(~0ull, 1 << 24, ~0ull));
	KUNIT_EXPECT_FALSE(test, aipu_fraction_reached(~0ull - 1, 1 << 24, ~0ull));
}

static void weight_sizes(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, aipu_tile_bytes(AIPU_FMT_F32, 3), 192);
	KUNIT_EXPECT_EQ(test, aipu_tile_bytes(AIPU_FMT_F16, 3), 128);
	KUNIT_EXPECT_EQ(test, aipu_tile_bytes(AIPU_FMT_I8_G32, 64), 1088);
	KUNIT_EXPECT_EQ(test, aipu_tile_bytes(AIPU_FMT_I8_G32, 65), 2 * 1088);
	KUNIT_EXPECT_EQ(test, aipu_tile_bytes(AIPU_FMT_MX9, 64), 0);
	KUNIT_EXPECT_EQ(test, aipu_weight_bytes(AIPU_FMT_I8_G32, 17, 64), 2 * 1088);
	KUNIT_EXPECT_EQ(test, aipu_weight_bytes(AIPU_FMT_F32, 0x80000000u, 1), 0);
	KUNIT_EXPECT_EQ(test, aipu_weight_bytes(AIPU_FMT_F32, 0x7fffffffu, 0x7fffffffu),
			0x8000000ull * 64 * 0x7fffffffull);
	/* The last byte and the last scale of a superblock lie inside of it and apart. */
	KUNIT_EXPECT_EQ(test, aipu_i8_byte_offset(15, 63), 1087);
	KUNIT_EXPECT_EQ(test, aipu_i8_byte_offset(0, 0), 64);
	KUNIT_EXPECT_EQ(test, aipu_i8_scale_offset(15, 63), 62);
	KUNIT_EXPECT_EQ(test, aipu_i8_byte_offset(0, 64), 1088 + 64);
}

static struct kunit_case numerics_cases[] = { KUNIT_CASE(philox_known_answers),
					      KUNIT_CASE(wide_products),
					      KUNIT_CASE(fractions),
					      KUNIT_CASE(weight_sizes),
					      {} };

static struct kunit_suite numerics_suite = {
	.name = "aipu_numerics",
	.test_cases = numerics_cases,
};

kunit_test_suite(numerics_suite);
