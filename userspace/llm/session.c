/* SPDX-License-Identifier: MIT */
/*
 * Sessions: a lane's tokens and how much of them is in the KV cache. Prefill runs in chunks of the
 * container's prompt length. Called by users and by generate.c. A session never holds more tokens than the
 * context, plus the one that was sampled last and fits no more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "llm_internal.h"

int aipu_session_create(struct aipu_llm *llm, struct aipu_session **session)
{
	struct aipu_session *s;
	uint32_t lane;

	if (!llm || !session)
		return -EINVAL;
	for (lane = 0; lane < llm->lanes && llm->sessions[lane]; lane++)
		;
	if (lane == llm->lanes)
		return llm_fail(llm, -ENOSPC,
				"all %u lanes are in use; compile with a larger --batch-size",
				llm->lanes);
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->tokens = malloc(((size_t)llm->model.ctx_len + 1) * sizeof(*s->tokens));
	if (!s->tokens) {
		free(s);
		return -ENOMEM;
	}
	s->llm = llm;
	s->lane = lane;
	llm->sessions[lane] = s;
	*session = s;
	return 0;
}

void aipu_session_destroy(struct aipu_session *session)
{
	if (!session)
		return;
	session->llm->sessions[session->lane] = NULL;
	free(session->tokens);
	free(session);
}

int aipu_session_rewind(struct aipu_session *session, uint32_t length)
{
	if (length > session->length)
		return llm_fail(session->llm, -EINVAL,
				"cannot rewind to %u: the session holds %u tokens", length,
				session->length);
	session->length = length;
	if (session->computed > length)
		session->computed = length;
	return 0;
}

uint32_t aipu_session_length(const struct aipu_session *session)
{
	return session->length;
}

const uint32_t *aipu_session_tokens(const struct aipu_session *session)
{
	return session->tokens;
}

uint64_t aipu_session_sequence(const struct aipu_session *session)
{
	return session->sequence;
}

void aipu_session_set_sequence(struct aipu_session *session, uint64_t sequence)
{
	session->sequence = sequence;
}

struct aipu_lane *llm_lane(struct aipu_llm *llm, uint32_t index)
{
	return (struct aipu_lane *)(llm->control.data + llm->at.lanes) + index;
}

void llm_lane_fill(struct aipu_llm *llm, uint32_t index, const struct aipu_session *session,
		   uint32_t position, uint32_t count, uint32_t logits)
{
	struct aipu_lane *lane = llm_lane(llm, index);

	memset(lane, 0, sizeof(*lane));
	lane->sequence = session->sequence;
	lane->generation = session->generation;
	lane->kv_slot = session->lane;
	lane->position = position;
	lane->n_valid = count;
	lane->logits = logits;
	if (count == 1) {
		lane->token_source = AIPU_TOKENS_INLINE;
		lane->token_offset = session->tokens[position];
	} else {
		lane->token_source = AIPU_TOKENS_SEGMENT;
		lane->token_segment = (uint32_t)llm->control.segment;
		lane->token_offset = llm->at.tokens;
		memcpy(llm->control.data + llm->at.tokens, session->tokens + position,
		       count * sizeof(uint32_t));
	}
}

/* One step over the session's next `count` tokens; rows: room for their logits in `logits`, or NULL */
static int prefill_step(struct aipu_session *session, uint32_t count, float *logits)
{
	struct aipu_llm *llm = session->llm;
	enum llm_entry entry = logits ? LLM_LOGITS : LLM_PREFILL;
	uint64_t bytes = (uint64_t)count * llm->model.vocabulary * sizeof(float);
	int err;

	/* A step goes on to its end, a prompt does not; nor does a signal have to come while one is waited for. */
	if (atomic_load(&llm->abort))
		return llm_fail(llm, -EINTR, "prefill: %s", strerror(EINTR));
	if (logits && !llm->readback.buffer) {
		err = llm_memory_create(llm, &llm->readback, AIPU_BUFFER_HOST,
					(uint64_t)llm->step_tokens * llm->model.vocabulary *
						sizeof(float),
					"reading logits");
		if (err) {
			llm->usable = false; /* a part of it may be there */
			return err;
		}
	}
	llm_lane_fill(llm, 0, session, session->computed, count,
		      logits ? AIPU_LOGITS_ALL : AIPU_LOGITS_NONE);
	aipu_prep_run(aipu_queue_get_job(llm->queue, 0), llm->control.segment,
		      llm->at.blocks + entry * sizeof(struct aipu_block), 1, llm->control.segment,
		      llm->at.lanes, 1);
	err = llm_run(llm, "prefill");
	if (err)
		return err;
	if (logits) {
		aipu_prep_copy(aipu_queue_get_job(llm->queue, 0), llm->readback.segment, 0,
			       llm->logits.segment, 0, bytes);
		err = llm_run(llm, "reading logits");
		if (err)
			return err;
		memcpy(logits, llm->readback.data, bytes);
	}
	session->computed += count;
	return 0;
}

int llm_session_compute(struct aipu_session *session, uint32_t end)
{
	uint32_t step = session->llm->step_tokens;

	while (session->computed < end) {
		uint32_t left = end - session->computed;
		int err = prefill_step(session, left < step ? left : step, NULL);

		if (err)
			return err;
	}
	return 0;
}

/* What the session holds from `first` on, with logits or without; what is not in the cache before it, without */
static int prefill(struct aipu_session *session, uint32_t first, float *logits)
{
	uint32_t step = session->llm->step_tokens, count, i;
	int err;

	/* What fills the context and one place more has no K and V of its last token. */
	if (!logits || first == session->length)
		return session->length ? llm_session_compute(session, session->length - 1) : 0;
	err = llm_session_compute(session, first);
	for (i = first; !err && i < session->length; i += count) {
		count = session->length - i < step ? session->length - i : step;
		err = prefill_step(session, count,
				   logits + (size_t)(i - first) * session->llm->model.vocabulary);
	}
	return err;
}

int aipu_session_prefill(struct aipu_session *session, const uint32_t *tokens, uint32_t count,
			 float *logits)
{
	struct aipu_llm *llm = session ? session->llm : NULL;
	uint32_t room, first, i;
	int err;

	if (!llm)
		return -EINVAL;
	if (!tokens && count)
		return llm_fail(llm, -EINVAL, "no tokens are given");
	room = llm->model.ctx_len -
	       (session->length < llm->model.ctx_len ? session->length : llm->model.ctx_len);
	if (count > room)
		return llm_fail(llm, -E2BIG,
				"%u tokens do not fit: the context holds %u and %u are in use",
				count, llm->model.ctx_len, session->length);
	for (i = 0; i < count; i++)
		if (tokens[i] >= llm->model.vocabulary)
			return llm_fail(llm, -ERANGE, "token id %u: the vocabulary has %u",
					tokens[i], llm->model.vocabulary);
	if (logits && llm->model.logits_entry == ~0u)
		return llm_fail(llm, -ENOTSUP,
				"this container has no entry for logits of all rows");
	err = llm_begin(llm);
	if (err)
		return err;
	first = session->length;
	if (count)
		memcpy(session->tokens + first, tokens, count * sizeof(*tokens));
	session->length += count;
	do
		err = prefill(session, first, logits);
	while (llm_again(llm, &err));
	return err;
}
