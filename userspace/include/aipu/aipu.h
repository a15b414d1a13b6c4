/* SPDX-License-Identifier: MIT */
/*
 * libaipu: devices, contexts, buffers, segment bindings, programs, queues. It knows nothing of language
 * models. Use it like liburing: get a job, prep it, submit, wait or peek, seen.
 *
 * Errors: functions that return int give 0 (or a count) or -errno. Where a `struct aipu_message` is taken
 * (it may be NULL) it then holds one line for people. No globals; an object belongs to the one who created
 * it and is destroyed in reverse order. Different objects may be used by different threads at once; one
 * object by one thread at a time, but for aipu_queue_abort and queries, which any thread may call.
 */
#ifndef AIPU_AIPU_H
#define AIPU_AIPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aipu_job.h"

#ifdef __cplusplus
extern "C" {
#endif

struct aipu_device;
struct aipu_context;
struct aipu_buffer;
struct aipu_program;
struct aipu_queue;

struct aipu_message {
	char text[512];
};

/* "0.9.0" */
const char *aipu_version(void);
/* The contract versions that this library speaks: major << 16 | minor */
void aipu_contract(uint32_t *oldest, uint32_t *newest);
const char *aipu_status_text(unsigned int status);
/* -errno that stands for a device status; 0 for AIPU_STATUS_OK */
int aipu_status_errno(unsigned int status);

/* ---- device ---- */

/* All zero: the default of each */
struct aipu_device_options {
	uint32_t cores; /* soft: compute threads; 0 = all CPUs of the process */
	uint32_t simd; /* soft: 0 = best, 1 = scalar, 2 = AVX2, 3 = AVX-512; the bits are the same */
	uint64_t memory_bytes; /* soft: device memory; 0 = default */
	/* soft: path of an image; NULL = what it keeps in flash, or the built-in one. Read by open only */
	const char *firmware;
	uint64_t reserved[4];
};

/*
 * name: "soft"; "auto" or NULL: a card if there is one, else soft; or a card by its index ("0"), node
 * ("/dev/accel/accel0"), PCI address ("0000:01:00.0") or serial number (16 digits, as aipu_device_info has it). Boots the device
 * if it does not run yet. "auto" takes the first card that can be had. If there are cards and none can, it takes soft, and the
 * message, which else is empty after a success, is one line that says why: show it.
 * -ENODEV: no such device; -ENXIO: the driver has it, but its node is missing or dead; -EACCES: no permission;
 * -EPROTO: versions do not fit, and the message says what to upgrade; -ENOEXEC: firmware refused; -ENOENT: firmware or plug-in not found;
 * -ENOTSUP: not offered here.
 */
int aipu_device_open(struct aipu_device **device, const char *name,
		     const struct aipu_device_options *options, struct aipu_message *message);
void aipu_device_close(struct aipu_device *device);

struct aipu_device_info {
	char name[64]; /* "soft" */
	char transport[16];
	char vendor[32];
	char model[64];
	char serial[32];
	char firmware[64];
	uint32_t firmware_version; /* major << 24 | minor << 16 | patch */
	uint32_t abi_oldest, abi_newest, abi_in_use; /* of the device */
	uint64_t capabilities, operations, formats;
	uint64_t memory_bytes, memory_free; /* ~0: unknown */
	uint32_t cores, max_lanes, max_queues, max_segments;
	uint32_t longest_step_us;
	uint32_t board_id;
	uint32_t rom_version; /* of the boot ROM, as firmware_version; 0: unknown */
	uint32_t boot_source; /* of the running firmware: enum aipu_boot_source */
	uint32_t slot_errors[2]; /* why the boot ROM passed over slots A and B: AIPU_ERROR_* */
	uint32_t rollback; /* smallest anti-rollback counter that the boot ROM takes */
	uint32_t state; /* enum aipu_device_state */
	uint32_t resets; /* since the driver was bound, or the device opened */
	uint32_t driver_version; /* of the driver's user API: major << 16 | minor; soft: 0 */
	uint32_t pad;
	char node[32]; /* "/dev/accel/accel0"; soft: "" */
	char pci[32]; /* "0000:01:00.0"; soft: "" */
	uint32_t kv_formats, kv_kinds, numerics, activations; /* masks, as `formats` */
	uint64_t reserved[6];
};
enum aipu_device_state {
	AIPU_DEVICE_READY = 0,
	AIPU_DEVICE_RESETTING = 1,
	AIPU_DEVICE_WEDGED = 2, /* did not come back from a reset: reset it, or bind it anew */
};
int aipu_device_query(struct aipu_device *device, struct aipu_device_info *info);

/*
 * ---- context: owns a segment table, programs and queues; isolated from other contexts ----
 *
 * A reset of the device (its driver's recovery, a reset by an administrator, suspend) loses every context: jobs in flight end
 * with ABORTED, calls on the context and on what belongs to it give -ECANCELED, but for those that end something, and what was
 * in device memory is undefined. Buffers stay, and so does the device: a new context can be made on it.
 */

int aipu_context_create(struct aipu_device *device, struct aipu_context **context);

/* All zero: the default of each */
struct aipu_context_options {
	uint32_t priority; /* enum aipu_priority: jobs of a higher one go first at each step boundary */
	uint32_t weight; /* share of the steps among contexts of one priority, 1..256; 0 = 1 */
	uint64_t reserved[3];
};
/* -EACCES: HIGH on a card without CAP_SYS_NICE; -EOPNOTSUPP: the device has no priorities. `options` may be NULL. */
int aipu_context_create_with(struct aipu_device *device, const struct aipu_context_options *options,
			     struct aipu_context **context);
void aipu_context_destroy(struct aipu_context *context);
/* Ends all its jobs with CONTEXT_RESET */
int aipu_context_reset(struct aipu_context *context);

/* ---- buffers ---- */

enum aipu_buffer_kind {
	AIPU_BUFFER_HOST = 1, /* host memory, allocated and pinned */
	/* device memory; zeroed; aipu_buffer_data is NULL unless it can be mapped */
	AIPU_BUFFER_DEVICE = 2,
};
/* -ENOSPC: device memory is full */
int aipu_buffer_create(struct aipu_device *device, enum aipu_buffer_kind kind, uint64_t bytes,
		       struct aipu_buffer **buffer);

/* Of struct aipu_buffer_options. What the memory is for: nothing is different but what monitors are told, where they can be */
#define AIPU_BUFFER_KV 1u /* a KV cache: aipu-smi ps */
/* All zero: the default of each */
struct aipu_buffer_options {
	uint32_t flags; /* AIPU_BUFFER_KV */
	uint32_t pad;
	uint64_t reserved[3];
};
/* `options` may be NULL */
int aipu_buffer_create_with(struct aipu_device *device, enum aipu_buffer_kind kind, uint64_t bytes,
			    const struct aipu_buffer_options *options, struct aipu_buffer **buffer);
/* Pins the caller's memory (page aligned); it stays the caller's and outlives the buffer */
int aipu_buffer_import(struct aipu_device *device, void *memory, uint64_t bytes,
		       unsigned int access, struct aipu_buffer **buffer);
/*
 * Maps [offset, offset + bytes) of a file read-only, offset page aligned. If the file becomes shorter
 * while mapped, jobs that touch the lost part end with DATA_LOST, or, on a card, which holds the pages that it had when it was
 * bound, see what was there. -ENODATA: it is shorter already.
 */
int aipu_buffer_map_file(struct aipu_device *device, int fd, uint64_t offset, uint64_t bytes,
			 struct aipu_buffer **buffer);
/* -EBUSY while bound */
int aipu_buffer_destroy(struct aipu_buffer *buffer);
void *aipu_buffer_data(struct aipu_buffer *buffer);
uint64_t aipu_buffer_bytes(const struct aipu_buffer *buffer);

/* ---- segments ---- */

#define AIPU_READ 1u
#define AIPU_WRITE 2u
/*
 * Binds a part of a buffer; returns the segment id >= 0. offset page aligned; length 0: to the end. A
 * length in device memory is rounded up to 64 bytes. -EXDEV: of another device; -EACCES: read-only memory.
 */
int aipu_segment_bind(struct aipu_context *context, struct aipu_buffer *buffer, uint64_t offset,
		      uint64_t length, unsigned int access);
/* Returns when no access through the segment runs or can start */
int aipu_segment_unbind(struct aipu_context *context, int segment);

/* ---- programs ---- */

/* Loads the image at (segment, offset). -ENOEXEC: refused, the message says why and where */
int aipu_program_load(struct aipu_context *context, int segment, uint64_t offset, uint32_t bytes,
		      struct aipu_program **program, struct aipu_message *message);
/* The object is no more, also when that could not be told to the device */
int aipu_program_unload(struct aipu_program *program);
uint32_t aipu_program_id(const struct aipu_program *program); /* for struct aipu_block */

/* ---- queues and jobs ---- */

/* entries: 1..4095 jobs that are handed out, in flight, or ended and not seen. -ENOSPC: no queue is left */
int aipu_queue_create(struct aipu_context *context, uint32_t entries, struct aipu_queue **queue);
/* Aborts what runs */
void aipu_queue_destroy(struct aipu_queue *queue);

/* A zeroed job to be prepped, or NULL when the queue is full. It is the caller's until submit. */
struct aipu_job *aipu_queue_get_job(struct aipu_queue *queue, uint64_t user_data);

void aipu_prep_nop(struct aipu_job *job);
void aipu_prep_copy(struct aipu_job *job, int dst_segment, uint64_t dst_offset, int src_segment,
		    uint64_t src_offset, uint64_t length);
void aipu_prep_copy_list(struct aipu_job *job, int list_segment, uint64_t list_offset,
			 uint32_t count);
void aipu_prep_fill(struct aipu_job *job, int segment, uint64_t offset, uint64_t length,
		    uint32_t pattern);
void aipu_prep_run(struct aipu_job *job, int block_segment, uint64_t block_offset,
		   uint32_t block_count, int lane_segment, uint64_t lane_offset,
		   uint32_t lane_count);
void aipu_prep_generate(struct aipu_job *job, int block_segment, uint64_t block_offset,
			uint32_t block_count, int lane_segment, uint64_t lane_offset,
			uint32_t lane_count, int ring_segment, uint64_t ring_offset,
			uint32_t ring_entries);
void aipu_job_set_timeout(struct aipu_job *job, uint32_t milliseconds);

/*
 * Hands all prepped jobs to the device with one doorbell; returns their number. It is a smaller one, or 0, where jobs that were
 * aborted behind others that are still in flight have not given back their places: the rest stays prepped, and goes with a
 * later call.
 */
int aipu_queue_submit(struct aipu_queue *queue);

struct aipu_result {
	uint64_t user_data;
	uint64_t time_ns; /* device time; on a card only of jobs that ended with OK, else 0 */
	uint32_t detail;
	uint32_t step_seen, step_start, step_end; /* of the device's step counter; on a card 0 */
	uint16_t status; /* enum aipu_status */
	uint16_t reserved[3];
};
/* 0 and *result, valid until seen; -EAGAIN: none */
int aipu_queue_peek(struct aipu_queue *queue, const struct aipu_result **result);
/* Waits at most timeout_ns (< 0: for ever): -ETIME; -EINTR: a signal came */
int aipu_queue_wait(struct aipu_queue *queue, const struct aipu_result **result,
		    int64_t timeout_ns);
void aipu_queue_seen(struct aipu_queue *queue, const struct aipu_result *result);
/*
 * Submit and wait for one job that was just prepped on an otherwise empty queue. 0: it ended, with
 * result->status. -EINTR: a signal came; the job goes on, and aipu_queue_wait gets its result.
 */
int aipu_queue_submit_and_wait(struct aipu_queue *queue, struct aipu_result *result);
/*
 * Readable while completions wait, and when a token record comes behind those that there were when aipu_ring_wait() with a
 * timeout of 0 gave -ETIME: it says how far the caller is. Reading it is not needed: a peek that finds nothing clears it. So
 * peek first, then empty the token ring, then call aipu_ring_wait(), then poll.
 */
int aipu_queue_fd(struct aipu_queue *queue);
/*
 * Aborts the job; its result comes as usual, and says whether the job had ended by itself before. -ENOENT: not submitted, or it
 * has ended. Any thread
 */
int aipu_queue_abort(struct aipu_queue *queue, uint64_t user_data);

/* ---- device memory from a file ---- */

/* What a load did, also one that failed */
struct aipu_load_report {
	uint64_t bytes; /* that reached the segment */
	uint64_t window_bytes; /* of host memory that were pinned at once */
	uint32_t reads, copies;
	uint32_t direct; /* 1: no read went through the page cache */
	uint32_t uring; /* 1: read by io_uring; 0: by pread */
	uint64_t reserved[4];
};

/* All zero: the default of each */
struct aipu_load_options {
	uint64_t window_bytes; /* of host memory to be pinned at most, at least 4096; 0 = 4 MiB */
	/* Called with the bytes so far whenever there are more, and after a signal. Not 0: ends the load, which returns it. */
	int (*progress)(void *argument, uint64_t bytes);
	void *argument;
	struct aipu_load_report *report;
	uint64_t reserved[4];
};

/*
 * Fills [offset, offset + bytes) of a segment from a regular file or block device, from file_offset on; returns when all is
 * there. Any offsets and lengths; multiples of 4096 in the file cost least. The file is read into a small window of pinned
 * memory, and each part that was read is copied to the segment by a job of `queue`, while further parts are read: O_DIRECT by
 * io_uring; by pread where that is not permitted, and on the software device; through the page cache where the file system has no
 * O_DIRECT. The file's own position is not used. A window that may not be pinned (RLIMIT_MEMLOCK) is halved until it may.
 *
 * The queue must be empty (-EBUSY) and is empty again at the end; its context owns the segment. Signals do not end a load,
 * unless `progress` does. On failure a part of the range may have been written. -ENODATA: the file is shorter; -EINVAL: neither
 * file nor block device, or a sum that wraps; -ENOMEM: not a page may be pinned; of reads: what read() says; of copies: as
 * aipu_status_errno, so -ERANGE where the segment is too short.
 */
int aipu_load(struct aipu_queue *queue, int segment, uint64_t offset, int fd, uint64_t file_offset,
	      uint64_t bytes, const struct aipu_load_options *options,
	      struct aipu_message *message);

/* ---- token rings (struct aipu_token_ring in a host buffer) ---- */

struct aipu_ring {
	struct aipu_queue *queue;
	struct aipu_token_ring *header;
	const struct aipu_token_record *records;
	uint32_t mask;
};
#define AIPU_RING_BYTES(entries) \
	(sizeof(struct aipu_token_ring) + (uint64_t)(entries) * sizeof(struct aipu_token_record))
/* memory: AIPU_RING_BYTES(entries) in a bound host buffer, 64-byte aligned; zeroes the header */
int aipu_ring_init(struct aipu_ring *ring, struct aipu_queue *queue, void *memory,
		   uint32_t entries);
/*
 * Copies up to `count` records out and frees their places; returns how many, 0: none. -EIO: the indices
 * cannot be.
 */
int aipu_ring_take(struct aipu_ring *ring, struct aipu_token_record *records, uint32_t count);
/* Waits until there is a record or a completion of the queue; 0, -ETIME, -EINTR. Not called while ready. */
int aipu_ring_wait(struct aipu_ring *ring, int64_t timeout_ns);

#ifdef __cplusplus
}
#endif
#endif
