// SPDX-License-Identifier: GPL-2.0-or-later
/* Text on its way out. Keeps nothing. */
#include "smi.h"

#include <stdio.h>
#include <string.h>

int smi_flush(int code)
{
	code = cli_finish(SMI_TOOL, code);
	clearerr(stdout);
	return code;
}

const char *smi_without_name(const char *name, const char *message)
{
	size_t length = strlen(name);

	return !strncmp(message, name, length) && !strncmp(message + length, ": ", 2)
		       ? message + length + 2
		       : message;
}
