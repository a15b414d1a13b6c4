/* SPDX-License-Identifier: MIT */
/*
 * A mount of the device model for unit tests: an arena of host memory as the whole DMA space, counters of what
 * the device did with it, and the few calls of a driver that a test needs to get to its point. Nothing here
 * checks the device: calls return what it answered, and the test decides.
 */
#ifndef AIPU_TEST_MOUNT_H
#define AIPU_TEST_MOUNT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aipu/dm.h"
#include "aipu_firmware.h"
#include "aipu_job.h"
#include "aipu_queue.h"
#include "aipu_registers.h"
#include "aipu_segment.h"

#define MOUNT_BASE 0x100000000ull /* DMA address of the arena's first byte */
#define MOUNT_VECTORS 8u

struct mount {
	struct aipu_dm *dm;
	uint8_t *arena;
	size_t bytes, used;
	bool map; /* offers dma_map */
	/* DMA to [hole, hole + hole_bytes) fails */
	_Atomic uint64_t hole;
	_Atomic uint64_t hole_bytes;
	atomic_bool closed; /* set by the test: from now on DMA is counted as late */
	atomic_uint late, reads, writes, maps; /* maps: that are held now */
	/* NULL, or called before each dma_write, by a thread of the device's */
	void (*before_write)(uint64_t address);
	atomic_uint inside; /* dma_read and dma_write that have not returned */
	atomic_uint interrupts[MOUNT_VECTORS];
	atomic_uint status; /* STATUS as the last of them found it */
	/* Makes each DMA of 4 KiB and more take so long, so that a test can get in between */
	atomic_uint slow_us;
	/* What the flag of mappings of [lost_from, ..) points to */
	volatile bool lost_flag;
	uint64_t lost_from;
	struct mount_flash *flash;
	const struct mount_fault *fault;
	atomic_uint asked[AIPU_DM_POINT_REPLY + 1]; /* how often, at each point */
	struct mount_queue *admin;
};

/* Strikes when the device asks for the `at`th time, from 1, at this point; at 0: never */
struct mount_fault {
	enum aipu_dm_point point;
	unsigned int at;
	struct aipu_dm_fault fault;
};

/* A card's flash, which outlives mounts; config.flash_bytes of it are used */
struct mount_flash {
	uint8_t *bytes;
	uint64_t power; /* so many bytes are still written, the rest is lost: the power is gone then */
	uint64_t written; /* so far */
};

struct mount_queue {
	struct mount *mount;
	uint32_t id, entries;
	uint64_t sq, cq, shadow; /* DMA addresses; shadow 0: none */
	uint32_t tail, head; /* indices */
	uint32_t phase;
};

struct mount_options {
	struct aipu_dm_config config; /* memory_bytes 0: 64 MiB; cores 0: 2 */
	size_t arena_bytes; /* 0: 32 MiB */
	bool map;
	uint64_t (*clock)(void *mount); /* NULL: the model's own */
	const struct mount_fault *fault; /* NULL: the host does not offer that operation */
	struct mount_flash *flash; /* likewise */
};

/* Powered on, in state ROM. Fails the test when that does not work. */
struct mount *mount_create(const struct mount_options *options);
/* Also mount_boot and mount_enable */
struct mount *mount_ready(const struct mount_options *options);
void mount_destroy(struct mount *mount);

/* Page-aligned and zeroed; the DMA address */
uint64_t mount_alloc(struct mount *mount, size_t bytes);
void *mount_pointer(struct mount *mount, uint64_t address);

uint32_t mount_state(struct mount *mount);
/* Waits for a state; false after 30 s */
bool mount_wait_state(struct mount *mount, uint32_t state);
bool mount_wait_idle(struct mount *mount);

/* A good image in `bytes`; a test spoils what it wants and calls mount_seal where the digest shall fit */
void mount_image(struct aipu_firmware_header *header, const char *payload);
void mount_seal(struct aipu_firmware_header *header, const char *payload);
/* Seals and signs it with the Ed25519 key that 32 bytes of value `seed` are; its public half in `key`, if not NULL */
void mount_sign(struct aipu_firmware_header *header, const char *payload, uint8_t seed,
		uint8_t key[32]);
/* Loads it; the state that follows, RUNNING or FAILED */
uint32_t mount_load(struct mount *mount, const struct aipu_firmware_header *header,
		    const char *payload);
uint32_t mount_boot(struct mount *mount);
/* ENABLE with an admin queue of 16 entries, vector 0; the state that follows */
uint32_t mount_enable(struct mount *mount);
void mount_write64(struct mount *mount, uint32_t offset, uint64_t value);

/* Puts an entry in the ring without and with the doorbell */
void mount_put(struct mount_queue *queue, const void *entry);
void mount_ring(struct mount_queue *queue);
void mount_submit(struct mount_queue *queue, const void *entry);
/* The next completion if there is one; mount_wait: within 30 s, else the test fails */
bool mount_peek(struct mount_queue *queue, struct aipu_completion *completion);
bool mount_next(struct mount_queue *queue, struct aipu_completion *completion, bool acknowledge);
struct aipu_completion mount_wait(struct mount_queue *queue);

/* One admin command and its completion; *detail may be NULL */
unsigned int mount_admin(struct mount *mount, struct aipu_admin *command, uint32_t *detail);
unsigned int mount_create_context(struct mount *mount, uint32_t context);
struct mount_queue *mount_create_queue(struct mount *mount, uint32_t context, uint32_t id,
				       uint32_t entries, uint16_t vector);
/* With a shadow page, which no other call here reads or writes; vector 0 */
struct mount_queue *mount_create_shadowed(struct mount *mount, uint32_t context, uint32_t id,
					  uint32_t entries);
unsigned int mount_bind_device(struct mount *mount, uint32_t context, uint32_t segment,
			       uint64_t offset, uint64_t length, unsigned int access);
/* `pieces` extents of equal size, in reverse order in memory where pieces > 1 */
unsigned int mount_bind_host(struct mount *mount, uint32_t context, uint32_t segment,
			     uint64_t address, uint64_t length, unsigned int access,
			     uint32_t pieces);
unsigned int mount_unbind(struct mount *mount, uint32_t context, uint32_t segment);
unsigned int mount_abort(struct mount *mount, uint32_t queue, uint32_t job);
/* Submits one job and waits for it */
struct aipu_completion mount_job(struct mount_queue *queue, const struct aipu_job *job);

#endif
