// SPDX-License-Identifier: GPL-2.0
/*
 * What monitors and people look at: fdinfo, debugfs, devcoredump, and the tracepoints' code; what
 * the card measures is in aipu_sensors.c. Called by the core of each, and by recovery before it
 * touches the card. Nothing here changes the card or waits for it, and no text has an address.
 */
#include <linux/devcoredump.h>
#include <linux/vmalloc.h>
#include <drm/drm_debugfs.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_print.h>

#include "aipu_buffer.h"
#include "aipu_check.h"
#include "aipu_context.h"
#include "aipu_ioq.h"
#include "aipu_reset.h"
#include "aipu_show.h"
#include "aipu_watch.h"

#define CREATE_TRACE_POINTS
#include "aipu_trace.h"

#define DUMP_BYTES (64u << 10) /* of a coredump; what does not fit is cut off */

/* --- what an open file uses ------------------------------------------------------------------- */

/* Of a file's handles, in one region of memory */
struct region {
	struct drm_memory_stats stats;
	u64 kv; /* of it in buffers that are labelled as KV caches */
};

static void count_buffer(struct region *region, struct aipu_buffer *buffer)
{
	struct drm_gem_object *gem = &buffer->shmem.base;

	if (drm_gem_object_is_shared_for_memory_stats(gem))
		region->stats.shared += gem->size;
	else
		region->stats.private += gem->size;
	region->stats.resident += gem->size;
	if (buffer->flags & DRM_AIPU_BUFFER_KV)
		region->kv += gem->size;
}

static void print_region(struct drm_printer *p, struct region *region, const char *name)
{
	drm_print_memory_stats(p, &region->stats, DRM_GEM_OBJECT_RESIDENT, name);
	drm_printf(p, AIPU_DRIVER_NAME "-kv-%s:\t%llu KiB\n", name, region->kv >> 10);
}

/*
 * Device time is known of a job when it has ended. Of those that run it is estimated here: of the
 * time since the last end in their queue an equal share of all queues that have jobs, as the card
 * takes turns. A GENERATE that a full token ring pauses counts as running: only the ring, in the
 * user's own memory, says so, and nothing says for how long.
 */
static u64 running_ns(struct aipu_file *file)
{
	struct aipu_device *aipu = file->aipu;
	ktime_t now = ktime_get();
	struct aipu_ioq *queue;
	unsigned int busy = 0;
	unsigned long id;
	u64 ns = 0;

	xa_lock(&aipu->queues);
	xa_for_each(&aipu->queues, id, queue) {
		guard(spinlock_irqsave)(&queue->lock);
		if (!queue->running)
			continue;
		busy++;
		if (queue->file == file)
			ns += max(ktime_sub(now, queue->progress), 0);
	}
	xa_unlock(&aipu->queues);
	return busy ? div_u64(ns, busy) : 0;
}

/* Of jobs that ended before those that run, or one that ends now would count twice; never back */
static u64 busy_ns(struct aipu_file *file)
{
	s64 ended = atomic64_read(&file->busy_ns);

	return aipu_never_back(&file->busy_shown, ended + running_ns(file));
}

void aipu_show_fdinfo(struct drm_printer *p, struct drm_file *drm_file)
{
	struct aipu_file *file = drm_file->driver_priv;
	struct region device = {}, host = {};
	struct drm_gem_object *gem;
	int id;

	spin_lock(&drm_file->table_lock);
	idr_for_each_entry(&drm_file->object_idr, gem, id) {
		struct aipu_buffer *buffer = to_aipu_buffer(gem);

		count_buffer(buffer->kind == DRM_AIPU_BUFFER_DEVICE ? &device : &host, buffer);
	}
	spin_unlock(&drm_file->table_lock);
	drm_printf(p, "drm-engine-compute:\t%llu ns\n", busy_ns(file));
	print_region(p, &device, "device");
	print_region(p, &host, "host");
	drm_printf(p, AIPU_DRIVER_NAME "-jobs:\t%llu\n", (u64)atomic64_read(&file->jobs));
}

/* --- state, for debugfs and coredumps --------------------------------------------------------- */

static void print_registers(struct aipu_device *aipu, struct drm_printer *p)
{
	static const struct {
		u32 offset;
		const char *name;
	} registers[] = {
		{ AIPU_REG_STATUS, "status" },
		{ AIPU_REG_CONTROL, "control" },
		{ AIPU_REG_ERROR, "error" },
		{ AIPU_REG_RESET_COUNT, "reset count" },
		{ AIPU_REG_HEARTBEAT, "heartbeat" },
		{ AIPU_REG_STEPS, "steps" },
		{ AIPU_REG_LONGEST_STEP_US, "longest step us" },
		{ AIPU_REG_RESCUES, "rescued doorbells" },
		{ AIPU_REG_TEMPERATURE, "temperature" },
		{ AIPU_REG_POWER, "power" },
		{ AIPU_REG_CLOCK, "clock" },
	};

	drm_puts(p, "registers:\n");
	for (unsigned int i = 0; i < ARRAY_SIZE(registers); i++)
		drm_printf(p, "  %s: 0x%08x\n", registers[i].name,
			   aipu_read(aipu, registers[i].offset));
	drm_printf(p, "  busy us: %llu\n", aipu_read_counter(aipu, AIPU_REG_BUSY_US_LO));
}

