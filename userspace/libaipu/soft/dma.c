// SPDX-License-Identifier: MIT
/*
 * The bus: which addresses the device reaches, and what memory lies there. The model's threads come here
 * for every access; only ranges that were added are reachable. Must never touch memory outside a region,
 * whatever the device asks for.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "soft.h"

/* Between regions lies at least a gap, so that running over the end of one hits nothing */
#define DMA_FIRST (1ull << 32)
#define DMA_ALIGN (2ull << 20)
#define DMA_GAP (2ull << 20)

void soft_dma_init(struct soft_dma *dma)
{
	memset(dma, 0, sizeof(*dma));
	pthread_rwlock_init(&dma->lock, NULL);
	dma->next = DMA_FIRST;
}

void soft_dma_finish(struct soft_dma *dma)
{
	for (size_t i = 0; i < dma->count; i++) {
		struct soft_region *region = dma->regions[i];

		if (!region->owned)
			continue;
		munmap(region->memory, region->bytes);
		free(region);
	}
	free(dma->regions);
	pthread_rwlock_destroy(&dma->lock);
}

int soft_dma_add(struct soft_dma *dma, void *memory, uint64_t bytes, bool writable,
		 struct soft_region **region)
{
	struct soft_region *added = calloc(1, sizeof(*added));

	if (!added)
		return -ENOMEM;
	added->memory = memory;
	added->bytes = bytes;
	added->writable = writable;
	pthread_rwlock_wrlock(&dma->lock);
	if (dma->count == dma->room) {
		size_t room = dma->room ? dma->room * 2 : 16;
		struct soft_region **regions = realloc(dma->regions, room * sizeof(*regions));

		if (!regions) {
			pthread_rwlock_unlock(&dma->lock);
			free(added);
			return -ENOMEM;
		}
		dma->regions = regions;
		dma->room = room;
	}
	/* Addresses only rise, so the end is the place that keeps the order */
	added->address = dma->next;
	dma->next = (dma->next + bytes + DMA_GAP + DMA_ALIGN - 1) & ~(DMA_ALIGN - 1);
	dma->regions[dma->count++] = added;
	pthread_rwlock_unlock(&dma->lock);
	*region = added;
	return 0;
}

void soft_dma_remove(struct soft_dma *dma, struct soft_region *region)
{
	size_t i = 0;

	pthread_rwlock_wrlock(&dma->lock);
	while (i < dma->count && dma->regions[i] != region)
		i++;
	if (i < dma->count) {
		dma->count--;
		memmove(&dma->regions[i], &dma->regions[i + 1],
			(dma->count - i) * sizeof(dma->regions[0]));
	}
	pthread_rwlock_unlock(&dma->lock);
	/* A copy is at most a few milliseconds, and nobody can begin another */
	while (atomic_load_explicit(&region->users, memory_order_acquire))
		sched_yield();
	free(region);
}

int soft_dma_alloc(struct soft_dma *dma, uint64_t bytes, struct soft_region **region)
{
	void *memory;
	int error;

	bytes = soft_page_align(bytes);
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	error = soft_dma_add(dma, memory, bytes, true, region);
	if (error) {
		munmap(memory, bytes);
		return error;
	}
	(*region)->owned = true;
	return 0;
}

void soft_dma_free(struct soft_dma *dma, struct soft_region *region)
{
	uint8_t *memory;
	uint64_t bytes;

	if (!region)
		return;
	memory = region->memory;
	bytes = region->bytes;
	soft_dma_remove(dma, region);
	munmap(memory, bytes);
}

/* The region that holds the whole range, with a user more; NULL: there is none */
static struct soft_region *region_get(struct soft_dma *dma, uint64_t address, size_t bytes,
				      bool write)
{
	struct soft_region *region = NULL;
	size_t low = 0, high;

	pthread_rwlock_rdlock(&dma->lock);
	high = dma->count;
	/* The last region that begins at or below address */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (dma->regions[middle]->address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low) {
		struct soft_region *found = dma->regions[low - 1];
		uint64_t offset = address - found->address;

		if (offset <= found->bytes && bytes <= found->bytes - offset &&
		    (found->writable || !write)) {
			region = found;
			atomic_fetch_add_explicit(&region->users, 1, memory_order_relaxed);
		}
	}
	pthread_rwlock_unlock(&dma->lock);
	return region;
}

static void region_put(struct soft_region *region)
{
	atomic_fetch_sub_explicit(&region->users, 1, memory_order_release);
}

/*
 * Aligned words are single accesses, as on a bus: the last eight bytes of a completion, and the indices
 * of a token ring, are never seen in halves.
 */
static bool is_word(const void *memory, size_t bytes)
{
	return (bytes == 4 || bytes == 8) && (uintptr_t)memory % bytes == 0;
}

int soft_dma_read(struct soft_dma *dma, uint64_t address, void *to, size_t bytes)
{
	struct soft_region *region = region_get(dma, address, bytes, false);
	const uint8_t *from;
	int error = 0;

	if (!region)
		return -EFAULT;
	from = region->memory + (address - region->address);
	if (is_word(from, bytes) && bytes == 8) {
		uint64_t value = __atomic_load_n((const uint64_t *)from, __ATOMIC_ACQUIRE);

		memcpy(to, &value, sizeof(value));
	} else if (is_word(from, bytes)) {
		uint32_t value = __atomic_load_n((const uint32_t *)from, __ATOMIC_ACQUIRE);

		memcpy(to, &value, sizeof(value));
	} else {
		memcpy(to, from, bytes);
	}
	if (__atomic_load_n(&region->lost, __ATOMIC_RELAXED))
		error = -ENODATA;
	region_put(region);
	return error;
}

int soft_dma_write(struct soft_dma *dma, uint64_t address, const void *from, size_t bytes)
{
	struct soft_region *region = region_get(dma, address, bytes, true);
	uint8_t *to;

	if (!region)
		return -EFAULT;
	to = region->memory + (address - region->address);
	if (is_word(to, bytes) && bytes == 8) {
		uint64_t value;

		memcpy(&value, from, sizeof(value));
		__atomic_store_n((uint64_t *)to, value, __ATOMIC_RELEASE);
	} else if (is_word(to, bytes)) {
		uint32_t value;

		memcpy(&value, from, sizeof(value));
		__atomic_store_n((uint32_t *)to, value, __ATOMIC_RELEASE);
	} else {
		memcpy(to, from, bytes);
	}
	region_put(region);
	return 0;
}

/*
 * No count is kept of direct pointers: the device lets go of them before UNBIND completes, and only then
 * a region is removed.
 */
void *soft_dma_map(struct soft_dma *dma, uint64_t address, size_t bytes, bool write,
		   const volatile bool **lost)
{
	struct soft_region *region = region_get(dma, address, bytes, write);
	uint8_t *memory;

	if (!region)
		return NULL;
	memory = region->memory + (address - region->address);
	if (lost)
		*lost = &region->lost;
	region_put(region);
	return memory;
}
