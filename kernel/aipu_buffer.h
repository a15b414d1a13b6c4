/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Buffers: memory that contexts bind as segments. A GEM object of one of four kinds (aipu_accel.h); its memory stays as long as
 * somebody holds the object: a handle, a mapping, a dma-buf, a binding.
 */
#ifndef AIPU_BUFFER_H
#define AIPU_BUFFER_H

#include <drm/drm_gem_shmem_helper.h>
#include <drm/drm_mm.h>

#include "aipu_drv.h"

struct aipu_buffer {
	struct drm_gem_shmem_object shmem; /* HOST, IMPORT; of the others only shmem.base is used */
	u32 kind; /* enum drm_aipu_buffer_kind */
	u32 flags; /* DRM_AIPU_BUFFER_* */
	struct aipu_file *owner; /* whom memory_used is counted for; NULL once its file is closed */
	struct drm_mm_node node; /* DEVICE: where in device memory */
	/* USER: pinned pages, counted in mm->pinned_vm; mapped for DMA when bound first */
	struct {
		struct page **pages;
		unsigned long count;
		struct mm_struct *mm;
		struct sg_table table;
		unsigned int mapped; /* users of the table */
	} user;
};

static inline struct aipu_buffer *to_aipu_buffer(struct drm_gem_object *gem)
{
	return container_of(gem, struct aipu_buffer, shmem.base);
}

int aipu_memory_init(struct aipu_device *aipu); /* at probe, when the limits are known */

/*
 * Host kinds: pins the pages and maps them for the card; *table is valid until unpin. Sleeps; takes the object's reservation
 * lock. DEVICE: -EINVAL. -ENODEV, -ENOMEM, -ERESTARTSYS.
 */
int aipu_buffer_pin(struct aipu_buffer *buffer, struct sg_table **table);
void aipu_buffer_unpin(struct aipu_buffer *buffer);

int aipu_buffer_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int aipu_buffer_info_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

/* Of struct drm_driver */
struct drm_gem_object *aipu_gem_create_object(struct drm_device *drm, size_t bytes);
struct drm_gem_object *aipu_gem_prime_import(struct drm_device *drm, struct dma_buf *dmabuf);

#endif
