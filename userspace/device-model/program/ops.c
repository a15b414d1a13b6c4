// SPDX-License-Identifier: MIT
/*
 * One core's share of one instruction. Called by exec.c on every core with the same arguments but
 * the core's number; work is divided over outputs, rows or heads, never over a sum, so any number
 * of cores gives the same bits. It must never touch memory outside the tensors that the verifier
 * saw and the core's own scratch.
 */
#include <string.h>

#include "program/program.h"

static const struct aipu_tensor *tensor(const struct exec_core *c, uint32_t index)
{
	return &c->block->program->tensors[index];
}

static uint8_t *data(const struct exec_core *c, const struct aipu_tensor *t)
{
	return c->block->base[t->slot] + t->offset;
}

static float *row(const struct exec_core *c, const struct aipu_tensor *t, uint64_t index)
{
	return (float *)(data(c, t) + index * t->stride);
}

/* M of an instruction whose dst this is */
static uint32_t rows_of(const struct exec_core *c, const struct aipu_tensor *t)
{
	return t->rows == AIPU_ROWS_SELECTED ? c->selected_count : c->x->row_count;
}

static uint64_t share_begin(uint64_t units, unsigned int core, unsigned int cores)
{
	return units / cores * core + units % cores * core / cores;
}

static void share(const struct exec_core *c, uint64_t units, uint64_t *from, uint64_t *to)
{
	*from = share_begin(units, c->core, c->cores);
	*to = share_begin(units, c->core + 1, c->cores);
}

