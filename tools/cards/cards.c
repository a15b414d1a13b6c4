// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * See cards.h. What libpci knows comes from it (ids, BARs, the command register); drivers, nodes and link state only sysfs has.
 */
#include "cards.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pci/pci.h>

#include "aipu_registers.h"

#define PCI_DEVICES "/sys/bus/pci/devices"

/* --- one card ------------------------------------------------------------------------------------- */

static long number_of(const struct card *card, const char *name, long unknown)
{
	char line[64], *end;
	long value;

	if (!cards_read_line(line, sizeof(line), PCI_DEVICES "/%s/%s", card->pci, name))
		return unknown;
	value = strtol(line, &end, 10);
	return end == line || *end ? unknown : value;
}

static void from_sysfs(struct card *card)
{
	char group[16];
	long width;

	cards_link_name(card->driver, sizeof(card->driver), PCI_DEVICES "/%s/driver", card->pci);
	card->index = cards_node_index(card->pci);
	if (card->index >= 0)
		snprintf(card->node, sizeof(card->node), "/dev/accel/accel%d", card->index);
	cards_read_line(card->link_speed, sizeof(card->link_speed),
			PCI_DEVICES "/%s/current_link_speed", card->pci);
	cards_read_line(card->link_speed_max, sizeof(card->link_speed_max),
			PCI_DEVICES "/%s/max_link_speed", card->pci);
	/* sysfs says "Unknown" and 255 of what the function does not tell */
	if (!strncmp(card->link_speed, "Unknown", 7))
		card->link_speed[0] = '\0';
	if (!strncmp(card->link_speed_max, "Unknown", 7))
		card->link_speed_max[0] = '\0';
	width = number_of(card, "current_link_width", 0);
	card->link_width = width > 0 && width < 255 ? (unsigned int)width : 0;
	width = number_of(card, "max_link_width", 0);
	card->link_width_max = width > 0 && width < 255 ? (unsigned int)width : 0;
	card->numa_node = (int)number_of(card, "numa_node", -1);
	cards_link_name(group, sizeof(group), PCI_DEVICES "/%s/iommu_group", card->pci);
	card->iommu_group = group[0] ? atoi(group) : -1;
}

static void from_pci(struct card *card, struct pci_dev *device)
{
	snprintf(card->pci, sizeof(card->pci), "%04x:%02x:%02x.%x", (unsigned int)device->domain,
		 device->bus, device->dev, device->func);
	card->vendor = device->vendor_id;
	card->device = device->device_id;
	card->revision = pci_read_byte(device, PCI_REVISION_ID);
	card->subsystem_vendor = pci_read_word(device, PCI_SUBSYSTEM_VENDOR_ID);
	card->subsystem_device = pci_read_word(device, PCI_SUBSYSTEM_ID);
	card->command = pci_read_word(device, PCI_COMMAND);
	for (int i = 0; i < CARD_BARS; i++) {
		card->bar_start[i] = device->base_addr[i] & PCI_ADDR_MEM_MASK;
		card->bar_bytes[i] = device->size[i];
	}
}

/* --- all of them ---------------------------------------------------------------------------------- */

/* libpci ends the process on an error unless it is given a way out */
static __thread jmp_buf way_out;

static __attribute__((noreturn)) void pci_failed(char *format, ...)
{
	(void)format;
	longjmp(way_out, 1);
}

static void pci_says(char *format, ...)
{
	(void)format;
}

static int by_address(const void *a, const void *b)
{
	return strcmp(((const struct card *)a)->pci, ((const struct card *)b)->pci);
}

static int take(struct card_list *list, struct pci_access *access)
{
	struct pci_dev *device;

	pci_scan_bus(access);
	for (device = access->devices; device; device = device->next) {
		struct card *more;

		pci_fill_info(device, PCI_FILL_IDENT | PCI_FILL_BASES | PCI_FILL_SIZES);
		if (device->vendor_id != AIPU_PCI_VENDOR_ID ||
		    device->device_id != AIPU_PCI_DEVICE_ID)
			continue;
		more = realloc(list->cards, (list->count + 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		list->cards = more;
		more += list->count++;
		memset(more, 0, sizeof(*more));
		from_pci(more, device);
		from_sysfs(more);
	}
	if (list->count)
		qsort(list->cards, list->count, sizeof(*list->cards), by_address);
	return 0;
}

int cards_list(struct card_list *list)
{
	struct pci_access *volatile bus;
	char path[PATH_MAX];
	int err;

	*list = (struct card_list){ 0 };
	cards_path(path, PCI_DEVICES);
	/* A machine without PCI has no such directory: that is no error of the bus. */
	if (access(path, F_OK))
		return -ENOENT;
	bus = pci_alloc();
	bus->error = pci_failed;
	bus->warning = pci_says;
	bus->debug = pci_says;
	if (setjmp(way_out)) {
		cards_free(list);
		return -EIO;
	}
	cards_path(path, "/sys/bus/pci");
	bus->method = PCI_ACCESS_SYS_BUS_PCI;
	pci_set_param(bus, "sysfs.path", path);
	pci_init(bus);
	err = take(list, bus);
	pci_cleanup(bus);
	if (err)
		cards_free(list);
	return err;
}

void cards_free(struct card_list *list)
{
	free(list->cards);
	*list = (struct card_list){ 0 };
}
