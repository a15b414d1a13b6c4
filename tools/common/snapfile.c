// SPDX-License-Identifier: MIT
/* See snapfile.h. Fuzzed by fuzz_smi_snapshot, fuzz_fwcheck and fuzz_flash_info. */
#include "snapfile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "cli.h"
#include "text.h"

static const struct field head_fields[] = {
	FIELD(struct snapfile_head, "tool_version", TEXT, tool_version, NULL),
	FIELD(struct snapfile_head, "library_version", TEXT, library_version, NULL),
	FIELD(struct snapfile_head, "kernel", TEXT, kernel, NULL),
	FIELD(struct snapfile_head, "time", TEXT, time, NULL),
	FIELD_END,
};

/* --- writing -------------------------------------------------------------------------------------- */

void snapfile_now(struct snapfile_head *head, const char *library)
{
	time_t now = time(NULL);
	struct utsname name;
	struct tm utc;

	memset(head, 0, sizeof(*head));
	snprintf(head->tool_version, sizeof(head->tool_version), "%s", AIPU_PACKAGE_VERSION);
	text_clean(head->library_version, sizeof(head->library_version), library, SIZE_MAX);
	if (!uname(&name))
		TEXT_CLEAN(head->kernel, name.release);
	strftime(head->time, sizeof(head->time), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
}

json_t *snapfile_make(const char *tool, const struct snapfile_head *head)
{
	json_t *root = json_pack("{s:i, s:s}", "schema_version", SNAPFILE_SCHEMA, "tool", tool);

	if (root && fields_make(head_fields, head, root))
		return root;
	json_decref(root);
	return NULL;
}

bool snapfile_add_cards(json_t *root, size_t count)
{
	json_t *list = json_array();

	if (json_object_set_new(root, "cards", list))
		return false;
	for (size_t i = 0; i < count; i++)
		if (json_array_append_new(list, json_object()))
			return false;
	return true;
}

json_t *snapfile_card(const json_t *root, size_t index)
{
	return json_array_get(json_object_get(root, "cards"), index);
}

int snapfile_write(FILE *out, json_t *root, bool one_line)
{
	int err =
		root ? json_dumpf(root, out,
				  (one_line ? JSON_COMPACT : JSON_INDENT(2)) | JSON_PRESERVE_ORDER)
		     : -1;

	if (root)
		fputc('\n', out);
	json_decref(root);
	return err && !ferror(out) ? -ENOMEM : 0;
}

/* --- reading -------------------------------------------------------------------------------------- */

char *snapfile_read(const char *tool, const char *path, size_t *bytes, int *code)
{
	bool is_stdin = !strcmp(path, "-");
	FILE *in = is_stdin ? stdin : fopen(path, "re");
	char *text;

	*code = CLI_OK;
	if (!in) {
		*code = cli_fail(tool, cli_exit_code(-errno), "%s: %s", path, strerror(errno));
		return NULL;
	}
	cli_interruptible();
	text = malloc(SNAPFILE_BYTES + 1);
	errno = 0;
	*bytes = text ? fread(text, 1, SNAPFILE_BYTES + 1, in) : 0;
	if (!text || ferror(in))
		*code = cli_fail(tool, CLI_FAILED, "%s: %s", path, strerror(text ? errno : ENOMEM));
	else if (*bytes > SNAPFILE_BYTES)
		*code = cli_fail(tool, CLI_FAILED,
				 "%s: longer than the %u bytes that a snapshot has at most", path,
				 SNAPFILE_BYTES);
	if (!is_stdin)
		fclose(in);
	if (!*code)
		return text;
	free(text);
	return NULL;
}

/* Whether it is one that this release reads; a line in `why` if not */
static bool root_check(const char *tool, const json_t *root, char why[FIELD_WHY])
{
	static const char *const tools[] = { "aipu-smi", "aipu-fwcheck", "aipu-fw" };
	const json_t *schema = json_object_get(root, "schema_version");
	const char *writer = json_string_value(json_object_get(root, "tool"));
	const json_t *cards = json_object_get(root, "cards");
	bool known = false;

	for (size_t i = 0; writer && i < sizeof(tools) / sizeof(tools[0]); i++)
		known = known || !strcmp(writer, tools[i]);
	if (!json_is_integer(schema))
		snprintf(why, FIELD_WHY,
			 "no snapshot: schema_version, tool and cards are expected");
	else if (json_integer_value(schema) != SNAPFILE_SCHEMA)
		snprintf(why, FIELD_WHY, "schema_version is %lld, this %s reads %d",
			 (long long)json_integer_value(schema), tool, SNAPFILE_SCHEMA);
	else if (!known)
		snprintf(
			why, FIELD_WHY,
			"no snapshot: tool is %s%.32s%s; aipu-smi, aipu-fwcheck or aipu-fw is expected",
			writer ? "\"" : "", writer ? writer : "missing", writer ? "\"" : "");
	else if (!json_is_array(cards))
		snprintf(why, FIELD_WHY,
			 "no snapshot: it has no list of cards; %s writes it, by %s%s", writer,
			 strcmp(writer, "aipu-fw") ? "" : "status ", "--json");
	else if (json_array_size(cards) > SNAPFILE_CARDS)
		snprintf(why, FIELD_WHY, "%zu cards, at most %u are expected",
			 json_array_size(cards), SNAPFILE_CARDS);
	else
		return true;
	return false;
}

json_t *snapfile_parse(const char *tool, const char *text, size_t bytes, struct snapfile_head *head,
		       char why[FIELD_WHY])
{
	json_error_t error;
	json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);

	memset(head, 0, sizeof(*head));
	if (!root && json_error_code(&error) == json_error_end_of_input_expected)
		snprintf(
			why, FIELD_WHY,
			"line %d: more follows the snapshot; one is expected, of those of -w a single line",
			error.line);
	else if (!root)
		snprintf(why, FIELD_WHY, "line %d: %.200s", error.line, error.text);
	else if (root_check(tool, root, why) && fields_parse(head_fields, head, root, "", why))
		return root;
	json_decref(root);
	return NULL;
}

size_t snapfile_count(const json_t *root)
{
	return json_array_size(json_object_get(root, "cards"));
}

bool snapfile_parse_card(const json_t *root, size_t index, const struct field *fields, void *card,
			 char why[FIELD_WHY])
{
	char where[32];

	snprintf(where, sizeof(where), "cards[%zu]", index);
	return fields_parse(fields, card, snapfile_card(root, index), where, why);
}
