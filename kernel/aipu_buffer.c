// SPDX-License-Identifier: GPL-2.0
/*
 * Buffers of all kinds: where their memory comes from, how it is mapped for processes and for the
 * card, and how it is given back. Device memory is handed out by drm_mm: pieces are contiguous, of
 * any size and never moved, so there is nothing that a buddy's orders or TTM's eviction would add.
 * Whoever gets device memory finds zeros: the card itself fills it before.
 */
#include <linux/dma-buf.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_prime.h>

#include <drm/aipu_accel.h>

#include "aipu_buffer.h"
#include "aipu_compat.h"
#include "aipu_context.h"
#include "aipu_ioq.h"
#include "aipu_reset.h"

#define MAX_BYTES BIT_ULL(40)
#define CLEAR_MS(bytes) (60000u + (u32)((bytes) >> 14)) /* to fill them with zeros, at the most */
#define PIN_CHUNK 4096ul /* pages between two looks for a fatal signal */

/* --- objects ---------------------------------------------------------------------------------- */

static const struct drm_gem_object_funcs device_funcs, host_funcs, user_funcs, import_funcs;

static struct aipu_buffer *buffer_alloc(u32 kind)
{
	struct aipu_buffer *buffer = kzalloc(sizeof(*buffer), GFP_KERNEL_ACCOUNT);

	if (!buffer)
		return NULL;
	buffer->kind = kind;
	mutex_init(&buffer->lock);
	return buffer;
}

/* For drm_gem_shmem_create() */
struct drm_gem_object *aipu_gem_create_object(struct drm_device *drm, size_t bytes)
{
	struct aipu_buffer *buffer = buffer_alloc(DRM_AIPU_BUFFER_HOST);

	if (!buffer)
		return ERR_PTR(-ENOMEM);
	buffer->shmem.base.funcs = &host_funcs;
	return &buffer->shmem.base;
}

static struct aipu_buffer *private_create(struct aipu_device *aipu, u32 kind, u64 bytes,
					  const struct drm_gem_object_funcs *funcs)
{
	struct aipu_buffer *buffer = buffer_alloc(kind);

	if (!buffer)
		return ERR_PTR(-ENOMEM);
	buffer->shmem.base.funcs = funcs;
	drm_gem_private_object_init(&aipu->drm, &buffer->shmem.base, bytes);
	return buffer;
}

static void private_free(struct aipu_buffer *buffer)
{
	drm_gem_object_release(&buffer->shmem.base);
	mutex_destroy(&buffer->lock);
	kfree(buffer);
}

/* --- device memory ---------------------------------------------------------------------------- */

static void device_free(struct drm_gem_object *gem)
{
	struct aipu_buffer *buffer = to_aipu_buffer(gem);
	struct aipu_device *aipu = to_aipu(gem->dev);

	if (drm_mm_node_allocated(&buffer->node)) {
		scoped_guard(mutex, &aipu->memory_lock) {
			drm_mm_remove_node(&buffer->node);
			aipu->memory_used -= gem->size;
		}
		atomic64_sub(gem->size, &buffer->file->memory_used);
		aipu_file_put(buffer->file);
	}
	private_free(buffer);
}

/* No get_sg_table: another device cannot map it (it would need PCI_P2PDMA); processes can. */
static const struct drm_gem_object_funcs device_funcs = {
	.free = device_free,
	.mmap = aipu_buffer_mmap,
	.vm_ops = &aipu_device_vm_ops,
};

struct clearing {
	struct completion done;
	int error;
};

static void clearing_ended(void *arg, const struct drm_aipu_result *result)
{
	struct clearing *clearing = arg;

	clearing->error = result->error;
	complete(&clearing->done);
}

/*
 * Gives the FILL; the queue is held then. Jobs of the kernel's own queue are given one at a time.
 */
