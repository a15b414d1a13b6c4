// SPDX-License-Identifier: GPL-2.0
/*
 * Recovery: from READY to no DMA and back. Called at probe and remove, by the watchdog, by FLR, AER and suspend. It is the only
 * file that begins an epoch, and it never gives memory back that the card may still reach.
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

#define TICK_MS 10u /* of the rescue timer; runs only while jobs are in flight */
#define HEARTBEAT_TICKS 25u /* a look at the heartbeat every so many ticks */
#define HEARTBEAT_LIMIT HZ /* it changes every 100 ms, or the card stands still */
#define ATTEMPTS 2 /* at starting a card, then it is wedged */
#define OWN_ENTRIES 16u

/**
 * struct aipu_reset - recovery's own
 * @aipu: the device
 * @tick: the rescue timer and watchdog
 * @work: resets the card
 * @event_work: looks after an event that the card reported
 * @event: the ASYNC_EVENT that the card has; under reset_lock, and put by @event_work
 * @why: of the reset that was asked for
 * @asked: a reset was asked for and has not ended
 * @off: being removed: nothing is started any more
 * @heartbeat: last value that was read
 * @changed: when it was read first, in jiffies
 * @ticks: since the watch began
 * @rescues: completions found by the rescue timer, not by an interrupt
 */
struct aipu_reset {
	struct aipu_device *aipu;
	struct delayed_work tick;
	struct work_struct work, event_work;
	struct aipu_command *event;
	const char *why;
	atomic_t asked;
	bool off; /* being removed: nothing is started any more */
	u32 heartbeat;
	unsigned long changed;
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
	if (err == -EIO) {
		drm_err(&aipu->drm, "no answer to IDENTIFY\n");
		aipu_boot_reset(aipu);
	}
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

int aipu_start(struct aipu_device *aipu)
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
	if (err)
		aipu_stop(aipu, "it did not start");
	else
		WRITE_ONCE(aipu->state, AIPU_READY);
	return err;
}

/* --- stopping ----------------------------------------------------------------------------------------- */

/* 0: the card does no DMA, and will do none. Each means when the one before had no answer. */
static int quiet(struct aipu_device *aipu)
{
	int err;

	err = aipu_boot_reset(aipu);
	if (err == -ETIMEDOUT) {
		pcie_flr(aipu->pdev);
		pci_restore_state(aipu->pdev);
		err = aipu_boot_reset(aipu);
	}
	/* Off in any case: nothing is started before aipu_start() puts it on. */
	pci_clear_master(aipu->pdev);
	return err == -ENODEV ? 0 : err;
}

/* Jobs that may have run when the card was stopped are guilty if it was for a job; those behind them are not */
static void queues_lost(struct aipu_device *aipu, bool guilt)
{
	struct aipu_ioq *queue;
	unsigned long id;

	xa_for_each(&aipu->queues, id, queue)
		aipu_ioq_lost(queue, AIPU_STATUS_ABORTED, -ECANCELED,
			      guilt ? aipu_ioq_first(queue) : AIPU_NO_JOB);
}

