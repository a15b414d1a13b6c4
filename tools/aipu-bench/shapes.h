/* SPDX-License-Identifier: MIT */
/*
 * Shapes of known models, for measuring without their weights. Called by main.c.
 */
#ifndef AIPU_BENCH_SHAPES_H
#define AIPU_BENCH_SHAPES_H

#include <stdbool.h>

#include "compiler.h"

extern const char shapes_names[];
/* A name, or "dim=N,hidden=N,layers=N,heads=N,kv_heads=N,vocab=N" over the smallest one */
bool shapes_find(const char *text, struct compile_shape *shape);

#endif
