/* SPDX-License-Identifier: MIT */
/*
 * Checks one kernel table against the rules of firmware-abi/numerics.md, written out as plain loops
 * over aipu_numerics_float.h, bit for bit and on every shape edge. Included by the test of the
 * tables that this CPU has and by that of the emulated one. Buffers end where the documented extent
 * ends, so that a sanitizer sees a byte too many, and are surrounded by a pattern that is compared
 * where there is none.
 */
#ifndef COMPUTE_CHECK_H
#define COMPUTE_CHECK_H

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aipu_numerics_float.h"
#include "compute/compute.h"

static uint64_t random_state = 88172645463325252u;

static uint32_t random_u32(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 32);
}

/* -1..1, now and then 0, tiny (subnormal results included) or large */
static float random_float(void)
{
	const float u = (float)((int32_t)random_u32()) * 0x1p-31f;

	switch (random_u32() % 32) {
	case 0:
		return 0.0f;
	case 1:
		return u * 0x1p-120f;
	case 2:
		return u * 1000.0f;
	default:
		return u;
	}
}

/* `bytes` of memory that ends where it ends, filled with a pattern */
static void *exact(size_t bytes)
{
	void *p = malloc(bytes ? bytes : 1); /* test_malloc()'s own margin would hide an overrun */

	assert_non_null(p);
	memset(p, 0xa5, bytes);
	return p;
}

static float *random_floats(size_t n)
{
	float *p = exact(n * sizeof(float));

	for (size_t i = 0; i < n; i++)
		p[i] = random_float();
	return p;
}

/* Without large values, which would leave each softmax a single position */
static float *calm_floats(size_t n)
{
	float *p = exact(n * sizeof(float));

	for (size_t i = 0; i < n; i++)
		p[i] = (float)((int32_t)random_u32()) * 0x1p-31f;
	return p;
}

static void assert_same(const char *what, const struct aipu_kernels *k, const void *got,
			const void *want, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t g, w;

		memcpy(&g, (const uint8_t *)got + i * sizeof(g), sizeof(g));
		memcpy(&w, (const uint8_t *)want + i * sizeof(w), sizeof(w));
		if (g != w)
			fail_msg("%s, %s: element %zu of %zu is %08x (%g), not %08x (%g)", k->name,
				 what, i, n, g, (double)aipu_f32(g), w, (double)aipu_f32(w));
	}
}

/* --- matmul --- */

/* A random matrix in a format's layout, and its values one by one */
struct matrix {
	uint32_t format, n, k;
	uint8_t *tiled;
	float *value; /* n x k, widened exactly */
	int8_t *q; /* I8_G32: n x k */
	float *scale; /* I8_G32: n x groups */
};

static struct matrix matrix_random(uint32_t format, uint32_t n, uint32_t k)
{
	const uint64_t bytes = aipu_weight_bytes(format, n, k), tile = aipu_tile_bytes(format, k);
	const uint32_t groups = (k + 31) / 32;
	struct matrix m = { format, n, k, exact(bytes), exact((size_t)n * k * 4), NULL, NULL };

