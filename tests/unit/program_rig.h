/* SPDX-License-Identifier: MIT */
/*
 * What tests and fuzz targets of program/ stand on: services of a context that are plain memory
 * (each segment a block of its own, so that a sanitizer sees the first byte beyond it), and a
 * builder of program images. Included by one source file of a program that links no control plane,
 * because it defines the services' names. Not a test itself.
 */
#ifndef PROGRAM_RIG_H
#define PROGRAM_RIG_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aipu_numerics_float.h"
#include "choices.h"
#include "compute/compute.h"
#include "device_limits.h"
#include "model.h"

/* --- a context of plain memory ---------------------------------------------------------------- */

#define RIG_SEGMENTS 96
#define RIG_PROGRAMS 8

struct rig_segment {
	uint8_t *memory; /* NULL: not bound */
	uint64_t bytes;
	unsigned int access;
	bool no_pointer; /* like a host segment where compute may not use it */
	unsigned int skew; /* of its pointer: memory that begins in the middle of a word */
	bool lost;
	int holds;
};

struct dm_context {
	struct rig_segment segments[RIG_SEGMENTS];
	struct dm_program *programs[RIG_PROGRAMS];
	struct dm_cores *cores;
	const struct aipu_kernels *kernels;
	uint64_t clock;
	/*
	 * Called before each access of the device to a segment: a host that writes at the worst
	 * moment
	 */
	void (*meddle)(struct dm_context *context, uint32_t segment);
};

unsigned int dm_segment_check(struct dm_context *context, uint32_t segment, uint64_t offset,
			      uint64_t length, unsigned int access)
{
	struct rig_segment *s = &context->segments[segment % RIG_SEGMENTS];

	if (segment >= RIG_SEGMENTS || !s->memory)
		return AIPU_STATUS_INVALID_SEGMENT;
	if (offset > s->bytes || length > s->bytes - offset)
		return AIPU_STATUS_OUT_OF_RANGE;
	return access & ~s->access ? AIPU_STATUS_ACCESS_DENIED : AIPU_STATUS_OK;
}

unsigned int dm_segment_read(struct dm_context *context, uint32_t segment, uint64_t offset,
			     void *to, size_t bytes)
{
	unsigned int status = dm_segment_check(context, segment, offset, bytes, AIPU_ACCESS_READ);

	if (status != AIPU_STATUS_OK)
		return status;
	if (context->meddle)
		context->meddle(context, segment);
	memcpy(to, context->segments[segment].memory + offset, bytes);
	return AIPU_STATUS_OK;
}

unsigned int dm_segment_write(struct dm_context *context, uint32_t segment, uint64_t offset,
			      const void *from, size_t bytes)
{
	unsigned int status = dm_segment_check(context, segment, offset, bytes, AIPU_ACCESS_WRITE);

	if (status == AIPU_STATUS_OK)
		memcpy(context->segments[segment].memory + offset, from, bytes);
	return status;
}

unsigned int dm_segment_get(struct dm_context *context, uint32_t segment, uint64_t offset,
			    uint64_t bytes, unsigned int access, struct dm_mapping *mapping)
{
	unsigned int status = dm_segment_check(context, segment, offset, bytes, access);
	struct rig_segment *s = &context->segments[segment % RIG_SEGMENTS];

	if (status != AIPU_STATUS_OK)
		return status;
	if (s->no_pointer)
		return AIPU_STATUS_UNSUPPORTED;
	s->holds++;
	mapping->pointer = s->memory + offset + s->skew;
	mapping->bytes = bytes;
	mapping->offset = offset;
	mapping->lost = &s->lost;
	mapping->owner = s;
	return AIPU_STATUS_OK;
}

unsigned int dm_segment_hold(struct dm_context *context, uint32_t segment, uint64_t offset,
			     uint64_t bytes, unsigned int access, struct dm_mapping *mapping)
{
	unsigned int status = dm_segment_get(context, segment, offset, bytes, access, mapping);
	struct rig_segment *s = &context->segments[segment % RIG_SEGMENTS];

	if (status != AIPU_STATUS_UNSUPPORTED) {
		if (status != AIPU_STATUS_OK)
			mapping->owner = NULL;
		return status;
	}
	s->holds++;
	*mapping = (struct dm_mapping){ .bytes = bytes, .offset = offset, .owner = s };
	return AIPU_STATUS_OK;
}

unsigned int dm_mapping_read(const struct dm_mapping *mapping, uint64_t offset, void *to,
			     size_t bytes)
{
	const struct rig_segment *s = mapping->owner;

	memcpy(to, s->memory + mapping->offset + offset, bytes);
	return AIPU_STATUS_OK;
}

