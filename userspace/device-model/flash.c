// SPDX-License-Identifier: MIT
/*
 * The card's flash (flash.h): which image starts, and how another one gets there. Called by the engine alone. The
 * bytes are kept by the host's operations; what is in them is believed only with its digest.
 */
#include "flash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aipu/firmware.h"
#include "device.h"

/* The software device's firmware has no instructions; a payload that begins so is one that never comes up. */
static const char never_starts[] = "start: never\n";

static uint64_t slot_at(const struct dm_flash *flash, uint32_t slot)
{
	return dm_flash_slot_at(flash->slot_bytes, slot);
}

static int flash_read(struct aipu_dm *dm, uint64_t offset, void *to, size_t bytes)
{
	return dm->ops.flash_read(dm->host, offset, to, bytes);
}

static int flash_write(struct aipu_dm *dm, uint64_t offset, const void *from, size_t bytes)
{
	return dm->ops.flash_write(dm->host, offset, from, bytes);
}

/* --- the record --------------------------------------------------------------------------------- */

/*
 * The next generation takes the place of the older copy: while it is written the newer one stays as it is. On failure
 * what is in memory is what was there before, as in flash.
 */
static int record_write(struct aipu_dm *dm, const struct dm_flash_record *changed)
{
	struct dm_flash_record record = *changed;
	int err;

	record.generation = dm->flash.record.generation + 1;
	if (!dm_flash_record_seal(&record))
		return -EIO;
	err = flash_write(dm, record.generation % 2 * DM_FLASH_PAGE, &record, sizeof(record));
	if (!err)
		dm->flash.record = record;
	return err;
}

static int slot_change(struct aipu_dm *dm, uint32_t slot, const struct dm_flash_slot *changed)
{
	struct dm_flash_record record = dm->flash.record;

	record.slots[slot] = *changed;
	return record_write(dm, &record);
}

int dm_flash_open(struct aipu_dm *dm)
{
	struct dm_flash *flash = &dm->flash;
	struct dm_flash_record copies[2];
	uint64_t bytes = dm->config.flash_bytes;

	*flash = (struct dm_flash){ .running = DM_FLASH_NONE };
	flash->record.active = DM_FLASH_NONE;
	if (!bytes)
		return 0;
	if (bytes < DM_FLASH_MIN_BYTES || bytes > DM_FLASH_MAX_BYTES || !dm->ops.flash_read ||
	    !dm->ops.flash_write)
		return -EINVAL;
	flash->slot_bytes = dm_flash_slot_bytes(bytes);
	for (uint32_t i = 0; i < 2; i++)
		if (flash_read(dm, i * DM_FLASH_PAGE, &copies[i], sizeof(copies[i])))
			copies[i] = flash->record;
	dm_flash_record_find(&flash->record, copies, flash->slot_bytes);
	return 0;
}

/* --- boot --------------------------------------------------------------------------------------- */

uint32_t dm_flash_rollback(const struct aipu_dm *dm)
{
	uint32_t kept = dm->flash.record.rollback;

	return kept > dm->config.rollback ? kept : dm->config.rollback;
}

/* The slot's image, to be freed. NULL: not readable */
static uint8_t *read_image(struct aipu_dm *dm, uint32_t slot, uint64_t bytes)
{
	uint8_t *image = malloc(bytes ? bytes : 1);

	if (image && flash_read(dm, slot_at(&dm->flash, slot), image, bytes)) {
		free(image);
		image = NULL;
	}
	return image;
}

static unsigned int check_image(struct aipu_dm *dm, const uint8_t *image, uint64_t bytes)
{
	const struct aipu_firmware_policy policy = dm_boot_policy(dm);

	return image ? aipu_firmware_check(image, bytes, &policy) : AIPU_ERROR_FIRMWARE_DMA;
}

