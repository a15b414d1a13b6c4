// SPDX-License-Identifier: GPL-2.0
/*
 * The PCI function and the accel device: probe and remove, each step the mirror image of the other,
 * the file operations, and DRM_IOCTL_AIPU_QUERY. All else that an ioctl does stands in the file of
 * its object.
 */
#include <linux/module.h>
#include <drm/drm_accel.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_ioctl.h>
#include <drm/drm_print.h>

#include <drm/aipu_accel.h>

#include "aipu_boot.h"
#include "aipu_buffer.h"
#include "aipu_check.h"
#include "aipu_compat.h"
#include "aipu_context.h"
#include "aipu_drv.h"
#include "aipu_flash.h"
#include "aipu_ioq.h"
#include "aipu_reset.h"
#include "aipu_sensors.h"
#include "aipu_show.h"

/* --- who may touch the card ------------------------------------------------------------------- */

int aipu_enter(struct aipu_device *aipu, int *idx)
{
	int err;

	if (!drm_dev_enter(&aipu->drm, idx))
		return -ENODEV;
	err = aipu_reset_wait(aipu);
	if (!err && down_read_killable(&aipu->reset_lock))
		err = -ERESTARTSYS;
	if (err) {
		drm_dev_exit(*idx);
		return err;
	}
	if (aipu->state == AIPU_READY)
		return 0;
	aipu_exit(aipu, *idx);
	return -EIO;
}

int aipu_look(struct aipu_device *aipu, int *idx)
{
	if (!drm_dev_enter(&aipu->drm, idx))
		return -ENODEV;
	if (!down_read_trylock(&aipu->reset_lock)) {
		drm_dev_exit(*idx);
		return -EBUSY;
	}
	if (aipu->state != AIPU_RESETTING)
		return 0;
	aipu_exit(aipu, *idx);
	return -EBUSY;
}

void aipu_exit(struct aipu_device *aipu, int idx)
{
	up_read(&aipu->reset_lock);
	drm_dev_exit(idx);
}

/* --- query ------------------------------------------------------------------------------------ */

/* 0: not known just now */
static u32 longest_step_us(struct aipu_device *aipu)
{
	s64 value;
	int idx;

	if (aipu_look(aipu, &idx))
		return 0;
	value = aipu_value(aipu_read(aipu, AIPU_REG_LONGEST_STEP_US));
	aipu_exit(aipu, idx);
	return value == DRM_AIPU_UNKNOWN ? 0 : value;
}

static void fill_device(struct aipu_device *aipu, struct drm_aipu_device *out)
{
	const struct aipu_limits *limits = &aipu->limits;

	*out = (struct drm_aipu_device){
		.features = DRM_AIPU_FEATURE_URING | DRM_AIPU_FEATURE_USER_BUFFER |
			    DRM_AIPU_FEATURE_PRIME | DRM_AIPU_FEATURE_TELEMETRY |
			    DRM_AIPU_FEATURE_FLASH | DRM_AIPU_FEATURE_LIMITS |
			    DRM_AIPU_FEATURE_RESET_FLAGS | DRM_AIPU_FEATURE_KV_BUFFER,
		.state = READ_ONCE(aipu->state),
		.resets = atomic_read(&aipu->resets),
		.capabilities = limits->capabilities,
		.operations = limits->operations,
		.formats = limits->formats,
		.kv_formats = limits->kv_formats,
		.kv_kinds = limits->kv_kinds,
		.numerics = limits->numerics,
		.layouts = limits->layouts,
		.activations = limits->activations,
		.cores = limits->cores,
		.serial = limits->serial,
		.board_id = limits->board_id,
		.firmware_version = limits->firmware_version,
		.abi_oldest = limits->abi_oldest,
		.abi_newest = limits->abi_newest,
		.abi_in_use = limits->abi_in_use,
		.max_contexts = limits->max_contexts,
		.max_queues = limits->max_queues,
		.max_queue_entries = limits->max_queue_entries,
		.max_segments = limits->max_segments,
		.max_programs = limits->max_programs,
		.max_lanes = limits->max_lanes,
		.max_program_bytes = limits->max_program_bytes,
		.vectors = aipu->vectors,
		.longest_step_us = longest_step_us(aipu),
		.rom_version = limits->rom_version,
		.boot_source = limits->boot_source,
		.slot_errors = { limits->slot_errors[0], limits->slot_errors[1] },
		.rollback = limits->rollback,
	};
	strscpy(out->model, aipu->identify.model);
	strscpy(out->firmware, aipu->identify.firmware);
}

