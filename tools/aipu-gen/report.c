/* SPDX-License-Identifier: MIT */
/*
 * See report.h. Called by main.c after a run; nothing here measures.
 */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include <jansson.h>

#include "aipu_qpc.h"

#define MIB (1024.0 * 1024.0)

static const char *precision_name(uint32_t precision)
{
	switch (precision) {
	case AIPU_PRECISION_FP32:
		return "fp32";
	case AIPU_PRECISION_FP16:
		return "fp16";
	case AIPU_PRECISION_INT8:
		return "int8";
	default:
		return "unknown precision";
	}
}

void report_start(FILE *out, const struct aipu_device_info *device,
		  const struct aipu_llm_info *model)
{
	uint64_t need = model->kv_bytes + model->scratch_bytes;

	fprintf(out, "device:   %s, %s, %u cores\n", device->name, device->model, device->cores);
	fprintf(out, "firmware: %s, contract %u.%u to %u.%u, in use %u.%u (in range)\n",
		device->firmware, AIPU_ABI_MAJOR(device->abi_oldest),
		AIPU_ABI_MINOR(device->abi_oldest), AIPU_ABI_MAJOR(device->abi_newest),
		AIPU_ABI_MINOR(device->abi_newest), AIPU_ABI_MAJOR(device->abi_in_use),
		AIPU_ABI_MINOR(device->abi_in_use));
	fprintf(out, "model:    %s, %.1f M parameters, %s, context %u, %u lanes\n", model->name,
		(double)model->parameters / 1e6, precision_name(model->precision), model->ctx_len,
		model->batch_size);
	fprintf(out, "memory:   weights %.1f MiB, KV cache and work space %.1f MiB",
		(double)model->weights_bytes / MIB, (double)need / MIB);
	if (device->memory_free != UINT64_MAX)
		fprintf(out, "; free on the device %.1f of %.1f MiB",
			(double)device->memory_free / MIB, (double)device->memory_bytes / MIB);
	fputc('\n', out);
}

void report_rebuilds(FILE *out, const struct aipu_llm_info *model)
{
	fprintf(out,
		"resets:   the device was reset, and the model loaded again: %" PRIu64 " times\n",
		model->rebuilds);
}

static double rate(uint32_t count, double ms)
{
	return count && ms > 0 ? count * 1e3 / ms : -1;
}

static void stat_line(FILE *out, const char *name, double value, const char *unit)
{
	if (value < 0)
		fprintf(out, "%-20s unknown\n", name);
	else
		fprintf(out, "%-20s %.2f %s\n", name, value, unit);
}

static double per_token(const struct run *run, double value)
{
	return meter_ratio(value, run->token_count);
}

static double read_gbs(const struct run *run)
{
	return meter_ratio(run->meter.read_bytes * 1e-9, run->meter.seconds);
}

/* Digits that mean something whatever the size: a token may take millijoules or joules */
static void device_line(FILE *out, const char *name, double value, const char *unit)
{
	if (isnan(value))
		fprintf(out, "%-20s unknown\n", name);
	else
		fprintf(out, "%-20s %.4g %s\n", name, value, unit);
}

static void memory_line(FILE *out, const struct run *run)
{
	double gbs = read_gbs(run), fraction = meter_ratio(gbs, run->meter.peak_gbs);

	if (isnan(fraction)) {
		device_line(out, "memory read", gbs, "GB/s, of a peak that is unknown");
		return;
	}
	fprintf(out, "%-20s %.4g GB/s, %.3f of the peak of %.4g GB/s%s\n", "memory read", gbs,
		fraction, run->meter.peak_gbs, run->peak_measured ? " (measured)" : "");
}

void report_stats(FILE *out, const struct run *run)
{
	fprintf(out, "prompt               %u token%s\n", run->prompt_count,
		run->prompt_count == 1 ? "" : "s");
	fprintf(out, "answer               %u token%s, %s\n", run->token_count,
		run->token_count == 1 ? "" : "s", run->finish_reason);
	stat_line(out, "load", run->load_ms, "ms");
	stat_line(out, "tokenize", run->tokenize_ms, "ms");
	stat_line(out, "prefill", run->prefill_ms, "ms");
	stat_line(out, "prefill rate", rate(run->prefill_tokens, run->prefill_ms), "tokens/s");
	stat_line(out, "time to first token", run->ttft_ms, "ms");
	stat_line(out, "decode rate", rate(run->decode_tokens, run->decode_ms), "tokens/s");
	fprintf(out, "rebuilds             %" PRIu64 "\n", run->model.rebuilds);
	device_line(out, "temperature", run->meter.temperature_c, "C");
	device_line(out, "power", run->meter.power_w, "W");
	device_line(out, "energy", per_token(run, run->meter.energy_j), "J/token");
	memory_line(out, run);
}

