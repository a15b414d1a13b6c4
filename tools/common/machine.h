/* SPDX-License-Identifier: MIT */
/*
 * The machine's own limits, measured: what a memory-bound and a compute-bound loop can reach at best on so many
 * threads. Called by aipu-bench before and after the tests of the same run, and by aipu-gen after a run on the software
 * device, whose memory is the machine's.
 */
#ifndef AIPU_MACHINE_H
#define AIPU_MACHINE_H

#include <stdbool.h>

struct limits {
	double read_gbs; /* sequential reads from memory, 10^9 bytes a second */
	double int8_gops; /* 8-bit multiplications and additions, 10^9 a second; negative: not known here */
	double fp32_gflops; /* fused multiply-add, two operations each */
	const char *int8_instruction; /* whose rate it is */
};

/* The read rate only, or all. Keeps in *limits what was better, before or now. 0 or -errno; -ENOMEM: too little is free */
int limits_measure(unsigned int threads, bool read_only, struct limits *limits);

#endif
