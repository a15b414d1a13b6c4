/* SPDX-License-Identifier: MIT */
/*
 * The front's objects: each holds its parent and the transport's half. Only libaipu's own files include
 * this; nothing here is exported.
 */
#ifndef AIPU_INTERNAL_H
#define AIPU_INTERNAL_H

#include <pthread.h>

#include "transport.h"

struct aipu_device {
	const struct aipu_transport_ops *ops;
	struct aipu_transport_device *transport;
	const char *name;
};

struct aipu_context {
	struct aipu_device *device;
	struct aipu_transport_context *transport;
};

struct aipu_buffer {
	struct aipu_device *device;
	struct aipu_transport_buffer *transport;
	uint64_t bytes;
	unsigned int access; /* what a binding may ask for */
};

struct aipu_program {
	struct aipu_context *context;
	uint32_t id;
};

enum aipu_queue_slot_state {
	AIPU_QUEUE_SLOT_FREE,
	AIPU_QUEUE_SLOT_STAGED, /* handed out by get_job, not submitted */
	AIPU_QUEUE_SLOT_IN_FLIGHT,
	AIPU_QUEUE_SLOT_ENDED, /* its result waits to be seen */
};

/* A place for one job from get_job to seen; its index is the job's id on the device */
struct aipu_queue_slot {
	uint64_t user_data;
	enum aipu_queue_slot_state state;
	uint32_t aborts; /* running aipu_queue_abort calls: the id must not be used again before they end */
	struct aipu_result result;
};

struct aipu_queue {
	struct aipu_context *context;
	struct aipu_transport_queue *transport;
	uint32_t capacity;
	int error; /* sticky: the device answered what cannot be */
	/* Guards all below; other threads come for aipu_queue_abort only */
	pthread_mutex_t lock;
	struct aipu_queue_slot *slots;
	struct aipu_job *jobs; /* staged ones, in order */
	uint32_t *staged; /* their slots */
	uint32_t *free; /* a stack */
	uint32_t *ended; /* a ring of `capacity` */
	uint32_t staged_count, free_count, ended_first, ended_count, in_flight;
};

/* Loads lib<name>.so's operations; never unloaded. -ENOENT, -EPROTO */
int aipu_plugin_load(const char *file, const struct aipu_transport_ops **ops,
		     struct aipu_message *message);
/* What aipu_device_open does once the transport is known. Tests give one of their own. */
int aipu_device_open_transport(struct aipu_device **device, const struct aipu_transport_ops *ops,
			       const char *name, const struct aipu_device_options *options,
			       struct aipu_message *message);
/* Moves completions into slots; 0 or -errno. *waiting: results that wait to be seen */
int aipu_queue_collect(struct aipu_queue *queue, uint32_t *waiting);

#endif
