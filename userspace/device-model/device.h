/* SPDX-License-Identifier: MIT */
/*
 * Inside the control plane of the device model: the device, its queues, contexts and segments, and what
 * the files that own them call of each other. Programs and compute know model.h only.
 *
 * Who touches what: registers and commands lie under `lock`, and a register access takes nothing else.
 * Doorbells are atomics. All the rest belongs to the engine thread, which is also the only one that does
 * DMA (the other cores work inside a step that it runs); so "no DMA after the acknowledgement" holds
 * because the acknowledgement is the engine's own, between two units of work.
 */
#ifndef AIPU_DM_DEVICE_H
#define AIPU_DM_DEVICE_H

#include <pthread.h>

#include "aipu/firmware.h"
#include "aipu_firmware.h"
#include "arbiter.h"
#include "flash.h"
#include "model.h"
#include "power.h"

#define DM_MAX_CONTEXTS 64u
#define DM_MAX_SEGMENTS 256u
#define DM_MAX_PROGRAMS 64u
#define DM_MAX_LANES 64u
#define DM_MAX_QUEUE_ENTRIES 4096u
#define DM_MAX_QUEUES 1022u
#define DM_MAX_VECTORS 2048u
#define DM_MAX_CORES 256u
#define DM_MAX_PROGRAM_BYTES (16u << 20)
#define DM_MAX_EXTENTS (1u << 20)
#define DM_READY_TIMEOUT_MS 30000u /* unless configured */
#define DM_ROM_VERSION (1u << 24) /* 1.0.0 */
#define DM_MAX_DEFERRED 1024u /* admin commands that wait for something, events included */
#define DM_MAX_EVENT_WAITS 8u
#define DM_SLICE_BYTES (4u << 20) /* of COPY and FILL: one step */
#define DM_POLL_NS 1000000u /* a paused GENERATE looks at its ring at least so often */
#define DM_RESCUE_NS 10000000u /* shadow doorbells that nobody rang for are looked at so often */
#define DM_BRISK 8u /* so often is work to come soon, until it is waited for */
#define DM_HEARTBEAT_NS 50000000u /* a resting device's heartbeat moves so often */
#define DM_PATIENCE \
	10u /* looks of the rescue timer: longer than a host is kept from its processor */
#define DM_NEVER UINT64_MAX

/* --- memory that others write at the same time (dma.c) ---------------------------------------- */

/* memcpy and memmove of bytes that the host may be changing: any mixture of old and new is fine */
void dm_copy_shared(void *to, const void *from, size_t bytes);
void dm_move_shared(void *to, const void *from, size_t bytes);

/*
 * 0, or -EFAULT: not DMA-able, bus master off, or a stop was asked for. *lost (may be NULL) becomes true
 * when the host said that the memory behind the address went away.
 */
int dm_dma_read(struct aipu_dm *dm, uint64_t address, void *to, size_t bytes, bool *lost);
int dm_dma_write(struct aipu_dm *dm, uint64_t address, const void *from, size_t bytes, bool *lost);
bool dm_dma_permitted(struct aipu_dm *dm);

/* --- segments --------------------------------------------------------------------------------- */

struct dm_extent {
	uint64_t start; /* offset in the segment */
	uint64_t address;
	uint64_t bytes;
};

/* One row of a segment table. Immutable but for `refs` and `unbinding`. */
struct dm_binding {
	struct aipu_dm *dm;
	uint8_t kind; /* enum aipu_segment_kind */
	uint8_t access; /* AIPU_ACCESS_* */
	bool unbinding; /* UNBIND waits for refs == 0; nothing new may start */
	uint32_t refs; /* accesses that run */
	uint64_t length;
	uint64_t address; /* DEVICE: offset in device memory */
	uint32_t extent_count; /* HOST; neighbours in DMA space are merged */
	struct dm_extent *extents;
};

/* Checks the descriptor and copies it with its extents. enum aipu_status; *field: offset in it. */
unsigned int dm_binding_create(struct aipu_dm *dm, const struct aipu_segment_descriptor *descriptor,
			       struct dm_binding **out, uint32_t *field);
