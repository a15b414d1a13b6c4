/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Buffers: memory that contexts bind as segments. A GEM object of one of four kinds (aipu_accel.h);
 * its memory stays as long as somebody holds the object: a handle, a mapping, a dma-buf, a binding.
 * Host memory of every kind is mapped for the card only while it is bound, so a card that was
 * stopped has no mapping left.
 */
#ifndef AIPU_BUFFER_H
#define AIPU_BUFFER_H

#include <drm/drm_gem_shmem_helper.h>
#include <drm/drm_mm.h>

#include "aipu_drv.h"

/**
 * struct aipu_buffer - a buffer
 * @shmem: HOST; of the others only shmem.base is used
 * @kind: enum drm_aipu_buffer_kind
 * @flags: DRM_AIPU_BUFFER_*
 * @file: DEVICE: whose memory_used counts it; held
 * @node: DEVICE: where in device memory
 * @pages: HOST: @shmem's; USER: pinned pages
 * @page_count: of @pages
 * @mm: USER: where they are counted; held
 * @lock: what follows
 * @pins: bindings of host memory
 * @table: mapped for the card while @pins is not 0; IMPORT: the exporter's, else @own_table
 * @own_table: of HOST and USER
 */
struct aipu_buffer {
	struct drm_gem_shmem_object shmem;
	u32 kind;
	u32 flags;
	struct aipu_file *file;
	struct drm_mm_node node;
	struct page **pages;
	unsigned long page_count;
	struct mm_struct *mm;
	struct mutex lock;
	unsigned int pins;
	struct sg_table *table, own_table;
};

static inline struct aipu_buffer *to_aipu_buffer(struct drm_gem_object *gem)
{
	return container_of(gem, struct aipu_buffer, shmem.base);
}

/*
 * Host kinds: pins and maps; *table is valid until unpin. Sleeps. -ENODEV, -ENOMEM, -errno of the
 * exporter.
 */
int aipu_buffer_pin(struct aipu_buffer *buffer, struct sg_table **table);
void aipu_buffer_unpin(struct aipu_buffer *buffer);

/* Of struct drm_gem_object_funcs, for device memory and HOST */
int aipu_buffer_mmap(struct drm_gem_object *gem, struct vm_area_struct *vma);
extern const struct vm_operations_struct aipu_device_vm_ops, aipu_host_vm_ops;

int aipu_buffer_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int aipu_buffer_info_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

/* Of struct drm_driver */
struct drm_gem_object *aipu_gem_create_object(struct drm_device *drm, size_t bytes);
struct drm_gem_object *aipu_gem_prime_import(struct drm_device *drm, struct dma_buf *dmabuf);

#endif
