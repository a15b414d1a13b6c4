// SPDX-License-Identifier: GPL-2.0
/*
 * The lists of status, error and refusal codes: numbered without gaps from "nothing is wrong" on, each
 * with a text of its own. Codes are append-only, so some of each are written down here once more.
 * Part of the KUnit module of the contract.
 */
#include <kunit/test.h>
#include <linux/string.h>

#include "aipu_job.h"
#include "aipu_program.h"
#include "aipu_queue.h"
#include "aipu_registers.h"
#include "aipu_status.h"

struct code {
	const char *name;
	u32 value;
	const char *text;
};

#define CODE(name, code, text) { #name, code, text },

static const struct code statuses[] = { AIPU_STATUS_LIST(CODE) };
static const struct code errors[] = { AIPU_ERROR_LIST(CODE) };
static const struct code refusals[] = { AIPU_REFUSAL_LIST(CODE) };

static void check_codes(struct kunit *test, const struct code *codes, size_t count, size_t due)
{
	size_t i, j;

	KUNIT_EXPECT_EQ(test, count, due);
	for (i = 0; i < count; i++) {
		KUNIT_EXPECT_EQ_MSG(test, codes[i].value, i, "%s", codes[i].name);
		KUNIT_EXPECT_GT_MSG(test, strlen(codes[i].text), 3, "%s", codes[i].name);
		for (j = 0; j < i; j++) {
			KUNIT_EXPECT_NE_MSG(test, codes[i].value, codes[j].value, "%s and %s",
					    codes[i].name, codes[j].name);
			KUNIT_EXPECT_NE_MSG(test, strcmp(codes[i].text, codes[j].text), 0,
					    "%s and %s", codes[i].name, codes[j].name);
		}
	}
}

static void statuses_are_numbered(struct kunit *test)
{
	check_codes(test, statuses, ARRAY_SIZE(statuses), AIPU_STATUS_COUNT);
	KUNIT_EXPECT_EQ(test, AIPU_STATUS_OK, 0);
	KUNIT_EXPECT_EQ(test, AIPU_STATUS_INVALID_FIELD, 2);
	KUNIT_EXPECT_EQ(test, AIPU_STATUS_ABORTED, 12);
	KUNIT_EXPECT_EQ(test, AIPU_STATUS_TIMEOUT, 13);
	KUNIT_EXPECT_EQ(test, AIPU_STATUS_DMA_ERROR, 14);
	KUNIT_EXPECT_EQ(test, AIPU_STATUS_CONTEXT_RESET, 17);
	KUNIT_EXPECT_EQ(test, AIPU_STATUS_BUSY, 21);
	KUNIT_EXPECT_EQ(test, AIPU_STATUS_INVALID_RING, 25);
}

static void errors_are_numbered(struct kunit *test)
{
	check_codes(test, errors, ARRAY_SIZE(errors), AIPU_ERROR_COUNT);
	KUNIT_EXPECT_EQ(test, AIPU_ERROR_NONE, 0);
	KUNIT_EXPECT_EQ(test, AIPU_ERROR_FIRMWARE_DMA, 1);
	KUNIT_EXPECT_EQ(test, AIPU_ERROR_FIRMWARE_ABI, 9);
	KUNIT_EXPECT_EQ(test, AIPU_ERROR_ADMIN_DMA, 14);
	KUNIT_EXPECT_EQ(test, AIPU_ERROR_FATAL, 15);
	KUNIT_EXPECT_EQ(test, AIPU_ERROR_QUEUE, 16);
}

static void refusals_are_numbered(struct kunit *test)
{
	check_codes(test, refusals, ARRAY_SIZE(refusals), AIPU_REFUSAL_COUNT);
	KUNIT_EXPECT_EQ(test, AIPU_REFUSAL_NONE, 0);
	KUNIT_EXPECT_EQ(test, AIPU_REFUSAL_RESERVED, 16);
	KUNIT_EXPECT_EQ(test, AIPU_REFUSAL(AIPU_REFUSAL_TENSOR, 0x123456), 0x07123456);
	KUNIT_EXPECT_EQ(test, AIPU_REFUSAL(AIPU_REFUSAL_SLOT, 0xff000001), 0x06000001);
}

/* Admin commands never look like jobs: an entry in the wrong ring is refused. */
static void opcodes(struct kunit *test)
{
	static const u32 jobs[] = { AIPU_JOB_NOP, AIPU_JOB_COPY, AIPU_JOB_FILL, AIPU_JOB_RUN,
				    AIPU_JOB_GENERATE };
	static const u32 admin[] = {
		AIPU_ADMIN_IDENTIFY,	  AIPU_ADMIN_CREATE_CONTEXT, AIPU_ADMIN_DESTROY_CONTEXT,
		AIPU_ADMIN_RESET_CONTEXT, AIPU_ADMIN_BIND,	     AIPU_ADMIN_UNBIND,
		AIPU_ADMIN_LOAD_PROGRAM,  AIPU_ADMIN_UNLOAD_PROGRAM, AIPU_ADMIN_CREATE_QUEUE,
		AIPU_ADMIN_DESTROY_QUEUE, AIPU_ADMIN_ABORT,	     AIPU_ADMIN_ASYNC_EVENT,
		AIPU_ADMIN_GET_PROGRESS
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(jobs); i++)
		KUNIT_EXPECT_EQ(test, jobs[i], i);
	for (i = 0; i < ARRAY_SIZE(admin); i++)
		KUNIT_EXPECT_EQ(test, admin[i], 0x80 + i);
}

static struct kunit_case codes_cases[] = { KUNIT_CASE(statuses_are_numbered),
					   KUNIT_CASE(errors_are_numbered),
					   KUNIT_CASE(refusals_are_numbered),
					   KUNIT_CASE(opcodes),
					   {} };

static struct kunit_suite codes_suite = {
	.name = "aipu_codes",
	.test_cases = codes_cases,
};

kunit_test_suite(codes_suite);
