/* SPDX-License-Identifier: MIT */
/*
 * Inside the drm transport: a card behind aipu_accel, the kernel driver. From libaipu's operations to ioctls and io_uring; the
 * driver checks, the transport translates. It keeps no memory of the card's state but sequence numbers.
 */
#ifndef AIPU_CARD_H
#define AIPU_CARD_H

#include <stdatomic.h>

#include <liburing.h>

#include "drm/aipu_accel.h"
#include "transport.h"

struct aipu_transport_device {
	int fd;
	char node[32]; /* "/dev/accel/accel0" */
	char pci[32]; /* "0000:01:00.0" */
	uint32_t version; /* of the driver's user API: major << 16 | minor */
	struct drm_aipu_device info; /* when it was opened */
	/* Try io_uring; false after it was refused once, by whatever thread made a queue */
	atomic_bool uring;
};

struct aipu_transport_context {
	struct aipu_transport_device *device;
	uint32_t id;
	pthread_mutex_t lock;
	struct aipu_transport_buffer **bound; /* by segment */
};

struct aipu_transport_buffer {
	struct aipu_transport_device *device;
	uint32_t handle; /* 0: a file's memory that was not bound yet */
	bool in_device; /* device memory */
	uint64_t bytes; /* whole pages */
	void *data; /* mapped, or NULL */
	bool mapped; /* by us */
	bool read_only;
	atomic_uint bindings;
};

/* A job in flight */
struct card_job {
	uint64_t sequence; /* 0: not in flight */
	/* What becomes of it although it is a NOP to the card: the driver would not pass it on */
	uint32_t detail;
	uint16_t status;
};

struct aipu_transport_queue {
	struct aipu_transport_context *context;
	uint32_t id;
	uint32_t mask; /* of `ids`: at least as many as can be in flight */
	int event;
	uint64_t next; /* sequence of the next job */
	uint64_t oldest; /* none before it is in flight */
	uint64_t orphans; /* those from here on get no result from the driver, but `lost` */
	int lost; /* why, or 0 */
	pthread_mutex_t lock; /* `slots`: abort comes from other threads */
	uint16_t *ids; /* the front's id of a sequence in flight */
	struct card_job *slots; /* by the front's ids */
	bool uring;
	struct io_uring ring;
	/* Room for one ioctl, so that nothing is allocated on the way */
	struct aipu_job *jobs;
	struct drm_aipu_result *results;
	uint32_t capacity;
};

/* ioctl(), -errno; restarted on EINTR, never on EAGAIN as drmIoctl() does */
int card_ioctl(const struct aipu_transport_device *device, unsigned long request, void *argument);
int card_read_info(const struct aipu_transport_device *device, struct drm_aipu_device *info);
/*
 * Fills in fd, node, pci and version of the card that the name means, NULL: the first that can be had. -ENODEV: there is none, also
 * none that cannot be had; -EACCES, -ENXIO: it is there
 */
int card_find(struct aipu_transport_device *device, const char *name, struct aipu_message *message);

int card_telemetry(struct aipu_transport_device *device, struct aipu_telemetry *telemetry);
int card_set_limits(struct aipu_transport_device *device, uint32_t power_mw, uint32_t clock_mhz);
int card_reset(struct aipu_transport_device *device, unsigned int flags,
	       struct aipu_message *message);
int card_flash(struct aipu_transport_device *device, unsigned int op, uint32_t slot,
	       uint64_t offset, void *data, uint32_t bytes, uint32_t *error);

int card_context_create(struct aipu_transport_device *device,
			const struct aipu_context_options *options,
			struct aipu_transport_context **context);
void card_context_destroy(struct aipu_transport_context *context);
int card_context_reset(struct aipu_transport_context *context);
int card_segment_bind(struct aipu_transport_context *context, struct aipu_transport_buffer *buffer,
		      uint64_t offset, uint64_t length, unsigned int access);
int card_segment_unbind(struct aipu_transport_context *context, uint32_t segment);
int card_program_load(struct aipu_transport_context *context, uint32_t segment, uint64_t offset,
		      uint32_t bytes, uint32_t *id, uint32_t *detail);
int card_program_unload(struct aipu_transport_context *context, uint32_t id);

int card_buffer_create(struct aipu_transport_device *device, enum aipu_buffer_kind kind,
		       uint64_t bytes, unsigned int flags, struct aipu_transport_buffer **buffer);
int card_buffer_import(struct aipu_transport_device *device, void *memory, uint64_t bytes,
		       unsigned int access, struct aipu_transport_buffer **buffer);
int card_buffer_map_file(struct aipu_transport_device *device, int fd, uint64_t offset,
			 uint64_t bytes, struct aipu_transport_buffer **buffer);
int card_buffer_destroy(struct aipu_transport_buffer *buffer);
void *card_buffer_data(struct aipu_transport_buffer *buffer);
/* Makes it known to the driver if it is not yet */
int card_buffer_realize(struct aipu_transport_buffer *buffer);

int card_queue_create(struct aipu_transport_context *context, uint32_t capacity,
		      struct aipu_transport_queue **queue);
void card_queue_destroy(struct aipu_transport_queue *queue);
int card_queue_submit(struct aipu_transport_queue *queue, const struct aipu_job *jobs,
		      uint32_t count);
int card_queue_reap(struct aipu_transport_queue *queue, struct aipu_completion *completions,
		    uint32_t count);
int card_queue_wait(struct aipu_transport_queue *queue, int64_t timeout_ns);
int card_queue_fd(struct aipu_transport_queue *queue);
int card_queue_abort(struct aipu_transport_queue *queue, uint16_t id);
int card_queue_kick(struct aipu_transport_queue *queue);

int card_reader_open(struct aipu_transport_device *device, uint32_t depth,
		     struct aipu_transport_reader **reader);
int card_reader_start(struct aipu_transport_reader *reader, uint32_t tag, int fd, void *memory,
		      uint32_t bytes, uint64_t offset);
int card_reader_take(struct aipu_transport_reader *reader, uint32_t *tag, int *result);
int card_reader_fd(struct aipu_transport_reader *reader);
void card_reader_close(struct aipu_transport_reader *reader);

#endif
