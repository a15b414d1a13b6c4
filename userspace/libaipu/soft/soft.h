/* SPDX-License-Identifier: MIT */
/*
 * Inside the soft transport: a driver for the device model. It plays the kernel's part towards a device
 * (boot, admin queue, rings, segment tables) and the bus's (DMA, interrupts). It reaches the model only
 * through registers, BAR2 and the DMA that it serves; nothing here may call any other part of the model.
 */
#ifndef AIPU_SOFT_H
#define AIPU_SOFT_H

#include <pthread.h>
#include <stdatomic.h>

#include "aipu/dm.h"
#include "aipu/flash_file.h"
#include "aipu_queue.h"
#include "aipu_registers.h"
#include "transport.h"

#define SOFT_NAME "soft"
#define SOFT_READY_TIMEOUT_MS \
	5000u /* what an image that never comes up costs each time it is tried */

static inline uint64_t soft_page_align(uint64_t bytes)
{
	return (bytes + AIPU_PAGE_BYTES - 1) & ~(uint64_t)(AIPU_PAGE_BYTES - 1);
}

int64_t soft_now_ns(void);

/* --- dma.c: what the device can reach ---------------------------------------------------------- */

/* A range of bus addresses and the memory behind it */
struct soft_region {
	uint64_t address; /* of the bus */
	uint64_t bytes;
	uint8_t *memory;
	bool writable;
	bool owned; /* mapped by soft_dma_alloc */
	bool lost; /* atomic: a part of the file behind it has gone, and reads as zeros since */
	atomic_uint users; /* copies that run */
};

struct soft_dma {
	pthread_rwlock_t lock;
	struct soft_region **regions; /* sorted by address */
	size_t count, room;
	uint64_t next; /* addresses are never used twice: a stale one hits nothing */
};

void soft_dma_init(struct soft_dma *dma);
/* Frees what is left of owned memory. The device must be gone. */
void soft_dma_finish(struct soft_dma *dma);
int soft_dma_add(struct soft_dma *dma, void *memory, uint64_t bytes, bool writable,
		 struct soft_region **region);
/* Returns when no access runs. What the device has mapped directly, it must have let go. */
void soft_dma_remove(struct soft_dma *dma, struct soft_region *region);
/* Zeroed, page aligned memory with a region, and its release; NULL is permitted there */
int soft_dma_alloc(struct soft_dma *dma, uint64_t bytes, struct soft_region **region);
void soft_dma_free(struct soft_dma *dma, struct soft_region *region);

int soft_dma_read(struct soft_dma *dma, uint64_t address, void *to, size_t bytes);
int soft_dma_write(struct soft_dma *dma, uint64_t address, const void *from, size_t bytes);
void *soft_dma_map(struct soft_dma *dma, uint64_t address, size_t bytes, bool write,
		   const volatile bool **lost);

/* --- sigbus.c: mapped files that become shorter ------------------------------------------------- */

/* From now on a SIGBUS in [memory, memory + bytes) maps zeros there and sets *lost. 0, -ENOMEM */
int soft_sigbus_watch(void *memory, size_t bytes, bool *lost);
void soft_sigbus_unwatch(void *memory);

/* --- memory.c: device memory -------------------------------------------------------------------- */

struct soft_block {
	struct soft_block *next;
	uint64_t offset, bytes;
	bool used;
};

struct soft_memory {
	pthread_mutex_t lock;
	struct soft_block *blocks; /* ascending, without gaps; no two free ones side by side */
	uint64_t bytes, free;
};

int soft_memory_init(struct soft_memory *memory, uint64_t bytes);
void soft_memory_finish(struct soft_memory *memory);
/* -ENOSPC: no stretch that long is free */
int soft_memory_take(struct soft_memory *memory, uint64_t bytes, uint64_t *offset);
void soft_memory_give(struct soft_memory *memory, uint64_t offset);
uint64_t soft_memory_free(struct soft_memory *memory);

/* --- admin.c: queue 0 --------------------------------------------------------------------------- */

#define SOFT_ADMIN_ENTRIES 64u
#define SOFT_ADMIN_SLOTS 32u
/* Commands that wait for an event: of more between two looks those of one kind count as one */
#define SOFT_ADMIN_EVENTS 4u

struct soft_admin_slot {
	enum { SOFT_ADMIN_FREE, SOFT_ADMIN_WAITING, SOFT_ADMIN_DONE, SOFT_ADMIN_EVENT } state;
	struct aipu_completion completion;
};

struct soft_admin {
	pthread_mutex_t lock; /* never held while a command is waited for */
	struct soft_region *ring;
	struct aipu_admin *sq;
	struct aipu_completion *cq;
	uint32_t sq_tail, sq_head, cq_head;
	uint16_t phase;
	struct soft_admin_slot slots[SOFT_ADMIN_SLOTS];
	uint32_t events[AIPU_EVENT_RAS + 1]; /* by kind, since the device was opened */
};

