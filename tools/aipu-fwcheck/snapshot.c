// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * See snapshot.h. One table a structure says how each field is called and written; both directions go by it. A key that is absent
 * or null is unknown, one of another type is an error; keys that are not in the tables are ignored, since later versions add
 * some.
 */
#include "snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aipu_types.h"
#include "cli.h"

enum kind {
	TEXT, /* char[]; "" is null */
	FLAG, /* bool */
	TRUTH, /* uint32_t, 0 or 1; UNKNOWN32 is null */
	NUMBER, /* uint32_t; UNKNOWN32 is null */
	BYTES, /* uint64_t below 2^63; UNKNOWN64 is null */
	HEX, /* uint64_t as "0x1af4"; UNKNOWN64 is null */
	BOARD, /* the same with eight digits or more: "0x00001234" */
	ABI, /* uint32_t as "1.0"; 0 is null */
	VERSION, /* uint32_t as "0.9.0"; 0 is null */
	CHOICE, /* uint32_t, an index of `names` */
	OBJECT, /* of `fields`; if it begins with a bool `present` (optional), null without it */
	OPTIONAL,
	LIST, /* `count` of OPTIONAL */
};

struct field {
	const char *name;
	enum kind kind;
	size_t offset, bytes; /* of the field; LIST: of one of its elements */
	const void *more; /* fields, or names that end with NULL */
	size_t count;
};

#define FIELD(struct_, name_, kind_, member, more_)                                           \
	{                                                                                     \
		.name = (name_), .kind = (kind_), .offset = offsetof(struct struct_, member), \
		.bytes = sizeof(((struct struct_ *)NULL)->member), .more = (more_)            \
	}
#define LIST_OF(struct_, name_, member, fields_)                                           \
	{                                                                                  \
		.name = (name_), .kind = LIST, .offset = offsetof(struct struct_, member), \
		.bytes = sizeof(((struct struct_ *)NULL)->member[0]), .more = (fields_),   \
		.count = sizeof(((struct struct_ *)NULL)->member) /                        \
			 sizeof(((struct struct_ *)NULL)->member[0])                       \
	}
#define END                  \
	{                    \
		.name = NULL \
	}

/* --- tables --------------------------------------------------------------------------------------- */

static const char *const image_states[] = { "none",    "missing", "unreadable",
					    "damaged", "whole",	  NULL };
static const char *const signatures[] = { "unchecked", "good", "bad", NULL };
static const char *const slot_states[] = { "empty", "good", "trial", "confirmed", "failed", NULL };
static const char *const sources[] = { "none", "host", "slot_a", "slot_b", NULL };
static const char *const accesses[] = { "ready",     "no_driver",     "no_permission",
					"not_taken", "not_answering", NULL };