static float float_of(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

/*
 * The next stretch of one row in a range of units of 16 columns: elements [*column, *column +
 * *count) of *index. Moves *from on.
 */
static bool stretch_next(uint64_t *from, uint64_t to, uint32_t columns, uint64_t *index,
			 uint32_t *column, uint32_t *count)
{
	uint64_t units = ((uint64_t)columns + 15) / 16, first, last;

	if (*from >= to)
		return false;
	*index = *from / units;
	first = *from % units;
	last = first + (to - *from);
	if (last > units)
		last = units;
	*from += last - first;
	*column = (uint32_t)(first * 16);
	*count = (uint32_t)((last * 16 < columns ? last * 16 : columns) - first * 16);
	return true;
}

static uint64_t column_units(uint32_t rows, uint32_t columns)
{
	return (uint64_t)rows * (((uint64_t)columns + 15) / 16);
}

/* --- rows in, rows out ------------------------------------------------------------------------ */

static void op_embed(struct exec_core *c, const struct aipu_instruction *in)
{
	const struct aipu_tensor *dst = tensor(c, in->dst), *a = tensor(c, in->a);
	const struct aipu_kernels *k = c->x->kernels;
	uint64_t from, to;

	share(c, rows_of(c, dst), &from, &to);
	for (uint64_t i = from; i < to; i++) {
		uint32_t token = c->x->rows[i].token;

		if (a->layout == AIPU_LAYOUT_TILE16)
			k->embed_tile(data(c, a), a->format, a->dims[0], a->dims[1], token,
				      row(c, dst, i));
		else if (a->format == AIPU_FMT_F32) /* the two may be the same memory */
			memmove(row(c, dst, i), row(c, a, token), (size_t)a->dims[1] * 4);
		else
			k->widen(row(c, a, token), a->format, a->dims[1], row(c, dst, i));
	}
}

static void op_rmsnorm(struct exec_core *c, const struct aipu_instruction *in)
{
	const struct aipu_tensor *dst = tensor(c, in->dst), *a = tensor(c, in->a);
	uint32_t columns = dst->dims[1], group = in->u[0] ? in->u[0] : columns;
	uint64_t from, to;

	share(c, rows_of(c, dst), &from, &to);
	if (from < to)
		c->x->kernels->rmsnorm(row(c, a, from), a->stride / 4, row(c, dst, from),
				       dst->stride / 4, (uint32_t)(to - from), columns, group,
				       (const float *)data(c, tensor(c, in->b)), float_of(in->f[0]),
				       float_of(in->f[1]));
}

static void op_elementwise(struct exec_core *c, const struct aipu_instruction *in)
{
	const struct aipu_tensor *dst = tensor(c, in->dst), *a = tensor(c, in->a);
	const struct aipu_tensor *b = in->b == AIPU_NO_TENSOR ? NULL : tensor(c, in->b);
	const struct aipu_kernels *k = c->x->kernels;
	uint32_t columns = dst->dims[1], column, count;
	uint64_t from, to, i;

	share(c, column_units(rows_of(c, dst), columns), &from, &to);
	while (stretch_next(&from, to, columns, &i, &column, &count)) {
		const float *x = row(c, a, i) + column;
		const float *y = b ? row(c, b, i) + column : NULL;
		float *out = row(c, dst, i) + column;

		if (in->opcode == AIPU_OP_ADD)
			k->add(x, y, out, count);
		else if (in->u[0] == AIPU_ACTIVATION_GELU)
			k->gelu_mul(x, y, out, count);
		else
			k->silu_mul(x, y, out, count);
	}
}

static void op_select(struct exec_core *c, const struct aipu_instruction *in)
{
	const struct aipu_tensor *dst = tensor(c, in->dst), *a = tensor(c, in->a);
	uint32_t columns = dst->dims[1], column, count;
	uint64_t from, to, i;

	share(c, column_units(rows_of(c, dst), columns), &from, &to);
	while (stretch_next(&from, to, columns, &i, &column, &count))
		memmove(row(c, dst, i) + column, row(c, a, c->x->selected[i]) + column,
			(size_t)count * 4);
}

/* --- matrix products -------------------------------------------------------------------------- */

/* True when writing dst may change what x->quantized was made from */
static bool overlaps(const struct exec_core *c, uint32_t dst, uint32_t other)
{
	const uint64_t *extents = c->block->program->extents;
	const struct aipu_tensor *d = tensor(c, dst), *o = tensor(c, other);

	return d->slot == o->slot && d->offset < o->offset + extents[other] &&
	       o->offset < d->offset + extents[dst];
}

/*
 * All cores quantize their share of the left operand's rows, once for all products that follow with
 * it.
 */
static void quantize(struct exec_core *c, uint32_t a, uint32_t rows)
{
	const struct aipu_tensor *t = tensor(c, a);
	uint64_t from, to;

	if (c->quantized == a)
		return;
	share(c, rows, &from, &to);
	if (from < to)
		c->x->kernels->quantize(row(c, t, 0), t->stride / 4, t->dims[1], (uint32_t)from,
					(uint32_t)to, c->x->quantized);
	dm_cores_barrier(c->x->cores, c->core);
	c->quantized = a;
}

static void op_matmul(struct exec_core *c, const struct aipu_instruction *in)
{
	const struct aipu_tensor *dst = tensor(c, in->dst), *a = tensor(c, in->a);
	const struct aipu_tensor *b = tensor(c, in->b);
	uint32_t m = rows_of(c, dst), n = dst->dims[1], k = a->dims[1];
	uint64_t tiles = ((uint64_t)n + 15) / 16, from, to, n1, by_tiles, by_rows;
	bool dynamic = in->activation_format == AIPU_ACT_DYNAMIC_I8_G32;
	struct aipu_matmul mm = {
		.w = data(c, b),
		.format = b->format,
		.n = n,
		.k = k,
		.m = m,
		.ldx = a->stride / 4,
		.ldy = dst->stride / 4,
		.add = in->epilogue & AIPU_EPILOGUE_ADD,
	};

	if (!m)
		return;
	if (dynamic)
		quantize(c, in->a, m);
	if (in->c != AIPU_NO_TENSOR)
		mm.bias = (const float *)data(c, tensor(c, in->c));

	/* The busiest core's work, in rows times tiles: cut rows only where tiles do not balance */
	by_tiles = (tiles + c->cores - 1) / c->cores * m;
	by_rows = ((uint64_t)m + c->cores - 1) / c->cores * tiles;
	if (by_rows + by_rows / 8 < by_tiles) {
		share(c, m, &from, &to);
		mm.m = (uint32_t)(to - from);
		mm.y = row(c, dst, from);
		if (dynamic)
			mm.xq = (const uint8_t *)c->x->quantized + from * aipu_quant_row_bytes(k);
		else
			mm.x = row(c, a, from);
		if (from < to)
			c->x->kernels->matmul(&mm, 0, n);
		return;
	}
	share(c, tiles, &from, &to);
	n1 = to * 16 < n ? to * 16 : n;
	mm.y = row(c, dst, 0);
	if (dynamic)
		mm.xq = c->x->quantized;
	else
		mm.x = row(c, a, 0);
	if (from < to)
		c->x->kernels->matmul(&mm, (uint32_t)(from * 16), (uint32_t)n1);
}

/* --- positions -------------------------------------------------------------------------------- */

static void op_rope(struct exec_core *c, const struct aipu_instruction *in)
{
	const struct aipu_tensor *dst = tensor(c, in->dst), *a = tensor(c, in->a);
	uint32_t heads = dst->dims[1] / in->u[0];
	uint64_t from, to;

	share(c, (uint64_t)rows_of(c, dst) * heads, &from, &to);
	while (from < to) {
		uint64_t i = from / heads, first = from % heads, last = first + (to - from);

		if (last > heads)
			last = heads;
		c->x->kernels->rope(row(c, dst, i), (uint32_t)first, (uint32_t)last, in->u[0],
				    in->u[1], row(c, a, c->x->rows[i].position));
		from += last - first;
	}
}

static void kv_row_fill(const struct exec_core *c, struct aipu_kv_row *kv, uint64_t i,
			const struct aipu_tensor *k, const struct aipu_tensor *v, uint32_t window)
{
	const struct exec_row *r = &c->x->rows[i];

	kv->kv.k = data(c, k) + r->kv_slot * k->stride;
	kv->kv.v = data(c, v) + r->kv_slot * v->stride;
	kv->kv.ctx = k->dims[3];
	kv->kv.kv_heads = k->dims[1];
	kv->kv.head_dim = k->dims[2];
	kv->kv.f16 = k->format == AIPU_FMT_F16;
	kv->position = r->position;
	kv->first = window && window <= r->position ? r->position - window + 1 : 0;
}

static void op_kv_update(struct exec_core *c, const struct aipu_instruction *in)
{
	const struct aipu_tensor *k = tensor(c, in->dst), *v = tensor(c, in->d);
	const struct aipu_tensor *a = tensor(c, in->a), *b = tensor(c, in->b);
	uint32_t heads = k->dims[1];
	uint64_t from, to;

	share(c, (uint64_t)c->x->row_count * heads, &from, &to);
	while (from < to) {
		uint64_t i = from / heads, first = from % heads, last = first + (to - from);
		struct aipu_kv_row kv;

		if (last > heads)
			last = heads;
		kv_row_fill(c, &kv, i, k, v, 0);
		c->x->kernels->kv_update(&kv, row(c, a, i), row(c, b, i), (uint32_t)first,
					 (uint32_t)last);
		from += last - first;
	}
}

/*
 * Units of attention are (KV head, row), all rows of a head one after another; cores take stretches
 * of about equal work. The unit at which a core begins:
 */
static uint64_t attention_begin(const struct exec_core *c, uint32_t heads, unsigned int core)
{
	const uint64_t *work = c->x->work;
	uint64_t share = (uint64_t)heads * core; /* in parts of 1 / cores of one head's work */
	uint64_t rest = work[c->x->row_count] / c->cores * (share % c->cores);
	uint32_t low = 0, high = c->x->row_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (work[middle] < rest)
			low = middle + 1;
		else
			high = middle;
	}
	return share / c->cores * c->x->row_count + low;
}

