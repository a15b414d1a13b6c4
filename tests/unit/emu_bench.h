/* SPDX-License-Identifier: MIT */
/*
 * A card at work for each test of a group: bench.h's, with a server of its own. Called by test_emu_protocol_*.c.
 */
#ifndef AIPU_EMU_BENCH_TEST_H
#define AIPU_EMU_BENCH_TEST_H

#include "bench.h"
#include "emu_test.h"

#define NOP_OK(b, n) assert_int_equal(BENCH_JOB(b, n, NOP, .timeout_ms = 0), AIPU_STATUS_OK)

EMU_UNUSED static int setup_with(void **state, const char *const *options)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	bench_ready(b, options);
	*state = b;
	return 0;
}

EMU_UNUSED static int setup(void **state)
{
	return setup_with(state, NULL);
}

EMU_UNUSED static int teardown(void **state)
{
	bench_close(*state);
	free(*state);
	return 0;
}

EMU_UNUSED static struct client *client_of(struct bench *b)
{
	return &b->guest->client;
}

#endif
