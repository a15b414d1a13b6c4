// SPDX-License-Identifier: GPL-2.0
/*
 * Buffers of the driver: their kinds, sizes, mappings, pages of processes, and dma-bufs in and out. Runs as root in a guest with the
 * driver loaded, in the kernel's own test harness; of the first card, and with a second one for what goes between two.
 */
#include <linux/dma-heap.h>
#include <linux/memfd.h>
#include <linux/udmabuf.h>
#include <sys/resource.h>

#include "kselftest_harness.h"

#include "accel.h"

/* A guest without KVM on a busy machine is slow */
#define CARD_TEST(name) TEST_F_TIMEOUT(card, name, 240)

FIXTURE(card)
{
	int fd;
	struct drm_aipu_memory before;
};

FIXTURE_SETUP(card)
{
	self->fd = card_open(0);
	ASSERT_LE(0, self->fd);
	self->before = memory_of(self->fd);
	ASSERT_LT(0, self->before.total);
}

/* Whatever a test leaves open, the file's end frees */
FIXTURE_TEARDOWN(card)
{
	int fd;

	close(self->fd);
	fd = card_open(0);
	EXPECT_EQ(self->before.free, memory_of(fd).free);
	EXPECT_EQ(self->before.largest, memory_of(fd).largest);
	EXPECT_EQ(0, memory_of(fd).file);
	close(fd);
}

/* --- query ------------------------------------------------------------------------------------------ */

CARD_TEST(query_negotiates_sizes)
{
	unsigned char room[sizeof(struct drm_aipu_device) + 64];
	struct drm_aipu_query args = { .kind = DRM_AIPU_QUERY_DEVICE };
	struct drm_aipu_device device;

	ASSERT_EQ(0, call(self->fd, DRM_IOCTL_AIPU_QUERY, &args));
	EXPECT_EQ(sizeof(device), args.bytes);
	ASSERT_EQ(0, query(self->fd, DRM_AIPU_QUERY_DEVICE, &device, sizeof(device)));
	EXPECT_TRUE(device.features & DRM_AIPU_FEATURE_USER_BUFFER);
	EXPECT_TRUE(device.features & DRM_AIPU_FEATURE_PRIME);
	EXPECT_TRUE(device.features & DRM_AIPU_FEATURE_KV_BUFFER);
	EXPECT_EQ(DRM_AIPU_STATE_READY, device.state);
	EXPECT_LT(0, device.max_contexts);
	EXPECT_EQ(0, device.model[63]);
	EXPECT_NE(0, device.model[0]);

	memset(room, 0xee, sizeof(room));
	ASSERT_EQ(0, query(self->fd, DRM_AIPU_QUERY_DEVICE, room, 12));
	EXPECT_EQ(0, memcmp(room, &device, 12));
	EXPECT_EQ(0, others(room + 12, sizeof(room) - 12, 0xee));

	args.bytes = sizeof(room);
	args.data = (uintptr_t)room;
	ASSERT_EQ(0, call(self->fd, DRM_IOCTL_AIPU_QUERY, &args));
	EXPECT_EQ(sizeof(device), args.bytes);
	EXPECT_EQ(0, memcmp(room, &device, offsetof(struct drm_aipu_device, longest_step_us)));
	EXPECT_EQ(0, others(room + sizeof(device), 64, 0));
}

CARD_TEST(query_refuses)
{
	char room[8];

	EXPECT_EQ(-EINVAL, query(self->fd, 0, room, sizeof(room)));
	EXPECT_EQ(-EINVAL, query(self->fd, 4, room, sizeof(room)));
	EXPECT_EQ(-EINVAL, query(self->fd, ~0u, NULL, 0));
	EXPECT_EQ(-EFAULT, query(self->fd, DRM_AIPU_QUERY_DEVICE, NULL, 8));
	EXPECT_EQ(-EFAULT, query(self->fd, DRM_AIPU_QUERY_MEMORY, (void *)~7ul, 8));
}

CARD_TEST(query_tells_what_is_allocated)
{
	int a = buffer_new(self->fd, DRM_AIPU_BUFFER_DEVICE, 3 * PAGE), other = card_open(0);
	struct drm_aipu_memory now = memory_of(self->fd);

	ASSERT_LT(0, a);
	EXPECT_EQ(self->before.free - 3 * PAGE, now.free);
	EXPECT_EQ(3 * PAGE, now.file);
	EXPECT_EQ(0, memory_of(other).file);
	EXPECT_EQ(0, buffer_close(self->fd, a));
	EXPECT_EQ(self->before.free, memory_of(self->fd).free);
	EXPECT_EQ(0, memory_of(self->fd).file);
	close(other);
}