static void fill_memory(struct aipu_device *aipu, struct aipu_file *file,
			struct drm_aipu_memory *out)
{
	u64 start, end, largest = 0;
	struct drm_mm_node *node;

	guard(mutex)(&aipu->memory_lock);
	drm_mm_for_each_hole(node, &aipu->memory, start, end)
		largest = max(largest, end - start);
	*out = (struct drm_aipu_memory){
		.total = aipu->memory_total,
		.free = aipu->memory_total - aipu->memory_used,
		.largest = largest,
		.file = atomic64_read(&file->memory_used),
		.file_limit = aipu->memory_total,
	};
}

union answer {
	struct drm_aipu_device device;
	struct drm_aipu_memory memory;
	struct drm_aipu_telemetry telemetry;
};

/* Bytes of the answer to a query of this kind; 0: there is none */
static u32 answer_bytes(u32 kind)
{
	switch (kind) {
	case DRM_AIPU_QUERY_DEVICE:
		return sizeof(struct drm_aipu_device);
	case DRM_AIPU_QUERY_MEMORY:
		return sizeof(struct drm_aipu_memory);
	case DRM_AIPU_QUERY_TELEMETRY:
		return sizeof(struct drm_aipu_telemetry);
	default:
		return 0;
	}
}

static int fill_answer(struct aipu_device *aipu, struct aipu_file *file, u32 kind,
		       union answer *answer)
{
	int idx, err = 0;

	if (!drm_dev_enter(&aipu->drm, &idx))
		return -ENODEV;
	if (kind == DRM_AIPU_QUERY_DEVICE)
		fill_device(aipu, &answer->device);
	else if (kind == DRM_AIPU_QUERY_MEMORY)
		fill_memory(aipu, file, &answer->memory);
	else
		err = aipu_telemetry(aipu, &answer->telemetry);
	drm_dev_exit(idx);
	return err;
}

/* Answers of any age of the caller: the smaller of both sizes, zeroes behind it */
static int aipu_query_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct drm_aipu_query *args = data;
	u32 bytes = answer_bytes(args->kind), room = args->bytes;
	union answer answer;
	int err;

	if (!bytes)
		return -EINVAL;
	if (room) {
		err = fill_answer(to_aipu(drm), drm_file->driver_priv, args->kind, &answer);
		if (err)
			return err;
		if (copy_to_user(u64_to_user_ptr(args->data), &answer, min(room, bytes)))
			return -EFAULT;
		if (room > bytes && clear_user(u64_to_user_ptr(args->data + bytes), room - bytes))
			return -EFAULT;
	}
	args->bytes = bytes;
	return 0;
}

/* --- files ------------------------------------------------------------------------------------ */

static void file_release(struct kref *refs)
{
	kfree(container_of(refs, struct aipu_file, refs));
}

void aipu_file_put(struct aipu_file *file)
{
	kref_put(&file->refs, file_release);
}

static int aipu_open(struct drm_device *drm, struct drm_file *drm_file)
{
	struct aipu_file *file = kzalloc(sizeof(*file), GFP_KERNEL_ACCOUNT);

	if (!file)
		return -ENOMEM;
	kref_init(&file->refs);
	file->aipu = to_aipu(drm);
	file->drm = drm_file;
	xa_init_flags(&file->contexts, XA_FLAGS_ALLOC1);
	xa_init_flags(&file->queues, XA_FLAGS_ALLOC1);
	drm_file->driver_priv = file;
	return 0;
}

