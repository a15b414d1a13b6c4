// SPDX-License-Identifier: GPL-2.0
/*
 * Recovery: from READY to no DMA and back. Called at probe and remove, by the watchdog, by FLR, AER
 * and suspend. It is the only file that begins an epoch, and it never gives memory back that the
 * card may still reach.
 *
 * Whoever stops or starts the card holds `turn`, outside reset_lock, from before the first step to
 * after the last: so a card that was just started by one is never stopped half-way by another, and
 * who waited for his turn sees whether his reason still stands.
 */
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <drm/drm_drv.h>
#include <drm/drm_managed.h>
#include <drm/drm_print.h>

#include <drm/aipu_accel.h>

#include "aipu_boot.h"
#include "aipu_buffer.h"
#include "aipu_context.h"
#include "aipu_ioq.h"
#include "aipu_reset.h"
#include "aipu_show.h"
#include "aipu_trace.h"

#define TICK_MS 10u /* of the rescue timer; runs only while something is in flight */
#define LOOK_TICKS 25u /* a look at the card every so many ticks */
/*
 * The heartbeat changes every 100 ms, or the card stands still: seen by as many looks and for as long, since a guest that
 * stood still itself looks only once.
 */
#define STILL_LOOKS 4u
#define STILL_JIFFIES HZ
#define GRACE_MS 2000u /* after a job's time, and without a step of anybody, until its context is reset */
#define CONTEXT_JIFFIES (5 * HZ) /* for a context's reset, then it is the card's turn */
#define ATTEMPTS 2u /* at starting a card, then it is wedged */
#define OWN_ENTRIES 16u

/**
 * struct aipu_reset - recovery's own
 * @aipu: the device
 * @turn: see above; inside drm_dev_enter()
 * @tick: the rescue timer and watchdog
 * @work: resets the card
 * @event_work: looks after an event that the card reported
 * @context_work: resets the context of @overdue
 * @event: the ASYNC_EVENT that the card has; under reset_lock
 * @config: configuration space as it was at probe, for after a reset by somebody else
 * @why: of the reset that was asked for
 * @asked: a reset was asked for; cleared when the card stops, for whatever reason
 * @off: being removed: nothing is started any more; under @turn
 * @stuck: the card could not be stopped: what it may reach, and the device, are not freed
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
struct aipu_reset {
	struct aipu_device *aipu;
	struct mutex turn;
	struct delayed_work tick;
	struct work_struct work, event_work, context_work;
	struct aipu_command *event;
	struct pci_saved_state *config;
	const char *why;
	atomic_t asked;
	bool off, stuck;
	struct aipu_ioq *overdue;
	bool watching;
	u32 heartbeat, steps;
	unsigned int looks;
	unsigned long changed, stepped;
	unsigned int ticks;
	atomic64_t rescues;
};

/* --- starting ----------------------------------------------------------------------------------------- */

static int identify(struct aipu_device *aipu)
{
	struct aipu_admin entry = { .opcode = AIPU_ADMIN_IDENTIFY };
	struct device *dev = aipu->drm.dev;
	struct aipu_identify *answer;
	dma_addr_t address;
	int err;

	answer = dma_alloc_coherent(dev, sizeof(*answer), &address, GFP_KERNEL);
	if (!answer)
		return -ENOMEM;
	entry.identify.address = cpu_to_le64(address);
	err = aipu_admin_run(aipu, &entry, NULL);
	if (err)
		drm_err(&aipu->drm, "IDENTIFY failed (%d)\n", err);
	/* Without an answer the card may still write it: the page is given back only after a reset. */
	if ((err == -ETIMEDOUT || err == -ECANCELED) && aipu_boot_reset(aipu))
		return err;
	aipu->identify = *answer;
	/* What the card wrote may lack the end of its texts. */
	aipu->identify.model[sizeof(aipu->identify.model) - 1] = 0;
	aipu->identify.firmware[sizeof(aipu->identify.firmware) - 1] = 0;
	dma_free_coherent(dev, sizeof(*answer), answer, address);
	return err;
}

static void memory_fini(struct drm_device *drm, void *data)
{
	drm_mm_takedown(&to_aipu(drm)->memory);
}

/* Once: what is given out stays given out over resets. A card that comes back with less is not the same card. */
static int memory_init(struct aipu_device *aipu)
{
	u64 bytes = aipu->limits.memory_bytes;

	if (aipu->memory_total && aipu->memory_total != bytes) {
		drm_err(&aipu->drm, "the card came back with %llu bytes of memory, it had %llu\n",
			bytes, aipu->memory_total);
		return -EIO;
	}
	if (aipu->memory_total)
		return 0;
	drm_mm_init(&aipu->memory, 0, bytes);
	aipu->memory_total = bytes;
	return drmm_add_action_or_reset(&aipu->drm, memory_fini, NULL);
}

