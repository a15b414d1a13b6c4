// SPDX-License-Identifier: GPL-2.0-or-later
/* The report's section of cards and the bridges above them, as sysfs has them. Other functions of the machine are not named. */
#include "report.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aipu_registers.h"

#define PCI_DEVICES "/sys/bus/pci/devices"
/* Without the extended capabilities, which have the serial number */
#define CONFIG_BYTES 256u

/* "0000:01:00.0" */
static bool is_address(const char *name)
{
	unsigned int domain, bus, device, function;
	int end = 0;

	return sscanf(name, "%x:%2x:%2x.%1u%n", &domain, &bus, &device, &function, &end) == 4 &&
	       end && !name[end];
}

static void config_space(const char *pci, FILE *out)
{
	unsigned char config[CONFIG_BYTES];
	char path[PATH_MAX];
	size_t count = 0;
	FILE *in;

	cards_path(path, PCI_DEVICES "/%s/config", pci);
	in = fopen(path, "re");
	if (in) {
		count = fread(config, 1, sizeof(config), in);
		fclose(in);
	}
	fprintf(out, "config space%s:\n", count < CONFIG_BYTES ? " (root can read all)" : "");
	for (size_t i = 0; i < count; i++)
		fprintf(out, "%s%02x%s", i % 16 ? "" : "  ", config[i],
			i % 16 == 15 || i + 1 == count ? "\n" : " ");
}

static void attributes(const char *pci, const char *const *names, FILE *out)
{
	char path[128];

	for (; *names; names++) {
		snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", pci, *names);
		report_line(out, *names, path);
	}
}

/* Start, end and flags of each BAR, of a bridge its windows too */
static void resources(const char *pci, FILE *out)
{
	char path[PATH_MAX], line[128];
	unsigned int index = 0;
	FILE *in;

	cards_path(path, PCI_DEVICES "/%s/resource", pci);
	in = fopen(path, "re");
	for (; in && fgets(line, sizeof(line), in); index++) {
		unsigned long long start, end, flags;

		if (sscanf(line, "%llx %llx %llx", &start, &end, &flags) == 3 && flags)
			fprintf(out, "resource %u: %#llx to %#llx, flags %#llx\n", index, start,
				end, flags);
	}
	if (in)
		fclose(in);
}

static void driver_name(const char *pci, FILE *out)
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *last;
	ssize_t count;

	cards_path(path, PCI_DEVICES "/%s/driver", pci);
	count = readlink(path, target, sizeof(target) - 1);
	target[count > 0 ? count : 0] = '\0';
	last = strrchr(target, '/');
	fprintf(out, "driver: %s\n", last ? last + 1 : "none");
}

static void function(const char *pci, FILE *out)
{
	static const char *const names[] = { "vendor",
					     "device",
					     "subsystem_vendor",
					     "subsystem_device",
					     "revision",
					     "class",
					     "enable",
					     "power_state",
					     "numa_node",
					     "current_link_speed",
					     "max_link_speed",
					     "current_link_width",
					     "max_link_width",
					     "aer_dev_correctable",
					     "aer_dev_nonfatal",
					     "aer_dev_fatal",
					     NULL };

	attributes(pci, names, out);
	driver_name(pci, out);
	resources(pci, out);
	config_space(pci, out);
}

/* sysfs has the way to the card in its path: "/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0" */
static void bridges(const char *pci, FILE *out)
{
	char path[PATH_MAX], way[PATH_MAX], *rest = NULL;

	cards_path(path, PCI_DEVICES "/%s", pci);
	if (!realpath(path, way))
		return;
	for (const char *name = strtok_r(way, "/", &rest); name;
	     name = strtok_r(NULL, "/", &rest)) {
		if (!is_address(name) || !strcmp(name, pci))
			continue;
		fprintf(out, "-- bridge %s above %s\n", name, pci);
		function(name, out);
	}
}

static void registers(const struct doctor_registers *registers, FILE *out)
{
	if (registers->unread[0]) {
		fprintf(out, "BAR0: not read: %s\n", registers->unread);
		return;
	}
	fprintf(out,
		"BAR0: magic %08x, status %08x, error %u, contract %u.%u to %u.%u, board %08x, firmware "
		"%08x, rollback %u, slot errors %u %u\n",
		registers->magic, registers->status, registers->error,
		AIPU_ABI_MAJOR(registers->abi_oldest), AIPU_ABI_MINOR(registers->abi_oldest),
		AIPU_ABI_MAJOR(registers->abi_newest), AIPU_ABI_MINOR(registers->abi_newest),
		registers->board, registers->firmware_version, registers->rollback,
		registers->slot_errors[0], registers->slot_errors[1]);
}

static void opened(const struct doctor_open *open, FILE *out)
{
	const struct aipu_device_info *info = &open->info;

	if (!open->tried || open->error) {
		fprintf(out, "not opened%s%s\n", open->tried ? ": " : "",
			open->tried ? open->message : "");
		return;
	}
	/* Of the firmware no more than its number: whoever built it chose the text behind */
	fprintf(out,
		"model %s, firmware %u.%u.%u (%08x), boot ROM %08x, board %08x, driver's user API %u.%u\n"
		"state %u, resets %u, contract in use %u.%u, capabilities %#llx, operations %#llx, "
		"formats %#llx\nmemory %llu, free %llu\n",
		info->model, info->firmware_version >> 24, info->firmware_version >> 16 & 0xff,
		info->firmware_version & 0xffff, info->firmware_version, info->rom_version,
		info->board_id, info->driver_version >> 16, info->driver_version & 0xffff,
		info->state, info->resets, AIPU_ABI_MAJOR(info->abi_in_use),
		AIPU_ABI_MINOR(info->abi_in_use), (unsigned long long)info->capabilities,
		(unsigned long long)info->operations, (unsigned long long)info->formats,
		(unsigned long long)info->memory_bytes, (unsigned long long)info->memory_free);
}

void report_cards(const struct doctor_facts *facts, FILE *out)
{
	if (!facts->card_count)
		fprintf(out, "none\n");
	for (size_t i = 0; i < facts->card_count; i++) {
		const struct doctor_card *card = &facts->cards[i];

		fprintf(out, "-- card %s\n", card->pci.pci);
		function(card->pci.pci, out);
		fprintf(out, "driver_override: %s\nIOMMU group: %d\n",
			card->override[0] ? card->override : "none", card->pci.iommu_group);
		if (card->pci.node[0])
			fprintf(out, "node: %s, mode %04o, group %s\n", card->pci.node,
				card->node.mode,
				card->node.group_name[0] ? card->node.group_name : "without name");
		registers(&card->registers, out);
		opened(&card->open, out);
		bridges(card->pci.pci, out);
	}
}
