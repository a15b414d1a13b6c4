// SPDX-License-Identifier: MIT
/* Which cards there are: those that the driver has, with a node. Opens none, but for its serial number if it is named by that. */
#include "update.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fw.h"
#include "root.h"

#define PCI_DEVICES "/sys/bus/pci/devices"
#define DRIVER "aipu_accel"

struct cards {
	struct fw_target *list;
	size_t count;
	char serial[33]; /* of the one that was asked last */
};

static int by_number(const void *a, const void *b)
{
	const struct fw_target *one = a, *other = b;

	return atoi(one->name + strlen("accel")) - atoi(other->name + strlen("accel"));
}

/* Room for one more than there are: the software device */
static int list_cards(struct cards *cards)
{
	const struct dirent *entry;
	char path[PATH_MAX], driver[32];
	DIR *directory;

	cards_path(path, PCI_DEVICES);
	directory = opendir(path);
	cards->list = calloc(1, sizeof(*cards->list));
	while (directory && cards->list && (entry = readdir(directory))) {
		int index = cards_node_index(entry->d_name);
		struct fw_target *more;

		cards_link_name(driver, sizeof(driver), PCI_DEVICES "/%s/driver", entry->d_name);
		if (index < 0 || strcmp(driver, DRIVER) != 0)
			continue;
		more = realloc(cards->list, (cards->count + 2) * sizeof(*more));
		if (!more) {
			free(cards->list);
			cards->list = NULL;
			break;
		}
		cards->list = more;
		more += cards->count++;
		snprintf(more->name, sizeof(more->name), "accel%d", index);
		snprintf(more->node, sizeof(more->node), "/dev/accel/accel%d", index);
		snprintf(more->pci, sizeof(more->pci), "%.*s", (int)sizeof(more->pci) - 1,
			 entry->d_name);
	}
	if (directory)
		closedir(directory);
	if (!cards->list)
		return fw_fail(CLI_FAILED, "out of memory");
	if (cards->count)
		qsort(cards->list, cards->count, sizeof(*cards->list), by_number);
	return CLI_OK;
}

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

	if (aipu_device_open(&device, all->list[index].name, NULL, NULL))
		return NULL;
	all->serial[0] = '\0';
	if (!aipu_device_query(device, &info))
		snprintf(all->serial, sizeof(all->serial), "%.32s", info.serial);
	aipu_device_close(device);
	return all->serial;
}

int fw_targets_find(struct fw_targets *targets, const struct picks *picks, bool soft_if_none)
{
	struct cards cards = { .count = 0 };
	const struct pick_list list = { .cards = &cards,
					.names = names_of,
					.serial = serial_of,
					.none = "no PCI function has a node of the driver " DRIVER };
	struct pick_list there = list;
	bool *chosen;
	int code = list_cards(&cards);

	*targets = (struct fw_targets){ .list = cards.list };
	if (code)
		return code;
	there.count = cards.count;
	chosen = calloc(cards.count + 1, sizeof(*chosen));
	if (!chosen)
		return fw_fail(CLI_FAILED, "out of memory");
	if (soft_if_none && !picks->count && !cards.count)
		chosen[0] = true;
	else
		code = picks_choose(FW_TOOL, picks, &there, chosen);
	cards.list[cards.count] = (struct fw_target){ .name = "soft" };
	for (size_t i = 0; !code && i <= cards.count; i++)
		if (chosen[i])
			targets->list[targets->count++] = cards.list[i];
	free(chosen);
	return code;
}
