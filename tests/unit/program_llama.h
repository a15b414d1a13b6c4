/* SPDX-License-Identifier: MIT */
/*
 * A small Llama model as a program for tests of program/: its image, its weights, and what it
 * should answer, computed in binary64 with plain loops. Every weight is a small multiple of 1/64,
 * so that all weight formats hold it exactly.
 */
#ifndef PROGRAM_LLAMA_H
#define PROGRAM_LLAMA_H

#include <math.h>

#include "program_rig.h"

#define LLAMA_DIM 40 /* no multiple of 16 or 32, like the hidden size */
#define LLAMA_HIDDEN 52
#define LLAMA_HEADS 5
#define LLAMA_KV_HEADS 5 /* one of the two shapes; the other is grouped */
#define LLAMA_HEAD_DIM 8
#define LLAMA_VOCAB 50
#define LLAMA_LAYERS 2
#define LLAMA_CTX 24
#define LLAMA_SLOTS 4
#define LLAMA_PREFILL 12 /* tokens of a step */
#define LLAMA_MAX_MATRICES (LLAMA_LAYERS * 7 + 2)

enum { SLOT_WEIGHTS, SLOT_CONSTANTS, SLOT_KV, SLOT_SCRATCH, SLOT_LOGITS, SLOT_COUNT };
enum { ENTRY_PREFILL, ENTRY_DECODE };

struct llama_shape {
	unsigned int format; /* of the weights */
	unsigned int kv_format;
	bool dynamic; /* int8 activations */
	uint32_t heads, kv_heads;
};

struct llama_matrix {
	uint16_t tensor;
	uint32_t n, k;
	float *values; /* [n][k] */
};

struct llama {
	struct builder b;
	struct llama_shape shape;
	struct llama_matrix matrices[LLAMA_MAX_MATRICES];
	uint32_t matrix_count;
	uint16_t norms[LLAMA_LAYERS * 2 + 1];
	uint16_t rope, logits;
	float norm_values[LLAMA_LAYERS * 2 + 1][LLAMA_DIM];
	float rope_values[LLAMA_CTX][LLAMA_HEAD_DIM];
};

static inline uint16_t llama_matrix_add(struct llama *m, uint32_t n, uint32_t k, uint64_t *random)
{
	struct llama_matrix *x = &m->matrices[m->matrix_count++];

	x->n = n;
	x->k = k;
	x->values = malloc((size_t)n * k * sizeof(float));
	if (!x->values)
		abort();
	for (size_t i = 0; i < (size_t)n * k; i++)
		x->values[i] = (float)((int)(rig_random(random) % 33) - 16) / 64;
	x->tensor = build_tensor(&m->b, SLOT_WEIGHTS, m->shape.format, AIPU_LAYOUT_TILE16,
				 AIPU_ROWS_FIXED, (uint32_t[]){ n, k, 1, 1 });
	return x->tensor;
}

static inline void llama_matmul(struct llama *m, uint16_t dst, uint16_t a, uint16_t w, bool add)
{
	struct aipu_instruction *in =
		build_op(&m->b, AIPU_OP_MATMUL, dst, a, w, AIPU_NO_TENSOR, AIPU_NO_TENSOR);

	in->activation_format = m->shape.dynamic ? AIPU_ACT_DYNAMIC_I8_G32 : AIPU_ACT_PLAIN;
	in->epilogue = add ? AIPU_EPILOGUE_ADD : 0;
}

static inline void llama_norm(struct llama *m, uint16_t dst, uint16_t a, uint16_t weight)
{
	build_op(&m->b, AIPU_OP_RMSNORM, dst, a, weight, AIPU_NO_TENSOR, AIPU_NO_TENSOR)->f[0] =
		aipu_f32_bits(1e-5f);
}

static inline void llama_rope(struct llama *m, uint16_t dst)
{
	struct aipu_instruction *in = build_op(&m->b, AIPU_OP_ROPE, dst, m->rope, AIPU_NO_TENSOR,
					       AIPU_NO_TENSOR, AIPU_NO_TENSOR);

	in->u[0] = LLAMA_HEAD_DIM;
	in->u[1] = LLAMA_HEAD_DIM;
}

