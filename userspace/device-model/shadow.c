// SPDX-License-Identifier: MIT
/*
 * Shadow doorbells: a queue's tail and head as words of host memory, which the engine looks at, so that the host need not
 * ring while it is awake (spec.md, section 5). The engine calls, between two units of work. A word of the page is
 * believed as little as a doorbell's value; falling asleep is event, full fence, and one look more.
 */
#include "device.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>

#define WORD(name) offsetof(struct aipu_shadow, name)

/* --- words ---------------------------------------------------------------------------------------- */

/* Each of these: 0 or -EFAULT */
static int read_word(struct dm_queue *queue, size_t offset, uint32_t *word)
{
	struct aipu_dm *dm = queue->dm;
	uint64_t address = queue->shadow.address + offset;

	if (!dm_dma_permitted(dm))
		return -EFAULT;
	if (queue->shadow.pointer)
		*word = __atomic_load_n((uint32_t *)(void *)(queue->shadow.pointer + offset),
					__ATOMIC_ACQUIRE);
	else if (dm->ops.dma_look)
		return dm->ops.dma_look(dm->host, address, word) ? -EFAULT : 0;
	else
		return dm_dma_read(dm, address, word, sizeof(*word), NULL);
	return 0;
}

static int write_word(struct dm_queue *queue, size_t offset, uint32_t word)
{
	if (!queue->shadow.pointer)
		return dm_dma_write(queue->dm, queue->shadow.address + offset, &word, sizeof(word),
				    NULL);
	if (!dm_dma_permitted(queue->dm))
		return -EFAULT;
	__atomic_store_n((uint32_t *)(void *)(queue->shadow.pointer + offset), word,
			 __ATOMIC_RELEASE);
	return 0;
}

/* Without a doorbell nothing is looked at while that would fail by itself. */
static bool may_look(struct aipu_dm *dm)
{
	return dm_dma_permitted(dm) && atomic_load(&dm->gate) % 2 == 0;
}

/* A completion that is to come, beside that of a job that runs, could want a place. */
static bool lacks_room(const struct dm_queue *queue)
{
	return dm_queue_room(queue) <= 1;
}

/* --- a queue's life --------------------------------------------------------------------------------- */

int dm_shadow_begin(struct dm_queue *queue)
{
	if (write_word(queue, WORD(sq_event), 0) ||
	    write_word(queue, WORD(cq_event), AIPU_SHADOW_AWAKE))
		return -1;
	queue->shadowed = true;
	queue->brisk = DM_BRISK;
	queue->dm->shadows++;
	return 0;
}

void dm_shadow_end(struct dm_queue *queue)
{
	struct aipu_dm *dm = queue->dm;
	struct dm_doorbell *doorbell = &dm->doorbells[queue->id];

	if (!queue->shadowed)
		return;
	dm->shadows--;
	dm->awake -= queue->awake;
	pthread_mutex_lock(&dm->lock);
	dm->rescues += doorbell->found; /* its host, which ends it, had rung by now */
	doorbell->found = 0;
	pthread_mutex_unlock(&dm->lock);
}

int dm_shadow_look(struct dm_queue *queue, uint32_t *tail, uint32_t *head)
{
	struct aipu_dm *dm = queue->dm;
	unsigned int gate = atomic_load(&dm->gate);

	/* Of a doorbell nothing counts but that it came, and a value that is none. */
	if (!queue->shadowed ||
	    (!queue->closed && (*tail >= queue->entries || *head >= queue->entries)))
		return 0;
	*head = (uint32_t)queue->cq_head & (queue->entries - 1);
	/* In this order: a host frees completions before it gives jobs that want their places. */
	if (!read_word(queue, WORD(sq_tail), tail) &&
	    !(lacks_room(queue) && read_word(queue, WORD(cq_head), head)))
		return 0;
	return may_look(dm) && atomic_load(&dm->gate) == gate ? -EFAULT : -EAGAIN;
}

/* Tail and head as the engine knows them */
static bool is_news(const struct dm_queue *queue, uint32_t tail, uint32_t head)
{
	uint32_t mask = queue->entries - 1;

	return (!queue->closed && tail != ((uint32_t)queue->tail & mask)) ||
	       head != ((uint32_t)queue->cq_head & mask);
}

/*
 * The words by which the host knows whether to ring: for its jobs, and with `head` for the completions that it takes. The
 * page is not to blame where it was not the time for DMA. false: they were not written.
 */
static bool write_events(struct dm_queue *queue, uint32_t tail, bool head, uint32_t head_value)
{
	struct aipu_dm *dm = queue->dm;
	unsigned int gate = atomic_load(&dm->gate);

	if (!write_word(queue, WORD(sq_event), tail) &&
	    !(head && write_word(queue, WORD(cq_event), head_value)))
		return true;
	if (may_look(dm) && atomic_load(&dm->gate) == gate)
		dm_engine_queue_failed(queue, AIPU_ERROR_QUEUE);
	return false;
}

static void set_awake(struct dm_queue *queue, bool awake)
{
	queue->dm->awake += awake;
	queue->dm->awake -= queue->awake;
	queue->awake = awake;
}

static uint64_t linger_ns(const struct dm_queue *queue)
{
	return queue->dm->config.linger_us * 1000ull;
}

/*
 * The first work since it was idle. To wait for it is worth while only where it comes soon, time after time: not for a host
 * that is slow, nor on a machine whose processors are wanted by others.
 */
static void note_pace(struct dm_queue *queue)
{
	if (queue->idle_ns && dm_clock(queue->dm) - queue->idle_ns > linger_ns(queue))
		queue->brisk = 0;
	else if (queue->brisk < DM_BRISK)
		queue->brisk++;
}

