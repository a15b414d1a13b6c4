/* SPDX-License-Identifier: MIT */
/*
 * Matrix products, [NUM-30] to [NUM-34]: each output has one accumulator that meets its k in
 * ascending order, so neither the number of rows in flight, nor of tiles, nor the cutting into
 * stretches of k changes a bit. Part of kernels.inc.h.
 */

/* Arrays have fixed sizes: compilers keep the elements of variable ones in memory. */
#define MATMUL_SUMS (MATMUL_ROWS > MATVEC_TILES ? MATMUL_ROWS : MATVEC_TILES)
#define MATMUL_PANEL 128u /* rows of x whose accumulators are kept beside a tile */
#define MATMUL_STRETCH 512u /* columns taken at a time: a tile's stretch stays in the cache */

/*
 * What one call of a micro-kernel computes: `rows` rows of x against `tiles` tiles, columns [k0,
 * k1).
 */
struct stretch {
	const uint8_t *tile; /* first tile */
	size_t tile_bytes;
	uint32_t k0, k1, k;
	const float *x; /* first row, plain */
	size_t ldx;
	const uint8_t *xq; /* first row, quantized */
	size_t xq_bytes;
};

VEC16_FUNCTION v16f weight_column(const uint32_t format, const uint8_t *tile, uint32_t k)
{
	if (format == AIPU_FMT_F32)
		return v16f_load((const float *)tile + (size_t)k * 16);
	return v16f_load_f16((const uint16_t *)tile + (size_t)k * 16);
}

/* acc[t * rows + r]: tile t, row r */
VEC16_FUNCTION void stretch_float(const uint32_t format, const int rows, const int tiles,
				  const struct stretch *s, float (*acc)[16])
{
	const size_t step = format == AIPU_FMT_F32 ? 64 : 32;
	const uint8_t *w = s->tile + s->k0 * step;
	const float *x[MATMUL_ROWS] = { NULL };
	v16f a[MATMUL_SUMS];

#pragma GCC unroll 16
	for (int i = 0; i < rows * tiles; i++)
		a[i] = v16f_load(acc[i]);
#pragma GCC unroll 16
	for (int r = 0; r < rows; r++)
		x[r] = s->x + (size_t)r * s->ldx;
	for (uint32_t k = s->k0; k < s->k1; k++, w += step) {
#pragma GCC unroll 8
		for (int t = 0; t < tiles; t++) {
			const v16f wt = weight_column(format, w + (size_t)t * s->tile_bytes, 0);

#pragma GCC unroll 16
			for (int r = 0; r < rows; r++)
				a[t * rows + r] = v16f_fma(wt, v16f_set1(x[r][k]), a[t * rows + r]);
		}
	}
#pragma GCC unroll 16
	for (int i = 0; i < rows * tiles; i++)
		v16f_store(acc[i], a[i]);
}

/* int8 weights, plain activations: one tile; k0 is a multiple of 64 */
VEC16_FUNCTION void stretch_i8_plain(const int rows, const struct stretch *s, float (*acc)[16])
{
	v16f a[MATMUL_ROWS];

#pragma GCC unroll 16
	for (int r = 0; r < rows; r++)
		a[r] = v16f_load(acc[r]);
	for (uint32_t k = s->k0; k < s->k1; k++) {
		const uint8_t *bytes = s->tile + aipu_i8_byte_offset(0, k & ~3u);
		const uint16_t *scale = (const uint16_t *)(s->tile + aipu_i8_scale_offset(0, k));
		v16i u = v16i_load(bytes);
		v16f w;

		switch (k & 3) {
		case 1:
			u = v16i_shr(u, 8);
			break;
		case 2:
			u = v16i_shr(u, 16);
			break;
		case 3:
			u = v16i_shr(u, 24);
			break;
		}
		u = v16i_add(v16i_and(u, v16i_set1(255)), v16i_set1(-AIPU_I8_BIAS));
		w = v16f_mul(v16i_to_f(u), v16f_load_f16(scale));
#pragma GCC unroll 16
		for (int r = 0; r < rows; r++)
			a[r] = v16f_fma(w, v16f_set1(s->x[(size_t)r * s->ldx + k]), a[r]);
	}
#pragma GCC unroll 16
	for (int r = 0; r < rows; r++)
		v16f_store(acc[r], a[r]);
}

