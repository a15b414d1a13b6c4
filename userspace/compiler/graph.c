// SPDX-License-Identifier: MIT
/*
 * Builds the graph of a Llama model, one node per operation of the architecture and nothing merged yet.
 * Called by compile_write(). It knows the architecture; the passes know the device.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph.h"

uint32_t tensor_rows(const struct compile_shape *shape, enum compile_tensor tensor)
{
	switch (tensor) {
	case COMPILE_EMBEDDING:
	case COMPILE_CLASSIFIER:
		return shape->vocabulary;
	case COMPILE_WQ:
		return shape->heads * shape->head_dim;
	case COMPILE_WK:
	case COMPILE_WV:
		return shape->kv_heads * shape->head_dim;
	case COMPILE_WO:
	case COMPILE_DOWN:
		return shape->dim;
	case COMPILE_GATE:
	case COMPILE_UP:
		return shape->hidden_dim;
	default:
		return 1;
	}
}

uint32_t tensor_columns(const struct compile_shape *shape, enum compile_tensor tensor)
{
	if (tensor == COMPILE_WO)
		return shape->heads * shape->head_dim;
	return tensor == COMPILE_DOWN ? shape->hidden_dim : shape->dim;
}

bool tensor_is_norm(enum compile_tensor tensor)
{
	return tensor == COMPILE_NORM_ATTENTION || tensor == COMPILE_NORM_FFN ||
	       tensor == COMPILE_NORM_FINAL;
}

uint64_t compile_parameters(const struct compile_shape *shape)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < COMPILE_TENSORS; i++) {
		uint64_t count = (uint64_t)tensor_rows(shape, i) * tensor_columns(shape, i);
		bool once = i == COMPILE_EMBEDDING || i == COMPILE_NORM_FINAL ||
			    i == COMPILE_CLASSIFIER;

		if (i != COMPILE_CLASSIFIER || !shape->tied)
			sum += once ? count : count * shape->layers;
	}
	return sum;
}

/* A failure is remembered in graph->short_of_memory and seen once, when the graph is complete. */
uint32_t graph_add_value(struct graph *graph, struct value value)
{
	if (graph->value_count == graph->value_room) {
		uint32_t room = graph->value_room ? graph->value_room * 2 : 256;
		struct value *values = realloc(graph->values, room * sizeof(*values));

		if (!values) {
			graph->short_of_memory = true;
			return 0;
		}
		graph->values = values;
		graph->value_room = room;
	}
	graph->values[graph->value_count] = value;
	return graph->value_count++;
}

static void node_add(struct graph *graph, struct node node)
{
	if (graph->node_count == graph->node_room) {
		uint32_t room = graph->node_room ? graph->node_room * 2 : 256;
		struct node *nodes = realloc(graph->nodes, room * sizeof(*nodes));

		if (!nodes) {
			graph->short_of_memory = true;
			return;
		}
		graph->nodes = nodes;
		graph->node_room = room;
	}
	graph->nodes[graph->node_count++] = node;
}

static uint32_t activation(struct graph *graph, uint8_t rows, uint32_t columns)
{
	return graph_add_value(graph, (struct value){ .kind = VALUE_ACTIVATION,
						      .rows = rows,
						      .columns = columns,
						      .base = GRAPH_NONE,
						      .format = AIPU_FMT_F32 });
}

static uint32_t weight(struct graph *graph, enum compile_tensor tensor, uint32_t layer)
{
	uint32_t rows = tensor_rows(&graph->shape, tensor);

	return graph_add_value(
		graph, (struct value){ .kind = tensor_is_norm(tensor) ? VALUE_NORM : VALUE_MATRIX,
				       .columns = tensor_columns(&graph->shape, tensor),
				       .base = GRAPH_NONE,
				       .part_count = 1,
				       .parts = { { tensor, layer, rows } } });
}

static uint32_t kv_plane(struct graph *graph, enum value_kind kind)
{
	return graph_add_value(graph, (struct value){ .kind = kind, .base = GRAPH_NONE });
}

static struct node node_of(uint8_t opcode, uint32_t dst, uint32_t a, uint32_t b)
{
	return (struct node){
		.opcode = opcode, .dst = dst, .a = a, .b = b, .c = GRAPH_NONE, .d = GRAPH_NONE
	};
}

/* dst's rows are those of a */
static uint32_t norm(struct graph *graph, uint32_t a, enum compile_tensor tensor, uint32_t layer,
		     uint8_t rows)
{
	uint32_t dst = activation(graph, rows, graph->shape.dim);
	struct node node = node_of(AIPU_OP_RMSNORM, dst, a, weight(graph, tensor, layer));

	node.f[0] = graph->shape.norm_epsilon;
	node_add(graph, node);
	return dst;
}

static uint32_t matmul(struct graph *graph, uint32_t a, enum compile_tensor tensor, uint32_t layer)
{
	uint32_t dst = activation(graph, AIPU_ROWS_TOKENS, tensor_rows(&graph->shape, tensor));

	node_add(graph, node_of(AIPU_OP_MATMUL, dst, a, weight(graph, tensor, layer)));
	return dst;
}

