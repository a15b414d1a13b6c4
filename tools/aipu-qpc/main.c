// SPDX-License-Identifier: MIT
/*
 * aipu-qpc: shows and checks QPC containers. It needs no device. Exit codes: 0 done, 1 failed, 2 usage, 4 no
 * permission, 141 closed pipe.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "aipu_program.h"
#include "aipu/qpc.h"
#include "cli.h"
#include "names.h"
#include "program.h"

#define TOOL "aipu-qpc"

static const char help[] =
	"usage: aipu-qpc show DIR|FILE [--program] [--json]\n"
	"       aipu-qpc verify DIR|FILE\n"
	"       aipu-qpc -h | --help | --version\n"
	"\n"
	"show     what a container holds: model, sections, slots, entries\n"
	"           --program   the tensors and instructions of its programs too\n"
	"           --json      one JSON object instead of text\n"
	"verify   checks header, sections and all weights against their digests;\n"
	"         the error line names the check that failed\n"
	"\n"
	"Exit status: 0 done, 1 failed, 2 usage, 3 no device, 4 no permission,\n"
	"130 interrupted, 141 closed pipe.\n";

static json_t *model_describe(const struct aipu_qpc_model *m)
{
	json_t *stop = json_array(), *root;
	uint32_t i;

	for (i = 0; i < m->stop_count; i++)
		json_array_append_new(stop, json_integer(m->stop_ids[i]));
	root = json_pack("{s:s, s:s, s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "name",
			 m->name, "architecture", m->architecture, "parameters",
			 (json_int_t)m->parameters, "precision", precision_name(m->precision),
			 "kv_format", format_name(m->kv_format), "vocabulary",
			 (json_int_t)m->vocabulary, "layers", (json_int_t)m->layers, "dim",
			 (json_int_t)m->dim, "hidden_dim", (json_int_t)m->hidden_dim, "heads",
			 (json_int_t)m->heads, "kv_heads", (json_int_t)m->kv_heads, "head_dim",
			 (json_int_t)m->head_dim);
	if (!root) {
		json_decref(stop);
		return NULL;
	}
	json_object_set_new(root, "ctx_len", json_integer(m->ctx_len));
	json_object_set_new(root, "prompt_len", json_integer(m->prompt_len));
	json_object_set_new(root, "batch_size", json_integer(m->batch_size));
	json_object_set_new(root, "cores", json_integer(m->cores));
	json_object_set_new(root, "kv_slot_bytes", json_integer((json_int_t)m->kv_slot_bytes));
	json_object_set_new(root, "bos_id",
			    m->bos_id == ~0u ? json_null() : json_integer(m->bos_id));
	json_object_set_new(root, "stop_ids", stop);
	return root;
}

static json_t *sections_describe(const struct aipu_qpc_header *h)
{
	json_t *list = json_array();
	uint32_t i;

	for (i = 0; i < h->section_count; i++)
		json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "kind",
						      section_name(h->sections[i].kind), "offset",
						      (json_int_t)h->sections[i].offset, "bytes",
						      (json_int_t)h->sections[i].bytes));
	return list;
}

static int show_json(const struct aipu_qpc *qpc, bool code)
{
	const struct aipu_qpc_section *section;
	const struct aipu_qpc_header *h = aipu_qpc_header(qpc);
	json_t *programs = json_array(), *root, *source = NULL;
	uint32_t i;

	for (i = 0; (section = aipu_qpc_section(qpc, AIPU_QPC_PROGRAM, i)); i++) {
		json_t *program =
			program_describe(aipu_qpc_data(qpc, section), section->bytes, code);

		json_array_append_new(programs, program ? program : json_null());
	}
	section = aipu_qpc_section(qpc, AIPU_QPC_SOURCE, 0);
	if (section)
		source = json_loadb(aipu_qpc_data(qpc, section), section->bytes, 0, NULL);
	root = json_pack("{s:i, s:I, s:I, s:o?, s:o, s:o, s:o?}", "schema_version", 1, "version",
			 (json_int_t)h->version, "bytes", (json_int_t)h->file_bytes, "model",
			 model_describe(aipu_qpc_model(qpc)), "sections", sections_describe(h),
			 "programs", programs, "source", source);
	if (!root)
		return cli_fail(TOOL, CLI_FAILED, "the container holds text that is not UTF-8");
	json_dumpf(root, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	putchar('\n');
	json_decref(root);
	return CLI_OK;
}

/* One row per matrix or table, from section SOURCE */
static void tensors_print(const struct aipu_qpc *qpc)
{
	const struct aipu_qpc_section *section = aipu_qpc_section(qpc, AIPU_QPC_SOURCE, 0);
	json_t *root, *tensor;
	size_t i;

	if (!section)
		return;
	root = json_loadb(aipu_qpc_data(qpc, section), section->bytes, 0, NULL);
	json_array_foreach(json_object_get(root, "tensors"), i, tensor)
	{
		const char *slot = json_string_value(json_object_get(tensor, "slot"));
		const char *format = json_string_value(json_object_get(tensor, "format"));
		json_t *parts = json_object_get(tensor, "parts"), *part;
		size_t j;

		printf("  %-9s +0x%-10llx %12lld bytes %-6s ", slot ? slot : "?",
		       (unsigned long long)json_integer_value(json_object_get(tensor, "offset")),
		       (long long)json_integer_value(json_object_get(tensor, "bytes")),
		       format ? format : "?");
		json_array_foreach(parts, j, part)
			printf("%s%s", j ? " + " : "",
			       json_is_string(part) ? json_string_value(part) : "?");
		putchar('\n');
	}
	json_decref(root);
}

