/* SPDX-License-Identifier: MIT */
/*
 * What the tests of compiler and container reader share: small shapes, containers in memory. It decides nothing.
 */
#ifndef COMPILE_FIXTURE_H
#define COMPILE_FIXTURE_H

#include "aipu/qpc.h"
#include "compiler.h"

/* Awkward on purpose: no dimension is a multiple of 16 or 32, the heads are wider than the model */
struct compile_shape fixture_shape(void);

/* A container of random weights in a memfd; fails the test if that cannot be made */
int fixture_compile(const struct compile_shape *shape, const struct compile_options *options);
/* Opens the container behind a descriptor */
int fixture_open(int fd, struct aipu_qpc **qpc, struct aipu_message *message);
/* All bytes of a descriptor, to free() */
uint8_t *fixture_bytes(int fd, size_t *size);
/* A memfd that holds these bytes */
int fixture_memory(const void *data, size_t size);

#endif