void dm_binding_destroy(struct dm_binding *binding);
/* Looks a segment up and checks range and access; the binding is held until dm_binding_put */
unsigned int dm_binding_get(struct dm_context *context, uint32_t segment, uint64_t offset,
			    uint64_t length, unsigned int access, struct dm_binding **out);
void dm_binding_put(struct dm_binding *binding);
/* In range, as checked by dm_binding_get */
unsigned int dm_binding_read(struct dm_binding *binding, uint64_t offset, void *to, size_t bytes);
unsigned int dm_binding_write(struct dm_binding *binding, uint64_t offset, const void *from,
			      size_t bytes);
/* DEVICE segments only */
uint8_t *dm_binding_memory(const struct dm_binding *binding, uint64_t offset);

/* --- contexts --------------------------------------------------------------------------------- */

struct dm_context {
	struct aipu_dm *dm;
	uint32_t id;
	uint64_t serial; /* never given twice: tells a context from the next of its id */
	struct dm_binding *segments[DM_MAX_SEGMENTS];
	struct dm_program *programs[DM_MAX_PROGRAMS];
	struct dm_share share; /* of the steps, with all its queues */
	/* For GET_PROGRESS: the job that the engine turned to last */
	struct {
		uint32_t queue, job, running, block, instruction, step;
	} progress;
};

/* `priority`: enum aipu_priority */
int dm_context_create(struct aipu_dm *dm, uint32_t id, unsigned int priority, uint32_t weight);
/* No queue of the context may exist any more */
void dm_context_destroy(struct dm_context *context);

/* --- jobs ------------------------------------------------------------------------------------- */

/* A COPY or FILL that runs */
struct dm_transfer {
	struct dm_binding *src, *dst; /* of the piece in work */
	struct {
		struct dm_binding *src, *dst;
	} * held; /* of each entry of the list */
	uint64_t src_offset, dst_offset, length, done;
	struct aipu_copy_entry *list; /* private copy, or NULL */
	uint32_t list_count, next; /* next list entry to start */
	uint32_t pattern;
	bool fill, verify;
	struct dm_work work; /* of the last step */
	struct evp_md_ctx_st *digest;
	uint8_t *bounce;
};

struct dm_job {
	struct aipu_job entry; /* the device's own copy */
	bool active;
	bool paused;
	uint32_t step_seen, step_start;
	uint64_t started_ns; /* moved forward by each pause: what the time limit counts from */
	uint64_t paused_ns; /* since when */
	uint64_t poll_ns; /* when paused: look again */
	uint64_t busy_ns; /* time in its own steps */
	struct dm_work work; /* of the last one */
	bool spoilt; /* an uncorrected error touched its data */
	/* The work is done, but at a lower clock the last step is not over; how it ends then */
	bool ended;
	unsigned int status;
	uint32_t detail;
	struct dm_transfer *transfer;
	struct dm_step_job *step;
};

enum dm_unit { DM_UNIT_MORE, DM_UNIT_PAUSED, DM_UNIT_DONE };

struct dm_queue;
/* Takes queue->job.entry and starts it. enum aipu_status: when not OK, it has ended. */
unsigned int dm_job_begin(struct dm_queue *queue, uint32_t *detail);
/* One unit of work. On DONE *status and *detail are the job's and nothing is held any more. */
enum dm_unit dm_job_step(struct dm_queue *queue, unsigned int *status, uint32_t *detail);
/* Ends a running job early with `reason`; without write_back no memory of the host is touched */
void dm_job_stop(struct dm_queue *queue, unsigned int reason, bool write_back);

unsigned int dm_transfer_begin(struct dm_context *context, const struct aipu_job *job,
			       struct dm_transfer **out, uint32_t *detail);
/* true: more to do. Else *status is the end. */
bool dm_transfer_step(struct dm_transfer *transfer, unsigned int *status, uint32_t *detail);
void dm_transfer_end(struct dm_transfer *transfer);

/* --- queues ----------------------------------------------------------------------------------- */

struct dm_ring {
	uint64_t address;
	uint8_t *pointer; /* NULL: by dma_read and dma_write */
	size_t bytes;
};

