// SPDX-License-Identifier: MIT
/* aipu-fw sign: gives an image a signature, in place of the one it has. */
#include "fw.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

int fw_sign(int argc, char **argv)
{
	static const struct option options[] = {
		{ "key", required_argument, NULL, 'k' },
		{ "output", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *key = NULL, *output = NULL, *input;
	char why[160];
	size_t bytes;
	void *image;
	int c, code;

	while ((c = getopt_long(argc, argv, ":o:h", options, NULL)) != -1) {
		bool good;

		if (c == 'k')
			good = cli_text(FW_TOOL, "sign: --key", optarg,
					"a private key in a PEM file", &key);
		else if (c == 'o')
			good = cli_text(FW_TOOL, "sign: -o", optarg, "a file", &output);
		else
			return fw_other_option(c, argv);
		if (!good)
			return CLI_USAGE;
	}
	if (optind == argc)
		return fw_fail(CLI_USAGE, "sign: FILE is missing: the image");
	if (optind + 1 < argc)
		return fw_fail(CLI_USAGE, "sign: '%s': one FILE is expected", argv[optind + 1]);
	if (!argv[optind][0])
		return fw_fail(CLI_USAGE, "sign: FILE '': an image is expected");
	if (!key)
		return fw_fail(CLI_USAGE,
			       "sign: --key KEY is missing: a private key in a PEM file");
	input = argv[optind];
	image = fw_read_file(input, AIPU_FIRMWARE_MAX_BYTES, &bytes, &code);
	if (!image)
		return code;
	/* What is damaged is not made whole by a signature. */
	if (fw_image_check(image, bytes, why, sizeof(why)))
		code = fw_fail(CLI_FAILED, "%s: %s", input, why);
	else
		code = fw_key_sign(key, image, bytes);
	if (!code)
		code = fw_write_file(output ? output : input, image, bytes);
	free(image);
	return code;
}