static inline void llama_build(struct llama *m, const struct llama_shape *shape)
{
	const uint16_t none = AIPU_NO_TENSOR;
	const uint32_t q_dim = shape->heads * LLAMA_HEAD_DIM;
	const uint32_t kv_dim = shape->kv_heads * LLAMA_HEAD_DIM;
	const unsigned int read = AIPU_ACCESS_READ, both = AIPU_ACCESS_READ | AIPU_ACCESS_WRITE;
	const uint32_t t = LLAMA_PREFILL;
	struct builder *b = &m->b;
	uint64_t random = 20240607;
	uint16_t embed, x, xn, q, k, v, o, gate, up, s, sn, keys[LLAMA_LAYERS],
		values[LLAMA_LAYERS];
	uint16_t w[LLAMA_LAYERS][7], head;

	memset(m, 0, sizeof(*m));
	m->shape = *shape;
	build_start(b);
	b->header.vocabulary = LLAMA_VOCAB;
	b->header.kv_kind = AIPU_KV_SMART_MASK;
	b->header.kv_slots = LLAMA_SLOTS;
	build_slot(b, AIPU_SLOT_WEIGHTS, read, "weights");
	build_slot(b, AIPU_SLOT_CONSTANTS, read, "constants");
	build_slot(b, AIPU_SLOT_KV, both, "kv");
	build_slot(b, AIPU_SLOT_SCRATCH, both, "scratch");
	build_slot(b, AIPU_SLOT_LOGITS, both, "logits");

	embed = llama_matrix_add(m, LLAMA_VOCAB, LLAMA_DIM, &random);
	for (unsigned int l = 0; l < LLAMA_LAYERS; l++) {
		const uint32_t kv_dims[4] = { LLAMA_SLOTS, shape->kv_heads, LLAMA_HEAD_DIM,
					      LLAMA_CTX };

		w[l][0] = llama_matrix_add(m, q_dim, LLAMA_DIM, &random);
		w[l][1] = llama_matrix_add(m, kv_dim, LLAMA_DIM, &random);
		w[l][2] = llama_matrix_add(m, kv_dim, LLAMA_DIM, &random);
		w[l][3] = llama_matrix_add(m, LLAMA_DIM, q_dim, &random);
		w[l][4] = llama_matrix_add(m, LLAMA_HIDDEN, LLAMA_DIM, &random);
		w[l][5] = llama_matrix_add(m, LLAMA_HIDDEN, LLAMA_DIM, &random);
		w[l][6] = llama_matrix_add(m, LLAMA_DIM, LLAMA_HIDDEN, &random);
		keys[l] = build_tensor(b, SLOT_KV, shape->kv_format, AIPU_LAYOUT_KV_K,
				       AIPU_ROWS_FIXED, kv_dims);
		values[l] = build_tensor(b, SLOT_KV, shape->kv_format, AIPU_LAYOUT_KV_V,
					 AIPU_ROWS_FIXED, kv_dims);
	}
	head = llama_matrix_add(m, LLAMA_VOCAB, LLAMA_DIM, &random);
	for (unsigned int i = 0; i < LLAMA_LAYERS * 2 + 1; i++) {
		m->norms[i] = build_rows(b, SLOT_CONSTANTS, AIPU_ROWS_FIXED, 1, LLAMA_DIM);
		for (unsigned int c = 0; c < LLAMA_DIM; c++)
			m->norm_values[i][c] = (float)(rig_random(&random) % 64 + 32) / 64;
	}
	m->rope = build_rows(b, SLOT_CONSTANTS, AIPU_ROWS_FIXED, LLAMA_CTX, LLAMA_HEAD_DIM);
	for (unsigned int p = 0; p < LLAMA_CTX; p++)
		for (unsigned int i = 0; i < LLAMA_HEAD_DIM / 2; i++) {
			double angle = p * pow(10000, -2.0 * i / LLAMA_HEAD_DIM);

			m->rope_values[p][i] = (float)cos(angle);
			m->rope_values[p][LLAMA_HEAD_DIM / 2 + i] = (float)sin(angle);
		}
	x = build_rows(b, SLOT_SCRATCH, AIPU_ROWS_TOKENS, t, LLAMA_DIM);
	xn = build_rows(b, SLOT_SCRATCH, AIPU_ROWS_TOKENS, t, LLAMA_DIM);
	q = build_rows(b, SLOT_SCRATCH, AIPU_ROWS_TOKENS, t, q_dim);
	k = build_rows(b, SLOT_SCRATCH, AIPU_ROWS_TOKENS, t, kv_dim);
	v = build_rows(b, SLOT_SCRATCH, AIPU_ROWS_TOKENS, t, kv_dim);
	o = build_rows(b, SLOT_SCRATCH, AIPU_ROWS_TOKENS, t, q_dim);
	gate = build_rows(b, SLOT_SCRATCH, AIPU_ROWS_TOKENS, t, LLAMA_HIDDEN);
	up = build_rows(b, SLOT_SCRATCH, AIPU_ROWS_TOKENS, t, LLAMA_HIDDEN);
	s = build_rows(b, SLOT_SCRATCH, AIPU_ROWS_SELECTED, t, LLAMA_DIM);
	sn = build_rows(b, SLOT_SCRATCH, AIPU_ROWS_SELECTED, t, LLAMA_DIM);
	m->logits = build_rows(b, SLOT_LOGITS, AIPU_ROWS_SELECTED, t, LLAMA_VOCAB);

	build_op(b, AIPU_OP_EMBED, x, embed, none, none, none);
	for (unsigned int l = 0; l < LLAMA_LAYERS; l++) {
		struct aipu_instruction *in;

		llama_norm(m, xn, x, m->norms[l * 2]);
		llama_matmul(m, q, xn, w[l][0], false);
		llama_matmul(m, k, xn, w[l][1], false);
		llama_matmul(m, v, xn, w[l][2], false);
		llama_rope(m, q);
		llama_rope(m, k);
		build_op(b, AIPU_OP_KV_UPDATE, keys[l], k, v, none, values[l]);
		in = build_op(b, AIPU_OP_ATTENTION, o, q, keys[l], values[l], none);
		in->u[0] = shape->heads;
		in->f[0] = aipu_f32_bits((float)(1 / sqrt(LLAMA_HEAD_DIM)));
		llama_matmul(m, x, o, w[l][3], true);
		llama_norm(m, xn, x, m->norms[l * 2 + 1]);
		llama_matmul(m, gate, xn, w[l][4], false);
		llama_matmul(m, up, xn, w[l][5], false);
		build_op(b, AIPU_OP_ACTIVATE, gate, gate, up, none, none);
		llama_matmul(m, x, gate, w[l][6], true);
	}
	build_op(b, AIPU_OP_SELECT, s, x, none, none, none);
	llama_norm(m, sn, s, m->norms[LLAMA_LAYERS * 2]);
	llama_matmul(m, m->logits, sn, head, false);
	for (unsigned int e = 0; e < 2; e++) {
		struct aipu_entry *entry = build_entry(b, e ? "decode" : "prefill", 0);

		entry->max_tokens = e ? LLAMA_SLOTS : LLAMA_PREFILL;
		entry->max_selected = entry->max_tokens;
		entry->max_lanes = LLAMA_SLOTS;
		entry->ctx_len = LLAMA_CTX;
		entry->logits = m->logits;
	}
}

