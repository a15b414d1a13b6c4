// SPDX-License-Identifier: MIT
/* aipu-fw pack: makes an image. Its bytes depend on its arguments only. */
#include "fw.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char default_payload[] =
	"AIPU software device, firmware payload.\n"
	"The software device carries its behaviour in the device model; this payload exists so "
	"that the\n"
	"boot sequence, the digest and the version checks are those of a card.\n";

static bool parse_abi(const char *text, uint32_t *abi)
{
	static const unsigned long limits[] = { 0xffff, 0xffff };
	unsigned long parts[2];

	if (!cli_dotted(text, limits, 2, parts))
		return false;
	*abi = AIPU_ABI_VERSION(parts[0], parts[1]);
	return true;
}

/* Decimal; where `hex`, also 0x and the rest */
static bool parse_u32(const char *text, bool hex, uint32_t *value)
{
	char *end;
	unsigned long long number;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	number = strtoull(text, &end, hex && !strncmp(text, "0x", 2) ? 16 : 10);
	if (errno || *end || number > UINT32_MAX)
		return false;
	*value = (uint32_t)number;
	return true;
}

static bool parse_build(const char *text, char *build, size_t bytes)
{
	size_t length = strlen(text);

	if (length >= bytes || !fw_build_shows(text))
		return false;
	memset(build, 0, bytes);
	memcpy(build, text, length);
	return true;
}

struct request {
	struct aipu_firmware_header header;
	const char *output, *payload, *key;
	bool use_default; /* the payload of the software device */
	bool has_oldest, has_newest; /* named, not the default */
};

static const char *parse_header(int c, const char *text, struct aipu_firmware_header *header)
{
	static const unsigned long version_limits[] = { 255, 255, 65535 };
	unsigned long parts[3];

	switch (c) {
	case 'v':
		if (!cli_dotted(text, version_limits, 3, parts) ||
		    !(parts[0] || parts[1] || parts[2]))
			return "X.Y.Z up to 255.255.65535, not 0.0.0";
		header->version = (uint32_t)(parts[0] << 24 | parts[1] << 16 | parts[2]);
		return NULL;
	case 'a':
		return parse_abi(text, &header->abi_oldest) ? NULL : "X.Y";
	case 'n':
		return parse_abi(text, &header->abi_newest) ? NULL : "X.Y";
	case 'b':
		if (!strcmp(text, "soft"))
			header->board_id = AIPU_BOARD_SOFT;
		else if (!strcmp(text, "any"))
			header->board_id = AIPU_BOARD_ANY;
		else if (!parse_u32(text, true, &header->board_id))
			return "soft, any or a 32-bit number";
		return NULL;
	case 'r':
		return parse_u32(text, false, &header->rollback) ? NULL : "a 32-bit number";
	default:
		return parse_build(text, header->build, sizeof(header->build))
			       ? NULL
			       : "a text of at most 63 bytes of UTF-8 without control characters";
	}
}

/* An option with a file */
static int take_name(int c, struct request *r)
{
	static const char key[] = "a private key in a PEM file";
	bool good;

	if (c == 'o')
		good = cli_text(FW_TOOL, "pack: -o", optarg, "a file", &r->output);
	else if (c == 'p')
		good = cli_text(FW_TOOL, "pack: --payload", optarg, "a file", &r->payload);
	else
		good = cli_text(FW_TOOL, "pack: --key", optarg, key, &r->key);
	return good ? CLI_OK : CLI_USAGE;
}