/* --- creation --------------------------------------------------------------------------------------- */

CARD_TEST(create_refuses)
{
	static const uint32_t kinds[] = { DRM_AIPU_BUFFER_DEVICE, DRM_AIPU_BUFFER_HOST,
					  DRM_AIPU_BUFFER_USER };
	static char page[PAGE] __attribute__((aligned(PAGE)));
	const uint64_t tib = 1ull << 40;

	for (size_t i = 0; i < 3; i++) {
		void *at = kinds[i] == DRM_AIPU_BUFFER_USER ? page : NULL;

		EXPECT_EQ(-EINVAL, buffer_make(self->fd, kinds[i], 0, at, 0));
		EXPECT_EQ(-EINVAL, buffer_make(self->fd, kinds[i], 1, at, 0));
		EXPECT_EQ(-EINVAL, buffer_make(self->fd, kinds[i], PAGE + 64, at, 0));
		EXPECT_EQ(-EINVAL, buffer_make(self->fd, kinds[i], tib + PAGE, at, 0));
		EXPECT_EQ(-EINVAL, buffer_make(self->fd, kinds[i], 1ull << 63, at, 0));
		EXPECT_EQ(-EINVAL, buffer_make(self->fd, kinds[i], -PAGE, at, 0));
		EXPECT_EQ(-EINVAL, buffer_make(self->fd, kinds[i], PAGE, at, 4));
		EXPECT_EQ(-EINVAL, buffer_make(self->fd, kinds[i], PAGE, at, 6));
		EXPECT_EQ(-EINVAL, buffer_make(self->fd, kinds[i], PAGE, at, 1u << 31));
	}
	for (size_t i = 0; i < 2; i++) {
		EXPECT_EQ(-EINVAL, buffer_make(self->fd, kinds[i], PAGE, page, 0));
		EXPECT_EQ(-EINVAL,
			  buffer_make(self->fd, kinds[i], PAGE, NULL, DRM_AIPU_BUFFER_READ_ONLY));
		EXPECT_EQ(-EINVAL, buffer_make(self->fd, kinds[i], PAGE, NULL,
					       DRM_AIPU_BUFFER_KV | DRM_AIPU_BUFFER_READ_ONLY));
	}
	EXPECT_EQ(-EINVAL, buffer_new(self->fd, 0, PAGE));
	EXPECT_EQ(-EINVAL, buffer_new(self->fd, DRM_AIPU_BUFFER_IMPORT, PAGE));
	EXPECT_EQ(-EINVAL, buffer_new(self->fd, 5, PAGE));
	EXPECT_EQ(-EINVAL, buffer_new(self->fd, ~0u, PAGE));
	/* More than there is, of each kind */
	EXPECT_EQ(-ENOSPC, buffer_new(self->fd, DRM_AIPU_BUFFER_DEVICE, self->before.total + PAGE));
	EXPECT_EQ(-ENOSPC, buffer_new(self->fd, DRM_AIPU_BUFFER_DEVICE, tib));
	EXPECT_EQ(-ENOMEM, buffer_new(self->fd, DRM_AIPU_BUFFER_HOST, tib));
	EXPECT_EQ(-ENOMEM, buffer_make(self->fd, DRM_AIPU_BUFFER_USER, tib, page, 0));
}

CARD_TEST(device_memory_ends)
{
	int handle = buffer_new(self->fd, DRM_AIPU_BUFFER_DEVICE, self->before.largest);

	ASSERT_LT(0, handle);
	EXPECT_EQ(-ENOSPC, buffer_new(self->fd, DRM_AIPU_BUFFER_DEVICE,
				      self->before.free - self->before.largest + PAGE));
	EXPECT_EQ(self->before.largest, memory_of(self->fd).file);
	EXPECT_EQ(0, buffer_close(self->fd, handle));
	EXPECT_EQ(-EINVAL, buffer_close(self->fd, handle));
	handle = buffer_new(self->fd, DRM_AIPU_BUFFER_DEVICE, PAGE);
	EXPECT_LT(0, handle);
}

