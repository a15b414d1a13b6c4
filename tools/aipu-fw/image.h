/* SPDX-License-Identifier: MIT */
/*
 * A firmware image in memory: making, checking and naming its parts. Called by aipu-fw's commands; it
 * prints nothing and opens no file, so that every message has one place (main.c).
 */
#ifndef AIPU_FW_IMAGE_H
#define AIPU_FW_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "aipu_firmware.h"

/* Writes header->digest: SHA-256 over header (digest and signature as zeros) and payload. 0, -EIO */
int image_digest(struct aipu_firmware_header *header, const void *payload, size_t bytes);

/*
 * The checks of a boot ROM that need no device: size, magic, header, digest, signature. 0, or -EBADMSG
 * with one line in `why`.
 */
int image_check(const void *image, size_t bytes, char *why, size_t why_bytes);

#endif
