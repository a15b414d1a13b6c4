// SPDX-License-Identifier: MIT
/* See driver.h. The order of memory and doorbell accesses is that of spec.md, section "Rings". */
#include <string.h>
#include <unistd.h>

#include "driver.h"

static void device_write64(struct device *d, uint32_t offset, uint64_t value)
{
	access_write(&d->access, offset, (uint32_t)value);
	access_write(&d->access, offset + 4, (uint32_t)(value >> 32));
}

uint32_t device_wait(struct device *d, uint32_t state, uint32_t other)
{
	uint32_t now, ms = 0;

	do {
		now = access_read(&d->access, AIPU_REG_STATUS) & AIPU_STATUS_STATE_MASK;
	} while (now != state && now != other && ms++ < DEVICE_TIMEOUT_MS && !usleep(1000));
	return now;
}

uint32_t device_reset(struct device *d)
{
	access_write(&d->access, AIPU_REG_CONTROL, AIPU_CONTROL_RESET | d->recovery);
	return device_wait(d, AIPU_STATE_ROM, AIPU_STATE_ROM);
}

uint32_t device_load(struct device *d, uint64_t address, uint32_t bytes)
{
	device_write64(d, AIPU_REG_BOOT_ADDRESS_LO, address);
	access_write(&d->access, AIPU_REG_BOOT_BYTES, bytes);
	access_write(&d->access, AIPU_REG_BOOT_COMMAND, AIPU_BOOT_LOAD);
	return device_wait(d, AIPU_STATE_RUNNING, AIPU_STATE_FAILED);
}

void device_setup(struct device *d)
{
	ring_restart(&d->admin);
	access_write(&d->access, AIPU_REG_HOST_ABI_OLDEST, AIPU_ABI_OLDEST);
	access_write(&d->access, AIPU_REG_HOST_ABI_NEWEST, AIPU_ABI_CURRENT);
	device_write64(d, AIPU_REG_ADMIN_SQ_LO, d->admin.sq_address);
	device_write64(d, AIPU_REG_ADMIN_CQ_LO, d->admin.cq_address);
	access_write(&d->access, AIPU_REG_ADMIN_ENTRIES, d->admin.entries);
	access_write(&d->access, AIPU_REG_ADMIN_VECTOR, 0);
}

uint32_t device_enable(struct device *d)
{
	access_write(&d->access, AIPU_REG_CONTROL, AIPU_CONTROL_ENABLE);
	return device_wait(d, AIPU_STATE_READY, AIPU_STATE_FAILED);
}

void *dma_alloc(struct device *d, uint64_t bytes, uint64_t *address)
{
	void *p = d->access.host + d->used;

	*address = d->access.host_address + d->used;
	d->used += (bytes + 4095) & ~4095ull;
	return p;
}

void ring_alloc(struct device *d, struct ring *r, uint32_t id, uint32_t entries)
{
	*r = (struct ring){ .id = id, .entries = entries };
	r->sq = dma_alloc(d, 64 * entries, &r->sq_address);
	r->cq = dma_alloc(d, sizeof(*r->cq) * entries, &r->cq_address);
	r->shadow = dma_alloc(d, sizeof(*r->shadow), &r->shadow_address);
}

void ring_restart(struct ring *r)
{
	memset(r->cq, 0, sizeof(*r->cq) * r->entries);
	memset(r->shadow, 0, sizeof(*r->shadow));
	r->tail = r->head = r->sq_told = r->cq_told = 0;
	r->phase = 1;
	r->hold = r->shadowed = false;
}

uint16_t ring_put(struct ring *r, const void *entry)
{
	uint16_t id = r->next_id++;

	r->got[id % 64].status = STATUS_LOST;
	memcpy(r->sq[r->tail], entry, 64);
	memcpy(r->sq[r->tail] + offsetof(struct aipu_job, id), &id, sizeof(id));
	r->tail = (r->tail + 1) & (r->entries - 1);
	return id;
}

/* Shows an index that was `old`. true: its event lies between the two, so the doorbell is to be rung */
static bool show(const struct ring *r, uint32_t *word, const uint32_t *event, uint32_t old,
		 uint32_t index)
{
	const uint32_t mask = r->entries - 1;
	uint32_t at;

	__atomic_store_n(word, index, __ATOMIC_RELEASE);
#if defined(__x86_64__)
	__builtin_ia32_mfence();
#else
	__sync_synchronize();
#endif
	at = __atomic_load_n(event, __ATOMIC_ACQUIRE);
	return at < r->entries && ((at - old) & mask) < ((index - old) & mask);
}

bool ring_show_tail(struct device *d, struct ring *r)
{
	const uint32_t old = r->sq_told;

	r->sq_told = r->tail;
	__sync_synchronize();
	if (r->shadowed && !show(r, &r->shadow->sq_tail, &r->shadow->sq_event, old, r->tail))
		return false;
	access_write(&d->access, AIPU_DOORBELL_PAGE(r->id) + AIPU_DOORBELL_SQ_TAIL, r->tail);
	return true;
}

bool ring_show_head(struct device *d, struct ring *r)
{
	const uint32_t old = r->cq_told;

	access_settle(&d->access);
	r->cq_told = r->head;
	if (r->shadowed && !show(r, &r->shadow->cq_head, &r->shadow->cq_event, old, r->head))
		return false;
	access_write(&d->access, AIPU_DOORBELL_PAGE(r->id) + AIPU_DOORBELL_CQ_HEAD, r->head);
	return true;
}

uint16_t ring_start(struct device *d, struct ring *r, const void *entry)
{
	uint16_t id = ring_put(r, entry);

	ring_show_tail(d, r);
	return id;
}

/* Take all completions that are there */
bool ring_ended(struct device *d, struct ring *r, uint16_t id)
{
	struct aipu_completion done;
	uint64_t last;

	for (;;) {
		last = __atomic_load_n(&r->cq[r->head][3], __ATOMIC_ACQUIRE);
		if (last >> 48 != r->phase)
			return r->got[id % 64].status != STATUS_LOST;
		memcpy(&done, r->cq[r->head], sizeof(done));
		r->got[done.id % 64] = done;
		r->head = (r->head + 1) & (r->entries - 1);
		r->phase ^= !r->head;
		if (!r->hold)
			ring_show_head(d, r);
	}
}

uint32_t ring_wait(struct device *d, struct ring *r, uint16_t id)
{
	uint32_t tries;

	for (tries = 0; !ring_ended(d, r, id) && tries < DEVICE_TIMEOUT_MS * 10; tries++)
		usleep(100);
	d->done = r->got[id % 64];
	return d->done.status;
}

uint32_t ring_run(struct device *d, struct ring *r, const void *entry)
{
	return ring_wait(d, r, ring_start(d, r, entry));
}
