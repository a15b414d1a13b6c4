// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Finds, chooses and opens cards. What PCI and sysfs show comes from tools/cards, the rest from libaipu. Changes nothing.
 */
#include "devices.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aipu_registers.h"

#define COMMAND_DEAD 0xffff /* configuration space that nobody answers reads as ones */
#define COMMAND_AT 4

const char *smi_device_name(const struct smi_device *device)
{
	return device->soft ? "soft" : device->card.pci;
}

int smi_worse(int code, int other)
{
	static const int order[] = { SMI_NOT_ANSWERING, SMI_NO_DRIVER, CLI_NO_PERMISSION,
				     CLI_FAILED };

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (code == order[i] || other == order[i])
			return order[i];
	return code ? code : other;
}

bool smi_off_the_bus(const struct card *card)
{
	char path[PATH_MAX];
	uint16_t command;
	ssize_t bytes;
	int fd;

	cards_path(path, "/sys/bus/pci/devices/%s/config", card->pci);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT;
	bytes = pread(fd, &command, sizeof(command), COMMAND_AT);
	close(fd);
	return bytes == (ssize_t)sizeof(command) && command == COMMAND_DEAD;
}

/* --- opening ------------------------------------------------------------------------------------- */

static void not_open(struct smi_device *d, int code, const char *state, const char *problem)
{
	d->code = code;
	snprintf(d->state, sizeof(d->state), "%s", state);
	text_clean(d->problem, sizeof(d->problem), problem, strlen(problem) + 1);
}

int smi_error_code(int err)
{
	switch (err) {
	case -EIO:
	case -ENXIO:
	case -ENODEV:
	case -ETIMEDOUT:
		return SMI_NOT_ANSWERING;
	default:
		return cli_exit_code(err);
	}
}

/* Its driver is there and has a node, but the node could not be had */
static void not_opened(struct smi_device *d, int err, const char *why)
{
	int code = smi_error_code(err);

	not_open(d, code,
		 code == SMI_NOT_ANSWERING   ? "not responding"
		 : code == CLI_NO_PERMISSION ? "no permission"
					     : "not opened",
		 why);
}

static void no_driver(struct smi_device *d)
{
	char path[PATH_MAX], problem[sizeof(d->problem)];

	cards_path(path, "/sys/module/" CARD_DRIVER);
	if (access(path, F_OK))
		snprintf(problem, sizeof(problem),
			 "no driver is bound to it: modprobe " CARD_DRIVER
			 "; aipu-smi doctor looks for the reason");
	else
		snprintf(problem, sizeof(problem),
			 "no driver is bound to it: echo %s >/sys/bus/pci/drivers/" CARD_DRIVER
			 "/bind; aipu-smi doctor looks for the reason",
			 d->card.pci);
	not_open(d, SMI_NO_DRIVER, "no driver", problem);
}

void smi_card_open(struct smi_device *d)
{
	struct aipu_message message = { "" };
	char path[PATH_MAX], state[48];
	int err;

	if (d->card.command == COMMAND_DEAD) {
		not_open(d, SMI_NOT_ANSWERING, "not responding", SMI_OFF_THE_BUS);
	} else if (!d->card.driver[0]) {
		no_driver(d);
	} else if (strcmp(d->card.driver, CARD_DRIVER)) {
		snprintf(state, sizeof(state), "driver %.32s", d->card.driver);
		not_open(d, SMI_NO_DRIVER, state, "another driver than " CARD_DRIVER " has it");
	} else if (!d->card.node[0]) {
		not_open(d, SMI_NOT_ANSWERING, "no node",
			 "the driver has no node for it in /dev/accel; see dmesg");
	} else {
		cards_path(path, "%s", d->card.node);
		if (access(path, F_OK) && errno == ENOENT) {
			not_open(
				d, CLI_FAILED, "no node",
				"the driver has it, but its node is not in /dev/accel: a container without it, or no udev");
			return;
		}
		err = aipu_device_open(&d->device, d->card.node, NULL, &message);
		if (err)
			not_opened(d, err, message.text);
	}
}

void smi_card_gone(struct smi_device *d)
{
	d->card.command = COMMAND_DEAD;
	d->card.driver[0] = d->card.node[0] = '\0';
	d->card.index = -1;
	not_open(d, SMI_NOT_ANSWERING, "not responding", "it is not on the PCI bus any more");
}

