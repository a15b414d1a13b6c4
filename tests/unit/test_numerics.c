// SPDX-License-Identifier: MIT
/*
 * The reference arithmetic itself: constants by their bits, errors of the elementary functions
 * against the C library in double precision, conversions against exact values, the generator
 * against published vectors.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "aipu_numerics_float.h"

/*
 * Sums over the results of golden_bits(). They change with numerics id 1 never, so neither do
 * these.
 */
#define GOLDEN_EXP 0x138c6502u
#define GOLDEN_LN 0x6b8a6cb6u
#define GOLDEN_ACT 0xd446dcd8u

#define assert_bits(value, bits) assert_int_equal(aipu_f32_bits(value), (bits))

static double larger(double a, double b)
{
	return b > a ? b : a;
}

/*
 * [NUM-1] [NUM-5] [NUM-40] [NUM-41] [NUM-42] [NUM-43] [NUM-44]
 * Golden bits: a change of any constant, or of the order of operations, shows here.
 */
static void golden_bits(void **state)
{
	uint32_t hash_exp = 0, hash_ln = 0, hash_act = 0;

	(void)state;
	assert_bits(aipu_exp(0.0f), 0x3f800000);
	assert_bits(aipu_exp(-0.0f), 0x3f800000);
	assert_bits(aipu_exp(-87.5f), 0);
	assert_bits(aipu_exp(-INFINITY), 0);
	assert_bits(aipu_exp(1000.0f), aipu_f32_bits(aipu_exp(88.0f)));
	assert_bits(aipu_ln(1.0f), 0);
	assert_bits(aipu_sigmoid(0.0f), 0x3f000000);
	assert_bits(aipu_silu(0.0f), 0);
	assert_bits(aipu_tanh(0.0f), 0);
	for (uint32_t i = 0; i < 100000; i++) {
		const float x = (float)((int32_t)(i * 2654435761u)) * 0x1p-31f * 90.0f;

		hash_exp = hash_exp * 31 + aipu_f32_bits(aipu_exp(x));
		hash_ln = hash_ln * 31 + aipu_f32_bits(aipu_ln(aipu_f32(0x800000u + i * 21343u)));
		hash_act = hash_act * 31 + aipu_f32_bits(aipu_silu(x)) +
			   aipu_f32_bits(aipu_gelu(x * 0.1f)) * 7 +
			   aipu_f32_bits(aipu_tanh(x * 0.1f)) * 3;
	}
	assert_int_equal(hash_exp, GOLDEN_EXP);
	assert_int_equal(hash_ln, GOLDEN_LN);
	assert_int_equal(hash_act, GOLDEN_ACT);
}

/* [NUM-40] [NUM-41] [NUM-42] [NUM-43] [NUM-44]: the errors that the page states */
static void errors_float(void **state)
{
	double e_exp = 0, e_ln = 0, e_sigmoid = 0, e_silu = 0, e_tanh = 0, e_gelu = 0;

	(void)state;
	for (uint32_t bits = 0; bits < 0x42b00000u; bits += 1021) {
		for (int sign = 0; sign < 2; sign++) {
			const float x = aipu_f32(bits | (uint32_t)sign << 31);
			const double t = (double)x, s = 1 / (1 + exp(-t));

			if (x < -87.0f)
				continue;
			e_exp = larger(e_exp, fabs(aipu_exp(x) / exp(t) - 1));
			e_sigmoid = larger(e_sigmoid, fabs(aipu_sigmoid(x) / s - 1));
			if (fabsf(x) > 1e-30f)
				e_silu = larger(e_silu, fabs(aipu_silu(x) / (t * s) - 1));
			e_tanh = larger(e_tanh, fabs(aipu_tanh(x) - tanh(t)));
			if (fabs(t) < 8) {
				const double u =
					0.79788456080286535588 * (t + 0.044715 * t * t * t);

				e_gelu = larger(e_gelu,
						fabs(aipu_gelu(x) - 0.5 * t * (1 + tanh(u))));
			}
		}
	}
	for (uint32_t bits = 0x00800000u; bits < 0x7f800000u; bits += 1021) {
		const double t = log((double)aipu_f32(bits));

		if (t != 0)
			e_ln = larger(e_ln, fabs(aipu_ln(aipu_f32(bits)) / t - 1));
	}
	printf("# largest errors: exp %.3g, ln %.3g, sigmoid %.3g, silu %.3g (relative), tanh "
	       "%.3g, gelu %.3g (absolute)\n",
	       e_exp, e_ln, e_sigmoid, e_silu, e_tanh, e_gelu);
	assert_true(e_exp <= 8.0e-8);
	assert_true(e_ln <= 1.8e-7);
	assert_true(e_sigmoid <= 1.7e-7);
	assert_true(e_silu <= 2.3e-7);
	assert_true(e_tanh <= 1.9e-7);
	assert_true(e_gelu <= 7.0e-7);
	assert_bits(aipu_ln(-1.0f), aipu_f32_bits(aipu_ln(aipu_f32(AIPU_LN_MIN))));
	assert_bits(aipu_ln(NAN), aipu_f32_bits(aipu_ln(aipu_f32(AIPU_LN_MIN))));
}