/* A context and a queue of the kernel's own */
static int make_own(struct aipu_device *aipu)
{
	const struct aipu_ioq_options options = { .entries = OWN_ENTRIES };
	int err;

	err = aipu_context_create(aipu, NULL, 0, 0, &aipu->own);
	if (err)
		return err;
	guard(mutex)(&aipu->own->lock);
	return aipu_ioq_create(aipu->own, &options, &aipu->own_queue);
}

static void drop_own(struct aipu_device *aipu)
{
	if (aipu->own_queue)
		aipu_ioq_put(aipu->own_queue);
	aipu_context_put(aipu->own);
	aipu->own_queue = NULL;
	aipu->own = NULL;
}

static void event_ended(struct aipu_device *aipu, struct aipu_command *command)
{
	if (!command->error)
		schedule_work(&aipu->reset->event_work);
}

static int ask_for_events(struct aipu_device *aipu)
{
	struct aipu_reset *reset = aipu->reset;
	int err;

	reset->event = aipu_command_create(AIPU_ADMIN_ASYNC_EVENT);
	if (!reset->event)
		return -ENOMEM;
	reset->event->ended = event_ended;
	err = aipu_command_give(aipu, reset->event);
	if (!err)
		return 0;
	aipu_command_put(reset->event);
	reset->event = NULL;
	return err;
}

static int start_once(struct aipu_device *aipu)
{
	int err;

	pci_set_master(aipu->pdev);
	err = aipu_boot(aipu);
	if (!err) {
		aipu_admin_start(aipu);
		err = identify(aipu);
	}
	if (!err)
		err = memory_init(aipu);
	if (!err)
		err = make_own(aipu);
	if (!err)
		err = ask_for_events(aipu);
	return err;
}

/* Is it worth another attempt? A card that never ran this image will not do so now. */
static bool may_pass(const struct aipu_device *aipu, int err)
{
	return err == -ETIMEDOUT || err == -EIO || err == -ECANCELED ||
	       (err == -EKEYREJECTED && aipu->memory_total);
}

int aipu_start(struct aipu_device *aipu)
{
	int err = 0;

	/* What could not be stopped has to be so first. */
	if (aipu->reset->stuck && aipu_stop(aipu, "another start"))
		return -EIO;
	for (unsigned int i = 0; i < ATTEMPTS; i++) {
		err = start_once(aipu);
		if (!err) {
			WRITE_ONCE(aipu->state, AIPU_READY);
			return 0;
		}
		if (aipu_stop(aipu, "it did not start") || !may_pass(aipu, err))
			break;
	}
	return err;
}

/* --- stopping ----------------------------------------------------------------------------------------- */

static void restore_config(struct aipu_device *aipu)
{
	if (!pci_load_saved_state(aipu->pdev, aipu->reset->config))
		pci_restore_state(aipu->pdev);
}

/* 0: the card does no DMA, and will do none. Each means when the one before had no answer. */
static int quiet(struct aipu_device *aipu)
{
	int err;

	err = aipu_boot_reset(aipu);
	if (err == -ETIMEDOUT && !pcie_reset_flr(aipu->pdev, PCI_RESET_DO_RESET)) {
		restore_config(aipu);
		err = aipu_boot_reset(aipu);
	}
	/* Off in any case: nothing is started before aipu_start() puts it on. */
	pci_clear_master(aipu->pdev);
	return err == -ENODEV ? 0 : err;
}

/*
 * Jobs that may have run when the card was stopped are guilty if it was for a job; those behind
 * them are not. No abort is under way afterwards.
 */
static void queues_lost(struct aipu_device *aipu, bool guilt)
{
	struct aipu_ioq *queue;
	unsigned long id;

	xa_for_each(&aipu->queues, id, queue) {
		aipu_ioq_lost(queue, AIPU_STATUS_ABORTED, -ECANCELED,
			      guilt ? aipu_ioq_first(queue) : AIPU_NO_JOB);
		cancel_work_sync(&queue->abort_work);
	}
}

/* What the card may have is given back, or, if it cannot be stopped, kept, and the device with it. */
static void give_back(struct aipu_device *aipu, bool stopped)
{
	struct aipu_reset *reset = aipu->reset;
	struct aipu_context *context;
	unsigned long id;

	if (stopped)
		xa_for_each(&aipu->contexts, id, context)
			aipu_context_lost(context);
	drop_own(aipu);
	if (stopped == !reset->stuck)
		return;
	reset->stuck = !stopped;
	if (stopped)
		drm_dev_put(&aipu->drm);
	else
		drm_dev_get(&aipu->drm);
}

