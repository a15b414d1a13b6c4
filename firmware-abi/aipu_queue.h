/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Queues: pairs of rings in host memory. Submission entries are 64 bytes (struct aipu_job on I/O
 * queues, struct aipu_admin on queue 0), completions 32 bytes with a phase bit. Only the driver sees
 * these rings. Order on both sides: spec.md, section "Rings".
 */
#ifndef AIPU_QUEUE_H
#define AIPU_QUEUE_H

#include "aipu_job.h"
#include "aipu_segment.h"

/*
 * The last eight bytes become visible after the others, as one store. `phase` is 1 on the first pass
 * over the ring, 0 on the second, and so on; the host clears the ring before it creates the queue.
 */
struct aipu_completion {
	aipu_le64 time_ns; /* device time spent on the job; 48 bits */
	aipu_le32 detail; /* OK: 0, or as the command says; else what was wrong, as the status says */
	aipu_le32 step_seen; /* the device's step counter when it saw the entry, */
	aipu_le32 step_start; /* when it started it, */
	aipu_le32 step_end; /* and when it ended */
	aipu_le16 id;
	aipu_le16 sq_head; /* entries before this one may be reused */
	aipu_le16 status; /* enum aipu_status */
	aipu_le16 phase; /* bit 0; the rest is zero */
};

enum aipu_admin_opcode {
	AIPU_ADMIN_IDENTIFY = 0x80,
	AIPU_ADMIN_CREATE_CONTEXT = 0x81,
	AIPU_ADMIN_DESTROY_CONTEXT = 0x82, /* ends its jobs, frees queues, segments, programs */
	AIPU_ADMIN_RESET_CONTEXT = 0x83, /* ends its jobs with CONTEXT_RESET; the rest stays */
	AIPU_ADMIN_BIND = 0x84,
	/* completes when no access through the segment runs or can start */
	AIPU_ADMIN_UNBIND = 0x85,
	AIPU_ADMIN_LOAD_PROGRAM = 0x86,
	AIPU_ADMIN_UNLOAD_PROGRAM = 0x87,
	AIPU_ADMIN_CREATE_QUEUE = 0x88,
	AIPU_ADMIN_DESTROY_QUEUE = 0x89, /* ends its jobs with ABORTED first */
	AIPU_ADMIN_ABORT = 0x8a, /* the job's completion comes exactly once, before this one */
	AIPU_ADMIN_ASYNC_EVENT = 0x8b, /* completes at the next event; detail = enum aipu_event */
	AIPU_ADMIN_GET_PROGRESS = 0x8c,
	/* AIPU_CAP_FLASH, spec.md section 14: */
	AIPU_ADMIN_FLASH_INFO = 0x8d,
	AIPU_ADMIN_FLASH_WRITE = 0x8e,
	AIPU_ADMIN_FLASH_READ = 0x8f,
	AIPU_ADMIN_FLASH_COMMIT = 0x90, /* checks the slot's image as the boot ROM will */
	AIPU_ADMIN_FLASH_ACTIVATE = 0x91, /* the next RESET tries the slot first */
	AIPU_ADMIN_SET_LIMITS = 0x92, /* AIPU_CAP_LIMITS */
};

struct aipu_admin_identify {
	aipu_le64 address; /* DMA address of struct aipu_identify, 4 KiB aligned */
	aipu_le64 reserved[5];
};

struct aipu_admin_context {
	aipu_le32 context; /* chosen by the host: 1..MAX_CONTEXTS */
	aipu_le32 priority; /* enum aipu_priority (aipu_job.h); CREATE only, else 0 */
	aipu_le32 weight; /* turns in a round (spec.md, section 9a), 1..256; 0 = 1. CREATE only */
	aipu_le32 reserved0;
	aipu_le64 reserved[4];
};

struct aipu_admin_bind {
	aipu_le32 context;
	aipu_le32 segment; /* 0..MAX_SEGMENTS-1; BUSY if bound */
	struct aipu_segment_descriptor descriptor;
};

struct aipu_admin_unbind {
	aipu_le32 context;
	aipu_le32 segment;
	aipu_le64 reserved[5];
};

