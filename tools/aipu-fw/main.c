// SPDX-License-Identifier: MIT
/*
 * aipu-fw: packs, shows and checks firmware images. Runs at build time too (the default image of the
 * software device), so it needs no device and no library of the project, and its output depends on its
 * arguments only. Exit codes: 0 done, 1 failed, 2 usage.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "image.h"

enum { EXIT_USAGE = 2 };

static const char default_payload[] =
	"AIPU software device, firmware payload.\n"
	"The software device carries its behaviour in the device model; this payload exists so "
	"that the\n"
	"boot sequence, the digest and the version checks are those of a card.\n";

static int usage(FILE *to)
{
	fputs("usage: aipu-fw pack -o FILE [--default] [--version X.Y.Z] [--abi-oldest X.Y]\n"
	      "               [--abi-newest X.Y] [--board soft|any|ID] [--rollback N]\n"
	      "               [--payload FILE] [--build TEXT]\n"
	      "       aipu-fw show FILE [--json]\n"
	      "       aipu-fw verify FILE\n"
	      "       aipu-fw --help | --version\n"
	      "\n"
	      "Exit status: 0 done, 1 failed, 2 usage, 3 no device, 4 no permission,\n"
	      "130 interrupted, 141 closed pipe.\n",
	      to);
	return to == stdout ? 0 : EXIT_USAGE;
}

static int bad_value(const char *option, const char *value, const char *right)
{
	fprintf(stderr, "aipu-fw: --%s %s: %s expected\n", option, value, right);
	return EXIT_USAGE;
}

/* "a.b" or "a.b.c" into `parts`; every part at most its limit, nothing after it */
static bool parse_dotted(const char *text, unsigned int count, const unsigned long *limits,
			 unsigned long *parts)
{
	for (unsigned int i = 0; i < count; i++) {
		char *end;

		if (*text < '0' || *text > '9')
			return false;
		errno = 0;
		parts[i] = strtoul(text, &end, 10);
		if (errno || parts[i] > limits[i] || *end != (i + 1 < count ? '.' : '\0'))
			return false;
		text = end + 1;
	}
	return true;
}

static bool parse_abi(const char *text, uint32_t *abi)
{
	static const unsigned long limits[] = { 0xffff, 0xffff };
	unsigned long parts[2];

	if (!parse_dotted(text, 2, limits, parts))
		return false;
	*abi = AIPU_ABI_VERSION(parts[0], parts[1]);
	return true;
}

static bool parse_u32(const char *text, uint32_t *value)
{
	char *end;
	unsigned long long number;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	number = strtoull(text, &end, 0);
	if (errno || *end || number > UINT32_MAX)
		return false;
	*value = (uint32_t)number;
	return true;
}

/* The whole file, at most `limit` bytes; NULL after a message */
static void *read_file(const char *path, size_t limit, size_t *bytes)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = malloc(limit + 1);

	if (!file || !data) {
		fprintf(stderr, "aipu-fw: %s: %s\n", path, strerror(errno));
		goto fail;
	}
	*bytes = fread(data, 1, limit + 1, file);
	if (ferror(file)) {
		fprintf(stderr, "aipu-fw: %s: %s\n", path, strerror(errno));
		goto fail;
	}
	if (*bytes > limit) {
		fprintf(stderr, "aipu-fw: %s: larger than the %zu bytes that are permitted\n", path,
			limit);
		goto fail;
	}
	fclose(file);
	return data;
fail:
	if (file)
		fclose(file);
	free(data);
	return NULL;
}

/* Under its name only when whole: a failed write leaves what was there */
static int write_image(const char *path, const struct aipu_firmware_header *header,
		       const void *payload, size_t bytes)
{
	char *part = NULL;
	FILE *file = NULL;
	int err = 0;

	if (asprintf(&part, "%s.part.%ld", path, (long)getpid()) < 0)
		return -ENOMEM;
	file = fopen(part, "wb");
	if (!file)
		err = -errno;
	if (!err && (fwrite(header, sizeof(*header), 1, file) != 1 ||
		     (bytes && fwrite(payload, bytes, 1, file) != 1)))
		err = -errno;
	if (file && fclose(file) && !err)
		err = -errno;
	if (!err && rename(part, path))
		err = -errno;
	if (err) {
		fprintf(stderr, "aipu-fw: %s: %s\n", path, strerror(-err));
		if (file)
			unlink(part);
	}
	free(part);
	return err;
}

