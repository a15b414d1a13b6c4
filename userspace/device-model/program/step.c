// SPDX-License-Identifier: MIT
/*
 * RUN and GENERATE as the engine sees them: begin, one step at a time, end. Owns a job's copies,
 * mappings and program references. Everything that the host can rewrite is copied and checked in
 * begin; a step then looks at memory of the host only through operands and the token ring.
 */
#include <stdlib.h>
#include <string.h>

#include "program/program.h"

#define JOB_FIELD(field) ((uint32_t)offsetof(struct aipu_job, step.field))

/*
 * What is wrong with an operand is one status, but failures that are not the operand's own stay
 * visible
 */
static unsigned int operand_status(unsigned int status)
{
	switch (status) {
	case AIPU_STATUS_OK:
	case AIPU_STATUS_DMA_ERROR:
	case AIPU_STATUS_DATA_LOST:
	case AIPU_STATUS_NO_RESOURCES:
	case AIPU_STATUS_INTERNAL:
		return status;
	default:
		return AIPU_STATUS_INVALID_OPERAND;
	}
}

static unsigned int operand_take(struct dm_step_job *job, struct exec_block *block, uint32_t slot,
				 const struct aipu_operand *operand, bool read_logits)
{
	const struct aipu_slot *s = &block->program->slots[slot];
	struct dm_mapping *mapping = &job->mappings[job->mapping_count];
	unsigned int status, access = s->access;

	if (operand->reserved0 || operand->reserved1 || operand->offset % 64 ||
	    operand->length < s->min_bytes)
		return AIPU_STATUS_INVALID_OPERAND;
	if (!operand->length) /* nothing lies in it: an empty slot needs a segment, no memory */
		return operand_status(dm_segment_check(job->context, operand->segment,
						       operand->offset, 0, access));
	if (read_logits)
		access |= AIPU_ACCESS_READ;
	status = dm_segment_get(job->context, operand->segment, operand->offset, operand->length,
				access, mapping);
	if (status != AIPU_STATUS_OK)
		return operand_status(status);
	job->mapping_count++;
	if ((uintptr_t)mapping->pointer %
	    8) /* a host page list that begins in the middle of a word */
		return AIPU_STATUS_INVALID_OPERAND;
	block->base[slot] = mapping->pointer;
	return AIPU_STATUS_OK;
}

static unsigned int operands_take(struct dm_step_job *job, struct exec_block *block,
				  const struct aipu_block *from, uint32_t index, bool sampled,
				  uint32_t *detail)
{
	uint32_t count = block->program->header->slot_count;
	const struct aipu_entry *entry = block->entry;
	struct aipu_operand operands[AIPU_MAX_SLOTS];
	unsigned int status;

	*detail = index << 16;
	if (from->operand_count != count)
		return AIPU_STATUS_INVALID_OPERAND;
	status = dm_segment_read(job->context, from->operand_segment, from->operand_offset,
				 operands, count * sizeof(operands[0]));
	for (uint32_t i = 0; i < count && status == AIPU_STATUS_OK; i++) {
		*detail = index << 16 | i;
		/* The device itself reads what it draws from */
		status = operand_take(job, block, i, &operands[i],
				      sampled && entry->logits != AIPU_NO_TENSOR &&
					      block->program->tensors[entry->logits].slot == i);
	}
	return status;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static void bounds_narrow(struct lane_bounds *b, const struct exec_block *block, bool last)
{
	const struct aipu_program_header *h = block->program->header;
	const struct aipu_entry *e = block->entry;

	b->max_lanes = smaller(b->max_lanes, e->max_lanes);
	b->max_tokens = smaller(b->max_tokens, e->max_tokens);
	b->ctx_len = smaller(b->ctx_len, e->ctx_len);
	/* A block in the middle that has no logits selects nothing, and bounds nothing */
	if (e->max_selected || last)
		b->max_selected = smaller(b->max_selected, e->max_selected);
	if (h->kv_kind != AIPU_KV_NONE)
		b->kv_slots = smaller(b->kv_slots, h->kv_slots);
	if (h->vocabulary)
		b->vocabulary = smaller(b->vocabulary, h->vocabulary);
}

static unsigned int blocks_resolve(struct dm_step_job *job, const struct aipu_block *blocks,
				   uint32_t count, uint32_t *detail)
{
	struct exec *x = &job->exec;
	uint32_t slots = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct exec_block *block = &x->blocks[i];
		struct dm_program *program;

		*detail = i;
		if (blocks[i].reserved)
			return AIPU_STATUS_INVALID_FIELD;
		program = dm_context_program(job->context, blocks[i].program);
		if (!program)
			return AIPU_STATUS_NOT_FOUND;
		if (blocks[i].entry >= program->header->entry_count)
			return AIPU_STATUS_INVALID_FIELD;
		dm_program_get(program);
		block->program = program;
		block->entry = &program->entries[blocks[i].entry];
		x->block_count++;
		slots += program->header->slot_count;
		bounds_narrow(&job->bounds, block, i + 1 == count);
		if (job->generate && i + 1 == count && block->entry->logits == AIPU_NO_TENSOR)
			return AIPU_STATUS_INVALID_FIELD;
	}
	job->mappings = calloc(slots, sizeof(*job->mappings));
	return job->mappings ? AIPU_STATUS_OK : AIPU_STATUS_NO_RESOURCES;
}

