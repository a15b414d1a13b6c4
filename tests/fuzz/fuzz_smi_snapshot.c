// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz target: snapshots that aipu-smi --read takes, and all forms in which it shows them: no byte of a file reaches a terminal
 * raw, and what was read and written again reads the same.
 */
#include <stdlib.h>
#include <string.h>

#include "aipu-smi/snapshot.h"
#include "compile_fuzz.h"

static char *written;
static size_t written_bytes;

static FILE *begin(void)
{
	FILE *out;

	free(written);
	written = NULL;
	out = open_memstream(&written, &written_bytes);
	fuzz_require(out != NULL, "memory");
	return out;
}

static void end(FILE *out)
{
	fuzz_require(!fclose(out), "memory");
	for (size_t i = 0; i < written_bytes; i++)
		fuzz_require(written[i] == '\n' || (written[i] >= 0x20 && written[i] < 0x7f),
			     "what is shown is fit for a terminal");
}

static void show(const struct smi_snapshot *snapshot)
{
	struct smi_csv csv = { .no_units = snapshot->count % 2 };
	FILE *out = begin();

	smi_table_write(out, snapshot, false);
	smi_lines_write(out, snapshot, true);
	smi_query_write(out, snapshot);
	fuzz_require(!smi_csv_fields(&csv, NULL), "memory");
	smi_csv_header(out, &csv);
	smi_csv_rows(out, &csv, snapshot);
	free(csv.fields);
	end(out);
}

static void read_again(const struct smi_snapshot *snapshot)
{
	struct smi_snapshot again;
	char why[FIELD_WHY] = "";
	FILE *out = begin();

	fuzz_require(!smi_json_write(out, snapshot, false), "memory");
	end(out);
	fuzz_require(!smi_json_read(written, written_bytes, &again, why),
		     "what is written is read");
	fuzz_require(again.count == snapshot->count && !memcmp(again.cards, snapshot->cards,
							       again.count * sizeof(*again.cards)),
		     "and the same");
	smi_snapshot_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smi_snapshot snapshot;
	char why[FIELD_WHY] = "";

	if (smi_json_read((const char *)data, size, &snapshot, why)) {
		fuzz_require(why[0], "a refusal says why");
		return 0;
	}
	show(&snapshot);
	read_again(&snapshot);
	smi_snapshot_free(&snapshot);
	return 0;
}
