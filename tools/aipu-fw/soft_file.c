// SPDX-License-Identifier: MIT
/*
 * Where the software device keeps its flash, and what is wrong with that file, in words: libaipu gives no more than an errno.
 * Must name the same file as userspace/libaipu/soft/flash.c. Opens nothing.
 */
#include "update.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

bool fw_flash_file_text(char *text, size_t bytes)
{
	return file_path(text, bytes) > 0;
}

bool fw_flash_file_fault(int err, char *text, size_t bytes)
{
	char path[FW_FILE_TEXT];
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
	snprintf(text, bytes, "%s: %s", path, strerror(-err));
	return true;
}
