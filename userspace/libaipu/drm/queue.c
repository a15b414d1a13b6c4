// SPDX-License-Identifier: MIT
/*
 * Queues by both doors of the driver: io_uring where it is permitted, ioctls else; who calls sees no difference. A submission is
 * one system call however many jobs it has, and one doorbell: all jobs but the last say that more follow.
 */
#include <errno.h>
#include <poll.h>
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

	if (!device->uring || !(device->info.features & DRM_AIPU_FEATURE_URING))
		return false;
	if (io_uring_queue_init_params(queue->capacity, &queue->ring, &params)) {
		device->uring =
			false; /* disabled here, or not this kernel's: the other door does it all */
		return false;
	}
	if (io_uring_register_eventfd(&queue->ring, queue->event)) {
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
	free(queue->sequences);
	free(queue->jobs);
	free(queue->results);
	free(queue);
}

int card_queue_create(struct aipu_transport_context *context, uint32_t capacity,
		      struct aipu_transport_queue **out)
{
	struct drm_aipu_queue_create create = { .context = context->id, .entries = capacity };
	struct aipu_transport_queue *queue = calloc(1, sizeof(*queue));
	int err = -ENOMEM;

	if (!queue)
		return -ENOMEM;
	queue->context = context;
	queue->capacity = capacity;
	queue->next = 1;
	pthread_mutex_init(&queue->lock, NULL);
	for (queue->mask = 1; queue->mask < capacity; queue->mask = queue->mask * 2 + 1)
		;
	queue->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (queue->event < 0) {
		err = -errno;
		goto fail;
	}
	queue->ids = calloc(queue->mask + 1, sizeof(*queue->ids));
	queue->sequences = calloc(capacity, sizeof(*queue->sequences));
	queue->jobs = calloc(capacity, sizeof(*queue->jobs));
	queue->results = calloc(capacity, sizeof(*queue->results));
	if (!queue->ids || !queue->sequences || !queue->jobs || !queue->results)
		goto fail;
	create.eventfd = queue->event;
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

/* Before the driver has it: a completion may come at once */
static void note(struct aipu_transport_queue *queue, uint64_t sequence, uint16_t id)
{
	queue->ids[sequence & queue->mask] = id;
	pthread_mutex_lock(&queue->lock);
	queue->sequences[id] = sequence;
	pthread_mutex_unlock(&queue->lock);
}

static int submit_ioctl(struct aipu_transport_queue *queue, uint32_t count)
{
	struct drm_aipu_submit submit = { .queue = queue->id,
					  .jobs = (uintptr_t)queue->jobs,
					  .count = count,
					  .sequence = queue->next };
	int err = card_ioctl(queue->context->device, DRM_IOCTL_AIPU_SUBMIT, &submit);

	queue->next += submit.taken;
	return submit.taken || err == -EAGAIN ? (int)submit.taken : err;
}

static int submit_uring(struct aipu_transport_queue *queue, uint32_t count)
{
	struct drm_aipu_uring_submit payload = { .queue = queue->id };
	struct io_uring_sqe *sqe;
	uint32_t taken = 0;
	int ret;

	while (taken < count && (sqe = io_uring_get_sqe(&queue->ring))) {
		io_uring_prep_rw(IORING_OP_URING_CMD, sqe, queue->context->device->fd, NULL, 0, 0);
		sqe->cmd_op = DRM_AIPU_URING_SUBMIT;
		sqe->user_data = queue->next;
		payload.flags = taken + 1 < count ? DRM_AIPU_SUBMIT_MORE : 0;
		payload.sequence = queue->next++;
		payload.job = queue->jobs[taken++];
		memcpy(sqe->cmd, &payload, sizeof(payload));
	}
	do {
		ret = io_uring_submit(&queue->ring);
	} while (ret == -EINTR);
	return ret < 0 ? ret : (int)taken;
}

int card_queue_submit(struct aipu_transport_queue *queue, const struct aipu_job *jobs,
		      uint32_t count)
{
	if (count > queue->capacity)
		count = queue->capacity;
	for (uint32_t i = 0; i < count; i++) {
		note(queue, queue->next + i, jobs[i].id);
		queue->jobs[i] = jobs[i];
		queue->jobs[i].id = 0;
		queue->jobs[i].flags = 0;
	}
	if (!count)
		return 0;
	return queue->uring ? submit_uring(queue, count) : submit_ioctl(queue, count);
}

/* --- taking --------------------------------------------------------------------------------------- */

static uint16_t forget(struct aipu_transport_queue *queue, uint64_t sequence)
{
	uint16_t id = queue->ids[sequence & queue->mask];

	pthread_mutex_lock(&queue->lock);
	queue->sequences[id] = 0;
	pthread_mutex_unlock(&queue->lock);
	return id;
}

static int take_ioctl(struct aipu_transport_queue *queue, struct aipu_completion *completions,
		      uint32_t count)
{
	struct drm_aipu_wait wait = { .queue = queue->id,
				      .count = count < queue->capacity ? count : queue->capacity,
				      .results = (uintptr_t)queue->results };
	int err = card_ioctl(queue->context->device, DRM_IOCTL_AIPU_WAIT, &wait);

	if (err && err != -ETIME)
		return err;
	for (uint32_t i = 0; i < wait.taken; i++) {
		const struct drm_aipu_result *result = &queue->results[i];

		completions[i] = (struct aipu_completion){ .time_ns = result->time_ns,
							   .detail = result->detail,
							   .step_seen = result->step_seen,
							   .step_start = result->step_start,
							   .step_end = result->step_end,
							   .id = forget(queue, result->sequence),
							   .status = result->status };
	}
	return (int)wait.taken;
}

/* What the driver refused or lost has no status of the device */
static uint16_t status_of(const struct io_uring_cqe *cqe)
{
	uint16_t status = AIPU_URING_STATUS(cqe->big_cqe[0]);

	if (status || !cqe->res)
		return status;
	return cqe->res == -ECANCELED ? AIPU_STATUS_ABORTED : AIPU_STATUS_INTERNAL;
}

static int take_uring(struct aipu_transport_queue *queue, struct aipu_completion *completions,
		      uint32_t count)
{
	struct io_uring_cqe *cqe;
	uint32_t taken = 0;

	while (taken < count && !io_uring_peek_cqe(&queue->ring, &cqe)) {
		struct aipu_completion *completion = &completions[taken++];

		*completion = (struct aipu_completion){ .id = forget(queue, cqe->user_data),
							.status = status_of(cqe) };
		if (completion->status)
			completion->detail = AIPU_URING_DETAIL(cqe->big_cqe[0]);
		else
			completion->time_ns = AIPU_URING_TIME_NS(cqe->big_cqe[0]);
		io_uring_cqe_seen(&queue->ring, cqe);
	}
	return (int)taken;
}

static int take(struct aipu_transport_queue *queue, struct aipu_completion *completions,
		uint32_t count)
{
	return queue->uring ? take_uring(queue, completions, count)
			    : take_ioctl(queue, completions, count);
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
	return take(queue, completions, count);
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
	cancel.sequence = id < queue->capacity ? queue->sequences[id] : 0;
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
