// SPDX-License-Identifier: GPL-2.0
/*
 * What hides the differences between kernels (aipu_compat.h, aipu_trial.mk): trial compiles tell
 * what compiles from what does not, and what is chosen by them works. Part of aipu_driver_kunit.ko.
 */
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/io_uring/cmd.h>
#include <drm/drm_drv.h>

#include "aipu_compat.h"

/* Kbuild tried code that compiles, code that does not, and a header that is not there. */
static void trials_tell_what_compiles(struct kunit *test)
{
#ifdef AIPU_TRIAL_GOOD
	bool good = true;
#else
	bool good = false;
#endif
#ifdef AIPU_TRIAL_BAD
	bool bad = true;
#else
	bool bad = false;
#endif

	KUNIT_EXPECT_TRUE(test, good);
	KUNIT_EXPECT_FALSE(test, bad);
}

/* A timer that counts how often it was called, and by whom */
struct counter {
	struct hrtimer timer;
	struct completion done;
	unsigned int calls;
	ktime_t called;
};

static enum hrtimer_restart count(struct hrtimer *timer)
{
	struct counter *counter = container_of(timer, struct counter, timer);

	counter->called = ktime_get();
	if (++counter->calls < 3) {
		hrtimer_forward_now(timer, 1000);
		return HRTIMER_RESTART;
	}
	complete(&counter->done);
	return HRTIMER_NORESTART;
}

/* Its clock is the one that ktime_get() reads, and its times are from now on. */
static void timers_call_their_function(struct kunit *test)
{
	struct counter *counter = kunit_kzalloc(test, sizeof(*counter), GFP_KERNEL);
	const ktime_t wait = NSEC_PER_MSEC;
	ktime_t begin;

	KUNIT_ASSERT_NOT_NULL(test, counter);
	init_completion(&counter->done);
	aipu_hrtimer_setup(&counter->timer, count);
	KUNIT_EXPECT_FALSE(test, hrtimer_active(&counter->timer));
	begin = ktime_get();
	hrtimer_start(&counter->timer, wait, HRTIMER_MODE_REL);
	wait_for_completion(&counter->done);
	hrtimer_cancel(&counter->timer);
	KUNIT_EXPECT_EQ(test, counter->calls, 3);
	KUNIT_EXPECT_GE(test, ktime_sub(counter->called, begin), wait);
}

#ifndef AIPU_HAS_URING_TW_REQ
static struct {
	struct io_uring_cmd *cmd;
	unsigned int flags;
} got;

AIPU_URING_TASK_WORK(task_work, cmd, issue_flags)
{
	AIPU_URING_TASK_WORK_ENTER(cmd, issue_flags);

	got.cmd = cmd;
	got.flags = issue_flags;
}
#endif

static void task_work_gets_its_command(struct kunit *test)
{
#ifdef AIPU_HAS_URING_TW_REQ
	kunit_skip(test, "a command is found in a request, which only io_uring can make");
#else
	struct io_uring_cmd cmd;

	task_work(&cmd, 0x5a);
	KUNIT_EXPECT_PTR_EQ(test, got.cmd, &cmd);
	KUNIT_EXPECT_EQ(test, got.flags, 0x5a);
#endif
}

/* Where drivers have a date it is eight digits. */
static void drivers_are_described(struct kunit *test)
{
	static const struct drm_driver driver = { AIPU_DRIVER_DATE.name = "aipu" };

	KUNIT_EXPECT_STREQ(test, driver.name, "aipu");
#ifdef AIPU_HAS_DRIVER_DATE
	KUNIT_EXPECT_EQ(test, strspn(driver.date, "0123456789"), 8);
	KUNIT_EXPECT_EQ(test, strlen(driver.date), 8);
#endif
}

static struct kunit_case compat_cases[] = { KUNIT_CASE(trials_tell_what_compiles),
					    KUNIT_CASE(timers_call_their_function),
					    KUNIT_CASE(task_work_gets_its_command),
					    KUNIT_CASE(drivers_are_described),
					    {} };

static struct kunit_suite compat_suite = {
	.name = "aipu_compat",
	.test_cases = compat_cases,
};

kunit_test_suite(compat_suite);

/* As the driver does: the loader looks for the name, whichever way it is written. */
AIPU_IMPORT_NS(DMA_BUF);
