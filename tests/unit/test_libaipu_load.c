// SPDX-License-Identifier: MIT
/*
 * Device memory filled from files: which bytes arrive and which stay, what is pinned meanwhile, what ends a load and how. Each on
 * the device as it is; on the software device also with the io_uring reader of the card's transport, and with one of our own that
 * gives what the kernel gives rarely: parts of what was asked for, in any order, errors that are none.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"
#include "libaipu_test.h"

#define PAGE 4096u
#define FILE_BYTES ((3u << 20) + 17)
#define MEMORY_BYTES (4u << 20)

/* --- readers -------------------------------------------------------------------------------------- */

/* Answers late, the last one first, and seldom all of it. Refuses O_DIRECT as some file systems do: when it is read. */
struct aipu_transport_reader {
	struct {
		uint32_t tag;
		int result;
	} ended[64];
	uint32_t count, calls;
	int event;
};

static int awkward_open(struct aipu_transport_device *device, uint32_t depth,
			struct aipu_transport_reader **reader)
{
	(void)device;
	assert_true(depth > 0 && depth <= 64);
	*reader = calloc(1, sizeof(**reader));
	(*reader)->event = eventfd(1, EFD_CLOEXEC);
	return 0;
}

static int awkward_start(struct aipu_transport_reader *reader, uint32_t tag, int fd, void *memory,
			 uint32_t bytes, uint64_t offset)
{
	ssize_t got;

	assert_int_equal((uintptr_t)memory % PAGE, 0);
	assert_int_equal(offset % PAGE, 0);
	assert_int_equal(bytes % PAGE, 0);
	reader->ended[reader->count].tag = tag;
	switch (reader->calls++ % 5) {
	case 0:
		got = -EINTR;
		break;
	case 1:
		got = -EAGAIN;
		break;
	default:
		if (bytes > PAGE)
			bytes = bytes / 2 + 100;
		got = pread(fd, memory, bytes, (off_t)offset);
	}
	if (fcntl(fd, F_GETFL) & O_DIRECT)
		got = -EINVAL;
	reader->ended[reader->count++].result = (int)got;
	return 0;
}

static int awkward_take(struct aipu_transport_reader *reader, uint32_t *tag, int *result)
{
	if (!reader->count)
		return 0;
	*tag = reader->ended[--reader->count].tag;
	*result = reader->ended[reader->count].result;
	return 1;
}

static int awkward_fd(struct aipu_transport_reader *reader)
{
	return reader->event;
}

static void awkward_close(struct aipu_transport_reader *reader)
{
	assert_int_equal(reader->count, 0);
	close(reader->event);
	free(reader);
}

static const struct aipu_transport_ops awkward = {
	.reader_open = awkward_open,
	.reader_start = awkward_start,
	.reader_take = awkward_take,
	.reader_fd = awkward_fd,
	.reader_close = awkward_close,
};

/* --- benches -------------------------------------------------------------------------------------- */

struct load_bench {
	struct test_bench bench;
	struct aipu_transport_ops ops;
	struct aipu_buffer *memory, *back;
	int segment, back_segment, fd;
	char path[256];
	unsigned char *file; /* what it has */
};

static const struct aipu_transport_ops *plugin(const char *name)
{
	const struct aipu_transport_ops *ops;
	struct aipu_message message;
	int error = aipu_plugin_load(name, &ops, &message);

	if (error)
		print_error("# %s\n", message.text);
	assert_int_equal(error, 0);
	return ops;
}

static struct aipu_device *open_with(struct load_bench *load,
				     const struct aipu_transport_ops *reader)
{
	struct aipu_device_options options = { .cores = 1, .memory_bytes = 64u << 20 };
	struct aipu_device *device;

	if (!reader)
		return test_open(1, 64u << 20);
	load->ops = *plugin("libaipu-soft.so");
	load->ops.reader_open = reader->reader_open;
	load->ops.reader_start = reader->reader_start;
	load->ops.reader_take = reader->reader_take;
	load->ops.reader_fd = reader->reader_fd;
	load->ops.reader_close = reader->reader_close;
	assert_int_equal(aipu_device_open_transport(&device, &load->ops, "soft", &options, NULL),
			 0);
	return device;
}

