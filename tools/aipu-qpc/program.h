/* SPDX-License-Identifier: MIT */
/*
 * Shows a program image. Called by aipu-qpc. The image's digest is good, its contents need not be: nothing is
 * read beyond its length.
 */
#ifndef AIPU_QPC_PROGRAM_H
#define AIPU_QPC_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

/* JSON of header, slots, entries and, with `code`, tensors and instructions. NULL: the tables do not fit */
json_t *program_describe(const void *image, size_t bytes, bool code);
/* The same for people, on stdout. False: the tables do not fit */
bool program_print(const void *image, size_t bytes, bool code);

#endif
