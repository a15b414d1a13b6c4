// SPDX-License-Identifier: MIT
/*
 * Queues: the way of a job from get_job to seen. A slot carries it; the slot's index is the job's id on
 * the device. The lock is there for aipu_queue_abort, which comes from any thread; everything else of a
 * queue is called by one thread at a time.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "internal.h"

#define QUEUE_MAX_JOBS 4095u /* a ring of 4096 entries is full with one place empty */
#define REAP_BATCH 32u

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void queue_free(struct aipu_queue *queue)
{
	free(queue->slots);
	free(queue->jobs);
	free(queue->staged);
	free(queue->free);
	free(queue->ended);
	pthread_mutex_destroy(&queue->lock);
	free(queue);
}

int aipu_queue_create(struct aipu_context *context, uint32_t entries, struct aipu_queue **queue)
{
	struct aipu_queue *created;
	int error = -ENOMEM;

	if (!context || !queue)
		return -EINVAL;
	*queue = NULL;
	if (!entries || entries > QUEUE_MAX_JOBS)
		return -EINVAL;
	created = calloc(1, sizeof(*created));
	if (!created)
		return -ENOMEM;
	pthread_mutex_init(&created->lock, NULL);
	created->context = context;
	created->capacity = entries;
	created->slots = calloc(entries, sizeof(*created->slots));
	created->jobs = calloc(entries, sizeof(*created->jobs));
	created->staged = calloc(entries, sizeof(*created->staged));
	created->free = calloc(entries, sizeof(*created->free));
	created->ended = calloc(entries, sizeof(*created->ended));
	if (created->slots && created->jobs && created->staged && created->free && created->ended)
		error = context->device->ops->queue_create(context->transport, entries,
							   &created->transport);
	if (error) {
		queue_free(created);
		return error;
	}
	/* Popped from the end: ids are given in ascending order */
	for (uint32_t i = 0; i < entries; i++)
		created->free[i] = entries - 1 - i;
	created->free_count = entries;
	*queue = created;
	return 0;
}

void aipu_queue_destroy(struct aipu_queue *queue)
{
	if (!queue)
		return;
	queue->context->device->ops->queue_destroy(queue->transport);
	queue_free(queue);
}

static const struct aipu_transport_ops *queue_ops(const struct aipu_queue *queue)
{
	return queue->context->device->ops;
}

struct aipu_job *aipu_queue_get_job(struct aipu_queue *queue, uint64_t user_data)
{
	struct aipu_job *job = NULL;

	if (!queue)
		return NULL;
	pthread_mutex_lock(&queue->lock);
	if (queue->free_count) {
		uint32_t index = queue->free[--queue->free_count];
		struct aipu_queue_slot *slot = &queue->slots[index];

		slot->user_data = user_data;
		slot->state = AIPU_QUEUE_SLOT_STAGED;
		queue->staged[queue->staged_count] = index;
		job = &queue->jobs[queue->staged_count++];
		*job = (struct aipu_job){ 0 };
	}
	pthread_mutex_unlock(&queue->lock);
	return job;
}

/*
 * The lock is held until the doorbell has rung: an abort that finds the job in flight must not reach the
 * device before the job does.
 */
int aipu_queue_submit(struct aipu_queue *queue)
{
	int taken = 0;

	if (!queue)
		return -EINVAL;
	pthread_mutex_lock(&queue->lock);
	if (queue->error) {
		taken = queue->error;
	} else if (queue->staged_count) {
		for (uint32_t i = 0; i < queue->staged_count; i++)
			queue->jobs[i].id = (uint16_t)queue->staged[i];
		taken = queue_ops(queue)->queue_submit(queue->transport, queue->jobs,
						       queue->staged_count);
	}
	if (taken > 0) {
		uint32_t count = (uint32_t)taken;

		for (uint32_t i = 0; i < count; i++)
			queue->slots[queue->staged[i]].state = AIPU_QUEUE_SLOT_IN_FLIGHT;
		queue->in_flight += count;
		queue->staged_count -= count;
		for (uint32_t i = 0; i < queue->staged_count; i++) {
			queue->jobs[i] = queue->jobs[i + count];
			queue->staged[i] = queue->staged[i + count];
		}
	}
	pthread_mutex_unlock(&queue->lock);
	return taken;
}

static int slot_end(struct aipu_queue *queue, const struct aipu_completion *completion)
{
	struct aipu_queue_slot *slot;

	if (completion->id >= queue->capacity)
		return -EIO;
	slot = &queue->slots[completion->id];
	if (slot->state != AIPU_QUEUE_SLOT_IN_FLIGHT)
		return -EIO;
	slot->state = AIPU_QUEUE_SLOT_ENDED;
	slot->result = (struct aipu_result){
		.user_data = slot->user_data,
		.time_ns = completion->time_ns & 0xffffffffffffull,
		.detail = completion->detail,
		.step_seen = completion->step_seen,
		.step_start = completion->step_start,
		.step_end = completion->step_end,
		.status = completion->status,
	};
	queue->ended[(queue->ended_first + queue->ended_count++) % queue->capacity] =
		completion->id;
	queue->in_flight--;
	return 0;
}

