// SPDX-License-Identifier: GPL-2.0
/*
 * The life of a job, and the ioctl door: giving, ending, waiting, cancelling. Both doors and the
 * kernel itself give jobs by aipu_job_give(). It touches no user memory under a lock that an
 * interrupt or recovery needs, and never waits for the card.
 */
#include <linux/uaccess.h>
#include <drm/drm_file.h>

#include "aipu_check.h"
#include "aipu_ioq.h"
#include "aipu_reset.h"
#include "aipu_trace.h"
#include "aipu_watch.h"

#define CHUNK 16u /* jobs or results copied at a time, on the stack */

/* --- giving ----------------------------------------------------------------------------------- */

/* Under queue->lock: a card that looks at the tail by itself need not wait for a whole batch. */
static bool card_looks(const struct aipu_ioq *queue)
{
	return queue->shadow &&
	       READ_ONCE(queue->shadow->sq_event) == cpu_to_le32(AIPU_SHADOW_AWAKE);
}

/* Under queue->lock: tells of the jobs from place `old` on by memory. Does the card sleep? */
static bool show_tail(struct aipu_ioq *queue, u32 old, u32 tail)
{
	struct aipu_shadow *shadow = queue->shadow;

	queue->cq_told = queue->cq_head;
	WRITE_ONCE(shadow->cq_head, cpu_to_le32(queue->cq_head));
	/* The entries, too */
	dma_wmb();
	WRITE_ONCE(shadow->sq_tail, cpu_to_le32(tail));
	/* The card writes its event, then looks at the tail once more, and sleeps. */
	mb();
	return aipu_event_passed(le32_to_cpu(READ_ONCE(shadow->sq_event)), old, tail,
				 queue->entries);
}

void aipu_ioq_ring(struct aipu_ioq *queue)
{
	u32 tail = aipu_place(queue->next, queue->entries);
	u32 old = aipu_place(queue->next - queue->unrung, queue->entries);

	if (!queue->unrung || queue->dead)
		return;
	queue->unrung = 0;
	trace_aipu_job_run(queue, queue->next - 1,
			   queue->slots[aipu_place(queue->next - 1, queue->entries)].opcode);
	if (queue->shadow && !show_tail(queue, old, tail))
		return;
	queue->doorbells++;
	/* The card has a place for the completion of each job it has: it never waits for one. */
	if (!aipu_cq_suffices(queue->cq_told, queue->cq_head, queue->running, queue->entries)) {
		queue->cq_told = queue->cq_head;
		aipu_write(queue->aipu, AIPU_DOORBELL_PAGE(queue->id) + AIPU_DOORBELL_CQ_HEAD,
			   queue->cq_head);
	}
	/*
	 * writel() orders the entries before itself, but says so of coherent memory only by this.
	 */
	dma_wmb();
	aipu_write(queue->aipu, AIPU_DOORBELL_PAGE(queue->id) + AIPU_DOORBELL_SQ_TAIL, tail);
}

/* Under queue->lock */
static int refuse(struct aipu_ioq *queue, struct aipu_give *give)
{
	u32 tail = aipu_place(queue->next, queue->entries);

	if (queue->dead)
		return aipu_ioq_error(queue);
	if (give->sequence != queue->next) {
		give->sequence = queue->next;
		return -ESTALE;
	}
	if (aipu_window_full(queue->oldest, queue->next, queue->entries) ||
	    aipu_ring_full(queue->sq_head, tail, queue->entries) ||
	    (queue->aborting && queue->next - queue->aborting > U16_MAX))
		return -EAGAIN;
	return 0;
}

/* Under queue->lock */
static void put_job(struct aipu_ioq *queue, struct aipu_give *give)
{
	u32 place = aipu_place(give->sequence, queue->entries);
	struct aipu_slot *slot = &queue->slots[place];

	/* The rest of the result is its end's. */
	slot->state = AIPU_SLOT_QUEUED;
	slot->opcode = give->job->opcode;
	slot->quiet = false;
	slot->abort = false;
	slot->blame = 0;
	slot->timeout_ms = le32_to_cpu(give->job->timeout_ms);
	slot->cmd = give->cmd;
	slot->ended = give->ended;
	slot->arg = give->arg;
	slot->result.sequence = give->sequence;
	queue->sq[place] = *give->job;
	queue->sq[place].id = cpu_to_le16(aipu_job_id(give->sequence));
	trace_aipu_job_queue(queue, give->sequence, slot->opcode);
	queue->next++;
	if (!queue->running++) {
		queue->progress = ktime_get();
		aipu_watch(queue->aipu);
	}
}

