// SPDX-License-Identifier: MIT
/* See slots.h. */
#include "slots.h"

#include <string.h>

#include "text.h"

const char *const slot_words[] = { "slot_a", "slot_b", NULL };
const char *const source_words[] = { "", "host", "slot_a", "slot_b", NULL };
static const char *const states[] = { "empty", "good", "trial", "confirmed", "failed", NULL };

const struct field slot_fields[] = {
	FIELD(struct card_slot, "slot", CHOICE, slot, slot_words),
	FIELD(struct card_slot, "state", CHOICE, state, states),
	FIELD(struct card_slot, "tries", NUMBER, tries, NULL),
	FIELD(struct card_slot, "error", NUMBER, error, NULL),
	FIELD(struct card_slot, "error_text", TEXT, error_text, NULL),
	FIELD(struct card_slot, "version", VERSION, version, NULL),
	FIELD(struct card_slot, "build", TEXT, build, NULL),
	FIELD(struct card_slot, "contract_oldest", CONTRACT, contract_oldest, NULL),
	FIELD(struct card_slot, "contract_newest", CONTRACT, contract_newest, NULL),
	FIELD(struct card_slot, "board_id", BOARD, board, NULL),
	FIELD(struct card_slot, "rollback", NUMBER, rollback, NULL),
	FIELD(struct card_slot, "bytes", BYTES, bytes, NULL),
	FIELD(struct card_slot, "sha256", DIGEST, digest, NULL),
	FIELD_END,
};

void slots_clear(struct card_flash *flash)
{
	memset(flash, 0, sizeof(*flash));
	flash->count = flash->active = UNKNOWN32;
	for (uint32_t i = 0; i < CARD_SLOTS; i++) {
		struct card_slot *slot = &flash->slots[i];

		slot->slot = i;
		slot->state = slot->tries = slot->error = slot->rollback = UNKNOWN32;
		slot->board = slot->bytes = UNKNOWN64;
	}
}

void slots_take(struct card_flash *flash, const struct aipu_device_info *device,
		const struct aipu_flash_info *info)
{
	slots_clear(flash);
	flash->count = info ? CARD_SLOTS : 0;
	if (!info)
		return;
	flash->active = info->active < CARD_SLOTS ? info->active : UNKNOWN32;
	for (uint32_t i = 0; i < CARD_SLOTS; i++) {
		const struct aipu_flash_slot *from = &info->slots[i];
		struct card_slot *to = &flash->slots[i];

		to->present = true;
		to->state = from->state;
		to->error = from->error;
		if (device->slot_errors[i] && from->state != AIPU_FLASH_EMPTY)
			to->error = device->slot_errors[i];
		if (to->error)
			text_clean(to->error_text, sizeof(to->error_text),
				   aipu_error_text(to->error), SIZE_MAX);
		if (from->state == AIPU_FLASH_EMPTY)
			continue;
		if (from->state == AIPU_FLASH_TRIAL)
			to->tries = from->tries;
		to->version = from->version;
		to->contract_oldest = from->abi_oldest;
		to->contract_newest = from->abi_newest;
		to->board = from->board_id;
		to->rollback = from->rollback;
		to->bytes = from->bytes;
		TEXT_CLEAN(to->build, from->build);
		memcpy(to->digest, from->digest, sizeof(to->digest));
	}
}
