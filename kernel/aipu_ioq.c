// SPDX-License-Identifier: GPL-2.0
/*
 * I/O queues: making and ending them, and what their interrupts do. Called by ioctls, by contexts
 * that end, by recovery and in interrupts. It frees a ring only when the card does not have it any
 * more, and believes nothing that a ring says.
 */
#include <linux/irq.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <drm/drm_drv.h>

#include "aipu_check.h"
#include "aipu_ioq.h"
#include "aipu_reset.h"

/* --- references ------------------------------------------------------------------------------- */

/*
 * Rings are there still only if the card was given up without an answer (wedged): it may write to
 * them, so their memory is left to it on purpose.
 */
static void ioq_release(struct kref *refs)
{
	struct aipu_ioq *queue = container_of(refs, struct aipu_ioq, refs);

	if (queue->eventfd)
		eventfd_ctx_put(queue->eventfd);
	aipu_command_put(queue->abort);
	aipu_command_put(queue->destroy);
	if (queue->file)
		aipu_file_put(queue->file);
	aipu_context_put(queue->context);
	mutex_destroy(&queue->take_lock);
	kvfree(queue->ended);
	kvfree(queue->slots);
	kfree_rcu(queue, rcu);
}

void aipu_ioq_put(struct aipu_ioq *queue)
{
	if (queue)
		kref_put(&queue->refs, ioq_release);
}

struct aipu_ioq *aipu_ioq_get(struct aipu_file *file, u32 handle)
{
	struct aipu_ioq *queue;

	xa_lock(&file->queues);
	queue = xa_load(&file->queues, handle);
	if (queue)
		kref_get(&queue->refs);
	xa_unlock(&file->queues);
	return queue;
}

struct aipu_ioq *aipu_ioq_find(struct aipu_device *aipu, u32 id)
{
	struct aipu_ioq *queue;

	xa_lock(&aipu->queues);
	queue = xa_load(&aipu->queues, id);
	if (queue)
		kref_get(&queue->refs);
	xa_unlock(&aipu->queues);
	return queue;
}

int aipu_ioq_error(const struct aipu_ioq *queue)
{
	struct aipu_device *aipu = queue->aipu;

	if (drm_dev_is_unplugged(&aipu->drm))
		return -ENODEV;
	return READ_ONCE(aipu->state) == AIPU_WEDGED ? -EIO : -ECANCELED;
}

/* --- completions ------------------------------------------------------------------------------ */

/* Under queue->lock: is there a completion? */
static bool visible(const struct aipu_ioq *queue)
{
	return queue->cq &&
	       (le16_to_cpu(READ_ONCE(queue->cq[queue->cq_head].phase)) & 1) == queue->phase;
}

/* Under queue->lock: one completion, which names a job or is dropped. false: there is none. */
static bool take(struct aipu_ioq *queue)
{
	struct aipu_completion entry;
	struct drm_aipu_result result = {};
	u32 place, rung = aipu_place(queue->next - queue->unrung, queue->entries);
	struct aipu_slot *slot;
	u16 id, head;

	if (!visible(queue))
		return false;
	dma_rmb();
	entry = aipu_completion_read(&queue->cq[queue->cq_head]);
	aipu_head_advance(&queue->cq_head, &queue->phase, queue->entries);
	head = le16_to_cpu(entry.sq_head);
	if (aipu_head_valid(queue->sq_head, head, rung, queue->entries))
		queue->sq_head = head;
	else
		queue->strange++;
	id = le16_to_cpu(entry.id);
	place = aipu_id_place(id, queue->entries);
	slot = &queue->slots[place];
	if (slot->state != AIPU_SLOT_QUEUED || aipu_job_id(slot->result.sequence) != id) {
		queue->strange++;
		/* The job that it meant would never end. */
		aipu_reset_ask(queue->aipu, "the card completed a job that it does not have");
		return true;
	}
	result.time_ns = AIPU_URING_TIME_NS(le64_to_cpu(entry.time_ns));
	result.detail = le32_to_cpu(entry.detail);
	result.step_seen = le32_to_cpu(entry.step_seen);
	result.step_start = le32_to_cpu(entry.step_start);
	result.step_end = le32_to_cpu(entry.step_end);
	result.status = le16_to_cpu(entry.status);
	result.error = result.status ? aipu_status_errno(result.status) : 0;
	aipu_slot_end(queue, place, &result);
	return true;
}