	memset(m.tiled, 0, bytes);
	if (format == AIPU_FMT_I8_G32) {
		m.q = exact((size_t)n * k);
		m.scale = exact((size_t)n * groups * 4);
		for (uint64_t t = 0; t < bytes / tile; t++)
			for (uint32_t r = 0; r < 16; r++)
				for (uint32_t c = 0; c < (k + 63) / 64 * 64; c++)
					m.tiled[t * tile + aipu_i8_byte_offset(r, c)] = 128;
	}
	for (uint32_t r = 0; r < n; r++) {
		uint8_t *base = m.tiled + r / 16 * tile;
		float *row = m.value + (size_t)r * k;

		for (uint32_t c = 0; c < k; c++)
			row[c] = random_float();
		for (uint32_t c = 0; c < k; c++) {
			uint16_t h = aipu_f32_to_f16(row[c]);

			if (format == AIPU_FMT_F32)
				memcpy(base + ((size_t)c * 16 + r % 16) * 4, &row[c], 4);
			if (format == AIPU_FMT_F16) {
				memcpy(base + ((size_t)c * 16 + r % 16) * 2, &h, 2);
				row[c] = aipu_f16_to_f32(h);
			}
		}
		for (uint32_t g = 0; g < groups && format == AIPU_FMT_I8_G32; g++) {
			const uint32_t c0 = g * 32, count = k - c0 < 32 ? k - c0 : 32;
			int8_t *q = m.q + (size_t)r * k + c0;
			uint16_t stored = aipu_quantize_weights(row + c0, count, q);
			float scale = aipu_f16_to_f32(stored);

			if (random_u32() % 8 == 0) /* the extremes */
				for (uint32_t c = 0; c < count; c++)
					q[c] = random_u32() & 1 ? 127 : -127;
			m.scale[(size_t)r * groups + g] = scale;
			memcpy(base + aipu_i8_scale_offset(r % 16, c0), &stored, 2);
			for (uint32_t c = 0; c < count; c++) {
				base[aipu_i8_byte_offset(r % 16, c0 + c)] = (uint8_t)(q[c] + 128);
				row[c0 + c] = (float)q[c] * scale;
			}
		}
	}
	return m;
}

static void matrix_free(struct matrix *m)
{
	free(m->tiled);
	free(m->value);
	if (m->q) {
		free(m->q);
		free(m->scale);
	}
}

/* [NUM-30], [NUM-31], [NUM-32]: one output */
static float expect_output(const struct matrix *w, const float *x, uint32_t row, bool quant)
{
	const uint32_t groups = (w->k + 31) / 32;
	float acc = 0.0f;

	if (!quant) {
		for (uint32_t c = 0; c < w->k; c++)
			acc = aipu_fma(w->value[(size_t)row * w->k + c], x[c], acc);
		return acc;
	}
	for (uint32_t g = 0; g < groups; g++) {
		const uint32_t n = w->k - g * 32 < 32 ? w->k - g * 32 : 32;
		int8_t q[32];
		const float xs = aipu_quantize_group(x + g * 32, n, q);
		int32_t sum = 0;

		for (uint32_t c = 0; c < n; c++)
			sum += w->q[(size_t)row * w->k + g * 32 + c] * q[c];
		acc = aipu_fma((float)sum, w->scale[(size_t)row * groups + g] * xs, acc);
	}
	return acc;
}

static void check_matmul_shape(const struct aipu_kernels *k, uint32_t format, bool quant,
			       uint32_t n, uint32_t kk, uint32_t m, bool with_bias, bool add)
{
	struct matrix w = matrix_random(format, n, kk);
	const size_t ldx = kk + 3, ldy = n + 5;
	float *x = random_floats((m - 1) * ldx + kk), *y = random_floats((m - 1) * ldy + n);
	float *bias = with_bias ? random_floats(n) : NULL, *want = exact(((m - 1) * ldy + n) * 4);
	uint8_t *xq = NULL;
	const uint32_t cut = n > 16 ? 16 * (1 + random_u32() % ((n - 1) / 16)) : n;
	struct aipu_matmul mm = {
		.w = w.tiled,
		.format = format,
		.n = n,
		.k = kk,
		.m = m,
		.y = y,
		.ldy = ldy,
		.bias = bias,
		.add = add,
	};

	if (quant) {
		const uint32_t middle = random_u32() % (m + 1);

		xq = exact(m * aipu_quant_row_bytes(kk));
		k->quantize(x, ldx, kk, middle, m, xq);
		k->quantize(x, ldx, kk, 0, middle, xq);
		mm.xq = xq;
	} else {
		mm.x = x;
		mm.ldx = ldx;
	}
	memcpy(want, y, ((m - 1) * ldy + n) * 4);
	for (uint32_t i = 0; i < m; i++)
		for (uint32_t r = 0; r < n; r++) {
			float v = expect_output(&w, x + i * ldx, r, quant);

			if (bias)
				v = v + bias[r];
			want[i * ldy + r] = add ? want[i * ldy + r] + v : v;
		}
	/* As two cores would: the second part first. */
	if (cut < n)
		assert_int_equal(k->matmul(&mm, cut, n), 0);
	assert_int_equal(k->matmul(&mm, 0, cut), 0);
	assert_same("matmul", k, y, want, (m - 1) * ldy + n);
	matrix_free(&w);
	free(x);
	free(y);
	free(want);
	if (bias)
		free(bias);
	if (xq)
		free(xq);
}

