// SPDX-License-Identifier: GPL-2.0
/*
 * Registers, doorbell pages, capability bits and versions: their values against numbers written down
 * here once more, and that no two of them meet. Part of the KUnit module of the contract.
 */
#include <kunit/test.h>

#include "aipu_registers.h"
#include "aipu_types.h"

#define REGISTER(name, due)                 \
	{                                   \
#name, AIPU_REG_##name, due \
	}

static const struct reg {
	const char *name;
	u32 is;
	u32 due;
} regs[] = {
	REGISTER(MAGIC, 0x000),
	REGISTER(ABI_NEWEST, 0x004),
	REGISTER(ABI_OLDEST, 0x008),
	REGISTER(BOARD_ID, 0x00c),
	REGISTER(FIRMWARE_VERSION, 0x010),
	REGISTER(ROLLBACK, 0x014),
	REGISTER(SERIAL_LO, 0x018),
	REGISTER(SERIAL_HI, 0x01c),
	REGISTER(CAP_LO, 0x040),
	REGISTER(CAP_HI, 0x044),
	REGISTER(CAP_OPS_LO, 0x048),
	REGISTER(CAP_OPS_HI, 0x04c),
	REGISTER(CAP_FORMATS_LO, 0x050),
	REGISTER(CAP_FORMATS_HI, 0x054),
	REGISTER(CAP_KV_FORMATS, 0x058),
	REGISTER(CAP_KV_KINDS, 0x05c),
	REGISTER(CAP_NUMERICS, 0x060),
	REGISTER(CAP_LAYOUTS, 0x064),
	REGISTER(CAP_ACTIVATIONS, 0x068),
	REGISTER(MEMORY_LO, 0x080),
	REGISTER(MEMORY_HI, 0x084),
	REGISTER(CORES, 0x088),
	REGISTER(MAX_QUEUES, 0x08c),
	REGISTER(MAX_QUEUE_ENTRIES, 0x090),
	REGISTER(MAX_CONTEXTS, 0x094),
	REGISTER(MAX_SEGMENTS, 0x098),
	REGISTER(MAX_PROGRAMS, 0x09c),
	REGISTER(MAX_LANES, 0x0a0),
	REGISTER(VECTORS, 0x0a4),
	REGISTER(READY_TIMEOUT_MS, 0x0a8),
	REGISTER(MAX_PROGRAM_BYTES, 0x0ac),
	REGISTER(MAX_EXTENTS, 0x0b0),
	REGISTER(CONTROL, 0x0c0),
	REGISTER(STATUS, 0x0c4),
	REGISTER(ERROR, 0x0c8),
	REGISTER(HOST_ABI_OLDEST, 0x0cc),
	REGISTER(HOST_ABI_NEWEST, 0x0d0),
	REGISTER(ABI_IN_USE, 0x0d4),
	REGISTER(RESET_COUNT, 0x0d8),
	REGISTER(BOOT_ADDRESS_LO, 0x100),
	REGISTER(BOOT_ADDRESS_HI, 0x104),
	REGISTER(BOOT_BYTES, 0x108),
	REGISTER(BOOT_COMMAND, 0x10c),
	REGISTER(ADMIN_SQ_LO, 0x140),
	REGISTER(ADMIN_SQ_HI, 0x144),
	REGISTER(ADMIN_CQ_LO, 0x148),
	REGISTER(ADMIN_CQ_HI, 0x14c),
	REGISTER(ADMIN_ENTRIES, 0x150),
	REGISTER(ADMIN_VECTOR, 0x154),
	REGISTER(HEARTBEAT, 0x180),
	REGISTER(TEMPERATURE, 0x184),
	REGISTER(POWER, 0x188),
	REGISTER(CLOCK, 0x18c),
	REGISTER(STEPS, 0x190),
	REGISTER(LONGEST_STEP_US, 0x194),
	REGISTER(BUSY_US_LO, 0x198),
	REGISTER(BUSY_US_HI, 0x19c),
	REGISTER(RESCUES, 0x1a0),
};

static void registers_have_their_offsets(struct kunit *test)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(regs); i++)
		KUNIT_EXPECT_EQ_MSG(test, regs[i].is, regs[i].due, "%s", regs[i].name);
}

