// SPDX-License-Identifier: MIT
/*
 * The engine: one thread that boots, executes admin commands, shares the cores among the queues and stops it
 * all. A unit of work is one step of RUN or GENERATE, one slice of COPY or FILL, or one short job; between two
 * units stands a boundary, where doorbells, commands and stops are seen. A stop is acknowledged here, after
 * the last unit, so nothing can follow it.
 */
#include "device.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

/* --- failures ----------------------------------------------------------------------------------- */

void dm_engine_event(struct aipu_dm *dm, enum aipu_event event)
{
	dm->events |= 1u << event;
}

static void report_queue(struct aipu_dm *dm)
{
	pthread_mutex_lock(&dm->lock);
	dm->error = AIPU_ERROR_QUEUE;
	pthread_mutex_unlock(&dm->lock);
	dm_engine_event(dm, AIPU_EVENT_ERROR);
}

/* For GET_PROGRESS: paused jobs take turns, so each time anew */
static void note_turn(struct dm_queue *queue)
{
	queue->context->progress.queue = queue->id;
	queue->context->progress.job = queue->job.entry.id;
	queue->context->progress.running = 1;
}

static void note_end(struct dm_queue *queue)
{
	if (queue->context->progress.queue == queue->id)
		queue->context->progress.running = 0;
}

void dm_engine_queue_failed(struct dm_queue *queue, unsigned int error)
{
	struct aipu_dm *dm = queue->dm;

	if (queue->dead)
		return;
	queue->dead = true;
	if (queue->job.active) {
		queue->job.active = false;
		note_end(queue);
		dm_job_stop(queue, AIPU_STATUS_DMA_ERROR, dm_dma_permitted(dm));
	}
	if (dm_stopping(dm))
		return; /* it failed because everything ends */
	if (!queue->context)
		dm->fatal = error;
	else
		report_queue(dm);
}

/* --- jobs --------------------------------------------------------------------------------------- */

static void finish_job(struct dm_queue *queue, unsigned int status, uint32_t detail)
{
	struct dm_job *job = &queue->job;
	struct aipu_completion completion = {
		.time_ns = job->busy_ns,
		.detail = detail,
		.step_seen = job->step_seen,
		.step_start = job->step_start,
		.step_end = dm_steps(queue->dm),
		.id = job->entry.id,
		.status = (uint16_t)status,
	};

	job->active = false;
	note_end(queue);
	if (dm_queue_post(queue, &completion))
		dm_engine_queue_failed(queue, AIPU_ERROR_QUEUE);
}

void dm_engine_end_job(struct dm_queue *queue, unsigned int reason)
{
	if (!queue->job.active)
		return;
	dm_job_stop(queue, reason, dm_dma_permitted(queue->dm));
	finish_job(queue, reason, 0);
}

/* false: the entry could not be read */
static bool start_job(struct dm_queue *queue, uint64_t now)
{
	const struct dm_slot *slot = &queue->slots[queue->head & (queue->entries - 1)];
	struct dm_job *job = &queue->job;

	*job = (struct dm_job){ .step_seen = slot->seen,
				.step_start = dm_steps(queue->dm),
				.started_ns = now };
	if (dm_queue_read(queue, queue->head, &job->entry))
		return false;
	queue->head++;
	job->active = true;
	queue->context->progress.block = 0;
	queue->context->progress.instruction = 0;
	queue->context->progress.step = job->step_start;
	return true;
}

/* true: by a fault that the host ordered; the job never starts, what comes now ends it */
static bool job_fails(struct dm_queue *queue)
{
	struct aipu_dm_fault fault = dm_fault_at(queue->dm, AIPU_DM_POINT_JOB);

	queue->job.spoilt = fault.kind == AIPU_DM_FAULT_MEMORY && fault.value;
	return fault.kind == AIPU_DM_FAULT_FATAL || dm_stopping(queue->dm);
}

/* The time limit does not run while a full ring holds the job up */
static bool time_is_up(const struct dm_job *job, uint64_t now)
{
	return job->entry.timeout_ms && !job->paused &&
	       now - job->started_ns > job->entry.timeout_ms * 1000000ull;
}