/* [NUM-60] [NUM-61] [NUM-62] [NUM-63] [NUM-64] */
static void errors_double(void **state)
{
	double e_exp = 0, e_ln = 0, e_sin = 0, e_cos = 0, e_table = 0;

	(void)state;
	for (int i = -600000; i <= 600000; i += 7) {
		const double x = i * 1.00037e-3, z = exp(x);

		e_exp = larger(e_exp, fabs(aipu_exp_f64(x) / z - 1));
		if (fabs(log(z)) > 1e-3)
			e_ln = larger(e_ln, fabs(aipu_ln_f64(z) / log(z) - 1));
	}
	for (uint32_t i = 0; i < 400000; i++) {
		const double x = i * 5.242881234567;
		double s, c;

		aipu_sincos_f64(x, &s, &c);
		e_sin = larger(e_sin, fabs(s - sin(x)));
		e_cos = larger(e_cos, fabs(c - cos(x)));
		aipu_sincos_f64(-x, &s, &c);
		e_sin = larger(e_sin, fabs(s + sin(x)));
	}
	/* A table row against the closed form, positions to 2^20 */
	for (uint32_t position = 1; position <= 1u << 20; position *= 2) {
		double inv[32];
		float row[64];

		for (uint32_t i = 0; i < 32; i++)
			inv[i] = aipu_rope_inverse_frequency(500000.0, i, 64);
		aipu_rope_row(position - 1, inv, 64, 1.0, row);
		for (uint32_t i = 0; i < 32; i++) {
			const double angle = (position - 1) * inv[i];

			assert_true(fabs(inv[i] / pow(500000.0, -(double)(2 * i) / 64) - 1) <
				    5e-15);
			e_table = larger(e_table, fabs(row[i] - cos(angle)));
			e_table = larger(e_table, fabs(row[32 + i] - sin(angle)));
		}
	}
	printf("# largest errors: exp %.3g, ln %.3g (relative), sin %.3g, cos %.3g, table %.3g "
	       "(absolute)\n",
	       e_exp, e_ln, e_sin, e_cos, e_table);
	assert_true(e_exp <= 4.5e-16);
	assert_true(e_ln <= 4.5e-16);
	assert_true(e_sin <= 2.3e-16);
	assert_true(e_cos <= 2.3e-16);
	assert_true(e_table <= 3.1e-8);
}

static double half_value(uint16_t h)
{
	const int exponent = h >> 10 & 31;
	const double v = exponent ? ldexp(1024 + (h & 1023), exponent - 25) : ldexp(h & 1023, -24);

	return h & 0x8000 ? -v : v;
}

/* [NUM-10], [NUM-11]: every binary16 number, every neighbourhood of a rounding boundary */
static void half_precision(void **state)
{
	(void)state;
	for (uint32_t h = 0; h < 0x10000; h++) {
		const float f = aipu_f16_to_f32((uint16_t)h);

		if ((h & 0x7c00) == 0x7c00) {
			assert_true(h & 0x3ff ? isnan(f) : isinf(f));
			continue;
		}
		assert_true((double)f == half_value((uint16_t)h));
		assert_int_equal(aipu_f32_to_f16(f), h);
		if (h & 0x8000 || h == 0x7bff)
			continue;
		/* Half way to the next: the even one; a bit either side: the nearer one. */
		const float middle =
			(float)((half_value((uint16_t)h) + half_value((uint16_t)(h + 1))) / 2);

		assert_int_equal(aipu_f32_to_f16(middle), h & 1 ? h + 1 : h);
		assert_int_equal(aipu_f32_to_f16(aipu_f32(aipu_f32_bits(middle) - 1)), h);
		assert_int_equal(aipu_f32_to_f16(aipu_f32(aipu_f32_bits(middle) + 1)), h + 1);
		assert_int_equal(aipu_f32_to_f16(-middle), 0x8000 | (h & 1 ? h + 1 : h));
	}
	assert_int_equal(aipu_f32_to_f16(65519.996f), 0x7bff);
	assert_int_equal(aipu_f32_to_f16(65520.0f), 0x7c00);
	assert_int_equal(aipu_f32_to_f16(-INFINITY), 0xfc00);
	assert_int_equal(aipu_f32_to_f16(NAN) & 0x7e00, 0x7e00);
}

