// SPDX-License-Identifier: MIT
/*
 * GENERATE: steps until every lane has ended, tokens into the token ring. Called by step.c. The
 * caller writes the ring's header at the same time: its consumer index is checked whenever it is
 * read, and the device trusts only its own copy of the producer index.
 */
#include <string.h>

#include "program/program.h"

#define RING_FIELD(field) ((uint32_t)offsetof(struct aipu_token_ring, field))
#define JOB_FIELD(field) ((uint32_t)offsetof(struct aipu_job, step.field))

/*
 * Order against another process that shares the memory. Under emulation on one CPU locked
 * instructions are no barrier between processes, mfence is.
 */
static inline void ring_fence(void)
{
#if defined(__x86_64__)
	__asm__ __volatile__("mfence" ::: "memory");
#else
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

/* --- the ring, through a pointer or by copies ------------------------------------------------- */

static unsigned int ring_load(const struct dm_step_job *job, uint32_t field, uint32_t *value)
{
	const struct step_ring *r = &job->ring;

	if (!r->direct)
		return dm_mapping_read(&r->mapping, field, value, sizeof(*value));
	*value = __atomic_load_n((const uint32_t *)(const void *)(r->direct + field),
				 __ATOMIC_ACQUIRE);
	return AIPU_STATUS_OK;
}

static unsigned int ring_store(const struct dm_step_job *job, uint32_t field, uint32_t value)
{
	const struct step_ring *r = &job->ring;
	unsigned int status = AIPU_STATUS_OK;

	if (r->direct)
		__atomic_store_n((uint32_t *)(void *)(r->direct + field), value, __ATOMIC_RELEASE);
	else
		status = dm_mapping_write(&r->mapping, field, &value, sizeof(value));
	ring_fence();
	return status;
}

static unsigned int ring_put(struct dm_step_job *job, const struct aipu_token_record *record)
{
	const struct step_ring *r = &job->ring;
	uint64_t place = sizeof(struct aipu_token_ring) +
			 (uint64_t)(record->sequence & (r->entries - 1)) * sizeof(*record);

	if (!r->direct)
		return dm_mapping_write(&r->mapping, place, record, sizeof(*record));
	memcpy(r->direct + place, record, sizeof(*record));
	return AIPU_STATUS_OK;
}

/* Free places */
static unsigned int ring_room(struct dm_step_job *job, uint32_t *room)
{
	const struct step_ring *r = &job->ring;
	uint32_t consumer;
	unsigned int status = ring_load(job, RING_FIELD(consumer), &consumer);

	if (status != AIPU_STATUS_OK)
		return status;
	if (r->producer - consumer > r->entries)
		return AIPU_STATUS_INVALID_RING;
	*room = r->entries - (r->producer - consumer);
	return AIPU_STATUS_OK;
}

static unsigned int ring_set_paused(struct dm_step_job *job, uint32_t paused)
{
	if (job->ring.paused == paused)
		return AIPU_STATUS_OK;
	job->ring.paused = paused;
	return ring_store(job, RING_FIELD(paused), paused);
}

unsigned int generate_begin(struct dm_step_job *job, const struct aipu_job_step *step,
			    uint32_t *detail)
{
	struct step_ring *r = &job->ring;
	uint64_t bytes;
	unsigned int status;
	uint32_t room;

	*detail = JOB_FIELD(ring_entries);
	if (step->ring_entries < 2 || step->ring_entries > 65536 ||
	    step->ring_entries & (step->ring_entries - 1))
		return AIPU_STATUS_INVALID_FIELD;
	*detail = JOB_FIELD(ring_offset);
	if (step->ring_offset % 8)
		return AIPU_STATUS_ALIGNMENT;
	r->entries = step->ring_entries;
	bytes = sizeof(struct aipu_token_ring) +
		(uint64_t)r->entries * sizeof(struct aipu_token_record);
	*detail = JOB_FIELD(ring_segment);
	/* A host segment has a pointer only where compute may use it; a ring works without one */
	status = dm_segment_hold(job->context, step->ring_segment, step->ring_offset, bytes,
				 AIPU_ACCESS_READ | AIPU_ACCESS_WRITE, &r->mapping);
	if (status != AIPU_STATUS_OK)
		return status;
	r->direct = (uintptr_t)r->mapping.pointer % 8 ? NULL : r->mapping.pointer;
	status = ring_load(job, RING_FIELD(producer), &r->producer);
	r->wake_seen = r->producer;
	r->paused = RING_PAUSED_UNKNOWN;
	return status == AIPU_STATUS_OK ? ring_room(job, &room) : status;
}

/* --- lanes ------------------------------------------------------------------------------------ */

/*
 * Lanes that take part in this step: those with a token to come, in lane order, while places last
 */
static uint32_t lanes_choose(struct dm_step_job *job, uint32_t room)
{
	uint32_t chosen = 0;

	for (uint32_t i = 0; i < job->lane_count; i++) {
		struct step_lane *l = &job->lanes[i];

		l->stepping = l->n_valid && l->reason == AIPU_END_NONE && chosen < room;
		chosen += l->stepping;
	}
	return chosen;
}

static uint32_t lane_reason(const struct dm_step_job *job, const struct step_lane *l,
			    uint32_t token)
{
	for (uint32_t i = 0; i < l->stop_count; i++)
		if (l->stop[i] == token)
			return AIPU_END_STOP;
	if (l->given >= l->token_limit)
		return AIPU_END_LIMIT;
	/* The token's own position is the first beyond the context: it cannot be fed back */
	return l->position >= job->bounds.ctx_len ? AIPU_END_CONTEXT : AIPU_END_NONE;
}

static unsigned int lane_take_token(struct dm_step_job *job, uint32_t lane,
				    const struct exec_sample *sample, uint64_t now)
{
	struct step_lane *l = &job->lanes[lane];
	struct aipu_token_record record = {
		.sequence = job->ring.producer,
		.lane = (uint16_t)lane,
		.token = sample->token,
		.position = sample->position,
		.time_ns = now,
	};

	l->position = sample->position;
	l->given++;
	l->next = sample->token;
	l->tokens = &l->next;
	l->n_valid = 1;
	l->reason = lane_reason(job, l, sample->token);
	if (l->reason != AIPU_END_NONE)
		job->active--;
	record.reason = (uint16_t)l->reason;
	memcpy(&record.logprob, &sample->logprob, sizeof(record.logprob));
	job->ring.producer++;
	return ring_put(job, &record);
}

static unsigned int records_write(struct dm_step_job *job)
{
	uint64_t now = dm_context_clock(job->context);
	const struct exec_sample *sample = job->exec.samples;
	unsigned int status = AIPU_STATUS_OK;

	for (uint32_t i = 0; i < job->lane_count && status == AIPU_STATUS_OK; i++)
		if (job->lanes[i].stepping)
			status = lane_take_token(job, i, sample++, now);
	if (status == AIPU_STATUS_OK)
		status = ring_store(job, RING_FIELD(producer), job->ring.producer);
	return status;
}

static enum dm_step_result end_with(struct dm_step_job *job, unsigned int status)
{
	job->done = true;
	job->status = status;
	return DM_STEP_DONE;
}

enum dm_step_result generate_step(struct dm_step_job *job)
{
	unsigned int status;
	uint32_t room;

	if (!job->active)
		return end_with(job, AIPU_STATUS_OK);
	status = ring_room(job, &room);
	if (status == AIPU_STATUS_OK && !room) {
		status = ring_set_paused(job, 1);
		/* Once more: the caller may have made room before it could see the flag */
		if (status == AIPU_STATUS_OK)
			status = ring_room(job, &room);
		if (status == AIPU_STATUS_OK && !room)
			return DM_STEP_PAUSED;
	}
	if (status == AIPU_STATUS_OK)
		status = ring_set_paused(job, 0);
	if (status != AIPU_STATUS_OK)
		return end_with(job, status);
	lanes_choose(job, room);
	if (!step_execute(job))
		return end_with(job, AIPU_STATUS_DATA_LOST);
	status = records_write(job);
	if (status != AIPU_STATUS_OK)
		return end_with(job, status);
	return job->active ? DM_STEP_MORE : end_with(job, AIPU_STATUS_OK);
}

void generate_end(struct dm_step_job *job)
{
	if (job->ring.paused == 1)
		ring_set_paused(job, 0);
}

bool dm_step_job_wake(struct dm_step_job *job)
{
	uint32_t old = job->ring.wake_seen, producer = job->ring.producer, wake;

	if (!job->generate || producer == old)
		return false;
	job->ring.wake_seen = producer;
	if (ring_load(job, RING_FIELD(wake), &wake) != AIPU_STATUS_OK)
		return false;
	/* From the index itself on, so that neither reading of "passes" waits for one token more */
	return producer - wake <= producer - old;
}
