// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * --csv: a row a card, RFC 4180 but for the line ends, which are those of the system. Names, units and their order are stable:
 * fields are only ever added, at the end of their group.
 */
#include "snapshot.h"

#include <stdlib.h>
#include <string.h>

static int no_such_field(const char *name, size_t bytes)
{
	return smi_fail(CLI_USAGE, "--csv: no field '%.*s'; without names, --csv shows all",
			(int)(bytes < 100 ? bytes : 100), name);
}

int smi_csv_fields(struct smi_csv *csv, const char *list)
{
	size_t room = smi_field_count;

	for (const char *c = list; c && *c; c++)
		room += *c == ',';
	csv->count = 0;
	csv->fields = calloc(room + 1, sizeof(csv->fields[0]));
	if (!csv->fields)
		return smi_fail(CLI_FAILED, "out of memory");
	while (!list && csv->count < smi_field_count) {
		csv->fields[csv->count] = &smi_fields[csv->count];
		csv->count++;
	}
	while (list) {
		size_t bytes = strcspn(list, ",");
		const struct smi_field *field = smi_field_find(list, bytes);

		if (!field)
			return no_such_field(list, bytes);
		csv->fields[csv->count++] = field;
		list = list[bytes] ? list + bytes + 1 : NULL;
	}
	return CLI_OK;
}

static void write_quoted(FILE *out, const char *text)
{
	if (!strpbrk(text, ",\"")) {
		fputs(text, out);
		return;
	}
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"')
			fputc('"', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

void smi_csv_header(FILE *out, const struct smi_csv *csv)
{
	if (csv->no_header)
		return;
	for (size_t i = 0; i < csv->count; i++) {
		const struct smi_field *f = csv->fields[i];

		fprintf(out, "%s%s", i ? "," : "", f->name);
		if (f->unit)
			fprintf(out, " [%s]", f->unit);
	}
	fputc('\n', out);
}

void smi_csv_rows(FILE *out, const struct smi_csv *csv, const struct smi_snapshot *snapshot)
{
	char text[320];

	for (size_t i = 0; i < snapshot->count; i++) {
		for (size_t j = 0; j < csv->count; j++) {
			const struct smi_field *f = csv->fields[j];

			smi_field_show(f, &snapshot->cards[i], text, sizeof(text));
			if (j)
				fputc(',', out);
			write_quoted(out, text);
			if (text[0] && f->unit && !csv->no_units)
				fprintf(out, " %s", f->unit);
		}
		fputc('\n', out);
	}
}
