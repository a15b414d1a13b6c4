// SPDX-License-Identifier: MIT
/*
 * Each command of vfio-user that is not about DMA (test_emu_protocol_dma.c): its good answer to the last byte, and every
 * way to say it wrong.
 */
#include "emu_test.h"

#include <sys/eventfd.h>
#include <sys/mman.h>

#include "aipu_registers.h"

#define MEMORY_BYTES (64ull << 20)
#define QUEUES 4u
#define VECTORS 8u

static int group_setup(void **state)
{
	return emu_group_setup_with(state, (const char *const[]){ "--memory", "64M", "--queues",
								  "4", "--vectors", "8", NULL });
}

/* --- the device and its regions ------------------------------------------------------------------------ */

static void test_info(void **state)
{
	struct emu_fixture *f = *state;
	/* Room for more than there is changes nothing */
	const struct vfu_info asks[] = { { .argsz = 16 }, { .argsz = 4096 } };
	struct vfu_info info;

	for (size_t i = 0; i < EMU_COUNT(asks); i++) {
		assert_int_equal(client_call(&f->client, VFU_GET_INFO, &asks[i], 16, NULL, 0), 16);
		memcpy(&info, f->client.payload, sizeof(info));
		assert_int_equal(info.argsz, 16);
		assert_int_equal(info.flags, VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI);
		assert_int_equal(info.regions, VFIO_PCI_NUM_REGIONS);
		assert_int_equal(info.irqs, VFIO_PCI_NUM_IRQS);
	}
}

static bool power_of_two(uint64_t value)
{
	return value && !(value & (value - 1));
}

static void test_regions(void **state)
{
	struct emu_fixture *f = *state;
	struct vfio_region_info info;
	uint32_t want;
	int fd;

	for (uint32_t i = 0; i < VFIO_PCI_NUM_REGIONS; i++) {
		assert_int_equal(client_region_info(&f->client, i, &info, &fd), 0);
		assert_int_equal(info.argsz, sizeof(info));
		assert_int_equal(info.index, i);
		assert_int_equal(info.cap_offset, 0);
		want = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
		if (i == BAR2)
			want |= VFIO_REGION_INFO_FLAG_MMAP;
		switch (i) {
		case BAR0:
			assert_true(power_of_two(info.size));
			assert_true(info.size >= AIPU_BAR0_BYTES(QUEUES));
			assert_true(info.size < 4 * AIPU_BAR0_BYTES(QUEUES));
			break;
		case BAR2:
			assert_int_equal(info.size, MEMORY_BYTES);
			break;
		case VFIO_PCI_BAR4_REGION_INDEX:
			assert_true(power_of_two(info.size) && info.size >= 4096);
			break;
		case CONFIG:
			assert_int_equal(info.size, 4096);
			break;
		default:
			assert_int_equal(info.size, 0);
			want = 0;
		}
		assert_int_equal(info.flags, want);
		assert_int_equal(fd >= 0, i == BAR2);
		if (fd >= 0)
			close(fd);
	}
}

/* BAR2 by pointer and by message are the same memory, and a client sees zeros first. */
static void test_memory(void **state)
{
	static const uint64_t at[] = { 0, 1, 4095, 4096, 12345677, MEMORY_BYTES - 9 };
	const uint64_t pattern = 0x8877665544332211;
	struct emu_fixture *f = *state;
	struct vfio_region_info info;
	uint64_t value;
	uint8_t *p;
	int fd;

	assert_int_equal(client_region_info(&f->client, BAR2, &info, &fd), 0);
	p = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)info.offset);
	assert_ptr_not_equal(p, MAP_FAILED);
	close(fd);
	for (size_t i = 0; i < EMU_COUNT(at); i++) {
		assert_int_equal(client_read(&f->client, BAR2, at[i], &value, 8), 0);
		assert_true(value == 0);
		assert_int_equal(client_write(&f->client, BAR2, at[i], &pattern, 8), 0);
		assert_memory_equal(p + at[i], &pattern, 8);
		memset(p + at[i], 0x5a, 8);
		assert_int_equal(client_read(&f->client, BAR2, at[i], &value, 8), 0);
		assert_true(value == 0x5a5a5a5a5a5a5a5a);
		memset(p + at[i], 0, 8);
	}
	munmap(p, info.size);
}

