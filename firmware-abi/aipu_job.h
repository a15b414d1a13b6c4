/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
/*
 * The job: a 64-byte submission entry of an I/O queue, and everything in memory that it refers to
 * (scatter lists, blocks, operands, lane tables, token rings). It is user API as well: the kernel
 * driver takes the same 64 bytes. Append-only.
 *
 * Every address in a job is (segment, offset): the segment table of the queue's context says what
 * memory that is (aipu_segment.h). All structures that the device reads from a segment are copied once
 * and the copy is checked. Reserved fields are zero, or the job ends with INVALID_FIELD.
 */
#ifndef AIPU_JOB_H
#define AIPU_JOB_H

#include "aipu_types.h"
#include "aipu_status.h"

/* Jobs of one queue are started and ended in order. ABORT is an admin command (aipu_queue.h). */
enum aipu_job_opcode {
	AIPU_JOB_NOP = 0x00,
	AIPU_JOB_COPY = 0x01,
	AIPU_JOB_FILL = 0x02,
	AIPU_JOB_RUN = 0x03, /* one step: each lane's tokens through the blocks */
	AIPU_JOB_GENERATE = 0x04, /* steps until every lane has ended; tokens go to a token ring */
};

/* Of a context: whose jobs have the next step, spec.md section 9a */
enum aipu_priority { AIPU_PRIORITY_NORMAL = 0, AIPU_PRIORITY_LOW = 1, AIPU_PRIORITY_HIGH = 2 };

struct aipu_job_copy {
	aipu_le32 src_segment;
	aipu_le32 dst_segment;
	aipu_le64 src_offset;
	aipu_le64 dst_offset;
	aipu_le64 length; /* bytes; with a list: 0 */
	aipu_le32 list_count; /* 0: one piece as above. n: the list lies at (src_segment, src_offset), */
	aipu_le32 flags; /* and dst_segment, dst_offset, length are 0 */
	aipu_le64 reserved;
};
#define AIPU_COPY_VERIFY (1u << 0) /* list entries hold digests of the data: AIPU_CAP_COPY_DIGEST */
#define AIPU_COPY_MAX_LIST 1024u

/* One piece of a scatter list */
struct aipu_copy_entry {
	aipu_le32 src_segment;
	aipu_le32 dst_segment;
	aipu_le64 src_offset;
	aipu_le64 dst_offset;
	aipu_le64 length;
	uint8_t digest[32]; /* SHA-256 of the piece with AIPU_COPY_VERIFY, else zero */
};

struct aipu_job_fill {
	aipu_le32 segment;
	aipu_le32 pattern; /* repeated from the start of the range; a tail shorter than 4 takes its first bytes */
	aipu_le64 offset;
	aipu_le64 length;
	aipu_le64 reserved[3];
};

/* RUN and GENERATE: blocks in order, over one lane table */
struct aipu_job_step {
	aipu_le32 block_segment;
	aipu_le32 block_count; /* 1..AIPU_MAX_BLOCKS of struct aipu_block */
	aipu_le64 block_offset;
	aipu_le32 lane_segment;
	aipu_le32 lane_count; /* 1..MAX_LANES of struct aipu_lane */
	aipu_le64 lane_offset;
	aipu_le32 ring_segment; /* GENERATE: the token ring; RUN: 0 */
	aipu_le32 ring_entries; /* a power of two 2..65536; RUN: 0 */
	aipu_le64 ring_offset;
};
#define AIPU_MAX_BLOCKS 256u

struct aipu_job {
	uint8_t opcode;
	uint8_t flags; /* 0 */
	aipu_le16 id; /* returned in the completion; unique among a queue's jobs in flight */
	aipu_le32 timeout_ms; /* 0: none. Runs from the start of the job, not while a full ring pauses it */
	union {
		uint8_t body[48];
		struct aipu_job_copy copy;
		struct aipu_job_fill fill;
		struct aipu_job_step step;
	};
	aipu_le64 reserved;
};

