// SPDX-License-Identifier: MIT
/*
 * The executor: a small model against plain loops in binary64, each opcode alone against its rule,
 * and the same bits from any number of cores, instruction set, cutting of a prompt and company of
 * lanes.
 */
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdarg.h>
#include <cmocka.h>

#include "program_llama.h"

static const uint32_t prompt[] = { 3, 17, 42, 8, 8, 49, 0, 21, 33, 5, 12, 40, 7, 29, 1, 16 };
#define PROMPT 16

static const struct llama_shape shapes[] = {
	{ AIPU_FMT_F32, AIPU_FMT_F32, false, 5, 5 },
	{ AIPU_FMT_F32, AIPU_FMT_F16, false, 4, 2 },
	{ AIPU_FMT_F16, AIPU_FMT_F16, false, 6, 3 },
	{ AIPU_FMT_F16, AIPU_FMT_F32, false, 4, 1 },
	{ AIPU_FMT_I8_G32, AIPU_FMT_F32, false, 4, 2 },
	{ AIPU_FMT_I8_G32, AIPU_FMT_F16, true, 4, 2 },
	{ AIPU_FMT_I8_G32, AIPU_FMT_F32, true, 5, 5 },
};
#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

/* Logits of all positions of the prompt, in steps of `chunk` tokens on KV slot `slot` */
static void prompt_run(struct llama_job *j, uint32_t chunk, uint32_t slot,
		       float (*logits)[LLAMA_VOCAB])
{
	memcpy(j->tokens, prompt, sizeof(prompt));
	for (uint32_t p = 0; p < PROMPT; p += chunk) {
		uint32_t n = PROMPT - p < chunk ? PROMPT - p : chunk, detail;

		memset(j->lanes, 0, JOB_LANES * sizeof(*j->lanes));
		llama_lane(j, 2, slot, p, p, n)->logits = AIPU_LOGITS_ALL;
		assert_int_equal(llama_job_do(j, &detail), AIPU_STATUS_OK);
		assert_int_equal(j->lanes[2].result.kv_length, p + n);
		memcpy(logits[p], j->logits, n * sizeof(logits[0]));
	}
	assert_int_equal(rig_holds(&j->context), 0);
}

static void agrees_with_plain_loops(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < SHAPES; i++) {
		static float got[PROMPT][LLAMA_VOCAB];
		static double want[PROMPT][LLAMA_VOCAB];
		struct llama m;
		struct llama_job j;
		double limit = shapes[i].dynamic		     ? 0.2
			       : shapes[i].kv_format == AIPU_FMT_F16 ? 0.01
								     : 1e-4,
		       worst = 0;

		llama_build(&m, &shapes[i]);
		llama_job_open(&j, &m, 2, AIPU_SIMD_AUTO);
		llama_plain(&m, prompt, PROMPT, want);
		prompt_run(&j, 5, 1, got);
		for (unsigned int p = 0; p < PROMPT; p++)
			for (unsigned int t = 0; t < LLAMA_VOCAB; t++)
				worst = fmax(worst, fabs((double)got[p][t] - want[p][t]));
		if (!(worst <= limit))
			fail_msg("shape %u: logits are off by %g", i, worst);
		llama_job_close(&j);
		llama_free(&m);
	}
}

/* [PRG-7] */
static void same_bits_everywhere(void **state)
{
	static const enum aipu_simd levels[] = { AIPU_SIMD_SCALAR, AIPU_SIMD_AVX2,
						 AIPU_SIMD_AVX512 };
	static const uint32_t chunks[] = { 1, 5, 12 };
	const struct aipu_kernels *kernels;

	(void)state;
	for (unsigned int i = 0; i < SHAPES; i++) {
		static float first[PROMPT][LLAMA_VOCAB], got[PROMPT][LLAMA_VOCAB];
		struct llama m;
		bool have = false;

		llama_build(&m, &shapes[i]);
		for (unsigned int l = 0; l < 3; l++) {
			if (aipu_kernels_select(levels[l], &kernels))
				continue;
			for (unsigned int cores = 1; cores <= 4; cores++) {
				struct llama_job j;

				llama_job_open(&j, &m, cores, levels[l]);
				for (unsigned int c = 0; c < 3; c++) {
					prompt_run(&j, chunks[c], c, have ? got : first);
					if (have && memcmp(got, first, sizeof(got)))
						fail_msg("shape %u, level %u, %u cores, chunk %u",
							 i, l, cores, chunks[c]);
					have = true;
				}
				llama_job_close(&j);
			}
		}
		llama_free(&m);
	}
}

