/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The arithmetic of the contract, integer half: the id of these numerics, group sizes, constants as
 * bit patterns, the size of every weight layout, and the integer-only part of the sampler. The
 * rules, numbered [NUM-*], stand in numerics.md; the floating-point reference code is
 * aipu_numerics_float.h. Included by kernel C, userspace and firmware, so nothing here may use a
 * floating-point type.
 */
#ifndef AIPU_NUMERICS_H
#define AIPU_NUMERICS_H

#include "aipu_types.h"
#include "aipu_program.h" /* AIPU_FMT_*, AIPU_LAYOUT_* */

/*
 * What stands here is AIPU_NUMERICS_1. Another order of additions, polynomial or rounding is
 * another id, never a new meaning of this one.
 */

/* [NUM-3] */
#define AIPU_LANES 16u /* partial sums of a row reduction; rows of a weight tile */
#define AIPU_GROUP 32u /* elements that share one scale */
#define AIPU_CHUNK 128u /* logical positions of one attention chunk */
#define AIPU_I8_MAX 127
#define AIPU_I8_BIAS 128 /* a weight is stored as q + 128 */

/* [NUM-40] exp_ref, binary32 bit patterns */
#define AIPU_EXP_HIGH 0x42b00000u /* 88: larger arguments count as 88 */
#define AIPU_EXP_LOW 0xc2ae0000u /* -87: below it the result is +0 */
#define AIPU_EXP_LOG2E 0x3fb8aa3bu
#define AIPU_EXP_ROUND 0x4b400000u /* 1.5 * 2^23: adding it rounds to an integer */
#define AIPU_EXP_LN2_HI 0x3f317200u
#define AIPU_EXP_LN2_LO 0x35bfbe8eu
#define AIPU_EXP_C2 0x3f000000u
#define AIPU_EXP_C3 0x3e2aaa6eu
#define AIPU_EXP_C4 0x3d2aaa8du
#define AIPU_EXP_C5 0x3c0905d1u
#define AIPU_EXP_C6 0x3ab6889eu

/* [NUM-41] ln_ref */
#define AIPU_LN_MIN 0x00800000u /* 2^-126: smaller arguments, negative ones and NaN count as this */
#define AIPU_LN_SQRT_HALF 0x3f3504f3u
#define AIPU_LN_C0 0x3f2aaaabu
#define AIPU_LN_C1 0x3eccccf6u
#define AIPU_LN_C2 0x3e922e14u
#define AIPU_LN_C3 0x3e6eea6du

/* [NUM-44] gelu: 2 sqrt(2/pi) and 2 sqrt(2/pi) * 0.044715 */
#define AIPU_GELU_C0 0x3fcc422au
#define AIPU_GELU_C1 0x3d922279u

/* [NUM-22] an activation group whose largest magnitude is under 2^-100 is all zero */
#define AIPU_QUANT_MIN 0x0d800000u

/* --- weight layouts: bytes, [NUM-12] to [NUM-16] --- */

/* One superblock of AIPU_FMT_I8_G32 in a tile: 2 x 16 binary16 scales, 2 x 32 x 16 bytes. */
#define AIPU_I8_SUPER_K 64u
#define AIPU_I8_SUPER_SCALES 64u
#define AIPU_I8_SUPER_BLOCK 512u
#define AIPU_I8_SUPER_BYTES 1088u
#define AIPU_TILE_ALIGN 64u

/*
 * Bytes of one tile (16 rows) of k columns in AIPU_LAYOUT_TILE16, a multiple of 64; 0 when the
 * format has no such layout. k is at most 2^31.
 */
static inline uint64_t aipu_tile_bytes(uint32_t format, uint32_t k)
{
	uint64_t k64 = k;

	switch (format) {
	case AIPU_FMT_F32:
		return k64 * 64;
	case AIPU_FMT_F16:
		return (k64 * 32 + 63) / 64 * 64;
	case AIPU_FMT_I8_G32:
		return (k64 + AIPU_I8_SUPER_K - 1) / AIPU_I8_SUPER_K * AIPU_I8_SUPER_BYTES;
	default:
		return 0;
	}
}

/*
 * Bytes of a matrix of n rows and k columns in AIPU_LAYOUT_TILE16: everything that a matmul or a
 * row gather may touch, padding rows and columns included. 0 when the format has no such layout, or
 * n or k is 0 or over 2^31 - 1. Never overflows: a row has at most 4 bytes an element.
 */
