/* SPDX-License-Identifier: MIT */
/*
 * Inside libaipu-llm: the loaded model and its sessions, shared by model.c, place.c, session.c and generate.c. Nothing
 * outside userspace/llm includes this, but its own tests.
 */
#ifndef AIPU_LLM_INTERNAL_H
#define AIPU_LLM_INTERNAL_H

#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>

#include "aipu/llm.h"
#include "aipu/qpc.h"
#include "aipu_program.h"
#include "aipu_qpc.h"

#define LLM_RING_ENTRIES 256u
#define LLM_STOP_IDS AIPU_MAX_STOP_IDS

enum llm_entry { LLM_PREFILL, LLM_DECODE, LLM_LOGITS, LLM_ENTRIES };

/* A buffer with the segment through which jobs reach it */
struct llm_memory {
	struct aipu_buffer *buffer;
	int segment; /* -1: not bound */
	unsigned char *data; /* NULL: not reachable by the CPU */
	uint64_t bytes;
};

struct aipu_session {
	struct aipu_llm *llm;
	uint32_t lane; /* also its KV slot */
	uint32_t length; /* tokens held */
	uint32_t computed; /* of these, how many have their K and V in the cache */
	uint32_t generation;
	uint64_t sequence;
	uint32_t *tokens; /* room for ctx_len + 1 */
};

/*
 * `control` is one host buffer with everything small that jobs refer to, at fixed places; see
 * control_layout() in place.c.
 */
struct llm_control {
	uint64_t blocks, operands, lanes, stops, tokens, ring, bytes; /* offsets */
};

struct aipu_llm {
	/* The host's part: made once */
	struct aipu_device *device;
	struct aipu_qpc *qpc;
	struct aipu_qpc_model model;
	const struct aipu_slot *slots; /* of the program, in the container */
	uint32_t slot_count;
	struct aipu_tokenizer *tokenizer;
	uint32_t lanes;
	uint32_t step_tokens; /* most tokens of one prefill step */
	struct aipu_session **sessions; /* [lanes]; NULL: free */
	uint64_t weights_bytes, kv_bytes, scratch_bytes;
	atomic_bool abort;
	struct aipu_message error;

	/* The device's part: llm_place() */
	struct aipu_context *context;
	struct aipu_queue *queue;
	struct aipu_program *program;
	struct llm_memory file; /* the container, mapped */
	struct llm_memory weights,
		constants; /* copies in device memory, unless the device is UMA */
	struct llm_memory kv, scratch, logits, control;
	struct llm_memory readback; /* host memory for logits; made when first needed */
	struct llm_control at;
};

/* Sets the error line and returns err */
int llm_fail(struct aipu_llm *llm, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Puts the model on the device; on failure a part of it may be there. llm_unplace() takes off what is there. */
int llm_place(struct aipu_llm *llm);
void llm_unplace(struct aipu_llm *llm);
/* 0 or -errno with the error line set, for the result of a job */
int llm_check(struct aipu_llm *llm, const char *what, const struct aipu_result *result);

int llm_memory_create(struct aipu_llm *llm, struct llm_memory *memory, enum aipu_buffer_kind kind,
		      uint64_t bytes, const char *what);
/* Submits the job that was just prepped and waits for it */
int llm_run(struct aipu_llm *llm, const char *what);

struct aipu_lane *llm_lane(struct aipu_llm *llm, uint32_t index);
/* Prepares lane `index` for a step of `count` tokens of the session from `position` on */
void llm_lane_fill(struct aipu_llm *llm, uint32_t index, const struct aipu_session *session,
		   uint32_t position, uint32_t count, uint32_t logits);
/* Computes K and V of all tokens below `end` that lack them */
int llm_session_compute(struct aipu_session *session, uint32_t end);

#endif
