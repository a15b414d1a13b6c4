// SPDX-License-Identifier: MIT
/* Signing for tests, with OpenSSL alone: see sign.h. */
#include "sign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "aipu/firmware.h"

void sign_key_seed(uint8_t seed, uint8_t key[32])
{
	memset(key, seed, 32);
}

void sign_key_development(uint8_t key[32])
{
	const char *top = getenv("SRC");
	size_t bytes = 32;
	char path[4096];
	EVP_PKEY *pair;
	FILE *file;

	snprintf(path, sizeof(path), "%s/firmware-abi/development.pem", top ? top : ".");
	file = fopen(path, "r");
	assert_non_null(file);
	pair = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	fclose(file);
	assert_non_null(pair);
	assert_int_equal(EVP_PKEY_get_raw_private_key(pair, key, &bytes), 1);
	EVP_PKEY_free(pair);
}

void sign_image(struct aipu_firmware_header *header, const void *payload, size_t bytes,
		const uint8_t key[32], uint8_t public_key[32])
{
	EVP_PKEY *pair = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key, 32);
	size_t public_bytes = AIPU_PUBLIC_KEY_BYTES, signature_bytes = sizeof(header->signature);
	uint8_t raw[AIPU_PUBLIC_KEY_BYTES];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	assert_int_equal(EVP_PKEY_get_raw_public_key(pair, raw, &public_bytes), 1);
	header->signature_kind = AIPU_SIGNATURE_ED25519;
	assert_int_equal(aipu_firmware_key_id(raw, header->key_id), 0);
	assert_int_equal(aipu_firmware_digest(header, payload, bytes), 0);
	assert_int_equal(EVP_DigestSignInit(ctx, NULL, NULL, NULL, pair), 1);
	assert_int_equal(EVP_DigestSign(ctx, header->signature, &signature_bytes, header->digest,
					sizeof(header->digest)),
			 1);
	if (public_key)
		memcpy(public_key, raw, sizeof(raw));
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pair);
}