/* [NUM-7] [NUM-30] [NUM-31] [NUM-32] [NUM-33] [NUM-34] [NUM-35], and the layouts */
static void check_matmul(const struct aipu_kernels *k)
{
	static const uint32_t ks[] = { 1, 2, 8, 31, 32, 33, 63, 64, 65, 96, 172, 600 };
	static const uint32_t ns[] = { 1, 8, 15, 16, 17, 48, 80, 172 };
	static const uint32_t ms[] = { 1, 2, 3, 4, 5, 6, 7, 11, 13, 25, 130 };
	static const struct {
		uint32_t format;
		bool quant;
	} kinds[] = {
		{ AIPU_FMT_F32, false },
		{ AIPU_FMT_F16, false },
		{ AIPU_FMT_I8_G32, false },
		{ AIPU_FMT_I8_G32, true },
	};
	struct aipu_matmul bad = {
		.format = AIPU_FMT_BF16, .n = 16, .k = 16, .m = 1, .x = (const float *)&bad
	};

	for (unsigned int kind = 0; kind < 4; kind++) {
		const uint32_t format = kinds[kind].format;
		const bool quant = kinds[kind].quant;

		for (unsigned int i = 0; i < sizeof(ks) / sizeof(ks[0]); i++)
			for (unsigned int j = 0; j < sizeof(ms) / sizeof(ms[0]); j++)
				check_matmul_shape(k, format, quant, ns[(i + j) % 8], ks[i], ms[j],
						   i & 1, j & 1);
		for (unsigned int i = 0; i < sizeof(ns) / sizeof(ns[0]); i++) {
			check_matmul_shape(k, format, quant, ns[i], 172, 1, true, true);
			check_matmul_shape(k, format, quant, ns[i], 64, 9, false, false);
		}
		/* more than one stretch of columns and one panel of rows */
		check_matmul_shape(k, format, quant, 32, 1100, 14, false, true);
	}
	assert_int_equal(k->matmul(&bad, 0, 16), -ENOTSUP);
}

/*
 * [NUM-2] Hostile values reach no index: nothing but the extents is touched, and the program goes
 * on.
 */
static void check_hostile(const struct aipu_kernels *k)
{
	static const uint32_t bits[] = { 0x7fc00000, 0xffc00001, 0x7f800000, 0xff800000,
					 0x7f7fffff, 0x00000001, 0 };
	float x[72], y[72];
	uint8_t *xq = exact(aipu_quant_row_bytes(72));

	for (int i = 0; i < 72; i++)
		x[i] = aipu_f32(bits[i % 7]);
	k->quantize(x, 72, 72, 0, 1, xq);
	k->silu_mul(x, x, y, 72);
	k->gelu_mul(x, x, y, 72);
	k->rmsnorm(x, 72, y, 72, 1, 72, 72, x, 1e-5f, 0.0f);
	k->exp_shifted(x, 72, 0.0f, x[0], y);
	assert_in_range(k->argmax(x, 72, NULL), 0, 71);
	free(xq);
}

/* --- rows --- */

