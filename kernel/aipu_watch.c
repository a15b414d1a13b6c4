// SPDX-License-Identifier: GPL-2.0
/*
 * The watch: completions without an interrupt, a card that stands still or failed, jobs that run
 * over their time, events that the card reports. It ticks only while something is in flight. Called
 * by whoever gives jobs and commands, and by recovery; it resets contexts, but never the card: it
 * asks for that.
 */
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <drm/drm_drv.h>
#include <drm/drm_managed.h>
#include <drm/drm_print.h>

#include "aipu_check.h"
#include "aipu_context.h"
#include "aipu_ioq.h"
#include "aipu_reset.h"
#include "aipu_sensors.h"
#include "aipu_show.h"
#include "aipu_trace.h"
#include "aipu_watch.h"

#define TICK_MS 10u /* of the rescue timer; runs only while something is in flight */
#define LOOK_TICKS 25u /* a look at the card every so many ticks */
/* After a job's time, and without a step of anybody, until its context is reset */
#define GRACE_MS 2000u
#define CONTEXT_JIFFIES (5 * HZ) /* for a context's reset, then it is the card's turn */

/**
 * struct aipu_watch - the watch
 * @aipu: the device
 * @tick: the rescue timer and watchdog
 * @event_work: looks after an event that the card reported
 * @context_work: resets the context of @overdue
 * @event: the ASYNC_EVENT that the card has; under reset_lock
 * @overdue: a queue with a job that runs over its time, held; @context_work's from when it is set
 * @watching: the watch goes on since the last tick; @tick's, as all below
 * @heartbeat: last value that was read
 * @looks: that found this value
 * @changed: when it was read first, in jiffies
 * @steps: last value of the step counter
 * @stepped: when it was read first, in jiffies
 * @ticks: since the watch began
 * @rescues: completions found by the rescue timer, not by an interrupt
 */
struct aipu_watch {
	struct aipu_device *aipu;
	struct delayed_work tick;
	struct work_struct event_work, context_work;
	struct aipu_command *event;
	struct aipu_ioq *overdue;
	bool watching;
	u32 heartbeat, steps;
	unsigned int looks;
	unsigned long changed, stepped;
	unsigned int ticks;
	atomic64_t rescues;
};

/* --- events --------------------------------------------------------------------------------- */

static void event_ended(struct aipu_device *aipu, struct aipu_command *command)
{
	if (!command->error)
		schedule_work(&aipu->watch->event_work);
}

int aipu_watch_events(struct aipu_device *aipu)
{
	struct aipu_watch *watch = aipu->watch;
	int err;

	watch->event = aipu_command_create(AIPU_ADMIN_ASYNC_EVENT);
	if (!watch->event)
		return -ENOMEM;
	watch->event->ended = event_ended;
	err = aipu_command_give(aipu, watch->event);
	if (!err)
		return 0;
	aipu_command_put(watch->event);
	watch->event = NULL;
	return err;
}

/* NULL, or what the registers say is wrong with a card that should be READY */
static const char *what_is_wrong(struct aipu_device *aipu)
{
	u32 status = aipu_read(aipu, AIPU_REG_STATUS);

	if (aipu_gone(status))
		return "the card does not answer";
	switch (status & AIPU_STATUS_STATE_MASK) {
	case AIPU_STATE_READY:
		return NULL;
	case AIPU_STATE_FAILED:
		return aipu_read(aipu, AIPU_REG_ERROR) == AIPU_ERROR_OVERHEATED
			       ? "the card is too hot"
			       : "the card failed";
	default:
		return "the card was reset by itself";
	}
}