static unsigned int blocks_take(struct dm_step_job *job, const struct aipu_job_step *step,
				uint32_t *detail)
{
	size_t bytes = step->block_count * sizeof(struct aipu_block);
	struct aipu_block *blocks = malloc(bytes);
	struct exec *x = &job->exec;
	unsigned int status = AIPU_STATUS_NO_RESOURCES;
	const struct exec_block *last;

	x->blocks = calloc(step->block_count, sizeof(*x->blocks));
	if (!blocks || !x->blocks)
		goto out;
	*detail = JOB_FIELD(block_segment);
	status = dm_segment_read(job->context, step->block_segment, step->block_offset, blocks,
				 bytes);
	if (status == AIPU_STATUS_OK)
		status = blocks_resolve(job, blocks, step->block_count, detail);
	if (status != AIPU_STATUS_OK)
		goto out;
	last = &x->blocks[x->block_count - 1];
	/* A drawn token is fed back: every block has to know it */
	if (job->generate && last->program->header->vocabulary != job->bounds.vocabulary) {
		*detail = x->block_count - 1;
		status = AIPU_STATUS_INVALID_FIELD;
	}
	for (uint32_t i = 0; i < x->block_count && status == AIPU_STATUS_OK; i++)
		status = operands_take(job, &x->blocks[i], &blocks[i], i,
				       job->generate && &x->blocks[i] == last, detail);
out:
	free(blocks);
	return status;
}

static void job_free(struct dm_step_job *job)
{
	struct exec *x = &job->exec;

	for (uint32_t i = 0; i < job->mapping_count; i++)
		dm_segment_put(job->context, &job->mappings[i]);
	if (job->lane_hold.owner)
		dm_segment_put(job->context, &job->lane_hold);
	if (job->ring.mapping.owner)
		dm_segment_put(job->context, &job->ring.mapping);
	exec_release(x);
	for (uint32_t i = 0; i < x->block_count; i++)
		dm_program_put(x->blocks[i].program);
	free(x->blocks);
	free(job->mappings);
	free(job->tokens);
	free(job->lanes);
	free(job);
}

static unsigned int job_fields_check(const struct aipu_job *job, uint32_t max_lanes,
				     uint32_t *detail)
{
	const struct aipu_job_step *s = &job->step;
	const bool generate = job->opcode == AIPU_JOB_GENERATE;

	*detail = JOB_FIELD(block_count);
	if (!s->block_count || s->block_count > AIPU_MAX_BLOCKS)
		return AIPU_STATUS_INVALID_FIELD;
	*detail = JOB_FIELD(lane_count);
	if (!s->lane_count || s->lane_count > max_lanes)
		return AIPU_STATUS_INVALID_FIELD;
	if (!generate) {
		*detail = s->ring_segment   ? JOB_FIELD(ring_segment)
			  : s->ring_entries ? JOB_FIELD(ring_entries)
					    : JOB_FIELD(ring_offset);
		if (s->ring_segment || s->ring_entries || s->ring_offset)
			return AIPU_STATUS_INVALID_FIELD;
	}
	*detail = 0;
	return AIPU_STATUS_OK;
}

static unsigned int job_take(struct dm_step_job *job, const struct aipu_job *from, uint32_t *detail)
{
	const struct aipu_job_step *step = &from->step;
	unsigned int status = job_fields_check(from, UINT16_MAX, detail);

	if (status == AIPU_STATUS_OK)
		status = blocks_take(job, step, detail);
	/* The limit on lanes is known once a program is: all of a context are of one device */
	if (status == AIPU_STATUS_OK)
		status = job_fields_check(from, job->exec.blocks[0].program->max_lanes, detail);
	if (status == AIPU_STATUS_OK)
		status = lanes_read(job, detail);
	if (status == AIPU_STATUS_OK && job->generate)
		status = generate_begin(job, step, detail);
	if (status != AIPU_STATUS_OK)
		return status;
	*detail = 0;
	if (exec_prepare(&job->exec, job->first_rows, job->generate ? job->active : 0))
		return AIPU_STATUS_NO_RESOURCES;
	return AIPU_STATUS_OK;
}

