// SPDX-License-Identifier: MIT
/*
 * DMA: the only file that reaches host memory by address. Called by the engine thread. Each access asks first
 * whether it may: with the bus master off, or once a stop was asked for, it fails and touches nothing.
 * Memory here is shared with a host that may write it at any time, so copies never assume that two reads agree.
 */
#include "device.h"

#include <errno.h>
#include <string.h>

#if defined(__SANITIZE_THREAD__)
#define DM_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define DM_TSAN 1
#endif
#endif

/*
 * An aligned word is one access: a completion's last eight bytes and a token ring's indices are never seen
 * in halves. false: not such a word, nothing was done.
 */
#ifdef DM_TSAN
__attribute__((no_sanitize("thread")))
#endif
static bool
copy_word(void *to, const void *from, size_t bytes)
{
	uintptr_t bits = (uintptr_t)to | (uintptr_t)from;

	if (bytes == 4 && bits % 4 == 0)
		*(volatile uint32_t *)to = *(const volatile uint32_t *)from;
	else if (bytes == 8 && bits % 8 == 0)
		*(volatile uint64_t *)to = *(const volatile uint64_t *)from;
	else
		return false;
	return true;
}

#ifdef DM_TSAN
/*
 * A host that rewrites memory under the device's hands is legal and harmless: what was copied is checked
 * afterwards. memcpy would be reported as a race, so these copies are not instrumented.
 */
__attribute__((no_sanitize("thread"))) void dm_copy_shared(void *to, const void *from, size_t bytes)
{
	volatile uint8_t *out = to;
	const volatile uint8_t *in = from;
	size_t i = 0;

	if (copy_word(to, from, bytes))
		return;
	if (((uintptr_t)to | (uintptr_t)from) % 8 == 0)
		for (; i + 8 <= bytes; i += 8)
			*(volatile uint64_t *)(out + i) = *(const volatile uint64_t *)(in + i);
	for (; i < bytes; i++)
		out[i] = in[i];
}

__attribute__((no_sanitize("thread"))) void dm_move_shared(void *to, const void *from, size_t bytes)
{
	volatile uint8_t *out = to;
	const volatile uint8_t *in = from;

	if ((uintptr_t)to <= (uintptr_t)from) {
		dm_copy_shared(to, from, bytes);
		return;
	}
	while (bytes--)
		out[bytes] = in[bytes];
}
#else
void dm_copy_shared(void *to, const void *from, size_t bytes)
{
	if (!copy_word(to, from, bytes))
		memcpy(to, from, bytes);
}

void dm_move_shared(void *to, const void *from, size_t bytes)
{
	memmove(to, from, bytes);
}
#endif

void dm_full_fence(void)
{
#if defined(__x86_64__)
	/* Not a lock-prefixed operation: under emulation with one CPU those order nothing between processes. */
	__builtin_ia32_mfence();
#else
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

bool dm_dma_permitted(struct aipu_dm *dm)
{
	return atomic_load(&dm->bus_master) && !dm_stopping(dm);
}

/* NULL: no direct way */
static void *map(struct aipu_dm *dm, uint64_t address, size_t bytes, bool write,
		 const volatile bool **lost)
{
	*lost = NULL;
	if (!dm->ops.dma_map || !bytes)
		return NULL;
	return dm->ops.dma_map(dm->host, address, bytes, write, lost);
}

static void unmap(struct aipu_dm *dm, void *pointer, size_t bytes, const volatile bool *flag,
		  bool *lost)
{
	if (lost && flag && *flag)
		*lost = true;
	dm->ops.dma_unmap(dm->host, pointer, bytes);
}

int dm_dma_read(struct aipu_dm *dm, uint64_t address, void *to, size_t bytes, bool *lost)
{
	const volatile bool *flag;
	void *pointer;

	if (!dm_dma_permitted(dm) || address + bytes < address)
		return -EFAULT;
	if (!bytes)
		return 0;
	pointer = map(dm, address, bytes, false, &flag);
	if (!pointer)
		return dm->ops.dma_read(dm->host, address, to, bytes) ? -EFAULT : 0;
	dm_copy_shared(to, pointer, bytes);
	unmap(dm, pointer, bytes, flag, lost);
	return 0;
}

int dm_dma_write(struct aipu_dm *dm, uint64_t address, const void *from, size_t bytes, bool *lost)
{
	const volatile bool *flag;
	void *pointer;

	if (!dm_dma_permitted(dm) || address + bytes < address)
		return -EFAULT;
	if (!bytes)
		return 0;
	pointer = map(dm, address, bytes, true, &flag);
	if (!pointer)
		return dm->ops.dma_write(dm->host, address, from, bytes) ? -EFAULT : 0;
	dm_copy_shared(pointer, from, bytes);
	unmap(dm, pointer, bytes, flag, lost);
	return 0;
}
