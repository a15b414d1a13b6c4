/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Jobs of the driver as commands of an io_uring, for tests and benchmarks in guests. A ring of RING_FLAGS takes them; who
 * asks for DEFER_TASKRUN too gets completions only where it waits.
 */
#ifndef RING_H
#define RING_H

#include <liburing.h>
#include <stdint.h>
#include <string.h>

#include <drm/aipu_accel.h>

#define RING_FLAGS (IORING_SETUP_SQE128 | IORING_SETUP_CQE32)

/* job: NULL for one that does nothing. NULL: the ring is full */
static inline struct io_uring_sqe *put_job(struct io_uring *ring, int fd, uint32_t queue,
					   uint64_t sequence, const struct aipu_job *job,
					   uint32_t flags)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct drm_aipu_uring_submit *submit;

	if (!sqe)
		return NULL;
	memset(sqe, 0, 2 * sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = fd;
	sqe->cmd_op = DRM_AIPU_URING_SUBMIT;
	sqe->user_data = sequence;
	submit = (struct drm_aipu_uring_submit *)sqe->cmd;
	submit->queue = queue;
	submit->flags = flags;
	submit->sequence = sequence;
	if (job)
		submit->job = *job;
	return sqe;
}

/* `count` jobs that do nothing, which are rung for once */
static inline void put_nops(struct io_uring *ring, int fd, uint32_t queue, uint64_t *next,
			    uint32_t count)
{
	for (uint32_t i = 1; i <= count; i++)
		put_job(ring, fd, queue, (*next)++, NULL, i < count ? DRM_AIPU_SUBMIT_MORE : 0);
}

#endif
