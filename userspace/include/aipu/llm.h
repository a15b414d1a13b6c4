/* SPDX-License-Identifier: MIT */
/*
 * libaipu-llm: text in, text out, on libaipu. A model is a loaded QPC directory; a session is one lane with
 * its tokens and its KV cache, pinned in device memory. Rules for errors, ownership and threads are
 * libaipu's; a model and its sessions are used by one thread at a time (aipu_llm_abort: any thread, and
 * safe in a signal handler).
 */
#ifndef AIPU_LLM_H
#define AIPU_LLM_H

#include "aipu/aipu.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- tokenizer (sentencepiece) ---- */

struct aipu_tokenizer;
/* path of a tokenizer.model. -ENOENT, -EINVAL (not a sentencepiece model) */
int aipu_tokenizer_open(const char *path, struct aipu_tokenizer **tokenizer,
			struct aipu_message *message);
void aipu_tokenizer_close(struct aipu_tokenizer *tokenizer);
uint32_t aipu_tokenizer_vocabulary(const struct aipu_tokenizer *tokenizer);
/*
 * Ids of text (UTF-8, -EILSEQ if it is not), without bos. Returns their number; *ids is the caller's to free(), also when
 * that is 0.
 */
int aipu_tokenizer_encode(struct aipu_tokenizer *tokenizer, const char *text, size_t bytes,
			  uint32_t **ids);
/*
 * Text of one token that follows `previous` (~0: none; after bos a leading space is dropped) as raw bytes,
 * NUL-terminated, at most `bytes`; returns the length. Byte tokens give single bytes: hold back split
 * UTF-8 with struct aipu_utf8.
 */
int aipu_tokenizer_piece(struct aipu_tokenizer *tokenizer, uint32_t previous, uint32_t id,
			 char *text, size_t bytes);

/* Holds back the beginning of a UTF-8 sequence until it is whole; what can never be is replaced by U+FFFD */
struct aipu_utf8 {
	unsigned char held[4];
	unsigned int count;
};
/* Appends in to what is held; writes what is whole to out (room: 3 * bytes + 12); returns its length */
size_t aipu_utf8_push(struct aipu_utf8 *state, const char *in, size_t bytes, char *out);
/* The rest at the end of text */
size_t aipu_utf8_flush(struct aipu_utf8 *state, char *out);

/*
 * ---- model ----
 *
 * A reset of the device (its driver's recovery, a reset by an administrator, suspend) loses everything that is on it, and is no
 * error here: whichever call meets it loads the model again, computes the KV cache again from the sessions' tokens, and goes on.
 * Every session survives, no token is lost or given twice, and the text is the one that it would have been. It costs time;
 * `rebuilds` of struct aipu_llm_info counts it. Errors of all calls that use the device:
 *
 * -ECANCELED: it was reset four times without a new token in between, and the call is given up: it is perhaps this call's own
 *	jobs that the device fails at. -ETIMEDOUT: the driver ended the job by a reset of its context only.
 * -EIO, -ENODEV: the device did not come back, or is gone.
 *
 * After the first two, and any other error of a job, model and sessions can be used further.
 */

struct aipu_llm;
struct aipu_llm_options {
	bool verify; /* check the weights' digests */
	uint32_t lanes; /* at most the container's batch size; 0 = all of it */
	uint64_t reserved[4]; /* zero, or -EINVAL */
};
struct aipu_llm_info {
	char name[64];
	uint64_t parameters;
	uint32_t precision; /* enum aipu_qpc_precision */
	uint32_t kv_format;
	uint32_t vocabulary, layers, dim, ctx_len, prompt_len, batch_size;
	uint64_t weights_bytes, kv_bytes, scratch_bytes; /* of this loaded model, all lanes */
	uint32_t bos_id; /* ~0: none */
	uint32_t stop_count, stop_ids[8];
	uint64_t rebuilds; /* resets of the device after which all was loaded again, from aipu_llm_open on */
	uint64_t reserved[7];
};
/*
 * qpc: directory. -ENOENT, -EINVAL (damaged: the message says which check), -EPROTO (newer version),
 * -ENOSPC (device memory: the message says both numbers)
 */
