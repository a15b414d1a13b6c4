// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What this machine is and has: the driver as sysfs shows it, libaipu, and each card as far as it can be asked. Opens devices by
 * libaipu, asks the driver itself where that refuses, and changes nothing; opening the software device boots one of our own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <drm/aipu_accel.h>

#include "aipu/manage.h"
#include "aipu_firmware.h"
#include "cardlog.h"
#include "softflash.h"
#include "sources.h"

#define DRIVER "/sys/bus/pci/drivers/" CARD_DRIVER

extern const unsigned char aipu_soft_firmware[], aipu_soft_firmware_end[]; /* $(fw_a) */

/* --- the machine ---------------------------------------------------------------------------------- */

static uint32_t abi_of(unsigned int major, unsigned int minor)
{
	return major <= UINT16_MAX && minor <= UINT16_MAX ? AIPU_ABI_VERSION(major, minor) : 0;
}

/* Attributes of the driver; one that is too old has none */
static void driver_read(struct fw_machine *machine)
{
	unsigned int v[4];
	char path[PATH_MAX], line[64];

	cards_path(path, "%s", DRIVER);
	machine->driver_loaded = !access(path, F_OK);
	if (cards_read_line(line, sizeof(line), DRIVER "/contract") &&
	    sscanf(line, "%5u.%5u-%5u.%5u", &v[0], &v[1], &v[2], &v[3]) == 4)
		machine->driver = (struct fw_range){ abi_of(v[0], v[1]), abi_of(v[2], v[3]) };
	if (cards_read_line(line, sizeof(line), DRIVER "/user_api") &&
	    sscanf(line, "%5u.%5u", &v[0], &v[1]) == 2)
		machine->driver_api = abi_of(v[0], v[1]);
}

void collect_machine(struct fw_machine *machine)
{
	snapfile_now(&machine->head, aipu_version());
	aipu_contract(&machine->library.oldest, &machine->library.newest);
	machine->library_api =
		AIPU_ABI_VERSION(AIPU_DRIVER_VERSION_MAJOR, AIPU_DRIVER_VERSION_MINOR);
	driver_read(machine);
}

/* --- an open device ------------------------------------------------------------------------------- */

void collect_info(struct fw_card *card, const struct aipu_device_info *info)
{
	TEXT_CLEAN(card->model, info->model);
	TEXT_CLEAN(card->serial, info->serial);
	TEXT_CLEAN(card->firmware, info->firmware);
	card->firmware_version = info->firmware_version;
	card->abi = (struct fw_range){ info->abi_oldest, info->abi_newest };
	card->abi_in_use = info->abi_in_use;
	card->rom_version = info->rom_version;
	card->source = info->boot_source;
	card->board = info->board_id;
	card->rollback = info->rollback;
	card->driver_api = info->driver_version;
	card->offer = (struct fw_offer){
		.capabilities = info->capabilities,
		.operations = info->operations,
		.formats = info->formats,
		.kv_formats = info->kv_formats,
		.kv_kinds = info->kv_kinds,
		.numerics = info->numerics,
		.activations = info->activations,
		.memory_bytes = info->memory_bytes,
		.memory_free = info->memory_free,
	};
}

/*
 * The driver by itself, where libaipu refuses the card: that is for a version, and a refused card is what has to be explained. Of a
 * user API of another major version nothing is known.
 */
