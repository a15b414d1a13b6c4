// SPDX-License-Identifier: MIT
/*
 * The AVX-512 kernels on a machine without AVX-512: the same source over intrinsics written in
 * plain C, against the same rules. What the compiler makes of the real intrinsics, and the one
 * instruction written in assembly, only a machine that has them can show (test_compute_kernels).
 */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O1", "no-unroll-loops") /* speed is no aim here, and compiling takes long */
#endif
#include <math.h>

#include "avx512_emulated.h"

#define VEC16_AVX512
#define VEC16_EMULATED
#define KERNELS_TABLE emulated_kernels
#define KERNELS_LEVEL AIPU_SIMD_AVX512
#define KERNELS_NAME "avx512 (emulated)"
extern const struct aipu_kernels emulated_kernels;
#include "compute/kernels.inc.h"

#include "compute_check.h"
#include "compute_exp_check.h"

#define TEST(name)                               \
	static void name(void **state)           \
	{                                        \
		(void)state;                     \
		check_##name(&emulated_kernels); \
	}
TEST(matmul)
TEST(hostile)
TEST(rows)
TEST(exp_range)
TEST(exp_shifted)
TEST(embed)
TEST(rope)
TEST(attention)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matmul),    cmocka_unit_test(hostile),	    cmocka_unit_test(rows),
		cmocka_unit_test(exp_range), cmocka_unit_test(exp_shifted), cmocka_unit_test(embed),
		cmocka_unit_test(rope),	     cmocka_unit_test(attention),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
