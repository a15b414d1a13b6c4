// SPDX-License-Identifier: MIT
/* aipu-fw inspect and verify: what is in an image, and whether a boot ROM would take it. */
#include "fw.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "snapfile.h"
#include "text.h"

static void hex(const uint8_t *bytes, size_t count, char *text)
{
	for (size_t i = 0; i < count; i++)
		sprintf(text + 2 * i, "%02x", bytes[i]);
}

static int show(const struct aipu_firmware_header *header, bool as_json)
{
	char digest[2 * sizeof(header->digest) + 1], key[2 * sizeof(header->key_id) + 1];
	char version[16], oldest[16], newest[16], board[16];
	bool is_signed = header->signature_kind != AIPU_SIGNATURE_NONE;
	const char *signature = is_signed ? "ed25519" : "none";
	char build[sizeof(header->build)];
	json_t *object;
	int err;

	/* Bytes, to the format: what is no text for terminals and JSON has '?' in its place */
	memcpy(build, header->build, sizeof(build));
	if (!fw_build_shows(build))
		TEXT_CLEAN(build, header->build);

	text_board(board, header->board_id);
	hex(header->digest, sizeof(header->digest), digest);
	hex(header->key_id, sizeof(header->key_id), key);
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
		       "key:              %s\n"
		       "payload:          %" PRIu64 " bytes\n"
		       "sha256:           %s\n",
		       version, build, oldest, newest, board, header->rollback, signature,
		       is_signed ? key : "none", header->payload_bytes, digest);
		return 0;
	}
	object = json_pack("{s:i, s:s, s:s, s:s, s:s, s:o, s:I, s:s, s:s*, s:I, s:s}",
			   "schema_version", SNAPFILE_SCHEMA, "version", version, "build", build,
			   "contract_oldest", oldest, "contract_newest", newest, "board_id",
			   json_sprintf("0x%08" PRIx32, header->board_id), "rollback",
			   (json_int_t)header->rollback, "signature_kind", signature, "key_id",
			   is_signed ? key : NULL, "payload_bytes",
			   (json_int_t)header->payload_bytes, "sha256", digest);
	if (!object) {
		fw_fail(CLI_FAILED, "out of memory");
		return -ENOMEM;
	}
	err = json_dumpf(object, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER) ? -EIO : 0;
	putchar('\n');
	json_decref(object);
	return err;
}

/* The image that the one argument names, checked as far as that needs no key; NULL after a message, with *code */
static void *read_image(int argc, char **argv, size_t *bytes, int *code)
{
	char why[160];
	void *image;

	*code = CLI_USAGE;
	if (optind == argc) {
		fw_fail(CLI_USAGE, "%s: FILE is missing: the image", argv[0]);
		return NULL;
	}
	if (optind + 1 < argc) {
		fw_fail(CLI_USAGE, "%s: '%s': one FILE is expected", argv[0], argv[optind + 1]);
		return NULL;
	}
	if (!argv[optind][0]) {
		fw_fail(CLI_USAGE, "%s: FILE '': an image is expected", argv[0]);
		return NULL;
	}
	image = fw_read_file(argv[optind], AIPU_FIRMWARE_MAX_BYTES, bytes, code);
	if (image && fw_image_check(image, *bytes, why, sizeof(why))) {
		*code = fw_fail(CLI_FAILED, "%s: %s", argv[optind], why);
		free(image);
		image = NULL;
	}
	return image;
}

int fw_inspect(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
						 { "help", no_argument, NULL, 'h' },
						 { NULL, 0, NULL, 0 } };
	bool as_json = false;
	size_t bytes;
	void *image;
	int c, code;

	while ((c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (c != 'j')
			return fw_other_option(c, argv);
		as_json = true;
	}
	image = read_image(argc, argv, &bytes, &code);
	if (!image)
		return code;
	code = show(image, as_json) ? CLI_FAILED : CLI_OK;
	free(image);
	return code;
}

static int verify_signature(const char *path, const struct aipu_firmware_header *header,
			    const char *key)
{
	uint8_t raw[AIPU_PUBLIC_KEY_BYTES];
	char id[2 * sizeof(header->key_id) + 1];
	int code;

	hex(header->key_id, sizeof(header->key_id), id);
	if (!key) {
		if (header->signature_kind == AIPU_SIGNATURE_NONE)
			printf("%s: good, not signed\n", path);
		else
			printf("%s: good; its signature by key %.16s... was not checked, --key KEY does\n",
			       path, id);
		return CLI_OK;
	}
	code = fw_key_public(key, raw);
	if (code)
		return code;
	if (header->signature_kind == AIPU_SIGNATURE_NONE)
		return fw_fail(CLI_FAILED, "%s: not signed", path);
	if (!aipu_firmware_signed(header, raw, 1))
		return fw_fail(CLI_FAILED, "%s: not signed with %s (its key is %.16s...)", path,
			       key, id);
	printf("%s: good, signed\n", path);
	return CLI_OK;
}

int fw_verify(int argc, char **argv)
{
	static const struct option options[] = { { "key", required_argument, NULL, 'k' },
						 { "help", no_argument, NULL, 'h' },
						 { NULL, 0, NULL, 0 } };
	const char *key = NULL;
	size_t bytes;
	void *image;
	int c, code;

	while ((c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (c != 'k')
			return fw_other_option(c, argv);
		if (!cli_text(FW_TOOL, "verify: --key", optarg, "a key in a PEM file", &key))
			return CLI_USAGE;
	}
	image = read_image(argc, argv, &bytes, &code);
	if (!image)
		return code;
	code = verify_signature(argv[optind], image, key);
	free(image);
	return code;
}
