/* SPDX-License-Identifier: GPL-2.0 */
/*
 * I/O queues: rings, slots, results. aipu_ioq.c owns making, ending and interrupts; aipu_jobs.c the life of a job and the ioctl
 * door; aipu_uring.c the io_uring door. The card's word is checked: an id that names no running slot, or a head beyond the ring, is
 * counted and dropped.
 *
 * A job's life: FREE → (submit) QUEUED → (completion, or the queue lost) ENDED, for the ioctl door, until WAIT takes the
 * result → FREE. A job of the uring door goes from QUEUED to FREE with the completion of its command. Cancel of a command
 * (ring exit) takes the command off its slot: the job is aborted and ends unseen. Each step under queue->lock.
 *
 * Sequence numbers: job s stands in place (s - 1) & (entries - 1) of the ring and has this place as its id. The jobs
 * [oldest, next) have a slot that is not FREE, or one before them has; there are at most entries - 1 of them.
 */
#ifndef AIPU_IOQ_H
#define AIPU_IOQ_H

#include <linux/eventfd.h>
#include <linux/hrtimer.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <drm/aipu_accel.h>

#include "aipu_context.h"
#include "aipu_drv.h"

struct io_uring_cmd;

#define AIPU_RING_EVERY 32u /* jobs at most without a doorbell */
#define AIPU_RING_DELAY_NS 1000000u /* a hint that more follow holds this long */

enum aipu_slot_state { AIPU_SLOT_FREE, AIPU_SLOT_QUEUED, AIPU_SLOT_ENDED };

/**
 * struct aipu_slot - a job in flight, or its result
 * @state: see above
 * @opcode: of the job
 * @timeout_ms: of the job
 * @cmd: uring door: the command that waits; NULL: ioctl door, or cancelled, or the kernel's own
 * @quiet: nobody will take the result: to FREE at its end
 * @ended: the kernel's own jobs: called at the end, in interrupt context; NULL
 * @result: valid when ENDED
 */
struct aipu_slot {
	u8 state;
	u8 opcode;
	bool quiet;
	u32 timeout_ms;
	struct io_uring_cmd *cmd;
	void (*ended)(void *arg, const struct drm_aipu_result *result);
	void *arg;
	struct drm_aipu_result result;
};

struct aipu_ioq {
	struct kref refs;
	struct aipu_device *aipu;
	struct aipu_context *context; /* held */
	struct aipu_file *file; /* as context->file */
	struct list_head in_context, on_vector;
	u32 id, entries, kind;
	unsigned int vector;
	u32 coalesce_us;
	struct aipu_job *sq;
	struct aipu_completion *cq;
	dma_addr_t sq_address, cq_address;

	spinlock_t lock;
	bool dead; /* lost or being destroyed: takes no job; all have ended or will when the card is stopped */
	u64 next; /* sequence of the next job */
	u64 oldest;
	u32 sq_head; /* place: entries before it are freed by the card */
	u32 cq_head, phase;
	u32 unrung; /* jobs since the last doorbell */
	struct aipu_slot *slots; /* entries */
	u32 *ended; /* places of ENDED slots in the order of their ends: a ring of `entries` */
	u32 ended_first, ended_count;
	bool token_event; /* an interrupt came without a completion, or with; cleared by WAIT */
	u64 strange; /* completions that were dropped */
	u64 doorbells, interrupts, jobs; /* for debugfs */
	ktime_t progress; /* when the last completion came, or the first job of an empty queue */
	struct hrtimer ring_timer;
	wait_queue_head_t wait;
	struct eventfd_ctx *eventfd;
};

/* aipu_ioq.c */
struct aipu_ioq_options {
	u32 kind, entries, coalesce_count, coalesce_us;
	struct eventfd_ctx *eventfd; /* taken over on success */
};
/* Under aipu_enter() and context->lock. *queue with a reference; published in aipu->queues. */
int aipu_ioq_create(struct aipu_context *context, const struct aipu_ioq_options *options,
		    struct aipu_ioq **queue);
/*
 * Ends it on the card if it is there still; ends all its jobs with -ECANCELED. Under context->lock; the rings are freed when the card
 * no longer has them, which is so after the command, a reset or a disable.
 */
void aipu_ioq_destroy(struct aipu_ioq *queue);
void aipu_ioq_put(struct aipu_ioq *queue);
struct aipu_ioq *aipu_ioq_get(struct aipu_file *file,
			      u32 id); /* a reference or NULL; does not sleep */
void aipu_ioq_interrupt(struct aipu_ioq *queue); /* interrupt context */
bool aipu_ioq_busy(struct aipu_ioq *queue); /* has jobs in flight */
/*
 * Called every 10 ms while jobs are in flight: takes completions that are visible for a whole tick and that no interrupt told of
 * (coalescing taken into account). true: there were some.
 */
bool aipu_ioq_rescue(struct aipu_ioq *queue);
/* Ends all jobs (-ECANCELED, `status`, GUILTY for the one in `guilty_place`, or ~0) and makes it dead. */
void aipu_ioq_lost(struct aipu_ioq *queue, unsigned int status, int error, u32 guilty_place);
/* Lets go of all that a file has of queues, which end with their contexts */
void aipu_queues_close(struct aipu_file *file);
int aipu_ioq_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int aipu_ioq_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int aipu_kick_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

/* aipu_jobs.c */
/* 0, or -EINVAL: what the driver itself refuses of a job that a user gave. Pure. */
int aipu_job_check(const struct aipu_job *job, u32 kind);
/* Pure ring arithmetic, tested by KUnit */
static inline u32 aipu_place(u64 sequence, u32 entries)
{
	return (u32)(sequence - 1) & (entries - 1);
}

/**
 * struct aipu_give - one job to be put on a queue
 */
struct aipu_give {
	struct aipu_job job; /* checked; id and flags are set here */
	u64 sequence;
	bool more; /* the doorbell may wait */
	struct io_uring_cmd *cmd;
	void (*ended)(void *arg, const struct drm_aipu_result *result);
	void *arg;
};
/*
 * The one way to put a job on a queue, for both doors and the kernel. Does not sleep. Under drm_dev_enter(). 0, -ESTALE (another
 * sequence is expected), -EAGAIN (full), -ECANCELED (dead); on every failure the doorbell is rung for what waits.
 */
int aipu_job_give(struct aipu_ioq *queue, struct aipu_give *give);
/* Rings the doorbell if jobs wait for it. Under queue->lock and drm_dev_enter(). */
void aipu_ioq_ring(struct aipu_ioq *queue);
/* Ends a slot with a result: ENDED, FREE, its command or callback. Under queue->lock; interrupt context. */
void aipu_slot_end(struct aipu_ioq *queue, u32 place, const struct drm_aipu_result *result);
int aipu_submit_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int aipu_wait_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int aipu_cancel_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
/* Asks the card to abort a job, without waiting. 0, -ENOENT (it has ended). Sleeps not: the command is given by a work. */
int aipu_job_abort(struct aipu_ioq *queue, u64 sequence);

/* aipu_uring.c */
int aipu_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags);
/* Completes a command by task work. Any context, also under queue->lock. */
void aipu_uring_end(struct io_uring_cmd *cmd, const struct drm_aipu_result *result);

#endif
