// SPDX-License-Identifier: MIT
/*
 * The admin queue. Any thread runs a command and waits for its completion; several are under way at
 * once, because an UNBIND lasts as long as the job that it waits for. Who waits also reaps, for all.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "soft.h"

/* How long a waiting command sleeps before it looks whether the device still lives */
#define ADMIN_SLICE_NS 100000000

int soft_admin_init(struct aipu_transport_device *device)
{
	struct soft_admin *admin = &device->admin;
	uint64_t sq_bytes = soft_page_align(SOFT_ADMIN_ENTRIES * sizeof(struct aipu_admin));
	uint64_t cq_bytes = soft_page_align(SOFT_ADMIN_ENTRIES * sizeof(struct aipu_completion));
	int error;

	admin->sq_tail = admin->sq_head = admin->cq_head = 0;
	memset(admin->slots, 0, sizeof(admin->slots));
	admin->phase = 1;
	error = soft_dma_alloc(&device->dma, sq_bytes + cq_bytes, &admin->ring);
	if (error)
		return error;
	admin->sq = (struct aipu_admin *)admin->ring->memory;
	admin->cq = (struct aipu_completion *)(admin->ring->memory + sq_bytes);
	soft_write64(device, AIPU_REG_ADMIN_SQ_LO, admin->ring->address);
	soft_write64(device, AIPU_REG_ADMIN_CQ_LO, admin->ring->address + sq_bytes);
	soft_write(device, AIPU_REG_ADMIN_ENTRIES, SOFT_ADMIN_ENTRIES);
	soft_write(device, AIPU_REG_ADMIN_VECTOR, 0);
	return 0;
}

void soft_admin_finish(struct aipu_transport_device *device)
{
	soft_dma_free(&device->dma, device->admin.ring);
	device->admin.ring = NULL;
}

static void admin_place(struct aipu_transport_device *device, const struct aipu_admin *command)
{
	struct soft_admin *admin = &device->admin;

	admin->sq[admin->sq_tail] = *command;
	admin->sq_tail = (admin->sq_tail + 1) % SOFT_ADMIN_ENTRIES;
	aipu_full_fence();
	soft_write(device, AIPU_DOORBELL_PAGE(0) + AIPU_DOORBELL_SQ_TAIL, admin->sq_tail);
}

/* Under the lock: a command that waits for the next event, in a slot that is free or had one before */
static void event_await(struct aipu_transport_device *device, uint32_t slot)
{
	struct aipu_admin command = { .opcode = AIPU_ADMIN_ASYNC_EVENT, .id = (uint16_t)slot };

	device->admin.slots[slot].state = SOFT_ADMIN_EVENT;
	admin_place(device, &command);
}

static void event_take(struct aipu_transport_device *device,
		       const struct aipu_completion *completion)
{
	struct soft_admin *admin = &device->admin;

	admin->slots[completion->id].state = SOFT_ADMIN_FREE;
	if (completion->status != AIPU_STATUS_OK)
		return;
	if (completion->detail <= AIPU_EVENT_RAS)
		admin->events[completion->detail]++;
	event_await(device, completion->id);
}

/* Under the lock. What cannot be an answer is dropped: its command will not end, and the device is dead */
static void admin_reap(struct aipu_transport_device *device)
{
	struct soft_admin *admin = &device->admin;
	struct aipu_completion completion;
	bool any = false;

	while (soft_completion_take(admin->cq, SOFT_ADMIN_ENTRIES, &admin->cq_head, &admin->phase,
				    &completion)) {
		any = true;
		if (completion.sq_head < SOFT_ADMIN_ENTRIES)
			admin->sq_head = completion.sq_head;
		if (completion.id < SOFT_ADMIN_SLOTS &&
		    admin->slots[completion.id].state == SOFT_ADMIN_EVENT)
			event_take(device, &completion);
		if (completion.id >= SOFT_ADMIN_SLOTS ||
		    admin->slots[completion.id].state != SOFT_ADMIN_WAITING)
			continue;
		admin->slots[completion.id].completion = completion;
		admin->slots[completion.id].state = SOFT_ADMIN_DONE;
	}
	if (any)
		soft_write(device, AIPU_DOORBELL_PAGE(0) + AIPU_DOORBELL_CQ_HEAD, admin->cq_head);
}

