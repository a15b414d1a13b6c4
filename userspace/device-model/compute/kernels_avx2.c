// SPDX-License-Identifier: MIT
/*
 * The kernel table for AVX2, FMA and F16C: kernels.inc.h over that back end. Reached through
 * aipu_kernels_select(), which makes sure that the CPU has what this file is compiled for; nothing
 * else here may be called before.
 */
#define VEC16_AVX2
#define KERNELS_TABLE aipu_kernels_avx2
#define KERNELS_LEVEL AIPU_SIMD_AVX2
#define KERNELS_NAME "avx2"

#if defined(__x86_64__)
#include "kernels.inc.h"
#endif