/* *stepped becomes false where the job fails its first check: that is no step */
static enum dm_unit work_on_job(struct dm_queue *queue, bool fresh, uint64_t now, bool *stepped,
				unsigned int *status, uint32_t *detail)
{
	*status = AIPU_STATUS_OK;
	*detail = 0;
	queue->job.work = (struct dm_work){ 0 };
	if (fresh)
		*status = dm_job_begin(queue, detail);
	*stepped = !*status;
	if (*status)
		return DM_UNIT_DONE;
	if (!atomic_load(&queue->dm->bus_master)) {
		*status =
			AIPU_STATUS_DMA_ERROR; /* operands and token ring may be the host's memory */
		dm_job_stop(queue, *status, false);
		return DM_UNIT_DONE;
	}
	if (queue->job.spoilt || time_is_up(&queue->job, now)) {
		*status = queue->job.spoilt ? AIPU_STATUS_INTERNAL : AIPU_STATUS_TIMEOUT;
		dm_job_stop(queue, *status, dm_dma_permitted(queue->dm));
		return DM_UNIT_DONE;
	}
	return dm_job_step(queue, status, detail);
}

static void count_step(struct aipu_dm *dm, uint64_t spent)
{
	uint64_t longest = atomic_load_explicit(&dm->longest_us, memory_order_relaxed);

	atomic_fetch_add_explicit(&dm->steps, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&dm->busy_ns, spent, memory_order_relaxed);
	if (spent / 1000 > longest)
		atomic_store_explicit(&dm->longest_us,
				      (uint32_t)(spent / 1000 > UINT32_MAX ? UINT32_MAX
									   : spent / 1000),
				      memory_order_relaxed);
}

static void run_unit(struct dm_queue *queue)
{
	struct dm_job *job = &queue->job;
	uint64_t now = dm_clock(queue->dm);
	bool fresh = !job->active, stepped;
	uint64_t spent, longer;
	unsigned int status;
	enum dm_unit unit;
	uint32_t detail;

	if (fresh && !start_job(queue, now)) {
		dm_engine_queue_failed(queue, AIPU_ERROR_QUEUE);
		return;
	}
	note_turn(queue);
	if (fresh && job_fails(queue))
		return;
	dm_power_begin(queue->dm, now);
	unit = work_on_job(queue, fresh, now, &stepped, &status, &detail);
	spent = dm_clock(queue->dm) - now;
	longer = dm_power_end(queue->dm, now, stepped && unit != DM_UNIT_PAUSED ? spent : 0,
			      &job->work);
	spent += longer;
	if (unit == DM_UNIT_PAUSED) {
		if (!job->paused)
			job->paused_ns = now;
		job->paused = true;
		job->poll_ns = now + spent + DM_POLL_NS;
		return;
	}
	if (job->paused)
		job->started_ns += now - job->paused_ns;
	job->paused = false;
	job->busy_ns += spent;
	if (stepped)
		count_step(queue->dm, spent);
	if (longer) {
		queue->dm->step_end = now + spent;
		queue->dm->ending = unit == DM_UNIT_DONE ? queue->id : 0;
		job->ended = unit == DM_UNIT_DONE;
		job->status = status;
		job->detail = detail;
	} else if (unit == DM_UNIT_DONE) {
		finish_job(queue, status, detail);
	}
}

/* --- arbitration -------------------------------------------------------------------------------- */

static void earlier(uint64_t *deadline, uint64_t candidate)
{
	if (candidate < *deadline)
		*deadline = candidate;
}

static bool runnable(struct dm_queue *queue, uint64_t now, uint64_t *deadline)
{
	if (queue->dead)
		return false;
	if (!queue->job.active)
		return queue->head != queue->tail &&
		       !queue->slots[queue->head & (queue->entries - 1)].end &&
		       dm_queue_room(queue);
	if (queue->job.paused && atomic_exchange(&queue->dm->doorbells[queue->id].kick, false))
		queue->job.poll_ns = now; /* others may have the next turn */
	if (!queue->job.paused || now >= queue->job.poll_ns)
		return true;
	earlier(deadline, queue->job.poll_ns);
	return false;
}

static struct dm_queue *next_runnable(struct aipu_dm *dm, uint64_t now, uint64_t *deadline)
{
	struct dm_place *place;

	for (uint32_t id = 1; id <= dm->config.max_queues; id++)
		if (dm->queues[id] && runnable(dm->queues[id], now, deadline))
			dm_arbiter_offer(&dm->arbiter, &dm->queues[id]->place);
	place = dm_arbiter_take(&dm->arbiter);
	return place ? (void *)((char *)place - offsetof(struct dm_queue, place)) : NULL;
}

