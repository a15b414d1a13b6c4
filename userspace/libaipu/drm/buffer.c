// SPDX-License-Identifier: MIT
/*
 * Buffers: GEM objects of the driver. Device and host memory is mapped through the node; memory of the caller becomes a
 * user-pointer buffer at once, a mapped file when it is bound first, so that what is never bound is never pinned.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <xf86drm.h>

#include "card.h"

static uint64_t whole_pages(uint64_t bytes)
{
	return (bytes + AIPU_PAGE_BYTES - 1) & ~(uint64_t)(AIPU_PAGE_BYTES - 1);
}

static struct aipu_transport_buffer *buffer_new(struct aipu_transport_device *device,
						uint64_t bytes)
{
	struct aipu_transport_buffer *buffer = calloc(1, sizeof(*buffer));

	if (!buffer)
		return NULL;
	buffer->device = device;
	buffer->bytes = whole_pages(bytes);
	return buffer;
}

static int create_handle(struct aipu_transport_buffer *buffer, uint32_t kind, uint32_t flags)
{
	struct drm_aipu_buffer_create create = {
		.kind = kind,
		.flags = flags,
		.bytes = buffer->bytes,
		.address = kind == DRM_AIPU_BUFFER_USER ? (uintptr_t)buffer->data : 0,
	};
	int err = card_ioctl(buffer->device, DRM_IOCTL_AIPU_BUFFER_CREATE, &create);

	if (!err)
		buffer->handle = create.handle;
	return err;
}

static int map_handle(struct aipu_transport_buffer *buffer)
{
	struct drm_aipu_buffer_info info = { .handle = buffer->handle };
	int err = card_ioctl(buffer->device, DRM_IOCTL_AIPU_BUFFER_INFO, &info);
	void *data;

	if (err)
		return err;
	data = mmap(NULL, buffer->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, buffer->device->fd,
		    (off_t)info.map_offset);
	if (data == MAP_FAILED)
		return -errno;
	buffer->data = data;
	buffer->mapped = true;
	return 0;
}

int card_buffer_create(struct aipu_transport_device *device, enum aipu_buffer_kind kind,
		       uint64_t bytes, unsigned int flags, struct aipu_transport_buffer **out)
{
	struct aipu_transport_buffer *buffer = buffer_new(device, bytes);
	uint32_t label = 0;
	int err;

	if (!buffer)
		return -ENOMEM;
	/* An older driver would refuse it */
	if (flags & AIPU_BUFFER_KV && device->info.features & DRM_AIPU_FEATURE_KV_BUFFER)
		label = DRM_AIPU_BUFFER_KV;
	buffer->in_device = kind == AIPU_BUFFER_DEVICE;
	err = create_handle(
		buffer, buffer->in_device ? DRM_AIPU_BUFFER_DEVICE : DRM_AIPU_BUFFER_HOST, label);
	/* More than any buffer can have: all else was checked before. */
	if (err == -EINVAL)
		err = buffer->in_device ? -ENOSPC : -ENOMEM;
	if (!err)
		err = map_handle(buffer);
	if (err) {
		card_buffer_destroy(buffer);
		return err;
	}
	*out = buffer;
	return 0;
}

int card_buffer_import(struct aipu_transport_device *device, void *memory, uint64_t bytes,
		       unsigned int access, struct aipu_transport_buffer **out)
{
	struct aipu_transport_buffer *buffer = buffer_new(device, bytes);
	int err;

	if (!buffer)
		return -ENOMEM;
	buffer->data = memory;
	buffer->read_only = !(access & AIPU_WRITE);
	err = card_buffer_realize(buffer);
	if (err) {
		free(buffer);
		return err;
	}
	*out = buffer;
	return 0;
}

int card_buffer_map_file(struct aipu_transport_device *device, int fd, uint64_t offset,
			 uint64_t bytes, struct aipu_transport_buffer **out)
{
	struct aipu_transport_buffer *buffer;
	void *data;

	buffer = buffer_new(device, bytes);
	if (!buffer)
		return -ENOMEM;
	/* Shared: pages of a private mapping would be copied when they are pinned. */
	data = mmap(NULL, buffer->bytes, PROT_READ, MAP_SHARED, fd, (off_t)offset);
	if (data == MAP_FAILED) {
		free(buffer);
		return -errno;
	}
	buffer->data = data;
	buffer->mapped = true;
	buffer->read_only = true;
	*out = buffer;
	return 0;
}

int card_buffer_realize(struct aipu_transport_buffer *buffer)
{
	if (buffer->handle)
		return 0;
	return create_handle(buffer, DRM_AIPU_BUFFER_USER,
			     buffer->read_only ? DRM_AIPU_BUFFER_READ_ONLY : 0);
}

int card_buffer_destroy(struct aipu_transport_buffer *buffer)
{
	if (atomic_load(&buffer->bindings))
		return -EBUSY;
	if (buffer->handle)
		drmCloseBufferHandle(buffer->device->fd, buffer->handle);
	if (buffer->mapped)
		munmap(buffer->data, buffer->bytes);
	free(buffer);
	return 0;
}

void *card_buffer_data(struct aipu_transport_buffer *buffer)
{
	return buffer->data;
}
