/* SPDX-License-Identifier: MIT */
/*
 * The machine's own limits, measured: what a memory-bound and a compute-bound loop can reach at best on so many
 * threads. Called by bench.c before and after the tests of the same run.
 */
#ifndef AIPU_BENCH_LIMITS_H
#define AIPU_BENCH_LIMITS_H

struct limits {
	double read_gbs; /* sequential reads from memory, 10^9 bytes a second */
	double int8_gops; /* 8-bit multiplications and additions, 10^9 a second; negative: not known here */
	double fp32_gflops; /* fused multiply-add, two operations each */
	const char *int8_instruction; /* whose rate it is */
};

/* Keeps in *limits what was better, before or now. 0 or -errno */
int limits_measure(unsigned int threads, struct limits *limits);

#endif