static const struct field range_fields[] = {
	FIELD(fw_range, "oldest", ABI, oldest, NULL),
	FIELD(fw_range, "newest", ABI, newest, NULL),
	END,
};
static const struct field image_fields[] = {
	FIELD(fw_image, "state", CHOICE, state, image_states),
	FIELD(fw_image, "path", TEXT, path, NULL),
	FIELD(fw_image, "error", NUMBER, error, NULL),
	FIELD(fw_image, "version", VERSION, version, NULL),
	FIELD(fw_image, "contract", OBJECT, abi, range_fields),
	FIELD(fw_image, "board_id", BOARD, board, NULL),
	FIELD(fw_image, "rollback", NUMBER, rollback, NULL),
	FIELD(fw_image, "signature", CHOICE, signature, signatures),
	FIELD(fw_image, "build", TEXT, build, NULL),
	END,
};
static const struct field slot_fields[] = {
	FIELD(fw_slot, "state", CHOICE, state, slot_states),
	FIELD(fw_slot, "tries", NUMBER, tries, NULL),
	FIELD(fw_slot, "error", NUMBER, error, NULL),
	FIELD(fw_slot, "version", VERSION, version, NULL),
	FIELD(fw_slot, "contract", OBJECT, abi, range_fields),
	FIELD(fw_slot, "board_id", BOARD, board, NULL),
	FIELD(fw_slot, "rollback", NUMBER, rollback, NULL),
	FIELD(fw_slot, "build", TEXT, build, NULL),
	END,
};
static const struct field offer_fields[] = {
	FIELD(fw_offer, "capabilities", HEX, capabilities, NULL),
	FIELD(fw_offer, "operations", HEX, operations, NULL),
	FIELD(fw_offer, "formats", HEX, formats, NULL),
	FIELD(fw_offer, "kv_formats", HEX, kv_formats, NULL),
	FIELD(fw_offer, "kv_kinds", HEX, kv_kinds, NULL),
	FIELD(fw_offer, "numerics", HEX, numerics, NULL),
	FIELD(fw_offer, "activations", HEX, activations, NULL),
	FIELD(fw_offer, "memory_bytes", BYTES, memory_bytes, NULL),
	FIELD(fw_offer, "memory_free_bytes", BYTES, memory_free, NULL),
	END,
};
static const struct field program_fields[] = {
	FIELD(fw_program, "path", TEXT, path, NULL),
	FIELD(fw_program, "problem", TEXT, problem, NULL),
	FIELD(fw_program, "container_version", NUMBER, container, NULL),
	FIELD(fw_program, "contract", OBJECT, abi, range_fields),
	FIELD(fw_program, "program_contract", OBJECT, program_abi, range_fields),
	FIELD(fw_program, "capabilities", HEX, capabilities, NULL),
	FIELD(fw_program, "operations", HEX, operations, NULL),
	FIELD(fw_program, "formats", HEX, formats, NULL),
	FIELD(fw_program, "kv_formats", HEX, kv_formats, NULL),
	FIELD(fw_program, "kv_kinds", HEX, kv_kinds, NULL),
	FIELD(fw_program, "numerics", HEX, numerics, NULL),
	FIELD(fw_program, "activations", HEX, activations, NULL),
	FIELD(fw_program, "mapped_bytes", BYTES, mapped_bytes, NULL),
	FIELD(fw_program, "memory_bytes", BYTES, memory_bytes, NULL),
	END,
};
static const struct field bar_fields[] = {
	FIELD(fw_bar, "start", HEX, start, NULL),
	FIELD(fw_bar, "bytes", BYTES, bytes, NULL),
	END,
};
static const struct field pci_fields[] = {
	FIELD(fw_pci, "address", TEXT, address, NULL),
	FIELD(fw_pci, "vendor", HEX, vendor, NULL),
	FIELD(fw_pci, "device", HEX, device, NULL),
	FIELD(fw_pci, "revision", HEX, revision, NULL),
	FIELD(fw_pci, "subsystem_vendor", HEX, subsystem_vendor, NULL),
	FIELD(fw_pci, "subsystem_device", HEX, subsystem_device, NULL),
	FIELD(fw_pci, "driver", TEXT, driver, NULL),
	FIELD(fw_pci, "link_speed", TEXT, link_speed, NULL),
	FIELD(fw_pci, "link_speed_max", TEXT, link_speed_max, NULL),
	FIELD(fw_pci, "link_lanes", NUMBER, link_width, NULL),
	FIELD(fw_pci, "link_lanes_max", NUMBER, link_width_max, NULL),
	LIST_OF(fw_pci, "bars", bars, bar_fields),
	END,
};
static const struct field card_fields[] = {
	FIELD(fw_card, "access", CHOICE, access, accesses),
	FIELD(fw_card, "reason", TEXT, reason, NULL),
	FIELD(fw_card, "pci", OPTIONAL, pci, pci_fields),
	FIELD(fw_card, "node", TEXT, node, NULL),
	FIELD(fw_card, "model", TEXT, model, NULL),
	FIELD(fw_card, "serial", TEXT, serial, NULL),
	FIELD(fw_card, "board_id", BOARD, board, NULL),
	FIELD(fw_card, "rom_version", VERSION, rom_version, NULL),
	FIELD(fw_card, "rom_contract", OBJECT, rom, range_fields),
	FIELD(fw_card, "rollback", NUMBER, rollback, NULL),
	FIELD(fw_card, "firmware_version", VERSION, firmware_version, NULL),
	FIELD(fw_card, "firmware", TEXT, firmware, NULL),
	FIELD(fw_card, "firmware_source", CHOICE, source, sources),
	FIELD(fw_card, "contract", OBJECT, abi, range_fields),
	FIELD(fw_card, "contract_in_use", ABI, abi_in_use, NULL),
	FIELD(fw_card, "error", NUMBER, error, NULL),
	FIELD(fw_card, "driver_user_api", ABI, driver_api, NULL),
	FIELD(fw_card, "active_slot", NUMBER, active, NULL),
	LIST_OF(fw_card, "slots", slots, slot_fields),
	FIELD(fw_card, "image", OBJECT, image, image_fields),
	FIELD(fw_card, "image_given", FLAG, image_given, NULL),
	FIELD(fw_card, "builtin", OBJECT, builtin, image_fields),
	FIELD(fw_card, "offered", OBJECT, offer, offer_fields),
	END,
};
static const struct field machine_fields[] = {
	FIELD(fw_machine, "library_version", TEXT, library_version, NULL),
	FIELD(fw_machine, "library_contract", OBJECT, library, range_fields),
	FIELD(fw_machine, "library_user_api", ABI, library_api, NULL),
	FIELD(fw_machine, "driver_loaded", TRUTH, driver_loaded, NULL),
	FIELD(fw_machine, "driver_contract", OBJECT, driver, range_fields),
	FIELD(fw_machine, "driver_user_api", ABI, driver_api, NULL),
	FIELD(fw_machine, "program", OPTIONAL, program, program_fields),
	END,
};

