// SPDX-License-Identifier: MIT
/*
 * aipu-compile: from a checkpoint to a QPC directory. The command line, the progress bar and signals; the
 * work is done by userspace/compiler. stdout is for --help, --version and --json only.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "aipu_program.h"
#include "cli.h"
#include "compiler.h"
#include "tokenizer.h"

#define TOOL "aipu-compile"

static const char help[] =
	"usage: aipu-compile MODEL [-o DIR] [options]\n"
	"\n"
	"Compiles a checkpoint into a QPC directory, which aipu-gen and aipu-bench execute.\n"
	"\n"
	"MODEL is a Hugging Face directory of a Llama model (config.json, model.safetensors or\n"
	"shards with model.safetensors.index.json, tokenizer.model) or a checkpoint file of\n"
	"llama2.c (version 0, with --tokenizer).\n"
	"\n"
	"  -o, --output DIR        directory to make; default, in the current directory:\n"
	"                          MODEL-<PL>pl-<CL>cl-<BS>bs[-<N>c]-<precision>\n"
	"      --force             replace that directory if it is a QPC directory\n"
	"      --precision P       int8|fp16|fp32 (default int8)\n"
	"      --kv-precision P    of the KV cache: fp16|fp32 (default fp16; fp32 with fp32)\n"
	"      --prompt-len N      tokens of a prefill step (default 32)\n"
	"      --ctx-len N         context (default the model's, at most 4096)\n"
	"      --batch-size N      lanes: sequences at a time (default 1)\n"
	"      --cores N           cores to prefer when it runs (default 0: all)\n"
	"      --tokenizer FILE    sentencepiece model (default MODEL/tokenizer.model)\n"
	"      --name TEXT         the model's name in the container (default from MODEL)\n"
	"      --threads N         of the compiler (default 0: all CPUs)\n"
	"      --json              print one JSON object about the result\n"
	"  -v, --verbose           say what is compiled\n"
	"      --version           print the version\n"
	"  -h, --help              print this\n"
	"\n"
	"Exit status: 0 done, 1 failed, 2 usage, 3 no device, 4 no permission,\n"
	"130 interrupted, 141 closed pipe.\n";

static volatile sig_atomic_t stopped;

static void on_signal(int signal)
{
	(void)signal;
	stopped = 1;
}

struct arguments {
	const char *model, *output, *tokenizer, *name;
	struct compile_options options;
	bool force, json, verbose;
};

static int parse_precision(const char *option, const char *text, bool kv, uint32_t *value)
{
	if (!strcmp(text, "fp32"))
		*value = kv ? (uint32_t)AIPU_FMT_F32 : (uint32_t)AIPU_PRECISION_FP32;
	else if (!strcmp(text, "fp16"))
		*value = kv ? (uint32_t)AIPU_FMT_F16 : (uint32_t)AIPU_PRECISION_FP16;
	else if (!kv && !strcmp(text, "int8"))
		*value = AIPU_PRECISION_INT8;
	else
		return cli_fail(TOOL, CLI_USAGE, "--%s '%s': %s is expected", option, text,
				kv ? "fp16 or fp32" : "int8, fp16 or fp32");
	return 0;
}

enum {
	OPT_FORCE = 256,
	OPT_PRECISION,
	OPT_KV,
	OPT_PROMPT,
	OPT_CTX,
	OPT_BATCH,
	OPT_CORES,
	OPT_TOKENIZER,
	OPT_NAME,
	OPT_THREADS,
	OPT_JSON,
	OPT_VERSION
};

static const struct option long_options[] = {
	{ "output", required_argument, NULL, 'o' },
	{ "force", no_argument, NULL, OPT_FORCE },
	{ "precision", required_argument, NULL, OPT_PRECISION },
	{ "kv-precision", required_argument, NULL, OPT_KV },
	{ "prompt-len", required_argument, NULL, OPT_PROMPT },
	{ "ctx-len", required_argument, NULL, OPT_CTX },
	{ "batch-size", required_argument, NULL, OPT_BATCH },
	{ "cores", required_argument, NULL, OPT_CORES },
	{ "tokenizer", required_argument, NULL, OPT_TOKENIZER },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "threads", required_argument, NULL, OPT_THREADS },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "verbose", no_argument, NULL, 'v' },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* An option with a number. False: bad value, said so. */
static bool parse_number(int option, const char *text, struct compile_options *o)
{
	static const struct {
		int option;
		const char *name;
		uint64_t min, max;
	} numbers[] = {
		{ OPT_PROMPT, "--prompt-len", 1, COMPILE_MAX_CONTEXT },
		{ OPT_CTX, "--ctx-len", 1, COMPILE_MAX_CONTEXT },
		{ OPT_BATCH, "--batch-size", 1, COMPILE_MAX_BATCH },
		{ OPT_CORES, "--cores", 0, 1024 },
		{ OPT_THREADS, "--threads", 0, 1024 },
	};
	uint32_t *to[] = { &o->prompt_len, &o->ctx_len, &o->batch_size, &o->cores, &o->threads };
	uint64_t value;
	size_t i = 0;

	while (numbers[i].option != option)
		i++;
	if (!cli_integer(TOOL, numbers[i].name, text, numbers[i].min, numbers[i].max, &value))
		return false;
	*to[i] = (uint32_t)value;
	return true;
}

