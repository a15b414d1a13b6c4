// SPDX-License-Identifier: MIT
/*
 * The lane table of a job: copied once, checked, turned into what the executor may trust; and its
 * results written back at the end. Called by step.c. After lanes_read nothing of the lanes is ever
 * read from the host's memory again.
 */
#include <stdlib.h>
#include <string.h>

#include "program/program.h"

/* detail of INVALID_LANE: lane << 16 | byte offset of the field */
#define LANE_FIELD(field) ((uint32_t)offsetof(struct aipu_lane, field))

static unsigned int refuse(uint32_t *detail, unsigned int status, uint32_t lane, uint32_t low)
{
	*detail = lane << 16 | (low & 0xffff);
	return status;
}

static unsigned int invalid(uint32_t *detail, uint32_t lane, uint32_t field)
{
	return refuse(detail, AIPU_STATUS_INVALID_LANE, lane, field);
}

static float float_of(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* --- sampler ---------------------------------------------------------------------------------- */

/* RUN: the offset of the first word that is not zero, in the lane; 0 when all are */
static uint32_t words_nonzero(const struct aipu_lane *l, uint32_t from, uint32_t bytes)
{
	for (uint32_t i = from; i < from + bytes; i += 4) {
		uint32_t word;

		memcpy(&word, (const uint8_t *)l + i, sizeof(word));
		if (word)
			return i;
	}
	return 0;
}

static unsigned int sampler_check(const struct aipu_lane *l, uint32_t lane, uint32_t *detail)
{
	const struct aipu_sampler *s = &l->sampler;
	float temperature = float_of(s->temperature), top_p = float_of(s->top_p);
	float min_p = float_of(s->min_p);
	uint32_t field;

	/* Comparisons are written so that NaN fails */
	if (!(temperature >= 0.0f) || temperature > 3.4028234663852886e38f)
		return invalid(detail, lane, LANE_FIELD(sampler.temperature));
	if (!(top_p >= 0.0f && top_p <= 1.0f))
		return invalid(detail, lane, LANE_FIELD(sampler.top_p));
	if (!(min_p >= 0.0f && min_p <= 1.0f))
		return invalid(detail, lane, LANE_FIELD(sampler.min_p));
	/*
	 * Penalties, log-probabilities, bias, bitmap: features that this device lacks, side by side
	 */
	field = words_nonzero(l, LANE_FIELD(sampler.repeat_penalty),
			      LANE_FIELD(sampler.stop_segment) -
				      LANE_FIELD(sampler.repeat_penalty));
	if (field)
		return refuse(detail, AIPU_STATUS_UNSUPPORTED, lane, field);
	if (s->stop_count > AIPU_MAX_STOP_IDS)
		return invalid(detail, lane, LANE_FIELD(sampler.stop_count));
	if (!s->token_limit)
		return invalid(detail, lane, LANE_FIELD(sampler.token_limit));
	field = words_nonzero(l, LANE_FIELD(sampler.reserved), sizeof(s->reserved));
	return field ? invalid(detail, lane, field) : AIPU_STATUS_OK;
}

static unsigned int sampler_read(struct dm_step_job *job, const struct aipu_lane *l, uint32_t lane,
				 uint32_t *detail)
{
	const struct aipu_sampler *s = &l->sampler;
	struct step_lane *out = &job->lanes[lane];
	unsigned int status = sampler_check(l, lane, detail);

	if (status != AIPU_STATUS_OK)
		return status;
	out->sampler.temperature = float_of(s->temperature);
	out->sampler.top_k = s->top_k;
	out->sampler.top_p = float_of(s->top_p);
	out->sampler.min_p = float_of(s->min_p);
	out->sampler.seed = s->seed;
	out->token_limit = s->token_limit;
	out->stop_count = s->stop_count;
	if (!s->stop_count)
		return AIPU_STATUS_OK;
	status = dm_segment_read(job->context, s->stop_segment, s->stop_offset, out->stop,
				 s->stop_count * sizeof(out->stop[0]));
	return status == AIPU_STATUS_OK
		       ? status
		       : refuse(detail, status, lane, LANE_FIELD(sampler.stop_segment));
}

/* --- lanes ------------------------------------------------------------------------------------ */

/* What is the lane's own; sums over lanes are the caller's. No memory but *l is read. */
static unsigned int lane_check(const struct dm_step_job *job, const struct aipu_lane *l,
			       uint32_t lane, uint32_t *detail)
{
	const struct lane_bounds *bounds = &job->bounds;
	uint32_t field;

	if (l->kv_slot >= bounds->kv_slots)
		return invalid(detail, lane, LANE_FIELD(kv_slot));
	if (l->position >= bounds->ctx_len)
		return invalid(detail, lane, LANE_FIELD(position));
	if (l->n_valid > bounds->ctx_len - l->position)
		return invalid(detail, lane, LANE_FIELD(n_valid));
	if (l->logits > AIPU_LOGITS_ALL || (job->generate && l->logits != AIPU_LOGITS_LAST))
		return invalid(detail, lane, LANE_FIELD(logits));
	if (l->token_source == AIPU_TOKENS_EMBEDDINGS)
		return refuse(detail, AIPU_STATUS_UNSUPPORTED, lane, LANE_FIELD(token_source));
	if (l->token_source > AIPU_TOKENS_EMBEDDINGS)
		return invalid(detail, lane, LANE_FIELD(token_source));
	if (l->token_source == AIPU_TOKENS_INLINE) {
		if (l->n_valid != 1)
			return invalid(detail, lane, LANE_FIELD(n_valid));
		if (l->token_offset >> 32)
			return invalid(detail, lane, LANE_FIELD(token_offset));
	}
	if (l->adapter)
		return invalid(detail, lane, LANE_FIELD(adapter));
	if (l->reserved0)
		return invalid(detail, lane, LANE_FIELD(reserved0));
	field = words_nonzero(l, LANE_FIELD(reserved1), sizeof(l->reserved1));
	if (!field && !job->generate)
		field = words_nonzero(l, LANE_FIELD(sampler), sizeof(l->sampler));
	return field ? invalid(detail, lane, field) : AIPU_STATUS_OK;
}

/* Sums over the active lanes so far */
struct lane_sums {
	uint64_t tokens, selected;
	uint32_t lanes;
};

static unsigned int sums_check(struct dm_step_job *job, const struct aipu_lane *table,
			       uint32_t lane, struct lane_sums *sums, uint32_t *detail)
{
	const struct lane_bounds *bounds = &job->bounds;
	const struct aipu_lane *l = &table[lane];

	sums->lanes++;
	sums->tokens += l->n_valid;
	sums->selected += l->logits == AIPU_LOGITS_ALL ? l->n_valid : l->logits;
	if (sums->lanes > bounds->max_lanes || sums->tokens > bounds->max_tokens)
		return invalid(detail, lane, LANE_FIELD(n_valid));
	if (sums->selected > bounds->max_selected)
		return invalid(detail, lane, LANE_FIELD(logits));
	for (uint32_t i = 0; i < lane; i++)
		if (table[i].n_valid && table[i].kv_slot == l->kv_slot)
			return invalid(detail, lane, LANE_FIELD(kv_slot));
	return AIPU_STATUS_OK;
}

static unsigned int tokens_read(struct dm_step_job *job, const struct aipu_lane *l, uint32_t lane,
				uint32_t *to, uint32_t *detail)
{
	unsigned int status;

	if (l->token_source == AIPU_TOKENS_INLINE) {
		to[0] = (uint32_t)l->token_offset;
	} else {
		status = dm_segment_read(job->context, l->token_segment, l->token_offset, to,
					 (size_t)l->n_valid * sizeof(*to));
		if (status != AIPU_STATUS_OK)
			return refuse(detail, status, lane, LANE_FIELD(token_segment));
	}
	for (uint32_t i = 0; i < l->n_valid; i++)
		if (to[i] >= job->bounds.vocabulary)
			return refuse(detail, AIPU_STATUS_INVALID_INDEX, lane, i);
	return AIPU_STATUS_OK;
}

static unsigned int table_check(struct dm_step_job *job, const struct aipu_lane *table,
				struct lane_sums *sums, uint32_t *detail)
{
	unsigned int status = AIPU_STATUS_OK;

	for (uint32_t i = 0; i < job->lane_count && status == AIPU_STATUS_OK; i++) {
		const struct aipu_lane *l = &table[i];
		struct step_lane *out = &job->lanes[i];

		out->generation = l->generation;
		if (!l->n_valid)
			continue;
		status = lane_check(job, l, i, detail);
		if (status == AIPU_STATUS_OK)
			status = sums_check(job, table, i, sums, detail);
		if (status == AIPU_STATUS_OK && job->generate)
			status = sampler_read(job, l, i, detail);
		out->sequence = l->sequence;
		out->kv_slot = l->kv_slot;
		out->position = l->position;
		out->n_valid = l->n_valid;
		out->logits = l->logits;
	}
	return status;
}

unsigned int lanes_read(struct dm_step_job *job, uint32_t *detail)
{
	size_t bytes = job->lane_count * sizeof(struct aipu_lane);
	struct aipu_lane *table = malloc(bytes);
	struct lane_sums sums = { 0 };
	unsigned int status = AIPU_STATUS_NO_RESOURCES;
	uint32_t *next;

	job->lanes = calloc(job->lane_count, sizeof(*job->lanes));
	if (!table || !job->lanes)
		goto out;
	/* The results will be written: a table that cannot take them is refused now, and held */
	status = dm_segment_hold(job->context, job->lane_segment, job->lane_offset, bytes,
				 AIPU_ACCESS_READ | AIPU_ACCESS_WRITE, &job->lane_hold);
	if (status == AIPU_STATUS_OK)
		status = dm_segment_read(job->context, job->lane_segment, job->lane_offset, table,
					 bytes);
	if (status != AIPU_STATUS_OK) {
		*detail = offsetof(struct aipu_job, step.lane_segment);
		goto out;
	}
	status = table_check(job, table, &sums, detail);
	if (status != AIPU_STATUS_OK)
		goto out;
	job->active = sums.lanes;
	job->first_rows = (uint32_t)sums.tokens;
	job->tokens = malloc((sums.tokens + 1) * sizeof(*job->tokens));
	if (!job->tokens) {
		status = AIPU_STATUS_NO_RESOURCES;
		goto out;
	}
	next = job->tokens;
	for (uint32_t i = 0; i < job->lane_count && status == AIPU_STATUS_OK; i++) {
		if (!table[i].n_valid)
			continue;
		status = tokens_read(job, &table[i], i, next, detail);
		job->lanes[i].tokens = next;
		next += table[i].n_valid;
	}
out:
	free(table);
	return status;
}

void lanes_write_results(struct dm_step_job *job, unsigned int status)
{
	uint32_t ended = status == AIPU_STATUS_ABORTED || status == AIPU_STATUS_TIMEOUT ||
					 status == AIPU_STATUS_CONTEXT_RESET
				 ? AIPU_END_ABORT
				 : AIPU_END_ERROR;

	for (uint32_t i = 0; i < job->lane_count; i++) {
		const struct step_lane *l = &job->lanes[i];
		struct aipu_lane_result result = {
			.kv_length = l->position,
			.tokens = l->given,
			.reason = l->reason,
			.generation = l->generation,
		};
		uint64_t place;

		if (job->generate && l->n_valid && l->reason == AIPU_END_NONE)
			result.reason = ended;
		/* Held, so written even where an UNBIND waits for this job */
		place = (uint64_t)i * sizeof(struct aipu_lane) + LANE_FIELD(result);
		if (job->lane_hold.pointer)
			memcpy((uint8_t *)job->lane_hold.pointer + place, &result, sizeof(result));
		else
			dm_mapping_write(&job->lane_hold, place, &result, sizeof(result));
	}
}
