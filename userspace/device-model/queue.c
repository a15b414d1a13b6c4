// SPDX-License-Identifier: MIT
/*
 * Queues: a pair of rings in host memory, their indices, and the interrupt of their completions. The engine
 * owns them; admin commands create and end them. A doorbell value is checked before it moves an index, a
 * completion that the host has not read is never overwritten, and every completion is written last word last.
 */
#include "device.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* The word of a completion that carries the phase bit */
#define LAST_WORD (sizeof(struct aipu_completion) - 8)

/* --- rings -------------------------------------------------------------------------------------- */

static int ring_create(struct aipu_dm *dm, struct dm_ring *ring, uint64_t address, size_t bytes,
		       bool write)
{
	const volatile bool *lost = NULL;
	uint8_t probe;

	ring->address = address;
	ring->bytes = bytes;
	if (address + bytes < address || !dm_dma_permitted(dm))
		return -EFAULT;
	if (dm->ops.dma_map)
		ring->pointer = dm->ops.dma_map(dm->host, address, bytes, write, &lost);
	if (ring->pointer)
		return 0;
	if (dm_dma_read(dm, address, &probe, 1, NULL) ||
	    dm_dma_read(dm, address + bytes - 1, &probe, 1, NULL))
		return -EFAULT;
	return 0;
}

static void ring_destroy(struct aipu_dm *dm, struct dm_ring *ring)
{
	if (ring->pointer)
		dm->ops.dma_unmap(dm->host, ring->pointer, ring->bytes);
	ring->pointer = NULL;
}

int dm_queue_create(struct aipu_dm *dm, struct dm_context *context,
		    const struct dm_queue_config *config, struct dm_queue **out)
{
	struct dm_queue *queue = calloc(1, sizeof(*queue));
	int err = -ENOMEM;

	if (!queue)
		return err;
	queue->slots = calloc(config->entries, sizeof(*queue->slots));
	if (!queue->slots)
		goto fail;
	queue->dm = dm;
	queue->context = context;
	queue->place.share = context ? &context->share : NULL;
	queue->id = config->id;
	queue->serial = ++dm->serial;
	queue->entries = config->entries;
	queue->vector = config->vector;
	queue->coalesce_count = config->coalesce_us ? config->coalesce_count : 0;
	queue->coalesce_ns = config->coalesce_us * 1000ull;
	err = ring_create(dm, &queue->sq, config->sq_address,
			  config->entries * sizeof(struct aipu_job), false);
	if (err)
		goto fail;
	err = ring_create(dm, &queue->cq, config->cq_address,
			  config->entries * sizeof(struct aipu_completion), true);
	if (err) {
		err = -EIO;
		goto fail;
	}
	if (config->shadow_address) {
		err = ring_create(dm, &queue->shadow, config->shadow_address,
				  sizeof(struct aipu_shadow), true);
		if (err || dm_shadow_begin(queue)) {
			err = -ENXIO;
			goto fail;
		}
	}
	atomic_store(&dm->doorbells[config->id].tail, 0);
	atomic_store(&dm->doorbells[config->id].head, 0);
	atomic_store(&dm->doorbells[config->id].kick, false);
	*out = queue;
	return 0;
fail:
	dm_queue_destroy(queue);
	return err;
}

void dm_queue_destroy(struct dm_queue *queue)
{
	if (!queue)
		return;
	if (queue->dm) {
		dm_shadow_end(queue);
		ring_destroy(queue->dm, &queue->sq);
		ring_destroy(queue->dm, &queue->cq);
		ring_destroy(queue->dm, &queue->shadow);
	}
	free(queue->slots);
	free(queue);
}

/* --- indices ------------------------------------------------------------------------------------ */

bool dm_queue_doorbell(struct dm_queue *queue, uint32_t sq_tail, uint32_t cq_head)
{
	uint32_t mask = queue->entries - 1;
	uint32_t seen = dm_steps(queue->dm);
	uint64_t used = queue->tail - queue->head;
	uint64_t unread = queue->cq_tail - queue->cq_head;
	uint64_t now_used, taken;

	if (queue->closed)
		sq_tail = (uint32_t)queue->tail & mask;
	if (sq_tail >= queue->entries || cq_head >= queue->entries)
		return false;
	now_used = (sq_tail - (uint32_t)queue->head) & mask;
	taken = (cq_head - (uint32_t)queue->cq_head) & mask;
	/* A tail that moved back, or a head beyond what was written, reads as a long way forward. */
	if (now_used < used || taken > unread)
		return false;
	for (uint64_t index = queue->tail; index < queue->head + now_used; index++)
		queue->slots[index & mask] = (struct dm_slot){ .seen = seen };
	queue->tail = queue->head + now_used;
	queue->cq_head += taken;
	return true;
}

