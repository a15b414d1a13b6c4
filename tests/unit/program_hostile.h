/* SPDX-License-Identifier: MIT */
/*
 * Mutants of programs that know what a program looks like, and the execution of whatever the
 * verifier accepts, in segments of exactly the promised size, with lane tables that are as bad as
 * the checks permit, or worse. Shared by the test that counts mutants and by the fuzz targets; the
 * sanitizers are the judges.
 */
#ifndef PROGRAM_HOSTILE_H
#define PROGRAM_HOSTILE_H

#include "program_rig.h"

/* --- mutants ---------------------------------------------------------------------------------- */

enum mutation { MUTATE_OPERAND, MUTATE_INDEX, MUTATE_LENGTH, MUTATE_OPCODE, MUTATE_COUNT };

struct image_tables {
	struct aipu_program_header *header;
	struct aipu_slot *slots;
	struct aipu_tensor *tensors;
	struct aipu_entry *entries;
	struct aipu_instruction *instructions;
};

/* Of a valid image, before it is changed */
static inline struct image_tables image_tables(void *image)
{
	struct image_tables t = { .header = image };

	t.slots = (void *)(t.header + 1);
	t.tensors = (void *)(t.slots + t.header->slot_count);
	t.entries = (void *)(t.tensors + t.header->tensor_count);
	t.instructions = (void *)(t.entries + t.header->entry_count);
	return t;
}

static inline void mutate_operand(struct choices *c, struct aipu_instruction *in,
				  const struct aipu_program_header *h)
{
	uint16_t *operands[] = { &in->dst, &in->a, &in->b, &in->c, &in->d };
	uint16_t *operand = operands[choose_below(c, 5)];

	switch (choose_below(c, 8)) {
	case 0:
		*operand = AIPU_NO_TENSOR;
		break;
	case 1:
		*operand = (uint16_t)choose(c);
		break;
	default: /* one that exists, often a neighbour: of the same kind, or just not */
		if (*operand < h->tensor_count && choose_below(c, 2))
			*operand =
				(uint16_t)((*operand + choose_below(c, 9) + h->tensor_count - 4) %
					   h->tensor_count);
		else
			*operand = (uint16_t)choose_below(c, h->tensor_count);
		break;
	}
}

static inline void mutate_index(struct choices *c, struct image_tables *t,
				struct aipu_instruction *in)
{
	struct aipu_tensor *tensor = &t->tensors[choose_below(c, t->header->tensor_count)];
	struct aipu_entry *entry = &t->entries[choose_below(c, t->header->entry_count)];

	switch (choose_below(c, 7)) {
	case 0:
		tensor->slot = (uint16_t)choose_below(c, t->header->slot_count + 1);
		break;
	case 1:
		tensor->offset = choose_number(c, tensor->offset, 64);
		break;
	case 2: /* aligned, inside the slot */
		tensor->offset = choose(c) % (t->slots[tensor->slot].min_bytes / 64 + 1) * 64;
		break;
	case 3:
		tensor->stride = choose_number(c, tensor->stride, 64);
		break;
	case 4:
		entry->first_instruction = (uint32_t)choose_number(c, entry->first_instruction, 32);
		break;
	case 5:
		entry->logits = (uint16_t)choose_number(c, entry->logits, 16);
		break;
	default:
		tensor->rows = (uint8_t)choose_below(c, 4);
		in->u[choose_below(c, 4)] ^= 1u << choose_below(c, 32);
		break;
	}
}

static inline void mutate_length(struct choices *c, struct image_tables *t,
				 struct aipu_instruction *in)
{
	struct aipu_tensor *tensor = &t->tensors[choose_below(c, t->header->tensor_count)];
	struct aipu_entry *entry = &t->entries[choose_below(c, t->header->entry_count)];
	struct aipu_slot *slot = &t->slots[choose_below(c, t->header->slot_count)];
	uint32_t *lengths[] = { &tensor->dims[0],
				&tensor->dims[1],
				&tensor->dims[2],
				&tensor->dims[3],
				&entry->max_tokens,
				&entry->max_lanes,
				&entry->max_selected,
				&entry->ctx_len,
				&entry->instruction_count,
				&t->header->kv_slots,
				&t->header->vocabulary,
				&in->u[0],
				&in->u[1] };
	uint32_t which = choose_below(c, sizeof(lengths) / sizeof(lengths[0]) + 1);

