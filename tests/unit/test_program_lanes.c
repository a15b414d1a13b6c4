// SPDX-License-Identifier: MIT
/*
 * What RUN checks before it runs: job fields, blocks, operands, every field of a lane, tokens; and
 * that a host which rewrites those structures at the worst moment changes nothing that was checked.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "program_llama.h"

static const struct llama_shape shape = { AIPU_FMT_F32, AIPU_FMT_F32, false, 4, 2 };
static struct llama model;

#define LANE(field) ((uint32_t)offsetof(struct aipu_lane, field))
#define JOB(field) ((uint32_t)offsetof(struct aipu_job, step.field))

static void job_open(struct llama_job *j)
{
	llama_job_open(j, &model, 1, AIPU_SIMD_AUTO);
	for (uint32_t i = 0; i < JOB_TOKENS; i++)
		j->tokens[i] = i % LLAMA_VOCAB;
	llama_lane(j, 0, 0, 0, 0, 3);
	llama_lane(j, 3, 2, 5, 7, 1);
}

static void expect(struct llama_job *j, unsigned int status, uint32_t detail, const char *what,
		   int line)
{
	uint32_t got_detail = 0;
	unsigned int got;

	/* Only what a job writes: results of a refused one stay as they are */
	j->lanes[0].result.kv_length = 99;
	got = llama_job_do(j, &got_detail);
	if (got != status || (got && got_detail != detail))
		fail_msg("line %d, %s: status %u, detail %#x; expected %u, %#x", line, what, got,
			 got_detail, status, detail);
	assert_int_equal(rig_holds(&j->context), 0);
	if (status != AIPU_STATUS_OK)
		assert_int_equal(j->lanes[0].result.kv_length, 99);
	llama_job_close(j);
}

