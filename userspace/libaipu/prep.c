// SPDX-License-Identifier: MIT
/*
 * Fills in job entries. No checks: the device checks every field against the context's segments, and a
 * negative segment id becomes one that is never bound. The id is given at submission.
 */
#include <string.h>

#include "aipu/aipu.h"

static void job_start(struct aipu_job *job, enum aipu_job_opcode opcode)
{
	memset(job, 0, sizeof(*job));
	job->opcode = (uint8_t)opcode;
}

void aipu_prep_nop(struct aipu_job *job)
{
	job_start(job, AIPU_JOB_NOP);
}

void aipu_prep_copy(struct aipu_job *job, int dst_segment, uint64_t dst_offset, int src_segment,
		    uint64_t src_offset, uint64_t length)
{
	job_start(job, AIPU_JOB_COPY);
	job->copy.src_segment = (uint32_t)src_segment;
	job->copy.dst_segment = (uint32_t)dst_segment;
	job->copy.src_offset = src_offset;
	job->copy.dst_offset = dst_offset;
	job->copy.length = length;
}

void aipu_prep_copy_list(struct aipu_job *job, int list_segment, uint64_t list_offset,
			 uint32_t count)
{
	job_start(job, AIPU_JOB_COPY);
	job->copy.src_segment = (uint32_t)list_segment;
	job->copy.src_offset = list_offset;
	job->copy.list_count = count;
}

void aipu_prep_fill(struct aipu_job *job, int segment, uint64_t offset, uint64_t length,
		    uint32_t pattern)
{
	job_start(job, AIPU_JOB_FILL);
	job->fill.segment = (uint32_t)segment;
	job->fill.pattern = pattern;
	job->fill.offset = offset;
	job->fill.length = length;
}

void aipu_prep_run(struct aipu_job *job, int block_segment, uint64_t block_offset,
		   uint32_t block_count, int lane_segment, uint64_t lane_offset,
		   uint32_t lane_count)
{
	job_start(job, AIPU_JOB_RUN);
	job->step.block_segment = (uint32_t)block_segment;
	job->step.block_count = block_count;
	job->step.block_offset = block_offset;
	job->step.lane_segment = (uint32_t)lane_segment;
	job->step.lane_count = lane_count;
	job->step.lane_offset = lane_offset;
}

void aipu_prep_generate(struct aipu_job *job, int block_segment, uint64_t block_offset,
			uint32_t block_count, int lane_segment, uint64_t lane_offset,
			uint32_t lane_count, int ring_segment, uint64_t ring_offset,
			uint32_t ring_entries)
{
	aipu_prep_run(job, block_segment, block_offset, block_count, lane_segment, lane_offset,
		      lane_count);
	job->opcode = AIPU_JOB_GENERATE;
	job->step.ring_segment = (uint32_t)ring_segment;
	job->step.ring_offset = ring_offset;
	job->step.ring_entries = ring_entries;
}

void aipu_job_set_timeout(struct aipu_job *job, uint32_t milliseconds)
{
	job->timeout_ms = milliseconds;
}
