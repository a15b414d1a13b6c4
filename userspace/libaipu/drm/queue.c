// SPDX-License-Identifier: MIT
/*
 * Queues by both doors of the driver: io_uring where it is permitted, ioctls else; who calls sees no difference. A submission is
 * one system call however many jobs it has, and one doorbell: all jobs but the last say that more follow. Every job that was
 * taken gets a result, also where the driver refused it or lost its queue. What only one door tells (steps, the time of a job
 * that failed) is told by none.
 */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "card.h"

#define SLICE_NS 1000000000 /* a waiter looks this often whether the card still lives */

/* --- making --------------------------------------------------------------------------------------- */

static bool ring_open(struct aipu_transport_queue *queue)
{
	struct aipu_transport_device *device = queue->context->device;
	unsigned int flags = IORING_SETUP_SQE128 | IORING_SETUP_CQE32 | IORING_SETUP_CQSIZE |
			     IORING_SETUP_CLAMP;
	struct io_uring_params params = { .flags = flags, .cq_entries = 2 * queue->capacity };

	if (!atomic_load(&device->uring) || !(device->info.features & DRM_AIPU_FEATURE_URING))
		return false;
	if (io_uring_queue_init_params(queue->capacity, &queue->ring, &params)) {
		/* Disabled here, or not this kernel's: the other door does it all */
		atomic_store(&device->uring, false);
		return false;
	}
	/* The device's file is not registered: the kernel would hold it, and its memory, for some time after this process ends. */
	/* A filter may permit rings and nothing that is done with them. */
	if (io_uring_register_eventfd(&queue->ring, queue->event) ||
	    io_uring_get_events(&queue->ring) < 0) {
		io_uring_queue_exit(&queue->ring);
		return false;
	}
	return true;
}

static void queue_free(struct aipu_transport_queue *queue)
{
	if (queue->event >= 0)
		close(queue->event);
	pthread_mutex_destroy(&queue->lock);
	free(queue->ids);
	free(queue->slots);
	free(queue->jobs);
	free(queue->results);
	free(queue);
}

/* Twice as many as are ever in flight: the card tells of the places of jobs that were aborted unread with a later one only. */
static uint32_t ring_entries(const struct aipu_transport_device *device, uint32_t capacity)
{
	uint32_t most = device->info.max_queue_entries - 1;

	if (capacity > most / 2)
		return capacity > most ? capacity : most;
	return 2 * capacity;
}

int card_queue_create(struct aipu_transport_context *context, uint32_t capacity,
		      struct aipu_transport_queue **out)
{
	struct drm_aipu_queue_create create = { .context = context->id };
	struct aipu_transport_queue *queue = calloc(1, sizeof(*queue));
	int err = -ENOMEM;

	if (!queue)
		return -ENOMEM;
	queue->context = context;
	queue->capacity = capacity;
	queue->next = queue->oldest = 1;
	queue->orphans = UINT64_MAX;
	pthread_mutex_init(&queue->lock, NULL);
	for (queue->mask = 1; queue->mask < capacity; queue->mask = queue->mask * 2 + 1)
		;
	queue->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (queue->event < 0) {
		err = -errno;
		goto fail;
	}
	queue->ids = calloc(queue->mask + 1, sizeof(*queue->ids));
	queue->slots = calloc(capacity, sizeof(*queue->slots));
	queue->jobs = calloc(capacity, sizeof(*queue->jobs));
	queue->results = calloc(capacity, sizeof(*queue->results));
	if (!queue->ids || !queue->slots || !queue->jobs || !queue->results)
		goto fail;
	create.eventfd = queue->event;
	create.entries = ring_entries(context->device, capacity);
	err = card_ioctl(context->device, DRM_IOCTL_AIPU_QUEUE_CREATE, &create);
	if (err)
		goto fail;
	queue->id = create.queue;
	queue->uring = ring_open(queue);
	*out = queue;
	return 0;
fail:
	queue_free(queue);
	return err;
}

