// SPDX-License-Identifier: MIT
/*
 * The admin queue: one function per command. The engine calls between two units of work, so no job moves while a
 * command looks at it. An entry is copied once and the copy is checked; what is wrong is named by the byte
 * offset of its field. A command that must wait is handed to deferred.c, and the next one goes on.
 */
#include "device.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD(name) ((uint32_t)offsetof(struct aipu_admin, name))
#define COMMANDS_PER_PASS 16u
#define WAITS AIPU_STATUS_COUNT /* of a handler: deferred, no completion yet */

struct call {
	struct aipu_dm *dm;
	struct aipu_admin entry;
	uint32_t detail;
	uint32_t seen, start;
};

static unsigned int refuse(struct call *call, uint32_t detail, unsigned int status)
{
	call->detail = detail;
	return status;
}

static unsigned int invalid(struct call *call, uint32_t field)
{
	return refuse(call, field, AIPU_STATUS_INVALID_FIELD);
}

/* Offset of the first word in [from, 56) that is not zero; 0: all are */
static uint32_t first_set(const struct aipu_admin *entry, uint32_t from)
{
	for (; from < FIELD(reserved1); from++)
		if (((const uint8_t *)entry)[from])
			return from & ~3u;
	return 0;
}

static struct dm_context *find_context(struct aipu_dm *dm, uint32_t id)
{
	return id <= DM_MAX_CONTEXTS ? dm->contexts[id] : NULL; /* no context has id 0 */
}

static struct dm_queue *find_queue(struct aipu_dm *dm, uint32_t id)
{
	return id <= dm->config.max_queues ? dm->queues[id] : NULL;
}

static unsigned int defer(struct call *call, struct dm_deferred *deferred)
{
	deferred->opcode = call->entry.opcode;
	deferred->id = call->entry.id;
	deferred->seen = call->seen;
	deferred->start = call->start;
	return dm_deferred_add(call->dm, deferred) ? WAITS : AIPU_STATUS_NO_RESOURCES;
}

/* --- what the device is ---------------------------------------------------------------------------- */

static unsigned int identify(struct call *call)
{
	const struct aipu_admin_identify *body = &call->entry.identify;
	struct aipu_dm *dm = call->dm;
	struct aipu_identify data = {
		.vendor = "AIPU",
		.model = "AIPU software device",
		.abi_newest = dm->firmware.abi_newest,
		.abi_oldest = dm->firmware.abi_oldest,
		.capabilities = dm->limits.capabilities,
		.operations = dm->limits.operations,
		.memory_bytes = dm->config.memory_bytes,
		.cores = dm->config.cores,
	};
	uint32_t field = first_set(&call->entry, FIELD(identify.reserved));

	if (field)
		return invalid(call, field);
	if (body->address % AIPU_PAGE_BYTES)
		return refuse(call, FIELD(identify.address), AIPU_STATUS_ALIGNMENT);
	snprintf(data.serial, sizeof(data.serial), "%016llx",
		 (unsigned long long)dm->config.serial);
	snprintf(data.firmware, sizeof(data.firmware), "%u.%u.%u %.40s", dm->firmware.version >> 24,
		 dm->firmware.version >> 16 & 0xff, dm->firmware.version & 0xffff,
		 dm->firmware.build);
	if (dm_dma_write(dm, body->address, &data, sizeof(data), NULL))
		return refuse(call, FIELD(identify.address), AIPU_STATUS_DMA_ERROR);
	return AIPU_STATUS_OK;
}

