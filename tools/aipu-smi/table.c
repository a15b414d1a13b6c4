// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table of cards, and the lines of a log, for people: columns as wide as what stands in them. Its form may change; programs
 * read --json and --csv.
 */
#include "snapshot.h"

#include <inttypes.h>
#include <string.h>

#define CELL 96
#define COLUMNS 10

#define RED "\033[31m"
#define GREEN "\033[32m"
#define YELLOW "\033[33m"
#define BOLD "\033[1m"
#define PLAIN "\033[0m"

enum column { INDEX, CARD, STATE, FIRMWARE, TEMP, POWER, CLOCK, UTIL, MEMORY, LINK };
static const char *const headings[COLUMNS] = {
	"#", "card", "state", "firmware", "temp", "power W", "MHz", "util", "memory MiB", "PCIe",
};
static const bool to_the_right[COLUMNS] = {
	[INDEX] = true, [TEMP] = true, [POWER] = true,
	[CLOCK] = true, [UTIL] = true, [MEMORY] = true,
};

static const char *known(const char *text)
{
	return text[0] ? text : "-";
}

static void number(char cell[CELL], int64_t value, int64_t divisor, const char *unit)
{
	char text[CELL / 2];

	smi_number_show(value, divisor, 0, text, sizeof(text));
	snprintf(cell, CELL, "%s%s", known(text), text[0] ? unit : "");
}

/* "12/75": what is, and what may be; "-" if neither is known */
static void pair(char cell[CELL], int64_t value, int64_t most, int64_t divisor)
{
	char now[CELL / 2 - 1], limit[CELL / 2 - 1];

	smi_number_show(value, divisor, 0, now, sizeof(now));
	smi_number_show(most, divisor, 0, limit, sizeof(limit));
	if (now[0] || limit[0])
		snprintf(cell, CELL, "%s/%s", known(now), known(limit));
	else
		snprintf(cell, CELL, "-");
}

static void lanes(char *text, size_t bytes, int64_t generation, int64_t width)
{
	text[0] = '\0';
	if (generation != SMI_UNKNOWN && width != SMI_UNKNOWN)
		snprintf(text, bytes, "%" PRId64 "x%" PRId64, generation, width);
}

/* Generation and lanes, now and at most: "3x8/4x16" */
static void link_cell(char cell[CELL], const struct smi_card *card)
{
	char now[CELL / 2 - 1], most[CELL / 2 - 1];

	lanes(now, sizeof(now), card->link_generation, card->link_width);
	lanes(most, sizeof(most), card->link_generation_max, card->link_width_max);
	if (now[0] || most[0])
		snprintf(cell, CELL, "%s/%s", known(now), known(most));
	else
		snprintf(cell, CELL, "-");
}

static void fill(char row[COLUMNS][CELL], const struct smi_card *card)
{
	number(row[INDEX], card->index, 1, "");
	snprintf(row[CARD], CELL, "%s", card->pci_address[0] ? card->pci_address : "soft");
	snprintf(row[STATE], CELL, "%s", known(card->state));
	snprintf(row[FIRMWARE], CELL, "%s", known(card->firmware_version));
	number(row[TEMP], card->temperature_mc, 1000, " C");
	pair(row[POWER], card->power_mw, card->power_limit_mw, 1000);
	number(row[CLOCK], card->clock_mhz, 1, "");
	number(row[UTIL], card->utilization_permille, 10, " %");
	pair(row[MEMORY], card->memory_used_bytes, card->memory_total_bytes, 1 << 20);
	link_cell(row[LINK], card);
}

static void measure(size_t widths[COLUMNS], char row[COLUMNS][CELL])
{
	for (int i = 0; i < COLUMNS; i++)
		if (strlen(row[i]) > widths[i])
			widths[i] = strlen(row[i]);
}

static const char *state_colour(const char *state)
{
	if (!strcmp(state, "ready"))
		return GREEN;
	return !strcmp(state, "resetting") || !strcmp(state, "no permission") ? YELLOW : RED;
}

/* Nothing after the last column's text: no spaces at a line's end */
static void write_row(FILE *out, char row[COLUMNS][CELL], const size_t widths[COLUMNS],
		      const char *colour_of_state, const char *colour_of_all)
{
	for (int i = 0; i < COLUMNS; i++) {
		const char *colour = i == STATE && colour_of_state ? colour_of_state
								   : colour_of_all;
		int pad = (int)(widths[i] - strlen(row[i]));

		fprintf(out, "%s%*s%s%s%s", i ? "  " : "", to_the_right[i] ? pad : 0, "",
			colour ? colour : "", row[i], colour ? PLAIN : "");
		if (i + 1 < COLUMNS)
			fprintf(out, "%*s", to_the_right[i] ? 0 : pad, "");
	}
	fputc('\n', out);
}

static void write_problems(FILE *out, const struct smi_snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->count; i++) {
		const struct smi_card *card = &snapshot->cards[i];

		if (card->problem[0])
			fprintf(out, "%s: %s\n", card->pci_address[0] ? card->pci_address : "soft",
				card->problem);
		if (card->throttle[0] && strcmp(card->throttle, "none"))
			fprintf(out, "%s: the clock is held down by %s\n",
				card->pci_address[0] ? card->pci_address : "soft", card->throttle);
	}
}

void smi_table_write(FILE *out, const struct smi_snapshot *snapshot, bool colour)
{
	char row[COLUMNS][CELL];
	size_t widths[COLUMNS] = { 0 };

	fprintf(out, "aipu-smi %s   %s", known(snapshot->head.tool_version),
		known(snapshot->head.time));
	if (snapshot->window_ms != SMI_UNKNOWN)
		fprintf(out, "   utilization of %" PRId64 " ms", snapshot->window_ms);
	fputc('\n', out);
	for (int i = 0; i < COLUMNS; i++)
		widths[i] = strlen(headings[i]);
	for (size_t i = 0; i < snapshot->count; i++) {
		fill(row, &snapshot->cards[i]);
		measure(widths, row);
	}
	for (int i = 0; i < COLUMNS; i++)
		snprintf(row[i], CELL, "%s", headings[i]);
	write_row(out, row, widths, NULL, colour ? BOLD : NULL);
	for (size_t i = 0; i < snapshot->count; i++) {
		fill(row, &snapshot->cards[i]);
		write_row(out, row, widths, colour ? state_colour(snapshot->cards[i].state) : NULL,
			  NULL);
	}
	write_problems(out, snapshot);
}

void smi_lines_write(FILE *out, const struct smi_snapshot *snapshot, bool heading)
{
	/* Wide enough for what is usual, so that lines written one after another stand below each other */
	static const size_t widths[COLUMNS] = { 2, 12, 14, 8, 6, 7, 5, 5, 11, 9 };
	char row[COLUMNS][CELL];
	size_t fit[COLUMNS];

	if (heading) {
		for (int i = 0; i < COLUMNS; i++)
			snprintf(row[i], CELL, "%s", headings[i]);
		fprintf(out, "%-20s  ", "time");
		write_row(out, row, widths, NULL, NULL);
	}
	for (size_t i = 0; i < snapshot->count; i++) {
		memcpy(fit, widths, sizeof(fit));
		fill(row, &snapshot->cards[i]);
		measure(fit, row);
		fprintf(out, "%-20s  ", known(snapshot->head.time));
		write_row(out, row, fit, NULL, NULL);
	}
}
