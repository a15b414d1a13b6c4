// SPDX-License-Identifier: MIT
/* Contexts, segments and programs: an ioctl each. A buffer is told how often it is bound, so that it is not destroyed before. */
#include <errno.h>
#include <stdlib.h>

#include "card.h"

int card_context_create(struct aipu_transport_device *device,
			const struct aipu_context_options *options,
			struct aipu_transport_context **out)
{
	struct drm_aipu_context_create create = { .priority = options->priority,
						  .weight = options->weight };
	struct aipu_transport_context *context = calloc(1, sizeof(*context));
	int err = -ENOMEM;

	if (!context)
		return -ENOMEM;
	context->device = device;
	context->bound = calloc(device->info.max_segments, sizeof(struct aipu_transport_buffer *));
	if (context->bound)
		err = card_ioctl(device, DRM_IOCTL_AIPU_CONTEXT_CREATE, &create);
	if (err) {
		free(context->bound);
		free(context);
		return err;
	}
	pthread_mutex_init(&context->lock, NULL);
	context->id = create.context;
	*out = context;
	return 0;
}

void card_context_destroy(struct aipu_transport_context *context)
{
	struct drm_aipu_context destroy = { .context = context->id };

	card_ioctl(context->device, DRM_IOCTL_AIPU_CONTEXT_DESTROY, &destroy);
	for (uint32_t i = 0; i < context->device->info.max_segments; i++)
		if (context->bound[i])
			atomic_fetch_sub(&context->bound[i]->bindings, 1);
	pthread_mutex_destroy(&context->lock);
	free(context->bound);
	free(context);
}

int card_context_reset(struct aipu_transport_context *context)
{
	struct drm_aipu_context reset = { .context = context->id };

	return card_ioctl(context->device, DRM_IOCTL_AIPU_CONTEXT_RESET, &reset);
}

static void set_bound(struct aipu_transport_context *context, uint32_t segment,
		      struct aipu_transport_buffer *buffer)
{
	pthread_mutex_lock(&context->lock);
	if (context->bound[segment])
		atomic_fetch_sub(&context->bound[segment]->bindings, 1);
	context->bound[segment] = buffer;
	if (buffer)
		atomic_fetch_add(&buffer->bindings, 1);
	pthread_mutex_unlock(&context->lock);
}

int card_segment_bind(struct aipu_transport_context *context, struct aipu_transport_buffer *buffer,
		      uint64_t offset, uint64_t length, unsigned int access)
{
	struct drm_aipu_segment_bind bind = {
		.context = context->id, .offset = offset, .length = length, .access = access
	};
	int err = card_buffer_realize(buffer);

	if (err)
		return err;
	bind.handle = buffer->handle;
	if (buffer->in_device)
		bind.length = (length + 63) & ~63ull; /* the rest is the buffer's too */
	err = card_ioctl(context->device, DRM_IOCTL_AIPU_SEGMENT_BIND, &bind);
	if (err)
		return err;
	if (bind.segment >= context->device->info.max_segments)
		return -EIO;
	set_bound(context, bind.segment, buffer);
	return (int)bind.segment;
}

int card_segment_unbind(struct aipu_transport_context *context, uint32_t segment)
{
	struct drm_aipu_segment_unbind unbind = { .context = context->id, .segment = segment };
	int err = card_ioctl(context->device, DRM_IOCTL_AIPU_SEGMENT_UNBIND, &unbind);

	/* A context that a reset took has no binding either, nor has a card that is gone; what it may reach is the driver's to keep. */
	if ((!err || err == -ECANCELED || err == -ENODEV) &&
	    segment < context->device->info.max_segments)
		set_bound(context, segment, NULL);
	return err;
}

int card_program_load(struct aipu_transport_context *context, uint32_t segment, uint64_t offset,
		      uint32_t bytes, uint32_t *id, uint32_t *detail)
{
	struct drm_aipu_program_load load = {
		.context = context->id, .segment = segment, .offset = offset, .bytes = bytes
	};
	int err = card_ioctl(context->device, DRM_IOCTL_AIPU_PROGRAM_LOAD, &load);

	*id = load.program;
	*detail = load.detail;
	/* As results of jobs that name what is not there: the segment, or the range */
	if (err == -ENOENT)
		return -EFAULT;
	if (err == -EINVAL && bytes <= context->device->info.max_program_bytes)
		return -ERANGE;
	/* What is well-formed but not offered is refused like the rest; the detail tells them apart. */
	return err == -EOPNOTSUPP && load.detail ? -ENOEXEC : err;
}

int card_program_unload(struct aipu_transport_context *context, uint32_t id)
{
	struct drm_aipu_program_unload unload = { .context = context->id, .program = id };

	return card_ioctl(context->device, DRM_IOCTL_AIPU_PROGRAM_UNLOAD, &unload);
}
