// SPDX-License-Identifier: MIT
/*
 * Buffers: host memory, device memory, imported memory, mapped files. Checks arguments, then asks the
 * transport, which owns the memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "internal.h"

/* Beyond this a size is a mistake in arithmetic, and sums of offsets could wrap */
#define BUFFER_MAX_BYTES (1ull << 48)

static struct aipu_buffer *buffer_new(struct aipu_device *device, uint64_t bytes,
				      unsigned int access)
{
	struct aipu_buffer *buffer = calloc(1, sizeof(*buffer));

	if (!buffer)
		return NULL;
	buffer->device = device;
	buffer->bytes = bytes;
	buffer->access = access;
	return buffer;
}

static int buffer_finish(struct aipu_buffer *created, int error, struct aipu_buffer **buffer)
{
	if (error) {
		free(created);
		return error;
	}
	*buffer = created;
	return 0;
}

static bool options_valid(const struct aipu_buffer_options *options)
{
	uint64_t reserved = options->pad;

	for (size_t i = 0; i < sizeof(options->reserved) / sizeof(*options->reserved); i++)
		reserved |= options->reserved[i];
	return !(options->flags & ~AIPU_BUFFER_KV) && !reserved;
}

int aipu_buffer_create_with(struct aipu_device *device, enum aipu_buffer_kind kind, uint64_t bytes,
			    const struct aipu_buffer_options *options, struct aipu_buffer **buffer)
{
	static const struct aipu_buffer_options defaults;
	struct aipu_buffer *created;

	if (!options)
		options = &defaults;
	if (!device || !buffer)
		return -EINVAL;
	*buffer = NULL;
	if (!options_valid(options))
		return -EINVAL;
	if ((kind != AIPU_BUFFER_HOST && kind != AIPU_BUFFER_DEVICE) || !bytes)
		return -EINVAL;
	if (bytes > BUFFER_MAX_BYTES)
		return kind == AIPU_BUFFER_HOST ? -ENOMEM : -ENOSPC;
	created = buffer_new(device, bytes, AIPU_READ | AIPU_WRITE);
	if (!created)
		return -ENOMEM;
	return buffer_finish(created,
			     device->ops->buffer_create(device->transport, kind, bytes,
							options->flags, &created->transport),
			     buffer);
}

int aipu_buffer_create(struct aipu_device *device, enum aipu_buffer_kind kind, uint64_t bytes,
		       struct aipu_buffer **buffer)
{
	return aipu_buffer_create_with(device, kind, bytes, NULL, buffer);
}

int aipu_buffer_import(struct aipu_device *device, void *memory, uint64_t bytes,
		       unsigned int access, struct aipu_buffer **buffer)
{
	struct aipu_buffer *created;

	if (!device || !buffer)
		return -EINVAL;
	*buffer = NULL;
	if (!memory || (uintptr_t)memory % AIPU_PAGE_BYTES || !bytes || bytes > BUFFER_MAX_BYTES ||
	    bytes > UINTPTR_MAX - (uintptr_t)memory || !access ||
	    (access & ~(AIPU_READ | AIPU_WRITE)))
		return -EINVAL;
	created = buffer_new(device, bytes, access);
	if (!created)
		return -ENOMEM;
	return buffer_finish(created,
			     device->ops->buffer_import(device->transport, memory, bytes, access,
							&created->transport),
			     buffer);
}

/* 0 or -errno: a regular file of at least `bytes` */
static int file_check(int fd, uint64_t bytes)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	return (uint64_t)st.st_size < bytes ? -ENODATA : 0;
}

int aipu_buffer_map_file(struct aipu_device *device, int fd, uint64_t offset, uint64_t bytes,
			 struct aipu_buffer **buffer)
{
	struct aipu_buffer *created;
	int error;

	if (!device || !buffer)
		return -EINVAL;
	*buffer = NULL;
	if (fd < 0 || offset % AIPU_PAGE_BYTES || !bytes || bytes > BUFFER_MAX_BYTES ||
	    offset > INT64_MAX - bytes)
		return -EINVAL;
	error = file_check(fd, offset + bytes);
	if (error)
		return error;
	created = buffer_new(device, bytes, AIPU_READ);
	if (!created)
		return -ENOMEM;
	return buffer_finish(created,
			     device->ops->buffer_map_file(device->transport, fd, offset, bytes,
							  &created->transport),
			     buffer);
}

int aipu_buffer_destroy(struct aipu_buffer *buffer)
{
	int error;

	if (!buffer)
		return 0;
	error = buffer->device->ops->buffer_destroy(buffer->transport);
	if (!error)
		free(buffer);
	return error;
}

void *aipu_buffer_data(struct aipu_buffer *buffer)
{
	return buffer ? buffer->device->ops->buffer_data(buffer->transport) : NULL;
}

uint64_t aipu_buffer_bytes(const struct aipu_buffer *buffer)
{
	return buffer ? buffer->bytes : 0;
}
