// SPDX-License-Identifier: GPL-2.0
/*
 * The card's firmware slots: DRM_IOCTL_AIPU_FLASH, which is the contract's flash commands with
 * memory of the caller's in place of DMA addresses. It knows nothing of images: what may run is the
 * card's to say. The card never reaches the caller's pages, and no lock is held while they are
 * touched.
 */
#include <linux/capability.h>
#include <linux/dma-mapping.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <drm/drm_file.h>
#include <drm/drm_managed.h>

#include <drm/aipu_accel.h>

#include "aipu_check.h"
#include "aipu_flash.h"

/**
 * struct aipu_flash - the driver's end of the flash
 * @lock: one command at a time; under reset_lock
 * @chunk: what the card reads and writes, AIPU_FLASH_CHUNK_BYTES; from the first command on, and
 *	until the device is unbound, when the card has stopped
 * @address: of @chunk, for the card
 * @left: the card may have a command without an answer: @chunk is its own until @epoch ends
 * @epoch: of the last command
 * @writer: the file whose update is under way: others change nothing until it closes, or a reset
 *	ends @writer_epoch. Set under @lock, cleared without; not to be followed
 * @writer_epoch: of its last command that changed something
 */
struct aipu_flash {
	struct mutex lock; /* see above */
	void *chunk;
	dma_addr_t address;
	bool left;
	u64 epoch;
	const struct aipu_file *writer;
	u64 writer_epoch;
};

static const u8 opcodes[] = {
	[DRM_AIPU_FLASH_INFO] = AIPU_ADMIN_FLASH_INFO,
	[DRM_AIPU_FLASH_WRITE] = AIPU_ADMIN_FLASH_WRITE,
	[DRM_AIPU_FLASH_READ] = AIPU_ADMIN_FLASH_READ,
	[DRM_AIPU_FLASH_COMMIT] = AIPU_ADMIN_FLASH_COMMIT,
	[DRM_AIPU_FLASH_ACTIVATE] = AIPU_ADMIN_FLASH_ACTIVATE,
};

/* Under flash->lock and aipu_enter(): 0, -ENOMEM, -ECANCELED: a reset is to end a command first */
static int ready(struct aipu_device *aipu)
{
	struct aipu_flash *flash = aipu->flash;

	if (flash->left && flash->epoch == aipu->epoch)
		return -ECANCELED;
	if (!flash->chunk)
		flash->chunk = dmam_alloc_coherent(aipu->drm.dev, AIPU_FLASH_CHUNK_BYTES,
						   &flash->address, GFP_KERNEL);
	flash->epoch = aipu->epoch;
	return flash->chunk ? 0 : -ENOMEM;
}

/* Likewise. `data`, of `bytes`: what the card gets or gave; NULL: the command has none */
static int run(struct aipu_device *aipu, struct drm_aipu_flash *args, void *data, size_t bytes)
{
	struct aipu_flash *flash = aipu->flash;
	struct aipu_admin entry = {
		.opcode = opcodes[args->op],
		.flash = {
			.slot = cpu_to_le32(args->slot),
			.offset = cpu_to_le64(args->offset),
		},
	};
	struct aipu_completion result = {};
	int err;

	if (data) {
		memcpy(flash->chunk, data, bytes);
		entry.flash.address = cpu_to_le64(flash->address);
	}
	if (args->op != DRM_AIPU_FLASH_INFO)
		entry.flash.bytes = cpu_to_le32(args->bytes);
	err = aipu_admin_run(aipu, &entry, &result);
	/* Without an answer, so that the card is reset, or was: no status of a failure is 0. */
	flash->left = (err == -ETIMEDOUT || err == -ECANCELED) && !result.status;
	if (flash->left)
		return -ECANCELED;
	if (err == -EKEYREJECTED)
		args->detail = le32_to_cpu(result.detail);
	if (!err && data)
		memcpy(data, flash->chunk, bytes);
	return err;
}

/* Likewise: run(), unless it changes what is in the middle of another file's update: -EBUSY */
static int run_for(struct aipu_file *file, struct drm_aipu_flash *args, void *data, size_t bytes)
{
	bool changes = args->op != DRM_AIPU_FLASH_INFO && args->op != DRM_AIPU_FLASH_READ;
	struct aipu_device *aipu = file->aipu;
	struct aipu_flash *flash = aipu->flash;
	const struct aipu_file *writer = READ_ONCE(flash->writer);
	int err;

	if (changes && writer && writer != file && flash->writer_epoch == aipu->epoch)
		return -EBUSY;
	err = run(aipu, args, data, bytes);
	if (changes && !err) {
		WRITE_ONCE(flash->writer, file);
		flash->writer_epoch = aipu->epoch;
	}
	return err;
}

/* `data` is zeroed, or what WRITE writes; what was another's is in none of its bytes. */
static int run_in_turn(struct aipu_file *file, struct drm_aipu_flash *args, void *data,
		       size_t bytes)
{
	struct aipu_device *aipu = file->aipu;
	int idx, err;

	err = aipu_enter(aipu, &idx);
	if (err)
		return err;
	err = mutex_lock_interruptible(&aipu->flash->lock) ? -ERESTARTSYS : 0;
	if (!err) {
		err = ready(aipu) ?: run_for(file, args, data, bytes);
		mutex_unlock(&aipu->flash->lock);
	}
	aipu_exit(aipu, idx);
	return err;
}

static int transfer(struct aipu_file *file, struct drm_aipu_flash *args)
{
	bool info = args->op == DRM_AIPU_FLASH_INFO;
	size_t bytes = info ? sizeof(struct aipu_flash_info) : args->bytes;
	void __user *user = u64_to_user_ptr(args->data);
	void *data = kvzalloc(bytes, GFP_KERNEL_ACCOUNT);
	int err = 0;

	if (!data)
		return -ENOMEM;
	if (args->op == DRM_AIPU_FLASH_WRITE && copy_from_user(data, user, bytes))
		err = -EFAULT;
	if (!err)
		err = run_in_turn(file, args, data, bytes);
	if (!err && info)
		aipu_flash_info_mask(data);
	if (!err && args->op != DRM_AIPU_FLASH_WRITE && copy_to_user(user, data, args->bytes))
		err = -EFAULT;
	kvfree(data);
	return err;
}

int aipu_flash_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct aipu_file *file = drm_file->driver_priv;
	struct aipu_device *aipu = to_aipu(drm);
	struct drm_aipu_flash *args = data;

	args->detail = 0;
	if (aipu_flash_check(args))
		return -EINVAL;
	if (args->op != DRM_AIPU_FLASH_INFO && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (!(aipu->limits.capabilities & AIPU_CAP_FLASH))
		return -EOPNOTSUPP;
	return args->bytes ? transfer(file, args) : run_in_turn(file, args, NULL, 0);
}

void aipu_flash_close(struct aipu_file *file)
{
	/* No lock, since a command of another may take its time; this file has none any more. */
	cmpxchg(&file->aipu->flash->writer, (const struct aipu_file *)file, NULL);
}

static void flash_release(struct drm_device *drm, void *data)
{
	struct aipu_flash *flash = data;

	mutex_destroy(&flash->lock);
}

int aipu_flash_init(struct aipu_device *aipu)
{
	struct aipu_flash *flash = drmm_kzalloc(&aipu->drm, sizeof(*flash), GFP_KERNEL);

	if (!flash)
		return -ENOMEM;
	mutex_init(&flash->lock);
	aipu->flash = flash;
	return drmm_add_action_or_reset(&aipu->drm, flash_release, flash);
}