/* The largest access there is, both ways */
static void test_memory_large(void **state)
{
	struct emu_fixture *f = *state;
	uint8_t *data = malloc(CLIENT_MAX_DATA), *back = malloc(CLIENT_MAX_DATA);

	assert_true(data && back);
	for (uint32_t i = 0; i < CLIENT_MAX_DATA; i++)
		data[i] = (uint8_t)(i * 2654435761u >> 24);
	assert_int_equal(client_write(&f->client, BAR2, 4097, data, CLIENT_MAX_DATA), 0);
	assert_int_equal(client_read(&f->client, BAR2, 4097, back, CLIENT_MAX_DATA), 0);
	assert_memory_equal(data, back, CLIENT_MAX_DATA);
	free(data);
	free(back);
}

/* Registers are words: two of them are two, anything else reads 0 and writes nothing. */
static void test_registers(void **state)
{
	struct emu_fixture *f = *state;
	uint64_t pair = 0, want;
	uint32_t word, oldest = 7, zero = 0;
	uint8_t bytes[16];

	assert_int_equal(client_read(&f->client, BAR0, AIPU_REG_MAGIC, &word, 4), 0);
	assert_int_equal(word, AIPU_MAGIC);
	assert_int_equal(client_read(&f->client, BAR0, AIPU_REG_ABI_NEWEST, &word, 4), 0);
	want = AIPU_MAGIC | (uint64_t)word << 32;
	assert_int_equal(client_read(&f->client, BAR0, AIPU_REG_MAGIC, &pair, 8), 0);
	assert_true(pair == want);
	for (uint32_t count = 1; count <= 3; count++)
		for (uint64_t offset = 0; offset < 4; offset++) {
			memset(bytes, 0xee, sizeof(bytes));
			assert_int_equal(client_read(&f->client, BAR0, offset, bytes, count), 0);
			assert_memory_equal(bytes, &zero, count);
		}
	assert_int_equal(client_read(&f->client, BAR0, 2, &word, 4), 0);
	assert_int_equal(word, 0);
	assert_int_equal(client_write(&f->client, BAR0, AIPU_REG_HOST_ABI_OLDEST, &oldest, 4), 0);
	assert_int_equal(client_write(&f->client, BAR0, AIPU_REG_HOST_ABI_OLDEST, &zero, 2), 0);
	assert_int_equal(client_write(&f->client, BAR0, AIPU_REG_HOST_ABI_OLDEST + 2, &zero, 4), 0);
	assert_int_equal(client_read(&f->client, BAR0, AIPU_REG_HOST_ABI_OLDEST, &word, 4), 0);
	assert_int_equal(word, 7);
}

static void test_region_info_bad(void **state)
{
	static const struct {
		const char *what;
		struct vfio_region_info ask;
		uint32_t bytes;
	} rows[] = {
		{ "argsz 0", { .argsz = 0 }, 32 },
		{ "argsz of less than the answer", { .argsz = 31 }, 32 },
		{ "an index that is none", { .argsz = 32, .index = VFIO_PCI_NUM_REGIONS }, 32 },
		{ "the last index", { .argsz = 32, .index = ~0u }, 32 },
		{ "a byte short", { .argsz = 32 }, 31 },
		{ "half", { .argsz = 32 }, 16 },
		{ "nothing", { .argsz = 32 }, 0 },
	};
	struct emu_fixture *f = *state;

	for (size_t i = 0; i < EMU_COUNT(rows); i++)
		emu_refused(f,
			    client_call(&f->client, VFU_GET_REGION_INFO, &rows[i].ask,
					rows[i].bytes, NULL, 0),
			    rows[i].what);
}

static void test_info_bad(void **state)
{
	struct emu_fixture *f = *state;
	struct vfu_info ask = { .argsz = 16 };

	for (uint32_t bytes = 0; bytes < 16; bytes += 5)
		emu_refused(f, client_call(&f->client, VFU_GET_INFO, &ask, bytes, NULL, 0),
			    "short");
	ask.argsz = 15;
	emu_refused(f, client_call(&f->client, VFU_GET_INFO, &ask, 16, NULL, 0), "argsz 15");
}

/* --- commands that are not offered, or have nothing to say ----------------------------------------------- */

