/* SPDX-License-Identifier: MIT */
/*
 * Inside the device model: what its parts know of each other. Control plane (registers, boot, queues,
 * segments, engine) calls down into programs (verifier, executor, lanes, GENERATE), which calls down into
 * compute/. Only the engine thread calls what is declared here, unless it says otherwise.
 */
#ifndef AIPU_MODEL_H
#define AIPU_MODEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aipu/dm.h"
#include "aipu_job.h"
#include "aipu_program.h"
#include "aipu_queue.h"
#include "aipu_registers.h"
#include "aipu_segment.h"
#include "aipu_status.h"

struct dm_context;
struct dm_program;
struct dm_cores;
struct dm_step_job;
struct aipu_kernels;

/* --- cores (cores.c): n threads that run one function together ------------------------------ */

/* fn runs on every core, core 0 is the caller. dm_cores_run returns when all have ended. */
typedef void (*dm_core_fn)(void *arg, unsigned int core, unsigned int cores);
int dm_cores_create(unsigned int cores, struct dm_cores **out);
void dm_cores_destroy(struct dm_cores *cores);
unsigned int dm_cores_count(const struct dm_cores *cores);
void dm_cores_run(struct dm_cores *cores, dm_core_fn fn, void *arg);
/* Called by fn on every core: returns when all have called it (spins briefly, then sleeps) */
void dm_cores_barrier(struct dm_cores *cores, unsigned int core);

/* --- segments (segment.c): every access of a job goes through these -------------------------- */

/* All return enum aipu_status. `access`: AIPU_ACCESS_*. Overflow-safe for any offset and length. */
unsigned int dm_segment_check(struct dm_context *context, uint32_t segment, uint64_t offset,
			      uint64_t length, unsigned int access);
unsigned int dm_segment_read(struct dm_context *context, uint32_t segment, uint64_t offset,
			     void *to, size_t bytes);
unsigned int dm_segment_write(struct dm_context *context, uint32_t segment, uint64_t offset,
			      const void *from, size_t bytes);
/*
 * A direct pointer, for compute operands and token rings. DEVICE segments always have one; HOST segments
 * only where AIPU_CAP_UMA is offered (else UNSUPPORTED). Holds the binding until dm_segment_put.
 */
struct dm_mapping {
	void *pointer;
	uint64_t bytes, offset; /* in the segment */
	const volatile bool *lost; /* may be NULL */
	void *owner; /* segment.c's */
};
unsigned int dm_segment_get(struct dm_context *context, uint32_t segment, uint64_t offset,
			    uint64_t bytes, unsigned int access, struct dm_mapping *mapping);
/*
 * As dm_segment_get, but a segment that has no pointer is held too, with pointer NULL: then the two below
 * reach it, also when an UNBIND waits. Offsets count from the mapping's; the caller keeps within it. When the
 * status is not OK, owner is NULL.
 */
unsigned int dm_segment_hold(struct dm_context *context, uint32_t segment, uint64_t offset,
			     uint64_t bytes, unsigned int access, struct dm_mapping *mapping);
unsigned int dm_mapping_read(const struct dm_mapping *mapping, uint64_t offset, void *to,
			     size_t bytes);
unsigned int dm_mapping_write(const struct dm_mapping *mapping, uint64_t offset, const void *from,
			      size_t bytes);
void dm_segment_put(struct dm_context *context, struct dm_mapping *mapping);

/* --- services of a context for the parts below ----------------------------------------------- */

/* NULL: none of this id is loaded. Jobs hold a reference while they run. */
struct dm_program *dm_context_program(struct dm_context *context, uint32_t id);
struct dm_cores *dm_context_cores(struct dm_context *context);
const struct aipu_kernels *dm_context_kernels(struct dm_context *context);
uint64_t dm_context_clock(struct dm_context *context);
/* What registers offer: the verifier asks here, nowhere else */
struct dm_limits {
	uint64_t capabilities, operations, formats;
	uint32_t kv_formats, kv_kinds, numerics, layouts, activations;
	uint32_t abi_oldest, abi_newest;
	uint32_t max_lanes, max_program_bytes;
};

/* --- programs (program.c, verify.c) ----------------------------------------------------------- */

/*
 * Takes over `image` (malloc'ed; freed also on failure): it is in no segment, so what is verified here
 * stays as it is. Returns enum aipu_status; on INVALID_PROGRAM *detail = AIPU_REFUSAL(reason, index).
 * UNSUPPORTED is given, with the same detail, for what is well-formed but not offered.
 */
unsigned int dm_program_create(const struct dm_limits *limits, void *image, size_t bytes,
			       struct dm_program **program, uint32_t *detail);
void dm_program_get(struct dm_program *program);
void dm_program_put(struct dm_program *program);

/* --- what work comes to ------------------------------------------------------------------------ */

/* Of one step; what counts, and how often: spec.md, NRG-2 and NRG-3, and docs/device.md */
struct dm_work {
	uint64_t read, written; /* bytes of operands, COPY and FILL: from and to device memory */
	uint64_t operations; /* multiplications with addition */
	uint64_t bus; /* bytes that COPY and FILL move from and to host memory */
};

/* --- RUN and GENERATE (step.c, lanes.c, generate.c) -------------------------------------------- */

enum dm_step_result {
	DM_STEP_MORE, /* the job has further steps */
	DM_STEP_PAUSED, /* the token ring is full: ask again later, nothing was done */
	DM_STEP_DONE, /* the job has ended; dm_step_job_end gives its status */
};

/*
 * begin: copies and checks blocks, operands, lane table; takes mappings and programs. Returns
 * enum aipu_status and *detail; nothing is held when it is not OK. step: at most one step. end: writes the
 * lanes' results, releases everything; `reason` other than OK ends a running job early (ABORTED,
 * CONTEXT_RESET, TIMEOUT) and is returned, else the job's own status. write_back false: no further access
 * to segments (reset).
 */
unsigned int dm_step_job_begin(struct dm_context *context, const struct aipu_job *job,
			       struct dm_step_job **out, uint32_t *detail);
enum dm_step_result dm_step_job_step(struct dm_step_job *job);
unsigned int dm_step_job_end(struct dm_step_job *job, unsigned int reason, bool write_back,
			     uint32_t *detail);
/* True once after the producer index passed the caller's wake index: the engine raises the interrupt */
bool dm_step_job_wake(struct dm_step_job *job);
/* Of the last dm_step_job_step: zeros where it did nothing */
const struct dm_work *dm_step_job_work(const struct dm_step_job *job);
/* For GET_PROGRESS; any thread */
void dm_step_job_progress(const struct dm_step_job *job, uint32_t *block, uint32_t *instruction);

#endif
