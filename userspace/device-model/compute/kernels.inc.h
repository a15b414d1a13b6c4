/* SPDX-License-Identifier: MIT */
/*
 * The kernels, written once over vec16.h and compiled once per instruction set: a file
 * kernels_<level>.c defines the back end, KERNELS_TABLE (the table's name), KERNELS_LEVEL and
 * KERNELS_NAME, and includes this. What each function does and touches stands in compute.h, the
 * arithmetic in firmware-abi/numerics.md.
 */
#include <errno.h>

#include "compute/compute.h"
#include "vec16.h"

#include "matmul.inc.h"

#include "attention.inc.h"

/* [NUM-22], [NUM-23] */
static void kernel_quantize(const float *x, size_t ldx, uint32_t k, uint32_t m0, uint32_t m1,
			    void *xq)
{
	const size_t bytes = aipu_quant_row_bytes(k);
	const uint32_t groups = (k + AIPU_GROUP - 1) / AIPU_GROUP;

	for (uint32_t m = m0; m < m1; m++) {
		uint8_t *dst = (uint8_t *)xq + m * bytes;

		for (uint32_t g = 0; g < groups; g++) {
			const uint32_t n = k - g * AIPU_GROUP < AIPU_GROUP ? k - g * AIPU_GROUP
									   : AIPU_GROUP;
			const float *p = x + m * ldx + g * AIPU_GROUP;
			const v16f lo = n >= 16 ? v16f_load(p) : v16f_load_n(p, n);
			const v16f hi = n == 32 ? v16f_load(p + 16)
						: v16f_load_n(p + 16, n > 16 ? n - 16 : 0);
			const float amax = v16f_largest(
				v16f_max(v16f_abs(hi), v16f_max(v16f_abs(lo), v16f_zero())));
			int8_t q[AIPU_GROUP] = { 0 };
			float scale = 0.0f;
			int32_t correction = 0;

			if (amax >= aipu_f32(AIPU_QUANT_MIN)) {
				const v16f inv = v16f_set1(127.0f / amax),
					   round = v16f_const(AIPU_EXP_ROUND);
				const v16f top = v16f_set1(127.0f), bottom = v16f_set1(-127.0f);
				const v16i base = v16i_set1(-(int32_t)AIPU_EXP_ROUND);
				int32_t lane[AIPU_GROUP];

				v16i_store(lane,
					   v16i_add(v16f_bits(v16f_add(
							    v16f_min(v16f_max(v16f_mul(lo, inv),
									      bottom),
								     top),
							    round)),
						    base));
				v16i_store(lane + 16,
					   v16i_add(v16f_bits(v16f_add(
							    v16f_min(v16f_max(v16f_mul(hi, inv),
									      bottom),
								     top),
							    round)),
						    base));
				for (uint32_t i = 0; i < AIPU_GROUP; i++)
					q[i] = (int8_t)lane[i];
				for (uint32_t i = 0; i < AIPU_GROUP; i++)
					correction -= AIPU_I8_BIAS * q[i];
				scale = amax / 127.0f;
			}
			i8_prepare(dst + (size_t)g * 64, q);
			memcpy(dst + (size_t)groups * 64 + (size_t)g * 4, &scale, sizeof(scale));
			memcpy(dst + (size_t)groups * 68 + (size_t)g * 4, &correction,
			       sizeof(correction));
		}
	}
}

/* [NUM-46] */
static void rmsnorm_group(const float *x, float *y, uint32_t n, const float *weight, float eps,
			  float offset)
{
	v16f ss = v16f_zero();
	const v16f off = v16f_set1(offset);
	v16f r;
	uint32_t i;

	for (i = 0; i + 16 <= n; i += 16) {
		const v16f v = v16f_load(x + i);

		ss = v16f_fma(v, v, ss);
	}
	if (i < n) {
		const v16f v = v16f_load_n(x + i, n - i);

		ss = v16f_fma(v, v, ss);
	}
	r = v16f_set1(aipu_rsqrt(v16f_tree(ss) / (float)n + eps));
	for (i = 0; i + 16 <= n; i += 16)
		v16f_store(y + i, v16f_mul(v16f_mul(v16f_load(x + i), r),
					   v16f_add(v16f_load(weight + i), off)));
	if (i < n)
		v16f_store_n(y + i,
			     v16f_mul(v16f_mul(v16f_load_n(x + i, n - i), r),
				      v16f_add(v16f_load_n(weight + i, n - i), off)),
			     n - i);
}

static void kernel_rmsnorm(const float *x, size_t ldx, float *y, size_t ldy, uint32_t rows,
			   uint32_t n, uint32_t group, const float *weight, float eps, float offset)
{
	for (uint32_t row = 0; row < rows; row++)
		for (uint32_t g = 0; g < n; g += group)
			rmsnorm_group(x + row * ldx + g, y + row * ldy + g, group, weight, eps,
				      offset);
}

VEC16_FUNCTION v16f apply_silu(v16f a)
{
	return v16f_mul(a, v16f_sigmoid(a));
}

