// SPDX-License-Identifier: GPL-2.0-or-later
/* What the command lines of all commands have in common: cards by -i and --device, help, and nothing that is not expected. */
#include <getopt.h>
#include <string.h>

#include "devices.h"

#define OWN_MAX 16 /* long options of a command */
#define OPT_DEVICE 128 /* below those that commands have, above all letters */

int smi_options(int argc, char **argv, const struct smi_options *options, struct picks *picks,
		void *to)
{
	struct option all[OWN_MAX + 3] = { { "device", required_argument, NULL, OPT_DEVICE },
					   { "help", no_argument, NULL, 'h' } };
	bool good = true;
	int c;

	for (size_t i = 0; i < OWN_MAX && options->own[i].name; i++)
		all[i + 2] = options->own[i];
	while (good && (c = getopt_long(argc, argv, options->letters, all, NULL)) != -1) {
		switch (c) {
		case 'i':
			good = picks_take(SMI_TOOL, picks, "-i", optarg);
			break;
		case OPT_DEVICE:
			good = picks_take(SMI_TOOL, picks, "--device", optarg);
			break;
		case 'h':
			smi_help();
		case '?':
		case ':':
			return smi_bad_option(c, argv);
		default:
			good = options->take(to, c, argv);
		}
	}
	return good ? CLI_OK : CLI_USAGE;
}

int smi_no_operand(int argc, char **argv)
{
	if (optind == argc)
		return CLI_OK;
	return smi_fail(CLI_USAGE, "%s: '%s' is not expected; a card is named by -i", argv[0],
			argv[optind]);
}
