/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Contexts on the card, their segments and programs. The table on the card is changed by admin
 * commands only; a segment's buffer is held and its pages stay mapped until the card has said that
 * no access through it runs or can start: UNBIND done, context destroyed, or the card stopped.
 */
#ifndef AIPU_CONTEXT_H
#define AIPU_CONTEXT_H

#include <linux/kref.h>

#include "aipu_buffer.h"
#include "aipu_drv.h"

/**
 * struct aipu_segment - a binding
 * @buffer: held
 * @pinned: host memory, pinned and mapped while this exists
 * @unbind: made beforehand: ending something needs no memory
 * @unbinding: the card has @unbind, and perhaps nobody waits for it (its caller was interrupted)
 * @extents: the list that a BIND without an answer left to the card, or NULL
 */
struct aipu_segment {
	struct aipu_buffer *buffer;
	bool pinned, unbinding;
	struct aipu_command *unbind;
	struct aipu_extent_list *extents;
};

/**
 * struct aipu_context - a context
 * @refs: one of its file (or the device, for the kernel's own), one of each queue, one of each user
 * @aipu: the card
 * @file: whose it is; NULL: the kernel's. Not to be followed after the file is closed
 * @user: who made it
 * @id: on the card, not in the file
 * @epoch: in which it was made; see aipu_drv.h
 * @dead: being destroyed: nothing new is made in it. Under @lock
 * @lock: segments, programs, queues of this context
 * @unbind_lock: one UNBIND at a time: they wait on the card, each in a place of the admin queue
 * @unbind: the last one, which the card may still have; held
 * @destroy: the command that ends it, made beforehand
 * @segments: struct aipu_segment by id
 * @programs: ids in use (values are marks)
 * @queues: struct aipu_ioq.in_context, under @lock
 */
struct aipu_context {
	struct kref refs;
	struct aipu_device *aipu;
	struct aipu_file *file;
	kuid_t user;
	u32 id;
	u64 epoch;
	bool dead;
	struct mutex lock;
	struct mutex unbind_lock;
	struct aipu_command *unbind, *destroy;
	struct xarray segments, programs;
	struct list_head queues;
};

/*
 * 0 and *context with a reference, and published in aipu->contexts; -ENOSPC, -ENOMEM, -errno of the
 * command. Under aipu_enter().
 */
int aipu_context_create(struct aipu_device *aipu, struct aipu_file *file, u32 priority, u32 weight,
			struct aipu_context **context);
void aipu_context_put(struct aipu_context *context);
bool aipu_user_beyond(struct aipu_device *aipu); /* the caller's share of contexts and queues */
/* A reference, or NULL: no such context in this file */
struct aipu_context *aipu_context_get(struct aipu_file *file, u32 id);
/*
 * For an ioctl that needs it alive and locked, and the card as it is: -ENOENT, as aipu_enter(), or
 * as aipu_context_alive()
 */
struct aipu_context *aipu_context_enter(struct aipu_file *file, u32 id, int *idx);
void aipu_context_exit(struct aipu_context *context, int idx);
/* 0, or -ECANCELED: lost to a reset, or being destroyed. Under reset_lock. */
int aipu_context_alive(struct aipu_context *context);
/*
 * After a reset, when the card does no DMA: lets go of all buffers. Under reset_lock for writing.
 */
void aipu_context_lost(struct aipu_context *context);
/*
 * Both enter the card themselves: not under aipu_enter(). bind pins host memory before. 0 and *id;
 * -EINVAL (range, alignment, access), -EACCES, -E2BIG (more pieces than the card takes), -ENOSPC,
 * -ECANCELED (lost), -ENOMEM, -errno of the command.
 */
int aipu_segment_bind(struct aipu_context *context, struct aipu_buffer *buffer, u64 offset,
		      u64 length, u32 access, u32 *id);
/*
 * 0 when no access runs or can start, also where the card was stopped; -ENOENT. `held`: jobs may
 * hold it, so the wait can be interrupted: -ERESTARTSYS, and it goes on without us
 */
int aipu_segment_unbind(struct aipu_context *context, u32 id, bool held);
/* All of them, when the card no longer reaches them. Under context->lock. */
void aipu_segments_release(struct aipu_context *context);

int aipu_context_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int aipu_context_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int aipu_context_reset_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int aipu_segment_bind_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int aipu_segment_unbind_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int aipu_program_load_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int aipu_program_unload_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
/* All contexts of a file that is being closed */
void aipu_contexts_close(struct aipu_file *file);

#endif
