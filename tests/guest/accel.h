/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The driver's user API in small steps, for the programs selftest_*.c that test it in a guest: each function is one system call, or
 * the few that always go together, and returns what it is to be compared with. It must never judge a result itself.
 */
#ifndef TESTS_GUEST_ACCEL_H
#define TESTS_GUEST_ACCEL_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <drm/aipu_accel.h>

#define PAGE 4096ull
#define ACCESS_BOTH (DRM_AIPU_ACCESS_READ | DRM_AIPU_ACCESS_WRITE)

/* 0 or -errno */
static inline int call(int fd, unsigned long request, void *args)
{
	int ret;

	do {
		ret = ioctl(fd, request, args);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : 0;
}

/* Card number `index` in the order of its nodes, from the one that AIPU_FIRST_CARD says, or -1 */
static inline int card_open(int index)
{
	const char *first = getenv("AIPU_FIRST_CARD");
	char path[64];

	if (first)
		index += atoi(first);
	for (int i = 0; i < 64; i++) {
		snprintf(path, sizeof(path), "/dev/accel/accel%d", i);
		if (access(path, F_OK) == 0 && index-- == 0)
			return open(path, O_RDWR | O_CLOEXEC);
	}
	return -1;
}

static inline int query(int fd, uint32_t kind, void *data, uint32_t bytes)
{
	struct drm_aipu_query args = { .kind = kind, .bytes = bytes, .data = (uintptr_t)data };

	return call(fd, DRM_IOCTL_AIPU_QUERY, &args);
}

static inline struct drm_aipu_memory memory_of(int fd)
{
	struct drm_aipu_memory memory = {};

	query(fd, DRM_AIPU_QUERY_MEMORY, &memory, sizeof(memory));
	return memory;
}

/* An id, or -errno */
static inline int context_new(int fd)
{
	struct drm_aipu_context_create args = {};
	int err = call(fd, DRM_IOCTL_AIPU_CONTEXT_CREATE, &args);

	return err ?: (int)args.context;
}

static inline int context_end(int fd, uint32_t context)
{
	struct drm_aipu_context args = { .context = context };

	return call(fd, DRM_IOCTL_AIPU_CONTEXT_DESTROY, &args);
}

/* A handle, or -errno */
static inline int buffer_make(int fd, uint32_t kind, uint64_t bytes, void *address, uint32_t flags)
{
	struct drm_aipu_buffer_create args = {
		.kind = kind, .flags = flags, .bytes = bytes, .address = (uintptr_t)address
	};
	int err = call(fd, DRM_IOCTL_AIPU_BUFFER_CREATE, &args);

	return err ?: (int)args.handle;
}

static inline int buffer_new(int fd, uint32_t kind, uint64_t bytes)
{
	return buffer_make(fd, kind, bytes, NULL, 0);
}

static inline int buffer_close(int fd, uint32_t handle)
{
	struct drm_gem_close args = { .handle = handle };

	return call(fd, DRM_IOCTL_GEM_CLOSE, &args);
}

static inline int buffer_info(int fd, uint32_t handle, struct drm_aipu_buffer_info *info)
{
	*info = (struct drm_aipu_buffer_info){ .handle = handle };
	return call(fd, DRM_IOCTL_AIPU_BUFFER_INFO, info);
}

static inline void *buffer_map(int fd, uint32_t handle, size_t bytes)
{
	struct drm_aipu_buffer_info info;

	if (buffer_info(fd, handle, &info))
		return MAP_FAILED;
	return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, info.map_offset);
}

/* A dma-buf, or -errno */
static inline int export_fd(int fd, uint32_t handle)
{
	struct drm_prime_handle args = { .handle = handle, .flags = DRM_CLOEXEC | DRM_RDWR };
	int err = call(fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &args);

	return err ?: args.fd;
}

/* A handle, or -errno */
static inline int import_fd(int fd, int dmabuf)
{
	struct drm_prime_handle args = { .fd = dmabuf };
	int err = call(fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args);

	return err ?: (int)args.handle;
}

/* A segment (from 0), or -errno */
static inline int bind_range(int fd, uint32_t context, uint32_t handle, uint64_t offset,
			     uint64_t length, uint32_t access)
{
	struct drm_aipu_segment_bind args = {
		.context = context,
		.handle = handle,
		.offset = offset,
		.length = length,
		.access = access,
	};
	int err = call(fd, DRM_IOCTL_AIPU_SEGMENT_BIND, &args);

	return err ?: (int)args.segment;
}

static inline int unbind(int fd, uint32_t context, uint32_t segment)
{
	struct drm_aipu_segment_unbind args = { .context = context, .segment = segment };

	return call(fd, DRM_IOCTL_AIPU_SEGMENT_UNBIND, &args);
}

/* An id, or -errno */
static inline int queue_new(int fd, uint32_t context)
{
	struct drm_aipu_queue_create args = { .context = context, .entries = 15, .eventfd = -1 };
	int err = call(fd, DRM_IOCTL_AIPU_QUEUE_CREATE, &args);

	return err ?: (int)args.queue;
}

static inline int submit(int fd, uint32_t queue, uint64_t sequence, const struct aipu_job *job)
{
	struct drm_aipu_submit args = {
		.queue = queue, .jobs = (uintptr_t)job, .count = 1, .sequence = sequence
	};

	return call(fd, DRM_IOCTL_AIPU_SUBMIT, &args);
}

