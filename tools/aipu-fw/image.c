// SPDX-License-Identifier: MIT
/*
 * What a boot ROM checks and no device is needed for, in words that name the values. Called with the whole image in
 * memory; reads no byte beyond `bytes`, whatever the header says.
 */
#include "fw.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool all_zero(const uint8_t *bytes, size_t count)
{
	uint8_t any = 0;

	for (size_t i = 0; i < count; i++)
		any |= bytes[i];
	return !any;
}

__attribute__((format(printf, 3, 4))) static int refuse(char *why, size_t why_bytes,
							const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, why_bytes, format, args);
	va_end(args);
	return -EBADMSG;
}

int fw_image_check(const void *image, size_t bytes, char *why, size_t why_bytes)
{
	struct aipu_firmware_header header, digested;

	if (bytes < sizeof(header))
		return refuse(why, why_bytes, "%zu bytes, the header alone has %zu", bytes,
			      sizeof(header));
	if (bytes > AIPU_FIRMWARE_MAX_BYTES)
		return refuse(why, why_bytes, "%zu bytes, at most %u are permitted", bytes,
			      AIPU_FIRMWARE_MAX_BYTES);
	memcpy(&header, image, sizeof(header));
	if (header.magic != AIPU_FIRMWARE_MAGIC)
		return refuse(why, why_bytes, "not a firmware image (magic 0x%" PRIx64 ")",
			      header.magic);
	if (header.payload_bytes != bytes - sizeof(header))
		return refuse(why, why_bytes, "payload has %zu bytes, the header says %" PRIu64,
			      bytes - sizeof(header), header.payload_bytes);
	if (header.header_version != AIPU_FIRMWARE_HEADER_VERSION ||
	    header.header_bytes != sizeof(header))
		return refuse(why, why_bytes,
			      "header version %u with %u bytes, expected %u with %zu",
			      header.header_version, header.header_bytes,
			      AIPU_FIRMWARE_HEADER_VERSION, sizeof(header));
	if (!header.version || header.abi_oldest > header.abi_newest ||
	    header.build[sizeof(header.build) - 1] ||
	    !all_zero(header.reserved, sizeof(header.reserved)))
		return refuse(
			why, why_bytes,
			"malformed header: version, contract range, build text or reserved bytes");
	digested = header;
	if (aipu_firmware_digest(&digested, (const uint8_t *)image + sizeof(header),
				 bytes - sizeof(header)))
		return refuse(why, why_bytes, "the digest could not be computed");
	if (memcmp(digested.digest, header.digest, sizeof(header.digest)))
		return refuse(why, why_bytes, "the contents do not have the digest in the header");
	if (header.signature_kind == AIPU_SIGNATURE_NONE &&
	    !(all_zero(header.key_id, sizeof(header.key_id)) &&
	      all_zero(header.signature, sizeof(header.signature))))
		return refuse(why, why_bytes, "an unsigned image with a key id or signature");
	if (header.signature_kind > AIPU_SIGNATURE_ED25519)
		return refuse(why, why_bytes, "unknown signature kind %u", header.signature_kind);
	return 0;
}
