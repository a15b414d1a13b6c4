// SPDX-License-Identifier: MIT
/*
 * The boot ROM: reads a firmware image and decides whether it runs, and checks what the host offers at ENABLE.
 * The engine calls and turns the answer into states. The image is copied once and the
 * copy is checked.
 */
#include "device.h"

#include <stdlib.h>
#include <string.h>

#include "aipu/firmware.h"

#define PIECE_BYTES (1u << 20)

/* The ROM's own copy, in pieces so that a stop never waits for more than one. NULL: not readable */
static uint8_t *read_image(struct aipu_dm *dm, uint64_t address, uint32_t bytes)
{
	uint8_t *image = malloc(bytes);

	for (uint32_t done = 0; image && done < bytes;) {
		uint32_t piece = bytes - done < PIECE_BYTES ? bytes - done : PIECE_BYTES;

		if (address + done < address ||
		    dm_dma_read(dm, address + done, image + done, piece, NULL)) {
			free(image);
			return NULL;
		}
		done += piece;
	}
	return image;
}

struct aipu_firmware_policy dm_boot_policy(const struct aipu_dm *dm)
{
	return (struct aipu_firmware_policy){
		.board_id = dm->config.board_id,
		.rollback = dm_flash_rollback(dm),
		.abi_oldest = dm->config.abi_oldest,
		.abi_newest = dm->config.abi_newest,
		.keys = dm->config.firmware_keys,
		.key_count = dm->config.firmware_key_count,
	};
}

void dm_boot_narrow(const struct aipu_dm *dm, struct aipu_firmware_header *firmware)
{
	if (firmware->abi_oldest < dm->config.abi_oldest)
		firmware->abi_oldest = dm->config.abi_oldest;
	if (firmware->abi_newest > dm->config.abi_newest)
		firmware->abi_newest = dm->config.abi_newest;
}

unsigned int dm_boot_load(struct aipu_dm *dm, uint64_t address, uint32_t bytes,
			  struct aipu_firmware_header *firmware)
{
	const struct aipu_firmware_policy policy = dm_boot_policy(dm);
	unsigned int error;
	uint8_t *image;

	if (bytes < sizeof(*firmware) || bytes > AIPU_FIRMWARE_MAX_BYTES)
		return AIPU_ERROR_FIRMWARE_SIZE;
	image = read_image(dm, address, bytes);
	if (!image)
		return AIPU_ERROR_FIRMWARE_DMA;
	error = aipu_firmware_check(image, bytes, &policy);
	memcpy(firmware, image, sizeof(*firmware));
	if (!error)
		dm_power_firmware(dm, image + sizeof(*firmware), bytes - sizeof(*firmware));
	free(image);
	return error;
}

unsigned int dm_boot_enable(struct aipu_dm *dm, const struct aipu_firmware_header *firmware,
			    const struct dm_enable *enable, uint32_t *abi_in_use)
{
	const struct dm_queue_config *admin = &enable->admin;

	if (enable->host_newest < firmware->abi_oldest)
		return AIPU_ERROR_ABI_TOO_OLD;
	if (enable->host_oldest > firmware->abi_newest || enable->host_oldest > enable->host_newest)
		return AIPU_ERROR_ABI_TOO_NEW;
	if (!admin->sq_address || !admin->cq_address || admin->sq_address % AIPU_PAGE_BYTES ||
	    admin->cq_address % AIPU_PAGE_BYTES || admin->entries < 2 ||
	    admin->entries > DM_MAX_QUEUE_ENTRIES || admin->entries & (admin->entries - 1) ||
	    admin->vector >= dm->config.vectors)
		return AIPU_ERROR_ADMIN_QUEUE;
	*abi_in_use = enable->host_newest < firmware->abi_newest ? enable->host_newest
								 : firmware->abi_newest;
	return AIPU_ERROR_NONE;
}