VEC16_FUNCTION v16f apply_gelu(v16f a)
{
	const v16f p = v16f_fma(v16f_mul(a, a), v16f_const(AIPU_GELU_C1), v16f_const(AIPU_GELU_C0));

	return v16f_mul(a, v16f_sigmoid(v16f_mul(a, p)));
}

#define ACTIVATE(name)                                                                      \
	static void kernel_##name##_mul(const float *a, const float *b, float *y, size_t n) \
	{                                                                                   \
		for (size_t i = 0; i < n; i += 16) {                                        \
			const uint32_t lanes = n - i < 16 ? (uint32_t)(n - i) : 16;         \
			v16f v = apply_##name(v16f_load_n(a + i, lanes));                   \
                                                                                            \
			if (b)                                                              \
				v = v16f_mul(v, v16f_load_n(b + i, lanes));                 \
			v16f_store_n(y + i, v, lanes);                                      \
		}                                                                           \
	}
ACTIVATE(silu)
ACTIVATE(gelu)

static void kernel_add(const float *a, const float *b, float *y, size_t n)
{
	for (size_t i = 0; i < n; i += 16) {
		const uint32_t lanes = n - i < 16 ? (uint32_t)(n - i) : 16;

		v16f_store_n(y + i, v16f_add(v16f_load_n(a + i, lanes), v16f_load_n(b + i, lanes)),
			     lanes);
	}
}

static int kernel_embed_tile(const void *w, uint32_t format, uint32_t n, uint32_t k, uint32_t token,
			     float *out)
{
	const uint8_t *tile = (const uint8_t *)w + token / 16 * aipu_tile_bytes(format, k);
	const uint32_t row = token % 16;

	(void)n;
	switch (format) {
	case AIPU_FMT_F32:
		for (size_t i = 0; i < k; i++)
			out[i] = ((const float *)tile)[i * 16 + row];
		return 0;
	case AIPU_FMT_F16:
		for (size_t i = 0; i < k; i++)
			out[i] = aipu_f16_to_f32(((const uint16_t *)tile)[i * 16 + row]);
		return 0;
	case AIPU_FMT_I8_G32:
		for (uint32_t i = 0; i < k; i++) {
			uint16_t scale;

			memcpy(&scale, tile + aipu_i8_scale_offset(row, i), sizeof(scale));
			out[i] = (float)(tile[aipu_i8_byte_offset(row, i)] - AIPU_I8_BIAS) *
				 aipu_f16_to_f32(scale);
		}
		return 0;
	default:
		return -ENOTSUP;
	}
}

static int kernel_widen(const void *row, uint32_t format, uint32_t k, float *out)
{
	const uint16_t *half = row;

	switch (format) {
	case AIPU_FMT_F32:
		memcpy(out, row, (size_t)k * sizeof(float));
		return 0;
	case AIPU_FMT_F16:
		for (uint32_t i = 0; i < k; i++)
			out[i] = aipu_f16_to_f32(half[i]);
		return 0;
	case AIPU_FMT_BF16:
		for (uint32_t i = 0; i < k; i++)
			out[i] = aipu_bf16_to_f32(half[i]);
		return 0;
	default:
		return -ENOTSUP;
	}
}

/* [NUM-71] */
static uint32_t kernel_argmax(const float *x, uint32_t n, float *max)
{
	v16f m = v16f_set1(-INFINITY);
	float largest;
	uint32_t i;

	for (i = 0; i + 16 <= n; i += 16)
		m = v16f_max(v16f_load(x + i), m);
	largest = v16f_largest(m);
	for (; i < n; i++)
		largest = aipu_max(x[i], largest);
	if (max)
		*max = largest;
	/*
	 * NaN equals nothing; where nothing is larger than -infinity, the first one is the largest.
	 */
	for (i = 0; i < n; i++)
		if (x[i] == largest && largest > -INFINITY)
			return i;
	return 0;
}

/* [NUM-72] */
static void kernel_exp_shifted(const float *x, uint32_t n, float t, float max, float *out)
{
	const v16f vt = v16f_set1(t), vm = v16f_set1(max), least = v16f_set1(-INFINITY);

	for (uint32_t i = 0; i < n; i += 16) {
		const uint32_t lanes = n - i < 16 ? n - i : 16;
		const v16f d = v16f_div(v16f_sub(v16f_load_n(x + i, lanes), vm), vt);

		/* NaN is not above -infinity: the maximum is its second operand, [NUM-5] */
		v16f_store_n(out + i, v16f_exp(v16f_max(d, least)), lanes);
	}
}

const struct aipu_kernels KERNELS_TABLE = {
	.level = KERNELS_LEVEL,
	.name = KERNELS_NAME,
	.matmul = kernel_matmul,
	.quantize = kernel_quantize,
	.rmsnorm = kernel_rmsnorm,
	.rope = kernel_rope,
	.kv_update = kernel_kv_update,
	.attention = kernel_attention,
	.silu_mul = kernel_silu_mul,
	.gelu_mul = kernel_gelu_mul,
	.add = kernel_add,
	.embed_tile = kernel_embed_tile,
	.widen = kernel_widen,
	.argmax = kernel_argmax,
	.exp_shifted = kernel_exp_shifted,
};
