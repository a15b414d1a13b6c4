// SPDX-License-Identifier: MIT
/*
 * Filling device memory from a file: reads into a window of pinned pages, and jobs that copy what was read to the device, side by
 * side. The reads are the transport's (io_uring) or, without it, preads that overlap with the copies only. Called by whoever loads
 * models; never holds more host memory than the window, and leaves no read or job behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#define WINDOW_BYTES (4ull << 20)
#define WINDOW_MAX (1ull << 30)
#define PARTS 8u /* of the window */
/* What O_DIRECT wants aligned; where it wants more, the page cache is used */
#define BLOCK ((uint64_t)AIPU_PAGE_BYTES)

enum part_state { PART_FREE, PART_READING, PART_COPYING };

/* A part of the window, and of the file */
struct part {
	enum part_state state;
	char *memory;
	uint64_t at; /* of its first byte that is wanted, from the start of the load */
	uint64_t file_offset; /* of its memory's first byte; a multiple of BLOCK */
	uint32_t skip, wanted; /* bytes before the wanted ones, and these */
	uint32_t have; /* read so far; a multiple of BLOCK until it is all */
	bool direct; /* the read that is under way */
};

struct load {
	struct aipu_queue *queue;
	const struct aipu_transport_ops *ops;
	struct aipu_transport_reader *reader; /* NULL: pread */
	struct aipu_message *message;
	const struct aipu_load_options *options;
	struct aipu_load_report report;
	int segment, fd,
		direct_fd; /* direct_fd < 0: the file system has no O_DIRECT, or it was refused */
	uint64_t offset, file_offset, bytes;
	uint64_t next; /* first byte that no read was begun for */
	int error; /* the first; nothing more is begun then */
	struct part parts[PARTS];
	uint32_t part_count, part_bytes, reading, copying, staged;
	/* The window */
	void *memory;
	struct aipu_buffer *buffer;
	int window;
};

__attribute__((format(printf, 3, 4))) static void fail(struct load *load, int error,
						       const char *format, ...)
{
	va_list list;

	if (load->error)
		return;
	load->error = error;
	if (!load->message)
		return;
	va_start(list, format);
	vsnprintf(load->message->text, sizeof(load->message->text), format, list);
	va_end(list);
}

static uint64_t round_up(uint64_t bytes)
{
	return (bytes + BLOCK - 1) / BLOCK * BLOCK;
}

/* --- copies --------------------------------------------------------------------------------------- */

static void tell(struct load *load)
{
	const struct aipu_load_options *options = load->options;
	int stop = 0;

	if (!load->error && options->progress)
		stop = options->progress(options->argument, load->report.bytes);
	if (stop)
		fail(load, stop, "the load was stopped after %llu of %llu bytes",
		     (unsigned long long)load->report.bytes, (unsigned long long)load->bytes);
}

/* What the device has no room for stays prepped, and goes with the next call. */
static void copies_submit(struct load *load)
{
	int taken = load->staged ? aipu_queue_submit(load->queue) : 0;

	if (taken >= 0) {
		load->staged -= (uint32_t)taken;
		return;
	}
	fail(load, taken, "jobs are not taken: %s", strerror(-taken));
	load->copying -= load->staged;
	load->staged = 0;
}

static void copy_start(struct load *load, struct part *part)
{
	struct aipu_job *job = aipu_queue_get_job(load->queue, (uint64_t)(part - load->parts));

	/* There is a place for each part's. */
	aipu_prep_copy(job, load->segment, load->offset + part->at, load->window,
		       (uint64_t)(part->memory - (char *)load->memory) + part->skip, part->wanted);
	part->state = PART_COPYING;
	load->copying++;
	load->staged++;
	load->report.copies++;
	copies_submit(load);
}

static void copy_ended(struct load *load, const struct aipu_result *result)
{
	struct part *part = &load->parts[result->user_data % PARTS];

	part->state = PART_FREE;
	load->copying--;
	if (result->status)
		fail(load, aipu_status_errno(result->status),
		     "copy of %u bytes to offset %llu of segment %d: %s", part->wanted,
		     (unsigned long long)(load->offset + part->at), load->segment,
		     aipu_status_text(result->status));
	else
		load->report.bytes += part->wanted;
	aipu_queue_seen(load->queue, result);
	tell(load);
}

