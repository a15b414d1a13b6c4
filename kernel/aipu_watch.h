/* SPDX-License-Identifier: GPL-2.0 */
/* The watch over what is in flight on the card. Its life is recovery's. */
#ifndef AIPU_WATCH_H
#define AIPU_WATCH_H

#include "aipu_drv.h"

int aipu_watch_init(struct aipu_device *aipu);
void aipu_watch_fini(struct aipu_device *aipu); /* no work of it runs or starts afterwards */
/* There is a job or a command in flight: it ticks while there is one. Any context. */
void aipu_watch(struct aipu_device *aipu);
/* Completions that no interrupt told of; 0 where all is well */
u64 aipu_rescues(struct aipu_device *aipu);
/* The card has just been started: it shall report events. 0, -ENOMEM, -errno of the command */
int aipu_watch_events(struct aipu_device *aipu);
/* The card was stopped, and the admin queue with it. Under reset_lock for writing */
void aipu_watch_stopped(struct aipu_device *aipu);

#endif
