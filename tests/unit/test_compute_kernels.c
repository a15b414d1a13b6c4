// SPDX-License-Identifier: MIT
/*
 * Every kernel table that this CPU can run, against the written arithmetic, bit for bit. Since all
 * are compared with the same rules on the same inputs, each pair of them agrees as well; the order
 * of the inputs is fixed.
 */
#include <math.h>

#include "compute_check.h"
#include "compute_exp_check.h"

static const struct aipu_kernels *table(enum aipu_simd level)
{
	const struct aipu_kernels *k = NULL;
	int err = aipu_kernels_select(level, &k);

	if (err == -ENOTSUP) {
		print_message("# skipped: this CPU lacks level %d\n", (int)level);
		skip();
	}
	assert_int_equal(err, 0);
	assert_int_equal(k->level, level);
	return k;
}

#define TESTS(name)                                    \
	static void name##_scalar(void **state)        \
	{                                              \
		(void)state;                           \
		check_##name(table(AIPU_SIMD_SCALAR)); \
	}                                              \
	static void name##_avx2(void **state)          \
	{                                              \
		(void)state;                           \
		check_##name(table(AIPU_SIMD_AVX2));   \
	}                                              \
	static void name##_avx512(void **state)        \
	{                                              \
		(void)state;                           \
		check_##name(table(AIPU_SIMD_AVX512)); \
	}
TESTS(matmul)
TESTS(hostile)
TESTS(rows)
TESTS(exp_range)
TESTS(exp_shifted)
TESTS(embed)
TESTS(rope)
TESTS(attention)

static void select_levels(void **state)
{
	const struct aipu_kernels *k = NULL, *best = NULL;

	(void)state;
	assert_int_equal(aipu_kernels_select(AIPU_SIMD_AUTO, &best), 0);
	assert_int_equal(aipu_kernels_select(AIPU_SIMD_SCALAR, &k), 0);
	assert_int_equal(k->level, AIPU_SIMD_SCALAR);
	assert_int_equal(aipu_kernels_select(AIPU_SIMD_COUNT, &k), -EINVAL);
	assert_int_equal(aipu_kernels_select((enum aipu_simd) - 1, &k), -EINVAL);
	for (int level = AIPU_SIMD_SCALAR; level < AIPU_SIMD_COUNT; level++)
		if (level > (int)best->level)
			assert_int_equal(aipu_kernels_select((enum aipu_simd)level, &k), -ENOTSUP);
}

int main(void)
{
#define THREE(name)                                                     \
	cmocka_unit_test(name##_scalar), cmocka_unit_test(name##_avx2), \
		cmocka_unit_test(name##_avx512)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(select_levels),
		THREE(matmul),
		THREE(hostile),
		THREE(rows),
		THREE(exp_range),
		THREE(exp_shifted),
		THREE(embed),
		THREE(rope),
		THREE(attention),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