static void ask_driver(struct fw_card *card, const struct fw_machine *machine)
{
	struct drm_aipu_device device = { .board_id = 0 };
	struct drm_aipu_query query = { .kind = DRM_AIPU_QUERY_DEVICE,
					.bytes = sizeof(device),
					.data = (uintptr_t)&device };
	int fd;

	if (AIPU_ABI_MAJOR(machine->driver_api) != AIPU_DRIVER_VERSION_MAJOR)
		return;
	fd = open(card->node, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	if (!ioctl(fd, DRM_IOCTL_AIPU_QUERY, &query)) {
		TEXT_CLEAN(card->model, device.model);
		TEXT_CLEAN(card->firmware, device.firmware);
		snprintf(card->serial, sizeof(card->serial), "%016llx",
			 (unsigned long long)device.serial);
		card->firmware_version = device.firmware_version;
		card->abi = (struct fw_range){ device.abi_oldest, device.abi_newest };
		card->abi_in_use = device.abi_in_use;
		card->rom_version = device.rom_version;
		card->source = device.boot_source;
		card->board = device.board_id;
		card->rollback = device.rollback;
	}
	close(fd);
}

/* 0, or -errno with the reason in words */
static int ask(struct fw_card *card, const char *name, const struct aipu_device_options *options)
{
	struct aipu_message message = { "" };
	struct aipu_flash_info flash;
	struct aipu_device_info info;
	struct aipu_device *device;
	int err = aipu_device_open(&device, name, options, &message);

	if (err) {
		TEXT_CLEAN(card->reason, message.text);
		return err;
	}
	err = aipu_device_query(device, &info);
	if (err) {
		snprintf(card->reason, sizeof(card->reason), "%s: %s", name, strerror(-err));
	} else {
		collect_info(card, &info);
		err = aipu_flash_query(device, &flash);
		if (!err || err == -EOPNOTSUPP)
			slots_take(&card->flash, &info, err ? NULL : &flash);
		err = 0;
		if (info.state == AIPU_DEVICE_WEDGED) {
			err = -EIO;
			snprintf(card->reason, sizeof(card->reason),
				 "it did not come back from a reset: reset it, or bind it anew");
		}
	}
	aipu_device_close(device);
	return err;
}

/* --- cards ---------------------------------------------------------------------------------------- */

static void pci_take(struct fw_card *card, const struct card *pci)
{
	struct fw_pci *to = &card->pci;

	TEXT_CLEAN(to->address, pci->pci);
	if (pci->index >= 0)
		to->index = (uint32_t)pci->index;
	snprintf(to->id, sizeof(to->id), "%04x:%04x", pci->vendor, pci->device);
	snprintf(to->subsystem, sizeof(to->subsystem), "%04x:%04x", pci->subsystem_vendor,
		 pci->subsystem_device);
	to->revision = pci->revision;
	TEXT_CLEAN(to->driver, pci->driver);
	TEXT_CLEAN(to->link_speed, pci->link_speed);
	TEXT_CLEAN(to->link_speed_max, pci->link_speed_max);
	if (pci->link_width)
		to->link_width = pci->link_width;
	if (pci->link_width_max)
		to->link_width_max = pci->link_width_max;
	to->bar_count = FW_BARS;
	for (int i = 0; i < FW_BARS; i++) {
		to->bars[i].present = pci->bar_bytes[i] != 0;
		to->bars[i].start = pci->bar_start[i];
		to->bars[i].bytes = pci->bar_bytes[i];
	}
	TEXT_CLEAN(card->node, pci->node);
}

/* The driver is loaded, and no driver has the card */
static void unbound(struct fw_card *card, const struct card *pci)
{
	struct card card_of_log = *pci;
	const struct card_list only = { &card_of_log, 1 };
	struct cardlog log = { .error = 0 };
	const char *why;

	cardlog_read(&log, &only);
	card->access = FW_NOT_TAKEN;
	switch (cardlog_says(&log, pci->pci, &why)) {
	case CARDLOG_TOOK:
		card->access = FW_UNBOUND;
		snprintf(card->reason, sizeof(card->reason),
			 "the card was unbound from its driver: echo %s "
			 ">/sys/bus/pci/drivers/" CARD_DRIVER "/bind",
			 pci->pci);
		break;
	case CARDLOG_REFUSED:
		snprintf(card->reason, sizeof(card->reason),
			 "the driver did not take the card: %.200s", why);
		break;
	default:
		snprintf(card->reason, sizeof(card->reason),
			 "the driver did not take the card: aipu-smi doctor looks for the reason");
	}
	cardlog_free(&log);
}

static void without_driver(struct fw_card *card, const struct fw_machine *machine,
			   const struct card *pci)
{
	card->access = FW_NO_DRIVER;
	if (pci->driver[0])
		snprintf(card->reason, sizeof(card->reason), "the card belongs to the driver %s",
			 card->pci.driver);
	else if (!machine->driver_loaded)
		snprintf(card->reason, sizeof(card->reason),
			 "the driver is not loaded: modprobe " CARD_DRIVER);
	else
		unbound(card, pci);
	if (!pci->driver[0] && registers_read(card, pci) && machine->driver_loaded)
		card->access = FW_NOT_ANSWERING;
}

static void with_driver(struct fw_card *card, const struct fw_machine *machine)
{
	int err;

	if (!card->node[0]) {
		card->access = FW_NOT_ANSWERING;
		snprintf(card->reason, sizeof(card->reason),
			 "the driver has the card, and no node for it");
		return;
	}
	err = ask(card, card->node, NULL);
	if (!err)
		card->access = FW_READY;
	else if (err == -EACCES || err == -EPERM)
		card->access = FW_NO_PERMISSION;
	else
		card->access = err == -EPROTO ? FW_NOT_TAKEN : FW_NOT_ANSWERING;
	if (err == -EPROTO)
		ask_driver(card, machine);
}

void collect_card(struct fw_card *card, const struct fw_machine *machine, const struct card *pci,
		  const char *firmware)
{
	facts_card_clear(card);
	pci_take(card, pci);
	if (pci->command == UINT16_MAX) {
		card->access = FW_NOT_ANSWERING;
		snprintf(card->reason, sizeof(card->reason),
			 "its configuration space reads all ones: the card is gone");
	} else if (strcmp(pci->driver, CARD_DRIVER) != 0) {
		without_driver(card, machine, pci);
	} else {
		with_driver(card, machine);
	}
	card->image_given = firmware != NULL;
	if (firmware)
		image_read(&card->image, firmware, false);
	else if (card->board != UNKNOWN64)
		image_find(&card->image, (uint32_t)card->board);
}

/* --- the software device -------------------------------------------------------------------------- */

static void builtin_parse(struct fw_image *image)
{
	snprintf(image->path, sizeof(image->path), "(built in)");
	image_parse(image, aipu_soft_firmware,
		    (size_t)(aipu_soft_firmware_end - aipu_soft_firmware), true);
}

/*
 * 0, or -errno with the reason in words. A device that refuses the image that it was given still has a boot ROM, slots and firmware
 * that it starts without one, all told by another one that is given none.
 */
static int ask_soft(struct fw_card *card, const char *firmware)
{
	const struct aipu_device_options options = { .firmware = firmware };
	static const char name[] = "soft: "; /* which the line that the reason ends begins with */
	char reason[sizeof(card->reason)];
	int err = ask(card, "soft", &options);

	if (err && firmware) {
		snprintf(reason, sizeof(reason), "%s", card->reason);
		if (!ask(card, "soft", NULL))
			card->image_given = true;
		snprintf(card->reason, sizeof(card->reason), "%s", reason);
	}
	if (!strncmp(card->reason, name, strlen(name)))
		memmove(card->reason, card->reason + strlen(name),
			strlen(card->reason + strlen(name)) + 1);
	return err;
}

/*
 * What the flash file tells: all of it where the device did not start, else what the boot ROM would have against slots that it passed
 * over for an image that it was given.
 */
static void ask_file(struct fw_card *card)
{
	const struct aipu_device_info nothing = { .board_id = AIPU_BOARD_SOFT };
	struct aipu_flash_info flash;
	struct card_flash told;

	if (softflash_info(&flash))
		return;
	slots_take(&told, &nothing, &flash);
	if (card->flash.count != CARD_SLOTS) {
		card->rom_version = flash.rom_version;
		card->rollback = flash.rollback;
		card->flash = told;
		return;
	}
	for (uint32_t i = 0; i < CARD_SLOTS; i++) {
		struct card_slot *slot = &card->flash.slots[i];

		if (slot->error || memcmp(slot->digest, told.slots[i].digest, sizeof(slot->digest)))
			continue;
		slot->error = told.slots[i].error;
		memcpy(slot->error_text, told.slots[i].error_text, sizeof(slot->error_text));
	}
}

void collect_soft(struct fw_card *card, const struct fw_machine *machine, const char *firmware)
{
	facts_card_clear(card);
	card->board = AIPU_BOARD_SOFT;
	/* The device model is a part of libaipu's release, and so is its boot ROM. */
	card->rom = machine->library;
	card->access = ask_soft(card, firmware) ? FW_NOT_TAKEN : FW_READY;
	ask_file(card);
	if (firmware) {
		image_read(&card->image, firmware, true);
		builtin_parse(&card->builtin);
	} else {
		builtin_parse(&card->image);
	}
}
