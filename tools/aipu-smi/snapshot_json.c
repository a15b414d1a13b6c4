// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A snapshot as JSON, both ways: what --json writes, --read reads, and so does what the other operator's tools write
 * (tools/common/snapfile.h). Fuzzed by tests/fuzz/fuzz_smi_snapshot.c.
 */
#include "snapshot.h"

#include <errno.h>
#include <string.h>

static const struct field root_fields[] = {
	FIELD(struct smi_snapshot, "window_ms", INTEGER, window_ms, NULL),
	FIELD_END,
};
static const struct field flash_fields[] = {
	SLOT_FIELDS(struct smi_card, flash),
	FIELD_END,
};

static bool card_make(const struct smi_card *card, json_t *object)
{
	for (size_t i = 0; i < smi_field_count; i++) {
		const struct field *f = &smi_fields[i].json;

		if (f->name && json_object_set_new(object, f->name, field_make(f, card)))
			return false;
	}
	return fields_make(flash_fields, card, object);
}

int smi_json_write(FILE *out, const struct smi_snapshot *snapshot, bool one_line)
{
	json_t *root = snapfile_make(SMI_TOOL, &snapshot->head);
	bool good = root && fields_make(root_fields, snapshot, root) &&
		    snapfile_add_cards(root, snapshot->count);

	for (size_t i = 0; good && i < snapshot->count; i++)
		good = card_make(&snapshot->cards[i], snapfile_card(root, i));
	if (good)
		return snapfile_write(out, root, one_line);
	json_decref(root);
	return -ENOMEM;
}

static bool card_parse(const json_t *root, size_t index, struct smi_card *card, char why[FIELD_WHY])
{
	const json_t *object = snapfile_card(root, index);
	char where[32];

	/* That it is an object, too */
	if (!snapfile_parse_card(root, index, flash_fields, card, why))
		return false;
	snprintf(where, sizeof(where), "cards[%zu]", index);
	for (size_t i = 0; i < smi_field_count; i++)
		if (smi_fields[i].json.name &&
		    !field_parse(&smi_fields[i].json, card, object, where, why))
			return false;
	smi_card_slots(card);
	return true;
}

int smi_json_read(const char *text, size_t bytes, struct smi_snapshot *snapshot,
		  char why[FIELD_WHY])
{
	struct snapfile_head head;
	json_t *root = snapfile_parse(SMI_TOOL, text, bytes, &head, why);
	bool good;

	memset(snapshot, 0, sizeof(*snapshot));
	if (!root)
		return -EINVAL;
	good = !smi_snapshot_init(snapshot, snapfile_count(root));
	if (!good)
		snprintf(why, FIELD_WHY, "out of memory");
	snapshot->head = head;
	good = good && fields_parse(root_fields, snapshot, root, "", why);
	for (size_t i = 0; good && i < snapshot->count; i++)
		good = card_parse(root, i, &snapshot->cards[i], why);
	json_decref(root);
	if (good)
		return 0;
	smi_snapshot_free(snapshot);
	return -EINVAL;
}