/* It becomes part of a directory's name. */
static bool name_good(const char *name)
{
	size_t i;

	for (i = 0; name[i]; i++)
		if (name[i] < ' ' || name[i] > '~' || name[i] == '/')
			return false;
	return i > 0 && i < 64 && name[0] != '.';
}

static int take_text(const char *option, const char *what, const char **value)
{
	return cli_text(TOOL, option, optarg, what, value) ? 0 : CLI_USAGE;
}

static int take_name(const char **name)
{
	*name = optarg;
	if (name_good(optarg))
		return 0;
	return cli_fail(TOOL, CLI_USAGE,
			"--name '%s': 1 to 63 printable ASCII characters without '/' are expected",
			optarg);
}

/* 0: go on; < 0: done, exit with 0; > 0: exit code */
static int parse(int argc, char **argv, struct arguments *a)
{
	uint32_t precision = AIPU_PRECISION_INT8;
	int option, code = 0;

	opterr = 0; /* one line, ours */
	while (!code && (option = getopt_long(argc, argv, ":o:vh", long_options, NULL)) != -1) {
		switch (option) {
		case 'o':
			code = take_text("--output", "a directory", &a->output);
			break;
		case 'v':
			a->verbose = true;
			break;
		case OPT_FORCE:
			a->force = true;
			break;
		case OPT_JSON:
			a->json = true;
			break;
		case OPT_TOKENIZER:
			code = take_text("--tokenizer", "a file", &a->tokenizer);
			break;
		case OPT_NAME:
			code = take_name(&a->name);
			break;
		case OPT_PRECISION:
			code = parse_precision("precision", optarg, false, &precision);
			break;
		case OPT_KV:
			code = parse_precision("kv-precision", optarg, true, &a->options.kv_format);
			break;
		case OPT_VERSION:
			cli_version(TOOL);
			return -1;
		case 'h':
			fputs(help, stdout);
			return -1;
		case ':':
		case '?':
			return cli_bad_option(TOOL, NULL, option, argv);
		default:
			code = parse_number(option, optarg, &a->options) ? 0 : CLI_USAGE;
		}
	}
	if (code)
		return code;
	a->options.precision = precision;
	if (precision == AIPU_PRECISION_FP32 && a->options.kv_format == AIPU_FMT_F16)
		return cli_fail(TOOL, CLI_USAGE,
				"--kv-precision fp16: with --precision fp32 the KV cache is fp32");
	if (argc == optind)
		return cli_fail(TOOL, CLI_USAGE,
				"MODEL is missing: a directory or a file; see aipu-compile --help");
	if (argc - optind > 1)
		return cli_fail(TOOL, CLI_USAGE,
				"'%s': one MODEL is expected; see aipu-compile --help",
				argv[optind + 1]);
	a->model = argv[optind];
	if (!a->model[0])
		return cli_fail(TOOL, CLI_USAGE, "MODEL '': a directory or a file is expected");
	return 0;
}

static void show_progress(void *arg, uint64_t done, uint64_t total)
{
	static const char bar[] = "##############################";
	int *shown = arg, percent = total ? (int)(done * 100 / total) : 100;

	if (percent == *shown)
		return;
	*shown = percent;
	fprintf(stderr, "\r[%-30.*s] %3d%%", percent * 30 / 100, bar, percent);
	if (percent == 100)
		fputs("\r\033[K", stderr);
}

/* tokenizer.model, which a Hugging Face directory holds */
static int find_tokenizer(struct arguments *a, const struct compile_source *source, char *path,
			  size_t bytes)
{
	struct aipu_message message = { "" };
	char json[4096] = "";
	struct stat st;
	int err;

	if (!a->tokenizer) {
		if (strcmp(source->kind, "huggingface"))
			return cli_fail(TOOL, CLI_FAILED,
					"%s: has no tokenizer: name its sentencepiece model with "
					"--tokenizer FILE",
					a->model);
		snprintf(path, bytes, "%s/tokenizer.model", a->model);
		snprintf(json, sizeof(json), "%s/tokenizer.json", a->model);
		a->tokenizer = path;
	}
	if (json[0] && access(a->tokenizer, F_OK) && !access(json, F_OK))
		return cli_fail(
			TOOL, CLI_FAILED,
			"%s: tokenizer missing: tokenizer.json beside it is not read, a sentencepiece "
			"model is needed (--tokenizer FILE names one)",
			a->tokenizer);
	if (stat(a->tokenizer, &st))
		return cli_fail(TOOL, CLI_FAILED,
				"%s: tokenizer missing: %s (--tokenizer FILE names another)",
				a->tokenizer, strerror(errno));
	if (!S_ISREG(st.st_mode) || !st.st_size)
		return cli_fail(TOOL, CLI_FAILED, "%s: not a tokenizer: it is %s", a->tokenizer,
				S_ISREG(st.st_mode) ? "empty" : "no regular file");
	err = tokenizer_check(a->tokenizer, source->shape.vocabulary, &message);
	return err ? cli_fail(TOOL, cli_exit_code(err), "%s", message.text) : 0;
}

