// SPDX-License-Identifier: GPL-2.0
/*
 * Contexts, segments and programs of the driver, and copies through segments of every kind. Runs as root in a guest with the
 * driver loaded, in the kernel's own test harness.
 */
#include <linux/udmabuf.h>

#include "kselftest_harness.h"

#include "accel.h"

CARD_FIXTURE()

/* --- contexts --------------------------------------------------------------------------------------- */

static int high_priority(int fd)
{
	struct drm_aipu_context_create args = { .priority = 2 };

	if (setresuid(65534, 65534, 65534))
		return 1;
	return call(fd, DRM_IOCTL_AIPU_CONTEXT_CREATE, &args) == -EACCES ? 0 : 2;
}

CARD_TEST(contexts)
{
	struct drm_aipu_context args = { .context = self->context };
	struct drm_aipu_context_create create = { .priority = 3 };

	EXPECT_EQ(0, call(self->fd, DRM_IOCTL_AIPU_CONTEXT_RESET, &args));
	EXPECT_EQ(-ENOENT, call(self->other, DRM_IOCTL_AIPU_CONTEXT_RESET, &args));
	EXPECT_EQ(-ENOENT, call(self->other, DRM_IOCTL_AIPU_CONTEXT_DESTROY, &args));
	EXPECT_EQ(0, call(self->fd, DRM_IOCTL_AIPU_CONTEXT_DESTROY, &args));
	EXPECT_EQ(-ENOENT, call(self->fd, DRM_IOCTL_AIPU_CONTEXT_RESET, &args));
	EXPECT_EQ(-ENOENT, call(self->fd, DRM_IOCTL_AIPU_CONTEXT_DESTROY, &args));
	EXPECT_EQ(-ENOENT, context_end(self->fd, 0));
	EXPECT_EQ(-ENOENT, context_end(self->fd, ~0u));

	EXPECT_EQ(-EINVAL, call(self->fd, DRM_IOCTL_AIPU_CONTEXT_CREATE, &create));
	create = (struct drm_aipu_context_create){ .weight = 257 };
	EXPECT_EQ(-EINVAL, call(self->fd, DRM_IOCTL_AIPU_CONTEXT_CREATE, &create));
	create = (struct drm_aipu_context_create){ .weight = 1 };
	EXPECT_EQ(0, call(self->fd, DRM_IOCTL_AIPU_CONTEXT_CREATE, &create));
	EXPECT_EQ(0, in_child(high_priority, self->fd));
}

CARD_TEST(contexts_end)
{
	uint32_t counts[2] = { 0, 0 };

	/* The second file gets as many as the first one had: all are freed when it is closed */
	for (int i = 0; i < 2; i++) {
		int fd = card_open(0), context;

		while ((context = context_new(fd)) > 0 && counts[i] < 10000)
			counts[i]++;
		EXPECT_EQ(-ENOSPC, context);
		close(fd);
	}
	EXPECT_EQ(counts[0], counts[1]);
	EXPECT_GE(self->device.max_contexts, counts[0]);
	EXPECT_LE(self->device.max_contexts, counts[0] + 3);
}

/* In a child without rights: how many contexts, and queues in one of them, it can make at most; 0, or the line that failed */
static int take_share(int fd)
{
	struct drm_aipu_device device;
	uint32_t contexts = 0, queues = 0;
	int context = 0, err;

	query(fd, DRM_AIPU_QUERY_DEVICE, &device, sizeof(device));
	if (setresuid(65534, 65534, 65534))
		return __LINE__ & 0xff;
	while ((err = context_new(fd)) > 0 && ++contexts < device.max_contexts)
		context = err;
	if (err != -ENOSPC || contexts != device.max_contexts / 2)
		return __LINE__ & 0xff;
	while ((err = queue_new(fd, context)) > 0 && queues < device.max_queues)
		queues++;
	return err != -ENOSPC || queues != device.max_queues / 2 ? __LINE__ & 0xff : 0;
}

/* One user without CAP_SYS_RESOURCE has half of them at most */
CARD_TEST(contexts_and_queues_of_one_user)
{
	int context;

	ASSERT_EQ(0, in_child(take_share, self->other));
	context = context_new(self->fd);
	ASSERT_LT(0, context);
	EXPECT_LT(0, queue_new(self->fd, context));
}

/* --- segments --------------------------------------------------------------------------------------- */

