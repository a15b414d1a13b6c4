/* SPDX-License-Identifier: MIT */
/* Firmware images that are signed by tests. Asserts (cmocka) that it can. */
#ifndef AIPU_TEST_SIGN_H
#define AIPU_TEST_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include "aipu_firmware.h"

/* Ed25519 private keys */
void sign_key_seed(uint8_t seed, uint8_t key[32]); /* a key for each seed */
void sign_key_development(uint8_t key[32]); /* that of software devices */

/* Digest and signature; the public key in `public_key`, if not NULL */
void sign_image(struct aipu_firmware_header *header, const void *payload, size_t bytes,
		const uint8_t key[32], uint8_t public_key[32]);

#endif
