/* SPDX-License-Identifier: MIT */
/*
 * Inside libaipu-llm: the loaded model and its sessions, shared by the files of userspace/llm. Nothing else
 * includes this, but its own tests.
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
	/* In the generation under way: tokens handed out, and why no more of them come (0: they do) */
	uint32_t given, reason;
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
	bool usable; /* the device's part is there, and no call on it has failed */
	uint64_t places; /* how often the device's part was made, or its making met a reset */
	uint32_t losses; /* resets that took the context, since the call began or the last token came */
	uint32_t resets; /* the device's count of them, when last looked at */
	uint32_t echoes; /* losses in a row that were by a reset counted before */

	/* The device's part: place.c */
	struct aipu_context *context;
	struct aipu_queue *queue;
	struct aipu_program *program;
	struct llm_memory file; /* the container, mapped for a UMA device */
	struct llm_memory weights,
		constants; /* copies in device memory, unless the device is UMA */
	struct llm_memory kv, scratch, logits, control;
	struct llm_memory readback; /* host memory for logits; made when first needed */
	struct llm_control at;
};

/* Sets the error line and returns err */
int llm_fail(struct aipu_llm *llm, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/*
 * Whoever uses the device does it between these two: llm_begin() first, and when something failed llm_again(). It returns true
 * where the context was lost (*err is -ECANCELED) and all is on the device anew, with no session's K and V: start again from
 * the sessions' tokens. False: *err is to be reported, with the error line set.
 */
int llm_begin(struct aipu_llm *llm);
bool llm_again(struct aipu_llm *llm, int *err);
/* Puts the model on the device; on failure a part of it may be there */
int llm_place(struct aipu_llm *llm);
/* Takes off the device what is there of it; every session's K and V are gone */
void llm_unplace(struct aipu_llm *llm);

/* A call failed whose jobs may be lost: the next llm_begin() makes everything anew. Returns err as llm_fail() does. */
int llm_broken(struct aipu_llm *llm, int err, const char *what);
/* 0 or -errno with the error line set, for the result of a job that nobody aborted */
int llm_check(struct aipu_llm *llm, const char *what, const struct aipu_result *result);

int llm_memory_create(struct aipu_llm *llm, struct llm_memory *memory, enum aipu_buffer_kind kind,
		      uint64_t bytes, const char *what);
/* Submits the job that was just prepped and waits for it. -EINTR: it was given up for aipu_llm_abort() */
int llm_run(struct aipu_llm *llm, const char *what);

struct aipu_lane *llm_lane(struct aipu_llm *llm, uint32_t index);
/* Prepares lane `index` for a step of `count` tokens of the session from `position` on */
void llm_lane_fill(struct aipu_llm *llm, uint32_t index, const struct aipu_session *session,
		   uint32_t position, uint32_t count, uint32_t logits);
/* Computes K and V of all tokens below `end` that lack them. -ECANCELED: for llm_again(), as of every function above; -EINTR */
int llm_session_compute(struct aipu_session *session, uint32_t end);

#endif
