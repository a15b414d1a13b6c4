// SPDX-License-Identifier: MIT
/*
 * Source: weights drawn from a seed, for measuring speed without a checkpoint. Called by aipu-bench and tests.
 * A row's values depend on seed, tensor, layer and row alone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"

struct random_source {
	uint64_t seed;
};

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static int random_read(const struct compile_source *source, enum compile_tensor tensor,
		       uint32_t layer, uint32_t row, uint32_t count, float *to)
{
	const struct random_source *r = source->data;
	uint32_t columns = tensor_columns(&source->shape, tensor), i, j;
	bool norm = tensor_is_norm(tensor);
	/* Uniform in +-sqrt(3 / columns): products of unit rows have unit variance. */
	float scale = 1.7320508f / __builtin_sqrtf((float)columns) / 2147483648.0f;

	for (i = 0; i < count; i++) {
		uint64_t state = mix(r->seed ^ mix((uint64_t)tensor << 56 ^ (uint64_t)layer << 32 ^
						   (row + i + 0x9e3779b97f4a7c15u)));

		for (j = 0; j < columns; j++) {
			state += 0x9e3779b97f4a7c15u;
			*to++ = norm ? 1.0f : (float)(int32_t)(mix(state) >> 32) * scale;
		}
	}
	return 0;
}

static void random_close(struct compile_source *source)
{
	free(source->data);
	source->data = NULL;
}

int compile_open_random(const struct compile_shape *shape, uint64_t seed,
			struct compile_source *source, struct aipu_message *message)
{
	struct random_source *r = calloc(1, sizeof(*r));

	if (!r)
		return compile_fail(message, -ENOMEM, "%s", strerror(ENOMEM));
	r->seed = seed;
	*source = (struct compile_source){ .shape = *shape,
					   .name = "random",
					   .kind = "random",
					   .data = r,
					   .read = random_read,
					   .close = random_close };
	return 0;
}
