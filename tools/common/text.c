// SPDX-License-Identifier: MIT
/* See text.h. */
#include "text.h"

#include <stdio.h>
#include <string.h>

#include "aipu_firmware.h"
#include "aipu_types.h"

void text_clean(char *to, size_t to_bytes, const char *from, size_t from_bytes)
{
	size_t count = strnlen(from, from_bytes < to_bytes ? from_bytes : to_bytes - 1);

	for (size_t i = 0; i < count; i++)
		to[i] = from[i] >= 0x20 && from[i] < 0x7f ? from[i] : '?';
	if (count == to_bytes)
		count--;
	while (count && to[count - 1] == ' ')
		count--;
	memset(to + count, 0, to_bytes - count);
}

void text_abi(char text[16], uint32_t version)
{
	if (version)
		snprintf(text, 16, "%u.%u", AIPU_ABI_MAJOR(version), AIPU_ABI_MINOR(version));
	else
		snprintf(text, 16, "?");
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
	if (id > UINT32_MAX)
		snprintf(text, 16, "unknown");
	else if (id == AIPU_BOARD_SOFT)
		snprintf(text, 16, "soft");
	else if (id == AIPU_BOARD_ANY)
		snprintf(text, 16, "any");
	else
		snprintf(text, 16, "0x%08x", (uint32_t)id);
}
