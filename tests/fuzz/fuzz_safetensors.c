// SPDX-License-Identifier: MIT
/*
 * Fuzz target: safetensors files. An input is a whole file, or (first byte odd) a header's text, which is given the length
 * and the data that it needs.
 */
#include <stdlib.h>
#include <string.h>

#include "compile_fuzz.h"
#include "safetensors.h"

static void check(const struct safetensors *file, size_t size)
{
	uint64_t sum = 0;
	size_t i;
	uint32_t j;

	for (i = 0; i < file->count; i++) {
		const struct safetensors_tensor *t = &file->tensors[i];
		uint64_t bytes = t->element_bytes;

		for (j = 0; j < t->rank; j++)
			bytes *= t->dims[j];
		fuzz_require(t->bytes == bytes, "a tensor has the bytes of its shape");
		fuzz_require(t->offset >= 8 && t->offset <= size && t->bytes <= size - t->offset,
			     "tensors lie in the file");
		fuzz_require(safetensors_find(file, t->name) == t, "a tensor is found by its name");
		sum += t->bytes;
	}
	fuzz_require(sum < size, "tensors do not overlap");
	fuzz_require(!safetensors_find(file, "no such tensor, surely"),
		     "what is not there is not found");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct aipu_message message = { "" };
	char path[FUZZ_PATH_BYTES];
	struct safetensors file;
	uint8_t *bytes = NULL;
	uint64_t length;

	if (size >= 2 && data[0] & 1) {
		length = size - 2;
		bytes = calloc(1, 8 + length + data[1]);
		fuzz_require(bytes != NULL, "memory");
		memcpy(bytes, &length, 8);
		memcpy(bytes + 8, data + 2, length);
		size = 8 + length + data[1];
		data = bytes;
	}
	fuzz_file(data, size, path);
	free(bytes);
	if (!safetensors_open(path, &file, &message)) {
		check(&file, size);
		safetensors_close(&file);
	} else {
		fuzz_require(message.text[0], "a refusal says why");
	}
	return 0;
}
