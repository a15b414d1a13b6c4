// SPDX-License-Identifier: GPL-2.0
/*
 * The arithmetic of rings (aipu_ring.h) against what it is meant to say, written down as steps one
 * at a time: all places of small rings, all wraps of ids and sequence numbers, and whatever a card
 * may write. Part of aipu_driver_kunit.ko.
 */
#include <kunit/test.h>
#include <linux/bitmap.h>

#include "aipu_drv.h"
#include "aipu_ring.h"

/* Where counters of 16, 32 and 64 bits turn over */
static const u64 turns[] = { 1, U16_MAX, U32_MAX, S64_MAX, U64_MAX - 2 * U16_MAX };

static void ring_has_room_for_its_jobs(struct kunit *test)
{
	for (u32 jobs = 1; jobs < AIPU_MAX_ENTRIES; jobs++) {
		u32 entries = aipu_ring_entries(jobs);

		KUNIT_ASSERT_TRUE_MSG(test, is_power_of_2(entries), "%u jobs", jobs);
		KUNIT_ASSERT_LT_MSG(test, jobs, entries, "%u jobs", jobs);
		KUNIT_ASSERT_LE_MSG(test, entries, AIPU_MAX_ENTRIES, "%u jobs", jobs);
		KUNIT_ASSERT_LE_MSG(test, entries, 2 * jobs, "%u jobs", jobs);
	}
}

/* Job after job takes place after place, and the card's id leads back to it. */
static void places_follow_one_another(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, aipu_place(1, 2), 0);
	for (u32 entries = 2; entries <= AIPU_MAX_ENTRIES; entries *= 2) {
		for (size_t i = 0; i < ARRAY_SIZE(turns); i++) {
			u64 from = turns[i] > entries ? turns[i] - entries : 1;

			for (u64 s = from; s < from + 2 * entries; s++) {
				u32 place = aipu_place(s, entries);

				if (place != (s - 1) % entries ||
				    place != aipu_id_place(aipu_job_id(s), entries))
					KUNIT_FAIL_AND_ABORT(test, "job %llu of %u", s, entries);
			}
		}
	}
}

/* An id comes again when it cannot be mistaken any more, however long the queue lives. */
static void ids_differ_for_as_long_as_they_can(struct kunit *test)
{
	unsigned long *seen = kunit_kzalloc(test, BITS_TO_BYTES(U16_MAX + 1), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, seen);
	for (size_t i = 0; i < ARRAY_SIZE(turns); i++) {
		u64 from = turns[i] > U16_MAX ? turns[i] - U16_MAX / 2 : 1;

		bitmap_zero(seen, U16_MAX + 1);
		for (u64 s = from; s <= from + U16_MAX; s++)
			if (__test_and_set_bit(aipu_job_id(s), seen))
				KUNIT_FAIL_AND_ABORT(test, "job %llu", s);
	}
}

static void any_id_is_in_the_ring(struct kunit *test)
{
	for (u32 entries = 2; entries <= AIPU_MAX_ENTRIES; entries *= 2)
		for (u32 id = 0; id <= U16_MAX; id++)
			if (aipu_id_place(id, entries) >= entries)
				KUNIT_FAIL_AND_ABORT(test, "id %u of %u", id, entries);
}

/* Steps from one place to another, one at a time */
static u32 steps(u32 from, u32 to, u32 entries)
{
	u32 count = 0;

	for (; from != to; from = from + 1 == entries ? 0 : from + 1)
		count++;
	return count;
}

static void used_places_are_counted(struct kunit *test)
{
	for (u32 entries = 2; entries <= 32; entries *= 2) {
		for (u32 head = 0; head < entries; head++) {
			for (u32 tail = 0; tail < entries; tail++) {
				u32 used = steps(head, tail, entries);

				KUNIT_ASSERT_EQ(test, aipu_ring_used(head, tail, entries), used);
				KUNIT_ASSERT_EQ(test, aipu_ring_full(head, tail, entries),
						used + 1 == entries);
			}
		}
	}
}

/* What the card says is believed from the old head on, up to what it was told of. */
static void heads_are_believed_within_the_ring(struct kunit *test)
{
	static const u32 beyond[] = { 32, 33, 0x7fff, 0x8000, U16_MAX, U32_MAX };

	for (u32 entries = 2; entries <= 32; entries *= 2) {
		for (u32 head = 0; head < entries; head++) {
			for (u32 tail = 0; tail < entries; tail++) {
				u32 told = steps(head, tail, entries);

				for (u32 said = 0; said < 2 * entries; said++) {
					bool due = said < entries &&
						   steps(head, said, entries) <= told;

					if (aipu_head_valid(head, said, tail, entries) != due)
						KUNIT_FAIL_AND_ABORT(test,
								     "%u to %u, told %u of %u",
								     head, said, tail, entries);
				}
				for (size_t i = 0; i < ARRAY_SIZE(beyond); i++)
					KUNIT_ASSERT_FALSE(test, aipu_head_valid(head, beyond[i],
										 tail, entries));
			}
		}
	}
}

