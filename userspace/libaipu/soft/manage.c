// SPDX-License-Identifier: MIT
/*
 * Sensors, limits, reset and flash of the software device (manage.h): registers and admin commands, as a driver has them.
 */
#include <errno.h>
#include <string.h>

#include "soft.h"

/* --- sensors and counters ------------------------------------------------------------------------ */

static int64_t sensor(struct aipu_transport_device *device, uint32_t offset)
{
	uint32_t value = soft_read(device, offset);

	return value == UINT32_MAX ? AIPU_UNKNOWN : (int64_t)value;
}

/* Signed; -0.001 degrees would be unknown too */
static int64_t temperature(struct aipu_transport_device *device, uint32_t offset)
{
	uint32_t value = soft_read(device, offset);

	return value == UINT32_MAX ? AIPU_UNKNOWN : (int32_t)value;
}

/* Both halves of one value, however it moves meanwhile */
static int64_t counter(struct aipu_transport_device *device, uint32_t offset)
{
	uint32_t high = soft_read(device, offset + 4), low, again;

	for (;;) {
		low = soft_read(device, offset);
		again = soft_read(device, offset + 4);
		if (again == high)
			break;
		high = again;
	}
	if (high == UINT32_MAX && low == UINT32_MAX)
		return AIPU_UNKNOWN;
	return (int64_t)((uint64_t)high << 32 | low);
}

/* Submitted and not reaped, by this process: nobody else has this device */
static int64_t running_jobs(struct aipu_transport_device *device)
{
	int64_t running = 0;

	pthread_mutex_lock(&device->interrupt_lock);
	for (struct aipu_transport_queue *queue = device->queues; queue; queue = queue->next)
		running += atomic_load_explicit(&queue->running, memory_order_relaxed);
	pthread_mutex_unlock(&device->interrupt_lock);
	return running;
}

int soft_telemetry(struct aipu_transport_device *device, struct aipu_telemetry *telemetry)
{
	uint64_t capabilities;

	pthread_rwlock_rdlock(&device->gate);
	capabilities = soft_read64(device, AIPU_REG_CAP_LO);
	telemetry->temperature_mc = temperature(device, AIPU_REG_TEMPERATURE);
	telemetry->power_mw = sensor(device, AIPU_REG_POWER);
	telemetry->clock_mhz = sensor(device, AIPU_REG_CLOCK);
	if (capabilities & AIPU_CAP_LIMITS) {
		telemetry->power_limit_mw = sensor(device, AIPU_REG_POWER_LIMIT);
		telemetry->clock_limit_mhz = sensor(device, AIPU_REG_CLOCK_LIMIT);
		telemetry->throttle_mc = temperature(device, AIPU_REG_TEMPERATURE_THROTTLE);
		telemetry->shutdown_mc = temperature(device, AIPU_REG_TEMPERATURE_SHUTDOWN);
		telemetry->throttle = sensor(device, AIPU_REG_THROTTLE);
	}
	if (capabilities & AIPU_CAP_RAS) {
		telemetry->corrected_errors = sensor(device, AIPU_REG_CORRECTED_ERRORS);
		telemetry->uncorrected_errors = sensor(device, AIPU_REG_UNCORRECTED_ERRORS);
	}
	telemetry->energy_uj = counter(device, AIPU_REG_ENERGY_UJ_LO);
	telemetry->memory_read_bytes = counter(device, AIPU_REG_MEMORY_READ_LO);
	telemetry->memory_written_bytes = counter(device, AIPU_REG_MEMORY_WRITTEN_LO);
	telemetry->operations = counter(device, AIPU_REG_OPERATIONS_LO);
	telemetry->memory_peak_mbs = sensor(device, AIPU_REG_MEMORY_PEAK_MBS);
	telemetry->busy_us = counter(device, AIPU_REG_BUSY_US_LO);
	telemetry->steps = soft_read(device, AIPU_REG_STEPS); /* wraps: no value is unknown */
	telemetry->longest_step_us = soft_read(device, AIPU_REG_LONGEST_STEP_US);
	telemetry->card_resets = soft_read(device, AIPU_REG_RESET_COUNT);
	telemetry->ras_events = soft_admin_events(device, AIPU_EVENT_RAS);
	telemetry->temperature_events = soft_admin_events(device, AIPU_EVENT_TEMPERATURE);
	telemetry->running_jobs = running_jobs(device);
	pthread_rwlock_unlock(&device->gate);
	return 0;
}