/* As aipu-compile --kv-precision names it, beside the precision of the weights */
static const char *kv_precision(uint32_t format)
{
	switch (format) {
	case AIPU_FMT_F32:
		return precision_name(AIPU_PRECISION_FP32);
	case AIPU_FMT_F16:
		return precision_name(AIPU_PRECISION_FP16);
	default:
		return format_name(format);
	}
}

static int show_text(const struct aipu_qpc *qpc, bool code)
{
	const struct aipu_qpc_model *m = aipu_qpc_model(qpc);
	const struct aipu_qpc_header *h = aipu_qpc_header(qpc);
	const struct aipu_qpc_section *section;
	int result = CLI_OK;
	uint32_t i;

	printf("%s: %s, %" PRIu64 " parameters, %s, KV cache %s\n", m->name, m->architecture,
	       (uint64_t)m->parameters, precision_name(m->precision), kv_precision(m->kv_format));
	printf("  %u layers, dim %u, hidden %u, %u heads of %u, %u KV heads, vocabulary %u\n",
	       m->layers, m->dim, m->hidden_dim, m->heads, m->head_dim, m->kv_heads, m->vocabulary);
	printf("  prompt %u, context %u, batch %u, cores %u, %" PRIu64
	       " bytes of KV cache a lane\n",
	       m->prompt_len, m->ctx_len, m->batch_size, m->cores, (uint64_t)m->kv_slot_bytes);
	printf("container: version %u, contract %u.%u to %u.%u, %" PRIu64 " bytes\n", h->version,
	       AIPU_ABI_MAJOR(h->abi_oldest), AIPU_ABI_MINOR(h->abi_oldest),
	       AIPU_ABI_MAJOR(h->abi_newest), AIPU_ABI_MINOR(h->abi_newest),
	       (uint64_t)h->file_bytes);
	for (i = 0; i < h->section_count; i++)
		printf("  section %u: %-20s +0x%-8" PRIx64 " %12" PRIu64 " bytes\n", i,
		       section_name(h->sections[i].kind), (uint64_t)h->sections[i].offset,
		       (uint64_t)h->sections[i].bytes);
	for (i = 0; (section = aipu_qpc_section(qpc, AIPU_QPC_PROGRAM, i)); i++)
		if (!program_print(aipu_qpc_data(qpc, section), section->bytes, code))
			result = cli_fail(TOOL, CLI_FAILED,
					  "program %u: its tables do not fit its size", i);
	if (code) {
		printf("weights and constants:\n");
		tensors_print(qpc);
	}
	return result;
}

