// SPDX-License-Identifier: MIT
/*
 * The kernel table for AVX-512 (F, BW, DQ, VL, VNNI): kernels.inc.h over that back end. Reached
 * through aipu_kernels_select(), which makes sure that the CPU has what this file is compiled for;
 * nothing else here may be called before.
 */
#define VEC16_AVX512
#define KERNELS_TABLE aipu_kernels_avx512
#define KERNELS_LEVEL AIPU_SIMD_AVX512
#define KERNELS_NAME "avx512"

#if defined(__x86_64__)
#include "kernels.inc.h"
#endif