/* The queue's error means that no result will come; who unbinds the window then waits for the device. */
static void copies_lost(struct load *load, int error)
{
	fail(load, error, "results of jobs: %s", strerror(-error));
	load->copying = 0;
}

static bool copies_take(struct load *load)
{
	const struct aipu_result *result;
	bool any = false;
	int error = 0;

	while (load->copying && !(error = aipu_queue_peek(load->queue, &result))) {
		copy_ended(load, result);
		any = true;
	}
	if (error && error != -EAGAIN)
		copies_lost(load, error);
	return any;
}

static void copies_abort(struct load *load)
{
	for (uint32_t i = 0; i < load->part_count; i++)
		if (load->parts[i].state == PART_COPYING)
			aipu_queue_abort(load->queue, i);
}

/* --- reads ---------------------------------------------------------------------------------------- */

static void read_end(struct load *load, struct part *part)
{
	load->reading--;
	part->state = PART_FREE;
	if (!load->error)
		copy_start(load, part);
}

/* Takes what a read gave; false: the part needs another one. */
static bool read_took(struct load *load, struct part *part, int result)
{
	uint64_t end = part->file_offset + part->have;

	if (load->error || result == -EINTR || result == -EAGAIN)
		return load->error;
	/* The file system opens files so, but does not read them so, or wants larger blocks. */
	if (result == -EINVAL && part->direct) {
		load->report.direct = 0;
		return false;
	}
	if (result < 0) {
		fail(load, result, "read at offset %llu of the file: %s", (unsigned long long)end,
		     strerror(-result));
		return true;
	}
	part->have += (uint32_t)result;
	if (part->have >= part->skip + part->wanted)
		return true;
	/* Less than a block more is the file's end, if the next read has no more of it. */
	part->have = (uint32_t)(part->have / BLOCK * BLOCK);
	if (part->file_offset + part->have == end)
		fail(load, -ENODATA, "the file has become shorter: no byte %llu, %llu are wanted",
		     (unsigned long long)(end + (uint64_t)result),
		     (unsigned long long)(load->file_offset + load->bytes));
	return load->error;
}

static uint32_t read_bytes(const struct part *part)
{
	return (uint32_t)round_up(part->skip + part->wanted) - part->have;
}

/* Begins the next read for the part: 0 or -errno. *result: what it gave, where it has ended already */
static int read_issue(struct load *load, struct part *part, int *result)
{
	uint32_t bytes = read_bytes(part);
	char *memory = part->memory + part->have;
	uint64_t at = part->file_offset + part->have;
	ssize_t got;
	int fd;

	part->direct = load->report.direct;
	fd = part->direct ? load->direct_fd : load->fd;
	load->report.reads++;
	if (load->reader)
		return load->ops->reader_start(load->reader, (uint32_t)(part - load->parts), fd,
					       memory, bytes, at);
	got = pread(fd, memory, bytes, (off_t)at);
	*result = got < 0 ? -errno : (int)got;
	return 0;
}

/* Reads on until the part is whole or a read is under way. */
static void read_go_on(struct load *load, struct part *part)
{
	int error, result = 0;

	do {
		error = read_issue(load, part, &result);
		if (error)
			fail(load, error, "read of the file: %s", strerror(-error));
		else if (load->reader)
			return;
		else
			copies_take(load);
	} while (!error && !read_took(load, part, result));
	read_end(load, part);
}

static bool reads_take(struct load *load)
{
	bool any = false;
	uint32_t tag;
	int result;

	while (load->reader && load->reading &&
	       load->ops->reader_take(load->reader, &tag, &result) == 1) {
		struct part *part = &load->parts[tag % PARTS];

		any = true;
		if (read_took(load, part, result))
			read_end(load, part);
		else
			read_go_on(load, part);
	}
	return any;
}