/* `rung`: the host waits for it, so that DMA has to be possible. true: there are new entries or freed places */
static bool take_doorbell(struct dm_queue *queue, bool rung)
{
	const struct dm_doorbell *doorbell = &queue->dm->doorbells[queue->id];
	uint32_t tail = atomic_load(&doorbell->tail), head = atomic_load(&doorbell->head);
	uint64_t old_tail = queue->tail, old_head = queue->cq_head;
	int err;

	if (queue->dead)
		return false;
	err = dm_shadow_look(queue, &tail, &head);
	if (err) {
		if (rung || err == -EFAULT)
			dm_engine_queue_failed(queue, AIPU_ERROR_QUEUE);
		return false;
	}
	if (dm_queue_doorbell(queue, tail, head))
		return queue->tail != old_tail || queue->cq_head != old_head;
	if (queue->closed)
		return false;
	if (!queue->context) {
		dm_engine_queue_failed(queue, AIPU_ERROR_ADMIN_QUEUE);
		return false;
	}
	queue->closed = true;
	/* First: whoever finds a job ABORTED by this finds out why. */
	report_queue(queue->dm);
	dm_engine_end_job(queue, AIPU_STATUS_ABORTED);
	if (!queue->dead)
		dm_queue_stop_all(queue, AIPU_STATUS_ABORTED);
	return false;
}

/* Looked at by the timer: what it has should have been rung for */
static void rescue(struct dm_queue *queue)
{
	uint64_t before = queue->tail;
	bool news = take_doorbell(queue, false);

	if (dm_shadow_rescue(queue, before) || (news && queue->tail == before))
		dm_shadow_wake(queue);
}

/* New entries and freed places of all queues: by a doorbell, by their shadows, by the timer */
static void take_doorbells(struct aipu_dm *dm, uint64_t now)
{
	bool rung = atomic_exchange(&dm->rung, false);
	bool late = dm->shadows && now >= dm->rescue_ns;

	/* First: what a command is about was rung for before it, or stands in a shadow that is read after it. */
	if (rung)
		take_doorbell(dm->admin, true);
	for (uint32_t id = 1; (rung || late || dm->awake) && id <= dm->config.max_queues; id++) {
		if (!dm->queues[id])
			continue;
		if (rung || dm_shadow_due(dm->queues[id])) {
			if (take_doorbell(dm->queues[id], rung) || dm_shadow_told(dm->queues[id]))
				dm_shadow_wake(dm->queues[id]);
		} else if (late && dm_shadow_asleep(dm->queues[id])) {
			rescue(dm->queues[id]);
		}
	}
	if (late)
		dm->rescue_ns = now + DM_RESCUE_NS;
}

/* What does not depend on a doorbell of the same pass: marked entries and late interrupts */
static void tend_queue(struct dm_queue *queue, uint64_t now, uint64_t *deadline)
{
	if (!queue->dead)
		dm_queue_settle(queue);
	if (!queue->unsignalled)
		return;
	if (now >= queue->signal_ns)
		dm_queue_signal(queue);
	else
		earlier(deadline, queue->signal_ns);
}

/*
 * At a lower clock a step lasts longer than its work: until then no other begins, and the job that it ended has not ended.
 * Commands are served meanwhile, and may have ended that job.
 */
static void end_long_step(struct aipu_dm *dm)
{
	struct dm_queue *queue = dm->queues[dm->ending];

	dm->step_end = 0;
	dm->ending = 0;
	if (queue && queue->job.active && queue->job.ended)
		finish_job(queue, queue->job.status, queue->job.detail);
}

/* Everything between two boundaries. true: something was done, look again at once. */
static bool pass(struct aipu_dm *dm, uint64_t *deadline)
{
	uint64_t now = dm_clock(dm);
	struct dm_queue *queue;
	bool did;

	take_doorbells(dm, now);
	did = dm_admin_pass(dm);
	for (uint32_t id = 1; id <= dm->config.max_queues; id++)
		if (dm->queues[id])
			tend_queue(dm->queues[id], now, deadline);
	did |= dm_deferred_pass(dm);
	if (now < dm->step_end) {
		earlier(deadline, dm->step_end);
		return did;
	}
	if (dm->step_end) {
		end_long_step(dm);
		return true;
	}
	queue = next_runnable(dm, now, deadline);
	if (queue && !dm_stopping(dm))
		run_unit(queue);
	return queue || dm_power_idle(dm, now, deadline) || did || dm_shadow_linger(dm, *deadline);
}

/* --- stopping ------------------------------------------------------------------------------------- */

void dm_engine_clear(struct aipu_dm *dm)
{
	for (uint32_t id = 1; id <= dm->config.max_queues; id++) {
		if (!dm->queues[id])
			continue;
		dm_job_stop(dm->queues[id], AIPU_STATUS_ABORTED, false);
		dm_queue_destroy(dm->queues[id]);
		dm->queues[id] = NULL;
	}
	for (uint32_t id = 1; id <= DM_MAX_CONTEXTS; id++)
		if (dm->contexts[id])
			dm_context_destroy(dm->contexts[id]);
	dm_deferred_clear(dm);
	dm_queue_destroy(dm->admin);
	dm->admin = NULL;
	dm->arbiter = (struct dm_arbiter){ 0 };
	dm->events = 0;
	dm->fatal = AIPU_ERROR_NONE;
	dm->step_end = 0;
	dm->ending = 0;
	atomic_store(&dm->rung, false);
}

