/* SPDX-License-Identifier: MIT */
/*
 * Between libaipu's front (validation, user data, results) and a transport (how commands reach a device).
 * A transport is a shared object with one exported function, aipu_transport_plugin. The front checks
 * arguments and ownership; a transport trusts the front, but nothing that comes from the device.
 *
 * A transport defines the structures that are only named here. Everything may be called by several
 * threads at once for different objects; of a queue, abort may run beside the rest.
 */
#ifndef AIPU_TRANSPORT_H
#define AIPU_TRANSPORT_H

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#include "aipu/aipu.h"
#include "aipu/manage.h"
#include "aipu_queue.h"

/* Raised with every change of this header: front and transports are of one build */
#define AIPU_TRANSPORT_VERSION 6u

struct aipu_transport_device;
struct aipu_transport_context;
struct aipu_transport_buffer;
struct aipu_transport_queue;
struct aipu_transport_reader;

struct aipu_transport_ops {
	uint32_t version; /* AIPU_TRANSPORT_VERSION */
	const char *name;

	/* name as given to aipu_device_open, NULL: any. On failure the message, which may be NULL, says why */
	int (*device_open)(struct aipu_transport_device **device, const char *name,
			   const struct aipu_device_options *options, struct aipu_message *message);
	void (*device_close)(struct aipu_transport_device *device);
	/* Any thread */
	int (*device_query)(struct aipu_transport_device *device, struct aipu_device_info *info);

	/* Of manage.h. Any thread. NULL: -EOPNOTSUPP. All of *telemetry is AIPU_UNKNOWN when it is called */
	int (*device_telemetry)(struct aipu_transport_device *device,
				struct aipu_telemetry *telemetry);
	int (*device_set_limits)(struct aipu_transport_device *device, uint32_t power_mw,
				 uint32_t clock_mhz);
	int (*device_reset)(struct aipu_transport_device *device, unsigned int flags,
			    struct aipu_message *message);
	/*
	 * op: enum aipu_admin_opcode, FLASH_*. INFO: data is a struct aipu_flash_info; *error: COMMIT's, else not written
	 */
	int (*flash)(struct aipu_transport_device *device, unsigned int op, uint32_t slot,
		     uint64_t offset, void *data, uint32_t bytes, uint32_t *error);

	/* The options are right in themselves; -EOPNOTSUPP: what the device does not offer */
	int (*context_create)(struct aipu_transport_device *device,
			      const struct aipu_context_options *options,
			      struct aipu_transport_context **context);
	void (*context_destroy)(struct aipu_transport_context *context);
	int (*context_reset)(struct aipu_transport_context *context);

	/* flags: AIPU_BUFFER_KV, which a transport that tells nobody may ignore; buffer_destroy: -EBUSY while bound */
	int (*buffer_create)(struct aipu_transport_device *device, enum aipu_buffer_kind kind,
			     uint64_t bytes, unsigned int flags,
			     struct aipu_transport_buffer **buffer);
	int (*buffer_import)(struct aipu_transport_device *device, void *memory, uint64_t bytes,
			     unsigned int access, struct aipu_transport_buffer **buffer);
	/* The front has looked that the file is that long */
	int (*buffer_map_file)(struct aipu_transport_device *device, int fd, uint64_t offset,
			       uint64_t bytes, struct aipu_transport_buffer **buffer);
	int (*buffer_destroy)(struct aipu_transport_buffer *buffer);
	void *(*buffer_data)(struct aipu_transport_buffer *buffer);

	int (*segment_bind)(struct aipu_transport_context *context,
			    struct aipu_transport_buffer *buffer, uint64_t offset, uint64_t length,
			    unsigned int access);
	int (*segment_unbind)(struct aipu_transport_context *context, uint32_t segment);

	/* 0 and *id; -ENOEXEC and *detail = AIPU_REFUSAL(reason, index); another -errno, *detail = 0 */
	int (*program_load)(struct aipu_transport_context *context, uint32_t segment,
			    uint64_t offset, uint32_t bytes, uint32_t *id, uint32_t *detail);
	int (*program_unload)(struct aipu_transport_context *context, uint32_t id);

	/* capacity: jobs in flight at most; their ids are below it */
	int (*queue_create)(struct aipu_transport_context *context, uint32_t capacity,
			    struct aipu_transport_queue **queue);
	void (*queue_destroy)(struct aipu_transport_queue *queue);
	/* Takes the first n jobs with one doorbell and returns n */
	int (*queue_submit)(struct aipu_transport_queue *queue, const struct aipu_job *jobs,
			    uint32_t count);
	/* Takes up to count completions; when there is none, the fd is no longer readable */
	int (*queue_reap)(struct aipu_transport_queue *queue, struct aipu_completion *completions,
			  uint32_t count);
	/* Returns 0 when there may be something to reap or a token record: -ETIME, -EINTR, -EIO */
	int (*queue_wait)(struct aipu_transport_queue *queue, int64_t timeout_ns);
	int (*queue_fd)(struct aipu_transport_queue *queue);
	/* -ENOENT: it has ended */
	int (*queue_abort)(struct aipu_transport_queue *queue, uint16_t id);
	/* The caller made room in a token ring that paused its job */
	int (*queue_kick)(struct aipu_transport_queue *queue);

	/*
	 * Reads of files that go on by themselves, `depth` at once; the memory is the caller's until take has told of the read.
	 * NULL, or refused by open: the front reads for itself. start: 0 or -errno. take: 1 and what read() would give, 0: none
	 * has ended, then the fd is not readable. close: none is in flight.
	 */
	int (*reader_open)(struct aipu_transport_device *device, uint32_t depth,
			   struct aipu_transport_reader **reader);
	int (*reader_start)(struct aipu_transport_reader *reader, uint32_t tag, int fd,
			    void *memory, uint32_t bytes, uint64_t offset);
	int (*reader_take)(struct aipu_transport_reader *reader, uint32_t *tag, int *result);
	int (*reader_fd)(struct aipu_transport_reader *reader);
	void (*reader_close)(struct aipu_transport_reader *reader);
};

/* NULL: made for another version of this header */
typedef const struct aipu_transport_ops *(*aipu_transport_plugin_fn)(uint32_t version);
#define AIPU_TRANSPORT_SYMBOL "aipu_transport_plugin"
const struct aipu_transport_ops *aipu_transport_plugin(uint32_t version);

/* Fills the message, if there is one, and returns `error` */
__attribute__((format(printf, 3, 4))) static inline int
aipu_message_set(struct aipu_message *message, int error, const char *format, ...)
{
	va_list list;

	if (message) {
		va_start(list, format);
		vsnprintf(message->text, sizeof(message->text), format, list);
		va_end(list);
	}
	return error;
}

/*
 * Full fence between a store to a shared ring and the next load from it. mfence and not the compiler's
 * own choice on x86: under emulation on one CPU lock-prefixed operations are no fence towards another
 * process.
 */
static inline void aipu_full_fence(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__asm__ volatile("mfence" ::: "memory");
#else
	__sync_synchronize();
#endif
}

#endif
