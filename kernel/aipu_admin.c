// SPDX-License-Identifier: GPL-2.0
/*
 * The admin queue: its rings, its commands from giving to completion, and what a status means as
 * -errno. Called by all that makes or ends an object on the card. It never retries, and a
 * completion is believed only as far as it names a command that the card has.
 */
#include <linux/nospec.h>
#include <drm/drm_drv.h>
#include <drm/drm_managed.h>

#include "aipu_check.h"
#include "aipu_drv.h"
#include "aipu_ioq.h"
#include "aipu_reset.h"
#include "aipu_watch.h"

#define SQ_BYTES (AIPU_ADMIN_ENTRIES * sizeof(struct aipu_admin))
#define CQ_BYTES (AIPU_ADMIN_ENTRIES * sizeof(struct aipu_completion))

int aipu_status_errno(unsigned int status)
{
	switch (status) {
	case AIPU_STATUS_OK:
		return 0;
	case AIPU_STATUS_INVALID_SEGMENT:
	case AIPU_STATUS_INVALID_CONTEXT:
	case AIPU_STATUS_INVALID_QUEUE:
	case AIPU_STATUS_NOT_FOUND:
		return -ENOENT;
	case AIPU_STATUS_ACCESS_DENIED:
		return -EACCES;
	case AIPU_STATUS_UNSUPPORTED:
		return -EOPNOTSUPP;
	case AIPU_STATUS_INVALID_PROGRAM:
		return -ENOEXEC;
	case AIPU_STATUS_ABORTED:
	case AIPU_STATUS_CONTEXT_RESET:
		return -ECANCELED;
	case AIPU_STATUS_TIMEOUT:
		return -ETIME;
	case AIPU_STATUS_DMA_ERROR:
		return -EFAULT;
	case AIPU_STATUS_DATA_LOST:
		return -ENODATA;
	case AIPU_STATUS_DIGEST_MISMATCH:
		return -EBADMSG;
	case AIPU_STATUS_NO_RESOURCES:
		return -ENOSPC;
	case AIPU_STATUS_BUSY:
		return -EBUSY;
	case AIPU_STATUS_FIRMWARE_REFUSED:
		return -EKEYREJECTED;
	case AIPU_STATUS_INTERNAL:
		return -EIO;
	case AIPU_STATUS_VERSION:
		return -EPROTO;
	default:
		return status < AIPU_STATUS_COUNT ? -EINVAL : -EIO;
	}
}

/* --- commands --------------------------------------------------------------------------------- */

struct aipu_command *aipu_command_create(u8 opcode)
{
	struct aipu_command *command = kzalloc(sizeof(*command), GFP_KERNEL_ACCOUNT);

	if (!command)
		return NULL;
	kref_init(&command->refs);
	init_completion(&command->done);
	command->entry.opcode = opcode;
	return command;
}

static void command_release(struct kref *refs)
{
	kfree(container_of(refs, struct aipu_command, refs));
}

void aipu_command_put(struct aipu_command *command)
{
	if (command)
		kref_put(&command->refs, command_release);
}

/* The queue's reference ends here */
static void command_end(struct aipu_device *aipu, struct aipu_command *command, int error)
{
	command->error = error;
	complete_all(&command->done);
	if (command->ended)
		command->ended(aipu, command);
	aipu_command_put(command);
}

/* --- the rings -------------------------------------------------------------------------------- */

int aipu_admin_create(struct aipu_device *aipu)
{
	struct aipu_admin_ring *ring = &aipu->admin;
	struct device *dev = aipu->drm.dev;

	spin_lock_init(&ring->lock);
	init_waitqueue_head(&ring->room);
	ring->stopped = true;
	ring->sq = dmam_alloc_coherent(dev, SQ_BYTES, &ring->sq_address, GFP_KERNEL);
	ring->cq = dmam_alloc_coherent(dev, CQ_BYTES, &ring->cq_address, GFP_KERNEL);
	return ring->sq && ring->cq ? 0 : -ENOMEM;
}

