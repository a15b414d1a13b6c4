/* SPDX-License-Identifier: MIT */
/*
 * A snapshot: what aipu-smi --json, aipu-fwcheck --json or aipu-fw status --json wrote, which each of the three takes by --read. All
 * have the same head and a list of cards; the same thing has the same key in all of them, and what a tool does not look at, its
 * snapshot lacks: such a key is unknown to the others. Files come from anybody.
 */
#ifndef AIPU_TOOLS_SNAPFILE_H
#define AIPU_TOOLS_SNAPFILE_H

#include <stdio.h>

#include "jsontable.h"

#define SNAPFILE_SCHEMA \
	2 /* goes up where a key changes its name or its meaning, not where one is new */
#define SNAPFILE_BYTES (16u << 20) /* a file is no longer */
#define SNAPFILE_CARDS 1024u /* in one */

struct snapfile_head {
	char tool_version[16], library_version[32], kernel[96];
	char time[32]; /* "2026-01-31T23:59:59Z" */
};

/* Of here and now; library: version of libaipu */
void snapfile_now(struct snapfile_head *head, const char *library);
/* The root with its head, to which the tool adds; NULL: out of memory */
json_t *snapfile_make(const char *tool, const struct snapfile_head *head);
/* Adds `cards`, so many empty objects; false: out of memory */
bool snapfile_add_cards(json_t *root, size_t count);
/* One of them, to be filled or read; borrowed */
json_t *snapfile_card(const json_t *root, size_t index);
/* Writes and frees it; NULL: nothing to write. one_line: for a log. 0, -ENOMEM; a failed write is cli_finish()'s to find */
int snapfile_write(FILE *out, json_t *root, bool one_line);

/*
 * The whole file ("-": standard input), to be freed; NULL after a message, with the exit code. It may be a pipe that never ends: from
 * here on a signal ends the tool.
 */
char *snapfile_read(const char *tool, const char *path, size_t *bytes, int *code);
/* The root, with its head and a list of cards, of objects; NULL after a line in `why`: to be freed by json_decref() */
json_t *snapfile_parse(const char *tool, const char *text, size_t bytes, struct snapfile_head *head,
		       char why[FIELD_WHY]);
size_t snapfile_count(const json_t *root);
/* A card by its table; false after a line in `why` */
bool snapfile_parse_card(const json_t *root, size_t index, const struct field *fields, void *card,
			 char why[FIELD_WHY]);

#endif
