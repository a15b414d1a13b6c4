// SPDX-License-Identifier: MIT
/* See hostimage.h. */
#include "hostimage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "aipu_firmware.h"
#include "root.h"

#define FIRMWARE_PATH_PARAMETER "/sys/module/firmware_class/parameters/path"

/* What may not be looked at is there */
static bool is_there(const char *path)
{
	return !access(path, F_OK) || (errno != ENOENT && errno != ENOTDIR);
}

/* False: it is not there, so the next place is looked at */
static bool try_place(struct hostimage *image, const char *directory, uint32_t board)
{
	static const char *const endings[] = { "", ".zst", ".xz" };

	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		cards_path(image->real, "%s/aipu/%08x.fw%s", directory, board, endings[i]);
		if (!is_there(image->real))
			continue;
		snprintf(image->path, sizeof(image->path), "%.200s/aipu/%08x.fw%s", directory,
			 board, endings[i]);
		image->compressed = i > 0;
		return true;
	}
	snprintf(image->path, sizeof(image->path), "%.200s/aipu/%08x.fw", directory, board);
	return false;
}

bool hostimage_find(struct hostimage *image, uint32_t board)
{
	char given[PATH_MAX], directory[PATH_MAX];
	struct utsname system;

	*image = (struct hostimage){ .compressed = false };
	if (cards_read_line(given, sizeof(given), FIRMWARE_PATH_PARAMETER) && given[0] &&
	    try_place(image, given, board))
		return true;
	uname(&system);
	snprintf(directory, sizeof(directory), "/lib/firmware/updates/%s", system.release);
	if (try_place(image, directory, board) || try_place(image, "/lib/firmware/updates", board))
		return true;
	snprintf(directory, sizeof(directory), "/lib/firmware/%s", system.release);
	return try_place(image, directory, board) || try_place(image, "/lib/firmware", board);
}

bool hostimage_rollback(const struct hostimage *image, uint32_t *rollback)
{
	struct aipu_firmware_header header;
	ssize_t count = -1;
	int fd = -1;

	if (!image->compressed)
		fd = open(image->real, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0) {
		count = pread(fd, &header, sizeof(header), 0);
		close(fd);
	}
	if (count != (ssize_t)sizeof(header) || header.magic != AIPU_FIRMWARE_MAGIC)
		return false;
	*rollback = header.rollback;
	return true;
}