/* For each ENABLE, and its end; the lock lives as long as the device */
int soft_admin_init(struct aipu_transport_device *device);
void soft_admin_finish(struct aipu_transport_device *device);
/* READY: from now on events are counted */
void soft_admin_watch(struct aipu_transport_device *device);
/* How many there were by now */
uint32_t soft_admin_events(struct aipu_transport_device *device, enum aipu_event event);
/*
 * Runs a command (its id is given here) and returns the device's status >= 0, or -EIO: the device is
 * dead. Any number of threads at once; one that takes long delays no other.
 */
int soft_admin_run(struct aipu_transport_device *device, struct aipu_admin *command,
		   uint32_t *detail);
/* The same with the status as -errno */
int soft_admin_command(struct aipu_transport_device *device, struct aipu_admin *command);

/* --- flash.c: the file that plays the device's flash --------------------------------------------- */

struct soft_flash {
	struct aipu_flash_file *file; /* NULL: the device has none */
	int missing; /* then: why, -errno, where there should be one */
	/* false: what the boot ROM does before it is told otherwise leaves no trace */
	atomic_bool writable;
	atomic_int failed; /* -errno of the last write that failed, since it was last asked for */
};

/* Of the user's state directory; none is no error */
void soft_flash_open(struct soft_flash *flash);
void soft_flash_close(struct soft_flash *flash);
/* For struct aipu_dm_ops */
int soft_flash_read(struct soft_flash *flash, uint64_t offset, void *to, size_t bytes);
int soft_flash_write(struct soft_flash *flash, uint64_t offset, const void *from, size_t bytes);
/* READY: other processes may write, until a command of this one does */
void soft_flash_release(struct soft_flash *flash);
/* The boot ROM passed a slot over, as another process has the flash: it may be better in a moment */
bool soft_flash_contended(struct aipu_transport_device *device);

/* --- the transport's objects -------------------------------------------------------------------- */

/* A set of small ids: contexts, segments, programs, queues */
struct soft_ids {
	uint8_t *used;
	uint32_t first, end, hint;
};

int soft_ids_init(struct soft_ids *ids, uint32_t first, uint32_t end);
void soft_ids_finish(struct soft_ids *ids);
/* -ENOSPC. The caller holds the lock that guards the set. */
int soft_ids_take(struct soft_ids *ids);
void soft_ids_give(struct soft_ids *ids, uint32_t id);

struct aipu_transport_device {
	struct aipu_dm *dm;
	struct soft_dma dma;
	struct soft_memory memory;
	struct soft_admin admin;
	uint8_t *bar2; /* device memory, mapped */
	struct aipu_identify identify;
	uint32_t max_segments, max_programs, max_entries, vectors;
	bool spins; /* more than one CPU: a short spin before sleeping */

	/* Interrupts: taken by the model's threads, and never held while the model is called */
	pthread_mutex_t interrupt_lock;
	pthread_cond_t interrupt_cond;
	uint64_t admin_interrupts;
	struct aipu_transport_queue *queues; /* that may be woken */

	/* For reading: who gives the device commands of its own; for writing: a reset. After zero_lock */
	pthread_rwlock_t gate;
	atomic_uint open_contexts; /* the transport's own counts too */
	uint32_t resets; /* under `gate` */

	struct soft_flash flash;

	pthread_mutex_t lock; /* guards the next five */
	struct soft_ids contexts, queue_ids;
	uint32_t beat; /* the heartbeat when it was last looked at, */
	int64_t beat_checked_ns, beat_still_ns; /* when, and how long it has stood still by then */
	bool dead; /* atomic: it did not answer; its memory is given back when it is closed */

	pthread_mutex_t zero_lock; /* guards the context and queue that clear device memory */
	struct aipu_transport_context *zero_context;
	struct aipu_transport_queue *zero_queue;
};

struct aipu_transport_buffer {
	struct aipu_transport_device *device;
	struct soft_region *region; /* host memory; NULL: device memory */
	uint64_t offset; /* in device memory */
	uint64_t bytes;
	enum { SOFT_HOST, SOFT_DEVICE, SOFT_IMPORT, SOFT_FILE } kind;
	atomic_uint bound;
};

struct aipu_transport_context {
	struct aipu_transport_device *device;
	uint32_t id;
	pthread_mutex_t lock; /* guards the rest */
	struct soft_ids segments, programs;
	struct aipu_transport_buffer **bound; /* by segment id */
	struct soft_region *extents; /* one page, for BIND */
};

