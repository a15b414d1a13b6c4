// SPDX-License-Identifier: MIT
/*
 * Fuzz target: checkpoints of llama2.c. The file gets the length that its header asks for, unless the first byte is odd or
 * that is too long; what is accepted is compiled.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "compile_fuzz.h"
#include "compiler.h"

#define LONGEST (1u << 20)

static uint64_t length_asked(const int32_t v[7])
{
	uint64_t dim = (uint32_t)v[0] & 1023, hidden = (uint32_t)v[1] & 1023,
		 layers = (uint32_t)v[2] & 15, heads = (uint32_t)v[3] & 63,
		 kv = (uint32_t)v[4] & 63, vocabulary = (uint32_t)abs(v[5] % 4096),
		 positions = (uint32_t)v[6] & 1023;
	uint64_t head = heads ? dim / heads : 0;

	return 28 +
	       4 * (vocabulary * dim * (v[5] < 0 ? 2 : 1) + dim + positions * head +
		    layers * (2 * dim + 2 * dim * dim + 2 * kv * head * dim + 3 * dim * hidden));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct aipu_message message = { "" };
	struct compile_options options = { .threads = 1 };
	struct compile_source source;
	char path[FUZZ_PATH_BYTES];
	int32_t header[7];
	uint64_t asked;
	uint8_t mode;
	int fd, out, err;

	if (size < 1 + sizeof(header))
		return 0;
	mode = data[0];
	memcpy(header, data + 1, sizeof(header));
	asked = length_asked(header);
	fd = fuzz_file(data + 1, size - 1, path);
	if (!(mode & 1) && asked < LONGEST)
		fuzz_require(!ftruncate(fd, (off_t)asked), "a file in memory");
	err = compile_open(path, &source, &message);
	fuzz_require(!err || message.text[0], "a refusal says why");
	if (err)
		return 0;
	options.precision = 1 + mode / 2 % 3;
	options.ctx_len = 1 + mode / 8;
	out = memfd_create("container", MFD_CLOEXEC);
	err = compile_write(&source, &options, out, &message);
	fuzz_require(err != -ENODATA && err != -EIO, "what was accepted can be read");
	close(out);
	source.close(&source);
	return 0;
}
