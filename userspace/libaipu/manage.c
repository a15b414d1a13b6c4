// SPDX-License-Identifier: MIT
/*
 * The front of aipu/manage.h: sensors, limits, reset, flash. Arguments are checked here, the transport does the rest. Keeps
 * nothing.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

#define MAX_CHUNK (16u << 20) /* of flash; callers have room for one */

/* Fields, and reserved ones, are 64 bits each */
_Static_assert(sizeof(struct aipu_telemetry) % sizeof(int64_t) == 0, "telemetry has a hole");

int aipu_device_telemetry(struct aipu_device *device, struct aipu_telemetry *telemetry)
{
	int64_t *values = (int64_t *)telemetry;

	if (!device || !telemetry)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(*telemetry) / sizeof(*values); i++)
		values[i] = AIPU_UNKNOWN;
	if (!device->ops->device_telemetry)
		return -EOPNOTSUPP;
	return device->ops->device_telemetry(device->transport, telemetry);
}

int aipu_device_set_limits(struct aipu_device *device, uint32_t power_mw, uint32_t clock_mhz)
{
	if (!device)
		return -EINVAL;
	if (!device->ops->device_set_limits)
		return -EOPNOTSUPP;
	return device->ops->device_set_limits(device->transport, power_mw, clock_mhz);
}

int aipu_device_reset(struct aipu_device *device, unsigned int flags, struct aipu_message *message)
{
	if (!device || flags & ~(AIPU_RESET_IDLE | AIPU_RESET_RECOVERY))
		return aipu_message_set(message, -EINVAL, "reset: no device, or unknown flags");
	if (!device->ops->device_reset)
		return aipu_message_set(message, -EOPNOTSUPP, "%s: cannot be reset", device->name);
	return device->ops->device_reset(device->transport, flags, message);
}

static int flash(struct aipu_device *device, unsigned int op, uint32_t slot, uint64_t offset,
		 void *data, uint32_t bytes, uint32_t *error)
{
	if (!device || slot > 1)
		return -EINVAL;
	if (!device->ops->flash)
		return -EOPNOTSUPP;
	return device->ops->flash(device->transport, op, slot, offset, data, bytes, error);
}

int aipu_flash_query(struct aipu_device *device, struct aipu_flash_info *info)
{
	uint32_t none;
	int err;

	if (!info)
		return -EINVAL;
	err = flash(device, AIPU_ADMIN_FLASH_INFO, 0, 0, info, sizeof(*info), &none);
	if (err)
		return err;
	/* It comes from the device: texts end, and pieces have a size that can be asked for */
	for (size_t i = 0; i < sizeof(info->slots) / sizeof(info->slots[0]); i++)
		info->slots[i].build[sizeof(info->slots[i].build) - 1] = '\0';
	return info->chunk_bytes && info->chunk_bytes <= MAX_CHUNK ? 0 : -EIO;
}

int aipu_flash_write(struct aipu_device *device, uint32_t slot, uint64_t offset, const void *data,
		     uint32_t bytes)
{
	uint32_t none;

	if (!data || !bytes)
		return -EINVAL;
	return flash(device, AIPU_ADMIN_FLASH_WRITE, slot, offset, (void *)data, bytes, &none);
}

int aipu_flash_read(struct aipu_device *device, uint32_t slot, uint64_t offset, void *data,
		    uint32_t bytes)
{
	uint32_t none;

	if (!data || !bytes)
		return -EINVAL;
	return flash(device, AIPU_ADMIN_FLASH_READ, slot, offset, data, bytes, &none);
}

int aipu_flash_commit(struct aipu_device *device, uint32_t slot, uint32_t *error)
{
	if (!error)
		return -EINVAL;
	*error = AIPU_ERROR_NONE;
	return flash(device, AIPU_ADMIN_FLASH_COMMIT, slot, 0, NULL, 0, error);
}

int aipu_flash_activate(struct aipu_device *device, uint32_t slot)
{
	uint32_t none;

	return flash(device, AIPU_ADMIN_FLASH_ACTIVATE, slot, 0, NULL, 0, &none);
}