static unsigned int get_progress(struct call *call)
{
	const struct aipu_admin_progress *body = &call->entry.progress;
	struct dm_context *context = find_context(call->dm, body->context);
	struct aipu_progress data = { 0 };
	uint32_t field = first_set(&call->entry, FIELD(progress.reserved));

	if (body->reserved0)
		field = FIELD(progress.reserved0);
	if (field)
		return invalid(call, field);
	if (!context)
		return refuse(call, FIELD(progress.context), AIPU_STATUS_INVALID_CONTEXT);
	if (body->address % 8)
		return refuse(call, FIELD(progress.address), AIPU_STATUS_ALIGNMENT);
	data.queue = context->progress.queue;
	data.job = context->progress.job;
	data.running = context->progress.running;
	data.block = context->progress.block;
	data.instruction = context->progress.instruction;
	data.step = context->progress.step;
	if (dm_dma_write(call->dm, body->address, &data, sizeof(data), NULL))
		return refuse(call, FIELD(progress.address), AIPU_STATUS_DMA_ERROR);
	return AIPU_STATUS_OK;
}

static unsigned int async_event(struct call *call)
{
	uint32_t field = first_set(&call->entry, FIELD(body));

	if (field)
		return invalid(call, field);
	if (call->dm->event_waits == DM_MAX_EVENT_WAITS)
		return AIPU_STATUS_NO_RESOURCES;
	return defer(call, &(struct dm_deferred){ 0 });
}

static unsigned int flash(struct call *call)
{
	return dm_flash_admin(call->dm, &call->entry, &call->detail);
}

static unsigned int set_limits(struct call *call)
{
	const struct aipu_admin_limits *body = &call->entry.limits;
	uint32_t field = first_set(&call->entry, FIELD(limits.reserved));
	unsigned int status, wrong;

	if (field)
		return invalid(call, field);
	status = dm_power_set_limits(call->dm, body->power_mw, body->clock_mhz, &wrong);
	return refuse(call, wrong ? FIELD(limits.clock_mhz) : FIELD(limits.power_mw), status);
}

/* --- contexts --------------------------------------------------------------------------------------- */

static unsigned int create_context(struct call *call)
{
	const struct aipu_admin_context *body = &call->entry.context;
	uint32_t field = first_set(&call->entry, FIELD(context.reserved0));

	if (field)
		return invalid(call, field);
	if (!body->context || body->context > DM_MAX_CONTEXTS)
		return refuse(call, FIELD(context.context), AIPU_STATUS_INVALID_CONTEXT);
	if (body->priority > AIPU_PRIORITY_HIGH)
		return invalid(call, FIELD(context.priority));
	if (body->weight > DM_MAX_WEIGHT)
		return invalid(call, FIELD(context.weight));
	if (call->dm->contexts[body->context])
		return refuse(call, FIELD(context.context), AIPU_STATUS_BUSY);
	return dm_context_create(call->dm, body->context, body->priority, body->weight)
		       ? AIPU_STATUS_NO_RESOURCES
		       : AIPU_STATUS_OK;
}

/* Ends the running and the queued jobs; their completions go out as far as there is room */
static void end_jobs(struct dm_queue *queue, unsigned int status)
{
	if (queue->dead)
		return;
	dm_engine_end_job(queue, status);
	if (!queue->dead)
		dm_queue_stop_all(queue, status);
	if (!queue->dead)
		dm_queue_settle(queue);
}

static void remove_queue(struct dm_queue *queue)
{
	struct aipu_dm *dm = queue->dm;

	end_jobs(queue, AIPU_STATUS_ABORTED);
	if (queue->unsignalled)
		dm_queue_signal(queue);
	dm->queues[queue->id] = NULL;
	dm_queue_destroy(queue);
}

static struct dm_context *named_context(struct call *call, unsigned int *status)
{
	struct dm_context *context = find_context(call->dm, call->entry.context.context);
	uint32_t field = first_set(&call->entry, FIELD(context.priority));

	*status = AIPU_STATUS_OK;
	if (field)
		*status = invalid(call, field);
	else if (!context)
		*status = refuse(call, FIELD(context.context), AIPU_STATUS_INVALID_CONTEXT);
	return context;
}

