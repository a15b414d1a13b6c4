// SPDX-License-Identifier: GPL-2.0
/*
 * Queues as a file has them: handles, and the ioctls that make, end and kick them. What a queue is
 * and does is in aipu_ioq.c. A handle is published last, and dropped by one of those who drop it.
 */
#include <drm/drm_file.h>

#include "aipu_ioq.h"

static int check_options(struct aipu_device *aipu, const struct drm_aipu_queue_create *args)
{
	if (args->flags || args->kind > DRM_AIPU_QUEUE_FENCED || !args->entries ||
	    args->entries > min(aipu->limits.max_queue_entries, AIPU_MAX_ENTRIES) - 1 ||
	    args->coalesce_count > U16_MAX || args->coalesce_us > AIPU_MAX_COALESCE_US)
		return -EINVAL;
	if (args->kind == DRM_AIPU_QUEUE_FENCED)
		return -EOPNOTSUPP;
	return args->eventfd < -1 ? -EBADF : 0;
}

/* Ends it on the card if both are still there. The caller has a reference. */
static int end(struct aipu_ioq *queue)
{
	struct aipu_context *context = queue->context;
	int idx, err;

	err = aipu_enter(queue->aipu, &idx);
	if (err)
		return err;
	scoped_guard(mutex, &context->lock) {
		if (!list_empty(&queue->in_context) && !aipu_context_alive(context))
			aipu_ioq_destroy(queue);
	}
	aipu_exit(queue->aipu, idx);
	return 0;
}

int aipu_ioq_create_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct aipu_file *file = drm_file->driver_priv;
	struct drm_aipu_queue_create *args = data;
	struct aipu_ioq_options options = {
		.kind = args->kind,
		.entries = args->entries,
		.coalesce_count = args->coalesce_count,
		.coalesce_us = args->coalesce_us,
	};
	struct aipu_context *context;
	struct aipu_ioq *queue;
	u32 handle;
	int idx, err;

	err = check_options(file->aipu, args);
	if (err)
		return err;
	if (args->eventfd >= 0) {
		options.eventfd = eventfd_ctx_fdget(args->eventfd);
		if (IS_ERR(options.eventfd))
			return -EBADF;
	}
	context = aipu_context_enter(file, args->context, &idx);
	err = PTR_ERR_OR_ZERO(context);
	if (!err) {
		err = aipu_ioq_create(context, &options, &queue);
		aipu_context_exit(context, idx);
	}
	if (err) {
		if (options.eventfd)
			eventfd_ctx_put(options.eventfd);
		return err;
	}
	/* Published last: from here on another thread may use it, or end it. */
	args->entries = queue->entries - 1;
	err = aipu_user_beyond(file->aipu)
		      ? -ENOSPC
		      : xa_alloc(&file->queues, &handle, queue, xa_limit_31b, GFP_KERNEL_ACCOUNT);
	if (err) {
		end(queue);
		aipu_ioq_put(queue);
		return err;
	}
	args->queue = handle;
	return 0;
}

/* Of two that drop a handle at the same time, one does. The caller has a reference. */
static void handle_drop(struct aipu_file *file, u32 handle, struct aipu_ioq *queue)
{
	if (xa_cmpxchg(&file->queues, handle, queue, NULL, 0) == queue)
		aipu_ioq_put(queue);
}

int aipu_ioq_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct aipu_file *file = drm_file->driver_priv;
	struct drm_aipu_queue *args = data;
	struct aipu_ioq *queue;
	int err;

	if (args->pad)
		return -EINVAL;
	queue = aipu_ioq_get(file, args->queue);
	if (!queue)
		return -ENOENT;
	/* A card that could not be recovered has no queue that anybody could end. */
	err = end(queue);
	if (err == -EIO)
		err = 0;
	if (!err)
		handle_drop(file, args->queue, queue);
	aipu_ioq_put(queue);
	return err;
}

int aipu_kick_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct drm_aipu_queue *args = data;
	struct aipu_ioq *queue;
	int err = 0;

	if (args->pad)
		return -EINVAL;
	queue = aipu_ioq_get(drm_file->driver_priv, args->queue);
	if (!queue)
		return -ENOENT;
	scoped_guard(spinlock_irqsave, &queue->lock) {
		if (queue->dead)
			err = aipu_ioq_error(queue);
		else
			aipu_write(queue->aipu, AIPU_DOORBELL_PAGE(queue->id) + AIPU_DOORBELL_KICK,
				   1);
	}
	aipu_ioq_put(queue);
	return err;
}

/* Each of them is ended by its context, or was. */
void aipu_queues_drop(struct aipu_file *file, const struct aipu_context *context)
{
	struct aipu_ioq *queue;
	unsigned long handle;

	xa_for_each(&file->queues, handle, queue) {
		queue = aipu_ioq_get(file, handle);
		if (queue && (!context || queue->context == context))
			handle_drop(file, handle, queue);
		aipu_ioq_put(queue);
	}
}

void aipu_queues_close(struct aipu_file *file)
{
	aipu_queues_drop(file, NULL);
	xa_destroy(&file->queues);
}
