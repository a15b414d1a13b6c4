/* SPDX-License-Identifier: MIT */
/*
 * A file that plays a card's flash, for mounts of the device model: aipu_dm_ops.flash_read and flash_write over it. A
 * file that is not there reads as zeros and comes to be with the first write, so that looking at a card leaves nothing
 * behind. One writer at a time, from its first write on; whoever saw an older state of the flash than the one before it becomes
 * none. In libaipu-dm.a.
 */
#ifndef AIPU_FLASH_FILE_H
#define AIPU_FLASH_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "aipu/firmware.h"
#include "aipu_queue.h" /* struct aipu_flash_info */

#ifdef __cplusplus
extern "C" {
#endif

#define AIPU_FLASH_FILE_BYTES (4ull << 20) /* a size that serves, for a new one */

struct aipu_flash_file;

/*
 * `bytes`: of the flash, where the file is not there yet. 0; -EFBIG: what is there has a size that no flash has;
 * -EINVAL: it is not a regular file; -EBADMSG: it begins as no flash does, so it is something else; another -errno of open().
 */
int aipu_flash_file_open(const char *path, uint64_t bytes, struct aipu_flash_file **file);
void aipu_flash_file_close(struct aipu_flash_file *file);
uint64_t aipu_flash_file_bytes(const struct aipu_flash_file *file);

/*
 * Within the file's bytes. The written is on its medium when it returns. 0; -EBUSY: another writer has the file; -ESTALE: one
 * has changed the flash's record since it was opened or released here; -errno
 */
int aipu_flash_file_read(struct aipu_flash_file *file, uint64_t offset, void *to, size_t bytes);
int aipu_flash_file_write(struct aipu_flash_file *file, uint64_t offset, const void *from,
			  size_t bytes);
/*
 * What a device of the model with this flash would tell of it, if nothing ran (source 0), and slots[].error: why its boot ROM would
 * not start a slot now. The device takes what the policy says, and its smallest counter is at least policy->rollback. 0, -errno
 */
int aipu_flash_file_info(struct aipu_flash_file *file, const struct aipu_firmware_policy *policy,
			 struct aipu_flash_info *info);
/* Lets others write, until the next write here. Nothing is under way */
void aipu_flash_file_release(struct aipu_flash_file *file);

#ifdef __cplusplus
}
#endif
#endif
