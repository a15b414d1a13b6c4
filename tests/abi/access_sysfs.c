// SPDX-License-Identifier: MIT
/*
 * A PCI card that no IOMMU stands before, by sysfs alone, so that it works on every kernel: BARs are mapped, host memory is a
 * locked huge page, and the interrupts' messages go where all memory writes can go: into that page, where a thread finds
 * them. For guests that are there for tests: it takes the card from its driver and gives nothing back.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aipu_registers.h"
#include "card.h"

#define HOST_BYTES (1u << 20)
#define HUGE_BYTES (2u << 20)
#define HUGE "/sys/kernel/mm/hugepages/hugepages-2048kB/"
#define LOOK_US 200u /* how often the messages are looked for */
/* Configuration space: PCI Local Bus 3.0, 6.1, 6.8.1, 6.8.2 */
enum { COMMAND = 0x04, CAPABILITIES = 0x34, MSI = 0x05, MSIX = 0x11 };
enum { COMMAND_MEMORY = 2, COMMAND_MASTER = 4, MSI_ENABLE = 1, MSI_64 = 0x80 };
enum { MSIX_ENABLE = 0x8000, MSIX_MASK = 0x4000, MSIX_SIZE = 0x7ff };

struct message { /* where a vector's interrupt is written; a cache line each */
	uint32_t come;
	uint32_t unused[15];
};

struct card {
	char address[32];
	int config;
	void *bar[6];
	uint64_t bar_bytes[6];
	struct message *messages; /* in the second half of the huge page */
	uint64_t messages_at; /* its address for the card */
	unsigned int vectors;
	struct card_count count;
	uint8_t capability; /* of the interrupts, MSI or MSI-X */
	bool end;
	pthread_t thread;
};

static uint32_t config_read(struct card *c, uint32_t offset, uint32_t bytes)
{
	uint32_t value = 0;

	return pread(c->config, &value, bytes, offset) == (ssize_t)bytes ? value : 0;
}

static void config_write(struct card *c, uint32_t offset, uint32_t value, uint32_t bytes)
{
	if (pwrite(c->config, &value, bytes, offset) != (ssize_t)bytes)
		card_missing("configuration space", "a write failed");
}