CARD_TEST(segments_of_each_kind)
{
	static char page[2 * PAGE] __attribute__((aligned(PAGE)));
	int handles[3], segment;

	handles[0] = buffer_new(self->fd, DRM_AIPU_BUFFER_DEVICE, 2 * PAGE);
	handles[1] = buffer_new(self->fd, DRM_AIPU_BUFFER_HOST, 2 * PAGE);
	handles[2] = buffer_make(self->fd, DRM_AIPU_BUFFER_USER, 2 * PAGE, page, 0);
	for (int i = 0; i < 3; i++) {
		ASSERT_LT(0, handles[i]);
		for (uint32_t access = 1; access <= 3; access++) {
			segment = bind_range(self->fd, self->context, handles[i], 0, 2 * PAGE,
					     access);
			ASSERT_LE(0, segment);
			/* Bound twice */
			EXPECT_LE(0,
				  bind_range(self->fd, self->context, handles[i], 64, 128, access));
			EXPECT_EQ(0, unbind(self->fd, self->context, segment));
			EXPECT_EQ(-ENOENT, unbind(self->fd, self->context, segment));
		}
		/* What is bound lives on without its handle */
		EXPECT_EQ(0, buffer_close(self->fd, handles[i]));
		EXPECT_EQ(-ENOENT,
			  bind_range(self->fd, self->context, handles[i], 0, PAGE, ACCESS_BOTH));
	}
	EXPECT_EQ(2 * PAGE, memory_of(self->fd).file);
	EXPECT_EQ(0, context_end(self->fd, self->context));
	EXPECT_EQ(0, memory_of(self->fd).file);
}

CARD_TEST(segments_refuse)
{
	static const uint32_t kinds[] = { DRM_AIPU_BUFFER_DEVICE, DRM_AIPU_BUFFER_HOST };
	static char page[PAGE] __attribute__((aligned(PAGE)));
	struct drm_aipu_segment_bind args;
	int c = self->context, fd = self->fd, handle;

	for (int i = 0; i < 2; i++) {
		handle = buffer_new(fd, kinds[i], 2 * PAGE);
		ASSERT_LT(0, handle);
		EXPECT_EQ(-EINVAL, bind_range(fd, c, handle, 0, 0, 3));
		EXPECT_EQ(-EINVAL, bind_range(fd, c, handle, 0, 2 * PAGE + 64, 3));
		EXPECT_EQ(-EINVAL, bind_range(fd, c, handle, 64, 2 * PAGE, 3));
		EXPECT_EQ(-EINVAL, bind_range(fd, c, handle, 2 * PAGE, 64, 3));
		EXPECT_EQ(-EINVAL, bind_range(fd, c, handle, -64ull, 128, 3));
		EXPECT_EQ(-EINVAL, bind_range(fd, c, handle, 128, -64ull, 3));
		EXPECT_EQ(-EINVAL, bind_range(fd, c, handle, 0, 1ull << 63, 3));
		EXPECT_EQ(-EINVAL, bind_range(fd, c, handle, 1ull << 63, 1ull << 63, 3));
		EXPECT_EQ(-EINVAL, bind_range(fd, c, handle, 0, PAGE, 0));
		EXPECT_EQ(-EINVAL, bind_range(fd, c, handle, 0, PAGE, 4));
		EXPECT_EQ(-EINVAL, bind_range(fd, c, handle, 0, PAGE, ~0u));
		EXPECT_EQ(-ENOENT, bind_range(fd, 0, handle, 0, PAGE, 3));
		EXPECT_EQ(-ENOENT, bind_range(fd, c + 1, handle, 0, PAGE, 3));
		EXPECT_EQ(-ENOENT, bind_range(fd, c, handle + 100, 0, PAGE, 3));
		EXPECT_EQ(kinds[i] == DRM_AIPU_BUFFER_DEVICE,
			  bind_range(fd, c, handle, 1, 64, 3) == -EINVAL);
		EXPECT_EQ(kinds[i] == DRM_AIPU_BUFFER_DEVICE,
			  bind_range(fd, c, handle, 64, 65, 3) == -EINVAL);
		args = (struct drm_aipu_segment_bind){ .context = c,
						       .handle = handle,
						       .length = PAGE,
						       .access = 3,
						       .flags = DRM_AIPU_SEGMENT_SYNC };
		EXPECT_EQ(-EOPNOTSUPP, call(fd, DRM_IOCTL_AIPU_SEGMENT_BIND, &args));
		args.flags = 2;
		EXPECT_EQ(-EINVAL, call(fd, DRM_IOCTL_AIPU_SEGMENT_BIND, &args));
	}
	handle = buffer_make(fd, DRM_AIPU_BUFFER_USER, PAGE, page, DRM_AIPU_BUFFER_READ_ONLY);
	EXPECT_EQ(-EACCES, bind_range(fd, c, handle, 0, PAGE, DRM_AIPU_ACCESS_WRITE));
	EXPECT_EQ(-EACCES, bind_range(fd, c, handle, 0, PAGE, ACCESS_BOTH));
	EXPECT_LE(0, bind_range(fd, c, handle, 0, PAGE, DRM_AIPU_ACCESS_READ));
	EXPECT_EQ(-ENOENT, unbind(fd, c, self->device.max_segments));
	EXPECT_EQ(-ENOENT, unbind(fd, c, ~0u));
	EXPECT_EQ(-ENOENT, unbind(fd, c + 1, 0));
}

