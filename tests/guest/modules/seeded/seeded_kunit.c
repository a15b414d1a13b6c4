// SPDX-License-Identifier: GPL-2.0
/*
 * A KUnit suite of which one case holds and one does not: tests/guest/seeded.sh sees that the second is
 * reported. Loaded by it alone.
 */
#include <kunit/test.h>
#include <linux/module.h>

static void seeded_holds(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, 1, 1);
}

static void seeded_fails(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, 1, 2);
}

static struct kunit_case seeded_cases[] = { KUNIT_CASE(seeded_holds),
					    KUNIT_CASE(seeded_fails),
					    {} };

static struct kunit_suite seeded_suite = {
	.name = "aipu_seeded",
	.test_cases = seeded_cases,
};

kunit_test_suite(seeded_suite);

MODULE_DESCRIPTION("A KUnit case that fails");
MODULE_LICENSE("GPL");
