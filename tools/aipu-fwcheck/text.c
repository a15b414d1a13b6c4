// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ranges of versions as people write them, and records of which nothing is known. Pure.
 */
#include <stdio.h>
#include <string.h>

#include "facts.h"

void text_range(char text[40], struct fw_range range)
{
	char oldest[16], newest[16];

	text_abi(oldest, range.oldest);
	text_abi(newest, range.newest);
	if (!range.newest)
		snprintf(text, 40, "unknown");
	else if (range.oldest == range.newest)
		snprintf(text, 40, "%s", newest);
	else
		snprintf(text, 40, "%s to %s", oldest, newest);
}

static void image_clear(struct fw_image *image)
{
	image->board = UNKNOWN64;
	image->rollback = image->signature_kind = UNKNOWN32;
}

void facts_card_clear(struct fw_card *card)
{
	memset(card, 0, sizeof(*card));
	card->access = UNKNOWN32;
	card->pci.index = card->pci.revision = card->pci.bar_count = UNKNOWN32;
	card->pci.link_width = card->pci.link_width_max = UNKNOWN32;
	card->board = UNKNOWN64;
	card->rollback = UNKNOWN32;
	slots_clear(&card->flash);
	memset(&card->offer, 0xff, sizeof(card->offer));
	image_clear(&card->image);
	image_clear(&card->builtin);
}

void facts_program_clear(struct fw_program *program)
{
	memset(program, 0, sizeof(*program));
	program->container = UNKNOWN32;
	program->capabilities = program->operations = program->formats = UNKNOWN64;
	program->kv_formats = program->kv_kinds = program->numerics = UNKNOWN64;
	program->activations = program->mapped_bytes = program->memory_bytes = UNKNOWN64;
}