static void op_attention(struct exec_core *c, const struct aipu_instruction *in)
{
	const struct aipu_tensor *dst = tensor(c, in->dst), *a = tensor(c, in->a);
	const struct aipu_tensor *k = tensor(c, in->b), *v = tensor(c, in->c);
	struct exec_scratch *scratch = &c->x->scratch[c->core];
	uint32_t heads = k->dims[1], rows = c->x->row_count;
	struct aipu_attention at = {
		.rows = scratch->kv_rows,
		.q = row(c, a, 0),
		.ldq = a->stride / 4,
		.dst = row(c, dst, 0),
		.ldd = dst->stride / 4,
		.heads = in->u[0],
		.scale = float_of(in->f[0]),
	};
	uint64_t from = attention_begin(c, heads, c->core);
	uint64_t to = attention_begin(c, heads, c->core + 1);

	if (from >= to)
		return;
	for (uint32_t i = 0; i < rows; i++)
		kv_row_fill(c, &scratch->kv_rows[i], i, k, v, in->u[1]);
	while (from < to) {
		uint32_t head = (uint32_t)(from / rows), first = (uint32_t)(from % rows);
		uint64_t whole = first ? 0 : (to - from) / rows;
		uint32_t last = rows;

		if (!whole && to - from < rows - first)
			last = first + (uint32_t)(to - from);
		c->x->kernels->attention(&at, first, last, head,
					 head + (whole ? (uint32_t)whole : 1));
		from += whole ? whole * rows : last - first;
	}
}

void exec_instruction(struct exec_core *c, const struct aipu_instruction *in)
{
	switch (in->opcode) {
	case AIPU_OP_EMBED:
		op_embed(c, in);
		break;
	case AIPU_OP_RMSNORM:
		op_rmsnorm(c, in);
		break;
	case AIPU_OP_MATMUL:
		op_matmul(c, in);
		break;
	case AIPU_OP_ROPE:
		op_rope(c, in);
		break;
	case AIPU_OP_KV_UPDATE:
		op_kv_update(c, in);
		break;
	case AIPU_OP_ATTENTION:
		op_attention(c, in);
		break;
	case AIPU_OP_ACTIVATE:
	case AIPU_OP_ADD:
		op_elementwise(c, in);
		break;
	case AIPU_OP_SELECT:
		op_select(c, in);
		break;
	default:
		break; /* the verifier lets no other in */
	}
	if (c->quantized != AIPU_NO_TENSOR &&
	    (overlaps(c, in->dst, c->quantized) ||
	     (in->d != AIPU_NO_TENSOR && overlaps(c, in->d, c->quantized))))
		c->quantized = AIPU_NO_TENSOR;
}