static uint32_t add(struct graph *graph, uint32_t a, uint32_t b)
{
	uint32_t dst = activation(graph, AIPU_ROWS_TOKENS, graph->shape.dim);

	node_add(graph, node_of(AIPU_OP_ADD, dst, a, b));
	return dst;
}

static uint32_t layer_build(struct graph *graph, uint32_t layer, uint32_t x, uint32_t table)
{
	const struct compile_shape *s = &graph->shape;
	uint32_t h = norm(graph, x, COMPILE_NORM_ATTENTION, layer, AIPU_ROWS_TOKENS);
	uint32_t q = matmul(graph, h, COMPILE_WQ, layer);
	uint32_t k = matmul(graph, h, COMPILE_WK, layer);
	uint32_t v = matmul(graph, h, COMPILE_WV, layer);
	uint32_t keys = kv_plane(graph, VALUE_KV_K), values = kv_plane(graph, VALUE_KV_V);
	uint32_t at = activation(graph, AIPU_ROWS_TOKENS, s->heads * s->head_dim), gate, up, g;
	struct node node;

	node = node_of(AIPU_OP_ROPE, q, table, GRAPH_NONE);
	node.u[0] = node.u[1] = s->head_dim;
	node_add(graph, node);
	node.dst = k;
	node_add(graph, node);

	node = node_of(AIPU_OP_KV_UPDATE, keys, k, v);
	node.d = values;
	node_add(graph, node);

	node = node_of(AIPU_OP_ATTENTION, at, q, keys);
	node.c = values;
	node.u[0] = s->heads;
	node.f[0] = (float)(1.0 / __builtin_sqrt((double)s->head_dim));
	node_add(graph, node);

	x = add(graph, x, matmul(graph, at, COMPILE_WO, layer));
	h = norm(graph, x, COMPILE_NORM_FFN, layer, AIPU_ROWS_TOKENS);
	gate = matmul(graph, h, COMPILE_GATE, layer);
	up = matmul(graph, h, COMPILE_UP, layer);
	g = activation(graph, AIPU_ROWS_TOKENS, s->hidden_dim);
	node = node_of(AIPU_OP_ACTIVATE, g, gate, up);
	node.u[0] = AIPU_ACTIVATION_SILU;
	node_add(graph, node);
	return add(graph, x, matmul(graph, g, COMPILE_DOWN, layer));
}

/*
 * Rows of the largest step. Entry "logits" takes as much memory as T * vocabulary floats: beyond
 * LOGITS_LIMIT it is cut to one lane's chunk, beyond that it is left out.
 */
#define LOGITS_LIMIT (64ull << 20)
static void bounds(struct graph *graph)
{
	const struct compile_options *o = &graph->options;
	uint64_t row = (uint64_t)graph->shape.vocabulary * sizeof(float);
	uint32_t one = o->prompt_len > o->batch_size ? o->prompt_len : o->batch_size;

	graph->max_tokens = o->prompt_len * o->batch_size;
	if (graph->max_tokens * row <= LOGITS_LIMIT)
		graph->max_logits = graph->max_tokens;
	else
		graph->max_logits = one * row <= LOGITS_LIMIT ? one : 0;
	graph->max_selected = graph->max_logits ? graph->max_logits : o->batch_size;
}

int graph_build(struct graph *graph, const struct compile_shape *shape,
		const struct compile_options *options)
{
	uint32_t embedding, table, x, selected, i;

	memset(graph, 0, sizeof(*graph));
	graph->shape = *shape;
	graph->options = *options;
	bounds(graph);
	embedding = weight(graph, COMPILE_EMBEDDING, 0);
	table = graph_add_value(graph, (struct value){ .kind = VALUE_ROPE,
						       .columns = shape->head_dim,
						       .base = GRAPH_NONE,
						       .format = AIPU_FMT_F32 });
	x = activation(graph, AIPU_ROWS_TOKENS, shape->dim);
	node_add(graph, node_of(AIPU_OP_EMBED, x, embedding, GRAPH_NONE));
	for (i = 0; i < shape->layers; i++)
		x = layer_build(graph, i, x, table);
	selected = activation(graph, AIPU_ROWS_SELECTED, shape->dim);
	node_add(graph, node_of(AIPU_OP_SELECT, selected, x, GRAPH_NONE));
	x = norm(graph, selected, COMPILE_NORM_FINAL, 0, AIPU_ROWS_SELECTED);
	graph->logits = graph_add_value(graph, (struct value){ .kind = VALUE_LOGITS,
							       .rows = AIPU_ROWS_SELECTED,
							       .columns = shape->vocabulary,
							       .base = GRAPH_NONE,
							       .format = AIPU_FMT_F32 });
	node_add(graph, node_of(AIPU_OP_MATMUL, graph->logits, x,
				shape->tied ? embedding : weight(graph, COMPILE_CLASSIFIER, 0)));
	return graph->short_of_memory ? -ENOMEM : 0;
}

void graph_free(struct graph *graph)
{
	free(graph->values);
	free(graph->nodes);
	memset(graph, 0, sizeof(*graph));
}
