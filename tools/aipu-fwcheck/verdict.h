/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Do the versions fit? One pure function over what is known: it opens nothing, asks nobody, and says the same of a card in this
 * machine and of a snapshot of another. Its rules are those by which boot ROM, driver, libaipu and the device's verifier accept
 * or refuse; tests/tools/fwcheck_matrix.sh and tests/guest/fwcheck.sh compare each with what these do.
 */
#ifndef AIPU_FWCHECK_VERDICT_H
#define AIPU_FWCHECK_VERDICT_H

#include "facts.h"

enum verdict_result {
	VERDICT_OK,
	VERDICT_NOTE, /* works now; worth knowing */
	VERDICT_UNKNOWN, /* cannot be told from here */
	VERDICT_UPDATE, /* works, and there is something newer */
	VERDICT_UPGRADE, /* does not work until something is upgraded, as the text says */
};

struct verdict {
	const char *check; /* "firmware and driver" */
	uint32_t result; /* enum verdict_result */
	char text[768]; /* one line, without a line break */
};

#define VERDICTS_MAX 20u
struct verdicts {
	uint32_t count;
	struct verdict list[VERDICTS_MAX];
};

enum fwcheck_exit {
	FWCHECK_COMPATIBLE = 0,
	FWCHECK_INCOMPATIBLE = 1,
	FWCHECK_NO_CARD = 3,
	FWCHECK_NO_PERMISSION = 4,
	FWCHECK_NO_DRIVER = 5,
	FWCHECK_NOT_ANSWERING = 6, /* or not known */
	FWCHECK_UPDATE = 7, /* with --strict */
};

void verdict_judge(const struct fw_machine *machine, const struct fw_card *card,
		   struct verdicts *verdicts);

/* "ok", "note", "unknown", "update", "upgrade" */
const char *verdict_name(uint32_t result);
/* The last line on the card: "compatible" and the like */
const char *verdict_summary(const struct fw_card *card, const struct verdicts *verdicts);
int verdict_exit(const struct fw_card *card, const struct verdicts *verdicts, bool strict);
/* Of two cards' exit codes the one that the tool ends with */
int verdict_worse(int a, int b);

#endif
