/* SPDX-License-Identifier: GPL-2.0 */
/*
 * I/O queues: rings, slots, results. aipu_ioq.c owns making, ending and interrupts; aipu_jobs.c the
 * life of a job and the ioctl door; aipu_uring.c the io_uring door; aipu_ring.h the arithmetic. The
 * card's word is checked: an id that names no running slot, or a head beyond the ring, is counted
 * and dropped.
 *
 * A job's life: FREE, (submit) QUEUED, (completion, or the queue lost) ENDED, for the ioctl door,
 * until WAIT takes the result: FREE. A job of the uring door goes from QUEUED to FREE with the
 * completion of its command. Cancel of a command (ring exit) takes the command off its slot: the
 * job is aborted and ends unseen. Each step under queue->lock.
 *
 * Sequence numbers: job s stands in place (s - 1) & (entries - 1) of the ring, and its id for the
 * card is s modulo 2^16. The jobs [oldest, next) have a slot that is not FREE, or one before them
 * has; there are at most entries - 1 of them.
 *
 * A queue's life: alive, dead (takes no job, rings no doorbell, completions are still taken),
 * lost (all jobs have ended), forgotten (the card does not have it: its rings are freed). Giving a
 * job needs neither drm_dev_enter() nor reset_lock nor context->lock: `dead` suffices, which every
 * way to an end sets, before the card starts anew or the registers go.
 */
#ifndef AIPU_IOQ_H
#define AIPU_IOQ_H

#include <linux/eventfd.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <drm/aipu_accel.h>

#include "aipu_context.h"
#include "aipu_drv.h"
#include "aipu_ring.h"

struct io_uring_cmd;

#define AIPU_RING_EVERY 32u /* jobs at most without a doorbell */
#define AIPU_RING_TICKS 4u /* that a hint of more jobs holds, where none comes */
#define AIPU_MAX_COALESCE_US 1000000u
#define AIPU_NO_JOB (~0u) /* no id of a job */

enum aipu_slot_state { AIPU_SLOT_FREE, AIPU_SLOT_QUEUED, AIPU_SLOT_ENDED };

/**
 * struct aipu_slot - a job in flight, or its result
 * @state: see above
 * @opcode: of the job
 * @quiet: nobody will take the result: to FREE at its end
 * @abort: is to be aborted; see aipu_abort_work()
 * @blame: DRM_AIPU_RESULT_* of its result
 * @timeout_ms: of the job
 * @cmd: uring door: the command that waits; NULL: ioctl door, or cancelled, or the kernel's own
 * @ended: the kernel's own jobs: called at the end, in interrupt context; NULL
 * @arg: of @ended
 * @result: QUEUED: its sequence alone; ENDED: all of it
 */
struct aipu_slot {
	u8 state;
	u8 opcode;
	bool quiet, abort;
	u16 blame;
	u32 timeout_ms;
	struct io_uring_cmd *cmd;
	void (*ended)(void *arg, const struct drm_aipu_result *result);
	void *arg;
	struct drm_aipu_result result;
};

/* Commands of one ring that have ended, in their order; empty whenever queue->lock is let go */
struct aipu_chain {
	struct io_uring_cmd *first, *last;
};

/*
 * struct aipu_ioq - an I/O queue; what is not told here is told beside it
 * @refs: one of context->queues until it is forgotten, one of the file's handle or the device, one
 *	of each user
 * @context: held
 * @file: as context->file, but held; NULL: the kernel's
 * @in_context: in context->queues, under context->lock; empty: forgotten
 * @on_vector: in the vector's list, under its lock
 * @id: on the card, and in aipu->queues
 * @sq: under @lock, as @cq; NULL once it is forgotten
 * @take_lock: one WAIT at a time copies results; outside @lock, never with it
 * @abort_work: gives the aborts that slots ask for, one at a time, by @abort
 * @destroy: the command that ends it, made beforehand as @abort: ending something needs no memory
 */