static void test_not_offered(void **state)
{
	static const unsigned int commands[] = { VFU_DMA_READ, VFU_DMA_WRITE,
						 14,	       VFU_DEVICE_FEATURE,
						 17,	       18 };
	static const uint8_t junk[48];
	struct emu_fixture *f = *state;

	for (size_t i = 0; i < EMU_COUNT(commands); i++)
		for (uint32_t bytes = 0; bytes <= sizeof(junk); bytes += 16)
			emu_refused(f, client_call(&f->client, commands[i], junk, bytes, NULL, 0),
				    "a command that is not offered");
}

/* There are no ioeventfds: an empty list, or a refusal */
static void test_io_fds(void **state)
{
	const uint32_t ask[4] = { 256, 0, BAR0, 0 };
	struct emu_fixture *f = *state;
	uint32_t answer[4];
	int n = client_call(&f->client, VFU_GET_REGION_IO_FDS, ask, sizeof(ask), NULL, 0);

	if (n >= 0) {
		assert_int_equal(n, 16);
		memcpy(answer, f->client.payload, sizeof(answer));
		assert_int_equal(answer[2], BAR0);
		assert_int_equal(answer[3], 0);
		assert_int_equal(f->client.fd_count, 0);
	} else {
		emu_refused(f, n, "no ioeventfds");
	}
	emu_refused(f, client_call(&f->client, VFU_GET_REGION_IO_FDS, ask, 15, NULL, 0), "short");
}

static void test_device_reset(void **state)
{
	struct emu_fixture *f = *state;
	uint32_t count, before;
	static const uint8_t junk[8];

	assert_int_equal(client_read(&f->client, BAR0, AIPU_REG_RESET_COUNT, &before, 4), 0);
	assert_int_equal(client_set_config(&f->client, 4, 2, 6), 0);
	assert_int_equal(client_call(&f->client, VFU_DEVICE_RESET, NULL, 0, NULL, 0), 0);
	assert_int_equal(client_config(&f->client, 4, 2), 0);
	assert_int_equal(client_read(&f->client, BAR0, AIPU_REG_RESET_COUNT, &count, 4), 0);
	assert_int_equal(count, before + 1);
	emu_refused(f, client_call(&f->client, VFU_DEVICE_RESET, junk, 8, NULL, 0),
		    "a reset with data");
}

/* --- accesses -------------------------------------------------------------------------------------------- */

static void test_access_bad(void **state)
{
	static const struct {
		const char *what;
		struct vfu_access access;
	} rows[] = {
		{ "beyond BAR2", { MEMORY_BYTES, BAR2, 4 } },
		{ "over the end of BAR2", { MEMORY_BYTES - 3, BAR2, 4 } },
		{ "a sum that wraps", { ~0ull - 3, BAR2, 8 } },
		{ "a sum that wraps to nothing", { ~0ull - 3, BAR2, 4 } },
		{ "the last offset", { ~0ull, BAR2, 1 } },
		{ "a sum of 2^63", { 1ull << 63, BAR2, 4 } },
		{ "more than announced", { 0, BAR2, CLIENT_MAX_DATA + 1 } },
		{ "the largest count", { 0, BAR2, ~0u } },
		{ "a count that wraps with the header", { 0, BAR2, ~0u - 31 } },
		{ "beyond BAR0", { 1 << 20, BAR0, 4 } },
		{ "beyond configuration space", { 4096, CONFIG, 4 } },
		{ "over its end", { 4095, CONFIG, 2 } },
		{ "a BAR that is not there", { 0, VFIO_PCI_BAR1_REGION_INDEX, 4 } },
		{ "the upper half of BAR2", { 0, VFIO_PCI_BAR3_REGION_INDEX, 4 } },
		{ "the ROM", { 0, VFIO_PCI_ROM_REGION_INDEX, 4 } },
		{ "VGA", { 0, VFIO_PCI_VGA_REGION_INDEX, 4 } },
		{ "an index that is none", { 0, VFIO_PCI_NUM_REGIONS, 4 } },
		{ "the last index", { 0, ~0u, 4 } },
	};
	struct emu_fixture *f = *state;
	struct {
		struct vfu_access access;
		uint8_t data[8];
	} write;

	for (size_t i = 0; i < EMU_COUNT(rows); i++) {
		const uint32_t data = rows[i].access.count < 8 ? rows[i].access.count : 8;

		emu_refused(f,
			    client_call(&f->client, VFU_REGION_READ, &rows[i].access,
					sizeof(rows[i].access), NULL, 0),
			    rows[i].what);
		write.access = rows[i].access;
		memset(write.data, 0xff, sizeof(write.data));
		emu_refused(f,
			    client_call(&f->client, VFU_REGION_WRITE, &write,
					sizeof(write.access) + data, NULL, 0),
			    rows[i].what);
	}
}

