// SPDX-License-Identifier: MIT
/*
 * Fuzz target of the job's structures: blocks, operands, lane table, token ids, stop ids and ring
 * header of a valid job are overwritten before it begins and, where the device reads them again,
 * while it runs. What is accepted is executed.
 */
#include "program_hostile.h"
#include "program_llama.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static struct llama model;
static struct llama_job fresh; /* a job before anything was written to it */
static uint8_t *contents[RIG_SEGMENTS]; /* of its segments */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const struct llama_shape shape = { AIPU_FMT_I8_G32, AIPU_FMT_F16, true, 4, 2 };

	(void)argc;
	(void)argv;
	llama_build(&model, &shape);
	llama_job_open(&fresh, &model, 1, AIPU_SIMD_AUTO);
	for (uint32_t i = 0; i < JOB_TOKENS; i++)
		fresh.tokens[i] = i % LLAMA_VOCAB;
	fresh.blocks[1] = fresh.blocks[0];
	for (uint32_t i = 0; i < RIG_SEGMENTS; i++) {
		contents[i] = malloc(fresh.context.segments[i].bytes + 1);
		if (fresh.context.segments[i].memory)
			memcpy(contents[i], fresh.context.segments[i].memory,
			       fresh.context.segments[i].bytes);
	}
	return 0;
}

/* Each input starts from the same memory, in the same place */
static struct llama_job job_start(void)
{
	struct llama_job j = fresh;

	for (uint32_t i = 0; i < RIG_SEGMENTS; i++)
		if (j.context.segments[i].memory)
			memcpy(j.context.segments[i].memory, contents[i],
			       j.context.segments[i].bytes);
	return j;
}

/* One write of the host: to a field of a structure more often than to a byte anywhere */
static void overwrite(struct llama_job *j, struct choices *c)
{
	static const uint32_t segments[] = { SEG_LANES,	 SEG_LANES,    SEG_LANES,  SEG_LANES,
					     SEG_BLOCKS, SEG_OPERANDS, SEG_TOKENS, SEG_RING,
					     SEG_RING,	 SEG_STOPS };
	uint32_t how = choose(c);
	struct rig_segment *s =
		&j->context.segments[segments[how % (sizeof(segments) / sizeof(segments[0]))]];
	uint32_t words = (uint32_t)(s->bytes / 4), word, value;

	if (!s->memory)
		return;
	/* The parts that a job uses lie at the segments' beginnings */
	word = (how >> 8) % (how >> 31 ? words : words < 168 ? words : 168);
	memcpy(&value, s->memory + word * 4, sizeof(value));
	value = (uint32_t)choose_number(c, value, 32);
	memcpy(s->memory + word * 4, &value, sizeof(value));
}

static void job_run(struct llama_job *j, struct choices *c)
{
	struct dm_step_job *job;
	uint32_t detail, block, instruction;
	unsigned int reason = AIPU_STATUS_OK;

	if (dm_step_job_begin(&j->context, &j->job, &job, &detail) != AIPU_STATUS_OK)
		return;
	for (unsigned int i = 0; i < 40; i++) {
		uint32_t act = choose(c);

		if (act % 4 == 0)
			overwrite(j, c);
		else if (act % 4 == 1)
			j->ring->consumer = j->ring->producer;
		if (act % 64 == 2)
			j->context.segments[SLOT_WEIGHTS].lost = true;
		if (act % 64 == 3)
			j->context.segments[SEG_STOPS].memory = NULL; /* no longer bound */
		if (dm_step_job_step(job) == DM_STEP_DONE)
			break;
		dm_step_job_wake(job);
		dm_step_job_progress(job, &block, &instruction);
		if (i == 39 || act % 64 == 4)
			reason = AIPU_STATUS_ABORTED;
		if (reason)
			break;
	}
	dm_step_job_end(job, reason, choose(c) % 8 != 1, &detail);
	if (rig_holds(&j->context))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct choices c = { .data = data, .size = size };
	struct llama_job j = job_start();
	uint32_t how = choose(&c);

	for (uint32_t i = 0; i < LLAMA_SLOTS && i <= (how >> 4 & 3); i++)
		llama_lane(&j, i, i, choose_below(&c, LLAMA_CTX), choose_below(&c, 100),
			   1 + choose_below(&c, 4));
	j.job.step.block_count = 1 + (how >> 6 & 1);
	if (how & 1) {
		j.job.opcode = AIPU_JOB_GENERATE;
		j.job.step.ring_segment = SEG_RING;
		j.job.step.ring_entries = 2u << (how >> 8 & 7);
		for (uint32_t i = 0; i < LLAMA_SLOTS; i++) {
			j.lanes[i].sampler.temperature = aipu_f32_bits((float)(how >> 12 & 3));
			j.lanes[i].sampler.token_limit = 1 + (how >> 14 & 15);
			j.lanes[i].sampler.stop_segment = SEG_STOPS;
			j.lanes[i].sampler.stop_count = how >> 18 & 7;
		}
		j.ring->producer = j.ring->consumer = choose(&c);
	}
	if (how & 2)
		j.context.segments[SEG_RING].no_pointer = true;
	for (uint32_t n = how >> 24 & 7; n-- > 0;)
		overwrite(&j, &c);
	if (how >> 27 & 1) { /* a field of the job itself */
		uint32_t *words = (uint32_t *)j.job.body;
		uint32_t *word = &words[choose_below(&c, sizeof(j.job.body) / 4)];

		*word = (uint32_t)choose_number(&c, *word, 32);
	}
	job_run(&j, &c);
	return 0;
}
