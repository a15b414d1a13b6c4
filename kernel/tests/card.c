// SPDX-License-Identifier: GPL-2.0
/*
 * What the driver makes of a card's words (aipu_check.h): ranges of versions and limits, also those
 * that no card in its senses would report; values of telemetry; what is said of a flash; the word
 * of a completion. Part of aipu_driver_kunit.ko.
 */
#include <kunit/test.h>

#include "aipu_check.h"

#define V(major, minor) AIPU_ABI_VERSION(major, minor)

static const struct version_case {
	u32 oldest, newest, card_oldest, card_newest;
	int error;
	u32 version;
} version_cases[] = {
	{ V(1, 0), V(1, 0), V(1, 0), V(1, 0), 0, V(1, 0) },
	{ V(0, 9), V(1, 4), V(0, 9), V(1, 4), 0, V(1, 4) },
	/* The newest that both know */
	{ V(1, 0), V(1, 4), V(1, 2), V(1, 3), 0, V(1, 3) },
	{ V(1, 2), V(1, 3), V(1, 0), V(1, 4), 0, V(1, 3) },
	{ V(1, 0), V(1, 4), V(1, 4), V(2, 0), 0, V(1, 4) },
	{ V(1, 4), V(2, 0), V(1, 0), V(1, 4), 0, V(1, 4) },
	{ V(1, 0), V(1, 0), 0, U32_MAX, 0, V(1, 0) },
	/* The card's are too old, by as little as possible, and by as much */
	{ V(1, 1), V(1, 4), V(0, 1), V(1, 0), -EPROTO, 0 },
	{ V(1, 0), V(1, 0), V(0, 0xffff), V(0, 0xffff), -EPROTO, 0 },
	{ V(1, 0), V(1, 4), 0, 0, -EPROTO, 0 },
	/* Too new */
	{ V(1, 0), V(1, 4), V(1, 5), V(1, 5), -EPROTONOSUPPORT, 0 },
	{ V(0, 9), V(0, 9), V(1, 0), V(1, 0), -EPROTONOSUPPORT, 0 },
	{ V(1, 0), V(1, 0xffff), V(2, 0), V(2, 0), -EPROTONOSUPPORT, 0 },
	{ V(1, 0), V(1, 4), U32_MAX, U32_MAX, -EPROTONOSUPPORT, 0 },
	/* No range, though both ends are within ours, or one is */
	{ V(1, 0), V(1, 4), V(1, 3), V(1, 2), -EIO, 0 },
	{ V(1, 0), V(1, 4), U32_MAX, V(1, 2), -EIO, 0 },
	{ V(1, 0), V(1, 4), U32_MAX, 0, -EIO, 0 },
};

static void versions_are_negotiated(struct kunit *test)
{
	for (size_t i = 0; i < ARRAY_SIZE(version_cases); i++) {
		const struct version_case *c = &version_cases[i];
		u32 version = 0;

		KUNIT_EXPECT_EQ_MSG(test,
				    aipu_version_choose(c->oldest, c->newest, c->card_oldest,
							c->card_newest, &version),
				    c->error, "case %zu", i);
		KUNIT_EXPECT_EQ_MSG(test, version, c->version, "case %zu", i);
	}
}

static void own_versions_are_a_range(struct kunit *test)
{
	u32 version = 0;

	KUNIT_EXPECT_EQ(test,
			aipu_version_choose(AIPU_ABI_OLDEST, AIPU_ABI_CURRENT, AIPU_ABI_OLDEST,
					    AIPU_ABI_CURRENT, &version),
			0);
	KUNIT_EXPECT_EQ(test, version, AIPU_ABI_CURRENT);
}