/* [NUM-6] [NUM-43] [NUM-44] [NUM-46] [NUM-47] */
static void check_rows(const struct aipu_kernels *k)
{
	static const uint32_t ns[] = { 1, 8, 15, 16, 17, 31, 32, 64, 172, 515 };

	for (unsigned int j = 0; j < sizeof(ns) / sizeof(ns[0]); j++) {
		const uint32_t n = ns[j], rows = 3;
		const size_t ld = n + 2, total = 2 * ld + n;
		float *a = random_floats(total), *b = random_floats(total),
		      *y = random_floats(total);
		float *want = exact(total * 4), *w = random_floats(n);
		float p[16], largest = -1e30f;
		uint32_t at = 0;

		/* [NUM-46] */
		memcpy(want, y, total * 4);
		for (uint32_t r = 0; r < rows; r++) {
			float s;

			memset(p, 0, sizeof(p));
			for (uint32_t i = 0; i < n; i++)
				p[i % 16] = aipu_fma(a[r * ld + i], a[r * ld + i], p[i % 16]);
			s = aipu_rsqrt(aipu_tree16(p) / (float)n + 1e-5f);
			for (uint32_t i = 0; i < n; i++)
				want[r * ld + i] = (a[r * ld + i] * s) * (w[i] + 1.0f);
		}
		k->rmsnorm(a, ld, y, ld, rows, n, n, w, 1e-5f, 1.0f);
		assert_same("rmsnorm", k, y, want, total);
		memcpy(y, a, total * 4);
		for (uint32_t r = 0; r + 1 < rows; r++)
			memcpy(want + r * ld + n, a + r * ld + n, (ld - n) * 4);
		k->rmsnorm(y, ld, y, ld, rows, n, n, w, 1e-5f, 1.0f);
		assert_same("rmsnorm in place", k, y, want, total);

		for (size_t i = 0; i < total; i++)
			want[i] = aipu_silu(a[i]) * b[i];
		k->silu_mul(a, b, y, total);
		assert_same("silu_mul", k, y, want, total);
		for (size_t i = 0; i < total; i++)
			want[i] = aipu_gelu(a[i]);
		memcpy(y, a, total * 4);
		k->gelu_mul(y, NULL, y, total);
		assert_same("gelu", k, y, want, total);
		for (size_t i = 0; i < total; i++)
			want[i] = a[i] + b[i];
		k->add(a, b, y, total);
		assert_same("add", k, y, want, total);
		for (size_t i = 0; i < n; i++)
			want[i] = aipu_exp((a[i] - 3.0f) / 0.7f);
		k->exp_shifted(a, n, 0.7f, 3.0f, y);
		assert_same("exp_shifted", k, y, want, n);

		a[n / 2] = a[n - 1]; /* a tie */
		for (uint32_t i = 0; i < n; i++)
			if (a[i] > largest) {
				largest = a[i];
				at = i;
			}
		assert_int_equal(k->argmax(a, n, y), at);
		assert_same("argmax", k, y, &largest, 1);
		a[n / 3] = aipu_f32(0x7fc00000);
		assert_true(k->argmax(a, n, NULL) != n / 3 || n == 1);
		free(a);
		free(b);
		free(y);
		free(want);
		free(w);
	}
	/* per-head norm: groups of 8 in a row of 24 */
	float x[24], y[24], z[24], w[8];

	for (int i = 0; i < 24; i++)
		x[i] = random_float();
	for (int i = 0; i < 8; i++)
		w[i] = random_float();
	k->rmsnorm(x, 24, y, 24, 1, 24, 8, w, 1e-6f, 0.0f);
	for (int g = 0; g < 3; g++)
		k->rmsnorm(x + g * 8, 8, z + g * 8, 8, 1, 8, 8, w, 1e-6f, 0.0f);
	assert_same("rmsnorm by head", k, y, z, 24);
}

