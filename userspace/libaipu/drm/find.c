// SPDX-License-Identifier: MIT
/*
 * Which cards there are, and which of them a name means: by index, node, PCI address or serial number. Leaves the one it found open.
 * Where there is none, the message says what there is, or why the one that is meant could not be had.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xf86drm.h>

#include "card.h"

#define NODES "/dev/accel"
#define CLASS "/sys/class/accel"
#define MAX_NODES 256

/* By their numbers: nodes of accelerators of any kind. The class has those too that a container was not given. */
struct nodes {
	bool seen[MAX_NODES];
};

static int node_number(const char *name)
{
	char *end;
	long number;

	if (strncmp(name, "accel", 5))
		return -1;
	number = strtol(name + 5, &end, 10);
	return *end || end == name + 5 || number < 0 || number >= MAX_NODES ? -1 : (int)number;
}

static void list(struct nodes *nodes, const char *path)
{
	DIR *directory = opendir(path);
	const struct dirent *entry;

	while (directory && (entry = readdir(directory)))
		if (node_number(entry->d_name) >= 0)
			nodes->seen[node_number(entry->d_name)] = true;
	if (directory)
		closedir(directory);
}

/* "0000:01:00.0" of device, "aipu_accel" of device/driver; "": not known */
static void last_of_link(int number, const char *name, char text[32])
{
	char link[64], target[PATH_MAX];
	const char *last;
	ssize_t bytes;

	snprintf(link, sizeof(link), CLASS "/accel%d/%s", number, name);
	bytes = readlink(link, target, sizeof(target) - 1);
	target[bytes > 0 ? bytes : 0] = '\0';
	last = strrchr(target, '/');
	snprintf(text, 32, "%.31s", last ? last + 1 : "");
}

/* As far as sysfs knows. Another driver's node is not opened. */
enum driver { OURS, ANOTHER, NOT_KNOWN };

static enum driver driver_of(int number)
{
	char driver[32];

	last_of_link(number, "device/driver", driver);
	if (!driver[0])
		return NOT_KNOWN;
	return strcmp(driver, AIPU_DRIVER_NAME) ? ANOTHER : OURS;
}

/* Opened. Ours? Then also of which version it is */
static bool is_ours(struct aipu_transport_device *device)
{
	drmVersionPtr version = drmGetVersion(device->fd);
	bool ours = version && version->name && !strcmp(version->name, AIPU_DRIVER_NAME);

	if (ours)
		device->version = (uint32_t)version->version_major << 16 |
				  (uint32_t)version->version_minor;
	drmFreeVersion(version);
	return ours;
}

/* A serial number is its 16 digits */
static bool is_serial(const char *name)
{
	return name && strlen(name) == 16 && strspn(name, "0123456789abcdefABCDEF") == 16;
}

/* Opened, and a card of ours */
static bool has_serial(const struct aipu_transport_device *device, const char *name)
{
	struct drm_aipu_device info;

	return !card_read_info(device, &info) && info.serial == strtoull(name, NULL, 16);
}

/* "1", "accel1" and "/dev/accel/accel1" are one; "01:00.0" and "0000:01:00.0" too */
static bool is_named(const char *node, const char *pci, const char *name)
{
	const char *short_name = strrchr(node, '/') + 1;

	return !name || !strcmp(name, "auto") || !strcmp(name, node) || !strcmp(name, short_name) ||
	       !strcmp(name, short_name + strlen("accel")) || !strcmp(name, pci) ||
	       (!strncmp(pci, "0000:", 5) && !strcmp(name, pci + 5));
}

/* Why a node that may be meant cannot be opened; -ENODEV: it is no card's, as far as anybody can tell */
static int why_not(const char *node, enum driver driver, int err, struct aipu_message *message)
{
	if (err == -EACCES || err == -EPERM)
		return aipu_message_set(message, -EACCES,
					"%s: no permission: be in the group that owns it, which is "
					"render by the udev rule (ls -l " NODES ")",
					node);
	if (driver != OURS)
		return -ENODEV;
	if (err == -ENOENT)
		return aipu_message_set(message, -ENXIO,
					"%s: the driver has the card, but this node is missing: a "
					"container without it, or no udev",
					node);
	return aipu_message_set(message, err == -ENODEV ? -ENXIO : err, "%s: cannot be opened: %s",
				node, strerror(-err));
}

static int close_node(struct aipu_transport_device *device)
{
	close(device->fd);
	device->fd = -1;
	return -ENODEV;
}

/* Opened, and another driver's; where it has a card's name, somebody made it by hand, or the card went and another came */
static int not_ours(struct aipu_transport_device *device, enum driver driver,
		    struct aipu_message *message)
{
	close_node(device);
	if (driver != OURS)
		return -ENODEV;
	return aipu_message_set(message, -ENXIO,
				"%s: it does not lead to the driver " AIPU_DRIVER_NAME
				": rm %s; udevadm trigger",
				device->node, device->node);
}

static int none(const struct nodes *nodes, const char *name, struct aipu_message *message)
{
	char known[384] = "", pci[32];

	for (int i = 0; i < MAX_NODES && strlen(known) < sizeof(known) - 80; i++) {
		if (!nodes->seen[i] || driver_of(i) != OURS)
			continue;
		last_of_link(i, "device", pci);
		snprintf(known + strlen(known), sizeof(known) - strlen(known),
			 ", %s (" NODES "/accel%d)", pci, i);
	}
	if (known[0])
		return aipu_message_set(message, -ENODEV, "%.64s: no such device: there is soft%s",
					name ? name : "auto", known);
	return aipu_message_set(message, -ENODEV,
				"%.64s: no such device: no node in " NODES
				" is of the driver " AIPU_DRIVER_NAME
				"; \"soft\" is the software device",
				name ? name : "auto");
}

/* Opens that node, if it is the card that the name means; else -ENODEV, or why not */
static int try_node(struct aipu_transport_device *device, int number, const char *name,
		    struct aipu_message *message)
{
	enum driver driver = driver_of(number);

	snprintf(device->node, sizeof(device->node), NODES "/accel%d", number);
	last_of_link(number, "device", device->pci);
	if (driver == ANOTHER || (!is_serial(name) && !is_named(device->node, device->pci, name)))
		return -ENODEV;
	device->fd = open(device->node, O_RDWR | O_CLOEXEC);
	if (device->fd < 0)
		return why_not(device->node, driver, -errno, message);
	if (!is_ours(device))
		return not_ours(device, driver, message);
	if (!is_serial(name) || has_serial(device, name))
		return 0;
	return close_node(device);
}

/* The first that can be had; else why the first that may be meant could not */
int card_find(struct aipu_transport_device *device, const char *name, struct aipu_message *message)
{
	struct nodes nodes = { { false } };
	struct aipu_message first;
	int err = 0;

	list(&nodes, NODES);
	list(&nodes, CLASS);
	for (int i = 0; i < MAX_NODES; i++) {
		struct aipu_message why;
		int tried;

		if (!nodes.seen[i])
			continue;
		tried = try_node(device, i, name, &why);
		if (!tried)
			return 0;
		if (tried != -ENODEV && !err) {
			err = tried;
			first = why;
		}
	}
	return err ? aipu_message_set(message, err, "%s", first.text) : none(&nodes, name, message);
}
