/* SPDX-License-Identifier: MIT */
/*
 * Command line of aipu-gen: every option here stands in --help and in the man page, a test compares them.
 */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const char help[] =
	"Usage: aipu-gen --qpc DIR --prompt TEXT [options]\n"
	"Continues a text with a compiled model. The answer, and nothing else, goes to\n"
	"standard output as it is generated.\n"
	"\n"
	"  --qpc DIR          compiled model, from aipu-compile\n"
	"  --prompt TEXT      text to continue; may be empty\n"
	"  --prompt-file FILE read it from a file; - is standard input\n"
	"  --max-tokens N     at most N tokens (default: up to the context)\n"
	"  --temperature T    0 takes the likeliest token, above 0 draws (default: 0)\n"
	"  --top-k N          draw from the N likeliest only (default: 0, off)\n"
	"  --top-p P          draw from the likeliest that sum up to P (default: 0, off)\n"
	"  --min-p P          draw from those at least P times as likely as the likeliest\n"
	"                     (default: 0, off)\n"
	"  --seed N           of the draws; the same seed gives the same text (default: random)\n"
	"  --echo             print the prompt before the answer\n"
	"  --device NAME      auto, soft, or a card: index, node, PCI address, serial number\n"
	"                     (default: auto)\n"
	"  --cores N          compute threads of the soft device (default: 0, all)\n"
	"  --show-stats       times, rates, energy, memory traffic on standard error\n"
	"  --json             one JSON object instead of text\n"
	"  --verify           check the weights' digests first\n"
	"  -v, --verbose      say on standard error what is used\n"
	"  --version          print the version\n"
	"  -h, --help         print this\n"
	"\n"
	"Exit status: 0 done, 1 failed, 2 usage, 3 no device, 4 no permission,\n"
	"130 interrupted, 141 closed pipe.\n";

enum {
	OPT_QPC = 256,
	OPT_PROMPT,
	OPT_PROMPT_FILE,
	OPT_MAX_TOKENS,
	OPT_TEMPERATURE,
	OPT_TOP_K,
	OPT_TOP_P,
	OPT_MIN_P,
	OPT_SEED,
	OPT_ECHO,
	OPT_DEVICE,
	OPT_CORES,
	OPT_SHOW_STATS,
	OPT_JSON,
	OPT_VERIFY,
	OPT_VERSION,
};

static const struct option table[] = {
	{ "qpc", required_argument, NULL, OPT_QPC },
	{ "prompt", required_argument, NULL, OPT_PROMPT },
	{ "prompt-file", required_argument, NULL, OPT_PROMPT_FILE },
	{ "max-tokens", required_argument, NULL, OPT_MAX_TOKENS },
	{ "temperature", required_argument, NULL, OPT_TEMPERATURE },
	{ "top-k", required_argument, NULL, OPT_TOP_K },
	{ "top-p", required_argument, NULL, OPT_TOP_P },
	{ "min-p", required_argument, NULL, OPT_MIN_P },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "echo", no_argument, NULL, OPT_ECHO },
	{ "device", required_argument, NULL, OPT_DEVICE },
	{ "cores", required_argument, NULL, OPT_CORES },
	{ "show-stats", no_argument, NULL, OPT_SHOW_STATS },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "verify", no_argument, NULL, OPT_VERIFY },
	{ "verbose", no_argument, NULL, 'v' },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static bool take_u32(const char *option, uint64_t min, uint64_t max, uint32_t *out)
{
	uint64_t value;

	if (!cli_integer(TOOL, option, optarg, min, max, &value))
		return false;
	*out = (uint32_t)value;
	return true;
}

static bool take_float(const char *option, double max, float *out)
{
	double value;

	if (!cli_real(TOOL, option, optarg, 0, max, &value))
		return false;
	*out = (float)value;
	return true;
}

static bool take(int opt, char **argv, struct options *o)
{
	switch (opt) {
	case OPT_QPC:
		return cli_text(TOOL, "--qpc", optarg, "a directory", &o->qpc);
	case OPT_PROMPT:
		o->prompt = optarg;
		return true;
	case OPT_PROMPT_FILE:
		return cli_text(TOOL, "--prompt-file", optarg, "a file, or - for standard input,",
				&o->prompt_file);
	case OPT_MAX_TOKENS:
		return take_u32("--max-tokens", 1, UINT32_MAX, &o->max_tokens);
	case OPT_TEMPERATURE:
		return take_float("--temperature", 1e6, &o->temperature);
	case OPT_TOP_K:
		return take_u32("--top-k", 0, UINT32_MAX, &o->top_k);
	case OPT_TOP_P:
		return take_float("--top-p", 1, &o->top_p);
	case OPT_MIN_P:
		return take_float("--min-p", 1, &o->min_p);
	case OPT_SEED:
		o->seed_given = true;
		return cli_integer(TOOL, "--seed", optarg, 0, INT64_MAX, &o->seed);
	case OPT_ECHO:
		o->echo = true;
		return true;
	case OPT_DEVICE:
		return cli_text(TOOL, "--device", optarg, CLI_DEVICE_NAME, &o->device);
	case OPT_CORES:
		return take_u32("--cores", 0, 256, &o->cores);
	case OPT_SHOW_STATS:
		o->show_stats = true;
		return true;
	case OPT_JSON:
		o->json = true;
		return true;
	case OPT_VERIFY:
		o->verify = true;
		return true;
	case 'v':
		o->verbose = true;
		return true;
	default:
		cli_bad_option(TOOL, NULL, opt, argv);
		return false;
	}
}

int options_parse(int argc, char **argv, struct options *options)
{
	int opt;

	memset(options, 0, sizeof(*options));
	options->device = "auto";
	opterr = 0; /* one line, ours */
	while ((opt = getopt_long(argc, argv, ":vh", table, NULL)) != -1) {
		if (opt == 'h' || opt == OPT_VERSION) {
			if (opt == 'h')
				fputs(help, stdout);
			else
				cli_version(TOOL);
			return cli_finish(TOOL, CLI_OK);
		}
		if (!take(opt, argv, options))
			return CLI_USAGE;
	}
	if (optind < argc)
		return cli_fail(TOOL, CLI_USAGE,
				"'%s': only options are expected, a text is given with --prompt; "
				"see aipu-gen --help",
				argv[optind]);
	if (!options->qpc)
		return cli_fail(TOOL, CLI_USAGE,
				"--qpc DIR is missing: a directory that aipu-compile made");
	if (options->prompt && options->prompt_file)
		return cli_fail(TOOL, CLI_USAGE,
				"--prompt and --prompt-file: only one of them is possible");
	if (!options->prompt && !options->prompt_file)
		return cli_fail(TOOL, CLI_USAGE,
				"one of --prompt TEXT and --prompt-file FILE is needed");
	return -1;
}
