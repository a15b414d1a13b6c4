/* SPDX-License-Identifier: MIT */
/*
 * What a token costs at least: bytes of weights that a decode step reads, operations that a prefill token takes. Read
 * off the container's program, not guessed from the model's size. Called by bench.c.
 */
#ifndef AIPU_BENCH_COST_H
#define AIPU_BENCH_COST_H

#include <stdbool.h>
#include <stdint.h>

#include "aipu/qpc.h"

struct cost {
	uint64_t decode_bytes; /* of all matrices in the decode entry, each once */
	uint64_t prefill_operations; /* multiplications and additions a token, without the selected rows' part */
	bool int8; /* the products are of 8-bit integers */
};

/* -EINVAL: the program's tables do not hold together */
int cost_of(const struct aipu_qpc *qpc, struct cost *cost);

#endif
