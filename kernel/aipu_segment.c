// SPDX-License-Identifier: GPL-2.0
/*
 * Segments: what a context's jobs may reach. A binding holds its buffer, pinned and mapped, until
 * the card has said that no access through it runs or can start. Waiting for that takes as long as
 * the jobs that use it, so nobody waits under a lock but the one that keeps a context to one UNBIND
 * at a time.
 */
#include <linux/slab.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>

#include "aipu_check.h"
#include "aipu_context.h"
#include "aipu_reset.h"

/* --- extent lists ----------------------------------------------------------------------------- */

struct extent_place {
	struct aipu_extent_page *page;
	dma_addr_t address;
};

/* For one BIND: the card copies it before it answers */
struct aipu_extent_list {
	struct device *dev;
	unsigned int pages, count;
	struct extent_place *list;
};

static void extents_free(struct aipu_extent_list *extents)
{
	for (unsigned int i = 0; i < extents->pages; i++)
		dma_free_coherent(extents->dev, sizeof(struct aipu_extent_page),
				  extents->list[i].page, extents->list[i].address);
	kvfree(extents->list);
	kfree(extents);
}

static struct aipu_extent_list *extents_alloc(struct device *dev, unsigned int count)
{
	struct aipu_extent_list *extents = kzalloc(sizeof(*extents), GFP_KERNEL_ACCOUNT);
	unsigned int pages = DIV_ROUND_UP(count, AIPU_EXTENTS_PER_PAGE);

	if (!extents)
		return NULL;
	extents->dev = dev;
	extents->count = count;
	extents->list = kvcalloc(pages, sizeof(*extents->list), GFP_KERNEL_ACCOUNT);
	if (!extents->list) {
		extents_free(extents);
		return NULL;
	}
	for (unsigned int i = 0; i < pages; i++) {
		struct aipu_extent_page *page;

		page = dma_alloc_coherent(dev, sizeof(*page), &extents->list[i].address,
					  GFP_KERNEL_ACCOUNT);
		if (!page) {
			extents_free(extents);
			return NULL;
		}
		extents->list[i].page = page;
		extents->pages++;
		if (i)
			extents->list[i - 1].page->next = cpu_to_le64(extents->list[i].address);
	}
	return extents;
}

static void put_nothing(void *to, unsigned int i, u64 address, u64 bytes)
{
}

static void put_extent(void *to, unsigned int i, u64 address, u64 bytes)
{
	struct aipu_extent_list *extents = to;
	struct aipu_extent *extent;

	extent = &extents->list[i / AIPU_EXTENTS_PER_PAGE].page->extents[i % AIPU_EXTENTS_PER_PAGE];
	extent->address = cpu_to_le64(address);
	extent->bytes = cpu_to_le64(bytes);
}

/* --- bind ------------------------------------------------------------------------------------- */

static bool in_device(const struct aipu_buffer *buffer)
{
	return buffer->kind == DRM_AIPU_BUFFER_DEVICE;
}

/* The card has the command, perhaps, and will do as it says until the reset that comes. */
static bool unanswered(int err)
{
	return err == -ETIMEDOUT || err == -ECANCELED;
}

/* Everything the card is told of it. Under aipu_enter() and the context's lock. */
static int give_bind(struct aipu_context *context, struct aipu_segment *segment,
		     struct sg_table *table, u64 offset, u64 length, u32 access, u32 id)
{
	struct aipu_buffer *buffer = segment->buffer;
	struct aipu_device *aipu = context->aipu;
	struct aipu_admin entry = { .opcode = AIPU_ADMIN_BIND };
	struct aipu_segment_descriptor *descriptor = &entry.bind.descriptor;
	struct aipu_extent_list *extents;
	unsigned int count;
	int err;

	entry.bind.context = cpu_to_le32(context->id);
	entry.bind.segment = cpu_to_le32(id);
	descriptor->access = access;
	descriptor->length = cpu_to_le64(length);
	if (in_device(buffer)) {
		descriptor->kind = AIPU_SEGMENT_DEVICE;
		descriptor->address = cpu_to_le64(buffer->node.start + offset);
		return aipu_admin_run(aipu, &entry, NULL);
	}
	count = aipu_each_extent(table, offset, length, put_nothing, NULL);
	if (!count)
		return -EINVAL;
	if (count > aipu->limits.max_extents)
		return -E2BIG;
	extents = extents_alloc(aipu->drm.dev, count);
	if (!extents)
		return -ENOMEM;
	aipu_each_extent(table, offset, length, put_extent, extents);
	descriptor->kind = AIPU_SEGMENT_HOST;
	descriptor->extent_count = cpu_to_le32(count);
	descriptor->address = cpu_to_le64(extents->list[0].address);
	err = aipu_admin_run(aipu, &entry, NULL);
	/* Without an answer the card may still read the list: it goes with the segment. */
	if (unanswered(err))
		segment->extents = extents;
	else
		extents_free(extents);
	return err;
}

