/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Arithmetic of an I/O queue's rings, without state and without the card: called by aipu_ioq.c and
 * aipu_jobs.c, tested by KUnit. `entries` is a power of two from 2 to AIPU_MAX_ENTRIES everywhere.
 */
#ifndef AIPU_RING_H
#define AIPU_RING_H

#include <linux/log2.h>
#include <linux/types.h>

/* Entries of a ring in which `jobs` can be in flight: of N places N - 1 can be filled. */
static inline u32 aipu_ring_entries(u32 jobs)
{
	return roundup_pow_of_two(jobs + 1);
}

/* Where job number `sequence`, from 1, stands */
static inline u32 aipu_place(u64 sequence, u32 entries)
{
	return (u32)(sequence - 1) & (entries - 1);
}

/* What the card calls it: 16 or more rounds of the ring pass before an id means another job */
static inline u16 aipu_job_id(u64 sequence)
{
	return (u16)sequence;
}

/*
 * The place of the job that the card calls `id`, if there is one. Whatever the card says, it is in
 * the ring.
 */
static inline u32 aipu_id_place(u16 id, u32 entries)
{
	return (u32)(u16)(id - 1) & (entries - 1);
}

/* Places from `head` to `tail` */
static inline u32 aipu_ring_used(u32 head, u32 tail, u32 entries)
{
	return (tail - head) & (entries - 1);
}

static inline bool aipu_ring_full(u32 head, u32 tail, u32 entries)
{
	return aipu_ring_used(head, tail, entries) == entries - 1;
}

/* The card's new head: a place, not before the old one, and not beyond what it was told of */
static inline bool aipu_head_valid(u32 head, u32 new, u32 tail, u32 entries)
{
	if (new >= entries)
		return false;
	return aipu_ring_used(head, new, entries) <= aipu_ring_used(head, tail, entries);
}

/*
 * Of a completion ring whose head the card was `told`: is there room for one more from each of the
 * `jobs` that it has?
 */
static inline bool aipu_cq_suffices(u32 told, u32 head, u32 jobs, u32 entries)
{
	return aipu_ring_used(told, head, entries) + jobs < entries;
}

/*
 * Did the tail pass `event` on its way from `old` to `new`? Then the card, which sleeps, wants to
 * be told. One that looks by itself names no place.
 */
static inline bool aipu_event_passed(u32 event, u32 old, u32 new, u32 entries)
{
	return event < entries &&
	       aipu_ring_used(old, event, entries) < aipu_ring_used(old, new, entries);
}

/* Jobs [oldest, next) have places of their own */
static inline bool aipu_window_full(u64 oldest, u64 next, u32 entries)
{
	return next - oldest >= entries - 1;
}

/* One completion further; the phase turns with each round. */
static inline void aipu_head_advance(u32 *head, u32 *phase, u32 entries)
{
	if (++*head == entries) {
		*head = 0;
		*phase ^= 1;
	}
}

#endif
