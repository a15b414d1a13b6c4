/* SPDX-License-Identifier: MIT */
/*
 * 16 lanes as one 512-bit register (AVX-512 F, BW, DQ, VL, VNNI). Included by vec16.h alone, which
 * says what the operations mean.
 */
#ifndef VEC16_EMULATED
#include <immintrin.h>
#endif

typedef __m512 v16f;
typedef __m512i v16i;

#ifdef VEC16_EMULATED /* what one instruction does is a loop there: keep it out of line */
#define VEC16_FUNCTION static __attribute__((noinline, unused))
#else
#define VEC16_FUNCTION static inline __attribute__((always_inline))
#endif

VEC16_FUNCTION v16f v16f_set1(float a)
{
	return _mm512_set1_ps(a);
}

VEC16_FUNCTION v16i v16i_set1(int32_t a)
{
	return _mm512_set1_epi32(a);
}

VEC16_FUNCTION v16f v16f_load(const float *p)
{
	return _mm512_loadu_ps(p);
}

VEC16_FUNCTION void v16f_store(float *p, v16f a)
{
	_mm512_storeu_ps(p, a);
}

VEC16_FUNCTION v16f v16f_load_n(const float *p, uint32_t n)
{
	return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}

VEC16_FUNCTION void v16f_store_n(float *p, v16f a, uint32_t n)
{
	_mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), a);
}

VEC16_FUNCTION v16f v16f_load_f16(const uint16_t *p)
{
	return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

VEC16_FUNCTION void v16f_store_f16(uint16_t *p, v16f a)
{
	_mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}

VEC16_FUNCTION v16i v16i_load(const void *p)
{
	return _mm512_loadu_si512(p);
}

VEC16_FUNCTION v16f v16f_add(v16f a, v16f b)
{
	return _mm512_add_ps(a, b);
}

VEC16_FUNCTION v16f v16f_sub(v16f a, v16f b)
{
	return _mm512_sub_ps(a, b);
}

VEC16_FUNCTION v16f v16f_mul(v16f a, v16f b)
{
	return _mm512_mul_ps(a, b);
}

VEC16_FUNCTION v16f v16f_div(v16f a, v16f b)
{
	return _mm512_div_ps(a, b);
}

VEC16_FUNCTION v16f v16f_max(v16f a, v16f b)
{
	return _mm512_max_ps(a, b);
}

VEC16_FUNCTION v16f v16f_min(v16f a, v16f b)
{
	return _mm512_min_ps(a, b);
}

VEC16_FUNCTION v16f v16f_fma(v16f a, v16f b, v16f c)
{
	return _mm512_fmadd_ps(a, b, c);
}

VEC16_FUNCTION v16i v16i_and(v16i a, v16i b)
{
	return _mm512_and_si512(a, b);
}

VEC16_FUNCTION v16i v16f_bits(v16f a)
{
	return _mm512_castps_si512(a);
}

VEC16_FUNCTION v16f v16i_as_f(v16i a)
{
	return _mm512_castsi512_ps(a);
}

VEC16_FUNCTION v16f v16f_neg(v16f a)
{
	return _mm512_castsi512_ps(
		_mm512_xor_si512(_mm512_castps_si512(a), _mm512_set1_epi32(INT32_MIN)));
}

VEC16_FUNCTION v16f v16f_abs(v16f a)
{
	return v16i_as_f(v16i_and(v16f_bits(a), v16i_set1(INT32_MAX)));
}

VEC16_FUNCTION v16f v16f_select_lt(v16f a, v16f b, v16f x, v16f y)
{
	return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
}

VEC16_FUNCTION v16i v16i_add(v16i a, v16i b)
{
	return _mm512_add_epi32(a, b);
}

VEC16_FUNCTION v16i v16i_shl(v16i a, const int bits)
{
	return _mm512_slli_epi32(a, (unsigned int)bits);
}

VEC16_FUNCTION v16i v16i_shr(v16i a, const int bits)
{
	return _mm512_srli_epi32(a, (unsigned int)bits);
}

VEC16_FUNCTION v16f v16i_to_f(v16i a)
{
	return _mm512_cvtepi32_ps(a);
}

VEC16_FUNCTION void v16i_store(int32_t *p, v16i a)
{
	_mm512_storeu_si512(p, a);
}

/* Prepared activations of one group: the 32 signed bytes themselves. */
VEC16_FUNCTION void i8_prepare(uint8_t dst[64], const int8_t q[32])
{
	memcpy(dst, q, 32);
}

/*
 * acc += 4 products a lane of unsigned bytes w and the 4 signed bytes at x. Assembly, because gcc
 * before 14 copies the accumulator around the intrinsic; a test that emulates the intrinsics
 * defines the macro.
 */
#ifdef VEC16_EMULATED
#define AVX512_DPBUSD(acc, w, x) \
	((acc) = _mm512_dpbusd_epi32((acc), (w), _mm512_set1_epi32(load_i32(x))))
#else
#define AVX512_DPBUSD(acc, w, x)               \
	__asm__("vpdpbusd %1%{1to16%}, %2, %0" \
		: "+v"(acc)                    \
		: "m"(((const struct avx512_unaligned *)(x))->v), "v"(w))
struct avx512_unaligned {
	int32_t v;
} __attribute__((packed, may_alias));
#endif

VEC16_FUNCTION int32_t load_i32(const void *p)
{
	int32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

VEC16_FUNCTION void i8_dot(const uint8_t *w, const uint8_t *const x[], size_t at, v16i acc[],
			   const int rows)
{
#pragma GCC unroll 8
	for (int k4 = 0; k4 < 8; k4++) {
		const v16i wv = v16i_load(w + k4 * 64);

#pragma GCC unroll 16
		for (int r = 0; r < rows; r++)
			AVX512_DPBUSD(acc[r], wv, x[r] + at + k4 * 4);
	}
}

#define MATMUL_ROWS 12
#define MATVEC_TILES 8
#define QUANT_ROWS 12
