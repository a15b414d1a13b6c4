// SPDX-License-Identifier: MIT
/*
 * From power-on to READY and back: firmware, contract version, admin queue, the words for what went
 * wrong. Called at open, reset and close, and by whoever waits too long.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "aipu_firmware.h"
#include "soft.h"

#define BOOT_TIMEOUT_NS 10000000000 /* before firmware runs; the contract's */
/* Both slots may hold what never comes up; a loaded machine needs longer for the rest */
#define FLASH_TIMEOUT_NS (2000000ll * SOFT_READY_TIMEOUT_MS + BOOT_TIMEOUT_NS)
#define ALIVE_TIMEOUT_NS 20000000000 /* 200 heartbeats: a loaded machine is no dead device either */
#define ALIVE_SLICE_NS 1500000000 /* more than the longest time between two looks of a waiter */

int64_t soft_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

uint32_t soft_read(struct aipu_transport_device *device, uint32_t offset)
{
	return aipu_dm_read32(device->dm, offset);
}

uint64_t soft_read64(struct aipu_transport_device *device, uint32_t offset)
{
	uint64_t low = soft_read(device, offset);

	return low | (uint64_t)soft_read(device, offset + 4) << 32;
}

void soft_write(struct aipu_transport_device *device, uint32_t offset, uint32_t value)
{
	aipu_dm_write32(device->dm, offset, value);
}

void soft_write64(struct aipu_transport_device *device, uint32_t offset, uint64_t value)
{
	soft_write(device, offset, (uint32_t)value);
	soft_write(device, offset + 4, (uint32_t)(value >> 32));
}

static uint32_t device_state(struct aipu_transport_device *device)
{
	return soft_read(device, AIPU_REG_STATUS) & AIPU_STATUS_STATE_MASK;
}

/* Until the state is neither of the two, at most timeout_ns */
static uint32_t state_leave(struct aipu_transport_device *device, uint32_t from, uint32_t through,
			    int64_t timeout_ns)
{
	int64_t end = soft_now_ns() + timeout_ns;
	struct timespec pause = { .tv_nsec = 20000 };
	uint32_t state;

	for (;;) {
		state = device_state(device);
		if ((state != from && state != through) || soft_now_ns() > end)
			return state;
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < 1000000)
			pause.tv_nsec *= 2;
	}
}

static int image_read(const char *path, struct soft_dma *dma, struct soft_region **region,
		      uint32_t *bytes, struct aipu_message *message)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC), error = 0;
	ssize_t count;

	if (fd < 0) {
		error = errno == EACCES || errno == EPERM ? -EACCES : -ENOENT;
		return aipu_message_set(message, error, "firmware %s: %s", path, strerror(errno));
	}
	if (fstat(fd, &status) || !S_ISREG(status.st_mode) || status.st_size <= 0 ||
	    status.st_size > (off_t)AIPU_FIRMWARE_MAX_BYTES) {
		error = aipu_message_set(message, -ENOEXEC,
					 "firmware %s: not a file of 1 to %u bytes", path,
					 AIPU_FIRMWARE_MAX_BYTES);
	} else if (soft_dma_alloc(dma, (uint64_t)status.st_size, region)) {
		error = aipu_message_set(message, -ENOMEM, "firmware %s: out of memory", path);
	} else {
		*bytes = (uint32_t)status.st_size;
		for (uint32_t done = 0; done < *bytes && !error; done += (uint32_t)count) {
			count = pread(fd, (*region)->memory + done, *bytes - done, done);
			if (count <= 0) {
				soft_dma_free(dma, *region);
				error = aipu_message_set(message, -EIO, "firmware %s: %s", path,
							 count ? strerror(errno)
							       : "became shorter");
				break;
			}
		}
	}
	close(fd);
	return error;
}

static int image_place(struct aipu_transport_device *device, const char *path,
		       struct soft_region **region, uint32_t *bytes, struct aipu_message *message)
{
	size_t size = (size_t)(aipu_soft_firmware_end - aipu_soft_firmware);