/* With a flash the boot ROM looks at that first; it is not at rest until it has */
void dm_rom_begin(struct aipu_dm *dm)
{
	dm->flash_pending = dm->config.flash_bytes && !dm->recovery;
	dm->state = dm->flash_pending ? AIPU_STATE_LOADING : AIPU_STATE_ROM;
	dm->idle = !dm->flash_pending;
	dm->boot_source = AIPU_BOOT_FROM_NONE;
	dm->flash.running = DM_FLASH_NONE;
	dm->rollback = dm_flash_rollback(dm);
	memset(dm->slot_errors, 0, sizeof(dm->slot_errors));
	dm->recovery = false;
}

/* Called and left with the lock held */
static void do_stop(struct aipu_dm *dm)
{
	pthread_mutex_unlock(&dm->lock);
	dm_engine_clear(dm);
	pthread_mutex_lock(&dm->lock);
	/* A disable may have become a reset meanwhile; what was cleared is the same. */
	if (dm->stop == DM_STOP_RESET) {
		memset(dm->stored, 0, sizeof(dm->stored));
		memset(&dm->firmware, 0, sizeof(dm->firmware));
		dm->error = AIPU_ERROR_NONE;
		atomic_store(&dm->steps, 0);
		atomic_store(&dm->longest_us, 0);
		atomic_store(&dm->busy_ns, 0);
		dm_power_reset(dm);
		dm->rescues = 0;
	}
	dm->state = AIPU_STATE_RUNNING;
	dm->idle = true;
	if (!dm->firmware.version)
		dm_rom_begin(dm);
	dm->abi_in_use = 0;
	dm->stop = DM_STOP_NONE;
	dm->stops++;
	dm->engine_generation = atomic_load(&dm->generation);
}

static void fail(struct aipu_dm *dm, unsigned int error)
{
	dm->error = error;
	dm->state = AIPU_STATE_FAILED;
	dm->enabled = false;
	dm->idle = true;
}

/* The state first: whom the event wakes finds it. IDLE when nothing can follow. */
static void do_fatal(struct aipu_dm *dm)
{
	fail(dm, dm->fatal);
	dm->idle = false;
	pthread_mutex_unlock(&dm->lock);
	dm_engine_event(dm, AIPU_EVENT_ERROR);
	dm_deferred_pass(dm);
	dm_engine_clear(dm);
	pthread_mutex_lock(&dm->lock);
	if (!dm->stop)
		dm->idle = true;
}

/* --- boot and enable ------------------------------------------------------------------------------ */

static void run_firmware(struct aipu_dm *dm, struct aipu_firmware_header *firmware, uint32_t source)
{
	dm_boot_narrow(dm, firmware); /* what runs speaks what both do */
	dm->firmware = *firmware;
	dm->boot_source = source;
	dm->limits.abi_oldest = firmware->abi_oldest;
	dm->limits.abi_newest = firmware->abi_newest;
	dm->state = AIPU_STATE_RUNNING;
	dm->idle = true;
}

static void do_load(struct aipu_dm *dm)
{
	struct aipu_firmware_header firmware = { 0 };
	uint64_t address = dm->load_address;
	uint32_t bytes = dm->load_bytes;
	struct aipu_dm_fault fault;
	unsigned int error;

	dm->load_pending = false;
	pthread_mutex_unlock(&dm->lock);
	fault = dm_fault_at(dm, AIPU_DM_POINT_LOAD);
	error = fault.kind == AIPU_DM_FAULT_FAIL ? fault.value
						 : dm_boot_load(dm, address, bytes, &firmware);
	pthread_mutex_lock(&dm->lock);
	if (dm->stop)
		return;
	if (error) {
		fail(dm, error);
		return;
	}
	run_firmware(dm, &firmware, AIPU_BOOT_FROM_HOST);
}