/* [PRG-7] [RUN-5] Four lanes at different positions in one step: each gets what it gets alone */
static void lanes_alone_and_together(void **state)
{
	static const uint32_t begin[LLAMA_SLOTS] = { 0, 3, 9, 14 },
			      count[LLAMA_SLOTS] = { 4, 1, 2, 1 };
	float alone[LLAMA_SLOTS][LLAMA_VOCAB];
	struct llama_job j;
	struct llama m;
	uint32_t detail;

	(void)state;
	llama_build(&m, &shapes[5]);
	llama_job_open(&j, &m, 3, AIPU_SIMD_AUTO);
	memcpy(j.tokens, prompt, sizeof(prompt));
	for (uint32_t i = 0; i < LLAMA_SLOTS; i++) {
		static float all[PROMPT][LLAMA_VOCAB];

		prompt_run(&j, 12, i, all);
		memcpy(alone[i], all[begin[i] + count[i] - 1], sizeof(alone[i]));
	}
	memset(j.lanes, 0, JOB_LANES * sizeof(*j.lanes));
	for (uint32_t i = 0; i < LLAMA_SLOTS; i++)
		llama_lane(&j, i * 2, i, begin[i], begin[i], count[i]);
	j.lanes[2].logits = AIPU_LOGITS_NONE;
	assert_int_equal(llama_job_do(&j, &detail), AIPU_STATUS_OK);
	/* Lane 2, the second active one, wanted none: its row is left out */
	assert_memory_equal(j.logits, alone[0], sizeof(alone[0]));
	assert_memory_equal(j.logits + LLAMA_VOCAB, alone[2], sizeof(alone[2]));
	assert_memory_equal(j.logits + 2 * LLAMA_VOCAB, alone[3], sizeof(alone[3]));
	for (uint32_t i = 0; i < JOB_LANES; i++) {
		bool active = i % 2 == 0;

		assert_int_equal(j.lanes[i].result.kv_length,
				 active ? begin[i / 2] + count[i / 2] : 0);
		assert_int_equal(j.lanes[i].result.generation, active ? 7 + i : 0);
		assert_int_equal(j.lanes[i].result.reason, AIPU_END_NONE);
	}
	llama_job_close(&j);
	llama_free(&m);
}

/* [RUN-5] A step writes K and V of its own positions only, and no row beyond its selected ones */
static void writes_nothing_beyond(void **state)
{
	struct llama_job j;
	struct llama m;
	const struct aipu_tensor *k, *v;
	const float *kv;
	uint32_t detail;

	(void)state;
	llama_build(&m, &shapes[0]);
	llama_job_open(&j, &m, 2, AIPU_SIMD_AUTO);
	memcpy(j.tokens, prompt, sizeof(prompt));
	memset(j.logits, 0xff, j.context.segments[SLOT_LOGITS].bytes);
	llama_lane(&j, 0, 1, 2, 0, 3);
	assert_int_equal(llama_job_do(&j, &detail), AIPU_STATUS_OK);
	kv = (const float *)j.context.segments[SLOT_KV].memory;
	for (unsigned int i = 0; i < m.b.header.tensor_count; i++) {
		const struct aipu_tensor *t = &m.b.tensors[i];

		if (t->slot != SLOT_KV || t->layout != AIPU_LAYOUT_KV_K)
			continue;
		k = t;
		v = t + 1;
		for (uint32_t slot = 0; slot < LLAMA_SLOTS; slot++)
			for (uint32_t e = 0; e < k->stride / 4; e++) {
				uint32_t at_k = e % LLAMA_CTX;
				uint32_t at_v = e / LLAMA_HEAD_DIM % LLAMA_CTX;
				float a = kv[(k->offset + slot * k->stride) / 4 + e];
				float b = kv[(v->offset + slot * v->stride) / 4 + e];

				assert_int_equal(a != 0, slot == 1 && at_k >= 2 && at_k < 5);
				assert_int_equal(b != 0, slot == 1 && at_v >= 2 && at_v < 5);
			}
	}
	for (uint32_t i = LLAMA_VOCAB; i < LLAMA_PREFILL * LLAMA_VOCAB; i++)
		assert_int_equal(aipu_f32_bits(j.logits[i]), 0xffffffff);
	llama_job_close(&j);
	llama_free(&m);
}

