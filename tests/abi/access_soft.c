// SPDX-License-Identifier: MIT
/* The software device. DMA addresses have nothing to do with pointers: a mix-up is found. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "access.h"
#include "aipu/dm.h"

#define HOST_BYTES (1u << 20)
#define HOST_ADDRESS 0x740000000ull

static uint8_t *host_at(struct access *a, uint64_t address, size_t bytes)
{
	uint64_t offset = address - HOST_ADDRESS;

	return offset <= HOST_BYTES && bytes <= HOST_BYTES - offset ? a->host + offset : NULL;
}

static int soft_read(void *host, uint64_t address, void *to, size_t bytes)
{
	uint8_t *from = host_at(host, address, bytes);

	return from && memcpy(to, from, bytes) ? 0 : -EFAULT;
}

/* An aligned 64-bit word is one access, as on a bus: the last one of a completion. */
static int soft_write(void *host, uint64_t address, const void *from, size_t bytes)
{
	uint8_t *to = host_at(host, address, bytes);
	uint64_t word;

	if (!to)
		return -EFAULT;
	if (bytes != sizeof(word) || address % sizeof(word))
		return memcpy(to, from, bytes) ? 0 : -EFAULT;
	memcpy(&word, from, sizeof(word));
	__atomic_store_n((uint64_t *)to, word, __ATOMIC_SEQ_CST);
	return 0;
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
	uint64_t bytes;
	int ret;

	a->host_address = HOST_ADDRESS;
	a->host = mmap(NULL, HOST_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (a->host == MAP_FAILED)
		return -errno;
	ret = aipu_dm_create(&config, &ops, a, (struct aipu_dm **)&a->device);
	if (!ret)
		a->memory = aipu_dm_memory(a->device, &bytes, NULL);
	return ret;
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
