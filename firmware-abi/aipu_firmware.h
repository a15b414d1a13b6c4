/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Firmware image: this header, then `payload_bytes` of payload. Written by aipu-fw, checked by the boot
 * ROM field by field in the order of enum aipu_error (spec.md, section "Boot").
 */
#ifndef AIPU_FIRMWARE_H
#define AIPU_FIRMWARE_H

#include "aipu_types.h"

#define AIPU_FIRMWARE_MAGIC 0x5746555049414cull /* "LAIPUFW\0" */
#define AIPU_FIRMWARE_HEADER_VERSION 1u
#define AIPU_FIRMWARE_MAX_BYTES (64u << 20)
#define AIPU_BOARD_SOFT 0x534f4654u /* "SOFT": the software device */
#define AIPU_BOARD_ANY 0xffffffffu /* in an image: fits every board */

enum aipu_signature { AIPU_SIGNATURE_NONE = 0, AIPU_SIGNATURE_ED25519 = 1 /* RFC 8032 */ };

struct aipu_firmware_header {
	aipu_le64 magic;
	aipu_le32 header_version;
	aipu_le32 header_bytes; /* of this structure: 512 */
	aipu_le64 payload_bytes;
	aipu_le32 version; /* major << 24 | minor << 16 | patch */
	aipu_le32 abi_oldest; /* contract versions that this firmware speaks */
	aipu_le32 abi_newest;
	aipu_le32 board_id;
	aipu_le32 rollback; /* anti-rollback counter: refused below the device's */
	aipu_le32 signature_kind; /* enum aipu_signature */
	char build[64]; /* text for people; padded with zeros, ends with one */
	uint8_t digest[32]; /* SHA-256 over header and payload with digest and signature zero */
	uint8_t key_id[32]; /* SHA-256 of the public key, or zero */
	uint8_t signature[64]; /* over the digest */
	uint8_t reserved[272];
};

AIPU_ASSERT_SIZE(struct aipu_firmware_header, 512);
AIPU_ASSERT_OFFSET(struct aipu_firmware_header, build, 48);
AIPU_ASSERT_OFFSET(struct aipu_firmware_header, digest, 112);
AIPU_ASSERT_OFFSET(struct aipu_firmware_header, signature, 176);

#endif