void aipu_admin_prepare(struct aipu_device *aipu)
{
	struct aipu_admin_ring *ring = &aipu->admin;

	guard(spinlock_irqsave)(&ring->lock);
	memset(ring->cq, 0, CQ_BYTES);
	ring->tail = 0;
	ring->head = 0;
	ring->seen_ticks = 0;
	ring->phase = 1;
}

void aipu_admin_start(struct aipu_device *aipu)
{
	guard(spinlock_irqsave)(&aipu->admin.lock);
	aipu->admin.stopped = false;
}

static void commands_end(struct aipu_device *aipu, struct list_head *commands, int error)
{
	struct aipu_command *command, *next;

	list_for_each_entry_safe(command, next, commands, link)
		command_end(aipu, command, error);
}

void aipu_admin_stop(struct aipu_device *aipu)
{
	struct aipu_admin_ring *ring = &aipu->admin;
	LIST_HEAD(lost);

	scoped_guard(spinlock_irqsave, &ring->lock) {
		ring->stopped = true;
		for (unsigned int id = 0; id < AIPU_ADMIN_ENTRIES; id++) {
			if (ring->commands[id])
				list_add_tail(&ring->commands[id]->link, &lost);
			ring->commands[id] = NULL;
		}
	}
	commands_end(aipu, &lost, -ECANCELED);
	wake_up_all(&ring->room);
}

bool aipu_admin_stopped(struct aipu_device *aipu)
{
	guard(spinlock_irqsave)(&aipu->admin.lock);
	return aipu->admin.stopped;
}

/* Under the lock */
static bool visible(const struct aipu_admin_ring *ring)
{
	return !ring->stopped &&
	       (le16_to_cpu(READ_ONCE(ring->cq[ring->head].phase)) & 1) == ring->phase;
}

/* Under the lock: takes one completion out of the ring. false: it makes no sense. */
static bool take(struct aipu_admin_ring *ring, struct list_head *ended)
{
	struct aipu_command *command;
	struct aipu_completion entry;
	u16 id;

	dma_rmb();
	ring->seen_ticks = 0;
	entry = aipu_completion_read(&ring->cq[ring->head]);
	if (++ring->head == AIPU_ADMIN_ENTRIES) {
		ring->head = 0;
		ring->phase ^= 1;
	}
	/* Not needed: each command has its place until it ends. */
	ring->strange += le16_to_cpu(entry.sq_head) >= AIPU_ADMIN_ENTRIES;
	id = le16_to_cpu(entry.id);
	command = id < AIPU_ADMIN_ENTRIES
			  ? ring->commands[array_index_nospec(id, AIPU_ADMIN_ENTRIES)]
			  : NULL;
	if (!command || le16_to_cpu(entry.status) >= AIPU_STATUS_COUNT) {
		ring->strange++;
		return false;
	}
	ring->commands[id] = NULL;
	command->result = entry;
	list_add_tail(&command->link, ended);
	return true;
}

void aipu_admin_interrupt(struct aipu_device *aipu)
{
	struct aipu_admin_ring *ring = &aipu->admin;
	unsigned int seen = 0;
	bool sense = true;
	LIST_HEAD(ended);

	scoped_guard(spinlock_irqsave, &ring->lock) {
		/* One pass over the ring at most, whatever the card writes meanwhile */
		for (; sense && seen < AIPU_ADMIN_ENTRIES && visible(ring); seen++)
			sense = take(ring, &ended);
		if (seen)
			aipu_write(aipu, AIPU_DOORBELL_PAGE(0) + AIPU_DOORBELL_CQ_HEAD, ring->head);
	}
	commands_end(aipu, &ended, 0);
	if (seen)
		wake_up(&ring->room);
	if (!sense) {
		drm_err_ratelimited(&aipu->drm, "an answer that makes no sense\n");
		aipu_admin_stop(aipu);
		aipu_reset_ask(aipu, "the card answers what it was not asked");
	}
}

