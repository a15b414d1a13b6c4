// SPDX-License-Identifier: MIT
/*
 * Fuzz target: a file that plays a card's flash, and what is told of it without a device. The input is its beginning: both copies of
 * the record, then slot A; its last byte says which copies get a digest that fits, because blind bytes never have one. What
 * is told of a flash is within it, whatever its records say.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "aipu/flash_file.h"
#include "aipu_registers.h"
#include "device-model/flash.h"

enum { SEAL_FIRST = 1, SEAL_SECOND = 2 };

static void seal(uint8_t *copy)
{
	struct dm_flash_record record;

	memcpy(&record, copy, sizeof(record));
	if (!dm_flash_record_seal(&record))
		abort();
	memcpy(copy, &record, sizeof(record));
}

static void check_info(const struct aipu_flash_info *info)
{
	if (info->active != DM_FLASH_NONE && info->active >= DM_FLASH_SLOTS)
		abort();
	for (uint32_t i = 0; i < DM_FLASH_SLOTS; i++)
		if (info->slots[i].state > AIPU_FLASH_FAILED ||
		    info->slots[i].bytes > info->slot_bytes || info->slots[i].build[63])
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t flash[DM_FLASH_MIN_BYTES];
	const struct aipu_firmware_policy policy = { .board_id = AIPU_BOARD_SOFT,
						     .abi_newest = UINT32_MAX };
	uint8_t make = size ? data[size - 1] : 0;
	struct aipu_flash_file *file;
	struct aipu_flash_info info;
	char path[32];
	int fd = memfd_create("flash", MFD_CLOEXEC), err;

	memset(flash, 0, sizeof(flash));
	if (size > 1)
		memcpy(flash, data, size - 1 < sizeof(flash) ? size - 1 : sizeof(flash));
	if (make & SEAL_FIRST)
		seal(flash);
	if (make & SEAL_SECOND)
		seal(flash + DM_FLASH_PAGE);
	if (fd < 0 || write(fd, flash, sizeof(flash)) != (ssize_t)sizeof(flash))
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	err = aipu_flash_file_open(path, sizeof(flash), &file);
	if (err && err != -EBADMSG)
		abort();
	if (!err) {
		if (aipu_flash_file_info(file, &policy, &info))
			abort();
		check_info(&info);
		aipu_flash_file_close(file);
	}
	close(fd);
	return 0;
}
