// SPDX-License-Identifier: MIT
/*
 * The passes over the graph, each named in graph.h. Called by compile_write(), in the order in which they stand
 * there. None looks at weights' values.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aipu_numerics.h"
#include "graph.h"

static uint64_t align_up(uint64_t value, uint64_t step)
{
	return (value + step - 1) / step * step;
}

uint32_t graph_owner(const struct graph *graph, uint32_t value, uint32_t *column)
{
	*column = 0;
	while (graph->values[value].base != GRAPH_NONE) {
		*column += graph->values[value].first_column;
		value = graph->values[value].base;
	}
	return value;
}

uint32_t value_stored_rows(const struct value *value)
{
	uint32_t rows = 0, i;

	for (i = 0; i < value->part_count; i++)
		rows = (uint32_t)align_up(rows, AIPU_LANES) + value->parts[i].rows;
	return rows;
}

static bool node_reads(const struct node *node, uint32_t value)
{
	return node->a == value || node->b == value || node->c == value ||
	       (node->opcode == AIPU_OP_ROPE && node->dst == value);
}

/*
 * Products of one input become one product with the weights' rows one after another; each result is then a
 * stretch of the columns. Parts begin on a tile of their own, so padding rows of zeros may lie between them.
 */
int graph_fuse_matmuls(struct graph *graph)
{
	uint32_t i, j;

	for (i = 0; i < graph->node_count; i++) {
		struct node *first = &graph->nodes[i];
		uint32_t joined, column = 0;

		if (first->opcode != AIPU_OP_MATMUL || i + 1 == graph->node_count ||
		    first[1].opcode != AIPU_OP_MATMUL || first[1].a != first->a)
			continue;
		joined = graph_add_value(graph, (struct value){ .kind = VALUE_ACTIVATION,
								.rows = AIPU_ROWS_TOKENS,
								.base = GRAPH_NONE,
								.format = AIPU_FMT_F32 });
		if (graph->short_of_memory)
			return -ENOMEM;
		for (j = i; j < graph->node_count; j++) {
			struct node *node = &graph->nodes[j];
			struct value *w = &graph->values[first->b],
				     *dst = &graph->values[node->dst];

			if (node->opcode != AIPU_OP_MATMUL || node->a != first->a ||
			    w->part_count == VALUE_MAX_PARTS)
				break;
			if (j > i) {
				w->parts[w->part_count++] = graph->values[node->b].parts[0];
				graph->values[node->b].part_count = 0;
				node->dead = true;
			}
			column = (uint32_t)align_up(column, AIPU_LANES);
			dst->base = joined;
			dst->first_column = column;
			column += dst->columns;
		}
		graph->values[joined].columns = column;
		first->dst = joined;
		i = j - 1;
	}
	return 0;
}

/* x + product, where nobody wants the old x any more: the product is added into x's place */
void graph_fuse_adds(struct graph *graph)
{
	uint32_t i, j;

	for (i = 1; i < graph->node_count; i++) {
		struct node *sum = &graph->nodes[i], *product = sum - 1;
		bool wanted = false;

		if (sum->opcode != AIPU_OP_ADD || product->opcode != AIPU_OP_MATMUL ||
		    product->dead || product->dst != sum->b || product->epilogue)
			continue;
		for (j = i + 1; j < graph->node_count; j++)
			wanted |= node_reads(&graph->nodes[j], sum->a) ||
				  node_reads(&graph->nodes[j], sum->b);
		if (wanted)
			continue;
		graph->values[sum->dst].base = sum->a;
		product->dst = sum->dst;
		product->epilogue = AIPU_EPILOGUE_ADD;
		sum->dead = true;
	}
}

void graph_choose_formats(struct graph *graph)
{
	enum aipu_qpc_precision precision = graph->options.precision;
	uint32_t format = precision == AIPU_PRECISION_FP32   ? AIPU_FMT_F32
			  : precision == AIPU_PRECISION_FP16 ? AIPU_FMT_F16
							     : AIPU_FMT_I8_G32;
	uint32_t i;

	for (i = 0; i < graph->value_count; i++) {
		struct value *value = &graph->values[i];

		if (value->kind == VALUE_MATRIX)
			value->format = format;
		else if (value->kind == VALUE_KV_K || value->kind == VALUE_KV_V)
			value->format = graph->options.kv_format;
		else
			value->format = AIPU_FMT_F32;
	}
	for (i = 0; i < graph->node_count; i++)
		if (graph->nodes[i].opcode == AIPU_OP_MATMUL)
			graph->nodes[i].activation_format = precision == AIPU_PRECISION_INT8
								    ? AIPU_ACT_DYNAMIC_I8_G32
								    : AIPU_ACT_PLAIN;
}

static void place(struct graph *graph, struct value *value, enum graph_slot slot)
{
	value->slot = slot;
	value->offset = align_up(graph->slot_bytes[slot], 64);
	value->placed = true;
	graph->slot_bytes[slot] = value->offset + value->bytes;
}

/* Norms and the rotary table go to CONSTANTS while that section stays below its limit, else to WEIGHTS. */
#define CONSTANTS_LIMIT (1ull << 20)
static void place_constant(struct graph *graph, struct value *value)
{
	uint64_t end = align_up(graph->slot_bytes[SLOT_CONSTANTS], 64) + value->bytes;

	place(graph, value, end < CONSTANTS_LIMIT ? SLOT_CONSTANTS : SLOT_WEIGHTS);
}