static int parse(int argc, char **argv, struct request *r)
{
	static const struct option options[] = {
		{ "default", no_argument, NULL, 'd' },
		{ "output", required_argument, NULL, 'o' },
		{ "version", required_argument, NULL, 'v' },
		{ "abi-oldest", required_argument, NULL, 'a' },
		{ "abi-newest", required_argument, NULL, 'n' },
		{ "board", required_argument, NULL, 'b' },
		{ "rollback", required_argument, NULL, 'r' },
		{ "payload", required_argument, NULL, 'p' },
		{ "build", required_argument, NULL, 't' },
		{ "key", required_argument, NULL, 'k' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *right;
	int c, code = CLI_OK, index = 0;

	while (!code && (c = getopt_long(argc, argv, ":o:h", options, &index)) != -1) {
		if (c == 'd') /* all values are those of the default image unless given */
			r->use_default = true;
		else if (c == 'o' || c == 'p' || c == 'k')
			code = take_name(c, r);
		else if (c == ':' || c == '?' || c == 'h')
			return fw_other_option(c, argv);
		else if ((right = parse_header(c, optarg, &r->header)))
			code = fw_bad_value(options[index].name, optarg, right);
		r->has_oldest |= c == 'a';
		r->has_newest |= c == 'n';
	}
	if (code)
		return code;
	if (optind != argc)
		return fw_fail(CLI_USAGE,
			       "pack: '%s': only options are expected; see aipu-fw --help",
			       argv[optind]);
	if (!r->output)
		return fw_fail(CLI_USAGE, "pack: -o FILE is missing: the image to write");
	if (!r->use_default && !r->payload)
		return fw_fail(CLI_USAGE,
			       "pack: --payload FILE or --default is missing: what to pack");
	if (r->use_default && r->payload)
		return fw_fail(CLI_USAGE, "pack: --payload and --default exclude each other");
	if (r->header.abi_oldest > r->header.abi_newest)
		return fw_fail(CLI_USAGE,
			       "contract versions %u.%u%s to %u.%u%s: the oldest is above the "
			       "newest",
			       AIPU_ABI_MAJOR(r->header.abi_oldest),
			       AIPU_ABI_MINOR(r->header.abi_oldest),
			       r->has_oldest ? "" : " (the default of --abi-oldest)",
			       AIPU_ABI_MAJOR(r->header.abi_newest),
			       AIPU_ABI_MINOR(r->header.abi_newest),
			       r->has_newest ? "" : " (the default of --abi-newest)");
	return CLI_OK;
}

static int make(struct request *r, const void *payload, size_t bytes)
{
	uint8_t *image = malloc(sizeof(r->header) + bytes);
	int code = CLI_OK;

	if (!image)
		return fw_fail_file(r->output, -ENOMEM);
	r->header.payload_bytes = bytes;
	if (aipu_firmware_digest(&r->header, payload, bytes))
		code = fw_fail(CLI_FAILED, "the digest could not be computed");
	memcpy(image, &r->header, sizeof(r->header));
	memcpy(image + sizeof(r->header), payload, bytes);
	if (!code && r->key)
		code = fw_key_sign(r->key, image, sizeof(r->header) + bytes);
	if (!code)
		code = fw_write_file(r->output, image, sizeof(r->header) + bytes);
	free(image);
	return code;
}

int fw_pack(int argc, char **argv)
{
	struct request r = {
		.header = {
			.magic = AIPU_FIRMWARE_MAGIC,
			.header_version = AIPU_FIRMWARE_HEADER_VERSION,
			.header_bytes = sizeof(r.header),
			.version = 0u << 24 | 9u << 16,
			.abi_oldest = AIPU_ABI_OLDEST,
			.abi_newest = AIPU_ABI_CURRENT,
			.board_id = AIPU_BOARD_SOFT,
			.signature_kind = AIPU_SIGNATURE_NONE,
			.build = "aipu-soft",
		},
	};
	int code = parse(argc, argv, &r);
	size_t bytes;
	void *file;

	if (code)
		return code;
	if (!r.payload)
		return make(&r, default_payload, sizeof(default_payload) - 1);
	file = fw_read_file(r.payload, AIPU_FIRMWARE_MAX_BYTES - sizeof(r.header), &bytes, &code);
	if (!file)
		return code;
	code = bytes ? make(&r, file, bytes)
		     : fw_fail(CLI_FAILED, "%s: empty: a payload is expected", r.payload);
	free(file);
	return code;
}