struct aipu_ioq {
	struct kref refs;
	struct rcu_head rcu; /* the uring door finds it without a reference; dead by then */
	struct aipu_device *aipu;
	struct aipu_context *context;
	struct aipu_file *file;
	struct list_head in_context, on_vector;
	u32 id, entries, kind;
	unsigned int vector;
	u32 coalesce_us;
	struct aipu_job *sq;
	struct aipu_completion *cq;
	struct aipu_shadow *shadow; /* as @cq; NULL also where the card does not offer it */
	dma_addr_t sq_address, cq_address, shadow_address;
	struct mutex take_lock; /* results while they are copied */
	struct work_struct abort_work;
	struct aipu_command *abort, *destroy;

	spinlock_t lock; /* all below */
	bool dead, lost; /* see above */
	u64 next; /* sequence of the next job */
	u64 oldest;
	u64 aborting; /* job whose ABORT is on its way, or 0: its id is not given anew */
	u32 sq_head; /* place: entries before it are freed by the card */
	u32 cq_head, phase;
	u32 cq_told; /* cq_head, as the card knows it */
	u32 unrung; /* jobs since the last doorbell */
	u64 ring_seen; /* `next`, when aipu_ioq_tick() looked last, */
	u32 ring_ticks; /* and how often it was that */
	u32 running; /* slots that are QUEUED */
	struct aipu_slot *slots; /* entries */
	u32 *ended; /* places of ENDED slots in the order of their ends: a ring of `entries` */
	u32 ended_first, ended_count;
	struct aipu_chain chain;
	bool token_event; /* an interrupt came, with or without a completion; cleared by WAIT */
	u64 strange; /* completions that were dropped */
	u64 doorbells, interrupts, jobs; /* for debugfs */
	u64 busy_ns; /* of jobs that the file was not told of yet */
	ktime_t progress; /* when the last completion came, or the first job of an empty queue */
	/* aipu_ioq_tick(): calls that found a completion, since one was taken, and the first */
	u32 seen_ticks;
	ktime_t seen;
	wait_queue_head_t wait;
	struct eventfd_ctx *eventfd;
};

/* aipu_ioq.c */
struct aipu_ioq_options {
	u32 kind, entries, coalesce_count, coalesce_us;
	struct eventfd_ctx *eventfd; /* taken over on success */
};

/*
 * Under aipu_enter() and context->lock. *queue with a reference; published in aipu->queues.
 * -ENOSPC, -ENOMEM, -errno of the command
 */
int aipu_ioq_create(struct aipu_context *context, const struct aipu_ioq_options *options,
		    struct aipu_ioq **queue);
/*
 * Ends it on the card, with its jobs (-ECANCELED, ABORTED), and forgets it. Under aipu_enter() and
 * context->lock. Where the card does not answer, the queue is dead, and stays with its context
 * until aipu_ioq_forget().
 */
void aipu_ioq_destroy(struct aipu_ioq *queue);
/*
 * The card, which was stopped, or its answer says so, has it no more: lost if it is not yet, rings
 * freed. Under context->lock.
 */
void aipu_ioq_forget(struct aipu_ioq *queue);
void aipu_ioq_put(struct aipu_ioq *queue);
/* A reference, or NULL: no such handle in this file. Does not sleep. */
struct aipu_ioq *aipu_ioq_get(struct aipu_file *file, u32 handle);
/* Likewise, of all that the card may have; 0 is none */
struct aipu_ioq *aipu_ioq_find(struct aipu_device *aipu, u32 id);
void aipu_ioq_interrupt(struct aipu_ioq *queue); /* interrupt context */
bool aipu_ioq_busy(struct aipu_ioq *queue); /* has jobs in flight */
/*
 * Called every 10 ms while jobs are in flight, under drm_dev_enter(). Rings for jobs that more were
 * to follow, where none did. Takes completions that are visible for some ticks and that no
 * interrupt told of (coalescing taken into account). true: there were some. Ticks, since a guest
 * that stood still has lost no interrupt.
 */
bool aipu_ioq_tick(struct aipu_ioq *queue);
/*
 * Has the first job in flight a time limit that passed `grace_ms` ago? Not of one that may wait for
 * its taker: that time does not count. Nor does time in which others' jobs run, which is not known
 * here.
 */