int aipu_job_give(struct aipu_ioq *queue, struct aipu_give *give)
{
	int err;

	guard(spinlock_irqsave)(&queue->lock);
	err = refuse(queue, give);
	if (err) {
		aipu_ioq_ring(queue);
		return err;
	}
	put_job(queue, give);
	queue->unrung++;
	if (!give->more || queue->unrung >= AIPU_RING_EVERY || card_looks(queue))
		aipu_ioq_ring(queue);
	return 0;
}

/* --- ending ----------------------------------------------------------------------------------- */

/* Under queue->lock: the window begins at the first slot that is not free. */
static void advance(struct aipu_ioq *queue)
{
	while (queue->oldest < queue->next &&
	       queue->slots[aipu_place(queue->oldest, queue->entries)].state == AIPU_SLOT_FREE)
		queue->oldest++;
}

void aipu_slot_end(struct aipu_ioq *queue, u32 place, const struct drm_aipu_result *result)
{
	struct aipu_slot *slot = &queue->slots[place];
	u64 sequence = slot->result.sequence;

	slot->result = *result;
	slot->result.sequence = sequence;
	/* It may have come to its end all the same. */
	if (result->status)
		slot->result.flags |= slot->blame;
	trace_aipu_job_done(queue, sequence, &slot->result);
	slot->state = AIPU_SLOT_FREE;
	/*
	 * A card may tell of the entries of jobs that it ended unread only with the next
	 * completion; but where all jobs have ended, all entries are free.
	 */
	if (!--queue->running)
		queue->sq_head = aipu_place(queue->next, queue->entries);
	queue->jobs++;
	queue->busy_ns += result->time_ns;
	if (slot->cmd) {
		aipu_uring_end(&queue->chain, slot->cmd, &slot->result);
		slot->cmd = NULL;
	} else if (slot->ended) {
		slot->ended(slot->arg, &slot->result);
	} else if (!slot->quiet) {
		u32 last = (queue->ended_first + queue->ended_count++) & (queue->entries - 1);

		slot->state = AIPU_SLOT_ENDED;
		queue->ended[last] = place;
	}
	advance(queue);
}

/* --- submit ----------------------------------------------------------------------------------- */

static void ring_now(struct aipu_ioq *queue)
{
	guard(spinlock_irqsave)(&queue->lock);
	aipu_ioq_ring(queue);
}

/*
 * A chunk: what it has of the caller's memory is a copy. args->taken and, on -ESTALE,
 * args->sequence tell how far it came.
 */
static int submit_chunk(struct aipu_ioq *queue, struct drm_aipu_submit *args, u64 first,
			const struct aipu_job *jobs, u32 count)
{
	struct aipu_give give = {};
	int err = 0;

	for (u32 i = 0; i < count && !err; i++) {
		give.job = &jobs[i];
		give.sequence = first + args->taken;
		give.more = args->taken + 1 < args->count || args->flags & DRM_AIPU_SUBMIT_MORE;
		err = aipu_job_check(&jobs[i], queue->kind);
		if (!err)
			err = aipu_job_give(queue, &give);
		if (!err)
			args->taken++;
	}
	if (err == -ESTALE)
		args->sequence = give.sequence;
	if (err)
		ring_now(queue);
	return err;
}

static int submit(struct aipu_ioq *queue, struct drm_aipu_submit *args)
{
	const struct aipu_job __user *from = u64_to_user_ptr(args->jobs);
	struct aipu_job jobs[CHUNK];
	u64 first = args->sequence;
	int err = 0;

	while (args->taken < args->count && !err) {
		u32 count = min(args->count - args->taken, CHUNK);
		bool fault = copy_from_user(jobs, from + args->taken, count * sizeof(*jobs));

		err = submit_chunk(queue, args, first, jobs, fault ? 0 : count);
		if (fault) {
			ring_now(queue);
			err = -EFAULT;
		}
	}
	return err;
}

/*
 * drm_ioctl() writes the arguments back whatever this returns, so `taken` and `sequence` arrive on
 * failure too.
 */
