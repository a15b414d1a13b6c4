// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Text on its way to a terminal: errors of one line, and strings of others, which may hold anything. Keeps nothing.
 */
#include "smi.h"

#include <stdio.h>
#include <string.h>

static bool is_plain(char c)
{
	return c >= 0x20 && c < 0x7f;
}

void smi_text_clean(char *to, size_t to_bytes, const char *from, size_t from_bytes)
{
	size_t count = strnlen(from, from_bytes < to_bytes ? from_bytes : to_bytes - 1);

	for (size_t i = 0; i < count; i++)
		to[i] = is_plain(from[i]) ? from[i] : '?';
	while (count && to[count - 1] == ' ')
		count--;
	memset(to + count, 0, to_bytes - count);
}

int smi_flush(int code)
{
	code = cli_finish(SMI_TOOL, code);
	clearerr(stdout);
	return code;
}
