/* SPDX-License-Identifier: MIT */
/*
 * See shapes.h. Figures are those of the models' published configurations.
 */
#include "shapes.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

const char shapes_names[] = "tinyllama-1.1b, stories110m, stories15m, llama-3.2-1b";

#define COMMON \
	.norm_epsilon = 1e-5f, .rope_theta = 10000, .bos_id = 1, .stop_count = 1, .stop_ids = { 2 }

static const struct {
	const char *name;
	struct compile_shape shape;
} known[] = {
	{ "stories15m",
	  { .vocabulary = 32000,
	    .layers = 6,
	    .dim = 288,
	    .hidden_dim = 768,
	    .heads = 6,
	    .kv_heads = 6,
	    .head_dim = 48,
	    .positions = 256,
	    .tied = true,
	    COMMON } },
	{ "stories110m",
	  { .vocabulary = 32000,
	    .layers = 12,
	    .dim = 768,
	    .hidden_dim = 2048,
	    .heads = 12,
	    .kv_heads = 12,
	    .head_dim = 64,
	    .positions = 1024,
	    .tied = true,
	    COMMON } },
	{ "tinyllama-1.1b",
	  { .vocabulary = 32000,
	    .layers = 22,
	    .dim = 2048,
	    .hidden_dim = 5632,
	    .heads = 32,
	    .kv_heads = 4,
	    .head_dim = 64,
	    .positions = 2048,
	    .tied = false,
	    COMMON } },
	{ "llama-3.2-1b",
	  { .vocabulary = 128256,
	    .layers = 16,
	    .dim = 2048,
	    .hidden_dim = 8192,
	    .heads = 32,
	    .kv_heads = 8,
	    .head_dim = 64,
	    .positions = 131072,
	    .tied = true,
	    COMMON } },
};

/* given: a bit for each key that came; a second time is an error */
static bool set(struct compile_shape *s, const char *key, unsigned int value, unsigned int *given)
{
	static const struct {
		const char *key;
		size_t offset;
	} fields[] = {
		{ "dim", offsetof(struct compile_shape, dim) },
		{ "hidden", offsetof(struct compile_shape, hidden_dim) },
		{ "layers", offsetof(struct compile_shape, layers) },
		{ "heads", offsetof(struct compile_shape, heads) },
		{ "kv_heads", offsetof(struct compile_shape, kv_heads) },
		{ "vocab", offsetof(struct compile_shape, vocabulary) },
	};
	size_t i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (!strcmp(key, fields[i].key) && !(*given & 1u << i)) {
			*given |= 1u << i;
			memcpy((char *)s + fields[i].offset, &value, sizeof(uint32_t));
			return true;
		}
	}
	return false;
}

bool shapes_find(const char *text, struct compile_shape *shape)
{
	char copy[256], key[32], *item, *save = NULL, rest;
	unsigned int value, given = 0;
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!strcmp(text, known[i].name)) {
			*shape = known[i].shape;
			return true;
		}
	}
	*shape = known[0].shape;
	if (!*text || snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
		return false;
	for (item = strtok_r(copy, ",", &save); item; item = strtok_r(NULL, ",", &save))
		if (sscanf(item, "%31[a-z_]=%7u%c", key, &value, &rest) != 2 || !value ||
		    !set(shape, key, value, &given))
			return false;
	shape->head_dim = shape->dim / shape->heads;
	return shape->head_dim > 0;
}