/* false: the time in which it had to come up is over, or a stop came */
static bool comes_up(struct aipu_dm *dm, const uint8_t *image, uint64_t bytes)
{
	const size_t words = sizeof(never_starts) - 1;
	uint64_t until = dm_real_clock() + dm->config.ready_timeout_ms * 1000000ull;

	if (bytes < sizeof(struct aipu_firmware_header) + words ||
	    memcmp(image + sizeof(struct aipu_firmware_header), never_starts, words))
		return true;
	pthread_mutex_lock(&dm->lock);
	while (!dm->stop && dm_real_clock() < until)
		dm_engine_sleep(dm, until);
	pthread_mutex_unlock(&dm->lock);
	return false;
}

/* One of its tries is gone before it starts, in flash */
static unsigned int take_try(struct aipu_dm *dm, uint32_t slot)
{
	struct dm_flash_slot changed = dm->flash.record.slots[slot];

	if (changed.state == AIPU_FLASH_EMPTY)
		return AIPU_ERROR_SLOT_EMPTY;
	if (changed.state == AIPU_FLASH_FAILED)
		return AIPU_ERROR_SLOT_TRIED;
	if (changed.state != AIPU_FLASH_TRIAL)
		return AIPU_ERROR_NONE;
	if (changed.tries) {
		changed.tries--;
	} else {
		changed.state = AIPU_FLASH_FAILED;
		changed.error = AIPU_ERROR_SLOT_TRIED;
	}
	if (slot_change(dm, slot, &changed))
		return AIPU_ERROR_FATAL;
	return changed.state == AIPU_FLASH_FAILED ? AIPU_ERROR_SLOT_TRIED : AIPU_ERROR_NONE;
}

static unsigned int start(struct aipu_dm *dm, uint32_t slot, struct aipu_firmware_header *firmware)
{
	unsigned int error = take_try(dm, slot);
	uint64_t bytes = dm->flash.record.slots[slot].bytes;
	uint8_t *image;

	if (error)
		return error;
	image = read_image(dm, slot, bytes);
	error = check_image(dm, image, bytes);
	if (!error && !comes_up(dm, image, bytes))
		error = dm_stopping(dm) ? AIPU_ERROR_STATE : AIPU_ERROR_SLOT_TRIED;
	if (!error) {
		memcpy(firmware, image, sizeof(*firmware));
		dm_power_firmware(dm, image + sizeof(*firmware), bytes - sizeof(*firmware));
	}
	free(image);
	return error;
}

unsigned int dm_flash_boot(struct aipu_dm *dm, struct aipu_firmware_header *firmware)
{
	struct dm_flash *flash = &dm->flash;
	uint32_t first = flash->record.active;

	flash->running = DM_FLASH_NONE;
	memset(flash->errors, 0, sizeof(flash->errors));
	memset(flash->written, 0, sizeof(flash->written));
	if (first == DM_FLASH_NONE)
		return AIPU_ERROR_SLOT_EMPTY;
	for (uint32_t i = 0; i < DM_FLASH_SLOTS; i++) {
		uint32_t slot = (first + i) % DM_FLASH_SLOTS;

		flash->errors[slot] = start(dm, slot, firmware);
		if (flash->errors[slot] == AIPU_ERROR_NONE) {
			flash->running = slot;
			return AIPU_ERROR_NONE;
		}
		if (dm_stopping(dm))
			return AIPU_ERROR_STATE;
	}
	return flash->errors[first];
}

void dm_flash_confirm(struct aipu_dm *dm, const struct aipu_firmware_header *firmware)
{
	struct dm_flash_record record = dm->flash.record;
	uint32_t slot = dm->flash.running;

	if (slot == DM_FLASH_NONE ||
	    (record.slots[slot].state != AIPU_FLASH_TRIAL && record.rollback >= firmware->rollback))
		return;
	record.slots[slot].state = AIPU_FLASH_CONFIRMED;
	record.slots[slot].tries = 0;
	record.slots[slot].error = AIPU_ERROR_NONE;
	if (firmware->rollback > record.rollback)
		record.rollback = firmware->rollback;
	record_write(dm, &record);
}

/* --- commands ----------------------------------------------------------------------------------- */