static void event_work(struct work_struct *work)
{
	struct aipu_watch *watch = container_of(work, struct aipu_watch, event_work);
	struct aipu_device *aipu = watch->aipu;
	const char *wrong;
	int idx;

	if (aipu_enter(aipu, &idx))
		return;
	wrong = what_is_wrong(aipu);
	/* Nothing says which queue it is, and only the driver writes doorbells and rings. */
	if (!wrong && aipu_read(aipu, AIPU_REG_ERROR) == AIPU_ERROR_QUEUE)
		wrong = "the card stopped a queue";
	if (wrong)
		aipu_reset_ask(aipu, wrong);
	if (watch->event && completion_done(&watch->event->done)) {
		aipu_sensors_event(aipu, le32_to_cpu(watch->event->result.detail));
		reinit_completion(&watch->event->done);
		aipu_command_give(aipu, watch->event);
	}
	aipu_exit(aipu, idx);
}

/* --- jobs that run over their time ------------------------------------------------------------ */

static int run_reset_context(struct aipu_context *context)
{
	struct aipu_command *command = aipu_command_create(AIPU_ADMIN_RESET_CONTEXT);
	int err;

	if (!command)
		return -ENOMEM;
	command->entry.context.context = cpu_to_le32(context->id);
	err = aipu_command_give(context->aipu, command);
	if (!err && !wait_for_completion_timeout(&command->done, CONTEXT_JIFFIES))
		err = -ETIMEDOUT;
	else if (!err)
		err = command->error ?: command->result.status ? -EIO : 0;
	aipu_command_put(command);
	return err;
}

/* The first job in flight is to blame, all others of its context are not. Under aipu_enter() */
static int reset_context(struct aipu_ioq *overdue)
{
	struct aipu_context *context = overdue->context;
	struct aipu_device *aipu = overdue->aipu;
	struct aipu_ioq *queue;

	guard(mutex)(&context->lock);
	/* It may have come to its end since it was seen. */
	if (aipu_context_alive(context) || !aipu_ioq_overdue(overdue, GRACE_MS))
		return 0;
	drm_warn(&aipu->drm, "a job of queue %u runs over its time: resetting context %u\n",
		 overdue->id, context->id);
	trace_aipu_reset(aipu, context->id, "a job runs over its time", true);
	aipu_coredump(aipu, "a job runs over its time");
	list_for_each_entry(queue, &context->queues, in_context)
		aipu_ioq_blame(queue, queue == overdue ? aipu_ioq_first(queue) : AIPU_NO_JOB);
	return run_reset_context(context);
}

static void context_work(struct work_struct *work)
{
	struct aipu_watch *watch = container_of(work, struct aipu_watch, context_work);
	struct aipu_device *aipu = watch->aipu;
	struct aipu_ioq *queue = watch->overdue;
	int idx, err;

	if (!aipu_enter(aipu, &idx)) {
		err = reset_context(queue);
		/* -ECANCELED: the card is about to be stopped anyway; -ENOMEM: with a later tick */
		if (err && err != -ECANCELED && err != -ENOMEM)
			aipu_reset_ask(aipu, "a context could not be reset");
		aipu_exit(aipu, idx);
	}
	aipu_ioq_put(queue);
	/* After the last use of it, see look_for_overdue() */
	smp_store_release(&watch->overdue, NULL);
}

/* --- ticks ---------------------------------------------------------------------------------- */

/* Under reset_lock, in a state that should be READY */
static void look(struct aipu_device *aipu)
{
	struct aipu_watch *watch = aipu->watch;
	u32 heartbeat = aipu_read(aipu, AIPU_REG_HEARTBEAT);
	u32 steps = aipu_read(aipu, AIPU_REG_STEPS);
	const char *wrong = what_is_wrong(aipu);

	if (!watch->ticks || steps != watch->steps) {
		watch->steps = steps;
		watch->stepped = jiffies;
	}
	if (wrong) {
		aipu_reset_ask(aipu, wrong);
	} else if (!watch->ticks || heartbeat != watch->heartbeat) {
		watch->heartbeat = heartbeat;
		watch->changed = jiffies;
		watch->looks = 0;
	} else if (aipu_heart_stopped(++watch->looks, watch->changed, jiffies)) {
		aipu_reset_ask(aipu, "the card stands still");
	}
}