CARD_TEST(device_memory_is_zero_again)
{
	const size_t bytes = 64 * PAGE;

	for (int round = 0; round < 3; round++) {
		int handle = buffer_new(self->fd, DRM_AIPU_BUFFER_DEVICE, bytes);
		uint64_t *map;

		ASSERT_LT(0, handle);
		map = buffer_map(self->fd, handle, bytes);
		ASSERT_NE(MAP_FAILED, (void *)map);
		for (size_t i = 0; i < bytes / 8; i++)
			ASSERT_EQ(0, map[i]);
		/* The same piece of memory is given out again: the smallest hole that fits */
		memset(map, 0xa5, bytes);
		munmap(map, bytes);
		ASSERT_EQ(0, buffer_close(self->fd, handle));
	}
}

CARD_TEST(info)
{
	static char page[PAGE] __attribute__((aligned(PAGE)));
	int device = buffer_new(self->fd, DRM_AIPU_BUFFER_DEVICE, PAGE);
	int host = buffer_new(self->fd, DRM_AIPU_BUFFER_HOST, 2 * PAGE);
	int user =
		buffer_make(self->fd, DRM_AIPU_BUFFER_USER, PAGE, page, DRM_AIPU_BUFFER_READ_ONLY);
	struct drm_aipu_buffer_info info;

	ASSERT_EQ(0, buffer_info(self->fd, device, &info));
	EXPECT_EQ(DRM_AIPU_BUFFER_DEVICE, info.kind);
	EXPECT_EQ(PAGE, info.bytes);
	EXPECT_NE(0, info.map_offset);
	EXPECT_EQ(0, info.flags);
	ASSERT_EQ(0, buffer_info(self->fd, host, &info));
	EXPECT_EQ(DRM_AIPU_BUFFER_HOST, info.kind);
	EXPECT_EQ(2 * PAGE, info.bytes);
	EXPECT_NE(0, info.map_offset);
	ASSERT_EQ(0, buffer_info(self->fd, user, &info));
	EXPECT_EQ(DRM_AIPU_BUFFER_USER, info.kind);
	EXPECT_EQ(0, info.map_offset);
	EXPECT_EQ(DRM_AIPU_BUFFER_READ_ONLY, info.flags);
	EXPECT_EQ(-ENOENT, buffer_info(self->fd, 0, &info));
	EXPECT_EQ(-ENOENT, buffer_info(self->fd, 12345, &info));
	EXPECT_EQ(0, buffer_close(self->fd, host));
	EXPECT_EQ(-ENOENT, buffer_info(self->fd, host, &info));
}

/* --- mmap ------------------------------------------------------------------------------------------- */

/* Two mappings of one buffer see the same bytes; a mapping outlives the handle */
CARD_TEST(mmap_reads_and_writes)
{
	static const uint32_t kinds[] = { DRM_AIPU_BUFFER_DEVICE, DRM_AIPU_BUFFER_HOST };

	for (uint32_t i = 0; i < 2; i++) {
		int handle = buffer_new(self->fd, kinds[i], 4 * PAGE);
		char *a, *b;

		ASSERT_LT(0, handle);
		a = buffer_map(self->fd, handle, 4 * PAGE);
		b = buffer_map(self->fd, handle, 4 * PAGE);
		ASSERT_NE(MAP_FAILED, (void *)a);
		ASSERT_NE(MAP_FAILED, (void *)b);
		EXPECT_EQ(0, others(a, 4 * PAGE, 0));
		fill_bytes(a, 4 * PAGE, i);
		EXPECT_EQ(0, differences(b, 4 * PAGE, i));
		EXPECT_EQ(0, buffer_close(self->fd, handle));
		EXPECT_EQ(0, differences(a, 4 * PAGE, i));
		munmap(a, 4 * PAGE);
		EXPECT_EQ(0, differences(b, 4 * PAGE, i));
		munmap(b, 4 * PAGE);
	}
}

/* Where a fault is answered from depends on the page, not on where the mapping now begins */
CARD_TEST(mmap_cut_in_two)
{
	static const uint32_t kinds[] = { DRM_AIPU_BUFFER_DEVICE, DRM_AIPU_BUFFER_HOST };

	for (int i = 0; i < 2; i++) {
		int handle = buffer_new(self->fd, kinds[i], 4 * PAGE);
		char *whole, *cut;

		ASSERT_LT(0, handle);
		whole = buffer_map(self->fd, handle, 4 * PAGE);
		ASSERT_NE(MAP_FAILED, (void *)whole);
		fill_bytes(whole, 4 * PAGE, 3);
		cut = buffer_map(self->fd, handle, 4 * PAGE);
		ASSERT_NE(MAP_FAILED, (void *)cut);
		ASSERT_EQ(0, munmap(cut, PAGE));
		EXPECT_EQ(0, memcmp(cut + PAGE, whole + PAGE, 3 * PAGE));
		munmap(cut + PAGE, 3 * PAGE);
		munmap(whole, 4 * PAGE);
	}
}