/* [NUM-40] exp, over its whole range */
static void check_exp_range(const struct aipu_kernels *k)
{
	float x[1024], y[1024], want[1024];

	for (int round = 0; round < 200; round++) {
		for (int i = 0; i < 1024; i++) {
			x[i] = aipu_f32(random_u32());
			if (round & 1)
				x[i] = (float)(int32_t)random_u32() * 0x1p-31f * 100.0f;
			if (x[i] != x[i])
				x[i] = -87.0f;
			want[i] = aipu_exp(x[i]);
		}
		k->exp_shifted(x, 1024, 1.0f, 0.0f, y);
		assert_same("exp", k, y, want, 1024);
	}
}

/* [NUM-10] [NUM-17] */
static void check_embed(const struct aipu_kernels *k)
{
	static const uint32_t formats[] = { AIPU_FMT_F32, AIPU_FMT_F16, AIPU_FMT_I8_G32 };
	const uint16_t half[3] = { 0x3c00, 0xc001, 0x0001 };
	float y[3], want[3];

	for (unsigned int f = 0; f < 3; f++) {
		struct matrix w = matrix_random(formats[f], 37, 70);
		float *row = exact(70 * 4);

		for (uint32_t token = 0; token < 37; token++) {
			assert_int_equal(k->embed_tile(w.tiled, formats[f], 37, 70, token, row), 0);
			assert_same("embed_tile", k, row, w.value + token * 70, 70);
		}
		free(row);
		matrix_free(&w);
	}
	assert_int_equal(k->embed_tile(half, AIPU_FMT_BF16, 1, 1, 0, y), -ENOTSUP);
	assert_int_equal(k->widen(half, AIPU_FMT_F16, 3, y), 0);
	for (int i = 0; i < 3; i++)
		want[i] = aipu_f16_to_f32(half[i]);
	assert_same("widen", k, y, want, 3);
	assert_int_equal(k->widen(half, AIPU_FMT_BF16, 3, y), 0);
	for (int i = 0; i < 3; i++)
		want[i] = aipu_f32((uint32_t)half[i] << 16);
	assert_same("widen", k, y, want, 3);
	assert_int_equal(k->widen(half, AIPU_FMT_I8_G32, 3, y), -ENOTSUP);
}

/* --- rope, KV, attention --- */

/* [NUM-50] [NUM-64] */
static void check_rope(const struct aipu_kernels *k)
{
	static const uint32_t shapes[][2] = { { 8, 8 },	    { 32, 32 }, { 64, 48 },
					      { 128, 128 }, { 6, 2 },	{ 80, 34 } };

	for (unsigned int s = 0; s < 6; s++) {
		const uint32_t dim = shapes[s][0], rot = shapes[s][1], heads = 3;
		float *x = random_floats(heads * dim), *want = exact(heads * dim * 4),
		      *table = exact(rot * 4);
		double inv[64];

		for (uint32_t i = 0; i < rot / 2; i++)
			inv[i] = aipu_rope_inverse_frequency(10000.0, i, rot);
		aipu_rope_row(4711, inv, rot, 1.0, table);
		memcpy(want, x, heads * dim * 4);
		for (uint32_t h = 1; h < heads; h++)
			for (uint32_t i = 0; i < rot / 2; i++) {
				const float a = x[h * dim + i], b = x[h * dim + rot / 2 + i];
				const float c = table[i], sn = table[rot / 2 + i];

				want[h * dim + i] = aipu_fma(a, c, -(b * sn));
				want[h * dim + rot / 2 + i] = aipu_fma(b, c, a * sn);
			}
		k->rope(x, 1, 3, dim, rot, table);
		assert_same("rope", k, x, want, heads * dim);
		free(x);
		free(want);
		free(table);
	}
}

struct kv_shape {
	uint32_t dim, heads, kv_heads, ctx;
	bool f16;
};

static float kv_get(const struct aipu_kv *kv, const void *plane, size_t i)
{
	return kv->f16 ? aipu_f16_to_f32(((const uint16_t *)plane)[i]) : ((const float *)plane)[i];
}

