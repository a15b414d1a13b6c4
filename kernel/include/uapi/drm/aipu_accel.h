/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
/*
 * User API of aipu_accel, the driver of AIPU cards: /dev/accel/accelN.
 *
 * Objects belong to the open file that made them and die with it: buffers (GEM handles), and
 * contexts, segments, programs and queues (ids of their own, never 0 but for segments and
 * programs). No id of one file means anything in another; buffers are shared by PRIME.
 *
 * Conventions: every pad and every reserved field is zero, or the call fails with EINVAL. Pointers
 * are __u64. Sizes are bytes. "in" is read, "out" written, "in/out" both; out fields are written on
 * success only, unless said otherwise. All calls: ENODEV when the card is gone, EIO when it could
 * not be recovered, EINTR.
 *
 * A reset of the card loses every context (not the buffers, but what was in device memory is
 * undefined): jobs end with ECANCELED, and so does every later call on a lost context or its
 * queues, but those that destroy. Make new ones.
 *
 * Version log: see AIPU_DRIVER_VERSION_*. Structures grow at their end only; a capability bit of
 * struct drm_aipu_device says what is there, version numbers never have to be compared.
 */
#ifndef _UAPI_DRM_AIPU_ACCEL_H_
#define _UAPI_DRM_AIPU_ACCEL_H_

#include "drm.h"
#include "aipu_job.h"