static char *inherited;

/* In a child: the mapping is the parent's, shared */
static int write_inherited(int fd)
{
	(void)fd;
	if (differences(inherited, 4 * PAGE, 4))
		return 1;
	fill_bytes(inherited, 4 * PAGE, 5);
	return 0;
}

/* A child has the mapping as any other that is shared; it does not grow; it keeps the memory */
CARD_TEST(mmap_and_fork)
{
	static const uint32_t kinds[] = { DRM_AIPU_BUFFER_DEVICE, DRM_AIPU_BUFFER_HOST };

	for (int i = 0; i < 2; i++) {
		int handle = buffer_new(self->fd, kinds[i], 4 * PAGE);

		ASSERT_LT(0, handle);
		inherited = buffer_map(self->fd, handle, 4 * PAGE);
		ASSERT_NE(MAP_FAILED, (void *)inherited);
		EXPECT_EQ(MAP_FAILED, mremap(inherited, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE));
		EXPECT_EQ(EFAULT, errno);
		EXPECT_EQ(0, buffer_close(self->fd, handle));
		fill_bytes(inherited, 4 * PAGE, 4);
		EXPECT_EQ(0, in_child(write_inherited, self->fd));
		EXPECT_EQ(0, differences(inherited, 4 * PAGE, 5));
		EXPECT_EQ(0, munmap(inherited, 4 * PAGE));
	}
	EXPECT_EQ(0, memory_of(self->fd).file);
}

CARD_TEST(mmap_refuses)
{
	static const uint32_t kinds[] = { DRM_AIPU_BUFFER_DEVICE, DRM_AIPU_BUFFER_HOST };
	int other = card_open(0), both = PROT_READ | PROT_WRITE;
	struct drm_aipu_buffer_info info;

	for (int i = 0; i < 2; i++) {
		int handle = buffer_new(self->fd, kinds[i], 2 * PAGE);

		ASSERT_LT(0, handle);
		ASSERT_EQ(0, buffer_info(self->fd, handle, &info));
		EXPECT_EQ(MAP_FAILED,
			  mmap(NULL, 3 * PAGE, both, MAP_SHARED, self->fd, info.map_offset));
		EXPECT_EQ(MAP_FAILED,
			  mmap(NULL, 2 * PAGE, both, MAP_SHARED, self->fd, info.map_offset + PAGE));
		EXPECT_EQ(MAP_FAILED,
			  mmap(NULL, 2 * PAGE, both, MAP_PRIVATE, self->fd, info.map_offset));
		/* Another file has the same offsets, and no right to this one */
		EXPECT_EQ(MAP_FAILED,
			  mmap(NULL, 2 * PAGE, both, MAP_SHARED, other, info.map_offset));
		EXPECT_EQ(EACCES, errno);
		buffer_close(self->fd, handle);
		EXPECT_EQ(MAP_FAILED,
			  mmap(NULL, 2 * PAGE, both, MAP_SHARED, self->fd, info.map_offset));
	}
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, both, MAP_SHARED, self->fd, 0));
	close(other);
}

/* --- pages of processes ----------------------------------------------------------------------------- */

static void *pages(size_t bytes, int protection)
{
	return mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static long locked_kib(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];
	long kib = -1;

	while (file && kib < 0 && fgets(line, sizeof(line), file))
		sscanf(line, "VmLck: %ld", &kib);
	if (file)
		fclose(file);
	return kib;
}