static void make_file(struct load_bench *load)
{
	const char *directory = getenv("TMPDIR");
	uint32_t seed = 1;

	load->file = malloc(FILE_BYTES);
	for (uint32_t i = 0; i < FILE_BYTES; i++) {
		seed = seed * 1664525 + 1013904223;
		load->file[i] = (unsigned char)(seed >> 24);
	}
	snprintf(load->path, sizeof(load->path), "%s/aipu-test-XXXXXX",
		 directory && strlen(directory) < 200 ? directory : "/tmp");
	load->fd = mkstemp(load->path);
	assert_true(load->fd >= 0);
	assert_int_equal(write(load->fd, load->file, FILE_BYTES), FILE_BYTES);
}

static int up_with(void **state, const struct aipu_transport_ops *reader)
{
	struct load_bench *load = calloc(1, sizeof(*load));
	struct test_bench *bench = &load->bench;

	bench->device = open_with(load, reader);
	assert_int_equal(aipu_context_create(bench->device, &bench->context), 0);
	assert_int_equal(aipu_queue_create(bench->context, 8, &bench->queue), 0);
	assert_int_equal(aipu_buffer_create(bench->device, AIPU_BUFFER_DEVICE, MEMORY_BYTES,
					    &load->memory),
			 0);
	load->back = test_buffer(bench->device, MEMORY_BYTES);
	load->segment =
		aipu_segment_bind(bench->context, load->memory, 0, 0, AIPU_READ | AIPU_WRITE);
	load->back_segment = aipu_segment_bind(bench->context, load->back, 0, 0, AIPU_WRITE);
	assert_true(load->segment >= 0 && load->back_segment >= 0);
	make_file(load);
	*state = load;
	return 0;
}

static int plain_up(void **state)
{
	return up_with(state, NULL);
}

static int uring_up(void **state)
{
	return up_with(state, plugin("libaipu-drm.so"));
}

static int awkward_up(void **state)
{
	return up_with(state, &awkward);
}

static int down(void **state)
{
	struct load_bench *load = *state;
	struct test_bench *bench = &load->bench;

	aipu_queue_destroy(bench->queue);
	assert_int_equal(aipu_segment_unbind(bench->context, load->segment), 0);
	assert_int_equal(aipu_segment_unbind(bench->context, load->back_segment), 0);
	assert_int_equal(aipu_buffer_destroy(load->memory), 0);
	assert_int_equal(aipu_buffer_destroy(load->back), 0);
	aipu_context_destroy(bench->context);
	aipu_device_close(bench->device);
	close(load->fd);
	unlink(load->path);
	free(load->file);
	free(load);
	return 0;
}

/* --- what arrives --------------------------------------------------------------------------------- */

static void clear(struct load_bench *load)
{
	assert_int_equal(test_fill(load->bench.queue, load->segment, 0, MEMORY_BYTES, 0xeeeeeeee),
			 AIPU_STATUS_OK);
}

/* What is in device memory: these bytes of the file, and beside them nothing new */
static void holds(struct load_bench *load, uint64_t offset, uint64_t file_offset, uint64_t bytes)
{
	const unsigned char *back = aipu_buffer_data(load->back);

	assert_int_equal(test_copy(load->bench.queue, load->back_segment, 0, load->segment, 0,
				   MEMORY_BYTES),
			 AIPU_STATUS_OK);
	assert_memory_equal(back + offset, load->file + file_offset, bytes);
	for (uint64_t i = 0; i < MEMORY_BYTES; i += i == offset ? bytes + 1 : 1)
		if (i < offset || i >= offset + bytes)
			assert_int_equal(back[i], 0xee);
}

static int load_some(struct load_bench *load, uint64_t offset, uint64_t file_offset, uint64_t bytes,
		     const struct aipu_load_options *options)
{
	struct aipu_message message = { .text = "" };
	int error = aipu_load(load->bench.queue, load->segment, offset, load->fd, file_offset,
			      bytes, options, &message);

	if (error)
		print_message("# %s\n", message.text);
	assert_int_equal(error != 0, message.text[0] != 0);
	return error;
}

