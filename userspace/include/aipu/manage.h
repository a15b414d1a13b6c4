/* SPDX-License-Identifier: MIT */
/*
 * What an operator does with a device: read its sensors and counters, set its limits, reset it, and keep its firmware. Part of
 * libaipu. Conventions as in aipu.h. What changes a card needs CAP_SYS_ADMIN (-EPERM); what reads needs the node only.
 */
#ifndef AIPU_MANAGE_H
#define AIPU_MANAGE_H

#include "aipu/aipu.h"
#include "aipu_queue.h" /* struct aipu_flash_info */
#include "aipu_registers.h" /* AIPU_ERROR_*, AIPU_THROTTLE_* */

#ifdef __cplusplus
extern "C" {
#endif

/* ---- sensors and counters ---- */

#define AIPU_UNKNOWN INT64_MIN /* of a value that the device, or its driver, does not know */

/* Read at the time of the call. Counters begin at power-on, unless said otherwise. */
struct aipu_telemetry {
	int64_t temperature_mc; /* millidegrees Celsius */
	int64_t power_mw, clock_mhz;
	int64_t power_limit_mw, clock_limit_mhz; /* as they are set */
	int64_t throttle_mc; /* temperature from which the clock goes down */
	int64_t shutdown_mc; /* at which the device fails */
	int64_t throttle; /* AIPU_THROTTLE_*: why the clock is below its limit now */
	int64_t energy_uj; /* microjoules */
	int64_t memory_read_bytes, memory_written_bytes; /* device memory, by steps */
	int64_t operations; /* multiplications with addition */
	int64_t memory_peak_mbs; /* bandwidth of device memory, 10^6 bytes per second */
	int64_t corrected_errors, uncorrected_errors; /* of memory and links */
	int64_t busy_us, steps, longest_step_us; /* since the last boot */
	int64_t card_resets; /* of any kind */
	int64_t ras_events,
		temperature_events; /* since the driver was bound, or the device opened */
	int64_t running_jobs; /* of all processes */
	int64_t reserved[10]; /* AIPU_UNKNOWN */
};
/* Any thread. -EOPNOTSUPP: a driver that is too old */
int aipu_device_telemetry(struct aipu_device *device, struct aipu_telemetry *telemetry);

/*
 * 0: the device's default of each. They hold also over resets, as long as a driver has the card; those of the software device,
 * and with a driver of user API 1.1, until its reset. -EOPNOTSUPP: it has none; -EINVAL: beyond what it can
 */
int aipu_device_set_limits(struct aipu_device *device, uint32_t power_mw, uint32_t clock_mhz);

/* ---- reset ---- */

#define AIPU_RESET_IDLE 1u /* only if no job of anybody is in flight, else -EBUSY */
/* The boot ROM starts nothing from flash; the device gets the image of /lib/firmware, or the built-in one (soft) */
#define AIPU_RESET_RECOVERY 2u
/*
 * Resets the device and returns when it is ready again; every context on it is lost. -EIO: it did not come back. The software
 * device is the process's own: -EBUSY while contexts are open on it. The message says why.
 */
int aipu_device_reset(struct aipu_device *device, unsigned int flags, struct aipu_message *message);

/* ---- firmware in flash (the contract's spec.md, section 14) ---- */

/*
 * -EOPNOTSUPP: the device keeps no firmware of its own, or its driver is too old; -EIO: what it tells cannot be. Texts end with
 * zero; else *info is as the device says it.
 *
 * Of the software device, here and below: the flash is a file of the user's. -EBUSY: another process writes it; -ESTALE: one has
 * changed it since this device was opened; else what became of the file: -EACCES, -EFBIG, -ENOSPC...
 */
int aipu_flash_query(struct aipu_device *device, struct aipu_flash_info *info);
/*
 * Pieces of at most info.chunk_bytes, in order and without gaps from offset 0 on, which empties the slot. -EBUSY: the slot that
 * runs; -EINVAL: slot, a gap, beyond slot_bytes; -ECANCELED: the card was reset meanwhile.
 */
int aipu_flash_write(struct aipu_device *device, uint32_t slot, uint64_t offset, const void *data,
		     uint32_t bytes);
int aipu_flash_read(struct aipu_device *device, uint32_t slot, uint64_t offset, void *data,
		    uint32_t bytes);
/* The device checks what was written. -EKEYREJECTED: it refuses the image, *error is why (AIPU_ERROR_*) */
int aipu_flash_commit(struct aipu_device *device, uint32_t slot, uint32_t *error);
/* The next reset starts this slot first, on trial. -ENOENT: it is empty */
int aipu_flash_activate(struct aipu_device *device, uint32_t slot);

/* Text of an AIPU_ERROR_* code */
const char *aipu_error_text(uint32_t error);

#ifdef __cplusplus
}
#endif
#endif