/* A command of a ring holds the file open, so none is left here. */
static void aipu_postclose(struct drm_device *drm, struct drm_file *drm_file)
{
	struct aipu_file *file = drm_file->driver_priv;

	aipu_flash_close(file);
	aipu_queues_close(file);
	aipu_contexts_close(file);
	aipu_file_put(file);
}

/* --- the driver ------------------------------------------------------------------------------- */

static const struct drm_ioctl_desc aipu_ioctls[] = {
	DRM_IOCTL_DEF_DRV(AIPU_QUERY, aipu_query_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AIPU_CONTEXT_CREATE, aipu_context_create_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AIPU_CONTEXT_DESTROY, aipu_context_destroy_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AIPU_CONTEXT_RESET, aipu_context_reset_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AIPU_BUFFER_CREATE, aipu_buffer_create_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AIPU_BUFFER_INFO, aipu_buffer_info_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AIPU_SEGMENT_BIND, aipu_segment_bind_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AIPU_SEGMENT_UNBIND, aipu_segment_unbind_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AIPU_PROGRAM_LOAD, aipu_program_load_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AIPU_PROGRAM_UNLOAD, aipu_program_unload_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AIPU_QUEUE_CREATE, aipu_ioq_create_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AIPU_QUEUE_DESTROY, aipu_ioq_destroy_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AIPU_SUBMIT, aipu_submit_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AIPU_WAIT, aipu_wait_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AIPU_CANCEL, aipu_cancel_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AIPU_KICK, aipu_kick_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AIPU_RESET, aipu_reset_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AIPU_FLASH, aipu_flash_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AIPU_SET_LIMITS, aipu_limits_ioctl, 0),
};

/* DRM_ACCEL_FOPS with what they lack; offsets above 2^63 are what GEM gives out. */
static const struct file_operations aipu_fops = {
	.owner = THIS_MODULE,
	.open = accel_open,
	.release = drm_release,
	.unlocked_ioctl = drm_ioctl,
	.compat_ioctl = drm_compat_ioctl,
	.poll = drm_poll,
	.read = drm_read,
	.llseek = noop_llseek,
	.mmap = drm_gem_mmap,
	.uring_cmd = aipu_uring_cmd,
	.show_fdinfo = drm_show_fdinfo,
	.fop_flags = FOP_UNSIGNED_OFFSET,
};

static const struct drm_driver aipu_driver = {
	.driver_features = DRIVER_COMPUTE_ACCEL | DRIVER_GEM,
	.open = aipu_open,
	.postclose = aipu_postclose,
	.show_fdinfo = aipu_show_fdinfo,
	.gem_create_object = aipu_gem_create_object,
	.gem_prime_import = aipu_gem_prime_import,
	.name = AIPU_DRIVER_NAME,
	.desc = "AIPU accelerator of language models",
	AIPU_DRIVER_DATE.major = AIPU_DRIVER_VERSION_MAJOR,
	.minor = AIPU_DRIVER_VERSION_MINOR,
	.fops = &aipu_fops,
	.ioctls = aipu_ioctls,
	.num_ioctls = ARRAY_SIZE(aipu_ioctls),
};

/* --- probe, in order -------------------------------------------------------------------------- */

/*
 * BARs: firmware of the machine may have left one unassigned, or a bridge may be too small for it
 */