static int give_fill(struct aipu_context *own, u32 segment, u64 bytes, struct clearing *clearing)
{
	struct aipu_device *aipu = own->aipu;
	const struct aipu_job job = {
		.opcode = AIPU_JOB_FILL,
		.timeout_ms = cpu_to_le32(CLEAR_MS(bytes)),
		.fill = { .segment = cpu_to_le32(segment), .length = cpu_to_le64(bytes) },
	};
	struct aipu_give give = { .job = &job, .ended = clearing_ended, .arg = clearing };
	int idx, err;

	err = aipu_enter(aipu, &idx);
	if (err)
		return err;
	/* The queue is another context's after a reset. */
	err = aipu_context_alive(own);
	if (!err) {
		give.sequence = aipu->own_queue->next;
		err = aipu_job_give(aipu->own_queue, &give);
	}
	aipu_exit(aipu, idx);
	return err;
}

static int device_clear(struct aipu_device *aipu, struct aipu_buffer *buffer)
{
	struct clearing clearing = { .done = COMPLETION_INITIALIZER_ONSTACK(clearing.done) };
	struct aipu_context *own;
	u32 segment;
	int idx, err;

	if (mutex_lock_killable(&aipu->own_lock))
		return -ERESTARTSYS;
	err = aipu_enter(aipu, &idx);
	if (err)
		goto unlock;
	own = aipu->own;
	kref_get(&own->refs);
	aipu_exit(aipu, idx);
	err = aipu_segment_bind(own, buffer, 0, buffer->shmem.base.size, DRM_AIPU_ACCESS_WRITE,
				&segment);
	if (err)
		goto out;
	err = give_fill(own, segment, buffer->shmem.base.size, &clearing);
	if (!err) {
		/* It ends: by the card, or by the reset of one that stands still or is late. */
		wait_for_completion(&clearing.done);
		err = clearing.error;
	}
	aipu_segment_unbind(own, segment, false);
out:
	aipu_context_put(own);
unlock:
	mutex_unlock(&aipu->own_lock);
	return err;
}

static struct aipu_buffer *memory_create(struct aipu_device *aipu, struct aipu_file *file,
					 u64 bytes)
{
	struct aipu_buffer *buffer;
	int err;

	buffer = private_create(aipu, DRM_AIPU_BUFFER_DEVICE, bytes, &device_funcs);
	if (IS_ERR(buffer))
		return buffer;
	scoped_guard(mutex, &aipu->memory_lock) {
		err = drm_mm_insert_node_generic(&aipu->memory, &buffer->node, bytes, PAGE_SIZE, 0,
						 DRM_MM_INSERT_BEST);
		if (!err)
			aipu->memory_used += bytes;
	}
	if (!err) {
		kref_get(&file->refs);
		buffer->file = file;
		atomic64_add(bytes, &file->memory_used);
		err = device_clear(aipu, buffer);
	}
	if (!err)
		err = drm_gem_create_mmap_offset(&buffer->shmem.base);
	if (err) {
		drm_gem_object_put(&buffer->shmem.base);
		return ERR_PTR(err);
	}
	return buffer;
}

/*
 * Found out before its pages are wanted: a list of so many pages is itself more than the kernel
 * gives.
 */
static bool beyond_memory(u64 bytes)
{
	return bytes >> PAGE_SHIFT > totalram_pages();
}

/* --- host memory ------------------------------------------------------------------------------ */

static void host_free(struct drm_gem_object *gem)
{
	struct aipu_buffer *buffer = to_aipu_buffer(gem);

	if (buffer->pages)
		drm_gem_shmem_unpin(&buffer->shmem);
	mutex_destroy(&buffer->lock);
	drm_gem_shmem_free(&buffer->shmem);
}

static const struct drm_gem_object_funcs host_funcs = {
	.free = host_free,
	.pin = drm_gem_shmem_object_pin,
	.unpin = drm_gem_shmem_object_unpin,
	.get_sg_table = drm_gem_shmem_object_get_sg_table,
	.vmap = drm_gem_shmem_object_vmap,
	.vunmap = drm_gem_shmem_object_vunmap,
	.mmap = aipu_buffer_mmap,
	.vm_ops = &aipu_host_vm_ops,
};

