/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The arithmetic of the contract as C: one reference function per rule of numerics.md, scalar, in
 * the order that every implementation must reproduce bit for bit. For userspace only (kernel code
 * has no floating point): the scalar parts of the device model, the compiler's tables, the tests. A
 * file that includes it is compiled with -ffp-contract=off and without any -ffast-math option; from
 * the C library it uses fma, fmaf and sqrtf alone, which are correctly rounded.
 */
#ifndef AIPU_NUMERICS_FLOAT_H
#define AIPU_NUMERICS_FLOAT_H

#if defined(__KERNEL__)
#error "kernel code has no floating point: include aipu_numerics.h"
#endif
#if defined(__FAST_MATH__)
#error "the arithmetic of the contract does not survive -ffast-math"
#endif

#include <string.h>

#include "aipu_numerics.h"

static inline float aipu_f32(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static inline uint32_t aipu_f32_bits(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static inline double aipu_f64(uint64_t bits)
{
	double value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static inline uint64_t aipu_f64_bits(double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

/* [NUM-4] a * b + c with one rounding */
static inline float aipu_fma(float a, float b, float c)
{
	return __builtin_fmaf(a, b, c);
}

/* [NUM-5] */
static inline float aipu_max(float a, float b)
{
	return a > b ? a : b;
}

static inline float aipu_min(float a, float b)
{
	return a < b ? a : b;
}

/* [NUM-10] binary16 to binary32, exact; NaN keeps its payload and becomes quiet */
static inline float aipu_f16_to_f32(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = h >> 10 & 31,
		 fraction = h & 0x3ffu;

	if (exponent == 31)
		return aipu_f32(sign | 0x7f800000u | (fraction ? 0x400000u : 0) | fraction << 13);
	if (exponent)
		return aipu_f32(sign | (exponent + 112) << 23 | fraction << 13);
	/* Subnormal: fraction * 2^-24, exact in binary32. */
	return aipu_f32(sign | aipu_f32_bits((float)fraction * aipu_f32(0x33800000u)));
}

/* [NUM-11] binary32 to binary16, to nearest even; subnormals kept, too large gives infinity */
static inline uint16_t aipu_f32_to_f16(float value)
{
	uint32_t bits = aipu_f32_bits(value), sign = bits >> 16 & 0x8000u, mag = bits & 0x7fffffffu;
	uint32_t rest, half, result;

	if (mag > 0x7f800000u)
		return (uint16_t)(sign | 0x7e00u | (mag >> 13 & 0x3ffu));
	if (mag >= 0x477ff000u) /* 65520: half way to 65536, and above */
		return (uint16_t)(sign | 0x7c00u);
	if (mag >= 0x38800000u) { /* 2^-14 */
		result = (mag - 0x38000000u) >> 13;
		rest = mag & 0x1fffu;
		half = 0x1000u;
	} else if (mag > 0x33000000u) { /* above 2^-25, half of the smallest subnormal */
		uint32_t shift = 126 - (mag >> 23), fraction = (mag & 0x7fffffu) | 0x800000u;

		result = fraction >> shift;
		rest = fraction & ((1u << shift) - 1);
		half = 1u << (shift - 1);
	} else {
		return (uint16_t)sign;
	}
	if (rest > half || (rest == half && (result & 1)))
		result++;
	return (uint16_t)(sign | result);
}

static inline float aipu_bf16_to_f32(uint16_t b)
{
	return aipu_f32((uint32_t)b << 16);
}

/* [NUM-6] */
static inline float aipu_tree16(const float p[16])
{
	float q[8];
	int i;

	for (i = 0; i < 8; i++)
		q[i] = p[i] + p[i + 8];
	for (i = 0; i < 4; i++)
		q[i] = q[i] + q[i + 4];
	for (i = 0; i < 2; i++)
		q[i] = q[i] + q[i + 2];
	return q[0] + q[1];
}

/* [NUM-40] exp; relative error at most 1.1e-7 where the result is not 0 */
static inline float aipu_exp(float x)
{
	float y = aipu_max(aipu_min(x, aipu_f32(AIPU_EXP_HIGH)), aipu_f32(AIPU_EXP_LOW));
	float t = aipu_fma(y, aipu_f32(AIPU_EXP_LOG2E), aipu_f32(AIPU_EXP_ROUND));
	float n = t - aipu_f32(AIPU_EXP_ROUND);
	float r = aipu_fma(-n, aipu_f32(AIPU_EXP_LN2_HI), y);
	float p = aipu_f32(AIPU_EXP_C6);

	r = aipu_fma(-n, aipu_f32(AIPU_EXP_LN2_LO), r);
	p = aipu_fma(p, r, aipu_f32(AIPU_EXP_C5));
	p = aipu_fma(p, r, aipu_f32(AIPU_EXP_C4));
	p = aipu_fma(p, r, aipu_f32(AIPU_EXP_C3));
	p = aipu_fma(p, r, aipu_f32(AIPU_EXP_C2));
	p = aipu_fma(p, r, 1.0f);
	p = aipu_fma(p, r, 1.0f);
	/* t's low bits hold n, -126..127: 2^n by its exponent field */
	p = p * aipu_f32((aipu_f32_bits(t) - AIPU_EXP_ROUND + 127u) << 23);
	return x < aipu_f32(AIPU_EXP_LOW) ? 0.0f : p;
}

/* [NUM-41] natural logarithm of a positive number; absolute error see numerics.md */
static inline float aipu_ln(float x)
{
	float y = aipu_max(x, aipu_f32(AIPU_LN_MIN));
	uint32_t bits = aipu_f32_bits(y) - AIPU_LN_SQRT_HALF;
	int32_t e = (int32_t)bits >> 23; /* arithmetic: rounds down */
	float f = aipu_f32((bits & 0x7fffffu) + AIPU_LN_SQRT_HALF) - 1.0f;
	float s = f / (f + 2.0f);
	float z = s * s;
	float p = aipu_f32(AIPU_LN_C3);

	p = aipu_fma(p, z, aipu_f32(AIPU_LN_C2));
	p = aipu_fma(p, z, aipu_f32(AIPU_LN_C1));
	p = aipu_fma(p, z, aipu_f32(AIPU_LN_C0));
	p = aipu_fma(s * z, p, s + s);
	p = aipu_fma((float)e, aipu_f32(AIPU_EXP_LN2_LO), p);
	return aipu_fma((float)e, aipu_f32(AIPU_EXP_LN2_HI), p);
}

/* [NUM-42] */
static inline float aipu_sigmoid(float x)
{
	return 1.0f / (1.0f + aipu_exp(-x));
}

static inline float aipu_tanh(float x)
{
	return aipu_fma(2.0f, aipu_sigmoid(2.0f * x), -1.0f);
}

/* [NUM-43] */
static inline float aipu_silu(float x)
{
	return x * aipu_sigmoid(x);
}

/* [NUM-44] tanh form: 0.5 (1 + tanh u) = sigmoid(2u) */
static inline float aipu_gelu(float x)
{
	float p = aipu_fma(x * x, aipu_f32(AIPU_GELU_C1), aipu_f32(AIPU_GELU_C0));

	return x * aipu_sigmoid(x * p);
}

/* [NUM-45] 1 / square root, two correctly rounded operations */
static inline float aipu_rsqrt(float x)
{
	return 1.0f / __builtin_sqrtf(x);
}

/* [NUM-20] Integer nearest to x, ties to even; |x| < 2^22 */
static inline int32_t aipu_round(float x)
{
	return (int32_t)(aipu_f32_bits(x + aipu_f32(AIPU_EXP_ROUND)) - AIPU_EXP_ROUND);
}

/* [NUM-20] x clamped to -127..127, then rounded; NaN gives -127 */
static inline int32_t aipu_round_i8(float x)
{
	return aipu_round(aipu_min(aipu_max(x, -127.0f), 127.0f));
}

/*
 * [NUM-21] One weight group (n <= 32) to signed bytes; returns the scale as stored. Compiler only.
 */
static inline uint16_t aipu_quantize_weights(const float *w, uint32_t n, int8_t *q)
{
	float amax = 0.0f, scale;
	uint16_t stored;
	uint32_t i;

	for (i = 0; i < n; i++)
		amax = aipu_max(w[i] < 0.0f ? -w[i] : w[i], amax);
	stored = aipu_f32_to_f16(aipu_min(amax / 127.0f, 65504.0f));
	scale = aipu_f16_to_f32(stored);
	for (i = 0; i < n; i++)
		q[i] = (int8_t)(scale > 0.0f ? aipu_round_i8(w[i] / scale) : 0);
	return stored;
}

/* [NUM-22] One activation group (n <= 32) to signed bytes; returns the scale. */
static inline float aipu_quantize_group(const float *x, uint32_t n, int8_t *q)
{
	float amax = 0.0f, inv;
	uint32_t i;

	for (i = 0; i < n; i++)
		amax = aipu_max(aipu_f32(aipu_f32_bits(x[i]) & 0x7fffffffu), amax);
	if (!(amax >= aipu_f32(AIPU_QUANT_MIN))) {
		memset(q, 0, n);
		return 0.0f;
	}
	inv = 127.0f / amax;
	for (i = 0; i < n; i++)
		q[i] = (int8_t)aipu_round_i8(x[i] * inv);
	return amax / 127.0f;
}

/* --- binary64, for tables that the compiler computes: [NUM-60] to [NUM-64] --- */

/*
 * 1 / n! and 2 / n rounded to binary64 are exact to half a unit; the divisions below are those
 * roundings.
 */
static inline double aipu_exp_f64(double x)
{
	static const uint64_t c[] = {
		/* 1/13! .. 1/0! */
		0x3de6124613a86d09, 0x3e21eed8eff8d898, 0x3e5ae64567f544e4, 0x3e927e4fb7789f5c,
		0x3ec71de3a556c734, 0x3efa01a01a01a01a, 0x3f2a01a01a01a01a, 0x3f56c16c16c16c17,
		0x3f81111111111111, 0x3fa5555555555555, 0x3fc5555555555555, 0x3fe0000000000000,
		0x3ff0000000000000, 0x3ff0000000000000,
	};
	double y = x < 700.0 ? x : 700.0, t, n, r, p = 0.0;
	const double round = aipu_f64(0x4338000000000000); /* 1.5 * 2^52 */
	unsigned int i;

	y = y > -700.0 ? y : -700.0;
	t = __builtin_fma(y, aipu_f64(0x3ff71547652b82fe), round);
	n = t - round;
	r = __builtin_fma(-n, aipu_f64(0x3fe62e42fefa2000), y);
	r = __builtin_fma(-n, aipu_f64(0x3d69ef35793c7673), r);
	for (i = 0; i < sizeof(c) / sizeof(c[0]); i++)
		p = __builtin_fma(p, r, aipu_f64(c[i]));
	return p * aipu_f64((aipu_f64_bits(t) - 0x4338000000000000u + 1023) << 52);
}

/* x positive and normal */
static inline double aipu_ln_f64(double x)
{
	static const uint64_t c[] = {
		/* 2/23 .. 2/3 */
		0x3fb642c8590b2164, 0x3fb8618618618618, 0x3fbaf286bca1af28, 0x3fbe1e1e1e1e1e1e,
		0x3fc1111111111111, 0x3fc3b13b13b13b14, 0x3fc745d1745d1746, 0x3fcc71c71c71c71c,
		0x3fd2492492492492, 0x3fd999999999999a, 0x3fe5555555555555,
	};
	const uint64_t sqrt_half = 0x3fe6a09e667f3bcd;
	uint64_t bits = aipu_f64_bits(x) - sqrt_half;
	double e = (double)((int64_t)bits >> 52);
	double f = aipu_f64((bits & 0xfffffffffffff) + sqrt_half) - 1.0;
	double s = f / (f + 2.0), z = s * s, p = 0.0;
	unsigned int i;

	for (i = 0; i < sizeof(c) / sizeof(c[0]); i++)
		p = __builtin_fma(p, z, aipu_f64(c[i]));
	p = __builtin_fma(s * z, p, s + s);
	p = __builtin_fma(e, aipu_f64(0x3d69ef35793c7673), p);
	return __builtin_fma(e, aipu_f64(0x3fe62e42fefa2000), p);
}

/* Sine and cosine of x, |x| <= 2^21 */
static inline void aipu_sincos_f64(double x, double *sine, double *cosine)
{
	static const uint64_t cs[] = {
		/* 1/17!, -1/15! .. -1/3! */
		0x3ce952c77030ad4a, 0xbd6ae7f3e733b81f, 0x3de6124613a86d09, 0xbe5ae64567f544e4,
		0x3ec71de3a556c734, 0xbf2a01a01a01a01a, 0x3f81111111111111, 0xbfc5555555555555,
	};
	static const uint64_t cc[] = {
		/* 1/16!, -1/14! .. -1/2! */
		0x3d2ae7f3e733b81f, 0xbda93974a8c07c9d, 0x3e21eed8eff8d898, 0xbe927e4fb7789f5c,
		0x3efa01a01a01a01a, 0xbf56c16c16c16c17, 0x3fa5555555555555, 0xbfe0000000000000,
	};
	const double round = aipu_f64(0x4338000000000000);
	double t = __builtin_fma(x, aipu_f64(0x3fe45f306dc9c883), round), n = t - round;
	double r, z, s = 0.0, c = 0.0;
	unsigned int i, quadrant = (unsigned int)aipu_f64_bits(t) & 3;

	/* pi/2 in three parts; n times the first is exact */
	r = __builtin_fma(-n, aipu_f64(0x3ff921fb54400000), x);
	r = __builtin_fma(-n, aipu_f64(0x3dd0b4611a400000), r);
	r = __builtin_fma(-n, aipu_f64(0x3be13198a2e03707), r);
	z = r * r;
	for (i = 0; i < 8; i++) {
		s = __builtin_fma(s, z, aipu_f64(cs[i]));
		c = __builtin_fma(c, z, aipu_f64(cc[i]));
	}
	s = __builtin_fma(r * z, s, r);
	c = __builtin_fma(z, c, 1.0);
	*sine = quadrant & 1 ? c : s;
	*cosine = quadrant & 1 ? s : c;
	if (quadrant & 2)
		*sine = -*sine;
	if (quadrant == 1 || quadrant == 2)
		*cosine = -*cosine;
}

/* [NUM-63] Inverse frequency i of a rotary dimension: theta^(-2i / rot) */
static inline double aipu_rope_inverse_frequency(double theta, uint32_t i, uint32_t rot)
{
	return aipu_exp_f64(-((double)(2 * i) / (double)rot) * aipu_ln_f64(theta));
}

/*
 * [NUM-64] One row of a rotary table: rot / 2 cosines, then rot / 2 sines, of position * inv[i],
 * times `factor` (the attention factor of YaRN; else 1).
 */
static inline void aipu_rope_row(uint32_t position, const double *inv, uint32_t rot, double factor,
				 float *row)
{
	uint32_t i, half = rot / 2;

	for (i = 0; i < half; i++) {
		double s, c;

		aipu_sincos_f64((double)position * inv[i], &s, &c);
		row[i] = (float)(c * factor);
		row[half + i] = (float)(s * factor);
	}
}

#endif
