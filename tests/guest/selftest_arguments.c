// SPDX-License-Identifier: GPL-2.0
/*
 * What no caller of the driver should do, and what nobody can do to another: arguments of all sizes and at the ends of pages, reserved
 * fields, ids of other files, and a card that goes while everything is open. Runs as root in a guest with the driver loaded,
 * in the kernel's own test harness; unbinds the first card and binds it again.
 */
#include <pthread.h>
#include <signal.h>

#include "kselftest_harness.h"

#include "accel.h"

CARD_FIXTURE()

/* --- what one file can see of another --------------------------------------------------------------- */

/* One of each, of the first file */
struct things {
	int context, handle, segment, queue;
};

/* Each call with ids of another file; the number of those that were not answered with ENOENT */
static int reach(int fd, const struct things *of)
{
	struct drm_aipu_context context = { .context = of->context };
	struct drm_aipu_segment_bind bind = {
		.context = of->context, .handle = of->handle, .length = PAGE, .access = ACCESS_BOTH
	};
	struct drm_aipu_segment_unbind unbind = { .context = of->context, .segment = of->segment };
	struct drm_aipu_program_load load = { .context = of->context,
					      .segment = of->segment,
					      .bytes = 64 };
	struct drm_aipu_program_unload unload = { .context = of->context };
	struct drm_aipu_queue_create create = { .context = of->context,
						.entries = 1,
						.eventfd = -1 };
	struct drm_aipu_queue queue = { .queue = of->queue };
	struct aipu_job job = { .opcode = AIPU_JOB_NOP };
	struct drm_aipu_submit give = {
		.queue = of->queue, .jobs = (uintptr_t)&job, .count = 1, .sequence = 1
	};
	struct drm_aipu_result result;
	struct drm_aipu_wait wait = { .queue = of->queue,
				      .count = 1,
				      .results = (uintptr_t)&result };
	struct drm_aipu_cancel cancel = { .queue = of->queue, .sequence = 1 };
	struct drm_aipu_buffer_info info = { .handle = of->handle };
	int bad = 0;

	bad += call(fd, DRM_IOCTL_AIPU_BUFFER_INFO, &info) != -ENOENT;
	bad += call(fd, DRM_IOCTL_AIPU_SEGMENT_BIND, &bind) != -ENOENT;
	bad += call(fd, DRM_IOCTL_AIPU_SEGMENT_UNBIND, &unbind) != -ENOENT;
	bad += call(fd, DRM_IOCTL_AIPU_PROGRAM_LOAD, &load) != -ENOENT;
	bad += call(fd, DRM_IOCTL_AIPU_PROGRAM_UNLOAD, &unload) != -ENOENT;
	bad += call(fd, DRM_IOCTL_AIPU_QUEUE_CREATE, &create) != -ENOENT;
	bad += call(fd, DRM_IOCTL_AIPU_SUBMIT, &give) != -ENOENT;
	bad += call(fd, DRM_IOCTL_AIPU_WAIT, &wait) != -ENOENT;
	bad += call(fd, DRM_IOCTL_AIPU_CANCEL, &cancel) != -ENOENT;
	bad += call(fd, DRM_IOCTL_AIPU_KICK, &queue) != -ENOENT;
	bad += call(fd, DRM_IOCTL_AIPU_QUEUE_DESTROY, &queue) != -ENOENT;
	bad += call(fd, DRM_IOCTL_AIPU_CONTEXT_RESET, &context) != -ENOENT;
	bad += call(fd, DRM_IOCTL_AIPU_CONTEXT_DESTROY, &context) != -ENOENT;
	bad += export_fd(fd, of->handle) != -ENOENT;
	bad += buffer_close(fd, of->handle) != -EINVAL;
	return bad;
}