/* --- to JSON -------------------------------------------------------------------------------------- */

static json_t *object_make(const struct field *fields, const void *from);

static json_t *list_make(const struct field *field, const char *at)
{
	json_t *list = json_array();

	for (size_t i = 0; i < field->count; i++, at += field->bytes)
		json_array_append_new(list, *(const bool *)at ? object_make(field->more, at)
							      : json_null());
	return list;
}

static json_t *wide_make(enum kind kind, uint64_t value)
{
	char text[20];

	if (value == UNKNOWN64)
		return json_null();
	if (kind == BYTES)
		return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
	snprintf(text, sizeof(text), "0x%0*" PRIx64, kind == BOARD ? 8 : 1, value);
	return json_string(text);
}

static json_t *narrow_make(const struct field *field, uint32_t value)
{
	const char *const *names = field->more;
	char text[20];

	switch (field->kind) {
	case NUMBER:
		return value == UNKNOWN32 ? json_null() : json_integer(value);
	case TRUTH:
		return value == UNKNOWN32 ? json_null() : json_boolean(value);
	case CHOICE:
		for (uint32_t i = 0; names[i]; i++)
			if (i == value)
				return json_string(names[i]);
		return json_null(); /* a card may say anything */
	case ABI:
		text_abi(text, value);
		break;
	default:
		text_version(text, value);
		break;
	}
	return value ? json_string(text) : json_null();
}

static json_t *value_make(const struct field *field, const void *from)
{
	const char *at = (const char *)from + field->offset;

	switch (field->kind) {
	case TEXT:
		return at[0] ? json_string(at) : json_null();
	case FLAG:
		return json_boolean(*(const bool *)at);
	case BYTES:
	case HEX:
	case BOARD:
		return wide_make(field->kind, *(const uint64_t *)(const void *)at);
	case OPTIONAL:
		return *(const bool *)at ? object_make(field->more, at) : json_null();
	case OBJECT:
		return object_make(field->more, at);
	case LIST:
		return list_make(field, at);
	default:
		return narrow_make(field, *(const uint32_t *)(const void *)at);
	}
}

static json_t *object_make(const struct field *fields, const void *from)
{
	json_t *object = json_object();

	for (const struct field *field = fields; field->name; field++)
		json_object_set_new(object, field->name, value_make(field, from));
	return object;
}

json_t *snapshot_make(const struct facts *facts)
{
	json_t *root = json_object(), *cards = json_array();

	json_object_set_new(root, "schema_version", json_integer(SNAPSHOT_SCHEMA));
	json_object_set_new(root, "machine", object_make(machine_fields, &facts->machine));
	for (size_t i = 0; i < facts->count; i++)
		json_array_append_new(cards, object_make(card_fields, &facts->cards[i]));
	json_object_set_new(root, "cards", cards);
	return root;
}

json_t *snapshot_card(json_t *snapshot, size_t index)
{
	return json_array_get(json_object_get(snapshot, "cards"), index);
}

/* --- from JSON ------------------------------------------------------------------------------------ */

static bool object_parse(const struct field *fields, void *to, const json_t *object,
			 const char *where, char why[256]);

static bool wrong(char why[256], const char *where, const char *right)
{
	snprintf(why, 256, "%.180s: %s expected", where, right);
	return false;
}

static bool list_parse(const struct field *field, char *at, const json_t *value, const char *where,
		       char why[256])
{
	if (!json_is_array(value) || json_array_size(value) > field->count)
		return wrong(why, where, "a list, not too long, is");
	for (size_t i = 0; i < json_array_size(value); i++, at += field->bytes) {
		const json_t *element = json_array_get(value, i);

		if (json_is_null(element))
			continue;
		*(bool *)at = true;
		if (!object_parse(field->more, at, element, where, why))
			return false;
	}
	return true;
}

static bool narrow_parse(const struct field *field, uint32_t *to, const json_t *value,
			 const char *where, char why[256])
{
	static const unsigned long abi[] = { 0xffff, 0xffff }, version[] = { 0xff, 0xff, 0xffff };
	const char *const *names = field->more, *text = json_string_value(value);
	unsigned long parts[3];

	if (field->kind == NUMBER) {
		if (!json_is_integer(value) || json_integer_value(value) < 0 ||
		    json_integer_value(value) > UINT32_MAX)
			return wrong(why, where, "a number of 32 bits is");
		*to = (uint32_t)json_integer_value(value);
		return true;
	}
	if (field->kind == TRUTH) {
		if (!json_is_boolean(value))
			return wrong(why, where, "true or false is");
		*to = json_is_true(value);
		return true;
	}
	if (field->kind == CHOICE) {
		for (uint32_t i = 0; text && names[i]; i++)
			if (!strcmp(text, names[i])) {
				*to = i;
				return true;
			}
		return wrong(why, where, "one of the known words is");
	}
	if (field->kind == ABI && text && cli_dotted(text, abi, 2, parts)) {
		*to = AIPU_ABI_VERSION(parts[0], parts[1]);
		return true;
	}
	if (field->kind == VERSION && text && cli_dotted(text, version, 3, parts)) {
		*to = (uint32_t)(parts[0] << 24 | parts[1] << 16 | parts[2]);
		return true;
	}
	return wrong(why, where, field->kind == ABI ? "\"X.Y\" is" : "\"X.Y.Z\" is");
}

