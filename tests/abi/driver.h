/* SPDX-License-Identifier: MIT */
/* The second driver: boot, rings, submission, completion. Never retries, never hides an error. */
#ifndef DRIVER_H
#define DRIVER_H

#include "access.h"
#include "aipu_firmware.h"
#include "aipu_program.h"
#include "aipu_queue.h"
#include "aipu_registers.h"

#define DEVICE_TIMEOUT_MS 10000u /* the end of any wait */
#define STATUS_LOST 0xffffu /* of a completion that did not come */

struct ring {
	uint32_t id, entries, tail, head, phase;
	bool hold; /* take completions, but do not free them */
	uint16_t next_id;
	uint8_t (*sq)[64];
	uint64_t (*cq)[4]; /* struct aipu_completion; the last word is one access */
	uint64_t sq_address, cq_address, shadow_address;
	struct aipu_shadow *shadow;
	bool shadowed; /* the device was told of it */
	uint32_t sq_told, cq_told; /* tail and head as they were shown last */
	struct aipu_completion got[64]; /* taken completions, by id; status LOST: not yet */
};

struct device {
	struct access access;
	uint64_t used; /* of host memory */
	uint32_t recovery; /* 0, or the bit that each RESET of a device with firmware in flash has */
	struct ring admin;
	struct aipu_completion done; /* what ring_wait gave last */
};

uint32_t device_wait(struct device *d, uint32_t state, uint32_t other); /* for one of the two */
uint32_t device_reset(struct device *d);
uint32_t device_load(struct device *d, uint64_t address, uint32_t bytes);
void device_setup(struct device *d); /* the registers that ENABLE samples */
uint32_t device_enable(struct device *d);
void *dma_alloc(struct device *d, uint64_t bytes, uint64_t *address);
void ring_alloc(struct device *d, struct ring *r, uint32_t id, uint32_t entries);
void ring_restart(struct ring *r); /* without a shadow page */
uint16_t ring_put(struct ring *r, const void *entry); /* no doorbell yet; the id given */
bool ring_show_tail(struct device *d, struct ring *r); /* true: and rang the doorbell */
bool ring_show_head(struct device *d, struct ring *r);
uint16_t ring_start(struct device *d, struct ring *r, const void *entry);
bool ring_ended(struct device *d, struct ring *r, uint16_t id);
uint32_t ring_wait(struct device *d, struct ring *r, uint16_t id);
uint32_t ring_run(struct device *d, struct ring *r, const void *entry);

#endif
