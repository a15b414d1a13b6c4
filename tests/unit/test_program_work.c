// SPDX-License-Identifier: MIT
/*
 * What a step comes to, bytes and operations: a small model against sums written out here, whatever computes it.
 */
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdarg.h>
#include <cmocka.h>

#include "program_llama.h"

#define WINDOW 3

static const struct llama_shape shapes[] = {
	{ AIPU_FMT_F32, AIPU_FMT_F32, false, 5, 5 },
	{ AIPU_FMT_F16, AIPU_FMT_F16, false, 6, 3 },
	{ AIPU_FMT_I8_G32, AIPU_FMT_F16, true, 4, 2 },
};
#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

/* One lane's step: rows, of which so many are selected, from a position on */
struct part {
	uint32_t rows, selected, position;
};

static void matrix(struct dm_work *w, const struct llama *m, uint32_t n, uint32_t k, uint64_t rows,
		   bool add)
{
	if (!rows)
		return;
	w->read += aipu_weight_bytes(m->shape.format, n, k) + rows * k * 4;
	w->read += add ? rows * n * 4 : 0;
	w->written += rows * n * 4;
	w->operations += rows * n * k;
}

static void moved(struct dm_work *w, uint64_t read, uint64_t written)
{
	w->read += read;
	w->written += written;
}

/* `rows` and `selected` are of all lanes; `positions` that any row of a lane sees, `pairs` of row and position */
static struct dm_work expected(const struct llama *m, uint64_t rows, uint64_t selected,
			       uint64_t positions, uint64_t pairs)
{
	const uint64_t q = m->shape.heads * LLAMA_HEAD_DIM, kv = m->shape.kv_heads * LLAMA_HEAD_DIM;
	const uint64_t dim = LLAMA_DIM, hidden = LLAMA_HIDDEN, rope = LLAMA_HEAD_DIM;
	const uint64_t element = m->shape.kv_format == AIPU_FMT_F16 ? 2 : 4;
	struct dm_work w = { 0 };
	uint64_t embedding = m->shape.format == AIPU_FMT_F32   ? dim * 4
			     : m->shape.format == AIPU_FMT_F16 ? dim * 2
							       : dim + 2 * 2;

	moved(&w, rows * embedding, rows * dim * 4);
	for (unsigned int l = 0; l < LLAMA_LAYERS; l++) {
		moved(&w, 2 * (rows + 1) * dim * 4, 2 * rows * dim * 4); /* norms */
		matrix(&w, m, (uint32_t)q, (uint32_t)dim, rows, false);
		matrix(&w, m, (uint32_t)kv, (uint32_t)dim, rows, false);
		matrix(&w, m, (uint32_t)kv, (uint32_t)dim, rows, false);
		moved(&w, rows * (q + rope + kv + rope) * 4, rows * (q + kv) * 4);
		moved(&w, rows * 2 * kv * 4, rows * 2 * kv * element); /* cache */
		moved(&w, rows * q * 4 + 2 * positions * kv * element, rows * q * 4);
		w.operations += 2 * pairs * q;
		matrix(&w, m, (uint32_t)dim, (uint32_t)q, rows, true);
		matrix(&w, m, (uint32_t)hidden, (uint32_t)dim, rows, false);
		matrix(&w, m, (uint32_t)hidden, (uint32_t)dim, rows, false);
		moved(&w, 2 * rows * hidden * 4, rows * hidden * 4); /* activation */
		matrix(&w, m, (uint32_t)dim, (uint32_t)hidden, rows, true);
	}
	moved(&w, selected * dim * 4, selected * dim * 4);
	moved(&w, selected ? (selected + 1) * dim * 4 : 0, selected * dim * 4);
	matrix(&w, m, LLAMA_VOCAB, (uint32_t)dim, selected, false);
	return w;
}

static uint64_t pairs_of(uint32_t position, uint32_t rows, uint32_t window)
{
	uint64_t pairs = 0;

	for (uint32_t i = 1; i <= rows; i++)
		pairs += position + i < window ? position + i : window;
	return pairs;
}

static struct dm_work step(struct llama_job *j)
{
	struct dm_step_job *job;
	struct dm_work work;
	uint32_t detail;

	assert_int_equal(dm_step_job_begin(&j->context, &j->job, &job, &detail), AIPU_STATUS_OK);
	dm_step_job_step(job);
	work = *dm_step_job_work(job);
	dm_step_job_end(job, AIPU_STATUS_OK, true, &detail);
	return work;
}

static void lane(struct llama_job *j, uint32_t index, uint32_t rows, uint32_t selected,
		 uint32_t position)
{
	llama_lane(j, index, index, position, 0, rows)->logits = !selected	 ? AIPU_LOGITS_NONE
								 : selected == 1 ? AIPU_LOGITS_LAST
										 : AIPU_LOGITS_ALL;
}

static void same(const struct dm_work *got, const struct dm_work *want)
{
	assert_int_equal(got->read, want->read);
	assert_int_equal(got->written, want->written);
	assert_int_equal(got->operations, want->operations);
	assert_int_equal(got->bus, 0);
}