/* --- the command line ------------------------------------------------------------------------------ */

_Noreturn static void print_help(void)
{
	fputs(help, stdout);
	exit(cli_finish(TOOL, CLI_OK));
}

/* The container that a command is for, checked too if `verify`; NULL after an error line, with *code */
static struct aipu_qpc *open_container(int argc, char **argv, bool verify, int *code)
{
	struct aipu_message message = { "" };
	struct aipu_qpc *qpc = NULL;
	int err;

	*code = CLI_USAGE;
	if (optind == argc) {
		cli_fail(TOOL, CLI_USAGE,
			 "%s: DIR|FILE is missing: what aipu-compile made, or its model.qpc",
			 argv[0]);
		return NULL;
	}
	if (optind + 1 < argc) {
		cli_fail(TOOL, CLI_USAGE, "%s: '%s': one DIR|FILE is expected", argv[0],
			 argv[optind + 1]);
		return NULL;
	}
	if (!argv[optind][0]) {
		cli_fail(TOOL, CLI_USAGE, "%s: '': a directory or a file is expected", argv[0]);
		return NULL;
	}
	err = aipu_qpc_open(argv[optind], &qpc, &message);
	if (!err && verify)
		err = aipu_qpc_verify(qpc, &message);
	if (!err)
		return qpc;
	aipu_qpc_close(qpc); /* NULL if it was not opened */
	*code = cli_fail(TOOL, cli_exit_code(err), "%s", message.text);
	return NULL;
}

static int show(int argc, char **argv)
{
	enum { OPT_JSON = 256, OPT_PROGRAM };
	static const struct option options[] = {
		{ "json", no_argument, NULL, OPT_JSON },
		{ "program", no_argument, NULL, OPT_PROGRAM },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	bool json = false, code = false;
	struct aipu_qpc *qpc;
	int option, result;

	while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (option == 'h')
			print_help();
		else if (option == OPT_JSON)
			json = true;
		else if (option == OPT_PROGRAM)
			code = true;
		else
			return cli_bad_option(TOOL, argv[0], option, argv);
	}
	qpc = open_container(argc, argv, false, &result);
	if (!qpc)
		return result;
	result = json ? show_json(qpc, code) : show_text(qpc, code);
	aipu_qpc_close(qpc);
	return result;
}

static int verify(int argc, char **argv)
{
	static const struct option options[] = { { "help", no_argument, NULL, 'h' },
						 { NULL, 0, NULL, 0 } };
	struct aipu_qpc *qpc;
	int option, result;

	while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (option == 'h')
			print_help();
		return cli_bad_option(TOOL, argv[0], option, argv);
	}
	qpc = open_container(argc, argv, true, &result);
	if (!qpc)
		return result;
	printf("%s: undamaged, %" PRIu64 " bytes\n", argv[optind], aipu_qpc_bytes(qpc));
	aipu_qpc_close(qpc);
	return CLI_OK;
}

int main(int argc, char **argv)
{
	int code;

	cli_start();
	if (!cli_before_command(TOOL, print_help, &argc, &argv, &code))
		return code;
	if (!argc)
		return cli_fail(TOOL, CLI_USAGE,
				"a command is missing: show or verify; see aipu-qpc --help");
	if (!strcmp(argv[0], "show"))
		return cli_finish(TOOL, show(argc, argv));
	if (!strcmp(argv[0], "verify"))
		return cli_finish(TOOL, verify(argc, argv));
	return cli_fail(TOOL, CLI_USAGE,
			"unknown command '%s': show or verify is expected; see aipu-qpc --help",
			argv[0]);
}
