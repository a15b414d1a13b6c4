/* SPDX-License-Identifier: MIT */
/*
 * Firmware images (aipu_firmware.h) in memory: the digest, the signature, and all that a boot ROM checks. Used by the
 * device model's boot ROM and by aipu-fw, so that both mean the same. Opens no file and prints nothing; reads no byte
 * beyond what it is given, whatever the header says. In libaipu-dm.a; needs libcrypto.
 */
#ifndef AIPU_FIRMWARE_CHECK_H
#define AIPU_FIRMWARE_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aipu_firmware.h"

#ifdef __cplusplus
extern "C" {
#endif

#define AIPU_PUBLIC_KEY_BYTES 32u /* Ed25519, RFC 8032 */

/*
 * The public key of software devices. The private half is firmware-abi/development.pem, which everybody has: it shows how
 * signing works and protects nothing. A card has its maker's keys.
 */
extern const uint8_t aipu_development_key[AIPU_PUBLIC_KEY_BYTES];

/* What a boot ROM takes */
struct aipu_firmware_policy {
	uint32_t board_id;
	uint32_t rollback; /* smallest anti-rollback counter */
	uint32_t abi_oldest; /* contract versions that it speaks */
	uint32_t abi_newest;
	/*
	 * Public keys, one after another; an image is signed with the private half of one of them. Count 0: images are
	 * not signed, and a signed one is refused, since nothing here could check it.
	 */
	const uint8_t *keys;
	uint32_t key_count;
};

/* Writes header->digest: SHA-256 over header (digest and signature as zeros) and payload. 0, -EIO */
int aipu_firmware_digest(struct aipu_firmware_header *header, const void *payload, size_t bytes);

/* SHA-256 of a public key, as in header->key_id. 0, -EIO */
int aipu_firmware_key_id(const uint8_t *key, uint8_t id[32]);

/* Is the header's digest signed with one of the keys; see struct aipu_firmware_policy for none */
bool aipu_firmware_signed(const struct aipu_firmware_header *header, const uint8_t *keys,
			  uint32_t key_count);

/* The checks of [BOOT-2] in its order, from the size on: an enum aipu_error, AIPU_ERROR_NONE: it may run */
unsigned int aipu_firmware_check(const void *image, size_t bytes,
				 const struct aipu_firmware_policy *policy);

#ifdef __cplusplus
}
#endif
#endif
