/* SPDX-License-Identifier: MIT */
/*
 * What aipu-gen reports of a run: figures from real time stamps, as text or as part of the JSON object. A
 * figure that is not known is negative (of the device: NAN) here and null there, never 0.
 */
#ifndef AIPU_GEN_REPORT_H
#define AIPU_GEN_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "aipu/llm.h"
#include "meter.h"

struct run {
	const char *prompt, *text, *finish_reason;
	const uint32_t *prompt_tokens, *tokens;
	uint32_t prompt_count, token_count;
	uint64_t seed;
	float temperature;
	struct aipu_device_info device;
	struct aipu_llm_info model;
	/* milliseconds; negative: did not happen */
	double load_ms, tokenize_ms, prefill_ms, ttft_ms, decode_ms;
	uint32_t prefill_tokens; /* computed in prefill_ms */
	uint32_t decode_tokens; /* computed in decode_ms, after the first */
	bool metered; /* somebody asked for what the device tells of the run */
	/* If metered, from the end of the prefill to the last token, of which there are token_count; else all NAN */
	struct meter_reading meter;
	bool peak_measured; /* meter.peak_gbs is this machine's, which the device did not tell */
};

/* The start-up lines of -v */
void report_start(FILE *out, const struct aipu_device_info *device,
		  const struct aipu_llm_info *model);
/* One line of -v, where there was a reset of the device */
void report_rebuilds(FILE *out, const struct aipu_llm_info *model);
void report_stats(FILE *out, const struct run *run);
/* 0 or -errno */
int report_json(FILE *out, const struct run *run);

#endif
