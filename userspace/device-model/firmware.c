// SPDX-License-Identifier: MIT
/*
 * What a boot ROM checks of a firmware image, as a pure function of its bytes (aipu/firmware.h). Called by boot.c and
 * by aipu-fw. The caller's image does not change meanwhile: boot.c gives a copy of its own.
 */
#include "aipu/firmware.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <openssl/evp.h>

#include "aipu_registers.h"

const uint8_t aipu_development_key[AIPU_PUBLIC_KEY_BYTES] = {
	0x81, 0xa7, 0x87, 0xa5, 0x2e, 0x6d, 0xf7, 0x2b, 0x07, 0x28, 0x37,
	0x9e, 0xba, 0x9a, 0xe1, 0xbf, 0x96, 0x31, 0x86, 0x25, 0x30, 0x51,
	0x05, 0x7f, 0x1f, 0xa3, 0x0d, 0x4a, 0x05, 0xcd, 0x5d, 0xea
};

static bool is_zero(const uint8_t *bytes, size_t count)
{
	uint8_t any = 0;

	for (size_t i = 0; i < count; i++)
		any |= bytes[i];
	return !any;
}

int aipu_firmware_digest(struct aipu_firmware_header *header, const void *payload, size_t bytes)
{
	struct aipu_firmware_header blank = *header;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int err = -EIO;

	memset(blank.digest, 0, sizeof(blank.digest));
	memset(blank.signature, 0, sizeof(blank.signature));
	if (ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
	    EVP_DigestUpdate(ctx, &blank, sizeof(blank)) == 1 &&
	    EVP_DigestUpdate(ctx, payload, bytes) == 1 &&
	    EVP_DigestFinal_ex(ctx, header->digest, NULL) == 1)
		err = 0;
	EVP_MD_CTX_free(ctx);
	return err;
}

int aipu_firmware_key_id(const uint8_t *key, uint8_t id[32])
{
	return EVP_Digest(key, AIPU_PUBLIC_KEY_BYTES, id, NULL, EVP_sha256(), NULL) == 1 ? 0 : -EIO;
}

static bool signed_with(const struct aipu_firmware_header *header, const uint8_t *public_key)
{
	EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key,
						    AIPU_PUBLIC_KEY_BYTES);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = key && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
		    EVP_DigestVerify(ctx, header->signature, sizeof(header->signature),
				     header->digest, sizeof(header->digest)) == 1;

	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return good;
}

bool aipu_firmware_signed(const struct aipu_firmware_header *header, const uint8_t *keys,
			  uint32_t key_count)
{
	uint8_t id[sizeof(header->key_id)];

	if (!key_count)
		return header->signature_kind == AIPU_SIGNATURE_NONE &&
		       is_zero(header->key_id, sizeof(header->key_id)) &&
		       is_zero(header->signature, sizeof(header->signature));
	if (header->signature_kind != AIPU_SIGNATURE_ED25519)
		return false;
	for (uint32_t i = 0; i < key_count; i++) {
		const uint8_t *key = keys + (size_t)i * AIPU_PUBLIC_KEY_BYTES;

		if (!aipu_firmware_key_id(key, id) && !memcmp(id, header->key_id, sizeof(id)))
			return signed_with(header, key);
	}
	return false;
}

static bool header_valid(const struct aipu_firmware_header *header)
{
	return header->header_version == AIPU_FIRMWARE_HEADER_VERSION &&
	       header->header_bytes == sizeof(*header) && header->version &&
	       header->abi_oldest <= header->abi_newest &&
	       !header->build[sizeof(header->build) - 1] &&
	       is_zero(header->reserved, sizeof(header->reserved));
}

unsigned int aipu_firmware_check(const void *image, size_t bytes,
				 const struct aipu_firmware_policy *policy)
{
	struct aipu_firmware_header header, digested;

	if (bytes < sizeof(header) || bytes > AIPU_FIRMWARE_MAX_BYTES)
		return AIPU_ERROR_FIRMWARE_SIZE;
	memcpy(&header, image, sizeof(header));
	if (header.magic != AIPU_FIRMWARE_MAGIC)
		return AIPU_ERROR_FIRMWARE_MAGIC;
	if (header.payload_bytes != bytes - sizeof(header))
		return AIPU_ERROR_FIRMWARE_SIZE;
	if (!header_valid(&header))
		return AIPU_ERROR_FIRMWARE_HEADER;
	digested = header;
	if (aipu_firmware_digest(&digested, (const uint8_t *)image + sizeof(header),
				 bytes - sizeof(header)))
		return AIPU_ERROR_FATAL;
	if (memcmp(digested.digest, header.digest, sizeof(header.digest)))
		return AIPU_ERROR_FIRMWARE_DIGEST;
	if (header.board_id != policy->board_id && header.board_id != AIPU_BOARD_ANY)
		return AIPU_ERROR_FIRMWARE_BOARD;
	if (!aipu_firmware_signed(&header, policy->keys, policy->key_count))
		return AIPU_ERROR_FIRMWARE_SIGNATURE;
	if (header.rollback < policy->rollback)
		return AIPU_ERROR_FIRMWARE_ROLLBACK;
	if (header.abi_oldest > policy->abi_newest || policy->abi_oldest > header.abi_newest)
		return AIPU_ERROR_FIRMWARE_ABI;
	return AIPU_ERROR_NONE;
}