static void segment_free(struct aipu_segment *segment)
{
	if (segment->pinned)
		aipu_buffer_unpin(segment->buffer);
	drm_gem_object_put(&segment->buffer->shmem.base);
	aipu_command_put(segment->unbind);
	if (segment->extents)
		extents_free(segment->extents);
	kfree(segment);
}

/* Holds the buffer, pins it; *table of host memory */
static struct aipu_segment *segment_alloc(struct aipu_buffer *buffer, struct sg_table **table)
{
	struct aipu_segment *segment = kzalloc(sizeof(*segment), GFP_KERNEL_ACCOUNT);
	int err;

	if (!segment)
		return ERR_PTR(-ENOMEM);
	drm_gem_object_get(&buffer->shmem.base);
	segment->buffer = buffer;
	segment->unbind = aipu_command_create(AIPU_ADMIN_UNBIND);
	if (segment->unbind && in_device(buffer))
		return segment;
	err = segment->unbind ? aipu_buffer_pin(buffer, table) : -ENOMEM;
	if (err) {
		segment_free(segment);
		return ERR_PTR(err);
	}
	segment->pinned = true;
	return segment;
}

/* *kept: it is the context's from now on, also on failure */
static int segment_publish(struct aipu_context *context, struct aipu_segment *segment,
			   struct sg_table *table, u64 offset, u64 length, u32 access, u32 *id,
			   bool *kept)
{
	int err;

	*kept = false;
	guard(mutex)(&context->lock);
	err = aipu_context_alive(context);
	if (err)
		return err;
	err = xa_alloc(&context->segments, id, NULL,
		       XA_LIMIT(0, context->aipu->limits.max_segments - 1), GFP_KERNEL_ACCOUNT);
	if (err)
		return err == -EBUSY ? -ENOSPC : err;
	err = give_bind(context, segment, table, offset, length, access, *id);
	/* Without an answer it may be bound: its memory stays with the context until the reset. */
	*kept = !err || unanswered(err);
	if (*kept)
		xa_store(&context->segments, *id, segment, GFP_KERNEL_ACCOUNT);
	else
		xa_erase(&context->segments, *id);
	return err;
}

/* Checked; under drm_dev_enter(), and not under reset_lock: pinning may take long. */
static int bind(struct aipu_context *context, struct aipu_buffer *buffer, u64 offset, u64 length,
		u32 access, u32 *id)
{
	struct aipu_device *aipu = context->aipu;
	struct aipu_segment *segment;
	struct sg_table *table = NULL;
	bool kept = false;
	int idx, err;

	segment = segment_alloc(buffer, &table);
	if (IS_ERR(segment))
		return PTR_ERR(segment);
	err = aipu_enter(aipu, &idx);
	if (!err) {
		err = segment_publish(context, segment, table, offset, length, access, id, &kept);
		aipu_exit(aipu, idx);
	}
	if (!kept)
		segment_free(segment);
	return err;
}

int aipu_segment_bind(struct aipu_context *context, struct aipu_buffer *buffer, u64 offset,
		      u64 length, u32 access, u32 *id)
{
	struct drm_device *drm = &context->aipu->drm;
	int idx, err;

	err = aipu_segment_check(buffer->shmem.base.size, offset, length, access,
				 in_device(buffer));
	if (err)
		return err;
	if (access & DRM_AIPU_ACCESS_WRITE && buffer->flags & DRM_AIPU_BUFFER_READ_ONLY)
		return -EACCES;
	/* Of a function that is gone there is no mapping to be made, nor one to be ended. */
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	err = bind(context, buffer, offset, length, access, id);
	drm_dev_exit(idx);
	return err;
}

/* --- unbind ----------------------------------------------------------------------------------- */

/*
 * With a reference, the UNBIND of a segment, given now or before, or the one that has to end first:
 * the card has one of each context at most. NULL: no such segment any more
 */
static struct aipu_command *unbind_begin(struct aipu_context *context, u32 id)
{
	struct aipu_segment *segment;
	struct aipu_command *command;
	int err;