/* --- single opcodes --------------------------------------------------------------------------- */

#define ONE_ROWS 6
#define ONE_COLUMNS 72
#define ONE_POSITIONS 9

/* A program of one instruction over rows of floats, and a lane of ONE_ROWS tokens at position 2 */
struct one {
	struct builder b;
	struct dm_context context;
	struct aipu_instruction *in;
	uint16_t dst, x, y, vector, table;
	uint32_t columns;
};

enum { ONE_IN, ONE_OUT, ONE_TABLE, ONE_BLOCKS, ONE_OPERANDS, ONE_LANES, ONE_TOKENS };

static void one_start(struct one *o, uint32_t columns, uint32_t vector, uint32_t table)
{
	const unsigned int both = AIPU_ACCESS_READ | AIPU_ACCESS_WRITE;

	memset(o, 0, sizeof(*o));
	build_start(&o->b);
	o->columns = columns;
	o->b.header.vocabulary = 20;
	o->b.header.capabilities = rig_limits().capabilities;
	build_slot(&o->b, AIPU_SLOT_INPUT, AIPU_ACCESS_READ, "in");
	build_slot(&o->b, AIPU_SLOT_OUTPUT, both, "out");
	build_slot(&o->b, AIPU_SLOT_CONSTANTS, AIPU_ACCESS_READ, "table");
	o->x = build_rows(&o->b, ONE_IN, AIPU_ROWS_TOKENS, ONE_ROWS, columns);
	o->y = build_rows(&o->b, ONE_IN, AIPU_ROWS_TOKENS, ONE_ROWS, columns);
	o->dst = build_rows(&o->b, ONE_OUT, AIPU_ROWS_TOKENS, ONE_ROWS, columns);
	o->vector = build_rows(&o->b, ONE_TABLE, AIPU_ROWS_FIXED, 1, vector);
	o->table = build_rows(&o->b, ONE_TABLE, AIPU_ROWS_FIXED, ONE_POSITIONS, table);
}

static struct aipu_instruction *one_op(struct one *o, unsigned int opcode, uint16_t a, uint16_t b,
				       uint16_t c)
{
	struct aipu_entry *e;

	o->in = build_op(&o->b, opcode, o->dst, a, b, c, AIPU_NO_TENSOR);
	e = build_entry(&o->b, "one", 0);
	e->max_tokens = ONE_ROWS;
	e->max_lanes = 1;
	e->ctx_len = ONE_POSITIONS;
	return o->in;
}

static float *one_data(struct one *o, uint16_t tensor)
{
	const struct aipu_tensor *t = &o->b.tensors[tensor];

	return (float *)(o->context.segments[t->slot].memory + t->offset);
}

/* Memory with small random numbers in it; the caller may then set some of its own */
static void one_memory(struct one *o, unsigned int cores)
{
	uint64_t random = 99;

	rig_open(&o->context, cores, AIPU_SIMD_AUTO);
	for (uint32_t s = 0; s < o->b.header.slot_count; s++) {
		float *p = rig_bind(&o->context, s, o->b.slots[s].min_bytes, o->b.slots[s].access);

		for (uint64_t i = 0; i < o->b.slots[s].min_bytes / 4; i++)
			p[i] = (float)((int)(rig_random(&random) % 257) - 128) / 64;
	}
}