static void test_access_misshaped(void **state)
{
	struct emu_fixture *f = *state;
	struct {
		struct vfu_access access;
		uint8_t data[64];
	} m = { { 0, BAR2, 32 }, { 0 } };
	uint8_t back[8] = { 0 };

	memset(m.data, 0xff, sizeof(m.data));
	for (uint32_t bytes = 0; bytes < 16; bytes += 3) {
		emu_refused(f, client_call(&f->client, VFU_REGION_READ, &m, bytes, NULL, 0),
			    "short");
		emu_refused(f, client_call(&f->client, VFU_REGION_WRITE, &m, bytes, NULL, 0),
			    "short");
	}
	emu_refused(f, client_call(&f->client, VFU_REGION_WRITE, &m, 16, NULL, 0), "no data");
	emu_refused(f, client_call(&f->client, VFU_REGION_WRITE, &m, 16 + 31, NULL, 0),
		    "a byte too little");
	emu_refused(f, client_call(&f->client, VFU_REGION_WRITE, &m, 16 + 33, NULL, 0),
		    "a byte too much");
	/* None of it was written. */
	assert_int_equal(client_read(&f->client, BAR2, 0, back, sizeof(back)), 0);
	assert_memory_equal(back, (uint8_t[8]){ 0 }, sizeof(back));
	/* A count of 0 is refused, or does nothing */
	m.access.count = 0;
	for (unsigned int command = VFU_REGION_READ; command <= VFU_REGION_WRITE; command++) {
		int n = client_call(&f->client, command, &m, 16, NULL, 0);

		if (n >= 0)
			assert_int_equal(n, 16);
		else
			emu_refused(f, n, "a count of 0");
	}
}

static void test_write_multi(void **state)
{
	struct write {
		struct vfu_access access;
		uint64_t data;
	};
	struct {
		uint64_t count;
		struct write writes[3];
	} m = { 3,
		{ { { 0x1000, BAR2, 4 }, 0x11111111 },
		  { { 0x3c, CONFIG, 1 }, 0x99 },
		  { { 0x1004, BAR2, 2 }, 0x2222 } } };
	struct emu_fixture *f = *state;
	uint64_t value;

	assert_int_equal(client_call(&f->client, VFU_REGION_WRITE_MULTI, &m, sizeof(m), NULL, 0),
			 8);
	memcpy(&value, f->client.payload, 8);
	assert_true(value == 3);
	assert_int_equal(client_read(&f->client, BAR2, 0x1000, &value, 8), 0);
	assert_true(value == 0x222211111111);
	assert_int_equal(client_config(&f->client, 0x3c, 1), 0x99);
	/* Misshaped ones */
	emu_refused(f, client_call(&f->client, VFU_REGION_WRITE_MULTI, &m, sizeof(m) - 1, NULL, 0),
		    "a byte short");
	emu_refused(f, client_call(&f->client, VFU_REGION_WRITE_MULTI, &m, 7, NULL, 0),
		    "half a count");
	for (unsigned int i = 0; i < 5; i++) {
		static const uint64_t counts[] = { 2, 4, ~0ull, 1ull << 61, 0xaaaaaaaaaaaaaab };

		m.count = counts[i];
		emu_refused(f,
			    client_call(&f->client, VFU_REGION_WRITE_MULTI, &m, sizeof(m), NULL, 0),
			    "a count that does not fit");
	}
	m.count = 3;
	m.writes[1].access = (struct vfu_access){ 0, BAR2, 9 };
	emu_refused(f, client_call(&f->client, VFU_REGION_WRITE_MULTI, &m, sizeof(m), NULL, 0),
		    "nine bytes in eight");
	m.writes[1].access = (struct vfu_access){ MEMORY_BYTES - 1, BAR2, 2 };
	emu_refused(f, client_call(&f->client, VFU_REGION_WRITE_MULTI, &m, sizeof(m), NULL, 0),
		    "out of range in the middle");
}