/* Under queue->lock. One pass over the ring at most, whatever the card writes meanwhile */
static void drain(struct aipu_ioq *queue)
{
	u64 jobs = queue->jobs;
	unsigned int seen = 0;

	while (seen < queue->entries && take(queue))
		seen++;
	aipu_uring_flush(&queue->chain);
	if (!seen)
		return;
	if (queue->file) {
		atomic64_add(queue->jobs - jobs, &queue->file->jobs);
		atomic64_add(queue->busy_ns, &queue->file->busy_ns);
	}
	queue->busy_ns = 0;
	queue->seen_ticks = 0;
	queue->progress = ktime_get();
}

static void wake(struct aipu_ioq *queue)
{
	wake_up(&queue->wait);
	if (queue->eventfd)
		eventfd_signal(queue->eventfd);
}

/*
 * Also without a completion somebody is woken: that is how a token ring's wake index looks from
 * here. But not where nothing runs: then it is about another queue of the vector.
 */
void aipu_ioq_interrupt(struct aipu_ioq *queue)
{
	scoped_guard(spinlock_irqsave, &queue->lock) {
		if (!queue->running)
			return;
		queue->interrupts++;
		queue->token_event = true;
		drain(queue);
	}
	wake(queue);
}

bool aipu_ioq_busy(struct aipu_ioq *queue)
{
	return READ_ONCE(queue->running);
}

/*
 * Under queue->lock: has a completion been there for so long that its interrupt must have been
 * lost?
 */
static bool overdue(struct aipu_ioq *queue)
{
	ktime_t now = ktime_get();

	if (!visible(queue))
		return false;
	if (!queue->seen_ticks)
		queue->seen = now;
	return aipu_interrupt_lost(queue->seen_ticks++, ktime_us_delta(now, queue->seen),
				   queue->coalesce_us);
}

bool aipu_ioq_tick(struct aipu_ioq *queue)
{
	scoped_guard(spinlock_irqsave, &queue->lock) {
		if (queue->ring_seen != queue->next)
			queue->ring_ticks = 0;
		else if (++queue->ring_ticks >= AIPU_RING_TICKS)
			aipu_ioq_ring(queue);
		queue->ring_seen = queue->next;
		if (!overdue(queue))
			return false;
		queue->token_event = true;
		drain(queue);
	}
	wake(queue);
	return true;
}

/* --- the end ---------------------------------------------------------------------------------- */

void aipu_ioq_freeze(struct aipu_ioq *queue)
{
	guard(spinlock_irqsave)(&queue->lock);
	queue->dead = true;
}

void aipu_ioq_blame(struct aipu_ioq *queue, u32 guilty)
{
	guard(spinlock_irqsave)(&queue->lock);
	for (u32 place = 0; place < queue->entries; place++) {
		struct aipu_slot *slot = &queue->slots[place];

		if (slot->state == AIPU_SLOT_QUEUED)
			slot->blame = aipu_job_id(slot->result.sequence) == guilty
					      ? DRM_AIPU_RESULT_GUILTY
					      : DRM_AIPU_RESULT_INNOCENT;
	}
}

/* Under queue->lock */
static u32 first_running(const struct aipu_ioq *queue)
{
	for (u64 sequence = queue->oldest; sequence < queue->next; sequence++)
		if (queue->slots[aipu_place(sequence, queue->entries)].state == AIPU_SLOT_QUEUED)
			return aipu_job_id(sequence);
	return AIPU_NO_JOB;
}

u32 aipu_ioq_first(struct aipu_ioq *queue)
{
	guard(spinlock_irqsave)(&queue->lock);
	return first_running(queue);
}

bool aipu_ioq_overdue(struct aipu_ioq *queue, u32 grace_ms)
{
	const struct aipu_slot *slot;
	u32 first;

	guard(spinlock_irqsave)(&queue->lock);
	first = first_running(queue);
	if (first == AIPU_NO_JOB)
		return false;
	slot = &queue->slots[aipu_id_place(first, queue->entries)];
	return aipu_job_overdue(slot->opcode, slot->timeout_ms,
				ktime_ms_delta(ktime_get(), queue->progress), grace_ms);
}

/* What the card has completed counts; all other jobs end so. */
static void end_jobs(struct aipu_ioq *queue, unsigned int status, int error)
{
	const struct drm_aipu_result result = { .error = error, .status = status };
	struct aipu_vector *vector = &queue->aipu->vector[queue->vector];

	scoped_guard(spinlock_irqsave, &vector->lock)
		list_del_init(&queue->on_vector);
	scoped_guard(spinlock_irqsave, &queue->lock) {
		queue->dead = true;
		drain(queue);
		/* In the order of their numbers, as the card would have ended them */
		for (u64 sequence = queue->oldest; sequence < queue->next; sequence++) {
			u32 place = aipu_place(sequence, queue->entries);

			if (queue->slots[place].state == AIPU_SLOT_QUEUED)
				aipu_slot_end(queue, place, &result);
		}
		aipu_uring_flush(&queue->chain);
		queue->lost = true;
	}
	wake(queue);
}