/* What became of a submission entry that will not run: ABORT, RESET_CONTEXT */
struct dm_slot {
	uint32_t seen; /* step counter when the tail passed it */
	uint16_t end; /* AIPU_STATUS_OK: to be run */
	bool posted; /* its completion is out */
	uint16_t id; /* of the job, when end is set */
};

struct dm_queue {
	struct aipu_dm *dm;
	struct dm_context *context; /* NULL: the admin queue */
	uint32_t id;
	uint64_t serial; /* never given twice */
	uint32_t entries;
	unsigned int vector;
	struct dm_ring sq, cq;
	struct dm_ring shadow; /* struct aipu_shadow */
	bool shadowed; /* has one */
	bool awake; /* its shadow doorbells are looked at: the host need not ring */
	bool head_awaited; /* asleep: the host rings for the completions that it takes, too */
	uint32_t patience; /* looks of the timer for which the doorbell of what it found is waited for */
	bool worked; /* since it was idle last */
	uint32_t brisk; /* how often in succession, DM_BRISK at most, work came within config.linger_us */
	uint64_t idle_ns; /* since when it is idle, or was last; 0: was never */
	uint64_t head, tail; /* free running; place = value & (entries - 1) */
	uint64_t cq_head, cq_tail;
	bool closed; /* a doorbell was bad: takes no more entries, ends what it has */
	bool dead; /* a ring is not readable or writable: it says nothing any more */
	uint32_t stopped; /* slots in head..tail with `end` set and not posted */
	struct dm_slot *slots;
	struct dm_job job;
	struct dm_place place; /* among those that wait for a step; share NULL: the admin queue */
	/* Interrupts */
	uint32_t coalesce_count;
	uint64_t coalesce_ns;
	uint32_t unsignalled;
	uint64_t signal_ns; /* when the first of them is due */
};

struct dm_queue_config {
	uint32_t id, entries, vector;
	uint64_t sq_address, cq_address;
	uint32_t coalesce_count, coalesce_us;
	uint64_t shadow_address; /* 0: none */
};

/* -ENOMEM; -EFAULT, -EIO, -ENXIO: the submission ring, the completion ring, the shadow page is not DMA-able */
int dm_queue_create(struct aipu_dm *dm, struct dm_context *context,
		    const struct dm_queue_config *config, struct dm_queue **out);
void dm_queue_destroy(struct dm_queue *queue);
/* Takes in doorbell values. false: one was out of range. */
bool dm_queue_doorbell(struct dm_queue *queue, uint32_t sq_tail, uint32_t cq_head);
uint32_t dm_queue_room(const struct dm_queue *queue); /* free completion places */
/* The entry at a free-running index in head..tail. 0 or -EFAULT. */
int dm_queue_read(struct dm_queue *queue, uint64_t index, void *entry);
/* Needs room. Raises or defers the interrupt. 0 or -EFAULT. */
int dm_queue_post(struct dm_queue *queue, const struct aipu_completion *fields);
/* Marks all queued entries up to the tail as ended */
void dm_queue_stop_all(struct dm_queue *queue, unsigned int status);
/* Posts what stands marked as far as there is room */
void dm_queue_settle(struct dm_queue *queue);
void dm_queue_signal(struct dm_queue *queue); /* raises the interrupt now */

/* --- shadow doorbells (shadow.c) ---------------------------------------------------------------- */

struct dm_doorbell;
/* With queue->shadow: writes the page's events, and is asleep. 0 or -EFAULT. */
int dm_shadow_begin(struct dm_queue *queue);
void dm_shadow_end(struct dm_queue *queue);
/*
 * In place of doorbell values that are in range: the page's tail, and its head where room lacks. 0; -EFAULT; -EAGAIN: it is
 * not the time for DMA.
 */
int dm_shadow_look(struct dm_queue *queue, uint32_t *tail, uint32_t *head);
/* There is work: it is awake from now on. Also for a queue without a shadow page. */
void dm_shadow_wake(struct dm_queue *queue);
/* To be looked at without a doorbell: it is awake, and has used up what it knows of */
bool dm_shadow_due(const struct dm_queue *queue);
/* Asleep, and may be looked at */
bool dm_shadow_asleep(const struct dm_queue *queue);
/*
 * The engine has nothing to do: waits for work of queues that had some a short while ago, until `deadline` at most; the
 * others fall asleep. true: there may be work.
 */