uint32_t dm_queue_room(const struct dm_queue *queue)
{
	return queue->entries - 1 - (uint32_t)(queue->cq_tail - queue->cq_head);
}

int dm_queue_read(struct dm_queue *queue, uint64_t index, void *entry)
{
	uint64_t offset = (index & (queue->entries - 1)) * sizeof(struct aipu_job);

	if (!queue->sq.pointer)
		return dm_dma_read(queue->dm, queue->sq.address + offset, entry,
				   sizeof(struct aipu_job), NULL);
	if (!dm_dma_permitted(queue->dm))
		return -EFAULT;
	dm_copy_shared(entry, queue->sq.pointer + offset, sizeof(struct aipu_job));
	return 0;
}

/* --- completions -------------------------------------------------------------------------------- */

static int write_completion(struct dm_queue *queue, uint64_t offset,
			    const struct aipu_completion *completion)
{
	const uint8_t *bytes = (const uint8_t *)completion;
	uint64_t word;

	memcpy(&word, bytes + LAST_WORD, sizeof(word));
	if (queue->cq.pointer) {
		uint8_t *place = queue->cq.pointer + offset;

		if (!dm_dma_permitted(queue->dm))
			return -EFAULT;
		dm_copy_shared(place, bytes, LAST_WORD);
		__atomic_store_n((uint64_t *)(void *)(place + LAST_WORD), word, __ATOMIC_RELEASE);
		return 0;
	}
	if (dm_dma_write(queue->dm, queue->cq.address + offset, bytes, LAST_WORD, NULL))
		return -EFAULT;
	dm_full_fence();
	return dm_dma_write(queue->dm, queue->cq.address + offset + LAST_WORD, &word, sizeof(word),
			    NULL);
}

void dm_queue_signal(struct dm_queue *queue)
{
	queue->unsignalled = 0;
	queue->signal_ns = DM_NEVER;
	queue->dm->ops.interrupt(queue->dm->host, queue->vector);
}

/* Entries that ended out of turn are passed as soon as those before them are */
static void pass_ended(struct dm_queue *queue)
{
	while (queue->head < queue->tail && queue->slots[queue->head & (queue->entries - 1)].posted)
		queue->head++;
}

int dm_queue_post(struct dm_queue *queue, const struct aipu_completion *fields)
{
	struct aipu_completion completion = *fields;
	uint32_t mask = queue->entries - 1;

	pass_ended(queue);
	completion.time_ns &= (1ull << 48) - 1;
	completion.sq_head = (uint16_t)(queue->head & mask);
	completion.phase = queue->cq_tail / queue->entries % 2 == 0;
	dm_fault_completion(queue, &completion);
	if (write_completion(queue, (queue->cq_tail & mask) * sizeof(completion), &completion))
		return -EFAULT;
	queue->cq_tail++;
	/* What the timer found leaves the host's event as it is, see dm_shadow_rescue() */
	if (!queue->patience)
		dm_shadow_wake(queue);
	if (!queue->unsignalled++)
		queue->signal_ns = dm_clock(queue->dm) + queue->coalesce_ns;
	if (queue->unsignalled >= queue->coalesce_count)
		dm_queue_signal(queue);
	return 0;
}

/* --- entries that will not run -------------------------------------------------------------------- */

void dm_queue_stop_all(struct dm_queue *queue, unsigned int status)
{
	for (uint64_t index = queue->head; index < queue->tail; index++) {
		struct dm_slot *slot = &queue->slots[index & (queue->entries - 1)];
		struct aipu_job job;

		if (slot->end)
			continue;
		if (dm_queue_read(queue, index, &job)) {
			dm_engine_queue_failed(queue, AIPU_ERROR_QUEUE);
			return;
		}
		slot->id = job.id;
		slot->end = (uint16_t)status;
		queue->stopped++;
	}
}

void dm_queue_settle(struct dm_queue *queue)
{
	uint32_t mask = queue->entries - 1;
	uint32_t reserved = queue->job.active; /* the running job's own place */

	for (uint64_t index = queue->head; queue->stopped && index < queue->tail; index++) {
		struct dm_slot *slot = &queue->slots[index & mask];
		struct aipu_completion completion = {
			.step_seen = slot->seen,
			.step_start = dm_steps(queue->dm),
			.step_end = dm_steps(queue->dm),
			.id = slot->id,
			.status = slot->end,
		};

		if (queue->dead || !slot->end || slot->posted)
			continue;
		if (dm_queue_room(queue) <= reserved)
			break;
		slot->posted = true; /* so that the completion's own head is past it */
		queue->stopped--;
		if (dm_queue_post(queue, &completion)) {
			dm_engine_queue_failed(queue, AIPU_ERROR_QUEUE);
			return;
		}
	}
}
