/* SPDX-License-Identifier: MIT */
/*
 * The runs: one warm-up, then repetitions by the wall clock, limits measured before and after in the same process. pp N:
 * N tokens prefilled into an empty session. tg N: N tokens generated from one. Tokenizing is not part of either. The device's
 * counters are read before the repetitions and after them, not in between.
 */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

#define MAX_REPETITIONS 1000u

/* Milliseconds of one prefill; negative: exit code with minus */
static double run_prefill(struct aipu_llm *llm, const struct aipu_llm_info *info, uint32_t count)
{
	uint32_t *tokens = malloc(((size_t)count + 1) * sizeof(*tokens)), i;
	struct aipu_session *session;
	double start, ms;
	int err;

	if (!tokens || aipu_session_create(llm, &session)) {
		free(tokens);
		return -cli_fail(TOOL, CLI_FAILED, "%s",
				 tokens ? aipu_llm_error(llm) : "out of memory");
	}
	for (i = 0; i <= count; i++)
		tokens[i] = (i * 7919u + 1) % info->vocabulary;
	start = cli_now_ms();
	/* The last token is left to the next step, so it is one more than is timed. */
	err = aipu_session_prefill(session, tokens, count + 1, NULL);
	ms = cli_now_ms() - start;
	aipu_session_destroy(session);
	free(tokens);
	return err ? -cli_fail(TOOL, cli_exit_code(err), "%s", aipu_llm_error(llm)) : ms;
}

static double run_generation(struct aipu_llm *llm, const struct aipu_llm_info *info, uint32_t count)
{
	struct aipu_sampling sampling = { .max_tokens = count, .ignore_stop = true };
	uint32_t first = 1 % info->vocabulary, reason = 0;
	struct aipu_session *session;
	double start, ms;
	int err;

	if (aipu_session_create(llm, &session))
		return -cli_fail(TOOL, CLI_FAILED, "%s", aipu_llm_error(llm));
	err = aipu_session_prefill(session, &first, 1, NULL);
	start = cli_now_ms();
	if (!err)
		err = aipu_llm_generate(llm, &session, &sampling, 1, NULL, NULL, &reason);
	ms = cli_now_ms() - start;
	aipu_session_destroy(session);
	if (err)
		return -cli_fail(TOOL, cli_exit_code(err), "%s", aipu_llm_error(llm));
	return reason == AIPU_END_ABORT ? -CLI_INTERRUPTED : ms;
}

static double or_negative(double value)
{
	return isnan(value) ? -1 : value;
}

/* An exit code */
static int run_test(const struct bench_options *o, struct aipu_device *device, struct aipu_llm *llm,
		    const struct bench_model *model, bool prefill, uint32_t count,
		    const volatile sig_atomic_t *stop, struct bench_line *line)
{
	double rates[MAX_REPETITIONS], sum = 0, squares = 0,
				       tokens = (double)count * o->repetitions;
	struct meter_reading reading;
	struct meter meter;
	uint32_t i;

	snprintf(line->test, sizeof(line->test), "%s%u", prefill ? "pp" : "tg", count);
	for (i = 0; i <= o->repetitions; i++) {
		double ms;

		if (i == 1) /* the first warms up */
			meter_start(&meter, device);
		ms = prefill ? run_prefill(llm, &model->info, count)
			     : run_generation(llm, &model->info, count);
		if (*stop)
			return CLI_INTERRUPTED;
		if (ms < 0)
			return (int)-ms;
		if (i)
			rates[i - 1] = count * 1e3 / ms;
	}
	meter_stop(&meter, device, &reading);
	line->joules = or_negative(reading.energy_j / tokens);
	line->read_bytes = or_negative(reading.read_bytes / tokens);
	for (i = 0; i < o->repetitions; i++)
		sum += rates[i];
	line->mean = sum / o->repetitions;
	for (i = 0; i < o->repetitions; i++)
		squares += (rates[i] - line->mean) * (rates[i] - line->mean);
	line->sd = o->repetitions > 1 ? sqrt(squares / (o->repetitions - 1)) : 0;
	line->repetitions = o->repetitions;
	return CLI_OK;
}

/* tg N needs N tokens after the first; pp N one more than it times */
static int check_lengths(const struct bench_options *o, const struct aipu_llm_info *info)
{
	uint32_t i;

	for (i = 0; i < o->prompt_count; i++)
		if (o->prompts[i] >= info->ctx_len)
			return cli_fail(TOOL, CLI_FAILED,
					"--n-prompt %u: with a context of %u it is at most %u",
					o->prompts[i], info->ctx_len, info->ctx_len - 1);
	for (i = 0; i < o->generation_count; i++)
		if (o->generations[i] > info->ctx_len)
			return cli_fail(TOOL, CLI_FAILED,
					"--n-gen %u: with a context of %u it is at most %u",
					o->generations[i], info->ctx_len, info->ctx_len);
	return CLI_OK;
}