int aipu_stop(struct aipu_device *aipu, const char *why)
{
	struct aipu_reset *reset = aipu->reset;
	bool guilt = atomic_read(&reset->asked);
	int err;

	trace_aipu_reset(aipu, why, guilt);
	WRITE_ONCE(aipu->state, AIPU_RESETTING);
	aipu_admin_stop(aipu);
	err = quiet(aipu);
	aipu->epoch++;
	queues_lost(aipu, guilt);
	atomic_set(&reset->asked, 0);
	if (err)
		drm_err(&aipu->drm,
			"%s, and the card cannot be stopped (%d): Bus Master is off, and the "
			"memory it may reach is left to it\n",
			why, err);
	give_back(aipu, !err);
	if (reset->event)
		aipu_command_put(reset->event);
	reset->event = NULL;
	return err ? -EIO : 0;
}

/* --- resetting ---------------------------------------------------------------------------------------- */

static void wedge(struct aipu_device *aipu)
{
	char *text[] = { "WEDGED=rebind,bus-reset", NULL };

	WRITE_ONCE(aipu->state, AIPU_WEDGED);
	drm_err(&aipu->drm, "the card did not come back; reset or rebind it\n");
	kobject_uevent_env(&aipu->drm.accel->kdev->kobj, KOBJ_CHANGE, text);
}

/* The card to himself: nobody waits for it, or uses it. With the turn. */
static void hold(struct aipu_device *aipu)
{
	lockdep_assert_held(&aipu->reset->turn);
	/* Whoever waits for the card under reset_lock lets go of it now. */
	aipu_admin_stop(aipu);
	down_write(&aipu->reset_lock);
}

/* With the turn */
static int reset_card(struct aipu_device *aipu, const char *why)
{
	int err;

	drm_warn(&aipu->drm, "%s: resetting the card, all contexts are lost\n", why);
	hold(aipu);
	atomic_inc(&aipu->resets);
	err = aipu_stop(aipu, why);
	if (!err)
		err = aipu_start(aipu);
	if (err)
		wedge(aipu);
	up_write(&aipu->reset_lock);
	return err ? -EIO : 0;
}

int aipu_reset_now(struct aipu_device *aipu, const char *why)
{
	int err, idx;

	if (!drm_dev_enter(&aipu->drm, &idx))
		return -ENODEV;
	err = mutex_lock_killable(&aipu->reset->turn) ? -ERESTARTSYS : 0;
	if (!err) {
		err = aipu->reset->off ? -ENODEV : reset_card(aipu, why);
		mutex_unlock(&aipu->reset->turn);
	}
	drm_dev_exit(idx);
	return err;
}

static void reset_work(struct work_struct *work)
{
	struct aipu_reset *reset = container_of(work, struct aipu_reset, work);
	struct aipu_device *aipu = reset->aipu;
	int idx;

	if (!drm_dev_enter(&aipu->drm, &idx))
		return;
	scoped_guard(mutex, &reset->turn) {
		/* Whoever stopped it meanwhile has done what was asked for. */
		if (atomic_read(&reset->asked) && !reset->off) {
			aipu_coredump(aipu, reset->why);
			reset_card(aipu, reset->why);
		}
	}
	drm_dev_exit(idx);
}

void aipu_reset_ask(struct aipu_device *aipu, const char *why)
{
	struct aipu_reset *reset = aipu->reset;

	if (READ_ONCE(aipu->state) != AIPU_READY || atomic_xchg(&reset->asked, 1))
		return;
	WRITE_ONCE(reset->why, why);
	queue_work(system_unbound_wq, &reset->work);
}

int aipu_reset_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_aipu_reset *args = data;

	if (args->flags || args->pad)
		return -EINVAL;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	return aipu_reset_now(to_aipu(drm), "asked for by an administrator");
}

/* --- watching ----------------------------------------------------------------------------------------- */

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
		return "the card failed";
	default:
		return "the card was reset by itself";
	}
}

static void event_work(struct work_struct *work)
{
	struct aipu_reset *reset = container_of(work, struct aipu_reset, event_work);
	struct aipu_device *aipu = reset->aipu;
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
	if (reset->event && completion_done(&reset->event->done)) {
		aipu_command_put(reset->event);
		ask_for_events(aipu);
	}
	aipu_exit(aipu, idx);
}

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
		err = command->error ?: aipu_status_errno(le16_to_cpu(command->result.status));
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
	aipu_coredump(aipu, "a job runs over its time");
	list_for_each_entry(queue, &context->queues, in_context)
		aipu_ioq_blame(queue, queue == overdue ? aipu_ioq_first(queue) : AIPU_NO_JOB);
	return run_reset_context(context);
}

