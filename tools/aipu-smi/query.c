// SPDX-License-Identifier: GPL-2.0-or-later
/* -q: every field of every card, by groups, for people. Keeps nothing. */
#include "snapshot.h"

#include <string.h>

#define LABEL_WIDTH 22

static void write_field(FILE *out, const struct smi_field *field, const struct smi_card *card)
{
	char label[48], value[320];

	snprintf(label, sizeof(label), "%s:", field->name);
	for (char *c = label; *c; c++)
		*c = *c == '_' ? ' ' : *c;
	smi_field_show(field, card, value, sizeof(value));
	fprintf(out, "    %-*s %s%s%s\n", LABEL_WIDTH, label, value[0] ? value : "-",
		value[0] && field->unit ? " " : "", value[0] && field->unit ? field->unit : "");
}

static void write_card(FILE *out, const struct smi_card *card, int64_t window_ms)
{
	const char *group = "";

	for (size_t i = 0; i < smi_field_count; i++) {
		const struct smi_field *f = &smi_fields[i];

		if (strcmp(group, f->group)) {
			group = f->group;
			fprintf(out, "  %s", group);
			if (!strcmp(group, "sample") && window_ms != SMI_UNKNOWN)
				fprintf(out, " (of %lld ms)", (long long)window_ms);
			fputc('\n', out);
		}
		write_field(out, f, card);
	}
}

static const char *or_dash(const char *text)
{
	return text[0] ? text : "-";
}

void smi_query_write(FILE *out, const struct smi_snapshot *snapshot)
{
	fprintf(out, "time %s, aipu-smi %s, libaipu %s, kernel %s, %zu card%s\n",
		or_dash(snapshot->head.time), or_dash(snapshot->head.tool_version),
		or_dash(snapshot->head.library_version), or_dash(snapshot->head.kernel),
		snapshot->count, snapshot->count == 1 ? "" : "s");
	for (size_t i = 0; i < snapshot->count; i++) {
		const struct smi_card *card = &snapshot->cards[i];

		fprintf(out, "\n%s\n",
			card->pci_address[0] ? card->pci_address : "software device");
		write_card(out, card, snapshot->window_ms);
	}
}
