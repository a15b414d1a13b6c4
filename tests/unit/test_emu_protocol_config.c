// SPDX-License-Identifier: MIT
/*
 * aipu-emu's PCI function as configuration space and BARs show it: identity, BARs, capabilities, what can be written and
 * what a reset leaves.
 */
#include "bench.h"
#include "emu_test.h"

#include <linux/pci_regs.h>
#include <stdio.h>

#include "aipu-emu/emu.h"

#define QUEUES 4u
#define VECTORS 8u
#define MEMORY_BYTES (64ull << 20)
#define SERIAL 0x123456789abcdef0ull
#define SERIAL_TEXT "1311768467463790320"
#define BAR4 VFIO_PCI_BAR4_REGION_INDEX

static int group_setup(void **state)
{
	return emu_group_setup_with(state, (const char *const[]){ "--memory", "64M", "--queues",
								  "4", "--vectors", "8", "--serial",
								  SERIAL_TEXT, NULL });
}

static uint32_t get(void **state, uint32_t at, uint32_t bytes)
{
	struct emu_fixture *f = *state;

	return client_config(&f->client, at, bytes);
}

static void set(void **state, uint32_t at, uint32_t bytes, uint32_t value)
{
	struct emu_fixture *f = *state;

	assert_int_equal(client_set_config(&f->client, at, bytes, value), 0);
}