void dm_shadow_wake(struct dm_queue *queue)
{
	if (!queue->shadowed)
		return;
	if (!queue->worked)
		note_pace(queue);
	queue->worked = true;
	queue->patience = 0;
	if (queue->awake || queue->dead)
		return;
	write_events(queue, AIPU_SHADOW_AWAKE, queue->head_awaited, AIPU_SHADOW_AWAKE);
	queue->head_awaited = false;
	set_awake(queue, true);
}

/* It stays awake where it could not say so, and not look. true: there may be work */
static bool fall_asleep(struct dm_queue *queue)
{
	uint32_t mask = queue->entries - 1, tail = 0, head = 0;
	int err;

	queue->head_awaited = lacks_room(queue);
	if (!write_events(queue, (uint32_t)queue->tail & mask, queue->head_awaited,
			  (uint32_t)queue->cq_head & mask))
		return false;
	dm_full_fence();
	err = dm_shadow_look(queue, &tail, &head);
	if (err == -EFAULT)
		dm_engine_queue_failed(queue, AIPU_ERROR_QUEUE);
	if (err)
		return false;
	set_awake(queue, false);
	if (!is_news(queue, tail, head))
		return false;
	dm_shadow_wake(queue);
	return true;
}

/* --- looking ---------------------------------------------------------------------------------------- */

bool dm_shadow_due(const struct dm_queue *queue)
{
	return queue->awake && !queue->dead && (queue->head == queue->tail || lacks_room(queue)) &&
	       may_look(queue->dm);
}

bool dm_shadow_asleep(const struct dm_queue *queue)
{
	return queue->shadowed && !queue->awake && !queue->dead && may_look(queue->dm);
}

static bool moved(struct aipu_dm *dm)
{
	for (uint32_t id = 1; id <= dm->config.max_queues; id++) {
		struct dm_queue *queue = dm->queues[id];
		uint32_t tail = 0, head = 0;

		if (!queue || !queue->awake)
			continue;
		if (dm_shadow_look(queue, &tail, &head) || is_news(queue, tail, head))
			return true;
	}
	return false;
}

/* Who had no work for that long falls asleep. true: there may be work; *until: when the next one does */
static bool settle(struct aipu_dm *dm, uint64_t *until)
{
	uint64_t now = dm_clock(dm), end;
	bool work = false;

	for (uint32_t id = 1; id <= dm->config.max_queues; id++) {
		struct dm_queue *queue = dm->queues[id];

		if (!queue || !queue->awake)
			continue;
		if (queue->worked)
			queue->idle_ns = now;
		queue->worked = false;
		end = queue->idle_ns + (queue->brisk == DM_BRISK ? linger_ns(queue) : 0);
		if (queue->dead)
			set_awake(queue, false);
		else if (now >= end)
			work |= fall_asleep(queue);
		else if (end < *until)
			*until = end;
	}
	return work;
}

bool dm_shadow_linger(struct aipu_dm *dm, uint64_t deadline)
{
	uint64_t until = DM_NEVER, most;

	if (!dm->awake || !may_look(dm))
		return false;
	if (settle(dm, &until))
		return true;
	if (until == DM_NEVER)
		return false;
	/* The heart beats at boundaries, and those that sleep are looked at there. */
	most = dm_clock(dm) + DM_RESCUE_NS;
	if (deadline < most)
		most = deadline;
	if (most < until)
		until = most;
	/* Whoever else wants the processor has it: the host that is to give work may be waiting for just this one. */
	while (!atomic_load(&dm->rung) && may_look(dm) && !moved(dm) && dm_clock(dm) < until)
		sched_yield();
	return true;
}

/* --- doorbells that did not come ---------------------------------------------------------------------- */

/* Does a doorbell of this value tell of the entries that were found? */
static bool tells(const struct dm_doorbell *doorbell, uint32_t value)
{
	return ((value - doorbell->found_at - 1) & doorbell->mask) < doorbell->found;
}

static void note_found(struct dm_queue *queue, uint64_t before)
{
	struct aipu_dm *dm = queue->dm;
	struct dm_doorbell *doorbell = &dm->doorbells[queue->id];

	pthread_mutex_lock(&dm->lock);
	dm->rescues += doorbell->found;
	doorbell->found = (uint32_t)(queue->tail - before);
	doorbell->mask = queue->entries - 1;
	doorbell->found_at = (uint32_t)before & doorbell->mask;
	/* It came while they were looked for. */
	if (atomic_load(&dm->rung) && tells(doorbell, atomic_load(&doorbell->tail)))
		doorbell->found = 0;
	pthread_mutex_unlock(&dm->lock);
}

bool dm_shadow_rescue(struct dm_queue *queue, uint64_t before)
{
	if (queue->tail == before)
		return queue->patience && !--queue->patience;
	note_found(queue, before);
	/* A host that shows more has been at the event, and has rung or never will. */
	if (queue->patience)
		return true;
	queue->patience = DM_PATIENCE;
	return false;
}

bool dm_shadow_told(const struct dm_queue *queue)
{
	bool told;

	if (!queue->patience)
		return false;
	pthread_mutex_lock(&queue->dm->lock);
	told = !queue->dm->doorbells[queue->id].found;
	pthread_mutex_unlock(&queue->dm->lock);
	return told;
}

void dm_shadow_rung(struct aipu_dm *dm, struct dm_doorbell *doorbell, uint32_t value)
{
	if (doorbell->found && !tells(doorbell, value))
		dm->rescues += doorbell->found;
	doorbell->found = 0;
}
