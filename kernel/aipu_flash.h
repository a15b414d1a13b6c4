/* SPDX-License-Identifier: GPL-2.0 */
/* The card's firmware slots, for administrators. */
#ifndef AIPU_FLASH_H
#define AIPU_FLASH_H

#include "aipu_drv.h"

struct drm_file;

int aipu_flash_init(struct aipu_device *aipu); /* at probe */
int aipu_flash_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
void aipu_flash_close(struct aipu_file *file); /* its update, if it has one, is nobody's then */

#endif
