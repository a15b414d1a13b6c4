// SPDX-License-Identifier: MIT
/*
 * Fuzz target: config.json and generation_config.json, and what comes of them: a shape that is accepted and small is
 * compiled with random weights, and the device's verifier must accept the program.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "aipu/qpc.h"
#include "compile_fuzz.h"
#include "compiler.h"
#include "device_limits.h"
#include "hf_config.h"

static void program_accepted(const struct aipu_qpc *qpc)
{
	const struct dm_limits limits = device_limits();
	const struct aipu_qpc_section *section = aipu_qpc_section(qpc, AIPU_QPC_PROGRAM, 0);
	struct dm_program *program;
	uint32_t detail = 0;
	void *image = malloc(section->bytes);

	fuzz_require(image != NULL, "memory");
	memcpy(image, aipu_qpc_data(qpc, section), section->bytes);
	fuzz_require(!dm_program_create(&limits, image, section->bytes, &program, &detail),
		     "the verifier accepts what the compiler emits");
	dm_program_put(program);
}

static void compile(const struct compile_shape *shape, const struct compile_options *options)
{
	struct aipu_message message = { "" };
	struct compile_source source;
	struct aipu_qpc *qpc;
	char path[FUZZ_PATH_BYTES];
	int fd = fuzz_file("", 0, path);

	fuzz_require(!compile_open_random(shape, 1, &source, &message), "memory");
	fuzz_require(!compile_write(&source, options, fd, &message),
		     "what was checked is compiled");
	source.close(&source);
	fuzz_require(!aipu_qpc_open(path, &qpc, &message), "what was compiled is read");
	fuzz_require(!aipu_qpc_verify(qpc, &message), "and undamaged");
	program_accepted(qpc);
	aipu_qpc_close(qpc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct compile_options options = { .threads = 1 };
	struct aipu_message message = { "" };
	struct compile_shape shape;
	int err;

	if (size < 3)
		return 0;
	options.precision = 1 + data[0] % 3;
	options.batch_size = 1 + data[1] % 9;
	options.ctx_len = data[2];
	err = hf_config_parse("c", (const char *)data + 3, size - 3, &shape, &message);
	fuzz_require(!err || message.text[0], "a refusal says why");
	if (err)
		return 0;
	if (hf_generation_parse("g", (const char *)data + 3, size - 3, &shape, &message) ||
	    compile_check(&shape, &options, &message)) {
		fuzz_require(message.text[0], "a refusal says why");
		return 0;
	}
	if (compile_parameters(&shape) < 200000 &&
	    options.ctx_len * (uint64_t)shape.head_dim < 100000 &&
	    options.prompt_len * (uint64_t)shape.vocabulary < 1000000)
		compile(&shape, &options);
	return 0;
}
