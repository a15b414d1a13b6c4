// SPDX-License-Identifier: MIT
/*
 * The kernel table in plain C, the reference for the others: kernels.inc.h over that back end.
 * Reached through aipu_kernels_select(), which makes sure that the CPU has what a table needs.
 */
#define VEC16_SCALAR
#define KERNELS_TABLE aipu_kernels_scalar
#define KERNELS_LEVEL AIPU_SIMD_SCALAR
#define KERNELS_NAME "scalar"

#include "kernels.inc.h"
