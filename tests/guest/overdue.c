// SPDX-License-Identifier: MIT
/*
 * overdue NODE MILLISECONDS: puts three jobs that do nothing, with that time limit, on a queue, and prints how each ended: "job
 * SEQUENCE error N status N flags N". Runs in the guest, called by _faults.sh for a card whose first job takes longer.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include <drm/aipu_accel.h>

#define JOBS 3u

static int fail(const char *what)
{
	printf("overdue: %s: %s\n", what, strerror(errno));
	return 1;
}

static int run(int fd, uint32_t queue, uint32_t timeout_ms)
{
	struct aipu_job jobs[JOBS] = { 0 };
	struct drm_aipu_result results[JOBS] = { 0 };
	struct drm_aipu_submit submit = {
		.queue = queue, .jobs = (uintptr_t)jobs, .count = JOBS, .sequence = 1
	};
	struct drm_aipu_wait wait = { .queue = queue,
				      .count = JOBS,
				      .minimum = JOBS,
				      .results = (uintptr_t)results,
				      .timeout_ns = INT64_MAX };

	for (unsigned int i = 0; i < JOBS; i++) {
		jobs[i].opcode = AIPU_JOB_NOP;
		jobs[i].timeout_ms = timeout_ms;
	}
	if (ioctl(fd, DRM_IOCTL_AIPU_SUBMIT, &submit))
		return fail("SUBMIT");
	if (ioctl(fd, DRM_IOCTL_AIPU_WAIT, &wait))
		return fail("WAIT");
	for (unsigned int i = 0; i < wait.taken; i++)
		printf("job %u error %d status %u flags %u\n", (unsigned int)results[i].sequence,
		       results[i].error, results[i].status, results[i].flags);
	return 0;
}

int main(int argc, char **argv)
{
	struct drm_aipu_context_create context = { 0 };
	struct drm_aipu_queue_create queue = { .entries = JOBS, .eventfd = -1 };
	int fd;

	if (argc != 3)
		return 2;
	fd = open(argv[1], O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return fail(argv[1]);
	if (ioctl(fd, DRM_IOCTL_AIPU_CONTEXT_CREATE, &context))
		return fail("CONTEXT_CREATE");
	queue.context = context.context;
	if (ioctl(fd, DRM_IOCTL_AIPU_QUEUE_CREATE, &queue))
		return fail("QUEUE_CREATE");
	return run(fd, queue.queue, (uint32_t)atoi(argv[2]));
}
