// SPDX-License-Identifier: MIT
/*
 * DMA space: which addresses the card reaches, and what memory of the client lies there. The message thread maps,
 * unmaps and turns the gate (PCI's Bus Master); the model's threads read and write, in slices that hold their map and
 * copy without the lock. From the return of an unmap or of a closing on no new slice begins; whoever has to know when
 * the last one has ended gives an emu_wait. Must never wait itself, and never touch memory that is not mapped.
 */
#include "emu.h"

#include <errno.h>
#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <unistd.h>

#include "view.h"

#define PAGE 4096u

/* Both ends included, so that a range may end with the address space */
struct span {
	uint64_t first, last;
};

struct map {
	struct span span; /* first: what the tree compares */
	uint64_t offset; /* in the view */
	unsigned int access; /* enum emu_dma_access */
	struct emu_view *view; /* NULL: not reachable */
	unsigned int slices; /* in flight */
	bool removed; /* out of the tree; goes with its last slice, */
	struct emu_wait *wait; /* for which this one waits */
};

struct emu_dma {
	pthread_mutex_t lock;
	struct emu_counters *counters;
	void *maps, *views; /* trees */
	unsigned int count;
	bool open;
	unsigned int slices; /* in flight */
	uint64_t epoch; /* moved by each closing: a closing waits for the slices of before */
	struct emu_wait *closings;
};

struct slice {
	struct map *map;
	uint64_t offset;
	size_t bytes;
	uint64_t epoch;
};

/* What is to be done after the lock is given back */
struct later {
	struct emu_view *views;
	struct emu_wait *waits;
};

/* Maps do not overlap, so "lies before" orders them, and any range equals those that it overlaps */
static int by_span(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return x->last < y->first ? -1 : x->first > y->last;
}

static struct map *find(const struct emu_dma *dma, uint64_t first, uint64_t last)
{
	struct span span = { first, last };
	struct map *const *found = tfind(&span, &dma->maps, by_span);

	return found ? *found : NULL;
}

int emu_dma_create(struct emu_counters *counters, struct emu_dma **out)
{
	struct emu_dma *dma = calloc(1, sizeof(*dma));

	if (!dma)
		return -ENOMEM;
	pthread_mutex_init(&dma->lock, NULL);
	dma->counters = counters;
	emu_view_catch_sigbus();
	*out = dma;
	return 0;
}

/* --- ends --------------------------------------------------------------------------------------- */

static void wait_over(struct emu_wait *wait, struct later *later)
{
	if (--wait->pending)
		return;
	wait->next = later->waits;
	later->waits = wait;
}

/* Out of the tree, and no slice holds it */
static void map_free(struct emu_dma *dma, struct map *map, struct later *later)
{
	struct emu_view *view = map->view;

	if (view && emu_view_put(&dma->views, view)) {
		view->next = later->views;
		later->views = view;
	}
	if (map->wait)
		wait_over(map->wait, later);
	free(map);
}

/* Without the lock; a wait may be gone when its done() returns */
static void finish(struct later *later)
{
	while (later->views) {
		struct emu_view *view = later->views;

		later->views = view->next;
		emu_view_unmap(view);
	}
	while (later->waits) {
		struct emu_wait *wait = later->waits;

		later->waits = wait->next;
		wait->done(wait);
	}
}

/* --- maps ----------------------------------------------------------------------------------------- */

/* -errno; the map is in the tree then, with the view of its file if there is one */
static int map_add(struct emu_dma *dma, struct map *map, int fd)
{
	uint64_t size = map->span.last - map->span.first + 1;
	struct later later = { 0 };
	int err = 0;

	pthread_mutex_lock(&dma->lock);
	if (dma->count >= EMU_DMA_MAX_MAPS)
		err = -ENOSPC;
	else if (find(dma, map->span.first, map->span.last))
		err = -EEXIST;
	else if (fd >= 0)
		err = emu_view_get(&dma->views, fd, map->offset + size,
				   map->access & EMU_DMA_WRITABLE, &map->view);
	if (!err && !tsearch(map, &dma->maps, by_span))
		err = -ENOMEM;
	if (err) {
		map_free(dma, map, &later);
	} else {
		dma->count++;
		emu_count(dma->counters, EMU_COUNT_MAPS, 1);
	}
	pthread_mutex_unlock(&dma->lock);
	finish(&later);
	return err;
}

