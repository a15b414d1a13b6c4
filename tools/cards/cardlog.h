/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel's log tells of cards: why the driver would not have one, that it had it, that it was too hot. Reads /dev/kmsg as
 * far as it goes; all but that are pure functions. Called by aipu-smi and aipu-fwcheck. tests/fuzz/fuzz_doctor.c
 */
#ifndef AIPU_CARDLOG_H
#define AIPU_CARDLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cards.h"

#define CARDLOG_LINES 200u /* the newest are kept */
#define CARDLOG_TEXT 512u

/* A line of the kernel's log: what the kernel itself said, never what a process wrote there */
struct cardlog_line {
	uint64_t microseconds; /* since boot */
	unsigned int level; /* 0 to 7; up to 3: an error */
	char text[CARDLOG_TEXT]; /* printable ASCII */
};
struct cardlog {
	int error; /* errno; 0: it was read */
	struct cardlog_line *lines; /* that concern the driver or a card, the oldest first */
	size_t count;
};

/* A record of /dev/kmsg, "6,1234,56789,-;text". False: it is none, or a process wrote it */
bool cardlog_parse(const char *record, size_t bytes, struct cardlog_line *line);
/* All of it that concerns the driver or one of the cards, where one may read it; *log was empty. To be freed */
void cardlog_read(struct cardlog *log, const struct card_list *cards);
void cardlog_free(struct cardlog *log);
/* Does the driver say it, or the kernel of one of these cards, in front of all else */
bool cardlog_concerns(const char *text, const struct card_list *cards);
/*
 * The last reason that the driver gave for not taking the card at this PCI address, without what stands in front of it; NULL:
 * none, or it took it since
 */
const char *cardlog_reason(const struct cardlog *log, const char *pci);
/* When that was said, in microseconds since boot; 0: it is no text of the log's */
uint64_t cardlog_time(const struct cardlog *log, const char *reason);
/* The driver took the card, and said of no failure since: somebody unbound it */
bool cardlog_taken(const struct cardlog *log, const char *pci);
/* What it says last of a card that no driver has; *reason: why the driver refused it */
enum cardlog_says {
	CARDLOG_SILENT, /* nothing, or it cannot be read */
	CARDLOG_TOOK, /* the driver had it, and nothing went wrong since: somebody unbound it */
	CARDLOG_REFUSED,
};
enum cardlog_says cardlog_says(const struct cardlog *log, const char *pci, const char **reason);
/* The last reset that the driver began by itself came as the card is too hot; whether it is still, only the next reset shows */
bool cardlog_hot(const struct cardlog *log, const char *pci);
/* Why the kernel would not have the module, the last time that it was tried, if after `since`; NULL: it did not say */
const char *cardlog_refusal(const struct cardlog *log, uint64_t since);
/* "(board 534f4654)" in such a reason; 0: none */
uint32_t cardlog_board(const char *text);

#endif