int aipu_stop(struct aipu_device *aipu, const char *why)
{
	struct aipu_context *context;
	unsigned long id;
	int err;

	WRITE_ONCE(aipu->state, AIPU_RESETTING);
	aipu_admin_stop(aipu);
	err = quiet(aipu);
	aipu->epoch++;
	queues_lost(aipu, atomic_read(&aipu->reset->asked));
	if (err)
		drm_err(&aipu->drm,
			"%s, and the card cannot be stopped (%d): Bus Master is off, and the "
			"memory it may reach is left to it\n",
			why, err);
	else
		xa_for_each(&aipu->contexts, id, context)
			aipu_context_lost(context);
	drop_own(aipu);
	if (aipu->reset->event)
		aipu_command_put(aipu->reset->event);
	aipu->reset->event = NULL;
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

static int reset_locked(struct aipu_device *aipu, const char *why)
{
	int err = -EIO;

	drm_warn(&aipu->drm, "%s: resetting the card, all contexts are lost\n", why);
	atomic_inc(&aipu->resets);
	for (int i = 0; i < ATTEMPTS && err; i++) {
		if (aipu_stop(aipu, why))
			break;
		err = aipu_start(aipu);
	}
	atomic_set(&aipu->reset->asked, 0);
	if (err)
		wedge(aipu);
	return err ? -EIO : 0;
}

int aipu_reset_now(struct aipu_device *aipu, const char *why)
{
	int err, idx;

	if (!drm_dev_enter(&aipu->drm, &idx))
		return -ENODEV;
	down_write(&aipu->reset_lock);
	err = reset_locked(aipu, why);
	up_write(&aipu->reset_lock);
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
	/* Whoever waits for the card under reset_lock lets go of it now. */
	aipu_admin_stop(aipu);
	down_write(&aipu->reset_lock);
	if (aipu->state == AIPU_READY)
		reset_locked(aipu, reset->why);
	up_write(&aipu->reset_lock);
	drm_dev_exit(idx);
}

void aipu_reset_ask(struct aipu_device *aipu, const char *why)
{
	struct aipu_reset *reset = aipu->reset;

	if (READ_ONCE(aipu->state) != AIPU_READY || READ_ONCE(reset->off) ||
	    atomic_xchg(&reset->asked, 1))
		return;
	reset->why = why;
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

static void event_work(struct work_struct *work)
{
	struct aipu_reset *reset = container_of(work, struct aipu_reset, event_work);
	struct aipu_device *aipu = reset->aipu;
	u32 status;
	int idx;

	if (aipu_enter(aipu, &idx))
		return;
	status = aipu_read(aipu, AIPU_REG_STATUS);
	if (aipu_gone(status) || (status & AIPU_STATUS_STATE_MASK) == AIPU_STATE_FAILED)
		aipu_reset_ask(aipu, "the card failed");
	if (reset->event && completion_done(&reset->event->done)) {
		aipu_command_put(reset->event);
		ask_for_events(aipu);
	}
	aipu_exit(aipu, idx);
}

/* The heartbeat, and whether the card is there at all */
static void watch_card(struct aipu_device *aipu)
{
	struct aipu_reset *reset = aipu->reset;
	u32 status = aipu_read(aipu, AIPU_REG_STATUS),
	    heartbeat = aipu_read(aipu, AIPU_REG_HEARTBEAT);

	if (aipu_gone(status)) {
		aipu_reset_ask(aipu, "the card does not answer");
	} else if ((status & AIPU_STATUS_STATE_MASK) == AIPU_STATE_FAILED) {
		aipu_reset_ask(aipu, "the card failed");
	} else if (heartbeat != reset->heartbeat) {
		reset->heartbeat = heartbeat;
		reset->changed = jiffies;
	} else if (time_after(jiffies, reset->changed + HEARTBEAT_LIMIT)) {
		aipu_reset_ask(aipu, "the card stands still");
	}
}

static void tick(struct work_struct *work)
{
	struct aipu_reset *reset = container_of(to_delayed_work(work), struct aipu_reset, tick);
	struct aipu_device *aipu = reset->aipu;
	struct aipu_ioq *queue;
	bool busy = false;
	unsigned long id;
	int idx;

	if (!drm_dev_enter(&aipu->drm, &idx))
		return;
	/* A reset is under way: what it leaves in flight is nothing. */
	if (down_read_trylock(&aipu->reset_lock)) {
		xa_for_each(&aipu->queues, id, queue) {
			queue = aipu_ioq_find(aipu, id);
			if (!queue)
				continue;
			busy |= aipu_ioq_busy(queue);
			if (aipu_ioq_rescue(queue))
				atomic64_inc(&reset->rescues);
			aipu_ioq_put(queue);
		}
		if (busy && aipu->state == AIPU_READY && reset->ticks++ % HEARTBEAT_TICKS == 0)
			watch_card(aipu);
		up_read(&aipu->reset_lock);
	}
	if (busy && !READ_ONCE(reset->off))
		schedule_delayed_work(&reset->tick, msecs_to_jiffies(TICK_MS));
	drm_dev_exit(idx);
}

void aipu_watch(struct aipu_device *aipu)
{
	struct aipu_reset *reset = aipu->reset;

	if (READ_ONCE(reset->off) || delayed_work_pending(&reset->tick))
		return;
	reset->changed = jiffies;
	schedule_delayed_work(&reset->tick, msecs_to_jiffies(TICK_MS));
}

u64 aipu_rescues(struct aipu_device *aipu)
{
	return atomic64_read(&aipu->reset->rescues);
}

/* --- by others: FLR, AER, suspend --------------------------------------------------------------------- */

static void reset_prepare(struct pci_dev *pdev)
{
	struct aipu_device *aipu = pci_get_drvdata(pdev);

	aipu_admin_stop(aipu);
	down_write(&aipu->reset_lock);
	aipu_stop(aipu, "a function-level reset comes");
	atomic_inc(&aipu->resets);
}

static void reset_done(struct pci_dev *pdev)
{
	struct aipu_device *aipu = pci_get_drvdata(pdev);

	if (aipu_start(aipu))
		wedge(aipu);
	up_write(&aipu->reset_lock);
}

static pci_ers_result_t error_detected(struct pci_dev *pdev, pci_channel_state_t channel)
{
	struct aipu_device *aipu = pci_get_drvdata(pdev);

	if (channel == pci_channel_io_normal)
		return PCI_ERS_RESULT_CAN_RECOVER;
	aipu_admin_stop(aipu);
	down_write(&aipu->reset_lock);
	aipu_stop(aipu, "an error on the bus");
	up_write(&aipu->reset_lock);
	return channel == pci_channel_io_perm_failure ? PCI_ERS_RESULT_DISCONNECT
						      : PCI_ERS_RESULT_NEED_RESET;
}

static pci_ers_result_t slot_reset(struct pci_dev *pdev)
{
	struct aipu_device *aipu = pci_get_drvdata(pdev);
	int err;

	if (pci_enable_device(pdev))
		return PCI_ERS_RESULT_DISCONNECT;
	pci_restore_state(pdev);
	down_write(&aipu->reset_lock);
	err = aipu_start(aipu);
	up_write(&aipu->reset_lock);
	return err ? PCI_ERS_RESULT_DISCONNECT : PCI_ERS_RESULT_RECOVERED;
}

const struct pci_error_handlers aipu_error_handlers = {
	.reset_prepare = reset_prepare,
	.reset_done = reset_done,
	.error_detected = error_detected,
	.slot_reset = slot_reset,
};

/* No user runs now: the lock is not held over the sleep. */
static int aipu_suspend(struct device *dev)
{
	struct aipu_device *aipu = dev_get_drvdata(dev);
	int err;

	aipu_admin_stop(aipu);
	down_write(&aipu->reset_lock);
	err = aipu_stop(aipu, "suspend");
	up_write(&aipu->reset_lock);
	return err;
}

static int aipu_resume(struct device *dev)
{
	struct aipu_device *aipu = dev_get_drvdata(dev);
	int err;

	down_write(&aipu->reset_lock);
	err = aipu_start(aipu);
	if (err)
		wedge(aipu);
	up_write(&aipu->reset_lock);
	return err;
}

const struct dev_pm_ops aipu_pm_ops = { SYSTEM_SLEEP_PM_OPS(aipu_suspend, aipu_resume) };

/* --- its own life ------------------------------------------------------------------------------------- */

int aipu_reset_init(struct aipu_device *aipu)
{
	struct aipu_reset *reset = drmm_kzalloc(&aipu->drm, sizeof(*reset), GFP_KERNEL);

	if (!reset)
		return -ENOMEM;
	reset->aipu = aipu;
	INIT_DELAYED_WORK(&reset->tick, tick);
	INIT_WORK(&reset->work, reset_work);
	INIT_WORK(&reset->event_work, event_work);
	aipu->reset = reset;
	aipu->state = AIPU_RESETTING;
	pci_save_state(aipu->pdev);
	return 0;
}

void aipu_reset_fini(struct aipu_device *aipu)
{
	struct aipu_reset *reset = aipu->reset;

	WRITE_ONCE(reset->off, true);
	/* A reset in progress is let end, but waits for nobody. */
	aipu_admin_stop(aipu);
	cancel_work_sync(&reset->work);
	cancel_work_sync(&reset->event_work);
	cancel_delayed_work_sync(&reset->tick);
}
