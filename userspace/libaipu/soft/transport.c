// SPDX-License-Identifier: MIT
/*
 * The soft transport's door: mounts a device model, gives it the bus, boots it, and hands the table of
 * operations to libaipu. The only file here that creates or destroys a model.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "aipu/firmware.h"
#include "soft.h"

/* What a process that flashes, or waits for an image on trial, may take */
#define FLASH_PATIENCE_NS 2000000000

/* The numbers that aipu.h gives for the option `simd`: programs are compiled without dm.h. */
_Static_assert(AIPU_DM_SIMD_AUTO == 0 && AIPU_DM_SIMD_SCALAR == 1 && AIPU_DM_SIMD_AVX2 == 2 &&
		       AIPU_DM_SIMD_AVX512 == 3,
	       "enum aipu_dm_simd is not what aipu.h says");

static int host_dma_read(void *host, uint64_t address, void *to, size_t bytes)
{
	return soft_dma_read(&((struct aipu_transport_device *)host)->dma, address, to, bytes);
}

static int host_dma_write(void *host, uint64_t address, const void *from, size_t bytes)
{
	return soft_dma_write(&((struct aipu_transport_device *)host)->dma, address, from, bytes);
}

static void *host_dma_map(void *host, uint64_t address, size_t bytes, bool write,
			  const volatile bool **lost)
{
	return soft_dma_map(&((struct aipu_transport_device *)host)->dma, address, bytes, write,
			    lost);
}

static void host_dma_unmap(void *host, void *pointer, size_t bytes)
{
	(void)host;
	(void)pointer;
	(void)bytes;
}

static void host_interrupt(void *host, unsigned int vector)
{
	struct aipu_transport_device *device = host;

	pthread_mutex_lock(&device->interrupt_lock);
	if (vector == 0) {
		device->admin_interrupts++;
		pthread_cond_broadcast(&device->interrupt_cond);
	}
	for (struct aipu_transport_queue *queue = device->queues; queue; queue = queue->next) {
		if (queue->vector == vector)
			soft_queue_signal(queue);
	}
	pthread_mutex_unlock(&device->interrupt_lock);
}

static int host_flash_read(void *host, uint64_t offset, void *to, size_t bytes)
{
	return soft_flash_read(&((struct aipu_transport_device *)host)->flash, offset, to, bytes);
}

static int host_flash_write(void *host, uint64_t offset, const void *from, size_t bytes)
{
	return soft_flash_write(&((struct aipu_transport_device *)host)->flash, offset, from,
				bytes);
}

static const struct aipu_dm_ops host_ops = {
	.dma_read = host_dma_read,
	.dma_write = host_dma_write,
	.dma_map = host_dma_map,
	.dma_unmap = host_dma_unmap,
	.interrupt = host_interrupt,
	.flash_read = host_flash_read,
	.flash_write = host_flash_write,
};

static bool several_cpus(void)
{
	cpu_set_t set;

	/* More CPUs than the set holds is more than one */
	return sched_getaffinity(0, sizeof(set), &set) || CPU_COUNT(&set) > 1;
}

static void device_init(struct aipu_transport_device *device)
{
	pthread_condattr_t attributes;

	soft_dma_init(&device->dma);
	pthread_mutex_init(&device->interrupt_lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&device->interrupt_cond, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&device->lock, NULL);
	pthread_mutex_init(&device->admin.lock, NULL);
	pthread_mutex_init(&device->zero_lock, NULL);
	pthread_rwlock_init(&device->gate, NULL);
	device->spins = several_cpus();
}

static void device_finish(struct aipu_transport_device *device)
{
	/* Then nobody reaches anything here any more */
	aipu_dm_destroy(device->dm);
	if (device->memory.blocks)
		soft_memory_finish(&device->memory);
	soft_ids_finish(&device->contexts);
	soft_ids_finish(&device->queue_ids);
	soft_dma_finish(&device->dma);
	soft_flash_close(&device->flash);
	pthread_rwlock_destroy(&device->gate);
	pthread_mutex_destroy(&device->zero_lock);
	pthread_mutex_destroy(&device->admin.lock);
	pthread_mutex_destroy(&device->lock);
	pthread_cond_destroy(&device->interrupt_cond);
	pthread_mutex_destroy(&device->interrupt_lock);
	free(device);
}