CARD_TEST(segments_end)
{
	int handle = buffer_new(self->fd, DRM_AIPU_BUFFER_HOST, PAGE), segment, second;
	uint32_t count = 0;

	ASSERT_LT(0, handle);
	while ((segment = bind_range(self->fd, self->context, handle, 0, PAGE, 3)) >= 0 &&
	       count < 100000)
		count++;
	EXPECT_EQ(-ENOSPC, segment);
	EXPECT_EQ(self->device.max_segments, count);
	/* Of one context, not of all */
	second = context_new(self->fd);
	EXPECT_LE(0, bind_range(self->fd, second, handle, 0, PAGE, 3));
	EXPECT_EQ(0, unbind(self->fd, self->context, count / 2));
	EXPECT_EQ(count / 2, (uint32_t)bind_range(self->fd, self->context, handle, 0, PAGE, 3));
}

/* When unbind has returned, the job that used the segment ran to its end, or never began */
CARD_TEST(unbind_waits_for_the_job)
{
	const uint64_t bytes = self->before.largest / 2 & ~(PAGE - 1);
	int handle = buffer_new(self->fd, DRM_AIPU_BUFFER_DEVICE, bytes);
	int queue = queue_new(self->fd, self->context);
	uint32_t *map = buffer_map(self->fd, handle, bytes);

	ASSERT_LT(0, queue);
	ASSERT_NE(MAP_FAILED, (void *)map);
	for (uint32_t i = 1; i <= 8; i++) {
		int segment = bind_range(self->fd, self->context, handle, 0, bytes, 3);
		struct drm_aipu_result result = {};
		struct aipu_job job = fill_job(segment, bytes, i);
		uint32_t first, last;

		ASSERT_LE(0, segment);
		ASSERT_EQ(0, submit(self->fd, queue, i, &job));
		EXPECT_EQ(0, unbind(self->fd, self->context, segment));
		first = *(volatile uint32_t *)map;
		last = *(volatile uint32_t *)(map + bytes / 4 - 1);
		EXPECT_EQ(first, last);
		EXPECT_EQ(-ENOENT, unbind(self->fd, self->context, segment));
		ASSERT_EQ(0, result_of(self->fd, queue, &result));
		EXPECT_EQ(result.error == 0, first == i);
	}
	munmap(map, bytes);
}

/* --- copies between all kinds ------------------------------------------------------------------------- */

#define KINDS 4
#define COPY_BYTES (5 * PAGE)

static const char *const kind_names[KINDS] = { "DEVICE", "HOST", "USER", "udmabuf" };

struct place {
	int handle, segment;
	char *map;
};

