// SPDX-License-Identifier: GPL-2.0
/*
 * What the driver decides of times (aipu_check.h), on both sides of each limit and where counters
 * turn over. No test here waits. Part of aipu_driver_kunit.ko.
 */
#include <kunit/test.h>

#include "aipu_check.h"

static void cards_have_time_within_reason(struct kunit *test)
{
	static const struct {
		u32 asked, due;
	} cases[] = {
		{ 0, 10000 },	    { 9999, 10000 },	 { 10000, 10000 },
		{ 10001, 10001 },   { 119999, 119999 },	 { 120000, 120000 },
		{ 120001, 120000 }, { BIT(31), 120000 }, { U32_MAX, 120000 },
	};
	struct aipu_device *aipu = kunit_kzalloc(test, sizeof(*aipu), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, aipu);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		aipu->limits.ready_timeout_ms = cases[i].asked;
		KUNIT_EXPECT_EQ_MSG(test, aipu_timeout_ms(aipu), cases[i].due, "%u",
				    cases[i].asked);
	}
}

static void waits_end_when_they_are_said_to(struct kunit *test)
{
	const ktime_t now = 1000000000;
	static const struct {
		s64 until;
		ktime_t due;
	} cases[] = {
		{ 0, 0 },
		{ 1, 0 },
		{ 999999999, 0 },
		{ 1000000000, 0 },
		{ 1000000001, 1 },
		{ 2000000000, 1000000000 },
		{ S64_MAX - 1, S64_MAX - 1 - 1000000000 },
		{ -1, 0 },
		{ S64_MIN, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		KUNIT_EXPECT_EQ_MSG(test, aipu_time_left(cases[i].until, now), cases[i].due, "%lld",
				    cases[i].until);
}

static const struct overdue_case {
	u8 opcode;
	u32 timeout_ms;
	s64 ran_ms;
	u32 grace_ms;
	bool due;
} overdue_cases[] = {
	{ AIPU_JOB_RUN, 100, 2100, 2000, false },
	{ AIPU_JOB_RUN, 100, 2101, 2000, true },
	{ AIPU_JOB_NOP, 1, 2, 0, true },
	{ AIPU_JOB_COPY, 1, 1, 0, false },
	/* None has no limit. */
	{ AIPU_JOB_RUN, 0, S64_MAX, 0, false },
	/* Its time does not run while nobody takes its tokens. */
	{ AIPU_JOB_GENERATE, 1, S64_MAX, 0, false },
	/* Sums of more than 32 bits */
	{ AIPU_JOB_FILL, U32_MAX, U32_MAX + 1ll, 2000, false },
	{ AIPU_JOB_FILL, U32_MAX, U32_MAX + 2000ll, 2000, false },
	{ AIPU_JOB_FILL, U32_MAX, U32_MAX + 2001ll, 2000, true },
	{ AIPU_JOB_FILL, U32_MAX, 2ll * U32_MAX, U32_MAX, false },
	{ AIPU_JOB_FILL, U32_MAX, S64_MAX, U32_MAX, true },
	/* A job that began after it was looked at */
	{ AIPU_JOB_RUN, 1, -1, 0, false },
	{ AIPU_JOB_RUN, U32_MAX, S64_MIN, U32_MAX, false },
};

static void jobs_are_overdue_after_their_time(struct kunit *test)
{
	for (size_t i = 0; i < ARRAY_SIZE(overdue_cases); i++) {
		const struct overdue_case *c = &overdue_cases[i];

		bool overdue = aipu_job_overdue(c->opcode, c->timeout_ms, c->ran_ms, c->grace_ms);

		KUNIT_EXPECT_EQ_MSG(test, overdue, c->due, "case %zu", i);
	}
}

static const struct lost_case {
	u32 ticks;
	s64 seen_us;
	u32 coalesce_us;
	bool due;
} lost_cases[] = {
	/* A guest that stood still has lost none: neither time nor ticks alone will do. */
	{ 0, S64_MAX, 0, false },
	{ AIPU_RESCUE_TICKS - 1, S64_MAX, 0, false },
	{ AIPU_RESCUE_TICKS, 0, 0, false },
	{ AIPU_RESCUE_TICKS, 1, 0, true },
	{ U32_MAX, 1, 0, true },
	/* Coalescing is no loss. */
	{ U32_MAX, 1000000, 1000000, false },
	{ U32_MAX, 1000001, 1000000, true },
	{ U32_MAX, U32_MAX, U32_MAX, false },
	{ U32_MAX, U32_MAX + 1ll, U32_MAX, true },
	{ U32_MAX, -1, 0, false },
	{ U32_MAX, S64_MIN, U32_MAX, false },
};

static void interrupts_are_lost_after_ticks_and_time(struct kunit *test)
{
	for (size_t i = 0; i < ARRAY_SIZE(lost_cases); i++) {
		const struct lost_case *c = &lost_cases[i];

		KUNIT_EXPECT_EQ_MSG(test, aipu_interrupt_lost(c->ticks, c->seen_us, c->coalesce_us),
				    c->due, "case %zu", i);
	}
}

static const struct heart_case {
	u32 looks;
	unsigned long changed, passed;
	bool due;
} heart_cases[] = {
	{ 1, 0, 100 * HZ, false },
	{ AIPU_STILL_LOOKS - 1, 0, ULONG_MAX, false },
	{ AIPU_STILL_LOOKS, 0, 0, false },
	{ AIPU_STILL_LOOKS, 0, AIPU_STILL_JIFFIES, false },
	{ AIPU_STILL_LOOKS, 0, AIPU_STILL_JIFFIES + 1, true },
	{ U32_MAX, 0, 0, false },
	/* jiffies turn over: minutes after boot, and after an age */
	{ AIPU_STILL_LOOKS, (unsigned long)INITIAL_JIFFIES, AIPU_STILL_JIFFIES + 1, true },
	{ AIPU_STILL_LOOKS, ULONG_MAX, 1, false },
	{ AIPU_STILL_LOOKS, ULONG_MAX, AIPU_STILL_JIFFIES, false },
	{ AIPU_STILL_LOOKS, ULONG_MAX, AIPU_STILL_JIFFIES + 1, true },
	{ AIPU_STILL_LOOKS, ULONG_MAX - AIPU_STILL_JIFFIES, AIPU_STILL_JIFFIES + 1, true },
	{ AIPU_STILL_LOOKS, ULONG_MAX - AIPU_STILL_JIFFIES / 2, 1, false },
	{ AIPU_STILL_LOOKS, ULONG_MAX - AIPU_STILL_JIFFIES / 2, AIPU_STILL_JIFFIES, false },
	{ AIPU_STILL_LOOKS, ULONG_MAX - AIPU_STILL_JIFFIES / 2, AIPU_STILL_JIFFIES + 1, true },
};

static void hearts_stop_after_looks_and_time(struct kunit *test)
{
	for (size_t i = 0; i < ARRAY_SIZE(heart_cases); i++) {
		const struct heart_case *c = &heart_cases[i];

		bool stopped = aipu_heart_stopped(c->looks, c->changed, c->changed + c->passed);

		KUNIT_EXPECT_EQ_MSG(test, stopped, c->due, "case %zu", i);
	}
}

static struct kunit_case time_cases[] = { KUNIT_CASE(cards_have_time_within_reason),
					  KUNIT_CASE(waits_end_when_they_are_said_to),
					  KUNIT_CASE(jobs_are_overdue_after_their_time),
					  KUNIT_CASE(interrupts_are_lost_after_ticks_and_time),
					  KUNIT_CASE(hearts_stop_after_looks_and_time),
					  {} };

static struct kunit_suite time_suite = {
	.name = "aipu_time",
	.test_cases = time_cases,
};

kunit_test_suite(time_suite);
