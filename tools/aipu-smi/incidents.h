/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What happened to a card between two looks at it, from its counters: nothing that came and went between them is lost, only its
 * moment. Pure functions; called by events.c.
 */
#ifndef AIPU_SMI_INCIDENTS_H
#define AIPU_SMI_INCIDENTS_H

#include "devices.h"

#define SMI_MAX_INCIDENTS 8 /* of a card between two looks */

struct smi_incident {
	const char *kind; /* "state", "reset", "corrected_errors", ... */
	char text[64]; /* of "state" and "throttle"; else "" */
	const char *counter; /* that tells it, as the snapshot calls it; NULL: none */
	int64_t count; /* how often; SMI_UNKNOWN where that means nothing */
	int64_t total; /* what the counter has now */
};

size_t smi_incidents(const struct smi_sample *before, const struct smi_sample *now,
		     struct smi_incident incidents[SMI_MAX_INCIDENTS]);

#endif
