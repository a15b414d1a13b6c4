// SPDX-License-Identifier: MIT
/*
 * See program.h.
 */
#include "program.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "aipu_program.h"
#include "names.h"

struct tables {
	const struct aipu_program_header *header;
	const struct aipu_slot *slots;
	const struct aipu_tensor *tensors;
	const struct aipu_entry *entries;
	const struct aipu_instruction *code;
};

static bool tables_find(const void *image, size_t bytes, struct tables *t)
{
	const struct aipu_program_header *h = image;
	uint64_t need = sizeof(*h);

	if (bytes < need || h->magic != AIPU_PROGRAM_MAGIC || h->header_bytes != sizeof(*h))
		return false;
	need += (uint64_t)h->slot_count * sizeof(*t->slots) +
		(uint64_t)h->tensor_count * sizeof(*t->tensors) +
		(uint64_t)h->entry_count * sizeof(*t->entries) +
		(uint64_t)h->instruction_count * sizeof(*t->code);
	if (need != bytes)
		return false;
	t->header = h;
	t->slots = (const struct aipu_slot *)(h + 1);
	t->tensors = (const struct aipu_tensor *)(t->slots + h->slot_count);
	t->entries = (const struct aipu_entry *)(t->tensors + h->tensor_count);
	t->code = (const struct aipu_instruction *)(t->entries + h->entry_count);
	return true;
}

static float real(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static const char *slot_name(const struct tables *t, uint32_t slot)
{
	return slot < t->header->slot_count && !t->slots[slot].name[sizeof(t->slots[slot].name) - 1]
		       ? t->slots[slot].name
		       : "?";
}

static json_t *operand(uint16_t tensor)
{
	return tensor == AIPU_NO_TENSOR ? json_null() : json_integer(tensor);
}

static json_t *tensor_describe(const struct tables *t, const struct aipu_tensor *x)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:[I,I,I,I]}", "slot",
			 slot_name(t, x->slot), "format", format_name(x->format), "layout",
			 layout_name(x->layout), "rows", rows_name(x->rows), "offset",
			 (json_int_t)x->offset, "stride", (json_int_t)x->stride, "dims",
			 (json_int_t)x->dims[0], (json_int_t)x->dims[1], (json_int_t)x->dims[2],
			 (json_int_t)x->dims[3]);
}

static json_t *instruction_describe(const struct aipu_instruction *in)
{
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:s, s:b, s:[I,I,I,I], s:[f,f,f,f]}",
			 "opcode", opcode_name(in->opcode), "dst", operand(in->dst), "a",
			 operand(in->a), "b", operand(in->b), "c", operand(in->c), "d",
			 operand(in->d), "activations",
			 activation_format_name(in->activation_format), "add",
			 (int)(in->epilogue & AIPU_EPILOGUE_ADD), "u", (json_int_t)in->u[0],
			 (json_int_t)in->u[1], (json_int_t)in->u[2], (json_int_t)in->u[3], "f",
			 (double)real(in->f[0]), (double)real(in->f[1]), (double)real(in->f[2]),
			 (double)real(in->f[3]));
}

json_t *program_describe(const void *image, size_t bytes, bool code)
{
	json_t *root, *slots, *entries, *list;
	struct tables t;
	uint32_t i;

	if (!tables_find(image, bytes, &t))
		return NULL;
	slots = json_array();
	for (i = 0; i < t.header->slot_count; i++)
		json_array_append_new(slots,
				      json_pack("{s:s, s:s, s:i, s:I}", "name", slot_name(&t, i),
						"kind", slot_kind_name(t.slots[i].kind), "access",
						(int)t.slots[i].access, "bytes",
						(json_int_t)t.slots[i].min_bytes));
	entries = json_array();
	for (i = 0; i < t.header->entry_count; i++) {
		const struct aipu_entry *e = &t.entries[i];
		char name[sizeof(e->name) + 1] = "";

		memcpy(name, e->name, sizeof(e->name));
		json_array_append_new(
			entries,
			json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "name", name,
				  "first_instruction", (json_int_t)e->first_instruction,
				  "instructions", (json_int_t)e->instruction_count, "max_tokens",
				  (json_int_t)e->max_tokens, "max_lanes", (json_int_t)e->max_lanes,
				  "max_selected", (json_int_t)e->max_selected, "ctx_len",
				  (json_int_t)e->ctx_len));
	}
	root = json_pack("{s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "bytes", (json_int_t)bytes,
			 "numerics", (json_int_t)t.header->numerics, "vocabulary",
			 (json_int_t)t.header->vocabulary, "tensors",
			 (json_int_t)t.header->tensor_count, "instructions",
			 (json_int_t)t.header->instruction_count, "slots", slots, "entries",
			 entries);
	if (!code || !root)
		return root;
	list = json_array();
	for (i = 0; i < t.header->tensor_count; i++)
		json_array_append_new(list, tensor_describe(&t, &t.tensors[i]));
	json_object_set_new(root, "tensor_table", list);
	list = json_array();
	for (i = 0; i < t.header->instruction_count; i++)
		json_array_append_new(list, instruction_describe(&t.code[i]));
	json_object_set_new(root, "code", list);
	return root;
}

