/* SPDX-License-Identifier: MIT */
/*
 * The exponentials of the sampler, at the ends of what it may be given: checked in the same way for
 * every table of kernels. Included by the tests of the tables, as compute_check.h is; keeps no state.
 */
#ifndef COMPUTE_EXP_CHECK_H
#define COMPUTE_EXP_CHECK_H

#include "compute_check.h"

/* [NUM-72] Every temperature and every logit not above the largest gives a number from 0 to 1 */
static void check_exp_shifted(const struct aipu_kernels *k)
{
	static const float ts[] = { 0x1p-149f, 1e-38f, 1e-30f, 0.7f, 3e38f, 0x1.fffffep127f };
	static const float maxima[] = {
		3.0f, 0.0f, -0.0f, -1e30f, 0x1.fffffep127f, -0x1.fffffep127f
	};
	const float x[20] = { 3.0f,
			      0.0f,
			      -0.0f,
			      2.875f,
			      0x1.7ffffep1f,
			      -0x1.fffffep127f,
			      -1e30f,
			      -INFINITY,
			      NAN,
			      -NAN,
			      0x1p-149f,
			      -0x1p-149f,
			      0x1.fffffep127f,
			      1e38f,
			      3.0f,
			      -1e-38f,
			      NAN,
			      3.0f,
			      -INFINITY,
			      1.0f };
	float y[20];

	for (unsigned int m = 0; m < sizeof(maxima) / sizeof(maxima[0]); m++) {
		for (unsigned int j = 0; j < sizeof(ts) / sizeof(ts[0]); j++) {
			float below[20], want[20];

			for (int i = 0; i < 20; i++) {
				below[i] = x[i] > maxima[m] ? maxima[m] : x[i];
				want[i] = isnan(x[i]) ? 0.0f
						      : aipu_exp((below[i] - maxima[m]) / ts[j]);
				assert_true(want[i] >= 0.0f && want[i] <= 1.0f);
				assert_true(below[i] != maxima[m] || want[i] == 1.0f);
				assert_true(ts[j] > 1e-30f || want[i] == (below[i] == maxima[m]) ||
					    maxima[m] == 0.0f);
			}
			k->exp_shifted(below, 20, ts[j], maxima[m], y);
			assert_same("exp_shifted", k, y, want, 20);
		}
	}
}

#endif
