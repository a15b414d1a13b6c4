/* SPDX-License-Identifier: MIT */
/*
 * 16 lanes as plain arrays: the reference back end, and the one for processors without another.
 * Included by vec16.h alone, which says what the operations mean.
 */
typedef struct {
	float l[16];
} v16f;
typedef struct {
	int32_t l[16];
} v16i;

/*
 * Neither inline nor unrolled: sixteen of everything, with a sanitizer's checks around each,
 * would take a compiler minutes.
 */
#define VEC16_FUNCTION static __attribute__((noinline, unused))
#define V16_EACH(i) _Pragma("GCC unroll 1") for (int i = 0; i < 16; i++)

VEC16_FUNCTION v16f v16f_set1(float a)
{
	v16f r;

	V16_EACH(i) r.l[i] = a;
	return r;
}

VEC16_FUNCTION v16i v16i_set1(int32_t a)
{
	v16i r;

	V16_EACH(i) r.l[i] = a;
	return r;
}

VEC16_FUNCTION v16f v16f_load(const float *p)
{
	v16f r;

	memcpy(r.l, p, sizeof(r.l));
	return r;
}

VEC16_FUNCTION void v16f_store(float *p, v16f a)
{
	memcpy(p, a.l, sizeof(a.l));
}

VEC16_FUNCTION v16f v16f_load_n(const float *p, uint32_t n)
{
	v16f r = v16f_set1(0.0f);

	memcpy(r.l, p, n * sizeof(float));
	return r;
}

VEC16_FUNCTION void v16f_store_n(float *p, v16f a, uint32_t n)
{
	memcpy(p, a.l, n * sizeof(float));
}

VEC16_FUNCTION v16f v16f_load_f16(const uint16_t *p)
{
	v16f r;

	V16_EACH(i) r.l[i] = aipu_f16_to_f32(p[i]);
	return r;
}

VEC16_FUNCTION void v16f_store_f16(uint16_t *p, v16f a)
{
	V16_EACH(i) p[i] = aipu_f32_to_f16(a.l[i]);
}

VEC16_FUNCTION v16i v16i_load(const void *p)
{
	v16i r;

	memcpy(r.l, p, sizeof(r.l));
	return r;
}

#define V16F_BINARY(name, expr)                             \
	VEC16_FUNCTION v16f name(v16f a, v16f b)            \
	{                                                   \
		v16f r;                                     \
                                                            \
		V16_EACH(i)                                 \
		{                                           \
			const float x = a.l[i], y = b.l[i]; \
			r.l[i] = (expr);                    \
		}                                           \
		return r;                                   \
	}
V16F_BINARY(v16f_add, x + y)
V16F_BINARY(v16f_sub, x - y)
V16F_BINARY(v16f_mul, x *y)
V16F_BINARY(v16f_div, x / y)
V16F_BINARY(v16f_max, x > y ? x : y)
V16F_BINARY(v16f_min, x < y ? x : y)
#undef V16F_BINARY

VEC16_FUNCTION v16f v16f_fma(v16f a, v16f b, v16f c)
{
	v16f r;

	V16_EACH(i) r.l[i] = aipu_fma(a.l[i], b.l[i], c.l[i]);
	return r;
}

VEC16_FUNCTION v16f v16f_neg(v16f a)
{
	V16_EACH(i) a.l[i] = -a.l[i];
	return a;
}

VEC16_FUNCTION v16f v16f_abs(v16f a)
{
	V16_EACH(i) a.l[i] = aipu_f32(aipu_f32_bits(a.l[i]) & 0x7fffffffu);
	return a;
}

VEC16_FUNCTION v16f v16f_select_lt(v16f a, v16f b, v16f x, v16f y)
{
	v16f r;

	V16_EACH(i) r.l[i] = a.l[i] < b.l[i] ? x.l[i] : y.l[i];
	return r;
}

VEC16_FUNCTION v16i v16i_add(v16i a, v16i b)
{
	V16_EACH(i) a.l[i] = (int32_t)((uint32_t)a.l[i] + (uint32_t)b.l[i]);
	return a;
}

VEC16_FUNCTION v16i v16i_shl(v16i a, int bits)
{
	V16_EACH(i) a.l[i] = (int32_t)((uint32_t)a.l[i] << bits);
	return a;
}

VEC16_FUNCTION v16i v16i_shr(v16i a, int bits)
{
	V16_EACH(i) a.l[i] = (int32_t)((uint32_t)a.l[i] >> bits);
	return a;
}

VEC16_FUNCTION v16i v16i_and(v16i a, v16i b)
{
	V16_EACH(i) a.l[i] &= b.l[i];
	return a;
}

VEC16_FUNCTION v16f v16i_to_f(v16i a)
{
	v16f r;

	V16_EACH(i) r.l[i] = (float)a.l[i];
	return r;
}

VEC16_FUNCTION v16i v16f_bits(v16f a)
{
	v16i r;

	memcpy(&r, &a, sizeof(r));
	return r;
}

VEC16_FUNCTION v16f v16i_as_f(v16i a)
{
	v16f r;

	memcpy(&r, &a, sizeof(r));
	return r;
}

VEC16_FUNCTION void v16i_store(int32_t *p, v16i a)
{
	memcpy(p, a.l, sizeof(a.l));
}

/* Prepared activations of one group: the 32 signed bytes themselves. */
VEC16_FUNCTION void i8_prepare(uint8_t dst[64], const int8_t q[32])
{
	memcpy(dst, q, 32);
}

VEC16_FUNCTION void i8_dot(const uint8_t *w, const uint8_t *const x[], size_t at, v16i acc[],
			   const int rows)
{
	for (int r = 0; r < rows; r++) {
		const int8_t *q = (const int8_t *)x[r] + at;

		for (int k4 = 0; k4 < 8; k4++)
			V16_EACH(i)
			{
				const uint8_t *u = w + k4 * 64 + i * 4;

				for (int j = 0; j < 4; j++)
					acc[r].l[i] += (int32_t)u[j] * q[k4 * 4 + j];
			}
	}
}

#define MATMUL_ROWS 4 /* rows of x in flight against one tile */
#define MATVEC_TILES 1 /* tiles in flight against one row */
#define QUANT_ROWS 4
