// SPDX-License-Identifier: MIT
/* The software device. DMA addresses have nothing to do with pointers: a mix-up is found. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "access.h"
#include "aipu/dm.h"

#define HOST_BYTES (1u << 20)
#define HOST_ADDRESS 0x740000000ull
#define ORDER __ATOMIC_SEQ_CST

static uint8_t *host_at(struct access *a, uint64_t address, size_t bytes)
{
	uint64_t offset = address - HOST_ADDRESS;

	return offset <= HOST_BYTES && bytes <= HOST_BYTES - offset ? a->host + offset : NULL;
}

/* An aligned word of 4 or 8 bytes is one access, as on a bus. */
static int bus_copy(void *to, const void *from, size_t bytes)
{
	const uintptr_t bits = (uintptr_t)to | (uintptr_t)from | bytes;

	if (!to || !from)
		return -EFAULT;
	if (bytes == 8 && !(bits & 7))
		__atomic_store_n((uint64_t *)to, __atomic_load_n((uint64_t *)from, ORDER), ORDER);
	else if (bytes == 4 && !(bits & 3))
		__atomic_store_n((uint32_t *)to, __atomic_load_n((uint32_t *)from, ORDER), ORDER);
	else
		memcpy(to, from, bytes);
	return 0;
}

static int soft_read(void *host, uint64_t address, void *to, size_t bytes)
{
	return bus_copy(to, host_at(host, address, bytes), bytes);
}

static int soft_write(void *host, uint64_t address, const void *from, size_t bytes)
{
	return bus_copy(host_at(host, address, bytes), from, bytes);
}

static void soft_interrupt(void *host, unsigned int vector)
{
	struct access *a = host;

	__atomic_fetch_add(&a->interrupts[vector % 8], 1, __ATOMIC_SEQ_CST);
}

int access_open(struct access *a)
{
	static const struct aipu_dm_ops ops = { soft_read, soft_write,
						.interrupt = soft_interrupt };
	const struct aipu_dm_config config = {
		.memory_bytes = 64u << 20, .cores = 2, .max_queues = 4, .vectors = 8, .rollback = 1
	};
	struct aipu_dm *dm;
	uint64_t bytes;

	a->host_address = HOST_ADDRESS;
	a->host = mmap(NULL, HOST_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (a->host == MAP_FAILED || aipu_dm_create(&config, &ops, a, &dm))
		return -ENODEV;
	a->device = dm;
	a->memory = aipu_dm_memory(dm, &bytes, NULL);
	return 0;
}

void access_close(struct access *a)
{
	aipu_dm_destroy(a->device);
}

uint32_t access_read(struct access *a, uint32_t offset)
{
	return aipu_dm_read32(a->device, offset);
}

void access_write(struct access *a, uint32_t offset, uint32_t value)
{
	aipu_dm_write32(a->device, offset, value);
}

/* The device's own thread counts them, or an eventfd adds them up */
void access_settle(struct access *a)
{
	(void)a;
}