static uint64_t interrupts_seen(struct aipu_transport_device *device)
{
	uint64_t seen;

	pthread_mutex_lock(&device->interrupt_lock);
	seen = device->admin_interrupts;
	pthread_mutex_unlock(&device->interrupt_lock);
	return seen;
}

/* Until there was an interrupt since `seen`, or for a slice; -EIO: the device is dead */
static int interrupt_wait(struct aipu_transport_device *device, uint64_t seen)
{
	struct timespec until;
	int error = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += ADMIN_SLICE_NS;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_mutex_lock(&device->interrupt_lock);
	while (device->admin_interrupts == seen && !error)
		error = pthread_cond_timedwait(&device->interrupt_cond, &device->interrupt_lock,
					       &until);
	pthread_mutex_unlock(&device->interrupt_lock);
	return error ? soft_check_alive(device) : 0;
}

/* Those who wait for a slot, or whose completion another thread reaped, look again */
static void waiters_wake(struct aipu_transport_device *device)
{
	pthread_mutex_lock(&device->interrupt_lock);
	device->admin_interrupts++;
	pthread_cond_broadcast(&device->interrupt_cond);
	pthread_mutex_unlock(&device->interrupt_lock);
}

static bool admin_submit(struct aipu_transport_device *device, struct aipu_admin *command,
			 uint32_t *slot)
{
	struct soft_admin *admin = &device->admin;
	uint32_t next = (admin->sq_tail + 1) % SOFT_ADMIN_ENTRIES;

	for (*slot = 0; *slot < SOFT_ADMIN_SLOTS; (*slot)++) {
		if (admin->slots[*slot].state == SOFT_ADMIN_FREE)
			break;
	}
	if (*slot == SOFT_ADMIN_SLOTS || next == admin->sq_head)
		return false;
	admin->slots[*slot].state = SOFT_ADMIN_WAITING;
	command->id = (uint16_t)*slot;
	admin_place(device, command);
	return true;
}

void soft_admin_watch(struct aipu_transport_device *device)
{
	pthread_mutex_lock(&device->admin.lock);
	for (uint32_t slot = SOFT_ADMIN_SLOTS - SOFT_ADMIN_EVENTS; slot < SOFT_ADMIN_SLOTS; slot++)
		event_await(device, slot);
	pthread_mutex_unlock(&device->admin.lock);
}

uint32_t soft_admin_events(struct aipu_transport_device *device, enum aipu_event event)
{
	uint32_t count;

	pthread_mutex_lock(&device->admin.lock);
	if (device->admin.ring)
		admin_reap(device);
	count = device->admin.events[event];
	pthread_mutex_unlock(&device->admin.lock);
	return count;
}

int soft_admin_run(struct aipu_transport_device *device, struct aipu_admin *command,
		   uint32_t *detail)
{
	struct soft_admin *admin = &device->admin;
	bool submitted = false, done = false;
	uint32_t slot = 0;
	int status = 0;
	uint64_t seen;

	if (__atomic_load_n(&device->dead, __ATOMIC_RELAXED))
		return -EIO;
	for (;;) {
		seen = interrupts_seen(device);
		pthread_mutex_lock(&admin->lock);
		admin_reap(device);
		if (!submitted)
			submitted = admin_submit(device, command, &slot);
		if (submitted && admin->slots[slot].state == SOFT_ADMIN_DONE) {
			done = true;
			status = admin->slots[slot].completion.status;
			if (detail)
				*detail = admin->slots[slot].completion.detail;
			admin->slots[slot].state = SOFT_ADMIN_FREE;
		}
		pthread_mutex_unlock(&admin->lock);
		if (done) {
			waiters_wake(device);
			return status;
		}
		if (interrupt_wait(device, seen))
			return -EIO;
	}
}

int soft_admin_command(struct aipu_transport_device *device, struct aipu_admin *command)
{
	int status = soft_admin_run(device, command, NULL);

	return status < 0 ? status : aipu_status_errno((unsigned int)status);
}