static void one_run(struct one *o)
{
	const unsigned int both = AIPU_ACCESS_READ | AIPU_ACCESS_WRITE;
	struct dm_limits limits = rig_limits();
	struct aipu_job job = { .opcode = AIPU_JOB_RUN };
	struct aipu_operand *operands;
	struct aipu_block *block;
	struct aipu_lane *lane;
	struct dm_step_job *step;
	uint32_t detail, *tokens;

	if (build_load(&o->b, &limits, &o->context.programs[0], &detail) != AIPU_STATUS_OK)
		fail_msg("refused, detail %#x", detail);
	block = rig_bind(&o->context, ONE_BLOCKS, sizeof(*block), both);
	operands = rig_bind(&o->context, ONE_OPERANDS, 3 * sizeof(*operands), both);
	lane = rig_bind(&o->context, ONE_LANES, sizeof(*lane), both);
	tokens = rig_bind(&o->context, ONE_TOKENS, ONE_ROWS * sizeof(*tokens), both);
	block->operand_segment = ONE_OPERANDS;
	block->operand_count = 3;
	for (uint32_t i = 0; i < 3; i++) {
		operands[i].segment = i;
		operands[i].length = o->b.slots[i].min_bytes;
	}
	for (uint32_t i = 0; i < ONE_ROWS; i++)
		tokens[i] = (7 * i + 13) % 20;
	lane->n_valid = ONE_ROWS;
	lane->position = 2;
	lane->token_source = AIPU_TOKENS_SEGMENT;
	lane->token_segment = ONE_TOKENS;
	job.step = (struct aipu_job_step){ .block_segment = ONE_BLOCKS,
					   .block_count = 1,
					   .lane_segment = ONE_LANES,
					   .lane_count = 1 };
	assert_int_equal(dm_step_job_begin(&o->context, &job, &step, &detail), AIPU_STATUS_OK);
	assert_int_equal(dm_step_job_step(step), DM_STEP_DONE);
	assert_int_equal(dm_step_job_end(step, AIPU_STATUS_OK, true, &detail), AIPU_STATUS_OK);
}

static void one_compare(struct one *o, double (*want)(struct one *o, uint32_t row, uint32_t column))
{
	const float *dst = one_data(o, o->dst);

	for (uint32_t r = 0; r < ONE_ROWS; r++)
		for (uint32_t c = 0; c < o->columns; c++) {
			double expected = want(o, r, c), got = (double)dst[r * o->columns + c];

			if (!(fabs(got - expected) <= 1e-5 * (1 + fabs(expected))))
				fail_msg("row %u, column %u: %g instead of %g", r, c, got,
					 expected);
		}
	rig_close(&o->context);
}

static double at(struct one *o, uint16_t tensor, uint32_t row, uint32_t column)
{
	return (double)one_data(o, tensor)[row * o->b.tensors[tensor].dims[1] + column];
}

static double want_sum(struct one *o, uint32_t r, uint32_t c)
{
	return at(o, o->x, r, c) + at(o, o->y, r, c);
}