int aipu_llm_open(struct aipu_device *device, const char *qpc,
		  const struct aipu_llm_options *options, struct aipu_llm **llm,
		  struct aipu_message *message);
void aipu_llm_close(struct aipu_llm *llm);
int aipu_llm_query(struct aipu_llm *llm, struct aipu_llm_info *info);
struct aipu_tokenizer *aipu_llm_tokenizer(struct aipu_llm *llm); /* NULL: the directory has none */
/* Why the last call on this model failed; one line */
const char *aipu_llm_error(const struct aipu_llm *llm);

/* ---- sessions ---- */

struct aipu_session;
/* -ENOSPC: no lane is free */
int aipu_session_create(struct aipu_llm *llm, struct aipu_session **session);
void aipu_session_destroy(struct aipu_session *session);
/* Forgets all tokens from `length` on (0: all); the KV cache of the rest stays */
int aipu_session_rewind(struct aipu_session *session, uint32_t length);
/* Tokens held: at most the context, and one more when a generation filled it (the last has no KV) */
uint32_t aipu_session_length(const struct aipu_session *session);

/*
 * Appends tokens and computes their KV in chunks of prompt_len. logits: NULL, or room for count *
 * vocabulary floats that take the logits of every appended token (-ENOTSUP if the container has no entry
 * for that). -E2BIG: longer than the context. Without logits the last token is left to the next step. -EINTR: aipu_llm_abort()
 * was called, which the next generation reports all the same. Where jobs fail, or are given up, the tokens are held
 * nevertheless, and what they lack is computed when somebody goes on from them.
 */
int aipu_session_prefill(struct aipu_session *session, const uint32_t *tokens, uint32_t count,
			 float *logits);

struct aipu_sampling {
	float temperature, top_p, min_p; /* 0: greedy, off, off */
	uint32_t top_k; /* 0: off */
	uint64_t seed;
	uint32_t max_tokens; /* 0: up to the context */
	bool ignore_stop;
	const uint32_t *stop_ids; /* in addition to the model's; up to 56 */
	uint32_t stop_count;
};
struct aipu_token {
	uint32_t lane; /* index into `sessions` */
	uint32_t token;
	uint32_t position;
	uint32_t reason; /* enum aipu_end_reason of the last token, else 0 */
	float logprob;
	uint64_t time_ns; /* device clock */
};
/* Called for each token as it comes; non-zero aborts the generation */
typedef int (*aipu_token_fn)(void *arg, const struct aipu_token *token);

/*
 * One GENERATE over `count` sessions, one lane each, with a sampling each. reasons (may be NULL): why each
 * ended, enum aipu_end_reason. Returns 0 also when aborted. Sessions then hold the generated tokens.
 */
int aipu_llm_generate(struct aipu_llm *llm, struct aipu_session *const *sessions,
		      const struct aipu_sampling *samplings, uint32_t count, aipu_token_fn fn,
		      void *arg, uint32_t *reasons);
/* Ends the generation or prefill that runs, and makes the next one end at once until a generation has reported it */
void aipu_llm_abort(struct aipu_llm *llm);

/* Host's sampler: the same choice as the device's, for single steps. logits: vocabulary floats */
int aipu_llm_sample(const float *logits, uint32_t vocabulary, const struct aipu_sampling *sampling,
		    uint64_t sequence, uint32_t position, uint32_t *token, float *logprob);
/*
 * The 64-bit sequence id that a session's draws use; 0 at first. Sessions with the same seed, prompt and id
 * give the same text, in whatever lane and company they run.
 */
uint64_t aipu_session_sequence(const struct aipu_session *session);
void aipu_session_set_sequence(struct aipu_session *session, uint64_t sequence);
/* Ids 0..length-1, prompt and generated; valid until the session changes */
const uint32_t *aipu_session_tokens(const struct aipu_session *session);

#ifdef __cplusplus
}
#endif
#endif
