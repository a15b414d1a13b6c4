/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Calls of the driver's user API for the tests of queues and jobs, which include this after the
 * kernel's harness. Each returns 0 or the error as the kernel has it; none of them reports
 * anything.
 */
#ifndef JOBS_H
#define JOBS_H

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <drm/aipu_accel.h>

#include "aipu_registers.h"

#define NODE "/dev/accel/accel0"
#define ENTRIES 63u
#define FOREVER INT64_MAX
#define FILL_BYTES (64u << 20)
/* Places of the card's counters, in the order of aipu-emu's man page */
enum {
	BYTES_TO_HOST,
	BYTES_FROM_HOST,
	ENTRIES_READ = 5,
	COMPLETIONS = 6,
	RECORDS = 7,
	REGISTER_READS = 8,
	DOORBELLS = 10,
	HEAD_DOORBELLS = 11,
	INTERRUPTS = 12,
	MEMORY_READ = 13,
	MEMORY_WRITTEN = 14,
};

static inline int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* 0 or the error, as the kernel has it */
static inline int call(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) ? errno : 0;
}

/* Does the card offer shadow doorbells? Then jobs need a doorbell only while it sleeps. */
static inline int shadows(int fd)
{
	struct drm_aipu_device device = { 0 };
	struct drm_aipu_query query = {
		.kind = DRM_AIPU_QUERY_DEVICE,
		.data = (uintptr_t)&device,
		.bytes = sizeof(device),
	};

	return !call(fd, DRM_IOCTL_AIPU_QUERY, &query) &&
	       device.capabilities & AIPU_CAP_SHADOW_DOORBELLS;
}

static inline int make_share(int fd, uint32_t priority, uint32_t weight, uint32_t *context)
{
	struct drm_aipu_context_create create = { .priority = priority, .weight = weight };
	int err = call(fd, DRM_IOCTL_AIPU_CONTEXT_CREATE, &create);

	*context = create.context;
	return err;
}

static inline int make_context(int fd, uint32_t *context)
{
	return make_share(fd, 0, 0, context);
}

static inline int make_queue(int fd, uint32_t context, uint32_t entries, uint32_t coalesce,
			     int event, uint32_t *queue)
{
	struct drm_aipu_queue_create create = {
		.context = context,
		.entries = entries,
		.coalesce_count = coalesce,
		.coalesce_us = coalesce ? 1000000 : 0,
		.eventfd = event,
	};
	int err = call(fd, DRM_IOCTL_AIPU_QUEUE_CREATE, &create);

	*queue = create.queue;
	return err ? err : create.entries < entries ? -1 : 0;
}

static inline int end_queue(int fd, uint32_t queue)
{
	struct drm_aipu_queue destroy = { .queue = queue };

	return call(fd, DRM_IOCTL_AIPU_QUEUE_DESTROY, &destroy);
}

/* The function that accel0 is */
static inline int open_config(void)
{
	return open("/sys/class/accel/accel0/device/config", O_RDONLY | O_CLOEXEC);
}

static inline uint64_t counter(int config, unsigned int index)
{
	uint8_t space[4096];
	size_t at = PCI_CFG_SPACE_SIZE;
	uint64_t value;
	uint32_t header;

	if (pread(config, space, sizeof(space), 0) != sizeof(space))
		return 0;
	while (at >= PCI_CFG_SPACE_SIZE) {
		memcpy(&header, space + at, 4);
		if (PCI_EXT_CAP_ID(header) == PCI_EXT_CAP_ID_VNDR)
			break;
		at = PCI_EXT_CAP_NEXT(header);
	}
	if (at < PCI_CFG_SPACE_SIZE || pread(config, &value, 8, at + 8 + 8 * index) != 8)
		return 0;
	return value;
}

static inline int submit(int fd, uint32_t queue, uint64_t *sequence, const struct aipu_job *jobs,
			 uint32_t count, uint32_t flags, uint32_t *taken)
{
	struct drm_aipu_submit args = {
		.queue = queue,
		.flags = flags,
		.jobs = (uintptr_t)jobs,
		.count = count,
		.taken = 0xffffffff,
		.sequence = *sequence,
	};
	int err = call(fd, DRM_IOCTL_AIPU_SUBMIT, &args);

	*taken = args.taken;
	*sequence = err == ESTALE ? args.sequence : *sequence + args.taken;
	return err;
}

static inline int nops(int fd, uint32_t queue, uint64_t *sequence, uint32_t count, uint32_t *taken)
{
	static const struct aipu_job jobs[4096];

	return submit(fd, queue, sequence, jobs, count, 0, taken);
}

static inline int wait_for(int fd, uint32_t queue, struct drm_aipu_result *results, uint32_t count,
			   uint32_t minimum, int64_t timeout, uint32_t *taken)
{
	struct drm_aipu_wait args = {
		.queue = queue,
		.count = count,
		.results = (uintptr_t)results,
		.timeout_ns = timeout,
		.minimum = minimum,
		.taken = 0xffffffff,
	};
	int err = call(fd, DRM_IOCTL_AIPU_WAIT, &args);

	*taken = args.taken;
	return err;
}