	if (path)
		return image_read(path, &device->dma, region, bytes, message);
	if (soft_dma_alloc(&device->dma, size, region))
		return aipu_message_set(message, -ENOMEM, "firmware: out of memory");
	memcpy((*region)->memory, aipu_soft_firmware, size);
	*bytes = (uint32_t)size;
	return 0;
}

#define RANGE_FORMAT "%u.%u to %u.%u"
#define RANGE_VALUES(oldest, newest)                                            \
	AIPU_ABI_MAJOR(oldest), AIPU_ABI_MINOR(oldest), AIPU_ABI_MAJOR(newest), \
		AIPU_ABI_MINOR(newest)

/* The built-in image is asked for when nothing in flash starts: then it takes another image to get out of that */
static int refused_as_old(struct aipu_transport_device *device, const char *path, uint32_t rollback,
			  struct aipu_message *message)
{
	uint32_t smallest = soft_read(device, AIPU_REG_ROLLBACK);
	const char *text = aipu_error_text(AIPU_ERROR_FIRMWARE_ROLLBACK);

	if (path)
		return aipu_message_set(
			message, -ENOEXEC,
			SOFT_NAME ": firmware %s refused: %s (error %u): its rollback counter is "
				  "%u, %u or more is needed",
			path, text, AIPU_ERROR_FIRMWARE_ROLLBACK, rollback, smallest);
	return aipu_message_set(
		message, -ENOEXEC,
		SOFT_NAME
		": firmware (built in) refused: %s (error %u), and nothing in its flash "
		"starts: aipu-fw flash IMAGE --device soft, of rollback counter %u or more",
		text, AIPU_ERROR_FIRMWARE_ROLLBACK, smallest);
}

static int firmware_load(struct aipu_transport_device *device, const char *path,
			 struct aipu_message *message)
{
	const char *name = path ? path : "(built in)";
	struct aipu_firmware_header header = { 0 };
	struct soft_region *region;
	uint32_t bytes = 0, state, error;
	int refused;

	refused = image_place(device, path, &region, &bytes, message);
	if (refused)
		return refused;
	memcpy(&header, region->memory, bytes < sizeof(header) ? bytes : sizeof(header));
	soft_write64(device, AIPU_REG_BOOT_ADDRESS_LO, region->address);
	soft_write(device, AIPU_REG_BOOT_BYTES, bytes);
	soft_write(device, AIPU_REG_BOOT_COMMAND, AIPU_BOOT_LOAD);
	state = state_leave(device, AIPU_STATE_ROM, AIPU_STATE_LOADING, BOOT_TIMEOUT_NS);
	error = soft_read(device, AIPU_REG_ERROR);
	soft_dma_free(&device->dma, region);
	if (state == AIPU_STATE_RUNNING)
		return 0;
	if (state != AIPU_STATE_FAILED)
		return aipu_message_set(
			message, -ETIMEDOUT,
			SOFT_NAME ": firmware %s: not running after 10 s (state %u, error %u)",
			name, state, error);
	if (error == AIPU_ERROR_FIRMWARE_ABI) {
		uint32_t oldest = soft_read(device, AIPU_REG_ABI_OLDEST);
		uint32_t newest = soft_read(device, AIPU_REG_ABI_NEWEST);

		return aipu_message_set(message, -EPROTO,
					SOFT_NAME ": firmware %s speaks contract " RANGE_FORMAT
						  ", the device's boot ROM " RANGE_FORMAT
						  ": use a firmware for this device",
					name, RANGE_VALUES(header.abi_oldest, header.abi_newest),
					RANGE_VALUES(oldest, newest));
	}
	if (error == AIPU_ERROR_FIRMWARE_ROLLBACK)
		return refused_as_old(device, path, header.rollback, message);
	refused = error >= AIPU_ERROR_FIRMWARE_DMA && error <= AIPU_ERROR_FIRMWARE_ROLLBACK
			  ? -ENOEXEC
			  : -EIO;
	return aipu_message_set(message, refused, SOFT_NAME ": firmware %s refused: %s (error %u)",
				name, aipu_error_text(error), error);
}

