// SPDX-License-Identifier: MIT
/* The emulated card, over its socket as QEMU reaches it. AIPU_EMU_TRACE: where aipu-emu writes its trace. */
#include <stdlib.h>

#include "guest.h"

int access_open(struct access *a)
{
	const char *trace = getenv("AIPU_EMU_TRACE");
	const char *options[GUEST_SHAPE_WORDS + 3] = { NULL };
	unsigned int n = 0;
	struct guest *g;

	for (; guest_shape[n]; n++)
		options[n] = guest_shape[n];
	if (trace) {
		options[n++] = "--trace";
		options[n++] = trace;
	}
	return guest_open(&g, a, options);
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