/* [NUM-51] to [NUM-57] for one row and head */
static void expect_attention(const struct aipu_kv_row *row, const float *q, uint32_t kv_head,
			     float scale, float *out)
{
	const struct aipu_kv *kv = &row->kv;
	const size_t dim = kv->head_dim, ctx = kv->ctx, plane = kv_head * dim * ctx;
	float m = 0, l = 0, o[AIPU_MAX_HEAD_DIM], oc[AIPU_MAX_HEAD_DIM];
	bool started = false;

	for (uint32_t p0 = row->first / 128 * 128; p0 <= row->position; p0 += 128) {
		const uint32_t lo = row->first > p0 ? row->first : p0;
		const uint32_t hi = row->position < p0 + 127 ? row->position : p0 + 127;
		float s[128], part[16] = { 0 }, mc = -INFINITY, lc;

		for (uint32_t p = lo; p <= hi; p++) {
			float acc = 0.0f;

			for (size_t d = 0; d < dim; d++)
				acc = aipu_fma(q[d], kv_get(kv, kv->k, plane + d * ctx + p), acc);
			s[p - p0] = acc * scale;
			mc = s[p - p0] > mc ? s[p - p0] : mc;
		}
		for (uint32_t p = lo; p <= hi; p++) {
			s[p - p0] = aipu_exp(s[p - p0] - mc);
			part[(p - p0) % 16] += s[p - p0];
		}
		lc = aipu_tree16(part);
		for (size_t d = 0; d < dim; d++) {
			oc[d] = 0.0f;
			for (uint32_t p = lo; p <= hi; p++)
				oc[d] = aipu_fma(s[p - p0], kv_get(kv, kv->v, plane + p * dim + d),
						 oc[d]);
		}
		if (!started) {
			m = mc;
			l = lc;
			memcpy(o, oc, sizeof(o));
			started = true;
		} else {
			const float both = mc > m ? mc : m;
			const float a = aipu_exp(m - both), b = aipu_exp(mc - both);

			l = aipu_fma(l, a, lc * b);
			for (size_t d = 0; d < dim; d++)
				o[d] = aipu_fma(o[d], a, oc[d] * b);
			m = both;
		}
	}
	for (size_t d = 0; d < dim; d++)
		out[d] = o[d] / l;
}