bool aipu_ioq_overdue(struct aipu_ioq *queue, u32 grace_ms);
/* What the card calls the first job in flight, which may run; AIPU_NO_JOB: there is none */
u32 aipu_ioq_first(struct aipu_ioq *queue);
/* Takes no job and rings no doorbell from now on. Any context, any number of times. */
void aipu_ioq_freeze(struct aipu_ioq *queue);
/*
 * In results yet to come of the jobs that it has: GUILTY for the one that the card calls `guilty`,
 * or AIPU_NO_JOB; else INNOCENT
 */
void aipu_ioq_blame(struct aipu_ioq *queue, u32 guilty);
/*
 * Makes it dead, takes what the card has completed, and ends all other jobs: `status`, `error`,
 * blamed as above. When the card has stopped, or is given up; sleeps; any number of times. The
 * rings stay.
 */
void aipu_ioq_lost(struct aipu_ioq *queue, unsigned int status, int error, u32 guilty);
/* What a call on a dead queue says: -ENODEV, -EIO, -ECANCELED */
int aipu_ioq_error(const struct aipu_ioq *queue);

/* aipu_queue.c */
/* Lets go of all that a file has of queues, which end with their contexts */
void aipu_queues_close(struct aipu_file *file);
/* Likewise of the queues of one context */
void aipu_queues_drop(struct aipu_file *file, const struct aipu_context *context);
int aipu_ioq_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int aipu_ioq_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int aipu_kick_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

/* aipu_jobs.c */
/**
 * struct aipu_give - one job to be put on a queue
 * @job: checked; it gets its id in the ring
 * @sequence: the one expected, or the job is refused and it is set to that
 * @more: the doorbell may wait
 * @cmd: uring door: the command, which is not touched if the job is refused
 * @ended: the kernel's own jobs: called at the end, under queue->lock, in interrupt context
 * @arg: of @ended
 */
struct aipu_give {
	const struct aipu_job *job;
	u64 sequence;
	bool more;
	struct io_uring_cmd *cmd;
	void (*ended)(void *arg, const struct drm_aipu_result *result);
	void *arg;
};

/*
 * The one way to put a job on a queue, for both doors and the kernel. Does not sleep. 0, -ESTALE
 * (another sequence is expected), -EAGAIN (full), or as aipu_ioq_error(); on every failure the
 * doorbell is rung for what waits.
 */
int aipu_job_give(struct aipu_ioq *queue, struct aipu_give *give);
/* Rings the doorbell if jobs wait for it. Under queue->lock */
void aipu_ioq_ring(struct aipu_ioq *queue);
/*
 * Ends a slot with a result: ENDED, FREE, its command or callback. Under queue->lock, before
 * aipu_uring_flush(); interrupt context.
 */
void aipu_slot_end(struct aipu_ioq *queue, u32 place, const struct drm_aipu_result *result);
int aipu_submit_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int aipu_wait_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int aipu_cancel_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
/*
 * Asks the card to abort a job, without waiting, and nobody takes the job's end: `cmd` is taken off
 * it. false: it is not there. Sleeps not: the command is given by a work.
 */
bool aipu_job_detach(struct aipu_ioq *queue, u64 sequence, struct io_uring_cmd *cmd);
void aipu_abort_work(struct work_struct *work); /* of struct aipu_ioq.abort_work */

/* aipu_uring.c */
int aipu_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags);
/* Completes a command by task work, with the next aipu_uring_flush(). Both under queue->lock. */
void aipu_uring_end(struct aipu_chain *chain, struct io_uring_cmd *cmd,
		    const struct drm_aipu_result *result);
void aipu_uring_flush(struct aipu_chain *chain);

/*
 * A completion that the card may write to meanwhile. Read once, as the barrier makes it: what is
 * checked is what is used.
 */
static inline struct aipu_completion aipu_completion_read(const struct aipu_completion *at)
{
	struct aipu_completion entry = *at;

	barrier();
	return entry;
}

#endif