static void default_output(const struct compile_source *source, const struct compile_options *o,
			   char *path, size_t bytes)
{
	char cores[16] = "";

	if (o->cores)
		snprintf(cores, sizeof(cores), "-%uc", o->cores);
	snprintf(path, bytes, "%s-%upl-%ucl-%ubs%s-%s", source->name, o->prompt_len, o->ctx_len,
		 o->batch_size, cores, compile_precision_name(o->precision));
}

static void describe(const struct arguments *a, const struct compile_source *source,
		     const char *output)
{
	const struct compile_shape *s = &source->shape;
	const struct compile_options *o = &a->options;

	fprintf(stderr,
		"%s: %s, %.1f M parameters: %u layers, dim %u, hidden %u, %u heads of %u, %u KV "
		"heads, vocabulary %u, context %u\n",
		source->name, source->kind, (double)compile_parameters(s) / 1e6, s->layers, s->dim,
		s->hidden_dim, s->heads, s->head_dim, s->kv_heads, s->vocabulary, s->positions);
	fprintf(stderr, "%s: %s, KV %s, prompt %u, context %u, batch %u\n", output,
		compile_precision_name(o->precision),
		o->kv_format == AIPU_FMT_F32 ? "fp32" : "fp16", o->prompt_len, o->ctx_len,
		o->batch_size);
}

static void print_json(const struct arguments *a, const struct compile_source *source,
		       const char *output, double ms)
{
	const struct compile_options *o = &a->options;
	struct stat st = { 0 };
	char path[4096];
	json_t *root;

	snprintf(path, sizeof(path), "%s/model.qpc", output);
	if (stat(path, &st))
		st.st_size = 0;
	root = json_pack("{s:i, s:s, s:s, s:I, s:s, s:s, s:i, s:i, s:i, s:i, s:I, s:f}",
			 "schema_version", 1, "output", output, "name", source->name, "parameters",
			 (json_int_t)compile_parameters(&source->shape), "precision",
			 compile_precision_name(o->precision), "kv_precision",
			 o->kv_format == AIPU_FMT_F32 ? "fp32" : "fp16", "prompt_len",
			 (int)o->prompt_len, "ctx_len", (int)o->ctx_len, "batch_size",
			 (int)o->batch_size, "cores", (int)o->cores, "bytes",
			 (json_int_t)st.st_size, "compile_ms", ms);
	json_dumpf(root, stdout, JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6));
	putchar('\n');
	json_decref(root);
}

static int compile(struct arguments *a, struct compile_source *source)
{
	char tokenizer[4096], generation[4096], output[4096];
	struct compile_directory directory = { .force = a->force };
	struct aipu_message message = { "" };
	double begin = cli_now_ms();
	int shown = -1, code, err;

	if (a->name) {
		memset(source->name, 0, sizeof(source->name));
		memcpy(source->name, a->name, strlen(a->name));
	}
	err = compile_check(&source->shape, &a->options, &message);
	if (err)
		return cli_fail(TOOL, CLI_FAILED, "%s: %s", a->model, message.text);
	code = find_tokenizer(a, source, tokenizer, sizeof(tokenizer));
	if (code)
		return code;
	default_output(source, &a->options, output, sizeof(output));
	directory.path = a->output ? a->output : output;
	directory.tokenizer = a->tokenizer;
	snprintf(generation, sizeof(generation), "%s/generation_config.json", a->model);
	if (!strcmp(source->kind, "huggingface") && !access(generation, F_OK))
		directory.generation_config = generation;
	if (a->verbose)
		describe(a, source, directory.path);
	a->options.stop = &stopped;
	if (isatty(STDERR_FILENO)) {
		a->options.progress = show_progress;
		a->options.progress_arg = &shown;
	}
	err = compile_to_directory(source, &a->options, &directory, &message);
	if (shown >= 0 && shown < 100)
		fputs("\r\033[K", stderr);
	if (err)
		return cli_fail(TOOL, cli_exit_code(err), "%s", message.text);
	if (a->json)
		print_json(a, source, directory.path, cli_now_ms() - begin);
	else if (a->verbose)
		fprintf(stderr, "%s: done in %.1f s\n", directory.path,
			(cli_now_ms() - begin) / 1e3);
	return CLI_OK;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct arguments arguments = { 0 };
	struct aipu_message message = { "" };
	struct compile_source source;
	int code, err;

	cli_start();
	/* A file that may not grow further is a full disk to us: an error, no signal. */
	signal(SIGXFSZ, SIG_IGN);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	code = parse(argc, argv, &arguments);
	if (code)
		return cli_finish(TOOL, code < 0 ? CLI_OK : code);
	err = compile_open(arguments.model, &source, &message);
	if (err)
		return cli_fail(TOOL, cli_exit_code(err), "%s",
				message.text[0] ? message.text : strerror(-err));
	code = compile(&arguments, &source);
	source.close(&source);
	return cli_finish(TOOL, code);
}
