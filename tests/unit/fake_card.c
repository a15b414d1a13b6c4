// SPDX-License-Identifier: MIT
/* See fake_card.h. */
#include "fake_card.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aipu_firmware.h"
#include "internal.h"

struct aipu_transport_device {
	struct fake_card *card;
};

static struct aipu_transport_device the_device;

static int fake_open(struct aipu_transport_device **device, const char *name,
		     const struct aipu_device_options *options, struct aipu_message *message)
{
	(void)name;
	(void)options;
	(void)message;
	*device = &the_device;
	return 0;
}

static void fake_close(struct aipu_transport_device *device)
{
	device->card = NULL;
}

static int fake_query(struct aipu_transport_device *device, struct aipu_device_info *info)
{
	*info = device->card->info;
	return device->card->query_error;
}

static int fake_telemetry(struct aipu_transport_device *device, struct aipu_telemetry *telemetry)
{
	const int64_t *values = (const int64_t *)telemetry;

	for (size_t i = 0; i < sizeof(*telemetry) / sizeof(*values); i++)
		assert_true(values[i] == AIPU_UNKNOWN);
	telemetry->power_mw = device->card->telemetry.power_mw;
	return 0;
}

static int fake_set_limits(struct aipu_transport_device *device, uint32_t power_mw,
			   uint32_t clock_mhz)
{
	device->card->power_mw = power_mw;
	device->card->clock_mhz = clock_mhz;
	return -EINVAL;
}

static void come_up(struct fake_card *card)
{
	uint32_t slot = card->flash.active;
	struct aipu_flash_slot *own;

	memset(card->info.slot_errors, 0, sizeof(card->info.slot_errors));
	if (slot > 1)
		return;
	own = &card->flash.slots[slot];
	if (card->boot == FAKE_FALLS_BACK) {
		own->tries--;
		card->info.slot_errors[slot] = AIPU_ERROR_SLOT_TRIED;
		return;
	}
	own->state = card->boot == FAKE_STAYS_ON_TRIAL ? AIPU_FLASH_TRIAL : AIPU_FLASH_CONFIRMED;
	own->digest[0] ^= card->boot == FAKE_STARTS_ANOTHER;
	card->flash.source = card->info.boot_source = AIPU_BOOT_FROM_SLOT_A + slot;
	card->info.firmware_version = own->version;
}

static void count_operation(struct fake_card *card)
{
	if (++card->operations == card->interrupt_at)
		card->interrupt();
}

static int fake_reset(struct aipu_transport_device *device, unsigned int flags,
		      struct aipu_message *message)
{
	struct fake_card *card = device->card;

	count_operation(card);
	card->resets++;
	card->reset_flags = flags;
	if (card->busy) {
		card->busy -= card->busy != UINT32_MAX;
		return aipu_message_set(message, -EBUSY, "fake: busy");
	}
	if (card->reset_error)
		return aipu_message_set(message, card->reset_error, "fake: no reset");
	come_up(card);
	return 0;
}

static int flash_write(struct fake_card *card, uint32_t slot, uint64_t offset, const void *data,
		       uint32_t bytes)
{
	card->writes++;
	assert_in_range(bytes, 1, FAKE_CHUNK);
	if (card->flash.source == AIPU_BOOT_FROM_SLOT_A + slot)
		return -EBUSY;
	if (card->writes == card->write_fails_at)
		return card->write_error;
	if (!offset) {
		memset(&card->flash.slots[slot], 0, sizeof(card->flash.slots[slot]));
		card->written[slot] = 0;
	}
	if (offset != card->written[slot] || bytes > FAKE_SLOT_BYTES - offset)
		return -EINVAL;
	memcpy(card->slots[slot] + offset, data, bytes);
	card->written[slot] += bytes;
	return 0;
}

static int flash_read(struct fake_card *card, uint32_t slot, uint64_t offset, void *data,
		      uint32_t bytes)
{
	card->reads++;
	assert_in_range(bytes, 1, FAKE_CHUNK);
	if (offset > FAKE_SLOT_BYTES || bytes > FAKE_SLOT_BYTES - offset)
		return -EINVAL;
	memcpy(data, card->slots[slot] + offset, bytes);
	((uint8_t *)data)[bytes - 1] ^= card->reads == card->flip_read ? 0x10 : 0;
	return 0;
}

