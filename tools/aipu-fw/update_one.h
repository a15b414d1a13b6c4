/* SPDX-License-Identifier: MIT */
/* A device whose firmware is being changed, between update.c, which does it, and update_check.c, which says whether it may. */
#ifndef AIPU_FW_UPDATE_ONE_H
#define AIPU_FW_UPDATE_ONE_H

#include "update.h"

struct update {
	struct aipu_device *device;
	const char *name;
	const struct fw_request *request;
	struct fw_outcome *outcome;
	struct aipu_device_info info;
	struct aipu_flash_info flash;
	uint32_t slot, version; /* of the image that is to run */
	uint8_t digest[32];
	bool emptied; /* the slot has lost what it had */
};

/* Sets how it ended; -1, for the caller to pass on */
int fw_end(struct update *u, int code, const char *result, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
char fw_letter(uint32_t slot);
/* Its flash is a file, and a card has a node */
bool fw_is_soft(const struct update *u);
/* The slot has an image that may start */
bool fw_holds_image(const struct update *u, uint32_t slot);

/* update_check.c: 0, or as fw_end() */
int fw_update_check(struct update *u);

#endif
