/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Facts and verdicts as text for people and as JSON. Judges nothing; what it writes is printable if facts.h's promise holds. */
#ifndef AIPU_FWCHECK_SHOW_H
#define AIPU_FWCHECK_SHOW_H

#include <stdio.h>

#include "facts.h"
#include "verdict.h"

void show_card(FILE *out, const struct fw_machine *machine, const struct fw_card *card,
	       const struct verdicts *verdicts);
/* All cards in one object. 0, -ENOMEM */
int show_json(FILE *out, const struct facts *facts, const struct verdicts *verdicts,
	      int exit_status, bool strict);

#endif