static void bytes_arrive(void **state)
{
	static const struct {
		uint64_t offset, file_offset, bytes, window;
	} cases[] = {
		{ 0, 0, FILE_BYTES, 0 },
		{ 0, 0, FILE_BYTES, PAGE },
		{ 5, 0, FILE_BYTES, 16 * PAGE },
		{ 64, 1, FILE_BYTES - 1, 16 * PAGE },
		{ 0, PAGE - 1, FILE_BYTES - PAGE + 1, 40 * PAGE },
		{ 3, 2 * PAGE, FILE_BYTES - 2 * PAGE, 3 * PAGE + 5 },
		{ 0, 0, 1, 0 },
		{ 4095, 4095, 2, 0 },
		{ MEMORY_BYTES - 1, FILE_BYTES - 1, 1, 0 },
		{ 7, 100, PAGE - 100, 0 },
		{ 7, 100, PAGE, 0 },
		{ 0, 0, 0, 0 },
		{ 1 << 20, 1 << 20, 1 << 20, 1 << 20 },
	};
	struct load_bench *load = *state;

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct aipu_load_report report = { .bytes = 1 };
		struct aipu_load_options options = { .window_bytes = cases[i].window,
						     .report = &report };

		clear(load);
		assert_int_equal(load_some(load, cases[i].offset, cases[i].file_offset,
					   cases[i].bytes, &options),
				 0);
		holds(load, cases[i].offset, cases[i].file_offset, cases[i].bytes);
		assert_int_equal(report.bytes, cases[i].bytes);
		assert_true(report.window_bytes <= (cases[i].window ? cases[i].window : 4u << 20));
		assert_true(report.window_bytes <= cases[i].bytes + 2 * PAGE);
		assert_int_equal(report.copies == 0, cases[i].bytes == 0);
		assert_true(report.reads >= report.copies);
	}
	/* The caller's position is not moved. */
	assert_int_equal(lseek(load->fd, 0, SEEK_CUR), FILE_BYTES);
}

/* The copies are as many as the window has parts, whatever the queue holds */
static void small_queues(void **state)
{
	struct load_bench *load = *state;
	struct aipu_queue *all = load->bench.queue;

	for (uint32_t entries = 1; entries < 4; entries++) {
		struct aipu_load_report report;
		struct aipu_load_options options = { .window_bytes = 64 * PAGE, .report = &report };
		struct aipu_queue *queue;

		clear(load);
		assert_int_equal(aipu_queue_create(load->bench.context, entries, &queue), 0);
		load->bench.queue = queue;
		assert_int_equal(load_some(load, 0, 0, FILE_BYTES, &options), 0);
		load->bench.queue = all;
		aipu_queue_destroy(queue);
		holds(load, 0, 0, FILE_BYTES);
		assert_int_equal(report.window_bytes, 64 * PAGE / entries / PAGE * PAGE * entries);
	}
}

/* Past the page cache where the file system can, without a difference where it cannot */
static void files_without_o_direct(void **state)
{
	struct load_bench *load = *state;
	int fd = load->fd, memory = memfd_create("aipu-test", MFD_CLOEXEC);
	struct aipu_load_report report;
	struct aipu_load_options options = { .report = &report };

	assert_true(memory >= 0);
	assert_int_equal(write(memory, load->file, FILE_BYTES), FILE_BYTES);
	load->fd = memory;
	clear(load);
	assert_int_equal(load_some(load, 9, 11, FILE_BYTES - 11, &options), 0);
	load->fd = fd;
	holds(load, 9, 11, FILE_BYTES - 11);
	close(memory);
}

/* What was written a moment ago is in the page cache only */
static void dirty_files(void **state)
{
	struct load_bench *load = *state;

	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < FILE_BYTES; i += 1000)
			load->file[i]++;
		assert_int_equal(pwrite(load->fd, load->file, FILE_BYTES, 0), FILE_BYTES);
		clear(load);
		assert_int_equal(load_some(load, 0, 0, FILE_BYTES, NULL), 0);
		holds(load, 0, 0, FILE_BYTES);
	}
}

/* --- what is asked for wrongly -------------------------------------------------------------------- */

