// SPDX-License-Identifier: MIT
/*
 * Which cards there are, also those that their driver has not, which are told why. Opens none, but for its serial number if it is
 * named by that.
 */
#include "update.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aipu_registers.h"
#include "fw.h"
#include "root.h"

#define PCI_DEVICES "/sys/bus/pci/devices"
#define PCI_DRIVERS "/sys/bus/pci/drivers"
#define DRIVER "aipu_accel"

struct cards {
	struct fw_target *list;
	size_t count;
	char serial[33]; /* of the one that was asked last */
};

/* --- what there is -------------------------------------------------------------------------------- */

/* By node, then by PCI address those that have none */
static int by_number(const void *a, const void *b)
{
	const struct fw_target *one = a, *other = b;

	if (one->node[0] && other->node[0])
		return atoi(one->name + strlen("accel")) - atoi(other->name + strlen("accel"));
	if (one->node[0] || other->node[0])
		return one->node[0] ? -1 : 1;
	return strcmp(one->pci, other->pci);
}

static bool has_id(const char *pci, const char *which, unsigned long id)
{
	char line[32];

	return cards_read_line(line, sizeof(line), PCI_DEVICES "/%s/%s", pci, which) &&
	       strtoul(line, NULL, 16) == id;
}

/* A card that nothing can be asked of by its driver: why, and what that is as an exit code */
static void without_node(struct fw_target *target, const char *driver)
{
	char path[PATH_MAX];

	target->code = CLI_NO_DEVICE;
	target->state = "no driver";
	cards_path(path, PCI_DRIVERS "/" DRIVER);
	if (!strcmp(driver, DRIVER)) {
		target->code = CLI_FAILED;
		target->state = "not responding";
		snprintf(
			target->problem, sizeof(target->problem),
			"its driver has made no node for it; aipu-smi doctor looks for the reason");
	} else if (driver[0]) {
		snprintf(target->problem, sizeof(target->problem),
			 "the driver %s has it, not " DRIVER, driver);
	} else if (access(path, F_OK)) {
		snprintf(target->problem, sizeof(target->problem),
			 "its driver is not loaded: modprobe " DRIVER);
	} else {
		target->code = CLI_FAILED;
		target->state = "not taken";
		snprintf(target->problem, sizeof(target->problem),
			 "its driver did not take it, or was unbound; aipu-smi doctor looks for "
			 "the reason");
	}
}

/* False: it is no card */
static bool take_function(struct fw_target *target, const char *pci)
{
	int index = cards_node_index(pci);
	char driver[32];

	cards_link_name(driver, sizeof(driver), PCI_DEVICES "/%s/driver", pci);
	if (strcmp(driver, DRIVER) != 0 && !(has_id(pci, "vendor", AIPU_PCI_VENDOR_ID) &&
					     has_id(pci, "device", AIPU_PCI_DEVICE_ID)))
		return false;
	*target = (struct fw_target){ .code = CLI_OK };
	snprintf(target->pci, sizeof(target->pci), "%.*s", (int)sizeof(target->pci) - 1, pci);
	if (index < 0 || strcmp(driver, DRIVER) != 0) {
		snprintf(target->name, sizeof(target->name), "%s", target->pci);
		without_node(target, driver);
		return true;
	}
	snprintf(target->name, sizeof(target->name), "accel%d", index);
	snprintf(target->node, sizeof(target->node), "/dev/accel/accel%d", index);
	return true;
}

/* Room for one more than there are: the software device. *why: there is none */
static int list_cards(struct cards *cards, const char **why)
{
	const struct dirent *entry;
	char path[PATH_MAX];
	DIR *directory;

	cards_path(path, PCI_DEVICES);
	directory = opendir(path);
	*why = directory ? "no PCI function is an AIPU (1af4:10f0)" : "there is no PCI bus here";
	cards->list = calloc(1, sizeof(*cards->list));
	while (directory && cards->list && (entry = readdir(directory))) {
		struct fw_target found, *more;

		if (entry->d_name[0] == '.' || !take_function(&found, entry->d_name))
			continue;
		more = realloc(cards->list, (cards->count + 2) * sizeof(*more));
		if (!more) {
			free(cards->list);
			cards->list = NULL;
			break;
		}
		cards->list = more;
		cards->list[cards->count++] = found;
	}
	if (directory)
		closedir(directory);
	if (!cards->list)
		return fw_fail(CLI_FAILED, "out of memory");
	if (cards->count)
		qsort(cards->list, cards->count, sizeof(*cards->list), by_number);
	return CLI_OK;
}

/* --- which are meant ------------------------------------------------------------------------------ */

static void names_of(const void *cards, size_t index, const char **pci, const char **node)
{
	const struct fw_target *target = &((const struct cards *)cards)->list[index];

	*pci = target->pci;
	*node = target->node;
}

static const char *serial_of(void *cards, size_t index)
{
	struct cards *all = cards;
	struct aipu_device_info info;
	struct aipu_device *device;

	if (all->list[index].problem[0] ||
	    aipu_device_open(&device, all->list[index].name, NULL, NULL))
		return NULL;
	all->serial[0] = '\0';
	if (!aipu_device_query(device, &info))
		snprintf(all->serial, sizeof(all->serial), "%.32s", info.serial);
	aipu_device_close(device);
	return all->serial;
}

int fw_targets_find(struct fw_targets *targets, const struct picks *picks)
{
	const char *why;
	struct cards cards = { .count = 0 };
	struct pick_list there = { .cards = &cards, .names = names_of, .serial = serial_of };
	bool *chosen;
	int code = list_cards(&cards, &why);

	*targets = (struct fw_targets){ .list = cards.list };
	if (code)
		return code;
	there.count = cards.count;
	there.none = why;
	chosen = calloc(cards.count + 1, sizeof(*chosen));
	if (!chosen)
		return fw_fail(CLI_FAILED, "out of memory");
	code = picks_choose(FW_TOOL, picks, &there, chosen);
	cards.list[cards.count] = (struct fw_target){ .name = "soft" };
	for (size_t i = 0; !code && i <= cards.count; i++)
		if (chosen[i])
			targets->list[targets->count++] = cards.list[i];
	free(chosen);
	return code;
}