/* The result of the next job to end; 0 or -errno of the call itself */
static inline int result_of(int fd, uint32_t queue, struct drm_aipu_result *result)
{
	struct drm_aipu_wait args = {
		.queue = queue,
		.count = 1,
		.minimum = 1,
		.results = (uintptr_t)result,
		.timeout_ns = INT64_MAX,
	};

	return call(fd, DRM_IOCTL_AIPU_WAIT, &args);
}

/* Gives a job and waits for its end; -errno of the calls or the job */
static inline int run(int fd, uint32_t queue, uint64_t sequence, const struct aipu_job *job)
{
	struct drm_aipu_result result = {};
	int err = submit(fd, queue, sequence, job);

	if (!err)
		err = result_of(fd, queue, &result);
	return err ?: result.error;
}

static inline struct aipu_job fill_job(uint32_t segment, uint64_t length, uint32_t pattern)
{
	return (struct aipu_job){
		.opcode = AIPU_JOB_FILL,
		.fill = { .segment = segment, .pattern = pattern, .length = length },
	};
}

static inline struct aipu_job copy_job(uint32_t from, uint64_t from_offset, uint32_t to,
				       uint64_t to_offset, uint64_t length)
{
	return (struct aipu_job){
		.opcode = AIPU_JOB_COPY,
		.copy = {
			.src_segment = from,
			.dst_segment = to,
			.src_offset = from_offset,
			.dst_offset = to_offset,
			.length = length,
		},
	};
}

/* Bytes of which no two pages are the same */
static inline void fill_bytes(void *to, size_t bytes, uint32_t seed)
{
	unsigned char *byte = to;

	for (size_t i = 0; i < bytes; i++)
		byte[i] = (unsigned char)((i * 31) ^ (i >> 12) * 7 ^ seed);
}

static inline size_t differences(const void *memory, size_t bytes, uint32_t seed)
{
	const volatile unsigned char *byte = memory;
	size_t count = 0;

	for (size_t i = 0; i < bytes; i++)
		count += byte[i] != (unsigned char)((i * 31) ^ (i >> 12) * 7 ^ seed);
	return count;
}

/* Bytes that are not `value` */
static inline size_t others(const void *memory, size_t bytes, unsigned char value)
{
	const volatile unsigned char *byte = memory;
	size_t count = 0;

	for (size_t i = 0; i < bytes; i++)
		count += byte[i] != value;
	return count;
}

/* The exit status of a child that is given the file, minus the signal if it was killed */
static inline int in_child(int (*what)(int fd), int fd)
{
	pid_t child = fork();
	int status;

	if (!child)
		_exit(what(fd));
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* The PCI address of the card behind a file, in `name` */
static inline void address_of(int fd, char *name, size_t room)
{
	char path[64], target[256];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	snprintf(path, sizeof(path), "/sys/class/accel/%.20s/device", strrchr(target, '/') + 1);
	n = readlink(path, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	snprintf(name, room, "%s", strrchr(target, '/') + 1);
}

/* Bytes behind `key` in the file's fdinfo, or the number; -1: it is not there */
static inline long long usage(int fd, const char *key)
{
	char path[64], line[256], unit[8];
	long long value = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, key, strlen(key)) || line[strlen(key)] != ':')
			continue;
		unit[0] = '\0';
		sscanf(line + strlen(key) + 1, "%lld %7s", &value, unit);
		value <<= !strcmp(unit, "KiB") ? 10 : !strcmp(unit, "MiB") ? 20 : 0;
	}
	if (file)
		fclose(file);
	return value;
}

/* Does the kernel's log have this? */
static inline bool logged(const char *text)
{
	static char log[1 << 20];
	int bytes = klogctl(3 /* all of it */, log, sizeof(log) - 1);

	log[bytes > 0 ? bytes : 0] = '\0';
	return strstr(log, text);
}

/*
 * The fixture `card`, and its tests: two files of the first card and a context; at its end the card has as much memory as at
 * its beginning. A guest without KVM on a busy machine is slow.
 */
#define CARD_TEST(name) TEST_F_TIMEOUT(card, name, 240)
#define CARD_FIXTURE()                                                             \
	FIXTURE(card)                                                              \
	{                                                                          \
		int fd, other;                                                     \
		int context;                                                       \
		struct drm_aipu_memory before;                                     \
		struct drm_aipu_device device;                                     \
	};                                                                         \
	FIXTURE_SETUP(card)                                                        \
	{                                                                          \
		self->fd = card_open(0);                                           \
		ASSERT_LE(0, self->fd);                                            \
		self->other = card_open(0);                                        \
		self->before = memory_of(self->fd);                                \
		ASSERT_EQ(0, query(self->fd, DRM_AIPU_QUERY_DEVICE, &self->device, \
				   sizeof(self->device)));                         \
		self->context = context_new(self->fd);                             \
		ASSERT_LT(0, self->context);                                       \
	}                                                                          \
	FIXTURE_TEARDOWN(card)                                                     \
	{                                                                          \
		int fd;                                                            \
                                                                                   \
		close(self->fd);                                                   \
		close(self->other);                                                \
		fd = card_open(0);                                                 \
		EXPECT_EQ(self->before.free, memory_of(fd).free);                  \
		close(fd);                                                         \
	}

#endif
