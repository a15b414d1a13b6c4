// SPDX-License-Identifier: MIT
/* See jsontable.h. Fuzzed by the fuzz targets of what uses it: fuzz_smi_snapshot, fuzz_fwcheck, fuzz_flash_info. */
#include "jsontable.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aipu_types.h"
#include "cli.h"
#include "text.h"

/* --- to JSON -------------------------------------------------------------------------------------- */

static json_t *object_make(const struct field *fields, const void *from)
{
	json_t *object = json_object();

	if (object && fields_make(fields, from, object))
		return object;
	json_decref(object);
	return NULL;
}

static json_t *list_make(const struct field *field, const void *from)
{
	uint32_t count = *(const uint32_t *)((const char *)from + field->offset);
	const char *at = (const char *)from + field->first;
	json_t *list;

	if (count == UNKNOWN32)
		return json_null();
	list = json_array();
	for (size_t i = 0; list && i < count && i < field->room; i++, at += field->bytes) {
		if (!json_array_append_new(list, *(const bool *)at ? object_make(field->more, at)
								   : json_null()))
			continue;
		json_decref(list);
		return NULL;
	}
	return list;
}

static json_t *wide_make(enum field_kind kind, uint64_t value)
{
	char text[20];

	if (value == UNKNOWN64)
		return json_null();
	if (kind == FIELD_BYTES)
		return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
	snprintf(text, sizeof(text), "0x%0*" PRIx64, kind == FIELD_BOARD ? 8 : 1, value);
	return json_string(text);
}

static json_t *narrow_make(const struct field *field, uint32_t value)
{
	const char *const *words = field->more;
	char text[20];

	switch (field->kind) {
	case FIELD_NUMBER:
		return value == UNKNOWN32 ? json_null() : json_integer(value);
	case FIELD_TRUTH:
		return value == UNKNOWN32 ? json_null() : json_boolean(value);
	case FIELD_CHOICE:
	case FIELD_WORD:
		for (uint32_t i = 0; words[i]; i++)
			if (i == value && words[i][0])
				return json_string(words[i]);
		return json_null(); /* a card may say anything */
	case FIELD_CONTRACT:
		text_abi(text, value);
		break;
	default:
		text_version(text, value);
		break;
	}
	return value ? json_string(text) : json_null();
}

static json_t *digest_make(const uint8_t *digest, size_t bytes)
{
	char text[2 * 64 + 1] = "";
	uint8_t any = 0;

	for (size_t i = 0; i < bytes && i < 64; i++) {
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
		any |= digest[i];
	}
	return any ? json_string(text) : json_null();
}

json_t *field_make(const struct field *field, const void *from)
{
	const char *at = (const char *)from + field->offset;
	int64_t integer;

	switch (field->kind) {
	case FIELD_TEXT:
		return at[0] ? json_string(at) : json_null();
	case FIELD_FLAG:
		return json_boolean(*(const bool *)at);
	case FIELD_INTEGER:
		memcpy(&integer, at, sizeof(integer));
		return integer == INT64_MIN ? json_null() : json_integer(integer);
	case FIELD_BYTES:
	case FIELD_HEX:
	case FIELD_BOARD:
		return wide_make(field->kind, *(const uint64_t *)(const void *)at);
	case FIELD_DIGEST:
		return digest_make((const uint8_t *)at, field->bytes);
	case FIELD_OPTIONAL:
		return *(const bool *)at ? object_make(field->more, at) : json_null();
	case FIELD_OBJECT:
		return object_make(field->more, at);
	case FIELD_LIST:
		return list_make(field, from);
	default:
		return narrow_make(field, *(const uint32_t *)(const void *)at);
	}
}

bool fields_make(const struct field *fields, const void *from, json_t *object)
{
	for (const struct field *field = fields; field->name; field++)
		if (json_object_set_new(object, field->name, field_make(field, from)))
			return false;
	return true;
}

/* --- from JSON ------------------------------------------------------------------------------------ */

/* "cards[1].tries: "two": a number of 32 bits or null is expected"; a value of one of many members is not shown */
static bool wrong(char why[FIELD_WHY], const char *where, const json_t *value, const char *right)
{
	char *text = json_is_object(value) || json_is_array(value)
			     ? NULL
			     : json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);

	snprintf(why, FIELD_WHY, "%.100s: %.40s%s%s or null is expected", where, text ? text : "",
		 text ? ": " : "", right);
	free(text);
	return false;
}

static bool list_parse(const struct field *field, void *to, const json_t *value, const char *where,
		       char why[FIELD_WHY])
{
	char *at = (char *)to + field->first, path[128], right[48];

	snprintf(right, sizeof(right), "a list of at most %zu", field->room);
	if (!json_is_array(value) || json_array_size(value) > field->room)
		return wrong(why, where, value, right);
	*(uint32_t *)(void *)((char *)to + field->offset) = (uint32_t)json_array_size(value);
	for (size_t i = 0; i < json_array_size(value); i++, at += field->bytes) {
		const json_t *element = json_array_get(value, i);

		if (json_is_null(element))
			continue;
		*(bool *)at = true;
		snprintf(path, sizeof(path), "%.100s[%zu]", where, i);
		if (!fields_parse(field->more, at, element, path, why))
			return false;
	}
	return true;
}

