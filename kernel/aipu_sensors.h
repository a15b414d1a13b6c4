/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the card measures, counts and reports of itself, for those who operate it: telemetry, hwmon,
 * the attributes that monitors read, events; and the limits that they set.
 */
#ifndef AIPU_SENSORS_H
#define AIPU_SENSORS_H

#include "aipu_drv.h"

struct drm_aipu_telemetry;
struct drm_file;

extern const struct attribute_group *aipu_monitor_groups[]; /* of the PCI device */

int aipu_sensors_init(struct aipu_device *aipu); /* at probe, before the card is started */
int aipu_sensors_start(struct aipu_device *aipu); /* when it was: hwmon, with what it knows; devm */
/*
 * At each start, before a job can run: the limits that were set hold again. 0, also where this
 * firmware refuses them; -errno: no answer. Under reset_lock for writing
 */
int aipu_sensors_restore(struct aipu_device *aipu);
/* 0, also while the card is being reset: what it measures is unknown then; -ENODEV */
int aipu_telemetry(struct aipu_device *aipu, struct drm_aipu_telemetry *out);
/* The card reported `event`, of enum aipu_event. Under aipu_enter() */
void aipu_sensors_event(struct aipu_device *aipu, u32 event);
/* The card is about to lose what it counts since boot. Under reset_lock for writing */
void aipu_sensors_stopping(struct aipu_device *aipu);
int aipu_limits_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

#endif
