// SPDX-License-Identifier: MIT
/*
 * The drm transport's door: looks whether a card that was found fits libaipu, tells what it is, and hands the table of operations
 * to libaipu.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "card.h"

_Static_assert((int)DRM_AIPU_STATE_RESETTING == AIPU_DEVICE_RESETTING &&
		       (int)DRM_AIPU_STATE_WEDGED == AIPU_DEVICE_WEDGED,
	       "states of a card");

int card_ioctl(const struct aipu_transport_device *device, unsigned long request, void *argument)
{
	int ret;

	do {
		ret = ioctl(device->fd, request, argument);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : 0;
}

int card_read_info(const struct aipu_transport_device *device, struct drm_aipu_device *info)
{
	struct drm_aipu_query query = { .kind = DRM_AIPU_QUERY_DEVICE,
					.bytes = sizeof(*info),
					.data = (uintptr_t)info };

	return card_ioctl(device, DRM_IOCTL_AIPU_QUERY, &query);
}

/* Minor versions of the user API work with each other: what is new has feature bits */
static int check_driver(const struct aipu_transport_device *device, struct aipu_message *message)
{
	uint32_t major = AIPU_ABI_MAJOR(device->version);

	if (major == AIPU_DRIVER_VERSION_MAJOR)
		return 0;
	return aipu_message_set(message, -EPROTO,
				"%s: the driver's user API is %u.%u, libaipu %s knows %u.%u: "
				"upgrade %s",
				device->node, major, AIPU_ABI_MINOR(device->version),
				aipu_version(), AIPU_DRIVER_VERSION_MAJOR,
				AIPU_DRIVER_VERSION_MINOR,
				major > AIPU_DRIVER_VERSION_MAJOR ? "libaipu" : "the driver");
}

/* Jobs and programs are the contract's, and go through the driver as they are */
static int check_contract(const struct aipu_transport_device *device, struct aipu_message *message)
{
	const struct drm_aipu_device *card = &device->info;

	if (card->abi_oldest <= AIPU_ABI_CURRENT && card->abi_newest >= AIPU_ABI_OLDEST)
		return 0;
	return aipu_message_set(
		message, -EPROTO,
		"%s: the firmware speaks contract %u.%u to %u.%u, libaipu %s %u.%u to %u.%u: "
		"upgrade %s",
		device->node, AIPU_ABI_MAJOR(card->abi_oldest), AIPU_ABI_MINOR(card->abi_oldest),
		AIPU_ABI_MAJOR(card->abi_newest), AIPU_ABI_MINOR(card->abi_newest), aipu_version(),
		AIPU_ABI_MAJOR(AIPU_ABI_OLDEST), AIPU_ABI_MINOR(AIPU_ABI_OLDEST),
		AIPU_ABI_MAJOR(AIPU_ABI_CURRENT), AIPU_ABI_MINOR(AIPU_ABI_CURRENT),
		card->abi_oldest > AIPU_ABI_CURRENT ? "libaipu" : "the firmware");
}

static int card_open(struct aipu_transport_device **out, const char *name,
		     const struct aipu_device_options *options, struct aipu_message *message)
{
	struct aipu_transport_device *device = calloc(1, sizeof(*device));
	int err;

	if (!device)
		return aipu_message_set(message, -ENOMEM, "out of memory");
	device->fd = -1;
	atomic_init(&device->uring, true);
	err = card_find(device, name, message);
	if (err)
		goto fail;
	err = check_driver(device, message);
	if (err)
		goto fail;
	err = card_read_info(device, &device->info);
	if (err) {
		aipu_message_set(message, err, "%s: the driver does not tell what the card is: %s",
				 device->node, strerror(-err));
		goto fail;
	}
	err = check_contract(device, message);
	if (err)
		goto fail;
	(void)options; /* those of the software device */
	*out = device;
	return 0;
fail:
	if (device->fd >= 0)
		close(device->fd);
	free(device);
	return err;
}

static void card_close(struct aipu_transport_device *device)
{
	close(device->fd);
	free(device);
}