CARD_TEST(user_pages)
{
	long locked = locked_kib();
	char *memory = pages(8 * PAGE, PROT_READ | PROT_WRITE);
	int handle;

	EXPECT_EQ(-EINVAL, buffer_make(self->fd, DRM_AIPU_BUFFER_USER, PAGE, memory + 64, 0));
	EXPECT_EQ(-EFAULT, buffer_make(self->fd, DRM_AIPU_BUFFER_USER, PAGE, NULL, 0));
	EXPECT_EQ(-EFAULT,
		  buffer_make(self->fd, DRM_AIPU_BUFFER_USER, PAGE, (void *)(-2 * PAGE), 0));
	EXPECT_EQ(-EFAULT,
		  buffer_make(self->fd, DRM_AIPU_BUFFER_USER, 2 * PAGE, (void *)(-PAGE), 0));
	ASSERT_EQ(0, munmap(memory + 6 * PAGE, 2 * PAGE));
	EXPECT_EQ(-EFAULT, buffer_make(self->fd, DRM_AIPU_BUFFER_USER, 8 * PAGE, memory, 0));
	EXPECT_EQ(locked, locked_kib());
	handle = buffer_make(self->fd, DRM_AIPU_BUFFER_USER, 6 * PAGE, memory, 0);
	ASSERT_LT(0, handle);
	EXPECT_EQ(locked + 24, locked_kib());
	EXPECT_EQ(MAP_FAILED, buffer_map(self->fd, handle, PAGE));
	EXPECT_EQ(0, munmap(memory, 6 * PAGE));
	EXPECT_EQ(0, buffer_close(self->fd, handle));
	EXPECT_EQ(locked, locked_kib());
}