static void arguments_are_checked(void **state)
{
	struct load_bench *load = *state;
	struct aipu_queue *queue = load->bench.queue;
	struct aipu_load_options options = { .window_bytes = PAGE - 1 };
	const struct aipu_result *result;
	int pipes[2], fd, write_only;

	clear(load);
	assert_int_equal(aipu_load(NULL, load->segment, 0, load->fd, 0, 1, NULL, NULL), -EINVAL);
	assert_int_equal(aipu_load(queue, -1, 0, load->fd, 0, 1, NULL, NULL), -EINVAL);
	assert_int_equal(aipu_load(queue, load->segment, 0, -1, 0, 1, NULL, NULL), -EINVAL);
	assert_int_equal(aipu_load(queue, load->segment, 0, 9999, 0, 1, NULL, NULL), -EBADF);
	assert_int_equal(load_some(load, 0, 0, UINT64_MAX, NULL), -EINVAL);
	assert_int_equal(load_some(load, 0, UINT64_MAX, 2, NULL), -EINVAL);
	assert_int_equal(load_some(load, UINT64_MAX, 0, 2, NULL), -EINVAL);
	assert_int_equal(load_some(load, 0, 0, 1, &options), -EINVAL);
	options = (struct aipu_load_options){ .reserved = { 0, 0, 0, 1 } };
	assert_int_equal(load_some(load, 0, 0, 1, &options), -EINVAL);
	assert_int_equal(pipe(pipes), 0);
	fd = load->fd;
	load->fd = pipes[0];
	assert_int_equal(load_some(load, 0, 0, 1, NULL), -EINVAL);
	load->fd = open("/tmp", O_RDONLY);
	assert_int_equal(load_some(load, 0, 0, 1, NULL), -EINVAL);
	close(load->fd);
	load->fd = write_only = open(load->path, O_WRONLY);
	assert_int_equal(load_some(load, 0, 0, 1, NULL), -EBADF);
	load->fd = fd;
	close(write_only);
	close(pipes[0]);
	close(pipes[1]);
	/* Jobs of the caller's in any state */
	aipu_prep_nop(aipu_queue_get_job(queue, 7));
	assert_int_equal(load_some(load, 0, 0, 1, NULL), -EBUSY);
	assert_int_equal(aipu_queue_submit(queue), 1);
	assert_int_equal(load_some(load, 0, 0, 1, NULL), -EBUSY);
	result = test_wait(queue);
	assert_int_equal(load_some(load, 0, 0, 1, NULL), -EBUSY);
	assert_int_equal(result->user_data, 7);
	aipu_queue_seen(queue, result);
	holds(load, 0, 0, 0);
	assert_int_equal(load_some(load, 0, 0, 1, NULL), 0);
}

static void files_that_are_shorter(void **state)
{
	struct load_bench *load = *state;

	clear(load);
	assert_int_equal(load_some(load, 0, 0, FILE_BYTES + 1, NULL), -ENODATA);
	assert_int_equal(load_some(load, 0, FILE_BYTES, 1, NULL), -ENODATA);
	assert_int_equal(load_some(load, 0, 1ull << 40, 1, NULL), -ENODATA);
	holds(load, 0, 0, 0);
}

/* The queue and the segment are as before; what is wrong is said once */
static void segments_that_do_not_fit(void **state)
{
	struct load_bench *load = *state;
	struct aipu_load_report report;
	struct aipu_load_options options = { .window_bytes = 16 * PAGE, .report = &report };
	int segment = load->segment;

	clear(load);
	assert_int_equal(load_some(load, MEMORY_BYTES - 100, 0, 101, &options), -ERANGE);
	assert_int_equal(load_some(load, 2 << 20, 0, FILE_BYTES, &options), -ERANGE);
	assert_true(report.bytes < FILE_BYTES);
	load->segment = 200;
	assert_int_equal(load_some(load, 0, 0, FILE_BYTES, &options), -EFAULT);
	load->segment = aipu_segment_bind(load->bench.context, load->memory, 0, 0, AIPU_READ);
	assert_int_equal(load_some(load, 0, 0, FILE_BYTES, &options), -EACCES);
	assert_int_equal(aipu_segment_unbind(load->bench.context, load->segment), 0);
	load->segment = segment;
	clear(load);
	assert_int_equal(load_some(load, 0, 0, FILE_BYTES, &options), 0);
	holds(load, 0, 0, FILE_BYTES);
}