static inline void llama_free(struct llama *m)
{
	for (uint32_t i = 0; i < m->matrix_count; i++)
		free(m->matrices[i].values);
}

/* Weights and constants into memory of the slots' min_bytes */
static inline void llama_fill(const struct llama *m, uint8_t *weights, uint8_t *constants)
{
	for (uint32_t i = 0; i < m->matrix_count; i++) {
		const struct llama_matrix *x = &m->matrices[i];
		uint8_t *base = weights + m->b.tensors[x->tensor].offset;
		uint64_t tile_bytes = aipu_tile_bytes(m->shape.format, x->k);

		if (m->shape.format == AIPU_FMT_I8_G32) /* a stored zero is 128 */
			memset(base, 128, aipu_weight_bytes(AIPU_FMT_I8_G32, x->n, x->k));
		for (uint32_t r = 0; r < x->n; r++)
			for (uint32_t c = 0; c < x->k; c++) {
				float value = x->values[(size_t)r * x->k + c];
				uint8_t *tile = base + r / 16 * tile_bytes;
				uint16_t half = aipu_f32_to_f16(value);
				uint16_t scale = aipu_f32_to_f16(1.0f / 64);

				if (m->shape.format == AIPU_FMT_F32) {
					memcpy(tile + c * 64 + r % 16 * 4, &value, 4);
				} else if (m->shape.format == AIPU_FMT_F16) {
					memcpy(tile + c * 32 + r % 16 * 2, &half, 2);
				} else {
					tile[aipu_i8_byte_offset(r % 16, c)] =
						(uint8_t)(128 + (int)(value * 64));
					memcpy(tile + aipu_i8_scale_offset(r % 16, c), &scale, 2);
				}
			}
	}
	for (unsigned int i = 0; i < LLAMA_LAYERS * 2 + 1; i++)
		memcpy(constants + m->b.tensors[m->norms[i]].offset, m->norm_values[i],
		       sizeof(m->norm_values[i]));
	memcpy(constants + m->b.tensors[m->rope].offset, m->rope_values, sizeof(m->rope_values));
}

