/* SPDX-License-Identifier: MIT */
/*
 * The firmware image that the kernel would give to a card: where it looks for it, and the counter in its header. It is what a card
 * starts with that has no flash, or in whose flash nothing starts. Opens no device.
 */
#ifndef AIPU_TOOLS_HOSTIMAGE_H
#define AIPU_TOOLS_HOSTIMAGE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct hostimage {
	char path[256]; /* as people know it; of none: the place that is looked at last */
	char real[PATH_MAX]; /* to be opened: below the test's root, if there is one */
	bool compressed; /* what is in it only the kernel knows */
};

/* In the kernel's order: Documentation/driver-api/firmware/fw_search_path.rst. False: there is none */
bool hostimage_find(struct hostimage *image, uint32_t board);
/* The anti-rollback counter that it has; false: it is compressed, no image, or cannot be read here */
bool hostimage_rollback(const struct hostimage *image, uint32_t *rollback);

#endif
