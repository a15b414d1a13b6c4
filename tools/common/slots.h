/* SPDX-License-Identifier: MIT */
/*
 * What a card keeps in its flash, as the operator's tools know it: from libaipu or from a snapshot. Called by aipu-smi, aipu-fw and
 * aipu-fwcheck. Pure.
 */
#ifndef AIPU_TOOLS_SLOTS_H
#define AIPU_TOOLS_SLOTS_H

#include "aipu/manage.h"
#include "jsontable.h"

#define CARD_SLOTS 2u

/* Of an empty one all below `error` is unknown; a version 0 is unknown, else all ones are */
struct card_slot {
	bool present;
	uint32_t slot; /* its index */
	uint32_t state; /* enum aipu_flash_state */
	uint32_t tries; /* that are left, of a trial */
	uint32_t error; /* AIPU_ERROR_*: what the boot ROM had against it, at the last boot or before */
	char error_text[96]; /* "": nothing */
	uint32_t version;
	uint32_t contract_oldest, contract_newest; /* newest 0: unknown */
	uint64_t board; /* 32 bits */
	uint32_t rollback;
	uint64_t bytes; /* header and payload */
	char build[64];
	uint8_t digest[32]; /* all zero: unknown */
};

struct card_flash {
	uint32_t count; /* CARD_SLOTS; 0: the card keeps no firmware; UNKNOWN32 */
	uint32_t active; /* slot that the next reset tries first; UNKNOWN32 */
	struct card_slot slots[CARD_SLOTS];
};

/* "slot_a", "slot_b" and the end; of where firmware came from: by enum aipu_boot_source */
extern const char *const slot_words[], *const source_words[];
extern const struct field slot_fields[];
/* The keys of a card that has a member `struct card_flash flash` */
#define SLOT_FIELDS(type, flash_)                                      \
	FIELD(type, "active_slot", CHOICE, flash_.active, slot_words), \
		FIELD_LIST_OF(type, "slots", flash_.count, flash_.slots, slot_fields)

/* Nothing is known */
void slots_clear(struct card_flash *flash);
/* What an open device said, however little of it may be true; info NULL: it keeps none */
void slots_take(struct card_flash *flash, const struct aipu_device_info *device,
		const struct aipu_flash_info *info);

#endif