static int flash_commit(struct fake_card *card, uint32_t slot, uint32_t *error)
{
	struct aipu_flash_slot *own = &card->flash.slots[slot];
	struct aipu_firmware_header header;

	card->commits++;
	*error = card->refusal;
	if (card->refusal || card->commit_error)
		return card->refusal ? -EKEYREJECTED : card->commit_error;
	memcpy(&header, card->slots[slot], sizeof(header));
	own->state = AIPU_FLASH_GOOD;
	own->version = header.version;
	own->bytes = card->written[slot];
	memcpy(own->digest, header.digest, sizeof(own->digest));
	return 0;
}

static int flash_activate(struct fake_card *card, uint32_t slot)
{
	card->activates++;
	if (card->activate_error)
		return card->activate_error;
	if (card->flash.slots[slot].state == AIPU_FLASH_EMPTY)
		return -ENOENT;
	card->flash.slots[slot].state = AIPU_FLASH_TRIAL;
	card->flash.slots[slot].tries = 3;
	card->flash.active = slot;
	return 0;
}

static int fake_flash(struct aipu_transport_device *device, unsigned int op, uint32_t slot,
		      uint64_t offset, void *data, uint32_t bytes, uint32_t *error)
{
	struct fake_card *card = device->card;

	assert_in_range(slot, 0, 1);
	if (card->flash_error)
		return card->flash_error;
	if (op == AIPU_ADMIN_FLASH_INFO) {
		assert_int_equal(bytes, sizeof(card->flash));
		memcpy(data, &card->flash, bytes);
		return 0;
	}
	count_operation(card);
	switch (op) {
	case AIPU_ADMIN_FLASH_WRITE:
		return flash_write(card, slot, offset, data, bytes);
	case AIPU_ADMIN_FLASH_READ:
		return flash_read(card, slot, offset, data, bytes);
	case AIPU_ADMIN_FLASH_COMMIT:
		return flash_commit(card, slot, error);
	default:
		assert_int_equal(op, AIPU_ADMIN_FLASH_ACTIVATE);
		return flash_activate(card, slot);
	}
}

void fake_card_reset(struct fake_card *card, uint32_t version)
{
	*card = (struct fake_card){
		.info = { .firmware_version = version,
			  .boot_source = AIPU_BOOT_FROM_SLOT_A,
			  .board_id = 0x1234,
			  .capabilities = AIPU_CAP_FLASH,
			  .abi_oldest = AIPU_ABI_OLDEST,
			  .abi_newest = AIPU_ABI_CURRENT,
			  .driver_version = 1u << 16 | 1u,
			  .node = "/dev/accel/accel7" },
		.flash = { .rom_version = 1u << 24,
			   .chunk_bytes = FAKE_CHUNK,
			   .slot_bytes = FAKE_SLOT_BYTES,
			   .source = AIPU_BOOT_FROM_SLOT_A,
			   .slots = { { .state = AIPU_FLASH_CONFIRMED, .version = version } } },
	};
}

struct aipu_device *fake_card_open(struct fake_card *card, bool bare)
{
	static const struct aipu_transport_ops with = {
		.version = AIPU_TRANSPORT_VERSION,
		.name = "fake",
		.device_open = fake_open,
		.device_close = fake_close,
		.device_query = fake_query,
		.device_telemetry = fake_telemetry,
		.device_set_limits = fake_set_limits,
		.device_reset = fake_reset,
		.flash = fake_flash,
	};
	static const struct aipu_transport_ops without = {
		.version = AIPU_TRANSPORT_VERSION,
		.name = "fake",
		.device_open = fake_open,
		.device_close = fake_close,
		.device_query = fake_query,
	};
	struct aipu_device *device;

	the_device.card = card;
	assert_int_equal(
		aipu_device_open_transport(&device, bare ? &without : &with, NULL, NULL, NULL), 0);
	return device;
}
