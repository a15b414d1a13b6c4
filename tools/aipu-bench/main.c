/* SPDX-License-Identifier: MIT */
/*
 * aipu-bench: tokens per second of a compiled model, or of random weights of a known shape, set against limits of the
 * machine that are measured in the same run.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "compiler.h"
#include "bench.h"
#include "cli.h"
#include "shapes.h"

static const char help[] =
	"Usage: aipu-bench --qpc DIR | --shape NAME [options]\n"
	"Measures prefill (pp) and decode (tg) in tokens per second, and the machine's\n"
	"read bandwidth and arithmetic peak in the same run.\n"
	"\n"
	"  --qpc DIR           a compiled model\n"
	"  --shape NAME        random weights of a shape:\n"
	"                      tinyllama-1.1b|stories110m|stories15m|llama-3.2-1b,\n"
	"                      or dim=N,hidden=N,layers=N,heads=N,kv_heads=N,vocab=N (what is\n"
	"                      left out is stories15m's)\n"
	"  --precision P       of a shape: fp32|fp16|int8 (default: int8)\n"
	"  -p, --n-prompt N    prefill tests, a list like 32,128; 0: none (default: 128)\n"
	"  -n, --n-gen N       decode tests, likewise (default: 64)\n"
	"  -r, --repetitions N after one warm-up (default: 5)\n"
	"  --cores N           compute threads, a list; 0: all (default: 0)\n"
	"  --device NAME       auto, soft, or a card: index, node, PCI address, serial number\n"
	"                      (default: auto)\n"
	"  -o, --output FORMAT table|json|csv (default: table)\n"
	"  --version           print the version\n"
	"  -h, --help          print this\n"
	"\n"
	"Exit status: 0 done, 1 failed, 2 usage, 3 no device, 4 no permission,\n"
	"130 interrupted, 141 closed pipe.\n";

enum { OPT_QPC = 256, OPT_SHAPE, OPT_PRECISION, OPT_CORES, OPT_DEVICE, OPT_VERSION };

static const struct option table[] = {
	{ "qpc", required_argument, NULL, OPT_QPC },
	{ "shape", required_argument, NULL, OPT_SHAPE },
	{ "precision", required_argument, NULL, OPT_PRECISION },
	{ "n-prompt", required_argument, NULL, 'p' },
	{ "n-gen", required_argument, NULL, 'n' },
	{ "repetitions", required_argument, NULL, 'r' },
	{ "cores", required_argument, NULL, OPT_CORES },
	{ "device", required_argument, NULL, OPT_DEVICE },
	{ "output", required_argument, NULL, 'o' },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static volatile sig_atomic_t stop;

static void on_interrupt(int signal)
{
	(void)signal;
	if (stop)
		_exit(CLI_INTERRUPTED);
	stop = 1;
}

/* "1,2,4"; a single 0 gives an empty list where `none` */
static bool take_list(const char *option, uint64_t max, bool none, uint32_t *list, uint32_t *count)
{
	char copy[256], *item, *save = NULL;
	uint64_t value;

	*count = 0;
	if (snprintf(copy, sizeof(copy), "%s", optarg) >= (int)sizeof(copy))
		copy[0] = 0;
	for (item = strtok_r(copy, ",", &save); item; item = strtok_r(NULL, ",", &save)) {
		if (*count == MAX_LIST || !cli_integer(TOOL, option, item, 0, max, &value))
			break;
		if (none && !value)
			continue;
		list[(*count)++] = (uint32_t)value;
	}
	if (!item && (*count || none) && optarg[0])
		return true;
	if (!item || *count == MAX_LIST)
		cli_fail(TOOL, CLI_USAGE, "%s '%s': a list of 1 to %u integers is expected", option,
			 optarg, MAX_LIST);
	return false;
}

static bool take_output(struct bench_options *o)
{
	static const char *const names[] = { "table", "json", "csv" };
	unsigned int i;

	for (i = 0; i < 3; i++) {
		if (!strcmp(optarg, names[i])) {
			o->format = (enum bench_format)i;
			return true;
		}
	}
	cli_fail(TOOL, CLI_USAGE, "--output '%s': table, json or csv is expected", optarg);
	return false;
}

static bool take_precision(struct bench_options *o)
{
	for (o->precision = 1; compile_precision_name(o->precision); o->precision++)
		if (!strcmp(compile_precision_name(o->precision), optarg))
			return true;
	cli_fail(TOOL, CLI_USAGE, "--precision '%s': fp32, fp16 or int8 is expected", optarg);
	return false;
}