	if (which == sizeof(lengths) / sizeof(lengths[0]))
		slot->min_bytes = choose_number(c, slot->min_bytes, 64);
	else
		*lengths[which] = (uint32_t)choose_number(c, *lengths[which], 32);
}

/* Another opcode, declared in the header; its predecessor's parameters stay or go */
static inline void mutate_opcode(struct choices *c, struct aipu_program_header *h,
				 struct aipu_instruction *in)
{
	static const uint8_t plain[] = { AIPU_OP_ADD, AIPU_OP_ACTIVATE, AIPU_OP_SELECT };

	in->opcode = (uint8_t)choose_below(c, AIPU_OP_COUNT + 1);
	if (choose_below(c, 2)) {
		in->opcode = plain[choose_below(c, sizeof(plain))];
		in->activation_format = 0;
		in->epilogue = 0;
		memset(in->u, 0, sizeof(in->u));
		memset(in->f, 0, sizeof(in->f));
	}
	if (in->opcode <= AIPU_OP_SELECT)
		h->operations |= 1ull << in->opcode;
}

static inline void image_mutate(struct choices *c, struct image_tables *t, enum mutation kind)
{
	struct aipu_instruction *in =
		&t->instructions[choose_below(c, t->header->instruction_count)];

	switch (kind) {
	case MUTATE_OPERAND:
		mutate_operand(c, in, t->header);
		break;
	case MUTATE_INDEX:
		mutate_index(c, t, in);
		break;
	case MUTATE_LENGTH:
		mutate_length(c, t, in);
		break;
	default:
		mutate_opcode(c, t->header, in);
		break;
	}
}

/* --- execution -------------------------------------------------------------------------------- */

#define HOSTILE_MAX_TOKENS 40u
#define HOSTILE_LANES 8u
#define HOSTILE_RING 8u
/* Segments: slots at their number, then */
enum {
	HOSTILE_BLOCKS = AIPU_MAX_SLOTS,
	HOSTILE_OPERANDS,
	HOSTILE_TABLE,
	HOSTILE_TOKENS,
	HOSTILE_TOKEN_RING
};

/* A slot of more than max_bytes is bound too short, and refused */
static inline void hostile_bind(struct dm_context *context, const struct image_tables *t,
				uint64_t max_bytes, struct choices *c)
{
	const unsigned int both = AIPU_ACCESS_READ | AIPU_ACCESS_WRITE;
	uint32_t count = t->header->slot_count;
	struct aipu_operand *operands =
		rig_bind(context, HOSTILE_OPERANDS, count * sizeof(*operands), both);
	uint64_t random = choose(c) | 1;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t bytes = t->slots[i].min_bytes;
		uint32_t *words;

		if (!bytes || bytes > max_bytes)
			bytes = max_bytes;
		words = rig_bind(context, i, bytes, both);
		for (uint64_t w = 0; w < bytes / 4; w++) /* NaN and infinities among them */
			words[w] = rig_random(&random);
		operands[i].segment = i;
		operands[i].length = t->slots[i].min_bytes;
	}
	rig_bind(context, HOSTILE_BLOCKS, sizeof(struct aipu_block), both);
	rig_bind(context, HOSTILE_TABLE, HOSTILE_LANES * sizeof(struct aipu_lane), both);
	rig_bind(context, HOSTILE_TOKENS, HOSTILE_MAX_TOKENS * 4, both);
	rig_bind(context, HOSTILE_TOKEN_RING,
		 sizeof(struct aipu_token_ring) + HOSTILE_RING * sizeof(struct aipu_token_record),
		 both);
}

/*
 * Lanes at the edges of what the entry permits: the last positions, all tokens, all KV slots, the
 * last ids
 */