int emu_dma_map(struct emu_dma *dma, uint64_t address, uint64_t size, int fd, uint64_t offset,
		unsigned int access)
{
	struct map *map;
	int err = -EINVAL;

	if (!size || address + size - 1 < address || offset + size < offset || address % PAGE ||
	    size % PAGE || offset % PAGE)
		goto out;
	err = -ENOMEM;
	map = calloc(1, sizeof(*map));
	if (!map)
		goto out;
	map->span = (struct span){ address, address + size - 1 };
	map->offset = offset;
	map->access = access;
	err = map_add(dma, map, fd);
out:
	if (fd >= 0)
		close(fd);
	return err;
}

static void map_remove(struct emu_dma *dma, struct map *map, struct emu_wait *wait,
		       struct later *later)
{
	tdelete(map, &dma->maps, by_span);
	dma->count--;
	emu_count(dma->counters, EMU_COUNT_UNMAPS, 1);
	if (!map->slices) {
		map_free(dma, map, later);
		return;
	}
	emu_count(dma->counters, EMU_COUNT_UNMAPS_DEFERRED, 1);
	map->removed = true;
	map->wait = wait;
	if (wait)
		wait->pending++;
}

/* Only the maps at the two ends can stick out */
static bool cuts_a_map(const struct emu_dma *dma, const struct span *span)
{
	const struct map *first = find(dma, span->first, span->first);
	const struct map *last = find(dma, span->last, span->last);

	return (first && first->span.first < span->first) || (last && last->span.last > span->last);
}

int emu_dma_unmap(struct emu_dma *dma, uint64_t address, uint64_t size, bool all,
		  struct emu_wait *wait)
{
	struct span span = { address, address + size - 1 };
	struct later later = { 0 };
	struct map *map;
	int err = 0;

	if (all)
		span = (struct span){ 0, UINT64_MAX };
	else if (!size || span.last < span.first)
		return -EINVAL;
	pthread_mutex_lock(&dma->lock);
	if (cuts_a_map(dma, &span)) {
		pthread_mutex_unlock(&dma->lock);
		return -EINVAL;
	}
	if (wait)
		wait->pending = 0;
	while ((map = find(dma, span.first, span.last)))
		map_remove(dma, map, wait, &later);
	if (wait && wait->pending)
		err = -EINPROGRESS;
	pthread_mutex_unlock(&dma->lock);
	finish(&later);
	return err;
}

int emu_dma_gate(struct emu_dma *dma, bool open, struct emu_wait *wait)
{
	int err = 0;

	pthread_mutex_lock(&dma->lock);
	dma->open = open;
	if (!open && wait && dma->slices) {
		wait->pending = dma->slices;
		wait->epoch = ++dma->epoch;
		wait->next = dma->closings;
		dma->closings = wait;
		err = -EINPROGRESS;
	}
	pthread_mutex_unlock(&dma->lock);
	return err;
}

void emu_dma_destroy(struct emu_dma *dma)
{
	if (!dma)
		return;
	emu_dma_unmap(dma, 0, 0, true, NULL);
	pthread_mutex_destroy(&dma->lock);
	free(dma);
}

/* --- slices --------------------------------------------------------------------------------------- */

static bool slice_begin(struct emu_dma *dma, uint64_t address, size_t bytes, unsigned int access,
			struct slice *slice)
{
	struct map *map;
	bool good;

