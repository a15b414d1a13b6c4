/* SPDX-License-Identifier: MIT */
/*
 * 16 lanes as two 256-bit registers (AVX2, FMA, F16C). Included by vec16.h alone, which says what
 * the operations mean.
 */
#include <immintrin.h>

typedef struct {
	__m256 a, b;
} v16f;
typedef struct {
	__m256i a, b;
} v16i;

#define VEC16_FUNCTION static inline __attribute__((always_inline))

VEC16_FUNCTION v16f v16f_set1(float a)
{
	return (v16f){ _mm256_set1_ps(a), _mm256_set1_ps(a) };
}

VEC16_FUNCTION v16i v16i_set1(int32_t a)
{
	return (v16i){ _mm256_set1_epi32(a), _mm256_set1_epi32(a) };
}

VEC16_FUNCTION v16f v16f_load(const float *p)
{
	return (v16f){ _mm256_loadu_ps(p), _mm256_loadu_ps(p + 8) };
}

VEC16_FUNCTION void v16f_store(float *p, v16f a)
{
	_mm256_storeu_ps(p, a.a);
	_mm256_storeu_ps(p + 8, a.b);
}

/* All ones in the lanes below n - base, for n <= 16 */
VEC16_FUNCTION __m256i avx2_below(uint32_t n, int base)
{
	return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n - base),
				  _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

VEC16_FUNCTION v16f v16f_load_n(const float *p, uint32_t n)
{
	return (v16f){ _mm256_maskload_ps(p, avx2_below(n, 0)),
		       _mm256_maskload_ps(p + 8, avx2_below(n, 8)) };
}

VEC16_FUNCTION void v16f_store_n(float *p, v16f a, uint32_t n)
{
	_mm256_maskstore_ps(p, avx2_below(n, 0), a.a);
	_mm256_maskstore_ps(p + 8, avx2_below(n, 8), a.b);
}

VEC16_FUNCTION v16f v16f_load_f16(const uint16_t *p)
{
	return (v16f){ _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)),
		       _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p + 8))) };
}

VEC16_FUNCTION void v16f_store_f16(uint16_t *p, v16f a)
{
	_mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(a.a, _MM_FROUND_TO_NEAREST_INT));
	_mm_storeu_si128((__m128i *)(p + 8), _mm256_cvtps_ph(a.b, _MM_FROUND_TO_NEAREST_INT));
}

VEC16_FUNCTION v16i v16i_load(const void *p)
{
	const __m256i *q = p;

	return (v16i){ _mm256_loadu_si256(q), _mm256_loadu_si256(q + 1) };
}

#define V16F_BINARY(name, op)                                \
	VEC16_FUNCTION v16f name(v16f a, v16f b)             \
	{                                                    \
		return (v16f){ op(a.a, b.a), op(a.b, b.b) }; \
	}
V16F_BINARY(v16f_add, _mm256_add_ps)
V16F_BINARY(v16f_sub, _mm256_sub_ps)
V16F_BINARY(v16f_mul, _mm256_mul_ps)
V16F_BINARY(v16f_div, _mm256_div_ps)
V16F_BINARY(v16f_max, _mm256_max_ps)
V16F_BINARY(v16f_min, _mm256_min_ps)
#undef V16F_BINARY

VEC16_FUNCTION v16f v16f_fma(v16f a, v16f b, v16f c)
{
	return (v16f){ _mm256_fmadd_ps(a.a, b.a, c.a), _mm256_fmadd_ps(a.b, b.b, c.b) };
}

VEC16_FUNCTION v16f v16f_neg(v16f a)
{
	const __m256 sign = _mm256_set1_ps(-0.0f);

	return (v16f){ _mm256_xor_ps(a.a, sign), _mm256_xor_ps(a.b, sign) };
}

VEC16_FUNCTION v16f v16f_abs(v16f a)
{
	const __m256 sign = _mm256_set1_ps(-0.0f);

	return (v16f){ _mm256_andnot_ps(sign, a.a), _mm256_andnot_ps(sign, a.b) };
}

VEC16_FUNCTION v16f v16f_select_lt(v16f a, v16f b, v16f x, v16f y)
{
	return (v16f){ _mm256_blendv_ps(y.a, x.a, _mm256_cmp_ps(a.a, b.a, _CMP_LT_OQ)),
		       _mm256_blendv_ps(y.b, x.b, _mm256_cmp_ps(a.b, b.b, _CMP_LT_OQ)) };
}

VEC16_FUNCTION v16i v16i_add(v16i a, v16i b)
{
	return (v16i){ _mm256_add_epi32(a.a, b.a), _mm256_add_epi32(a.b, b.b) };
}

VEC16_FUNCTION v16i v16i_shl(v16i a, const int bits)
{
	return (v16i){ _mm256_slli_epi32(a.a, bits), _mm256_slli_epi32(a.b, bits) };
}

VEC16_FUNCTION v16i v16i_shr(v16i a, const int bits)
{
	return (v16i){ _mm256_srli_epi32(a.a, bits), _mm256_srli_epi32(a.b, bits) };
}

VEC16_FUNCTION v16i v16i_and(v16i a, v16i b)
{
	return (v16i){ _mm256_and_si256(a.a, b.a), _mm256_and_si256(a.b, b.b) };
}

VEC16_FUNCTION v16f v16i_to_f(v16i a)
{
	return (v16f){ _mm256_cvtepi32_ps(a.a), _mm256_cvtepi32_ps(a.b) };
}