/* On INVALID_PROGRAM the completion's detail is AIPU_REFUSAL(reason, index), see aipu_program.h */
struct aipu_admin_program {
	aipu_le32 context;
	aipu_le32 program; /* chosen by the host: 0..MAX_PROGRAMS-1 */
	aipu_le32 segment; /* LOAD only: where the program image lies; else 0 */
	aipu_le32 bytes;
	aipu_le64 offset; /* a multiple of 8 */
	aipu_le64 reserved[3];
};

struct aipu_admin_queue {
	aipu_le32 context;
	aipu_le32 queue; /* chosen by the host: 1..MAX_QUEUES */
	/* CREATE only, else zero: */
	aipu_le64 sq_address; /* 4 KiB aligned, physically contiguous for the device */
	aipu_le64 cq_address;
	aipu_le64 shadow_address; /* struct aipu_shadow, 4 KiB aligned; 0: none. AIPU_CAP_SHADOW_DOORBELLS */
	aipu_le32 entries; /* power of two, 2..MAX_QUEUE_ENTRIES; both rings */
	aipu_le16 vector;
	aipu_le16 coalesce_count; /* interrupt after so many completions, 0 and 1: each */
	aipu_le32 coalesce_us; /* or after this time; 0: each. AIPU_CAP_COALESCING, else both are 0 */
	aipu_le32 reserved;
};

struct aipu_admin_abort {
	aipu_le32 queue;
	aipu_le32 job; /* the job's id. NOT_FOUND: it has ended or never came; its completion is out */
	aipu_le64 reserved[5];
};

struct aipu_admin_progress {
	aipu_le32 context;
	aipu_le32 reserved0;
	aipu_le64 address; /* DMA address of struct aipu_progress, 8-byte aligned */
	aipu_le64 reserved[4];
};

struct aipu_admin_flash {
	aipu_le32 slot; /* 0: A, 1: B; INFO: 0 */
	aipu_le32 bytes; /* READ, WRITE: 1..chunk_bytes; WRITE at offset 0 empties the slot first. Else 0 */
	aipu_le64 offset; /* READ, WRITE: in the slot. Else 0 */
	aipu_le64 address; /* DMA address; INFO: of struct aipu_flash_info, 4 KiB aligned. Else 0 */
	aipu_le64 reserved[3];
};

struct aipu_admin_limits {
	aipu_le32 power_mw; /* 0: the card's default */
	aipu_le32 clock_mhz; /* likewise */
	aipu_le64 reserved[5];
};

struct aipu_admin {
	uint8_t opcode;
	uint8_t flags; /* 0 */
	aipu_le16 id;
	aipu_le32 reserved0;
	union {
		uint8_t body[48];
		struct aipu_admin_identify identify;
		struct aipu_admin_context context;
		struct aipu_admin_bind bind;
		struct aipu_admin_unbind unbind;
		struct aipu_admin_program program;
		struct aipu_admin_queue queue;
		struct aipu_admin_abort abort;
		struct aipu_admin_progress progress;
		struct aipu_admin_flash flash;
		struct aipu_admin_limits limits;
	};
	aipu_le64 reserved1;
};

enum aipu_event {
	AIPU_EVENT_ERROR = 1, /* read the ERROR register */
	AIPU_EVENT_TEMPERATURE = 2,
	AIPU_EVENT_CONTEXT = 3, /* the device reset a context by itself */
	AIPU_EVENT_FIRMWARE_LOG = 4,
	AIPU_EVENT_RAS = 5, /* the error counters moved */
};

/* What cannot be read from registers. Strings are padded with zeros, and end with one. */
struct aipu_identify {
	char vendor[32];
	char model[64];
	char serial[32];
	char firmware[64]; /* version and build */
	aipu_le32 abi_newest;
	aipu_le32 abi_oldest;
	aipu_le64 capabilities; /* as in the registers */
	aipu_le64 operations;
	aipu_le64 memory_bytes;
	aipu_le32 cores;
	aipu_le32 longest_step_us; /* promised bound for a verified program's step; 0: none given */
	uint8_t reserved[3864];
};

