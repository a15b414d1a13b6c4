// SPDX-License-Identifier: GPL-2.0
/*
 * The card as a guest without a driver finds it: identity, BARs, configuration space, registers behind
 * BAR0, reset. In the kernel's own test harness, which is taken from the kernel's source when this is
 * built ("make guest-tests"). Runs as root in the guest, on any kernel; the first card is the one.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"

#include "aipu_registers.h"

#define DEVICES "/sys/bus/pci/devices"
/* Of the flags in the file "resource", as linux/ioport.h has them */
#define RESOURCE_MEMORY 0x200ull
#define RESOURCE_PREFETCH 0x2000ull
#define RESOURCE_64 0x100000ull
#define CONFIG_BYTES 4096

/* The content of a file of the function without its newline; "" if it cannot be read. */
static void read_text(const char *function, const char *name, char *text, size_t size)
{
	char path[512];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), DEVICES "/%s/%s", function, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, size - 1);
		close(fd);
	}
	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
}

static int write_text(const char *function, const char *name, const char *text)
{
	char path[512];
	int fd, ok;

	snprintf(path, sizeof(path), DEVICES "/%s/%s", function, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok ? 0 : -1;
}

static unsigned long read_number(const char *function, const char *name)
{
	char text[64];

	read_text(function, name, text, sizeof(text));
	return strtoul(text, NULL, 0);
}

static int is_card(const char *function)
{
	return read_number(function, "vendor") == AIPU_PCI_VENDOR_ID &&
	       read_number(function, "device") == AIPU_PCI_DEVICE_ID;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The first card in the order of addresses, to be freed; NULL if there is none. */
static char *find_card(void)
{
	char *names[256], *found = NULL;
	size_t count = 0, i;
	struct dirent *entry;
	DIR *dir = opendir(DEVICES);

	if (!dir)
		return NULL;
	while (count < 256 && (entry = readdir(dir))) {
		if (entry->d_name[0] != '.' && is_card(entry->d_name))
			names[count++] = strdup(entry->d_name);
	}
	closedir(dir);
	qsort(names, count, sizeof(names[0]), by_name);
	for (i = 0; i < count; i++) {
		if (i == 0)
			found = names[i];
		else
			free(names[i]);
	}
	return found;
}

FIXTURE(pci)
{
	char *function;
	int config;
	uint8_t space[CONFIG_BYTES];
	ssize_t space_bytes;
};

FIXTURE_SETUP(pci)
{
	char path[512];

	self->function = find_card();
	ASSERT_NE(NULL, self->function)
	{
		TH_LOG("no function %04x:%04x in " DEVICES, AIPU_PCI_VENDOR_ID, AIPU_PCI_DEVICE_ID);
	}
	snprintf(path, sizeof(path), DEVICES "/%s/config", self->function);
	self->config = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->config);
	self->space_bytes = pread(self->config, self->space, sizeof(self->space), 0);
}

FIXTURE_TEARDOWN(pci)
{
	close(self->config);
	free(self->function);
}

static uint16_t word(const uint8_t *space, size_t at)
{
	return space[at] | space[at + 1] << 8;
}

static uint32_t dword(const uint8_t *space, size_t at)
{
	return word(space, at) | (uint32_t)word(space, at + 2) << 16;
}

struct bar {
	unsigned long long start, end, flags;
};

/* Line `index` of the file "resource" */
static int read_bar(const char *function, int index, struct bar *bar)
{
	char path[512], line[256];
	FILE *file;
	int i, got = 0;

	snprintf(path, sizeof(path), DEVICES "/%s/resource", function);
	file = fopen(path, "re");
	if (!file)
		return -1;
	for (i = 0; i <= index; i++)
		got = fgets(line, sizeof(line), file) != NULL;
	fclose(file);
	if (!got)
		return -1;
	return sscanf(line, "%llx %llx %llx", &bar->start, &bar->end, &bar->flags) == 3 ? 0 : -1;
}

static unsigned long long bar_bytes(const struct bar *bar)
{
	return bar->start && bar->end > bar->start ? bar->end - bar->start + 1 : 0;
}

/* The extended capability's place, or 0 */
static size_t extended_capability(const uint8_t *space, uint16_t id)
{
	size_t at = PCI_CFG_SPACE_SIZE;
	int left = 64;

	while (at >= PCI_CFG_SPACE_SIZE && at + 4 <= CONFIG_BYTES && left--) {
		uint32_t header = dword(space, at);

		if (PCI_EXT_CAP_ID(header) == id && header)
			return at;
		at = PCI_EXT_CAP_NEXT(header);
	}
	return 0;
}

TEST_F(pci, identity)
{
	EXPECT_EQ(AIPU_PCI_CLASS, read_number(self->function, "class"));
	EXPECT_EQ(AIPU_PCI_VENDOR_ID, word(self->space, PCI_VENDOR_ID));
	EXPECT_EQ(AIPU_PCI_DEVICE_ID, word(self->space, PCI_DEVICE_ID));
	EXPECT_EQ(PCI_HEADER_TYPE_NORMAL, self->space[PCI_HEADER_TYPE] & PCI_HEADER_TYPE_MASK);
}

TEST_F(pci, whole_configuration_space)
{
	ASSERT_EQ(CONFIG_BYTES, self->space_bytes);
	EXPECT_NE(0, extended_capability(self->space, PCI_EXT_CAP_ID_ERR));
	EXPECT_NE(0, extended_capability(self->space, PCI_EXT_CAP_ID_DSN));
	EXPECT_EQ(0, extended_capability(self->space, 0x7fff));
}

TEST_F(pci, bars_have_their_place)
{
	struct bar registers, memory;

	ASSERT_EQ(0, read_bar(self->function, AIPU_BAR_REGISTERS, &registers));
	ASSERT_EQ(0, read_bar(self->function, AIPU_BAR_MEMORY, &memory));
	EXPECT_TRUE(registers.flags & RESOURCE_MEMORY);
	EXPECT_FALSE(registers.flags & RESOURCE_PREFETCH);
	EXPECT_LE(AIPU_BAR0_BYTES(1), bar_bytes(&registers));
	EXPECT_EQ(0, bar_bytes(&registers) & (bar_bytes(&registers) - 1));
	EXPECT_TRUE(memory.flags & RESOURCE_MEMORY);
	EXPECT_TRUE(memory.flags & RESOURCE_PREFETCH);
	EXPECT_TRUE(memory.flags & RESOURCE_64);
	EXPECT_LT(0, bar_bytes(&memory));
	EXPECT_EQ(0, bar_bytes(&memory) & (bar_bytes(&memory) - 1));
	EXPECT_EQ(0, memory.start % bar_bytes(&memory));
}

static uint32_t read_register(const volatile uint8_t *base, size_t offset)
{
	return *(const volatile uint32_t *)(base + offset);
}

static uint16_t read_command(int config)
{
	uint8_t bytes[2] = { 0xff, 0xff };

	return pread(config, bytes, 2, PCI_COMMAND) == 2 ? word(bytes, 0) : 0xffff;
}

/* Sets or clears Bus Master; 0 if it reads back so. */
static int set_bus_master(int config, int on)
{
	uint16_t command = read_command(config) & ~PCI_COMMAND_MASTER;
	uint8_t bytes[2];

	command |= on ? PCI_COMMAND_MASTER : 0;
	bytes[0] = command;
	bytes[1] = command >> 8;
	if (pwrite(config, bytes, 2, PCI_COMMAND) != 2)
		return -1;
	return read_command(config) == command ? 0 : -1;
}

static void *map_registers(const char *function)
{
	char path[512];
	void *base;
	int fd;

	snprintf(path, sizeof(path), DEVICES "/%s/resource%d", function, AIPU_BAR_REGISTERS);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return MAP_FAILED;
	base = mmap(NULL, AIPU_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return base;
}

TEST_F(pci, registers)
{
	const uint8_t *base;

	ASSERT_EQ(0, write_text(self->function, "enable", "1"));
	EXPECT_TRUE(read_command(self->config) & PCI_COMMAND_MEMORY);
	EXPECT_EQ(0, set_bus_master(self->config, 1));
	base = map_registers(self->function);
	ASSERT_NE(MAP_FAILED, (void *)base);
	EXPECT_EQ(AIPU_MAGIC, read_register(base, AIPU_REG_MAGIC));
	EXPECT_NE(0, read_register(base, AIPU_REG_ABI_NEWEST));
	EXPECT_LE(read_register(base, AIPU_REG_ABI_OLDEST),
		  read_register(base, AIPU_REG_ABI_NEWEST));
	EXPECT_EQ(AIPU_STATE_ROM, read_register(base, AIPU_REG_STATUS) & AIPU_STATUS_STATE_MASK);
	EXPECT_EQ(AIPU_ERROR_NONE, read_register(base, AIPU_REG_ERROR));
	munmap((void *)base, AIPU_PAGE_BYTES);
	EXPECT_EQ(0, set_bus_master(self->config, 0));
	EXPECT_EQ(0, write_text(self->function, "enable", "0"));
}

TEST_F(pci, function_level_reset_is_counted)
{
	const uint8_t *base;
	uint32_t before;
	char methods[128];

	read_text(self->function, "reset_method", methods, sizeof(methods));
	ASSERT_NE(NULL, strstr(methods, "flr"));
	ASSERT_EQ(0, write_text(self->function, "reset_method", "flr"));
	ASSERT_EQ(0, write_text(self->function, "enable", "1"));
	base = map_registers(self->function);
	ASSERT_NE(MAP_FAILED, (void *)base);
	before = read_register(base, AIPU_REG_RESET_COUNT);
	EXPECT_EQ(0, write_text(self->function, "reset", "1"));
	/* The kernel has put the command register and the BARs back. */
	EXPECT_EQ(before + 1, read_register(base, AIPU_REG_RESET_COUNT));
	EXPECT_EQ(AIPU_MAGIC, read_register(base, AIPU_REG_MAGIC));
	munmap((void *)base, AIPU_PAGE_BYTES);
	EXPECT_EQ(0, write_text(self->function, "enable", "0"));
}

TEST_HARNESS_MAIN