unsigned int dm_mapping_write(const struct dm_mapping *mapping, uint64_t offset, const void *from,
			      size_t bytes)
{
	const struct rig_segment *s = mapping->owner;

	memcpy(s->memory + mapping->offset + offset, from, bytes);
	return AIPU_STATUS_OK;
}

void dm_segment_put(struct dm_context *context, struct dm_mapping *mapping)
{
	struct rig_segment *s = mapping->owner;

	(void)context;
	s->holds--;
	memset(mapping, 0, sizeof(*mapping));
}

struct dm_program *dm_context_program(struct dm_context *context, uint32_t id)
{
	return id < RIG_PROGRAMS ? context->programs[id] : NULL;
}

struct dm_cores *dm_context_cores(struct dm_context *context)
{
	return context->cores;
}

const struct aipu_kernels *dm_context_kernels(struct dm_context *context)
{
	return context->kernels;
}

uint64_t dm_context_clock(struct dm_context *context)
{
	return ++context->clock;
}

/* The caller frees with rig_close; memory that is short ends the program */
static inline void rig_open(struct dm_context *context, unsigned int cores, enum aipu_simd simd)
{
	memset(context, 0, sizeof(*context));
	if (dm_cores_create(cores, &context->cores) ||
	    aipu_kernels_select(simd, &context->kernels)) {
		fprintf(stderr, "rig: no %u cores of level %d\n", cores, simd);
		abort();
	}
}

static inline void *rig_bind(struct dm_context *context, uint32_t segment, uint64_t bytes,
			     unsigned int access)
{
	struct rig_segment *s = &context->segments[segment];
	void *memory;

	if (posix_memalign(&memory, 64, bytes))
		abort();
	memset(memory, 0, bytes);
	free(s->memory);
	*s = (struct rig_segment){ .memory = memory, .bytes = bytes, .access = access };
	return memory;
}

static inline void rig_unbind(struct dm_context *context, uint32_t segment)
{
	free(context->segments[segment].memory);
	memset(&context->segments[segment], 0, sizeof(context->segments[segment]));
}

static inline int rig_holds(const struct dm_context *context)
{
	int holds = 0;

	for (unsigned int i = 0; i < RIG_SEGMENTS; i++)
		holds += context->segments[i].holds;
	return holds;
}

static inline void rig_close(struct dm_context *context)
{
	for (unsigned int i = 0; i < RIG_PROGRAMS; i++)
		if (context->programs[i])
			dm_program_put(context->programs[i]);
	for (unsigned int i = 0; i < RIG_SEGMENTS; i++)
		free(context->segments[i].memory);
	dm_cores_destroy(context->cores);
}

/* What a device offers that has everything the executor can do */
static inline struct dm_limits rig_limits(void)
{
	struct dm_limits limits = device_limits();

	limits.capabilities = AIPU_CAP_MATMUL_BIAS | AIPU_CAP_HEAD_NORM | AIPU_CAP_GELU |
			      AIPU_CAP_PARTIAL_ROTARY | AIPU_CAP_SLIDING_WINDOW;
	limits.formats |= 1u << AIPU_FMT_BF16;
	return limits;
}

/* --- a builder of images ---------------------------------------------------------------------- */

#define BUILD_SLOTS 8
#define BUILD_TENSORS 96
#define BUILD_ENTRIES 4
#define BUILD_INSTRUCTIONS 128

struct builder {
	struct aipu_program_header header;
	struct aipu_slot slots[BUILD_SLOTS];
	struct aipu_tensor tensors[BUILD_TENSORS];
	struct aipu_entry entries[BUILD_ENTRIES];
	struct aipu_instruction instructions[BUILD_INSTRUCTIONS];
};

static inline void build_start(struct builder *b)
{
	memset(b, 0, sizeof(*b));
	b->header.magic = AIPU_PROGRAM_MAGIC;
	b->header.header_bytes = sizeof(b->header);
	b->header.abi_oldest = AIPU_ABI_OLDEST;
	b->header.abi_newest = AIPU_ABI_CURRENT;
	b->header.numerics = AIPU_NUMERICS_1;
	b->header.world = 1;
}

static inline uint32_t build_slot(struct builder *b, unsigned int kind, unsigned int access,
				  const char *name)
{
	struct aipu_slot *s = &b->slots[b->header.slot_count];

	s->kind = (uint8_t)kind;
	s->access = (uint8_t)access;
	snprintf(s->name, sizeof(s->name), "%s", name);
	return b->header.slot_count++;
}