static int device_enable(struct aipu_transport_device *device, struct aipu_message *message)
{
	uint32_t oldest = soft_read(device, AIPU_REG_ABI_OLDEST);
	uint32_t newest = soft_read(device, AIPU_REG_ABI_NEWEST);
	uint32_t timeout_ms = soft_read(device, AIPU_REG_READY_TIMEOUT_MS);
	int64_t timeout_ns = (int64_t)timeout_ms * 1000000;
	uint32_t state, error;

	if (timeout_ns < BOOT_TIMEOUT_NS)
		timeout_ns = BOOT_TIMEOUT_NS;
	soft_write(device, AIPU_REG_HOST_ABI_OLDEST, AIPU_ABI_OLDEST);
	soft_write(device, AIPU_REG_HOST_ABI_NEWEST, AIPU_ABI_CURRENT);
	if (soft_admin_init(device))
		return aipu_message_set(message, -ENOMEM, SOFT_NAME ": out of memory");
	soft_write(device, AIPU_REG_CONTROL, AIPU_CONTROL_ENABLE);
	state = state_leave(device, AIPU_STATE_RUNNING, AIPU_STATE_RUNNING, timeout_ns);
	if (state == AIPU_STATE_READY)
		return 0;
	error = soft_read(device, AIPU_REG_ERROR);
	soft_admin_finish(device);
	if (state == AIPU_STATE_FAILED &&
	    (error == AIPU_ERROR_ABI_TOO_OLD || error == AIPU_ERROR_ABI_TOO_NEW))
		return aipu_message_set(message, -EPROTO,
					SOFT_NAME ": the firmware speaks contract " RANGE_FORMAT
						  ", libaipu %s " RANGE_FORMAT ": upgrade %s",
					RANGE_VALUES(oldest, newest), aipu_version(),
					RANGE_VALUES(AIPU_ABI_OLDEST, AIPU_ABI_CURRENT),
					error == AIPU_ERROR_ABI_TOO_OLD ? "libaipu"
									: "the firmware");
	return aipu_message_set(message, -EIO, SOFT_NAME ": not ready: %s (state %u, error %u)",
				aipu_error_text(error), state, error);
}

static int device_identify(struct aipu_transport_device *device, struct aipu_message *message)
{
	struct aipu_admin command = { .opcode = AIPU_ADMIN_IDENTIFY };
	struct soft_region *region;
	int error;

	if (soft_dma_alloc(&device->dma, sizeof(device->identify), &region))
		return aipu_message_set(message, -ENOMEM, SOFT_NAME ": out of memory");
	command.identify.address = region->address;
	error = soft_admin_command(device, &command);
	if (!error)
		memcpy(&device->identify, region->memory, sizeof(device->identify));
	soft_dma_free(&device->dma, region);
	if (error)
		return aipu_message_set(message, -EIO, SOFT_NAME ": IDENTIFY failed: error %d",
					-error);
	/* Strings come from the device: they end where they should */
	device->identify.vendor[sizeof(device->identify.vendor) - 1] = '\0';
	device->identify.model[sizeof(device->identify.model) - 1] = '\0';
	device->identify.serial[sizeof(device->identify.serial) - 1] = '\0';
	device->identify.firmware[sizeof(device->identify.firmware) - 1] = '\0';
	return 0;
}

/*
 * From power-on to RUNNING. What the device keeps in flash it starts by itself; if that does not work it is given the built-in
 * image, and its registers say why. An image that was asked for comes in place of what is in flash, and its tries are not
 * touched.
 */
static int firmware_start(struct aipu_transport_device *device, const char *path,
			  struct aipu_message *message)
{
	uint32_t state = device_state(device);