static bool reads_start(struct load *load)
{
	bool any = false;

	for (uint32_t i = 0; i < load->part_count; i++) {
		struct part *part = &load->parts[i];
		uint64_t from = load->file_offset + load->next, room;

		if (part->state != PART_FREE || load->error || load->next == load->bytes)
			continue;
		*part = (struct part){
			.state = PART_READING,
			.memory = (char *)load->memory + (size_t)i * load->part_bytes,
			.at = load->next,
			.file_offset = from / BLOCK * BLOCK,
			.skip = (uint32_t)(from % BLOCK),
		};
		room = load->part_bytes - part->skip;
		part->wanted = (uint32_t)(load->bytes - load->next < room ? load->bytes - load->next
									  : room);
		load->next += part->wanted;
		load->reading++;
		any = true;
		read_go_on(load, part);
	}
	return any;
}

/* --- both ----------------------------------------------------------------------------------------- */

/* Until a read or a copy has ended, or a signal came */
static void wait_for_some(struct load *load)
{
	const struct aipu_result *result;
	struct pollfd fds[2];
	int error = 0;

	if (load->reading) {
		fds[0].fd = load->ops->reader_fd(load->reader);
		fds[1].fd = aipu_queue_fd(load->queue);
		fds[0].events = fds[1].events = POLLIN;
		if (poll(fds, load->copying ? 2 : 1, -1) < 0)
			error = -errno;
	} else {
		/* The result stays for copies_take. */
		error = aipu_queue_wait(load->queue, &result, -1);
	}
	if (error == -EINTR)
		tell(load);
	else if (error && !load->reading)
		copies_lost(load, error);
}

static void run(struct load *load)
{
	bool aborted = false;

	while (load->reading || load->copying || (!load->error && load->next < load->bytes)) {
		bool any = reads_start(load);

		copies_submit(load);
		any = reads_take(load) || any;
		any = copies_take(load) || any;
		if (load->error && !aborted) {
			copies_abort(load);
			aborted = true;
		}
		if (!any && (load->reading || load->copying))
			wait_for_some(load);
	}
}

/* --- the window ----------------------------------------------------------------------------------- */

static int window_pin(struct load *load, uint64_t bytes)
{
	struct aipu_context *context = load->queue->context;
	int error;

	/* Populated: what was never written is one page of zeros, which cannot be pinned. */
	load->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (load->memory == MAP_FAILED) {
		load->memory = NULL;
		return -errno;
	}
	error = aipu_buffer_import(context->device, load->memory, bytes, AIPU_READ, &load->buffer);
	if (error)
		return error;
	load->window = aipu_segment_bind(context, load->buffer, 0, bytes, AIPU_READ);
	return load->window < 0 ? load->window : 0;
}

static void window_release(struct load *load, uint64_t bytes)
{
	if (load->window >= 0)
		aipu_segment_unbind(load->queue->context, load->window);
	/* Where the device did not let go of it, it is left to the device. */
	if (!aipu_buffer_destroy(load->buffer) && load->memory)
		munmap(load->memory, bytes);
	load->window = -1;
	load->buffer = NULL;
	load->memory = NULL;
}

/* Less might be permitted. */
static bool limited(int error)
{
	return error == -ENOMEM || error == -EPERM || error == -EAGAIN;
}

/* As large as wanted, useful and permitted; 0 or -errno */
static int window_open(struct load *load)
{
	uint64_t wanted = load->options->window_bytes ? load->options->window_bytes : WINDOW_BYTES;
	uint64_t useful = round_up(load->file_offset % BLOCK + load->bytes);
	uint32_t parts = load->queue->capacity < PARTS ? load->queue->capacity : PARTS;
	uint64_t part;
	int error;

	if (wanted > WINDOW_MAX)
		wanted = WINDOW_MAX;
	if (wanted > useful)
		wanted = useful;
	do {
		if (wanted / BLOCK < parts)
			parts = (uint32_t)(wanted / BLOCK);
		part = wanted / parts / BLOCK * BLOCK;
		error = window_pin(load, part * parts);
		if (!error)
			break;
		window_release(load, part * parts);
		wanted /= 2;
	} while (limited(error) && wanted >= BLOCK);
	if (error)
		return aipu_message_set(load->message, error,
					"%llu bytes of memory cannot be pinned: %s%s",
					(unsigned long long)(part * parts), strerror(-error),
					limited(error) ? " (ulimit -l)" : "");
	load->part_bytes = (uint32_t)part;
	load->part_count = parts;
	load->report.window_bytes = part * parts;
	return 0;
}