/* A handle of an imported udmabuf, mapped at *map; -errno where there is none */
static int udmabuf_new(int fd, char **map)
{
	int control = open("/dev/udmabuf", O_RDWR | O_CLOEXEC), memory, dmabuf, handle;
	struct udmabuf_create create = { .size = COPY_BYTES };

	if (control < 0)
		return -errno;
	memory = memfd_create("pages", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	if (ftruncate(memory, COPY_BYTES) || fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK))
		return -errno;
	create.memfd = memory;
	dmabuf = ioctl(control, UDMABUF_CREATE, &create);
	handle = import_fd(fd, dmabuf);
	*map = mmap(NULL, COPY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	close(dmabuf);
	close(memory);
	close(control);
	return handle;
}

static int place_make(int fd, int context, int kind, struct place *place)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS;

	switch (kind) {
	case 0:
	case 1:
		place->handle = buffer_new(fd, kind ? DRM_AIPU_BUFFER_HOST : DRM_AIPU_BUFFER_DEVICE,
					   COPY_BYTES);
		place->map = buffer_map(fd, place->handle, COPY_BYTES);
		break;
	case 2:
		place->map = mmap(NULL, COPY_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);
		place->handle = buffer_make(fd, DRM_AIPU_BUFFER_USER, COPY_BYTES, place->map, 0);
		break;
	default:
		place->handle = udmabuf_new(fd, &place->map);
	}
	if (place->handle <= 0 || place->map == MAP_FAILED)
		return -1;
	place->segment = bind_range(fd, context, place->handle, 0, COPY_BYTES, ACCESS_BOTH);
	return place->segment < 0 ? place->segment : 0;
}

CARD_TEST(copies_between_all_kinds)
{
	int queue = queue_new(self->fd, self->context), kinds = KINDS;
	struct place from[KINDS], to[KINDS];
	uint64_t sequence = 1;

	ASSERT_LT(0, queue);
	if (access("/dev/udmabuf", F_OK)) {
		TH_LOG("this kernel has no /dev/udmabuf");
		kinds--;
	}
	for (int i = 0; i < kinds; i++) {
		ASSERT_EQ(0, place_make(self->fd, self->context, i, &from[i]));
		ASSERT_EQ(0, place_make(self->fd, self->context, i, &to[i]));
		fill_bytes(from[i].map, COPY_BYTES, i);
	}
	for (int i = 0; i < kinds * kinds; i++) {
		struct place *source = &from[i / kinds], *target = &to[i % kinds];
		/* Neither ends at a page, and they are not of one alignment */
		struct aipu_job job =
			copy_job(source->segment, 128, target->segment, 4032, 2 * PAGE + 320);

		memset(target->map, 0x5a, COPY_BYTES);
		EXPECT_EQ(0, run(self->fd, queue, sequence++, &job));
		EXPECT_EQ(0, memcmp(target->map + 4032, source->map + 128, 2 * PAGE + 320))
		{
			TH_LOG("from %s to %s", kind_names[i / kinds], kind_names[i % kinds]);
		}
		EXPECT_EQ(0, others(target->map, 4032, 0x5a));
		EXPECT_EQ(0, others(target->map + 4032 + 2 * PAGE + 320,
				    COPY_BYTES - 4032 - 2 * PAGE - 320, 0x5a));
	}
	for (int i = 0; i < kinds; i++) {
		munmap(from[i].map, COPY_BYTES);
		munmap(to[i].map, COPY_BYTES);
	}
}

/* A segment is what was bound of the buffer, with the access that was given */
CARD_TEST(jobs_stay_in_their_segment)
{
	int handle = buffer_new(self->fd, DRM_AIPU_BUFFER_HOST, 4 * PAGE);
	int queue = queue_new(self->fd, self->context);
	int window = bind_range(self->fd, self->context, handle, PAGE + 100, PAGE, 3);
	int read = bind_range(self->fd, self->context, handle, 0, PAGE, DRM_AIPU_ACCESS_READ);
	char *map = buffer_map(self->fd, handle, 4 * PAGE);
	struct aipu_job job = fill_job(window, PAGE, 0x11111111);

	ASSERT_NE(MAP_FAILED, (void *)map);
	EXPECT_EQ(0, run(self->fd, queue, 1, &job));
	EXPECT_EQ(0, others(map, PAGE + 100, 0));
	EXPECT_EQ(0, others(map + PAGE + 100, PAGE, 0x11));
	EXPECT_EQ(0, others(map + 2 * PAGE + 100, 2 * PAGE - 100, 0));
	job = fill_job(window, PAGE + 1, 0x22222222);
	EXPECT_GT(0, run(self->fd, queue, 2, &job));
	job = fill_job(read, PAGE, 0x22222222);
	EXPECT_GT(0, run(self->fd, queue, 3, &job));
	job = fill_job(200, PAGE, 0x22222222);
	EXPECT_GT(0, run(self->fd, queue, 4, &job));
	EXPECT_EQ(0, others(map, PAGE + 100, 0));
	EXPECT_EQ(0, others(map + PAGE + 100, PAGE, 0x11));
	munmap(map, 4 * PAGE);
}