/* One program of a split model, with what its operand slots stand for in this job */
struct aipu_block {
	aipu_le32 program;
	aipu_le32 entry; /* index into the program's entries (specializations) */
	aipu_le32 operand_segment;
	aipu_le32 operand_count; /* of struct aipu_operand: the program's slot count */
	aipu_le64 operand_offset;
	aipu_le64 reserved;
};

struct aipu_operand {
	aipu_le32 segment;
	aipu_le32 reserved0;
	aipu_le64 offset; /* a multiple of 64 */
	aipu_le64 length; /* at least the slot's min_bytes */
	aipu_le64 reserved1;
};

/*
 * Sampler. Order of candidates: logit descending, then id ascending. temperature 0: the first
 * candidate. Else each logit's difference to the largest is divided by it, then top_k, min_p, top_p
 * in this order, then one draw by Philox4x32-10 (numerics.md). NaN logits count as -infinity. Floats
 * are IEEE binary32 bit patterns.
 */
struct aipu_sampler {
	aipu_le32 temperature; /* finite, >= 0 */
	aipu_le32 top_k; /* 0: off */
	aipu_le32 top_p; /* 0..1; 0 or 1: off */
	aipu_le32 min_p; /* 0..1; 0: off */
	aipu_le64 seed;
	aipu_le32 repeat_penalty; /* the next four: 0 = off, else AIPU_CAP_PENALTIES */
	aipu_le32 presence_penalty;
	aipu_le32 frequency_penalty;
	aipu_le32 penalty_window; /* tokens */
	aipu_le32 logprob_count; /* further candidates reported: AIPU_CAP_LOGPROBS */
	aipu_le32 bias_segment; /* logit bias: pairs of u32 id and f32: AIPU_CAP_LOGIT_BIAS */
	aipu_le64 bias_offset;
	aipu_le32 bias_count; /* 0: none */
	aipu_le32 bitmap_segment; /* allowed tokens, one bit each: AIPU_CAP_TOKEN_BITMAP */
	aipu_le64 bitmap_offset;
	aipu_le32 bitmap_bits; /* 0: none, else the vocabulary */
	aipu_le32 stop_segment; /* stop ids: u32 each */
	aipu_le64 stop_offset;
	aipu_le32 stop_count; /* 0..AIPU_MAX_STOP_IDS */
	aipu_le32 token_limit; /* GENERATE: tokens at most, >= 1; RUN: 0 */
	aipu_le64 reserved[3];
};
#define AIPU_MAX_STOP_IDS 64u

enum aipu_token_source {
	AIPU_TOKENS_INLINE = 0, /* n_valid = 1, the token in token_offset's low 32 bits */
	AIPU_TOKENS_SEGMENT = 1, /* n_valid u32 ids at (token_segment, token_offset) */
	AIPU_TOKENS_EMBEDDINGS = 2, /* rows of the program's input tensor: AIPU_CAP_EMBEDDINGS_IN */
};

enum aipu_lane_logits {
	AIPU_LOGITS_NONE = 0,
	AIPU_LOGITS_LAST = 1, /* of the lane's last row; what GENERATE needs */
	AIPU_LOGITS_ALL = 2, /* of each of its rows */
};

/* Why a lane ended; also the reason of its last token record */
enum aipu_end_reason {
	AIPU_END_NONE = 0, /* more follow; or the lane was idle */
	AIPU_END_STOP = 1, /* the token is a stop id */
	AIPU_END_LIMIT = 2, /* token_limit reached */
	AIPU_END_CONTEXT = 3, /* the context is full */
	AIPU_END_ABORT = 4, /* no record; in the lane's result only */
	AIPU_END_ERROR = 5, /* likewise */
};

