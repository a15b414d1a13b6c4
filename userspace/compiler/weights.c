// SPDX-License-Identifier: MIT
/*
 * The bytes of the WEIGHTS and CONSTANTS sections, any stretch of them at a time: rows come from the source and
 * are rounded and laid out in tiles (aipu_numerics.h) on the way. Called by the container's writer from several
 * threads. What a stretch holds depends on graph and source alone, so the cutting changes no byte.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aipu_numerics_float.h"
#include "graph.h"

struct fill {
	const struct compile_source *source;
	const struct graph *graph;
	double *inverse; /* of the rotary table */
	const struct value **items; /* in ascending order of offset */
	uint32_t count;
	uint32_t most_columns;
	size_t most_tile;
};

struct fill_scratch {
	float *rows; /* 16 rows of the widest weight */
	uint8_t *tile;
	char why[FILL_WHY_BYTES]; /* of the last failure */
};

/* A few operations of binary64 in a fixed order: the same numbers everywhere */
void rope_inverse_frequencies(const struct compile_shape *shape, double *inverse)
{
	const double two_pi = 6.283185307179586476925;
	uint32_t i;

	for (i = 0; i < shape->head_dim / 2; i++) {
		double f = aipu_rope_inverse_frequency(shape->rope_theta, i, shape->head_dim);

		if (shape->rope == COMPILE_ROPE_LINEAR) {
			f /= shape->rope_factor;
		} else if (shape->rope == COMPILE_ROPE_LLAMA3) {
			/* Turns within the original context: many are kept, few are stretched. */
			double turns = (double)shape->rope_positions * f / two_pi;
			double blend =
				(turns - shape->rope_low) / (shape->rope_high - shape->rope_low);

			blend = blend < 0.0 ? 0.0 : blend > 1.0 ? 1.0 : blend;
			f = (1.0 - blend) * (f / shape->rope_factor) + blend * f;
		}
		inverse[i] = f;
	}
}

