// SPDX-License-Identifier: MIT
/*
 * Buffers: memory of the host (own, imported, a mapped file) that becomes a region of the bus, and ranges
 * of device memory, which a FILL of the transport's own context clears before they are handed out.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "soft.h"

static struct aipu_transport_buffer *buffer_new(struct aipu_transport_device *device, int kind,
						uint64_t bytes)
{
	struct aipu_transport_buffer *buffer = calloc(1, sizeof(*buffer));

	if (!buffer)
		return NULL;
	buffer->device = device;
	buffer->kind = kind;
	buffer->bytes = bytes;
	return buffer;
}

/* Under zero_lock: what a FILL needs, once */
static int zero_prepare(struct aipu_transport_device *device)
{
	static const struct aipu_context_options options;
	int error = 0;

	if (!device->zero_context)
		error = soft_context_create(device, &options, &device->zero_context);
	if (!error && !device->zero_queue)
		error = soft_queue_create(device->zero_context, 1, &device->zero_queue);
	return error;
}

void soft_zero_finish(struct aipu_transport_device *device)
{
	if (device->zero_queue)
		soft_queue_destroy(device->zero_queue);
	if (device->zero_context)
		soft_context_destroy(device->zero_context);
	device->zero_queue = NULL;
	device->zero_context = NULL;
}

static int zero_fill(struct aipu_transport_queue *queue, int segment, uint64_t bytes)
{
	struct aipu_completion completion;
	struct aipu_job job;
	int count, error;

	aipu_prep_fill(&job, segment, 0, bytes, 0);
	count = soft_queue_submit(queue, &job, 1);
	if (count != 1)
		return count < 0 ? count : -EIO;
	for (;;) {
		count = soft_queue_reap(queue, &completion, 1);
		if (count)
			return count < 0 ? count : aipu_status_errno(completion.status);
		error = soft_queue_wait(queue, -1);
		if (error && error != -EINTR)
			return error;
	}
}

static int zero_buffer(struct aipu_transport_buffer *buffer)
{
	struct aipu_transport_device *device = buffer->device;
	uint64_t bytes = soft_page_align(buffer->bytes);
	int segment, error, unbound;

	pthread_mutex_lock(&device->zero_lock);
	error = zero_prepare(device);
	if (!error) {
		segment = soft_segment_bind(device->zero_context, buffer, 0, bytes,
					    AIPU_ACCESS_WRITE);
		error = segment < 0 ? segment : 0;
	}
	if (!error) {
		error = zero_fill(device->zero_queue, segment, bytes);
		unbound = soft_segment_unbind(device->zero_context, (uint32_t)segment);
		error = error ? error : unbound;
	}
	pthread_mutex_unlock(&device->zero_lock);
	return error;
}

static int buffer_create_device(struct aipu_transport_buffer *buffer)
{
	struct aipu_transport_device *device = buffer->device;
	int error = soft_memory_take(&device->memory, buffer->bytes, &buffer->offset);

	if (error)
		return error;
	error = zero_buffer(buffer);
	/* Still bound: the device did not answer, and the range is its own from now on */
	if (error && !atomic_load(&buffer->bound))
		soft_memory_give(&device->memory, buffer->offset);
	return error;
}

int soft_buffer_create(struct aipu_transport_device *device, enum aipu_buffer_kind kind,
		       uint64_t bytes, unsigned int flags, struct aipu_transport_buffer **buffer)
{
	struct aipu_transport_buffer *created =
		buffer_new(device, kind == AIPU_BUFFER_DEVICE ? SOFT_DEVICE : SOFT_HOST, bytes);
	int error;

	(void)flags; /* the device is this process's own: no other asks what its memory is for */
	if (!created)
		return -ENOMEM;
	error = kind == AIPU_BUFFER_DEVICE ? buffer_create_device(created)
					   : soft_dma_alloc(&device->dma, bytes, &created->region);
	if (error) {
		free(created);
		return error;
	}
	*buffer = created;
	return 0;
}

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

/*
 * The model would fault in this process where a card would see a fault of its own, so what cannot be
 * read, or written, is found out now. Kernels before 5.14 check only that there is a mapping.
 */
static int memory_check(void *memory, uint64_t bytes, unsigned int access)
{
	int advice = access & AIPU_WRITE ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;

	bytes = soft_page_align(bytes);
	if (!madvise(memory, bytes, advice))
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -EFAULT;
	return msync(memory, bytes, MS_ASYNC) ? -EFAULT : 0;
}

int soft_buffer_import(struct aipu_transport_device *device, void *memory, uint64_t bytes,
		       unsigned int access, struct aipu_transport_buffer **buffer)
{
	struct aipu_transport_buffer *created;
	int error = memory_check(memory, bytes, access);

	if (error)
		return error;
	created = buffer_new(device, SOFT_IMPORT, bytes);
	if (!created)
		return -ENOMEM;
	error = soft_dma_add(&device->dma, memory, bytes, access & AIPU_WRITE, &created->region);
	if (error) {
		free(created);
		return error;
	}
	*buffer = created;
	return 0;
}

int soft_buffer_map_file(struct aipu_transport_device *device, int fd, uint64_t offset,
			 uint64_t bytes, struct aipu_transport_buffer **buffer)
{
	struct aipu_transport_buffer *created;
	void *memory;
	int error;

	memory = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, (off_t)offset);
	if (memory == MAP_FAILED)
		return -errno;
	created = buffer_new(device, SOFT_FILE, bytes);
	error = created ? soft_dma_add(&device->dma, memory, bytes, false, &created->region)
			: -ENOMEM;
	if (!error) {
		error = soft_sigbus_watch(memory, bytes, &created->region->lost);
		if (error)
			soft_dma_remove(&device->dma, created->region);
	}
	if (error) {
		munmap(memory, bytes);
		free(created);
		return error;
	}
	*buffer = created;
	return 0;
}

int soft_buffer_destroy(struct aipu_transport_buffer *buffer)
{
	struct aipu_transport_device *device = buffer->device;
	uint8_t *memory;

	if (atomic_load(&buffer->bound))
		return -EBUSY;
	switch (buffer->kind) {
	case SOFT_DEVICE:
		soft_memory_give(&device->memory, buffer->offset);
		break;
	case SOFT_HOST:
		soft_dma_free(&device->dma, buffer->region);
		break;
	case SOFT_IMPORT:
		soft_dma_remove(&device->dma, buffer->region);
		break;
	case SOFT_FILE:
		memory = buffer->region->memory;
		/* The watch writes to the region, so it goes first; nothing is bound, nobody reads */
		soft_sigbus_unwatch(memory);
		soft_dma_remove(&device->dma, buffer->region);
		munmap(memory, buffer->bytes);
		break;
	}
	free(buffer);
	return 0;
}

void *soft_buffer_data(struct aipu_transport_buffer *buffer)
{
	if (buffer->region)
		return buffer->region->memory;
	return buffer->device->bar2 ? buffer->device->bar2 + buffer->offset : NULL;
}
