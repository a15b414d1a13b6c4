/* SPDX-License-Identifier: MIT */
/*
 * A transport whose device is reset at moments that a test chooses: the soft one, behind a layer that behaves as a driver does
 * which has lost every context. Jobs end with ABORTED, calls on what was made before fail with -ECANCELED, what was in device
 * memory is garbage, new contexts can be made. It computes from its own memory only, as a card does. One device at a time, and
 * one thread.
 */
#ifndef LOSSY_H
#define LOSSY_H

#include <stdbool.h>
#include <stdint.h>

#include "aipu/aipu.h"

struct lossy {
	/* What the test sets. 0: never */
	uint32_t at_call; /* reset before this call from now on, of those that commands and jobs need */
	uint32_t at_wait; /* reset before this wait for a queue from now on */
	uint32_t again, again_calls; /* and so many times again, so many calls after a reset */
	uint32_t kill; /* reset when a job of this opcode comes, each time */
	uint32_t echoes; /* contexts that are lost as soon as they are made, by no further reset */
	bool refuse; /* calls on a lost queue fail, as ioctls do; else its jobs are taken and end so, as with io_uring */
	int dead; /* -errno: the device does not come back from the next reset */
	/* What it tells */
	uint32_t calls, waits; /* so far */
	uint32_t resets;
};

/* The device and how to command it; *lossy is there until the device is closed */
struct aipu_device *lossy_open(struct lossy **lossy);
/* Now */
void lossy_reset(struct lossy *lossy);

#endif
