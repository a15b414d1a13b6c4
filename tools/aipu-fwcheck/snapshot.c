// SPDX-License-Identifier: GPL-2.0-or-later
/* See snapshot.h. The tables of what this tool knows; tools/common/jsontable.h goes by them, both ways. */
#include "snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A range of contract versions is two keys, also where one flat list is wanted */
#define RANGE(type, name, member)                                   \
	FIELD(type, name "_oldest", CONTRACT, member.oldest, NULL), \
		FIELD(type, name "_newest", CONTRACT, member.newest, NULL)

/* What a device offers and a program needs */
#define MASKS(type)                                               \
	FIELD(type, "capabilities", HEX, capabilities, NULL),     \
		FIELD(type, "operations", HEX, operations, NULL), \
		FIELD(type, "formats", HEX, formats, NULL),       \
		FIELD(type, "kv_formats", HEX, kv_formats, NULL), \
		FIELD(type, "kv_kinds", HEX, kv_kinds, NULL),     \
		FIELD(type, "numerics", HEX, numerics, NULL),     \
		FIELD(type, "activations", HEX, activations, NULL)

static const char *const image_states[] = { "none",    "missing", "unreadable",
					    "damaged", "whole",	  NULL };
static const char *const signatures[] = { "unchecked", "good", "bad", NULL };
static const char *const signature_kinds[] = { "none", "ed25519", NULL };
/* By enum fw_access, in the words of aipu-smi, which has some more */
static const char *const accesses[] = { "ready",     "no driver",      "no permission",
					"not taken", "not responding", "unbound",
					NULL };

static const struct field image_fields[] = {
	FIELD(struct fw_image, "state", CHOICE, state, image_states),
	FIELD(struct fw_image, "path", TEXT, path, NULL),
	FIELD(struct fw_image, "error", NUMBER, error, NULL),
	FIELD(struct fw_image, "version", VERSION, version, NULL),
	RANGE(struct fw_image, "contract", abi),
	FIELD(struct fw_image, "board_id", BOARD, board, NULL),
	FIELD(struct fw_image, "rollback", NUMBER, rollback, NULL),
	FIELD(struct fw_image, "signature", CHOICE, signature, signatures),
	FIELD(struct fw_image, "signature_kind", CHOICE, signature_kind, signature_kinds),
	FIELD(struct fw_image, "key_id", DIGEST, key_id, NULL),
	FIELD(struct fw_image, "build", TEXT, build, NULL),
	FIELD_END,
};
static const struct field offer_fields[] = {
	MASKS(struct fw_offer),
	FIELD_END,
};
static const struct field program_fields[] = {
	FIELD(struct fw_program, "path", TEXT, path, NULL),
	FIELD(struct fw_program, "problem", TEXT, problem, NULL),
	FIELD(struct fw_program, "container_version", NUMBER, container, NULL),
	RANGE(struct fw_program, "contract", abi),
	RANGE(struct fw_program, "program_contract", program_abi),
	MASKS(struct fw_program),
	FIELD(struct fw_program, "mapped_bytes", BYTES, mapped_bytes, NULL),
	FIELD(struct fw_program, "memory_bytes", BYTES, memory_bytes, NULL),
	FIELD_END,
};
static const struct field bar_fields[] = {
	FIELD(struct fw_bar, "start", HEX, start, NULL),
	FIELD(struct fw_bar, "bytes", BYTES, bytes, NULL),
	FIELD_END,
};
static const struct field card_fields[] = {
	FIELD(struct fw_card, "state", WORD, access, accesses),
	FIELD(struct fw_card, "problem", TEXT, reason, NULL),
	FIELD(struct fw_card, "index", NUMBER, pci.index, NULL),
	FIELD(struct fw_card, "pci_address", TEXT, pci.address, NULL),
	FIELD(struct fw_card, "pci_id", TEXT, pci.id, NULL),
	FIELD(struct fw_card, "subsystem_id", TEXT, pci.subsystem, NULL),
	FIELD(struct fw_card, "revision", NUMBER, pci.revision, NULL),
	FIELD(struct fw_card, "driver", TEXT, pci.driver, NULL),
	FIELD(struct fw_card, "link_speed", TEXT, pci.link_speed, NULL),
	FIELD(struct fw_card, "link_speed_max", TEXT, pci.link_speed_max, NULL),
	FIELD(struct fw_card, "link_width", NUMBER, pci.link_width, NULL),
	FIELD(struct fw_card, "link_width_max", NUMBER, pci.link_width_max, NULL),
	FIELD_LIST_OF(struct fw_card, "bars", pci.bar_count, pci.bars, bar_fields),
	FIELD(struct fw_card, "node", TEXT, node, NULL),
	FIELD(struct fw_card, "model", TEXT, model, NULL),
	FIELD(struct fw_card, "serial", TEXT, serial, NULL),
	FIELD(struct fw_card, "board_id", BOARD, board, NULL),
	FIELD(struct fw_card, "rom_version", VERSION, rom_version, NULL),
	RANGE(struct fw_card, "rom_contract", rom),
	FIELD(struct fw_card, "rollback", NUMBER, rollback, NULL),
	FIELD(struct fw_card, "firmware_version", VERSION, firmware_version, NULL),
	FIELD(struct fw_card, "firmware", TEXT, firmware, NULL),
	FIELD(struct fw_card, "firmware_source", CHOICE, source, source_words),
	RANGE(struct fw_card, "contract", abi),
	FIELD(struct fw_card, "contract_in_use", CONTRACT, abi_in_use, NULL),
	FIELD(struct fw_card, "error", NUMBER, error, NULL),
	FIELD(struct fw_card, "driver_user_api", CONTRACT, driver_api, NULL),
	SLOT_FIELDS(struct fw_card, flash),
	FIELD(struct fw_card, "image", OBJECT, image, image_fields),
	FIELD(struct fw_card, "image_given", FLAG, image_given, NULL),
	FIELD(struct fw_card, "builtin", OBJECT, builtin, image_fields),
	FIELD(struct fw_card, "memory_total_bytes", BYTES, offer.memory_bytes, NULL),
	FIELD(struct fw_card, "memory_free_bytes", BYTES, offer.memory_free, NULL),
	FIELD(struct fw_card, "offered", OBJECT, offer, offer_fields),
	FIELD_END,
};
static const struct field machine_fields[] = {
	RANGE(struct fw_machine, "library_contract", library),
	FIELD(struct fw_machine, "library_user_api", CONTRACT, library_api, NULL),
	FIELD(struct fw_machine, "driver_loaded", TRUTH, driver_loaded, NULL),
	RANGE(struct fw_machine, "driver_contract", driver),
	FIELD(struct fw_machine, "driver_user_api", CONTRACT, driver_api, NULL),
	FIELD(struct fw_machine, "program", OPTIONAL, program, program_fields),
	FIELD_END,
};