bool dm_shadow_linger(struct aipu_dm *dm, uint64_t deadline);
/*
 * The timer looked at a sleeping queue, whose tail was `before`. Entries that it found are counted once it is certain that no
 * doorbell comes for them; until then the queue is not woken, since its host may be about to look at the event. true: wake it
 */
bool dm_shadow_rescue(struct dm_queue *queue, uint64_t before);
/* The doorbell came for what the timer had found: wake it now */
bool dm_shadow_told(const struct dm_queue *queue);
/* Under lock: the doorbell was written. */
void dm_shadow_rung(struct aipu_dm *dm, struct dm_doorbell *doorbell, uint32_t value);

/* --- the device --------------------------------------------------------------------------------- */

/* Written by register accesses, read by the engine */
struct dm_doorbell {
	atomic_uint tail, head;
	atomic_bool kick;
	/* Under lock: entries that were found without a doorbell, which may still be under way; ring index of the first */
	uint32_t found, found_at, mask;
};

enum dm_stop { DM_STOP_NONE, DM_STOP_DISABLE, DM_STOP_RESET };

struct dm_enable {
	uint32_t host_oldest, host_newest;
	struct dm_queue_config admin;
};

#define DM_STORED_REGISTERS (0x200u / 4)

struct aipu_dm {
	struct aipu_dm_config config; /* with the defaults filled in */
	struct aipu_dm_ops ops;
	void *host;
	uint8_t *memory;
	int memory_fd;
	struct dm_cores *cores;
	const struct aipu_kernels *kernels;
	struct dm_limits limits; /* what the device offers; abi_* is set by boot */
	pthread_t engine;

	pthread_mutex_t lock;
	pthread_cond_t wake; /* for the engine */
	pthread_cond_t boundary_passed; /* for those who wait for it */
	/* Under lock: */
	uint32_t stored[DM_STORED_REGISTERS]; /* what the host wrote */
	unsigned int state; /* AIPU_STATE_* */
	unsigned int error; /* AIPU_ERROR_* */
	bool enabled; /* CONTROL.ENABLE */
	bool quit;
	enum dm_stop stop;
	bool load_pending, enable_pending;
	bool flash_pending; /* the boot ROM is to look at the flash */
	bool recovery; /* CONTROL.RECOVERY came with the RESET: it is not */
	uint64_t load_address;
	uint32_t load_bytes;
	struct dm_enable enable;
	struct aipu_firmware_header firmware; /* version 0: none runs */
	uint32_t boot_source; /* of it: enum aipu_boot_source */
	uint32_t slot_errors[DM_FLASH_SLOTS]; /* copies of flash.errors */
	uint32_t rollback; /* of dm_flash_rollback() */
	uint32_t abi_in_use, reset_count;
	bool sleeping, idle;
	bool hung; /* by fault.c */
	uint64_t sleep_ns; /* CLOCK_MONOTONIC, since when the engine sleeps */
	uint32_t heartbeat;
	uint64_t boundaries;
	uint64_t stops; /* stops acknowledged */
	uint32_t rescues; /* AIPU_REG_RESCUES */

	atomic_uint generation; /* moved by each stop that is asked for */
	atomic_bool bus_master;
	atomic_uint gate; /* odd: the mount refuses DMA */
	atomic_bool rung; /* some doorbell was written */
	struct dm_doorbell *doorbells; /* config.max_queues + 1 */

	struct dm_power power;
	/* Telemetry: written by the engine */
	atomic_uint steps, longest_us;
	_Atomic uint64_t busy_ns;

	/* The engine's own: */
	unsigned int engine_generation;
	unsigned int fatal; /* AIPU_ERROR_* that ends everything at the next boundary */
	uint64_t step_end; /* the last step, made longer by a lower clock, is over then; 0: it is */
	uint32_t ending; /* queue whose job has `ended` set; 0: none */
	struct dm_queue *admin;
	struct dm_queue **queues; /* by id, 1..config.max_queues */
	uint32_t shadows, awake; /* queues with a shadow page, those of them that are awake */
	uint64_t rescue_ns; /* when those that sleep are looked at next */
	struct dm_arbiter arbiter;
	uint64_t serial; /* the last one given to a queue or context */
	struct dm_context *contexts[DM_MAX_CONTEXTS + 1];
	struct dm_deferred *deferred; /* in order */
	uint32_t deferred_count, event_waits;
	struct dm_flash flash;
	uint32_t events; /* bit n: enum aipu_event n happened and was not reported */
};