CARD_TEST(user_pages_that_cannot_be_written)
{
	char *memory = pages(2 * PAGE, PROT_READ | PROT_WRITE);
	int handle;

	memory[0] = 1;
	ASSERT_EQ(0, mprotect(memory, 2 * PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, buffer_make(self->fd, DRM_AIPU_BUFFER_USER, 2 * PAGE, memory, 0));
	handle = buffer_make(self->fd, DRM_AIPU_BUFFER_USER, 2 * PAGE, memory,
			     DRM_AIPU_BUFFER_READ_ONLY);
	EXPECT_LT(0, handle);
	ASSERT_EQ(0, mprotect(memory, 2 * PAGE, PROT_NONE));
	EXPECT_EQ(-EFAULT, buffer_make(self->fd, DRM_AIPU_BUFFER_USER, 2 * PAGE, memory,
				       DRM_AIPU_BUFFER_READ_ONLY));
	munmap(memory, 2 * PAGE);
}

/* In a child: without rights, 64 KiB may be locked. 0, or the line that failed. */
static int user_limit(int fd)
{
	const struct rlimit limit = { 16 * PAGE, 16 * PAGE };
	char *memory = pages(32 * PAGE, PROT_READ | PROT_WRITE);
	int a;

	if (setrlimit(RLIMIT_MEMLOCK, &limit) || setresuid(65534, 65534, 65534))
		return __LINE__ & 0xff;
	if (buffer_make(fd, DRM_AIPU_BUFFER_USER, 17 * PAGE, memory, 0) != -ENOMEM)
		return __LINE__ & 0xff;
	a = buffer_make(fd, DRM_AIPU_BUFFER_USER, 10 * PAGE, memory, 0);
	if (a <= 0)
		return __LINE__ & 0xff;
	if (buffer_make(fd, DRM_AIPU_BUFFER_USER, 7 * PAGE, memory, 0) != -ENOMEM)
		return __LINE__ & 0xff;
	if (buffer_close(fd, a))
		return __LINE__ & 0xff;
	a = buffer_make(fd, DRM_AIPU_BUFFER_USER, 16 * PAGE, memory, 0);
	return a > 0 ? 0 : __LINE__ & 0xff;
}

CARD_TEST(user_pages_count_against_the_limit)
{
	EXPECT_EQ(0, in_child(user_limit, self->fd));
}

/* --- what others are told ------------------------------------------------------------------------------- */

/* HOST buffers have all their pages from the beginning: without, they could take all places to map at */
CARD_TEST(usage_in_fdinfo)
{
	const long long bytes = 64 * PAGE;
	int context = context_new(self->fd), queue = queue_new(self->fd, context), host, device;
	struct aipu_job job = { .opcode = AIPU_JOB_FILL };

	EXPECT_LT(0, usage(self->fd, "drm-client-id"));
	EXPECT_EQ(0, usage(self->fd, "drm-total-host"));
	EXPECT_EQ(0, usage(self->fd, "drm-engine-compute"));
	host = buffer_new(self->fd, DRM_AIPU_BUFFER_HOST, bytes);
	EXPECT_LT(0, host);
	EXPECT_EQ(bytes, usage(self->fd, "drm-total-host"));
	EXPECT_EQ(bytes, usage(self->fd, "drm-resident-host"));
	device = buffer_new(self->fd, DRM_AIPU_BUFFER_DEVICE, 2 * bytes);
	EXPECT_EQ(2 * bytes, usage(self->fd, "drm-resident-device"));
	job = fill_job(bind_range(self->fd, context, device, 0, 2 * bytes, 3), 2 * bytes, 1);
	EXPECT_EQ(0, run(self->fd, queue, 1, &job));
	EXPECT_LT(0, usage(self->fd, "drm-engine-compute"));
	EXPECT_EQ(1, usage(self->fd, "aipu_accel-jobs"));
	EXPECT_EQ(0, buffer_close(self->fd, host));
	EXPECT_EQ(0, usage(self->fd, "drm-total-host"));
}

/* A label, of any kind of buffer: counted in its region, once a handle, by each file that has one */
CARD_TEST(kv_caches_in_fdinfo)
{
	static char page[PAGE] __attribute__((aligned(PAGE)));
	struct drm_aipu_buffer_info info;
	int device, plain, host, user, dmabuf, shared, other = card_open(0);

	EXPECT_EQ(0, usage(self->fd, "aipu_accel-kv-device"));
	EXPECT_EQ(0, usage(self->fd, "aipu_accel-kv-host"));
	device = buffer_make(self->fd, DRM_AIPU_BUFFER_DEVICE, 5 * PAGE, NULL, DRM_AIPU_BUFFER_KV);
	plain = buffer_new(self->fd, DRM_AIPU_BUFFER_DEVICE, 2 * PAGE);
	host = buffer_make(self->fd, DRM_AIPU_BUFFER_HOST, 3 * PAGE, NULL, DRM_AIPU_BUFFER_KV);
	user = buffer_make(self->fd, DRM_AIPU_BUFFER_USER, PAGE, page,
			   DRM_AIPU_BUFFER_KV | DRM_AIPU_BUFFER_READ_ONLY);
	ASSERT_LT(0, device);
	ASSERT_LT(0, plain);
	ASSERT_LT(0, host);
	ASSERT_LT(0, user);
	ASSERT_EQ(0, buffer_info(self->fd, device, &info));
	EXPECT_EQ(DRM_AIPU_BUFFER_KV, info.flags);
	ASSERT_EQ(0, buffer_info(self->fd, user, &info));
	EXPECT_EQ(DRM_AIPU_BUFFER_KV | DRM_AIPU_BUFFER_READ_ONLY, info.flags);
	EXPECT_EQ(5 * PAGE, usage(self->fd, "aipu_accel-kv-device"));
	EXPECT_EQ(7 * PAGE, usage(self->fd, "drm-total-device"));
	EXPECT_EQ(4 * PAGE, usage(self->fd, "aipu_accel-kv-host"));
	EXPECT_EQ(4 * PAGE, usage(self->fd, "drm-total-host"));
	EXPECT_EQ(0, usage(other, "aipu_accel-kv-device"));
	/* The same buffer, and so the same label, in another file */
	dmabuf = export_fd(self->fd, device);
	shared = import_fd(other, dmabuf);
	ASSERT_LT(0, shared);
	EXPECT_EQ(5 * PAGE, usage(other, "aipu_accel-kv-device"));
	EXPECT_EQ(5 * PAGE, usage(self->fd, "aipu_accel-kv-device"));
	/* Without its handle it is nobody's, though the memory is there */
	EXPECT_EQ(0, buffer_close(self->fd, device));
	EXPECT_EQ(0, usage(self->fd, "aipu_accel-kv-device"));
	EXPECT_EQ(2 * PAGE, usage(self->fd, "drm-total-device"));
	EXPECT_EQ(5 * PAGE, usage(other, "aipu_accel-kv-device"));
	EXPECT_EQ(0, buffer_close(other, shared));
	close(dmabuf);
	EXPECT_EQ(0, usage(other, "aipu_accel-kv-device"));
	EXPECT_EQ(0, buffer_close(self->fd, host));
	EXPECT_EQ(PAGE, usage(self->fd, "aipu_accel-kv-host"));
	EXPECT_EQ(0, buffer_close(self->fd, user));
	EXPECT_EQ(0, usage(self->fd, "aipu_accel-kv-host"));
	close(other);
}

/* --- dma-bufs --------------------------------------------------------------------------------------- */

/* In a child: a dma-buf of four pages with the bytes of seed 9, to which it writes those of seed 10 */
static int use_dmabuf(int dmabuf)
{
	char *map = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf, 0);

	if (map == MAP_FAILED)
		return 1;
	if (differences(map, 4 * PAGE, 9))
		return 2;
	fill_bytes(map, 4 * PAGE, 10);
	return 0;
}