/* The offset of a capability, 0 if there is none. Each is visited once, aligned, behind the header. */
static uint32_t capability(void **state, uint32_t id)
{
	uint32_t at = get(state, PCI_CAPABILITY_LIST, 1), found = 0;
	uint32_t seen[64] = { 0 };

	assert_true(get(state, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
	while (at) {
		assert_true(at >= 0x40 && at % 4 == 0);
		assert_int_equal(seen[at / 4]++, 0);
		if (get(state, at, 1) == id)
			found = at;
		at = get(state, at + 1, 1);
	}
	return found;
}

static uint32_t extended(void **state, uint32_t id)
{
	uint32_t at = 0x100, found = 0, header;

	while (at) {
		assert_true(at >= 0x100 && at % 4 == 0);
		header = get(state, at, 4);
		if (PCI_EXT_CAP_ID(header) == id)
			found = at;
		/* In ascending order, so that it ends */
		assert_true(!PCI_EXT_CAP_NEXT(header) || PCI_EXT_CAP_NEXT(header) > at);
		at = PCI_EXT_CAP_NEXT(header);
	}
	return found;
}

/* --- [PCI-1] what it is ----------------------------------------------------------------------------------- */

static void test_identity(void **state)
{
	assert_int_equal(get(state, PCI_VENDOR_ID, 2), AIPU_PCI_VENDOR_ID);
	assert_int_equal(get(state, PCI_DEVICE_ID, 2), AIPU_PCI_DEVICE_ID);
	assert_int_equal(get(state, PCI_CLASS_REVISION, 4) >> 8, AIPU_PCI_CLASS);
	assert_int_equal(get(state, PCI_HEADER_TYPE, 1), PCI_HEADER_TYPE_NORMAL);
	assert_int_equal(get(state, PCI_INTERRUPT_PIN, 1), 0);
	assert_int_equal(get(state, PCI_ROM_ADDRESS, 4), 0);
	assert_int_equal(get(state, PCI_COMMAND, 2), 0);
	/* Read only, all of it */
	for (uint32_t at = 0; at < PCI_BASE_ADDRESS_0; at += 4) {
		const uint32_t before = get(state, at, 4);

		if (at == PCI_COMMAND || at == PCI_CACHE_LINE_SIZE)
			continue;
		set(state, at, 4, ~before);
		assert_int_equal(get(state, at, 4), before);
	}
}

/* The size that all ones show; the BAR keeps what is written to its address bits. */
static uint64_t bar_size(void **state, unsigned int bar, uint32_t *type)
{
	const uint32_t at = PCI_BASE_ADDRESS_0 + 4 * bar;
	uint64_t mask;

	*type = get(state, at, 4) & 0xf;
	set(state, at, 4, ~0u);
	mask = get(state, at, 4) & ~0xfu;
	assert_int_equal(get(state, at, 4) & 0xf, *type);
	if (*type & PCI_BASE_ADDRESS_MEM_TYPE_64) {
		set(state, at + 4, 4, ~0u);
		mask |= (uint64_t)get(state, at + 4, 4) << 32;
		set(state, at + 4, 4, 0);
	} else if (mask) {
		mask |= 0xffffffffull << 32;
	}
	set(state, at, 4, 0);
	return mask ? ~mask + 1 : 0;
}

/* [PCI-1] BARs are as large as the regions, of the kinds that the contract names, and take addresses. */
static void test_bars(void **state)
{
	struct emu_fixture *f = *state;
	struct vfio_region_info info;
	uint32_t type;

	for (unsigned int bar = 0; bar < 6; bar++) {
		uint64_t size;

		if (bar == 3)
			continue; /* the upper half of BAR2 */
		size = bar_size(state, bar, &type);
		assert_int_equal(client_region_info(&f->client, bar, &info, NULL), 0);
		assert_true(size == info.size);
		if (bar == AIPU_BAR_REGISTERS) {
			assert_true(size >= AIPU_BAR0_BYTES(QUEUES));
			assert_false(type & PCI_BASE_ADDRESS_MEM_PREFETCH);
		} else if (bar == AIPU_BAR_MEMORY) {
			assert_true(size == MEMORY_BYTES);
			assert_int_equal(type, PCI_BASE_ADDRESS_MEM_TYPE_64 |
						       PCI_BASE_ADDRESS_MEM_PREFETCH);
		}
		assert_false(type & PCI_BASE_ADDRESS_SPACE_IO);
	}
	set(state, PCI_BASE_ADDRESS_2, 4, 0x0c000123);
	set(state, PCI_BASE_ADDRESS_3, 4, 0x00000045);
	assert_int_equal(get(state, PCI_BASE_ADDRESS_2, 4), 0x0c00000c);
	assert_int_equal(get(state, PCI_BASE_ADDRESS_3, 4), 0x45);
	/* In bytes, too */
	set(state, PCI_BASE_ADDRESS_2 + 3, 1, 0x14);
	assert_int_equal(get(state, PCI_BASE_ADDRESS_2, 4), 0x1400000c);
}

/* --- capabilities ----------------------------------------------------------------------------------------- */

static void test_power_management(void **state)
{
	const uint32_t at = capability(state, PCI_CAP_ID_PM);

	assert_true(at);
	assert_int_equal(get(state, at + PCI_PM_PMC, 2) & PCI_PM_CAP_VER_MASK, 3);
	assert_int_equal(get(state, at + PCI_PM_CTRL, 2) & PCI_PM_CTRL_STATE_MASK, 0);
	set(state, at + PCI_PM_CTRL, 2, 3);
	assert_int_equal(get(state, at + PCI_PM_CTRL, 2) & PCI_PM_CTRL_STATE_MASK, 3);
	/* D1 and D2 are not there */
	set(state, at + PCI_PM_CTRL, 2, 1);
	assert_int_equal(get(state, at + PCI_PM_CTRL, 2) & PCI_PM_CTRL_STATE_MASK, 3);
	set(state, at + PCI_PM_CTRL, 2, 0);
	assert_int_equal(get(state, at + PCI_PM_CTRL, 2) & PCI_PM_CTRL_STATE_MASK, 0);
	assert_true(get(state, at + PCI_PM_CTRL, 2) & PCI_PM_CTRL_NO_SOFT_RESET);
}

static void test_express(void **state)
{
	const uint32_t at = capability(state, PCI_CAP_ID_EXP);
	uint32_t flags;

	assert_true(at);
	flags = get(state, at + PCI_EXP_FLAGS, 2);
	assert_int_equal((flags & PCI_EXP_FLAGS_TYPE) >> 4, PCI_EXP_TYPE_ENDPOINT);
	assert_int_equal(flags & PCI_EXP_FLAGS_VERS, 2);
	assert_true(get(state, at + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR);
	/* The link is as wide and fast as it can be */
	assert_int_equal(
		get(state, at + PCI_EXP_LNKSTA, 2) & (PCI_EXP_LNKSTA_CLS | PCI_EXP_LNKSTA_NLW),
		get(state, at + PCI_EXP_LNKCAP, 4) & (PCI_EXP_LNKCAP_SLS | PCI_EXP_LNKCAP_MLW));
	assert_true(get(state, at + PCI_EXP_LNKSTA, 2) & PCI_EXP_LNKSTA_NLW);
	/* Read only where a device says what it is */
	set(state, at + PCI_EXP_DEVCAP, 4, 0);
	assert_true(get(state, at + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR);
}

/* [PCI-1] MSI-X with its table in BAR4: as many entries as vectors, masked at first, pending bits read only */
static void test_msix(void **state)
{
	const uint32_t at = capability(state, PCI_CAP_ID_MSIX);
	struct emu_fixture *f = *state;
	struct vfio_region_info info;
	uint32_t table, pending, word;

	assert_true(at);
	assert_int_equal(capability(state, PCI_CAP_ID_MSI), 0);
	assert_int_equal(get(state, at + PCI_MSIX_FLAGS, 2), VECTORS - 1);
	table = get(state, at + PCI_MSIX_TABLE, 4);
	pending = get(state, at + PCI_MSIX_PBA, 4);
	assert_int_equal(table & PCI_MSIX_TABLE_BIR, 4);
	assert_int_equal(pending & PCI_MSIX_PBA_BIR, 4);
	table &= PCI_MSIX_TABLE_OFFSET;
	pending &= PCI_MSIX_PBA_OFFSET;
	assert_int_equal(client_region_info(&f->client, BAR4, &info, NULL), 0);
	assert_true(table + VECTORS * PCI_MSIX_ENTRY_SIZE <= info.size);
	assert_true(pending + 8 <= info.size);
	assert_true(pending >= table + VECTORS * PCI_MSIX_ENTRY_SIZE || table >= pending + 8);
	for (unsigned int i = 0; i < VECTORS; i++) {
		const uint32_t entry = table + i * PCI_MSIX_ENTRY_SIZE;

		assert_int_equal(client_read(&f->client, BAR4, entry + PCI_MSIX_ENTRY_VECTOR_CTRL,
					     &word, 4),
				 0);
		assert_int_equal(word, PCI_MSIX_ENTRY_CTRL_MASKBIT);
		word = 0xfee00000 + i * 16;
		assert_int_equal(client_write(&f->client, BAR4, entry, &word, 4), 0);
		word = 0;
		assert_int_equal(client_read(&f->client, BAR4, entry, &word, 4), 0);
		assert_int_equal(word, 0xfee00000 + i * 16);
	}
	word = ~0u;
	assert_int_equal(client_write(&f->client, BAR4, pending, &word, 4), 0);
	assert_int_equal(client_read(&f->client, BAR4, pending, &word, 4), 0);
	assert_int_equal(word, 0);
	set(state, at + PCI_MSIX_FLAGS, 2, ~0u);
	assert_int_equal(get(state, at + PCI_MSIX_FLAGS, 2),
			 PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL | (VECTORS - 1));
}

/* [PCI-1] MSI instead: eight messages at a 64-bit address, no table, and no more enabled than there are */
static void test_msi(void **state)
{
	const uint32_t at = capability(state, PCI_CAP_ID_MSI);
	struct emu_fixture *f = *state;
	struct vfio_region_info info;
	struct vfio_irq_info irq;
	uint32_t flags;

	assert_true(at);
	assert_int_equal(capability(state, PCI_CAP_ID_MSIX), 0);
	flags = get(state, at + PCI_MSI_FLAGS, 2);
	assert_true(flags & PCI_MSI_FLAGS_64BIT);
	assert_int_equal((flags & PCI_MSI_FLAGS_QMASK) >> 1, 3);
	set(state, at + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE | 3 << 4);
	assert_int_equal(get(state, at + PCI_MSI_FLAGS, 2), flags | PCI_MSI_FLAGS_ENABLE | 3 << 4);
	set(state, at + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE | 5 << 4);
	assert_int_equal(get(state, at + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_QSIZE, 3 << 4);
	set(state, at + PCI_MSI_ADDRESS_LO, 4, ~0u);
	assert_int_equal(get(state, at + PCI_MSI_ADDRESS_LO, 4), ~3u);
	set(state, at + PCI_MSI_DATA_64, 2, 0x4041);
	assert_int_equal(get(state, at + PCI_MSI_DATA_64, 2), 0x4041);
	assert_int_equal(client_region_info(&f->client, BAR4, &info, NULL), 0);
	assert_int_equal(info.size, 0);
	for (uint32_t i = 0; i < VFIO_PCI_NUM_IRQS; i++) {
		assert_int_equal(client_irq_info(&f->client, i, &irq), 0);
		if (i <= VFIO_PCI_MSIX_IRQ_INDEX)
			assert_int_equal(irq.count, i == VFIO_PCI_MSI_IRQ_INDEX ? VECTORS : 0);
	}
}

static void test_error_reporting(void **state)
{
	const uint32_t at = extended(state, PCI_EXT_CAP_ID_ERR);
	const uint32_t unsupported = PCI_ERR_UNC_UNSUP | PCI_ERR_UNC_POISON_TLP;

	assert_true(at);
	assert_true(PCI_EXT_CAP_VER(get(state, at, 4)) >= 1);
	assert_int_equal(get(state, at + PCI_ERR_UNCOR_STATUS, 4), 0);
	assert_int_equal(get(state, at + PCI_ERR_COR_STATUS, 4), 0);
	/* RW1C: a 1 clears, and sets nothing */
	set(state, at + PCI_ERR_UNCOR_STATUS, 4, ~0u);
	assert_int_equal(get(state, at + PCI_ERR_UNCOR_STATUS, 4), 0);
	set(state, at + PCI_ERR_UNCOR_MASK, 4, unsupported);
	assert_int_equal(get(state, at + PCI_ERR_UNCOR_MASK, 4) & unsupported, unsupported);
	set(state, at + PCI_ERR_UNCOR_SEVER, 4, unsupported);
	assert_int_equal(get(state, at + PCI_ERR_UNCOR_SEVER, 4) & unsupported, unsupported);
	set(state, at + PCI_ERR_UNCOR_SEVER, 4, 0);
	assert_int_equal(get(state, at + PCI_ERR_UNCOR_SEVER, 4) & unsupported, 0);
	/* In the header and in the express capability likewise */
	set(state, PCI_STATUS, 2, 0xffff);
	assert_int_equal(get(state, PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
	set(state, capability(state, PCI_CAP_ID_EXP) + PCI_EXP_DEVSTA, 2, 0xffff);
	assert_int_equal(get(state, capability(state, PCI_CAP_ID_EXP) + PCI_EXP_DEVSTA, 2), 0);
}

static void test_serial(void **state)
{
	const uint32_t at = extended(state, PCI_EXT_CAP_ID_DSN);
	struct emu_fixture *f = *state;
	uint64_t serial;

	assert_true(at);
	assert_int_equal(get(state, at + 4, 4), (uint32_t)SERIAL);
	assert_int_equal(get(state, at + 8, 4), (uint32_t)(SERIAL >> 32));
	assert_int_equal(client_read(&f->client, BAR0, AIPU_REG_SERIAL_LO, &serial, 8), 0);
	assert_true(serial == SERIAL);
}

/* The counters' capability is as long as it says, and they count. */
static void test_counters(void **state)
{
	const uint32_t at = extended(state, PCI_EXT_CAP_ID_VNDR);
	struct emu_fixture *f = *state;
	uint64_t counters[EMU_COUNTERS];
	uint32_t word;

	assert_true(at);
	assert_int_equal(PCI_VNDR_HEADER_LEN(get(state, at + PCI_VNDR_HEADER, 4)),
			 8 + sizeof(counters));
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(client_read(&f->client, BAR0, AIPU_REG_MAGIC, &word, 4), 0);
	assert_int_equal(client_read(&f->client, VFIO_PCI_CONFIG_REGION_INDEX, at + 8, counters,
				     sizeof(counters)),
			 0);
	for (unsigned int i = 0; i < EMU_COUNTERS; i++)
		assert_int_equal(counters[i], i == EMU_COUNT_REGISTER_READS ? 10 : 0);
	/* Byte by byte, and not to be written */
	set(state, at + 8 + 8 * EMU_COUNT_REGISTER_READS, 4, 0);
	assert_int_equal(get(state, at + 8 + 8 * EMU_COUNT_REGISTER_READS, 1), 10);
	assert_int_equal(get(state, at + 9 + 8 * EMU_COUNT_REGISTER_READS, 1), 0);
}

/* Every byte of configuration space reads the same in any width, and all ones written anywhere break nothing. */
static void test_all_bytes(void **state)
{
	struct emu_fixture *f = *state;
	uint8_t whole[4096], again[4096];
	const uint32_t devctl = capability(state, PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL;

	assert_int_equal(client_read(&f->client, VFIO_PCI_CONFIG_REGION_INDEX, 0, whole, 4096), 0);
	for (uint32_t at = 0; at < 4096; at++)
		assert_int_equal(get(state, at, 1), whole[at]);
	for (uint32_t at = 0; at < 4096; at += 2)
		assert_int_equal(get(state, at, 2), whole[at] | whole[at + 1] << 8);
	for (uint32_t at = 0; at < 4096; at++) {
		set(state, at, 1, 0xff);
		set(state, at, 1, 0);
	}
	memset(again, 0xff, sizeof(again));
	assert_int_equal(client_write(&f->client, VFIO_PCI_CONFIG_REGION_INDEX, 0, again, 4096), 0);
	/* That was a function-level reset, too: but for what such a one keeps, all is as it was. */
	set(state, devctl, 2, PCI_EXP_DEVCTL_BCR_FLR);
	assert_int_equal(get(state, PCI_COMMAND, 2), 0);
	assert_int_equal(get(state, PCI_BASE_ADDRESS_0, 4) & ~0xfu, 0);
	assert_int_equal(get(state, PCI_VENDOR_ID, 4),
			 AIPU_PCI_DEVICE_ID << 16 | AIPU_PCI_VENDOR_ID);
	client_close(&f->client);
	assert_int_equal(client_open(&f->client, &f->server), 0);
	assert_int_equal(client_read(&f->client, VFIO_PCI_CONFIG_REGION_INDEX, 0, again, 4096), 0);
	assert_memory_equal(whole, again, 4096);
}

/* --- resets ----------------------------------------------------------------------------------------------- */

/* [PCI-2] A function-level reset by a write of Device Control, whatever its width; 1 is never read back. */
static void test_function_level_reset(void **state)
{
	const uint32_t devctl = capability(state, PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL;
	static const struct {
		uint32_t offset, bytes, value;
	} ways[] = {
		{ 0, 2, 0x8000 },
		{ 1, 1, 0x80 },
		{ 0, 4, 0x8000 },
	};
	struct emu_fixture *f = *state;
	uint32_t count, word;

	for (size_t i = 0; i < EMU_COUNT(ways); i++) {
		set(state, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		set(state, PCI_BASE_ADDRESS_0, 4, 0xfe000000);
		set(state, PCI_INTERRUPT_LINE, 1, 11);
		word = 7;
		assert_int_equal(client_write(&f->client, BAR0, AIPU_REG_HOST_ABI_NEWEST, &word, 4),
				 0);
		assert_int_equal(client_read(&f->client, BAR0, AIPU_REG_RESET_COUNT, &count, 4), 0);
		assert_int_equal(count, i);
		set(state, devctl + ways[i].offset, ways[i].bytes, ways[i].value);
		assert_int_equal(get(state, devctl, 2) & PCI_EXP_DEVCTL_BCR_FLR, 0);
		assert_int_equal(get(state, PCI_COMMAND, 2), 0);
		assert_int_equal(get(state, PCI_BASE_ADDRESS_0, 4) & ~0xfu, 0);
		assert_int_equal(get(state, PCI_INTERRUPT_LINE, 1), 0);
		assert_int_equal(client_read(&f->client, BAR0, AIPU_REG_RESET_COUNT, &count, 4), 0);
		assert_int_equal(count, i + 1);
		for (unsigned int ms = 0;; ms++) {
			assert_int_equal(client_read(&f->client, BAR0, AIPU_REG_STATUS, &word, 4),
					 0);
			if ((word & AIPU_STATUS_STATE_MASK) == AIPU_STATE_ROM)
				break;
			assert_true(ms < CLIENT_PATIENCE_MS);
			usleep(1000);
		}
		assert_int_equal(client_read(&f->client, BAR0, AIPU_REG_HOST_ABI_NEWEST, &word, 4),
				 0);
		assert_int_equal(word, 0);
	}
	/* Other bits of the register are no reset. */
	set(state, devctl, 2, 0x7fff);
	assert_int_equal(client_read(&f->client, BAR0, AIPU_REG_RESET_COUNT, &count, 4), 0);
	assert_int_equal(count, EMU_COUNT(ways));
}

/* The errors that were seen outlive a function-level reset, as those of a real card. */
static void test_sticky_bits(void **state)
{
	const uint32_t devctl = capability(state, PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL;
	const uint32_t mask = extended(state, PCI_EXT_CAP_ID_ERR) + PCI_ERR_COR_MASK;

	set(state, mask, 4, PCI_ERR_COR_RCVR);
	set(state, devctl, 2, PCI_EXP_DEVCTL_BCR_FLR);
	assert_int_equal(get(state, mask, 4), PCI_ERR_COR_RCVR);
}

/* As after power-on, sticky bits too: it stands for a reset of the bus. */
static void test_device_reset(void **state)
{
	const uint32_t mask = extended(state, PCI_EXT_CAP_ID_ERR) + PCI_ERR_COR_MASK;
	struct emu_fixture *f = *state;
	const uint32_t before = get(state, mask, 4);

	set(state, mask, 4, PCI_ERR_COR_RCVR);
	set(state, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assert_int_equal(client_call(&f->client, VFU_DEVICE_RESET, NULL, 0, NULL, 0), 0);
	assert_int_equal(get(state, mask, 4), before);
	assert_int_equal(get(state, PCI_COMMAND, 2), 0);
}

static int setup_msi(void **state)
{
	static const char *const options[] = { "--memory",  "64M", "--queues", "4",
					       "--vectors", "8",   "--msi",    NULL };

	return emu_group_setup_with(state, options) || emu_setup(state);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, emu_setup, emu_teardown)
#define TEST_MSI(function)                                                           \
	{                                                                            \
#function "_with_msi", function, setup_msi, emu_group_teardown, NULL \
	}
	const struct CMUnitTest tests[] = {
		TEST(test_identity),
		TEST(test_bars),
		TEST(test_power_management),
		TEST(test_express),
		TEST(test_msix),
		TEST(test_error_reporting),
		TEST(test_serial),
		TEST(test_counters),
		TEST(test_all_bytes),
		TEST(test_function_level_reset),
		TEST(test_sticky_bits),
		TEST(test_device_reset),
		TEST_MSI(test_msi),
		TEST_MSI(test_bars),
		TEST_MSI(test_express),
		TEST_MSI(test_all_bytes),
	};

	return cmocka_run_group_tests(tests, group_setup, emu_group_teardown);
}
