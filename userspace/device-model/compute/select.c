// SPDX-License-Identifier: MIT
/*
 * Which kernel table this CPU can run. Called once at device creation. Must look at CPUID (and,
 * through the compiler's helper, at what the operating system saves) only: no environment variable,
 * no state.
 */
#include <errno.h>

#include "compute/compute.h"

#if defined(__x86_64__)
#include <cpuid.h>

/*
 * Not every compiler's helper knows this one. Its registers are those of AVX, which the helper does
 * check.
 */
static bool cpu_has_f16c(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

static bool cpu_has(enum aipu_simd level)
{
	__builtin_cpu_init();
	switch (level) {
	case AIPU_SIMD_SCALAR:
		return true;
	case AIPU_SIMD_AVX2:
		return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
		       cpu_has_f16c();
	case AIPU_SIMD_AVX512:
		return cpu_has(AIPU_SIMD_AVX2) && __builtin_cpu_supports("avx512f") &&
		       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
		       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
	default:
		return false;
	}
}
#else
static bool cpu_has(enum aipu_simd level)
{
	return level == AIPU_SIMD_SCALAR;
}
#endif

int aipu_kernels_select(enum aipu_simd level, const struct aipu_kernels **kernels)
{
	static const struct aipu_kernels *const table[AIPU_SIMD_COUNT] = {
		[AIPU_SIMD_SCALAR] = &aipu_kernels_scalar,
#if defined(__x86_64__)
		[AIPU_SIMD_AVX2] = &aipu_kernels_avx2,
		[AIPU_SIMD_AVX512] = &aipu_kernels_avx512,
#endif
	};

	if ((unsigned int)level >= AIPU_SIMD_COUNT)
		return -EINVAL;
	if (level == AIPU_SIMD_AUTO) {
		level = AIPU_SIMD_COUNT;
		do {
			level--;
		} while (!cpu_has(level));
	}
	if (!cpu_has(level) || !table[level])
		return -ENOTSUP;
	*kernels = table[level];
	return 0;
}
