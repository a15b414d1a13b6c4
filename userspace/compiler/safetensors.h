/* SPDX-License-Identifier: MIT */
/*
 * Reader of safetensors files: an 8-byte little-endian length, a JSON header of that length, then the tensors'
 * bytes, which must fill the rest without gap or overlap.
 */
#ifndef AIPU_COMPILE_SAFETENSORS_H
#define AIPU_COMPILE_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "aipu/aipu.h"

#define SAFETENSORS_MAX_RANK 8u

struct safetensors_tensor {
	char *name;
	const char *dtype; /* "F32", "BF16", ... */
	uint32_t element_bytes;
	uint32_t rank;
	uint64_t dims[SAFETENSORS_MAX_RANK];
	uint64_t offset, bytes; /* in the file */
};

struct safetensors {
	int fd;
	struct safetensors_tensor *tensors; /* in ascending order of name */
	size_t count;
};

/*
 * Opens and checks a file. -EINVAL when it is no safetensors file or contradicts itself; *message names the
 * tensor. Close after 0 only.
 */
int safetensors_open(const char *path, struct safetensors *file, struct aipu_message *message);
void safetensors_close(struct safetensors *file);
const struct safetensors_tensor *safetensors_find(const struct safetensors *file, const char *name);

#endif