/* int8 weights, int8 activations; k0 is a multiple of 64. acc[t * rows + r]: tile t, row r */
VEC16_FUNCTION void stretch_i8_quant(const int rows, const int tiles, const struct stretch *s,
				     float (*acc)[16])
{
	const uint32_t groups = (s->k + AIPU_GROUP - 1) / AIPU_GROUP;
	const uint32_t g1 = (s->k1 + AIPU_GROUP - 1) / AIPU_GROUP;
	const uint8_t *super = s->tile + (size_t)(s->k0 / AIPU_I8_SUPER_K) * AIPU_I8_SUPER_BYTES;
	const uint8_t *x[QUANT_ROWS];
	v16f a[MATMUL_SUMS];

#pragma GCC unroll 16
	for (int i = 0; i < rows * tiles; i++)
		a[i] = v16f_load(acc[i]);
#pragma GCC unroll 16
	for (int r = 0; r < rows; r++)
		x[r] = s->xq + (size_t)r * s->xq_bytes;
	for (uint32_t g = s->k0 / AIPU_GROUP; g < g1; g++) {
		const uint32_t half = g & 1;

#pragma GCC unroll 16
		for (int t = 0; t < tiles; t++) {
			const uint8_t *block = super + (size_t)t * s->tile_bytes;
			v16i sum[QUANT_ROWS];
			v16f scale;

#pragma GCC unroll 16
			for (int r = 0; r < rows; r++) {
				int32_t correction;

				memcpy(&correction, x[r] + (size_t)groups * 68 + (size_t)g * 4,
				       sizeof(correction));
				sum[r] = v16i_set1(correction);
			}
			i8_dot(block + AIPU_I8_SUPER_SCALES + half * AIPU_I8_SUPER_BLOCK, x,
			       (size_t)g * 64, sum, rows);
			scale = v16f_load_f16((const uint16_t *)(block + half * 32));
#pragma GCC unroll 16
			for (int r = 0; r < rows; r++) {
				float xs;

				memcpy(&xs, x[r] + (size_t)groups * 64 + (size_t)g * 4, sizeof(xs));
				a[t * rows + r] = v16f_fma(v16i_to_f(sum[r]),
							   v16f_mul(scale, v16f_set1(xs)),
							   a[t * rows + r]);
			}
		}
		if (half)
			super += AIPU_I8_SUPER_BYTES;
	}
#pragma GCC unroll 16
	for (int i = 0; i < rows * tiles; i++)
		v16f_store(acc[i], a[i]);
}

/* One micro-kernel per number of rows, so that the accumulators stay in registers. */
typedef void (*stretch_fn)(const struct stretch *s, float (*acc)[16]);

#define STRETCH(rows)                                                              \
	static void stretch_f32_##rows(const struct stretch *s, float(*acc)[16])   \
	{                                                                          \
		stretch_float(AIPU_FMT_F32, rows, 1, s, acc);                      \
	}                                                                          \
	static void stretch_f16_##rows(const struct stretch *s, float(*acc)[16])   \
	{                                                                          \
		stretch_float(AIPU_FMT_F16, rows, 1, s, acc);                      \
	}                                                                          \
	static void stretch_plain_##rows(const struct stretch *s, float(*acc)[16]) \
	{                                                                          \
		stretch_i8_plain(rows, s, acc);                                    \
	}
#define STRETCH_QUANT(rows)                                                        \
	static void stretch_quant_##rows(const struct stretch *s, float(*acc)[16]) \
	{                                                                          \
		stretch_i8_quant(rows, 1, s, acc);                                 \
	}
/* clang-format off */
STRETCH(1) STRETCH(2) STRETCH(3) STRETCH(4)
STRETCH_QUANT(1) STRETCH_QUANT(2) STRETCH_QUANT(3) STRETCH_QUANT(4)
#if MATMUL_ROWS > 4
STRETCH(5) STRETCH(6)
#endif
#if MATMUL_ROWS > 6
STRETCH(7) STRETCH(8) STRETCH(9) STRETCH(10) STRETCH(11) STRETCH(12)
#endif
#if QUANT_ROWS > 4
STRETCH_QUANT(5) STRETCH_QUANT(6) STRETCH_QUANT(7) STRETCH_QUANT(8)
STRETCH_QUANT(9) STRETCH_QUANT(10) STRETCH_QUANT(11) STRETCH_QUANT(12)
#endif

#if MATMUL_ROWS == 4
#define STRETCH_TABLE(name) { name##_1, name##_2, name##_3, name##_4 }
#elif MATMUL_ROWS == 6
#define STRETCH_TABLE(name) { name##_1, name##_2, name##_3, name##_4, name##_5, name##_6 }
#else
#define STRETCH_TABLE(name) { name##_1, name##_2, name##_3, name##_4, name##_5, name##_6, \
			      name##_7, name##_8, name##_9, name##_10, name##_11, name##_12 }
#endif
#if QUANT_ROWS == 4
#define STRETCH_QUANT_TABLE(name) { name##_1, name##_2, name##_3, name##_4 }
#else
#define STRETCH_QUANT_TABLE(name) STRETCH_TABLE(name)
#endif
	/* clang-format on */

	static const stretch_fn stretch_f32[] = STRETCH_TABLE(stretch_f32);
