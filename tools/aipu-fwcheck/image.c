// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Firmware images in files: read whole, checked by the code of the boot ROM (aipu/firmware.h) as far as that needs no card, and
 * found where the kernel looks for them (hostimage.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aipu/firmware.h"
#include "aipu_registers.h"
#include "hostimage.h"
#include "sources.h"

void image_parse(struct fw_image *image, const void *data, size_t bytes, bool soft)
{
	/* Board, keys, counter and versions are judged elsewhere: with this policy only what is wrong in itself is found. */
	struct aipu_firmware_policy policy = { .abi_newest = UINT32_MAX };
	struct aipu_firmware_header header;
	unsigned int error;

	if (bytes >= sizeof(header)) {
		memcpy(&header, data, sizeof(header));
		policy.board_id = header.board_id;
	}
	error = aipu_firmware_check(data, bytes, &policy);
	/* No key is given, so a signed image is "refused" last of all. */
	if (error != AIPU_ERROR_NONE && error != AIPU_ERROR_FIRMWARE_SIGNATURE) {
		image->state = FW_IMAGE_DAMAGED;
		image->error = error;
		return;
	}
	image->state = FW_IMAGE_WHOLE;
	image->version = header.version;
	image->abi = (struct fw_range){ header.abi_oldest, header.abi_newest };
	image->board = header.board_id;
	image->rollback = header.rollback;
	image->signature_kind = header.signature_kind;
	memcpy(image->key_id, header.key_id, sizeof(image->key_id));
	TEXT_CLEAN(image->build, header.build);
	if (soft)
		image->signature = aipu_firmware_signed(&header, aipu_development_key, 1)
					   ? FW_SIGNATURE_GOOD
					   : FW_SIGNATURE_BAD;
}

static int read_whole(int fd, void *data, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t count = read(fd, (char *)data + done, bytes - done);

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return count ? -errno : -EIO;
		done += (size_t)count;
	}
	return 0;
}

/* 0, or -errno: an image is a file whose size is known */
static int file_kind(mode_t mode)
{
	if (S_ISDIR(mode))
		return -EISDIR;
	return S_ISREG(mode) ? 0 : -EINVAL;
}

int image_read(struct fw_image *image, const char *path, bool soft)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err;
	struct stat status;
	void *data;

	text_clean(image->path, sizeof(image->path), path, strlen(path));
	if (fd < 0) {
		err = -errno;
		image->state = err == -ENOENT || err == -ENOTDIR ? FW_IMAGE_MISSING
								 : FW_IMAGE_UNREADABLE;
		return err;
	}
	image->state = FW_IMAGE_UNREADABLE;
	err = fstat(fd, &status) ? -errno : file_kind(status.st_mode);
	if (!err && (uint64_t)status.st_size > AIPU_FIRMWARE_MAX_BYTES) {
		image->state = FW_IMAGE_DAMAGED;
		image->error = AIPU_ERROR_FIRMWARE_SIZE;
	} else if (!err) {
		data = malloc((size_t)status.st_size + 1);
		err = data ? read_whole(fd, data, (size_t)status.st_size) : -ENOMEM;
		if (!err)
			image_parse(image, data, (size_t)status.st_size, soft);
		free(data);
	}
	close(fd);
	return err;
}

void image_find(struct fw_image *image, uint32_t board)
{
	struct hostimage file;

	if (!hostimage_find(&file, board))
		image->state = FW_IMAGE_MISSING;
	else if (file.compressed)
		image->state = FW_IMAGE_UNREADABLE;
	else
		image_read(image, file.real, false);
	/* As its users know it, also where the test's root stands before it */
	snprintf(image->path, sizeof(image->path), "%s", file.path);
}
