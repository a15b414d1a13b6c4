/* SPDX-License-Identifier: MIT */
/*
 * See lossy.h.
 */
#include "lossy.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aipu_registers.h"
#include "internal.h"

#define MOST_CONTEXTS 16u
#define MOST_BUFFERS 64u
#define MOST_JOBS 4096u

struct aipu_transport_device {
	struct lossy lossy; /* first: a test's pointer to it is one to the device */
	struct aipu_transport_device *real;
	struct aipu_transport_context *contexts[MOST_CONTEXTS];
	struct aipu_transport_buffer *memory[MOST_BUFFERS]; /* of the device */
	int dead;
};

struct aipu_transport_context {
	struct aipu_transport_device *device;
	struct aipu_transport_context *real;
	bool lost;
};

struct aipu_transport_buffer {
	struct aipu_transport_device *device;
	struct aipu_transport_buffer *real;
	uint64_t bytes;
};

struct aipu_transport_queue {
	struct aipu_transport_context *context;
	struct aipu_transport_queue *real;
	uint16_t refused[MOST_JOBS]; /* ids of jobs that came after the loss */
	uint32_t refused_count;
};

static const struct aipu_transport_ops *soft(void)
{
	return aipu_transport_plugin(AIPU_TRANSPORT_VERSION);
}

void lossy_reset(struct lossy *lossy)
{
	struct aipu_transport_device *device = (struct aipu_transport_device *)lossy;
	unsigned int i;

	for (i = 0; i < MOST_CONTEXTS; i++) {
		if (!device->contexts[i])
			continue;
		/* Its jobs have ended when this returns; the queues' reaps say that otherwise. */
		assert_int_equal(soft()->context_reset(device->contexts[i]->real), 0);
		device->contexts[i]->lost = true;
	}
	for (i = 0; i < MOST_BUFFERS; i++)
		if (device->memory[i])
			memset(soft()->buffer_data(device->memory[i]->real), 0xa5,
			       device->memory[i]->bytes);
	device->dead = lossy->dead;
	lossy->resets++;
	lossy->at_call = lossy->again ? lossy->again_calls : 0;
	lossy->again -= lossy->again > 0;
}

/* A call comes. -errno of a device that is no more */
static int called(struct aipu_transport_device *device)
{
	struct lossy *lossy = &device->lossy;

	lossy->calls++;
	if (lossy->at_call && !--lossy->at_call)
		lossy_reset(lossy);
	return device->dead;
}

static int called_on(struct aipu_transport_context *context)
{
	int err = called(context->device);

	return !err && context->lost ? -ECANCELED : err;
}

static int lossy_device_open(struct aipu_transport_device **out, const char *name,
			     const struct aipu_device_options *options,
			     struct aipu_message *message)
{
	struct aipu_transport_device *device = calloc(1, sizeof(*device));

	assert_non_null(device);
	assert_int_equal(soft()->device_open(&device->real, name, options, message), 0);
	*out = device;
	return 0;
}

static void lossy_device_close(struct aipu_transport_device *device)
{
	unsigned int i;

	for (i = 0; i < MOST_CONTEXTS; i++)
		assert_null(device->contexts[i]);
	for (i = 0; i < MOST_BUFFERS; i++)
		assert_null(device->memory[i]);
	soft()->device_close(device->real);
	free(device);
}

static int lossy_device_query(struct aipu_transport_device *device, struct aipu_device_info *info)
{
	int err = soft()->device_query(device->real, info);

	info->capabilities &= ~(uint64_t)AIPU_CAP_UMA;
	info->resets = device->lossy.resets;
	return err;
}

static int lossy_context_create(struct aipu_transport_device *device,
				const struct aipu_context_options *options,
				struct aipu_transport_context **out)
{
	struct aipu_transport_context *context;
	unsigned int i = 0;
	int err = called(device);

	if (err)
		return err;
	context = calloc(1, sizeof(*context));
	assert_non_null(context);
	context->device = device;
	context->lost = device->lossy.echoes > 0;
	device->lossy.echoes -= context->lost;
	assert_int_equal(soft()->context_create(device->real, options, &context->real), 0);
	while (i < MOST_CONTEXTS && device->contexts[i])
		i++;
	assert_true(i < MOST_CONTEXTS);
	device->contexts[i] = context;
	*out = context;
	return 0;
}