/* One batch: that none is left clears the transport's fd, and is found out only when nothing waits here either */
int aipu_queue_collect(struct aipu_queue *queue, uint32_t *waiting)
{
	struct aipu_completion completions[REAP_BATCH];
	int count = queue_ops(queue)->queue_reap(queue->transport, completions, REAP_BATCH);
	int error;

	pthread_mutex_lock(&queue->lock);
	for (int i = 0; i < count && !queue->error; i++)
		queue->error = slot_end(queue, &completions[i]);
	*waiting = queue->ended_count;
	error = count < 0 ? count : queue->error;
	pthread_mutex_unlock(&queue->lock);
	/* What came before the error is still delivered */
	return *waiting ? 0 : error;
}

int aipu_queue_peek(struct aipu_queue *queue, const struct aipu_result **result)
{
	uint32_t waiting;
	int error;

	if (!queue || !result)
		return -EINVAL;
	*result = NULL;
	/* Only this thread takes results away, so no lock is needed to see one that is there */
	if (!queue->ended_count) {
		error = aipu_queue_collect(queue, &waiting);
		if (error)
			return error;
		if (!waiting)
			return -EAGAIN;
	}
	*result = &queue->slots[queue->ended[queue->ended_first]].result;
	return 0;
}

int aipu_queue_wait(struct aipu_queue *queue, const struct aipu_result **result, int64_t timeout_ns)
{
	int64_t end = timeout_ns > 0 ? now_ns() : 0;
	int error;

	if (timeout_ns > 0)
		end = timeout_ns > INT64_MAX - end ? INT64_MAX : end + timeout_ns;
	for (;;) {
		error = aipu_queue_peek(queue, result);
		if (error != -EAGAIN)
			return error;
		if (timeout_ns == 0)
			return -ETIME;
		if (timeout_ns > 0) {
			timeout_ns = end - now_ns();
			if (timeout_ns <= 0)
				return -ETIME;
		}
		error = queue_ops(queue)->queue_wait(queue->transport, timeout_ns);
		if (error == -ETIME) {
			/* One last look: what came with the timeout is not lost */
			error = aipu_queue_peek(queue, result);
			return error == -EAGAIN ? -ETIME : error;
		}
		if (error)
			return error;
	}
}

void aipu_queue_seen(struct aipu_queue *queue, const struct aipu_result *result)
{
	uint32_t index;

	if (!queue || !result || !queue->ended_count)
		return;
	index = queue->ended[queue->ended_first];
	if (result != &queue->slots[index].result)
		return;
	pthread_mutex_lock(&queue->lock);
	queue->ended_first = (queue->ended_first + 1) % queue->capacity;
	queue->ended_count--;
	queue->slots[index].state = AIPU_QUEUE_SLOT_FREE;
	if (!queue->slots[index].aborts)
		queue->free[queue->free_count++] = index;
	pthread_mutex_unlock(&queue->lock);
}

int aipu_queue_submit_and_wait(struct aipu_queue *queue, struct aipu_result *result)
{
	const struct aipu_result *ended;
	int error;

	if (!queue || !result || queue->staged_count != 1 || queue->in_flight || queue->ended_count)
		return -EINVAL;
	error = aipu_queue_submit(queue);
	if (error < 0)
		return error;
	error = aipu_queue_wait(queue, &ended, -1);
	if (error)
		return error;
	*result = *ended;
	aipu_queue_seen(queue, ended);
	return 0;
}

int aipu_queue_fd(struct aipu_queue *queue)
{
	return queue ? queue_ops(queue)->queue_fd(queue->transport) : -EINVAL;
}

int aipu_queue_abort(struct aipu_queue *queue, uint64_t user_data)
{
	struct aipu_queue_slot *slot = NULL;
	int error;

	if (!queue)
		return -EINVAL;
	pthread_mutex_lock(&queue->lock);
	for (uint32_t i = 0; i < queue->capacity; i++) {
		if (queue->slots[i].state == AIPU_QUEUE_SLOT_IN_FLIGHT &&
		    queue->slots[i].user_data == user_data) {
			slot = &queue->slots[i];
			slot->aborts++;
			break;
		}
	}
	pthread_mutex_unlock(&queue->lock);
	if (!slot)
		return -ENOENT;
	error = queue_ops(queue)->queue_abort(queue->transport, (uint16_t)(slot - queue->slots));
	pthread_mutex_lock(&queue->lock);
	/* Seen meanwhile: the last abort gives the slot back */
	if (!--slot->aborts && slot->state == AIPU_QUEUE_SLOT_FREE)
		queue->free[queue->free_count++] = (uint32_t)(slot - queue->slots);
	pthread_mutex_unlock(&queue->lock);
	return error;
}