void card_queue_destroy(struct aipu_transport_queue *queue)
{
	struct drm_aipu_queue destroy = { .queue = queue->id };

	/* The ring last: the jobs' commands end with the queue, so that nothing waits in it. */
	card_ioctl(queue->context->device, DRM_IOCTL_AIPU_QUEUE_DESTROY, &destroy);
	if (queue->uring)
		io_uring_queue_exit(&queue->ring);
	queue_free(queue);
}

/* --- submitting ----------------------------------------------------------------------------------- */

/* What the card would say of a job that the driver does not pass on; 0: it does */
static uint16_t refusal(const struct aipu_job *job, uint32_t *detail)
{
	*detail = offsetof(struct aipu_job, opcode);
	if (job->opcode > AIPU_JOB_GENERATE)
		return AIPU_STATUS_INVALID_OPCODE;
	*detail = offsetof(struct aipu_job, reserved);
	return job->reserved ? AIPU_STATUS_INVALID_FIELD : AIPU_STATUS_OK;
}

/* Before the driver has it: a completion may come at once */
static void note(struct aipu_transport_queue *queue, uint64_t sequence, const struct aipu_job *job,
		 struct aipu_job *passed)
{
	struct card_job slot = { .sequence = sequence };

	slot.status = refusal(job, &slot.detail);
	*passed = *job;
	passed->id = 0;
	passed->flags = 0;
	if (slot.status)
		*passed = (struct aipu_job){ .opcode = AIPU_JOB_NOP };
	queue->ids[sequence & queue->mask] = job->id;
	pthread_mutex_lock(&queue->lock);
	queue->slots[job->id] = slot;
	pthread_mutex_unlock(&queue->lock);
}

/* The driver's window, and ours: as many sequences as the capacity from the oldest in flight on */
static uint32_t room(struct aipu_transport_queue *queue)
{
	while (queue->oldest < queue->next &&
	       queue->slots[queue->ids[queue->oldest & queue->mask]].sequence != queue->oldest)
		queue->oldest++;
	return queue->capacity - (uint32_t)(queue->next - queue->oldest);
}

/* Makes the fd readable */
static void signal_event(struct aipu_transport_queue *queue)
{
	uint64_t one = 1;

	/* The only failure is a counter that is full, and readable with it. */
	if (write(queue->event, &one, sizeof(one)) < 0)
		return;
}

/* Jobs from `first` on have no result to wait for. */
static void lose(struct aipu_transport_queue *queue, uint64_t first, int error)
{
	queue->lost = error;
	if (first < queue->orphans)
		queue->orphans = first;
	signal_event(queue);
}

static int submit_ioctl(struct aipu_transport_queue *queue, uint32_t count)
{
	struct drm_aipu_submit submit = { .queue = queue->id,
					  .jobs = (uintptr_t)queue->jobs,
					  .count = count,
					  .sequence = queue->next };
	int err = card_ioctl(queue->context->device, DRM_IOCTL_AIPU_SUBMIT, &submit);

	if (err && err != -EAGAIN) {
		lose(queue, queue->next + submit.taken, err);
		submit.taken = count;
	}
	queue->next += submit.taken;
	return (int)submit.taken;
}

/* Leaves a ring that took none of `count` jobs, the first ones in flight, for the other door; false: it is not so */
static bool ring_leave(struct aipu_transport_queue *queue, uint64_t first, uint32_t count)
{
	if (queue->oldest != first || io_uring_sq_ready(&queue->ring) != count)
		return false;
	io_uring_queue_exit(&queue->ring);
	queue->uring = false;
	queue->next = first;
	return true;
}