static void lossy_context_destroy(struct aipu_transport_context *context)
{
	unsigned int i;

	for (i = 0; i < MOST_CONTEXTS; i++)
		if (context->device->contexts[i] == context)
			context->device->contexts[i] = NULL;
	soft()->context_destroy(context->real);
	free(context);
}

static int lossy_context_reset(struct aipu_transport_context *context)
{
	int err = called_on(context);

	return err ? err : soft()->context_reset(context->real);
}

static int buffer_made(struct aipu_transport_device *device, int err,
		       struct aipu_transport_buffer *real, uint64_t bytes,
		       struct aipu_transport_buffer **out)
{
	struct aipu_transport_buffer *buffer;

	if (err)
		return err;
	buffer = calloc(1, sizeof(*buffer));
	assert_non_null(buffer);
	*buffer = (struct aipu_transport_buffer){ device, real, bytes };
	*out = buffer;
	return 0;
}

static int lossy_buffer_create(struct aipu_transport_device *device, enum aipu_buffer_kind kind,
			       uint64_t bytes, unsigned int flags,
			       struct aipu_transport_buffer **out)
{
	struct aipu_transport_buffer *real = NULL;
	unsigned int i = 0;
	int err = called(device);

	if (!err)
		err = soft()->buffer_create(device->real, kind, bytes, flags, &real);
	err = buffer_made(device, err, real, bytes, out);
	if (err || kind != AIPU_BUFFER_DEVICE)
		return err;
	while (i < MOST_BUFFERS && device->memory[i])
		i++;
	assert_true(i < MOST_BUFFERS);
	device->memory[i] = *out;
	return 0;
}

static int lossy_buffer_import(struct aipu_transport_device *device, void *memory, uint64_t bytes,
			       unsigned int access, struct aipu_transport_buffer **out)
{
	struct aipu_transport_buffer *real = NULL;
	int err = soft()->buffer_import(device->real, memory, bytes, access, &real);

	return buffer_made(device, err, real, bytes, out);
}

static int lossy_buffer_map_file(struct aipu_transport_device *device, int fd, uint64_t offset,
				 uint64_t bytes, struct aipu_transport_buffer **out)
{
	struct aipu_transport_buffer *real = NULL;
	int err = soft()->buffer_map_file(device->real, fd, offset, bytes, &real);

	return buffer_made(device, err, real, bytes, out);
}

static int lossy_buffer_destroy(struct aipu_transport_buffer *buffer)
{
	unsigned int i;
	int err = soft()->buffer_destroy(buffer->real);

	if (err)
		return err;
	for (i = 0; i < MOST_BUFFERS; i++)
		if (buffer->device->memory[i] == buffer)
			buffer->device->memory[i] = NULL;
	free(buffer);
	return 0;
}

static void *lossy_buffer_data(struct aipu_transport_buffer *buffer)
{
	return soft()->buffer_data(buffer->real);
}

static int lossy_segment_bind(struct aipu_transport_context *context,
			      struct aipu_transport_buffer *buffer, uint64_t offset,
			      uint64_t length, unsigned int access)
{
	int err = called_on(context);

	return err ? err
		   : soft()->segment_bind(context->real, buffer->real, offset, length, access);
}

static int lossy_segment_unbind(struct aipu_transport_context *context, uint32_t segment)
{
	int err = called_on(context);
	int unbound = soft()->segment_unbind(context->real, segment);

	return err ? err : unbound;
}

static int lossy_program_load(struct aipu_transport_context *context, uint32_t segment,
			      uint64_t offset, uint32_t bytes, uint32_t *id, uint32_t *detail)
{
	int err = called_on(context);

	*detail = 0;
	return err ? err : soft()->program_load(context->real, segment, offset, bytes, id, detail);
}

static int lossy_program_unload(struct aipu_transport_context *context, uint32_t id)
{
	int err = called_on(context);

	return err ? err : soft()->program_unload(context->real, id);
}

static int lossy_queue_create(struct aipu_transport_context *context, uint32_t capacity,
			      struct aipu_transport_queue **out)
{
	struct aipu_transport_queue *queue;
	int err = called_on(context);

	if (err)
		return err;
	queue = calloc(1, sizeof(*queue));
	assert_non_null(queue);
	queue->context = context;
	assert_int_equal(soft()->queue_create(context->real, capacity, &queue->real), 0);
	*out = queue;
	return 0;
}