uint64_t dm_clock(const struct aipu_dm *dm);
uint64_t dm_real_clock(void); /* CLOCK_MONOTONIC, for heartbeat and sleeping */
uint32_t dm_steps(struct aipu_dm *dm);
/* A stop was asked for and is not acknowledged yet */
bool dm_stopping(struct aipu_dm *dm);
/* Under lock; the engine notices at its next boundary */
void dm_stop_request(struct aipu_dm *dm, enum dm_stop stop);
/* Barriers passed so far: shows that a long step is alive. Any thread. */
unsigned int dm_cores_progress(struct dm_cores *cores);

/* boot.c; the engine calls. enum aipu_error. */
struct aipu_firmware_policy dm_boot_policy(const struct aipu_dm *dm);
/* Cuts the range of versions that the image speaks down to the boot ROM's */
void dm_boot_narrow(const struct aipu_dm *dm, struct aipu_firmware_header *firmware);
unsigned int dm_boot_load(struct aipu_dm *dm, uint64_t address, uint32_t bytes,
			  struct aipu_firmware_header *firmware);
unsigned int dm_boot_enable(struct aipu_dm *dm, const struct aipu_firmware_header *firmware,
			    const struct dm_enable *enable, uint32_t *abi_in_use);

/* engine.c */
/* After power-on or RESET, firmware gone; under lock, or before there is an engine */
void dm_rom_begin(struct aipu_dm *dm);
void *dm_engine_main(void *aipu_dm);
/* Drops everything that ENABLE and the admin queue made, without any DMA */
void dm_engine_clear(struct aipu_dm *dm);
void dm_engine_event(struct aipu_dm *dm, enum aipu_event event);
/* Sleeps until CLOCK_MONOTONIC says `until`, or until woken; under lock. HEARTBEAT goes on by the clock. */
void dm_engine_sleep(struct aipu_dm *dm, uint64_t until);
/* A queue's ring is not usable, or the admin queue's doorbell: it is dead. enum aipu_error */
void dm_engine_queue_failed(struct dm_queue *queue, unsigned int error);
/* Ends the running job, if any, and posts its completion */
void dm_engine_end_job(struct dm_queue *queue, unsigned int reason);

/* fault.c: what the host wants to go wrong here; a wait is over already, see dm_stopping. Engine thread, without lock. */
struct aipu_dm_fault dm_fault_at(struct aipu_dm *dm, enum aipu_dm_point point);
/* Spoils a completion that is about to be written, if it is to be spoilt */
void dm_fault_completion(struct dm_queue *queue, struct aipu_completion *completion);

/* admin.c: runs new commands. true: something was done. */
bool dm_admin_pass(struct aipu_dm *dm);

/* deferred.c: admin commands that wait, in order */
struct dm_deferred {
	struct dm_deferred *next;
	uint8_t opcode; /* UNBIND, ABORT, RESET_CONTEXT, ASYNC_EVENT */
	uint16_t id;
	uint32_t object; /* id of the context; ABORT: of the queue */
	uint32_t segment; /* UNBIND */
	uint64_t serial; /* of the object: its id may have been given anew */
	uint64_t index; /* ABORT: free-running index of the entry */
	uint32_t seen, start;
};
/* false: too many wait already, or no memory */
bool dm_deferred_add(struct aipu_dm *dm, const struct dm_deferred *deferred);
/* Completes those whose condition holds. true: there was one. */
bool dm_deferred_pass(struct aipu_dm *dm);
void dm_deferred_clear(struct aipu_dm *dm);
/* Posts an admin completion; the caller made sure of room */
void dm_admin_complete(struct aipu_dm *dm, uint16_t id, unsigned int status, uint32_t detail,
		       uint32_t seen, uint32_t start);

void dm_full_fence(void);

#endif