static void windows_hold_one_job_less_than_places(struct kunit *test)
{
	for (u32 entries = 2; entries <= AIPU_MAX_ENTRIES; entries *= 2) {
		for (size_t i = 0; i < ARRAY_SIZE(turns); i++) {
			u64 oldest = turns[i];

			KUNIT_EXPECT_FALSE(test, aipu_window_full(oldest, oldest, entries));
			KUNIT_EXPECT_FALSE(test,
					   aipu_window_full(oldest, oldest + entries - 2, entries));
			KUNIT_EXPECT_TRUE(test,
					  aipu_window_full(oldest, oldest + entries - 1, entries));
			KUNIT_EXPECT_TRUE(test,
					  aipu_window_full(oldest, oldest + entries, entries));
		}
	}
	/* A ring of two has one job, and the window turns over with the sequence. */
	KUNIT_EXPECT_TRUE(test, aipu_window_full(U64_MAX, 0, 2));
}

/* A completion ring as the card fills it: entries [taken, put) carry the phase of their round. */
static void phases_tell_new_from_old(struct kunit *test)
{
	const u32 entries = 8;
	u32 phases[8] = {}, head = 0, phase = 1, put = 0, taken = 0, step = 1;

	while (taken < 20 * entries) {
		/* As many as fit, then fewer, so that each place is an end once. */
		for (u32 n = step++ % entries + 1; n && put - taken < entries; n--, put++)
			phases[put % entries] = !(put / entries % 2);
		while (phases[head] == phase) {
			KUNIT_ASSERT_LT(test, taken, put);
			KUNIT_ASSERT_EQ(test, head, taken % entries);
			aipu_head_advance(&head, &phase, entries);
			taken++;
		}
		KUNIT_ASSERT_EQ(test, taken, put);
	}
}

/* A completion ring of N places takes N - 1: those the card may still think full, and one a job. */
static void completions_have_places(struct kunit *test)
{
	for (u32 entries = 2; entries <= 16; entries *= 2)
		for (u32 told = 0; told < entries; told++)
			for (u32 taken = 0; taken < entries; taken++)
				for (u32 jobs = 0; jobs < entries; jobs++)
					KUNIT_ASSERT_EQ(test, taken + jobs <= entries - 1,
							aipu_cq_suffices(told,
									 (told + taken) % entries,
									 jobs, entries));
}

/* The card sleeps at a place: whoever goes past it rings, and nobody else. */
static void events_are_passed_once(struct kunit *test)
{
	for (u32 entries = 2; entries <= 16; entries *= 2) {
		for (u32 old = 0; old < entries; old++) {
			for (u32 jobs = 0; jobs < entries; jobs++) {
				u32 new = (old + jobs) % entries;

				for (u32 ahead = 0; ahead < entries; ahead++)
					KUNIT_ASSERT_EQ(test, ahead < jobs,
							aipu_event_passed((old + ahead) % entries,
									  old, new, entries));
				KUNIT_ASSERT_FALSE(test,
						   aipu_event_passed(entries, old, new, entries));
				KUNIT_ASSERT_FALSE(test, aipu_event_passed(AIPU_SHADOW_AWAKE, old,
									   new, entries));
			}
		}
	}
}

static struct kunit_case ring_cases[] = { KUNIT_CASE(ring_has_room_for_its_jobs),
					  KUNIT_CASE(places_follow_one_another),
					  KUNIT_CASE(ids_differ_for_as_long_as_they_can),
					  KUNIT_CASE(any_id_is_in_the_ring),
					  KUNIT_CASE(used_places_are_counted),
					  KUNIT_CASE(heads_are_believed_within_the_ring),
					  KUNIT_CASE(windows_hold_one_job_less_than_places),
					  KUNIT_CASE(phases_tell_new_from_old),
					  KUNIT_CASE(completions_have_places),
					  KUNIT_CASE(events_are_passed_once),
					  {} };

static struct kunit_suite ring_suite = {
	.name = "aipu_ring",
	.test_cases = ring_cases,
};

kunit_test_suite(ring_suite);

MODULE_DESCRIPTION("What the AIPU driver computes without a card");
MODULE_LICENSE("GPL");