CARD_TEST(export_to_another_process)
{
	static const uint32_t kinds[] = { DRM_AIPU_BUFFER_DEVICE, DRM_AIPU_BUFFER_HOST };

	for (int i = 0; i < 2; i++) {
		int handle = buffer_new(self->fd, kinds[i], 4 * PAGE), dmabuf;
		char *map, *part;

		ASSERT_LT(0, handle);
		map = buffer_map(self->fd, handle, 4 * PAGE);
		ASSERT_NE(MAP_FAILED, (void *)map);
		fill_bytes(map, 4 * PAGE, 9);
		dmabuf = export_fd(self->fd, handle);
		ASSERT_LE(0, dmabuf);
		EXPECT_EQ(4 * PAGE, lseek(dmabuf, 0, SEEK_END));
		part = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, dmabuf, 2 * PAGE);
		ASSERT_NE(MAP_FAILED, (void *)part);
		EXPECT_EQ(0, memcmp(part, map + 2 * PAGE, PAGE));
		EXPECT_EQ(MAP_FAILED,
			  mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, dmabuf, 3 * PAGE));
		munmap(part, PAGE);
		EXPECT_EQ(0, buffer_close(self->fd, handle));
		EXPECT_EQ(0, in_child(use_dmabuf, dmabuf));
		EXPECT_EQ(0, differences(map, 4 * PAGE, 10));
		munmap(map, 4 * PAGE);
		close(dmabuf);
	}
}

CARD_TEST(export_of_user_pages_is_refused)
{
	char *memory = pages(PAGE, PROT_READ | PROT_WRITE);
	int handle = buffer_make(self->fd, DRM_AIPU_BUFFER_USER, PAGE, memory, 0);

	ASSERT_LT(0, handle);
	EXPECT_EQ(-EPERM, export_fd(self->fd, handle));
	EXPECT_EQ(-ENOENT, export_fd(self->fd, 0));
	EXPECT_EQ(-ENOENT, export_fd(self->fd, 777));
}

CARD_TEST(import_of_own_export_is_the_same_object)
{
	int handle = buffer_new(self->fd, DRM_AIPU_BUFFER_HOST, 2 * PAGE), other = card_open(0);
	int dmabuf = export_fd(self->fd, handle), there;
	struct drm_aipu_buffer_info info;
	char *a, *b;

	ASSERT_LE(0, dmabuf);
	EXPECT_EQ(handle, import_fd(self->fd, dmabuf));
	there = import_fd(other, dmabuf);
	ASSERT_LT(0, there);
	ASSERT_EQ(0, buffer_info(other, there, &info));
	EXPECT_EQ(DRM_AIPU_BUFFER_HOST, info.kind);
	EXPECT_EQ(there, import_fd(other, dmabuf));
	a = buffer_map(self->fd, handle, 2 * PAGE);
	b = buffer_map(other, there, 2 * PAGE);
	ASSERT_NE(MAP_FAILED, (void *)b);
	fill_bytes(a, 2 * PAGE, 77);
	EXPECT_EQ(0, differences(b, 2 * PAGE, 77));
	munmap(a, 2 * PAGE);
	munmap(b, 2 * PAGE);
	close(dmabuf);
	close(other);
}

/* Device memory that another file has is still counted for the one that made it, also when that is closed */
CARD_TEST(device_memory_shared)
{
	int first = card_open(0), handle = buffer_new(first, DRM_AIPU_BUFFER_DEVICE, 4 * PAGE);
	int dmabuf = export_fd(first, handle), there = import_fd(self->fd, dmabuf);

	ASSERT_LT(0, there);
	EXPECT_EQ(4 * PAGE, memory_of(first).file);
	EXPECT_EQ(0, memory_of(self->fd).file);
	close(dmabuf);
	close(first);
	EXPECT_EQ(self->before.free - 4 * PAGE, memory_of(self->fd).free);
	EXPECT_EQ(0, buffer_close(self->fd, there));
	EXPECT_EQ(self->before.free, memory_of(self->fd).free);
}

CARD_TEST(import_refuses)
{
	int pair[2];

	ASSERT_EQ(0, pipe(pair));
	EXPECT_EQ(-EBADF, import_fd(self->fd, -1));
	EXPECT_EQ(-EINVAL, import_fd(self->fd, pair[0]));
	EXPECT_EQ(-EINVAL, import_fd(self->fd, self->fd));
	close(pair[0]);
	close(pair[1]);
}