/* A card that makes no step at all makes none for others: the job had its time. */
static void look_for_overdue(struct aipu_device *aipu, struct aipu_ioq *queue)
{
	struct aipu_watch *watch = aipu->watch;

	/* context_work() lets go of it last. */
	if (smp_load_acquire(&watch->overdue) || aipu_reset_asked(aipu) || !watch->ticks ||
	    !time_after(jiffies, watch->stepped + msecs_to_jiffies(GRACE_MS)) ||
	    !aipu_ioq_overdue(queue, GRACE_MS))
		return;
	kref_get(&queue->refs);
	watch->overdue = queue;
	queue_work(system_unbound_wq, &watch->context_work);
}

/* Under reset_lock. Are there jobs in flight? */
static bool watch_queues(struct aipu_device *aipu)
{
	struct aipu_ioq *queue;
	bool busy = false;
	unsigned long id;

	xa_for_each(&aipu->queues, id, queue) {
		queue = aipu_ioq_find(aipu, id);
		if (!queue)
			continue;
		if (aipu_ioq_tick(queue))
			atomic64_inc(&aipu->watch->rescues);
		/* After its lock: a job that is not seen here sees that no tick is pending. */
		busy |= aipu_ioq_busy(queue);
		look_for_overdue(aipu, queue);
		aipu_ioq_put(queue);
	}
	return busy;
}

static void tick(struct work_struct *work)
{
	struct aipu_watch *watch = container_of(to_delayed_work(work), struct aipu_watch, tick);
	struct aipu_device *aipu = watch->aipu;
	bool busy;
	int idx;

	if (!drm_dev_enter(&aipu->drm, &idx))
		return;
	if (!watch->watching)
		watch->ticks = 0;
	/* Not under reset_lock: a reset needs its commands rescued too. */
	if (aipu_admin_rescue(aipu))
		atomic64_inc(&watch->rescues);
	busy = aipu_admin_busy(aipu);
	if (down_read_trylock(&aipu->reset_lock)) {
		busy |= watch_queues(aipu);
		if (busy && aipu->state == AIPU_READY && watch->ticks % LOOK_TICKS == 0)
			look(aipu);
		up_read(&aipu->reset_lock);
	} else {
		/* Whoever waits for the lock, or has it, may leave the jobs in flight after all. */
		busy = true;
	}
	watch->ticks++;
	watch->watching = busy;
	if (busy)
		schedule_delayed_work(&watch->tick, msecs_to_jiffies(TICK_MS));
	drm_dev_exit(idx);
}

void aipu_watch(struct aipu_device *aipu)
{
	struct delayed_work *tick = &aipu->watch->tick;

	if (!delayed_work_pending(tick))
		schedule_delayed_work(tick, msecs_to_jiffies(TICK_MS));
}

u64 aipu_rescues(struct aipu_device *aipu)
{
	return atomic64_read(&aipu->watch->rescues);
}

/* --- its own life --------------------------------------------------------------------------- */

void aipu_watch_stopped(struct aipu_device *aipu)
{
	struct aipu_watch *watch = aipu->watch;

	aipu_command_put(watch->event);
	watch->event = NULL;
}

int aipu_watch_init(struct aipu_device *aipu)
{
	struct aipu_watch *watch = drmm_kzalloc(&aipu->drm, sizeof(*watch), GFP_KERNEL);

	if (!watch)
		return -ENOMEM;
	watch->aipu = aipu;
	INIT_DELAYED_WORK(&watch->tick, tick);
	INIT_WORK(&watch->event_work, event_work);
	INIT_WORK(&watch->context_work, context_work);
	aipu->watch = watch;
	return 0;
}

void aipu_watch_fini(struct aipu_device *aipu)
{
	struct aipu_watch *watch = aipu->watch;

	disable_delayed_work_sync(&watch->tick);
	disable_work_sync(&watch->event_work);
	disable_work_sync(&watch->context_work);
	aipu_ioq_put(watch->overdue);
	watch->overdue = NULL;
}