/* All of them, each right */
static inline int take_all(int fd, uint32_t queue, uint64_t first, uint32_t count)
{
	struct drm_aipu_result results[4096];
	uint32_t taken;
	int err = wait_for(fd, queue, results, count, count, FOREVER, &taken);

	if (err || taken != count)
		return err ? err : -1;
	for (uint32_t i = 0; i < count; i++)
		if (results[i].sequence != first + i || results[i].error || results[i].status ||
		    results[i].flags)
			return -2;
	return 0;
}

static inline struct aipu_job fill(uint32_t segment)
{
	return (struct aipu_job){
		.opcode = AIPU_JOB_FILL,
		.fill = { .segment = segment, .length = FILL_BYTES },
	};
}

static inline int fill_all(int fd, uint32_t queue, uint32_t segment, uint64_t *next, uint32_t count)
{
	struct aipu_job jobs[ENTRIES];
	uint32_t taken;

	for (uint32_t i = 0; i < count; i++)
		jobs[i] = fill(segment);
	return submit(fd, queue, next, jobs, count, 0, &taken);
}

static inline int cancel(int fd, uint32_t queue, uint64_t sequence)
{
	struct drm_aipu_cancel args = { .queue = queue, .sequence = sequence };

	return call(fd, DRM_IOCTL_AIPU_CANCEL, &args);
}

/* For a context: a queue, and a buffer in device memory that its jobs can fill, which takes them some time */
static inline int make_fills_of(int fd, uint32_t context, uint32_t *queue, uint32_t *segment)
{
	struct drm_aipu_buffer_create buffer = {
		.kind = DRM_AIPU_BUFFER_DEVICE,
		.bytes = FILL_BYTES,
	};
	struct drm_aipu_segment_bind bind = {
		.context = context,
		.length = FILL_BYTES,
		.access = DRM_AIPU_ACCESS_READ | DRM_AIPU_ACCESS_WRITE,
	};
	int err;

	err = make_queue(fd, context, ENTRIES, 0, -1, queue);
	if (!err)
		err = call(fd, DRM_IOCTL_AIPU_BUFFER_CREATE, &buffer);
	bind.handle = buffer.handle;
	if (!err)
		err = call(fd, DRM_IOCTL_AIPU_SEGMENT_BIND, &bind);
	*segment = bind.segment;
	return err;
}

/* A context with both */
static inline int make_fills(int fd, uint32_t *context, uint32_t *queue, uint32_t *segment)
{
	int err = make_context(fd, context);

	return err ? err : make_fills_of(fd, *context, queue, segment);
}

/*
 * Fixtures that several programs have: a file of the card with a context and a queue. QUEUE_FIXTURE has the card's
 * counters too, FILLS_FIXTURE the segment of make_fills().
 */
#define QUEUE_FIXTURE(name)                                                                      \
	FIXTURE(name)                                                                            \
	{                                                                                        \
		int fd, config;                                                                  \
		uint32_t context, queue;                                                         \
		uint64_t next;                                                                   \
	};                                                                                       \
	FIXTURE_SETUP(name)                                                                      \
	{                                                                                        \
		self->fd = open(NODE, O_RDWR | O_CLOEXEC);                                       \
		ASSERT_LE(0, self->fd)                                                           \
		{                                                                                \
			TH_LOG("cannot open " NODE ": %s", strerror(errno));                     \
		}                                                                                \
		self->config = open_config();                                                    \
		ASSERT_LE(0, self->config);                                                      \
		ASSERT_EQ(0, make_context(self->fd, &self->context));                            \
		ASSERT_EQ(0, make_queue(self->fd, self->context, ENTRIES, 0, -1, &self->queue)); \
		self->next = 1;                                                                  \
	}                                                                                        \
	FIXTURE_TEARDOWN(name)                                                                   \
	{                                                                                        \
		close(self->config);                                                             \
		close(self->fd);                                                                 \
	}

#define FILLS_FIXTURE(name)                                                                       \
	FIXTURE(name)                                                                             \
	{                                                                                         \
		int fd;                                                                           \
		uint32_t context, queue, segment;                                                 \
		uint64_t next;                                                                    \
	};                                                                                        \
	FIXTURE_SETUP(name)                                                                       \
	{                                                                                         \
		self->fd = open(NODE, O_RDWR | O_CLOEXEC);                                        \
		ASSERT_LE(0, self->fd);                                                           \
		ASSERT_EQ(0, make_fills(self->fd, &self->context, &self->queue, &self->segment)); \
		self->next = 1;                                                                   \
	}                                                                                         \
	FIXTURE_TEARDOWN(name)                                                                    \
	{                                                                                         \
		close(self->fd);                                                                  \
	}

#endif
