/* SPDX-License-Identifier: MIT */
/*
 * Rotary embedding, KV update and attention, [NUM-50] to [NUM-58]. Attention takes up to
 * ATTENTION_ROWS (row, head) pairs that share keys and values through the chunks together; each
 * pair keeps its own accumulators, so how they are grouped changes nothing. Part of kernels.inc.h.
 */

#define ATTENTION_ROWS 4

static void kernel_rope(float *x, uint32_t head0, uint32_t head1, uint32_t head_dim, uint32_t rot,
			const float *table)
{
	const uint32_t half = rot / 2;

	for (uint32_t h = head0; h < head1; h++) {
		float *lo = x + (size_t)h * head_dim, *hi = lo + half;

		for (uint32_t i = 0; i < half; i += 16) {
			const uint32_t n = half - i < 16 ? half - i : 16;
			const v16f c = v16f_load_n(table + i, n),
				   s = v16f_load_n(table + half + i, n);
			const v16f a = v16f_load_n(lo + i, n), b = v16f_load_n(hi + i, n);

			v16f_store_n(lo + i, v16f_fma(a, c, v16f_neg(v16f_mul(b, s))), n);
			v16f_store_n(hi + i, v16f_fma(b, c, v16f_mul(a, s)), n);
		}
	}
}

static void kernel_kv_update(const struct aipu_kv_row *row, const float *k, const float *v,
			     uint32_t head0, uint32_t head1)
{
	const struct aipu_kv *kv = &row->kv;
	const size_t ctx = kv->ctx, dim = kv->head_dim;

	for (size_t h = head0; h < head1; h++) {
		const size_t plane = h * dim * ctx;

		for (size_t d = 0; d < dim; d += 16) {
			const uint32_t n = dim - d < 16 ? (uint32_t)(dim - d) : 16;
			const v16f kd = v16f_load_n(k + h * dim + d, n),
				   vd = v16f_load_n(v + h * dim + d, n);
			const size_t at_k = plane + d * ctx + row->position;
			const size_t at_v = plane + row->position * dim + d;

			if (kv->f16) {
				uint16_t half[16];

				v16f_store_f16(half, kd);
				for (uint32_t i = 0; i < n; i++)
					((uint16_t *)kv->k)[at_k + i * ctx] = half[i];
				v16f_store_f16(half, vd);
				memcpy((uint16_t *)kv->v + at_v, half, n * sizeof(half[0]));
			} else {
				float lane[16];

				v16f_store(lane, kd);
				for (uint32_t i = 0; i < n; i++)
					((float *)kv->k)[at_k + i * ctx] = lane[i];
				v16f_store_n((float *)kv->v + at_v, vd, n);
			}
		}
	}
}

VEC16_FUNCTION v16f kv_load(const bool f16, const uint8_t *p, const uint32_t lanes)
{
	if (lanes == 16)
		return f16 ? v16f_load_f16((const uint16_t *)p) : v16f_load((const float *)p);
	return f16 ? v16f_load_f16_n((const uint16_t *)p, lanes)
		   : v16f_load_n((const float *)p, lanes);
}

/*
 * acc[r] lane i = fma chain over j in [0, count) of b[j * ldb bytes][i] times a[r][j]. Keys: j is
 * d, lanes are positions; values: j is the position, lanes are d.
 */
VEC16_FUNCTION void kv_product_n(const bool f16, const int rows, const uint8_t *b, size_t ldb,
				 const float *const a[], uint32_t count, const uint32_t lanes,
				 v16f acc[])
{
	v16f t[ATTENTION_ROWS];

#pragma GCC unroll 4
	for (int r = 0; r < rows; r++)
		t[r] = acc[r];
	for (uint32_t j = 0; j < count; j++, b += ldb) {
		const v16f v = kv_load(f16, b, lanes);

#pragma GCC unroll 4
		for (int r = 0; r < rows; r++)
			t[r] = v16f_fma(v, v16f_set1(a[r][j]), t[r]);
	}
#pragma GCC unroll 4
	for (int r = 0; r < rows; r++)
		acc[r] = t[r];
}

#define KV_PRODUCT(rows, f16, name)                                                    \
	static void kv_product_##name##_##rows(const uint8_t *b, size_t ldb,           \
					       const float *const a[], uint32_t count, \
					       uint32_t lanes, v16f acc[])             \
	{                                                                              \
		if (lanes == 16)                                                       \
			kv_product_n(f16, rows, b, ldb, a, count, 16, acc);            \
		else                                                                   \
			kv_product_n(f16, rows, b, ldb, a, count, lanes, acc);         \
	}
/* clang-format off */
KV_PRODUCT(1, false, f32) KV_PRODUCT(2, false, f32)
KV_PRODUCT(3, false, f32) KV_PRODUCT(4, false, f32)
KV_PRODUCT(1, true, f16) KV_PRODUCT(2, true, f16)
KV_PRODUCT(3, true, f16) KV_PRODUCT(4, true, f16)
	/* clang-format on */

	typedef void (*kv_product_fn)(const uint8_t *b, size_t ldb, const float *const a[],
				      uint32_t count, uint32_t lanes, v16f acc[]);
