// SPDX-License-Identifier: MIT
/*
 * I/O queues: rings in host memory, doorbells, completions, the eventfd. One doorbell per submission
 * however many jobs it has; completions are acknowledged when half the ring waits, or when none is left.
 * Indices and ids that come from the device are checked before they are used.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "soft.h"

#define SPIN_NS 20000 /* about what a sleep and a wake-up cost */
#define SLICE_NS 1000000000 /* a waiter looks this often whether the device still lives */

bool soft_completion_take(const struct aipu_completion *ring, uint32_t entries, uint32_t *head,
			  uint16_t *phase, struct aipu_completion *completion)
{
	const struct aipu_completion *entry = &ring[*head];
	uint64_t last;

	/* The last eight bytes become visible as one, after the others */
	last = __atomic_load_n((const uint64_t *)&entry->id, __ATOMIC_ACQUIRE);
	memcpy((uint8_t *)completion + offsetof(struct aipu_completion, id), &last, sizeof(last));
	if ((completion->phase & 1) != *phase)
		return false;
	memcpy(completion, entry, offsetof(struct aipu_completion, id));
	*head = (*head + 1) % entries;
	if (!*head)
		*phase ^= 1;
	return true;
}

static int queue_id_take(struct aipu_transport_device *device)
{
	int id;

	pthread_mutex_lock(&device->lock);
	id = soft_ids_take(&device->queue_ids);
	pthread_mutex_unlock(&device->lock);
	return id;
}

static void queue_id_give(struct aipu_transport_device *device, uint32_t id)
{
	pthread_mutex_lock(&device->lock);
	soft_ids_give(&device->queue_ids, id);
	pthread_mutex_unlock(&device->lock);
}

static void queue_link(struct aipu_transport_queue *queue)
{
	struct aipu_transport_device *device = queue->context->device;

	pthread_mutex_lock(&device->interrupt_lock);
	queue->next = device->queues;
	device->queues = queue;
	pthread_mutex_unlock(&device->interrupt_lock);
}

static void queue_unlink(struct aipu_transport_queue *queue)
{
	struct aipu_transport_device *device = queue->context->device;
	struct aipu_transport_queue **link;

	pthread_mutex_lock(&device->interrupt_lock);
	for (link = &device->queues; *link; link = &(*link)->next) {
		if (*link == queue) {
			*link = queue->next;
			break;
		}
	}
	pthread_mutex_unlock(&device->interrupt_lock);
}

static int queue_command_create(struct aipu_transport_queue *queue, uint64_t cq_offset)
{
	struct aipu_admin command = { .opcode = AIPU_ADMIN_CREATE_QUEUE };

	command.queue.context = queue->context->id;
	command.queue.queue = queue->id;
	command.queue.sq_address = queue->ring->address;
	command.queue.cq_address = queue->ring->address + cq_offset;
	command.queue.entries = queue->entries;
	command.queue.vector = (uint16_t)queue->vector;
	return soft_admin_command(queue->context->device, &command);
}

int soft_queue_create(struct aipu_transport_context *context, uint32_t capacity,
		      struct aipu_transport_queue **queue)
{
	struct aipu_transport_device *device = context->device;
	struct aipu_transport_queue *created;
	uint64_t sq_bytes;
	uint32_t entries = 2;
	int id, error;

	/* A ring is full with one place empty */
	while (entries - 1 < capacity)
		entries *= 2;
	if (entries > device->max_entries)
		return -EINVAL;
	created = calloc(1, sizeof(*created));
	if (!created)
		return -ENOMEM;
	created->context = context;
	created->entries = entries;
	created->phase = 1;
	created->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (created->event < 0) {
		error = -errno;
		free(created);
		return error;
	}
	sq_bytes = soft_page_align(entries * sizeof(struct aipu_job));
	error = soft_dma_alloc(&device->dma,
			       sq_bytes + soft_page_align(entries * sizeof(struct aipu_completion)),
			       &created->ring);
	if (error)
		goto fail_event;
	created->sq = (struct aipu_job *)created->ring->memory;
	created->cq = (struct aipu_completion *)(created->ring->memory + sq_bytes);
	id = queue_id_take(device);
	if (id < 0) {
		error = id;
		goto fail_ring;
	}
	created->id = (uint32_t)id;
	/* One of its own as long as there are enough; vector 0 is the admin queue's */
	created->vector = device->vectors > 1 ? 1 + (created->id - 1) % (device->vectors - 1) : 0;
	queue_link(created);
	error = queue_command_create(created, sq_bytes);
	if (error)
		goto fail_id;
	*queue = created;
	return 0;

fail_id:
	queue_unlink(created);
	queue_id_give(device, created->id);
fail_ring:
	/* A device that did not answer may know the rings: they stay until it is closed */
	if (error != -EIO)
		soft_dma_free(&device->dma, created->ring);
fail_event:
	close(created->event);
	free(created);
	return error;
}

void soft_queue_destroy(struct aipu_transport_queue *queue)
{
	struct aipu_transport_device *device = queue->context->device;
	struct aipu_admin command = { .opcode = AIPU_ADMIN_DESTROY_QUEUE };

	command.queue.context = queue->context->id;
	command.queue.queue = queue->id;
	/* Else the rings stay reachable, and are given back when the device is closed */
	if (!soft_admin_command(device, &command)) {
		soft_dma_free(&device->dma, queue->ring);
		queue_id_give(device, queue->id);
	}
	queue_unlink(queue);
	close(queue->event);
	free(queue);
}