static void slot_info(struct aipu_dm *dm, uint32_t slot, struct aipu_flash_slot *info)
{
	const struct dm_flash_slot *own = &dm->flash.record.slots[slot];
	struct aipu_firmware_header header;
	bool is_read = own->state != AIPU_FLASH_EMPTY &&
		       !flash_read(dm, slot_at(&dm->flash, slot), &header, sizeof(header));

	dm_flash_slot_tell(info, own, is_read ? &header : NULL);
}

void dm_flash_info(struct aipu_dm *dm, struct aipu_flash_info *info)
{
	const struct dm_flash *flash = &dm->flash;

	*info = (struct aipu_flash_info){
		.rom_version = DM_ROM_VERSION,
		.rollback = dm_flash_rollback(dm),
		.active = flash->record.active,
		.chunk_bytes = DM_FLASH_CHUNK,
		.slot_bytes = flash->slot_bytes,
		.source = dm->boot_source,
	};
	for (uint32_t i = 0; i < DM_FLASH_SLOTS; i++)
		slot_info(dm, i, &info->slots[i]);
}

unsigned int dm_flash_write(struct aipu_dm *dm, uint32_t slot, uint64_t offset, const void *from,
			    uint32_t bytes)
{
	static const struct dm_flash_slot empty;
	struct dm_flash *flash = &dm->flash;

	if (slot == flash->running)
		return AIPU_STATUS_BUSY;
	if (offset > flash->slot_bytes || bytes > flash->slot_bytes - offset)
		return AIPU_STATUS_INVALID_FIELD;
	if (!offset) {
		/* No record calls it good any more before its first byte changes. */
		if (flash->record.slots[slot].state != AIPU_FLASH_EMPTY &&
		    slot_change(dm, slot, &empty))
			return AIPU_STATUS_INTERNAL;
		flash->written[slot] = 0;
	}
	if (offset != flash->written[slot] || flash->record.slots[slot].state != AIPU_FLASH_EMPTY)
		return AIPU_STATUS_INVALID_FIELD;
	if (flash_write(dm, slot_at(flash, slot) + offset, from, bytes))
		return AIPU_STATUS_INTERNAL;
	flash->written[slot] += bytes;
	return AIPU_STATUS_OK;
}

unsigned int dm_flash_read(struct aipu_dm *dm, uint32_t slot, uint64_t offset, void *to,
			   uint32_t bytes)
{
	const struct dm_flash *flash = &dm->flash;

	if (offset > flash->slot_bytes || bytes > flash->slot_bytes - offset)
		return AIPU_STATUS_INVALID_FIELD;
	return flash_read(dm, slot_at(flash, slot) + offset, to, bytes) ? AIPU_STATUS_INTERNAL
									: AIPU_STATUS_OK;
}

unsigned int dm_flash_commit(struct aipu_dm *dm, uint32_t slot, uint32_t *code)
{
	struct dm_flash *flash = &dm->flash;
	struct dm_flash_slot changed = { .bytes = flash->written[slot] };
	uint8_t *image;

	if (slot == flash->running)
		return AIPU_STATUS_BUSY;
	*code = AIPU_ERROR_SLOT_EMPTY;
	if (!changed.bytes || flash->record.slots[slot].state != AIPU_FLASH_EMPTY)
		return AIPU_STATUS_FIRMWARE_REFUSED;
	image = read_image(dm, slot, changed.bytes);
	*code = check_image(dm, image, changed.bytes);
	free(image);
	if (*code)
		return AIPU_STATUS_FIRMWARE_REFUSED;
	changed.state = AIPU_FLASH_GOOD;
	return slot_change(dm, slot, &changed) ? AIPU_STATUS_INTERNAL : AIPU_STATUS_OK;
}

unsigned int dm_flash_activate(struct aipu_dm *dm, uint32_t slot)
{
	struct dm_flash_record record = dm->flash.record;

	if (record.slots[slot].state == AIPU_FLASH_EMPTY)
		return AIPU_STATUS_NOT_FOUND;
	record.slots[slot].state = AIPU_FLASH_TRIAL;
	record.slots[slot].tries = DM_FLASH_TRIES;
	record.active = slot;
	return record_write(dm, &record) ? AIPU_STATUS_INTERNAL : AIPU_STATUS_OK;
}