static void registers_are_aligned_and_distinct(struct kunit *test)
{
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(regs); i++) {
		KUNIT_EXPECT_EQ_MSG(test, regs[i].is % 4, 0, "%s", regs[i].name);
		KUNIT_EXPECT_LT_MSG(test, regs[i].is, AIPU_PAGE_BYTES, "%s", regs[i].name);
		for (j = 0; j < i; j++)
			KUNIT_EXPECT_NE_MSG(test, regs[i].is, regs[j].is, "%s and %s", regs[i].name,
					    regs[j].name);
	}
}

/* Low half first, then the high one. */
static void halves_are_neighbours(struct kunit *test)
{
	size_t i, pairs = 0;

	for (i = 0; i + 1 < ARRAY_SIZE(regs); i++) {
		size_t n = strlen(regs[i].name);

		if (n < 3 || strcmp(regs[i].name + n - 3, "_LO"))
			continue;
		pairs++;
		KUNIT_EXPECT_EQ_MSG(test, regs[i].is % 8, 0, "%s", regs[i].name);
		KUNIT_EXPECT_EQ_MSG(test, regs[i + 1].is, regs[i].is + 4, "%s", regs[i].name);
		KUNIT_EXPECT_EQ(test, strncmp(regs[i].name, regs[i + 1].name, n - 2), 0);
	}
	KUNIT_EXPECT_EQ(test, pairs, 9);
}

#define CAPABILITY(name, due)               \
	{                                   \
#name, AIPU_CAP_##name, due \
	}

static const struct capability {
	const char *name;
	u64 is;
	int bit;
} capabilities[] = {
	CAPABILITY(UMA, 0),
	CAPABILITY(SHADOW_DOORBELLS, 1),
	CAPABILITY(COPY_DIGEST, 2),
	CAPABILITY(LANE_REFILL, 3),
	CAPABILITY(PENALTIES, 4),
	CAPABILITY(LOGIT_BIAS, 5),
	CAPABILITY(TOKEN_BITMAP, 6),
	CAPABILITY(LOGPROBS, 7),
	CAPABILITY(INDEXED_OPERANDS, 8),
	CAPABILITY(PEER_SEGMENTS, 9),
	CAPABILITY(COLLECTIVES, 10),
	CAPABILITY(SLIDING_WINDOW, 11),
	CAPABILITY(SOFT_CAP, 12),
	CAPABILITY(TREE_MASK, 13),
	CAPABILITY(MATMUL_BIAS, 14),
	CAPABILITY(HEAD_NORM, 15),
	CAPABILITY(ROPE_FREQUENCIES, 16),
	CAPABILITY(GELU, 17),
	CAPABILITY(PRIORITIES, 18),
	CAPABILITY(PARTIAL_ROTARY, 19),
	CAPABILITY(EMBEDDINGS_IN, 20),
	CAPABILITY(COALESCING, 21),
	CAPABILITY(SINKS, 22),
};

static void capabilities_have_their_bits(struct kunit *test)
{
	u64 all = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(capabilities); i++) {
		KUNIT_EXPECT_EQ_MSG(test, capabilities[i].is, 1ull << capabilities[i].bit, "%s",
				    capabilities[i].name);
		KUNIT_EXPECT_EQ_MSG(test, all & capabilities[i].is, 0, "%s", capabilities[i].name);
		all |= capabilities[i].is;
	}
}

static void control_and_status_bits(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, AIPU_CONTROL_ENABLE, 1);
	KUNIT_EXPECT_EQ(test, AIPU_CONTROL_RESET, 2);
	KUNIT_EXPECT_EQ(test, AIPU_STATUS_STATE_MASK, 0xf);
	KUNIT_EXPECT_EQ(test, AIPU_STATUS_IDLE, 0x10);
	KUNIT_EXPECT_EQ(test, AIPU_STATE_ROM, 0);
	KUNIT_EXPECT_EQ(test, AIPU_STATE_LOADING, 1);
	KUNIT_EXPECT_EQ(test, AIPU_STATE_RUNNING, 2);
	KUNIT_EXPECT_EQ(test, AIPU_STATE_READY, 3);
	KUNIT_EXPECT_EQ(test, AIPU_STATE_FAILED, 4);
	KUNIT_EXPECT_EQ(test, AIPU_STATE_RESETTING, 5);
	KUNIT_EXPECT_EQ(test, AIPU_BOOT_LOAD, 1);
}