/* [NUM-4] [NUM-5] [NUM-6] [NUM-45] */
static void reductions(void **state)
{
	float p[16];

	(void)state;
	/* A sum whose value depends on its order */
	for (int i = 0; i < 16; i++)
		p[i] = i & 8 ? 1.0f : 0x1p24f;
	assert_bits(aipu_tree16(p), aipu_f32_bits(0x1p27f));
	for (int i = 0; i < 16; i++)
		p[i] = i & 1 ? 1.0f : 0x1p24f;
	assert_bits(aipu_tree16(p), aipu_f32_bits(0x1p27f + 8.0f));
	/* One rounding: 1 + 2^-24 squared would lose its last term with two. */
	assert_bits(aipu_fma(1.0f + 0x1p-12f, 1.0f + 0x1p-12f, -1.0f - 0x1p-11f),
		    aipu_f32_bits(0x1p-24f));
	assert_bits(aipu_max(NAN, 1.0f), 0x3f800000);
	assert_bits(aipu_rsqrt(4.0f), 0x3f000000);
}

/* [NUM-2] [NUM-20] [NUM-21] [NUM-22] */
static void quantizing(void **state)
{
	float x[32], w[32];
	int8_t q[32];

	(void)state;
	for (int i = 0; i < 32; i++)
		x[i] = (float)(i - 16) * 0.5f;
	assert_bits(aipu_quantize_group(x, 32, q), aipu_f32_bits(8.0f / 127.0f));
	assert_int_equal(q[0], -127);
	assert_int_equal(q[16], 0);
	assert_int_equal(q[20], 32); /* 2 * 127 / 8 = 31.75 */
	/* ties to even, both ways; the tail of a row is a shorter group */
	x[0] = 127.0f;
	x[1] = 0.5f;
	x[2] = 1.5f;
	x[3] = -2.5f;
	assert_bits(aipu_quantize_group(x, 4, q), 0x3f800000);
	assert_int_equal(q[1], 0);
	assert_int_equal(q[2], 2);
	assert_int_equal(q[3], -2);
	/* nothing, or too little to have a scale */
	for (int i = 0; i < 32; i++)
		x[i] = aipu_f32(AIPU_QUANT_MIN - 1);
	assert_bits(aipu_quantize_group(x, 32, q), 0);
	assert_int_equal(q[5], 0);
	for (int i = 0; i < 32; i++)
		x[i] = aipu_f32(AIPU_QUANT_MIN);
	assert_true(aipu_quantize_group(x, 32, q) > 0.0f);
	assert_int_equal(q[5], 127);
	assert_int_equal(aipu_round_i8(NAN), -127);
	assert_int_equal(aipu_round_i8(INFINITY), 127);

	for (int i = 0; i < 32; i++)
		w[i] = (float)(i - 15) * 0.01f;
	const uint16_t stored = aipu_quantize_weights(w, 32, q);
	const float scale = aipu_f16_to_f32(stored);

	assert_int_equal(stored, aipu_f32_to_f16(0.16f / 127.0f));
	for (int i = 0; i < 32; i++)
		assert_true(fabsf(w[i] - (float)q[i] * scale) <= scale * 0.75f);
	w[0] = 1e30f;
	assert_int_equal(aipu_quantize_weights(w, 32, q), 0x7bff);
	assert_int_equal(q[0], 127);
	memset(w, 0, sizeof(w));
	assert_int_equal(aipu_quantize_weights(w, 32, q), 0);
	assert_int_equal(q[0], 0);
}