int soft_set_limits(struct aipu_transport_device *device, uint32_t power_mw, uint32_t clock_mhz)
{
	struct aipu_admin command = { .opcode = AIPU_ADMIN_SET_LIMITS };
	int error = -EOPNOTSUPP;

	command.limits.power_mw = power_mw;
	command.limits.clock_mhz = clock_mhz;
	pthread_rwlock_rdlock(&device->gate);
	/* What no bit offers is not sent */
	if (soft_read64(device, AIPU_REG_CAP_LO) & AIPU_CAP_LIMITS)
		error = soft_admin_command(device, &command);
	pthread_rwlock_unlock(&device->gate);
	return error;
}

/* --- reset --------------------------------------------------------------------------------------- */

static void ids_free(struct soft_ids *ids)
{
	memset(ids->used, 0, ids->end);
	ids->hint = ids->first;
}

/* Under zero_lock and the gate. With no context open there is nothing but the transport's own to be lost */
static int reset(struct aipu_transport_device *device, unsigned int flags,
		 struct aipu_message *message)
{
	uint32_t control = AIPU_CONTROL_RESET;
	uint32_t contexts = atomic_load(&device->open_contexts) - (device->zero_context ? 1 : 0);
	int error;

	if (contexts)
		return aipu_message_set(message, -EBUSY,
					SOFT_NAME ": busy: contexts open on it: %u, none of them "
						  "would outlive a reset",
					contexts);
	if (flags & AIPU_RESET_RECOVERY)
		control |= AIPU_CONTROL_RECOVERY;
	soft_zero_finish(device);
	error = soft_restart(device, control, message);
	if (error)
		return error;
	/* What a dead device had not given back */
	pthread_mutex_lock(&device->lock);
	ids_free(&device->contexts);
	ids_free(&device->queue_ids);
	pthread_mutex_unlock(&device->lock);
	device->resets++;
	return 0;
}

int soft_reset(struct aipu_transport_device *device, unsigned int flags,
	       struct aipu_message *message)
{
	int error;

	pthread_mutex_lock(&device->zero_lock);
	pthread_rwlock_wrlock(&device->gate);
	error = reset(device, flags, message);
	pthread_rwlock_unlock(&device->gate);
	pthread_mutex_unlock(&device->zero_lock);
	return error;
}

/* --- flash --------------------------------------------------------------------------------------- */

/* -errno; *error: COMMIT's reason */
static int flash_run(struct aipu_transport_device *device, struct aipu_admin *command,
		     uint32_t *error)
{
	uint32_t detail = 0;
	int status, failed;

	atomic_store(&device->flash.failed, 0);
	status = soft_admin_run(device, command, &detail);
	if (status < 0)
		return status;
	failed = atomic_load(&device->flash.failed);
	/* The device knows no more than that it failed */
	if (status == AIPU_STATUS_INTERNAL && failed)
		return failed;
	if (status == AIPU_STATUS_FIRMWARE_REFUSED)
		*error = detail;
	return aipu_status_errno((unsigned int)status);
}

static int flash_locked(struct aipu_transport_device *device, struct aipu_admin *command,
			void *data, uint32_t bytes, uint32_t *error)
{
	bool writes = command->opcode == AIPU_ADMIN_FLASH_WRITE;
	struct soft_region *region = NULL;
	int err;

	if (!(soft_read64(device, AIPU_REG_CAP_LO) & AIPU_CAP_FLASH))
		return device->flash.missing ? device->flash.missing : -EOPNOTSUPP;
	if (data) {
		err = soft_dma_alloc(&device->dma, bytes, &region);
		if (err)
			return err;
		command->flash.address = region->address;
		if (writes)
			memcpy(region->memory, data, bytes);
	}
	err = flash_run(device, command, error);
	if (!err && data && !writes)
		memcpy(data, region->memory, bytes);
	/* A device that did not answer may still use it; it is given back when it is closed */
	if (err != -EIO)
		soft_dma_free(&device->dma, region);
	return err;
}

int soft_flash_command(struct aipu_transport_device *device, unsigned int op, uint32_t slot,
		       uint64_t offset, void *data, uint32_t bytes, uint32_t *error)
{
	struct aipu_admin command = { .opcode = (uint8_t)op };
	int err;

	command.flash.slot = slot;
	command.flash.offset = offset;
	if (op == AIPU_ADMIN_FLASH_WRITE || op == AIPU_ADMIN_FLASH_READ)
		command.flash.bytes = bytes;
	pthread_rwlock_rdlock(&device->gate);
	err = flash_locked(device, &command, data, bytes, error);
	pthread_rwlock_unlock(&device->gate);
	return err;
}
