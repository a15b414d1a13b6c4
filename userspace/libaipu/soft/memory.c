// SPDX-License-Identifier: MIT
/*
 * Device memory: first fit over a list of blocks, in pages; long stretches begin at 2 MiB. Called by
 * buffers. Knows offsets only; it never touches the memory.
 */
#include <errno.h>
#include <stdlib.h>

#include "soft.h"

#define MEMORY_LARGE (2ull << 20)

int soft_memory_init(struct soft_memory *memory, uint64_t bytes)
{
	bytes &= ~(uint64_t)(AIPU_PAGE_BYTES - 1);
	pthread_mutex_init(&memory->lock, NULL);
	memory->blocks = NULL;
	memory->bytes = memory->free = bytes;
	if (!bytes)
		return 0;
	memory->blocks = calloc(1, sizeof(*memory->blocks));
	if (!memory->blocks)
		return -ENOMEM;
	memory->blocks->bytes = bytes;
	return 0;
}

void soft_memory_finish(struct soft_memory *memory)
{
	struct soft_block *block = memory->blocks;

	while (block) {
		struct soft_block *next = block->next;

		free(block);
		block = next;
	}
	pthread_mutex_destroy(&memory->lock);
}

/* Cuts block at `bytes`; the new second part has the first's state */
static int block_split(struct soft_block *block, uint64_t bytes)
{
	struct soft_block *rest;

	if (bytes == block->bytes)
		return 0;
	rest = malloc(sizeof(*rest));
	if (!rest)
		return -ENOMEM;
	*rest = (struct soft_block){
		.next = block->next,
		.offset = block->offset + bytes,
		.bytes = block->bytes - bytes,
		.used = block->used,
	};
	block->next = rest;
	block->bytes = bytes;
	return 0;
}

static void block_merge_next(struct soft_block *block)
{
	struct soft_block *next = block->next;

	if (!next || block->used || next->used)
		return;
	block->bytes += next->bytes;
	block->next = next->next;
	free(next);
}

int soft_memory_take(struct soft_memory *memory, uint64_t bytes, uint64_t *offset)
{
	int error = -ENOSPC;
	uint64_t align;

	bytes = soft_page_align(bytes);
	align = bytes >= MEMORY_LARGE ? MEMORY_LARGE : AIPU_PAGE_BYTES;
	pthread_mutex_lock(&memory->lock);
	for (struct soft_block *block = memory->blocks; block; block = block->next) {
		uint64_t skip = -block->offset & (align - 1);

		if (block->used || block->bytes < skip || block->bytes - skip < bytes)
			continue;
		error = 0;
		if (skip) {
			error = block_split(block, skip);
			if (error)
				break;
			block = block->next;
		}
		error = block_split(block, bytes);
		if (error)
			break;
		block->used = true;
		memory->free -= bytes;
		*offset = block->offset;
		break;
	}
	pthread_mutex_unlock(&memory->lock);
	return error;
}

void soft_memory_give(struct soft_memory *memory, uint64_t offset)
{
	struct soft_block *previous = NULL, *block;

	pthread_mutex_lock(&memory->lock);
	for (block = memory->blocks; block && block->offset != offset; block = block->next)
		previous = block;
	if (block && block->used) {
		block->used = false;
		memory->free += block->bytes;
		block_merge_next(block);
		if (previous)
			block_merge_next(previous);
	}
	pthread_mutex_unlock(&memory->lock);
}

uint64_t soft_memory_free(struct soft_memory *memory)
{
	uint64_t bytes;

	pthread_mutex_lock(&memory->lock);
	bytes = memory->free;
	pthread_mutex_unlock(&memory->lock);
	return bytes;
}
