// SPDX-License-Identifier: MIT
/*
 * Writes a graph whose values have places as a program image (aipu_program.h). Called by compile_write(). All
 * entries share one instruction stream: T and S are the step's own, tensors are as large as the largest entry.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph.h"

struct emitter {
	const struct graph *graph;
	struct aipu_tensor *tensors;
	uint32_t tensor_count;
	uint32_t *tensor_of; /* [value]; GRAPH_NONE: none yet */
};

static struct aipu_tensor tensor_describe(const struct graph *graph, uint32_t index)
{
	const struct value *value = &graph->values[index], *owner;
	const struct compile_shape *s = &graph->shape;
	struct aipu_tensor t = { .format = (uint8_t)value->format };
	uint32_t column;

	owner = &graph->values[graph_owner(graph, index, &column)];
	t.slot = (uint16_t)owner->slot;
	t.offset = owner->offset + column * sizeof(float);
	t.stride = owner->stride;
	t.layout = AIPU_LAYOUT_ROWS;
	t.dims[0] = 1;
	t.dims[1] = value->columns;
	t.dims[2] = t.dims[3] = 1;
	switch (value->kind) {
	case VALUE_ACTIVATION:
	case VALUE_LOGITS:
		t.rows = value->rows;
		t.dims[0] = value->rows == AIPU_ROWS_SELECTED ? graph->max_selected
							      : graph->max_tokens;
		break;
	case VALUE_MATRIX:
		t.layout = AIPU_LAYOUT_TILE16;
		t.dims[0] = value_stored_rows(value);
		t.stride = 0;
		break;
	case VALUE_ROPE:
		t.dims[0] = graph->options.ctx_len;
		break;
	case VALUE_NORM:
		break;
	case VALUE_KV_K:
	case VALUE_KV_V:
		t.layout = value->kind == VALUE_KV_K ? AIPU_LAYOUT_KV_K : AIPU_LAYOUT_KV_V;
		t.dims[0] = graph->options.batch_size;
		t.dims[1] = s->kv_heads;
		t.dims[2] = s->head_dim;
		t.dims[3] = graph->options.ctx_len;
		break;
	}
	return t;
}

/* Activations of different layers often lie in the same place: they share a tensor. */
static uint16_t tensor_index(struct emitter *e, uint32_t value)
{
	struct aipu_tensor t;
	uint32_t i = 0;

	if (value == GRAPH_NONE)
		return AIPU_NO_TENSOR;
	if (e->tensor_of[value] != GRAPH_NONE)
		return (uint16_t)e->tensor_of[value];
	t = tensor_describe(e->graph, value);
	if (e->graph->values[value].kind != VALUE_ACTIVATION)
		i = e->tensor_count;
	while (i < e->tensor_count && memcmp(&e->tensors[i], &t, sizeof(t)))
		i++;
	if (i == e->tensor_count)
		e->tensors[e->tensor_count++] = t;
	e->tensor_of[value] = i;
	return (uint16_t)i;
}

