// SPDX-License-Identifier: MIT
/* See softflash.h. Must name the same file as userspace/libaipu/soft/flash.c. */
#include "softflash.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aipu/flash_file.h"
#include "aipu_registers.h"

#define FLASH_FILE "aipu/soft.flash"

/* A relative path is as good as none */
static int file_path(char *path, size_t bytes)
{
	const char *state = secure_getenv("XDG_STATE_HOME"), *home = secure_getenv("HOME");

	if (state && *state == '/')
		return snprintf(path, bytes, "%s/" FLASH_FILE, state);
	if (home && *home == '/')
		return snprintf(path, bytes, "%s/.local/state/" FLASH_FILE, home);
	path[0] = '\0';
	return 0;
}

bool softflash_text(char *text, size_t bytes)
{
	return file_path(text, bytes) > 0;
}

bool softflash_fault(int err, char *text, size_t bytes)
{
	char path[SOFTFLASH_TEXT];
	struct stat status;
	int length = file_path(path, sizeof(path));

	if (length <= 0)
		return false;
	if ((size_t)length < sizeof(path) && !stat(path, &status)) {
		if (!S_ISREG(status.st_mode)) {
			snprintf(text, bytes, "%s: not a regular file", path);
			return true;
		}
		if (err == -EFBIG) {
			snprintf(text, bytes, "%s: has %lld bytes, which no flash has", path,
				 (long long)status.st_size);
			return true;
		}
	}
	if (err == -EBADMSG)
		snprintf(text, bytes,
			 "%s: it holds something else than a flash: move it away, or remove it",
			 path);
	else
		snprintf(text, bytes, "%s: %s", path, strerror(-err));
	return true;
}

int softflash_info(struct aipu_flash_info *info)
{
	const struct aipu_firmware_policy policy = {
		.board_id = AIPU_BOARD_SOFT,
		.abi_oldest = AIPU_ABI_OLDEST,
		.abi_newest = AIPU_ABI_CURRENT,
		.keys = aipu_development_key,
		.key_count = 1,
	};
	struct aipu_flash_file *file;
	char path[PATH_MAX];
	int err, length = file_path(path, sizeof(path));

	if (length <= 0 || length >= PATH_MAX || access(path, F_OK))
		return -ENOENT;
	err = aipu_flash_file_open(path, AIPU_FLASH_FILE_BYTES, &file);
	if (err)
		return err;
	err = aipu_flash_file_info(file, &policy, info);
	aipu_flash_file_close(file);
	return err;
}
