/* SPDX-License-Identifier: MIT */
/*
 * Command line of aipu-gen. Called by main.c once; it must never open anything.
 */
#ifndef AIPU_GEN_OPTIONS_H
#define AIPU_GEN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define TOOL "aipu-gen"

struct options {
	const char *qpc;
	const char *prompt; /* one of the two */
	const char *prompt_file; /* "-": standard input */
	const char *device;
	uint32_t max_tokens; /* 0: up to the context */
	uint32_t cores;
	float temperature, top_p, min_p;
	uint32_t top_k;
	uint64_t seed;
	bool seed_given;
	bool echo, show_stats, json, verify, verbose;
};

/* -1: go on; else exit with this code */
int options_parse(int argc, char **argv, struct options *options);

#endif