static int open_soft(struct smi_device *d)
{
	struct aipu_message message = { "" };
	int err = aipu_device_open(&d->device, "soft", NULL, &message);

	return err ? smi_fail(cli_exit_code(err), "%s", message.text) : CLI_OK;
}

/* For its serial number; NULL: it does not tell */
static const char *serial_of(void *devices, size_t index)
{
	struct smi_device *d = &((struct smi_devices *)devices)->list[index];
	struct aipu_device_info info;

	if (d->card.command == COMMAND_DEAD || strcmp(d->card.driver, CARD_DRIVER))
		return NULL;
	if (!d->device && !d->problem[0])
		smi_card_open(d);
	if (!d->device || aipu_device_query(d->device, &info))
		return NULL;
	TEXT_CLEAN(d->serial, info.serial);
	return d->serial;
}

/* --- choosing ------------------------------------------------------------------------------------ */

static void names_of(const void *devices, size_t index, const char **pci, const char **node)
{
	const struct card *card = &((const struct smi_devices *)devices)->list[index].card;

	*pci = card->pci;
	*node = card->node;
}

static int list_all(struct smi_devices *all, int *bus)
{
	struct card_list cards;

	*bus = cards_list(&cards);
	if (*bus && *bus != -ENOENT)
		return smi_fail(CLI_FAILED, "the PCI bus cannot be read: %s", strerror(-*bus));
	all->list = calloc(cards.count + 1, sizeof(*all->list));
	if (!all->list) {
		cards_free(&cards);
		return smi_fail(CLI_FAILED, "out of memory");
	}
	for (size_t i = 0; i < cards.count; i++)
		all->list[i].card = cards.cards[i];
	all->count = cards.count;
	cards_free(&cards);
	return CLI_OK;
}

/* Drops what was not chosen */
static void keep(struct smi_devices *all, const bool *chosen)
{
	size_t kept = 0;

	all->list[all->count].soft = true;
	for (size_t i = 0; i <= all->count; i++) {
		struct smi_device d = all->list[i];

		all->list[i].device = NULL;
		if (chosen[i])
			all->list[kept++] = d;
		else
			aipu_device_close(d.device);
	}
	all->count = kept;
}

int smi_devices_find(struct smi_devices *devices, const struct picks *picks)
{
	struct pick_list list = { .cards = devices, .names = names_of, .serial = serial_of };
	bool *chosen;
	int bus, code;

	memset(devices, 0, sizeof(*devices));
	code = list_all(devices, &bus);
	if (code)
		return code;
	list.count = devices->count;
	list.none = bus == -ENOENT ? CARDS_NO_BUS : CARDS_NONE;
	chosen = calloc(devices->count + 1, sizeof(*chosen));
	if (!chosen)
		code = smi_fail(CLI_FAILED, "out of memory");
	else
		code = picks_choose(SMI_TOOL, picks, &list, chosen);
	if (!code)
		keep(devices, chosen);
	else
		smi_devices_close(devices);
	free(chosen);
	return code;
}

int smi_devices_open(struct smi_devices *devices, const struct picks *picks)
{
	int code = smi_devices_find(devices, picks);

	for (size_t i = 0; !code && i < devices->count; i++) {
		struct smi_device *d = &devices->list[i];

		if (d->soft)
			code = open_soft(d);
		else if (!d->device && !d->problem[0])
			smi_card_open(d);
		if (code)
			smi_devices_close(devices);
	}
	return code;
}

void smi_devices_close(struct smi_devices *devices)
{
	for (size_t i = 0; i < devices->count; i++)
		aipu_device_close(devices->list[i].device);
	free(devices->list);
	memset(devices, 0, sizeof(*devices));
}

int smi_devices_each(const struct picks *picks,
		     int (*one)(const struct smi_device *device, const void *how), const void *how)
{
	struct smi_devices devices;
	int code = smi_devices_open(&devices, picks);

	if (code)
		return code;
	for (size_t i = 0; i < devices.count; i++)
		code = smi_worse(code, one(&devices.list[i], how));
	smi_devices_close(&devices);
	return code;
}
