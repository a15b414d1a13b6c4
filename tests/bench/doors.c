// SPDX-License-Identifier: GPL-2.0
/*
 * Jobs that do nothing through both doors of the driver, and the same of an NVMe drive's passthrough: how many a second. Runs in
 * a guest, called by scripts/bench-guest. Ways that are compared take turns of a few milliseconds, so that what else the machine
 * does meets them alike. The first card has shadow doorbells; the others have none, and of them one answers each register
 * write, since its memory can be mapped, the other does not (posted writes, as those of a bus are, and of the drive). A round is TURNS of each, and a line for each way of a round: "ROUND WAY JOBS NANOSECONDS".
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "jobs.h"
#include "ring.h"

#define BATCH 32u
#define TURNS 10u
#define TURN_NS 50000000
#define COALESCE_US 1000u
#define NVME_FLUSH 0u
#define FILES 4
#define FILE_NUMBER 0 /* of a ring's one file, which is registered as who cares about time does */

struct way {
	const char *name;
	unsigned int file; /* of those that main() opens */
	/* `depth` jobs from the first one's submission to the last one's completion; 0 or an error */
	int (*run)(struct way *way);
	unsigned int depth;
	int fd;
	uint32_t context, queue, namespace;
	uint64_t next;
	struct io_uring ring;
	uint64_t jobs, ns;
};

/* --- what is measured --------------------------------------------------------------------------- */

static int run_ioctl(struct way *way)
{
	uint64_t first = way->next;
	uint32_t taken;
	int err = nops(way->fd, way->queue, &way->next, way->depth, &taken);

	return err ? err : take_all(way->fd, way->queue, first, way->depth);
}

/* Takes the completions of `depth` commands, of which each went well */
static int run_ring(struct way *way)
{
	struct io_uring_cqe *cqe;
	unsigned int head, seen = 0;
	int err;

	err = io_uring_submit_and_wait(&way->ring, way->depth);
	if (err < 0)
		return -err;
	io_uring_for_each_cqe(&way->ring, head, cqe)
	{
		if (cqe->res)
			return cqe->res < 0 ? -cqe->res : EIO;
		seen++;
	}
	io_uring_cq_advance(&way->ring, seen);
	return seen == way->depth ? 0 : EIO;
}

static int run_uring(struct way *way)
{
	for (unsigned int i = 1; i <= way->depth; i++)
		put_job(&way->ring, FILE_NUMBER, way->queue, way->next++, NULL,
			i < way->depth ? DRM_AIPU_SUBMIT_MORE : 0)
			->flags = IOSQE_FIXED_FILE;
	return run_ring(way);
}

static int run_nvme(struct way *way)
{
	for (unsigned int i = 0; i < way->depth; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&way->ring);
		struct nvme_uring_cmd *cmd;

		if (!sqe)
			return EAGAIN;
		memset(sqe, 0, 2 * sizeof(*sqe));
		sqe->opcode = IORING_OP_URING_CMD;
		sqe->fd = FILE_NUMBER;
		sqe->flags = IOSQE_FIXED_FILE;
		sqe->cmd_op = NVME_URING_CMD_IO;
		cmd = (struct nvme_uring_cmd *)sqe->cmd;
		cmd->opcode = NVME_FLUSH;
		cmd->nsid = way->namespace;
	}
	return run_ring(way);
}

/* --- making ------------------------------------------------------------------------------------- */

static int fail(const char *what, int err)
{
	fprintf(stderr, "doors: %s: %s\n", what, strerror(err));
	return 1;
}

static int make_way(struct way *way, int fd)
{
	int err = 0, id;

	way->fd = fd;
	if (way->run != run_ioctl)
		err = -io_uring_queue_init(BATCH, &way->ring,
					   RING_FLAGS | IORING_SETUP_SINGLE_ISSUER |
						   IORING_SETUP_DEFER_TASKRUN);
	if (!err && way->run != run_ioctl)
		err = -io_uring_register_files(&way->ring, &way->fd, 1);
	if (!err && way->run == run_nvme) {
		id = ioctl(fd, NVME_IOCTL_ID);
		err = id < 0 ? errno : 0;
		way->namespace = (uint32_t)id;
	} else if (!err) {
		err = make_context(fd, &way->context);
	}
	return err ? fail(way->name, err) : 0;
}