static int item_compare(const void *a, const void *b)
{
	const struct value *x = *(const struct value *const *)a,
			   *y = *(const struct value *const *)b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

int fill_create(const struct graph *graph, const struct compile_source *source, uint32_t slot,
		struct fill **out)
{
	struct fill *fill = calloc(1, sizeof(*fill));
	uint32_t i;

	if (!fill)
		return -ENOMEM;
	fill->source = source;
	fill->graph = graph;
	fill->items = malloc(graph->value_count * sizeof(*fill->items));
	fill->inverse = malloc(graph->shape.head_dim * sizeof(*fill->inverse));
	if (!fill->items || !fill->inverse) {
		fill_free(fill);
		return -ENOMEM;
	}
	rope_inverse_frequencies(&graph->shape, fill->inverse);
	for (i = 0; i < graph->value_count; i++) {
		const struct value *value = &graph->values[i];
		size_t tile;

		if (!value->placed || value->slot != slot)
			continue;
		fill->items[fill->count++] = value;
		if (value->columns > fill->most_columns)
			fill->most_columns = value->columns;
		tile = value->kind == VALUE_MATRIX ? aipu_tile_bytes(value->format, value->columns)
						   : 0;
		if (tile > fill->most_tile)
			fill->most_tile = tile;
	}
	qsort(fill->items, fill->count, sizeof(*fill->items), item_compare);
	*out = fill;
	return 0;
}

void fill_free(struct fill *fill)
{
	if (!fill)
		return;
	free(fill->items);
	free(fill->inverse);
	free(fill);
}

int fill_scratch_create(const struct fill *fill, struct fill_scratch **out)
{
	struct fill_scratch *scratch = calloc(1, sizeof(*scratch));

	if (!scratch)
		return -ENOMEM;
	scratch->rows = malloc((size_t)AIPU_LANES * fill->most_columns * sizeof(float) + 1);
	scratch->tile = malloc(fill->most_tile + 1);
	if (!scratch->rows || !scratch->tile) {
		fill_scratch_free(scratch);
		return -ENOMEM;
	}
	*out = scratch;
	return 0;
}

void fill_scratch_free(struct fill_scratch *scratch)
{
	if (!scratch)
		return;
	free(scratch->rows);
	free(scratch->tile);
	free(scratch);
}

const char *fill_scratch_why(const struct fill_scratch *scratch)
{
	return scratch->why;
}

static void tile_f32(const float *rows, uint32_t count, uint32_t k, uint8_t *to)
{
	float *out = (float *)(void *)to;
	uint32_t r, i;

	for (r = 0; r < count; r++)
		for (i = 0; i < k; i++)
			out[(size_t)i * AIPU_LANES + r] = rows[(size_t)r * k + i];
}

static void tile_f16(const float *rows, uint32_t count, uint32_t k, uint8_t *to)
{
	uint16_t *out = (uint16_t *)(void *)to;
	uint32_t r, i;

	for (r = 0; r < count; r++)
		for (i = 0; i < k; i++)
			out[(size_t)i * AIPU_LANES + r] = aipu_f32_to_f16(rows[(size_t)r * k + i]);
}

/*
 * aipu_quantize_weights() of a whole group of numbers below I8_LIMIT, plus AIPU_I8_BIAS, in a form that compilers
 * turn into vector code: no branch, and a maximum that may be taken in any order.
 */
static uint16_t quantize_whole(const float *w, uint8_t *q)
{
	uint32_t bits[AIPU_GROUP];
	int32_t most = 0;
	uint16_t stored;
	float scale;
	uint32_t i;

	memcpy(bits, w, sizeof(bits));
	for (i = 0; i < AIPU_GROUP; i++) {
		int32_t magnitude = (int32_t)(bits[i] & 0x7fffffffu);

		most = magnitude > most ? magnitude : most;
	}
	stored = aipu_f32_to_f16(aipu_min(aipu_f32((uint32_t)most) / 127.0f, 65504.0f));
	scale = aipu_f16_to_f32(stored);
	if (!(scale > 0.0f)) {
		memset(q, AIPU_I8_BIAS, AIPU_GROUP);
		return stored;
	}
	/* |w| / scale is below 2^22, so rounding may come before the limits. */
	for (i = 0; i < AIPU_GROUP; i++) {
		float v = w[i] / scale + aipu_f32(AIPU_EXP_ROUND);

		memcpy(&bits[i], &v, sizeof(v));
	}
	for (i = 0; i < AIPU_GROUP; i++) {
		int32_t n = (int32_t)(bits[i] - AIPU_EXP_ROUND);

		n = n > AIPU_I8_MAX ? AIPU_I8_MAX : n;
		n = n < -AIPU_I8_MAX ? -AIPU_I8_MAX : n;
		q[i] = (uint8_t)(n + AIPU_I8_BIAS);
	}
	return stored;
}

static uint16_t quantize_rest(const float *w, uint32_t n, uint8_t *q)
{
	int8_t values[AIPU_GROUP] = { 0 };
	uint16_t stored = aipu_quantize_weights(w, n, values);
	uint32_t i;

	for (i = 0; i < AIPU_GROUP; i++)
		q[i] = (uint8_t)(values[i] + AIPU_I8_BIAS);
	return stored;
}

static void tile_i8(const float *rows, uint32_t count, uint32_t k, uint8_t *to)
{
	uint32_t r, i, j;

	for (i = 0; i < k; i += AIPU_I8_SUPER_K)
		memset(to + (size_t)(i / AIPU_I8_SUPER_K) * AIPU_I8_SUPER_BYTES +
			       AIPU_I8_SUPER_SCALES,
		       AIPU_I8_BIAS, AIPU_I8_SUPER_BYTES - AIPU_I8_SUPER_SCALES);
	for (r = 0; r < count; r++) {
		for (i = 0; i < k; i += AIPU_GROUP) {
			const float *w = rows + (size_t)r * k + i;
			uint8_t q[AIPU_GROUP], *first = to + aipu_i8_byte_offset(r, i);
			uint16_t scale = k - i < AIPU_GROUP ? quantize_rest(w, k - i, q)
							    : quantize_whole(w, q);

			memcpy(to + aipu_i8_scale_offset(r, i), &scale, sizeof(scale));
			for (j = 0; j < AIPU_GROUP; j += 4)
				memcpy(first + j * 16, q + j, 4);
		}
	}
}

/*
 * The highest magnitude that a format holds, as bits. An int8 scale is at most 65504: beyond 127 times that
 * weights would be cut off.
 */
#define F16_LIMIT 65504.0f
#define I8_LIMIT (127.0f * F16_LIMIT)
#define F32_LIMIT 3.40282346638528859812e38f
static int32_t highest_bits(uint32_t format)
{
	return (int32_t)aipu_f32_bits(format == AIPU_FMT_F16	  ? F16_LIMIT
				      : format == AIPU_FMT_I8_G32 ? I8_LIMIT
								  : F32_LIMIT);
}

static int32_t magnitude_bits(float value)
{
	return (int32_t)(aipu_f32_bits(value) & 0x7fffffffu);
}

/* Whether all are finite and can be held in the format */
static bool rows_representable(const float *rows, size_t count, uint32_t format)
{
	int32_t most = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		int32_t magnitude = magnitude_bits(rows[i]);

		most = magnitude > most ? magnitude : most;
	}
	return most <= highest_bits(format);
}

/* Says which weight of rows [row, ...) is the first that cannot be held, and why. Returns -ERANGE. */
static int name_weight(struct fill_scratch *scratch, const struct value_part *part, uint32_t row,
		       uint32_t columns, const float *rows, uint32_t format)
{
	int32_t highest = highest_bits(format), magnitude;
	char name[64];
	size_t i = 0;

	while (magnitude_bits(rows[i]) <= highest)
		i++;
	magnitude = magnitude_bits(rows[i]);
	part_name(part, name, sizeof(name));
	if (magnitude >= 0x7f800000)
		snprintf(scratch->why, sizeof(scratch->why),
			 "weight %s row %zu column %zu is %s: finite numbers are expected", name,
			 row + i / columns, i % columns,
			 magnitude > 0x7f800000 ? "not a number" : "infinite");
	else
		snprintf(scratch->why, sizeof(scratch->why),
			 "weight %s row %zu column %zu is %.9g: %s holds up to %.9g, --precision "
			 "fp32 "
			 "holds it",
			 name, row + i / columns, i % columns, (double)rows[i],
			 format == AIPU_FMT_F16 ? "fp16" : "int8",
			 (double)aipu_f32((uint32_t)highest));
	return -ERANGE;
}