static void check_attention_shape(const struct aipu_kernels *k, const struct kv_shape *s,
				  uint32_t rows, uint32_t start, uint32_t lanes, uint32_t window)
{
	const size_t size = s->f16 ? 2 : 4, elements = (size_t)s->kv_heads * s->dim * s->ctx;
	const uint32_t group = s->heads / s->kv_heads, width = s->heads * s->dim,
		       kvw = s->kv_heads * s->dim;
	struct aipu_kv_row *row = exact(rows * sizeof(*row));
	float *q = calm_floats((size_t)rows * width), *dst = exact((size_t)rows * width * 4);
	float *want = exact((size_t)rows * width * 4);
	void *k_plane[4], *v_plane[4];
	struct aipu_attention at = {
		.rows = row,
		.q = q,
		.ldq = width,
		.dst = dst,
		.ldd = width,
		.heads = s->heads,
		.scale = 0.3f,
	};

	for (uint32_t lane = 0; lane < lanes; lane++) {
		/* Positions that nothing wrote hold NaN in either format. */
		k_plane[lane] = exact(elements * size);
		v_plane[lane] = exact(elements * size);
		memset(k_plane[lane], 0xff, elements * size);
		memset(v_plane[lane], 0xff, elements * size);
	}
	for (uint32_t r = 0; r < rows; r++) {
		const uint32_t lane = r * lanes / rows, first = (lane * rows + lanes - 1) / lanes;

		row[r].kv = (struct aipu_kv){ k_plane[lane], v_plane[lane], s->ctx,
					      s->kv_heads,   s->dim,	    s->f16 };
		row[r].position = start + (r - first) + 3 * lane;
		row[r].first = window && row[r].position >= window ? row[r].position - window + 1
								   : 0;
		/* What earlier steps left, then this row. */
		for (uint32_t p = r == first ? 0 : row[r].position; p <= row[r].position; p++) {
			struct aipu_kv_row at_p = row[r];
			float *kk = calm_floats(kvw), *vv = random_floats(kvw);

			at_p.position = p;
			k->kv_update(&at_p, kk, vv, 0, s->kv_heads / 2);
			k->kv_update(&at_p, kk, vv, s->kv_heads / 2, s->kv_heads);
			for (size_t h = 0; h < s->kv_heads; h++)
				for (size_t d = 0; d < s->dim; d++) {
					const size_t at_k = (h * s->dim + d) * s->ctx + p;
					const size_t at_v = (h * s->ctx + p) * s->dim + d;
					float wk = kk[h * s->dim + d], wv = vv[h * s->dim + d], got;

					if (s->f16) {
						wk = aipu_f16_to_f32(aipu_f32_to_f16(wk));
						wv = aipu_f16_to_f32(aipu_f32_to_f16(wv));
					}
					got = kv_get(&at_p.kv, at_p.kv.k, at_k);
					assert_same("kv_update, K", k, &got, &wk, 1);
					got = kv_get(&at_p.kv, at_p.kv.v, at_v);
					assert_same("kv_update, V", k, &got, &wv, 1);
				}
			free(kk);
			free(vv);
		}
	}
	for (uint32_t r = 0; r < rows; r++)
		for (uint32_t h = 0; h < s->heads; h++)
			expect_attention(&row[r], q + (size_t)r * width + h * s->dim, h / group,
					 0.3f, want + (size_t)r * width + h * s->dim);
	k->attention(&at, 0, rows, 0, s->kv_heads);
	assert_same("attention", k, dst, want, (size_t)rows * width);
	/* One row and one KV head at a time, in place: any division of the work gives the same. */
	at.dst = q;
	for (uint32_t r = 0; r < rows; r++)
		for (uint32_t h = s->kv_heads; h-- > 0;)
			k->attention(&at, r, r + 1, h, h + 1);
	assert_same("attention by row and head, in place", k, q, want, (size_t)rows * width);
	for (uint32_t lane = 0; lane < lanes; lane++) {
		free(k_plane[lane]);
		free(v_plane[lane]);
	}
	free(row);
	free(q);
	free(dst);
	free(want);
}

/* [NUM-7] [NUM-51] [NUM-52] [NUM-53] [NUM-54] [NUM-55] [NUM-56] [NUM-57] [NUM-58] */
static void check_attention(const struct aipu_kernels *k)
{
	static const struct kv_shape shapes[] = {
		{ 8, 8, 4, 300, false },  { 32, 6, 2, 300, true }, { 64, 4, 4, 300, true },
		{ 20, 5, 1, 290, false }, { 48, 8, 1, 290, true }, { 128, 2, 2, 160, false },
		{ 1, 1, 1, 140, true },
	};

	for (unsigned int i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		const struct kv_shape *s = &shapes[i];

		check_attention_shape(k, s, 1, 0, 1, 0);
		check_attention_shape(k, s, 1, 127, 1, 0);
		check_attention_shape(k, s, 9, 121, 1, 0); /* across a chunk's end */
		check_attention_shape(k, s, 4, s->ctx - 4, 1, 0); /* to the last position */
		check_attention_shape(k, s, 4, 40, 4, 0); /* four lanes */
		check_attention_shape(k, s, 7, 120, 2, 0);
		check_attention_shape(k, s, 6, 125, 1, 20); /* with a first valid position */
		check_attention_shape(k, s, 5, s->ctx - 5, 1, 3);
	}
}

#endif