	if (path && (device->flash.file || state != AIPU_STATE_ROM)) {
		soft_write(device, AIPU_REG_CONTROL, AIPU_CONTROL_RESET | AIPU_CONTROL_RECOVERY);
		state = state_leave(device, AIPU_STATE_RESETTING, AIPU_STATE_LOADING,
				    BOOT_TIMEOUT_NS);
	}
	if (path)
		atomic_store(&device->flash.writable, true);
	else
		state = state_leave(device, AIPU_STATE_LOADING, AIPU_STATE_RESETTING,
				    FLASH_TIMEOUT_NS);
	if (state == AIPU_STATE_ROM)
		return firmware_load(device, path, message);
	if (state == AIPU_STATE_RUNNING && !path)
		return 0;
	return aipu_message_set(message, -EIO, SOFT_NAME ": state %u after power-on (error %u)",
				state, soft_read(device, AIPU_REG_ERROR));
}

int soft_boot(struct aipu_transport_device *device, const char *firmware,
	      struct aipu_message *message)
{
	uint32_t magic = soft_read(device, AIPU_REG_MAGIC);
	int error;

	if (magic != AIPU_MAGIC)
		return aipu_message_set(message, -ENODEV,
					SOFT_NAME
					": magic 0x%08x is not 0x%08x: not this kind of device",
					magic, AIPU_MAGIC);
	error = firmware_start(device, firmware, message);
	if (error)
		return error;
	error = device_enable(device, message);
	if (error)
		return error;
	error = device_identify(device, message);
	if (!error)
		error = soft_limits_read(device, message);
	if (error) {
		soft_stop(device);
		return error;
	}
	soft_flash_release(&device->flash);
	soft_admin_watch(device);
	return 0;
}

void soft_stop(struct aipu_transport_device *device)
{
	soft_write(device, AIPU_REG_CONTROL, 0);
	state_leave(device, AIPU_STATE_READY, AIPU_STATE_RESETTING, BOOT_TIMEOUT_NS);
	soft_admin_finish(device);
}

int soft_restart(struct aipu_transport_device *device, uint32_t control,
		 struct aipu_message *message)
{
	uint32_t state;
	int error;

	soft_write(device, AIPU_REG_CONTROL, control);
	state = state_leave(device, AIPU_STATE_RESETTING, AIPU_STATE_RESETTING, BOOT_TIMEOUT_NS);
	/* Until it has come back nothing of it may be used, and its rings may still be */
	__atomic_store_n(&device->dead, true, __ATOMIC_RELAXED);
	if (state == AIPU_STATE_RESETTING)
		return aipu_message_set(message, -EIO, SOFT_NAME ": still resetting after 10 s");
	soft_admin_finish(device);
	__atomic_store_n(&device->dead, false, __ATOMIC_RELAXED);
	pthread_mutex_lock(&device->lock);
	device->beat_still_ns = 0;
	pthread_mutex_unlock(&device->lock);
	error = soft_boot(device, NULL, message);
	if (error)
		__atomic_store_n(&device->dead, true, __ATOMIC_RELAXED);
	return error ? -EIO : 0;
}

int soft_check_alive(struct aipu_transport_device *device)
{
	uint32_t beat = soft_read(device, AIPU_REG_HEARTBEAT);
	bool ready = device_state(device) == AIPU_STATE_READY;
	int64_t now = soft_now_ns(), since, still;

	pthread_mutex_lock(&device->lock);
	since = now - device->beat_checked_ns;
	device->beat_checked_ns = now;
	if (beat != device->beat)
		device->beat_still_ns = 0;
	else
		/* A process that was stopped is no sign of a dead device: count what was watched */
		device->beat_still_ns += since < ALIVE_SLICE_NS ? since : ALIVE_SLICE_NS;
	device->beat = beat;
	still = device->beat_still_ns;
	pthread_mutex_unlock(&device->lock);
	if (!ready || still > ALIVE_TIMEOUT_NS)
		__atomic_store_n(&device->dead, true, __ATOMIC_RELAXED);
	return __atomic_load_n(&device->dead, __ATOMIC_RELAXED) ? -EIO : 0;
}