/* [NRG-2] [NRG-3] by any number of cores, any instruction set */
static void sums_of_a_model(void **state)
{
	static const struct part parts[] = {
		{ 1, 1, 0 }, { 1, 1, 17 }, { 5, 1, 0 }, { 12, 0, 3 }, { 7, 7, 10 }
	};
	static const enum aipu_simd levels[] = { AIPU_SIMD_SCALAR, AIPU_SIMD_AUTO };

	(void)state;
	for (unsigned int i = 0; i < SHAPES * 2 * 3; i++) {
		struct llama m;
		struct llama_job j;

		llama_build(&m, &shapes[i % SHAPES]);
		llama_job_open(&j, &m, 1 + i / SHAPES % 3, levels[i / SHAPES / 3]);
		for (unsigned int p = 0; p < sizeof(parts) / sizeof(parts[0]); p++) {
			const struct part *t = &parts[p];
			struct dm_work got, want;

			lane(&j, 1, t->rows, t->selected, t->position);
			got = step(&j);
			want = expected(&m, t->rows, t->selected, t->position + t->rows,
					pairs_of(t->position, t->rows, UINT32_MAX));
			same(&got, &want);
		}
		llama_job_close(&j);
		llama_free(&m);
	}
}

/* [NRG-3] Lanes add up, chunks of a prompt too; the weights are read once a step for all of them */
static void lanes_and_chunks(void **state)
{
	struct dm_work one, two, chunks = { 0 }, want;
	struct llama_job j;
	struct llama m;

	(void)state;
	llama_build(&m, &shapes[2]);
	llama_job_open(&j, &m, 2, AIPU_SIMD_AUTO);
	lane(&j, 0, 4, 1, 2);
	one = step(&j);
	lane(&j, 2, 4, 1, 2);
	two = step(&j);
	assert_int_equal(two.operations, 2 * one.operations);
	want = expected(&m, 8, 2, 12, 2 * pairs_of(2, 4, UINT32_MAX));
	same(&two, &want);
	memset(j.lanes, 0, JOB_LANES * sizeof(*j.lanes));
	for (uint32_t at = 0; at < 12; at += 3) {
		lane(&j, 0, 3, 0, at);
		chunks.operations += step(&j).operations;
	}
	lane(&j, 0, 12, 0, 0);
	assert_int_equal(step(&j).operations, chunks.operations);
	/* All lanes idle: nothing */
	memset(j.lanes, 0, JOB_LANES * sizeof(*j.lanes));
	one = step(&j);
	same(&one, &(struct dm_work){ 0 });
	llama_job_close(&j);
	llama_free(&m);
}

/* [NRG-3] */
static void a_window_takes_positions_away(void **state)
{
	struct dm_work got, want;
	struct llama_job j;
	struct llama m;

	(void)state;
	llama_build(&m, &shapes[1]);
	m.b.header.capabilities = AIPU_CAP_SLIDING_WINDOW;
	for (uint32_t i = 0; i < m.b.header.instruction_count; i++)
		if (m.b.instructions[i].opcode == AIPU_OP_ATTENTION)
			m.b.instructions[i].u[1] = WINDOW;
	llama_job_open(&j, &m, 2, AIPU_SIMD_AUTO);
	lane(&j, 0, 6, 1, 8);
	got = step(&j);
	/* Rows 8 to 13, of which the first sees 6, 7, 8 */
	want = expected(&m, 6, 1, 14 - 6, 6 * WINDOW);
	same(&got, &want);
	lane(&j, 0, 6, 1, 0);
	got = step(&j);
	want = expected(&m, 6, 1, 6, pairs_of(0, 6, WINDOW));
	same(&got, &want);
	llama_job_close(&j);
	llama_free(&m);
}

/* [NRG-2] GENERATE looks at a row of logits for each token; and comes to nothing while its ring is full */
static void tokens_are_drawn(void **state)
{
	struct dm_work want;
	struct dm_step_job *job;
	struct llama_job j;
	struct llama m;
	uint32_t detail;

	(void)state;
	llama_build(&m, &shapes[0]);
	llama_job_open(&j, &m, 2, AIPU_SIMD_AUTO);
	lane(&j, 0, 3, 1, 4);
	j.lanes[0].sampler.token_limit = 10;
	j.job.opcode = AIPU_JOB_GENERATE;
	j.job.step.ring_segment = SEG_RING;
	j.job.step.ring_entries = 2;
	assert_int_equal(dm_step_job_begin(&j.context, &j.job, &job, &detail), AIPU_STATUS_OK);
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t rows = i ? 1 : 3, position = i ? 7 : 4;

		assert_int_equal(dm_step_job_step(job), DM_STEP_MORE);
		want = expected(&m, rows, 1, position + rows, pairs_of(position, rows, UINT32_MAX));
		want.read += LLAMA_VOCAB * 4;
		same(dm_step_job_work(job), &want);
	}
	assert_int_equal(dm_step_job_step(job), DM_STEP_PAUSED);
	same(dm_step_job_work(job), &(struct dm_work){ 0 });
	dm_step_job_end(job, AIPU_STATUS_ABORTED, true, &detail);
	llama_job_close(&j);
	llama_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_of_a_model),
		cmocka_unit_test(lanes_and_chunks),
		cmocka_unit_test(a_window_takes_positions_away),
		cmocka_unit_test(tokens_are_drawn),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