CARD_TEST(other_files_and_processes)
{
	struct things of = { .context = self->context,
			     .handle = buffer_new(self->fd, DRM_AIPU_BUFFER_HOST, PAGE),
			     .queue = queue_new(self->fd, self->context) };
	struct aipu_job job = { .opcode = AIPU_JOB_NOP };
	int own, status;
	pid_t child;

	of.segment = bind_range(self->fd, of.context, of.handle, 0, PAGE, 3);
	ASSERT_LE(0, of.segment);
	EXPECT_EQ(0, reach(self->other, &of));
	child = fork();
	if (!child)
		_exit(reach(card_open(0), &of));
	waitpid(child, &status, 0);
	EXPECT_EQ(0, status);
	/* A context of the other file's own has none of the first one's segments, though its id may be the same */
	own = context_new(self->other);
	ASSERT_LT(0, own);
	EXPECT_EQ(-ENOENT, unbind(self->other, own, of.segment));
	EXPECT_EQ(-ENOENT, bind_range(self->other, own, of.handle, 0, PAGE, 3));
	/* And the first one still has everything */
	EXPECT_EQ(0, run(self->fd, of.queue, 1, &job));
	EXPECT_EQ(0, unbind(self->fd, of.context, of.segment));
	EXPECT_EQ(0, buffer_close(self->fd, of.handle));
}

/* --- arguments that no caller should give ------------------------------------------------------------- */

/* One page, nothing behind it */
static char *edge(void)
{
	char *at = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	mprotect(at + PAGE, PAGE, PROT_NONE);
	return at + PAGE;
}

CARD_TEST(arguments_at_the_end_of_a_page)
{
	const struct drm_aipu_query sizes = { .kind = DRM_AIPU_QUERY_MEMORY };
	struct drm_aipu_query args;
	char *end = edge();

	memcpy(end - sizeof(sizes), &sizes, sizeof(sizes));
	EXPECT_EQ(0, call(self->fd, DRM_IOCTL_AIPU_QUERY, end - sizeof(sizes)));
	for (size_t i = 1; i <= sizeof(sizes); i++)
		EXPECT_EQ(-EFAULT, call(self->fd, DRM_IOCTL_AIPU_QUERY, end - sizeof(sizes) + i));
	EXPECT_EQ(-EFAULT, call(self->fd, DRM_IOCTL_AIPU_QUERY, NULL));
	/* So is what they point to */
	args = (struct drm_aipu_query){ .kind = DRM_AIPU_QUERY_MEMORY,
					.bytes = sizeof(struct drm_aipu_memory),
					.data = (uintptr_t)end - sizeof(struct drm_aipu_memory) };
	EXPECT_EQ(0, call(self->fd, DRM_IOCTL_AIPU_QUERY, &args));
	args.data += 1;
	EXPECT_EQ(-EFAULT, call(self->fd, DRM_IOCTL_AIPU_QUERY, &args));
	args.data -= 1;
	args.bytes += 1;
	EXPECT_EQ(-EFAULT, call(self->fd, DRM_IOCTL_AIPU_QUERY, &args));
}

/* Callers of another age: the structure's size is part of the number; what is missing is zero */
CARD_TEST(arguments_of_other_sizes)
{
	struct {
		struct drm_aipu_context_create args;
		uint64_t more[4];
	} large = { .more = { 1, 2, 3, 4 } };
	unsigned long type = DRM_IOCTL_BASE, nr = DRM_COMMAND_BASE + DRM_AIPU_CONTEXT_CREATE;
	uint32_t small[2] = {};

	EXPECT_EQ(0, call(self->fd, _IOC(_IOC_READ | _IOC_WRITE, type, nr, sizeof(large)), &large));
	EXPECT_LT(0, large.args.context);
	EXPECT_EQ(4, large.more[3]);
	EXPECT_EQ(0, call(self->fd, _IOC(_IOC_READ | _IOC_WRITE, type, nr, sizeof(small)), small));
	for (uint32_t i = DRM_AIPU_SET_LIMITS + 1; i < DRM_COMMAND_END - DRM_COMMAND_BASE; i++)
		EXPECT_EQ(-EINVAL, call(self->fd, DRM_IOWR(DRM_COMMAND_BASE + i, uint64_t), small));
}

struct reserved {
	unsigned long request;
	size_t size, offset;
	const void *good; /* all else as it should be */
};

