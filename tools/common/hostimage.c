// SPDX-License-Identifier: MIT
/* See hostimage.h. */
#include "hostimage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
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
	char given[PATH_MAX], kernel[128], updates[192] = "", own[192] = "";
	const char *const places[] = { given, updates, "/lib/firmware/updates", own,
				       "/lib/firmware" };

	*image = (struct hostimage){ .compressed = false };
	cards_read_line(given, sizeof(given), FIRMWARE_PATH_PARAMETER);
	cards_kernel(kernel, sizeof(kernel));
	if (kernel[0]) {
		snprintf(updates, sizeof(updates), "/lib/firmware/updates/%s", kernel);
		snprintf(own, sizeof(own), "/lib/firmware/%s", kernel);
	}
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (places[i][0] && try_place(image, places[i], board))
			return true;
	return false;
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
