/* SPDX-License-Identifier: MIT */
/*
 * A model compiled by the built aipu-compile and opened on a soft device, for tests of libaipu-llm. Called by
 * unit tests within a cmocka test: whatever fails here fails the test.
 */
#ifndef LLM_FIXTURE_H
#define LLM_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "aipu/llm.h"
#include "test_env.h"

struct llm_fixture {
	char *dir; /* a directory of its own, removed by llm_fixture_close */
	char *qpc;
	struct aipu_device *device;
	struct aipu_llm *llm;
	struct aipu_llm_info info;
};

/*
 * Compiles `model` ("stories260K" of the test models, "demo" of the source, or a path) with the options of
 * aipu-compile in `arguments`.
 */
void llm_fixture_compile(struct llm_fixture *f, const char *model, const char *arguments);
/* Opens it; cores and simd as in struct aipu_device_options */
void llm_fixture_open(struct llm_fixture *f, uint32_t cores, uint32_t simd);
/* Only the device and the model; the compiled directory stays for another open */
void llm_fixture_shut(struct llm_fixture *f);
void llm_fixture_close(struct llm_fixture *f);

struct aipu_session *llm_fixture_session(struct llm_fixture *f);

/*
 * A container of a small model with random weights and a context of that length, in a memfd: llm and qpc open it as
 * /proc/self/fd/N. It generates until the context is full.
 */
int llm_fixture_random(uint32_t context);
int llm_fixture_random_lanes(uint32_t context, uint32_t lanes);

/* SIMD levels of this machine, best first: enum aipu_dm_simd; returns their number */
unsigned int llm_fixture_simd_levels(uint32_t levels[3]);

#endif