/* `good` would be taken but for one bit of the field at `offset` */
static int refused(int fd, const struct reserved *field, int bit)
{
	unsigned char args[128];
	uint32_t word;

	memcpy(args, field->good, field->size);
	memcpy(&word, args + field->offset, 4);
	word ^= 1u << bit;
	memcpy(args + field->offset, &word, 4);
	return call(fd, field->request, args) == -EINVAL;
}

#define RESERVED(name, type, field, args)                                                      \
	{                                                                                      \
		DRM_IOCTL_AIPU_##name, sizeof(struct type), offsetof(struct type, field), args \
	}

CARD_TEST(reserved_fields_are_zero)
{
	static char page[PAGE] __attribute__((aligned(PAGE)));
	int handle = buffer_make(self->fd, DRM_AIPU_BUFFER_USER, PAGE, page, 0);
	int segment = bind_range(self->fd, self->context, handle, 0, PAGE, 3);
	uint32_t q = queue_new(self->fd, self->context);
	struct drm_aipu_context_create create = {};
	struct drm_aipu_context context = { .context = self->context };
	struct drm_aipu_buffer_create buffer = { .kind = DRM_AIPU_BUFFER_HOST, .bytes = PAGE };
	struct drm_aipu_buffer_info info = { .handle = handle };
	struct drm_aipu_segment_bind bind = {
		.context = self->context, .handle = handle, .length = PAGE, .access = ACCESS_BOTH
	};
	struct drm_aipu_program_load load = { .context = self->context,
					      .segment = segment,
					      .bytes = 64 };
	struct drm_aipu_queue_create ring = { .context = self->context,
					      .entries = 1,
					      .eventfd = -1 };
	struct drm_aipu_queue queue = { .queue = q };
	struct aipu_job job = { .opcode = AIPU_JOB_NOP };
	struct drm_aipu_submit give = {
		.queue = q, .jobs = (uintptr_t)&job, .count = 1, .sequence = 1
	};
	struct drm_aipu_cancel cancel = { .queue = q, .sequence = 1 };
	struct drm_aipu_reset reset = {};
	const struct reserved fields[] = {
		RESERVED(CONTEXT_CREATE, drm_aipu_context_create, flags, &create),
		RESERVED(CONTEXT_RESET, drm_aipu_context, pad, &context),
		RESERVED(CONTEXT_DESTROY, drm_aipu_context, pad, &context),
		RESERVED(BUFFER_CREATE, drm_aipu_buffer_create, pad, &buffer),
		RESERVED(BUFFER_INFO, drm_aipu_buffer_info, pad, &info),
		RESERVED(SEGMENT_BIND, drm_aipu_segment_bind, pad, &bind),
		RESERVED(PROGRAM_LOAD, drm_aipu_program_load, pad, &load),
		RESERVED(QUEUE_CREATE, drm_aipu_queue_create, flags, &ring),
		RESERVED(QUEUE_DESTROY, drm_aipu_queue, pad, &queue),
		RESERVED(KICK, drm_aipu_queue, pad, &queue),
		RESERVED(CANCEL, drm_aipu_cancel, pad, &cancel),
		RESERVED(RESET, drm_aipu_reset, pad, &reset),
	};

	ASSERT_LE(0, segment);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		for (int bit = 0; bit < 32; bit++) {
			EXPECT_TRUE(refused(self->fd, &fields[i], bit))
			{
				TH_LOG("call %lx, offset %zu, bit %d", _IOC_NR(fields[i].request),
				       fields[i].offset, bit);
			}
		}
	}
	for (uint32_t flag = 1; flag; flag <<= 1) {
		buffer.flags = flag;
		if (flag != DRM_AIPU_BUFFER_KV)
			EXPECT_EQ(-EINVAL, call(self->fd, DRM_IOCTL_AIPU_BUFFER_CREATE, &buffer));
	}
	for (reset.flags = 1u << 31; reset.flags > DRM_AIPU_RESET_RECOVERY; reset.flags >>= 1)
		EXPECT_EQ(-EINVAL, call(self->fd, DRM_IOCTL_AIPU_RESET, &reset));
	give.flags = 2;
	EXPECT_EQ(-EINVAL, call(self->fd, DRM_IOCTL_AIPU_SUBMIT, &give));
	/* Nothing was ended or made by any of them */
	give.flags = 0;
	EXPECT_EQ(0, call(self->fd, DRM_IOCTL_AIPU_SUBMIT, &give));
	EXPECT_EQ(0, unbind(self->fd, self->context, segment));
}