int aipu_submit_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_aipu_submit *args = data;
	struct aipu_ioq *queue;
	int err;

	args->taken = 0;
	if (args->flags & ~DRM_AIPU_SUBMIT_MORE || !args->count || args->count > AIPU_MAX_ENTRIES ||
	    args->in_sync_count > 64 || args->out_sync_count > 64)
		return -EINVAL;
	queue = aipu_ioq_get(file->driver_priv, args->queue);
	if (!queue)
		return -ENOENT;
	err = args->in_sync_count || args->out_sync_count ? -EOPNOTSUPP : submit(queue, args);
	aipu_ioq_put(queue);
	return err;
}

/* --- wait ------------------------------------------------------------------------------------- */

/* Is there what a WAIT with this minimum waits for? */
static bool ready(struct aipu_ioq *queue, u32 minimum)
{
	guard(spinlock_irqsave)(&queue->lock);
	return queue->lost || queue->ended_count >= max(minimum, 1u) ||
	       (!minimum && queue->token_event);
}

/* 0, -ETIME, -ERESTARTSYS */
static int wait_ready(struct aipu_ioq *queue, u32 minimum, s64 timeout_ns)
{
	ktime_t left;

	if (timeout_ns == S64_MAX)
		return wait_event_interruptible(queue->wait, ready(queue, minimum));
	left = aipu_time_left(timeout_ns, ktime_get());
	if (!left)
		return ready(queue, minimum) ? 0 : -ETIME;
	return wait_event_interruptible_hrtimeout(queue->wait, ready(queue, minimum), left);
}

/* Under queue->lock: copies of the first results, which stay. */
static u32 look(struct aipu_ioq *queue, struct drm_aipu_result *results, u32 room)
{
	u32 count = min(room, queue->ended_count);

	for (u32 i = 0; i < count; i++) {
		u32 at = (queue->ended_first + i) & (queue->entries - 1);

		results[i] = queue->slots[queue->ended[at]].result;
	}
	return count;
}

/* Under queue->lock: the first results are their taker's. */
static void drop(struct aipu_ioq *queue, u32 count)
{
	for (u32 i = 0; i < count; i++) {
		u32 at = (queue->ended_first + i) & (queue->entries - 1);

		queue->slots[queue->ended[at]].state = AIPU_SLOT_FREE;
	}
	queue->ended_first = (queue->ended_first + count) & (queue->entries - 1);
	queue->ended_count -= count;
	advance(queue);
}

/* Under take_lock. A result that could not be written stays for the next WAIT. */
static int take_results(struct aipu_ioq *queue, struct drm_aipu_wait *args)
{
	struct drm_aipu_result __user *to = u64_to_user_ptr(args->results);
	struct drm_aipu_result results[CHUNK];
	u32 count;

	while (args->taken < args->count) {
		scoped_guard(spinlock_irqsave, &queue->lock)
			count = look(queue, results, min(args->count - args->taken, CHUNK));
		if (!count)
			break;
		if (copy_to_user(to + args->taken, results, count * sizeof(*results)))
			return -EFAULT;
		scoped_guard(spinlock_irqsave, &queue->lock)
			drop(queue, count);
		args->taken += count;
	}
	return 0;
}

static int wait(struct aipu_ioq *queue, struct drm_aipu_wait *args)
{
	bool woken, lost;
	int err, fault;

	/* Another WAIT may have taken what this one was woken for. */
	do {
		err = wait_ready(queue, args->minimum, args->timeout_ns);
		if (err && err != -ETIME)
			return err;
		if (mutex_lock_interruptible(&queue->take_lock))
			return -ERESTARTSYS;
		if (err || ready(queue, args->minimum))
			break;
		mutex_unlock(&queue->take_lock);
	} while (true);
	/* Before the results are taken: a later interrupt has its own WAIT to end. */
	scoped_guard(spinlock_irqsave, &queue->lock) {
		woken = queue->token_event && !args->minimum;
		queue->token_event = false;
		lost = queue->lost;
	}
	fault = take_results(queue, args);
	mutex_unlock(&queue->take_lock);
	if (fault)
		return fault;
	if (woken || args->taken >= max(args->minimum, 1u) || (lost && args->taken))
		return 0;
	return lost ? aipu_ioq_error(queue) : err;
}