/* Who it is, and what runs on it */
static void card_identity(const struct aipu_transport_device *device,
			  const struct drm_aipu_device *card, struct aipu_device_info *info)
{
	snprintf(info->name, sizeof(info->name), "%s", strrchr(device->node, '/') + 1);
	snprintf(info->node, sizeof(info->node), "%s", device->node);
	snprintf(info->pci, sizeof(info->pci), "%s", device->pci);
	snprintf(info->model, sizeof(info->model), "%.63s", card->model);
	snprintf(info->serial, sizeof(info->serial), "%016llx", (unsigned long long)card->serial);
	snprintf(info->firmware, sizeof(info->firmware), "%.63s", card->firmware);
	info->board_id = card->board_id;
	info->firmware_version = card->firmware_version;
	info->abi_oldest = card->abi_oldest;
	info->abi_newest = card->abi_newest;
	info->abi_in_use = card->abi_in_use;
	info->rom_version = card->rom_version;
	info->boot_source = card->boot_source;
	info->slot_errors[0] = card->slot_errors[0];
	info->slot_errors[1] = card->slot_errors[1];
	info->rollback = card->rollback;
	info->driver_version = device->version;
	info->state = card->state;
	info->resets = card->resets;
}

static int card_query(struct aipu_transport_device *device, struct aipu_device_info *info)
{
	struct drm_aipu_device card;
	struct drm_aipu_memory memory;
	struct drm_aipu_query query = { .kind = DRM_AIPU_QUERY_MEMORY,
					.bytes = sizeof(memory),
					.data = (uintptr_t)&memory };
	int err = card_read_info(device, &card);

	if (!err)
		err = card_ioctl(device, DRM_IOCTL_AIPU_QUERY, &query);
	if (err)
		return err;
	card_identity(device, &card, info);
	info->capabilities = card.capabilities;
	info->operations = card.operations;
	info->formats = card.formats;
	info->kv_formats = card.kv_formats;
	info->kv_kinds = card.kv_kinds;
	info->numerics = card.numerics;
	info->activations = card.activations;
	info->memory_bytes = memory.total;
	info->memory_free = memory.free;
	info->cores = card.cores;
	info->max_lanes = card.max_lanes;
	info->max_queues = card.max_queues;
	info->max_segments = card.max_segments;
	info->longest_step_us = card.longest_step_us;
	return 0;
}

static const struct aipu_transport_ops operations = {
	.version = AIPU_TRANSPORT_VERSION,
	.name = "drm",
	.device_open = card_open,
	.device_close = card_close,
	.device_query = card_query,
	.device_telemetry = card_telemetry,
	.device_set_limits = card_set_limits,
	.device_reset = card_reset,
	.flash = card_flash,
	.context_create = card_context_create,
	.context_destroy = card_context_destroy,
	.context_reset = card_context_reset,
	.buffer_create = card_buffer_create,
	.buffer_import = card_buffer_import,
	.buffer_map_file = card_buffer_map_file,
	.buffer_destroy = card_buffer_destroy,
	.buffer_data = card_buffer_data,
	.segment_bind = card_segment_bind,
	.segment_unbind = card_segment_unbind,
	.program_load = card_program_load,
	.program_unload = card_program_unload,
	.queue_create = card_queue_create,
	.queue_destroy = card_queue_destroy,
	.queue_submit = card_queue_submit,
	.queue_reap = card_queue_reap,
	.queue_wait = card_queue_wait,
	.queue_fd = card_queue_fd,
	.queue_abort = card_queue_abort,
	.queue_kick = card_queue_kick,
	.reader_open = card_reader_open,
	.reader_start = card_reader_start,
	.reader_take = card_reader_take,
	.reader_fd = card_reader_fd,
	.reader_close = card_reader_close,
};

const struct aipu_transport_ops *aipu_transport_plugin(uint32_t version)
{
	return version == AIPU_TRANSPORT_VERSION ? &operations : NULL;
}
