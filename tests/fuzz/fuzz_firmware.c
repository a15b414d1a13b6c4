// SPDX-License-Identifier: MIT
/*
 * Fuzz target: a boot ROM's checks of a firmware image. The input is the image; its last byte says what is made good
 * before the check, because blind bytes would never have a digest or a signature. An image that passes has all that
 * [BOOT-2] wants, whoever computed it.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "aipu/firmware.h"
#include "aipu_registers.h"

enum { MAKE_SIZE = 1, MAKE_MAGIC = 2, MAKE_DIGEST = 4, MAKE_SIGNATURE = 8, OTHER_KEY = 16 };

static EVP_PKEY *key_make(uint8_t seed, uint8_t public_key[AIPU_PUBLIC_KEY_BYTES])
{
	size_t bytes = AIPU_PUBLIC_KEY_BYTES;
	uint8_t raw[32];
	EVP_PKEY *key;

	memset(raw, seed, sizeof(raw));
	key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, raw, sizeof(raw));
	if (!key || EVP_PKEY_get_raw_public_key(key, public_key, &bytes) != 1)
		abort();
	return key;
}

static void sign(struct aipu_firmware_header *header, size_t payload_bytes, uint8_t seed)
{
	size_t bytes = sizeof(header->signature);
	uint8_t public_key[AIPU_PUBLIC_KEY_BYTES];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY *key = key_make(seed, public_key);

	header->signature_kind = AIPU_SIGNATURE_ED25519;
	if (aipu_firmware_key_id(public_key, header->key_id) ||
	    aipu_firmware_digest(header, header + 1, payload_bytes) ||
	    EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) != 1 ||
	    EVP_DigestSign(ctx, header->signature, &bytes, header->digest,
			   sizeof(header->digest)) != 1)
		abort();
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t keys[2 * AIPU_PUBLIC_KEY_BYTES], make = size ? data[size - 1] : 0;
	struct aipu_firmware_policy policy = {
		.board_id = AIPU_BOARD_SOFT,
		.rollback = 1,
		.abi_oldest = AIPU_ABI_OLDEST,
		.abi_newest = AIPU_ABI_CURRENT,
		.keys = keys,
		.key_count = 2,
	};
	struct aipu_firmware_header *header;
	size_t bytes = size ? size - 1 : 0;
	bool whole = bytes >= sizeof(*header);
	uint8_t *image = malloc(bytes ? bytes : 1); /* of its very size: one byte beyond is seen */

	memcpy(image, data, bytes);
	header = (struct aipu_firmware_header *)image;
	if (whole && make & MAKE_SIZE)
		header->payload_bytes = bytes - sizeof(*header);
	if (whole && make & MAKE_MAGIC)
		header->magic = AIPU_FIRMWARE_MAGIC;
	if (whole && make & MAKE_DIGEST)
		aipu_firmware_digest(header, header + 1, bytes - sizeof(*header));
	if (whole && make & MAKE_SIGNATURE)
		sign(header, bytes - sizeof(*header), make & OTHER_KEY ? 9 : 2);
	EVP_PKEY_free(key_make(1, keys));
	EVP_PKEY_free(key_make(2, keys + AIPU_PUBLIC_KEY_BYTES));
	if (aipu_firmware_check(image, bytes, &policy) == AIPU_ERROR_NONE &&
	    (!whole || !(make & MAKE_SIGNATURE) || make & OTHER_KEY || header->rollback < 1 ||
	     !header->version || header->abi_oldest > AIPU_ABI_CURRENT ||
	     header->abi_newest < AIPU_ABI_OLDEST ||
	     (header->board_id != AIPU_BOARD_SOFT && header->board_id != AIPU_BOARD_ANY)))
		abort();
	free(image);
	return 0;
}