	pthread_mutex_lock(&dma->lock);
	map = dma->open ? find(dma, address, address) : NULL;
	good = map && map->view && map->access & access;
	if (good) {
		uint64_t room = map->span.last - address + 1;

		*slice = (struct slice){ .map = map,
					 .offset = map->offset + (address - map->span.first),
					 .bytes = bytes < EMU_DMA_SLICE ? bytes : EMU_DMA_SLICE,
					 .epoch = dma->epoch };
		if (slice->bytes > room)
			slice->bytes = (size_t)room;
		map->slices++;
		dma->slices++;
	}
	pthread_mutex_unlock(&dma->lock);
	return good;
}

/* The closings that came while it was in flight have one slice less to wait for */
static void closings_over(struct emu_dma *dma, uint64_t epoch, struct later *later)
{
	struct emu_wait **link = &dma->closings;

	while (*link) {
		struct emu_wait *wait = *link;

		if (wait->epoch <= epoch || wait->pending > 1) {
			wait->pending -= wait->epoch > epoch;
			link = &wait->next;
			continue;
		}
		*link = wait->next;
		wait_over(wait, later);
	}
}

static void slice_end(struct emu_dma *dma, const struct slice *slice)
{
	struct later later = { 0 };

	pthread_mutex_lock(&dma->lock);
	if (!--slice->map->slices && slice->map->removed)
		map_free(dma, slice->map, &later);
	closings_over(dma, slice->epoch, &later);
	dma->slices--;
	pthread_mutex_unlock(&dma->lock);
	finish(&later);
}

/* One of `to` and `from` is NULL */
static int transfer(struct emu_dma *dma, uint64_t address, uint8_t *to, const uint8_t *from,
		    size_t bytes)
{
	unsigned int access = to ? EMU_DMA_READABLE : EMU_DMA_WRITABLE;
	size_t done = 0;
	bool good = !bytes || address + bytes - 1 >= address;

	while (good && done < bytes) {
		struct slice slice;

		good = slice_begin(dma, address + done, bytes - done, access, &slice);
		if (!good)
			break;
		good = to ? emu_view_read(slice.map->view, slice.offset, to + done, slice.bytes)
			  : emu_view_write(slice.map->view, slice.offset, from + done, slice.bytes);
		slice_end(dma, &slice);
		if (good)
			done += slice.bytes;
	}
	emu_count(dma->counters, to ? EMU_COUNT_BYTES_FROM_HOST : EMU_COUNT_BYTES_TO_HOST, done);
	if (!good)
		emu_count(dma->counters, EMU_COUNT_DMA_REFUSED, 1);
	return good ? 0 : -EFAULT;
}

int emu_dma_read(struct emu_dma *dma, uint64_t address, void *to, size_t bytes)
{
	int err = transfer(dma, address, to, NULL, bytes);

	if (err)
		return err;
	emu_count(dma->counters, EMU_COUNT_DMA_READS, 1);
	emu_count(dma->counters, EMU_COUNT_ENTRIES, bytes == 64);
	return 0;
}

int emu_dma_look(struct emu_dma *dma, uint64_t address, uint32_t *word)
{
	struct slice slice;
	bool good = slice_begin(dma, address, sizeof(*word), EMU_DMA_READABLE, &slice);

	if (good) {
		good = emu_view_read(slice.map->view, slice.offset, word, sizeof(*word));
		slice_end(dma, &slice);
	}
	emu_count(dma->counters, good ? EMU_COUNT_LOOKS : EMU_COUNT_DMA_REFUSED, 1);
	return good ? 0 : -EFAULT;
}

int emu_dma_write(struct emu_dma *dma, uint64_t address, const void *from, size_t bytes)
{
	int err = transfer(dma, address, NULL, from, bytes);

	if (err)
		return err;
	emu_count(dma->counters, EMU_COUNT_DMA_WRITES, 1);
	emu_count(dma->counters, EMU_COUNT_COMPLETIONS, bytes == 8 && address % 32 == 24);
	emu_count(dma->counters, EMU_COUNT_RECORDS, bytes == 32);
	return 0;
}