/* --- the driver goes ---------------------------------------------------------------------------------- */

#define DRIVER "/sys/bus/pci/drivers/aipu_accel"

static int write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return ok ? 0 : -1;
}

static int write_driver(const char *file, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), DRIVER "/%s", file);
	return write_to(path, text);
}

/* Every ioctl on a file whose card is gone; the number of those that did not say so */
static int all_gone(int fd)
{
	int bad = 0;

	for (unsigned int nr = 0; nr <= DRM_AIPU_SET_LIMITS; nr++) {
		uint64_t args[16] = { 1 };

		bad += call(fd, DRM_IOWR(DRM_COMMAND_BASE + nr, uint64_t[8]), args) != -ENODEV;
	}
	return bad;
}

static int reset_as_anybody(int fd)
{
	struct drm_aipu_reset args = {};

	if (setresuid(65534, 65534, 65534))
		return 1;
	return call(fd, DRM_IOCTL_AIPU_RESET, &args) == -EPERM ? 0 : 2;
}

CARD_TEST(reset_needs_rights)
{
	struct drm_aipu_device device;

	EXPECT_EQ(0, in_child(reset_as_anybody, self->fd));
	EXPECT_EQ(0, query(self->fd, DRM_AIPU_QUERY_DEVICE, &device, sizeof(device)));
	EXPECT_EQ(self->device.resets, device.resets);
}

static char *gone_map;

static int touch_map(int fd)
{
	(void)fd;
	*(volatile char *)gone_map = 1;
	return 0;
}

CARD_TEST(unbound_with_everything_open)
{
	static char page[PAGE] __attribute__((aligned(PAGE)));
	int device = buffer_new(self->fd, DRM_AIPU_BUFFER_DEVICE, 4 * PAGE);
	int host = buffer_new(self->fd, DRM_AIPU_BUFFER_HOST, 4 * PAGE);
	int user = buffer_make(self->fd, DRM_AIPU_BUFFER_USER, PAGE, page, 0);
	int queue = queue_new(self->fd, self->context), dmabufs[2], fd, context;
	char *device_map = buffer_map(self->fd, device, 4 * PAGE);
	char *host_map = buffer_map(self->fd, host, 4 * PAGE), *early, *late;
	struct drm_aipu_buffer_info info;
	struct aipu_job job;
	char name[64];

	ASSERT_LT(0, queue);
	ASSERT_LE(0, bind_range(self->fd, self->context, device, 0, 4 * PAGE, 3));
	ASSERT_LE(0, bind_range(self->fd, self->context, host, 0, 4 * PAGE, 3));
	ASSERT_LE(0, bind_range(self->fd, self->context, user, 0, PAGE, 3));
	job = fill_job(0, 4 * PAGE, 1);
	ASSERT_EQ(0, submit(self->fd, queue, 1, &job));
	ASSERT_EQ(0, buffer_info(self->fd, device, &info));
	device_map[0] = 1;
	fill_bytes(host_map, 4 * PAGE, 1);
	dmabufs[0] = export_fd(self->fd, device);
	dmabufs[1] = export_fd(self->fd, host);
	ASSERT_LE(0, dmabufs[0]);
	ASSERT_LE(0, dmabufs[1]);
	early = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, dmabufs[0], 0);
	ASSERT_NE(MAP_FAILED, (void *)early);
	early[0] = 1;
	address_of(self->fd, name, sizeof(name));
	ASSERT_EQ(0, write_driver("unbind", name));

	EXPECT_EQ(0, all_gone(self->fd));
	EXPECT_EQ(0, all_gone(self->other));
	gone_map = device_map;
	EXPECT_EQ(-SIGBUS, in_child(touch_map, 0));
	EXPECT_EQ(0, differences(host_map, 4 * PAGE, 1));
	gone_map = early;
	EXPECT_EQ(-SIGBUS, in_child(touch_map, 0));
	EXPECT_EQ(0, munmap(early, 4 * PAGE));
	late = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, dmabufs[0], 0);
	if (late != MAP_FAILED) {
		gone_map = late;
		EXPECT_EQ(-SIGBUS, in_child(touch_map, 0));
	}
	EXPECT_EQ(MAP_FAILED,
		  mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, self->fd, info.map_offset));

	/* It comes back while all of that is still open, and knows nothing of it */
	ASSERT_EQ(0, write_driver("bind", name));
	EXPECT_EQ(0, all_gone(self->fd));
	fd = card_open(0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(self->before.free, memory_of(fd).free);
	context = context_new(fd);
	EXPECT_LT(0, context);
	EXPECT_EQ(0, context_end(fd, context));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, close(dmabufs[0]));
	EXPECT_EQ(0, differences(host_map, 4 * PAGE, 1));
	EXPECT_EQ(0, close(dmabufs[1]));
	EXPECT_EQ(0, munmap(host_map, 4 * PAGE));
	EXPECT_EQ(0, munmap(device_map, 4 * PAGE));
	self->fd = fd;
}