static int model_create(struct aipu_transport_device *device,
			const struct aipu_device_options *options, struct aipu_message *message)
{
	struct aipu_dm_config config = {
		.cores = options->cores,
		.simd = (enum aipu_dm_simd)options->simd,
		.memory_bytes = options->memory_bytes,
		.firmware_keys = aipu_development_key,
		.firmware_key_count = 1,
		.flash_bytes = device->flash.file ? aipu_flash_file_bytes(device->flash.file) : 0,
		.ready_timeout_ms = SOFT_READY_TIMEOUT_MS,
		.uma = true,
	};
	int error = aipu_dm_create(&config, &host_ops, device, &device->dm);

	switch (error) {
	case 0:
		return 0;
	case -EINVAL:
		return aipu_message_set(message, error,
					SOFT_NAME
					": cores %u, SIMD level %u or %llu bytes of memory are "
					"out of range; 0 is the default of each",
					options->cores, options->simd,
					(unsigned long long)options->memory_bytes);
	case -ENOTSUP:
		return aipu_message_set(message, error,
					SOFT_NAME
					": SIMD level %u is not offered by this CPU; 0 takes the "
					"best one",
					options->simd);
	default:
		return aipu_message_set(message, error,
					SOFT_NAME ": the device model did not start: %s",
					strerror(-error));
	}
}

/* Room for what is kept of it, once */
static int keep_room(struct aipu_transport_device *device, uint32_t contexts, uint32_t queues)
{
	if (device->contexts.used)
		return 0;
	if (soft_ids_init(&device->contexts, 1, contexts + 1) ||
	    soft_ids_init(&device->queue_ids, 1, queues + 1) ||
	    soft_memory_init(&device->memory, soft_read64(device, AIPU_REG_MEMORY_LO)))
		return -ENOMEM;
	return 0;
}

int soft_limits_read(struct aipu_transport_device *device, struct aipu_message *message)
{
	uint32_t contexts = soft_read(device, AIPU_REG_MAX_CONTEXTS);
	uint32_t queues = soft_read(device, AIPU_REG_MAX_QUEUES);
	uint64_t bytes;

	device->max_segments = soft_read(device, AIPU_REG_MAX_SEGMENTS);
	device->max_programs = soft_read(device, AIPU_REG_MAX_PROGRAMS);
	device->max_entries = soft_read(device, AIPU_REG_MAX_QUEUE_ENTRIES);
	device->vectors = soft_read(device, AIPU_REG_VECTORS);
	device->bar2 = aipu_dm_memory(device->dm, &bytes, NULL);
	if (device->max_segments > 1u << 20 || device->max_programs > 1u << 20 ||
	    device->max_entries > 4096)
		return aipu_message_set(message, -EIO,
					SOFT_NAME
					": limits of %u segments, %u programs, %u queue entries "
					"cannot be",
					device->max_segments, device->max_programs,
					device->max_entries);
	if (keep_room(device, contexts, queues))
		return aipu_message_set(message, -ENOMEM, SOFT_NAME ": out of memory");
	if (device->contexts.end != contexts + 1 || device->queue_ids.end != queues + 1 ||
	    device->memory.bytes != soft_read64(device, AIPU_REG_MEMORY_LO))
		return aipu_message_set(message, -EIO,
					SOFT_NAME ": other limits than before the reset");
	return 0;
}

static void soft_device_close(struct aipu_transport_device *device)
{
	soft_zero_finish(device);
	soft_stop(device);
	device_finish(device);
}

/* Power-on, and again while another process has the flash that this one needs; FLASH_PATIENCE_NS long */
static int device_start(struct aipu_transport_device *device,
			const struct aipu_device_options *options, struct aipu_message *message)
{
	int64_t until = soft_now_ns() + FLASH_PATIENCE_NS;
	const struct timespec pause = { .tv_nsec = 50000000 };
	int error;

	for (;;) {
		soft_flash_open(&device->flash);
		/* The boot ROM begins before it can be told of the image that comes in place of its own */
		atomic_store(&device->flash.writable, !options->firmware);
		error = model_create(device, options, message);
		if (!error)
			error = soft_boot(device, options->firmware, message);
		if (error || !soft_flash_contended(device) || soft_now_ns() > until)
			return error;
		soft_stop(device);
		aipu_dm_destroy(device->dm);
		device->dm = NULL;
		soft_flash_close(&device->flash);
		nanosleep(&pause, NULL);
	}
}

static int soft_device_open(struct aipu_transport_device **device, const char *name,
			    const struct aipu_device_options *options, struct aipu_message *message)
{
	struct aipu_transport_device *opened = calloc(1, sizeof(*opened));
	int error;

	(void)name; /* each opening is a device of its own */
	if (!opened)
		return aipu_message_set(message, -ENOMEM, SOFT_NAME ": out of memory");
	device_init(opened);
	error = device_start(opened, options, message);
	if (error) {
		device_finish(opened);
		return error;
	}
	*device = opened;
	return 0;
}