static inline uint64_t aipu_weight_bytes(uint32_t format, uint32_t n, uint32_t k)
{
	if (n > 0x7fffffffu || k > 0x7fffffffu)
		return 0;
	return ((uint64_t)n + AIPU_LANES - 1) / AIPU_LANES * aipu_tile_bytes(format, k);
}

/* Byte offset, inside an I8_G32 tile, of the stored byte of (row in tile, column). */
static inline uint64_t aipu_i8_byte_offset(uint32_t row, uint32_t k)
{
	return (uint64_t)(k / AIPU_I8_SUPER_K) * AIPU_I8_SUPER_BYTES + AIPU_I8_SUPER_SCALES +
	       (k / AIPU_GROUP % 2) * AIPU_I8_SUPER_BLOCK + k % AIPU_GROUP / 4 * 64 + row * 4 +
	       k % 4;
}

/* Byte offset, inside an I8_G32 tile, of the binary16 scale of (row in tile, column). */
static inline uint64_t aipu_i8_scale_offset(uint32_t row, uint32_t k)
{
	return (uint64_t)(k / AIPU_I8_SUPER_K) * AIPU_I8_SUPER_BYTES + (k / AIPU_GROUP % 2) * 32 +
	       row * 2;
}

/* --- sampler: fixed point, [NUM-70] to [NUM-77] --- */

/*
 * A weight is floor(exp(d) * 2^40), [NUM-72], d = (logit - largest) / temperature: the subtraction
 * comes first, so that d is never above 0, and no NaN at any temperature.
 */
#define AIPU_WEIGHT_SHIFT 40
#define AIPU_FRACTION_SHIFT 24 /* top-p and min-p as floor(p * 2^24) */

/*
 * [NUM-75] Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2,
 * 3", SC11)
 */
#define AIPU_PHILOX_M0 0xd2511f53u
#define AIPU_PHILOX_M1 0xcd9e8d57u
#define AIPU_PHILOX_W0 0x9e3779b9u
#define AIPU_PHILOX_W1 0xbb67ae85u
#define AIPU_PHILOX_ROUNDS 10

static inline void aipu_philox(uint32_t ctr[4], uint32_t key0, uint32_t key1)
{
	int round;

	for (round = 0; round < AIPU_PHILOX_ROUNDS; round++) {
		uint64_t p0 = (uint64_t)AIPU_PHILOX_M0 * ctr[0];
		uint64_t p1 = (uint64_t)AIPU_PHILOX_M1 * ctr[2];
		uint32_t c1 = ctr[1], c3 = ctr[3];

		ctr[0] = (uint32_t)(p1 >> 32) ^ c1 ^ key0;
		ctr[1] = (uint32_t)p1;
		ctr[2] = (uint32_t)(p0 >> 32) ^ c3 ^ key1;
		ctr[3] = (uint32_t)p0;
		key0 += AIPU_PHILOX_W0;
		key1 += AIPU_PHILOX_W1;
	}
}

/* [NUM-75] The 64 random bits of one draw. */
static inline uint64_t aipu_draw_bits(uint64_t seed, uint64_t sequence, uint32_t position)
{
	uint32_t ctr[4] = { (uint32_t)sequence, (uint32_t)(sequence >> 32), position, 0 };

	aipu_philox(ctr, (uint32_t)seed, (uint32_t)(seed >> 32));
	return ctr[0] | (uint64_t)ctr[1] << 32;
}

/* Upper 64 bits of a 64 x 64 product, without a 128-bit type. */
static inline uint64_t aipu_mulhi64(uint64_t a, uint64_t b)
{
	uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
	uint64_t mid = a1 * b0 + (a0 * b0 >> 32);
	uint64_t low = a0 * b1 + (uint32_t)mid;

	return a1 * b1 + (mid >> 32) + (low >> 32);
}

/*
 * a * 2^24 >= b * c without loss; a < 2^64, b <= 2^24, c < 2^64. The comparison of [NUM-73] and
 * [NUM-74].
 */
static inline int aipu_fraction_reached(uint64_t a, uint32_t b, uint64_t c)
{
	uint64_t a_hi = a >> (64 - AIPU_FRACTION_SHIFT), a_lo = a << AIPU_FRACTION_SHIFT;
	uint64_t p_hi = aipu_mulhi64(b, c), p_lo = (uint64_t)b * c;

	return a_hi > p_hi || (a_hi == p_hi && a_lo >= p_lo);
}

#endif
