/* SPDX-License-Identifier: MIT */
/*
 * A card of aipu-emu without its socket, for test_emu_card.c and test_emu_faults.c: the guest's memory is mapped in DMA
 * space where mount.h has its arena, so that the little driver of mount.h drives the card's model.
 */
#ifndef AIPU_TEST_EMU_RIG_H
#define AIPU_TEST_EMU_RIG_H

#include "aipu-emu/emu.h"
#include "emu_memory.h"
#include "mount.h"

#define RIG_BYTES (32u << 20)
#define RIG_VECTORS 2u

struct rig {
	struct emu_options options;
	struct emu_card *card;
	struct memory memory;
	struct mount mount; /* not to be destroyed: rig_close does that */
	int interrupts[RIG_VECTORS]; /* eventfds */
};

/* Powered on, Bus Master on, memory mapped, vectors set. `faults`: words with a blank between, or NULL */
void rig_open(struct rig *rig, const char *faults);
/* Also booted and enabled, with context 1 and a queue 1 of 8 entries on vector 1 */
struct mount_queue *rig_ready(struct rig *rig, const char *faults);
void rig_close(struct rig *rig, struct mount_queue *queue);

uint32_t rig_read(struct rig *rig, uint32_t offset);
void rig_write(struct rig *rig, uint32_t offset, uint32_t value);
uint64_t rig_count(struct rig *rig, enum emu_counter what);
/* Interrupts on an eventfd since the last call */
uint64_t rig_interrupts(int fd);
/* Waits until there was one at least */
uint64_t rig_await_interrupt(int fd);

#endif