static int command_pack(int argc, char **argv)
{
	static const unsigned long version_limits[] = { 255, 255, 65535 };
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
		{ NULL, 0, NULL, 0 },
	};
	struct aipu_firmware_header header = {
		.magic = AIPU_FIRMWARE_MAGIC,
		.header_version = AIPU_FIRMWARE_HEADER_VERSION,
		.header_bytes = sizeof(header),
		.version = 0u << 24 | 9u << 16,
		.abi_oldest = AIPU_ABI_OLDEST,
		.abi_newest = AIPU_ABI_CURRENT,
		.board_id = AIPU_BOARD_SOFT,
		.signature_kind = AIPU_SIGNATURE_NONE,
		.build = "aipu-soft",
	};
	const char *output = NULL, *payload_path = NULL;
	const void *payload = default_payload;
	size_t bytes = sizeof(default_payload) - 1;
	void *file = NULL;
	unsigned long parts[3];
	uint32_t value;
	int c, err;

	while ((c = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
		switch (c) {
		case 'd': /* all values are those of the default image unless given */
			break;
		case 'o':
			output = optarg;
			break;
		case 'v':
			if (!parse_dotted(optarg, 3, version_limits, parts) ||
			    !(parts[0] || parts[1] || parts[2]))
				return bad_value("version", optarg,
						 "X.Y.Z up to 255.255.65535, not 0.0.0");
			header.version = (uint32_t)(parts[0] << 24 | parts[1] << 16 | parts[2]);
			break;
		case 'a':
			if (!parse_abi(optarg, &value))
				return bad_value("abi-oldest", optarg, "X.Y");
			header.abi_oldest = value;
			break;
		case 'n':
			if (!parse_abi(optarg, &value))
				return bad_value("abi-newest", optarg, "X.Y");
			header.abi_newest = value;
			break;
		case 'b':
			if (!strcmp(optarg, "soft"))
				value = AIPU_BOARD_SOFT;
			else if (!strcmp(optarg, "any"))
				value = AIPU_BOARD_ANY;
			else if (!parse_u32(optarg, &value))
				return bad_value("board", optarg, "soft, any or a 32-bit number");
			header.board_id = value;
			break;
		case 'r':
			if (!parse_u32(optarg, &value))
				return bad_value("rollback", optarg, "a 32-bit number");
			header.rollback = value;
			break;
		case 'p':
			payload_path = optarg;
			break;
		case 't':
			if (strlen(optarg) >= sizeof(header.build))
				return bad_value("build", optarg, "a text of at most 63 bytes");
			memset(header.build, 0, sizeof(header.build));
			memcpy(header.build, optarg, strlen(optarg));
			break;
		default:
			return usage(stderr);
		}
	}
	if (!output || optind != argc)
		return usage(stderr);
	if (header.abi_oldest > header.abi_newest) {
		fprintf(stderr,
			"aipu-fw: contract versions %u.%u to %u.%u: the oldest is above the "
			"newest\n",
			AIPU_ABI_MAJOR(header.abi_oldest), AIPU_ABI_MINOR(header.abi_oldest),
			AIPU_ABI_MAJOR(header.abi_newest), AIPU_ABI_MINOR(header.abi_newest));
		return EXIT_USAGE;
	}
	if (payload_path) {
		file = read_file(payload_path, AIPU_FIRMWARE_MAX_BYTES - sizeof(header), &bytes);
		if (!file)
			return EXIT_FAILURE;
		payload = file;
	}
	header.payload_bytes = bytes;
	err = image_digest(&header, payload, bytes);
	if (err)
		fputs("aipu-fw: the digest could not be computed\n", stderr);
	else
		err = write_image(output, &header, payload, bytes);
	free(file);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void hex(const uint8_t *bytes, size_t count, char *text)
{
	for (size_t i = 0; i < count; i++)
		sprintf(text + 2 * i, "%02x", bytes[i]);
}

static const char *board_name(uint32_t board, char *text, size_t bytes)
{
	if (board == AIPU_BOARD_SOFT)
		return "soft";
	if (board == AIPU_BOARD_ANY)
		return "any";
	snprintf(text, bytes, "0x%08" PRIx32, board);
	return text;
}

static int show(const struct aipu_firmware_header *header, bool as_json)
{
	char digest[2 * sizeof(header->digest) + 1], version[16], oldest[16], newest[16], board[16];
	const char *board_text = board_name(header->board_id, board, sizeof(board));
	const char *signature = header->signature_kind == AIPU_SIGNATURE_NONE ? "none" : "ed25519";
	json_t *object;
	int err;

	hex(header->digest, sizeof(header->digest), digest);
	snprintf(version, sizeof(version), "%u.%u.%u", header->version >> 24,
		 header->version >> 16 & 0xff, header->version & 0xffff);
	snprintf(oldest, sizeof(oldest), "%u.%u", AIPU_ABI_MAJOR(header->abi_oldest),
		 AIPU_ABI_MINOR(header->abi_oldest));
	snprintf(newest, sizeof(newest), "%u.%u", AIPU_ABI_MAJOR(header->abi_newest),
		 AIPU_ABI_MINOR(header->abi_newest));
	if (!as_json) {
		printf("version:          %s\n"
		       "build:            %s\n"
		       "contract:         %s to %s\n"
		       "board:            %s\n"
		       "rollback counter: %u\n"
		       "signature:        %s\n"
		       "payload:          %" PRIu64 " bytes\n"
		       "sha256:           %s\n",
		       version, header->build, oldest, newest, board_text, header->rollback,
		       signature, header->payload_bytes, digest);
		return 0;
	}
	/* A build text is bytes to the format, but JSON wants UTF-8: jansson refuses anything else. */
	object = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:I, s:s}", "schema", 1,
			   "version", version, "build", header->build, "abi_oldest", oldest,
			   "abi_newest", newest, "board", board_text, "rollback",
			   (json_int_t)header->rollback, "signature", signature, "payload_bytes",
			   (json_int_t)header->payload_bytes, "sha256", digest);
	if (!object) {
		fputs("aipu-fw: the build text is not UTF-8\n", stderr);
		return -EILSEQ;
	}
	err = json_dumpf(object, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER) ? -EIO : 0;
	putchar('\n');
	json_decref(object);
	return err;
}

