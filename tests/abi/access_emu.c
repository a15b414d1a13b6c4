// SPDX-License-Identifier: MIT
/* The emulated card, over its socket as QEMU reaches it. */
#include "guest.h"

int access_open(struct access *a)
{
	struct guest *g;

	return guest_open(&g, a, guest_shape);
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
