// SPDX-License-Identifier: MIT
/*
 * The file that plays the software device's flash, in the user's state directory. All software devices of a user have this one:
 * each power-on is that of the same card. Called by the model's engine and by open; a user without such a directory has none.
 *
 * Of several processes one writes at a time: who flashes, or counts the tries of an image on trial. Another that has a try to
 * count waits for a moment, then starts without: the other slot, or the built-in image.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "soft.h"

#define FLASH_FILE "aipu/soft.flash"

/* As the XDG base directory specification says: a relative path is as good as none. tools/common/softflash.c names it too */
static bool flash_path(char path[PATH_MAX])
{
	const char *state = secure_getenv("XDG_STATE_HOME"), *home = secure_getenv("HOME");
	int length = -1;

	if (state && *state == '/')
		length = snprintf(path, PATH_MAX, "%s/" FLASH_FILE, state);
	else if (home && *home == '/')
		length = snprintf(path, PATH_MAX, "%s/.local/state/" FLASH_FILE, home);
	return length > 0 && length < PATH_MAX;
}

void soft_flash_open(struct soft_flash *flash)
{
	char path[PATH_MAX];

	*flash = (struct soft_flash){ .file = NULL };
	if (flash_path(path))
		flash->missing = aipu_flash_file_open(path, AIPU_FLASH_FILE_BYTES, &flash->file);
}

void soft_flash_close(struct soft_flash *flash)
{
	aipu_flash_file_close(flash->file);
	flash->file = NULL;
}

int soft_flash_read(struct soft_flash *flash, uint64_t offset, void *to, size_t bytes)
{
	return aipu_flash_file_read(flash->file, offset, to, bytes);
}

int soft_flash_write(struct soft_flash *flash, uint64_t offset, const void *from, size_t bytes)
{
	int error = -EROFS;

	if (atomic_load(&flash->writable))
		error = aipu_flash_file_write(flash->file, offset, from, bytes);
	if (error)
		atomic_store(&flash->failed, error);
	return error;
}

void soft_flash_release(struct soft_flash *flash)
{
	if (flash->file)
		aipu_flash_file_release(flash->file);
}

bool soft_flash_contended(struct aipu_transport_device *device)
{
	int failed = atomic_load(&device->flash.failed);

	/* A try that cannot be counted is not taken: this is how the device says so */
	return (failed == -EBUSY || failed == -ESTALE) &&
	       (soft_read(device, AIPU_REG_SLOT_A_ERROR) == AIPU_ERROR_FATAL ||
		soft_read(device, AIPU_REG_SLOT_B_ERROR) == AIPU_ERROR_FATAL);
}
