/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The device as the driver knows it, and the words of its registers. Everything else stands in the
 * header of the file that owns it. Hardware is devm_ (gone at unbind); what an open file can still
 * reach is drmm_ (gone with the last file).
 *
 * Locks, outer first; all but the first are taken inside drm_dev_enter():
 *   own_lock, context->unbind_lock: one user at a time of the kernel's own queue; of an UNBIND
 *   turn (aipu_reset.c): whoever stops or starts the card
 *   reset_lock (rwsem): read: makes, uses or ends an object on the card; write: reset, suspend.
 *     Never held while waiting for a user's job or memory
 *   context->lock: segments, programs and queues of one context
 *   memory_lock: the allocator of device memory
 *   flash->lock, sensors->lock: one flash command at a time; one who sets limits
 *   queue->lock (irqsave): rings, slots and results of one queue; taken in interrupts
 *   admin.lock (irqsave): the admin queue; taken in interrupts, never inside queue->lock
 *
 * Epoch: every reset of the card begins a new one. A context, and all that it has, belongs to the
 * epoch in which it was made; in a later one it is lost: calls on it fail with -ECANCELED, and
 * destroying it only frees what the host has.
 */
#ifndef AIPU_DRV_H
#define AIPU_DRV_H

#include <linux/io.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/rwsem.h>
#include <linux/xarray.h>
#include <drm/drm_mm.h>
#include <drm/drm_print.h>
#include <drm/drm_device.h>

#include "aipu_admin.h"
#include "aipu_registers.h"

/* The driver's own limits, where a card may offer more */
#define AIPU_MAX_QUEUES 1024u
#define AIPU_MAX_ENTRIES 4096u
#define AIPU_MAX_CONTEXTS 192u
#define AIPU_MAX_SEGMENTS 4096u
#define AIPU_MAX_PROGRAMS 1024u
#define AIPU_MAX_EXTENTS ((u32)BIT(20))
#define AIPU_MAX_VECTORS 64u

/*
 * What the card said of itself once its firmware ran; never changes while it is bound, but at a
 * reset
 */
struct aipu_limits {
	u64 capabilities, operations, formats, memory_bytes, serial;
	u32 kv_formats, kv_kinds, numerics, layouts, activations;
	u32 cores, board_id, firmware_version, abi_oldest, abi_newest, abi_in_use;
	u32 max_queues, max_queue_entries, max_contexts, max_segments, max_programs, max_lanes;
	u32 vectors, ready_timeout_ms, max_program_bytes, max_extents;
	u32 rom_version, boot_source, slot_errors[2], rollback;
};

struct aipu_context;
struct aipu_flash;
struct aipu_ioq;
struct aipu_reset;
struct aipu_sensors;
struct aipu_watch;

/* An interrupt vector and the queues that share it */
struct aipu_vector {
	struct aipu_device *aipu;
	spinlock_t lock;
	struct list_head queues; /* of struct aipu_ioq.on_vector */
	unsigned int index;
};

enum aipu_state { AIPU_READY, AIPU_RESETTING, AIPU_WEDGED };

struct aipu_device {
	struct drm_device drm;
	struct pci_dev *pdev;
	/* BAR0; touched under drm_dev_enter(), or under queue->lock of a queue that is not dead */
	void __iomem *registers;
	resource_size_t register_bytes;
	resource_size_t memory_start, memory_bytes; /* BAR2 */
	/* 0: the admin queue's, and others' where it is the only one */
	struct aipu_vector vector[AIPU_MAX_VECTORS];
	unsigned int vectors;
	struct aipu_limits limits;
	struct aipu_identify identify; /* what IDENTIFY wrote */
	struct aipu_admin_ring admin;

	struct rw_semaphore reset_lock;
	enum aipu_state state; /* under reset_lock; read without it for messages */
	u64 epoch; /* under reset_lock */
	bool recovery; /* the boot ROM shall start nothing of its own; with the turn */
	atomic_t resets;
	struct aipu_reset *reset; /* aipu_reset.c's */
	struct aipu_watch *watch; /* aipu_watch.c's */
	struct aipu_sensors *sensors; /* aipu_sensors.c's */
	struct aipu_flash *flash; /* aipu_flash.c's */

