// SPDX-License-Identifier: MIT
/*
 * Contexts, segment tables and programs: admin commands, and the ids that the host chooses. A binding
 * counts in its buffer from before BIND until after UNBIND; where the device does not answer the count
 * stays, so that the memory is not given back while the device may still use it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "soft.h"

int soft_ids_init(struct soft_ids *ids, uint32_t first, uint32_t end)
{
	ids->used = calloc(end ? end : 1, 1);
	ids->first = ids->hint = first;
	ids->end = end;
	return ids->used ? 0 : -ENOMEM;
}

void soft_ids_finish(struct soft_ids *ids)
{
	free(ids->used);
}

int soft_ids_take(struct soft_ids *ids)
{
	/* hint: no free one below it */
	for (uint32_t id = ids->hint; id < ids->end; id++) {
		if (ids->used[id])
			continue;
		ids->used[id] = 1;
		ids->hint = id + 1;
		return (int)id;
	}
	return -ENOSPC;
}

void soft_ids_give(struct soft_ids *ids, uint32_t id)
{
	ids->used[id] = 0;
	if (id < ids->hint)
		ids->hint = id;
}

static int locked_take(pthread_mutex_t *lock, struct soft_ids *ids)
{
	int id;

	pthread_mutex_lock(lock);
	id = soft_ids_take(ids);
	pthread_mutex_unlock(lock);
	return id;
}

static void locked_give(pthread_mutex_t *lock, struct soft_ids *ids, uint32_t id)
{
	pthread_mutex_lock(lock);
	soft_ids_give(ids, id);
	pthread_mutex_unlock(lock);
}

static void context_free(struct aipu_transport_context *context)
{
	soft_dma_free(&context->device->dma, context->extents);
	free(context->bound);
	soft_ids_finish(&context->segments);
	soft_ids_finish(&context->programs);
	pthread_mutex_destroy(&context->lock);
	free(context);
}

static int context_command(struct aipu_transport_context *context, enum aipu_admin_opcode opcode)
{
	struct aipu_admin command = { .opcode = (uint8_t)opcode };

	command.context.context = context->id;
	return soft_admin_command(context->device, &command);
}

int soft_context_create(struct aipu_transport_device *device,
			const struct aipu_context_options *options,
			struct aipu_transport_context **context)
{
	struct aipu_admin command = { .opcode = AIPU_ADMIN_CREATE_CONTEXT };
	struct aipu_transport_context *created = calloc(1, sizeof(*created));
	int id, error;

	if (!created)
		return -ENOMEM;
	created->device = device;
	pthread_mutex_init(&created->lock, NULL);
	error = soft_ids_init(&created->segments, 0, device->max_segments);
	error = soft_ids_init(&created->programs, 0, device->max_programs) ? -ENOMEM : error;
	created->bound =
		calloc(device->max_segments ? device->max_segments : 1, sizeof(*created->bound));
	if (error || !created->bound ||
	    soft_dma_alloc(&device->dma, AIPU_PAGE_BYTES, &created->extents)) {
		context_free(created);
		return -ENOMEM;
	}
	id = locked_take(&device->lock, &device->contexts);
	if (id < 0) {
		context_free(created);
		return id;
	}
	created->id = (uint32_t)id;
	command.context.context = created->id;
	command.context.priority = options->priority;
	command.context.weight = options->weight;
	/* Not while the device is reset, and afterwards no reset comes as long as it is there */
	pthread_rwlock_rdlock(&device->gate);
	error = soft_admin_command(device, &command);
	if (!error)
		atomic_fetch_add(&device->open_contexts, 1);
	pthread_rwlock_unlock(&device->gate);
	if (error) {
		locked_give(&device->lock, &device->contexts, created->id);
		context_free(created);
		return error;
	}
	*context = created;
	return 0;
}

void soft_context_destroy(struct aipu_transport_context *context)
{
	struct aipu_transport_device *device = context->device;
	int error = context_command(context, AIPU_ADMIN_DESTROY_CONTEXT);

	/* On failure id and bindings stay as they are: the device may still use them */
	if (!error) {
		for (uint32_t i = 0; i < device->max_segments; i++) {
			if (context->bound[i])
				atomic_fetch_sub(&context->bound[i]->bound, 1);
		}
		locked_give(&device->lock, &device->contexts, context->id);
	}
	context_free(context);
	atomic_fetch_sub(&device->open_contexts, 1);
}