static unsigned int destroy_context(struct call *call)
{
	struct aipu_dm *dm = call->dm;
	unsigned int status;
	struct dm_context *context = named_context(call, &status);

	if (status)
		return status;
	for (uint32_t id = 1; id <= dm->config.max_queues; id++)
		if (dm->queues[id] && dm->queues[id]->context == context)
			remove_queue(dm->queues[id]);
	dm_context_destroy(context);
	return AIPU_STATUS_OK;
}

static unsigned int reset_context(struct call *call)
{
	struct aipu_dm *dm = call->dm;
	unsigned int status;
	struct dm_context *context = named_context(call, &status);
	bool waiting = false;

	if (status)
		return status;
	for (uint32_t id = 1; id <= dm->config.max_queues; id++) {
		struct dm_queue *queue = dm->queues[id];

		if (!queue || queue->context != context)
			continue;
		end_jobs(queue, AIPU_STATUS_CONTEXT_RESET);
		waiting |= queue->stopped && !queue->dead;
	}
	return waiting ? defer(call, &(struct dm_deferred){ .object = context->id,
							    .serial = context->serial })
		       : AIPU_STATUS_OK;
}

/* --- segments --------------------------------------------------------------------------------------- */

static unsigned int bind(struct call *call)
{
	const struct aipu_admin_bind *body = &call->entry.bind;
	struct dm_context *context = find_context(call->dm, body->context);
	struct dm_binding *binding;
	unsigned int status;
	uint32_t field;

	if (!context)
		return refuse(call, FIELD(bind.context), AIPU_STATUS_INVALID_CONTEXT);
	if (body->segment >= DM_MAX_SEGMENTS)
		return refuse(call, FIELD(bind.segment), AIPU_STATUS_INVALID_SEGMENT);
	if (context->segments[body->segment])
		return refuse(call, FIELD(bind.segment), AIPU_STATUS_BUSY);
	status = dm_binding_create(call->dm, &body->descriptor, &binding, &field);
	if (status)
		return refuse(call, FIELD(bind.descriptor) + field, status);
	context->segments[body->segment] = binding;
	return AIPU_STATUS_OK;
}

static unsigned int unbind(struct call *call)
{
	const struct aipu_admin_unbind *body = &call->entry.unbind;
	struct dm_context *context = find_context(call->dm, body->context);
	uint32_t field = first_set(&call->entry, FIELD(unbind.reserved));
	struct dm_binding *binding;
	unsigned int status;

	if (field)
		return invalid(call, field);
	if (!context)
		return refuse(call, FIELD(unbind.context), AIPU_STATUS_INVALID_CONTEXT);
	if (body->segment >= DM_MAX_SEGMENTS)
		return refuse(call, FIELD(unbind.segment), AIPU_STATUS_INVALID_SEGMENT);
	binding = context->segments[body->segment];
	if (!binding)
		return refuse(call, FIELD(unbind.segment), AIPU_STATUS_INVALID_SEGMENT);
	if (binding->unbinding)
		return refuse(call, FIELD(unbind.segment), AIPU_STATUS_BUSY);
	if (!binding->refs) {
		context->segments[body->segment] = NULL;
		dm_binding_destroy(binding);
		return AIPU_STATUS_OK;
	}
	status = defer(call, &(struct dm_deferred){ .object = context->id,
						    .segment = body->segment,
						    .serial = context->serial });
	binding->unbinding = status == WAITS;
	return status;
}

/* --- programs --------------------------------------------------------------------------------------- */