static bool take(int opt, char **argv, struct bench_options *o)
{
	uint64_t value;

	switch (opt) {
	case OPT_QPC:
		return cli_text(TOOL, "--qpc", optarg, "a directory", &o->qpc);
	case OPT_SHAPE:
		o->shape = optarg;
		return true;
	case OPT_PRECISION:
		return take_precision(o);
	case OPT_DEVICE:
		return cli_text(TOOL, "--device", optarg, CLI_DEVICE_NAME, &o->device);
	case 'p':
		return take_list("--n-prompt", 1u << 20, true, o->prompts, &o->prompt_count);
	case 'n':
		return take_list("--n-gen", 1u << 20, true, o->generations, &o->generation_count);
	case OPT_CORES:
		return take_list("--cores", 256, false, o->cores, &o->core_count);
	case 'r':
		if (!cli_integer(TOOL, "--repetitions", optarg, 1, 1000, &value))
			return false;
		o->repetitions = (uint32_t)value;
		return true;
	case 'o':
		return take_output(o);
	default:
		cli_bad_option(TOOL, NULL, opt, argv);
		return false;
	}
}

static uint32_t longest(const struct bench_options *o)
{
	uint32_t most = 1, i;

	for (i = 0; i < o->prompt_count; i++)
		most = o->prompts[i] > most ? o->prompts[i] : most;
	return most;
}

/* Compiles random weights into memory; the exit code. path: of the container, while fd is open */
static int make_random(const struct bench_options *o, int *fd, char *path, size_t bytes)
{
	struct compile_options options = { .stop = &stop };
	struct compile_source source;
	struct aipu_message message = { "" };
	struct compile_shape shape;
	uint32_t most = longest(o), i;
	int err;

	if (!shapes_find(o->shape, &shape))
		return cli_fail(TOOL, CLI_USAGE,
				"--shape '%s': %s or a list like dim=288,layers=6 is expected",
				o->shape, shapes_names);
	options.precision = o->precision ? o->precision : AIPU_PRECISION_INT8;
	options.prompt_len = most < 128 ? most : 128;
	options.ctx_len = most + 1;
	for (i = 0; i < o->generation_count; i++)
		if (o->generations[i] + 1 > options.ctx_len)
			options.ctx_len = o->generations[i] + 1;
	if (options.ctx_len > shape.positions)
		shape.positions = options.ctx_len;
	err = compile_open_random(&shape, 1, &source, &message);
	if (err)
		return cli_fail(TOOL, CLI_USAGE, "--shape '%s': %s", o->shape, message.text);
	snprintf(source.name, sizeof(source.name), "%.48s %s", o->shape,
		 compile_precision_name(options.precision));
	*fd = memfd_create("aipu-bench", MFD_CLOEXEC);
	err = *fd < 0 ? -errno : compile_write(&source, &options, *fd, &message);
	source.close(&source);
	if (err == -EINVAL)
		return cli_fail(TOOL, CLI_USAGE, "--shape '%s': %s", o->shape, message.text);
	if (err)
		return cli_fail(TOOL, cli_exit_code(err), "random weights: %s",
				message.text[0] ? message.text : strerror(-err));
	snprintf(path, bytes, "/proc/self/fd/%d", *fd);
	return CLI_OK;
}

static int parse(int argc, char **argv, struct bench_options *o)
{
	int opt;

	opterr = 0; /* one line, ours */
	while ((opt = getopt_long(argc, argv, ":p:n:r:o:h", table, NULL)) != -1) {
		if (opt == 'h' || opt == OPT_VERSION) {
			if (opt == 'h')
				fputs(help, stdout);
			else
				cli_version(TOOL);
			return cli_finish(TOOL, CLI_OK);
		}
		if (!take(opt, argv, o))
			return CLI_USAGE;
	}
	if (optind < argc)
		return cli_fail(TOOL, CLI_USAGE,
				"'%s': only options are expected; see aipu-bench --help",
				argv[optind]);
	if (o->qpc && o->shape)
		return cli_fail(TOOL, CLI_USAGE, "--qpc and --shape: only one of them is possible");
	if (o->qpc && o->precision)
		return cli_fail(TOOL, CLI_USAGE,
				"--precision: a compiled model has its own; it goes with --shape");
	if (!o->qpc && !o->shape)
		return cli_fail(TOOL, CLI_USAGE, "one of --qpc DIR and --shape NAME is needed");
	if (!o->prompt_count && !o->generation_count)
		return cli_fail(TOOL, CLI_USAGE,
				"--n-prompt 0 and --n-gen 0: nothing is left to measure");
	return -1;
}

int main(int argc, char **argv)
{
	struct bench_options o = {
		.device = "auto",
		.prompts = { 128 },
		.prompt_count = 1,
		.generations = { 64 },
		.generation_count = 1,
		.core_count = 1,
		.repetitions = 5,
	};
	struct sigaction interrupt = { .sa_handler = on_interrupt };
	struct output output = { 0 };
	char path[64];
	int fd = -1, code;

	cli_start();
	code = parse(argc, argv, &o);
	if (code >= 0)
		return code;
	sigaction(SIGINT, &interrupt, NULL);
	sigaction(SIGTERM, &interrupt, NULL);
	output.format = o.format;
	if (o.shape) {
		code = make_random(&o, &fd, path, sizeof(path));
		if (code)
			return code;
	}
	code = bench_run(&o, o.shape ? path : o.qpc, &stop, output_line, &output);
	if (code == CLI_OK)
		output_end(&output);
	if (fd >= 0)
		close(fd);
	return cli_finish(TOOL, code);
}