/* --- what it should answer -------------------------------------------------------------------- */

static inline void plain_matmul(const struct llama_matrix *w, const double *x, double *y, bool add)
{
	for (uint32_t r = 0; r < w->n; r++) {
		double sum = add ? y[r] : 0;

		for (uint32_t c = 0; c < w->k; c++)
			sum += (double)w->values[(size_t)r * w->k + c] * x[c];
		y[r] = sum;
	}
}

static inline void plain_norm(const float *weight, const double *x, double *y)
{
	double sum = 0;

	for (unsigned int i = 0; i < LLAMA_DIM; i++)
		sum += x[i] * x[i];
	for (unsigned int i = 0; i < LLAMA_DIM; i++)
		y[i] = x[i] / sqrt(sum / LLAMA_DIM + 1e-5) * (double)weight[i];
}

static inline void plain_rope(const struct llama *m, uint32_t position, uint32_t heads, double *x)
{
	const float *table = m->rope_values[position];
	const unsigned int half = LLAMA_HEAD_DIM / 2;

	for (uint32_t h = 0; h < heads; h++, x += LLAMA_HEAD_DIM)
		for (unsigned int i = 0; i < half; i++) {
			double a = x[i], b = x[half + i];
			double c = (double)table[i], s = (double)table[half + i];

			x[i] = a * c - b * s;
			x[half + i] = b * c + a * s;
		}
}

#define PLAIN_MAX 64 /* heads * head_dim, hidden */

/* Logits [count][LLAMA_VOCAB] of a sequence from position 0 */
static inline void llama_plain(const struct llama *m, const uint32_t *tokens, uint32_t count,
			       double (*logits)[LLAMA_VOCAB])
{
	static double kc[LLAMA_LAYERS][LLAMA_CTX][PLAIN_MAX],
		vc[LLAMA_LAYERS][LLAMA_CTX][PLAIN_MAX];
	const uint32_t group = m->shape.heads / m->shape.kv_heads;

	for (uint32_t p = 0; p < count; p++) {
		double x[LLAMA_DIM], xn[LLAMA_DIM], q[PLAIN_MAX], o[PLAIN_MAX], gate[PLAIN_MAX];
		double up[PLAIN_MAX];
		const struct llama_matrix *w = m->matrices;

		for (unsigned int i = 0; i < LLAMA_DIM; i++)
			x[i] = (double)w->values[tokens[p] * LLAMA_DIM + i];
		w++;
		for (unsigned int l = 0; l < LLAMA_LAYERS; l++, w += 7) {
			plain_norm(m->norm_values[l * 2], x, xn);
			plain_matmul(&w[0], xn, q, false);
			plain_matmul(&w[1], xn, kc[l][p], false);
			plain_matmul(&w[2], xn, vc[l][p], false);
			plain_rope(m, p, m->shape.heads, q);
			plain_rope(m, p, m->shape.kv_heads, kc[l][p]);
			for (uint32_t h = 0; h < m->shape.heads; h++) {
				const uint32_t kv = h / group * LLAMA_HEAD_DIM;
				double weight[LLAMA_CTX], sum = 0;

				for (uint32_t t = 0; t <= p; t++) {
					double dot = 0;

					for (unsigned int i = 0; i < LLAMA_HEAD_DIM; i++)
						dot += q[h * LLAMA_HEAD_DIM + i] * kc[l][t][kv + i];
					weight[t] = exp(dot / sqrt(LLAMA_HEAD_DIM));
					sum += weight[t];
				}
				for (unsigned int i = 0; i < LLAMA_HEAD_DIM; i++) {
					double value = 0;

					for (uint32_t t = 0; t <= p; t++)
						value += weight[t] / sum * vc[l][t][kv + i];
					o[h * LLAMA_HEAD_DIM + i] = value;
				}
			}
			plain_matmul(&w[3], o, x, true);
			plain_norm(m->norm_values[l * 2 + 1], x, xn);
			plain_matmul(&w[4], xn, gate, false);
			plain_matmul(&w[5], xn, up, false);
			for (unsigned int i = 0; i < LLAMA_HIDDEN; i++)
				gate[i] = gate[i] / (1 + exp(-gate[i])) * up[i];
			plain_matmul(&w[6], gate, x, true);
		}
		plain_norm(m->norm_values[LLAMA_LAYERS * 2], x, xn);
		plain_matmul(w, xn, logits[p], false);
	}
}

/* --- a job over it ---------------------------------------------------------------------------- */