/* --- both ways ------------------------------------------------------------------------------------ */

json_t *snapshot_make(const struct facts *facts)
{
	json_t *root = snapfile_make(SNAPSHOT_TOOL, &facts->machine.head);
	bool good = root && fields_make(machine_fields, &facts->machine, root) &&
		    snapfile_add_cards(root, facts->count);

	for (size_t i = 0; good && i < facts->count; i++)
		good = fields_make(card_fields, &facts->cards[i], snapfile_card(root, i));
	if (good)
		return root;
	json_decref(root);
	return NULL;
}

static bool root_parse(struct facts *facts, const json_t *root, char why[FIELD_WHY])
{
	size_t count = snapfile_count(root);

	if (!count) {
		snprintf(why, FIELD_WHY, "it has no card: there is nothing to judge");
		return false;
	}
	if (!fields_parse(machine_fields, &facts->machine, root, "", why))
		return false;
	facts->cards = calloc(count, sizeof(*facts->cards));
	if (!facts->cards) {
		snprintf(why, FIELD_WHY, "out of memory");
		return false;
	}
	for (facts->count = 0; facts->count < count; facts->count++) {
		facts_card_clear(&facts->cards[facts->count]);
		if (!snapfile_parse_card(root, facts->count, card_fields,
					 &facts->cards[facts->count], why))
			return false;
	}
	return true;
}

int snapshot_parse(struct facts *facts, const char *text, size_t bytes, char why[FIELD_WHY])
{
	struct snapfile_head head;
	json_t *root = snapfile_parse(SNAPSHOT_TOOL, text, bytes, &head, why);
	bool good;

	memset(facts, 0, sizeof(*facts));
	if (!root)
		return -EINVAL;
	facts->machine.head = head;
	facts->machine.driver_loaded = UNKNOWN32;
	facts_program_clear(&facts->machine.program);
	good = root_parse(facts, root, why);
	json_decref(root);
	if (good)
		return 0;
	free(facts->cards);
	*facts = (struct facts){ 0 };
	return -EINVAL;
}