static const kv_product_fn kv_product[2][ATTENTION_ROWS] = {
	{ kv_product_f32_1, kv_product_f32_2, kv_product_f32_3, kv_product_f32_4 },
	{ kv_product_f16_1, kv_product_f16_2, kv_product_f16_3, kv_product_f16_4 },
};

/* One (row, head) on its way through the chunks */
struct query {
	const float *q;
	float *dst;
	uint32_t first, end; /* positions [first, end) */
	bool started;
	float m, l;
	float s[AIPU_CHUNK] __attribute__((aligned(64))); /* scores, then weights of the chunk */
	float o[AIPU_MAX_HEAD_DIM] __attribute__((aligned(64)));
};

struct attention_batch {
	const struct aipu_kv *kv;
	const uint8_t *k, *v; /* of the KV head */
	float scale;
	uint32_t count;
	struct query query[ATTENTION_ROWS];
};

/* A query's share of the chunk in hand: indices [lo, hi) of it */
struct share {
	struct query *q;
	uint32_t lo, hi;
};

/* [NUM-52] */
static void chunk_scores(const struct attention_batch *b, uint32_t p0, const struct share *sh,
			 uint32_t count)
{
	const size_t size = b->kv->f16 ? 2 : 4, ctx = b->kv->ctx;
	const float *a[ATTENTION_ROWS];
	uint32_t lo = AIPU_CHUNK, hi = 0;

	for (uint32_t r = 0; r < count; r++) {
		a[r] = sh[r].q->q;
		lo = sh[r].lo < lo ? sh[r].lo : lo;
		hi = sh[r].hi > hi ? sh[r].hi : hi;
	}
	for (uint32_t i = lo & ~15u; i < hi; i += 16) {
		/* Nothing before the first valid position is read, and nothing after the last. */
		const uint32_t skip = i < lo ? lo - i : 0,
			       lanes = (hi - i < 16 ? hi - i : 16) - skip;
		v16f acc[ATTENTION_ROWS];

		for (uint32_t r = 0; r < count; r++)
			acc[r] = v16f_zero();
		kv_product[b->kv->f16][count - 1](b->k + (p0 + i + skip) * size, ctx * size, a,
						  b->kv->head_dim, lanes, acc);
		for (uint32_t r = 0; r < count; r++)
			v16f_store_n(sh[r].q->s + i + skip, v16f_mul(acc[r], v16f_set1(b->scale)),
				     lanes);
	}
}

/* [NUM-53], [NUM-54]: scores to weights; returns the chunk's sum and stores its maximum */
static float chunk_weights(const struct share *sh, float *max)
{
	const float none = -INFINITY;
	const uint32_t i0 = sh->lo & ~15u, i1 = (sh->hi + 15) & ~15u;
	v16f m = v16f_set1(none), sum = v16f_zero();
	float *s = sh->q->s;

	for (uint32_t i = i0; i < sh->lo; i++)
		s[i] = none;
	for (uint32_t i = sh->hi; i < i1; i++)
		s[i] = none;
	for (uint32_t i = i0; i < i1; i += 16)
		m = v16f_max(v16f_load(s + i), m);
	*max = v16f_largest(m);
	m = v16f_set1(*max);
	for (uint32_t i = i0; i < i1; i += 16) {
		const v16f e = v16f_exp(v16f_sub(v16f_load(s + i), m));

		v16f_store(s + i, e);
		sum = v16f_add(sum, e);
	}
	return v16f_tree(sum);
}

/* acc[r] += weights times values over indices [from, to) of the chunk, for shares [r0, r1) */
static void chunk_product(const struct attention_batch *b, const uint8_t *v, const struct share *sh,
			  uint32_t r0, uint32_t r1, uint32_t from, uint32_t to, uint32_t lanes,
			  v16f acc[])
{
	const size_t row = (size_t)b->kv->head_dim * (b->kv->f16 ? 2 : 4);
	const float *a[ATTENTION_ROWS];

	if (from >= to)
		return;
	for (uint32_t r = r0; r < r1; r++)
		a[r - r0] = sh[r].q->s + from;
	kv_product[b->kv->f16][r1 - r0 - 1](v + from * row, row, a, to - from, lanes, acc + r0);
}

