/* SPDX-License-Identifier: MIT */
/*
 * aipu-bench in three parts: options (main.c), runs (bench.c), lines of results (output.c).
 */
#ifndef AIPU_BENCH_BENCH_H
#define AIPU_BENCH_BENCH_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "aipu/llm.h"
#include "cost.h"
#include "machine.h"
#include "meter.h"

#define TOOL "aipu-bench"
#define MAX_LIST 16u

enum bench_format { BENCH_TABLE, BENCH_JSON, BENCH_CSV };

struct bench_options {
	const char *qpc; /* one of the two */
	const char *shape;
	uint32_t precision; /* of a shape, enum aipu_precision; 0: not given */
	const char *device;
	uint32_t prompts[MAX_LIST], prompt_count; /* pp tests */
	uint32_t generations[MAX_LIST], generation_count; /* tg tests */
	uint32_t cores[MAX_LIST], core_count;
	uint32_t repetitions;
	enum bench_format format;
};

struct bench_line {
	char test[16]; /* "pp128", "tg64" */
	uint32_t cores, repetitions;
	double mean, sd; /* tokens per second */
	double gbs; /* tg: bytes of weights read per second */
	double gops; /* pp: operations per second */
	double fraction_of_bandwidth, fraction_of_peak; /* negative: does not apply or not known */
	/* As the device counted over all repetitions; negative: it does not count */
	double joules, read_bytes; /* a token */
	struct limits limits; /* of this core count, in this run; negative: not known */
	double load_ms;
};

struct bench_model {
	struct aipu_llm_info info;
	struct aipu_device_info device;
	struct cost cost;
};

/* Runs all tests, in order; line() for each as it ends, until that is an exit code too. An exit code */
int bench_run(const struct bench_options *options, const char *qpc,
	      const volatile sig_atomic_t *stop,
	      int (*line)(void *arg, const struct bench_model *model,
			  const struct bench_line *line),
	      void *arg);

struct output {
	enum bench_format format;
	uint32_t lines;
};
int output_line(void *arg, const struct bench_model *model, const struct bench_line *line);
void output_end(const struct output *output);

#endif