void graph_place_weights(struct graph *graph)
{
	uint32_t i;

	for (i = 0; i < graph->value_count; i++) {
		struct value *value = &graph->values[i];

		if (value->kind == VALUE_NORM) {
			value->stride = value->bytes = (uint64_t)value->columns * sizeof(float);
			place_constant(graph, value);
		} else if (value->kind == VALUE_MATRIX && value->part_count) {
			value->bytes = aipu_weight_bytes(value->format, value_stored_rows(value),
							 value->columns);
			place(graph, value, SLOT_WEIGHTS);
		}
	}
	for (i = 0; i < graph->value_count; i++) {
		struct value *value = &graph->values[i];

		if (value->kind != VALUE_ROPE)
			continue;
		value->stride = (uint64_t)value->columns * sizeof(float);
		value->bytes = value->stride * graph->options.ctx_len;
		place_constant(graph, value);
	}
}

/* All planes of one lane lie together, so that a lane's cache is one stretch of memory. */
void graph_place_kv(struct graph *graph)
{
	const struct compile_shape *s = &graph->shape;
	uint64_t elements = (uint64_t)s->kv_heads * s->head_dim * graph->options.ctx_len;
	uint64_t plane = elements * (graph->options.kv_format == AIPU_FMT_F32 ? 4 : 2);
	uint32_t i;

	for (i = 0; i < graph->value_count; i++) {
		struct value *value = &graph->values[i];

		if (value->kind != VALUE_KV_K && value->kind != VALUE_KV_V)
			continue;
		value->bytes = plane;
		place(graph, value, SLOT_KV);
	}
	graph->kv_slot_bytes = align_up(graph->slot_bytes[SLOT_KV], AIPU_PAGE_BYTES);
	graph->slot_bytes[SLOT_KV] = graph->kv_slot_bytes * graph->options.batch_size;
	for (i = 0; i < graph->value_count; i++)
		if (graph->values[i].slot == SLOT_KV && graph->values[i].placed)
			graph->values[i].stride = graph->kv_slot_bytes;
}

struct life {
	uint32_t first, last; /* nodes; first > last: never used */
};

static void life_extend(const struct graph *graph, struct life *lives, uint32_t value,
			uint32_t node)
{
	uint32_t column, owner;

	if (value == GRAPH_NONE)
		return;
	owner = graph_owner(graph, value, &column);
	if (lives[owner].first > node)
		lives[owner].first = node;
	lives[owner].last = node;
}

/* The lowest place that is free throughout the value's life; values placed before it have smaller indices. */
static uint64_t find_room(const struct graph *graph, const struct life *lives, uint32_t index)
{
	const struct value *value = &graph->values[index];
	uint64_t offset = 0;
	bool moved;
	uint32_t i;

	do {
		moved = false;
		for (i = 0; i < graph->value_count; i++) {
			const struct value *other = &graph->values[i];

			if (i == index || !other->placed || other->kind != VALUE_ACTIVATION ||
			    lives[i].first > lives[index].last ||
			    lives[i].last < lives[index].first ||
			    offset + value->bytes <= other->offset ||
			    other->offset + other->bytes <= offset)
				continue;
			offset = align_up(other->offset + other->bytes, 64);
			moved = true;
		}
	} while (moved);
	return offset;
}

int graph_place_scratch(struct graph *graph)
{
	struct life *lives = calloc(graph->value_count, sizeof(*lives));
	uint32_t i;

	if (!lives)
		return -ENOMEM;
	for (i = 0; i < graph->value_count; i++)
		lives[i].first = GRAPH_NONE;
	for (i = 0; i < graph->node_count; i++) {
		const struct node *node = &graph->nodes[i];

		if (node->dead)
			continue;
		life_extend(graph, lives, node->dst, i);
		life_extend(graph, lives, node->a, i);
		life_extend(graph, lives, node->b, i);
		life_extend(graph, lives, node->c, i);
		life_extend(graph, lives, node->d, i);
	}
	for (i = 0; i < graph->value_count; i++) {
		struct value *value = &graph->values[i];
		uint32_t rows = value->rows == AIPU_ROWS_SELECTED ? graph->max_selected
								  : graph->max_tokens;

		if (value->kind == VALUE_LOGITS) {
			value->stride = (uint64_t)value->columns * sizeof(float);
			value->bytes = value->stride * rows;
			place(graph, value, SLOT_LOGITS);
		} else if (value->kind == VALUE_ACTIVATION && value->base == GRAPH_NONE &&
			   lives[i].first != GRAPH_NONE) {
			value->stride = align_up((uint64_t)value->columns * sizeof(float), 64);
			value->bytes = value->stride * rows;
			value->slot = SLOT_SCRATCH;
			value->offset = find_room(graph, lives, i);
			value->placed = true;
			if (graph->slot_bytes[SLOT_SCRATCH] < value->offset + value->bytes)
				graph->slot_bytes[SLOT_SCRATCH] = value->offset + value->bytes;
		}
	}
	free(lives);
	return 0;
}