/* --- on the way ----------------------------------------------------------------------------------- */

struct watcher {
	struct load_bench *load;
	uint64_t last, stop_at, pinned;
	unsigned int calls;
	int truncate;
	atomic_uint *signals;
};

/* Memory of this process that cannot be paged out, in bytes */
static uint64_t pinned_bytes(void)
{
	unsigned long long locked = 0, pinned = 0;
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		sscanf(line, "VmLck: %llu", &locked);
		sscanf(line, "VmPin: %llu", &pinned);
	}
	fclose(file);
	return (locked + pinned) << 10;
}

static int watch(void *argument, uint64_t bytes)
{
	struct watcher *watcher = argument;
	uint64_t pinned = pinned_bytes();

	assert_true(bytes >= watcher->last);
	watcher->last = bytes;
	watcher->calls++;
	if (pinned > watcher->pinned)
		watcher->pinned = pinned;
	if (watcher->truncate && !ftruncate(watcher->load->fd, PAGE + 1))
		watcher->truncate = 0;
	return watcher->stop_at && bytes >= watcher->stop_at ? -ECANCELED : 0;
}

static void progress_is_told(void **state)
{
	struct load_bench *load = *state;
	struct watcher watcher = { .load = load };
	struct aipu_load_report report;
	struct aipu_load_options options = { .window_bytes = 16 * PAGE,
					     .progress = watch,
					     .argument = &watcher,
					     .report = &report };

	assert_int_equal(load_some(load, 0, 0, FILE_BYTES, &options), 0);
	assert_int_equal(watcher.last, FILE_BYTES);
	assert_true(watcher.calls >= report.copies);
	/* Only the window is pinned, and only on cards; afterwards nothing is */
	assert_true(watcher.pinned <= 16 * PAGE);
	assert_int_equal(watcher.pinned > 0, test_is_card());
	assert_int_equal(pinned_bytes(), 0);
}

/* CAP_IPC_LOCK, which makes limits void, on or off in this thread */
static void lock_capability(bool on)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	assert_int_equal(syscall(SYS_capget, &header, data), 0);
	data[0].effective &= ~(1u << CAP_IPC_LOCK);
	if (on)
		data[0].effective |= data[0].permitted & 1u << CAP_IPC_LOCK;
	assert_int_equal(syscall(SYS_capset, &header, data), 0);
}

/* Whatever may be pinned is enough, down to one page */
static void windows_fit_the_limit(void **state)
{
	struct load_bench *load = *state;
	struct rlimit before, limit;
	struct aipu_load_report report;
	struct aipu_load_options options = { .report = &report };

	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &before), 0);
	limit = before;
	lock_capability(false);
	for (unsigned int pages = 100; pages; pages = pages == 1 ? 0 : pages / 10) {
		limit.rlim_cur = pages * PAGE;
		assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
		clear(load);
		assert_int_equal(load_some(load, 0, 0, FILE_BYTES, &options), 0);
		holds(load, 0, 0, FILE_BYTES);
		assert_true(report.window_bytes <= pages * PAGE);
		assert_true(report.window_bytes > pages * PAGE / 4);
	}
	limit.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	assert_int_equal(load_some(load, 0, 0, 1, NULL), -ENOMEM);
	lock_capability(true);
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &before), 0);
	assert_int_equal(pinned_bytes(), 0);
}

static void loads_can_be_stopped(void **state)
{
	struct load_bench *load = *state;
	struct watcher watcher = { .load = load, .stop_at = 20 * PAGE };
	struct aipu_load_report report;
	struct aipu_load_options options = { .window_bytes = 16 * PAGE,
					     .progress = watch,
					     .argument = &watcher,
					     .report = &report };
	const struct aipu_result *result;

	assert_int_equal(load_some(load, 0, 0, FILE_BYTES, &options), -ECANCELED);
	assert_true(report.bytes >= 20 * PAGE && report.bytes <= 40 * PAGE);
	assert_int_equal(aipu_queue_peek(load->bench.queue, &result), -EAGAIN);
	assert_int_equal(pinned_bytes(), 0);
	clear(load);
	assert_int_equal(load_some(load, 0, 0, FILE_BYTES, NULL), 0);
	holds(load, 0, 0, FILE_BYTES);
}

