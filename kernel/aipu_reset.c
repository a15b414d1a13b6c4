// SPDX-License-Identifier: GPL-2.0
/*
 * Recovery: from READY to no DMA and back. Called at probe and remove, by the watch, by FLR, AER
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
#include "aipu_sensors.h"
#include "aipu_show.h"
#include "aipu_trace.h"
#include "aipu_watch.h"

#define ATTEMPTS 2u /* at starting a card, then it is wedged */
#define OWN_ENTRIES 1u /* one buffer is cleared at a time */
#define BUS_JIFFIES (90 * HZ) /* for the PCI core to reset a slot, which it tries for 60 s itself */
#define OWN_WEIGHT 16u /* who waits for cleared memory waits in the kernel: turns for sixteen */

/**
 * struct aipu_reset - recovery's own
 * @aipu: the device
 * @turn: see above; inside drm_dev_enter()
 * @work: resets the card
 * @bus_work: likewise, with a reset of the slot by the PCI core in its middle
 * @stopped: @bus_work has stopped the card
 * @back: the slot was reset, or nobody waits for that any more
 * @config: configuration space as it was at probe, for after a reset by somebody else
 * @why: of the reset that was asked for
 * @asked: a reset was asked for; cleared when the card stops, for whatever reason
 * @off: being removed: nothing is started any more; under @turn
 * @stuck: the card could not be stopped: what it may reach, and the device, are not freed
 */
struct aipu_reset {
	struct aipu_device *aipu;
	struct mutex turn; /* see above */
	struct work_struct work, bus_work;
	struct completion stopped, back;
	struct pci_saved_state *config;
	const char *why;
	atomic_t asked;
	bool off, stuck;
};

/* --- starting --------------------------------------------------------------------------------- */

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
	/*
	 * Without an answer the card may still write it: the page is given back only after a reset.
	 */
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

/*
 * Once: what is given out stays given out over resets. A card that comes back with less is not the
 * same card.
 */
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
	bool weighted = aipu->limits.capabilities & AIPU_CAP_PRIORITIES;
	int err;

	err = aipu_context_create(aipu, NULL, 0, weighted ? OWN_WEIGHT : 0, &aipu->own);
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

static int start_once(struct aipu_device *aipu)
{
	int err;

	err = aipu_boot(aipu);
	if (!err) {
		aipu_admin_start(aipu);
		err = identify(aipu);
	}
	if (!err)
		err = memory_init(aipu);
	if (!err)
		err = aipu_sensors_restore(aipu);
	if (!err)
		err = make_own(aipu);
	if (!err)
		err = aipu_watch_events(aipu);
	if (err)
		return err;
	WRITE_ONCE(aipu->state, AIPU_READY);
	/* Whoever stopped it before that, for an answer without sense, could ask for no reset. */
	return aipu_admin_stopped(aipu) ? -ECANCELED : 0;
}

/* Is it worth another attempt? A card that never ran this image will not do so now. */
static bool may_pass(const struct aipu_device *aipu, int err)
{
	return err == -ETIMEDOUT || err == -EIO || err == -ECANCELED || err == -ENOMEM ||
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
		if (!err)
			return 0;
		if (aipu_stop(aipu, "it did not start") || !may_pass(aipu, err))
			break;
	}
	return err;
}

/* --- stopping --------------------------------------------------------------------------------- */

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
	/* Off in any case: nothing is started before aipu_boot() puts it on. */
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

/*
 * What the card may have is given back, or, if it cannot be stopped, kept, and the device with it.
 */
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

	trace_aipu_reset(aipu, 0, why, guilt);
	WRITE_ONCE(aipu->state, AIPU_RESETTING);
	aipu_admin_stop(aipu);
	/* No process touches device memory meanwhile: see its fault. */
	unmap_mapping_range(aipu->drm.anon_inode->i_mapping, 0, 0, 1);
	aipu_sensors_stopping(aipu);
	err = quiet(aipu);
	aipu->epoch++;
	queues_lost(aipu, guilt);
	atomic_set(&reset->asked, 0);
	if (err)
		drm_err(&aipu->drm,
			"%s, and the card cannot be stopped (%d): Bus Master is off, and the memory it may reach is left to it\n",
			why, err);
	give_back(aipu, !err);
	aipu_watch_stopped(aipu);
	return err ? -EIO : 0;
}

