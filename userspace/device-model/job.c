// SPDX-License-Identifier: MIT
/*
 * The life of one job on the device: begin, units of work, end. The engine calls; COPY and FILL are done in
 * transfer.c, RUN and GENERATE by the step executor. Nothing here posts completions or chooses what runs.
 */
#include "device.h"

#include <stddef.h>
#include <string.h>

#define FIELD(name) ((uint32_t)offsetof(struct aipu_job, name))

unsigned int dm_job_begin(struct dm_queue *queue, uint32_t *detail)
{
	static const uint8_t zeros[sizeof(queue->job.entry.body)];
	struct dm_job *job = &queue->job;
	struct aipu_job *entry = &job->entry;

	*detail = FIELD(opcode);
	if (entry->opcode > AIPU_JOB_GENERATE)
		return AIPU_STATUS_INVALID_OPCODE;
	*detail = FIELD(flags);
	if (entry->flags)
		return AIPU_STATUS_INVALID_FIELD;
	*detail = FIELD(reserved);
	if (entry->reserved)
		return AIPU_STATUS_INVALID_FIELD;
	*detail = 0;
	switch (entry->opcode) {
	case AIPU_JOB_NOP:
		*detail = FIELD(body);
		return memcmp(entry->body, zeros, sizeof(zeros)) ? AIPU_STATUS_INVALID_FIELD
								 : AIPU_STATUS_OK;
	case AIPU_JOB_COPY:
	case AIPU_JOB_FILL:
		return dm_transfer_begin(queue->context, entry, &job->transfer, detail);
	default:
		return dm_step_job_begin(queue->context, entry, &job->step, detail);
	}
}

static void note_progress(struct dm_queue *queue)
{
	if (queue->job.step)
		dm_step_job_progress(queue->job.step, &queue->context->progress.block,
				     &queue->context->progress.instruction);
	queue->context->progress.step = dm_steps(queue->dm);
}

enum dm_unit dm_job_step(struct dm_queue *queue, unsigned int *status, uint32_t *detail)
{
	struct dm_job *job = &queue->job;
	enum dm_step_result result;

	*status = AIPU_STATUS_OK;
	*detail = 0;
	if (job->transfer) {
		bool more = dm_transfer_step(job->transfer, status, detail);

		job->work = job->transfer->work;
		if (more)
			return DM_UNIT_MORE;
		dm_transfer_end(job->transfer);
		job->transfer = NULL;
		return DM_UNIT_DONE;
	}
	if (!job->step)
		return DM_UNIT_DONE; /* NOP */
	result = dm_step_job_step(job->step);
	job->work = *dm_step_job_work(job->step);
	note_progress(queue);
	if (dm_step_job_wake(job->step))
		dm_queue_signal(queue);
	if (result == DM_STEP_MORE)
		return DM_UNIT_MORE;
	if (result == DM_STEP_PAUSED)
		return DM_UNIT_PAUSED;
	*status = dm_step_job_end(job->step, AIPU_STATUS_OK, dm_dma_permitted(queue->dm), detail);
	job->step = NULL;
	return DM_UNIT_DONE;
}

void dm_job_stop(struct dm_queue *queue, unsigned int reason, bool write_back)
{
	struct dm_job *job = &queue->job;
	uint32_t detail;

	if (job->transfer)
		dm_transfer_end(job->transfer);
	job->transfer = NULL;
	if (job->step) {
		note_progress(queue);
		dm_step_job_end(job->step, reason, write_back, &detail);
	}
	job->step = NULL;
}
