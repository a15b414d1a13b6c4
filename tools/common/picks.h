/* SPDX-License-Identifier: MIT */
/*
 * The cards that a command line names, by -i or --device: how a card may be called, and what is said where there is none of that
 * name. The same for all operator's tools; how cards are found and opened is theirs.
 */
#ifndef AIPU_TOOLS_PICKS_H
#define AIPU_TOOLS_PICKS_H

#include <stdbool.h>
#include <stddef.h>

#define PICKS_MAX 64u

struct picks {
	const char *names[PICKS_MAX]; /* index, PCI address, serial number, node, or soft */
	size_t count; /* 0: none was named */
};

/* The cards there are. A serial number is asked for only where no other name fits, since that takes opening cards */
struct pick_list {
	size_t count;
	void *cards;
	/* Of the card at `index`; node "": none */
	void (*names)(const void *cards, size_t index, const char **pci, const char **node);
	const char *(*serial)(void *cards, size_t index); /* "" or NULL: not known */
	const char *none; /* why there is none, if so */
};

/* -i or --device, as `option`: false after a message */
bool picks_take(const char *tool, struct picks *picks, const char *option, const char *name);
bool picks_have_soft(const struct picks *picks);
/*
 * Marks the cards that are meant, all if none was named, and behind them, at chosen[count], the software device. An exit code, after
 * a message if it is none.
 */
int picks_choose(const char *tool, const struct picks *picks, const struct pick_list *list,
		 bool *chosen);

#endif