static json_t *number(double value)
{
	return value < 0 ? json_null() : json_real(value);
}

/* Of the device: less than 0 is a temperature as good as another */
static json_t *reading(double value)
{
	return isnan(value) ? json_null() : json_real(value);
}

static json_t *bytes(int64_t value)
{
	return value < 0 ? json_null() : json_integer(value);
}

/* A "RssAnon:   123 kB" line of /proc/self/status, in bytes; -1: unknown */
static int64_t status_bytes(const char *key)
{
	FILE *in = fopen("/proc/self/status", "re");
	char line[256];
	int64_t found = -1;

	while (in && found < 0 && fgets(line, sizeof(line), in)) {
		uint64_t kib;

		if (!strncmp(line, key, strlen(key)) &&
		    sscanf(line + strlen(key), ": %" SCNu64 " kB", &kib) == 1)
			found = (int64_t)(kib * 1024);
	}
	if (in)
		fclose(in);
	return found;
}

static json_t *ids(const uint32_t *tokens, uint32_t count)
{
	json_t *array = json_array();
	uint32_t i;

	for (i = 0; i < count; i++)
		json_array_append_new(array, json_integer(tokens[i]));
	return array;
}

static void set_readings(json_t *stats, const struct run *run)
{
	const struct meter_reading *m = &run->meter;

	json_object_set_new(stats, "temperature_c", reading(m->temperature_c));
	json_object_set_new(stats, "power_w", reading(m->power_w));
	json_object_set_new(stats, "energy_j", reading(m->energy_j));
	json_object_set_new(stats, "energy_j_per_token", reading(per_token(run, m->energy_j)));
	json_object_set_new(stats, "memory_read_bytes",
			    bytes(isnan(m->read_bytes) ? -1 : (int64_t)m->read_bytes));
	json_object_set_new(stats, "memory_read_bytes_per_token",
			    reading(per_token(run, m->read_bytes)));
	json_object_set_new(stats, "memory_gb_per_s", reading(read_gbs(run)));
	json_object_set_new(stats, "memory_peak_gb_per_s", reading(m->peak_gbs));
	json_object_set_new(stats, "memory_peak_fraction",
			    reading(meter_ratio(read_gbs(run), m->peak_gbs)));
	json_object_set_new(stats, "memory_peak_source",
			    isnan(m->peak_gbs)
				    ? json_null()
				    : json_string(run->peak_measured ? "measured" : "device"));
}

int report_json(FILE *out, const struct run *run)
{
	json_t *root = json_object(), *stats = json_object();
	int err = 0;

	json_object_set_new(stats, "load_ms", number(run->load_ms));
	json_object_set_new(stats, "tokenize_ms", number(run->tokenize_ms));
	json_object_set_new(stats, "prefill_ms", number(run->prefill_ms));
	json_object_set_new(stats, "prefill_tokens_per_s",
			    number(rate(run->prefill_tokens, run->prefill_ms)));
	json_object_set_new(stats, "ttft_ms", number(run->ttft_ms));
	json_object_set_new(stats, "decode_ms", number(run->decode_ms));
	json_object_set_new(stats, "decode_tokens_per_s",
			    number(rate(run->decode_tokens, run->decode_ms)));
	json_object_set_new(stats, "rss_anon_bytes", bytes(status_bytes("RssAnon")));
	json_object_set_new(stats, "rss_file_bytes", bytes(status_bytes("RssFile")));
	json_object_set_new(stats, "weights_bytes", bytes((int64_t)run->model.weights_bytes));
	json_object_set_new(stats, "kv_bytes", bytes((int64_t)run->model.kv_bytes));
	json_object_set_new(stats, "cores", json_integer(run->device.cores));
	json_object_set_new(stats, "rebuilds", json_integer((json_int_t)run->model.rebuilds));
	if (run->metered)
		set_readings(stats, run);

	json_object_set_new(root, "schema_version", json_integer(1));
	json_object_set_new(root, "device", json_string(run->device.name));
	json_object_set_new(root, "model", json_string(run->model.name));
	json_object_set_new(root, "prompt", json_string(run->prompt));
	json_object_set_new(root, "text", json_string(run->text));
	json_object_set_new(root, "prompt_tokens", ids(run->prompt_tokens, run->prompt_count));
	json_object_set_new(root, "tokens", ids(run->tokens, run->token_count));
	json_object_set_new(root, "finish_reason", json_string(run->finish_reason));
	json_object_set_new(root, "seed",
			    run->temperature > 0 ? json_integer((json_int_t)run->seed)
						 : json_null());
	json_object_set_new(root, "stats", stats);
	if (json_dumpf(root, out, JSON_INDENT(2) | JSON_PRESERVE_ORDER) || fputc('\n', out) == EOF)
		err = -EIO;
	json_decref(root);
	return err;
}
