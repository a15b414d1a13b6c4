/* SPDX-License-Identifier: MIT */
/*
 * The few AVX-512 intrinsics that vec16_avx512.h uses, in plain C, so that its kernels are tested
 * on machines without AVX-512. Written from Intel's description of each instruction. Included by
 * one test in place of <immintrin.h>. Conversions to and from binary16 are the reference's, which
 * test_numerics compares with the processor's.
 */
#ifndef AVX512_EMULATED_H
#define AVX512_EMULATED_H

#include <stdint.h>
#include <string.h>

#include "aipu_numerics_float.h"

typedef struct {
	float f[16];
} __m512;
typedef struct {
	int32_t i[16];
} __m512i;
typedef struct {
	uint16_t h[16];
} __m256i;
typedef uint16_t __mmask16;

#define _CMP_LT_OQ 17
#define _MM_FROUND_TO_NEAREST_INT 0
#define EMULATED static __attribute__((noinline, unused))
#define EACH for (int n = 0; n < 16; n++)

#define BINARY(name, type, lane, expr)     \
	EMULATED type name(type a, type b) \
	{                                  \
		type r;                    \
                                           \
		EACH r.lane[n] = (expr);   \
		return r;                  \
	}
BINARY(_mm512_add_ps, __m512, f, a.f[n] + b.f[n])
BINARY(_mm512_sub_ps, __m512, f, a.f[n] - b.f[n])
BINARY(_mm512_mul_ps, __m512, f, a.f[n] * b.f[n])
BINARY(_mm512_div_ps, __m512, f, a.f[n] / b.f[n])
BINARY(_mm512_max_ps, __m512, f, a.f[n] > b.f[n] ? a.f[n] : b.f[n])
BINARY(_mm512_min_ps, __m512, f, a.f[n] < b.f[n] ? a.f[n] : b.f[n])
BINARY(_mm512_add_epi32, __m512i, i, (int32_t)((uint32_t)a.i[n] + (uint32_t)b.i[n]))
BINARY(_mm512_and_si512, __m512i, i, a.i[n] & b.i[n])
BINARY(_mm512_xor_si512, __m512i, i, a.i[n] ^ b.i[n])

EMULATED __m512 _mm512_set1_ps(float x)
{
	__m512 r;

	EACH r.f[n] = x;
	return r;
}

EMULATED __m512i _mm512_set1_epi32(int32_t x)
{
	__m512i r;

	EACH r.i[n] = x;
	return r;
}

EMULATED __m512 _mm512_fmadd_ps(__m512 a, __m512 b, __m512 c)
{
	__m512 r;

	EACH r.f[n] = __builtin_fmaf(a.f[n], b.f[n], c.f[n]);
	return r;
}

EMULATED __m512 _mm512_loadu_ps(const void *p)
{
	__m512 r;

	memcpy(&r, p, sizeof(r));
	return r;
}

EMULATED void _mm512_storeu_ps(void *p, __m512 a)
{
	memcpy(p, &a, sizeof(a));
}

/* Masked-off lanes are not accessed, and faults there are suppressed. */
EMULATED __m512 _mm512_maskz_loadu_ps(__mmask16 mask, const void *p)
{
	__m512 r;

	EACH
	{
		r.f[n] = 0.0f;
		if (mask >> n & 1)
			memcpy(&r.f[n], (const char *)p + n * 4, 4);
	}
	return r;
}

EMULATED void _mm512_mask_storeu_ps(void *p, __mmask16 mask, __m512 a)
{
	EACH if (mask >> n & 1) memcpy((char *)p + n * 4, &a.f[n], 4);
}

EMULATED __m512i _mm512_loadu_si512(const void *p)
{
	__m512i r;

	memcpy(&r, p, sizeof(r));
	return r;
}

EMULATED void _mm512_storeu_si512(void *p, __m512i a)
{
	memcpy(p, &a, sizeof(a));
}

EMULATED __m256i _mm256_loadu_si256(const __m256i *p)
{
	__m256i r;

	memcpy(&r, p, sizeof(r));
	return r;
}

EMULATED void _mm256_storeu_si256(__m256i *p, __m256i a)
{
	memcpy(p, &a, sizeof(a));
}

EMULATED __m512 _mm512_cvtph_ps(__m256i a)
{
	__m512 r;

	EACH r.f[n] = aipu_f16_to_f32(a.h[n]);
	return r;
}

EMULATED __m256i _mm512_cvtps_ph(__m512 a, int rounding)
{
	__m256i r;

	(void)rounding;
	EACH r.h[n] = aipu_f32_to_f16(a.f[n]);
	return r;
}

EMULATED __m512i _mm512_castps_si512(__m512 a)
{
	__m512i r;

	memcpy(&r, &a, sizeof(r));
	return r;
}

EMULATED __m512 _mm512_castsi512_ps(__m512i a)
{
	__m512 r;

	memcpy(&r, &a, sizeof(r));
	return r;
}

/* Predicate 17 alone: less than, ordered, quiet */
EMULATED __mmask16 _mm512_cmp_ps_mask(__m512 a, __m512 b, int predicate)
{
	__mmask16 mask = 0;

	(void)predicate;
	EACH mask |= (__mmask16)((a.f[n] < b.f[n]) << n);
	return mask;
}

/* Lanes whose bit is set come from b. */
EMULATED __m512 _mm512_mask_blend_ps(__mmask16 mask, __m512 a, __m512 b)
{
	EACH a.f[n] = mask >> n & 1 ? b.f[n] : a.f[n];
	return a;
}

EMULATED __m512i _mm512_slli_epi32(__m512i a, unsigned int bits)
{
	EACH a.i[n] = (int32_t)((uint32_t)a.i[n] << bits);
	return a;
}

EMULATED __m512i _mm512_srli_epi32(__m512i a, unsigned int bits)
{
	EACH a.i[n] = (int32_t)((uint32_t)a.i[n] >> bits);
	return a;
}

EMULATED __m512 _mm512_cvtepi32_ps(__m512i a)
{
	__m512 r;

	EACH r.f[n] = (float)a.i[n];
	return r;
}

/* Unsigned bytes of u times signed bytes of s, four to a lane, added without saturation */
EMULATED __m512i _mm512_dpbusd_epi32(__m512i acc, __m512i u, __m512i s)
{
	EACH for (int j = 0; j < 32; j += 8) acc.i[n] +=
		((uint32_t)u.i[n] >> j & 255) * (int32_t)(int8_t)((uint32_t)s.i[n] >> j & 255);
	return acc;
}

#undef BINARY
#undef EACH
#undef EMULATED
#endif
