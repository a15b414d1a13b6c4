/* SPDX-License-Identifier: MIT */
/*
 * Vectors of 16 lanes, so that each kernel is written once. Included only by the files
 * kernels_<level>.c, which define VEC16_SCALAR, VEC16_AVX2 or VEC16_AVX512 first. Each operation
 * gives the same bits in every back end: IEEE binary32, to nearest even, no flushing of subnormals,
 * fma with one rounding, max(a, b) = a > b ? a : b.
 *
 * v16f_load, _store               16 elements
 * v16f_load_n, _store_n           the first n <= 16 elements, no others; further lanes read as 0
 * v16f_load_f16, _store_f16       16 binary16 elements, widened exactly, rounded to nearest even
 * v16f_select_lt(a, b, x, y)      a < b ? x : y
 * v16f_bits, v16i_as_f            the same bits as another type
 * v16i_shl, v16i_shr              logical
 * i8_prepare(dst, q)              32 signed bytes in the form that i8_dot wants (64 bytes at most)
 * i8_dot(w, x, at, acc, rows)     acc[r] lane i += stored bytes of row i times those prepared at
 *                                 x[r] + at, over 32 columns, exact
 * MATMUL_ROWS, MATVEC_TILES, QUANT_ROWS   how much fits this back end's registers
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "aipu_numerics_float.h"

#if defined(VEC16_AVX512)
#include "vec16_avx512.h"
#elif defined(VEC16_AVX2)
#include "vec16_avx2.h"
#elif defined(VEC16_SCALAR)
#include "vec16_scalar.h"
#else
#error "define VEC16_SCALAR, VEC16_AVX2 or VEC16_AVX512"
#endif

VEC16_FUNCTION v16f v16f_zero(void)
{
	return v16f_set1(0.0f);
}

VEC16_FUNCTION v16f v16f_const(uint32_t bits)
{
	return v16f_set1(aipu_f32(bits));
}

VEC16_FUNCTION v16f v16f_load_f16_n(const uint16_t *p, uint32_t n)
{
	uint16_t lanes[16] = { 0 };

	memcpy(lanes, p, n * sizeof(*p));
	return v16f_load_f16(lanes);
}

/* [NUM-6] */
VEC16_FUNCTION float v16f_tree(v16f a)
{
	float p[16];

	v16f_store(p, a);
	return aipu_tree16(p);
}

VEC16_FUNCTION float v16f_largest(v16f a)
{
	float p[16], m;

	v16f_store(p, a);
	m = p[0];
	for (int i = 1; i < 16; i++)
		m = aipu_max(p[i], m);
	return m;
}

/* [NUM-40] */
VEC16_FUNCTION v16f v16f_exp(v16f x)
{
	const v16f low = v16f_const(AIPU_EXP_LOW), round = v16f_const(AIPU_EXP_ROUND);
	const v16f one = v16f_set1(1.0f);
	v16f y = v16f_max(v16f_min(x, v16f_const(AIPU_EXP_HIGH)), low);
	v16f t = v16f_fma(y, v16f_const(AIPU_EXP_LOG2E), round);
	v16f n = v16f_neg(v16f_sub(t, round));
	v16f r = v16f_fma(n, v16f_const(AIPU_EXP_LN2_HI), y);
	v16f p = v16f_const(AIPU_EXP_C6);
	v16i e;

	r = v16f_fma(n, v16f_const(AIPU_EXP_LN2_LO), r);
	p = v16f_fma(p, r, v16f_const(AIPU_EXP_C5));
	p = v16f_fma(p, r, v16f_const(AIPU_EXP_C4));
	p = v16f_fma(p, r, v16f_const(AIPU_EXP_C3));
	p = v16f_fma(p, r, v16f_const(AIPU_EXP_C2));
	p = v16f_fma(p, r, one);
	p = v16f_fma(p, r, one);
	e = v16i_add(v16f_bits(t), v16i_set1((int32_t)(127u - AIPU_EXP_ROUND)));
	p = v16f_mul(p, v16i_as_f(v16i_shl(e, 23)));
	return v16f_select_lt(x, low, v16f_zero(), p);
}

/* [NUM-42] */
VEC16_FUNCTION v16f v16f_sigmoid(v16f x)
{
	const v16f one = v16f_set1(1.0f);

	return v16f_div(one, v16f_add(one, v16f_exp(v16f_neg(x))));
}