void aipu_ioq_lost(struct aipu_ioq *queue, unsigned int status, int error, u32 guilty)
{
	aipu_ioq_blame(queue, guilty);
	end_jobs(queue, status, error);
}

static void free_rings(struct aipu_ioq *queue)
{
	struct device *dev = queue->aipu->drm.dev;
	size_t sq_bytes = queue->entries * sizeof(*queue->sq);
	size_t cq_bytes = queue->entries * sizeof(*queue->cq);
	struct aipu_shadow *shadow;
	struct aipu_completion *cq;
	struct aipu_job *sq;

	scoped_guard(spinlock_irqsave, &queue->lock) {
		sq = queue->sq;
		cq = queue->cq;
		shadow = queue->shadow;
		queue->sq = NULL;
		queue->cq = NULL;
		queue->shadow = NULL;
	}
	if (sq)
		dma_free_coherent(dev, sq_bytes, sq, queue->sq_address);
	if (cq)
		dma_free_coherent(dev, cq_bytes, cq, queue->cq_address);
	if (shadow)
		dma_free_coherent(dev, sizeof(*shadow), shadow, queue->shadow_address);
}

void aipu_ioq_forget(struct aipu_ioq *queue)
{
	lockdep_assert_held(&queue->context->lock);
	if (!queue->lost)
		end_jobs(queue, AIPU_STATUS_ABORTED, -ECANCELED);
	/*
	 * Its command has been answered with the queue's end, or ended when the admin queue was
	 * stopped.
	 */
	cancel_work_sync(&queue->abort_work);
	free_rings(queue);
	xa_erase(&queue->aipu->queues, queue->id);
	list_del_init(&queue->in_context);
	aipu_ioq_put(queue);
}

void aipu_ioq_destroy(struct aipu_ioq *queue)
{
	struct aipu_command *command = queue->destroy;
	int err;

	lockdep_assert_held(&queue->context->lock);
	/* Given before, without an answer: the card has it still, until the reset that comes. */
	if (command->entry.queue.queue)
		return;
	aipu_ioq_freeze(queue);
	command->entry.queue.context = cpu_to_le32(queue->context->id);
	command->entry.queue.queue = cpu_to_le32(queue->id);
	/* Without an answer the card is about to be stopped. */
	if (aipu_command_run(queue->aipu, command))
		return;
	err = aipu_status_errno(le16_to_cpu(command->result.status));
	/* Not there: the card never made it. */
	if (!err || err == -ENOENT)
		aipu_ioq_forget(queue);
	else
		aipu_reset_ask(queue->aipu, "a queue could not be destroyed");
}

/* --- making ----------------------------------------------------------------------------------- */

static void ioq_init(struct aipu_ioq *queue, struct aipu_context *context,
		     const struct aipu_ioq_options *options)
{
	kref_init(&queue->refs);
	queue->aipu = context->aipu;
	kref_get(&context->refs);
	queue->context = context;
	queue->file = context->file;
	if (queue->file)
		kref_get(&queue->file->refs);
	INIT_LIST_HEAD(&queue->in_context);
	INIT_LIST_HEAD(&queue->on_vector);
	queue->kind = options->kind;
	queue->entries = aipu_ring_entries(options->entries);
	queue->coalesce_us = options->coalesce_us;
	mutex_init(&queue->take_lock);
	INIT_WORK(&queue->abort_work, aipu_abort_work);
	spin_lock_init(&queue->lock);
	queue->next = 1;
	queue->oldest = 1;
	queue->phase = 1;
	init_waitqueue_head(&queue->wait);
}