static int soft_device_query(struct aipu_transport_device *device, struct aipu_device_info *info)
{
	const struct aipu_identify *identify = &device->identify;

	pthread_rwlock_rdlock(&device->gate);
	memcpy(info->vendor, identify->vendor, sizeof(info->vendor));
	memcpy(info->model, identify->model, sizeof(info->model));
	memcpy(info->serial, identify->serial, sizeof(info->serial));
	memcpy(info->firmware, identify->firmware, sizeof(info->firmware));
	info->firmware_version = soft_read(device, AIPU_REG_FIRMWARE_VERSION);
	info->abi_oldest = soft_read(device, AIPU_REG_ABI_OLDEST);
	info->abi_newest = soft_read(device, AIPU_REG_ABI_NEWEST);
	info->abi_in_use = soft_read(device, AIPU_REG_ABI_IN_USE);
	info->capabilities = soft_read64(device, AIPU_REG_CAP_LO);
	info->operations = soft_read64(device, AIPU_REG_CAP_OPS_LO);
	info->formats = soft_read64(device, AIPU_REG_CAP_FORMATS_LO);
	info->kv_formats = soft_read(device, AIPU_REG_CAP_KV_FORMATS);
	info->kv_kinds = soft_read(device, AIPU_REG_CAP_KV_KINDS);
	info->numerics = soft_read(device, AIPU_REG_CAP_NUMERICS);
	info->activations = soft_read(device, AIPU_REG_CAP_ACTIVATIONS);
	info->memory_bytes = soft_read64(device, AIPU_REG_MEMORY_LO);
	info->memory_free = soft_memory_free(&device->memory);
	info->cores = soft_read(device, AIPU_REG_CORES);
	info->max_lanes = soft_read(device, AIPU_REG_MAX_LANES);
	info->max_queues = soft_read(device, AIPU_REG_MAX_QUEUES);
	info->max_segments = soft_read(device, AIPU_REG_MAX_SEGMENTS);
	info->longest_step_us = soft_read(device, AIPU_REG_LONGEST_STEP_US);
	info->board_id = soft_read(device, AIPU_REG_BOARD_ID);
	info->rom_version = soft_read(device, AIPU_REG_ROM_VERSION);
	info->boot_source = soft_read(device, AIPU_REG_BOOT_SOURCE);
	info->slot_errors[0] = soft_read(device, AIPU_REG_SLOT_A_ERROR);
	info->slot_errors[1] = soft_read(device, AIPU_REG_SLOT_B_ERROR);
	info->rollback = soft_read(device, AIPU_REG_ROLLBACK);
	info->state = __atomic_load_n(&device->dead, __ATOMIC_RELAXED) ? AIPU_DEVICE_WEDGED
								       : AIPU_DEVICE_READY;
	info->resets = device->resets;
	pthread_rwlock_unlock(&device->gate);
	return 0;
}

static const struct aipu_transport_ops soft_ops = {
	.version = AIPU_TRANSPORT_VERSION,
	.name = SOFT_NAME,
	.device_open = soft_device_open,
	.device_close = soft_device_close,
	.device_query = soft_device_query,
	.device_telemetry = soft_telemetry,
	.device_set_limits = soft_set_limits,
	.device_reset = soft_reset,
	.flash = soft_flash_command,
	.context_create = soft_context_create,
	.context_destroy = soft_context_destroy,
	.context_reset = soft_context_reset,
	.buffer_create = soft_buffer_create,
	.buffer_import = soft_buffer_import,
	.buffer_map_file = soft_buffer_map_file,
	.buffer_destroy = soft_buffer_destroy,
	.buffer_data = soft_buffer_data,
	.segment_bind = soft_segment_bind,
	.segment_unbind = soft_segment_unbind,
	.program_load = soft_program_load,
	.program_unload = soft_program_unload,
	.queue_create = soft_queue_create,
	.queue_destroy = soft_queue_destroy,
	.queue_submit = soft_queue_submit,
	.queue_reap = soft_queue_reap,
	.queue_wait = soft_queue_wait,
	.queue_fd = soft_queue_fd,
	.queue_abort = soft_queue_abort,
	.queue_kick = soft_queue_kick,
};

const struct aipu_transport_ops *aipu_transport_plugin(uint32_t version)
{
	return version == AIPU_TRANSPORT_VERSION ? &soft_ops : NULL;
}