static int submit_uring(struct aipu_transport_queue *queue, uint32_t count)
{
	struct drm_aipu_uring_submit payload = { .queue = queue->id };
	struct io_uring_sqe *sqe;
	uint64_t first = queue->next;
	uint32_t taken = 0;
	int ret;

	/* What the ring still has is never given. */
	if (queue->lost) {
		queue->next += count;
		lose(queue, first, queue->lost);
		return (int)count;
	}
	while (taken < count && (sqe = io_uring_get_sqe(&queue->ring))) {
		io_uring_prep_rw(IORING_OP_URING_CMD, sqe, queue->context->device->fd, NULL, 0, 0);
		sqe->cmd_op = DRM_AIPU_URING_SUBMIT;
		sqe->user_data = queue->next;
		payload.flags = taken + 1 < count ? DRM_AIPU_SUBMIT_MORE : 0;
		payload.sequence = queue->next++;
		payload.job = queue->jobs[taken++];
		memcpy(sqe->cmd, &payload, sizeof(payload));
	}
	/* Short of memory the kernel stops at a command, and leaves those behind it to the next call. */
	do {
		ret = io_uring_submit(&queue->ring);
	} while (ret == -EINTR || ret == -EAGAIN || (ret > 0 && io_uring_sq_ready(&queue->ring)));
	/* It may be permitted no more: a process can forbid itself what it does not need any longer. */
	if (ret < 0 && ring_leave(queue, first, count))
		return submit_ioctl(queue, count);
	if (ret < 0)
		lose(queue, queue->next - io_uring_sq_ready(&queue->ring), ret);
	return (int)taken;
}

int card_queue_submit(struct aipu_transport_queue *queue, const struct aipu_job *jobs,
		      uint32_t count)
{
	uint32_t most = room(queue);

	if (count > most)
		count = most;
	for (uint32_t i = 0; i < count; i++)
		note(queue, queue->next + i, &jobs[i], &queue->jobs[i]);
	if (!count)
		return 0;
	return queue->uring ? submit_uring(queue, count) : submit_ioctl(queue, count);
}

/* --- taking --------------------------------------------------------------------------------------- */

/* What the driver refused or lost has no status of the card. One that is gone has lost all, as a reset does. */
static uint16_t status_of(int error, uint16_t status)
{
	if (status || !error)
		return status;
	return error == -ECANCELED || error == -ENODEV ? AIPU_STATUS_ABORTED : AIPU_STATUS_INTERNAL;
}

/* value: the time of a job that ended well, else the detail of its status */
static struct aipu_completion completion_of(struct aipu_transport_queue *queue, uint64_t sequence,
					    uint16_t status, uint64_t value)
{
	uint16_t id = queue->ids[sequence & queue->mask];
	struct aipu_completion completion = { .id = id, .status = status };
	struct card_job job;

	pthread_mutex_lock(&queue->lock);
	job = queue->slots[id];
	queue->slots[id].sequence = 0;
	pthread_mutex_unlock(&queue->lock);
	if (status) {
		completion.detail = (uint32_t)value;
	} else if (job.status) {
		completion.status = job.status;
		completion.detail = job.detail;
	} else {
		completion.time_ns = value;
	}
	return completion;
}

static int take_orphans(struct aipu_transport_queue *queue, struct aipu_completion *completions,
			uint32_t count)
{
	uint16_t status = status_of(queue->lost, 0);
	uint32_t taken = 0;

	room(queue);
	if (queue->orphans < queue->oldest)
		queue->orphans = queue->oldest;
	for (; queue->orphans < queue->next && taken < count; queue->orphans++) {
		uint16_t id = queue->ids[queue->orphans & queue->mask];

		if (queue->slots[id].sequence == queue->orphans)
			completions[taken++] = completion_of(queue, queue->orphans, status, 0);
	}
	return (int)taken;
}

