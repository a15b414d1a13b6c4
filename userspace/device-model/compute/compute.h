/* SPDX-License-Identifier: MIT */
/*
 * The arithmetic of the device model: one table of kernels per instruction set, all with the same
 * bits (firmware-abi/numerics.md). Called by the step executor, by tests and by the kernel
 * benchmark. It knows nothing of programs, segments or lanes, keeps no state, allocates nothing,
 * starts no thread, and trusts its caller: ranges were checked before, and each function touches
 * exactly the extents written beside it.
 *
 * Common to all functions:
 * - Sizes are in elements unless a name or comment says bytes; strides in elements; float is IEEE
 *   binary32.
 * - Work is divided by the caller: every function takes the range that one core computes, and any
 *   cutting of the whole into ranges gives the same bits.
 * - No alignment is required beyond that of the element type (64 bytes make weights and quantized
 *   rows faster). Pointers must not overlap unless "in place" is said.
 * - NaN and infinities give unspecified values unless a comment says which, never an access outside
 *   the extents.
 */
#ifndef AIPU_DM_COMPUTE_H
#define AIPU_DM_COMPUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aipu_numerics.h"

enum aipu_simd {
	AIPU_SIMD_AUTO = 0, /* the best that this CPU has */
	AIPU_SIMD_SCALAR = 1,
	AIPU_SIMD_AVX2 = 2, /* AVX2, FMA, F16C */
	AIPU_SIMD_AVX512 = 3, /* F, BW, DQ, VL, VNNI */
	AIPU_SIMD_COUNT
};

/*
 * y[m][n] = x[m][k] times transposed w[n][k] (+ bias[n]) (+ y[m][n]), for rows 0..m-1 of x and
 * columns [n0, n1) of y. n0 is a multiple of 16; n1 too, or it is n.
 *
 * w      aipu_weight_bytes(format, n, k) bytes, TILE16 of F32, F16 or I8_G32; tiles
 *        [n0/16, ceil(n1/16)) are read.
 * x      plain activations: row i is x[i * ldx .. + k). NULL when xq is used.
 * xq     dynamic int8 (I8_G32 weights only): m rows of aipu_quant_row_bytes(k) bytes written by
 *        quantize() of the same table. NULL when x is used.
 * y      row i is y + i * ldy; elements [n0, n1) of it are written (and read when `add`),
 *        nothing else.
 * bias   NULL or n elements; [n0, n1) are read.
 */
struct aipu_matmul {
	const void *w;
	uint32_t format;
	uint32_t n, k, m;
	const float *x;
	size_t ldx;
	const void *xq;
	float *y;
	size_t ldy;
	const float *bias;
	bool add;
};

/*
 * Keys and values of one lane, all KV heads. f16 selects binary16 elements, else binary32. k:
 * element (head, d, position) at head * head_dim * ctx + d * ctx + position, v: at head * head_dim
 * * ctx + position * head_dim + d. Each plane holds kv_heads * head_dim * ctx elements.
 */
struct aipu_kv {
	void *k;
	void *v;
	uint32_t ctx; /* position stride of the container, in elements */
	uint32_t kv_heads;
	uint32_t head_dim; /* 1..AIPU_MAX_HEAD_DIM */
	bool f16;
};
#define AIPU_MAX_HEAD_DIM 512u

/* One token row of attention or KV update. */
struct aipu_kv_row {
	struct aipu_kv kv;
	uint32_t position; /* < kv.ctx; attention covers [first, position] */
	uint32_t first; /* <= position; 0 without a window */
};

/*
 * Row i of dst and q: heads * head_dim elements at i * ld. Query head h uses KV head h / (heads /
 * kv_heads); heads is a multiple of kv_heads and all rows have the same kv_heads, head_dim and f16.
 * For rows [row0, row1) and KV heads [head0, head1): reads of each row's q the query heads of those
 * KV heads, of its K and V planes those KV heads at positions [first, position], and writes the
 * same query heads of dst. dst may be q itself. Neighbouring rows of one lane (same k, in ascending
 * position) share the reading of keys and values.
 */
struct aipu_attention {
	const struct aipu_kv_row *rows;
	const float *q;
	size_t ldq;
	float *dst;
	size_t ldd;
	uint32_t heads;
	float scale;
};

/*
 * Bytes of one quantized row of k columns; a multiple of 64. Its inside belongs to the table that
 * wrote it: 64 bytes of prepared integers per group, then a scale and a correction per group.
 */