static double want_gelu(struct one *o, uint32_t r, uint32_t c)
{
	double x = at(o, o->x, r, c);

	return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

static double want_silu_mul(struct one *o, uint32_t r, uint32_t c)
{
	double x = at(o, o->x, r, c);

	return x / (1 + exp(-x)) * at(o, o->y, r, c);
}

static void elementwise(void **state)
{
	(void)state;
	for (unsigned int cores = 1; cores <= 3; cores++) {
		struct one o;

		one_start(&o, ONE_COLUMNS, 8, 8);
		one_op(&o, AIPU_OP_ADD, o.x, o.y, AIPU_NO_TENSOR);
		one_memory(&o, cores);
		one_run(&o);
		one_compare(&o, want_sum);
		one_start(&o, ONE_COLUMNS + 5, 8, 8);
		one_op(&o, AIPU_OP_ACTIVATE, o.x, AIPU_NO_TENSOR, AIPU_NO_TENSOR)->u[0] =
			AIPU_ACTIVATION_GELU;
		one_memory(&o, cores);
		one_run(&o);
		one_compare(&o, want_gelu);
		one_start(&o, 7, 8, 8);
		one_op(&o, AIPU_OP_ACTIVATE, o.x, o.y, AIPU_NO_TENSOR);
		one_memory(&o, cores);
		one_run(&o);
		one_compare(&o, want_silu_mul);
	}
}

static double want_head_norm(struct one *o, uint32_t r, uint32_t c)
{
	uint32_t first = c / 8 * 8;
	double sum = 0;

	for (uint32_t i = first; i < first + 8; i++)
		sum += at(o, o->x, r, i) * at(o, o->x, r, i);
	return at(o, o->x, r, c) / sqrt(sum / 8 + 0.25) * (at(o, o->vector, 0, c % 8) + 1);
}

static void head_norm_with_offset(void **state)
{
	struct one o;

	(void)state;
	one_start(&o, ONE_COLUMNS, 8, 8);
	one_op(&o, AIPU_OP_RMSNORM, o.x, o.vector, AIPU_NO_TENSOR);
	o.in->u[0] = 8;
	o.in->f[0] = aipu_f32_bits(0.25f);
	o.in->f[1] = aipu_f32_bits(1.0f);
	one_memory(&o, 3);
	one_run(&o);
	one_compare(&o, want_head_norm);
}

/* Weights are all 1 but for (0, 0) = 3 */
static double want_biased(struct one *o, uint32_t r, uint32_t c)
{
	double sum = at(o, o->vector, 0, c);

	for (uint32_t i = 0; i < o->columns; i++)
		sum += at(o, o->x, r, i);
	return sum + (c == 0 ? 2 * at(o, o->x, r, 0) : 0);
}

static void matmul_bias(void **state)
{
	(void)state;
	for (unsigned int cores = 1; cores <= 4; cores++) {
		struct one o;
		uint16_t w;
		float *p;

		one_start(&o, ONE_COLUMNS, ONE_COLUMNS, 8);
		w = build_tensor(&o.b, ONE_TABLE, AIPU_FMT_F32, AIPU_LAYOUT_TILE16, AIPU_ROWS_FIXED,
				 (uint32_t[]){ ONE_COLUMNS, ONE_COLUMNS, 1, 1 });
		one_op(&o, AIPU_OP_MATMUL, o.x, w, o.vector);
		one_memory(&o, cores);
		p = one_data(&o, w);
		for (uint32_t i = 0;
		     i < aipu_weight_bytes(AIPU_FMT_F32, ONE_COLUMNS, ONE_COLUMNS) / 4; i++)
			p[i] = i ? 1.0f : 3.0f;
		one_run(&o);
		one_compare(&o, want_biased);
	}
}

static float rope_before[ONE_ROWS * ONE_COLUMNS];

/* Heads of 12, the first 8 of each turned */
static double want_partial_rope(struct one *o, uint32_t r, uint32_t c)
{
	const float *x = rope_before + r * o->columns + c / 12 * 12;
	uint32_t i = c % 12, p = r + 2;

	if (i < 4)
		return (double)x[i] * at(o, o->table, p, i) -
		       (double)x[i + 4] * at(o, o->table, p, i + 4);
	if (i < 8)
		return (double)x[i] * at(o, o->table, p, i - 4) +
		       (double)x[i - 4] * at(o, o->table, p, i);
	return (double)x[i];
}

static void partial_rope(void **state)
{
	(void)state;
	for (unsigned int cores = 1; cores <= 4; cores++) {
		struct one o;

		one_start(&o, ONE_COLUMNS, 8, 8);
		one_op(&o, AIPU_OP_ROPE, o.table, AIPU_NO_TENSOR, AIPU_NO_TENSOR);
		o.in->u[0] = 12;
		o.in->u[1] = 8;
		one_memory(&o, cores);
		memcpy(rope_before, one_data(&o, o.dst), sizeof(rope_before));
		one_run(&o);
		one_compare(&o, want_partial_rope);
	}
}

static uint16_t embed_table;

static double want_embedding(struct one *o, uint32_t r, uint32_t c)
{
	const struct aipu_tensor *t = &o->b.tensors[embed_table];
	uint32_t token = (7 * r + 13) % 20;
	const uint8_t *row = o->context.segments[t->slot].memory + t->offset + token * t->stride;
	uint16_t half;

	if (t->format == AIPU_FMT_F32)
		return (double)((const float *)row)[c];
	memcpy(&half, row + c * 2, 2);
	return (double)(t->format == AIPU_FMT_F16 ? aipu_f16_to_f32(half) : aipu_bf16_to_f32(half));
}

static void embed_from_rows(void **state)
{
	static const unsigned int formats[] = { AIPU_FMT_F32, AIPU_FMT_F16, AIPU_FMT_BF16 };

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		struct one o;

		one_start(&o, 33, 8, 8);
		embed_table = build_tensor(&o.b, ONE_TABLE, formats[i], AIPU_LAYOUT_ROWS,
					   AIPU_ROWS_FIXED, (uint32_t[]){ 20, 33, 1, 1 });
		one_op(&o, AIPU_OP_EMBED, embed_table, AIPU_NO_TENSOR, AIPU_NO_TENSOR);
		one_memory(&o, 2);
		one_run(&o);
		one_compare(&o, want_embedding);
	}
}

/*
 * A window of the whole context changes nothing, one of a single position gives that position's
 * value
 */