/* A card that is as large as the driver takes it */
static const struct aipu_limits large = {
	.memory_bytes = SZ_1G,
	.max_queues = AIPU_MAX_QUEUES,
	.max_queue_entries = AIPU_MAX_ENTRIES,
	.max_contexts = AIPU_MAX_CONTEXTS,
	.max_segments = AIPU_MAX_SEGMENTS,
	.max_programs = AIPU_MAX_PROGRAMS,
	.max_extents = AIPU_MAX_EXTENTS,
	.vectors = 2,
};

#define LIMIT(field, value, due)                                                   \
	{                                                                          \
#field " " #value, offsetof(struct aipu_limits, field), value, due \
	}

/* One of `large` is another; what it is cut to, 0: the card is refused */
static const struct limit_case {
	const char *name;
	size_t offset;
	u32 value;
	u32 due;
} limit_cases[] = {
	LIMIT(max_queues, 0, 0),
	LIMIT(max_queues, 1, 1),
	LIMIT(max_queues, AIPU_MAX_QUEUES + 1, AIPU_MAX_QUEUES),
	LIMIT(max_queues, U32_MAX, AIPU_MAX_QUEUES),
	LIMIT(max_queue_entries, 0, 0),
	LIMIT(max_queue_entries, 1, 0),
	LIMIT(max_queue_entries, 2, 2),
	LIMIT(max_queue_entries, 3, 0),
	LIMIT(max_queue_entries, 6, 0),
	LIMIT(max_queue_entries, 4095, 0),
	LIMIT(max_queue_entries, 8192, AIPU_MAX_ENTRIES),
	LIMIT(max_queue_entries, BIT(31), AIPU_MAX_ENTRIES),
	LIMIT(max_queue_entries, U32_MAX, AIPU_MAX_ENTRIES),
	LIMIT(max_contexts, 0, 0),
	LIMIT(max_contexts, 1, 1),
	LIMIT(max_contexts, U32_MAX, AIPU_MAX_CONTEXTS),
	LIMIT(max_segments, 0, 0),
	LIMIT(max_segments, 1, 0),
	LIMIT(max_segments, 2, 2),
	LIMIT(max_segments, U32_MAX, AIPU_MAX_SEGMENTS),
	LIMIT(max_programs, 0, 0),
	LIMIT(max_programs, U32_MAX, AIPU_MAX_PROGRAMS),
	LIMIT(max_extents, 0, 0),
	LIMIT(max_extents, 1, 1),
	LIMIT(max_extents, U32_MAX, AIPU_MAX_EXTENTS),
	LIMIT(vectors, 0, 0),
	LIMIT(vectors, U32_MAX, U32_MAX),
};

static void limits_are_cut_or_refused(struct kunit *test)
{
	for (size_t i = 0; i < ARRAY_SIZE(limit_cases); i++) {
		const struct limit_case *c = &limit_cases[i];
		struct aipu_limits limits = large;
		u32 *field = (void *)&limits + c->offset;
		const char *wrong;

		*field = c->value;
		wrong = aipu_limits_check(&limits, AIPU_BAR0_BYTES(AIPU_MAX_QUEUES), SZ_1G);
		if (!c->due) {
			KUNIT_EXPECT_NOT_NULL_MSG(test, wrong, "%s", c->name);
			continue;
		}
		KUNIT_EXPECT_NULL_MSG(test, wrong, "%s: %s", c->name, wrong);
		KUNIT_EXPECT_EQ_MSG(test, *field, c->due, "%s", c->name);
		/* Nothing else changed. */
		*field = *(u32 *)((void *)&large + c->offset);
		KUNIT_EXPECT_MEMEQ(test, &limits, &large, sizeof(limits));
	}
}