static inline uint64_t aipu_quant_row_bytes(uint32_t k)
{
	uint64_t groups = ((uint64_t)k + AIPU_GROUP - 1) / AIPU_GROUP;

	return groups * 64 + (groups * 8 + 63) / 64 * 64;
}

struct aipu_kernels {
	enum aipu_simd level;
	const char *name; /* "scalar", "avx2", "avx512" */

	/* -ENOTSUP for a format that has no kernel (nothing is touched), else 0. */
	int (*matmul)(const struct aipu_matmul *mm, uint32_t n0, uint32_t n1);

	/*
	 * Rows [m0, m1) of x (k elements each) to rows [m0, m1) of xq (aipu_quant_row_bytes(k)
	 * each, row 0 at xq).
	 */
	void (*quantize)(const float *x, size_t ldx, uint32_t k, uint32_t m0, uint32_t m1,
			 void *xq);

	/*
	 * RMS norm of `rows` rows of x, n elements each, in groups of `group` (n: the whole row;
	 * head_dim: per-head Q/K norm; divides n). weight: `group` elements. In place permitted (y
	 * == x, ldy == ldx).
	 */
	void (*rmsnorm)(const float *x, size_t ldx, float *y, size_t ldy, uint32_t rows, uint32_t n,
			uint32_t group, const float *weight, float eps, float offset);

	/*
	 * In place: heads [head0, head1) of one row (head h at x + h * head_dim). table: the row of
	 * this position, rot floats: rot/2 cosines, then rot/2 sines. rot is even and at most
	 * head_dim.
	 */
	void (*rope)(float *x, uint32_t head0, uint32_t head1, uint32_t head_dim, uint32_t rot,
		     const float *table);

	/*
	 * One row's keys and values, KV heads [head0, head1), to row->position. k, v: head h at h *
	 * head_dim. Writes exactly the (head1 - head0) * head_dim elements of that position in each
	 * plane.
	 */
	void (*kv_update)(const struct aipu_kv_row *row, const float *k, const float *v,
			  uint32_t head0, uint32_t head1);

	void (*attention)(const struct aipu_attention *at, uint32_t row0, uint32_t row1,
			  uint32_t head0, uint32_t head1);

	/*
	 * y[i] = silu(a[i]) * b[i], i in [0, n); b NULL: without the product. In place permitted (y
	 * == a or b).
	 */
	void (*silu_mul)(const float *a, const float *b, float *y, size_t n);
	/* The same with gelu. */
	void (*gelu_mul)(const float *a, const float *b, float *y, size_t n);
	/* y[i] = a[i] + b[i]. In place permitted. */
	void (*add)(const float *a, const float *b, float *y, size_t n);

	/*
	 * Row `token` (< n, the caller checked) of a TILE16 matrix of F32, F16 or I8_G32 as k
	 * floats. Touches only the tile token / 16.
	 */
	int (*embed_tile)(const void *w, uint32_t format, uint32_t n, uint32_t k, uint32_t token,
			  float *out);
	/* k elements of F32, F16 or BF16 side by side as floats. -ENOTSUP for another format. */
	int (*widen)(const void *row, uint32_t format, uint32_t k, float *out);

	/*
	 * Lowest index of the largest of x[0..n), n >= 1; NaN counts as -infinity. *max, if not
	 * NULL, is that largest value (-infinity when all are NaN).
	 */
	uint32_t (*argmax)(const float *x, uint32_t n, float *max);

	/*
	 * out[i] = exp_ref((x[i] - max) / t), 0 where the argument is NaN. So out[i] is in [0, 1]
	 * for a finite max, no x[i] above it and any t above 0.
	 */
	void (*exp_shifted)(const float *x, uint32_t n, float t, float max, float *out);
};

extern const struct aipu_kernels aipu_kernels_scalar;
#if defined(__x86_64__)
extern const struct aipu_kernels aipu_kernels_avx2;
extern const struct aipu_kernels aipu_kernels_avx512;
#endif

/*
 * The table for a level, or for the CPU with AIPU_SIMD_AUTO. -ENOTSUP when this CPU (or its
 * operating system) lacks what the level needs, -EINVAL for an unknown level. Looks at CPUID only;
 * safe from any thread.
 */
int aipu_kernels_select(enum aipu_simd level, const struct aipu_kernels **kernels);

#endif