/* --- interrupts ------------------------------------------------------------------------------------------ */

static void test_irq_info(void **state)
{
	struct emu_fixture *f = *state;
	struct vfio_irq_info info;

	for (uint32_t i = 0; i < VFIO_PCI_NUM_IRQS; i++) {
		assert_int_equal(client_irq_info(&f->client, i, &info), 0);
		assert_int_equal(info.argsz, 16);
		assert_int_equal(info.index, i);
		if (i == VFIO_PCI_MSIX_IRQ_INDEX)
			assert_int_equal(info.count, VECTORS);
		else if (i <= VFIO_PCI_MSI_IRQ_INDEX)
			assert_int_equal(info.count, 0);
		else
			assert_true(info.count <= 1);
		if (info.count)
			assert_true(info.flags & VFIO_IRQ_INFO_EVENTFD);
	}
}

static void test_irq_info_bad(void **state)
{
	static const struct {
		const char *what;
		struct vfio_irq_info ask;
		uint32_t bytes;
	} rows[] = {
		{ "argsz 0", { .argsz = 0, .index = 2 }, 16 },
		{ "argsz 15", { .argsz = 15, .index = 2 }, 16 },
		{ "an index that is none", { .argsz = 16, .index = VFIO_PCI_NUM_IRQS }, 16 },
		{ "the last index", { .argsz = 16, .index = ~0u }, 16 },
		{ "a byte short", { .argsz = 16, .index = 2 }, 15 },
		{ "nothing", { .argsz = 16, .index = 2 }, 0 },
	};
	struct emu_fixture *f = *state;

	for (size_t i = 0; i < EMU_COUNT(rows); i++)
		emu_refused(f,
			    client_call(&f->client, VFU_GET_IRQ_INFO, &rows[i].ask, rows[i].bytes,
					NULL, 0),
			    rows[i].what);
}

enum {
	NONE = VFIO_IRQ_SET_DATA_NONE,
	BOOLS = VFIO_IRQ_SET_DATA_BOOL,
	EVENTS = VFIO_IRQ_SET_DATA_EVENTFD,
	TRIGGER = VFIO_IRQ_SET_ACTION_TRIGGER,
	MASK = VFIO_IRQ_SET_ACTION_MASK,
	UNMASK = VFIO_IRQ_SET_ACTION_UNMASK,
	MSIX = VFIO_PCI_MSIX_IRQ_INDEX,
};

