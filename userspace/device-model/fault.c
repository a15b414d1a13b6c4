// SPDX-License-Identifier: MIT
/*
 * Faults that the host orders, for testing drivers (aipu/dm.h: which, and where). The engine asks at its points; what
 * every point has in common is done here, between two units of work or two accesses, so a fault never leaves anything
 * half done. Nothing here runs where the host offers no such operation.
 */
#include "device.h"

static void hang(struct aipu_dm *dm)
{
	pthread_mutex_lock(&dm->lock);
	dm->hung = true;
	pthread_cond_broadcast(&dm->boundary_passed); /* nothing is in flight */
	while (!dm->stop)
		pthread_cond_wait(&dm->wake, &dm->lock);
	dm->hung = false;
	pthread_mutex_unlock(&dm->lock);
}

static void be_slow(struct aipu_dm *dm, uint32_t ms)
{
	uint64_t until = dm_real_clock() + ms * 1000000ull;

	pthread_mutex_lock(&dm->lock);
	while (!dm->stop && dm_real_clock() < until) {
		dm->heartbeat++; /* doorbells wake */
		dm_engine_sleep(dm, until);
	}
	pthread_mutex_unlock(&dm->lock);
}

struct aipu_dm_fault dm_fault_at(struct aipu_dm *dm, enum aipu_dm_point point)
{
	struct aipu_dm_fault fault = { .kind = AIPU_DM_FAULT_NONE };

	if (!dm->ops.fault)
		return fault;
	dm->ops.fault(dm->host, point, &fault);
	if (fault.kind == AIPU_DM_FAULT_HANG)
		hang(dm);
	else if (fault.kind == AIPU_DM_FAULT_SLOW)
		be_slow(dm, fault.value);
	else if (fault.kind == AIPU_DM_FAULT_FATAL)
		dm->fatal = AIPU_ERROR_FATAL;
	else if (fault.kind == AIPU_DM_FAULT_MEMORY)
		dm_power_memory_error(dm, fault.value);
	else if (fault.kind == AIPU_DM_FAULT_AMBIENT)
		dm_power_ambient(dm, fault.value);
	return fault;
}

void dm_fault_completion(struct dm_queue *queue, struct aipu_completion *completion)
{
	struct aipu_dm_fault fault = dm_fault_at(
		queue->dm, queue->context ? AIPU_DM_POINT_COMPLETION : AIPU_DM_POINT_REPLY);

	if (fault.kind != AIPU_DM_FAULT_CORRUPT)
		return;
	if (fault.value == AIPU_DM_CORRUPT_ID)
		completion->id = (uint16_t)~completion->id;
	else if (fault.value == AIPU_DM_CORRUPT_SQ_HEAD)
		completion->sq_head = (uint16_t)(completion->sq_head + queue->entries);
	else
		completion->status = fault.value == AIPU_DM_CORRUPT_ABORTED ? AIPU_STATUS_ABORTED
									    : UINT16_MAX;
}
