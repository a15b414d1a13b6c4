/* SPDX-License-Identifier: MIT */
/*
 * The command line of the contract's tests: a firmware image of the device's maker, and the key that it is signed with where the
 * device wants that. Opens no device.
 */
#ifndef IMAGE_H
#define IMAGE_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>

#include "aipu_firmware.h"

#define IMAGE_MAX_BYTES (704u << 10) /* what the tests' MiB of host memory has left for it */

struct image {
	const char *path;
	uint8_t file[IMAGE_MAX_BYTES];
	uint32_t bytes;
	EVP_PKEY *key; /* NULL: it is not signed */
	uint8_t key_id[32];
};

/*
 * Reads what the command line names. true: the tests can begin. false: *status is what the program ends with, and what there is to
 * say has been said: --help, or a line "Bail out!", which is TAP's for tests that do not begin.
 */
bool image_open(struct image *i, int argc, char **argv, int *status);
/* Digest and, with a key, signature of the image at `h`, as long as the file */
void image_seal(const struct image *i, struct aipu_firmware_header *h);
/* Kind of signature and key of an image that is to be sealed */
void image_sign(const struct image *i, struct aipu_firmware_header *h);
void image_close(struct image *i);

#endif