/* The card writes into pages that the process no longer has: they are still there, and nobody else's */
CARD_TEST(user_pages_after_munmap)
{
	char *memory =
		mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int user = buffer_make(self->fd, DRM_AIPU_BUFFER_USER, 4 * PAGE, memory, 0);
	int host = buffer_new(self->fd, DRM_AIPU_BUFFER_HOST, 4 * PAGE);
	int from = bind_range(self->fd, self->context, user, 0, 4 * PAGE, 3);
	int to = bind_range(self->fd, self->context, host, 0, 4 * PAGE, 3);
	int queue = queue_new(self->fd, self->context);
	char *map = buffer_map(self->fd, host, 4 * PAGE);
	struct aipu_job job = fill_job(from, 4 * PAGE, 0x33333333);

	ASSERT_LE(0, from);
	ASSERT_EQ(0, munmap(memory, 4 * PAGE));
	EXPECT_EQ(0, run(self->fd, queue, 1, &job));
	job = copy_job(from, 0, to, 0, 4 * PAGE);
	EXPECT_EQ(0, run(self->fd, queue, 2, &job));
	EXPECT_EQ(0, others(map, 4 * PAGE, 0x33));
	munmap(map, 4 * PAGE);
}

/* --- programs --------------------------------------------------------------------------------------- */

CARD_TEST(programs_refuse)
{
	int handle = buffer_new(self->fd, DRM_AIPU_BUFFER_HOST, 2 * PAGE);
	int segment = bind_range(self->fd, self->context, handle, 0, 2 * PAGE, 3);
	struct drm_aipu_program_load good = { .context = self->context,
					      .segment = segment,
					      .bytes = PAGE };
	struct drm_aipu_program_load args = good;
	struct drm_aipu_program_unload unload = { .context = self->context };
	char *map = buffer_map(self->fd, handle, 2 * PAGE);

	ASSERT_NE(MAP_FAILED, (void *)map);
	EXPECT_EQ(-ENOEXEC, call(self->fd, DRM_IOCTL_AIPU_PROGRAM_LOAD, &args));
	EXPECT_NE(0, args.detail);
	fill_bytes(map, 2 * PAGE, 5);
	args = good;
	EXPECT_EQ(-ENOEXEC, call(self->fd, DRM_IOCTL_AIPU_PROGRAM_LOAD, &args));
	EXPECT_NE(0, args.detail);
	args = good;
	args.offset = 4;
	EXPECT_EQ(-EINVAL, call(self->fd, DRM_IOCTL_AIPU_PROGRAM_LOAD, &args));
	args = good;
	args.bytes = 0;
	EXPECT_EQ(-EINVAL, call(self->fd, DRM_IOCTL_AIPU_PROGRAM_LOAD, &args));
	args.bytes = self->device.max_program_bytes + 1;
	EXPECT_EQ(-EINVAL, call(self->fd, DRM_IOCTL_AIPU_PROGRAM_LOAD, &args));
	args = good;
	args.offset = 1ull << 63;
	EXPECT_GT(0, call(self->fd, DRM_IOCTL_AIPU_PROGRAM_LOAD, &args));
	args = good;
	args.offset = PAGE + 64;
	EXPECT_GT(0, call(self->fd, DRM_IOCTL_AIPU_PROGRAM_LOAD, &args));
	args = good;
	args.segment += 1;
	EXPECT_EQ(-ENOENT, call(self->fd, DRM_IOCTL_AIPU_PROGRAM_LOAD, &args));
	args = good;
	args.context += 1;
	EXPECT_EQ(-ENOENT, call(self->fd, DRM_IOCTL_AIPU_PROGRAM_LOAD, &args));
	EXPECT_EQ(-ENOENT, call(self->fd, DRM_IOCTL_AIPU_PROGRAM_UNLOAD, &unload));
	unload.program = ~0u;
	EXPECT_EQ(-ENOENT, call(self->fd, DRM_IOCTL_AIPU_PROGRAM_UNLOAD, &unload));
	munmap(map, 2 * PAGE);
}

TEST_HARNESS_MAIN