static struct aipu_buffer *host_create(struct aipu_device *aipu, u64 bytes)
{
	struct drm_gem_shmem_object *shmem;
	struct aipu_buffer *buffer;
	int err;

	if (beyond_memory(bytes))
		return ERR_PTR(-ENOMEM);
	shmem = drm_gem_shmem_create(&aipu->drm, bytes);
	if (IS_ERR(shmem))
		return ERR_CAST(shmem);
	/* At once: without pages, buffers could take all places to map at, which are 1 TiB. */
	err = drm_gem_shmem_pin(shmem);
	if (err) {
		drm_gem_object_put(&shmem->base);
		return ERR_PTR(err);
	}
	buffer = to_aipu_buffer(&shmem->base);
	buffer->pages = shmem->pages;
	buffer->page_count = bytes >> PAGE_SHIFT;
	return buffer;
}

/* --- user memory ------------------------------------------------------------------------------ */

static void user_unpin(struct aipu_buffer *buffer)
{
	unpin_user_pages_dirty_lock(buffer->pages, buffer->page_count,
				    !(buffer->flags & DRM_AIPU_BUFFER_READ_ONLY));
	kvfree(buffer->pages);
	account_locked_vm(buffer->mm, buffer->shmem.base.size >> PAGE_SHIFT, false);
	mmdrop(buffer->mm);
}

static void user_free(struct drm_gem_object *gem)
{
	struct aipu_buffer *buffer = to_aipu_buffer(gem);

	if (buffer->mm)
		user_unpin(buffer);
	private_free(buffer);
}

static int no_mmap(struct drm_gem_object *gem, struct vm_area_struct *vma)
{
	return -EINVAL;
}

/* Pages of one process are not another's to have */
static struct dma_buf *no_export(struct drm_gem_object *gem, int flags)
{
	return ERR_PTR(-EPERM);
}

static const struct drm_gem_object_funcs user_funcs = {
	.free = user_free,
	.mmap = no_mmap,
	.export = no_export,
};

/* In pieces, so that it can be killed; without any lock */
static int user_pin(struct aipu_buffer *buffer, u64 address)
{
	unsigned int flags = FOLL_LONGTERM |
			     (buffer->flags & DRM_AIPU_BUFFER_READ_ONLY ? 0 : FOLL_WRITE);
	unsigned long count = buffer->shmem.base.size >> PAGE_SHIFT;
	int got, err;

	err = account_locked_vm(current->mm, count, true);
	if (err)
		return err;
	mmgrab(current->mm);
	buffer->mm = current->mm;
	buffer->pages = kvmalloc_array(count, sizeof(*buffer->pages), GFP_KERNEL_ACCOUNT);
	if (!buffer->pages)
		return -ENOMEM;
	while (buffer->page_count < count) {
		if (fatal_signal_pending(current))
			return -EINTR;
		got = pin_user_pages_fast(address + (buffer->page_count << PAGE_SHIFT),
					  min(count - buffer->page_count, PIN_CHUNK), flags,
					  buffer->pages + buffer->page_count);
		if (got <= 0)
			return got ?: -EFAULT;
		buffer->page_count += got;
		cond_resched();
	}
	return 0;
}

static struct aipu_buffer *user_create(struct aipu_device *aipu, u64 address, u64 bytes, u32 flags)
{
	struct aipu_buffer *buffer;
	int err;

	if (address % PAGE_SIZE)
		return ERR_PTR(-EINVAL);
	if (address + bytes < address || !access_ok(u64_to_user_ptr(address), bytes))
		return ERR_PTR(-EFAULT);
	if (beyond_memory(bytes))
		return ERR_PTR(-ENOMEM);
	buffer = private_create(aipu, DRM_AIPU_BUFFER_USER, bytes, &user_funcs);
	if (IS_ERR(buffer))
		return buffer;
	buffer->flags = flags;
	err = user_pin(buffer, address);
	if (err) {
		drm_gem_object_put(&buffer->shmem.base);
		return ERR_PTR(err);
	}
	return buffer;
}

/* --- imports ---------------------------------------------------------------------------------- */