VEC16_FUNCTION v16i v16f_bits(v16f a)
{
	return (v16i){ _mm256_castps_si256(a.a), _mm256_castps_si256(a.b) };
}

VEC16_FUNCTION v16f v16i_as_f(v16i a)
{
	return (v16f){ _mm256_castsi256_ps(a.a), _mm256_castsi256_ps(a.b) };
}

VEC16_FUNCTION void v16i_store(int32_t *p, v16i a)
{
	_mm256_storeu_si256((__m256i *)p, a.a);
	_mm256_storeu_si256((__m256i *)(p + 8), a.b);
}

/*
 * Prepared activations of one group: per 4 columns the 16-bit pairs (x0, x2) and (x1, x3), which
 * meet the even and the odd bytes of the weights. vpmaddubsw would take the bytes as they are, but
 * it saturates: 255 * 127 * 2 > 32767.
 */
VEC16_FUNCTION void i8_prepare(uint8_t dst[64], const int8_t q[32])
{
	int16_t pair[4];

	for (int i = 0; i < 8; i++) {
		pair[0] = q[i * 4];
		pair[1] = q[i * 4 + 2];
		pair[2] = q[i * 4 + 1];
		pair[3] = q[i * 4 + 3];
		memcpy(dst + i * 8, pair, sizeof(pair));
	}
}

struct avx2_weights {
	__m256i even_a, odd_a, even_b, odd_b; /* rows 0..7, rows 8..15 */
};

VEC16_FUNCTION struct avx2_weights avx2_split(const uint8_t *w)
{
	const __m256i low = _mm256_set1_epi16(0x00ff);
	const __m256i a = _mm256_loadu_si256((const __m256i *)w);
	const __m256i b = _mm256_loadu_si256((const __m256i *)(w + 32));

	return (struct avx2_weights){ _mm256_and_si256(a, low), _mm256_srli_epi16(a, 8),
				      _mm256_and_si256(b, low), _mm256_srli_epi16(b, 8) };
}

struct avx2_pairs {
	int32_t even, odd;
} __attribute__((packed, may_alias));

/*
 * Assembly, because compilers take more temporaries than the 3 that 8 accumulators and 4 weights
 * leave.
 */
VEC16_FUNCTION v16i avx2_products(v16i acc, struct avx2_weights w, const uint8_t *x)
{
	const struct avx2_pairs *p = (const struct avx2_pairs *)x;
	__m256i t0, t1, t2;

	__asm__("vpbroadcastd %[even], %[t0]\n\t"
		"vpbroadcastd %[odd], %[t1]\n\t"
		"vpmaddwd %[t0], %[ea], %[t2]\n\t"
		"vpmaddwd %[t0], %[eb], %[t0]\n\t"
		"vpaddd %[t2], %[a], %[a]\n\t"
		"vpaddd %[t0], %[b], %[b]\n\t"
		"vpmaddwd %[t1], %[oa], %[t2]\n\t"
		"vpmaddwd %[t1], %[ob], %[t1]\n\t"
		"vpaddd %[t2], %[a], %[a]\n\t"
		"vpaddd %[t1], %[b], %[b]"
		: [a] "+x"(acc.a), [b] "+x"(acc.b), [t0] "=&x"(t0), [t1] "=&x"(t1), [t2] "=&x"(t2)
		: [even] "m"(p->even), [odd] "m"(p->odd), [ea] "x"(w.even_a), [eb] "x"(w.even_b),
		  [oa] "x"(w.odd_a), [ob] "x"(w.odd_b));
	return acc;
}

/* The accumulators have names: only so do all compilers keep them in registers. */
VEC16_FUNCTION void i8_dot(const uint8_t *w, const uint8_t *const x[], size_t at, v16i acc[],
			   const int rows)
{
	const uint8_t *const x0 = x[0], *const x1 = x[rows > 1 ? 1 : 0];
	const uint8_t *const x2 = x[rows > 2 ? 2 : 0], *const x3 = x[rows > 3 ? 3 : 0];
	v16i s0 = acc[0], s1 = acc[rows > 1 ? 1 : 0], s2 = acc[rows > 2 ? 2 : 0],
	     s3 = acc[rows > 3 ? 3 : 0];

	if (rows == 1) {
#pragma GCC unroll 8
		for (int k4 = 0; k4 < 8; k4++)
			s0 = avx2_products(s0, avx2_split(w + k4 * 64), x0 + at + k4 * 8);
		acc[0] = s0;
		return;
	}
#pragma GCC unroll 8
	for (int k4 = 0; k4 < 8; k4++) {
		const struct avx2_weights wk = avx2_split(w + k4 * 64);

		s0 = avx2_products(s0, wk, x0 + at + k4 * 8);
		s1 = avx2_products(s1, wk, x1 + at + k4 * 8);
		if (rows > 2)
			s2 = avx2_products(s2, wk, x2 + at + k4 * 8);
		if (rows > 3)
			s3 = avx2_products(s3, wk, x3 + at + k4 * 8);
	}
	acc[0] = s0;
	acc[1] = s1;
	if (rows > 2)
		acc[2] = s2;
	if (rows > 3)
		acc[3] = s3;
}

#define MATMUL_ROWS 6
#define MATVEC_TILES 4
#define QUANT_ROWS 4