#define CHECK(status, detail, change)                                        \
	do {                                                                 \
		struct llama_job j;                                          \
		job_open(&j);                                                \
		change;                                                      \
		expect(&j, AIPU_STATUS_##status, detail, #change, __LINE__); \
	} while (0)
#define BAD_LANE(lane, field, change) CHECK(INVALID_LANE, (lane) << 16 | LANE(field), change)

/* [RUN-1] */
static void job_fields(void **state)
{
	(void)state;
	CHECK(OK, 0, (void)j);
	CHECK(INVALID_FIELD, JOB(block_count), j.job.step.block_count = 0);
	CHECK(INVALID_FIELD, JOB(block_count), j.job.step.block_count = AIPU_MAX_BLOCKS + 1);
	CHECK(INVALID_FIELD, JOB(lane_count), j.job.step.lane_count = 0);
	CHECK(INVALID_FIELD, JOB(lane_count), j.job.step.lane_count = 65);
	CHECK(INVALID_FIELD, JOB(lane_count), j.job.step.lane_count = 0xffffffff);
	CHECK(INVALID_FIELD, JOB(ring_segment), j.job.step.ring_segment = 1);
	CHECK(INVALID_FIELD, JOB(ring_entries), j.job.step.ring_entries = 2);
	CHECK(INVALID_FIELD, JOB(ring_offset), j.job.step.ring_offset = 64);
	CHECK(INVALID_SEGMENT, JOB(block_segment), j.job.step.block_segment = 77);
	CHECK(OUT_OF_RANGE, JOB(block_segment), j.job.step.block_offset = UINT64_MAX - 8);
	CHECK(OUT_OF_RANGE, JOB(block_segment), j.job.step.block_count = 5);
	CHECK(INVALID_SEGMENT, JOB(lane_segment), j.job.step.lane_segment = 0xffffffff);
	CHECK(OUT_OF_RANGE, JOB(lane_segment), j.job.step.lane_count = JOB_LANES + 1);
	CHECK(OUT_OF_RANGE, JOB(lane_segment), j.job.step.lane_offset = 8);
	CHECK(ACCESS_DENIED, JOB(lane_segment),
	      j.context.segments[SEG_LANES].access = AIPU_ACCESS_READ);
	CHECK(ACCESS_DENIED, JOB(block_segment),
	      j.context.segments[SEG_BLOCKS].access = AIPU_ACCESS_WRITE);
}

/* [RUN-1] [RUN-2] */
static void blocks(void **state)
{
	(void)state;
	CHECK(NOT_FOUND, 0, j.blocks[0].program = 1);
	CHECK(NOT_FOUND, 0, j.blocks[0].program = 0xffffffff);
	CHECK(NOT_FOUND, 1, j.blocks[1].program = 5; j.job.step.block_count = 2);
	CHECK(INVALID_FIELD, 0, j.blocks[0].entry = 2);
	CHECK(INVALID_FIELD, 0, j.blocks[0].reserved = 1);
	CHECK(INVALID_OPERAND, 0, j.blocks[0].operand_count = SLOT_COUNT - 1);
	CHECK(INVALID_OPERAND, 0, j.blocks[0].operand_count = SLOT_COUNT + 1);
	CHECK(INVALID_SEGMENT, 0, j.blocks[0].operand_segment = 80);
	CHECK(OUT_OF_RANGE, 0, j.blocks[0].operand_offset = 32);
	CHECK(INVALID_OPERAND, 1 << 16, j.blocks[1] = j.blocks[0]; j.blocks[1].operand_count = 1;
	      j.job.step.block_count = 2);
	CHECK(OK, 0, j.blocks[1] = j.blocks[0]; j.job.step.block_count = 2);
}

/* [RUN-2] [SEG-6] */
static void operands(void **state)
{
	(void)state;
	CHECK(INVALID_OPERAND, SLOT_KV, j.operands[SLOT_KV].offset = 32);
	CHECK(INVALID_OPERAND, SLOT_KV, j.operands[SLOT_KV].length--);
	CHECK(INVALID_OPERAND, SLOT_KV, j.operands[SLOT_KV].length += 1);
	CHECK(INVALID_OPERAND, SLOT_KV, j.operands[SLOT_KV].length = UINT64_MAX);
	CHECK(INVALID_OPERAND, SLOT_KV, j.operands[SLOT_KV].offset = UINT64_MAX - 63);
	CHECK(INVALID_OPERAND, SLOT_KV, j.operands[SLOT_KV].segment = 90);
	CHECK(INVALID_OPERAND, SLOT_LOGITS, j.operands[SLOT_LOGITS].reserved0 = 1);
	CHECK(INVALID_OPERAND, SLOT_LOGITS, j.operands[SLOT_LOGITS].reserved1 = 1);
	CHECK(INVALID_OPERAND, SLOT_KV, j.context.segments[SLOT_KV].access = AIPU_ACCESS_READ);
	CHECK(INVALID_OPERAND, SLOT_WEIGHTS,
	      j.context.segments[SLOT_WEIGHTS].access = AIPU_ACCESS_WRITE);
	CHECK(INVALID_OPERAND, SLOT_SCRATCH, j.context.segments[SLOT_SCRATCH].no_pointer = true);
	CHECK(INVALID_OPERAND, SLOT_KV, j.context.segments[SLOT_KV].skew = 4);
	/* What differs from the default only in ways that are permitted */
	CHECK(OK, 0, rig_bind(&j.context, 60, 1 << 20, 3); j.operands[SLOT_KV].segment = 60;
	      j.operands[SLOT_KV].offset = 640; j.operands[SLOT_KV].length += 64);
	CHECK(OK, 0, j.context.segments[SEG_LANES].no_pointer = true);
	/* One memory for two slots is the caller's own problem */
	CHECK(OK, 0, rig_bind(&j.context, 60, 1 << 20, 3); j.operands[SLOT_KV].segment = 60;
	      j.operands[SLOT_SCRATCH].segment = 60; j.operands[SLOT_LOGITS].segment = 60);
}

/* [RUN-3] */
static void lane_fields(void **state)
{
	(void)state;
	BAD_LANE(3u, kv_slot, j.lanes[3].kv_slot = LLAMA_SLOTS);
	BAD_LANE(3u, kv_slot, j.lanes[3].kv_slot = 0xffffffff);
	BAD_LANE(3u, kv_slot, j.lanes[3].kv_slot = j.lanes[0].kv_slot);
	BAD_LANE(0u, position, j.lanes[0].position = LLAMA_CTX);
	BAD_LANE(0u, position, j.lanes[0].position = 0xffffffff);
	BAD_LANE(0u, n_valid, j.lanes[0].position = LLAMA_CTX - 2);
	BAD_LANE(0u, n_valid, j.lanes[0].n_valid = 0xffffffff);
	BAD_LANE(3u, n_valid, j.lanes[3].n_valid = LLAMA_PREFILL - 2);
	CHECK(OK, 0, j.lanes[3].n_valid = LLAMA_PREFILL - 3);
	BAD_LANE(0u, n_valid, j.blocks[0].entry = ENTRY_DECODE; j.lanes[0].n_valid = 5);
	BAD_LANE(0u, logits, j.lanes[0].logits = 3);
	BAD_LANE(0u, logits, j.lanes[0].logits = 0xffffffff);
	CHECK(UNSUPPORTED, LANE(token_source), j.lanes[0].token_source = AIPU_TOKENS_EMBEDDINGS);
	BAD_LANE(0u, token_source, j.lanes[0].token_source = 3);
	BAD_LANE(0u, n_valid, j.lanes[0].token_source = AIPU_TOKENS_INLINE);
	BAD_LANE(3u, token_offset, j.lanes[3].token_source = AIPU_TOKENS_INLINE;
		 j.lanes[3].token_offset = 1ull << 32);
	CHECK(OK, 0, j.lanes[3].token_source = AIPU_TOKENS_INLINE; j.lanes[3].token_offset = 49);
	BAD_LANE(3u, adapter, j.lanes[3].adapter = 1);
	BAD_LANE(3u, reserved0, j.lanes[3].reserved0 = 1);
	BAD_LANE(3u, reserved1[2], j.lanes[3].reserved1[2] = 1);
	BAD_LANE(3u, sampler.temperature, j.lanes[3].sampler.temperature = 1);
	BAD_LANE(3u, sampler.token_limit, j.lanes[3].sampler.token_limit = 1);
	BAD_LANE(3u, sampler.reserved[2], j.lanes[3].sampler.reserved[2] = 1);
	/* An idle lane may hold anything; an old result is not looked at */
	CHECK(OK, 0, memset(&j.lanes[1], 0xff, sizeof(j.lanes[1])); j.lanes[1].n_valid = 0;
	      memset(&j.lanes[3].result, 0xff, sizeof(j.lanes[3].result)));
	CHECK(OK, 0, memset(j.lanes, 0, JOB_LANES * sizeof(*j.lanes)));
}

/* [RUN-3] */
static void lane_sums(void **state)
{
	struct llama m;

	(void)state;
	/*
	 * The prefill entry of this one takes a single lane, the decode entry a single row of
	 * logits
	 */
	llama_build(&m, &shape);
	m.b.entries[0].max_lanes = 1;
	m.b.entries[1].max_selected = 1;
	for (unsigned int pass = 0; pass < 4; pass++) {
		struct llama_job j;
		uint32_t detail;
		unsigned int status;

		llama_job_open(&j, &m, 1, AIPU_SIMD_AUTO);
		llama_lane(&j, 1, 0, 0, 0, 1);
		if (pass != 1)
			llama_lane(&j, 6, 1, 0, 0, 1);
		j.blocks[0].entry = pass < 2 ? ENTRY_PREFILL : ENTRY_DECODE;
		if (pass == 3)
			j.lanes[1].logits = AIPU_LOGITS_NONE;
		status = llama_job_do(&j, &detail);
		assert_int_equal(status, pass % 2 ? AIPU_STATUS_OK : AIPU_STATUS_INVALID_LANE);
		if (pass == 0)
			assert_int_equal(detail, 6 << 16 | LANE(n_valid));
		if (pass == 2)
			assert_int_equal(detail, 6 << 16 | LANE(logits));
		llama_job_close(&j);
	}
	llama_free(&m);
}

/* [RUN-4] */
static void tokens(void **state)
{
	(void)state;
	CHECK(INVALID_INDEX, 0 << 16 | 2, j.tokens[2] = LLAMA_VOCAB);
	CHECK(INVALID_INDEX, 0 << 16 | 1, j.tokens[1] = 0xffffffff);
	CHECK(INVALID_INDEX, 3 << 16 | 0, j.tokens[7] = LLAMA_VOCAB);
	CHECK(INVALID_INDEX, 3 << 16 | 0, j.lanes[3].token_source = AIPU_TOKENS_INLINE;
	      j.lanes[3].token_offset = 0xffffffff);
	CHECK(OK, 0, j.tokens[3] = LLAMA_VOCAB);
	CHECK(INVALID_SEGMENT, 3 << 16 | LANE(token_segment), j.lanes[3].token_segment = 70);
	CHECK(OUT_OF_RANGE, 3 << 16 | LANE(token_segment),
	      j.lanes[3].token_offset = JOB_TOKENS * 4);
	CHECK(OUT_OF_RANGE, 0 << 16 | LANE(token_segment),
	      j.lanes[0].token_offset = UINT64_MAX - 3);
}

/* Copies `bytes` of a segment to `shift` beyond the start of a larger one in its place */
static uint8_t *move_segment(struct llama_job *j, uint32_t segment, size_t bytes, uint32_t shift)
{
	uint8_t *copy = malloc(bytes), *moved;

	assert_non_null(copy);
	memcpy(copy, j->context.segments[segment].memory, bytes);
	moved = (uint8_t *)rig_bind(&j->context, segment, bytes + shift, 3) + shift;
	memcpy(moved, copy, bytes);
	free(copy);
	return moved;
}

/* [RUN-1] [RUN-2] [RUN-3] [RUN-4] [RUN-6] What a job names may lie anywhere; only operands are aligned */
static void any_offset(void **state)
{
	struct aipu_lane_result want, got;
	struct llama_job j;
	uint8_t *lanes;
	uint32_t detail;

	(void)state;
	job_open(&j);
	assert_int_equal(llama_job_do(&j, &detail), AIPU_STATUS_OK);
	want = j.lanes[3].result;
	assert_int_equal(want.kv_length, 6);
	llama_job_close(&j);
	job_open(&j);
	for (uint32_t i = 0; i < 4; i += 3)
		j.lanes[i].token_offset += 1;
	j.blocks[0].operand_offset = 3;
	move_segment(&j, SEG_TOKENS, 10 * sizeof(*j.tokens), 1);
	move_segment(&j, SEG_OPERANDS, SLOT_COUNT * sizeof(*j.operands), 3);
	move_segment(&j, SEG_BLOCKS, sizeof(*j.blocks), 5);
	lanes = move_segment(&j, SEG_LANES, JOB_LANES * sizeof(*j.lanes), 7);
	j.job.step.block_offset = 5;
	j.job.step.lane_offset = 7;
	assert_int_equal(llama_job_do(&j, &detail), AIPU_STATUS_OK);
	memcpy(&got, lanes + 3 * sizeof(struct aipu_lane) + LANE(result), sizeof(got));
	assert_memory_equal(&got, &want, sizeof(got));
	assert_int_equal(rig_holds(&j.context), 0);
	llama_job_close(&j);
}

/* A host that rewrites what the device is about to read, and what it has read */
static void meddle(struct dm_context *c, uint32_t segment)
{
	static uint64_t random = 5;
	struct rig_segment *s = &c->segments[segment];

	if (segment == SEG_LANES || segment == SEG_BLOCKS || segment == SEG_OPERANDS)
		for (unsigned int i = rig_random(&random) % 3; i < 2; i++)
			s->memory[rig_random(&random) % s->bytes] = (uint8_t)rig_random(&random);
	if (segment == SEG_TOKENS)
		memset(c->segments[SEG_LANES].memory, 0xff, c->segments[SEG_LANES].bytes);
}

/* [RUN-7] */
static void hostile_host(void **state)
{
	unsigned int outcome[AIPU_STATUS_COUNT] = { 0 };

	(void)state;
	for (unsigned int i = 0; i < 2000; i++) {
		struct llama_job j;
		uint32_t detail;

		job_open(&j);
		j.context.meddle = meddle;
		outcome[llama_job_do(&j, &detail)]++;
		assert_int_equal(rig_holds(&j.context), 0);
		llama_job_close(&j);
	}
	/* Both kinds of end occur, so the meddling is neither harmless nor always fatal */
	assert_true(outcome[AIPU_STATUS_OK] > 20);
	assert_true(outcome[AIPU_STATUS_INVALID_LANE] > 20);
	assert_true(outcome[AIPU_STATUS_INVALID_OPERAND] > 20);
}

/*
 * [RUN-6] [RUN-7] The lanes of a running job are the copies: what the host writes between begin and
 * step has no effect
 */
static void rewritten_after_begin(void **state)
{
	struct llama_job j;
	struct dm_step_job *job;
	float want[2 * LLAMA_VOCAB];
	uint32_t detail;

	(void)state;
	job_open(&j);
	assert_int_equal(llama_job_do(&j, &detail), AIPU_STATUS_OK);
	memcpy(want, j.logits, sizeof(want));
	assert_int_equal(dm_step_job_begin(&j.context, &j.job, &job, &detail), AIPU_STATUS_OK);
	assert_true(rig_holds(&j.context) > 0);
	memset(j.lanes, 0xff, JOB_LANES * sizeof(*j.lanes));
	memset(j.blocks, 0xff, 4 * sizeof(*j.blocks));
	memset(j.operands, 0xff, SLOT_COUNT * sizeof(*j.operands));
	memset(j.tokens, 0xff, JOB_TOKENS * sizeof(*j.tokens));
	assert_int_equal(dm_step_job_step(job), DM_STEP_DONE);
	assert_int_equal(dm_step_job_end(job, AIPU_STATUS_OK, true, &detail), AIPU_STATUS_OK);
	assert_memory_equal(j.logits, want, sizeof(want));
	assert_int_equal(j.lanes[3].result.kv_length, 6);
	assert_int_equal(j.lanes[3].result.generation, 10);
	llama_job_close(&j);
}

/* [PRG-5] A program that is unloaded while a job has it lives until the job ends */
static void unloaded_while_running(void **state)
{
	struct llama_job j;
	struct dm_step_job *job;
	uint32_t detail, block, instruction;

	(void)state;
	job_open(&j);
	assert_int_equal(dm_step_job_begin(&j.context, &j.job, &job, &detail), AIPU_STATUS_OK);
	dm_program_put(j.context.programs[0]);
	j.context.programs[0] = NULL;
	assert_int_equal(dm_step_job_step(job), DM_STEP_DONE);
	dm_step_job_progress(job, &block, &instruction);
	assert_int_equal(block, 0);
	assert_int_equal(instruction, model.b.header.instruction_count - 1);
	assert_int_equal(dm_step_job_end(job, AIPU_STATUS_OK, true, &detail), AIPU_STATUS_OK);
	assert_int_equal(j.lanes[0].result.kv_length, 3);
	llama_job_close(&j);
}

/*
 * [RUN-6] Ended before its step: the lanes are where they were; and without write_back nothing is
 * written
 */
static void aborted_before_its_step(void **state)
{
	(void)state;
	for (unsigned int write_back = 0; write_back < 2; write_back++) {
		struct llama_job j;
		struct dm_step_job *job;
		uint32_t detail;

		job_open(&j);
		j.lanes[3].result.kv_length = 77;
		assert_int_equal(dm_step_job_begin(&j.context, &j.job, &job, &detail),
				 AIPU_STATUS_OK);
		assert_int_equal(dm_step_job_end(job, AIPU_STATUS_ABORTED, write_back, &detail),
				 AIPU_STATUS_ABORTED);
		assert_int_equal(j.lanes[3].result.kv_length, write_back ? 5 : 77);
		assert_int_equal(rig_holds(&j.context), 0);
		llama_job_close(&j);
	}
}

static int setup(void **state)
{
	(void)state;
	llama_build(&model, &shape);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	llama_free(&model);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(job_fields),
		cmocka_unit_test(blocks),
		cmocka_unit_test(operands),
		cmocka_unit_test(lane_fields),
		cmocka_unit_test(lane_sums),
		cmocka_unit_test(tokens),
		cmocka_unit_test(any_offset),
		cmocka_unit_test(hostile_host),
		cmocka_unit_test(rewritten_after_begin),
		cmocka_unit_test(unloaded_while_running),
		cmocka_unit_test(aborted_before_its_step),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("program_lanes", tests, setup, teardown);
}