static void import_free(struct drm_gem_object *gem)
{
	drm_prime_gem_destroy(gem, NULL);
	private_free(to_aipu_buffer(gem));
}

static const struct drm_gem_object_funcs import_funcs = {
	.free = import_free, .mmap = no_mmap, /* but of the dma-buf itself */
};

/* Attached now, mapped while bound */
struct drm_gem_object *aipu_gem_prime_import(struct drm_device *drm, struct dma_buf *dmabuf)
{
	struct dma_buf_attachment *attachment;
	struct aipu_buffer *buffer;

	bool writable = dmabuf->file->f_mode & FMODE_WRITE;

	/* One of ours? Only exports of this module have it as their owner. */
	if (dmabuf->owner == THIS_MODULE) {
		struct drm_gem_object *gem = dmabuf->priv;

		if (gem->dev == drm && !writable)
			return ERR_PTR(-EACCES);
		if (gem->dev == drm) {
			drm_gem_object_get(gem);
			return gem;
		}
	}
	if (!dmabuf->size || !PAGE_ALIGNED(dmabuf->size))
		return ERR_PTR(-EINVAL);
	buffer = private_create(to_aipu(drm), DRM_AIPU_BUFFER_IMPORT, dmabuf->size, &import_funcs);
	if (IS_ERR(buffer))
		return ERR_CAST(buffer);
	attachment = dma_buf_attach(dmabuf, drm->dev);
	if (IS_ERR(attachment)) {
		private_free(buffer);
		return ERR_CAST(attachment);
	}
	get_dma_buf(dmabuf);
	buffer->flags = writable ? 0 : DRM_AIPU_BUFFER_READ_ONLY;
	buffer->shmem.base.import_attach = attachment;
	buffer->shmem.base.resv = dmabuf->resv;
	return &buffer->shmem.base;
}

/* --- ioctls ----------------------------------------------------------------------------------- */

int aipu_buffer_create_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct drm_aipu_buffer_create *args = data;
	struct aipu_device *aipu = to_aipu(drm);
	bool user = args->kind == DRM_AIPU_BUFFER_USER;
	u32 flags = DRM_AIPU_BUFFER_KV | (user ? DRM_AIPU_BUFFER_READ_ONLY : 0);
	struct aipu_buffer *buffer;
	int err;

	if (args->pad || !args->bytes || args->bytes % PAGE_SIZE || args->bytes > MAX_BYTES)
		return -EINVAL;
	if ((!user && args->address) || args->flags & ~flags)
		return -EINVAL;
	switch (args->kind) {
	case DRM_AIPU_BUFFER_DEVICE:
		buffer = memory_create(aipu, drm_file->driver_priv, args->bytes);
		break;
	case DRM_AIPU_BUFFER_HOST:
		buffer = host_create(aipu, args->bytes);
		break;
	case DRM_AIPU_BUFFER_USER:
		buffer = user_create(aipu, args->address, args->bytes, args->flags);
		break;
	default:
		return -EINVAL;
	}
	if (IS_ERR(buffer))
		return PTR_ERR(buffer);
	buffer->flags = args->flags;
	err = drm_gem_handle_create(drm_file, &buffer->shmem.base, &args->handle);
	drm_gem_object_put(&buffer->shmem.base);
	return err;
}

int aipu_buffer_info_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct drm_aipu_buffer_info *args = data;
	struct aipu_buffer *buffer;
	struct drm_gem_object *gem;

	if (args->pad)
		return -EINVAL;
	gem = drm_gem_object_lookup(drm_file, args->handle);
	if (!gem)
		return -ENOENT;
	buffer = to_aipu_buffer(gem);
	args->kind = buffer->kind;
	args->flags = buffer->flags;
	args->bytes = gem->size;
	args->map_offset = 0;
	if (buffer->kind == DRM_AIPU_BUFFER_DEVICE || buffer->kind == DRM_AIPU_BUFFER_HOST)
		args->map_offset = drm_vma_node_offset_addr(&gem->vma_node);
	drm_gem_object_put(gem);
	return 0;
}