/* Where nothing starts, the device waits for LOAD; in heat nothing is tried */
static void do_flash(struct aipu_dm *dm)
{
	struct aipu_firmware_header firmware = { 0 };
	unsigned int error;

	dm->flash_pending = false;
	if (dm_power_too_hot(dm)) {
		fail(dm, AIPU_ERROR_OVERHEATED);
		return;
	}
	pthread_mutex_unlock(&dm->lock);
	error = dm_flash_boot(dm, &firmware);
	pthread_mutex_lock(&dm->lock);
	if (dm->stop)
		return;
	memcpy(dm->slot_errors, dm->flash.errors, sizeof(dm->slot_errors));
	if (!error) {
		run_firmware(dm, &firmware, AIPU_BOOT_FROM_SLOT_A + dm->flash.running);
		return;
	}
	dm->error = dm->flash.record.active == DM_FLASH_NONE ? AIPU_ERROR_NONE : error;
	dm->state = AIPU_STATE_ROM;
	dm->idle = true;
}

static void do_enable(struct aipu_dm *dm)
{
	struct dm_enable enable = dm->enable;
	uint32_t abi_in_use = 0;
	unsigned int error;

	dm->enable_pending = false;
	pthread_mutex_unlock(&dm->lock);
	error = dm_boot_enable(dm, &dm->firmware, &enable, &abi_in_use);
	if (!error && dm_queue_create(dm, NULL, &enable.admin, &dm->admin))
		error = AIPU_ERROR_ADMIN_DMA;
	if (!error)
		dm_flash_confirm(dm, &dm->firmware);
	pthread_mutex_lock(&dm->lock);
	dm->rollback = dm_flash_rollback(dm);
	if (dm->stop)
		return;
	if (error) {
		fail(dm, error);
		return;
	}
	dm->abi_in_use = abi_in_use;
	dm->state = AIPU_STATE_READY;
}

/* --- the loop ------------------------------------------------------------------------------------- */

void dm_engine_sleep(struct aipu_dm *dm, uint64_t until)
{
	struct timespec time = { .tv_sec = (time_t)(until / 1000000000u),
				 .tv_nsec = (long)(until % 1000000000u) };

	dm->sleeping = true;
	dm->sleep_ns = dm_real_clock();
	if (until == DM_NEVER)
		pthread_cond_wait(&dm->wake, &dm->lock);
	else
		pthread_cond_timedwait(&dm->wake, &dm->lock, &time);
	dm->sleeping = false;
	dm->heartbeat += (uint32_t)((dm_real_clock() - dm->sleep_ns) / DM_HEARTBEAT_NS);
}

static void rest(struct aipu_dm *dm, uint64_t deadline)
{
	uint64_t now = dm_clock(dm), until = dm_real_clock();

	/* Where it is not READY no more than the temperature is waited for */
	dm->idle = deadline == DM_NEVER || dm->state != AIPU_STATE_READY;
	if (dm->shadows)
		earlier(&deadline, dm->rescue_ns);
	if (deadline == DM_NEVER) {
		dm_engine_sleep(dm, DM_NEVER);
		return;
	}
	/* The host's clock may be another one than the condition variable's: wait for a span. */
	if (deadline > now)
		until += deadline - now < 1000000000u ? deadline - now : 1000000000u;
	dm_engine_sleep(dm, until);
}

static bool commanded(const struct aipu_dm *dm)
{
	return dm->stop || dm->flash_pending || dm->load_pending || dm->enable_pending || dm->fatal;
}

static void work(struct aipu_dm *dm)
{
	uint64_t deadline = DM_NEVER;
	bool did = false;

	if (dm->state == AIPU_STATE_READY) {
		dm->idle = false;
		pthread_mutex_unlock(&dm->lock);
		did = pass(dm, &deadline);
		pthread_mutex_lock(&dm->lock);
	} else if (dm->state == AIPU_STATE_RUNNING) {
		pthread_mutex_unlock(&dm->lock);
		did = dm_power_idle(dm, dm_clock(dm), &deadline);
		pthread_mutex_lock(&dm->lock);
	}
	if (!did && !commanded(dm) && !atomic_load(&dm->rung))
		rest(dm, deadline);
}

void *dm_engine_main(void *aipu_dm)
{
	struct aipu_dm *dm = aipu_dm;

	pthread_mutex_lock(&dm->lock);
	for (;;) {
		dm->boundaries++;
		dm->heartbeat++;
		pthread_cond_broadcast(&dm->boundary_passed);
		if (dm->stop) {
			do_stop(dm);
			if (dm->quit)
				break;
		} else if (dm->fatal) {
			do_fatal(dm);
		} else if (dm->flash_pending) {
			do_flash(dm);
		} else if (dm->load_pending) {
			do_load(dm);
		} else if (dm->enable_pending) {
			do_enable(dm);
		} else {
			work(dm);
		}
	}
	pthread_mutex_unlock(&dm->lock);
	return NULL;
}