#if defined(__cplusplus)
extern "C" {
#endif

#define AIPU_DRIVER_NAME "aipu_accel"
#define AIPU_DRIVER_VERSION_MAJOR 1
/*
 * 1: telemetry, limits, flash, flags of RESET
 * 2: labels of KV caches; limits hold over resets
 */
#define AIPU_DRIVER_VERSION_MINOR 2

#define DRM_AIPU_QUERY 0x00
#define DRM_AIPU_CONTEXT_CREATE 0x01
#define DRM_AIPU_CONTEXT_DESTROY 0x02
#define DRM_AIPU_CONTEXT_RESET 0x03
#define DRM_AIPU_BUFFER_CREATE 0x04
#define DRM_AIPU_BUFFER_INFO 0x05
#define DRM_AIPU_SEGMENT_BIND 0x06
#define DRM_AIPU_SEGMENT_UNBIND 0x07
#define DRM_AIPU_PROGRAM_LOAD 0x08
#define DRM_AIPU_PROGRAM_UNLOAD 0x09
#define DRM_AIPU_QUEUE_CREATE 0x0a
#define DRM_AIPU_QUEUE_DESTROY 0x0b
#define DRM_AIPU_SUBMIT 0x0c
#define DRM_AIPU_WAIT 0x0d
#define DRM_AIPU_CANCEL 0x0e
#define DRM_AIPU_KICK 0x0f
#define DRM_AIPU_RESET 0x10
#define DRM_AIPU_FLASH 0x11
#define DRM_AIPU_SET_LIMITS 0x12

/* --- what there is ---------------------------------------------------------------------------- */

/**
 * enum drm_aipu_query_kind - what DRM_IOCTL_AIPU_QUERY tells
 * @DRM_AIPU_QUERY_DEVICE: struct drm_aipu_device
 * @DRM_AIPU_QUERY_MEMORY: struct drm_aipu_memory
 * @DRM_AIPU_QUERY_TELEMETRY: struct drm_aipu_telemetry
 */
enum drm_aipu_query_kind {
	DRM_AIPU_QUERY_DEVICE = 1,
	DRM_AIPU_QUERY_MEMORY = 2,
	DRM_AIPU_QUERY_TELEMETRY = 3,
};

/**
 * struct drm_aipu_query - DRM_IOCTL_AIPU_QUERY: read a structure whose size may grow
 *
 * EINVAL: unknown kind.
 */
struct drm_aipu_query {
	/** @kind: in, enum drm_aipu_query_kind */
	__u32 kind;
	/**
	 * @bytes: in: room at @data; 0 asks for the size only. Out: bytes that the driver knows of.
	 * It writes the smaller of both, and zeroes to the rest of the room.
	 */
	__u32 bytes;
	/** @data: in, pointer to the structure */
	__u64 data;
};

/**
 * enum drm_aipu_state - state of the card as the driver sees it
 * @DRM_AIPU_STATE_READY: takes jobs
 * @DRM_AIPU_STATE_RESETTING: a reset is under way; calls wait for its end, but QUERY
 * @DRM_AIPU_STATE_WEDGED: could not be recovered; calls fail with EIO until it is bound anew or
 * reset, but QUERY
 */
enum drm_aipu_state {
	DRM_AIPU_STATE_READY = 0,
	DRM_AIPU_STATE_RESETTING = 1,
	DRM_AIPU_STATE_WEDGED = 2,
};

/* Of drm_aipu_device.features: what this driver offers */
#define DRM_AIPU_FEATURE_URING (1ull << 0) /* DRM_AIPU_URING_SUBMIT */
#define DRM_AIPU_FEATURE_USER_BUFFER (1ull << 1) /* DRM_AIPU_BUFFER_USER */
#define DRM_AIPU_FEATURE_PRIME (1ull << 2) /* import and export of dma-bufs */
#define DRM_AIPU_FEATURE_FENCES (1ull << 3) /* DRM_AIPU_QUEUE_FENCED publishes fences */
#define DRM_AIPU_FEATURE_TELEMETRY (1ull << 4) /* DRM_AIPU_QUERY_TELEMETRY */
#define DRM_AIPU_FEATURE_FLASH (1ull << 5) /* DRM_IOCTL_AIPU_FLASH, where AIPU_CAP_FLASH is there */
#define DRM_AIPU_FEATURE_LIMITS \
	(1ull << 6) /* DRM_IOCTL_AIPU_SET_LIMITS, where AIPU_CAP_LIMITS is */
#define DRM_AIPU_FEATURE_RESET_FLAGS (1ull << 7) /* DRM_AIPU_RESET_IDLE, DRM_AIPU_RESET_RECOVERY */
#define DRM_AIPU_FEATURE_KV_BUFFER (1ull << 8) /* DRM_AIPU_BUFFER_KV */

/**
 * struct drm_aipu_device - the card and its limits; all out
 *
 * Capabilities, masks and limits are the card's registers of the same name (aipu_registers.h), but
 * where the driver offers less, they are smaller.
 */
struct drm_aipu_device {
	/** @features: DRM_AIPU_FEATURE_* of the driver */
	__u64 features;
	/** @capabilities: AIPU_CAP_* of the card */
	__u64 capabilities;
	/** @operations: bit n: program opcode n is executed */
	__u64 operations;
	/** @formats: bit n: weights of format n */
	__u64 formats;
	/** @kv_formats: bit n: KV caches of format n */
	__u32 kv_formats;
	/** @kv_kinds: bit n: KV caches of kind n */
	__u32 kv_kinds;
	/** @numerics: bit n: arithmetic n */
	__u32 numerics;
	/** @layouts: bit n: tensor layout n */
	__u32 layouts;
	/** @activations: bit n: activation format n */
	__u32 activations;
	/** @cores: of the card, a number */
	__u32 cores;
	/** @serial: number of the card */
	__u64 serial;
	/** @board_id: board id, which a firmware image names */
	__u32 board_id;
	/** @firmware_version: major << 24 | minor << 16 | patch */
	__u32 firmware_version;
	/** @abi_oldest: oldest contract version of the running firmware: major << 16 | minor */
	__u32 abi_oldest;
	/** @abi_newest: newest contract version of the running firmware */
	__u32 abi_newest;
	/** @abi_in_use: chosen by the card from its range and the driver's */
	__u32 abi_in_use;
	/** @state: enum drm_aipu_state */
	__u32 state;
	/** @resets: device resets since the driver was bound, of any cause */
	__u32 resets;
	/** @max_contexts: contexts on the card, of all files together */
	__u32 max_contexts;
	/** @max_queues: queues on the card, of all files together */
	__u32 max_queues;
	/** @max_queue_entries: largest &drm_aipu_queue_create.entries */
	__u32 max_queue_entries;
	/** @max_segments: segments of a context; ids are below it */
	__u32 max_segments;
	/** @max_programs: programs of a context; ids are below it */
	__u32 max_programs;
	/** @max_lanes: largest &aipu_job_step.lane_count of a job */
	__u32 max_lanes;
	/** @max_program_bytes: longest program image, in bytes */
	__u32 max_program_bytes;
	/** @vectors: interrupt vectors in use */
	__u32 vectors;
	/**
	 * @longest_step_us: longest step since boot, in microseconds; 0 while the card is being
	 * reset
	 */
	__u32 longest_step_us;
	/** @model: name of the card, ends with zero */
	char model[64];
	/** @firmware: version and build of the firmware, ends with zero */
	char firmware[64];
	/** @rom_version: of the boot ROM, as @firmware_version; 0: the card does not tell */
	__u32 rom_version;
	/** @boot_source: where the running firmware came from: enum aipu_boot_source */
	__u32 boot_source;
	/** @slot_errors: why the boot ROM passed over slots A and B: AIPU_ERROR_*; 0: it did not */
	__u32 slot_errors[2];
	/** @rollback: smallest anti-rollback counter that the boot ROM takes */
	__u32 rollback;
	/** @pad: 0 */
	__u32 pad;
};

/**
 * struct drm_aipu_memory - device memory; bytes, all out
 */
struct drm_aipu_memory {
	/** @total: what jobs can use */
	__u64 total;
	/** @free: not allocated now, in pieces perhaps */
	__u64 free;
	/** @largest: largest buffer that fits now */
	__u64 largest;
	/** @file: allocated by this file */
	__u64 file;
	/** @file_limit: what this file may allocate */
	__u64 file_limit;
};

/* A value of struct drm_aipu_telemetry that the card does not know */
#define DRM_AIPU_UNKNOWN (-0x7fffffffffffffffll - 1)

/**
 * struct drm_aipu_telemetry - what the card measures and counts; all out
 *
 * Each is a register of the card (aipu_registers.h) read now, or DRM_AIPU_UNKNOWN, which all are
 * while the card is being reset. Counters begin at power-on, unless said otherwise; those that are
 * 32 bits wide on the card wrap there. The last three are the driver's, and always known.
 */
struct drm_aipu_telemetry {
	/** @temperature_mc: millidegrees Celsius */
	__s64 temperature_mc;
	/** @power_mw: milliwatts */
	__s64 power_mw;
	/** @clock_mhz: megahertz */
	__s64 clock_mhz;
	/** @power_limit_mw: as it is set */
	__s64 power_limit_mw;
	/** @clock_limit_mhz: as it is set */
	__s64 clock_limit_mhz;
	/** @throttle_mc: temperature from which the clock goes down */
	__s64 throttle_mc;
	/** @shutdown_mc: temperature at which the card fails */
	__s64 shutdown_mc;
	/** @throttle: AIPU_THROTTLE_* bits: why the clock is below its limit now */
	__s64 throttle;
	/** @energy_uj: microjoules */
	__s64 energy_uj;
	/** @memory_read_bytes: of device memory, by steps */
	__s64 memory_read_bytes;
	/** @memory_written_bytes: likewise */
	__s64 memory_written_bytes;
	/** @operations: multiplications with addition */
	__s64 operations;
	/** @memory_peak_mbs: bandwidth of device memory, 10^6 bytes per second */
	__s64 memory_peak_mbs;
	/** @corrected_errors: of memory and links, that were corrected */
	__s64 corrected_errors;
	/** @uncorrected_errors: that were not */
	__s64 uncorrected_errors;
	/** @busy_us: time in steps, since the last boot */
	__s64 busy_us;
	/** @steps: since the last boot */
	__s64 steps;
	/** @longest_step_us: since the last boot */
	__s64 longest_step_us;
	/** @card_resets: RESET_COUNT of the card: resets of any kind */
	__s64 card_resets;
	/** @ras_events: RAS events of the card since the driver was bound */
	__s64 ras_events;
	/** @temperature_events: TEMPERATURE events of the card since the driver was bound */
	__s64 temperature_events;
	/** @running_jobs: given by all files and not ended */
	__s64 running_jobs;
};

/* --- contexts --------------------------------------------------------------------------------- */

/**
 * struct drm_aipu_context_create - DRM_IOCTL_AIPU_CONTEXT_CREATE
 *
 * ENOSPC: no context left on the card, or the user has half of them and no CAP_SYS_RESOURCE.
 * EACCES: priority HIGH without CAP_SYS_NICE. EOPNOTSUPP: the card has no priorities, or no
 * weights.
 */
struct drm_aipu_context_create {
	/** @priority: in, 0 normal, 1 low, 2 high */
	__u32 priority;
	/** @weight: in, share among contexts of one priority, 1..256; 0 means 1 */
	__u32 weight;
	/** @flags: in, 0 */
	__u32 flags;
	/** @context: out, id */
	__u32 context;
};

/**
 * struct drm_aipu_context - DRM_IOCTL_AIPU_CONTEXT_DESTROY, DRM_IOCTL_AIPU_CONTEXT_RESET
 *
 * DESTROY ends all jobs of the context and frees its queues, segments and programs. RESET ends all
 * jobs (ECANCELED, status CONTEXT_RESET); the rest stays. Jobs of other contexts are not affected.
 * ENOENT: no such context.
 */
struct drm_aipu_context {
	/** @context: in, id */
	__u32 context;
	/** @pad: 0 */
	__u32 pad;
};

/* --- buffers ---------------------------------------------------------------------------------- */

/**
 * enum drm_aipu_buffer_kind - where a buffer's memory is
 * @DRM_AIPU_BUFFER_DEVICE: device memory: contiguous, never moved, zero when created
 * @DRM_AIPU_BUFFER_HOST: pages of the host, all there from creation on and never swapped out;
 *	counted by the memory cgroup of the caller
 * @DRM_AIPU_BUFFER_USER: pages of the caller's address space, pinned from creation on; counted
 *	against RLIMIT_MEMLOCK
 * @DRM_AIPU_BUFFER_IMPORT: a dma-buf of somebody else; made by DRM_IOCTL_PRIME_FD_TO_HANDLE only.
 *	READ_ONLY where the dma-buf's file cannot be written. One of this card's own that was
 *	exported without DRM_RDWR is refused with EACCES, as its importer could write it
 */
enum drm_aipu_buffer_kind {
	DRM_AIPU_BUFFER_DEVICE = 1,
	DRM_AIPU_BUFFER_HOST = 2,
	DRM_AIPU_BUFFER_USER = 3,
	DRM_AIPU_BUFFER_IMPORT = 4,
};

/* Of drm_aipu_buffer_create.flags */
/* USER: the device only reads; needs no write access to the pages */
#define DRM_AIPU_BUFFER_READ_ONLY (1u << 0)
/*
 * all kinds, where FEATURE_KV_BUFFER is offered: holds a KV cache. A label: fdinfo of each file
 * that has a handle counts it (aipu_accel-kv-device, -kv-host), and nothing else is different.
 */
#define DRM_AIPU_BUFFER_KV (1u << 1)

/**
 * struct drm_aipu_buffer_create - DRM_IOCTL_AIPU_BUFFER_CREATE
 *
 * ENOSPC: no device memory in one piece, or the file's limit. ENOMEM: more than the machine's
 * memory, or RLIMIT_MEMLOCK. EFAULT: @address is not mapped. EINVAL: @bytes is 0 or no multiple of
 * 4096, unknown kind or flags. ECANCELED: the card was reset while device memory was being cleared.
 */
struct drm_aipu_buffer_create {
	/** @kind: in, DEVICE, HOST or USER */
	__u32 kind;
	/** @flags: in, DRM_AIPU_BUFFER_* flags */
	__u32 flags;
	/** @bytes: in, size; a multiple of 4096, at most 1 TiB */
	__u64 bytes;
	/** @address: in, USER: where the pages are, a multiple of 4096; else 0 */
	__u64 address;
	/**
	 * @handle: out, GEM handle; closed with DRM_IOCTL_GEM_CLOSE (memory stays while bound or
	 * mapped)
	 */
	__u32 handle;
	/** @pad: 0 */
	__u32 pad;
};

/**
 * struct drm_aipu_buffer_info - DRM_IOCTL_AIPU_BUFFER_INFO
 *
 * ENOENT: no such handle.
 */
struct drm_aipu_buffer_info {
	/** @handle: in, GEM handle */
	__u32 handle;
	/** @kind: out, enum drm_aipu_buffer_kind */
	__u32 kind;
	/** @bytes: out, size; a multiple of 4096 */
	__u64 bytes;
	/**
	 * @map_offset: out, offset for mmap() of the device node; 0 where there is none (USER,
	 * IMPORT). DEVICE is mapped write-combined, HOST cached.
	 */
	__u64 map_offset;
	/** @flags: out, as at creation */
	__u32 flags;
	/** @pad: 0 */
	__u32 pad;
};

/* --- segments --------------------------------------------------------------------------------- */

#define DRM_AIPU_ACCESS_READ (1u << 0)
#define DRM_AIPU_ACCESS_WRITE (1u << 1)

/* Of drm_aipu_segment_bind.flags */
/* jobs of FENCED queues wait for and publish fences of the buffer */
#define DRM_AIPU_SEGMENT_SYNC (1u << 0)

/**
 * struct drm_aipu_segment_bind - DRM_IOCTL_AIPU_SEGMENT_BIND: let a context's jobs reach (part of)
 * a buffer
 *
 * ENOENT: no such context or handle. ENOSPC: no segment id left. EINVAL: range beyond the buffer,
 * length 0, offset or length of device memory no multiple of 64, no or unknown access. EACCES:
 * WRITE to a READ_ONLY buffer. EBUSY: SYNC in a context that has an UNFENCED queue. EOPNOTSUPP:
 * SYNC where FEATURE_FENCES is not offered.
 */
struct drm_aipu_segment_bind {
	/** @context: in, id */
	__u32 context;
	/** @handle: in, GEM handle */
	__u32 handle;
	/** @offset: in, bytes from the buffer's start; DEVICE: a multiple of 64 */
	__u64 offset;
	/** @length: in, bytes, 1 or more, within the buffer; DEVICE: a multiple of 64 */
	__u64 length;
	/** @access: in, DRM_AIPU_ACCESS_*, one or both */
	__u32 access;
	/** @flags: in, DRM_AIPU_SEGMENT_* flags */
	__u32 flags;
	/** @segment: out, the id that jobs use: 0..max_segments - 1 */
	__u32 segment;
	/** @pad: 0 */
	__u32 pad;
};

/**
 * struct drm_aipu_segment_unbind - DRM_IOCTL_AIPU_SEGMENT_UNBIND
 *
 * Returns when no access through the segment runs or can start: waits for jobs that hold it. EINTR:
 * still being unbound; call again. ENOENT: no such context or segment.
 */
struct drm_aipu_segment_unbind {
	/** @context: in, id */
	__u32 context;
	/** @segment: in, id */
	__u32 segment;
};

/* --- programs --------------------------------------------------------------------------------- */

/**
 * struct drm_aipu_program_load - DRM_IOCTL_AIPU_PROGRAM_LOAD
 *
 * The card copies the image and verifies its copy. ENOEXEC: refused; @detail says why. EOPNOTSUPP:
 * well-formed, but the card does not offer what it needs; @detail says what. ENOENT: no such
 * context or segment. ENOSPC: no program id left. EINVAL:
 * @bytes or @offset.
 */
struct drm_aipu_program_load {
	/** @context: in, id */
	__u32 context;
	/** @segment: in, id of the one in which the image lies */
	__u32 segment;
	/** @offset: in, bytes from the segment's start; a multiple of 8 */
	__u64 offset;
	/** @bytes: in, of the image, 1..&drm_aipu_device.max_program_bytes */
	__u32 bytes;
	/** @program: out, id that blocks of jobs use: 0..max_programs - 1 */
	__u32 program;
	/** @detail: out, also on ENOEXEC and EOPNOTSUPP: AIPU_REFUSAL(reason, index) */
	__u32 detail;
	/** @pad: 0 */
	__u32 pad;
};

/**
 * struct drm_aipu_program_unload - DRM_IOCTL_AIPU_PROGRAM_UNLOAD
 *
 * Jobs that run keep the program until they end. ENOENT: no such context or program.
 */
struct drm_aipu_program_unload {
	/** @context: in, id */
	__u32 context;
	/** @program: in, id */
	__u32 program;
};

/* --- queues ----------------------------------------------------------------------------------- */

/**
 * enum drm_aipu_queue_kind - whether jobs have fences
 * @DRM_AIPU_QUEUE_UNFENCED: all jobs; no fences
 * @DRM_AIPU_QUEUE_FENCED: RUN, COPY and FILL with a time limit of 1 to 2000 ms; in and out fences.
 *EOPNOTSUPP where FEATURE_FENCES is not offered
 */
enum drm_aipu_queue_kind {
	DRM_AIPU_QUEUE_UNFENCED = 0,
	DRM_AIPU_QUEUE_FENCED = 1,
};

/**
 * struct drm_aipu_queue_create - DRM_IOCTL_AIPU_QUEUE_CREATE
 *
 * Jobs of a queue start and end in order. ENOSPC: no queue left on the card, or the user has half
 * of them and no CAP_SYS_RESOURCE. EBUSY: UNFENCED in a context that has SYNC segments. EBADF:
 * @eventfd is none.
 */
struct drm_aipu_queue_create {
	/** @context: in, id */
	__u32 context;
	/** @kind: in, enum drm_aipu_queue_kind */
	__u32 kind;
	/**
	 * @entries: in, jobs that may be in flight; out, as many or more. 1..max_queue_entries - 1
	 */
	__u32 entries;
	/**
	 * @coalesce_count: in, an interrupt after so many completions, at most 65535; 0 and 1:
	 * after each
	 */
	__u32 coalesce_count;
	/** @coalesce_us: in, or after so many microseconds, at most 1000000; 0: after each */
	__u32 coalesce_us;
	/**
	 * @eventfd: in, signalled when a completion is there for DRM_IOCTL_AIPU_WAIT, and when a
	 * token ring's producer passes its wake index; -1: none
	 */
	__s32 eventfd;
	/** @flags: in, 0 */
	__u32 flags;
	/** @queue: out, id */
	__u32 queue;
};

/**
 * struct drm_aipu_queue - DRM_IOCTL_AIPU_QUEUE_DESTROY, DRM_IOCTL_AIPU_KICK
 *
 * DESTROY ends the queue's jobs (ECANCELED, status ABORTED). KICK says that records were taken from
 * a token ring that was full. ENOENT: no such queue.
 */
struct drm_aipu_queue {
	/** @queue: in, id */
	__u32 queue;
	/** @pad: 0 */
	__u32 pad;
};

/* --- jobs ------------------------------------------------------------------------------------- */

/* Of drm_aipu_submit.flags and drm_aipu_uring_submit.flags */
/* more jobs follow at once: the doorbell may wait for the next one, 50 ms at most */
#define DRM_AIPU_SUBMIT_MORE (1u << 0)

/* Of drm_aipu_sync.flags */
#define DRM_AIPU_SYNC_TIMELINE (1u << 0)

/**
 * struct drm_aipu_sync - a syncobj to wait for or to signal; all in
 */
struct drm_aipu_sync {
	/** @handle: syncobj, of this file */
	__u32 handle;
	/** @flags: 0 or DRM_AIPU_SYNC_TIMELINE */
	__u32 flags;
	/** @point: of a timeline, 1 or more; else 0 */
	__u64 point;
};

/**
 * struct drm_aipu_submit - DRM_IOCTL_AIPU_SUBMIT: put jobs on a queue
 *
 * Each job carries an implied sequence number: @sequence for the first, one more for each that
 * follows. The queue expects sequence numbers without a gap, from 1; another is refused with ESTALE
 * and @sequence is set to the one expected. The first @taken jobs were taken, also when the call
 * fails; the error is the one of the job after them. EAGAIN: the queue is full. EINVAL: a job's
 * opcode, reserved or id field. ENOENT: no such queue. EOPNOTSUPP: syncs on an UNFENCED queue, or
 * where FEATURE_FENCES is not offered.
 *
 * What a job names is checked by the card, against the segments as they stand when it starts.
 */
struct drm_aipu_submit {
	/** @queue: in, id */
	__u32 queue;
	/** @flags: in, DRM_AIPU_SUBMIT_* */
	__u32 flags;
	/** @jobs: in, pointer to @count struct aipu_job; `id` and `flags` of each are 0 */
	__u64 jobs;
	/** @count: in, jobs, 1..4096 */
	__u32 count;
	/** @taken: out, also on failure */
	__u32 taken;
	/** @sequence: in, of the first job, from 1 on; out on ESTALE: the one expected */
	__u64 sequence;
	/**
	 * @in_syncs: in, pointer to @in_sync_count struct drm_aipu_sync: jobs start after all of
	 * them
	 */
	__u64 in_syncs;
	/**
	 * @out_syncs: in, pointer to @out_sync_count struct drm_aipu_sync: signalled when the last
	 * job ends
	 */
	__u64 out_syncs;
	/** @in_sync_count: in, 0..64 */
	__u32 in_sync_count;
	/** @out_sync_count: in, 0..64 */
	__u32 out_sync_count;
};

/* Of drm_aipu_result.flags */
#define DRM_AIPU_RESULT_GUILTY (1u << 0) /* it ran when its context or the device had to be reset */
/* it was lost to a reset for which another job is to blame */
#define DRM_AIPU_RESULT_INNOCENT (1u << 1)

/**
 * struct drm_aipu_result - how a job ended; all out
 */
struct drm_aipu_result {
	/** @sequence: of the job */
	__u64 sequence;
	/** @time_ns: device time spent on it, in ns, below 2^48; 0 where the card did not end it */
	__u64 time_ns;
	/** @detail: as the status says (the contract's spec.md); else 0 */
	__u32 detail;
	/** @step_seen: value of the device's step counter (32 bits) when it saw the job, */
	__u32 step_seen;
	/** @step_start: started it, */
	__u32 step_start;
	/** @step_end: ended it */
	__u32 step_end;
	/** @error: 0 or -errno */
	__s32 error;
	/** @status: enum aipu_status */
	__u16 status;
	/** @flags: DRM_AIPU_RESULT_* */
	__u16 flags;
};

/**
 * struct drm_aipu_wait - DRM_IOCTL_AIPU_WAIT: take results of jobs submitted by
 * DRM_IOCTL_AIPU_SUBMIT
 *
 * Each result is given once, in the order of the jobs' ends. Returns as soon as there are @minimum
 * results, or, with
 * @minimum 0, a token ring's interrupt came after the last WAIT on this queue (then @taken may be
 * 0; that may also be somebody else's interrupt), with up to @count. ETIME: the time is over;
 * @taken may be above 0 nevertheless. EINTR: nothing was taken. EFAULT: the first @taken results
 * were written; those that could not be stay, and are given again. A queue that was lost gives its
 * results first, then ECANCELED.
 */
struct drm_aipu_wait {
	/** @queue: in, id */
	__u32 queue;
	/** @count: in, room at @results, 1 or more */
	__u32 count;
	/** @results: in, pointer to @count struct drm_aipu_result */
	__u64 results;
	/** @timeout_ns: in, CLOCK_MONOTONIC, absolute; 0: do not wait; INT64_MAX: for ever */
	__s64 timeout_ns;
	/** @minimum: in, 0..@count; 0 as 1, but a token ring's interrupt ends the wait too */
	__u32 minimum;
	/** @taken: out, also on failure */
	__u32 taken;
};

/**
 * struct drm_aipu_cancel - DRM_IOCTL_AIPU_CANCEL: end one job early
 *
 * Works for jobs of both doors. The job ends exactly once, with ECANCELED and status ABORTED,
 * unless it ends by itself first. Does not wait for the end. ENOENT: no such queue, or the job has
 * ended or never came.
 */
struct drm_aipu_cancel {
	/** @queue: in, id */
	__u32 queue;
	/** @pad: 0 */
	__u32 pad;
	/** @sequence: in, of the job, from 1 on */
	__u64 sequence;
};

/* Of drm_aipu_reset.flags */
/* Only if no job of anybody is in flight, else EBUSY; none that came before the check is lost */
#define DRM_AIPU_RESET_IDLE (1u << 0)
/*
 * The boot ROM starts nothing from flash: the driver gives it the image in /lib/firmware. Where
 * there is none the card is wedged until a RESET without this flag, which starts what is in flash.
 */
#define DRM_AIPU_RESET_RECOVERY (1u << 1)

/**
 * struct drm_aipu_reset - DRM_IOCTL_AIPU_RESET: reset the card; needs CAP_SYS_ADMIN
 *
 * All contexts of all files are lost, as said at the top. Returns when the card is ready again.
 * EIO: it did not come back. EBUSY: @flags has IDLE, and jobs are in flight; nothing was changed.
 * EOPNOTSUPP: @flags has RECOVERY, and the card keeps no firmware.
 */
struct drm_aipu_reset {
	/** @flags: in, DRM_AIPU_RESET_* */
	__u32 flags;
	/** @pad: 0 */
	__u32 pad;
};

/**
 * enum drm_aipu_flash_op - what DRM_IOCTL_AIPU_FLASH does; the contract's commands of the same name
 * @DRM_AIPU_FLASH_INFO: out, the first @bytes of struct aipu_flash_info (4096) to @data;
 *	chunk_bytes is at most 65536 there. The only one that needs no rights
 * @DRM_AIPU_FLASH_WRITE: in, @bytes at @data to @offset of the slot, in order and without gaps;
 *	offset 0 empties the slot first
 * @DRM_AIPU_FLASH_READ: out, @bytes from @offset of the slot to @data
 * @DRM_AIPU_FLASH_COMMIT: the card checks what was written; EKEYREJECTED: refused, @detail says why
 * @DRM_AIPU_FLASH_ACTIVATE: the next reset starts this slot first, on trial
 */
enum drm_aipu_flash_op {
	DRM_AIPU_FLASH_INFO = 0,
	DRM_AIPU_FLASH_WRITE = 1,
	DRM_AIPU_FLASH_READ = 2,
	DRM_AIPU_FLASH_COMMIT = 3,
	DRM_AIPU_FLASH_ACTIVATE = 4,
};

/**
 * struct drm_aipu_flash - DRM_IOCTL_AIPU_FLASH: the card's firmware slots (the contract's spec.md,
 * section 14); needs CAP_SYS_ADMIN, but for INFO
 *
 * One command at a time, and one update: from a WRITE, COMMIT or ACTIVATE that was done on, those
 * of other files are EBUSY until its file is closed or the card is reset. EPERM: no rights.
 * EOPNOTSUPP: the card keeps no firmware. EINVAL: unknown op, slot above 1, a field that the op
 * does not use is not 0, bytes 0 or above the card's chunk_bytes, a gap, beyond the slot. EBUSY:
 * also WRITE and COMMIT of the slot that runs. ENOENT: ACTIVATE of an empty slot. EKEYREJECTED:
 * COMMIT. ECANCELED: the card was reset meanwhile; a slot that was being written is empty.
 */
struct drm_aipu_flash {
	/** @op: in, enum drm_aipu_flash_op */
	__u32 op;
	/** @slot: in, 0: A, 1: B; INFO: 0 */
	__u32 slot;
	/** @offset: in, READ and WRITE: bytes from the slot's start; else 0 */
	__u64 offset;
	/** @data: in, INFO, READ and WRITE: pointer; else 0 */
	__u64 data;
	/** @bytes: in, INFO: 1..4096; READ and WRITE: 1..chunk_bytes; else 0 */
	__u32 bytes;
	/** @detail: out, also on EKEYREJECTED: AIPU_ERROR_* of the refusal; else 0 */
	__u32 detail;
};

/**
 * struct drm_aipu_limits - DRM_IOCTL_AIPU_SET_LIMITS: power and clock; needs CAP_SYS_ADMIN
 *
 * They hold as long as the driver is bound, also over resets (user API 1.1: until the next reset):
 * the driver sets them again before a job can run. Where other firmware was started, a limit above
 * its default is the default then, and where it refuses what is left, both are; the log says so.
 * EOPNOTSUPP: the card has none. EINVAL: beyond what it can; both stay.
 */
struct drm_aipu_limits {
	/** @power_mw: in, milliwatts; 0: the card's default */
	__u32 power_mw;
	/** @clock_mhz: in, megahertz; 0: the card's default */
	__u32 clock_mhz;
};

/* --- io_uring --------------------------------------------------------------------------------- */

/**
 * struct drm_aipu_uring_submit - payload of IORING_OP_URING_CMD with cmd_op DRM_AIPU_URING_SUBMIT:
 * one job
 *
 * Needs a ring with IORING_SETUP_SQE128; the 80 bytes are the command area of the 128-byte entry.
 * With IORING_SETUP_CQE32 the second word of the completion (big_cqe[0]) is AIPU_URING_WORD(status,
 * value): the device status, and with status 0 the device time in ns, else the detail of the
 * status. res is 0 or -errno; errors as of DRM_IOCTL_AIPU_SUBMIT, and EINVAL for a ring without
 * SQE128 or for uring_cmd_flags. Never EAGAIN from a full queue in between: a job whose sequence
 * number is not the one expected, because one before it was refused, is refused too (ESTALE).
 */
struct drm_aipu_uring_submit {
	/** @queue: in, id */
	__u32 queue;
	/** @flags: in, DRM_AIPU_SUBMIT_* */
	__u32 flags;
	/** @sequence: in, as in struct drm_aipu_submit */
	__u64 sequence;
	/** @job: in; `id` and `flags` are 0 */
	struct aipu_job job;
};

#define AIPU_URING_STATUS(word) ((__u16)((word) >> 48))
#define AIPU_URING_TIME_NS(word) ((__u64)(word) << 16 >> 16)
#define AIPU_URING_DETAIL(word) ((__u32)(word))
#define AIPU_URING_WORD(status, value) ((__u64)(status) << 48 | AIPU_URING_TIME_NS(value))

#define DRM_AIPU_IOWR(nr, type) DRM_IOWR(DRM_COMMAND_BASE + (nr), struct type)
#define DRM_AIPU_IOW(nr, type) DRM_IOW(DRM_COMMAND_BASE + (nr), struct type)

#define DRM_IOCTL_AIPU_QUERY DRM_AIPU_IOWR(DRM_AIPU_QUERY, drm_aipu_query)
#define DRM_IOCTL_AIPU_CONTEXT_CREATE \
	DRM_AIPU_IOWR(DRM_AIPU_CONTEXT_CREATE, drm_aipu_context_create)
#define DRM_IOCTL_AIPU_CONTEXT_DESTROY DRM_AIPU_IOW(DRM_AIPU_CONTEXT_DESTROY, drm_aipu_context)
#define DRM_IOCTL_AIPU_CONTEXT_RESET DRM_AIPU_IOW(DRM_AIPU_CONTEXT_RESET, drm_aipu_context)
#define DRM_IOCTL_AIPU_BUFFER_CREATE DRM_AIPU_IOWR(DRM_AIPU_BUFFER_CREATE, drm_aipu_buffer_create)
#define DRM_IOCTL_AIPU_BUFFER_INFO DRM_AIPU_IOWR(DRM_AIPU_BUFFER_INFO, drm_aipu_buffer_info)
#define DRM_IOCTL_AIPU_SEGMENT_BIND DRM_AIPU_IOWR(DRM_AIPU_SEGMENT_BIND, drm_aipu_segment_bind)
#define DRM_IOCTL_AIPU_SEGMENT_UNBIND DRM_AIPU_IOW(DRM_AIPU_SEGMENT_UNBIND, drm_aipu_segment_unbind)
#define DRM_IOCTL_AIPU_PROGRAM_LOAD DRM_AIPU_IOWR(DRM_AIPU_PROGRAM_LOAD, drm_aipu_program_load)
#define DRM_IOCTL_AIPU_PROGRAM_UNLOAD DRM_AIPU_IOW(DRM_AIPU_PROGRAM_UNLOAD, drm_aipu_program_unload)
#define DRM_IOCTL_AIPU_QUEUE_CREATE DRM_AIPU_IOWR(DRM_AIPU_QUEUE_CREATE, drm_aipu_queue_create)
#define DRM_IOCTL_AIPU_QUEUE_DESTROY DRM_AIPU_IOW(DRM_AIPU_QUEUE_DESTROY, drm_aipu_queue)
#define DRM_IOCTL_AIPU_SUBMIT DRM_AIPU_IOWR(DRM_AIPU_SUBMIT, drm_aipu_submit)
#define DRM_IOCTL_AIPU_WAIT DRM_AIPU_IOWR(DRM_AIPU_WAIT, drm_aipu_wait)
#define DRM_IOCTL_AIPU_CANCEL DRM_AIPU_IOW(DRM_AIPU_CANCEL, drm_aipu_cancel)
#define DRM_IOCTL_AIPU_KICK DRM_AIPU_IOW(DRM_AIPU_KICK, drm_aipu_queue)
#define DRM_IOCTL_AIPU_RESET DRM_AIPU_IOW(DRM_AIPU_RESET, drm_aipu_reset)
#define DRM_IOCTL_AIPU_FLASH DRM_AIPU_IOWR(DRM_AIPU_FLASH, drm_aipu_flash)
#define DRM_IOCTL_AIPU_SET_LIMITS DRM_AIPU_IOW(DRM_AIPU_SET_LIMITS, drm_aipu_limits)

#define DRM_AIPU_URING_SUBMIT DRM_AIPU_IOWR(DRM_AIPU_SUBMIT, drm_aipu_uring_submit)

#if defined(__cplusplus)
}
#endif

#endif