	struct xarray
		contexts; /* by id on the card; all that are there, of all files and the kernel's */
	struct xarray queues; /* likewise */
	struct aipu_context *own; /* the kernel's context, for FILL; under reset_lock */
	struct aipu_ioq *own_queue;
	struct mutex own_lock; /* one user of own_queue at a time; taken before reset_lock */

	struct mutex memory_lock;
	struct drm_mm memory; /* device memory: offsets in BAR2 */
	u64 memory_total, memory_used;
};

/* An open file: drm_file.driver_priv */
struct aipu_file {
	struct kref refs; /* the open file's own, and one of each buffer in device memory */
	struct aipu_device *aipu;
	struct drm_file *drm;
	/*
	 * By ids of the file's own, from 1: the card gives its ids anew after a reset. Each entry
	 * holds a reference.
	 */
	struct xarray contexts; /* of struct aipu_context */
	struct xarray queues; /* of struct aipu_ioq */
	atomic64_t memory_used; /* bytes of device memory of this file's buffers */
	atomic64_t busy_ns; /* device time of its jobs that ended */
	atomic64_t busy_shown; /* the most that fdinfo said of it: never less */
	atomic64_t jobs;
};

static inline struct aipu_device *to_aipu(struct drm_device *drm)
{
	return container_of(drm, struct aipu_device, drm);
}

static inline u32 aipu_read(const struct aipu_device *aipu, u32 offset)
{
	return readl(aipu->registers + offset);
}

static inline u64 aipu_read64(const struct aipu_device *aipu, u32 low)
{
	return aipu_read(aipu, low) | (u64)aipu_read(aipu, low + 4) << 32;
}

/* Of a counter that moves: the low half belongs to a high half that is the same before and after */
static inline u64 aipu_read_counter(const struct aipu_device *aipu, u32 low)
{
	u32 high, value, after = aipu_read(aipu, low + 4);
	unsigned int tries = 4; /* It moves once in 2^32: a card whose does not is not believed. */

	do {
		high = after;
		value = aipu_read(aipu, low);
		after = aipu_read(aipu, low + 4);
	} while (high != after && --tries);
	return high == after ? value | (u64)high << 32 : U64_MAX;
}

static inline void aipu_write(const struct aipu_device *aipu, u32 offset, u32 value)
{
	writel(value, aipu->registers + offset);
}

static inline void aipu_write64(const struct aipu_device *aipu, u32 low, u64 value)
{
	aipu_write(aipu, low, lower_32_bits(value));
	aipu_write(aipu, low + 4, upper_32_bits(value));
}

/* A function that is gone reads all ones */
static inline bool aipu_gone(u32 value)
{
	return value == ~0u;
}

void aipu_file_put(struct aipu_file *file);

/*
 * For an ioctl that needs the card as it is: drm_dev_enter() and reset_lock for reading. 0, -ENODEV
 * (unplugged), -EIO (wedged), -ERESTARTSYS (killed while a reset was under way), -ECANCELED (a
 * reset is about to begin).
 */
int aipu_enter(struct aipu_device *aipu, int *idx);
/*
 * For who only reads registers: likewise, but it never waits, and has a wedged card too. 0,
 * -ENODEV, -EBUSY: the card is being reset, or about to be.
 */
int aipu_look(struct aipu_device *aipu, int *idx);
void aipu_exit(struct aipu_device *aipu, int idx);

/* For messages: "1.0" as two arguments of "%u.%u" */
#define AIPU_ABI_ARGS(version) AIPU_ABI_MAJOR(version), AIPU_ABI_MINOR(version)
#define AIPU_FIRMWARE_ARGS(version) (version) >> 24, (version) >> 16 & 0xff, lower_16_bits(version)

#endif