/* Rows of the source, into `to`, all of which the format holds */
static int rows_read(const struct fill *fill, struct fill_scratch *scratch,
		     const struct value *value, const struct value_part *part, uint32_t row,
		     uint32_t count, float *to)
{
	uint32_t format = value->kind == VALUE_MATRIX ? value->format : AIPU_FMT_F32;
	char name[64];
	int err = fill->source->read(fill->source, part->tensor, part->layer, row, count, to);

	if (!err && !rows_representable(to, (size_t)count * value->columns, format))
		return name_weight(scratch, part, row, value->columns, to, format);
	if (err && err != -ENODATA) {
		part_name(part, name, sizeof(name));
		snprintf(scratch->why, sizeof(scratch->why), "cannot read weight %s: %s", name,
			 strerror(-err));
	}
	return err;
}

static int matrix_tile(const struct fill *fill, struct fill_scratch *scratch,
		       const struct value *value, uint32_t tile, uint8_t *to)
{
	uint32_t row = tile * AIPU_LANES, k = value->columns, i = 0, count;
	const struct value_part *part;
	int err;

	/* Parts begin on tiles of their own, so a tile never spans two. */
	while (row >= (value->parts[i].rows + AIPU_LANES - 1) / AIPU_LANES * AIPU_LANES)
		row -= (value->parts[i++].rows + AIPU_LANES - 1) / AIPU_LANES * AIPU_LANES;
	part = &value->parts[i];
	count = part->rows - row < AIPU_LANES ? part->rows - row : AIPU_LANES;
	err = rows_read(fill, scratch, value, part, row, count, scratch->rows);
	if (err)
		return err;
	memset(to, 0, aipu_tile_bytes(value->format, k));
	if (value->format == AIPU_FMT_F32)
		tile_f32(scratch->rows, count, k, to);
	else if (value->format == AIPU_FMT_F16)
		tile_f16(scratch->rows, count, k, to);
	else
		tile_i8(scratch->rows, count, k, to);
	return 0;
}

/* The pieces that a value is made of, one at a time: tiles, or rows */
static size_t piece_bytes(const struct value *value)
{
	return value->kind == VALUE_MATRIX ? aipu_tile_bytes(value->format, value->columns)
					   : value->columns * sizeof(float);
}

static int piece_make(const struct fill *fill, struct fill_scratch *scratch,
		      const struct value *value, uint32_t piece, uint8_t *to)
{
	switch (value->kind) {
	case VALUE_MATRIX:
		return matrix_tile(fill, scratch, value, piece, to);
	case VALUE_ROPE:
		aipu_rope_row(piece, fill->inverse, value->columns, 1.0, (float *)(void *)to);
		return 0;
	default:
		return rows_read(fill, scratch, value, &value->parts[0], 0, 1, (float *)(void *)to);
	}
}

static int item_fill(const struct fill *fill, struct fill_scratch *scratch,
		     const struct value *value, uint64_t begin, uint64_t end, uint8_t *to)
{
	size_t size = piece_bytes(value);
	uint64_t first = (begin > value->offset ? begin - value->offset : 0) / size, piece;

	for (piece = first; value->offset + piece * size < end && piece * size < value->bytes;
	     piece++) {
		uint64_t at = value->offset + piece * size, from = at < begin ? begin : at;
		uint64_t until = at + size > end ? end : at + size;
		bool whole = until - from == size;
		/* A row is at most as long as `rows`, which only a tile's source needs besides. */
		uint8_t *room = value->kind == VALUE_MATRIX ? scratch->tile
							    : (uint8_t *)scratch->rows;
		int err = piece_make(fill, scratch, value, (uint32_t)piece,
				     whole ? to + (at - begin) : room);

		if (err)
			return err;
		if (!whole)
			memcpy(to + (from - begin), room + (from - at), until - from);
	}
	return 0;
}

int fill_bytes(const struct fill *fill, struct fill_scratch *scratch, uint64_t begin, size_t bytes,
	       uint8_t *to)
{
	uint64_t end = begin + bytes;
	uint32_t i;

	memset(to, 0, bytes);
	for (i = 0; i < fill->count && fill->items[i]->offset < end; i++) {
		const struct value *value = fill->items[i];
		int err;

		if (value->offset + value->bytes <= begin)
			continue;
		err = item_fill(fill, scratch, value, begin, end, to);
		if (err)
			return err;
	}
	return 0;
}
