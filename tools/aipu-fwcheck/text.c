// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Versions as people write them, texts of devices made safe for terminals, and records of which nothing is known. Pure.
 */
#include <stdio.h>
#include <string.h>

#include "aipu_firmware.h"
#include "aipu_types.h"
#include "facts.h"

void text_clean(char *to, size_t to_bytes, const char *from, size_t from_bytes)
{
	size_t count = strnlen(from, from_bytes < to_bytes ? from_bytes : to_bytes - 1);

	for (size_t i = 0; i < count; i++)
		to[i] = from[i] >= 0x20 && from[i] < 0x7f ? from[i] : '?';
	while (count && to[count - 1] == ' ')
		count--;
	to[count] = '\0';
}

void text_abi(char text[16], uint32_t version)
{
	if (version)
		snprintf(text, 16, "%u.%u", AIPU_ABI_MAJOR(version), AIPU_ABI_MINOR(version));
	else
		snprintf(text, 16, "?");
}

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

void text_version(char text[20], uint32_t version)
{
	if (version)
		snprintf(text, 20, "%u.%u.%u", version >> 24, version >> 16 & 0xff,
			 version & 0xffff);
	else
		snprintf(text, 20, "?");
}

void text_board(char text[16], uint64_t id)
{
	if (id == UNKNOWN64)
		snprintf(text, 16, "unknown");
	else if (id == AIPU_BOARD_SOFT)
		snprintf(text, 16, "soft");
	else if (id == AIPU_BOARD_ANY)
		snprintf(text, 16, "any");
	else
		snprintf(text, 16, "0x%08x", (uint32_t)id);
}

static void image_clear(struct fw_image *image)
{
	image->board = UNKNOWN64;
	image->rollback = UNKNOWN32;
}

void facts_card_clear(struct fw_card *card)
{
	memset(card, 0, sizeof(*card));
	card->access = UNKNOWN32;
	card->pci.vendor = card->pci.device = card->pci.revision = UNKNOWN64;
	card->pci.link_width = card->pci.link_width_max = UNKNOWN32;
	card->pci.subsystem_vendor = card->pci.subsystem_device = UNKNOWN64;
	card->board = UNKNOWN64;
	card->rollback = card->active = UNKNOWN32;
	for (int i = 0; i < 2; i++) {
		card->slots[i].state = card->slots[i].tries = UNKNOWN32;
		card->slots[i].error = card->slots[i].rollback = UNKNOWN32;
		card->slots[i].board = UNKNOWN64;
	}
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