static uint64_t raised(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void open_events(int fds[VECTORS])
{
	for (unsigned int i = 0; i < VECTORS; i++) {
		fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		assert_true(fds[i] >= 0);
	}
}

static void close_events(const int fds[VECTORS])
{
	for (unsigned int i = 0; i < VECTORS; i++)
		close(fds[i]);
}

/* A client may raise an interrupt itself: it then knows that the way is open. */
static void test_irqs(void **state)
{
	struct emu_fixture *f = *state;
	struct client *c = &f->client;
	struct {
		struct vfu_irqs set;
		uint8_t on[4];
	} some = { { sizeof(some), BOOLS | TRIGGER, MSIX, 2, 4 }, { 0, 1, 0, 1 } };
	int fds[VECTORS];

	open_events(fds);
	/* Interrupts are memory writes: none without Bus Master */
	assert_int_equal(client_irqs(c, MSIX, EVENTS | TRIGGER, 0, VECTORS, fds, VECTORS), 0);
	client_irqs(c, MSIX, NONE | TRIGGER, 0, VECTORS, NULL, 0);
	for (unsigned int i = 0; i < VECTORS; i++)
		assert_int_equal(raised(fds[i]), 0);
	assert_int_equal(client_set_config(c, 4, 2, 6), 0);
	/* In two messages, as QEMU sends what it may not send in one */
	assert_int_equal(client_irqs(c, MSIX, EVENTS | TRIGGER, 0, 3, fds, 3), 0);
	assert_int_equal(client_irqs(c, MSIX, EVENTS | TRIGGER, 3, 5, fds + 3, 5), 0);
	assert_int_equal(client_irqs(c, MSIX, NONE | TRIGGER, 0, VECTORS, NULL, 0), 0);
	for (unsigned int i = 0; i < VECTORS; i++)
		assert_int_equal(raised(fds[i]), 1);
	assert_int_equal(client_call(c, VFU_SET_IRQS, &some, sizeof(some), NULL, 0), 0);
	for (unsigned int i = 0; i < VECTORS; i++)
		assert_int_equal(raised(fds[i]), i == 3 || i == 5);
	/* One is taken away, one replaced */
	assert_int_equal(client_irqs(c, MSIX, EVENTS | TRIGGER, 1, 1, NULL, 0), 0);
	assert_int_equal(client_irqs(c, MSIX, EVENTS | TRIGGER, 2, 1, &fds[7], 1), 0);
	for (unsigned int i = 1; i <= 2; i++)
		client_irqs(c, MSIX, NONE | TRIGGER, i, 1, NULL, 0);
	assert_int_equal(raised(fds[1]), 0);
	assert_int_equal(raised(fds[2]), 0);
	assert_int_equal(raised(fds[7]), 1);
	/* All are taken away */
	assert_int_equal(client_irqs(c, MSIX, NONE | TRIGGER, 0, 0, NULL, 0), 0);
	client_irqs(c, MSIX, NONE | TRIGGER, 0, VECTORS, NULL, 0);
	for (unsigned int i = 0; i < VECTORS; i++)
		assert_int_equal(raised(fds[i]), 0);
	close_events(fds);
}

static void test_irqs_bad(void **state)
{
	static const struct {
		const char *what;
		uint32_t flags, index, start, count, fds;
		int argsz_change, bytes_change;
	} rows[] = {
		{ "no flags", 0, MSIX, 0, 1, 0, 0, 0 },
		{ "no action", EVENTS, MSIX, 0, 1, 1, 0, 0 },
		{ "no data kind", TRIGGER, MSIX, 0, 1, 0, 0, 0 },
		{ "two data kinds", NONE | EVENTS | TRIGGER, MSIX, 0, 1, 1, 0, 0 },
		{ "two actions", EVENTS | TRIGGER | MASK, MSIX, 0, 1, 1, 0, 0 },
		{ "an unknown flag", EVENTS | TRIGGER | 64, MSIX, 0, 1, 1, 0, 0 },
		{ "all flags", ~0u, MSIX, 0, 1, 1, 0, 0 },
		{ "masking", NONE | MASK, MSIX, 0, 1, 0, 0, 0 },
		{ "unmasking", NONE | UNMASK, MSIX, 0, 1, 0, 0, 0 },
		{ "an eventfd for masking", EVENTS | MASK, MSIX, 0, 1, 1, 0, 0 },
		{ "an index that is none", EVENTS | TRIGGER, VFIO_PCI_NUM_IRQS, 0, 1, 1, 0, 0 },
		{ "the last index", EVENTS | TRIGGER, ~0u, 0, 1, 1, 0, 0 },
		{ "INTx, which there is not", EVENTS | TRIGGER, 0, 0, 1, 1, 0, 0 },
		{ "MSI, which there is not", EVENTS | TRIGGER, 1, 0, 1, 1, 0, 0 },
		{ "a vector beyond the last", EVENTS | TRIGGER, MSIX, VECTORS, 1, 1, 0, 0 },
		{ "a range over the last", EVENTS | TRIGGER, MSIX, VECTORS - 1, 2, 2, 0, 0 },
		{ "one more than there are", EVENTS | TRIGGER, MSIX, 0, VECTORS + 1, VECTORS + 1, 0,
		  0 },
		{ "a sum that wraps", EVENTS | TRIGGER, MSIX, ~0u, 1, 1, 0, 0 },
		{ "a sum that wraps to 0", EVENTS | TRIGGER, MSIX, 1, ~0u, 0, 0, 0 },
		{ "the largest count", NONE | TRIGGER, MSIX, 0, ~0u, 0, 0, 0 },
		{ "count 0 of eventfds", EVENTS | TRIGGER, MSIX, 0, 0, 0, 0, 0 },
		{ "count 0, but a start", NONE | TRIGGER, MSIX, 1, 0, 0, 0, 0 },
		{ "fewer eventfds than count", EVENTS | TRIGGER, MSIX, 0, 2, 1, 0, 0 },
		{ "more eventfds than count", EVENTS | TRIGGER, MSIX, 0, 1, 2, 0, 0 },
		{ "eventfds with NONE", NONE | TRIGGER, MSIX, 0, 1, 1, 0, 0 },
		{ "eventfds with BOOL", BOOLS | TRIGGER, MSIX, 0, 1, 1, 1, 1 },
		{ "BOOL without its bytes", BOOLS | TRIGGER, MSIX, 0, 4, 0, 0, 0 },
		{ "BOOL with a byte too little", BOOLS | TRIGGER, MSIX, 0, 4, 0, 3, 3 },
		{ "BOOL with a byte too much", BOOLS | TRIGGER, MSIX, 0, 4, 0, 5, 5 },
		{ "BOOL with less than argsz", BOOLS | TRIGGER, MSIX, 0, 4, 0, 4, 3 },
		{ "argsz 0", EVENTS | TRIGGER, MSIX, 0, 1, 1, -20, 0 },
		{ "argsz 19", EVENTS | TRIGGER, MSIX, 0, 1, 1, -1, 0 },
		{ "argsz beyond the message", EVENTS | TRIGGER, MSIX, 0, 1, 1, 4096, 0 },
		{ "a byte short", EVENTS | TRIGGER, MSIX, 0, 1, 1, 0, -1 },
		{ "nothing", EVENTS | TRIGGER, MSIX, 0, 1, 1, 0, -20 },
	};
	struct emu_fixture *f = *state;
	int fds[VECTORS + 1], own[VECTORS];
	struct {
		struct vfu_irqs set;
		uint8_t data[16];
	} m;

	open_events(own);
	open_events(fds);
	fds[VECTORS] = own[0];
	assert_int_equal(client_set_config(&f->client, 4, 2, 6), 0);
	for (size_t i = 0; i < EMU_COUNT(rows); i++) {
		/* What is refused leaves what was set before: refusals are not half done. */
		assert_int_equal(client_irqs(&f->client, MSIX, EVENTS | TRIGGER, 0, VECTORS, own,
					     VECTORS),
				 0);
		memset(&m, 1, sizeof(m));
		m.set = (struct vfu_irqs){ (uint32_t)(20 + rows[i].argsz_change), rows[i].flags,
					   rows[i].index, rows[i].start, rows[i].count };
		emu_refused(f,
			    client_call(&f->client, VFU_SET_IRQS, &m,
					(size_t)(20 + rows[i].bytes_change), fds, rows[i].fds),
			    rows[i].what);
		if (client_irqs(&f->client, MSIX, NONE | TRIGGER, 0, VECTORS, NULL, 0))
			fail_msg("%s: and then no trigger", rows[i].what);
		for (unsigned int v = 0; v < VECTORS; v++)
			if (raised(own[v]) != 1 || raised(fds[v]))
				fail_msg("%s: vector %u is not as before", rows[i].what, v);
	}
	close_events(fds);
	close_events(own);
}

/* Descriptors with a command that takes none */
static void test_descriptors_unasked(void **state)
{
	struct emu_fixture *f = *state;
	const struct vfu_info info = { .argsz = 16 };
	const struct vfu_access access = { 0, CONFIG, 4 };
	int fds[VECTORS];

	open_events(fds);
	emu_refused(f, client_call(&f->client, VFU_GET_INFO, &info, 16, fds, 1), "an eventfd");
	emu_refused(f, client_call(&f->client, VFU_REGION_READ, &access, 16, fds, 8), "eight");
	emu_refused(f, client_call(&f->client, VFU_DEVICE_RESET, NULL, 0, fds, 1), "an eventfd");
	close_events(fds);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, emu_setup, emu_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_info),	 TEST(test_regions),	 TEST(test_memory),
		TEST(test_memory_large), TEST(test_registers),	 TEST(test_region_info_bad),
		TEST(test_info_bad),	 TEST(test_not_offered), TEST(test_io_fds),
		TEST(test_device_reset), TEST(test_access_bad),	 TEST(test_access_misshaped),
		TEST(test_write_multi),	 TEST(test_irq_info),	 TEST(test_irq_info_bad),
		TEST(test_irqs),	 TEST(test_irqs_bad),	 TEST(test_descriptors_unasked),
	};

	return cmocka_run_group_tests(tests, group_setup, emu_group_teardown);
}