static unsigned int load_program(struct call *call)
{
	const struct aipu_admin_program *body = &call->entry.program;
	struct dm_context *context = find_context(call->dm, body->context);
	uint32_t field = first_set(&call->entry, FIELD(program.reserved));
	struct dm_program *program;
	unsigned int status;
	void *image;

	if (field)
		return invalid(call, field);
	if (!context)
		return refuse(call, FIELD(program.context), AIPU_STATUS_INVALID_CONTEXT);
	if (body->program >= DM_MAX_PROGRAMS)
		return invalid(call, FIELD(program.program));
	if (context->programs[body->program])
		return refuse(call, FIELD(program.program), AIPU_STATUS_BUSY);
	if (!body->bytes || body->bytes > call->dm->limits.max_program_bytes)
		return invalid(call, FIELD(program.bytes));
	if (body->offset % 8)
		return refuse(call, FIELD(program.offset), AIPU_STATUS_ALIGNMENT);
	image = malloc(body->bytes);
	if (!image)
		return AIPU_STATUS_NO_RESOURCES;
	status = dm_segment_read(context, body->segment, body->offset, image, body->bytes);
	if (status) {
		free(image);
		return refuse(call, FIELD(program.segment), status);
	}
	status = dm_program_create(&call->dm->limits, image, body->bytes, &program, &call->detail);
	if (status)
		return status;
	context->programs[body->program] = program;
	return AIPU_STATUS_OK;
}

static unsigned int unload_program(struct call *call)
{
	const struct aipu_admin_program *body = &call->entry.program;
	struct dm_context *context = find_context(call->dm, body->context);
	uint32_t field = first_set(&call->entry, FIELD(program.segment));

	if (field)
		return invalid(call, field);
	if (!context)
		return refuse(call, FIELD(program.context), AIPU_STATUS_INVALID_CONTEXT);
	if (body->program >= DM_MAX_PROGRAMS)
		return invalid(call, FIELD(program.program));
	if (!context->programs[body->program])
		return refuse(call, FIELD(program.program), AIPU_STATUS_NOT_FOUND);
	dm_program_put(context->programs[body->program]); /* jobs that run hold their own */
	context->programs[body->program] = NULL;
	return AIPU_STATUS_OK;
}

/* --- queues ----------------------------------------------------------------------------------------- */

static unsigned int create_queue(struct call *call)
{
	const struct aipu_admin_queue *body = &call->entry.queue;
	struct aipu_dm *dm = call->dm;
	struct dm_context *context = find_context(dm, body->context);
	struct dm_queue_config config = {
		.id = body->queue,
		.entries = body->entries,
		.vector = body->vector,
		.sq_address = body->sq_address,
		.cq_address = body->cq_address,
		.coalesce_count = body->coalesce_count,
		.coalesce_us = body->coalesce_us,
		.shadow_address = body->shadow_address,
	};
	int err;

	if (body->reserved)
		return invalid(call, FIELD(queue.reserved));
	if (!context)
		return refuse(call, FIELD(queue.context), AIPU_STATUS_INVALID_CONTEXT);
	if (!body->queue || body->queue > dm->config.max_queues)
		return refuse(call, FIELD(queue.queue), AIPU_STATUS_INVALID_QUEUE);
	if (dm->queues[body->queue])
		return refuse(call, FIELD(queue.queue), AIPU_STATUS_BUSY);
	if (!body->sq_address || body->sq_address % AIPU_PAGE_BYTES)
		return refuse(call, FIELD(queue.sq_address), AIPU_STATUS_ALIGNMENT);
	if (!body->cq_address || body->cq_address % AIPU_PAGE_BYTES)
		return refuse(call, FIELD(queue.cq_address), AIPU_STATUS_ALIGNMENT);
	if (body->shadow_address && !(dm->limits.capabilities & AIPU_CAP_SHADOW_DOORBELLS))
		return refuse(call, FIELD(queue.shadow_address), AIPU_STATUS_UNSUPPORTED);
	if (body->shadow_address % AIPU_PAGE_BYTES)
		return refuse(call, FIELD(queue.shadow_address), AIPU_STATUS_ALIGNMENT);
	if (body->entries < 2 || body->entries > DM_MAX_QUEUE_ENTRIES ||
	    body->entries & (body->entries - 1))
		return invalid(call, FIELD(queue.entries));
	if (body->vector >= dm->config.vectors)
		return invalid(call, FIELD(queue.vector));
	err = dm_queue_create(dm, context, &config, &dm->queues[body->queue]);
	if (err == -ENOMEM)
		return AIPU_STATUS_NO_RESOURCES;
	if (err)
		return refuse(call,
			      err == -EIO     ? FIELD(queue.cq_address)
			      : err == -ENXIO ? FIELD(queue.shadow_address)
					      : FIELD(queue.sq_address),
			      AIPU_STATUS_DMA_ERROR);
	return AIPU_STATUS_OK;
}

