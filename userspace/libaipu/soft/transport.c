// SPDX-License-Identifier: MIT
/*
 * The soft transport's door: mounts a device model, gives it the bus, boots it, and hands the table of
 * operations to libaipu. The only file here that creates or destroys a model.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aipu/firmware.h"
#include "soft.h"

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

/* The eventfd first, the flag after: who sees the flag and clears both loses nothing */
static void queue_signal(struct aipu_transport_queue *queue)
{
	uint64_t one = 1;

	/* Full is readable all the same */
	if (write(queue->event, &one, sizeof(one)) < 0 && errno != EAGAIN)
		return;
	atomic_store_explicit(&queue->signalled, true, memory_order_release);
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
			queue_signal(queue);
	}
	pthread_mutex_unlock(&device->interrupt_lock);
}

static const struct aipu_dm_ops host_ops = {
	.dma_read = host_dma_read,
	.dma_write = host_dma_write,
	.dma_map = host_dma_map,
	.dma_unmap = host_dma_unmap,
	.interrupt = host_interrupt,
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
	pthread_mutex_init(&device->zero_lock, NULL);
	device->spins = several_cpus();
}

/* The model is gone, so nobody reaches anything here any more */
static void device_finish(struct aipu_transport_device *device)
{
	soft_ids_finish(&device->contexts);
	soft_ids_finish(&device->queue_ids);
	soft_dma_finish(&device->dma);
	pthread_mutex_destroy(&device->zero_lock);
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

/* What the device offers, once firmware runs */
static int limits_read(struct aipu_transport_device *device, struct aipu_message *message)
{
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
	if (soft_ids_init(&device->contexts, 1, soft_read(device, AIPU_REG_MAX_CONTEXTS) + 1) ||
	    soft_ids_init(&device->queue_ids, 1, soft_read(device, AIPU_REG_MAX_QUEUES) + 1) ||
	    soft_memory_init(&device->memory, soft_read64(device, AIPU_REG_MEMORY_LO)))
		return aipu_message_set(message, -ENOMEM, SOFT_NAME ": out of memory");
	return 0;
}

static void soft_device_close(struct aipu_transport_device *device)
{
	soft_zero_finish(device);
	soft_stop(device);
	aipu_dm_destroy(device->dm);
	soft_memory_finish(&device->memory);
	device_finish(device);
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
	error = model_create(opened, options, message);
	if (error) {
		device_finish(opened);
		return error;
	}
	error = soft_boot(opened, options->firmware, message);
	if (error) {
		aipu_dm_destroy(opened->dm);
		device_finish(opened);
		return error;
	}
	error = limits_read(opened, message);
	if (error) {
		soft_device_close(opened);
		return error;
	}
	*device = opened;
	return 0;
}

static int soft_device_query(struct aipu_transport_device *device, struct aipu_device_info *info)
{
	const struct aipu_identify *identify = &device->identify;

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
	info->memory_bytes = soft_read64(device, AIPU_REG_MEMORY_LO);
	info->memory_free = soft_memory_free(&device->memory);
	info->cores = soft_read(device, AIPU_REG_CORES);
	info->max_lanes = soft_read(device, AIPU_REG_MAX_LANES);
	info->max_queues = soft_read(device, AIPU_REG_MAX_QUEUES);
	info->max_segments = soft_read(device, AIPU_REG_MAX_SEGMENTS);
	info->longest_step_us = soft_read(device, AIPU_REG_LONGEST_STEP_US);
	return 0;
}

static const struct aipu_transport_ops soft_ops = {
	.version = AIPU_TRANSPORT_VERSION,
	.name = SOFT_NAME,
	.device_open = soft_device_open,
	.device_close = soft_device_close,
	.device_query = soft_device_query,
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