static void lossy_queue_destroy(struct aipu_transport_queue *queue)
{
	soft()->queue_destroy(queue->real);
	free(queue);
}

static int lossy_queue_submit(struct aipu_transport_queue *queue, const struct aipu_job *jobs,
			      uint32_t count)
{
	struct lossy *lossy = &queue->context->device->lossy;
	uint32_t i;
	int err;

	for (i = 0; i < count; i++)
		if (lossy->kill && jobs[i].opcode == lossy->kill)
			lossy_reset(lossy);
	err = called_on(queue->context);
	if (!err)
		return soft()->queue_submit(queue->real, jobs, count);
	if (lossy->refuse || err != -ECANCELED)
		return err;
	for (i = 0; i < count; i++) {
		assert_true(queue->refused_count < MOST_JOBS);
		queue->refused[queue->refused_count++] = jobs[i].id;
	}
	return (int)count;
}

static int lossy_queue_reap(struct aipu_transport_queue *queue, struct aipu_completion *completions,
			    uint32_t count)
{
	int taken = soft()->queue_reap(queue->real, completions, count), i;

	if (!queue->context->lost)
		return taken;
	for (i = 0; i < taken; i++)
		if (completions[i].status == AIPU_STATUS_CONTEXT_RESET)
			completions[i] = (struct aipu_completion){ .id = completions[i].id,
								   .status = AIPU_STATUS_ABORTED };
	if (taken)
		return taken;
	while (taken < (int)count && queue->refused_count)
		completions[taken++] =
			(struct aipu_completion){ .id = queue->refused[--queue->refused_count],
						  .status = AIPU_STATUS_ABORTED };
	return taken || !queue->context->device->lossy.refuse ? taken : -ECANCELED;
}

static int lossy_queue_wait(struct aipu_transport_queue *queue, int64_t timeout_ns)
{
	struct lossy *lossy = &queue->context->device->lossy;

	lossy->waits++;
	if (lossy->at_wait && !--lossy->at_wait)
		lossy_reset(lossy);
	return queue->context->lost ? 0 : soft()->queue_wait(queue->real, timeout_ns);
}

static int lossy_queue_fd(struct aipu_transport_queue *queue)
{
	return soft()->queue_fd(queue->real);
}

static int lossy_queue_abort(struct aipu_transport_queue *queue, uint16_t id)
{
	if (queue->context->lost)
		return queue->context->device->lossy.refuse ? -ECANCELED : -ENOENT;
	return soft()->queue_abort(queue->real, id);
}

static int lossy_queue_kick(struct aipu_transport_queue *queue)
{
	return queue->context->lost ? -ECANCELED : soft()->queue_kick(queue->real);
}

struct aipu_device *lossy_open(struct lossy **lossy)
{
	static const struct aipu_transport_ops ops = {
		.version = AIPU_TRANSPORT_VERSION,
		.name = "lossy",
		.device_open = lossy_device_open,
		.device_close = lossy_device_close,
		.device_query = lossy_device_query,
		.context_create = lossy_context_create,
		.context_destroy = lossy_context_destroy,
		.context_reset = lossy_context_reset,
		.buffer_create = lossy_buffer_create,
		.buffer_import = lossy_buffer_import,
		.buffer_map_file = lossy_buffer_map_file,
		.buffer_destroy = lossy_buffer_destroy,
		.buffer_data = lossy_buffer_data,
		.segment_bind = lossy_segment_bind,
		.segment_unbind = lossy_segment_unbind,
		.program_load = lossy_program_load,
		.program_unload = lossy_program_unload,
		.queue_create = lossy_queue_create,
		.queue_destroy = lossy_queue_destroy,
		.queue_submit = lossy_queue_submit,
		.queue_reap = lossy_queue_reap,
		.queue_wait = lossy_queue_wait,
		.queue_fd = lossy_queue_fd,
		.queue_abort = lossy_queue_abort,
		.queue_kick = lossy_queue_kick,
	};
	struct aipu_device_options options = { .cores = 1, .memory_bytes = 64u << 20 };
	struct aipu_device *device;

	assert_int_equal(aipu_device_open_transport(&device, &ops, NULL, &options, NULL), 0);
	*lossy = &device->transport->lossy;
	return device;
}