static inline void hostile_lanes(struct dm_context *context, const struct image_tables *t,
				 const struct aipu_entry *e, bool generate, struct choices *c)
{
	struct aipu_lane *lanes = (void *)context->segments[HOSTILE_TABLE].memory;
	uint32_t *tokens = (void *)context->segments[HOSTILE_TOKENS].memory;
	uint32_t rows = e->max_tokens < HOSTILE_MAX_TOKENS ? e->max_tokens : HOSTILE_MAX_TOKENS;
	uint32_t selected = e->max_selected, vocabulary = t->header->vocabulary;
	uint32_t slot = choose(c);

	memset(lanes, 0, HOSTILE_LANES * sizeof(*lanes));
	for (uint32_t i = 0; i < HOSTILE_MAX_TOKENS; i++)
		tokens[i] = !vocabulary		 ? choose(c)
			    : choose_below(c, 2) ? vocabulary - 1
						 : choose_below(c, vocabulary);
	for (uint32_t i = 0; i < HOSTILE_LANES && i < e->max_lanes && rows; i++) {
		struct aipu_lane *l = &lanes[i];
		uint32_t most = rows < e->ctx_len ? rows : e->ctx_len;

		if (t->header->kv_slots && i >= t->header->kv_slots)
			break;
		l->kv_slot = t->header->kv_slots ? (slot + i) % t->header->kv_slots : i;
		l->n_valid = generate || choose_below(c, 2) ? 1 + choose_below(c, most) : most;
		l->position = choose_below(c, 2) ? e->ctx_len - l->n_valid
						 : choose_below(c, e->ctx_len - l->n_valid + 1);
		l->token_source = AIPU_TOKENS_SEGMENT;
		l->token_segment = HOSTILE_TOKENS;
		l->logits = selected >= l->n_valid ? AIPU_LOGITS_ALL
			    : selected		   ? AIPU_LOGITS_LAST
						   : AIPU_LOGITS_NONE;
		if (generate) {
			l->logits = AIPU_LOGITS_LAST;
			l->sampler.temperature = choose_below(c, 2) ? aipu_f32_bits(0.7f) : 0;
			l->sampler.top_k = choose_below(c, 70);
			l->sampler.top_p = aipu_f32_bits(0.9f);
			l->sampler.token_limit = 1 + choose_below(c, 4);
		}
		rows -= l->n_valid;
		selected -= l->logits == AIPU_LOGITS_ALL ? l->n_valid : l->logits;
	}
}

/* Takes records as they come; enum aipu_status */
static inline unsigned int hostile_job(struct dm_context *context, const struct aipu_job *job)
{
	struct aipu_token_ring *ring = (void *)context->segments[HOSTILE_TOKEN_RING].memory;
	struct dm_step_job *step;
	uint32_t detail;
	unsigned int status = dm_step_job_begin(context, job, &step, &detail);
	enum dm_step_result result;

	if (status != AIPU_STATUS_OK)
		return status;
	for (unsigned int i = 0; i < 200; i++) {
		result = dm_step_job_step(step);
		dm_step_job_wake(step);
		if (result == DM_STEP_DONE)
			break;
		if (result == DM_STEP_PAUSED)
			ring->consumer++;
	}
	return dm_step_job_end(step, AIPU_STATUS_OK, true, &detail);
}

/* Runs every entry of an accepted program; returns how many jobs ended with OK */
static inline unsigned int hostile_execute(struct dm_context *context, struct image_tables *t,
					   struct dm_program *program, uint64_t max_bytes,
					   struct choices *c)
{
	struct aipu_block *block;
	unsigned int done = 0;

	hostile_bind(context, t, max_bytes, c);
	context->programs[0] = program;
	block = (void *)context->segments[HOSTILE_BLOCKS].memory;
	for (uint32_t e = 0; e < t->header->entry_count && e < 4; e++) {
		for (unsigned int generate = 0; generate < 2; generate++) {
			struct aipu_job job = { .opcode = generate ? AIPU_JOB_GENERATE
								   : AIPU_JOB_RUN };
			struct aipu_token_ring *ring =
				(void *)context->segments[HOSTILE_TOKEN_RING].memory;

			if (generate && t->entries[e].logits == AIPU_NO_TENSOR)
				continue;
			*block = (struct aipu_block){ .entry = e,
						      .operand_segment = HOSTILE_OPERANDS,
						      .operand_count = t->header->slot_count };
			job.step = (struct aipu_job_step){
				.block_segment = HOSTILE_BLOCKS,
				.block_count = 1,
				.lane_segment = HOSTILE_TABLE,
				.lane_count = HOSTILE_LANES,
				.ring_segment = generate ? HOSTILE_TOKEN_RING : 0,
				.ring_entries = generate ? HOSTILE_RING : 0,
			};
			ring->producer = ring->consumer = choose(c);
			hostile_lanes(context, t, &t->entries[e], generate, c);
			done += hostile_job(context, &job) == AIPU_STATUS_OK;
		}
	}
	context->programs[0] = NULL;
	dm_program_put(program);
	for (uint32_t i = 0; i < RIG_SEGMENTS; i++)
		rig_unbind(context, i);
	return done;
}

#endif
