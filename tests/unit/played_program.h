/* SPDX-License-Identifier: MIT */
/*
 * Programs for tests that play the step executor: every image is one, and is what was loaded. Included by one source file of
 * a program that links the device model without its program/, because it defines that directory's names. Not a test itself.
 */
#ifndef PLAYED_PROGRAM_H
#define PLAYED_PROGRAM_H

#include <stdlib.h>

#include "model.h"

unsigned int dm_program_create(const struct dm_limits *limits, void *image, size_t bytes,
			       struct dm_program **program, uint32_t *detail)
{
	(void)limits;
	(void)bytes;
	*detail = 0;
	*program = image;
	return AIPU_STATUS_OK;
}

void dm_program_get(struct dm_program *program)
{
	(void)program;
}

void dm_program_put(struct dm_program *program)
{
	free(program);
}

#endif