static struct aipu_ioq *ioq_alloc(struct aipu_context *context,
				  const struct aipu_ioq_options *options)
{
	struct aipu_ioq *queue = kzalloc(sizeof(*queue), GFP_KERNEL_ACCOUNT);
	bool shadow = context->aipu->limits.capabilities & AIPU_CAP_SHADOW_DOORBELLS;
	struct device *dev = context->aipu->drm.dev;

	if (!queue)
		return NULL;
	ioq_init(queue, context, options);
	queue->slots = kvcalloc(queue->entries, sizeof(*queue->slots), GFP_KERNEL_ACCOUNT);
	queue->ended = kvcalloc(queue->entries, sizeof(*queue->ended), GFP_KERNEL_ACCOUNT);
	/* Ending something must not need memory. */
	queue->abort = aipu_command_create(AIPU_ADMIN_ABORT);
	queue->destroy = aipu_command_create(AIPU_ADMIN_DESTROY_QUEUE);
	/* Whole pages, which both begin at one; zero, as the phase needs it */
	queue->sq = dma_alloc_coherent(dev, queue->entries * sizeof(*queue->sq), &queue->sq_address,
				       GFP_KERNEL_ACCOUNT);
	queue->cq = dma_alloc_coherent(dev, queue->entries * sizeof(*queue->cq), &queue->cq_address,
				       GFP_KERNEL_ACCOUNT);
	if (shadow)
		queue->shadow = dma_alloc_coherent(dev, sizeof(*queue->shadow),
						   &queue->shadow_address, GFP_KERNEL_ACCOUNT);
	if (queue->slots && queue->ended && queue->abort && queue->destroy && queue->sq &&
	    queue->cq && !queue->shadow == !shadow)
		return queue;
	free_rings(queue);
	aipu_ioq_put(queue);
	return NULL;
}

/*
 * The kernel's own queue has the first vector, with the admin queue. A user's has the one that
 * interrupts this processor, where its completions are waited for, if no queue has it; else they
 * take turns.
 */
static unsigned int choose_vector(const struct aipu_ioq *queue)
{
	struct aipu_device *aipu = queue->aipu;

	if (aipu->vectors == 1 || !queue->file)
		return 0;
	for (unsigned int i = 1; i < aipu->vectors; i++) {
		const struct cpumask *here =
			irq_get_effective_affinity_mask(pci_irq_vector(aipu->pdev, i));

		if (here && cpumask_test_cpu(raw_smp_processor_id(), here) &&
		    list_empty(&aipu->vector[i].queues))
			return i;
	}
	return 1 + (queue->id - 1) % (aipu->vectors - 1);
}

static void join_vector(struct aipu_ioq *queue)
{
	struct aipu_vector *vector;

	queue->vector = choose_vector(queue);
	vector = &queue->aipu->vector[queue->vector];
	guard(spinlock_irqsave)(&vector->lock);
	list_add_tail(&queue->on_vector, &vector->queues);
}

static int create_on_card(struct aipu_ioq *queue, const struct aipu_ioq_options *options)
{
	struct aipu_command *command = aipu_command_create(AIPU_ADMIN_CREATE_QUEUE);
	int err = -ENOMEM, status = 0;

	if (command) {
		command->entry.queue = (struct aipu_admin_queue){
			.context = cpu_to_le32(queue->context->id),
			.queue = cpu_to_le32(queue->id),
			.sq_address = cpu_to_le64(queue->sq_address),
			.cq_address = cpu_to_le64(queue->cq_address),
			.shadow_address = cpu_to_le64(queue->shadow_address),
			.entries = cpu_to_le32(queue->entries),
			.vector = cpu_to_le16(queue->vector),
			.coalesce_count = cpu_to_le16(options->coalesce_count),
			.coalesce_us = cpu_to_le32(options->coalesce_us),
		};
		err = aipu_command_run(queue->aipu, command);
		if (!err)
			status = aipu_status_errno(le16_to_cpu(command->result.status));
		aipu_command_put(command);
	}
	if (!err && !status)
		return 0;
	/*
	 * Refused, or never given. Else nobody knows, until the card is stopped, which will happen.
	 */
	if (!err || err == -ENOMEM)
		aipu_ioq_forget(queue);
	else
		aipu_ioq_freeze(queue);
	return err ?: status;
}

int aipu_ioq_create(struct aipu_context *context, const struct aipu_ioq_options *options,
		    struct aipu_ioq **out)
{
	struct aipu_device *aipu = context->aipu;
	struct aipu_ioq *queue;
	int err;

	lockdep_assert_held(&context->lock);
	queue = ioq_alloc(context, options);
	if (!queue)
		return -ENOMEM;
	err = xa_alloc(&aipu->queues, &queue->id, queue, XA_LIMIT(1, aipu->limits.max_queues),
		       GFP_KERNEL);
	if (err) {
		free_rings(queue);
		aipu_ioq_put(queue);
		return err == -EBUSY ? -ENOSPC : err;
	}
	/* From here on it is found by whoever has to know what the card may have. */
	list_add_tail(&queue->in_context, &context->queues);
	join_vector(queue);
	kref_get(&queue->refs);
	err = create_on_card(queue, options);
	if (err) {
		aipu_ioq_put(queue);
		return err;
	}
	queue->eventfd = options->eventfd;
	*out = queue;
	return 0;
}
