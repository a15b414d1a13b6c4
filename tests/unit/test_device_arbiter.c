// SPDX-License-Identifier: MIT
/* The arbiter alone: who is given each turn, of places that are ready at each boundary or not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aipu_queue.h"
#include "arbiter.h"

enum { LOW = AIPU_PRIORITY_LOW, NORMAL = AIPU_PRIORITY_NORMAL, HIGH = AIPU_PRIORITY_HIGH };
#define PLACES 6u

static struct dm_arbiter arbiter;
static struct dm_share shares[PLACES];
static struct dm_place places[PLACES]; /* 'a', 'b', ... in turns() */

static int setup(void **state)
{
	(void)state;
	memset(&arbiter, 0, sizeof(arbiter));
	memset(places, 0, sizeof(places));
	return 0;
}

/* Place n with a context of its own */
static void join(unsigned int n, unsigned int priority, uint32_t weight)
{
	dm_arbiter_share(&arbiter, priority, weight, &shares[n]);
	places[n] = (struct dm_place){ .share = &shares[n] };
}

/* One turn of those in `ready`, a bit each: '-' for nobody */
static char turn(unsigned int ready)
{
	struct dm_place *place;

	for (unsigned int n = 0; n < PLACES; n++)
		if (ready >> n & 1)
			dm_arbiter_offer(&arbiter, &places[n]);
	place = dm_arbiter_take(&arbiter);
	return place ? (char)('a' + (place - places)) : '-';
}

/* So many turns, as letters */
static const char *turns(unsigned int ready, unsigned int count)
{
	static char letters[1024];

	assert_in_range(count, 1, sizeof(letters) - 1);
	for (unsigned int i = 0; i < count; i++)
		letters[i] = turn(ready);
	letters[count] = 0;
	return letters;
}

static void nobody_is_ready(void **state)
{
	(void)state;
	join(0, NORMAL, 1);
	assert_string_equal(turns(0, 3), "---");
	assert_string_equal(turns(1, 3), "aaa");
}

/* [PRIO-2] */
static void equals_take_turns(void **state)
{
	(void)state;
	for (unsigned int n = 0; n < 3; n++)
		join(n, NORMAL, n < 2); /* 0 is 1 */
	assert_string_equal(turns(7, 9), "abcabcabc");
	/* Who comes back has waited longest. */
	assert_string_equal(turns(6, 4), "bcbc");
	assert_string_equal(turns(7, 6), "abcabc");
}

/* [PRIO-2] */
static void weights_are_exact_in_each_round(void **state)
{
	(void)state;
	join(0, NORMAL, 1);
	join(1, NORMAL, 3);
	join(2, NORMAL, 2);
	for (unsigned int round = 0; round < 50; round++) {
		const char *got = turns(7, 6);
		unsigned int count[3] = { 0 };

		for (unsigned int i = 0; i < 6; i++)
			count[got[i] - 'a']++;
		assert_int_equal(count[0], 1);
		assert_int_equal(count[1], 3);
		assert_int_equal(count[2], 2);
		assert_true(strchr(got, 'a') - got < 3); /* no second before all had their first */
	}
}

/* [PRIO-2] A round is over when nobody who is ready has turns left; who was away has not saved any. */
static void absence_is_not_credit(void **state)
{
	(void)state;
	join(0, NORMAL, 2);
	join(1, NORMAL, 2);
	assert_string_equal(turns(1, 100), "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
					   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	assert_string_equal(turns(3, 8), "bbababab");
}

/* [PRIO-2] One turn of each other at most, whatever the weights are */
static void who_becomes_ready_waits_for_one_turn_of_each(void **state)
{
	(void)state;
	join(0, NORMAL, 256);
	join(1, NORMAL, 256);
	turns(3, 101);
	join(2, NORMAL, 1);
	assert_string_equal(turns(7, 3), "bca");
	turns(3, 700);
	assert_non_null(memchr(turns(7, 3), 'c', 3));
	/* It has had its part of the round. */
	assert_null(strchr(turns(7, 100), 'c'));
}

/* [PRIO-3] */
static void queues_share_their_contexts_turns(void **state)
{
	(void)state;
	join(0, NORMAL, 1);
	join(1, NORMAL, 1);
	places[2] = places[3] = (struct dm_place){ .share = &shares[1] };
	assert_string_equal(turns(15, 12), "abacadabacad");
	assert_string_equal(turns(13, 6), "acadac");
}

/* [PRIO-1] */
static void a_higher_class_goes_first(void **state)
{
	(void)state;
	join(0, LOW, 256);
	join(1, NORMAL, 256);
	join(2, HIGH, 1);
	join(3, HIGH, 2);
	assert_string_equal(turns(15, 6), "cddcdd");
	assert_string_equal(turns(3, 4), "bbbb");
	assert_string_equal(turns(7, 4), "cccc");
	assert_string_equal(turns(1, 2), "aa");
}

/* [PRIO-4] */
static void a_class_waits_for_64_turns_of_others(void **state)
{
	(void)state;
	join(0, LOW, 1);
	join(1, NORMAL, 1);
	join(2, HIGH, 256);
	for (unsigned int i = 0; i < 3; i++) {
		for (unsigned int n = 0; n < DM_CLASS_PATIENCE; n++)
			assert_int_equal(turn(5), 'c');
		assert_int_equal(turn(5), 'a');
	}
	/* Both at their limit: the higher one, then the other */
	assert_string_equal(turns(7, 66) + 62, "ccba");
	/* Who is not ready does not wait. */
	turns(5, DM_CLASS_PATIENCE);
	assert_int_equal(turn(4), 'c');
	assert_null(strchr(turns(5, DM_CLASS_PATIENCE), 'a'));
	assert_int_equal(turn(5), 'a');
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/*
 * [PRIO-2] Whatever came before: of those that are ready all the time each has its weight in any window of whole
 * rounds, give or take one round.
 */
static void shares_hold_in_the_long_run(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (unsigned int trial = 0; trial < 200; trial++) {
		uint32_t weights[PLACES], sum = 0, count[PLACES] = { 0 };

		setup(NULL);
		for (unsigned int n = 0; n < PLACES; n++) {
			weights[n] = 1 + next_random(&seed) % 20;
			join(n, NORMAL, weights[n]);
			sum += weights[n];
		}
		for (unsigned int i = 0; i < 300; i++)
			turn(next_random(&seed) % 64);
		for (unsigned int i = 0; i < 100 * sum; i++)
			count[turn(63) - 'a']++;
		for (unsigned int n = 0; n < PLACES; n++)
			assert_in_range(count[n], 99 * weights[n], 101 * weights[n]);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		T(nobody_is_ready),
		T(equals_take_turns),
		T(weights_are_exact_in_each_round),
		T(absence_is_not_credit),
		T(who_becomes_ready_waits_for_one_turn_of_each),
		T(queues_share_their_contexts_turns),
		T(a_higher_class_goes_first),
		T(a_class_waits_for_64_turns_of_others),
		T(shares_hold_in_the_long_run),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
