/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What monitors and people look at: fdinfo, debugfs, devcoredump. Nothing here changes the
 * card.
 */
#ifndef AIPU_SHOW_H
#define AIPU_SHOW_H

#include "aipu_drv.h"

struct drm_printer;

void aipu_debugfs_init(struct aipu_device *aipu);
void aipu_show_fdinfo(struct drm_printer *p, struct drm_file *file);
/*
 * Registers, limits, queues with the first job in flight: a bounded text, before the card is
 * touched by a reset. Under drm_dev_enter(), by whoever resets it; sleeps.
 */
void aipu_coredump(struct aipu_device *aipu, const char *why);

#endif
