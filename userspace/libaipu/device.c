// SPDX-License-Identifier: MIT
/*
 * Devices: which transport a name means, open, close, query. What a device can do is the transport's
 * business; nothing here touches one.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define SOFT_PLUGIN "libaipu-soft.so"
#define DRM_PLUGIN "libaipu-drm.so"

/* Has it accelerators of any kind? */
static bool has_accel(const char *path)
{
	DIR *directory = opendir(path);
	const struct dirent *entry;
	bool has = false;

	while (directory && !has && (entry = readdir(directory)))
		has = !strncmp(entry->d_name, "accel", 5);
	if (directory)
		closedir(directory);
	return has;
}

/* "accel0", "3", "0000:03:00.0", "00000000000000fe": what will name a card */
static bool names_card(const char *name)
{
	if (!strncmp(name, "accel", 5) || !strncmp(name, "/dev/", 5) ||
	    (strlen(name) == 16 && strspn(name, "0123456789abcdefABCDEF") == 16))
		return true;
	return *name && name[strspn(name, "0123456789abcdefABCDEF:.")] == '\0' &&
	       isdigit((unsigned char)name[strlen(name) - 1]);
}

int aipu_device_open_transport(struct aipu_device **device, const struct aipu_transport_ops *ops,
			       const char *name, const struct aipu_device_options *options,
			       struct aipu_message *message)
{
	static const struct aipu_device_options defaults;
	struct aipu_device *opened;
	int error;

	if (!options)
		options = &defaults;
	for (size_t i = 0; i < sizeof(options->reserved) / sizeof(options->reserved[0]); i++) {
		if (options->reserved[i])
			return aipu_message_set(message, -EINVAL,
						"device options: reserved[%zu] is not zero", i);
	}
	opened = calloc(1, sizeof(*opened));
	if (!opened)
		return aipu_message_set(message, -ENOMEM, "%s: out of memory", ops->name);
	opened->ops = ops;
	opened->name = ops->name;
	error = ops->device_open(&opened->transport, name, options, message);
	if (error) {
		free(opened);
		return error;
	}
	*device = opened;
	return 0;
}

static int open_by(struct aipu_device **device, const char *plugin, const char *name,
		   const struct aipu_device_options *options, struct aipu_message *message)
{
	const struct aipu_transport_ops *ops;
	int error = aipu_plugin_load(plugin, &ops, message);

	return error ? error : aipu_device_open_transport(device, ops, name, options, message);
}

/* A card if there is one that can be had, else the software device; the message says why not a card that is there */
static int open_any(struct aipu_device **device, const struct aipu_device_options *options,
		    struct aipu_message *message)
{
	struct aipu_message card = { "" };
	int error = -ENODEV, soft;

	/* A container may see what it was not given; it is told of that. */
	if (has_accel("/dev/accel") || has_accel("/sys/class/accel")) {
		error = open_by(device, DRM_PLUGIN, NULL, options, &card);
		if (!error)
			return 0;
	}
	soft = open_by(device, SOFT_PLUGIN, NULL, options, message);
	if (soft)
		return soft;
	if (error == -ENODEV)
		return 0;
	return aipu_message_set(message, 0, "%.400s; using the software device", card.text);
}

int aipu_device_open(struct aipu_device **device, const char *name,
		     const struct aipu_device_options *options, struct aipu_message *message)
{
	if (message)
		message->text[0] = '\0';
	if (!device)
		return aipu_message_set(message, -EINVAL, "aipu_device_open: device is NULL");
	*device = NULL;
	if (!name || !strcmp(name, "auto"))
		return open_any(device, options, message);
	if (!strcmp(name, "soft"))
		return open_by(device, SOFT_PLUGIN, NULL, options, message);
	if (names_card(name))
		return open_by(device, DRM_PLUGIN, name, options, message);
	return aipu_message_set(
		message, -ENODEV,
		"%.64s: no such device: \"auto\", \"soft\", or a card by its index, "
		"node, PCI address or serial number",
		name);
}

void aipu_device_close(struct aipu_device *device)
{
	if (!device)
		return;
	device->ops->device_close(device->transport);
	free(device);
}

int aipu_device_query(struct aipu_device *device, struct aipu_device_info *info)
{
	if (!device || !info)
		return -EINVAL;
	memset(info, 0, sizeof(*info));
	snprintf(info->name, sizeof(info->name), "%s", device->name);
	snprintf(info->transport, sizeof(info->transport), "%s", device->ops->name);
	return device->ops->device_query(device->transport, info);
}