/* Written by the device when the job ends, never read by it */
struct aipu_lane_result {
	aipu_le32 kv_length; /* positions 0..kv_length-1 of the KV slot are valid */
	aipu_le32 tokens; /* generated in this job */
	aipu_le32 reason; /* enum aipu_end_reason; RUN: NONE */
	aipu_le32 generation; /* of the lane as the job saw it */
	aipu_le64 reserved;
};

/*
 * One lane: a sequence that takes part in a step. n_valid = 0 is an idle lane (all else but `generation`
 * is then ignored). The rows of a step are the lanes' tokens one after another, in lane order.
 */
struct aipu_lane {
	aipu_le64 sequence; /* first half of the sampler's counter */
	aipu_le32 generation; /* the caller's count of uses of this lane; returned in the result */
	aipu_le32 kv_slot; /* < the program's kv_slots; two active lanes never share one */
	aipu_le32 position; /* of the first token of the step; position 0..position-1 are in the KV slot */
	aipu_le32 n_valid; /* tokens in the (first) step; position + n_valid <= the entry's ctx_len */
	aipu_le32 logits; /* enum aipu_lane_logits */
	aipu_le32 token_source; /* enum aipu_token_source */
	aipu_le64 token_offset;
	aipu_le32 token_segment;
	aipu_le32 adapter; /* 0 */
	aipu_le64 reserved0;
	struct aipu_sampler sampler; /* GENERATE only; RUN: zero */
	aipu_le64 reserved1[3];
	struct aipu_lane_result result;
};

/*
 * Token ring: this header, then `ring_entries` records. Free-running 32-bit indices; a record's place is
 * index & (entries - 1). The device writes records, then `producer`; the caller reads `producer`, then
 * records, then writes `consumer`. producer - consumer never exceeds the number of entries; where the
 * device finds it does, the job ends with INVALID_RING.
 */
struct aipu_token_ring {
	aipu_le32 producer; /* device */
	aipu_le32 paused; /* device: 1 while it waits for room */
	aipu_le32 reserved0[14];
	aipu_le32 consumer; /* caller */
	aipu_le32 wake; /* caller: raise the interrupt when producer passes this index */
	aipu_le32 reserved1[14];
};

struct aipu_token_record {
	aipu_le32 sequence; /* the record's index in the ring, free running */
	aipu_le16 lane;
	aipu_le16 reason; /* enum aipu_end_reason */
	aipu_le32 token;
	aipu_le32 position; /* of this token in its sequence */
	aipu_le32 logprob; /* f32 bits: natural log of the token's probability under the raw logits */
	aipu_le32 reserved;
	aipu_le64 time_ns; /* device clock */
};

AIPU_ASSERT_SIZE(struct aipu_job_copy, 48);
AIPU_ASSERT_SIZE(struct aipu_copy_entry, 64);
AIPU_ASSERT_SIZE(struct aipu_job_fill, 48);
AIPU_ASSERT_SIZE(struct aipu_job_step, 48);
AIPU_ASSERT_SIZE(struct aipu_job, 64);
AIPU_ASSERT_OFFSET(struct aipu_job, id, 2);
AIPU_ASSERT_OFFSET(struct aipu_job, body, 8);
AIPU_ASSERT_OFFSET(struct aipu_job, reserved, 56);
AIPU_ASSERT_SIZE(struct aipu_block, 32);
AIPU_ASSERT_SIZE(struct aipu_operand, 32);
AIPU_ASSERT_SIZE(struct aipu_sampler, 120);
AIPU_ASSERT_SIZE(struct aipu_lane_result, 24);
AIPU_ASSERT_SIZE(struct aipu_lane, 224);
AIPU_ASSERT_OFFSET(struct aipu_lane, sampler, 56);
AIPU_ASSERT_OFFSET(struct aipu_lane, result, 200);
AIPU_ASSERT_SIZE(struct aipu_token_ring, 128);
AIPU_ASSERT_OFFSET(struct aipu_token_ring, consumer, 64);
AIPU_ASSERT_SIZE(struct aipu_token_record, 32);

#endif
