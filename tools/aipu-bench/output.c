/* SPDX-License-Identifier: MIT */
/*
 * Lines of results as a table for people, CSV, or a JSON array (schema_version in every object). A figure that does not
 * apply or is not known is empty, or null.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "bench.h"
#include "cli.h"
#include "names.h"

static void cell(FILE *out, int width, int digits, double value)
{
	if (value < 0)
		fprintf(out, " %*s |", width, "");
	else
		fprintf(out, " %*.*f |", width, digits, value);
}

static void table(const struct bench_model *model, const struct bench_line *l, bool first)
{
	if (first) {
		printf("| model                | cores | test   |                  t/s |   GB/s | of "
		       "bandwidth |   GOP/s | of peak |  J/token |\n");
		printf("| -------------------- | ----: | ------ | -------------------: | -----: | "
		       "-----------: | ------: | ------: | -------: |\n");
	}
	printf("| %-20.20s | %5u | %-6s | %9.2f ± %8.2f |", model->info.name, l->cores, l->test,
	       l->mean, l->sd);
	cell(stdout, 6, 2, l->gbs);
	cell(stdout, 12, 3, l->fraction_of_bandwidth);
	cell(stdout, 7, 1, l->gops);
	cell(stdout, 7, 3, l->fraction_of_peak);
	if (l->joules < 0)
		printf(" %8s |", "");
	else
		printf(" %8.3g |", l->joules);
	putchar('\n');
}

/* After a comma; nothing where it is not known */
static void field(double value)
{
	putchar(',');
	if (value >= 0)
		printf("%.4f", value);
}

static void csv(const struct bench_model *model, const struct bench_line *l, bool first)
{
	if (first)
		puts("model,precision,cores,test,repetitions,tokens_per_s,tokens_per_s_sd,gb_per_s,"
		     "fraction_of_bandwidth,gop_per_s,fraction_of_peak,limit_read_gb_per_s,limit_"
		     "gop_per_s,energy_j_per_token,memory_read_bytes_per_token");
	printf("\"%s\",%s,%u,%s,%u,%.4f,%.4f", model->info.name,
	       precision_name(model->info.precision), l->cores, l->test, l->repetitions, l->mean,
	       l->sd);
	field(l->gbs);
	field(l->fraction_of_bandwidth);
	field(l->gops);
	field(l->fraction_of_peak);
	field(l->limits.read_gbs);
	field(model->cost.int8 ? l->limits.int8_gops : l->limits.fp32_gflops);
	if (l->joules >= 0)
		printf(",%.9f", l->joules);
	else
		putchar(',');
	field(l->read_bytes);
	putchar('\n');
}

static json_t *number(double value)
{
	return value < 0 || !isfinite(value) ? json_null() : json_real(value);
}

static void json(const struct bench_model *model, const struct bench_line *l, bool first)
{
	json_t *o = json_object();
	char *text;

	json_object_set_new(o, "schema_version", json_integer(1));
	json_object_set_new(o, "model", json_string(model->info.name));
	json_object_set_new(o, "precision", json_string(precision_name(model->info.precision)));
	json_object_set_new(o, "parameters", json_integer((json_int_t)model->info.parameters));
	json_object_set_new(o, "device", json_string(model->device.name));
	json_object_set_new(o, "cores", json_integer(l->cores));
	json_object_set_new(o, "test", json_string(l->test));
	json_object_set_new(o, "repetitions", json_integer(l->repetitions));
	json_object_set_new(o, "tokens_per_s", number(l->mean));
	json_object_set_new(o, "tokens_per_s_sd", number(l->sd));
	json_object_set_new(o, "load_ms", number(l->load_ms));
	json_object_set_new(o, "weights_bytes",
			    json_integer((json_int_t)model->info.weights_bytes));
	json_object_set_new(o, "bytes_per_token",
			    json_integer((json_int_t)model->cost.decode_bytes));
	json_object_set_new(o, "operations_per_token",
			    json_integer((json_int_t)model->cost.prefill_operations));
	json_object_set_new(o, "gb_per_s", number(l->gbs));
	json_object_set_new(o, "fraction_of_bandwidth", number(l->fraction_of_bandwidth));
	json_object_set_new(o, "gop_per_s", number(l->gops));
	json_object_set_new(o, "fraction_of_peak", number(l->fraction_of_peak));
	json_object_set_new(o, "energy_j_per_token", number(l->joules));
	json_object_set_new(o, "memory_read_bytes_per_token", number(l->read_bytes));
	json_object_set_new(o, "limit_read_gb_per_s", number(l->limits.read_gbs));
	json_object_set_new(o, "limit_int8_gop_per_s", number(l->limits.int8_gops));
	json_object_set_new(o, "limit_int8_instruction",
			    l->limits.int8_instruction ? json_string(l->limits.int8_instruction)
						       : json_null());
	json_object_set_new(o, "limit_fp32_gflop_per_s", number(l->limits.fp32_gflops));
	text = json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER);
	printf("%s%s", first ? "[\n" : ",\n", text ? text : "null");
	free(text);
	json_decref(o);
}

int output_line(void *arg, const struct bench_model *model, const struct bench_line *line)
{
	struct output *output = arg;
	bool first = !output->lines++;
	int code;

	switch (output->format) {
	case BENCH_TABLE:
		table(model, line, first);
		break;
	case BENCH_CSV:
		csv(model, line, first);
		break;
	case BENCH_JSON:
		json(model, line, first);
		break;
	}
	code = cli_finish(TOOL, CLI_OK);
	clearerr(stdout); /* it is told now */
	return code;
}

void output_end(const struct output *output)
{
	if (output->format == BENCH_JSON)
		puts(output->lines ? "\n]" : "[]");
}