bool aipu_admin_busy(struct aipu_device *aipu)
{
	struct aipu_admin_ring *ring = &aipu->admin;

	guard(spinlock_irqsave)(&ring->lock);
	for (unsigned int id = 0; id < AIPU_ADMIN_ENTRIES; id++)
		if (ring->commands[id] &&
		    ring->commands[id]->entry.opcode != AIPU_ADMIN_ASYNC_EVENT)
			return true;
	return false;
}

bool aipu_admin_rescue(struct aipu_device *aipu)
{
	struct aipu_admin_ring *ring = &aipu->admin;

	scoped_guard(spinlock_irqsave, &ring->lock) {
		if (!visible(ring))
			return false;
		if (ring->seen_ticks++ < AIPU_RESCUE_TICKS)
			return false;
	}
	aipu_admin_interrupt(aipu);
	return true;
}

/* --- giving ----------------------------------------------------------------------------------- */

static unsigned int used(const struct aipu_admin_ring *ring)
{
	unsigned int count = 0;

	for (unsigned int id = 0; id < AIPU_ADMIN_ENTRIES; id++)
		count += !!ring->commands[id];
	return count;
}

static bool has_room(struct aipu_admin_ring *ring)
{
	guard(spinlock_irqsave)(&ring->lock);
	return ring->stopped || used(ring) < AIPU_ADMIN_ENTRIES - 1;
}

/* 0, -EAGAIN: no free id, -ECANCELED: stopped */
static int try_give(struct aipu_device *aipu, struct aipu_command *command)
{
	struct aipu_admin_ring *ring = &aipu->admin;
	unsigned int id = 0;

	guard(spinlock_irqsave)(&ring->lock);
	if (ring->stopped)
		return -ECANCELED;
	/* Of N places N - 1 can be filled; each command holds its place until it has ended. */
	if (used(ring) == AIPU_ADMIN_ENTRIES - 1)
		return -EAGAIN;
	while (ring->commands[id])
		id++;
	kref_get(&command->refs);
	ring->commands[id] = command;
	command->entry.id = cpu_to_le16(id);
	ring->sq[ring->tail] = command->entry;
	ring->tail = (ring->tail + 1) % AIPU_ADMIN_ENTRIES;
	dma_wmb();
	aipu_write(aipu, AIPU_DOORBELL_PAGE(0) + AIPU_DOORBELL_SQ_TAIL, ring->tail);
	return 0;
}

int aipu_command_give(struct aipu_device *aipu, struct aipu_command *command)
{
	int err, idx;

	do {
		/* No signal ends it: half of what is being ended would stay. */
		wait_event(aipu->admin.room, has_room(&aipu->admin));
		if (!drm_dev_enter(&aipu->drm, &idx))
			return -ENODEV;
		err = try_give(aipu, command);
		if (!err && command->entry.opcode != AIPU_ADMIN_ASYNC_EVENT)
			aipu_watch(aipu);
		drm_dev_exit(idx);
	} while (err == -EAGAIN);
	return err;
}

int aipu_command_run(struct aipu_device *aipu, struct aipu_command *command)
{
	int err = aipu_command_give(aipu, command);

	if (err)
		return err;
	if (wait_for_completion_timeout(&command->done, msecs_to_jiffies(aipu_timeout_ms(aipu))))
		return command->error;
	aipu_reset_ask(aipu, "an admin command had no answer");
	return -ETIMEDOUT;
}

int aipu_admin_run(struct aipu_device *aipu, const struct aipu_admin *entry,
		   struct aipu_completion *result)
{
	struct aipu_command *command = aipu_command_create(entry->opcode);
	int err;

	if (!command)
		return -ENOMEM;
	command->entry = *entry;
	err = aipu_command_run(aipu, command);
	if (!err) {
		if (result)
			*result = command->result;
		err = aipu_status_errno(le16_to_cpu(command->result.status));
	}
	aipu_command_put(command);
	return err;
}
