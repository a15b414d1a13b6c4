// SPDX-License-Identifier: MIT
/*
 * The life of a program: the device's private copy of the image, its verification, its references.
 * Called by LOAD_PROGRAM, UNLOAD_PROGRAM and by jobs. It must never keep a pointer into memory that
 * a host can write.
 */
#include <stdlib.h>

#include "program/program.h"

static void program_free(struct dm_program *p)
{
	free(p->image);
	free(p->extents);
	free(p->quant_bytes);
	free(p);
}

unsigned int dm_program_create(const struct dm_limits *limits, void *image, size_t bytes,
			       struct dm_program **program, uint32_t *detail)
{
	struct dm_program *p = calloc(1, sizeof(*p));
	struct verifier v = { .limits = limits, .program = p, .detail = detail };
	unsigned int status;

	*detail = 0;
	*program = NULL;
	if (!p) {
		free(image);
		return AIPU_STATUS_NO_RESOURCES;
	}
	p->image = image;
	p->max_lanes = limits->max_lanes;
	atomic_init(&p->references, 1);
	status = program_verify(&v, bytes);
	if (status != AIPU_STATUS_OK) {
		program_free(p);
		return status;
	}
	*program = p;
	return AIPU_STATUS_OK;
}

void dm_program_get(struct dm_program *program)
{
	atomic_fetch_add_explicit(&program->references, 1, memory_order_relaxed);
}

void dm_program_put(struct dm_program *program)
{
	if (atomic_fetch_sub_explicit(&program->references, 1, memory_order_acq_rel) == 1)
		program_free(program);
}