/* One for each turn, since a queue's interrupts come where it was made; so do the drive's, which has a queue everywhere. */
static int begin_turn(struct way *way)
{
	struct drm_aipu_queue_create create = {
		.context = way->context,
		.entries = 255,
		.coalesce_count = way->depth > 1 ? way->depth : 0,
		.coalesce_us = way->depth > 1 ? COALESCE_US : 0,
		.eventfd = -1,
	};
	int err;

	if (way->run == run_nvme)
		return 0;
	err = call(way->fd, DRM_IOCTL_AIPU_QUEUE_CREATE, &create);
	way->queue = create.queue;
	way->next = 1;
	return err;
}

static int end_turn(struct way *way)
{
	return way->run == run_nvme ? 0 : end_queue(way->fd, way->queue);
}

/* --- turns -------------------------------------------------------------------------------------- */

static int turn(struct way *way)
{
	int err = begin_turn(way);
	int64_t begin = now_ns(), now = begin;

	while (!err && now - begin < TURN_NS) {
		err = way->run(way);
		way->jobs += way->depth;
		now = now_ns();
	}
	way->ns += (uint64_t)(now - begin);
	if (!err)
		err = end_turn(way);
	return err ? fail(way->name, err) : 0;
}

static int run_round(struct way *ways, unsigned int count, unsigned int number)
{
	for (unsigned int i = 0; i < count; i++)
		ways[i].jobs = ways[i].ns = 0;
	for (unsigned int i = 0; i < TURNS * count; i++)
		if (turn(&ways[i % count]))
			return 1;
	for (unsigned int i = 0; i < count; i++)
		printf("%u %s %llu %llu\n", number, ways[i].name, (unsigned long long)ways[i].jobs,
		       (unsigned long long)ways[i].ns);
	fflush(stdout);
	return 0;
}

/* To one processor, as what a drive's queues are for */
static int pin(void)
{
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET((size_t)sched_getcpu(), &here);
	return sched_setaffinity(0, sizeof(here), &here) ? errno : 0;
}

/* Is it one of those that are asked for? */
static bool wanted(const char *name, char **names)
{
	bool any = *names;

	for (; *names; names++)
		if (!strcmp(name, *names))
			return true;
	return !any;
}

int main(int argc, char **argv)
{
	struct way all[] = {
		{ .name = "uring-1", .run = run_uring, .depth = 1 },
		{ .name = "nvme-1", .file = 1, .run = run_nvme, .depth = 1 },
		{ .name = "posted-1", .file = 2, .run = run_uring, .depth = 1 },
		{ .name = "plain-1", .file = 3, .run = run_uring, .depth = 1 },
		{ .name = "ioctl-1", .run = run_ioctl, .depth = 1 },
		{ .name = "uring-32", .run = run_uring, .depth = BATCH },
		{ .name = "nvme-32", .file = 1, .run = run_nvme, .depth = BATCH },
		{ .name = "posted-32", .file = 2, .run = run_uring, .depth = BATCH },
		{ .name = "plain-32", .file = 3, .run = run_uring, .depth = BATCH },
		{ .name = "ioctl-32", .run = run_ioctl, .depth = BATCH },
	};
	struct way ways[sizeof(all) / sizeof(all[0])];
	unsigned int count = 0, rounds;
	int files[FILES];

	if (argc < 2 + FILES) {
		fprintf(stderr, "usage: doors ROUNDS CARD NVME POSTED-CARD PLAIN-CARD [WAY...]\n");
		return 2;
	}
	rounds = (unsigned int)atoi(argv[1]);
	if (pin())
		return fail("pinning", errno);
	for (unsigned int i = 0; i < FILES; i++) {
		files[i] = open(argv[2 + i], O_RDWR | O_CLOEXEC);
		if (files[i] < 0)
			return fail(argv[2 + i], errno);
	}
	for (unsigned int i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (wanted(all[i].name, argv + 2 + FILES))
			ways[count++] = all[i];
	for (unsigned int i = 0; i < count; i++)
		if (make_way(&ways[i], files[ways[i].file]))
			return 1;
	for (unsigned int round = 0; round < rounds; round++)
		if (run_round(ways, count, round))
			return 1;
	return 0;
}