static bool wide_parse(const struct field *field, uint64_t *to, const json_t *value,
		       const char *where, char why[256])
{
	const char *text = json_string_value(value);

	if (field->kind == BYTES) {
		if (!json_is_integer(value) || json_integer_value(value) < 0)
			return wrong(why, where, "a number of bytes is");
		*to = (uint64_t)json_integer_value(value);
		return true;
	}
	if (!text || strncmp(text, "0x", 2) != 0 || !text[2] || strlen(text) > 18 ||
	    text[2 + strspn(text + 2, "0123456789abcdef")])
		return wrong(why, where, "\"0x\" with hexadecimal digits is");
	*to = strtoull(text, NULL, 16);
	return true;
}

static bool value_parse(const struct field *field, void *to, const json_t *value, const char *where,
			char why[256])
{
	char *at = (char *)to + field->offset;

	switch (field->kind) {
	case TEXT:
		if (!json_is_string(value))
			return wrong(why, where, "a text is");
		text_clean(at, field->bytes, json_string_value(value), json_string_length(value));
		return true;
	case FLAG:
		if (!json_is_boolean(value))
			return wrong(why, where, "true or false is");
		*(bool *)at = json_is_true(value);
		return true;
	case BYTES:
	case HEX:
	case BOARD:
		return wide_parse(field, (uint64_t *)(void *)at, value, where, why);
	case OPTIONAL:
		*(bool *)at = true;
		return object_parse(field->more, at, value, where, why);
	case OBJECT:
		return object_parse(field->more, at, value, where, why);
	case LIST:
		return list_parse(field, at, value, where, why);
	default:
		return narrow_parse(field, (uint32_t *)(void *)at, value, where, why);
	}
}

static bool object_parse(const struct field *fields, void *to, const json_t *object,
			 const char *where, char why[256])
{
	char path[128];

	if (!json_is_object(object))
		return wrong(why, where, "an object is");
	for (const struct field *field = fields; field->name; field++) {
		const json_t *value = json_object_get(object, field->name);

		if (!value || json_is_null(value))
			continue;
		snprintf(path, sizeof(path), "%.90s.%s", where, field->name);
		if (!value_parse(field, to, value, path, why))
			return false;
	}
	return true;
}

static bool root_parse(struct facts *facts, const json_t *root, char why[256])
{
	const json_t *cards = json_object_get(root, "cards");
	const json_t *schema = json_object_get(root, "schema_version");
	char where[32];

	if (!json_is_integer(schema) || json_integer_value(schema) != SNAPSHOT_SCHEMA)
		return wrong(why, "schema_version", "1 is");
	if (!json_is_array(cards) || !json_array_size(cards) ||
	    json_array_size(cards) > FW_CARDS_MAX)
		return wrong(why, "cards", "a list of 1 to 256 is");
	if (!object_parse(machine_fields, &facts->machine, json_object_get(root, "machine"),
			  "machine", why))
		return false;
	facts->cards = calloc(json_array_size(cards), sizeof(*facts->cards));
	if (!facts->cards)
		return wrong(why, "cards", "memory is");
	for (size_t i = 0; i < json_array_size(cards); i++) {
		snprintf(where, sizeof(where), "cards[%zu]", i);
		facts_card_clear(&facts->cards[i]);
		facts->count = i + 1;
		if (!object_parse(card_fields, &facts->cards[i], json_array_get(cards, i), where,
				  why))
			return false;
	}
	return true;
}

int snapshot_parse(struct facts *facts, const char *text, size_t bytes, char why[256])
{
	json_error_t error;
	json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
	bool good;

	memset(facts, 0, sizeof(*facts));
	facts->machine.driver_loaded = UNKNOWN32;
	facts_program_clear(&facts->machine.program);
	if (!root) {
		snprintf(why, 256, "line %d: %.200s", error.line, error.text);
		return -EINVAL;
	}
	good = root_parse(facts, root, why);
	json_decref(root);
	if (good)
		return 0;
	free(facts->cards);
	*facts = (struct facts){ 0 };
	return -EINVAL;
}
