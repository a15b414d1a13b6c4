/* SPDX-License-Identifier: GPL-2.0 */
/* From power-on to an admin queue that answers, and back. */
#ifndef AIPU_BOOT_H
#define AIPU_BOOT_H

struct aipu_device;

/*
 * Brings the card to READY, whatever state it is in, and reads its limits. Called at probe and
 * after each reset. -ENODEV: not this card, or gone; -ENOENT: it needs firmware and there is none;
 * -EKEYREJECTED: it refused the image; -EPROTO: its contract is too old for this driver;
 * -EPROTONOSUPPORT: too new; -EAGAIN: too hot; -ETIMEDOUT, -ENOMEM, -EIO. Says why in the log.
 */
int aipu_boot(struct aipu_device *aipu);
/*
 * CONTROL.RESET; returns when the card does no DMA. -ETIMEDOUT, -ENODEV: it may still. It may have
 * failed again, in heat, and is as quiet then.
 */
int aipu_boot_reset(struct aipu_device *aipu);

#endif