static int command_check(int argc, char **argv, bool print)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
						 { NULL, 0, NULL, 0 } };
	bool as_json = false;
	char why[160];
	size_t bytes;
	void *image;
	int c, err;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c != 'j' || !print)
			return usage(stderr);
		as_json = true;
	}
	if (optind + 1 != argc)
		return usage(stderr);
	image = read_file(argv[optind], AIPU_FIRMWARE_MAX_BYTES, &bytes);
	if (!image)
		return EXIT_FAILURE;
	err = image_check(image, bytes, why, sizeof(why));
	if (err)
		fprintf(stderr, "aipu-fw: %s: %s\n", argv[optind], why);
	else if (print)
		err = show(image, as_json);
	else
		printf("%s: good\n", argv[optind]);
	if (!err && fflush(stdout)) {
		fprintf(stderr, "aipu-fw: standard output: %s\n", strerror(errno));
		err = -EIO;
	}
	free(image);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return usage(stderr);
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return usage(stdout);
	if (!strcmp(argv[1], "--version")) {
		puts("aipu-fw " AIPU_PACKAGE_VERSION);
		return EXIT_SUCCESS;
	}
	if (!strcmp(argv[1], "pack"))
		return command_pack(argc - 1, argv + 1);
	if (!strcmp(argv[1], "show"))
		return command_check(argc - 1, argv + 1, true);
	if (!strcmp(argv[1], "verify"))
		return command_check(argc - 1, argv + 1, false);
	fprintf(stderr, "aipu-fw: no command \"%s\"\n", argv[1]);
	return usage(stderr);
}
