/* SPDX-License-Identifier: MIT */
/*
 * Inside program/: the verified program, the executor that runs its entries over one step's rows,
 * and the lanes of a job. Included by the files of program/ and by tests of them, by nobody else.
 */
#ifndef AIPU_DM_PROGRAM_H
#define AIPU_DM_PROGRAM_H

#include "compute/compute.h"
#include "compute/sampler.h"
#include "model.h"

/* Limits of this device beyond those in registers */
#define PROGRAM_MAX_TOKENS 65536u /* rows of a step */
#define PROGRAM_MAX_CHECKS (1u << 20) /* sum over the entries of their instructions */

/*
 * A verified image. Everything in it is constant after dm_program_create, and in memory that no
 * segment names; what verify.c established is what exec.c relies on without looking again.
 */
struct dm_program {
	atomic_uint references;
	void *image;
	const struct aipu_program_header *header;
	const struct aipu_slot *slots;
	const struct aipu_tensor *tensors;
	const struct aipu_entry *entries;
	const struct aipu_instruction *instructions;
	uint64_t *extents; /* of each tensor: bytes from its offset on, padding of tiles included */
	uint64_t *quant_bytes; /* of each entry: largest quantized row, 0 without one */
	uint32_t max_lanes; /* of the device: lanes of a job */
};

/* verify.c: everything about a program whose tables are found but not yet believed */
struct verifier {
	const struct dm_limits *limits;
	struct dm_program *program;
	uint32_t *detail;
};
unsigned int program_verify(struct verifier *v, size_t bytes);
/* verify_ops.c: one instruction for all entries, then the same within the bounds of one */
unsigned int instruction_verify(struct verifier *v, uint32_t index);
unsigned int instruction_verify_bounds(struct verifier *v, uint32_t index,
				       const struct aipu_entry *entry);
unsigned int verifier_refuse(struct verifier *v, unsigned int status, enum aipu_refusal reason,
			     uint32_t index);
/* OK when the header declares the capability and the device has it */
unsigned int verifier_capability(struct verifier *v, uint64_t capability, uint32_t index);

/* --- executor (exec.c, ops.c, work.c) ----------------------------------------------------------------- */

/* One token row of a step. Positions, slots and tokens are checked before they come here. */
struct exec_row {
	uint32_t token;
	uint32_t position;
	uint32_t kv_slot;
};

/* One program of a job and the memory that its slots stand for */
struct exec_block {
	struct dm_program *program;
	const struct aipu_entry *entry;
	uint8_t *base[AIPU_MAX_SLOTS];
};

/* One token to draw after the step, from a row of the last block's logits */
struct exec_sample {
	uint32_t selected; /* row of the logits tensor */
	struct aipu_sampler_params params;
	uint64_t sequence;
	uint32_t position;
	uint32_t token; /* results */
	float logprob;
};

/* What one core has for itself */
struct exec_scratch {
	struct aipu_kv_row *kv_rows; /* [max_rows] */
	void *sampler; /* NULL when nothing is drawn */
};

struct exec {
	const struct aipu_kernels *kernels;
	struct dm_cores *cores;
	struct exec_block *blocks;
	uint32_t block_count;

	/* Of the current step */
	struct exec_row *rows;
	uint32_t row_count; /* T */
	uint32_t *selected; /* row indices */
	uint32_t selected_count; /* S */
	uint64_t *work; /* [T + 1]: attention work of the rows before each */
	struct exec_sample *samples;
	uint32_t sample_count;

	/* Private memory of the job */
	uint32_t max_rows;
	void *quantized; /* rows of the left operand of a dynamic int8 matmul */
	struct exec_scratch *scratch; /* [core_count] */
	unsigned int core_count;

	atomic_uint progress_block, progress_instruction;
};

/* Allocates what steps of up to max_rows rows and max_samples draws need. 0 or -ENOMEM. */
int exec_prepare(struct exec *x, uint32_t max_rows, uint32_t max_samples);
void exec_release(struct exec *x);
/* Runs rows, selected and samples of *x through all blocks and draws the samples. */
void exec_step(struct exec *x);

/* work.c: what that step came to */
void exec_work(const struct exec *x, struct dm_work *work);

/* ops.c: core's share of one instruction, without the barrier after it */
struct exec_core {
	struct exec *x;
	const struct exec_block *block;
	uint32_t selected_count; /* S of this block */
	uint32_t quantized; /* tensor that x->quantized holds, or AIPU_NO_TENSOR */
	unsigned int core, cores;
};
void exec_instruction(struct exec_core *c, const struct aipu_instruction *in);

/* --- jobs (step.c, lanes.c, generate.c) ------------------------------------------------------- */

/* The bounds that all blocks of a job put on its lanes */
struct lane_bounds {
	uint32_t max_lanes, max_tokens, max_selected, ctx_len;
	uint32_t kv_slots; /* UINT32_MAX: no block has KV */
	uint32_t vocabulary; /* UINT32_MAX: no block reads tokens or gives logits */
};

/* One lane of a job: the checked private copy, and how far it has come */
struct step_lane {
	uint64_t sequence;
	uint32_t generation;
	uint32_t kv_slot;
	uint32_t position; /* of its next row; 0..position-1 are in the KV slot */
	uint32_t n_valid; /* rows of its next step; 0: idle */
	uint32_t logits;
	const uint32_t *tokens; /* [n_valid] of its next step */
	uint32_t next; /* the token drawn last, which tokens points to after the first step */
	struct aipu_sampler_params sampler;
	uint32_t token_limit;
	uint32_t stop_count;
	uint32_t stop[AIPU_MAX_STOP_IDS];
	uint32_t given; /* tokens in records */
	uint32_t reason; /* enum aipu_end_reason */
	bool stepping; /* takes part in the current step */
};

struct step_ring {
	uint32_t entries;
	struct dm_mapping mapping; /* held until the job ends */
	uint8_t *direct; /* NULL: reached by copies */
	uint32_t producer;
	uint32_t wake_seen; /* producer when dm_step_job_wake looked last */
	uint32_t paused; /* as written last; RING_PAUSED_UNKNOWN: not yet */
};
#define RING_PAUSED_UNKNOWN 2u

struct dm_step_job {
	struct dm_context *context;
	bool generate;
	struct exec exec;
	struct lane_bounds bounds;
	struct dm_mapping *mappings; /* of the operands */
	uint32_t mapping_count;
	struct dm_mapping lane_hold; /* of the lane table, for the results */
	uint32_t lane_segment, lane_count;
	uint64_t lane_offset;
	struct step_lane *lanes;
	uint32_t *tokens; /* of the first step, all lanes */
	uint32_t active; /* lanes that have not ended */
	uint32_t first_rows; /* T of the first step if all lanes take part */
	struct step_ring ring;
	struct dm_work work; /* of the last step */
	bool done;
	unsigned int status; /* once done */
	uint32_t detail;
};

/* lanes.c: fills job->lanes, tokens, active, first_rows. enum aipu_status */
unsigned int lanes_read(struct dm_step_job *job, uint32_t *detail);
void lanes_write_results(struct dm_step_job *job, unsigned int status);

/*
 * step.c: rows, selection and samples of the lanes that have `stepping` set, run; false: memory was
 * lost
 */
bool step_execute(struct dm_step_job *job);

/* generate.c */
unsigned int generate_begin(struct dm_step_job *job, const struct aipu_job_step *step,
			    uint32_t *detail);
enum dm_step_result generate_step(struct dm_step_job *job);
/* Nobody waits any more */
void generate_end(struct dm_step_job *job);

#endif
