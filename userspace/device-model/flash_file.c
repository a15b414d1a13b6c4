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
	uint8_t seen[DM_FLASH_RECORD_BYTES]; /* what the model knows the record from, while it is not */
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
	if (!err)
		err = aipu_flash_file_read(file, 0, file->seen, sizeof(file->seen));
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

/* The directories above it, as mkdir -p makes them. -errno of the first that is not there and cannot be made */
static int make_directories(char *path)
{
	int err = 0;

	for (char *at = strchr(path + 1, '/'); at && !err; at = strchr(at + 1, '/')) {
		*at = 0;
		/* One that is there may say EROFS or EACCES too */
		if (mkdir(path, 0700) && errno != EEXIST) {
			err = -errno;
			if (!access(path, F_OK))
				err = 0;
		}
		*at = '/';
	}
	return err;
}

/* What another wrote meanwhile must not be taken back by who does not know of it */
static int look_again(const struct aipu_flash_file *file, int fd)
{
	struct aipu_flash_file now = { .fd = fd };
	int err = aipu_flash_file_read(&now, 0, now.seen, sizeof(now.seen));

	if (!err && memcmp(now.seen, file->seen, sizeof(now.seen)))
		err = -ESTALE;
	return err;
}

static int become_writer(struct aipu_flash_file *file)
{
	int fd, err = make_directories(file->path);

	if (err)
		return err;
	fd = open(file->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB))
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
	else
		err = look_again(file, fd);
	if (!err && ftruncate(fd, (off_t)file->bytes))
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

void aipu_flash_file_release(struct aipu_flash_file *file)
{
	/* If it cannot be read it stays ours: nobody gets in whom we would not notice */
	if (!file->writable || aipu_flash_file_read(file, 0, file->seen, sizeof(file->seen)) ||
	    flock(file->fd, LOCK_UN))
		return;
	file->writable = false;
}