static void context_work(struct work_struct *work)
{
	struct aipu_reset *reset = container_of(work, struct aipu_reset, context_work);
	struct aipu_device *aipu = reset->aipu;
	struct aipu_ioq *queue = reset->overdue;
	int idx, err;

	if (!aipu_enter(aipu, &idx)) {
		err = reset_context(queue);
		/* -ECANCELED: the card is about to be stopped as it is. */
		if (err && err != -ECANCELED)
			aipu_reset_ask(aipu, "a context could not be reset");
		aipu_exit(aipu, idx);
	}
	aipu_ioq_put(queue);
	smp_store_release(&reset->overdue, NULL);
}

/* Under reset_lock, in a state that should be READY */
static void look(struct aipu_device *aipu)
{
	struct aipu_reset *reset = aipu->reset;
	u32 heartbeat = aipu_read(aipu, AIPU_REG_HEARTBEAT);
	u32 steps = aipu_read(aipu, AIPU_REG_STEPS);
	const char *wrong = what_is_wrong(aipu);

	if (!reset->ticks || steps != reset->steps) {
		reset->steps = steps;
		reset->stepped = jiffies;
	}
	if (wrong) {
		aipu_reset_ask(aipu, wrong);
	} else if (!reset->ticks || heartbeat != reset->heartbeat) {
		reset->heartbeat = heartbeat;
		reset->changed = jiffies;
		reset->looks = 0;
	} else if (++reset->looks >= STILL_LOOKS &&
		   time_after(jiffies, reset->changed + STILL_JIFFIES)) {
		aipu_reset_ask(aipu, "the card stands still");
	}
}

/* A card that makes no step at all makes none for others: the job had its time. */
static void look_for_overdue(struct aipu_device *aipu, struct aipu_ioq *queue)
{
	struct aipu_reset *reset = aipu->reset;

	if (smp_load_acquire(&reset->overdue) || atomic_read(&reset->asked) || !reset->ticks ||
	    !time_after(jiffies, reset->stepped + msecs_to_jiffies(GRACE_MS)) ||
	    !aipu_ioq_overdue(queue, GRACE_MS))
		return;
	kref_get(&queue->refs);
	reset->overdue = queue;
	queue_work(system_unbound_wq, &reset->context_work);
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
		busy |= aipu_ioq_busy(queue);
		if (aipu_ioq_rescue(queue))
			atomic64_inc(&aipu->reset->rescues);
		look_for_overdue(aipu, queue);
		aipu_ioq_put(queue);
	}
	return busy;
}

static void tick(struct work_struct *work)
{
	struct aipu_reset *reset = container_of(to_delayed_work(work), struct aipu_reset, tick);
	struct aipu_device *aipu = reset->aipu;
	bool busy;
	int idx;

	if (!drm_dev_enter(&aipu->drm, &idx))
		return;
	if (!reset->watching)
		reset->ticks = 0;
	/* Not under reset_lock: a reset needs its commands rescued too. */
	if (aipu_admin_rescue(aipu))
		atomic64_inc(&reset->rescues);
	busy = aipu_admin_busy(aipu);
	/* Jobs in flight are nothing that whoever waits for the lock, or has it, leaves. */
	if (down_read_trylock(&aipu->reset_lock)) {
		busy |= watch_queues(aipu);
		if (busy && aipu->state == AIPU_READY && reset->ticks % LOOK_TICKS == 0)
			look(aipu);
		up_read(&aipu->reset_lock);
	}
	reset->ticks++;
	reset->watching = busy;
	if (busy)
		schedule_delayed_work(&reset->tick, msecs_to_jiffies(TICK_MS));
	drm_dev_exit(idx);
}

void aipu_watch(struct aipu_device *aipu)
{
	struct delayed_work *tick = &aipu->reset->tick;

	if (!delayed_work_pending(tick))
		schedule_delayed_work(tick, msecs_to_jiffies(TICK_MS));
}

u64 aipu_rescues(struct aipu_device *aipu)
{
	return atomic64_read(&aipu->reset->rescues);
}

/* --- by others: FLR, AER, suspend --------------------------------------------------------------------- */

