/* SPDX-License-Identifier: MIT */
/*
 * Generation: one GENERATE job over several sessions, its tokens taken from the token ring as they come. In
 * steady state nothing is submitted: the device samples and feeds the token back to itself. After a reset of the device another
 * job goes on behind the last token that was taken: what is drawn depends on seed, sequence and position only, so the text is
 * the one that it would have been.
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

/* Prepares lane `index`; every token of the session but the last is in the cache. Idle, if it gave its last one */
static void fill_lane(struct aipu_llm *llm, uint32_t index, struct aipu_session *session,
		      const struct aipu_sampling *s)
{
	uint32_t *stops = (uint32_t *)(llm->control.data + llm->at.stops) + index * LLM_STOP_IDS;
	struct aipu_lane *lane = llm_lane(llm, index);
	uint32_t n = 0, i;

	if (session->reason) {
		memset(lane, 0, sizeof(*lane)); /* idle */
		return;
	}
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
	lane->sampler.token_limit = s->max_tokens ? s->max_tokens - session->given
						  : UINT32_MAX; /* the context ends it */
}

struct generation {
	struct aipu_llm *llm;
	struct aipu_session *const *sessions;
	const struct aipu_sampling *samplings;
	uint32_t count;
	aipu_token_fn fn;
	void *arg;
	struct aipu_ring ring;
	bool stopped; /* no further tokens are wanted */
	bool told; /* the last job has a completion, so that its lanes' results say what is in the cache */
};

/* Of a token; what the device says, but for what the host knows itself */
static uint32_t why_it_ended(const struct generation *g, const struct aipu_token_record *r)
{
	const struct aipu_session *session = g->sessions[r->lane];
	uint32_t limit = g->samplings[r->lane].max_tokens;

	if (r->reason)
		return r->reason;
	if (limit && session->given >= limit)
		return AIPU_END_LIMIT;
	return session->length > g->llm->model.ctx_len ? AIPU_END_CONTEXT : AIPU_END_NONE;
}

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
		if (session->reason || session->length > g->llm->model.ctx_len ||
		    r->position != session->length)
			continue;
		session->tokens[session->length++] = r->token;
		session->given++;
		session->reason = why_it_ended(g, r);
		g->llm->losses = 0;
		token.reason = session->reason;
		memcpy(&token.logprob, &r->logprob, sizeof(token.logprob));
		if (g->fn && g->fn(g->arg, &token))
			g->stopped = true;
	}
	return n > 0 ? (uint32_t)n : 0;
}

/* From submission to completion. A device that stops answering is libaipu's to notice. */
static int drive(struct generation *g)
{
	struct aipu_llm *llm = g->llm;
	const struct aipu_result *result;
	struct aipu_result end;
	bool aborted = false;
	int err;

	for (;;) {
		if (!g->stopped && atomic_load(&llm->abort))
			g->stopped = true;
		if (g->stopped && !aborted) {
			err = aipu_queue_abort(llm->queue, 0);
			if (err && err != -ENOENT)
				return llm_broken(llm, err, "abort");
			aborted = true;
		}
		if (take(g))
			continue;
		err = aipu_queue_peek(llm->queue, &result);
		if (!err)
			break;
		if (err == -EAGAIN)
			err = aipu_ring_wait(&g->ring, ABORT_POLL_NS);
		if (err && err != -ETIME && err != -EINTR)
			break;
	}
	while (take(g)) /* records come before the completion, so these are the last */
		;
	if (err)
		return llm_broken(llm, err, "generate");
	end = *result;
	aipu_queue_seen(llm->queue, result);
	err = end.status == AIPU_STATUS_ABORTED && g->stopped ? 0
							      : llm_check(llm, "generate", &end);
	g->told = err != -ECANCELED;
	return err;
}

/* One job over the lanes that have not ended */
static int generate(struct generation *g)
{
	struct aipu_llm *llm = g->llm;
	bool ended = true;
	uint32_t i;
	int err;

	g->told = false;
	for (i = 0; i < g->count; i++) {
		if (g->sessions[i]->reason)
			continue;
		ended = false;
		err = llm_session_compute(g->sessions[i], g->sessions[i]->length - 1);
		if (err)
			return err;
	}
	if (ended)
		return 0;
	for (i = 0; i < g->count; i++)
		fill_lane(llm, i, g->sessions[i], &g->samplings[i]);
	err = aipu_ring_init(&g->ring, llm->queue, llm->control.data + llm->at.ring,
			     LLM_RING_ENTRIES);
	if (err)
		return llm_fail(llm, err, "token ring: %s", strerror(-err));
	aipu_prep_generate(aipu_queue_get_job(llm->queue, 0), llm->control.segment,
			   llm->at.blocks + LLM_DECODE * sizeof(struct aipu_block), 1,
			   llm->control.segment, llm->at.lanes, g->count, llm->control.segment,
			   llm->at.ring, LLM_RING_ENTRIES);
	err = aipu_queue_submit(llm->queue);
	if (err != 1)
		return llm_broken(llm, err < 0 ? err : -EIO, "generate");
	return drive(g);
}

static void finish(const struct generation *g, uint32_t *reasons)
{
	uint32_t i;

	for (i = 0; i < g->count; i++) {
		const struct aipu_lane_result *r = g->told ? &llm_lane(g->llm, i)->result : NULL;
		struct aipu_session *s = g->sessions[i];

		/* The last token that was handed out is computed when somebody goes on from it. */
		if (r)
			s->computed = r->kv_length >= s->length ? s->length - 1 : r->kv_length;
		if (!reasons)
			continue;
		/* The device may have ended by itself before the abort came, with tokens that nobody took. */
		if (s->reason || !g->stopped)
			reasons[i] = s->reason || !r ? s->reason : r->reason;
		else
			reasons[i] = AIPU_END_ABORT;
	}
}

int aipu_llm_generate(struct aipu_llm *llm, struct aipu_session *const *sessions,
		      const struct aipu_sampling *samplings, uint32_t count, aipu_token_fn fn,
		      void *arg, uint32_t *reasons)
{
	struct generation g = { .llm = llm,
				.sessions = sessions,
				.samplings = samplings,
				.count = count,
				.fn = fn,
				.arg = arg };
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
	for (i = 0; i < count; i++)
		sessions[i]->given = sessions[i]->reason = 0;
	err = llm_begin(llm);
	if (!err)
		do
			err = generate(&g);
		while (!g.stopped && llm_again(llm, &err));
	/* Nobody wants more tokens: a loss is found, and what was given up is made, by whoever wants some. */
	if (err == (g.stopped ? -ECANCELED : -EINTR)) {
		g.stopped = true;
		err = 0;
	}
	if (!err || g.told)
		atomic_store(&llm->abort, false);
	finish(&g, reasons);
	return err;
}

void aipu_llm_abort(struct aipu_llm *llm)
{
	atomic_store(&llm->abort, true);
}