static unsigned int destroy_queue(struct call *call)
{
	const struct aipu_admin_queue *body = &call->entry.queue;
	struct dm_context *context = find_context(call->dm, body->context);
	struct dm_queue *queue = find_queue(call->dm, body->queue);
	uint32_t field = first_set(&call->entry, FIELD(queue.sq_address));

	if (field)
		return invalid(call, field);
	if (!context)
		return refuse(call, FIELD(queue.context), AIPU_STATUS_INVALID_CONTEXT);
	if (!queue || queue->context != context)
		return refuse(call, FIELD(queue.queue), AIPU_STATUS_INVALID_QUEUE);
	remove_queue(queue);
	return AIPU_STATUS_OK;
}

/* Marks the queued entry of this id. false: there is none whose completion is not out yet. */
static bool mark_aborted(struct dm_queue *queue, uint32_t id, uint64_t *found)
{
	for (uint64_t index = queue->head; index < queue->tail; index++) {
		struct dm_slot *slot = &queue->slots[index & (queue->entries - 1)];
		struct aipu_job job = { .id = slot->id };

		if (slot->posted)
			continue;
		if (!slot->end && dm_queue_read(queue, index, &job)) {
			dm_engine_queue_failed(queue, AIPU_ERROR_QUEUE);
			return false;
		}
		if (job.id != id)
			continue;
		*found = index;
		if (!slot->end) {
			slot->id = job.id;
			slot->end = AIPU_STATUS_ABORTED;
			queue->stopped++;
		}
		return true;
	}
	return false;
}

static unsigned int abort_job(struct call *call)
{
	const struct aipu_admin_abort *body = &call->entry.abort;
	struct dm_queue *queue = find_queue(call->dm, body->queue);
	uint32_t field = first_set(&call->entry, FIELD(abort.reserved));
	uint64_t index;

	if (field)
		return invalid(call, field);
	if (!queue)
		return refuse(call, FIELD(abort.queue), AIPU_STATUS_INVALID_QUEUE);
	if (body->job > UINT16_MAX)
		return invalid(call, FIELD(abort.job));
	if (queue->job.active && queue->job.entry.id == body->job) {
		dm_engine_end_job(queue, AIPU_STATUS_ABORTED);
		return AIPU_STATUS_OK;
	}
	if (queue->dead || !mark_aborted(queue, body->job, &index))
		return refuse(call, FIELD(abort.job), AIPU_STATUS_NOT_FOUND);
	dm_queue_settle(queue);
	if (queue->dead || queue->head > index || queue->slots[index & (queue->entries - 1)].posted)
		return AIPU_STATUS_OK;
	return defer(call, &(struct dm_deferred){
				   .object = queue->id, .serial = queue->serial, .index = index });
}

/* --- dispatch --------------------------------------------------------------------------------------- */