int aipu_wait_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_aipu_wait *args = data;
	struct aipu_ioq *queue;
	int err;

	args->taken = 0;
	if (!args->count || args->minimum > args->count)
		return -EINVAL;
	queue = aipu_ioq_get(file->driver_priv, args->queue);
	if (!queue)
		return -ENOENT;
	err = wait(queue, args);
	aipu_ioq_put(queue);
	return err;
}

/* --- cancel ----------------------------------------------------------------------------------- */

/* Under queue->lock: the slot of a job that has not ended, or NULL */
static struct aipu_slot *find(struct aipu_ioq *queue, u64 sequence)
{
	struct aipu_slot *slot;

	if (sequence < queue->oldest || sequence >= queue->next)
		return NULL;
	slot = &queue->slots[aipu_place(sequence, queue->entries)];
	return slot->state == AIPU_SLOT_QUEUED && slot->result.sequence == sequence ? slot : NULL;
}

/* Under queue->lock. Of a dead queue all jobs end anyway. */
static void ask(struct aipu_ioq *queue, struct aipu_slot *slot)
{
	if (queue->dead)
		return;
	slot->abort = true;
	queue_work(system_long_wq, &queue->abort_work);
}

/* Asks the card to abort a job, without waiting: 0, -ENOENT (it has ended) */
static int job_abort(struct aipu_ioq *queue, u64 sequence)
{
	struct aipu_slot *slot;

	guard(spinlock_irqsave)(&queue->lock);
	slot = find(queue, sequence);
	if (!slot)
		return -ENOENT;
	ask(queue, slot);
	return 0;
}

bool aipu_job_detach(struct aipu_ioq *queue, u64 sequence, struct io_uring_cmd *cmd)
{
	struct aipu_slot *slot;

	guard(spinlock_irqsave)(&queue->lock);
	slot = find(queue, sequence);
	if (!slot || slot->cmd != cmd)
		return false;
	slot->cmd = NULL;
	slot->quiet = true;
	ask(queue, slot);
	return true;
}

/*
 * The next job from `*sequence` on whose abort was asked for, which the card is told of before the
 * command comes: an ABORT of a job without a doorbell would find nothing. false: there is none.
 */
static bool abort_next(struct aipu_ioq *queue, u64 *sequence)
{
	guard(spinlock_irqsave)(&queue->lock);
	queue->aborting = 0;
	if (queue->dead)
		return false;
	aipu_ioq_ring(queue);
	for (*sequence = max(*sequence, queue->oldest); *sequence < queue->next; ++*sequence) {
		struct aipu_slot *slot = find(queue, *sequence);

		if (slot && slot->abort) {
			slot->abort = false;
			queue->aborting = *sequence;
			return true;
		}
	}
	return false;
}

/*
 * true: it was given. Not under reset_lock: who ends the queue, or the card, may hold it, and waits
 * for this work before the id can be another's.
 */
static bool abort_give(struct aipu_ioq *queue, u64 *sequence)
{
	struct aipu_command *command = queue->abort;

	if (!abort_next(queue, sequence))
		return false;
	command->entry.abort.queue = cpu_to_le32(queue->id);
	command->entry.abort.job = cpu_to_le32(aipu_job_id(*sequence));
	reinit_completion(&command->done);
	return !aipu_command_give(queue->aipu, command);
}

/* The answer may be NOT_FOUND, and that is fine: the job's completion is out. */
void aipu_abort_work(struct work_struct *work)
{
	struct aipu_ioq *queue = container_of(work, struct aipu_ioq, abort_work);
	u64 sequence = 0;

	while (abort_give(queue, &sequence)) {
		if (!wait_for_completion_timeout(&queue->abort->done,
						 msecs_to_jiffies(aipu_timeout_ms(queue->aipu)))) {
			/* The card has the command still, so it cannot be used again. */
			aipu_ioq_freeze(queue);
			aipu_reset_ask(queue->aipu, "an ABORT had no answer");
			return;
		}
		sequence++;
	}
}

int aipu_cancel_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_aipu_cancel *args = data;
	struct aipu_ioq *queue;
	int err;

	if (args->pad)
		return -EINVAL;
	queue = aipu_ioq_get(file->driver_priv, args->queue);
	if (!queue)
		return -ENOENT;
	err = job_abort(queue, args->sequence);
	aipu_ioq_put(queue);
	return err;
}