/* --- the whole ------------------------------------------------------------------------------------ */

static int check(struct load *load)
{
	const struct aipu_load_options *options = load->options;
	struct stat st;

	if (load->segment < 0 || load->fd < 0 || load->bytes > INT64_MAX ||
	    load->file_offset > INT64_MAX - load->bytes || load->offset > INT64_MAX - load->bytes)
		return aipu_message_set(load->message, -EINVAL,
					"load: an argument is out of range");
	if (options->window_bytes && options->window_bytes < BLOCK)
		return aipu_message_set(load->message, -EINVAL,
					"load options: a window of %llu bytes; at least %llu",
					(unsigned long long)options->window_bytes,
					(unsigned long long)BLOCK);
	for (size_t i = 0; i < sizeof(options->reserved) / sizeof(options->reserved[0]); i++)
		if (options->reserved[i])
			return aipu_message_set(load->message, -EINVAL,
						"load options: reserved[%zu] is not zero", i);
	if (load->queue->staged_count || load->queue->in_flight || load->queue->ended_count)
		return aipu_message_set(load->message, -EBUSY, "load: the queue has jobs");
	if (fstat(load->fd, &st))
		return aipu_message_set(load->message, -errno, "load: %s", strerror(errno));
	if ((fcntl(load->fd, F_GETFL) & O_ACCMODE) == O_WRONLY)
		return aipu_message_set(load->message, -EBADF,
					"load: the file is open for writing only");
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return aipu_message_set(load->message, -EINVAL,
					"load: neither a file nor a block device");
	if (S_ISREG(st.st_mode) && (uint64_t)st.st_size < load->file_offset + load->bytes)
		return aipu_message_set(load->message, -ENODATA,
					"the file ends at byte %llu, %llu are wanted",
					(unsigned long long)st.st_size,
					(unsigned long long)(load->file_offset + load->bytes));
	return 0;
}

/* An open file of our own: the caller's flags are shared with others. Not to be had: the page cache it is. */
static void open_direct(struct load *load)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", load->fd);
	load->direct_fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	load->report.direct = load->direct_fd >= 0;
}

static void open_reader(struct load *load)
{
	if (!load->ops->reader_open ||
	    load->ops->reader_open(load->queue->context->device->transport, load->part_count,
				   &load->reader))
		load->reader = NULL;
	load->report.uring = load->reader != NULL;
}

int aipu_load(struct aipu_queue *queue, int segment, uint64_t offset, int fd, uint64_t file_offset,
	      uint64_t bytes, const struct aipu_load_options *options, struct aipu_message *message)
{
	static const struct aipu_load_options defaults;
	struct load load = {
		.queue = queue,
		.message = message,
		.options = options ? options : &defaults,
		.segment = segment,
		.fd = fd,
		.direct_fd = -1,
		.offset = offset,
		.file_offset = file_offset,
		.bytes = bytes,
		.window = -1,
	};
	int error = queue ? check(&load) : -EINVAL;

	if (!error && bytes) {
		load.ops = queue->context->device->ops;
		error = window_open(&load);
	}
	if (!error && bytes) {
		open_direct(&load);
		open_reader(&load);
		run(&load);
		if (load.reader)
			load.ops->reader_close(load.reader);
		if (load.direct_fd >= 0)
			close(load.direct_fd);
		window_release(&load, load.report.window_bytes);
		error = load.error;
	}
	if (load.options->report)
		*load.options->report = load.report;
	return error;
}