/* --- resetting -------------------------------------------------------------------------------- */

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

/* Adds the jobs that a queue ever got. false: one of them has not ended. */
static bool all_ended(struct aipu_ioq *queue, u64 *jobs)
{
	guard(spinlock_irqsave)(&queue->lock);
	*jobs += queue->next;
	return !queue->running;
}

/*
 * Was there a moment in which no queue had a job? Jobs need no lock of the card's, so they come all
 * the time. But where no queue got one between two rounds over them that found none, there was none
 * between the rounds: what comes later comes too late. Under reset_lock for writing: they are the
 * same in both.
 */
static bool idle(struct aipu_device *aipu)
{
	struct aipu_ioq *queue;
	u64 jobs[2] = {};
	unsigned long id;

	for (unsigned int round = 0; round < 2; round++)
		xa_for_each(&aipu->queues, id, queue)
			if (!all_ended(queue, &jobs[round]))
				return false;
	return jobs[0] == jobs[1];
}

/* As hold(), but it takes nothing from anybody: 0, -EBUSY: there are jobs, -ERESTARTSYS */
static int hold_idle(struct aipu_device *aipu)
{
	if (down_write_killable(&aipu->reset_lock))
		return -ERESTARTSYS;
	if (idle(aipu))
		return 0;
	up_write(&aipu->reset_lock);
	return -EBUSY;
}

/* Held; lets go of it. With the turn */
static int reset_card(struct aipu_device *aipu, const char *why)
{
	int err;

	drm_warn(&aipu->drm, "%s: resetting the card, all contexts are lost\n", why);
	atomic_inc(&aipu->resets);
	err = aipu_stop(aipu, why);
	if (!err)
		err = aipu_start(aipu);
	if (err)
		wedge(aipu);
	up_write(&aipu->reset_lock);
	return err ? -EIO : 0;
}

/* With the turn. `flags`: DRM_AIPU_RESET_* */
static int reset_for(struct aipu_device *aipu, u32 flags)
{
	int err = 0;

	if (aipu->reset->off)
		return -ENODEV;
	if (flags & DRM_AIPU_RESET_IDLE)
		err = hold_idle(aipu);
	else
		hold(aipu);
	if (err)
		return err;
	aipu->recovery = flags & DRM_AIPU_RESET_RECOVERY;
	err = reset_card(aipu, "asked for by an administrator");
	aipu->recovery = false;
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
			hold(aipu);
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

int aipu_reset_wait(struct aipu_device *aipu)
{
	struct aipu_reset *reset = aipu->reset;

	might_lock(&reset->turn);
	if (!aipu_admin_stopped(aipu))
		return 0;
	if (mutex_lock_killable(&reset->turn))
		return -ERESTARTSYS;
	mutex_unlock(&reset->turn);
	/* It may be one that was asked for, and has not begun. */
	return READ_ONCE(aipu->state) == AIPU_READY && aipu_admin_stopped(aipu) ? -ECANCELED : 0;
}

bool aipu_reset_asked(struct aipu_device *aipu)
{
	return atomic_read(&aipu->reset->asked);
}

int aipu_reset_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct aipu_device *aipu = to_aipu(drm);
	struct drm_aipu_reset *args = data;
	int err, idx;

	if (args->flags & ~(DRM_AIPU_RESET_IDLE | DRM_AIPU_RESET_RECOVERY) || args->pad)
		return -EINVAL;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (args->flags & DRM_AIPU_RESET_RECOVERY && !(aipu->limits.capabilities & AIPU_CAP_FLASH))
		return -EOPNOTSUPP;
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	err = mutex_lock_killable(&aipu->reset->turn) ? -ERESTARTSYS : 0;
	if (!err) {
		err = reset_for(aipu, args->flags);
		mutex_unlock(&aipu->reset->turn);
	}
	drm_dev_exit(idx);
	return err;
}

/* --- by others: FLR, AER, suspend ------------------------------------------------------------- */

