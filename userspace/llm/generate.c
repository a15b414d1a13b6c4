/* SPDX-License-Identifier: MIT */
/*
 * Generation: one GENERATE job over several sessions, its tokens taken from the token ring as they come. In
 * steady state nothing is submitted: the device samples and feeds the token back to itself.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "llm_internal.h"

#define ABORT_POLL_NS (50 * 1000 * 1000) /* how soon a flag set by another thread is seen */
#define TAKE 32u
#define MOST_STOPS (LLM_STOP_IDS - 8u) /* beside the model's own */

static uint32_t f32_bits(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static int check_sampling(struct aipu_llm *llm, const struct aipu_sampling *s)
{
	if (!(s->temperature >= 0.0f) || s->temperature > 1e6f)
		return llm_fail(llm, -EINVAL, "temperature %g: it is a number from 0 to 1000000",
				(double)s->temperature);
	if (!(s->top_p >= 0.0f && s->top_p <= 1.0f))
		return llm_fail(llm, -EINVAL, "top-p %g: it is a number from 0 to 1",
				(double)s->top_p);
	if (!(s->min_p >= 0.0f && s->min_p <= 1.0f))
		return llm_fail(llm, -EINVAL, "min-p %g: it is a number from 0 to 1",
				(double)s->min_p);
	if (s->stop_count > MOST_STOPS)
		return llm_fail(llm, -EINVAL, "%u stop ids: at most %u", s->stop_count, MOST_STOPS);
	return 0;
}

/* Prepares lane `index`; every token of the session but the last is in the cache */
static void fill_lane(struct aipu_llm *llm, uint32_t index, struct aipu_session *session,
		      const struct aipu_sampling *s)
{
	uint32_t *stops = (uint32_t *)(llm->control.data + llm->at.stops) + index * LLM_STOP_IDS;
	struct aipu_lane *lane = llm_lane(llm, index);
	uint32_t n = 0, i;

	session->generation++;
	llm_lane_fill(llm, index, session, session->length - 1, 1, AIPU_LOGITS_LAST);
	lane->sampler.temperature = f32_bits(s->temperature);
	lane->sampler.top_k = s->top_k;
	lane->sampler.top_p = f32_bits(s->top_p);
	lane->sampler.min_p = f32_bits(s->min_p);
	lane->sampler.seed = s->seed;
	for (i = 0; !s->ignore_stop && i < llm->model.stop_count; i++)
		stops[n++] = llm->model.stop_ids[i];
	for (i = 0; i < s->stop_count; i++)
		stops[n++] = s->stop_ids[i];
	if (n) {
		lane->sampler.stop_segment = (uint32_t)llm->control.segment;
		lane->sampler.stop_offset = llm->at.stops + index * LLM_STOP_IDS * sizeof(uint32_t);
		lane->sampler.stop_count = n;
	}
	lane->sampler.token_limit = s->max_tokens ? s->max_tokens
						  : UINT32_MAX; /* the context ends it */
}

struct generation {
	struct aipu_llm *llm;
	struct aipu_session *const *sessions;
	uint32_t count;
	aipu_token_fn fn;
	void *arg;
	struct aipu_ring ring;
	bool stopped; /* no further tokens are wanted */
};

/* Hands out what the ring holds; returns how many records there were */
static uint32_t take(struct generation *g)
{
	struct aipu_token_record records[TAKE];
	int n = aipu_ring_take(&g->ring, records, TAKE), i;

	for (i = 0; i < n; i++) {
		const struct aipu_token_record *r = &records[i];
		struct aipu_token token = {
			.lane = r->lane,
			.token = r->token,
			.position = r->position,
			.reason = r->reason,
			.time_ns = r->time_ns,
		};
		struct aipu_session *session;

		/* A device's word is checked like anybody's. */
		if (g->stopped || r->lane >= g->count)
			continue;
		session = g->sessions[r->lane];
		if (session->length > g->llm->model.ctx_len || r->position != session->length)
			continue;
		session->tokens[session->length++] = r->token;
		memcpy(&token.logprob, &r->logprob, sizeof(token.logprob));
		if (g->fn && g->fn(g->arg, &token))
			g->stopped = true;
	}
	return n > 0 ? (uint32_t)n : 0;
}

/* From submission to completion. A device that stops answering is libaipu's to notice. */
static int drive(struct generation *g, struct aipu_result *end)
{
	struct aipu_llm *llm = g->llm;
	const struct aipu_result *result;
	bool aborted = false;
	int err;

	for (;;) {
		if (!g->stopped && atomic_load(&llm->abort))
			g->stopped = true;
		if (g->stopped && !aborted) {
			err = aipu_queue_abort(llm->queue, 0);
			if (err && err != -ENOENT)
				return llm_fail(llm, err, "abort: %s", strerror(-err));
			aborted = true;
		}
		if (take(g))
			continue;
		err = aipu_queue_peek(llm->queue, &result);
		if (!err)
			break;
		if (err != -EAGAIN)
			return llm_fail(llm, err, "generate: %s", strerror(-err));
		err = aipu_ring_wait(&g->ring, ABORT_POLL_NS);
		if (err && err != -ETIME && err != -EINTR)
			return llm_fail(llm, err, "generate: %s", strerror(-err));
	}
	*end = *result;
	aipu_queue_seen(llm->queue, result);
	while (take(g)) /* records come before the completion, so these are the last */
		;
	return 0;
}

int aipu_llm_generate(struct aipu_llm *llm, struct aipu_session *const *sessions,
		      const struct aipu_sampling *samplings, uint32_t count, aipu_token_fn fn,
		      void *arg, uint32_t *reasons)
{
	struct generation g = {
		.llm = llm, .sessions = sessions, .count = count, .fn = fn, .arg = arg
	};
	struct aipu_result end;
	uint32_t i, k;
	int err;

	if (!llm)
		return -EINVAL;
	if (!sessions || !samplings || !count || count > llm->lanes)
		return llm_fail(llm, -EINVAL, "%u sessions: 1 to %u are possible", count,
				llm->lanes);
	for (i = 0; i < count; i++) {
		if (!sessions[i] || sessions[i]->llm != llm)
			return llm_fail(llm, -EINVAL, "session %u is not one of this model", i);
		for (k = 0; k < i; k++)
			if (sessions[k] == sessions[i])
				return llm_fail(llm, -EINVAL, "session %u is given twice", i);
		if (!sessions[i]->length)
			return llm_fail(llm, -EINVAL, "session %u has no token to start from", i);
		if (sessions[i]->length > llm->model.ctx_len)
			return llm_fail(llm, -E2BIG, "the context of %u tokens is full",
					llm->model.ctx_len);
		err = check_sampling(llm, &samplings[i]);
		if (err)
			return err;
	}
	if (atomic_exchange(&llm->abort, false)) {
		for (i = 0; reasons && i < count; i++)
			reasons[i] = AIPU_END_ABORT;
		return 0;
	}
	for (i = 0; i < count; i++) {
		err = llm_session_compute(sessions[i], sessions[i]->length - 1);
		if (err)
			return err;
	}
	for (i = 0; i < count; i++)
		fill_lane(llm, i, sessions[i], &samplings[i]);

	err = aipu_ring_init(&g.ring, llm->queue, llm->control.data + llm->at.ring,
			     LLM_RING_ENTRIES);
	if (err)
		return llm_fail(llm, err, "token ring: %s", strerror(-err));
	aipu_prep_generate(aipu_queue_get_job(llm->queue, 0), llm->control.segment,
			   llm->at.blocks + LLM_DECODE * sizeof(struct aipu_block), 1,
			   llm->control.segment, llm->at.lanes, count, llm->control.segment,
			   llm->at.ring, LLM_RING_ENTRIES);
	err = aipu_queue_submit(llm->queue);
	if (err < 0)
		return llm_fail(llm, err, "generate: %s", strerror(-err));
	err = drive(&g, &end);
	if (err)
		return err;
	atomic_store(&llm->abort, false);
	for (i = 0; i < count; i++) {
		struct aipu_session *s = sessions[i];
		const struct aipu_lane_result *r = &llm_lane(llm, i)->result;
		bool kept_back = r->kv_length >= s->length;

		/* The last token that was handed out is computed when somebody goes on from it. */
		s->computed = kept_back ? s->length - 1 : r->kv_length;
		/* The device may have ended by itself before the abort came, with tokens that nobody took. */
		if (reasons)
			reasons[i] = g.stopped && (r->reason == AIPU_END_NONE || kept_back)
					     ? AIPU_END_ABORT
					     : r->reason;
	}
	if (end.status == AIPU_STATUS_ABORTED && g.stopped)
		return 0;
	return llm_check(llm, "generate", &end);
}

void aipu_llm_abort(struct aipu_llm *llm)
{
	atomic_store(&llm->abort, true);
}