/* [NUM-3] [NUM-12] [NUM-13] [NUM-14] [NUM-15] [NUM-16] */
static void layouts(void **state)
{
	uint8_t seen[2 * AIPU_I8_SUPER_BYTES] = { 0 };

	(void)state;
	assert_int_equal(aipu_weight_bytes(AIPU_FMT_F32, 16, 3), 192);
	assert_int_equal(aipu_weight_bytes(AIPU_FMT_F32, 17, 3), 384);
	assert_int_equal(aipu_weight_bytes(AIPU_FMT_F16, 16, 3), 128);
	assert_int_equal(aipu_weight_bytes(AIPU_FMT_I8_G32, 1, 64), 1088);
	assert_int_equal(aipu_weight_bytes(AIPU_FMT_I8_G32, 33, 65), 3 * 2176);
	assert_int_equal(aipu_weight_bytes(AIPU_FMT_I4_G32, 16, 64), 0);
	assert_int_equal(aipu_weight_bytes(AIPU_FMT_F32, 0, 64), 0);
	assert_int_equal(aipu_weight_bytes(AIPU_FMT_F32, 0x80000000u, 64), 0);
	assert_true(aipu_weight_bytes(AIPU_FMT_F32, 0x7fffffffu, 0x7fffffffu) ==
		    0x80000000ull * 0x7fffffffull * 4);
	/* Every byte of a tile belongs to exactly one weight or scale. */
	for (uint32_t row = 0; row < 16; row++)
		for (uint32_t k = 0; k < 128; k++) {
			seen[aipu_i8_byte_offset(row, k)]++;
			if (k % 32 == 0) {
				seen[aipu_i8_scale_offset(row, k)]++;
				seen[aipu_i8_scale_offset(row, k) + 1]++;
			}
		}
	for (size_t i = 0; i < sizeof(seen); i++)
		assert_int_equal(seen[i], 1);
	assert_int_equal(aipu_i8_byte_offset(3, 70), 1088 + 64 + 64 + 12 + 2);
	assert_int_equal(aipu_i8_scale_offset(3, 100), 1088 + 32 + 6);
}

/*
 * [NUM-75] Vectors that the authors of Philox publish with Random123 (kat_vectors), in their order
 * of words
 */
static void philox_vectors(void **state)
{
	static const uint32_t v[3][10] = {
		{ 0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 },
		{ ~0u, ~0u, ~0u, ~0u, ~0u, ~0u, 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd },
		{ 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0,
		  0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 },
	};

	(void)state;
	for (int i = 0; i < 3; i++) {
		uint32_t c[4] = { v[i][0], v[i][1], v[i][2], v[i][3] };

		aipu_philox(c, v[i][4], v[i][5]);
		for (int j = 0; j < 4; j++)
			assert_int_equal(c[j], v[i][6 + j]);
	}
	assert_true(aipu_draw_bits(0, 0, 0) == 0xe169c58d6627e8d5u);
}

/* [NUM-74] [NUM-76]: exact comparisons and targets */
static void wide_products(void **state)
{
	uint64_t a = 0x0123456789abcdefu, b = 0xfedcba9876543210u;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		unsigned __int128 product = (unsigned __int128)a * b;

		assert_true(aipu_mulhi64(a, b) == (uint64_t)(product >> 64));
		for (int exact = 0; exact < 2; exact++) {
			const uint32_t p = (uint32_t)(b >> 40) + 1;
			const uint64_t left =
				exact ? (uint64_t)((unsigned __int128)p * (a >> 1) >> 24) : a >> 1;
			const int want = ((unsigned __int128)left << 24) >=
					 (unsigned __int128)p * (a >> 1);

			assert_int_equal(aipu_fraction_reached(left, p, a >> 1), want);
		}
		a = a * 6364136223846793005u + 1442695040888963407u;
		b = b * 3935559000370003845u + 2691343689449507681u;
	}
	assert_true(aipu_mulhi64(~0ull, ~0ull) == ~0ull - 1);
	assert_int_equal(aipu_fraction_reached(~0ull, 1u << 24, ~0ull), 1);
	assert_int_equal(aipu_fraction_reached(~0ull - 1, 1u << 24, ~0ull), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_bits),	 cmocka_unit_test(errors_float),
		cmocka_unit_test(errors_double), cmocka_unit_test(half_precision),
		cmocka_unit_test(reductions),	 cmocka_unit_test(quantizing),
		cmocka_unit_test(layouts),	 cmocka_unit_test(philox_vectors),
		cmocka_unit_test(wide_products),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
