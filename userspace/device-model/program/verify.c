// SPDX-License-Identifier: MIT
/*
 * The verifier, tables half: header, slots, tensors, entries. Called once for each loaded program,
 * before anything of it is executed; what it accepts is safe for every lane table that lanes.c
 * accepts. It must never read outside the image, and its work is linear in the image's size times
 * the entries.
 */
#include <stdlib.h>
#include <string.h>

#include "program/program.h"

#define TENSOR_ALIGN 64u

unsigned int verifier_refuse(struct verifier *v, unsigned int status, enum aipu_refusal reason,
			     uint32_t index)
{
	*v->detail = AIPU_REFUSAL(reason, index);
	return status;
}

static unsigned int malformed(struct verifier *v, enum aipu_refusal reason, uint32_t index)
{
	return verifier_refuse(v, AIPU_STATUS_INVALID_PROGRAM, reason, index);
}

static unsigned int not_offered(struct verifier *v, enum aipu_refusal reason, uint32_t index)
{
	return verifier_refuse(v, AIPU_STATUS_UNSUPPORTED, reason, index);
}

unsigned int verifier_capability(struct verifier *v, uint64_t capability, uint32_t index)
{
	if (!(v->limits->capabilities & capability))
		return not_offered(v, AIPU_REFUSAL_CAPABILITY, index);
	if (!(v->program->header->capabilities & capability))
		return malformed(v, AIPU_REFUSAL_CAPABILITY, index);
	return AIPU_STATUS_OK;
}

static bool bit_set(uint64_t mask, uint32_t bit)
{
	return bit < 64 && (mask >> bit & 1);
}