static inline uint16_t build_tensor(struct builder *b, uint32_t slot, unsigned int format,
				    unsigned int layout, unsigned int rows, const uint32_t dims[4])
{
	struct aipu_tensor *t = &b->tensors[b->header.tensor_count];
	struct aipu_slot *s = &b->slots[slot];
	uint32_t element = format == AIPU_FMT_F32 ? 4 : 2;
	uint64_t bytes;

	t->slot = (uint16_t)slot;
	t->format = (uint8_t)format;
	t->layout = (uint8_t)layout;
	t->rows = (uint8_t)rows;
	memcpy(t->dims, dims, sizeof(t->dims));
	t->offset = (s->min_bytes + 63) / 64 * 64;
	if (layout == AIPU_LAYOUT_TILE16) {
		bytes = aipu_weight_bytes(format, dims[0], dims[1]);
	} else if (layout == AIPU_LAYOUT_ROWS) {
		t->stride = ((uint64_t)dims[1] * element + 3) / 4 * 4;
		bytes = (dims[0] - 1) * t->stride + (uint64_t)dims[1] * element;
	} else {
		t->stride = (uint64_t)dims[1] * dims[2] * dims[3] * element;
		bytes = dims[0] * t->stride;
	}
	s->min_bytes = t->offset + bytes;
	return (uint16_t)b->header.tensor_count++;
}

static inline uint16_t build_rows(struct builder *b, uint32_t slot, unsigned int rows,
				  uint32_t count, uint32_t columns)
{
	return build_tensor(b, slot, AIPU_FMT_F32, AIPU_LAYOUT_ROWS, rows,
			    (uint32_t[]){ count, columns, 1, 1 });
}

/* dst, a, b, c, d in this order; NO_TENSOR where there is none. Parameters are the caller's. */
static inline struct aipu_instruction *build_op(struct builder *b, unsigned int opcode,
						uint16_t dst, uint16_t a, uint16_t operand_b,
						uint16_t c, uint16_t d)
{
	struct aipu_instruction *in = &b->instructions[b->header.instruction_count++];

	in->opcode = (uint8_t)opcode;
	in->dst = dst;
	in->a = a;
	in->b = operand_b;
	in->c = c;
	in->d = d;
	b->header.operations |= 1ull << opcode;
	return in;
}

/* Of all instructions since `first` */
static inline struct aipu_entry *build_entry(struct builder *b, const char *name, uint32_t first)
{
	struct aipu_entry *e = &b->entries[b->header.entry_count++];

	snprintf(e->name, sizeof(e->name), "%s", name);
	e->first_instruction = first;
	e->instruction_count = b->header.instruction_count - first;
	e->logits = AIPU_NO_TENSOR;
	e->input = AIPU_NO_TENSOR;
	e->hidden = AIPU_NO_TENSOR;
	return e;
}

static inline size_t build_bytes(const struct builder *b)
{
	const struct aipu_program_header *h = &b->header;

	return sizeof(*h) + h->slot_count * sizeof(b->slots[0]) +
	       h->tensor_count * sizeof(b->tensors[0]) + h->entry_count * sizeof(b->entries[0]) +
	       h->instruction_count * sizeof(b->instructions[0]);
}

/* Appends a table of `count` entries of which the builder holds at most `have`; the rest is zero */
static inline uint8_t *build_table(uint8_t *at, const void *table, uint32_t count, uint32_t have,
				   size_t entry)
{
	memcpy(at, table, (count < have ? count : have) * entry);
	return at + count * entry;
}

/* malloc'ed, as dm_program_create wants it */
static inline void *build_image(const struct builder *b, size_t *bytes)
{
	struct aipu_program_header h = b->header;
	uint8_t *image, *at;

	*bytes = build_bytes(b);
	image = calloc(1, *bytes);
	if (!image)
		abort();
	h.image_bytes = (uint32_t)*bytes;
	at = build_table(image, &h, 1, 1, sizeof(h));
	at = build_table(at, b->slots, h.slot_count, BUILD_SLOTS, sizeof(b->slots[0]));
	at = build_table(at, b->tensors, h.tensor_count, BUILD_TENSORS, sizeof(b->tensors[0]));
	at = build_table(at, b->entries, h.entry_count, BUILD_ENTRIES, sizeof(b->entries[0]));
	build_table(at, b->instructions, h.instruction_count, BUILD_INSTRUCTIONS,
		    sizeof(b->instructions[0]));
	return image;
}

static inline unsigned int build_load(const struct builder *b, const struct dm_limits *limits,
				      struct dm_program **program, uint32_t *detail)
{
	size_t bytes;
	void *image = build_image(b, &bytes);

	return dm_program_create(limits, image, bytes, program, detail);
}

#endif