static void sliding_window(void **state)
{
	struct llama_job j;
	struct llama m;
	static float all[PROMPT][LLAMA_VOCAB], wide[PROMPT][LLAMA_VOCAB],
		narrow[PROMPT][LLAMA_VOCAB];

	(void)state;
	for (unsigned int pass = 0; pass < 3; pass++) {
		llama_build(&m, &shapes[0]);
		m.b.header.capabilities |= AIPU_CAP_SLIDING_WINDOW;
		for (unsigned int i = 0; i < m.b.header.instruction_count; i++)
			if (m.b.instructions[i].opcode == AIPU_OP_ATTENTION)
				m.b.instructions[i].u[1] = pass == 0   ? 0
							   : pass == 1 ? LLAMA_CTX
								       : 1;
		llama_job_open(&j, &m, 2, AIPU_SIMD_AUTO);
		prompt_run(&j, 7, 0, pass == 0 ? all : pass == 1 ? wide : narrow);
		llama_job_close(&j);
		llama_free(&m);
	}
	assert_memory_equal(all, wide, sizeof(all));
	assert_memory_equal(all[0], narrow[0], sizeof(all[0]));
	assert_memory_not_equal(all[1], narrow[1], sizeof(all[0]));
	/* Tokens 3 and 4 of the prompt are the same, and with a window of 1 alone in the world */
	for (unsigned int t = 0; t < LLAMA_VOCAB; t++)
		assert_true(fabsf(narrow[3][t] - narrow[4][t]) < 1e-4f);
}

/* A split model: embedding and layers in one program, the head in a second, one job */
static void two_blocks(void **state)
{
	static float whole[PROMPT][LLAMA_VOCAB], split[LLAMA_VOCAB];
	struct llama_job j;
	struct llama m;
	uint32_t detail;

	(void)state;
	llama_build(&m, &shapes[2]);
	for (unsigned int e = 0; e < 2;
	     e++) /* entries: all but the last three instructions, the last three */
		m.b.entries[e].max_tokens = m.b.entries[e].max_selected = LLAMA_PREFILL;
	llama_job_open(&j, &m, 2, AIPU_SIMD_AUTO);
	prompt_run(&j, 8, 0, whole);
	llama_job_close(&j);
	m.b.entries[0].instruction_count -= 3;
	m.b.entries[0].logits = AIPU_NO_TENSOR;
	m.b.entries[0].max_selected = 0;
	m.b.entries[1].first_instruction = m.b.entries[0].instruction_count;
	m.b.entries[1].instruction_count = 3;
	llama_job_open(&j, &m, 2, AIPU_SIMD_AUTO);
	memcpy(j.tokens, prompt, sizeof(prompt));
	j.blocks[1] = j.blocks[0];
	j.blocks[0].entry = 0;
	j.blocks[1].entry = 1;
	j.job.step.block_count = 2;
	llama_lane(&j, 0, 0, 0, 0, 9);
	assert_int_equal(llama_job_do(&j, &detail), AIPU_STATUS_OK);
	memcpy(split, j.logits, sizeof(split));
	assert_memory_equal(split, whole[8], sizeof(split));
	llama_job_close(&j);
	llama_free(&m);
}

/* [SEG-8] */
static void lost_memory_ends_the_job(void **state)
{
	struct llama_job j;
	struct llama m;
	uint32_t detail;

	(void)state;
	llama_build(&m, &shapes[0]);
	llama_job_open(&j, &m, 1, AIPU_SIMD_AUTO);
	llama_lane(&j, 0, 0, 4, 0, 2);
	j.context.segments[SLOT_WEIGHTS].lost = true;
	assert_int_equal(llama_job_do(&j, &detail), AIPU_STATUS_DATA_LOST);
	assert_int_equal(j.lanes[0].result.kv_length, 4);
	assert_int_equal(rig_holds(&j.context), 0);
	llama_job_close(&j);
	llama_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_plain_loops),
		cmocka_unit_test(same_bits_everywhere),
		cmocka_unit_test(lanes_alone_and_together),
		cmocka_unit_test(writes_nothing_beyond),
		cmocka_unit_test(elementwise),
		cmocka_unit_test(head_norm_with_offset),
		cmocka_unit_test(matmul_bias),
		cmocka_unit_test(partial_rope),
		cmocka_unit_test(embed_from_rows),
		cmocka_unit_test(sliding_window),
		cmocka_unit_test(two_blocks),
		cmocka_unit_test(lost_memory_ends_the_job),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("program_exec", tests, NULL, NULL);
}
