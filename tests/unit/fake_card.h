/* SPDX-License-Identifier: MIT */
/*
 * A transport whose device is a record in memory: what it tells, and what it does when it is flashed and reset, is a test's to
 * say. It asserts that it is called as transport.h promises. One device at a time, and one thread.
 */
#ifndef FAKE_CARD_H
#define FAKE_CARD_H

#include <stdbool.h>
#include <stdint.h>

#include "aipu/manage.h"

#define FAKE_CHUNK 1024u
#define FAKE_SLOT_BYTES 16384u

enum fake_boot {
	FAKE_STARTS, /* the active slot, and it is confirmed */
	FAKE_FALLS_BACK, /* what ran before; slot_errors say SLOT_TRIED */
	FAKE_STARTS_ANOTHER, /* the active slot, with another digest */
	FAKE_STAYS_ON_TRIAL
};

struct fake_card {
	struct aipu_device_info info;
	struct aipu_flash_info flash;
	struct aipu_telemetry telemetry;
	uint8_t slots[2][FAKE_SLOT_BYTES];
	uint64_t written[2];
	/* What it does. 0: nothing out of the ordinary */
	enum fake_boot boot;
	int query_error, flash_error; /* of all operations on flash */
	uint32_t write_fails_at; /* the write of this number, with write_error */
	int write_error;
	uint32_t flip_read; /* one bit of this read is another */
	uint32_t refusal; /* of COMMIT: AIPU_ERROR_* */
	int commit_error, activate_error;
	uint32_t busy; /* so many resets are refused with -EBUSY, */
	int reset_error; /* then with this */
	uint32_t interrupt_at; /* calls `interrupt` at this operation on flash or reset, counted from 1 */
	void (*interrupt)(void);
	/* What it was asked */
	uint32_t operations, writes, reads, commits, activates, resets;
	unsigned int reset_flags;
	uint32_t power_mw, clock_mhz;
};

/* A card that runs `version` from slot A, confirmed; slot B is empty */
void fake_card_reset(struct fake_card *card, uint32_t version);
/* The device that it plays; `bare`: its transport offers nothing of manage.h */
struct aipu_device *fake_card_open(struct fake_card *card, bool bare);

#endif