static void print_driver(struct aipu_device *aipu, struct drm_printer *p)
{
	static const char *const states[] = { "ready", "resetting", "wedged" };
	const struct aipu_limits *limits = &aipu->limits;
	const struct aipu_admin_ring *admin = &aipu->admin;

	drm_printf(p, "state: %s\nresets: %d\nrescues: %llu\n", states[READ_ONCE(aipu->state)],
		   atomic_read(&aipu->resets), aipu_rescues(aipu));
	drm_printf(p, "firmware: %u.%u.%u\ncontract: %u.%u\nserial: %llu\nvectors: %u\n",
		   AIPU_FIRMWARE_ARGS(limits->firmware_version), AIPU_ABI_ARGS(limits->abi_in_use),
		   limits->serial, aipu->vectors);
	drm_printf(p, "limits: queues %u, entries %u, contexts %u, segments %u, programs %u\n",
		   limits->max_queues, limits->max_queue_entries, limits->max_contexts,
		   limits->max_segments, limits->max_programs);
	drm_printf(p, "admin: tail %u, head %u, phase %u, strange %llu%s\n", admin->tail,
		   admin->head, admin->phase, admin->strange, admin->stopped ? ", stopped" : "");
}

/* The job that the card calls `id`: its entry as the card got it */
static void print_entry(struct drm_printer *p, const struct aipu_job *job, u64 sequence)
{
	const u64 *words = (const u64 *)job;

	drm_printf(p, "  first in flight: sequence %llu, opcode %u, entry", sequence, job->opcode);
	for (unsigned int i = 0; i < sizeof(*job) / sizeof(*words); i++)
		drm_printf(p, " %016llx", words[i]);
	drm_puts(p, "\n");
}

static void print_queue(struct drm_printer *p, struct aipu_ioq *queue)
{
	u32 first = aipu_ioq_first(queue), place;

	guard(spinlock_irqsave)(&queue->lock);
	drm_printf(p, "queue %u: context %u, kind %u, entries %u, vector %u%s%s\n", queue->id,
		   queue->context->id, queue->kind, queue->entries, queue->vector,
		   queue->dead ? ", dead" : "", queue->lost ? ", lost" : "");
	drm_printf(p, "  next %llu, oldest %llu, sq head %u, cq head %u, phase %u\n", queue->next,
		   queue->oldest, queue->sq_head, queue->cq_head, queue->phase);
	drm_printf(p, "  in flight %u, not rung %u, results %u\n", queue->running, queue->unrung,
		   queue->ended_count);
	drm_printf(p, "  jobs %llu, doorbells %llu, interrupts %llu, strange %llu\n", queue->jobs,
		   queue->doorbells, queue->interrupts, queue->strange);
	if (first == AIPU_NO_JOB || !queue->sq)
		return;
	place = aipu_id_place(first, queue->entries);
	print_entry(p, &queue->sq[place], queue->slots[place].result.sequence);
}

static void print_queues(struct aipu_device *aipu, struct drm_printer *p)
{
	struct aipu_ioq *queue;
	unsigned long id;

	xa_for_each(&aipu->queues, id, queue) {
		queue = aipu_ioq_find(aipu, id);
		if (queue)
			print_queue(p, queue);
		aipu_ioq_put(queue);
	}
}

/* Under drm_dev_enter(), while nobody resets the card */
static void print_state(struct aipu_device *aipu, struct drm_printer *p)
{
	print_driver(aipu, p);
	print_registers(aipu, p);
	print_queues(aipu, p);
}

static int state_show(struct seq_file *file, void *data)
{
	struct drm_debugfs_entry *entry = file->private;
	struct aipu_device *aipu = to_aipu(entry->dev);
	struct drm_printer p = drm_seq_file_printer(file);
	int idx, err;

	if (!drm_dev_enter(&aipu->drm, &idx))
		return -ENODEV;
	err = down_read_killable(&aipu->reset_lock);
	if (!err) {
		print_state(aipu, &p);
		up_read(&aipu->reset_lock);
	}
	drm_dev_exit(idx);
	return err;
}

static int memory_show(struct seq_file *file, void *data)
{
	struct drm_debugfs_entry *entry = file->private;
	struct aipu_device *aipu = to_aipu(entry->dev);
	struct drm_printer p = drm_seq_file_printer(file);

	guard(mutex)(&aipu->memory_lock);
	drm_printf(&p, "total %llu, used %llu\n", aipu->memory_total, aipu->memory_used);
	drm_mm_print(&aipu->memory, &p);
	return 0;
}

void aipu_debugfs_init(struct aipu_device *aipu)
{
	drm_debugfs_add_file(&aipu->drm, "state", state_show, NULL);
	drm_debugfs_add_file(&aipu->drm, "memory", memory_show, NULL);
}

void aipu_coredump(struct aipu_device *aipu, const char *why)
{
	struct drm_print_iterator iterator = { .remain = DUMP_BYTES };
	struct drm_printer p = drm_coredump_printer(&iterator);

	/* vfree() is the core's, when somebody has read it or after minutes. */
	iterator.data = vzalloc(DUMP_BYTES);
	if (!iterator.data)
		return;
	drm_printf(&p, "%s %s: %s\n", AIPU_DRIVER_NAME, dev_name(aipu->drm.dev), why);
	print_state(aipu, &p);
	dev_coredumpv(aipu->drm.dev, iterator.data, DUMP_BYTES - iterator.remain, GFP_KERNEL);
}
