// SPDX-License-Identifier: MIT
/*
 * Contexts: the tables of segments and programs that the jobs of one user see, and the services that programs
 * ask of their context. Called by admin commands and by jobs, on the engine thread. A context never reaches
 * into another one's tables.
 */
#include "device.h"

#include <errno.h>
#include <stdlib.h>

int dm_context_create(struct aipu_dm *dm, uint32_t id, unsigned int priority, uint32_t weight)
{
	struct dm_context *context = calloc(1, sizeof(*context));

	if (!context)
		return -ENOMEM;
	context->dm = dm;
	context->id = id;
	context->serial = ++dm->serial;
	dm_arbiter_share(&dm->arbiter, priority, weight, &context->share);
	dm->contexts[id] = context;
	return 0;
}

void dm_context_destroy(struct dm_context *context)
{
	for (uint32_t i = 0; i < DM_MAX_SEGMENTS; i++)
		dm_binding_destroy(context->segments[i]);
	for (uint32_t i = 0; i < DM_MAX_PROGRAMS; i++)
		if (context->programs[i])
			dm_program_put(context->programs[i]);
	context->dm->contexts[context->id] = NULL;
	free(context);
}

struct dm_program *dm_context_program(struct dm_context *context, uint32_t id)
{
	return id < DM_MAX_PROGRAMS ? context->programs[id] : NULL;
}

struct dm_cores *dm_context_cores(struct dm_context *context)
{
	return context->dm->cores;
}

const struct aipu_kernels *dm_context_kernels(struct dm_context *context)
{
	return context->dm->kernels;
}

uint64_t dm_context_clock(struct dm_context *context)
{
	return dm_clock(context->dm);
}
