/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Recovery: context reset, device reset, wedged, for what was noticed (aipu_watch.h, and commands
 * without an answer). Also FLR, AER and suspend, which are resets by somebody else.
 */
#ifndef AIPU_RESET_H
#define AIPU_RESET_H

#include "aipu_drv.h"

int aipu_reset_init(struct aipu_device *aipu); /* at probe, before the first command */
/* No work runs or starts afterwards, nobody waits for the card, and it takes no command. */
void aipu_reset_fini(struct aipu_device *aipu);
/* Any context: asks for a device reset; `why` is a static text for the log and the coredump */
void aipu_reset_ask(struct aipu_device *aipu, const char *why);
bool aipu_reset_asked(struct aipu_device *aipu); /* and the card has not stopped since */
/*
 * Until the reset that has begun is over, so that nobody meets the same one twice. 0: none is under
 * way; -ECANCELED: one has yet to begin; -ERESTARTSYS: killed
 */
int aipu_reset_wait(struct aipu_device *aipu);
int aipu_reset_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

extern const struct pci_error_handlers aipu_error_handlers;
extern const struct dev_pm_ops aipu_pm_ops;

/*
 * From power-on (or a reset) to READY with the kernel's own context and queue, in two attempts
 * where that may help; under reset_lock for writing. On failure the card is stopped.
 */
int aipu_start(struct aipu_device *aipu);
/*
 * To no DMA: the admin queue stopped, the card disabled (or reset), every queue and context lost.
 * -EIO: it may still do DMA: Bus Master was cleared and what it may reach is left to it on purpose,
 * until a later one succeeds. Likewise.
 */
int aipu_stop(struct aipu_device *aipu, const char *why);

#endif