/* Imported: no mapping by our file, the same handle for the same dma-buf, freed with the handle */
static int check_import(int fd, int dmabuf, uint64_t bytes)
{
	struct drm_aipu_buffer_info info;
	int handle = import_fd(fd, dmabuf);

	if (handle <= 0)
		return handle ?: -1;
	if (buffer_info(fd, handle, &info) || info.kind != DRM_AIPU_BUFFER_IMPORT)
		return -2;
	if (info.bytes != bytes || info.map_offset)
		return -3;
	if (import_fd(fd, dmabuf) != handle)
		return -4;
	return buffer_close(fd, handle);
}

CARD_TEST(import_of_udmabuf)
{
	int control = open("/dev/udmabuf", O_RDWR | O_CLOEXEC), memory, dmabuf;
	struct udmabuf_create create = { .size = 4 * PAGE };

	if (control < 0)
		SKIP(return, "this kernel has no /dev/udmabuf");
	memory = memfd_create("pages", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	ASSERT_LE(0, memory);
	ASSERT_EQ(0, ftruncate(memory, 4 * PAGE));
	ASSERT_EQ(0, fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK));
	create.memfd = memory;
	dmabuf = ioctl(control, UDMABUF_CREATE, &create);
	ASSERT_LE(0, dmabuf);
	EXPECT_EQ(0, check_import(self->fd, dmabuf, 4 * PAGE));
	close(dmabuf);
	close(memory);
	close(control);
}

CARD_TEST(import_of_dma_heap)
{
	struct dma_heap_allocation_data data = { .len = 4 * PAGE, .fd_flags = O_RDWR | O_CLOEXEC };
	int heap = open("/dev/dma_heap/system", O_RDWR | O_CLOEXEC);

	if (heap < 0)
		SKIP(return, "this kernel has no /dev/dma_heap/system");
	ASSERT_EQ(0, ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data));
	EXPECT_EQ(0, check_import(self->fd, data.fd, 4 * PAGE));
	close(data.fd);
	close(heap);
}

/* A dma-buf that can only be read is not written by way of a card, and not mapped for writing by import */
CARD_TEST(import_of_what_is_read_only)
{
	struct drm_prime_handle export = {
		.handle = buffer_new(self->fd, DRM_AIPU_BUFFER_HOST, 2 * PAGE), .flags = DRM_CLOEXEC
	};
	int other = card_open(0), second = card_open(1), handle, context;
	struct drm_aipu_buffer_info info;

	ASSERT_EQ(0, call(self->fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &export));
	EXPECT_EQ((int)export.handle, import_fd(self->fd, export.fd));
	EXPECT_EQ(-EACCES, import_fd(other, export.fd));
	close(other);
	if (second < 0)
		SKIP(return, "there is one card only");
	handle = import_fd(second, export.fd);
	ASSERT_EQ(0, buffer_info(second, handle, &info));
	EXPECT_EQ(DRM_AIPU_BUFFER_READ_ONLY, info.flags);
	context = context_new(second);
	EXPECT_EQ(-EACCES, bind_range(second, context, handle, 0, PAGE, ACCESS_BOTH));
	EXPECT_EQ(0, bind_range(second, context, handle, 0, PAGE, DRM_AIPU_ACCESS_READ));
	close(second);
	close(export.fd);
}

/* Between two cards: host memory goes, device memory has no address that another card could use */
CARD_TEST(export_to_a_second_card)
{
	int second = card_open(1), host, device, dmabuf, handle, context;

	if (second < 0)
		SKIP(return, "there is one card only");
	host = buffer_new(self->fd, DRM_AIPU_BUFFER_HOST, 4 * PAGE);
	dmabuf = export_fd(self->fd, host);
	EXPECT_EQ(0, check_import(second, dmabuf, 4 * PAGE));
	handle = import_fd(second, dmabuf);
	context = context_new(second);
	EXPECT_EQ(0, bind_range(second, context, handle, 0, 4 * PAGE, ACCESS_BOTH));
	close(dmabuf);
	device = buffer_new(self->fd, DRM_AIPU_BUFFER_DEVICE, 4 * PAGE);
	dmabuf = export_fd(self->fd, device);
	handle = import_fd(second, dmabuf);
	EXPECT_GT(0,
		  handle < 0 ? handle : bind_range(second, context, handle, 0, PAGE, ACCESS_BOTH));
	close(dmabuf);
	close(second);
}

TEST_HARNESS_MAIN