static void doorbell(struct aipu_transport_queue *queue, uint32_t which, uint32_t value)
{
	soft_write(queue->context->device, AIPU_DOORBELL_PAGE(queue->id) + which, value);
}

int soft_queue_submit(struct aipu_transport_queue *queue, const struct aipu_job *jobs,
		      uint32_t count)
{
	uint32_t mask = queue->entries - 1;
	uint32_t room = (queue->sq_head - queue->sq_tail - 1) & mask;
	uint32_t taken = count < room ? count : room;

	if (__atomic_load_n(&queue->context->device->dead, __ATOMIC_RELAXED))
		return -EIO;
	if (!taken)
		return 0;
	for (uint32_t i = 0; i < taken; i++) {
		struct aipu_job *entry = &queue->sq[(queue->sq_tail + i) & mask];

		*entry = jobs[i];
		entry->flags = 0; /* the driver's own */
	}
	queue->sq_tail = (queue->sq_tail + taken) & mask;
	atomic_fetch_add_explicit(&queue->running, taken, memory_order_relaxed);
	/* Entries before the doorbell; a store to a trapped register would order by itself */
	aipu_full_fence();
	doorbell(queue, AIPU_DOORBELL_SQ_TAIL, queue->sq_tail);
	return (int)taken;
}

static int rings_take(struct aipu_transport_queue *queue, struct aipu_completion *completions,
		      uint32_t count)
{
	uint32_t taken = 0, unsaid;

	while (taken < count && soft_completion_take(queue->cq, queue->entries, &queue->cq_head,
						     &queue->phase, &completions[taken])) {
		if (completions[taken].sq_head >= queue->entries)
			return -EIO;
		queue->sq_head = completions[taken].sq_head;
		taken++;
	}
	if (taken)
		atomic_fetch_sub_explicit(&queue->running, taken, memory_order_relaxed);
	unsaid = (queue->cq_head - queue->cq_told) & (queue->entries - 1);
	if (unsaid && (unsaid >= queue->entries / 2 || taken < count)) {
		queue->cq_told = queue->cq_head;
		doorbell(queue, AIPU_DOORBELL_CQ_HEAD, queue->cq_head);
	}
	return (int)taken;
}

/* The eventfd first, the flag after: who sees the flag and clears both loses nothing */
void soft_queue_signal(struct aipu_transport_queue *queue)
{
	uint64_t one = 1;

	/* Full is readable all the same */
	if (write(queue->event, &one, sizeof(one)) < 0 && errno != EAGAIN)
		return;
	atomic_store_explicit(&queue->signalled, true, memory_order_release);
}

static void event_clear(struct aipu_transport_queue *queue)
{
	uint64_t value;

	atomic_store_explicit(&queue->signalled, false, memory_order_relaxed);
	/* Empty is as good: it was cleared before */
	if (read(queue->event, &value, sizeof(value)) < 0)
		return;
}

int soft_queue_reap(struct aipu_transport_queue *queue, struct aipu_completion *completions,
		    uint32_t count)
{
	int taken = rings_take(queue, completions, count);

	if (taken || !atomic_load_explicit(&queue->signalled, memory_order_acquire))
		return taken;
	/* Clear, then look again: what comes after this look writes the eventfd after the clear */
	event_clear(queue);
	taken = rings_take(queue, completions, count);
	/* What had been told of before goes on being told of: the caller may hand out one at a time */
	if (taken > 0)
		soft_queue_signal(queue);
	return taken;
}

static bool spin(struct aipu_transport_queue *queue)
{
	int64_t end = soft_now_ns() + SPIN_NS;

	do {
		if (atomic_load_explicit(&queue->signalled, memory_order_acquire))
			return true;
#if defined(__x86_64__) || defined(__i386__)
		__builtin_ia32_pause();
#endif
	} while (soft_now_ns() < end);
	return false;
}

int soft_queue_wait(struct aipu_transport_queue *queue, int64_t timeout_ns)
{
	struct aipu_transport_device *device = queue->context->device;
	struct pollfd poll_fd = { .fd = queue->event, .events = POLLIN };
	bool last = timeout_ns >= 0 && timeout_ns <= SLICE_NS;
	int64_t slice = last ? timeout_ns : SLICE_NS;
	struct timespec timeout = { .tv_sec = slice / 1000000000, .tv_nsec = slice % 1000000000 };
	int ready, error;

	if (device->spins && spin(queue))
		return 0;
	ready = ppoll(&poll_fd, 1, &timeout, NULL);
	if (ready < 0)
		return -errno;
	if (ready)
		return 0;
	/*
	 * Nothing is no sign of anything: jobs may be long. The caller looks and comes back, and one that waits a little at a
	 * time learns of a dead device like any other.
	 */
	error = soft_check_alive(device);
	return !error && last ? -ETIME : error;
}

int soft_queue_fd(struct aipu_transport_queue *queue)
{
	return queue->event;
}

int soft_queue_abort(struct aipu_transport_queue *queue, uint16_t id)
{
	struct aipu_admin command = { .opcode = AIPU_ADMIN_ABORT };

	command.abort.queue = queue->id;
	command.abort.job = id;
	return soft_admin_command(queue->context->device, &command);
}

int soft_queue_kick(struct aipu_transport_queue *queue)
{
	doorbell(queue, AIPU_DOORBELL_KICK, 1);
	return 0;
}
