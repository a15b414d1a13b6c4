// SPDX-License-Identifier: MIT
/* The emulated card, over its socket as QEMU reaches it. */
#include "rig.h"

int access_open(struct access *a)
{
	struct rig *r;

	return rig_open(&r, a, rig_shape);
}

void access_close(struct access *a)
{
	rig_close(a->device);
}

uint32_t access_read(struct access *a, uint32_t offset)
{
	return rig_read(a->device, offset);
}

void access_write(struct access *a, uint32_t offset, uint32_t value)
{
	rig_write(a->device, offset, value);
}