static bool all_zero(const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

/* Padded with zeros, ends with one */
static bool name_valid(const char *name, size_t n)
{
	size_t length = strnlen(name, n);

	return length < n && all_zero(name + length, n - length);
}

/* --- header ----------------------------------------------------------------------------------- */

static unsigned int header_verify(struct verifier *v, size_t bytes)
{
	struct dm_program *p = v->program;
	const struct dm_limits *limits = v->limits;
	const struct aipu_program_header *h = p->image;
	const uint64_t known_ops = (1ull << AIPU_OP_COUNT) - 1;
	uint64_t need;

	if (bytes < sizeof(*h))
		return malformed(v, AIPU_REFUSAL_SIZE, 0);
	p->header = h;
	if (h->magic != AIPU_PROGRAM_MAGIC || h->header_bytes != sizeof(*h))
		return malformed(v, AIPU_REFUSAL_HEADER, 0);
	if (h->abi_oldest > h->abi_newest)
		return malformed(v, AIPU_REFUSAL_HEADER, 0);
	if (h->abi_oldest > limits->abi_newest || h->abi_newest < limits->abi_oldest)
		return not_offered(v, AIPU_REFUSAL_VERSION, 0);
	if (h->reserved0 || !all_zero(h->reserved, sizeof(h->reserved)))
		return malformed(v, AIPU_REFUSAL_RESERVED, 0);
	if (!bit_set(limits->numerics, h->numerics))
		return not_offered(v, AIPU_REFUSAL_NUMERICS, 0);
	if (!h->slot_count || h->slot_count > AIPU_MAX_SLOTS || !h->tensor_count ||
	    h->tensor_count > AIPU_MAX_TENSORS || !h->entry_count ||
	    h->entry_count > AIPU_MAX_ENTRIES || !h->instruction_count)
		return malformed(v, AIPU_REFUSAL_HEADER, 0);
	need = sizeof(*h) + (uint64_t)h->slot_count * sizeof(struct aipu_slot) +
	       (uint64_t)h->tensor_count * sizeof(struct aipu_tensor) +
	       (uint64_t)h->entry_count * sizeof(struct aipu_entry) +
	       (uint64_t)h->instruction_count * sizeof(struct aipu_instruction);
	if (h->image_bytes != bytes || need != bytes || bytes > limits->max_program_bytes)
		return malformed(v, AIPU_REFUSAL_SIZE, 0);
	if (h->operations & ~known_ops)
		return malformed(v, AIPU_REFUSAL_OPCODE, 0);
	if (h->operations & ~limits->operations & ~(1ull << AIPU_OP_END))
		return not_offered(v, AIPU_REFUSAL_OPCODE, 0);
	if (h->capabilities & ~limits->capabilities)
		return not_offered(v, AIPU_REFUSAL_CAPABILITY, 0);
	if (h->rank >= h->world || h->kv_kind >= AIPU_KV_COUNT ||
	    (h->kv_kind == AIPU_KV_NONE) != (h->kv_slots == 0))
		return malformed(v, AIPU_REFUSAL_HEADER, 0);
	/* Only smart mask has an executor, whatever the registers say */
	if (h->world != 1 || h->kv_kind > AIPU_KV_SMART_MASK ||
	    (h->kv_kind != AIPU_KV_NONE && !bit_set(limits->kv_kinds, h->kv_kind)))
		return not_offered(v, AIPU_REFUSAL_CAPABILITY, 0);

	p->slots = (const void *)(h + 1);
	p->tensors = (const void *)(p->slots + h->slot_count);
	p->entries = (const void *)(p->tensors + h->tensor_count);
	p->instructions = (const void *)(p->entries + h->entry_count);
	return AIPU_STATUS_OK;
}

static unsigned int slot_verify(struct verifier *v, uint32_t index)
{
	const struct aipu_slot *s = &v->program->slots[index];

	if (s->reserved0 || s->reserved1)
		return malformed(v, AIPU_REFUSAL_RESERVED, index);
	if (s->kind < AIPU_SLOT_WEIGHTS || s->kind > AIPU_SLOT_OUTPUT ||
	    s->access & ~(AIPU_ACCESS_READ | AIPU_ACCESS_WRITE) ||
	    !name_valid(s->name, sizeof(s->name)))
		return malformed(v, AIPU_REFUSAL_SLOT, index);
	return AIPU_STATUS_OK;
}

/* --- tensors ---------------------------------------------------------------------------------- */

/* Bytes of an element where elements lie side by side; 0 for a format that is no such */
static uint64_t element_bytes(uint32_t format)
{
	switch (format) {
	case AIPU_FMT_F32:
		return 4;
	case AIPU_FMT_F16:
	case AIPU_FMT_BF16:
		return 2;
	default:
		return 0;
	}
}

static unsigned int rows_extent(struct verifier *v, uint32_t index, uint64_t *extent)
{
	const struct aipu_tensor *t = &v->program->tensors[index];
	uint64_t element = element_bytes(t->format), row, before;

	if (!element)
		return malformed(v, AIPU_REFUSAL_FORMAT, index);
	if (t->format != AIPU_FMT_F32 && !bit_set(v->limits->formats, t->format))
		return not_offered(v, AIPU_REFUSAL_FORMAT, index);
	row = element * t->dims[1];
	/* Rows never overlap: cores write rows of one tensor at the same time */
	if (t->dims[2] != 1 || t->dims[3] != 1 || t->rows > AIPU_ROWS_SELECTED || t->stride % 4 ||
	    (t->dims[0] > 1 && t->stride < row))
		return malformed(v, AIPU_REFUSAL_TENSOR, index);
	if (__builtin_mul_overflow((uint64_t)t->dims[0] - 1, t->stride, &before) ||
	    __builtin_add_overflow(before, row, extent))
		return malformed(v, AIPU_REFUSAL_TENSOR_RANGE, index);
	return AIPU_STATUS_OK;
}

static unsigned int tile_extent(struct verifier *v, uint32_t index, uint64_t *extent)
{
	const struct aipu_tensor *t = &v->program->tensors[index];

	if (!bit_set(v->limits->formats, t->format))
		return not_offered(v, AIPU_REFUSAL_FORMAT, index);
	if (t->dims[2] != 1 || t->dims[3] != 1 || t->rows != AIPU_ROWS_FIXED || t->stride)
		return malformed(v, AIPU_REFUSAL_TENSOR, index);
	*extent = aipu_weight_bytes(t->format, t->dims[0], t->dims[1]);
	if (!*extent)
		return not_offered(v, AIPU_REFUSAL_FORMAT, index);
	return AIPU_STATUS_OK;
}

static unsigned int kv_extent(struct verifier *v, uint32_t index, uint64_t *extent)
{
	const struct aipu_tensor *t = &v->program->tensors[index];
	uint64_t element = element_bytes(t->format), slot = element, before;

	if (!bit_set(v->limits->kv_formats, t->format))
		return not_offered(v, AIPU_REFUSAL_FORMAT, index);
	if (t->format != AIPU_FMT_F32 && t->format != AIPU_FMT_F16)
		return not_offered(v, AIPU_REFUSAL_FORMAT, index);
	if (t->rows != AIPU_ROWS_FIXED || t->dims[2] > AIPU_MAX_HEAD_DIM)
		return malformed(v, AIPU_REFUSAL_TENSOR, index);
	for (unsigned int i = 1; i < 4; i++)
		if (__builtin_mul_overflow(slot, (uint64_t)t->dims[i], &slot))
			return malformed(v, AIPU_REFUSAL_TENSOR_RANGE, index);
	/* Slots never overlap: lanes do not disturb each other */
	if (t->stride % element || (t->dims[0] > 1 && t->stride < slot))
		return malformed(v, AIPU_REFUSAL_TENSOR, index);
	if (__builtin_mul_overflow((uint64_t)t->dims[0] - 1, t->stride, &before) ||
	    __builtin_add_overflow(before, slot, extent))
		return malformed(v, AIPU_REFUSAL_TENSOR_RANGE, index);
	return AIPU_STATUS_OK;
}

static unsigned int tensor_verify(struct verifier *v, uint32_t index)
{
	const struct aipu_tensor *t = &v->program->tensors[index];
	uint64_t *extent = &v->program->extents[index], end;
	unsigned int status;

	if (!all_zero(t->reserved0, sizeof(t->reserved0)) || t->reserved1)
		return malformed(v, AIPU_REFUSAL_RESERVED, index);
	if (t->slot >= v->program->header->slot_count || t->format == AIPU_FMT_NONE ||
	    t->format >= AIPU_FMT_COUNT || t->layout < AIPU_LAYOUT_ROWS ||
	    t->layout >= AIPU_LAYOUT_COUNT)
		return malformed(v, AIPU_REFUSAL_TENSOR, index);
	if (t->index_count)
		return not_offered(v, AIPU_REFUSAL_CAPABILITY, index);
	if (t->index_tensor || t->index_stride)
		return malformed(v, AIPU_REFUSAL_TENSOR, index);
	for (unsigned int i = 0; i < 4; i++)
		if (!t->dims[i] || t->dims[i] > INT32_MAX)
			return malformed(v, AIPU_REFUSAL_TENSOR, index);
	if (!bit_set(v->limits->layouts, t->layout))
		return not_offered(v, AIPU_REFUSAL_FORMAT, index);
	if (t->offset %
	    (t->layout == AIPU_LAYOUT_ROWS && t->format == AIPU_FMT_F32 ? 4 : TENSOR_ALIGN))
		return malformed(v, AIPU_REFUSAL_TENSOR, index);

	if (t->layout == AIPU_LAYOUT_ROWS)
		status = rows_extent(v, index, extent);
	else if (t->layout == AIPU_LAYOUT_TILE16)
		status = tile_extent(v, index, extent);
	else
		status = kv_extent(v, index, extent);
	if (status != AIPU_STATUS_OK)
		return status;
	if (__builtin_add_overflow(t->offset, *extent, &end) ||
	    end > v->program->slots[t->slot].min_bytes)
		return malformed(v, AIPU_REFUSAL_TENSOR_RANGE, index);
	return AIPU_STATUS_OK;
}

/* --- entries ---------------------------------------------------------------------------------- */

static unsigned int logits_verify(struct verifier *v, uint32_t index)
{
	const struct dm_program *p = v->program;
	const struct aipu_entry *e = &p->entries[index];
	const struct aipu_tensor *t;

	if (e->logits == AIPU_NO_TENSOR)
		return AIPU_STATUS_OK;
	if (e->logits >= p->header->tensor_count || !e->max_selected || !p->header->vocabulary)
		return malformed(v, AIPU_REFUSAL_ENTRY, index);
	t = &p->tensors[e->logits];
	if (t->layout != AIPU_LAYOUT_ROWS || t->format != AIPU_FMT_F32 ||
	    t->rows != AIPU_ROWS_SELECTED || t->dims[1] != p->header->vocabulary ||
	    t->dims[0] < e->max_selected)
		return malformed(v, AIPU_REFUSAL_ENTRY, index);
	return AIPU_STATUS_OK;
}

static unsigned int entry_verify(struct verifier *v, uint32_t index)
{
	struct dm_program *p = v->program;
	const struct aipu_program_header *h = p->header;
	const struct aipu_entry *e = &p->entries[index];
	unsigned int status;

	if (e->reserved0)
		return malformed(v, AIPU_REFUSAL_RESERVED, index);
	if (!name_valid(e->name, sizeof(e->name)) || !e->instruction_count ||
	    e->first_instruction > h->instruction_count ||
	    e->instruction_count > h->instruction_count - e->first_instruction)
		return malformed(v, AIPU_REFUSAL_ENTRY, index);
	if (!e->max_tokens || !e->max_lanes || !e->ctx_len || e->max_selected > e->max_tokens)
		return malformed(v, AIPU_REFUSAL_ENTRY, index);
	if (e->max_tokens > PROGRAM_MAX_TOKENS || e->max_lanes > v->limits->max_lanes)
		return not_offered(v, AIPU_REFUSAL_ENTRY, index);
	if (e->input != AIPU_NO_TENSOR)
		return not_offered(v, AIPU_REFUSAL_CAPABILITY, index);
	if (e->hidden != AIPU_NO_TENSOR &&
	    (e->hidden >= h->tensor_count || p->tensors[e->hidden].layout != AIPU_LAYOUT_ROWS ||
	     p->tensors[e->hidden].format != AIPU_FMT_F32))
		return malformed(v, AIPU_REFUSAL_ENTRY, index);
	status = logits_verify(v, index);
	for (uint32_t i = 0; i < e->instruction_count && status == AIPU_STATUS_OK; i++) {
		const struct aipu_instruction *in = &p->instructions[e->first_instruction + i];

		status = instruction_verify_bounds(v, e->first_instruction + i, e);
		if (status == AIPU_STATUS_OK && in->opcode == AIPU_OP_MATMUL &&
		    in->activation_format == AIPU_ACT_DYNAMIC_I8_G32) {
			uint64_t bytes = aipu_quant_row_bytes(p->tensors[in->a].dims[1]);

			if (bytes > p->quant_bytes[index])
				p->quant_bytes[index] = bytes;
		}
	}
	return status;
}

unsigned int program_verify(struct verifier *v, size_t bytes)
{
	struct dm_program *p = v->program;
	unsigned int status = header_verify(v, bytes);
	uint64_t checks = 0;

	if (status != AIPU_STATUS_OK)
		return status;
	p->extents = calloc(p->header->tensor_count, sizeof(*p->extents));
	p->quant_bytes = calloc(p->header->entry_count, sizeof(*p->quant_bytes));
	if (!p->extents || !p->quant_bytes)
		return AIPU_STATUS_NO_RESOURCES;
	for (uint32_t i = 0; i < p->header->slot_count && status == AIPU_STATUS_OK; i++)
		status = slot_verify(v, i);
	for (uint32_t i = 0; i < p->header->tensor_count && status == AIPU_STATUS_OK; i++)
		status = tensor_verify(v, i);
	for (uint32_t i = 0; i < p->header->instruction_count && status == AIPU_STATUS_OK; i++)
		status = instruction_verify(v, i);
	for (uint32_t i = 0; i < p->header->entry_count && status == AIPU_STATUS_OK; i++) {
		checks += p->entries[i].instruction_count;
		if (checks > PROGRAM_MAX_CHECKS)
			return not_offered(v, AIPU_REFUSAL_ENTRY, i);
		status = entry_verify(v, i);
	}
	return status;
}
