// SPDX-License-Identifier: GPL-2.0-or-later
/* Text on its way out. Keeps nothing. */
#include "smi.h"

#include <stdio.h>

int smi_flush(int code)
{
	code = cli_finish(SMI_TOOL, code);
	clearerr(stdout);
	return code;
}