static int take_ioctl(struct aipu_transport_queue *queue, struct aipu_completion *completions,
		      uint32_t count)
{
	struct drm_aipu_wait wait = { .queue = queue->id,
				      .count = count < queue->capacity ? count : queue->capacity,
				      .results = (uintptr_t)queue->results };
	int err = card_ioctl(queue->context->device, DRM_IOCTL_AIPU_WAIT, &wait);

	for (uint32_t i = 0; i < wait.taken; i++) {
		const struct drm_aipu_result *result = &queue->results[i];
		uint16_t status = status_of(result->error, result->status);

		completions[i] = completion_of(queue, result->sequence, status,
					       status ? result->detail : result->time_ns);
	}
	if (wait.taken)
		return (int)wait.taken;
	/* A lost queue has given its results, a card that is gone gives none. */
	if (err && err != -ETIME) {
		queue->lost = err;
		queue->orphans = 0;
	}
	return 0;
}

static int take_uring(struct aipu_transport_queue *queue, struct aipu_completion *completions,
		      uint32_t count)
{
	struct io_uring_cqe *cqe;
	uint32_t taken = 0;

	while (taken < count && !io_uring_peek_cqe(&queue->ring, &cqe)) {
		uint64_t word = cqe->big_cqe[0];
		uint16_t status = status_of(cqe->res, AIPU_URING_STATUS(word));

		completions[taken++] =
			completion_of(queue, cqe->user_data, status,
				      status ? AIPU_URING_DETAIL(word) : AIPU_URING_TIME_NS(word));
		io_uring_cqe_seen(&queue->ring, cqe);
	}
	return (int)taken;
}

static int take(struct aipu_transport_queue *queue, struct aipu_completion *completions,
		uint32_t count)
{
	int taken = queue->uring ? take_uring(queue, completions, count)
				 : take_ioctl(queue, completions, count);

	return taken || !queue->lost ? taken : take_orphans(queue, completions, count);
}

int card_queue_reap(struct aipu_transport_queue *queue, struct aipu_completion *completions,
		    uint32_t count)
{
	uint64_t value;
	int taken = take(queue, completions, count);

	if (taken)
		return taken;
	/* Cleared, then looked again: what comes after this look writes the eventfd after the clear. */
	if (read(queue->event, &value, sizeof(value)) < 0)
		return 0; /* nothing was there to clear */
	taken = take(queue, completions, count);
	/* What had been told of before goes on being told of: the caller may hand out one at a time. */
	if (taken > 0)
		signal_event(queue);
	return taken;
}

int card_queue_wait(struct aipu_transport_queue *queue, int64_t timeout_ns)
{
	struct pollfd poll_fd = { .fd = queue->event, .events = POLLIN };
	bool last = timeout_ns >= 0 && timeout_ns <= SLICE_NS;
	int64_t slice = last ? timeout_ns : SLICE_NS;
	struct timespec timeout = { .tv_sec = slice / 1000000000, .tv_nsec = slice % 1000000000 };
	struct drm_aipu_query alive = { .kind = DRM_AIPU_QUERY_DEVICE };
	int ready = ppoll(&poll_fd, 1, &timeout, NULL);

	if (ready < 0)
		return -errno;
	if (ready)
		return 0;
	if (last)
		return -ETIME;
	/* Nothing for a second is no sign of anything: jobs may be long. The caller looks and comes back. */
	return card_ioctl(queue->context->device, DRM_IOCTL_AIPU_QUERY, &alive) == -ENODEV ? -EIO
											   : 0;
}

int card_queue_fd(struct aipu_transport_queue *queue)
{
	return queue->event;
}

int card_queue_abort(struct aipu_transport_queue *queue, uint16_t id)
{
	struct drm_aipu_cancel cancel = { .queue = queue->id };

	pthread_mutex_lock(&queue->lock);
	cancel.sequence = id < queue->capacity ? queue->slots[id].sequence : 0;
	pthread_mutex_unlock(&queue->lock);
	if (!cancel.sequence)
		return -ENOENT;
	return card_ioctl(queue->context->device, DRM_IOCTL_AIPU_CANCEL, &cancel);
}

int card_queue_kick(struct aipu_transport_queue *queue)
{
	struct drm_aipu_queue kick = { .queue = queue->id };

	return card_ioctl(queue->context->device, DRM_IOCTL_AIPU_KICK, &kick);
}
