// SPDX-License-Identifier: MIT
/* See picks.h. */
#include "picks.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cli.h"

bool picks_take(const char *tool, struct picks *picks, const char *option, const char *name)
{
	if (!cli_text(tool, option, name, CLI_CARD_NAME, &name))
		return false;
	if (picks->count == PICKS_MAX) {
		cli_fail(tool, CLI_USAGE, "%s '%s': at most %u cards can be named", option, name,
			 PICKS_MAX);
		return false;
	}
	picks->names[picks->count++] = name;
	return true;
}

bool picks_have_soft(const struct picks *picks)
{
	for (size_t i = 0; i < picks->count; i++)
		if (!strcmp(picks->names[i], "soft"))
			return true;
	return false;
}

/* An index ("0"), a node ("/dev/accel/accel0", "accel0"), or a PCI address ("01:00.0", "0000:01:00.0") */
static bool is_named(const struct pick_list *list, size_t index, const char *name)
{
	const char *pci, *node, *last;

	list->names(list->cards, index, &pci, &node);
	if (!strcasecmp(name, pci) ||
	    (!strncmp(pci, "0000:", 5) && !strcasecmp(name, pci + strlen("0000:"))))
		return true;
	last = strrchr(node, '/');
	return last && (!strcmp(name, node) || !strcmp(name, last + 1) ||
			!strcmp(name, last + 1 + strlen("accel")));
}

/* Its place in the list, or that behind it */
static size_t find(const struct pick_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (is_named(list, i, name))
			return i;
	for (size_t i = 0; i < list->count; i++) {
		const char *serial = list->serial(list->cards, i);

		if (serial && serial[0] && !strcasecmp(serial, name))
			return i;
	}
	return list->count;
}

static int no_card(const char *tool, const struct pick_list *list, const char *name)
{
	return cli_fail(
		tool, CLI_NO_DEVICE,
		"%.100s%sno card: %s; aipu-smi doctor looks for the reason, aipu-smi --device soft shows the software device",
		name ? name : "", name ? ": " : "", list->none);
}

static int unknown_card(const char *tool, const struct pick_list *list, const char *name)
{
	char known[512] = "soft", silent[64] = "";
	size_t unknown = 0;

	for (size_t i = 0; i < list->count; i++) {
		const char *pci, *node, *serial = list->serial(list->cards, i);

		unknown += !serial || !serial[0];
		list->names(list->cards, i, &pci, &node);
		if (strlen(known) < sizeof(known) - 80)
			snprintf(known + strlen(known), sizeof(known) - strlen(known),
				 ", %.32s%s%.32s%s", pci, node[0] ? " (" : "", node,
				 node[0] ? ")" : "");
	}
	if (unknown)
		snprintf(silent, sizeof(silent), "; %zu of them do%s not tell a serial number",
			 unknown, unknown == 1 ? "es" : "");
	return cli_fail(tool, CLI_NO_DEVICE, "%.100s: no such card: there is %s%s", name, known,
			silent);
}

int picks_choose(const char *tool, const struct picks *picks, const struct pick_list *list,
		 bool *chosen)
{
	if (!picks->count && !list->count)
		return no_card(tool, list, NULL);
	for (size_t i = 0; i <= list->count; i++)
		chosen[i] = !picks->count && i < list->count;
	for (size_t i = 0; i < picks->count; i++) {
		const char *name = picks->names[i];
		bool soft = !strcmp(name, "soft");
		size_t at = soft ? list->count : find(list, name);

		if (at == list->count && !soft)
			return list->count ? unknown_card(tool, list, name)
					   : no_card(tool, list, name);
		chosen[at] = true;
	}
	return CLI_OK;
}
