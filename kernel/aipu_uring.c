// SPDX-License-Identifier: GPL-2.0
/*
 * The io_uring door: one job as a command of a ring, completed with the device's status. Called by
 * io_uring, and by aipu_slot_end(). It never sleeps, and each command is done exactly once: whoever
 * takes it off its slot, under queue->lock, completes it.
 *
 * A command holds its file open, so the file is there as long as the command is; a queue is looked
 * up by its handle each time, so a command holds no queue. drm_ioctl() is not passed on this way:
 * what it checks is checked here, or is the queue's to know: that of a device that is gone is dead.
 *
 * Commands of one ring that end together, as their card told of them, are done by one task work:
 * the first one's, to which the others are chained.
 */
#include <linux/io_uring/cmd.h>
#include <drm/drm_file.h>

#include "aipu_check.h"
#include "aipu_compat.h"
#include "aipu_ioq.h"

/* What a command remembers, in its own memory */
struct aipu_uring {
	u64 sequence;
	u64 word; /* the second one of its completion */
	u32 queue; /* handle */
	s32 res;
	struct io_uring_cmd *next; /* in its chain */
};

static struct aipu_uring *to_uring(struct io_uring_cmd *cmd)
{
	return io_uring_cmd_to_pdu(cmd, struct aipu_uring);
}

static struct aipu_file *file_of(struct io_uring_cmd *cmd)
{
	struct drm_file *file = cmd->file->private_data;

	return file->driver_priv;
}

/* In the task that submitted, or where its ring ends: the command, and all that it was done with */
AIPU_URING_TASK_WORK(uring_done, cmd, issue_flags)
{
	AIPU_URING_TASK_WORK_ENTER(cmd, issue_flags);
	struct aipu_uring uring;

	for (; cmd; cmd = uring.next) {
		uring = *to_uring(cmd);
		aipu_uring_done(cmd, uring.res, uring.word, issue_flags);
	}
}

void aipu_uring_flush(struct aipu_chain *chain)
{
	/* Who waits for many is woken by what came together, and not by each that came alone. */
	if (chain->first != chain->last)
		io_uring_cmd_complete_in_task(chain->first, uring_done);
	else if (chain->first)
		io_uring_cmd_do_in_task_lazy(chain->first, uring_done);
	*chain = (struct aipu_chain){};
}

void aipu_uring_end(struct aipu_chain *chain, struct io_uring_cmd *cmd,
		    const struct drm_aipu_result *result)
{
	struct aipu_uring *uring = to_uring(cmd);

	uring->res = result->error;
	uring->word =
		AIPU_URING_WORD(result->status, result->status ? result->detail : result->time_ns);
	uring->next = NULL;
	/* Task work is a ring's and a task's. */
	if (chain->first && (aipu_uring_ring(chain->first) != aipu_uring_ring(cmd) ||
			     io_uring_cmd_get_task(chain->first) != io_uring_cmd_get_task(cmd)))
		aipu_uring_flush(chain);
	if (chain->first)
		to_uring(chain->last)->next = cmd;
	else
		chain->first = cmd;
	chain->last = cmd;
}

static int give_job(struct aipu_file *file, struct io_uring_cmd *cmd,
		    const struct drm_aipu_uring_submit *submit)
{
	struct aipu_give give = {
		.job = &submit->job,
		.sequence = submit->sequence,
		.more = submit->flags & DRM_AIPU_SUBMIT_MORE,
		.cmd = cmd,
	};
	struct aipu_ioq *queue;

	/* Without a reference: a queue that goes meanwhile is dead, and stays for as long. */
	guard(rcu)();
	queue = xa_load(&file->queues, submit->queue);
	if (!queue)
		return -ENOENT;
	return aipu_job_check(&submit->job, queue->kind) ?: aipu_job_give(queue, &give);
}

static int submit_job(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	struct drm_aipu_uring_submit submit = *(const struct drm_aipu_uring_submit *)cmd->sqe->cmd;
	int err;

	/* Its owner may write to it meanwhile: what is checked is what is used. */
	barrier();
	if (submit.flags & ~DRM_AIPU_SUBMIT_MORE || cmd->flags & IORING_URING_CMD_MASK)
		return -EINVAL;
	to_uring(cmd)->sequence = submit.sequence;
	to_uring(cmd)->queue = submit.queue;
	/* Before the job is on its slot: from then on it may end at any time. */
	io_uring_cmd_mark_cancelable(cmd, issue_flags);
	err = give_job(file_of(cmd), cmd, &submit);
	/*
	 * Not returned: -EAGAIN would have the command issued again, after those that came later.
	 */
	if (err)
		aipu_uring_done(cmd, err, 0, issue_flags);
	return -EIOCBQUEUED;
}

/*
 * The ring ends, or its task: under its lock, as is uring_done(). A command that is off its slot is
 * done elsewhere.
 */
static void cancel(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	const struct aipu_uring *uring = to_uring(cmd);
	struct aipu_ioq *queue = aipu_ioq_get(file_of(cmd), uring->queue);

	if (queue && aipu_job_detach(queue, uring->sequence, cmd))
		aipu_uring_done(cmd, -ECANCELED, AIPU_URING_WORD(AIPU_STATUS_ABORTED, 0),
				issue_flags);
	aipu_ioq_put(queue);
}

int aipu_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	if (issue_flags & IO_URING_F_CANCEL) {
		cancel(cmd, issue_flags);
		return 0;
	}
	if (cmd->cmd_op != DRM_AIPU_URING_SUBMIT)
		return -ENOTTY;
	if (!(issue_flags & IO_URING_F_SQE128))
		return -EINVAL;
	return submit_job(cmd, issue_flags);
}