struct aipu_transport_queue {
	struct aipu_transport_context *context;
	struct aipu_transport_queue *next; /* in device->queues */
	uint32_t id, vector;
	uint32_t entries; /* of both rings */
	struct soft_region *ring;
	struct aipu_job *sq;
	struct aipu_completion *cq;
	uint32_t sq_tail, sq_head;
	uint32_t cq_head, cq_told; /* what the device knows of it */
	atomic_uint running; /* submitted and not reaped */
	uint16_t phase;
	int event; /* eventfd */
	atomic_bool signalled; /* event was written since it was last read */
};

/* boot.c */
uint32_t soft_read(struct aipu_transport_device *device, uint32_t offset);
uint64_t soft_read64(struct aipu_transport_device *device, uint32_t offset);
void soft_write(struct aipu_transport_device *device, uint32_t offset, uint32_t value);
void soft_write64(struct aipu_transport_device *device, uint32_t offset, uint64_t value);
/* Firmware, contract version, admin queue: from any state to READY, and back */
int soft_boot(struct aipu_transport_device *device, const char *firmware,
	      struct aipu_message *message);
void soft_stop(struct aipu_transport_device *device);
/* The same from power-on: AIPU_CONTROL_RESET, perhaps with RECOVERY. Under the gate, for writing */
int soft_restart(struct aipu_transport_device *device, uint32_t control,
		 struct aipu_message *message);
/* -EIO once the device has failed or stands still. Looks at its registers; called by whoever waits. */
int soft_check_alive(struct aipu_transport_device *device);
/* The image in this shared object (made at build time by aipu-fw) */
extern const unsigned char aipu_soft_firmware[];
extern const unsigned char aipu_soft_firmware_end[];

/* manage.c */
int soft_telemetry(struct aipu_transport_device *device, struct aipu_telemetry *telemetry);
int soft_set_limits(struct aipu_transport_device *device, uint32_t power_mw, uint32_t clock_mhz);
int soft_reset(struct aipu_transport_device *device, unsigned int flags,
	       struct aipu_message *message);
int soft_flash_command(struct aipu_transport_device *device, unsigned int op, uint32_t slot,
		       uint64_t offset, void *data, uint32_t bytes, uint32_t *error);

/* transport.c: what the device offers; at first it sizes what is kept of it, then it has to be the same */
int soft_limits_read(struct aipu_transport_device *device, struct aipu_message *message);

/* context.c */
int soft_context_create(struct aipu_transport_device *device,
			const struct aipu_context_options *options,
			struct aipu_transport_context **context);
void soft_context_destroy(struct aipu_transport_context *context);
int soft_context_reset(struct aipu_transport_context *context);
int soft_segment_bind(struct aipu_transport_context *context, struct aipu_transport_buffer *buffer,
		      uint64_t offset, uint64_t length, unsigned int access);
int soft_segment_unbind(struct aipu_transport_context *context, uint32_t segment);
int soft_program_load(struct aipu_transport_context *context, uint32_t segment, uint64_t offset,
		      uint32_t bytes, uint32_t *id, uint32_t *detail);
int soft_program_unload(struct aipu_transport_context *context, uint32_t id);

/* buffer.c */
int soft_buffer_create(struct aipu_transport_device *device, enum aipu_buffer_kind kind,
		       uint64_t bytes, unsigned int flags, struct aipu_transport_buffer **buffer);
int soft_buffer_import(struct aipu_transport_device *device, void *memory, uint64_t bytes,
		       unsigned int access, struct aipu_transport_buffer **buffer);
int soft_buffer_map_file(struct aipu_transport_device *device, int fd, uint64_t offset,
			 uint64_t bytes, struct aipu_transport_buffer **buffer);
int soft_buffer_destroy(struct aipu_transport_buffer *buffer);
void *soft_buffer_data(struct aipu_transport_buffer *buffer);
void soft_zero_finish(struct aipu_transport_device *device);

/* queue.c */
int soft_queue_create(struct aipu_transport_context *context, uint32_t capacity,
		      struct aipu_transport_queue **queue);
void soft_queue_destroy(struct aipu_transport_queue *queue);
int soft_queue_submit(struct aipu_transport_queue *queue, const struct aipu_job *jobs,
		      uint32_t count);
int soft_queue_reap(struct aipu_transport_queue *queue, struct aipu_completion *completions,
		    uint32_t count);
int soft_queue_wait(struct aipu_transport_queue *queue, int64_t timeout_ns);
int soft_queue_fd(struct aipu_transport_queue *queue);
int soft_queue_abort(struct aipu_transport_queue *queue, uint16_t id);
int soft_queue_kick(struct aipu_transport_queue *queue);
/* Makes its fd readable; any thread */
void soft_queue_signal(struct aipu_transport_queue *queue);
/* Takes the completion at *head of a ring of n, if it is there; advances head and phase */
bool soft_completion_take(const struct aipu_completion *ring, uint32_t entries, uint32_t *head,
			  uint16_t *phase, struct aipu_completion *completion);

#endif