/*
 * Both in one task, which the PCI core lets nobody interrupt: the turn and the lock go from the one
 * to the other.
 */
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

/* Stopped until the next start; calls fail with -EIO meanwhile */
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

/*
 * In a task of its own, which has the lock meanwhile: calls wait, as for any reset. The PCI core
 * may never say that it failed, so this does not wait for ever.
 */
static void bus_work(struct work_struct *work)
{
	struct aipu_reset *reset = container_of(work, struct aipu_reset, bus_work);
	struct aipu_device *aipu = reset->aipu;

	guard(mutex)(&reset->turn);
	hold(aipu);
	atomic_inc(&aipu->resets);
	aipu_stop(aipu, "an error on the bus");
	complete(&reset->stopped);
	wait_for_completion_timeout(&reset->back, BUS_JIFFIES);
	if (aipu_start(aipu))
		wedge(aipu);
	up_write(&aipu->reset_lock);
}

static pci_ers_result_t error_detected(struct pci_dev *pdev, pci_channel_state_t channel)
{
	struct aipu_device *aipu = pci_get_drvdata(pdev);
	struct aipu_reset *reset = aipu->reset;

	if (channel == pci_channel_io_normal)
		return PCI_ERS_RESULT_CAN_RECOVER;
	if (channel == pci_channel_io_perm_failure) {
		complete(&reset->back);
		rest(aipu, "an error on the bus");
		wedge(aipu);
		return PCI_ERS_RESULT_DISCONNECT;
	}
	/* It may wait for a slot reset still, that was due to an earlier error. */
	if (!work_busy(&reset->bus_work)) {
		reinit_completion(&reset->stopped);
		reinit_completion(&reset->back);
		queue_work(system_unbound_wq, &reset->bus_work);
		wait_for_completion(&reset->stopped);
	}
	return PCI_ERS_RESULT_NEED_RESET;
}

/* Also of a card that runs, where another one behind the same bridge wanted it */
static pci_ers_result_t slot_reset(struct pci_dev *pdev)
{
	struct aipu_device *aipu = pci_get_drvdata(pdev);
	struct aipu_reset *reset = aipu->reset;

	restore_config(aipu);
	if (work_busy(&reset->bus_work)) {
		complete(&reset->back);
		flush_work(&reset->bus_work);
	} else {
		guard(mutex)(&reset->turn);
		hold(aipu);
		reset_card(aipu, "its slot was reset");
	}
	return READ_ONCE(aipu->state) == AIPU_READY ? PCI_ERS_RESULT_RECOVERED
						    : PCI_ERS_RESULT_DISCONNECT;
}

const struct pci_error_handlers aipu_error_handlers = {
	.reset_prepare = reset_prepare,
	.reset_done = reset_done,
	.error_detected = error_detected,
	.slot_reset = slot_reset,
};

/*
 * No user runs now. A card that cannot be stopped does not hold up the machine's sleep: its Bus
 * Master is off.
 */
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

/* --- its own life ----------------------------------------------------------------------------- */

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
	INIT_WORK(&reset->work, reset_work);
	INIT_WORK(&reset->bus_work, bus_work);
	init_completion(&reset->stopped);
	init_completion(&reset->back);
	err = drmm_add_action_or_reset(&aipu->drm, reset_release, reset);
	if (err)
		return err;
	/* With the interrupts that are set up, and without Bus Master, whoever left it on */
	pci_clear_master(aipu->pdev);
	pci_save_state(aipu->pdev);
	reset->config = pci_store_saved_state(aipu->pdev);
	if (!reset->config)
		return -ENOMEM;
	aipu->reset = reset;
	aipu->state = AIPU_RESETTING;
	return aipu_watch_init(aipu);
}

void aipu_reset_fini(struct aipu_device *aipu)
{
	struct aipu_reset *reset = aipu->reset;

	complete(&reset->back);
	scoped_guard(mutex, &reset->turn) {
		reset->off = true;
		/* Whoever waits for the card lets go of it. */
		aipu_admin_stop(aipu);
	}
	/* In the order in which one starts the other */
	aipu_watch_fini(aipu);
	disable_work_sync(&reset->work);
	disable_work_sync(&reset->bus_work);
}
