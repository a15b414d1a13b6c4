// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * BAR0 of a card that no driver has: why its driver did not take it can be read there, by root. Only registers that tell and do
 * nothing are read, each once.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "aipu/manage.h"
#include "aipu_registers.h"
#include "sources.h"

/* What is read, in this order; the first one again at the end */
static const uint32_t offsets[] = {
	AIPU_REG_MAGIC,	      AIPU_REG_ABI_OLDEST,	 AIPU_REG_ABI_NEWEST,
	AIPU_REG_BOARD_ID,    AIPU_REG_FIRMWARE_VERSION, AIPU_REG_ROLLBACK,
	AIPU_REG_SERIAL_LO,   AIPU_REG_SERIAL_HI,	 AIPU_REG_ROM_VERSION,
	AIPU_REG_BOOT_SOURCE, AIPU_REG_STATUS,		 AIPU_REG_ERROR,
	AIPU_REG_MAGIC,
};

static void take(struct fw_card *card, const uint32_t *value)
{
	struct fw_range range = { value[AIPU_REG_ABI_OLDEST / 4], value[AIPU_REG_ABI_NEWEST / 4] };

	card->board = value[AIPU_REG_BOARD_ID / 4];
	card->rollback = value[AIPU_REG_ROLLBACK / 4];
	card->rom_version = value[AIPU_REG_ROM_VERSION / 4];
	card->firmware_version = value[AIPU_REG_FIRMWARE_VERSION / 4];
	snprintf(card->serial, sizeof(card->serial), "%08x%08x", value[AIPU_REG_SERIAL_HI / 4],
		 value[AIPU_REG_SERIAL_LO / 4]);
	if (card->firmware_version) {
		card->abi = range;
		card->source = value[AIPU_REG_BOOT_SOURCE / 4];
	} else {
		card->rom = range;
	}
	if ((value[AIPU_REG_STATUS / 4] & AIPU_STATUS_STATE_MASK) == AIPU_STATE_FAILED)
		card->error = value[AIPU_REG_ERROR / 4];
	if (card->error)
		snprintf(card->reason, sizeof(card->reason), "the card failed: %s",
			 aipu_error_text(card->error));
}

int registers_parse(struct fw_card *card, const volatile uint32_t *words)
{
	uint32_t value[AIPU_PAGE_BYTES / 4] = { 0 }, first = words[AIPU_REG_MAGIC / 4];

	for (size_t i = 1; i < sizeof(offsets) / sizeof(offsets[0]) && first == AIPU_MAGIC; i++)
		value[offsets[i] / 4] = words[offsets[i] / 4];
	if (first != AIPU_MAGIC)
		snprintf(card->reason, sizeof(card->reason),
			 "BAR0 begins with %08x, not with %08x: %s", first, AIPU_MAGIC,
			 first == UINT32_MAX ? "the card does not answer"
					     : "not this kind of card");
	else if (value[AIPU_REG_MAGIC / 4] != AIPU_MAGIC)
		/* What was read meanwhile means nothing. */
		snprintf(card->reason, sizeof(card->reason), "the card stopped answering");
	else
		take(card, value);
	return first == AIPU_MAGIC && value[AIPU_REG_MAGIC / 4] == AIPU_MAGIC ? 0 : -EIO;
}

int registers_read(struct fw_card *card, const struct card *pci)
{
	char path[PATH_MAX];
	struct stat status;
	void *bar;
	int fd, err;

	if (!(pci->command & PCI_COMMAND_MEMORY))
		return 0;
	cards_path(path, "/sys/bus/pci/devices/%s/resource%d", pci->pci, AIPU_BAR_REGISTERS);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (fstat(fd, &status) || status.st_size < (off_t)AIPU_PAGE_BYTES) {
		close(fd);
		return 0;
	}
	bar = mmap(NULL, AIPU_PAGE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (bar == MAP_FAILED)
		return 0;
	err = registers_parse(card, bar);
	munmap(bar, AIPU_PAGE_BYTES);
	return err;
}
