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

#include "device.h"
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

static void take_copies(const struct aipu_flash_file *file, struct dm_flash_record copies[2])
{
	for (uint32_t i = 0; i < 2; i++)
		memcpy(&copies[i], file->seen + (size_t)i * DM_FLASH_PAGE, sizeof(copies[i]));
}

static bool is_foreign(const struct aipu_flash_file *file)
{
	struct dm_flash_record copies[2];

	take_copies(file, copies);
	return dm_flash_record_foreign(copies, dm_flash_slot_bytes(file->bytes));
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
	if (!err && is_foreign(file))
		err = -EBADMSG;
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

/* --- without a device --------------------------------------------------------------------------- */

/* What the boot ROM has against a slot that may be started; -errno */
static int slot_check(struct aipu_flash_file *file, uint64_t at, uint64_t bytes,
		      const struct aipu_firmware_policy *policy, struct aipu_flash_slot *slot)
{
	uint8_t *image = malloc(bytes ? bytes : 1);
	int err = image ? aipu_flash_file_read(file, at, image, bytes) : -ENOMEM;

	if (!err)
		slot->error = aipu_firmware_check(image, bytes, policy);
	free(image);
	return err;
}

int aipu_flash_file_info(struct aipu_flash_file *file, const struct aipu_firmware_policy *policy,
			 struct aipu_flash_info *info)
{
	uint64_t slot_bytes = dm_flash_slot_bytes(file->bytes);
	struct aipu_firmware_policy takes = *policy;
	struct dm_flash_record copies[2], record;
	int err = 0;

	take_copies(file, copies);
	dm_flash_record_find(&record, copies, slot_bytes);
	if (record.rollback > takes.rollback)
		takes.rollback = record.rollback;
	*info = (struct aipu_flash_info){ .rom_version = DM_ROM_VERSION,
					  .rollback = takes.rollback,
					  .active = record.active,
					  .chunk_bytes = DM_FLASH_CHUNK,
					  .slot_bytes = slot_bytes };
	for (uint32_t i = 0; i < DM_FLASH_SLOTS && !err; i++) {
		uint64_t at = dm_flash_slot_at(slot_bytes, i);
		struct dm_flash_slot *own = &record.slots[i];
		struct aipu_flash_slot *slot = &info->slots[i];
		struct aipu_firmware_header header;

		err = aipu_flash_file_read(file, at, &header, sizeof(header));
		dm_flash_slot_tell(slot, own, &header);
		if (own->state == AIPU_FLASH_FAILED ||
		    (own->state == AIPU_FLASH_TRIAL && !own->tries))
			slot->error = AIPU_ERROR_SLOT_TRIED;
		else if (!err && own->state != AIPU_FLASH_EMPTY)
			err = slot_check(file, at, own->bytes, &takes, slot);
	}
	return err;
}

/* --- writers -------------------------------------------------------------------------------------- */

void aipu_flash_file_release(struct aipu_flash_file *file)
{
	/* If it cannot be read it stays ours: nobody gets in whom we would not notice */
	if (!file->writable || aipu_flash_file_read(file, 0, file->seen, sizeof(file->seen)) ||
	    flock(file->fd, LOCK_UN))
		return;
	file->writable = false;
}
