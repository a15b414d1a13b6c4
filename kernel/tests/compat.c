// SPDX-License-Identifier: GPL-2.0
/*
 * What hides the differences between kernels (aipu_compat.h, aipu_trial.mk): trial compiles tell
 * what compiles from what does not, and what is chosen by them works. Part of aipu_driver_kunit.ko.
 */
#include <kunit/test.h>
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

/* Two commands are of one ring, or not. */
static void a_command_knows_its_ring(struct kunit *test)
{
	struct io_kiocb *requests = kunit_kcalloc(test, 3, sizeof(*requests), GFP_KERNEL);
	const void *rings[3];

	KUNIT_ASSERT_NOT_NULL(test, requests);
	for (unsigned int i = 0; i < ARRAY_SIZE(rings); i++) {
		requests[i].ctx = (struct io_ring_ctx *)&rings[i % 2];
		rings[i] = aipu_uring_ring((struct io_uring_cmd *)&requests[i]);
	}
	KUNIT_EXPECT_PTR_EQ(test, rings[0], rings[2]);
	KUNIT_EXPECT_PTR_NE(test, rings[0], rings[1]);
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
					    KUNIT_CASE(task_work_gets_its_command),
					    KUNIT_CASE(a_command_knows_its_ring),
					    KUNIT_CASE(drivers_are_described),
					    {} };

static struct kunit_suite compat_suite = {
	.name = "aipu_compat",
	.test_cases = compat_cases,
};

kunit_test_suite(compat_suite);

/* As the driver does: the loader looks for the name, whichever way it is written. */
AIPU_IMPORT_NS(DMA_BUF);
