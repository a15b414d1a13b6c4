// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A snapshot as JSON, both ways: what --json writes, --read reads. Files come from anybody: every value is checked, and texts are
 * made fit for a terminal. Fuzzed by tests/fuzz/fuzz_smi_snapshot.c.
 */
#include "snapshot.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include <jansson.h>

#define MAX_CARDS 1024 /* in a file */

/* --- writing -------------------------------------------------------------------------------------- */

static json_t *text_or_null(const char *text)
{
	return *text ? json_string(text) : json_null();
}

static json_t *number_or_null(int64_t value)
{
	return value == SMI_UNKNOWN ? json_null() : json_integer(value);
}

static json_t *card_object(const struct smi_card *card)
{
	json_t *object = json_object();

	for (size_t i = 0; object && i < smi_field_count; i++) {
		const struct smi_field *f = &smi_fields[i];
		json_t *value = f->kind == SMI_TEXT ? text_or_null(smi_field_text(f, card))
						    : number_or_null(smi_field_number(f, card));

		if (json_object_set_new(object, f->key, value)) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

int smi_json_write(FILE *out, const struct smi_snapshot *snapshot, bool one_line)
{
	json_t *cards = json_array(), *root;
	int err;

	for (size_t i = 0; cards && i < snapshot->count; i++) {
		if (json_array_append_new(cards, card_object(&snapshot->cards[i]))) {
			json_decref(cards);
			return -ENOMEM;
		}
	}
	root = json_pack("{s:i, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "schema_version",
			 SMI_SCHEMA_VERSION, "tool", SMI_TOOL, "tool_version",
			 text_or_null(snapshot->tool_version), "library_version",
			 text_or_null(snapshot->library_version), "kernel",
			 text_or_null(snapshot->kernel), "time", text_or_null(snapshot->time),
			 "window_ms", number_or_null(snapshot->window_ms), "cards", cards);
	if (!root)
		return -ENOMEM;
	/* A write that fails is found by cli_finish() */
	err = json_dumpf(root, out,
			 (one_line ? JSON_COMPACT : JSON_INDENT(2)) | JSON_PRESERVE_ORDER);
	fputc('\n', out);
	json_decref(root);
	return err && !ferror(out) ? -ENOMEM : 0;
}

/* --- reading -------------------------------------------------------------------------------------- */

struct reader {
	char *why;
	size_t why_bytes;
};

static int refuse(const struct reader *r, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(const struct reader *r, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(r->why, r->why_bytes, format, args);
	va_end(args);
	return err;
}

static int read_field(const struct reader *r, const json_t *object, const struct smi_field *field,
		      struct smi_card *card, size_t index)
{
	const json_t *value = json_object_get(object, field->key);

	if (!value || json_is_null(value))
		return 0;
	if (field->kind == SMI_TEXT && json_is_string(value)) {
		smi_field_set_text(field, card, json_string_value(value));
		return 0;
	}
	if (field->kind == SMI_INTEGER && json_is_integer(value)) {
		smi_field_set_number(field, card, json_integer_value(value));
		return 0;
	}
	return refuse(r, -EBADMSG, "cards[%zu].%s: %s or null is expected", index, field->key,
		      field->kind == SMI_TEXT ? "a string" : "an integer");
}

static void read_text(const json_t *root, const char *key, char *to, size_t bytes)
{
	const char *text = json_string_value(json_object_get(root, key));

	if (text)
		smi_text_clean(to, bytes, text, strlen(text) + 1);
}

static int read_cards(const struct reader *r, const json_t *cards, struct smi_snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->count; i++) {
		const json_t *card = json_array_get(cards, i);

		if (!json_is_object(card))
			return refuse(r, -EBADMSG, "cards[%zu]: an object is expected", i);
		for (size_t j = 0; j < smi_field_count; j++) {
			int err = read_field(r, card, &smi_fields[j], &snapshot->cards[i], i);

			if (err)
				return err;
		}
	}
	return 0;
}

static int read_root(const struct reader *r, const json_t *root, struct smi_snapshot *snapshot)
{
	const json_t *schema = json_object_get(root, "schema_version");
	const char *tool = json_string_value(json_object_get(root, "tool"));
	const json_t *cards = json_object_get(root, "cards");
	const json_t *window = json_object_get(root, "window_ms");
	int err;

	if (!json_is_integer(schema) || !json_is_array(cards))
		return refuse(
			r, -EBADMSG,
			"no snapshot of aipu-smi --json: schema_version and cards are expected");
	/* Other tools' objects have the same two */
	if (!tool || strcmp(tool, SMI_TOOL))
		return refuse(r, -EBADMSG,
			      "no snapshot of aipu-smi --json: tool is %s%.32s%s, \"" SMI_TOOL
			      "\" is expected",
			      tool ? "\"" : "", tool ? tool : "missing", tool ? "\"" : "");
	if (json_integer_value(schema) != SMI_SCHEMA_VERSION)
		return refuse(r, -EPROTO, "schema_version is %lld, this aipu-smi reads %d",
			      (long long)json_integer_value(schema), SMI_SCHEMA_VERSION);
	if (json_array_size(cards) > MAX_CARDS)
		return refuse(r, -EBADMSG, "%zu cards, at most %d are expected",
			      json_array_size(cards), MAX_CARDS);
	if (smi_snapshot_init(snapshot, json_array_size(cards)))
		return refuse(r, -ENOMEM, "out of memory");
	/* What init knows of here and now is not the file's */
	snapshot->time[0] = snapshot->kernel[0] = '\0';
	snapshot->tool_version[0] = snapshot->library_version[0] = '\0';
	read_text(root, "time", snapshot->time, sizeof(snapshot->time));
	read_text(root, "tool_version", snapshot->tool_version, sizeof(snapshot->tool_version));
	read_text(root, "library_version", snapshot->library_version,
		  sizeof(snapshot->library_version));
	read_text(root, "kernel", snapshot->kernel, sizeof(snapshot->kernel));
	if (json_is_integer(window) && json_integer_value(window) > 0)
		snapshot->window_ms = json_integer_value(window);
	err = read_cards(r, cards, snapshot);
	if (err)
		smi_snapshot_free(snapshot);
	return err;
}

int smi_json_read(const char *text, size_t bytes, struct smi_snapshot *snapshot, char *why,
		  size_t why_bytes)
{
	const struct reader r = { why, why_bytes };
	json_error_t error;
	json_t *root = json_loadb(text, bytes, 0, &error);
	int err;

	memset(snapshot, 0, sizeof(*snapshot));
	if (!root && json_error_code(&error) == json_error_end_of_input_expected)
		return refuse(
			&r, -EBADMSG,
			"line %d: more follows the snapshot; one is expected, of those of -w a single line",
			error.line);
	if (!root)
		return refuse(&r, -EBADMSG, "line %d: %s", error.line, error.text);
	err = read_root(&r, root, snapshot);
	json_decref(root);
	return err;
}