static unsigned int execute(struct call *call)
{
	static unsigned int (*const handlers[])(struct call *) = {
		[AIPU_ADMIN_IDENTIFY - AIPU_ADMIN_IDENTIFY] = identify,
		[AIPU_ADMIN_CREATE_CONTEXT - AIPU_ADMIN_IDENTIFY] = create_context,
		[AIPU_ADMIN_DESTROY_CONTEXT - AIPU_ADMIN_IDENTIFY] = destroy_context,
		[AIPU_ADMIN_RESET_CONTEXT - AIPU_ADMIN_IDENTIFY] = reset_context,
		[AIPU_ADMIN_BIND - AIPU_ADMIN_IDENTIFY] = bind,
		[AIPU_ADMIN_UNBIND - AIPU_ADMIN_IDENTIFY] = unbind,
		[AIPU_ADMIN_LOAD_PROGRAM - AIPU_ADMIN_IDENTIFY] = load_program,
		[AIPU_ADMIN_UNLOAD_PROGRAM - AIPU_ADMIN_IDENTIFY] = unload_program,
		[AIPU_ADMIN_CREATE_QUEUE - AIPU_ADMIN_IDENTIFY] = create_queue,
		[AIPU_ADMIN_DESTROY_QUEUE - AIPU_ADMIN_IDENTIFY] = destroy_queue,
		[AIPU_ADMIN_ABORT - AIPU_ADMIN_IDENTIFY] = abort_job,
		[AIPU_ADMIN_ASYNC_EVENT - AIPU_ADMIN_IDENTIFY] = async_event,
		[AIPU_ADMIN_GET_PROGRESS - AIPU_ADMIN_IDENTIFY] = get_progress,
		[AIPU_ADMIN_FLASH_INFO - AIPU_ADMIN_IDENTIFY] = flash,
		[AIPU_ADMIN_FLASH_WRITE - AIPU_ADMIN_IDENTIFY] = flash,
		[AIPU_ADMIN_FLASH_READ - AIPU_ADMIN_IDENTIFY] = flash,
		[AIPU_ADMIN_FLASH_COMMIT - AIPU_ADMIN_IDENTIFY] = flash,
		[AIPU_ADMIN_FLASH_ACTIVATE - AIPU_ADMIN_IDENTIFY] = flash,
		[AIPU_ADMIN_SET_LIMITS - AIPU_ADMIN_IDENTIFY] = set_limits,
	};
	const struct aipu_admin *entry = &call->entry;
	uint8_t number = (uint8_t)(entry->opcode - AIPU_ADMIN_IDENTIFY);

	if (number >= sizeof(handlers) / sizeof(handlers[0]))
		return refuse(call, FIELD(opcode), AIPU_STATUS_INVALID_OPCODE);
	if (entry->flags)
		return invalid(call, FIELD(flags));
	if (entry->reserved0)
		return invalid(call, FIELD(reserved0));
	if (entry->reserved1)
		return invalid(call, FIELD(reserved1));
	return handlers[number](call);
}

void dm_admin_complete(struct aipu_dm *dm, uint16_t id, unsigned int status, uint32_t detail,
		       uint32_t seen, uint32_t start)
{
	struct aipu_completion completion = {
		.detail = detail,
		.step_seen = seen,
		.step_start = start,
		.step_end = dm_steps(dm),
		.id = id,
		.status = (uint16_t)status,
	};

	if (dm_queue_post(dm->admin, &completion))
		dm_engine_queue_failed(dm->admin, AIPU_ERROR_ADMIN_DMA);
}

bool dm_admin_pass(struct aipu_dm *dm)
{
	struct dm_queue *admin = dm->admin;
	unsigned int count = 0;

	for (; count < COMMANDS_PER_PASS; count++) {
		struct call call = { .dm = dm, .start = dm_steps(dm) };
		unsigned int status;

		if (admin->dead || admin->head == admin->tail || !dm_queue_room(admin) ||
		    dm_stopping(dm))
			break;
		call.seen = admin->slots[admin->head & (admin->entries - 1)].seen;
		if (dm_queue_read(admin, admin->head, &call.entry)) {
			dm_engine_queue_failed(admin, AIPU_ERROR_ADMIN_DMA);
			break;
		}
		admin->head++;
		status = execute(&call);
		if (status != WAITS)
			dm_admin_complete(dm, call.entry.id, status, status ? call.detail : 0,
					  call.seen, call.start);
	}
	return count;
}
