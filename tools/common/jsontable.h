/* SPDX-License-Identifier: MIT */
/*
 * C structures as JSON objects and back: a table a structure says how each member is called and written, and both directions go by
 * it. A key that is absent or null is unknown and leaves the member as it was; one of another type is an error that names it;
 * keys that are in no table are passed over, since later versions, and other tools, have more. Called by the snapshots of
 * aipu-smi, aipu-fw and aipu-fwcheck. Input may be anything; texts of it become printable ASCII.
 */
#ifndef AIPU_TOOLS_JSONTABLE_H
#define AIPU_TOOLS_JSONTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

/* What is null of a number, but of INTEGER: INT64_MIN, and of versions: 0 */
#define UNKNOWN32 UINT32_MAX
#define UNKNOWN64 UINT64_MAX

enum field_kind {
	FIELD_TEXT, /* char[]; "" is null */
	FIELD_FLAG, /* bool */
	FIELD_TRUTH, /* uint32_t, 0 or 1 */
	FIELD_NUMBER, /* uint32_t */
	FIELD_INTEGER, /* int64_t */
	FIELD_BYTES, /* uint64_t below 2^63 */
	FIELD_HEX, /* uint64_t as "0x1af4" */
	FIELD_BOARD, /* the same with eight digits or more: "0x00001234" */
	FIELD_CONTRACT, /* uint32_t as "1.0" */
	FIELD_VERSION, /* uint32_t as "0.9.0" */
	FIELD_DIGEST, /* uint8_t[] as hexadecimal digits; all zero is null */
	FIELD_CHOICE, /* uint32_t, an index of the words; "" in them is null */
	FIELD_WORD, /* the same, but a word that is not among them is unknown, no error */
	FIELD_OBJECT, /* of `more` */
	FIELD_OPTIONAL, /* the same of a struct that begins with a bool, false: null */
	FIELD_LIST, /* uint32_t count, and from `first` on so many OPTIONAL */
};

struct field {
	const char *name; /* NULL: the table's end */
	enum field_kind kind;
	size_t offset, bytes; /* of the member; LIST: of the count, and of one element */
	const void *more; /* a table of fields, or words with NULL behind */
	size_t first, room; /* LIST: offset of the first element, and how many there may be */
};

#define FIELD(type, name_, kind_, member, more_)                                                \
	{                                                                                       \
		.name = (name_), .kind = FIELD_##kind_, .offset = offsetof(type, member),       \
		.bytes = sizeof(((type *)NULL)->member), .more = (more_), .first = 0, .room = 0 \
	}
#define FIELD_LIST_OF(type, name_, count_, member, fields_)                                \
	{                                                                                  \
		.name = (name_), .kind = FIELD_LIST, .offset = offsetof(type, count_),     \
		.bytes = sizeof(((type *)NULL)->member[0]), .more = (fields_),             \
		.first = offsetof(type, member),                                           \
		.room = sizeof(((type *)NULL)->member) / sizeof(((type *)NULL)->member[0]) \
	}
#define FIELD_END            \
	{                    \
		.name = NULL \
	}

#define FIELD_WHY 256u /* of a line that says what is wrong where */

/* The member as a value; NULL: out of memory */
json_t *field_make(const struct field *field, const void *from);
/* All of a table, added to the object; false: out of memory */
bool fields_make(const struct field *fields, const void *from, json_t *object);

/* `where`: the object's path, in the error's line; "": none. False after a line in `why` */
bool field_parse(const struct field *field, void *to, const json_t *object, const char *where,
		 char why[FIELD_WHY]);
bool fields_parse(const struct field *fields, void *to, const json_t *object, const char *where,
		  char why[FIELD_WHY]);

#endif