static void operand_print(const struct tables *t, const char *role, uint16_t index)
{
	const struct aipu_tensor *x = &t->tensors[index];

	if (index == AIPU_NO_TENSOR)
		return;
	if (index >= t->header->tensor_count) {
		printf(" %s=t%u?", role, index);
		return;
	}
	printf(" %s=t%u:%s+0x%" PRIx64 "[", role, index, slot_name(t, x->slot), x->offset);
	if (x->rows == AIPU_ROWS_TOKENS)
		printf("T,%u]", x->dims[1]);
	else if (x->rows == AIPU_ROWS_SELECTED)
		printf("S,%u]", x->dims[1]);
	else if (x->layout == AIPU_LAYOUT_KV_K || x->layout == AIPU_LAYOUT_KV_V)
		printf("%u,%u,%u,%u]%s", x->dims[0], x->dims[1], x->dims[2], x->dims[3],
		       format_name(x->format));
	else
		printf("%u,%u]%s", x->dims[0], x->dims[1], format_name(x->format));
}

static void instruction_print(const struct tables *t, uint32_t index)
{
	const struct aipu_instruction *in = &t->code[index];
	int i;

	printf("%6u  %-9s", index, opcode_name(in->opcode));
	operand_print(t, "dst", in->dst);
	operand_print(t, "a", in->a);
	operand_print(t, "b", in->b);
	operand_print(t, "c", in->c);
	operand_print(t, "d", in->d);
	if (in->activation_format)
		printf(" act=%s", activation_format_name(in->activation_format));
	if (in->epilogue & AIPU_EPILOGUE_ADD)
		printf(" add");
	for (i = 0; i < 4; i++)
		if (in->u[i])
			printf(" u%d=%u", i, in->u[i]);
	for (i = 0; i < 4; i++)
		if (in->f[i])
			printf(" f%d=%.9g", i, (double)real(in->f[i]));
	putchar('\n');
}

bool program_print(const void *image, size_t bytes, bool code)
{
	struct tables t;
	uint32_t i;

	if (!tables_find(image, bytes, &t))
		return false;
	printf("program: %zu bytes, numerics %u, %u tensors, %u instructions\n", bytes,
	       t.header->numerics, t.header->tensor_count, t.header->instruction_count);
	for (i = 0; i < t.header->slot_count; i++)
		printf("  slot %u: %-10s %-10s %s%s %" PRIu64 " bytes\n", i, slot_name(&t, i),
		       slot_kind_name(t.slots[i].kind), t.slots[i].access & 1 ? "r" : "-",
		       t.slots[i].access & 2 ? "w" : "-", t.slots[i].min_bytes);
	for (i = 0; i < t.header->entry_count; i++) {
		const struct aipu_entry *e = &t.entries[i];

		printf("  entry %u: %-10.32s instructions %u+%u, tokens %u, lanes %u, selected %u, "
		       "context %u\n",
		       i, e->name, e->first_instruction, e->instruction_count, e->max_tokens,
		       e->max_lanes, e->max_selected, e->ctx_len);
	}
	for (i = 0; code && i < t.header->instruction_count; i++)
		instruction_print(&t, i);
	return true;
}