static bool word_parse(const struct field *field, uint32_t *to, const json_t *value,
		       const char *where, char why[FIELD_WHY])
{
	const char *const *words = field->more, *text = json_string_value(value);
	char right[96] = "one of ";

	for (uint32_t i = 0; words[i]; i++) {
		if (!words[i][0])
			continue;
		if (text && !strcmp(text, words[i])) {
			*to = i;
			return true;
		}
		snprintf(right + strlen(right), sizeof(right) - strlen(right), "\"%.20s\", ",
			 words[i]);
	}
	if (field->kind == FIELD_WORD && text) {
		*to = UNKNOWN32;
		return true;
	}
	right[strlen(right) - 2] = '\0';
	return wrong(why, where, value, field->kind == FIELD_WORD ? "a text" : right);
}

static bool narrow_parse(const struct field *field, uint32_t *to, const json_t *value,
			 const char *where, char why[FIELD_WHY])
{
	static const unsigned long abi[] = { 0xffff, 0xffff }, version[] = { 0xff, 0xff, 0xffff };
	const char *text = json_string_value(value);
	unsigned long parts[3];

	switch (field->kind) {
	case FIELD_NUMBER:
		if (!json_is_integer(value) || json_integer_value(value) < 0 ||
		    json_integer_value(value) > UINT32_MAX)
			return wrong(why, where, value, "a number of 32 bits");
		*to = (uint32_t)json_integer_value(value);
		return true;
	case FIELD_TRUTH:
		if (!json_is_boolean(value))
			return wrong(why, where, value, "true, false");
		*to = json_is_true(value);
		return true;
	case FIELD_CONTRACT:
		if (!text || !cli_dotted(text, abi, 2, parts))
			return wrong(why, where, value, "\"X.Y\"");
		*to = AIPU_ABI_VERSION(parts[0], parts[1]);
		return true;
	case FIELD_VERSION:
		if (!text || !cli_dotted(text, version, 3, parts))
			return wrong(why, where, value, "\"X.Y.Z\"");
		*to = (uint32_t)(parts[0] << 24 | parts[1] << 16 | parts[2]);
		return true;
	default:
		return word_parse(field, to, value, where, why);
	}
}

static bool wide_parse(const struct field *field, uint64_t *to, const json_t *value,
		       const char *where, char why[FIELD_WHY])
{
	const char *text = json_string_value(value);

	if (field->kind == FIELD_BYTES) {
		if (!json_is_integer(value) || json_integer_value(value) < 0)
			return wrong(why, where, value, "a number of bytes");
		*to = (uint64_t)json_integer_value(value);
		return true;
	}
	if (!text || strncmp(text, "0x", 2) != 0 || !text[2] || strlen(text) > 18 ||
	    text[2 + strspn(text + 2, "0123456789abcdef")])
		return wrong(why, where, value, "\"0x\" with hexadecimal digits");
	*to = strtoull(text, NULL, 16);
	return true;
}

static bool digest_parse(const struct field *field, uint8_t *to, const json_t *value,
			 const char *where, char why[FIELD_WHY])
{
	const char *text = json_string_value(value);
	char right[48];

	if (!text || strlen(text) != 2 * field->bytes ||
	    text[strspn(text, "0123456789abcdef")] != '\0') {
		snprintf(right, sizeof(right), "%zu hexadecimal digits", 2 * field->bytes);
		return wrong(why, where, value, right);
	}
	for (size_t i = 0; i < field->bytes; i++) {
		const char digits[] = { text[2 * i], text[2 * i + 1], '\0' };

		to[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return true;
}

static bool value_parse(const struct field *field, void *to, const json_t *value, const char *where,
			char why[FIELD_WHY])
{
	char *at = (char *)to + field->offset;
	int64_t integer = json_integer_value(value);

	switch (field->kind) {
	case FIELD_TEXT:
		if (!json_is_string(value))
			return wrong(why, where, value, "a text");
		text_clean(at, field->bytes, json_string_value(value), json_string_length(value));
		return true;
	case FIELD_FLAG:
		if (!json_is_boolean(value))
			return wrong(why, where, value, "true, false");
		*(bool *)at = json_is_true(value);
		return true;
	case FIELD_INTEGER:
		if (!json_is_integer(value))
			return wrong(why, where, value, "an integer");
		memcpy(at, &integer, sizeof(integer));
		return true;
	case FIELD_BYTES:
	case FIELD_HEX:
	case FIELD_BOARD:
		return wide_parse(field, (uint64_t *)(void *)at, value, where, why);
	case FIELD_DIGEST:
		return digest_parse(field, (uint8_t *)at, value, where, why);
	case FIELD_OPTIONAL:
		*(bool *)at = true;
		return fields_parse(field->more, at, value, where, why);
	case FIELD_OBJECT:
		return fields_parse(field->more, at, value, where, why);
	case FIELD_LIST:
		return list_parse(field, to, value, where, why);
	default:
		return narrow_parse(field, (uint32_t *)(void *)at, value, where, why);
	}
}

bool field_parse(const struct field *field, void *to, const json_t *object, const char *where,
		 char why[FIELD_WHY])
{
	const json_t *value = json_object_get(object, field->name);
	char path[128];

	if (!value || json_is_null(value))
		return true;
	snprintf(path, sizeof(path), "%.90s%s%s", where, where[0] ? "." : "", field->name);
	return value_parse(field, to, value, path, why);
}

bool fields_parse(const struct field *fields, void *to, const json_t *object, const char *where,
		  char why[FIELD_WHY])
{
	if (!json_is_object(object))
		return wrong(why, where, object, "an object");
	for (const struct field *field = fields; field->name; field++)
		if (!field_parse(field, to, object, where, why))
			return false;
	return true;
}