static int bar_map(struct card *c, unsigned int index)
{
	struct card_path path;
	struct stat about;
	char name[16];
	int fd;

	snprintf(name, sizeof(name), "resource%u", index % 6);
	path = card_file(c->address, name);
	fd = open(path.text, O_RDWR | O_SYNC | O_CLOEXEC);
	if (index > 5 || fd < 0 || fstat(fd, &about))
		return card_missing(path.text, "the card lacks a BAR");
	c->bar_bytes[index] = (uint64_t)about.st_size;
	c->bar[index] = mmap(NULL, c->bar_bytes[index], PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return c->bar[index] == MAP_FAILED ? card_missing(path.text, "cannot be mapped") : 0;
}

/* One huge page, which the kernel does not move: the only memory whose address a program may know */
static int host_map(struct card *c, struct access *a)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | 21 << MAP_HUGE_SHIFT;
	uint64_t entry = 0;
	char count[32];
	off_t at;
	int fd;

	if (number_read(HUGE "free_hugepages") == 0) {
		snprintf(count, sizeof(count), "%ld", number_read(HUGE "nr_hugepages") + 1);
		text_write(HUGE "nr_hugepages", count);
	}
	a->host = mmap(NULL, HUGE_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (a->host == MAP_FAILED)
		return card_missing("no huge page of 2 MiB", "see " HUGE "nr_hugepages");
	memset(a->host, 0, HUGE_BYTES);
	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	at = (off_t)((uintptr_t)a->host / AIPU_PAGE_BYTES * sizeof(entry));
	if (mlock(a->host, HUGE_BYTES) || fd < 0 || pread(fd, &entry, 8, at) != 8)
		return card_missing("/proc/self/pagemap", "a page's address cannot be found out");
	close(fd);
	a->host_address = (entry & ((1ull << 55) - 1)) * AIPU_PAGE_BYTES;
	c->messages = (struct message *)(a->host + HOST_BYTES);
	c->messages_at = a->host_address + HOST_BYTES;
	errno = EPERM; /* who may not know is told 0 */
	return a->host_address ? 0 : card_missing("/proc/self/pagemap", "this needs root");
}

/* An interrupt is a memory write of four bytes. Two that come before somebody looks are one. */
static void messages_take(struct access *a)
{
	struct card *c = a->device;
	unsigned int i;

	for (i = 0; i < c->vectors; i++)
		if (__atomic_exchange_n(&c->messages[i].come, 0, __ATOMIC_SEQ_CST))
			card_count_add(&c->count, a, i, c->vectors, 1);
}

static void *messages_watch(void *arg)
{
	struct access *a = arg;
	struct card *c = a->device;

	while (!__atomic_load_n(&c->end, __ATOMIC_SEQ_CST)) {
		messages_take(a);
		usleep(LOOK_US);
	}
	return NULL;
}

static uint8_t capability_find(struct card *c, uint8_t id)
{
	uint8_t at = (uint8_t)config_read(c, CAPABILITIES, 1) & 0xfc, most = 48;

	while (at && config_read(c, at, 1) != id && most--)
		at = (uint8_t)config_read(c, at + 1u, 1) & 0xfc;
	return most == UINT8_MAX ? 0 : at;
}

static int msix_program(struct card *c, uint8_t at)
{
	const uint32_t control = config_read(c, at + 2u, 2) & 0xffffu & ~(uint32_t)MSIX_MASK;
	const uint32_t table = config_read(c, at + 4u, 4), count = (control & MSIX_SIZE) + 1;
	const unsigned int bar = table & 7;
	volatile uint32_t *entry;
	uint64_t to;
	uint32_t i;

	if (bar != AIPU_BAR_REGISTERS && bar != AIPU_BAR_MEMORY && bar_map(c, bar))
		return -ENODEV;
	config_write(c, at + 2u, control | MSIX_ENABLE | MSIX_MASK, 2);
	entry = (uint32_t *)((uint8_t *)c->bar[bar] + (table & ~7u));
	for (i = 0; i < count; i++, entry += 4) {
		to = c->messages_at + i * sizeof(struct message);
		entry[0] = (uint32_t)to;
		entry[1] = (uint32_t)(to >> 32);
		entry[2] = 1;
		entry[3] = i >= CARD_VECTORS; /* masked */
	}
	c->vectors = count < CARD_VECTORS ? count : CARD_VECTORS;
	config_write(c, at + 2u, control | MSIX_ENABLE, 2);
	return 0;
}

/* One message: of several only the data would differ, by lower bits */
static void msi_program(struct card *c, uint8_t at)
{
	const uint32_t control = config_read(c, at + 2u, 2);

	config_write(c, at + 4u, (uint32_t)c->messages_at, 4);
	if (control & MSI_64)
		config_write(c, at + 8u, (uint32_t)(c->messages_at >> 32), 4);
	config_write(c, at + (control & MSI_64 ? 12u : 8u), 1, 2);
	c->vectors = 1;
	config_write(c, at + 2u, (control & ~0x70u) | MSI_ENABLE, 2);
}

static int interrupts_open(struct card *c, struct access *a)
{
	uint8_t msix = capability_find(c, MSIX), msi = capability_find(c, MSI);

	errno = ENODEV;
	if (!msix && !msi)
		return card_missing("interrupts", "the card has neither MSI-X nor MSI");
	c->capability = msix ? msix : msi;
	if (msix && msix_program(c, msix))
		return -ENODEV;
	if (!msix)
		msi_program(c, msi);
	card_count_start(&c->count, c->config, 0);
	errno = pthread_create(&c->thread, NULL, messages_watch, a);
	return errno ? card_missing("interrupts", "no thread can be started") : 0;
}

int access_open(struct access *a)
{
	struct card *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	a->device = c;
	if (card_find(c->address))
		return -ENODEV;
	errno = EBUSY;
	if (!access(card_file(c->address, "iommu_group").text, F_OK))
		return card_missing("there is an IOMMU", "take the program that uses VFIO");
	card_unbind(c->address);
	if (!text_write(card_file(c->address, "enable").text, "1"))
		return card_missing(card_file(c->address, "enable").text, "this needs root");
	c->config = open(card_file(c->address, "config").text, O_RDWR | O_CLOEXEC);
	if (c->config < 0)
		return card_missing("configuration space", "this needs root");
	if (host_map(c, a) || bar_map(c, AIPU_BAR_REGISTERS) || bar_map(c, AIPU_BAR_MEMORY))
		return -ENODEV;
	config_write(c, COMMAND, config_read(c, COMMAND, 2) | COMMAND_MEMORY | COMMAND_MASTER, 2);
	a->memory = c->bar[AIPU_BAR_MEMORY];
	return interrupts_open(c, a);
}

/* The card can write nowhere when its page goes back to the kernel. */
void access_close(struct access *a)
{
	struct card *c = a->device;
	unsigned int i;

	config_write(c, COMMAND, config_read(c, COMMAND, 2) & ~(uint32_t)COMMAND_MASTER, 2);
	config_write(c, c->capability + 2u, 0, 2);
	__atomic_store_n(&c->end, true, __ATOMIC_SEQ_CST);
	pthread_join(c->thread, NULL);
	for (i = 0; i < 6; i++)
		if (c->bar[i])
			munmap(c->bar[i], c->bar_bytes[i]);
	close(c->config);
	munmap(a->host, HUGE_BYTES);
	text_write(card_file(c->address, "enable").text, "0");
	free(c);
}

uint32_t access_read(struct access *a, uint32_t offset)
{
	struct card *c = a->device;

	return *(volatile uint32_t *)((uint8_t *)c->bar[AIPU_BAR_REGISTERS] + offset);
}

void access_write(struct access *a, uint32_t offset, uint32_t value)
{
	struct card *c = a->device;

	*(volatile uint32_t *)((uint8_t *)c->bar[AIPU_BAR_REGISTERS] + offset) = value;
}

void access_settle(struct access *a)
{
	struct card *c = a->device;

	card_count_settle(&c->count);
}
