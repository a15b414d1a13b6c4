// SPDX-License-Identifier: MIT
/*
 * The executor: the rows of one step through all blocks of a job, on all cores, and the draws after
 * it. Called by step.c once a step. It checks nothing: the verifier and the lane checks did. It
 * must never let anything depend on the number of cores, nor read an index from an operand.
 */
#include <errno.h>
#include <stdlib.h>

#include "program/program.h"

#define SCRATCH_ALIGN 64u

static void *scratch_alloc(uint64_t bytes)
{
	void *p;

	if (bytes > SIZE_MAX / 2 || posix_memalign(&p, SCRATCH_ALIGN, bytes ? bytes : 1))
		return NULL;
	return p;
}

int exec_prepare(struct exec *x, uint32_t max_rows, uint32_t max_samples)
{
	uint64_t quant_row = 0, sampler;

	for (uint32_t i = 0; i < x->block_count; i++) {
		const struct dm_program *p = x->blocks[i].program;
		uint64_t bytes = p->quant_bytes[x->blocks[i].entry - p->entries];

		if (bytes > quant_row)
			quant_row = bytes;
	}
	sampler = aipu_sample_scratch_bytes(
		x->blocks[x->block_count - 1].program->header->vocabulary);
	x->max_rows = max_rows;
	x->core_count = dm_cores_count(x->cores);
	x->rows = calloc((size_t)max_rows + 1, sizeof(*x->rows));
	x->selected = calloc((size_t)max_rows + 1, sizeof(*x->selected));
	x->work = calloc((size_t)max_rows + 1, sizeof(*x->work));
	x->samples = calloc((size_t)max_samples + 1, sizeof(*x->samples));
	x->scratch = calloc(x->core_count, sizeof(*x->scratch));
	x->quantized = scratch_alloc(quant_row * max_rows);
	if (!x->rows || !x->selected || !x->work || !x->samples || !x->scratch || !x->quantized)
		return -ENOMEM;
	for (unsigned int i = 0; i < x->core_count; i++) {
		struct exec_scratch *s = &x->scratch[i];

		s->kv_rows = scratch_alloc((uint64_t)max_rows * sizeof(*s->kv_rows));
		s->sampler = max_samples ? scratch_alloc(sampler) : NULL;
		if (!s->kv_rows || (max_samples && !s->sampler))
			return -ENOMEM;
	}
	return 0;
}

void exec_release(struct exec *x)
{
	for (unsigned int i = 0; x->scratch && i < x->core_count; i++) {
		free(x->scratch[i].kv_rows);
		free(x->scratch[i].sampler);
	}
	free(x->scratch);
	free(x->quantized);
	free(x->samples);
	free(x->work);
	free(x->selected);
	free(x->rows);
}

static void samples_draw(struct exec *x, unsigned int core, unsigned int cores)
{
	const struct exec_block *block = &x->blocks[x->block_count - 1];
	const struct aipu_tensor *t;

	if (!x->sample_count)
		return;
	t = &block->program->tensors[block->entry->logits];
	for (uint32_t i = core; i < x->sample_count; i += cores) {
		struct exec_sample *s = &x->samples[i];
		const uint8_t *row = block->base[t->slot] + t->offset + s->selected * t->stride;

		s->token = aipu_sample(x->kernels, (const float *)row, t->dims[1], &s->params,
				       s->sequence, s->position, x->scratch[core].sampler,
				       &s->logprob);
	}
}

static void step_core(void *arg, unsigned int core, unsigned int cores)
{
	struct exec *x = arg;

	for (uint32_t b = 0; b < x->block_count; b++) {
		const struct exec_block *block = &x->blocks[b];
		const struct aipu_entry *entry = block->entry;
		struct exec_core c = {
			.x = x,
			.block = block,
			/* A block without logits was verified for no selected row */
			.selected_count = entry->max_selected ? x->selected_count : 0,
			.quantized = AIPU_NO_TENSOR,
			.core = core,
			.cores = cores,
		};

		for (uint32_t i = 0; i < entry->instruction_count; i++) {
			uint32_t index = entry->first_instruction + i;

			if (core == 0) {
				atomic_store_explicit(&x->progress_block, b, memory_order_relaxed);
				atomic_store_explicit(&x->progress_instruction, index,
						      memory_order_relaxed);
			}
			exec_instruction(&c, &block->program->instructions[index]);
			dm_cores_barrier(x->cores, core);
		}
	}
	samples_draw(x, core, cores);
}

void exec_step(struct exec *x)
{
	/* A row at position p attends to p + 1 positions; 8 stands for what every row costs */
	for (uint32_t i = 0; i < x->row_count; i++)
		x->work[i + 1] = x->work[i] + (uint64_t)x->rows[i].position + 8;
	dm_cores_run(x->cores, step_core, x);
}