int soft_context_reset(struct aipu_transport_context *context)
{
	return context_command(context, AIPU_ADMIN_RESET_CONTEXT);
}

int soft_segment_bind(struct aipu_transport_context *context, struct aipu_transport_buffer *buffer,
		      uint64_t offset, uint64_t length, unsigned int access)
{
	struct aipu_admin command = { .opcode = AIPU_ADMIN_BIND };
	struct aipu_segment_descriptor *descriptor = &command.bind.descriptor;
	int segment, error;

	/* Held until BIND has completed, which never waits: there is one extent page */
	pthread_mutex_lock(&context->lock);
	segment = soft_ids_take(&context->segments);
	if (segment < 0) {
		pthread_mutex_unlock(&context->lock);
		return segment;
	}
	command.bind.context = context->id;
	command.bind.segment = (uint32_t)segment;
	descriptor->access = (uint8_t)access;
	descriptor->length = length;
	if (buffer->region) {
		struct aipu_extent_page *page = (struct aipu_extent_page *)context->extents->memory;

		memset(page, 0, sizeof(*page));
		page->extents[0].address = buffer->region->address + offset;
		page->extents[0].bytes = length;
		descriptor->kind = AIPU_SEGMENT_HOST;
		descriptor->extent_count = 1;
		descriptor->address = context->extents->address;
	} else {
		descriptor->kind = AIPU_SEGMENT_DEVICE;
		descriptor->address = buffer->offset + offset;
		/* In 64-byte units by contract; the rest of the last one is the buffer's too */
		descriptor->length = (length + 63) & ~(uint64_t)63;
	}
	atomic_fetch_add(&buffer->bound, 1);
	error = soft_admin_command(context->device, &command);
	if (!error)
		context->bound[segment] = buffer;
	else if (error != -EIO)
		atomic_fetch_sub(&buffer->bound, 1);
	if (error)
		soft_ids_give(&context->segments, (uint32_t)segment);
	pthread_mutex_unlock(&context->lock);
	return error ? error : segment;
}

int soft_segment_unbind(struct aipu_transport_context *context, uint32_t segment)
{
	struct aipu_admin command = { .opcode = AIPU_ADMIN_UNBIND };
	struct aipu_transport_buffer *buffer = NULL;
	int error;

	/* Taken out first: two threads that unbind the same segment do it once */
	pthread_mutex_lock(&context->lock);
	if (segment < context->segments.end) {
		buffer = context->bound[segment];
		context->bound[segment] = NULL;
	}
	pthread_mutex_unlock(&context->lock);
	if (!buffer)
		return -ENOENT;
	command.unbind.context = context->id;
	command.unbind.segment = segment;
	error = soft_admin_command(context->device, &command);
	if (error)
		return error;
	atomic_fetch_sub(&buffer->bound, 1);
	locked_give(&context->lock, &context->segments, segment);
	return 0;
}

int soft_program_load(struct aipu_transport_context *context, uint32_t segment, uint64_t offset,
		      uint32_t bytes, uint32_t *id, uint32_t *detail)
{
	struct aipu_admin command = { .opcode = AIPU_ADMIN_LOAD_PROGRAM };
	int program = locked_take(&context->lock, &context->programs);
	int status;

	*detail = 0;
	if (program < 0)
		return program;
	command.program.context = context->id;
	command.program.program = (uint32_t)program;
	command.program.segment = segment;
	command.program.bytes = bytes;
	command.program.offset = offset;
	status = soft_admin_run(context->device, &command, detail);
	if (status == AIPU_STATUS_OK) {
		*id = (uint32_t)program;
		return 0;
	}
	if (status < 0)
		return status;
	locked_give(&context->lock, &context->programs, (uint32_t)program);
	/* Not offered, but well-formed: refused too, with a reason of the same kind */
	if (status == AIPU_STATUS_INVALID_PROGRAM || status == AIPU_STATUS_UNSUPPORTED)
		return -ENOEXEC;
	*detail = 0;
	return aipu_status_errno((unsigned int)status);
}

int soft_program_unload(struct aipu_transport_context *context, uint32_t id)
{
	struct aipu_admin command = { .opcode = AIPU_ADMIN_UNLOAD_PROGRAM };
	int error;

	command.program.context = context->id;
	command.program.program = id;
	error = soft_admin_command(context->device, &command);
	if (!error)
		locked_give(&context->lock, &context->programs, id);
	return error;
}