	guard(mutex)(&context->lock);
	segment = xa_load(&context->segments, id);
	if (!segment)
		return NULL;
	if (!segment->unbinding && (!context->unbind || completion_done(&context->unbind->done))) {
		command = segment->unbind;
		command->entry.unbind.context = cpu_to_le32(context->id);
		command->entry.unbind.segment = cpu_to_le32(id);
		reinit_completion(&command->done);
		err = aipu_command_give(context->aipu, command);
		if (err)
			return ERR_PTR(err);
		segment->unbinding = true;
		kref_get(&command->refs);
		aipu_command_put(context->unbind);
		context->unbind = command;
	}
	command = segment->unbinding ? segment->unbind : context->unbind;
	kref_get(&command->refs);
	return command;
}

/*
 * After the command has ended; what the card refused to unbind it still has. -EAGAIN: it was
 * another segment's
 */
static int unbind_end(struct aipu_context *context, u32 id, struct aipu_command *command)
{
	struct aipu_segment *segment;
	int err;

	guard(mutex)(&context->lock);
	segment = xa_load(&context->segments, id);
	if (segment && !segment->unbinding)
		return -EAGAIN;
	/* Gone with its context, or with the card's stop: as good. */
	if (!segment || segment->unbind != command)
		return 0;
	err = command->error ?: aipu_status_errno(le16_to_cpu(command->result.status));
	if (err) {
		segment->unbinding = false;
		return err;
	}
	xa_erase(&context->segments, id);
	segment_free(segment);
	return 0;
}

/* Where no job holds the segment the card answers soon, or is reset; no signal ends the wait. */
static int unbind_wait(struct aipu_device *aipu, struct aipu_command *command, bool held)
{
	if (held)
		return wait_for_completion_interruptible(&command->done);
	if (!wait_for_completion_timeout(&command->done, msecs_to_jiffies(aipu_timeout_ms(aipu)))) {
		aipu_reset_ask(aipu, "an UNBIND had no answer");
		wait_for_completion(&command->done);
	}
	return 0;
}

/* As aipu_enter(), but where no job holds the segment no signal may leave it to the card. */
static int unbind_enter(struct aipu_device *aipu, bool held, int *idx)
{
	if (held)
		return aipu_enter(aipu, idx);
	if (!drm_dev_enter(&aipu->drm, idx))
		return -ENODEV;
	down_read(&aipu->reset_lock);
	return 0;
}

static int unbind(struct aipu_context *context, u32 id, bool held)
{
	struct aipu_device *aipu = context->aipu;
	struct aipu_command *command;
	int idx, err;

	err = unbind_enter(aipu, held, &idx);
	if (err)
		return err;
	/* Of a card that is not READY no context is. */
	err = aipu_context_alive(context);
	command = err ? ERR_PTR(err) : unbind_begin(context, id);
	aipu_exit(aipu, idx);
	if (IS_ERR_OR_NULL(command))
		return command ? PTR_ERR(command) : -ENOENT;
	err = unbind_wait(aipu, command, held) ?: unbind_end(context, id, command);
	aipu_command_put(command);
	return err;
}

int aipu_segment_unbind(struct aipu_context *context, u32 id, bool held)
{
	int err;

	if (!held)
		mutex_lock(&context->unbind_lock);
	else if (mutex_lock_interruptible(&context->unbind_lock))
		return -ERESTARTSYS;
	do {
		err = unbind(context, id, held);
	} while (err == -EAGAIN);
	mutex_unlock(&context->unbind_lock);
	return err;
}

void aipu_segments_release(struct aipu_context *context)
{
	struct aipu_segment *segment;
	unsigned long id;

	xa_for_each(&context->segments, id, segment) {
		xa_erase(&context->segments, id);
		segment_free(segment);
	}
}

/* --- ioctls ----------------------------------------------------------------------------------- */

int aipu_segment_bind_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct drm_aipu_segment_bind *args = data;
	struct drm_gem_object *gem;
	struct aipu_context *context;
	int err = -ENOENT;

	if (args->pad || args->flags & ~DRM_AIPU_SEGMENT_SYNC)
		return -EINVAL;
	if (args->flags & DRM_AIPU_SEGMENT_SYNC)
		return -EOPNOTSUPP;
	context = aipu_context_get(drm_file->driver_priv, args->context);
	if (!context)
		return -ENOENT;
	gem = drm_gem_object_lookup(drm_file, args->handle);
	if (gem) {
		err = aipu_segment_bind(context, to_aipu_buffer(gem), args->offset, args->length,
					args->access, &args->segment);
		drm_gem_object_put(gem);
	}
	aipu_context_put(context);
	return err;
}

int aipu_segment_unbind_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct drm_aipu_segment_unbind *args = data;
	struct aipu_context *context;
	int err;

	context = aipu_context_get(drm_file->driver_priv, args->context);
	if (!context)
		return -ENOENT;
	err = aipu_segment_unbind(context, args->segment, true);
	aipu_context_put(context);
	return err;
}