/* Both in one task, which the PCI core lets nobody interrupt: the turn and the lock go from the one to the other. */
static void reset_prepare(struct pci_dev *pdev)
{
	struct aipu_device *aipu = pci_get_drvdata(pdev);

	mutex_lock(&aipu->reset->turn);
	hold(aipu);
	atomic_inc(&aipu->resets);
	aipu_stop(aipu, "a reset of the function comes");
}

static void reset_done(struct pci_dev *pdev)
{
	struct aipu_device *aipu = pci_get_drvdata(pdev);

	if (aipu_start(aipu))
		wedge(aipu);
	up_write(&aipu->reset_lock);
	mutex_unlock(&aipu->reset->turn);
}

/* Stopped until the next start; calls fail with -EIO meanwhile, as nobody knows whether it will come. */
static int rest(struct aipu_device *aipu, const char *why)
{
	int err;

	guard(mutex)(&aipu->reset->turn);
	hold(aipu);
	atomic_inc(&aipu->resets);
	err = aipu_stop(aipu, why);
	up_write(&aipu->reset_lock);
	return err;
}

static int wake(struct aipu_device *aipu)
{
	int err;

	guard(mutex)(&aipu->reset->turn);
	hold(aipu);
	err = aipu_start(aipu);
	if (err)
		wedge(aipu);
	up_write(&aipu->reset_lock);
	return err;
}

static pci_ers_result_t error_detected(struct pci_dev *pdev, pci_channel_state_t channel)
{
	struct aipu_device *aipu = pci_get_drvdata(pdev);

	if (channel == pci_channel_io_normal)
		return PCI_ERS_RESULT_CAN_RECOVER;
	rest(aipu, "an error on the bus");
	if (channel == pci_channel_io_frozen)
		return PCI_ERS_RESULT_NEED_RESET;
	wedge(aipu);
	return PCI_ERS_RESULT_DISCONNECT;
}

static pci_ers_result_t slot_reset(struct pci_dev *pdev)
{
	struct aipu_device *aipu = pci_get_drvdata(pdev);

	restore_config(aipu);
	return wake(aipu) ? PCI_ERS_RESULT_DISCONNECT : PCI_ERS_RESULT_RECOVERED;
}

const struct pci_error_handlers aipu_error_handlers = {
	.reset_prepare = reset_prepare,
	.reset_done = reset_done,
	.error_detected = error_detected,
	.slot_reset = slot_reset,
};

/* No user runs now. A card that cannot be stopped does not hold up the machine's sleep: its Bus Master is off. */
static int aipu_suspend(struct device *dev)
{
	rest(dev_get_drvdata(dev), "suspend");
	return 0;
}

static int aipu_resume(struct device *dev)
{
	return wake(dev_get_drvdata(dev));
}

const struct dev_pm_ops aipu_pm_ops = { SYSTEM_SLEEP_PM_OPS(aipu_suspend, aipu_resume) };

/* --- its own life ------------------------------------------------------------------------------------- */

static void reset_release(struct drm_device *drm, void *data)
{
	struct aipu_reset *reset = data;

	kfree(reset->config);
	mutex_destroy(&reset->turn);
}

int aipu_reset_init(struct aipu_device *aipu)
{
	struct aipu_reset *reset = drmm_kzalloc(&aipu->drm, sizeof(*reset), GFP_KERNEL);
	int err;

	if (!reset)
		return -ENOMEM;
	reset->aipu = aipu;
	mutex_init(&reset->turn);
	INIT_DELAYED_WORK(&reset->tick, tick);
	INIT_WORK(&reset->work, reset_work);
	INIT_WORK(&reset->event_work, event_work);
	INIT_WORK(&reset->context_work, context_work);
	err = drmm_add_action_or_reset(&aipu->drm, reset_release, reset);
	if (err)
		return err;
	/* With the interrupts that are set up, and without Bus Master */
	pci_save_state(aipu->pdev);
	reset->config = pci_store_saved_state(aipu->pdev);
	if (!reset->config)
		return -ENOMEM;
	aipu->reset = reset;
	aipu->state = AIPU_RESETTING;
	return 0;
}

void aipu_reset_fini(struct aipu_device *aipu)
{
	struct aipu_reset *reset = aipu->reset;

	scoped_guard(mutex, &reset->turn) {
		reset->off = true;
		/* Whoever waits for the card lets go of it. */
		aipu_admin_stop(aipu);
	}
	/* In the order in which one starts the other */
	disable_delayed_work_sync(&reset->tick);
	disable_work_sync(&reset->event_work);
	disable_work_sync(&reset->context_work);
	disable_work_sync(&reset->work);
	aipu_ioq_put(reset->overdue);
	reset->overdue = NULL;
}