/* Every doorbell page of a queue that may be made is within BAR0. */
static void doorbells_are_within_bar0(struct kunit *test)
{
	static const u64 sizes[] = { AIPU_BAR0_BYTES(1),
				     AIPU_BAR0_BYTES(2) - 1,
				     AIPU_BAR0_BYTES(2),
				     AIPU_BAR0_BYTES(AIPU_MAX_QUEUES) - 1,
				     AIPU_BAR0_BYTES(AIPU_MAX_QUEUES),
				     SZ_1G,
				     BIT_ULL(44),
				     BIT_ULL(44) + SZ_8K,
				     U64_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct aipu_limits limits = large;

		KUNIT_EXPECT_NULL(test, aipu_limits_check(&limits, sizes[i], SZ_1G));
		KUNIT_EXPECT_GE(test, limits.max_queues, 1);
		KUNIT_EXPECT_LE_MSG(test,
				    AIPU_DOORBELL_PAGE(limits.max_queues) + (u64)AIPU_PAGE_BYTES,
				    sizes[i], "BAR0 of %llx", sizes[i]);
		/* And not one fewer than could be. */
		KUNIT_EXPECT_EQ(test, limits.max_queues,
				min(sizes[i] / AIPU_PAGE_BYTES - 2, (u64)AIPU_MAX_QUEUES));
	}
	for (u64 size = 0; size < AIPU_BAR0_BYTES(1); size += 1023) {
		struct aipu_limits limits = large;

		KUNIT_EXPECT_NOT_NULL_MSG(test, aipu_limits_check(&limits, size, SZ_1G), "%llu",
					  size);
	}
}

static void memory_is_within_bar2(struct kunit *test)
{
	static const struct {
		u64 reported, bar, due; /* 0: refused */
	} cases[] = {
		{ SZ_1G, SZ_1G, SZ_1G },
		{ SZ_2G, SZ_1G, SZ_1G },
		{ U64_MAX, SZ_1G, SZ_1G },
		{ U64_MAX, U64_MAX, round_down(U64_MAX, PAGE_SIZE) },
		{ SZ_1M, SZ_1G, SZ_1M },
		{ SZ_1M + PAGE_SIZE - 1, SZ_1G, SZ_1M },
		{ PAGE_SIZE, SZ_1G, PAGE_SIZE },
		{ PAGE_SIZE - 1, SZ_1G, 0 },
		{ 0, SZ_1G, 0 },
		{ SZ_1G, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct aipu_limits limits = large;
		const char *wrong;

		limits.memory_bytes = cases[i].reported;
		wrong = aipu_limits_check(&limits, AIPU_BAR0_BYTES(1), cases[i].bar);
		KUNIT_EXPECT_EQ_MSG(test, !wrong, !!cases[i].due, "case %zu", i);
		if (!wrong)
			KUNIT_EXPECT_EQ_MSG(test, limits.memory_bytes, cases[i].due, "case %zu", i);
	}
}

static void values_are_numbers_or_unknown(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, aipu_value(0), 0);
	KUNIT_EXPECT_EQ(test, aipu_value(U32_MAX - 1), 0xfffffffell);
	KUNIT_EXPECT_EQ(test, aipu_value(U32_MAX), DRM_AIPU_UNKNOWN);
	KUNIT_EXPECT_EQ(test, aipu_signed_value(25000), 25000);
	KUNIT_EXPECT_EQ(test, aipu_signed_value(-25000), -25000);
	KUNIT_EXPECT_EQ(test, aipu_signed_value(BIT(31)), S32_MIN);
	KUNIT_EXPECT_EQ(test, aipu_signed_value(U32_MAX), DRM_AIPU_UNKNOWN);
	KUNIT_EXPECT_EQ(test, aipu_counter_value(U32_MAX), 0xffffffffll);
	KUNIT_EXPECT_EQ(test, aipu_counter_value(S64_MAX), S64_MAX);
	KUNIT_EXPECT_EQ(test, aipu_counter_value(S64_MAX + 1ull), DRM_AIPU_UNKNOWN);
	KUNIT_EXPECT_EQ(test, aipu_counter_value(U64_MAX), DRM_AIPU_UNKNOWN);
	KUNIT_EXPECT_EQ(test, aipu_value_in(75000, 1000), 75000000);
	KUNIT_EXPECT_EQ(test, aipu_value_in(U32_MAX, U32_MAX), DRM_AIPU_UNKNOWN);
	KUNIT_EXPECT_EQ(test, aipu_value_in(DRM_AIPU_UNKNOWN, 1000), DRM_AIPU_UNKNOWN);
	KUNIT_EXPECT_EQ(test, aipu_value_in(DRM_AIPU_UNKNOWN, 0), DRM_AIPU_UNKNOWN);
	KUNIT_EXPECT_LT(test, DRM_AIPU_UNKNOWN, -S64_MAX);
}