static const stretch_fn stretch_f16[] = STRETCH_TABLE(stretch_f16);
static const stretch_fn stretch_plain[] = STRETCH_TABLE(stretch_plain);
static const stretch_fn stretch_quant[] = STRETCH_QUANT_TABLE(stretch_quant);

/*
 * One row of x against several tiles: a single row alone would wait for its own additions, and a
 * single stream of weights does not reach the memory's bandwidth.
 */
static void vector_f32(const struct stretch *s, float (*acc)[16])
{
	stretch_float(AIPU_FMT_F32, 1, MATVEC_TILES, s, acc);
}

static void vector_f16(const struct stretch *s, float (*acc)[16])
{
	stretch_float(AIPU_FMT_F16, 1, MATVEC_TILES, s, acc);
}

static void vector_quant(const struct stretch *s, float (*acc)[16])
{
	stretch_i8_quant(1, MATVEC_TILES, s, acc);
}

/* [NUM-33], [NUM-34]: bias, then what y holds; `tile` is a number, not a pointer */
static void matmul_finish(const struct aipu_matmul *mm, uint32_t tile, uint32_t row,
			  const float acc[16])
{
	const uint32_t n0 = tile * 16, lanes = mm->n - n0 < 16 ? mm->n - n0 : 16;
	float *y = mm->y + (size_t)row * mm->ldy + n0;
	v16f a = v16f_load(acc);

	if (mm->bias)
		a = v16f_add(a, v16f_load_n(mm->bias + n0, lanes));
	if (mm->add)
		a = v16f_add(v16f_load_n(y, lanes), a);
	v16f_store_n(y, a, lanes);
}

static int kernel_matmul(const struct aipu_matmul *mm, uint32_t n0, uint32_t n1)
{
	const size_t tile_bytes = aipu_tile_bytes(mm->format, mm->k);
	const uint32_t tile1 = (n1 + 15) / 16;
	const stretch_fn *table;
	stretch_fn vector = NULL;
	uint32_t step = MATMUL_ROWS, tile = n0 / 16;
	float acc[MATMUL_PANEL][16] __attribute__((aligned(64)));
	struct stretch s = {
		.tile_bytes = tile_bytes,
		.k = mm->k,
		.ldx = mm->ldx,
		.xq_bytes = aipu_quant_row_bytes(mm->k),
	};

	if (mm->format == AIPU_FMT_F32 && mm->x) {
		table = stretch_f32;
		vector = vector_f32;
	} else if (mm->format == AIPU_FMT_F16 && mm->x) {
		table = stretch_f16;
		vector = vector_f16;
	} else if (mm->format == AIPU_FMT_I8_G32 && mm->xq) {
		table = stretch_quant;
		vector = vector_quant;
		step = QUANT_ROWS;
	} else if (mm->format == AIPU_FMT_I8_G32 && mm->x) {
		table = stretch_plain;
	} else {
		return -ENOTSUP;
	}

	if (vector && mm->m == 1) {
		s.x = mm->x;
		s.xq = mm->xq;
		s.k1 = mm->k;
		for (; tile + MATVEC_TILES <= tile1; tile += MATVEC_TILES) {
			memset(acc, 0, MATVEC_TILES * sizeof(acc[0]));
			s.tile = (const uint8_t *)mm->w + tile * tile_bytes;
			vector(&s, acc);
			for (uint32_t t = 0; t < MATVEC_TILES; t++)
				matmul_finish(mm, tile + t, 0, acc[t]);
		}
	}
	for (; tile < tile1; tile++) {
		s.tile = (const uint8_t *)mm->w + tile * tile_bytes;
		for (uint32_t row0 = 0; row0 < mm->m; row0 += MATMUL_PANEL) {
			const uint32_t rows = mm->m - row0 < MATMUL_PANEL ? mm->m - row0
									  : MATMUL_PANEL;
			/* A few rows go through the whole tile at once. */
			const uint32_t stretch = rows > step ? MATMUL_STRETCH : mm->k;

			memset(acc, 0, rows * sizeof(acc[0]));
			for (s.k0 = 0; s.k0 < mm->k; s.k0 = s.k1) {
				s.k1 = mm->k - s.k0 > stretch ? s.k0 + stretch : mm->k;
				for (uint32_t r = 0; r < rows; r += step) {
					const uint32_t count = rows - r < step ? rows - r : step;

					if (mm->xq)
						s.xq = (const uint8_t *)mm->xq +
						       (row0 + r) * s.xq_bytes;
					else
						s.x = mm->x + (row0 + r) * mm->ldx;
					table[count - 1](&s, acc + r);
				}
			}
			for (uint32_t r = 0; r < rows; r++)
				matmul_finish(mm, tile, row0 + r, acc[r]);
		}
	}
	return 0;
}