static void identity(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, AIPU_PCI_VENDOR_ID, 0x1af4);
	KUNIT_EXPECT_EQ(test, AIPU_PCI_DEVICE_ID, 0x10f0);
	KUNIT_EXPECT_EQ(test, AIPU_PCI_CLASS, 0x120000);
	KUNIT_EXPECT_EQ(test, AIPU_BAR_REGISTERS, 0);
	KUNIT_EXPECT_EQ(test, AIPU_BAR_MEMORY, 2);
	/* The letters in the order in which they lie in memory. */
	KUNIT_EXPECT_EQ(test, AIPU_MAGIC, 'A' | 'I' << 8 | 'P' << 16 | 'U' << 24);
}

/* One page of registers, one for each queue from the admin queue on, and the last ends the BAR. */
static void doorbell_pages(struct kunit *test)
{
	static const u32 counts[] = { 1, 8, 16, 64, 255 };
	size_t i;

	KUNIT_EXPECT_EQ(test, AIPU_PAGE_BYTES, 4096);
	KUNIT_EXPECT_EQ(test, AIPU_DOORBELL_PAGE(0), 4096);
	KUNIT_EXPECT_EQ(test, AIPU_DOORBELL_PAGE(1), 8192);
	KUNIT_EXPECT_EQ(test, AIPU_DOORBELL_PAGE(16), 17 * 4096);
	KUNIT_EXPECT_EQ(test, AIPU_DOORBELL_PAGE(1 + 1), 12288);
	KUNIT_EXPECT_EQ(test, AIPU_BAR0_BYTES(16), 18 * 4096);
	for (i = 0; i < ARRAY_SIZE(counts); i++)
		KUNIT_EXPECT_EQ(test, AIPU_BAR0_BYTES(counts[i]),
				AIPU_DOORBELL_PAGE(counts[i]) + AIPU_PAGE_BYTES);
	KUNIT_EXPECT_EQ(test, AIPU_DOORBELL_SQ_TAIL, 0);
	KUNIT_EXPECT_EQ(test, AIPU_DOORBELL_CQ_HEAD, 4);
	KUNIT_EXPECT_EQ(test, AIPU_DOORBELL_KICK, 8);
}

static void versions(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, AIPU_ABI_VERSION(1, 2), 0x00010002);
	KUNIT_EXPECT_EQ(test, AIPU_ABI_VERSION(0xffff, 0xffff), 0xffffffff);
	KUNIT_EXPECT_EQ(test, AIPU_ABI_MAJOR(0x12345678), 0x1234);
	KUNIT_EXPECT_EQ(test, AIPU_ABI_MINOR(0x12345678), 0x5678);
	KUNIT_EXPECT_EQ(test, AIPU_ABI_CURRENT, 0x00010000);
	KUNIT_EXPECT_LE(test, AIPU_ABI_OLDEST, AIPU_ABI_CURRENT);
	KUNIT_EXPECT_EQ(test, AIPU_ABI_MAJOR(AIPU_ABI_OLDEST), AIPU_ABI_MAJOR(AIPU_ABI_CURRENT));
}

static struct kunit_case registers_cases[] = { KUNIT_CASE(registers_have_their_offsets),
					       KUNIT_CASE(registers_are_aligned_and_distinct),
					       KUNIT_CASE(halves_are_neighbours),
					       KUNIT_CASE(capabilities_have_their_bits),
					       KUNIT_CASE(control_and_status_bits),
					       KUNIT_CASE(identity),
					       KUNIT_CASE(doorbell_pages),
					       KUNIT_CASE(versions),
					       {} };

static struct kunit_suite registers_suite = {
	.name = "aipu_registers",
	.test_cases = registers_cases,
};

kunit_test_suite(registers_suite);