/* Segments of a context that a test has: operands at their slot's number, then */
enum { SEG_BLOCKS = SLOT_COUNT, SEG_OPERANDS, SEG_LANES, SEG_TOKENS, SEG_RING, SEG_STOPS };
#define JOB_LANES 8
#define JOB_TOKENS 256
#define JOB_RING 64

struct llama_job {
	struct dm_context context;
	struct aipu_job job;
	struct aipu_block *blocks;
	struct aipu_operand *operands;
	struct aipu_lane *lanes; /* JOB_LANES */
	uint32_t *tokens; /* JOB_TOKENS */
	struct aipu_token_ring *ring;
	struct aipu_token_record *records;
	uint32_t *stops;
	float *logits;
};

/* Program 0 of the context is m, with memory of exactly its min_bytes */
static inline void llama_job_open(struct llama_job *j, const struct llama *m, unsigned int cores,
				  enum aipu_simd simd)
{
	const unsigned int both = AIPU_ACCESS_READ | AIPU_ACCESS_WRITE;
	struct dm_limits limits = rig_limits();
	struct dm_context *c = &j->context;
	uint8_t *memory[SLOT_COUNT];
	uint32_t detail;

	memset(j, 0, sizeof(*j));
	rig_open(c, cores, simd);
	if (build_load(&m->b, &limits, &c->programs[0], &detail) != AIPU_STATUS_OK) {
		fprintf(stderr, "llama: refused, detail %#x\n", detail);
		abort();
	}
	for (uint32_t i = 0; i < SLOT_COUNT; i++)
		memory[i] = rig_bind(c, i, m->b.slots[i].min_bytes, m->b.slots[i].access);
	llama_fill(m, memory[SLOT_WEIGHTS], memory[SLOT_CONSTANTS]);
	j->logits = (float *)memory[SLOT_LOGITS];
	j->blocks = rig_bind(c, SEG_BLOCKS, 4 * sizeof(*j->blocks), both);
	j->operands = rig_bind(c, SEG_OPERANDS, SLOT_COUNT * sizeof(*j->operands), both);
	j->lanes = rig_bind(c, SEG_LANES, JOB_LANES * sizeof(*j->lanes), both);
	j->tokens = rig_bind(c, SEG_TOKENS, JOB_TOKENS * sizeof(*j->tokens), both);
	j->ring = rig_bind(c, SEG_RING, sizeof(*j->ring) + JOB_RING * sizeof(*j->records), both);
	j->records = (struct aipu_token_record *)(j->ring + 1);
	j->stops = rig_bind(c, SEG_STOPS, AIPU_MAX_STOP_IDS * sizeof(*j->stops), both);
	j->blocks[0] = (struct aipu_block){
		.entry = ENTRY_PREFILL,
		.operand_segment = SEG_OPERANDS,
		.operand_count = SLOT_COUNT,
	};
	for (uint32_t i = 0; i < SLOT_COUNT; i++) {
		j->operands[i].segment = i;
		j->operands[i].length = m->b.slots[i].min_bytes;
	}
	j->job.opcode = AIPU_JOB_RUN;
	j->job.step = (struct aipu_job_step){
		.block_segment = SEG_BLOCKS,
		.block_count = 1,
		.lane_segment = SEG_LANES,
		.lane_count = JOB_LANES,
	};
}

static inline void llama_job_close(struct llama_job *j)
{
	rig_close(&j->context);
}

/* Makes a lane active: `count` tokens of the token segment from `first` on */
static inline struct aipu_lane *llama_lane(struct llama_job *j, uint32_t lane, uint32_t kv_slot,
					   uint32_t position, uint32_t first, uint32_t count)
{
	struct aipu_lane *l = &j->lanes[lane];

	memset(l, 0, sizeof(*l));
	l->sequence = 1000 + lane;
	l->generation = 7 + lane;
	l->kv_slot = kv_slot;
	l->position = position;
	l->n_valid = count;
	l->logits = AIPU_LOGITS_LAST;
	l->token_source = AIPU_TOKENS_SEGMENT;
	l->token_segment = SEG_TOKENS;
	l->token_offset = (uint64_t)first * sizeof(uint32_t);
	return l;
}

/* The whole job: enum aipu_status */
static inline unsigned int llama_job_do(struct llama_job *j, uint32_t *detail)
{
	struct dm_step_job *job;
	unsigned int status = dm_step_job_begin(&j->context, &j->job, &job, detail);

	if (status != AIPU_STATUS_OK)
		return status;
	while (dm_step_job_step(job) == DM_STEP_MORE)
		dm_step_job_wake(job);
	return dm_step_job_end(job, AIPU_STATUS_OK, true, detail);
}

#endif
