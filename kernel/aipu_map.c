// SPDX-License-Identifier: GPL-2.0
/*
 * Buffers, mapped: host memory of every kind for the card, while it is bound; device memory and
 * HOST for processes. Both use it at the same time, so nothing is ever synced: see aipu_probe().
 */
#include <linux/delay.h>
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <drm/drm_drv.h>

#include <drm/aipu_accel.h>

#include "aipu_buffer.h"

#define FAULT_PAGES 64ul /* mapped at one fault */

/* --- for the card ----------------------------------------------------------------------------- */

/* Pages that the card only reads may be mapped many times, as those of a model's file are. */
static enum dma_data_direction direction(const struct aipu_buffer *buffer)
{
	return buffer->flags & DRM_AIPU_BUFFER_READ_ONLY ? DMA_TO_DEVICE : DMA_BIDIRECTIONAL;
}

static struct sg_table *map_pages(struct aipu_buffer *buffer)
{
	struct device *dev = buffer->shmem.base.dev->dev;
	int err;

	err = sg_alloc_table_from_pages(&buffer->own_table, buffer->pages, buffer->page_count, 0,
					buffer->page_count << PAGE_SHIFT, GFP_KERNEL_ACCOUNT);
	if (err)
		return ERR_PTR(err);
	err = dma_map_sgtable(dev, &buffer->own_table, direction(buffer), 0);
	if (!err)
		return &buffer->own_table;
	sg_free_table(&buffer->own_table);
	return ERR_PTR(err);
}

static void unmap(struct aipu_buffer *buffer, struct sg_table *table)
{
	if (buffer->kind == DRM_AIPU_BUFFER_IMPORT) {
		dma_buf_unmap_attachment_unlocked(buffer->shmem.base.import_attach, table,
						  direction(buffer));
		return;
	}
	dma_unmap_sgtable(buffer->shmem.base.dev->dev, table, direction(buffer), 0);
	sg_free_table(table);
}

static struct sg_table *map(struct aipu_buffer *buffer)
{
	if (buffer->kind == DRM_AIPU_BUFFER_IMPORT)
		return dma_buf_map_attachment_unlocked(buffer->shmem.base.import_attach,
						       direction(buffer));
	return map_pages(buffer);
}

int aipu_buffer_pin(struct aipu_buffer *buffer, struct sg_table **table)
{
	guard(mutex)(&buffer->lock);
	if (!buffer->pins) {
		*table = map(buffer);
		if (IS_ERR(*table))
			return PTR_ERR(*table);
		buffer->table = *table;
	}
	buffer->pins++;
	*table = buffer->table;
	return 0;
}

void aipu_buffer_unpin(struct aipu_buffer *buffer)
{
	guard(mutex)(&buffer->lock);
	if (!--buffer->pins)
		unmap(buffer, buffer->table);
}

/* --- for processes ---------------------------------------------------------------------------- */

static unsigned long page_of(const struct aipu_buffer *buffer, unsigned long index)
{
	const struct aipu_device *aipu = to_aipu(buffer->shmem.base.dev);

	if (buffer->kind == DRM_AIPU_BUFFER_HOST)
		return page_to_pfn(buffer->pages[index]);
	return PHYS_PFN(aipu->memory_start + buffer->node.start) + index;
}

/* A mapping may begin anywhere in the buffer, and may have been cut since. */
static vm_fault_t host_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct aipu_buffer *buffer = to_aipu_buffer(vma->vm_private_data);
	unsigned long pages = buffer->shmem.base.size >> PAGE_SHIFT, address;
	unsigned long first = vmf->pgoff - drm_vma_node_start(&buffer->shmem.base.vma_node);
	vm_fault_t ret = VM_FAULT_NOPAGE;

	if (first >= pages)
		return VM_FAULT_SIGBUS;
	address = vmf->address & PAGE_MASK;
	/* More than one, so that not each page is a fault */
	pages = min3(FAULT_PAGES, pages - first, PHYS_PFN(vma->vm_end - address));
	for (unsigned long i = 0; i < pages && ret == VM_FAULT_NOPAGE; i++)
		ret = vmf_insert_pfn(vma, address + i * PAGE_SIZE, page_of(buffer, first + i));
	return ret;
}

static vm_fault_t device_fault(struct vm_fault *vmf)
{
	struct drm_gem_object *gem = vmf->vma->vm_private_data;
	struct aipu_device *aipu = to_aipu(gem->dev);
	vm_fault_t ret = VM_FAULT_NOPAGE;
	int idx;

	if (!drm_dev_enter(&aipu->drm, &idx))
		return VM_FAULT_SIGBUS;
	/* A reset is not waited for: it may itself wait for this process's mmap_lock. */
	if (down_read_trylock(&aipu->reset_lock)) {
		ret = host_fault(vmf);
		up_read(&aipu->reset_lock);
	} else {
		fsleep(1000);
	}
	drm_dev_exit(idx);
	return ret;
}

const struct vm_operations_struct aipu_device_vm_ops = {
	.open = drm_gem_vm_open,
	.close = drm_gem_vm_close,
	.fault = device_fault,
};

const struct vm_operations_struct aipu_host_vm_ops = {
	.open = drm_gem_vm_open,
	.close = drm_gem_vm_close,
	.fault = host_fault,
};

int aipu_buffer_mmap(struct drm_gem_object *gem, struct vm_area_struct *vma)
{
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_page_prot = vm_get_page_prot(vma->vm_flags);
	if (gem->funcs->vm_ops == &aipu_device_vm_ops)
		vma->vm_page_prot = pgprot_writecombine(vma->vm_page_prot);
	vma->vm_ops = gem->funcs->vm_ops;
	return 0;
}