#define BINDERS 4
#define BINDER_PAGES 1024

struct binder {
	pthread_barrier_t *start;
	int fd, context, handle, err;
};

/* One page of a file many times over: no two are neighbours, so that it takes an IOMMU long to map them */
static char *pages_apart(void)
{
	int file = memfd_create("page", MFD_CLOEXEC);
	char *at = mmap(NULL, BINDER_PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (ftruncate(file, PAGE))
		return NULL;
	for (size_t i = 0; i < BINDER_PAGES; i++)
		if (mmap(at + i * PAGE, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, file, 0) ==
		    MAP_FAILED)
			return NULL;
	close(file);
	return at;
}

/* The first error of binding and unbinding for ever */
static void *bind_thread(void *arg)
{
	struct binder *binder = arg;
	int segment;

	pthread_barrier_wait(binder->start);
	do {
		segment = bind_range(binder->fd, binder->context, binder->handle, 0,
				     BINDER_PAGES * PAGE, DRM_AIPU_ACCESS_READ);
		binder->err = segment < 0 ? segment : unbind(binder->fd, binder->context, segment);
	} while (!binder->err);
	return NULL;
}

/* The function goes while host memory is being mapped for it: nothing is mapped, or unmapped, of what is not there. */
CARD_TEST(removed_while_memory_is_bound)
{
	struct binder binders[BINDERS] = {};
	pthread_t threads[BINDERS];
	pthread_barrier_t start;
	char name[64], path[128], *pages = pages_apart();

	ASSERT_NE(NULL, pages);
	close(self->other);
	pthread_barrier_init(&start, NULL, BINDERS + 1);
	address_of(self->fd, name, sizeof(name));
	for (int i = 0; i < BINDERS; i++) {
		binders[i].start = &start;
		binders[i].fd = card_open(0);
		binders[i].context = context_new(binders[i].fd);
		binders[i].handle = buffer_make(binders[i].fd, DRM_AIPU_BUFFER_USER,
						BINDER_PAGES * PAGE, pages,
						DRM_AIPU_BUFFER_READ_ONLY);
		ASSERT_LT(0, binders[i].handle);
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, bind_thread, &binders[i]));
	}
	pthread_barrier_wait(&start);
	usleep(20000);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/remove", name);
	EXPECT_EQ(0, write_to(path, "1"));
	for (int i = 0; i < BINDERS; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_TRUE(binders[i].err == -ENODEV || binders[i].err == -ECANCELED)
		{
			TH_LOG("%d", binders[i].err);
		}
		close(binders[i].fd);
	}
	/* With its files closed it gets its old number. */
	close(self->fd);
	ASSERT_EQ(0, write_to("/sys/bus/pci/rescan", "1"));
	self->fd = card_open(0);
	self->other = card_open(0);
	ASSERT_LE(0, self->fd);
	EXPECT_EQ(self->before.free, memory_of(self->fd).free);
}

TEST_HARNESS_MAIN