static int map_bars(struct aipu_device *aipu)
{
	struct pci_dev *pdev = aipu->pdev;
	int err;

	for (unsigned int bar = AIPU_BAR_REGISTERS; bar <= AIPU_BAR_MEMORY; bar += 2) {
		if (!(pci_resource_flags(pdev, bar) & IORESOURCE_MEM) ||
		    !pci_resource_start(pdev, bar) || !pci_resource_len(pdev, bar)) {
			drm_err(&aipu->drm,
				"BAR%u is not assigned: no room for it behind its bridge?\n", bar);
			return -ENODEV;
		}
	}
	aipu->register_bytes = pci_resource_len(pdev, AIPU_BAR_REGISTERS);
	aipu->memory_start = pci_resource_start(pdev, AIPU_BAR_MEMORY);
	aipu->memory_bytes = pci_resource_len(pdev, AIPU_BAR_MEMORY);
	if (aipu->register_bytes < AIPU_BAR0_BYTES(1)) {
		drm_err(&aipu->drm, "BAR0 has %pa bytes, at least %lu are needed\n",
			&aipu->register_bytes, (unsigned long)AIPU_BAR0_BYTES(1));
		return -ENODEV;
	}
	err = pcim_iomap_regions(pdev, BIT(AIPU_BAR_REGISTERS), AIPU_DRIVER_NAME);
	if (err)
		return err;
	aipu->registers = pcim_iomap_table(pdev)[AIPU_BAR_REGISTERS];
	return 0;
}

static irqreturn_t aipu_irq(int irq, void *data)
{
	struct aipu_vector *vector = data;
	struct aipu_device *aipu = vector->aipu;
	struct aipu_ioq *queue;

	if (!vector->index)
		aipu_admin_interrupt(aipu);
	guard(spinlock)(&vector->lock);
	list_for_each_entry(queue, &vector->queues, on_vector)
		aipu_ioq_interrupt(queue);
	return IRQ_HANDLED;
}

static void free_vectors(void *pdev)
{
	pci_free_irq_vectors(pdev);
}

/* Before the card is enabled: it raises none until then */
static int make_vectors(struct aipu_device *aipu)
{
	struct pci_dev *pdev = aipu->pdev;
	int count, err;

	count = pci_alloc_irq_vectors(pdev, 1, min(AIPU_MAX_VECTORS, 1 + num_online_cpus()),
				      PCI_IRQ_MSIX | PCI_IRQ_MSI);
	if (count < 0)
		return dev_err_probe(&pdev->dev, count, "no interrupt vector\n");
	err = devm_add_action_or_reset(&pdev->dev, free_vectors, pdev);
	if (err)
		return err;
	aipu->vectors = count;
	for (unsigned int i = 0; i < count; i++) {
		struct aipu_vector *vector = &aipu->vector[i];

		vector->aipu = aipu;
		vector->index = i;
		spin_lock_init(&vector->lock);
		INIT_LIST_HEAD(&vector->queues);
		err = devm_request_irq(&pdev->dev, pci_irq_vector(pdev, i), aipu_irq, 0,
				       AIPU_DRIVER_NAME, vector);
		if (err)
			return err;
	}
	return 0;
}

static int aipu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct aipu_device *aipu;
	int err;

	aipu = devm_drm_dev_alloc(&pdev->dev, &aipu_driver, struct aipu_device, drm);
	if (IS_ERR(aipu))
		return PTR_ERR(aipu);
	aipu->pdev = pdev;
	pci_set_drvdata(pdev, aipu);
	err = pcim_enable_device(pdev);
	if (err)
		return err;
	err = map_bars(aipu);
	if (err)
		return err;
	err = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (err)
		return err;
	if (!device_iommu_mapped(&pdev->dev) && dma_max_mapping_size(&pdev->dev) != SIZE_MAX)
		return dev_err_probe(&pdev->dev, -EOPNOTSUPP,
				     "the card would see copies of host memory (swiotlb=force?)\n");
	/* Extents have 64 bits. */
	dma_set_max_seg_size(&pdev->dev, UINT_MAX);
	err = aipu_admin_create(aipu);
	if (err)
		return err;
	err = make_vectors(aipu);
	if (err)
		return err;
	init_rwsem(&aipu->reset_lock);
	mutex_init(&aipu->own_lock);
	mutex_init(&aipu->memory_lock);
	xa_init_flags(&aipu->contexts, XA_FLAGS_ALLOC1);
	xa_init_flags(&aipu->queues, XA_FLAGS_ALLOC1);
	err = aipu_sensors_init(aipu) ?: aipu_flash_init(aipu) ?: aipu_reset_init(aipu);
	if (err)
		return err;
	/* An event that comes at once is looked after when the card is READY. */
	down_write(&aipu->reset_lock);
	err = aipu_start(aipu);
	up_write(&aipu->reset_lock);
	if (err)
		goto fini;
	err = aipu_sensors_start(aipu);
	if (err)
		goto stop;
	aipu_debugfs_init(aipu);
	err = drm_dev_register(&aipu->drm, 0);
	if (err)
		goto stop;
	drm_info(&aipu->drm, "%s, firmware %u.%u.%u, contract %u.%u, %llu MiB, %u vectors\n",
		 aipu->identify.model, AIPU_FIRMWARE_ARGS(aipu->limits.firmware_version),
		 AIPU_ABI_ARGS(aipu->limits.abi_in_use), aipu->limits.memory_bytes >> 20,
		 aipu->vectors);
	return 0;