/* A card's memory is its own: its limit is what it tells, and its arithmetic is not this machine's. An exit code */
static int find_limits(struct aipu_device *device, const struct bench_model *model,
		       struct limits *limits)
{
	struct meter_reading reading;
	struct meter meter;

	if (!strcmp(model->device.transport, "soft"))
		return limits_measure(model->device.cores, false, limits)
			       ? cli_fail(TOOL, CLI_FAILED,
					  "out of memory for measuring the limits")
			       : CLI_OK;
	meter_start(&meter, device);
	meter_stop(&meter, device, &reading);
	*limits = (struct limits){ or_negative(reading.peak_gbs), -1, -1, NULL };
	return CLI_OK;
}

static void set_against_limits(struct bench_line *line, const struct cost *cost, bool prefill)
{
	double peak = cost->int8 ? line->limits.int8_gops : line->limits.fp32_gflops;

	line->gbs = line->gops = line->fraction_of_bandwidth = line->fraction_of_peak = -1;
	if (prefill) {
		line->gops = line->mean * (double)cost->prefill_operations * 1e-9;
		if (peak > 0)
			line->fraction_of_peak = line->gops / peak;
	} else {
		line->gbs = line->mean * (double)cost->decode_bytes * 1e-9;
		if (line->limits.read_gbs > 0)
			line->fraction_of_bandwidth = line->gbs / line->limits.read_gbs;
	}
}

/* `first`: what there is to say of the device has not been said yet */
static int run_cores(const struct bench_options *o, const char *qpc, uint32_t cores, bool first,
		     const volatile sig_atomic_t *stop,
		     int (*out)(void *, const struct bench_model *, const struct bench_line *),
		     void *arg)
{
	uint32_t tests = o->prompt_count + o->generation_count, i;
	struct aipu_device_options device_options = { .cores = cores };
	struct bench_line *lines = calloc(tests, sizeof(*lines));
	struct aipu_message message = { "" };
	struct limits limits = { 0 };
	struct bench_model model;
	struct aipu_device *device = NULL;
	struct aipu_llm *llm = NULL;
	struct aipu_qpc *container;
	double start = cli_now_ms(), load_ms;
	int err, code = CLI_OK;

	if (!lines)
		return cli_fail(TOOL, CLI_FAILED, "out of memory");
	err = aipu_qpc_open(qpc, &container, &message);
	if (!err) {
		err = cost_of(container, &model.cost);
		aipu_qpc_close(container);
	}
	if (!err) {
		start = cli_now_ms();
		err = aipu_device_open(&device, o->device, &device_options, &message);
	}
	if (!err && first && message.text[0])
		cli_fail(TOOL, CLI_OK, "warning: %s", message.text);
	if (!err)
		err = aipu_llm_open(device, qpc, &(struct aipu_llm_options){ .lanes = 1 }, &llm,
				    &message);
	load_ms = cli_now_ms() - start;
	if (err) {
		code = cli_fail(TOOL, cli_exit_code(err), "%s",
				message.text[0] ? message.text : strerror(-err));
		goto out;
	}
	aipu_llm_query(llm, &model.info);
	aipu_device_query(device, &model.device);
	code = check_lengths(o, &model.info);
	if (code)
		goto out;
	code = find_limits(device, &model, &limits);
	for (i = 0; i < tests && code == CLI_OK; i++) {
		bool prefill = i < o->prompt_count;

		lines[i].cores = model.device.cores;
		lines[i].load_ms = load_ms;
		code = run_test(o, device, llm, &model, prefill,
				prefill ? o->prompts[i] : o->generations[i - o->prompt_count], stop,
				&lines[i]);
	}
	if (code == CLI_OK)
		code = find_limits(device, &model, &limits);
	for (i = 0; i < tests && code == CLI_OK; i++) {
		lines[i].limits = limits;
		set_against_limits(&lines[i], &model.cost, i < o->prompt_count);
		code = out(arg, &model, &lines[i]);
	}
out:
	aipu_llm_close(llm);
	if (device)
		aipu_device_close(device);
	free(lines);
	return code;
}

int bench_run(const struct bench_options *options, const char *qpc,
	      const volatile sig_atomic_t *stop,
	      int (*line)(void *arg, const struct bench_model *model,
			  const struct bench_line *line),
	      void *arg)
{
	int code = CLI_OK;
	uint32_t i;

	for (i = 0; i < options->core_count && code == CLI_OK; i++)
		code = run_cores(options, qpc, options->cores[i], !i, stop, line, arg);
	return code;
}
