/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * aipu-smi report: one text file for a bug report. Two steps keep what is private out of it: only what report_sections.c
 * names goes in, and report_redact.c takes names, addresses and serial numbers out of that.
 */
#ifndef AIPU_SMI_REPORT_H
#define AIPU_SMI_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "doctor.h"

/* What must not be in a report, as far as it is known by its text; by its form (addresses) all else is */
struct redact_word {
	char *text; /* as it is; compared without case */
	const char *replacement; /* "[host]" */
};
struct redact {
	struct redact_word *words;
	size_t count;
	bool failed; /* out of memory: nothing may be given out then */
};
/* `text` shorter than a character, or NULL, is none. Longer words first, so that a name with its domain goes as a whole */
void redact_add(struct redact *redact, const char *text, const char *replacement);
/* Names of host and users, and home directories: of this machine, or of a captured one */
void redact_machine(struct redact *redact);
/* The text without all that; NULL: out of memory. To be freed */
char *redact_text(const struct redact *redact, const char *text, size_t bytes);
void redact_free(struct redact *redact);

/* The sections, as they are before anything is taken out */
void report_sections(const struct doctor_facts *facts, FILE *out);
/* report_pci.c: the cards and the bridges above them */
void report_cards(const struct doctor_facts *facts, FILE *out);
/* report_snapshot.c: what `aipu-smi --json` says, by a process of its own, which may hang or die */
void report_snapshot(FILE *out);
/* "name: value" of the first line of a file of the machine; nothing where there is none */
void report_line(FILE *out, const char *name, const char *path);

#endif
