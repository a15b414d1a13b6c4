// SPDX-License-Identifier: MIT
/*
 * Admin commands that wait: UNBIND for the last access, ABORT and RESET_CONTEXT for room for the completions
 * that come before their own, ASYNC_EVENT for an event. Kept in order of arrival and looked at between two units
 * of work; an object is named by its serial number, since its id may have been given to another meanwhile.
 */
#include "device.h"

#include <stdlib.h>

bool dm_deferred_add(struct aipu_dm *dm, const struct dm_deferred *deferred)
{
	struct dm_deferred **last = &dm->deferred;
	struct dm_deferred *own;

	if (dm->deferred_count == DM_MAX_DEFERRED)
		return false;
	own = malloc(sizeof(*own));
	if (!own)
		return false;
	*own = *deferred;
	own->next = NULL;
	while (*last)
		last = &(*last)->next;
	*last = own;
	dm->deferred_count++;
	if (own->opcode == AIPU_ADMIN_ASYNC_EVENT)
		dm->event_waits++;
	return true;
}

static bool unbind_done(struct aipu_dm *dm, const struct dm_deferred *deferred)
{
	struct dm_context *context = dm->contexts[deferred->object];
	struct dm_binding *binding;

	if (!context || context->serial != deferred->serial)
		return true;
	binding = context->segments[deferred->segment];
	if (binding->refs)
		return false;
	context->segments[deferred->segment] = NULL;
	dm_binding_destroy(binding);
	return true;
}

static bool abort_done(struct aipu_dm *dm, const struct dm_deferred *deferred)
{
	const struct dm_queue *queue = dm->queues[deferred->object];

	return !queue || queue->serial != deferred->serial || queue->dead ||
	       queue->head > deferred->index ||
	       queue->slots[deferred->index & (queue->entries - 1)].posted;
}

static bool reset_done(struct aipu_dm *dm, const struct dm_deferred *deferred)
{
	for (uint32_t id = 1; id <= dm->config.max_queues; id++) {
		const struct dm_queue *queue = dm->queues[id];

		if (queue && queue->context->serial == deferred->serial && !queue->dead &&
		    queue->stopped)
			return false;
	}
	return true;
}

static bool is_done(struct aipu_dm *dm, const struct dm_deferred *deferred, uint32_t *detail)
{
	switch (deferred->opcode) {
	case AIPU_ADMIN_UNBIND:
		return unbind_done(dm, deferred);
	case AIPU_ADMIN_ABORT:
		return abort_done(dm, deferred);
	case AIPU_ADMIN_RESET_CONTEXT:
		return reset_done(dm, deferred);
	default:
		if (!dm->events)
			return false;
		*detail = (uint32_t)__builtin_ctz(dm->events);
		dm->events &= dm->events - 1;
		return true;
	}
}

bool dm_deferred_pass(struct aipu_dm *dm)
{
	struct dm_deferred **link = &dm->deferred;
	bool did = false;

	while (*link && !dm->admin->dead && dm_queue_room(dm->admin)) {
		struct dm_deferred *deferred = *link;
		uint32_t detail = 0;

		if (!is_done(dm, deferred, &detail)) {
			link = &deferred->next;
			continue;
		}
		*link = deferred->next;
		dm->deferred_count--;
		if (deferred->opcode == AIPU_ADMIN_ASYNC_EVENT)
			dm->event_waits--;
		dm_admin_complete(dm, deferred->id, AIPU_STATUS_OK, detail, deferred->seen,
				  deferred->start);
		free(deferred);
		did = true;
	}
	return did;
}

void dm_deferred_clear(struct aipu_dm *dm)
{
	while (dm->deferred) {
		struct dm_deferred *next = dm->deferred->next;

		free(dm->deferred);
		dm->deferred = next;
	}
	dm->deferred_count = 0;
	dm->event_waits = 0;
}
