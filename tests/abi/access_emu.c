// SPDX-License-Identifier: MIT
/*
 * The emulated card, over its socket as QEMU reaches it. AIPU_EMU_TRACE: where aipu-emu writes its trace. AIPU_EMU_OPTIONS: options
 * of aipu-emu in place of those that the tests expect, words with spaces between them.
 */
#include <stdlib.h>
#include <string.h>

#include "guest.h"

#define MOST_WORDS 32u

int access_open(struct access *a)
{
	const char *trace = getenv("AIPU_EMU_TRACE");
	char *given = getenv("AIPU_EMU_OPTIONS") ? strdup(getenv("AIPU_EMU_OPTIONS")) : NULL;
	const char *options[MOST_WORDS + 3] = { NULL };
	unsigned int n = 0;
	struct guest *g;
	char *word;
	int rc;

	for (word = given ? strtok(given, " ") : NULL; word && n < MOST_WORDS;
	     word = strtok(NULL, " "))
		options[n++] = word;
	for (; !given && guest_shape[n]; n++)
		options[n] = guest_shape[n];
	if (trace) {
		options[n++] = "--trace";
		options[n++] = trace;
	}
	rc = guest_open(&g, a, options);
	free(given);
	return rc;
}

void access_close(struct access *a)
{
	guest_close(a->device);
}

uint32_t access_read(struct access *a, uint32_t offset)
{
	return guest_read(a->device, offset);
}

void access_write(struct access *a, uint32_t offset, uint32_t value)
{
	guest_write(a->device, offset, value);
}

/* The device's own thread counts them, or an eventfd adds them up */
void access_settle(struct access *a)
{
	(void)a;
}
