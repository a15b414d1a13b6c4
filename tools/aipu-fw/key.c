// SPDX-License-Identifier: MIT
/*
 * Ed25519 keys in PEM files, and signing with them. Called by the commands; a private key stays in memory as long as
 * it is needed and is printed nowhere.
 */
#include "fw.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

/* A passphrase would be asked for on the terminal: such a key is refused instead. */
static int no_passphrase(char *buffer, int bytes, int writing, void *arg)
{
	(void)buffer;
	(void)bytes;
	(void)writing;
	(void)arg;
	return 0;
}

/* NULL after a message, with *code */
static EVP_PKEY *read_key(const char *path, bool want_private, int *code)
{
	EVP_PKEY *key = NULL;
	size_t bytes;
	char *text = fw_read_file(path, FW_KEY_BYTES, &bytes, code);
	BIO *bio;

	if (!text)
		return NULL;
	bio = BIO_new_mem_buf(text, (int)bytes);
	if (bio)
		key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	if (bio && !key && !want_private) {
		BIO_free(bio);
		bio = BIO_new_mem_buf(text, (int)bytes);
		key = bio ? PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL) : NULL;
	}
	BIO_free(bio);
	OPENSSL_cleanse(text, bytes);
	free(text);
	if (key && EVP_PKEY_get_id(key) == EVP_PKEY_ED25519)
		return key;
	*code = fw_fail(
		CLI_FAILED,
		"%s: not an Ed25519 %skey in a PEM file without a passphrase; make one with "
		"'openssl genpkey -algorithm ed25519'",
		path, want_private ? "private " : "");
	EVP_PKEY_free(key);
	return NULL;
}

static bool raw_public(EVP_PKEY *key, uint8_t raw[AIPU_PUBLIC_KEY_BYTES])
{
	size_t bytes = AIPU_PUBLIC_KEY_BYTES;

	return EVP_PKEY_get_raw_public_key(key, raw, &bytes) == 1 && bytes == AIPU_PUBLIC_KEY_BYTES;
}

int fw_key_public(const char *path, uint8_t raw[AIPU_PUBLIC_KEY_BYTES])
{
	int code = CLI_OK;
	EVP_PKEY *key = read_key(path, false, &code);

	if (!key)
		return code;
	if (!raw_public(key, raw))
		code = fw_fail(CLI_FAILED, "%s: the public key could not be read", path);
	EVP_PKEY_free(key);
	return code;
}

static bool sign_digest(EVP_PKEY *key, struct aipu_firmware_header *header)
{
	size_t bytes = sizeof(header->signature);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 &&
		    EVP_DigestSign(ctx, header->signature, &bytes, header->digest,
				   sizeof(header->digest)) == 1;

	EVP_MD_CTX_free(ctx);
	return good;
}

int fw_key_sign(const char *path, void *image, size_t bytes)
{
	struct aipu_firmware_header *header = image;
	uint8_t raw[AIPU_PUBLIC_KEY_BYTES];
	int code = CLI_OK;
	EVP_PKEY *key = read_key(path, true, &code);

	if (!key)
		return code;
	header->signature_kind = AIPU_SIGNATURE_ED25519;
	if (!raw_public(key, raw) || aipu_firmware_key_id(raw, header->key_id) ||
	    aipu_firmware_digest(header, header + 1, bytes - sizeof(*header)) ||
	    !sign_digest(key, header))
		code = fw_fail(CLI_FAILED, "%s: the image could not be signed", path);
	EVP_PKEY_free(key);
	return code;
}
