/* SPDX-License-Identifier: MIT */
/*
 * The card's flash: a record of both slots, kept twice, and the slots (spec.md, section 14). The engine thread only.
 * Whatever was being written when the power goes, the record that was valid before or the one that was to be is found
 * again, and a slot counts only if a record says so.
 *
 * Layout: a page with the record, a page with its other copy, slot A, slot B.
 */
#ifndef AIPU_DM_FLASH_H
#define AIPU_DM_FLASH_H

#include <stdbool.h>
#include <stdint.h>

#include "aipu_firmware.h"
#include "aipu_queue.h"

struct aipu_dm;

#define DM_FLASH_SLOTS 2u
#define DM_FLASH_NONE (~0u)
#define DM_FLASH_PAGE 4096u
/* Both copies of the record, a page each: each change of state changes one of them */
#define DM_FLASH_RECORD_BYTES (2u * DM_FLASH_PAGE)
#define DM_FLASH_CHUNK 65536u /* of one command */
#define DM_FLASH_MIN_BYTES (64u << 10)
#define DM_FLASH_MAX_BYTES (32u << 20) /* a whole slot is digested between two steps */
#define DM_FLASH_TRIES 3u

struct dm_flash_slot {
	aipu_le32 state; /* enum aipu_flash_state */
	aipu_le32 tries;
	aipu_le32 error; /* AIPU_ERROR_* */
	aipu_le32 reserved;
	aipu_le64 bytes; /* of the image; EMPTY: 0 */
};

/* In flash; the copy with the valid digest and the newer generation counts */
struct dm_flash_record {
	aipu_le64 magic;
	aipu_le64 generation;
	aipu_le32 active; /* slot, or DM_FLASH_NONE */
	aipu_le32 rollback;
	struct dm_flash_slot slots[DM_FLASH_SLOTS];
	uint8_t digest[32]; /* SHA-256 of what stands before it */
};

struct dm_flash {
	uint64_t slot_bytes; /* 0: there is no flash */
	struct dm_flash_record record;
	uint64_t written[DM_FLASH_SLOTS]; /* since the slot was emptied; 0 after power-on */
	uint32_t running; /* slot of the firmware that runs, or DM_FLASH_NONE */
	uint32_t errors[DM_FLASH_SLOTS]; /* registers SLOT_A_ERROR, SLOT_B_ERROR */
};

/* config.flash_bytes and the host's operations fit, or there is no flash: 0, -EINVAL. The record: from flash or empty */
int dm_flash_open(struct aipu_dm *dm);
/*
 * Boots: the image of the first slot that may start. enum aipu_error: of the active slot, if none does. A stop ends it
 * with AIPU_ERROR_STATE.
 */
unsigned int dm_flash_boot(struct aipu_dm *dm, struct aipu_firmware_header *firmware);
/* The device is READY: the running slot is confirmed. An unwritable flash leaves it on trial. */
void dm_flash_confirm(struct aipu_dm *dm, const struct aipu_firmware_header *firmware);
/* Smallest anti-rollback counter that may boot */
uint32_t dm_flash_rollback(const struct aipu_dm *dm);

/* Commands, on slots that there are. enum aipu_status; *code: why the boot ROM would refuse the image */
void dm_flash_info(struct aipu_dm *dm, struct aipu_flash_info *info);
unsigned int dm_flash_write(struct aipu_dm *dm, uint32_t slot, uint64_t offset, const void *from,
			    uint32_t bytes);
unsigned int dm_flash_read(struct aipu_dm *dm, uint32_t slot, uint64_t offset, void *to,
			   uint32_t bytes);
unsigned int dm_flash_commit(struct aipu_dm *dm, uint32_t slot, uint32_t *code);
unsigned int dm_flash_activate(struct aipu_dm *dm, uint32_t slot);

/* ---- flash_record.c: pure functions of bytes ---- */

/* Of each slot, of a flash with so many bytes */
uint64_t dm_flash_slot_bytes(uint64_t bytes);
uint64_t dm_flash_slot_at(uint64_t slot_bytes, uint32_t slot);
/* Sets magic and digest; false: the digest could not be computed */
bool dm_flash_record_seal(struct dm_flash_record *record);
/* The newer valid copy; false: none is, and *record is that of an empty flash */
bool dm_flash_record_find(struct dm_flash_record *record, const struct dm_flash_record copies[2],
			  uint64_t slot_bytes);
/* No copy is valid, and neither are these the pages of an empty flash, or of one whose first write was cut: something else */
bool dm_flash_record_foreign(const struct dm_flash_record copies[2], uint64_t slot_bytes);
/* *info is all zero. header NULL: it cannot be read */
void dm_flash_slot_tell(struct aipu_flash_slot *info, const struct dm_flash_slot *own,
			const struct aipu_firmware_header *header);

/* ---- flash_admin.c ---- */

/* A FLASH_* command. enum aipu_status */
unsigned int dm_flash_admin(struct aipu_dm *dm, const struct aipu_admin *entry, uint32_t *detail);

#endif
