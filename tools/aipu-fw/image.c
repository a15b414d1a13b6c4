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

/* The code point that `*text` begins with, which it then stands behind; -1: no UTF-8, in its shortest form */
static int32_t next_point(const char **text)
{
	static const int32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	const uint8_t *bytes = (const uint8_t *)*text;
	int more = bytes[0] < 0x80 ? 0 : bytes[0] < 0xe0 ? 1 : bytes[0] < 0xf0 ? 2 : 3;
	int32_t point = more ? bytes[0] & (0x3f >> more) : bytes[0];

	if (bytes[0] >= 0xf8 || (bytes[0] & 0xc0) == 0x80)
		return -1;
	for (int i = 1; i <= more; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return -1;
		point = point << 6 | (bytes[i] & 0x3f);
	}
	*text += more + 1;
	return point < least[more] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)
		       ? -1
		       : point;
}

bool fw_build_shows(const char *text)
{
	/* C0, C1; zero width and direction; line and paragraph separators, embeddings; isolates; a byte order mark */
	static const struct {
		int32_t first, last;
	} hidden[] = { { 0, 0x1f },	    { 0x7f, 0x9f },	{ 0xad, 0xad },
		       { 0x61c, 0x61c },    { 0x200b, 0x200f }, { 0x2028, 0x202e },
		       { 0x2060, 0x206f },  { 0xfeff, 0xfeff }, { 0xfff9, 0xfffb },
		       { 0xe0000, 0xe0fff } };

	while (*text) {
		int32_t point = next_point(&text);

		if (point < 0)
			return false;
		for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
			if (point >= hidden[i].first && point <= hidden[i].last)
				return false;
	}
	return true;
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