/* What a context does right now, for finding out which job made the device hang */
struct aipu_progress {
	aipu_le32 queue; /* of the job that the device turned to last; 0: none */
	aipu_le32 job;
	aipu_le32 running; /* 1: it has not ended; it may be paused */
	aipu_le32 block;
	aipu_le32 instruction;
	aipu_le32 step; /* step counter */
	aipu_le64 reserved;
};

enum aipu_flash_state {
	AIPU_FLASH_EMPTY = 0, /* nothing that was committed */
	AIPU_FLASH_GOOD = 1, /* committed, not active */
	AIPU_FLASH_TRIAL = 2, /* active, was not READY yet; `tries` are left */
	AIPU_FLASH_CONFIRMED = 3, /* was READY */
	AIPU_FLASH_FAILED = 4, /* no try is left */
};

struct aipu_flash_slot {
	aipu_le32 state; /* enum aipu_flash_state */
	aipu_le32 tries;
	aipu_le32 error; /* AIPU_ERROR_* of the last boot or commit */
	/* Of the image; EMPTY: zero */
	aipu_le32 version;
	aipu_le32 abi_oldest;
	aipu_le32 abi_newest;
	aipu_le32 board_id;
	aipu_le32 rollback;
	aipu_le64 bytes; /* header and payload */
	char build[64];
	uint8_t digest[32];
	uint8_t reserved[120];
};

/* What a card keeps in flash. FLASH_INFO writes it. */
struct aipu_flash_info {
	aipu_le32 rom_version;
	aipu_le32 rollback; /* smallest anti-rollback counter that the boot ROM accepts */
	aipu_le32 active; /* slot that the next RESET tries first; ~0: none */
	aipu_le32 chunk_bytes; /* most that one command reads or writes */
	aipu_le64 slot_bytes;
	aipu_le32 source; /* enum aipu_boot_source, of what runs */
	aipu_le32 reserved0;
	struct aipu_flash_slot slots[2];
	uint8_t reserved[3552];
};

/* Shadow doorbells: the host writes the first two, the device the third and fourth */
struct aipu_shadow {
	aipu_le32 sq_tail;
	aipu_le32 reserved0[15];
	aipu_le32 cq_head;
	aipu_le32 reserved1[15];
	aipu_le32 sq_event; /* ring the doorbell when sq_tail passes this index */
	aipu_le32 reserved2[15];
	aipu_le32 cq_event; /* likewise for cq_head */
	aipu_le32 reserved3[15];
};

/* An event that no index passes: the device is awake, and looks at the page by itself */
#define AIPU_SHADOW_AWAKE 0xffffffffu

AIPU_ASSERT_SIZE(struct aipu_completion, 32);
AIPU_ASSERT_OFFSET(struct aipu_completion, id, 24);
AIPU_ASSERT_OFFSET(struct aipu_completion, phase, 30);
AIPU_ASSERT_SIZE(struct aipu_admin_identify, 48);
AIPU_ASSERT_SIZE(struct aipu_admin_context, 48);
AIPU_ASSERT_SIZE(struct aipu_admin_bind, 48);
AIPU_ASSERT_SIZE(struct aipu_admin_unbind, 48);
AIPU_ASSERT_SIZE(struct aipu_admin_program, 48);
AIPU_ASSERT_SIZE(struct aipu_admin_queue, 48);
AIPU_ASSERT_SIZE(struct aipu_admin_abort, 48);
AIPU_ASSERT_SIZE(struct aipu_admin_progress, 48);
AIPU_ASSERT_SIZE(struct aipu_admin_flash, 48);
AIPU_ASSERT_SIZE(struct aipu_admin_limits, 48);
AIPU_ASSERT_SIZE(struct aipu_admin, 64);
AIPU_ASSERT_OFFSET(struct aipu_admin, body, 8);
AIPU_ASSERT_SIZE(struct aipu_identify, 4096);
AIPU_ASSERT_SIZE(struct aipu_progress, 32);
AIPU_ASSERT_SIZE(struct aipu_flash_slot, 256);
AIPU_ASSERT_OFFSET(struct aipu_flash_slot, digest, 104);
AIPU_ASSERT_SIZE(struct aipu_flash_info, 4096);
AIPU_ASSERT_OFFSET(struct aipu_flash_info, slots, 32);
AIPU_ASSERT_SIZE(struct aipu_shadow, 256);

#endif
