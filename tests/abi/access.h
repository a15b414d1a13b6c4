/* SPDX-License-Identifier: MIT */
/* How the second driver reaches a device; one access_*.c per way. Never interprets what passes. */
#ifndef ACCESS_H
#define ACCESS_H

#include <stdbool.h>
#include <stdint.h>

struct access {
	void *device; /* the implementation's */
	uint8_t *memory; /* device memory */
	uint8_t *host; /* 1 MiB of zeroed host memory, 4 KiB aligned, contiguous for the device */
	uint64_t host_address; /* its DMA address */
	uint32_t interrupts[8]; /* so far, by vector; atomic */
};

int access_open(struct access *a);
void access_close(struct access *a);
uint32_t access_read(struct access *a, uint32_t offset);
void access_write(struct access *a, uint32_t offset, uint32_t value);
/* Before completions are freed, by whatever means: the interrupts that were raised are counted, none merged with a later one */
void access_settle(struct access *a);

#endif
