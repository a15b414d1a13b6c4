// SPDX-License-Identifier: MIT
/*
 * The caller's half of a token ring. The ring is memory that the device writes: every index that comes
 * from there is checked. Called by the thread that owns the queue.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "internal.h"

#define RING_MIN_ENTRIES 2u
#define RING_MAX_ENTRIES 65536u

int aipu_ring_init(struct aipu_ring *ring, struct aipu_queue *queue, void *memory, uint32_t entries)
{
	if (!ring || !queue || !memory || (uintptr_t)memory % 64)
		return -EINVAL;
	if (entries < RING_MIN_ENTRIES || entries > RING_MAX_ENTRIES || (entries & (entries - 1)))
		return -EINVAL;
	memset(memory, 0, sizeof(struct aipu_token_ring));
	ring->queue = queue;
	ring->header = memory;
	ring->records = (const struct aipu_token_record *)(ring->header + 1);
	ring->mask = entries - 1;
	return 0;
}

/* Records that wait, or -EIO: more than the ring holds */
static int ring_ready(const struct aipu_ring *ring)
{
	uint32_t producer = __atomic_load_n(&ring->header->producer, __ATOMIC_ACQUIRE);
	uint32_t ready = producer - ring->header->consumer;

	return ready > ring->mask + 1 ? -EIO : (int)ready;
}

int aipu_ring_take(struct aipu_ring *ring, struct aipu_token_record *records, uint32_t count)
{
	uint32_t consumer, taken;
	int ready;

	if (!ring || !ring->header || !records)
		return -EINVAL;
	ready = ring_ready(ring);
	if (ready <= 0)
		return ready;
	taken = (uint32_t)ready < count ? (uint32_t)ready : count;
	consumer = ring->header->consumer;
	for (uint32_t i = 0; i < taken; i++)
		records[i] = ring->records[(consumer + i) & ring->mask];
	__atomic_store_n(&ring->header->consumer, consumer + taken, __ATOMIC_RELEASE);
	/* The device sets `paused`, then looks at `consumer` again */
	aipu_full_fence();
	if (taken && __atomic_load_n(&ring->header->paused, __ATOMIC_RELAXED)) {
		const struct aipu_queue *queue = ring->queue;

		queue->context->device->ops->queue_kick(queue->transport);
	}
	return (int)taken;
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int aipu_ring_wait(struct aipu_ring *ring, int64_t timeout_ns)
{
	int64_t end = timeout_ns > 0 ? now_ns() : 0;
	const struct aipu_result *result;
	struct aipu_queue *queue;
	int ready, error;

	if (!ring || !ring->header)
		return -EINVAL;
	queue = ring->queue;
	if (timeout_ns > 0)
		end = timeout_ns > INT64_MAX - end ? INT64_MAX : end + timeout_ns;
	for (;;) {
		/* Arm, fence, look: the device moves `producer`, fences, reads `wake` */
		__atomic_store_n(&ring->header->wake, ring->header->consumer, __ATOMIC_RELEASE);
		aipu_full_fence();
		/* Peek clears the fd, so it comes before the look at the ring */
		error = aipu_queue_peek(queue, &result);
		ready = ring_ready(ring);
		if (ready)
			return ready < 0 ? ready : 0;
		if (error != -EAGAIN)
			return error;
		if (timeout_ns == 0)
			return -ETIME;
		if (timeout_ns > 0) {
			timeout_ns = end - now_ns();
			if (timeout_ns <= 0)
				return -ETIME;
		}
		error = queue->context->device->ops->queue_wait(queue->transport, timeout_ns);
		if (error == -ETIME) {
			ready = ring_ready(ring);
			if (!ready)
				error = aipu_queue_peek(queue, &result);
			if (ready)
				return ready < 0 ? ready : 0;
			return error == -EAGAIN ? -ETIME : error;
		}
		if (error)
			return error;
	}
}
