// SPDX-License-Identifier: MIT
/* Files that play a card's flash (aipu/flash_file.h). Called by mounts; the model itself never opens a file. */
#include "aipu/flash_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "flash.h"

struct aipu_flash_file {
	char *path;
	uint64_t bytes;
	int fd; /* -1: not there yet */
	bool writable; /* and locked */
};

static int take_size(struct aipu_flash_file *file)
{
	struct stat status;

	if (fstat(file->fd, &status))
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EINVAL;
	if (status.st_size)
		file->bytes = (uint64_t)status.st_size;
	return file->bytes < DM_FLASH_MIN_BYTES || file->bytes > DM_FLASH_MAX_BYTES ? -EFBIG : 0;
}

int aipu_flash_file_open(const char *path, uint64_t bytes, struct aipu_flash_file **out)
{
	struct aipu_flash_file *file = calloc(1, sizeof(*file));
	int err = 0;

	if (!file)
		return -ENOMEM;
	file->bytes = bytes;
	file->path = strdup(path);
	/* Without waiting for a writer where the name is a pipe's */
	file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (!file->path)
		err = -ENOMEM;
	else if (file->fd >= 0)
		err = take_size(file);
	else if (errno != ENOENT)
		err = -errno;
	if (err) {
		aipu_flash_file_close(file);
		return err;
	}
	*out = file;
	return 0;
}

void aipu_flash_file_close(struct aipu_flash_file *file)
{
	if (!file)
		return;
	if (file->fd >= 0)
		close(file->fd);
	free(file->path);
	free(file);
}

uint64_t aipu_flash_file_bytes(const struct aipu_flash_file *file)
{
	return file->bytes;
}

int aipu_flash_file_read(struct aipu_flash_file *file, uint64_t offset, void *to, size_t bytes)
{
	size_t done = 0;

	while (file->fd >= 0 && done < bytes) {
		ssize_t count =
			pread(file->fd, (char *)to + done, bytes - done, (off_t)(offset + done));

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -errno;
		if (!count)
			break;
		done += (size_t)count;
	}
	memset((char *)to + done, 0, bytes - done);
	return 0;
}

/* The directories above it, as mkdir -p makes them; that it failed shows when the file is opened */
static void make_directories(char *path)
{
	for (char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
		*at = 0;
		mkdir(path, 0700);
		*at = '/';
	}
}

static int become_writer(struct aipu_flash_file *file)
{
	int fd, err = 0;

	make_directories(file->path);
	fd = open(file->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB))
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
	else if (ftruncate(fd, (off_t)file->bytes))
		err = -errno;
	if (err) {
		close(fd);
		return err;
	}
	if (file->fd >= 0)
		close(file->fd);
	file->fd = fd;
	file->writable = true;
	return 0;
}

int aipu_flash_file_write(struct aipu_flash_file *file, uint64_t offset, const void *from,
			  size_t bytes)
{
	int err = file->writable ? 0 : become_writer(file);
	size_t done = 0;

	while (!err && done < bytes) {
		ssize_t count = pwrite(file->fd, (const char *)from + done, bytes - done,
				       (off_t)(offset + done));

		if (count >= 0)
			done += (size_t)count;
		else if (errno != EINTR)
			err = -errno;
	}
	if (!err && fdatasync(file->fd))
		err = -errno;
	return err;
}
