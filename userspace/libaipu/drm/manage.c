// SPDX-License-Identifier: MIT
/*
 * Sensors, limits, reset and flash of a card (manage.h), as ioctls of its driver. What a driver offers it says by feature bits;
 * one that is too old for a call gives -EOPNOTSUPP. Rights and values are the driver's to check.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "card.h"

/* One is copied to the other as it is, as far as the driver knows of it */
#define SAME(field)                                                        \
	_Static_assert(offsetof(struct aipu_telemetry, field) ==           \
			       offsetof(struct drm_aipu_telemetry, field), \
		       #field " is elsewhere in the driver's structure")
SAME(temperature_mc);
SAME(throttle);
SAME(energy_uj);
SAME(memory_peak_mbs);
SAME(longest_step_us);
SAME(running_jobs);
_Static_assert(DRM_AIPU_UNKNOWN == AIPU_UNKNOWN, "the driver says unknown otherwise");
_Static_assert(AIPU_RESET_IDLE == DRM_AIPU_RESET_IDLE &&
		       AIPU_RESET_RECOVERY == DRM_AIPU_RESET_RECOVERY,
	       "flags of a reset");
_Static_assert(AIPU_ADMIN_FLASH_WRITE - AIPU_ADMIN_FLASH_INFO == DRM_AIPU_FLASH_WRITE &&
		       AIPU_ADMIN_FLASH_ACTIVATE - AIPU_ADMIN_FLASH_INFO == DRM_AIPU_FLASH_ACTIVATE,
	       "operations on flash");

static bool offers(const struct aipu_transport_device *device, uint64_t feature)
{
	return device->info.features & feature;
}

int card_telemetry(struct aipu_transport_device *device, struct aipu_telemetry *telemetry)
{
	struct drm_aipu_telemetry card;
	struct drm_aipu_query query = { .kind = DRM_AIPU_QUERY_TELEMETRY,
					.bytes = sizeof(card),
					.data = (uintptr_t)&card };
	int err;

	if (!offers(device, DRM_AIPU_FEATURE_TELEMETRY))
		return -EOPNOTSUPP;
	err = card_ioctl(device, DRM_IOCTL_AIPU_QUERY, &query);
	/* What it does not know of it left zero, which is not unknown */
	if (!err)
		memcpy(telemetry, &card, query.bytes < sizeof(card) ? query.bytes : sizeof(card));
	return err;
}

int card_set_limits(struct aipu_transport_device *device, uint32_t power_mw, uint32_t clock_mhz)
{
	struct drm_aipu_limits limits = { .power_mw = power_mw, .clock_mhz = clock_mhz };

	if (!offers(device, DRM_AIPU_FEATURE_LIMITS))
		return -EOPNOTSUPP;
	return card_ioctl(device, DRM_IOCTL_AIPU_SET_LIMITS, &limits);
}

int card_reset(struct aipu_transport_device *device, unsigned int flags,
	       struct aipu_message *message)
{
	struct drm_aipu_reset reset = { .flags = flags };
	int err;

	if (flags && !offers(device, DRM_AIPU_FEATURE_RESET_FLAGS))
		return aipu_message_set(message, -EOPNOTSUPP,
					"%s: this driver resets only at once and with what is in "
					"flash: a newer one is needed",
					device->node);
	err = card_ioctl(device, DRM_IOCTL_AIPU_RESET, &reset);
	switch (err) {
	case 0:
		return 0;
	case -EPERM:
	case -EACCES:
		return aipu_message_set(message, err, "%s: a reset needs CAP_SYS_ADMIN",
					device->node);
	case -EBUSY:
		return aipu_message_set(message, err, "%s: busy: jobs are in flight", device->node);
	case -EIO:
		return aipu_message_set(
			message, err,
			"%s: did not come back from the reset: the kernel's log says why",
			device->node);
	case -ENODEV:
		return aipu_message_set(message, err, "%s: the card is gone", device->node);
	default:
		return aipu_message_set(message, err, "%s: not reset: %s", device->node,
					strerror(-err));
	}
}

int card_flash(struct aipu_transport_device *device, unsigned int op, uint32_t slot,
	       uint64_t offset, void *data, uint32_t bytes, uint32_t *error)
{
	struct drm_aipu_flash flash = {
		.op = op - AIPU_ADMIN_FLASH_INFO,
		.slot = slot,
		.offset = offset,
		.data = (uintptr_t)data,
		.bytes = bytes,
	};
	int err;

	if (!offers(device, DRM_AIPU_FEATURE_FLASH))
		return -EOPNOTSUPP;
	err = card_ioctl(device, DRM_IOCTL_AIPU_FLASH, &flash);
	if (op == AIPU_ADMIN_FLASH_COMMIT)
		*error = err == -EKEYREJECTED ? flash.detail : AIPU_ERROR_NONE;
	return err;
}