stop:
	aipu_reset_fini(aipu);
	down_write(&aipu->reset_lock);
	aipu_stop(aipu, "not registered");
	up_write(&aipu->reset_lock);
	return err;
fini:
	aipu_reset_fini(aipu);
	return err;
}

/* The files that are open stay so, and every call on them says -ENODEV */
static void aipu_remove(struct pci_dev *pdev)
{
	struct aipu_device *aipu = pci_get_drvdata(pdev);

	/* First, so that nobody waits for a card that stands still. */
	aipu_reset_fini(aipu);
	drm_dev_unplug(&aipu->drm);
	down_write(&aipu->reset_lock);
	aipu_stop(aipu, "removed");
	up_write(&aipu->reset_lock);
}

/* Before a kexec or power-off: no DMA may go on */
static void aipu_shutdown(struct pci_dev *pdev)
{
	aipu_remove(pdev);
}

static const struct pci_device_id aipu_ids[] = {
	{ PCI_DEVICE(AIPU_PCI_VENDOR_ID, AIPU_PCI_DEVICE_ID) }, {}
};
MODULE_DEVICE_TABLE(pci, aipu_ids);

/* Of the driver, not of a card: who asks has one perhaps that it did not take. */
static ssize_t contract_show(struct device_driver *driver, char *buf)
{
	return sysfs_emit(buf, "%u.%u-%u.%u\n", AIPU_ABI_ARGS(AIPU_ABI_OLDEST),
			  AIPU_ABI_ARGS(AIPU_ABI_CURRENT));
}
static DRIVER_ATTR_RO(contract);

static ssize_t user_api_show(struct device_driver *driver, char *buf)
{
	return sysfs_emit(buf, "%u.%u\n", AIPU_DRIVER_VERSION_MAJOR, AIPU_DRIVER_VERSION_MINOR);
}
static DRIVER_ATTR_RO(user_api);

static struct attribute *aipu_driver_attrs[] = { &driver_attr_contract.attr,
						 &driver_attr_user_api.attr, NULL };
ATTRIBUTE_GROUPS(aipu_driver);

static struct pci_driver aipu_pci_driver = {
	.name = AIPU_DRIVER_NAME,
	.groups = aipu_driver_groups,
	.id_table = aipu_ids,
	.probe = aipu_probe,
	.remove = aipu_remove,
	.shutdown = aipu_shutdown,
	.dev_groups = aipu_monitor_groups,
	.err_handler = &aipu_error_handlers,
	.driver.pm = pm_sleep_ptr(&aipu_pm_ops),
};
module_pci_driver(aipu_pci_driver);

MODULE_DESCRIPTION("AIPU accelerator of language models");
MODULE_LICENSE("GPL");
AIPU_IMPORT_NS(DMA_BUF);
MODULE_FIRMWARE("aipu/534f4654.fw");