unsigned int dm_step_job_begin(struct dm_context *context, const struct aipu_job *job,
			       struct dm_step_job **out, uint32_t *detail)
{
	struct dm_step_job *j = calloc(1, sizeof(*j));
	unsigned int status;

	*out = NULL;
	*detail = 0;
	if (!j)
		return AIPU_STATUS_NO_RESOURCES;
	j->context = context;
	j->generate = job->opcode == AIPU_JOB_GENERATE;
	j->exec.kernels = dm_context_kernels(context);
	j->exec.cores = dm_context_cores(context);
	memset(&j->bounds, 0xff, sizeof(j->bounds));
	j->lane_segment = job->step.lane_segment;
	j->lane_offset = job->step.lane_offset;
	j->lane_count = job->step.lane_count;
	status = job_take(j, job, detail);
	if (status != AIPU_STATUS_OK) {
		job_free(j);
		return status;
	}
	*out = j;
	return AIPU_STATUS_OK;
}

static bool memory_lost(const struct dm_step_job *job)
{
	for (uint32_t i = 0; i < job->mapping_count; i++)
		if (job->mappings[i].lost && *job->mappings[i].lost)
			return true;
	return false;
}

bool step_execute(struct dm_step_job *job)
{
	struct exec *x = &job->exec;

	x->row_count = 0;
	x->selected_count = 0;
	x->sample_count = 0;
	for (uint32_t i = 0; i < job->lane_count; i++) {
		const struct step_lane *l = &job->lanes[i];
		uint32_t first = l->logits == AIPU_LOGITS_ALL	 ? 0
				 : l->logits == AIPU_LOGITS_LAST ? l->n_valid - 1
								 : l->n_valid;

		if (!l->stepping)
			continue;
		for (uint32_t t = 0; t < l->n_valid; t++) {
			if (t >= first)
				x->selected[x->selected_count++] = x->row_count;
			x->rows[x->row_count++] = (struct exec_row){
				.token = l->tokens[t],
				.position = l->position + t,
				.kv_slot = l->kv_slot,
			};
		}
		if (job->generate)
			x->samples[x->sample_count++] = (struct exec_sample){
				.selected = x->selected_count - 1,
				.params = l->sampler,
				.sequence = l->sequence,
				.position = l->position + l->n_valid,
			};
	}
	exec_step(x);
	exec_work(x, &job->work);
	return !memory_lost(job);
}

static void run_step(struct dm_step_job *job)
{
	job->done = true;
	if (!job->active)
		return;
	for (uint32_t i = 0; i < job->lane_count; i++)
		job->lanes[i].stepping = job->lanes[i].n_valid != 0;
	if (!step_execute(job)) {
		job->status = AIPU_STATUS_DATA_LOST;
		return;
	}
	for (uint32_t i = 0; i < job->lane_count; i++)
		job->lanes[i].position += job->lanes[i].n_valid;
}

const struct dm_work *dm_step_job_work(const struct dm_step_job *job)
{
	return &job->work;
}

enum dm_step_result dm_step_job_step(struct dm_step_job *job)
{
	job->work = (struct dm_work){ 0 };
	if (job->done)
		return DM_STEP_DONE;
	if (job->generate)
		return generate_step(job);
	run_step(job);
	return DM_STEP_DONE;
}

unsigned int dm_step_job_end(struct dm_step_job *job, unsigned int reason, bool write_back,
			     uint32_t *detail)
{
	unsigned int status = reason != AIPU_STATUS_OK ? reason : job->status;

	*detail = reason != AIPU_STATUS_OK ? 0 : job->detail;
	if (write_back && job->generate)
		generate_end(job);
	if (write_back)
		lanes_write_results(job, status);
	job_free(job);
	return status;
}

void dm_step_job_progress(const struct dm_step_job *job, uint32_t *block, uint32_t *instruction)
{
	*block = atomic_load_explicit(&job->exec.progress_block, memory_order_relaxed);
	*instruction = atomic_load_explicit(&job->exec.progress_instruction, memory_order_relaxed);
}