static uint32_t float_bits(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static struct aipu_instruction instruction(struct emitter *e, const struct node *node)
{
	struct aipu_instruction in = { .opcode = node->opcode,
				       .activation_format = node->activation_format,
				       .epilogue = node->epilogue };
	int i;

	in.dst = tensor_index(e, node->dst);
	in.a = tensor_index(e, node->a);
	in.b = tensor_index(e, node->b);
	in.c = tensor_index(e, node->c);
	in.d = tensor_index(e, node->d);
	for (i = 0; i < 4; i++) {
		in.u[i] = node->u[i];
		in.f[i] = float_bits(node->f[i]);
	}
	return in;
}

static void slots_describe(const struct graph *graph, struct aipu_slot *slots)
{
	static const struct {
		uint8_t kind, access;
		char name[16];
	} what[SLOT_COUNT] = {
		[SLOT_WEIGHTS] = { AIPU_SLOT_WEIGHTS, 1, "weights" },
		[SLOT_CONSTANTS] = { AIPU_SLOT_CONSTANTS, 1, "constants" },
		[SLOT_KV] = { AIPU_SLOT_KV, 3, "kv" },
		[SLOT_SCRATCH] = { AIPU_SLOT_SCRATCH, 3, "scratch" },
		[SLOT_LOGITS] = { AIPU_SLOT_LOGITS, 3, "logits" },
	};
	int i;

	for (i = 0; i < SLOT_COUNT; i++) {
		slots[i].kind = what[i].kind;
		slots[i].access = what[i].access; /* AIPU_ACCESS_READ, AIPU_ACCESS_WRITE */
		slots[i].min_bytes = graph->slot_bytes[i];
		memcpy(slots[i].name, what[i].name, sizeof(what[i].name));
	}
}

static uint32_t entries_describe(const struct graph *graph, uint32_t instructions, uint16_t logits,
				 struct aipu_entry *entries)
{
	static const char names[3][16] = { "prefill", "decode", "logits" };
	uint32_t batch = graph->options.batch_size, count = graph->max_logits ? 3 : 2, i;

	for (i = 0; i < count; i++) {
		struct aipu_entry *entry = &entries[i];

		memcpy(entry->name, names[i], sizeof(names[i]));
		entry->instruction_count = instructions;
		entry->max_tokens = i == 1 ? batch : graph->max_tokens;
		entry->max_lanes = batch;
		entry->max_selected = i == 2 ? graph->max_logits : batch;
		entry->ctx_len = graph->options.ctx_len;
		entry->logits = logits;
		entry->input = entry->hidden = AIPU_NO_TENSOR;
	}
	return count;
}

static int image_write(struct emitter *e, const struct aipu_instruction *code, uint32_t count,
		       uint64_t operations, void **image, size_t *bytes)
{
	struct aipu_entry entries[3] = { 0 };
	struct aipu_slot slots[SLOT_COUNT] = { 0 };
	struct aipu_program_header header = { 0 };
	uint16_t logits = tensor_index(e, e->graph->logits);
	uint32_t entry_count = entries_describe(e->graph, count, logits, entries);
	size_t tensors = e->tensor_count * sizeof(*e->tensors), codes = count * sizeof(*code);
	uint8_t *to;

	slots_describe(e->graph, slots);
	*bytes = sizeof(header) + sizeof(slots) + tensors + entry_count * sizeof(*entries) + codes;
	if (*bytes > UINT32_MAX)
		return -E2BIG;
	to = malloc(*bytes);
	if (!to)
		return -ENOMEM;
	*image = to;
	header.magic = AIPU_PROGRAM_MAGIC;
	header.header_bytes = sizeof(header);
	header.abi_oldest = AIPU_ABI_OLDEST;
	header.abi_newest = AIPU_ABI_CURRENT;
	header.image_bytes = (uint32_t)*bytes;
	header.numerics = AIPU_NUMERICS_1;
	header.operations = operations;
	header.slot_count = SLOT_COUNT;
	header.tensor_count = e->tensor_count;
	header.entry_count = entry_count;
	header.instruction_count = count;
	header.vocabulary = e->graph->shape.vocabulary;
	header.kv_kind = AIPU_KV_SMART_MASK;
	header.kv_slots = e->graph->options.batch_size;
	header.world = 1;
	memcpy(to, &header, sizeof(header));
	to += sizeof(header);
	memcpy(to, slots, sizeof(slots));
	to += sizeof(slots);
	memcpy(to, e->tensors, tensors);
	to += tensors;
	memcpy(to, entries, entry_count * sizeof(*entries));
	to += entry_count * sizeof(*entries);
	memcpy(to, code, codes);
	return 0;
}

int graph_emit(const struct graph *graph, void **image, size_t *bytes)
{
	struct emitter e = { .graph = graph };
	struct aipu_instruction *code = calloc(graph->node_count, sizeof(*code));
	uint64_t operations = 0;
	uint32_t count = 0, i;
	int err = -ENOMEM;

	e.tensors = calloc(graph->value_count, sizeof(*e.tensors));
	e.tensor_of = malloc(graph->value_count * sizeof(*e.tensor_of));
	if (code && e.tensors && e.tensor_of) {
		memset(e.tensor_of, 0xff, graph->value_count * sizeof(*e.tensor_of));
		for (i = 0; i < graph->node_count; i++) {
			if (graph->nodes[i].dead)
				continue;
			operations |= 1ull << graph->nodes[i].opcode;
			code[count++] = instruction(&e, &graph->nodes[i]);
		}
		err = e.tensor_count > AIPU_MAX_TENSORS
			      ? -E2BIG
			      : image_write(&e, code, count, operations, image, bytes);
	}
	free(code);
	free(e.tensors);
	free(e.tensor_of);
	return err;
}