/* After it was found to be long enough */
static void files_that_become_shorter(void **state)
{
	struct load_bench *load = *state;
	struct watcher watcher = { .load = load, .truncate = 1 };
	struct aipu_load_options options = { .window_bytes = 4 * PAGE,
					     .progress = watch,
					     .argument = &watcher };

	assert_int_equal(load_some(load, 0, 0, FILE_BYTES, &options), -ENODATA);
	assert_int_equal(watcher.truncate, 0);
	clear(load);
	assert_int_equal(load_some(load, 0, 0, PAGE + 1, NULL), 0);
	holds(load, 0, 0, PAGE + 1);
}

static void on_signal(int signal)
{
	(void)signal;
}

struct signaller {
	pthread_t target;
	atomic_bool stop;
};

static void *signal_thread(void *arg)
{
	struct signaller *signaller = arg;

	while (!atomic_load(&signaller->stop)) {
		pthread_kill(signaller->target, SIGUSR1);
		usleep(200);
	}
	return NULL;
}

static void signals_do_not_end_loads(void **state)
{
	struct sigaction action = { .sa_handler = on_signal }, before;
	struct signaller signaller = { .target = pthread_self() };
	struct load_bench *load = *state;
	struct aipu_load_options options = { .window_bytes = 4 * PAGE };
	pthread_t thread;

	clear(load);
	assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
	assert_int_equal(pthread_create(&thread, NULL, signal_thread, &signaller), 0);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(load_some(load, 0, 0, FILE_BYTES, &options), 0);
	atomic_store(&signaller.stop, true);
	pthread_join(thread, NULL);
	sigaction(SIGUSR1, &before, NULL);
	holds(load, 0, 0, FILE_BYTES);
}

static void the_reader_is_the_one_meant(void **state)
{
	struct load_bench *load = *state;
	struct aipu_load_report report;
	struct aipu_load_options options = { .report = &report };
	bool own = load->ops.reader_open != NULL;
	bool cards = own && load->ops.reader_open != awkward_open;
	int fd = open(load->path, O_RDONLY | O_DIRECT | O_CLOEXEC);

	assert_int_equal(load_some(load, 0, 0, FILE_BYTES, &options), 0);
	if (!test_is_card())
		assert_int_equal(report.uring, own && (!cards || test_uring_permitted()));
	else
		assert_int_equal(report.uring, test_uring_permitted());
	assert_int_equal(report.direct, fd >= 0 && (!own || cards));
	if (fd >= 0)
		close(fd);
}

int main(void)
{
#define TEST(test, up)                                                                \
	{                                                                             \
		.name = #test " (" #up ")", .test_func = test, .setup_func = up##_up, \
		.teardown_func = down                                                 \
	}
#define ALL(up)                                                                           \
	TEST(bytes_arrive, up), TEST(small_queues, up), TEST(files_without_o_direct, up), \
		TEST(dirty_files, up), TEST(arguments_are_checked, up),                   \
		TEST(files_that_are_shorter, up), TEST(segments_that_do_not_fit, up),     \
		TEST(progress_is_told, up), TEST(loads_can_be_stopped, up),               \
		TEST(files_that_become_shorter, up), TEST(signals_do_not_end_loads, up),  \
		TEST(the_reader_is_the_one_meant, up)
	/* The software device pins nothing */
	const struct CMUnitTest card[] = { ALL(plain), TEST(windows_fit_the_limit, plain) };
	const struct CMUnitTest soft[] = { ALL(plain), ALL(uring), ALL(awkward) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	if (test_is_card())
		return cmocka_run_group_tests_name("libaipu_load", card, NULL, NULL);
	return cmocka_run_group_tests_name("libaipu_load", soft, NULL, NULL);
}
