// SPDX-License-Identifier: MIT
/* What is known of a device's firmware: from the device, or from a snapshot of any of the operator's tools, and as a snapshot. */
#include "update.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fw.h"
#include "text.h"

static const struct field state_fields[] = {
	FIELD(struct fw_state, "state", TEXT, state, NULL),
	FIELD(struct fw_state, "problem", TEXT, problem, NULL),
	FIELD(struct fw_state, "pci_address", TEXT, pci_address, NULL),
	FIELD(struct fw_state, "node", TEXT, node, NULL),
	FIELD(struct fw_state, "model", TEXT, model, NULL),
	FIELD(struct fw_state, "serial", TEXT, serial, NULL),
	FIELD(struct fw_state, "board_id", BOARD, board, NULL),
	FIELD(struct fw_state, "rom_version", VERSION, rom_version, NULL),
	FIELD(struct fw_state, "rollback", NUMBER, rollback, NULL),
	FIELD(struct fw_state, "firmware", TEXT, firmware, NULL),
	FIELD(struct fw_state, "firmware_version", VERSION, firmware_version, NULL),
	FIELD(struct fw_state, "firmware_source", CHOICE, source, source_words),
	FIELD(struct fw_state, "contract_oldest", CONTRACT, contract_oldest, NULL),
	FIELD(struct fw_state, "contract_newest", CONTRACT, contract_newest, NULL),
	FIELD(struct fw_state, "contract_in_use", CONTRACT, contract_in_use, NULL),
	SLOT_FIELDS(struct fw_state, flash),
	FIELD_END,
};

void fw_state_clear(struct fw_state *state)
{
	memset(state, 0, sizeof(*state));
	state->board = UNKNOWN64;
	state->rollback = UNKNOWN32;
	slots_clear(&state->flash);
}

void fw_state_take(struct fw_state *state, const struct aipu_device_info *info,
		   const struct aipu_flash_info *flash)
{
	static const char *const words[] = { "ready", "resetting", "wedged" };

	fw_state_clear(state);
	if (info->state < sizeof(words) / sizeof(words[0]))
		snprintf(state->state, sizeof(state->state), "%s", words[info->state]);
	TEXT_CLEAN(state->pci_address, info->pci);
	TEXT_CLEAN(state->node, info->node);
	TEXT_CLEAN(state->model, info->model);
	TEXT_CLEAN(state->serial, info->serial);
	state->board = info->board_id;
	state->rom_version = info->rom_version;
	/* The boot ROM that tells its version tells its counter too */
	if (info->rom_version)
		state->rollback = info->rollback;
	TEXT_CLEAN(state->firmware, info->firmware);
	state->firmware_version = info->firmware_version;
	state->source = info->boot_source;
	state->contract_oldest = info->abi_oldest;
	state->contract_newest = info->abi_newest;
	state->contract_in_use = info->abi_in_use;
	slots_take(&state->flash, info, flash);
	if (!flash)
		return;
	state->rom_version = flash->rom_version;
	state->rollback = flash->rollback;
	state->source = flash->source;
}

void fw_state_take_file(struct fw_state *state)
{
	const struct aipu_device_info nothing = { .board_id = AIPU_BOARD_SOFT };
	struct aipu_flash_info flash;

	if (softflash_info(&flash))
		return;
	state->board = AIPU_BOARD_SOFT;
	state->rom_version = flash.rom_version;
	state->rollback = flash.rollback;
	slots_take(&state->flash, &nothing, &flash);
}

bool fw_state_runs(const struct fw_state *state, uint32_t slot)
{
	return state->source == AIPU_BOOT_FROM_SLOT_A + slot;
}

bool fw_state_may_start(const struct fw_state *state, uint32_t slot)
{
	const struct card_slot *own = &state->flash.slots[slot];

	if (fw_state_runs(state, slot))
		return true;
	if (own->state == AIPU_FLASH_EMPTY || own->state == AIPU_FLASH_FAILED ||
	    (own->state == AIPU_FLASH_TRIAL && !own->tries))
		return false;
	return (state->rollback == UNKNOWN32 || own->rollback >= state->rollback) &&
	       (own->error < AIPU_ERROR_FIRMWARE_SIZE || own->error > AIPU_ERROR_FIRMWARE_ABI);
}

/* With what follows from the rest, for readers; it is not read back */
static bool card_make(const struct fw_state *state, json_t *card)
{
	json_t *slots;

	if (!fields_make(state_fields, state, card))
		return false;
	slots = json_object_get(card, "slots");
	for (uint32_t i = 0; i < json_array_size(slots); i++) {
		json_t *slot = json_array_get(slots, i);

		if (json_is_object(slot) &&
		    json_object_set_new(slot, "can_start",
					json_boolean(fw_state_may_start(state, i))))
			return false;
	}
	return true;
}

json_t *fw_state_make(const struct snapfile_head *head, const struct fw_state *states, size_t count)
{
	json_t *root = snapfile_make(FW_TOOL, head);
	bool good = root && snapfile_add_cards(root, count);

	for (size_t i = 0; good && i < count; i++)
		good = card_make(&states[i], snapfile_card(root, i));
	if (good)
		return root;
	json_decref(root);
	return NULL;
}

static int cards_parse(const json_t *root, struct fw_state **states, size_t *count,
		       char why[FIELD_WHY])
{
	*count = snapfile_count(root);
	*states = calloc(*count + 1, sizeof(**states));
	if (!*states) {
		snprintf(why, FIELD_WHY, "out of memory");
		return -EINVAL;
	}
	for (size_t i = 0; i < *count; i++) {
		fw_state_clear(&(*states)[i]);
		if (!snapfile_parse_card(root, i, state_fields, &(*states)[i], why))
			return -EINVAL;
	}
	return 0;
}

int fw_state_parse(const char *text, size_t bytes, struct snapfile_head *head,
		   struct fw_state **states, size_t *count, char why[FIELD_WHY])
{
	json_t *root = snapfile_parse(FW_TOOL, text, bytes, head, why);
	int err = -EINVAL;

	*states = NULL;
	*count = 0;
	if (root)
		err = cards_parse(root, states, count, why);
	json_decref(root);
	if (!err)
		return 0;
	free(*states);
	*states = NULL;
	*count = 0;
	return err;
}
