/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The admin queue: commands to the card, each waited for by whoever gave it. A command that nobody
 * waits for any longer stays until the card completes it, or until the queue is stopped.
 */
#ifndef AIPU_ADMIN_H
#define AIPU_ADMIN_H

#include <linux/completion.h>
#include <linux/dma-mapping.h>
#include <linux/kref.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "aipu_queue.h"

struct aipu_device;

#define AIPU_ADMIN_ENTRIES \
	256u /* each context may have one UNBIND waiting on the card, see AIPU_MAX_CONTEXTS */

/**
 * struct aipu_command - one admin command
 * @refs: one of the giver, one of the queue while the card has it
 * @entry: what the card gets; the id is the queue's
 * @done: completed once, with @result or @error set
 * @result: the card's completion, valid when @error is 0
 * @error: 0, or -ECANCELED: the queue was stopped first
 * @ended: called in interrupt context after @done; NULL for most
 * @link: among those that end now
 */
struct aipu_command {
	struct kref refs;
	struct aipu_admin entry;
	struct completion done;
	struct aipu_completion result;
	int error;
	void (*ended)(struct aipu_device *aipu, struct aipu_command *command);
	struct list_head link;
};

/*
 * struct aipu_admin_ring - the admin queue
 * @lock: all below; taken in interrupt context
 * @commands: by id, NULL: free
 * @room: for those who wait for a free id
 * @stopped: no command is taken: before enable, and from a reset on
 * @strange: completions that named no command, an unknown status, or a place beyond the ring
 * @seen_ticks: aipu_admin_rescue(): calls that found a completion, since one was taken
 */
struct aipu_admin_ring {
	spinlock_t lock; /* all below */
	struct aipu_admin *sq;
	struct aipu_completion *cq;
	dma_addr_t sq_address, cq_address;
	u32 tail, head, phase;
	struct aipu_command *commands[AIPU_ADMIN_ENTRIES];
	wait_queue_head_t room;
	bool stopped;
	u64 strange;
	u32 seen_ticks;
};

int aipu_admin_create(struct aipu_device *aipu); /* rings; freed with the drm device */
/* Before ENABLE: the rings as the card will find them */
void aipu_admin_prepare(struct aipu_device *aipu);
void aipu_admin_start(struct aipu_device *aipu); /* after ENABLE: takes commands from now on */
/*
 * No command is taken any more, and those that the card has end with -ECANCELED. Any number of
 * times.
 */
void aipu_admin_stop(struct aipu_device *aipu);
bool aipu_admin_stopped(struct aipu_device *aipu);
/*
 * Takes completions; interrupt context. A card that answers what it was not asked has no say any
 * more: the queue is stopped, and a reset asked for.
 */
void aipu_admin_interrupt(struct aipu_device *aipu);
/* Has the card a command that it has to answer by itself: any but ASYNC_EVENT? */
bool aipu_admin_busy(struct aipu_device *aipu);
/*
 * Called every 10 ms while it is so: takes completions that no interrupt told of. true: there were
 * some
 */
bool aipu_admin_rescue(struct aipu_device *aipu);

struct aipu_command *aipu_command_create(u8 opcode);
void aipu_command_put(struct aipu_command *command); /* may be NULL, as one that was not made */
/*
 * Gives a command to the card; waits for a free id, which the card's next answer gives. 0,
 * -ECANCELED (stopped), -ENODEV (gone). The caller keeps its reference.
 */
int aipu_command_give(struct aipu_device *aipu, struct aipu_command *command);
/*
 * Gives it, and waits for its end, uninterruptibly, but not longer than the card may take for
 * anything (READY_TIMEOUT_MS; one that stands still is reset after a second). 0 with
 * command->result; -errno as above; -ETIMEDOUT: no answer; a reset was asked for.
 */
int aipu_command_run(struct aipu_device *aipu, struct aipu_command *command);
/*
 * The usual case: runs `entry`. 0, or -errno as above or of the status; *result (may be NULL) is
 * the completion.
 */
int aipu_admin_run(struct aipu_device *aipu, const struct aipu_admin *entry,
		   struct aipu_completion *result);
/* -errno for a status of the contract */
int aipu_status_errno(unsigned int status);

#endif
