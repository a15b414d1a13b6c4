// SPDX-License-Identifier: MIT
/*
 * The record at the beginning of a flash and what follows from it, as pure functions of bytes (flash.h). Called by the engine and by
 * who looks at a flash without a device (flash_file.c). Believes a record only with its digest.
 */
#include "flash.h"

#include <string.h>

#include <openssl/evp.h>

#define RECORD_MAGIC 0x485341464c504941ull /* "AIPLFASH" */

uint64_t dm_flash_slot_bytes(uint64_t bytes)
{
	return (bytes - DM_FLASH_RECORD_BYTES) / DM_FLASH_SLOTS / DM_FLASH_PAGE * DM_FLASH_PAGE;
}

uint64_t dm_flash_slot_at(uint64_t slot_bytes, uint32_t slot)
{
	return DM_FLASH_RECORD_BYTES + slot * slot_bytes;
}

static bool digest_of(const struct dm_flash_record *record, uint8_t digest[32])
{
	return EVP_Digest(record, offsetof(struct dm_flash_record, digest), digest, NULL,
			  EVP_sha256(), NULL) == 1;
}

bool dm_flash_record_seal(struct dm_flash_record *record)
{
	record->magic = RECORD_MAGIC;
	return digest_of(record, record->digest);
}

static bool is_valid(const struct dm_flash_record *record, uint64_t slot_bytes)
{
	uint8_t digest[32];

	if (record->magic != RECORD_MAGIC || !digest_of(record, digest) ||
	    memcmp(digest, record->digest, sizeof(digest)))
		return false;
	for (uint32_t i = 0; i < DM_FLASH_SLOTS; i++)
		if (record->slots[i].state > AIPU_FLASH_FAILED ||
		    record->slots[i].bytes > slot_bytes)
			return false;
	return record->active < DM_FLASH_SLOTS || record->active == DM_FLASH_NONE;
}

bool dm_flash_record_find(struct dm_flash_record *record, const struct dm_flash_record copies[2],
			  uint64_t slot_bytes)
{
	bool found = false;

	*record = (struct dm_flash_record){ .active = DM_FLASH_NONE };
	for (uint32_t i = 0; i < 2; i++) {
		if (!is_valid(&copies[i], slot_bytes) ||
		    (found && copies[i].generation <= record->generation))
			continue;
		*record = copies[i];
		found = true;
	}
	return found;
}

/* Nothing was written there, or the power went while a record was */
static bool is_blank_or_torn(const struct dm_flash_record *copy)
{
	static const uint64_t magic = RECORD_MAGIC;
	const uint8_t *bytes = (const uint8_t *)copy;
	uint8_t rest = 0;
	size_t same = 0;

	while (same < sizeof(magic) && bytes[same] == ((const uint8_t *)&magic)[same])
		same++;
	if (same == sizeof(magic))
		return true;
	for (size_t i = same; i < sizeof(*copy); i++)
		rest |= bytes[i];
	return !rest;
}

bool dm_flash_record_foreign(const struct dm_flash_record copies[2], uint64_t slot_bytes)
{
	struct dm_flash_record record;

	return !dm_flash_record_find(&record, copies, slot_bytes) &&
	       !(is_blank_or_torn(&copies[0]) && is_blank_or_torn(&copies[1]));
}

void dm_flash_slot_tell(struct aipu_flash_slot *info, const struct dm_flash_slot *own,
			const struct aipu_firmware_header *header)
{
	info->state = own->state;
	info->tries = own->tries;
	info->error = own->error;
	if (own->state == AIPU_FLASH_EMPTY || !header)
		return;
	info->version = header->version;
	info->abi_oldest = header->abi_oldest;
	info->abi_newest = header->abi_newest;
	info->board_id = header->board_id;
	info->rollback = header->rollback;
	info->bytes = own->bytes;
	memcpy(info->build, header->build, sizeof(info->build) - 1);
	memcpy(info->digest, header->digest, sizeof(info->digest));
}