/* [NUM-55], [NUM-56] */
static void chunk_values(const struct attention_batch *b, uint32_t p0, const struct share *sh,
			 uint32_t count, const float *old, const float *new)
{
	const size_t size = b->kv->f16 ? 2 : 4, dim = b->kv->head_dim;
	uint32_t c0 = 0, c1 = AIPU_CHUNK; /* what all shares have in common */

	for (uint32_t r = 0; r < count; r++) {
		c0 = sh[r].lo > c0 ? sh[r].lo : c0;
		c1 = sh[r].hi < c1 ? sh[r].hi : c1;
	}
	if (c0 > c1)
		c0 = c1 = 0;
	for (uint32_t d = 0; d < dim; d += 16) {
		const uint32_t lanes = dim - d < 16 ? (uint32_t)dim - d : 16;
		const uint8_t *v = b->v + (p0 * dim + d) * size;
		v16f acc[ATTENTION_ROWS];

		for (uint32_t r = 0; r < count; r++) {
			acc[r] = v16f_zero();
			if (c0 < c1)
				chunk_product(b, v, sh, r, r + 1, sh[r].lo, c0, lanes, acc);
		}
		chunk_product(b, v, sh, 0, count, c0, c1, lanes, acc);
		for (uint32_t r = 0; r < count; r++) {
			float *o = sh[r].q->o + d;

			chunk_product(b, v, sh, r, r + 1, c0 < c1 ? c1 : sh[r].lo, sh[r].hi, lanes,
				      acc);
			if (sh[r].q->started)
				acc[r] = v16f_fma(v16f_load_n(o, lanes), v16f_set1(old[r]),
						  v16f_mul(acc[r], v16f_set1(new[r])));
			v16f_store_n(o, acc[r], lanes);
		}
	}
}

static void attention_run(struct attention_batch *b)
{
	uint32_t first = UINT32_MAX, end = 0;

	for (uint32_t i = 0; i < b->count; i++) {
		first = b->query[i].first < first ? b->query[i].first : first;
		end = b->query[i].end > end ? b->query[i].end : end;
	}
	for (uint32_t p0 = first / AIPU_CHUNK * AIPU_CHUNK; p0 < end; p0 += AIPU_CHUNK) {
		struct share sh[ATTENTION_ROWS];
		float old[ATTENTION_ROWS] = { 0 }, new[ATTENTION_ROWS] = { 0 };
		uint32_t count = 0;

		for (uint32_t i = 0; i < b->count; i++) {
			struct query *q = &b->query[i];
			const uint32_t lo = q->first > p0 ? q->first - p0 : 0;
			const uint32_t hi = q->end > p0 ? q->end - p0 : 0;

			if (lo >= AIPU_CHUNK || lo >= hi)
				continue;
			sh[count++] = (struct share){ q, lo, hi < AIPU_CHUNK ? hi : AIPU_CHUNK };
		}
		if (!count)
			continue;
		chunk_scores(b, p0, sh, count);
		for (uint32_t r = 0; r < count; r++) {
			struct query *q = sh[r].q;
			float m, l = chunk_weights(&sh[r], &m);

			if (q->started) {
				const float both = aipu_max(m, q->m);

				old[r] = aipu_exp(q->m - both);
				new[r] = aipu_exp(m - both);
				q->l = aipu_fma(q->l, old[r], l * new[r]);
				q->m = both;
			} else {
				q->l = l;
				q->m = m;
			}
		}
		chunk_values(b, p0, sh, count, old, new);
		for (uint32_t r = 0; r < count; r++)
			sh[r].q->started = true;
	}
	for (uint32_t i = 0; i < b->count; i++) {
		const struct query *q = &b->query[i];
		const v16f l = v16f_set1(q->l);

		for (uint32_t d = 0; d < b->kv->head_dim; d += 16) {
			const uint32_t lanes = b->kv->head_dim - d < 16 ? b->kv->head_dim - d : 16;

			v16f_store_n(q->dst + d, v16f_div(v16f_load_n(q->o + d, lanes), l), lanes);
		}
	}
	b->count = 0;
}

static void kernel_attention(const struct aipu_attention *at, uint32_t row0, uint32_t row1,
			     uint32_t head0, uint32_t head1)
{
	struct attention_batch b;

	b.scale = at->scale;
	b.count = 0;
	for (uint32_t h = head0; h < head1; h++)
		for (uint32_t row = row0; row < row1; row++) {
			const struct aipu_kv_row *kr = &at->rows[row];
			const struct aipu_kv *kv = &kr->kv;
			const uint32_t group = at->heads / kv->kv_heads;
			const size_t plane = (size_t)h * kv->head_dim * kv->ctx * (kv->f16 ? 2 : 4);

			if (b.count && (b.kv->k != kv->k || b.kv->v != kv->v || row == row0))
				attention_run(&b);
			for (uint32_t g = 0; g < group; g++) {
				const size_t at_head = ((size_t)h * group + g) * kv->head_dim;
				struct query *q;

				if (b.count == ATTENTION_ROWS)
					attention_run(&b);
				b.kv = kv;
				b.k = (const uint8_t *)kv->k + plane;
				b.v = (const uint8_t *)kv->v + plane;
				q = &b.query[b.count++];
				q->q = at->q + row * at->ldq + at_head;
				q->dst = at->dst + row * at->ldd + at_head;
				q->first = kr->first;
				q->end = kr->position + 1;
				q->started = false;
			}
		}
	if (b.count)
		attention_run(&b);
}