static void what_is_shown_never_goes_back(struct kunit *test)
{
	static const s64 values[] = { 0, 5, 4, 5, 6, -1, S64_MIN, 6, S64_MAX };
	static const s64 due[] = { 0, 5, 5, 5, 6, 6, 6, 6, S64_MAX };
	atomic64_t most = ATOMIC64_INIT(0);

	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		KUNIT_EXPECT_EQ_MSG(test, aipu_never_back(&most, values[i]), due[i], "step %zu", i);
}

static void flash_texts_end_and_pieces_fit(struct kunit *test)
{
	struct aipu_flash_info *info = kunit_kmalloc(test, sizeof(*info), GFP_KERNEL);
	static const u32 chunks[] = { 0, 1, SZ_64K, SZ_64K + 1, U32_MAX };

	KUNIT_ASSERT_NOT_NULL(test, info);
	for (size_t i = 0; i < ARRAY_SIZE(chunks); i++) {
		memset(info, 'x', sizeof(*info));
		info->chunk_bytes = cpu_to_le32(chunks[i]);
		aipu_flash_info_mask(info);
		KUNIT_EXPECT_EQ(test, le32_to_cpu(info->chunk_bytes),
				min_t(u32, chunks[i], SZ_64K));
		for (size_t j = 0; j < ARRAY_SIZE(info->slots); j++)
			KUNIT_EXPECT_EQ(test, strnlen(info->slots[j].build, 64), 63);
		/* And nothing else */
		KUNIT_EXPECT_EQ(test, info->slots[0].digest[0], 'x');
		KUNIT_EXPECT_EQ(test, info->reserved[0], 'x');
	}
}

/* All bits of a status come through, and as many of a time as there is room for, into none else. */
static void completions_fit_in_a_word(struct kunit *test)
{
	static const u16 statuses[] = { 0, 1, 0x7fff, U16_MAX };
	static const u64 values[] = { 0, 1, U32_MAX, BIT_ULL(48) - 1, BIT_ULL(48), U64_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(values); j++) {
			u64 word = AIPU_URING_WORD(statuses[i], values[j]);

			KUNIT_EXPECT_EQ(test, AIPU_URING_STATUS(word), statuses[i]);
			KUNIT_EXPECT_EQ(test, AIPU_URING_TIME_NS(word),
					values[j] & (BIT_ULL(48) - 1));
			KUNIT_EXPECT_EQ(test, AIPU_URING_DETAIL(word), (u32)values[j]);
		}
	}
}

static struct kunit_case card_cases[] = {
	KUNIT_CASE(versions_are_negotiated),	   KUNIT_CASE(own_versions_are_a_range),
	KUNIT_CASE(limits_are_cut_or_refused),	   KUNIT_CASE(doorbells_are_within_bar0),
	KUNIT_CASE(memory_is_within_bar2),	   KUNIT_CASE(values_are_numbers_or_unknown),
	KUNIT_CASE(what_is_shown_never_goes_back), KUNIT_CASE(flash_texts_end_and_pieces_fit),
	KUNIT_CASE(completions_fit_in_a_word),	   {}
};

static struct kunit_suite card_suite = {
	.name = "aipu_card",
	.test_cases = card_cases,
};

kunit_test_suite(card_suite);
