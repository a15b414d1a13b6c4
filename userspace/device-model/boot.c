// SPDX-License-Identifier: MIT
/*
 * The boot ROM: reads a firmware image and decides whether it runs, and checks what the host offers at ENABLE.
 * The engine calls and turns the answer into states. The image is copied once and the
 * copy is checked.
 */
#include "device.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#define PIECE_BYTES (1u << 20)

static bool is_zero(const uint8_t *bytes, size_t count)
{
	uint8_t any = 0;

	for (size_t i = 0; i < count; i++)
		any |= bytes[i];
	return !any;
}

static bool overlap(uint32_t oldest_a, uint32_t newest_a, uint32_t oldest_b, uint32_t newest_b)
{
	return oldest_a <= newest_b && oldest_b <= newest_a;
}

static unsigned int check_digest(const struct aipu_firmware_header *header, const uint8_t *payload)
{
	struct aipu_firmware_header blank = *header;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned int error = AIPU_ERROR_FATAL;

	memset(blank.digest, 0, sizeof(blank.digest));
	memset(blank.signature, 0, sizeof(blank.signature));
	if (ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
	    EVP_DigestUpdate(ctx, &blank, sizeof(blank)) == 1 &&
	    EVP_DigestUpdate(ctx, payload, header->payload_bytes) == 1 &&
	    EVP_DigestFinal_ex(ctx, digest, NULL) == 1)
		error = memcmp(digest, header->digest, sizeof(header->digest))
				? AIPU_ERROR_FIRMWARE_DIGEST
				: AIPU_ERROR_NONE;
	EVP_MD_CTX_free(ctx);
	return error;
}

static bool header_valid(const struct aipu_firmware_header *header)
{
	return header->header_version == AIPU_FIRMWARE_HEADER_VERSION &&
	       header->header_bytes == sizeof(*header) && header->version &&
	       header->abi_oldest <= header->abi_newest &&
	       !header->build[sizeof(header->build) - 1] &&
	       is_zero(header->reserved, sizeof(header->reserved));
}

/* This ROM holds no key: it takes unsigned images, and none whose signature it could not check */
static bool signature_good(const struct aipu_firmware_header *header)
{
	return header->signature_kind == AIPU_SIGNATURE_NONE &&
	       is_zero(header->key_id, sizeof(header->key_id)) &&
	       is_zero(header->signature, sizeof(header->signature));
}

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

static unsigned int check_image(struct aipu_dm *dm, const uint8_t *image, uint32_t bytes,
				struct aipu_firmware_header *header)
{
	unsigned int error;

	memcpy(header, image, sizeof(*header));
	if (header->magic != AIPU_FIRMWARE_MAGIC)
		return AIPU_ERROR_FIRMWARE_MAGIC;
	if (header->payload_bytes != bytes - sizeof(*header))
		return AIPU_ERROR_FIRMWARE_SIZE;
	if (!header_valid(header))
		return AIPU_ERROR_FIRMWARE_HEADER;
	error = check_digest(header, image + sizeof(*header));
	if (error)
		return error;
	if (header->board_id != dm->config.board_id && header->board_id != AIPU_BOARD_ANY)
		return AIPU_ERROR_FIRMWARE_BOARD;
	if (!signature_good(header))
		return AIPU_ERROR_FIRMWARE_SIGNATURE;
	if (header->rollback < dm->config.rollback)
		return AIPU_ERROR_FIRMWARE_ROLLBACK;
	if (!overlap(header->abi_oldest, header->abi_newest, dm->config.abi_oldest,
		     dm->config.abi_newest))
		return AIPU_ERROR_FIRMWARE_ABI;
	return AIPU_ERROR_NONE;
}

unsigned int dm_boot_load(struct aipu_dm *dm, uint64_t address, uint32_t bytes,
			  struct aipu_firmware_header *firmware)
{
	unsigned int error;
	uint8_t *image;

	if (bytes < sizeof(*firmware) || bytes > AIPU_FIRMWARE_MAX_BYTES)
		return AIPU_ERROR_FIRMWARE_SIZE;
	image = read_image(dm, address, bytes);
	if (!image)
		return AIPU_ERROR_FIRMWARE_DMA;
	error = check_image(dm, image, bytes, firmware);
	free(image);
	/* What runs speaks what both do. */
	if (firmware->abi_oldest < dm->config.abi_oldest)
		firmware->abi_oldest = dm->config.abi_oldest;
	if (firmware->abi_newest > dm->config.abi_newest)
		firmware->abi_newest = dm->config.abi_newest;
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
