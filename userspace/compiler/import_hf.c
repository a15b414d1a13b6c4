// SPDX-License-Identifier: MIT
/*
 * Source: a Hugging Face directory of a Llama model: config.json, model.safetensors or the shards that
 * model.safetensors.index.json names. Called through compile_open(). Every tensor is found and its shape checked
 * before the first one is read, and a tensor that the architecture does not have is an error.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "aipu_numerics_float.h"
#include "hf_config.h"
#include "input.h"
#include "safetensors.h"

#define CONFIG_LIMIT (1u << 20)
#define INDEX_LIMIT (8u << 20)
#define MAX_SHARDS 256u

static const char *const tensor_names[COMPILE_TENSORS] = {
	[COMPILE_EMBEDDING] = "model.embed_tokens.weight",
	[COMPILE_NORM_ATTENTION] = "model.layers.%u.input_layernorm.weight",
	[COMPILE_WQ] = "model.layers.%u.self_attn.q_proj.weight",
	[COMPILE_WK] = "model.layers.%u.self_attn.k_proj.weight",
	[COMPILE_WV] = "model.layers.%u.self_attn.v_proj.weight",
	[COMPILE_WO] = "model.layers.%u.self_attn.o_proj.weight",
	[COMPILE_NORM_FFN] = "model.layers.%u.post_attention_layernorm.weight",
	[COMPILE_GATE] = "model.layers.%u.mlp.gate_proj.weight",
	[COMPILE_UP] = "model.layers.%u.mlp.up_proj.weight",
	[COMPILE_DOWN] = "model.layers.%u.mlp.down_proj.weight",
	[COMPILE_NORM_FINAL] = "model.norm.weight",
	[COMPILE_CLASSIFIER] = "lm_head.weight",
};

enum dtype { DTYPE_F32, DTYPE_F16, DTYPE_BF16 };

/* Where one tensor lies */
struct location {
	int fd;
	uint64_t offset;
	enum dtype dtype;
};

struct shard {
	char *name;
	struct safetensors file;
};

struct hf {
	char *directory;
	struct shard *shards;
	uint32_t shard_count;
	struct location *locations; /* [layer][COMPILE_TENSORS]; what is there once: layer 0 */
};

static bool per_layer(enum compile_tensor tensor)
{
	return strstr(tensor_names[tensor], "%u");
}

static void tensor_name(enum compile_tensor tensor, uint32_t layer, char *name, size_t bytes)
{
	const char *pattern = tensor_names[tensor], *mark = strstr(pattern, "%u");

	if (mark)
		snprintf(name, bytes, "%.*s%u%s", (int)(mark - pattern), pattern, layer, mark + 2);
	else
		snprintf(name, bytes, "%s", pattern);
}

static int hf_read(const struct compile_source *source, enum compile_tensor tensor, uint32_t layer,
		   uint32_t row, uint32_t count, float *to)
{
	const struct hf *hf = source->data;
	const struct location *at = &hf->locations[(size_t)layer * COMPILE_TENSORS + tensor];
	size_t columns = tensor_columns(&source->shape, tensor), n = count * columns, i;
	size_t element = at->dtype == DTYPE_F32 ? 4 : 2;
	/* 16-bit elements go to the upper half of the room and are widened from below. */
	uint8_t *raw = (uint8_t *)to + n * (sizeof(float) - element);
	int err = input_read(at->fd, raw, n * element, at->offset + row * columns * element);

	if (err || at->dtype == DTYPE_F32)
		return err;
	for (i = 0; i < n; i++) {
		uint16_t half;
		float wide;

		memcpy(&half, raw + i * sizeof(half), sizeof(half));
		wide = at->dtype == DTYPE_F16 ? aipu_f16_to_f32(half) : aipu_bf16_to_f32(half);
		memcpy((uint8_t *)to + i * sizeof(wide), &wide, sizeof(wide));
	}
	return 0;
}

static void hf_free(struct hf *hf)
{
	uint32_t i;

	for (i = 0; i < hf->shard_count; i++) {
		safetensors_close(&hf->shards[i].file);
		free(hf->shards[i].name);
	}
	free(hf->shards);
	free(hf->locations);
	free(hf->directory);
	free(hf);
}

static void hf_close(struct compile_source *source)
{
	hf_free(source->data);
	source->data = NULL;
}

/* The shard of that name, opened when first asked for; NULL with *err set */
static const struct safetensors *shard_open(struct hf *hf, const char *name, int *err,
					    struct aipu_message *message)
{
	struct shard *shard;
	char path[4096];
	uint32_t i;

	for (i = 0; i < hf->shard_count; i++)
		if (!strcmp(hf->shards[i].name, name))
			return &hf->shards[i].file;
	*err = -EINVAL;
	if (hf->shard_count == MAX_SHARDS || strchr(name, '/') || !name[0] || name[0] == '.' ||
	    (size_t)snprintf(path, sizeof(path), "%s/%s", hf->directory, name) >= sizeof(path)) {
		compile_fail(message, -EINVAL,
			     "%s: shard '%.100s': a file name is expected, %u at most",
			     hf->directory, name, MAX_SHARDS);
		return NULL;
	}
	shard = &hf->shards[hf->shard_count];
	*err = safetensors_open(path, &shard->file, message);
	if (*err)
		return NULL;
	shard->name = strdup(name);
	hf->shard_count++;
	*err = -ENOMEM;
	return shard->name ? &shard->file : NULL;
}

static void shape_text(char *text, size_t bytes, uint32_t rank, const uint64_t *dims)
{
	size_t at = 0;
	uint32_t i;

	text[0] = '\0';
	for (i = 0; i < rank && at < bytes; i++)
		at += (size_t)snprintf(text + at, bytes - at, "%s%llu", i ? ", " : "",
				       (unsigned long long)dims[i]);
}

static int locate(const struct hf *hf, const struct compile_shape *s,
		  const struct safetensors *file, const char *name, enum compile_tensor tensor,
		  struct location *at, struct aipu_message *message)
{
	const struct safetensors_tensor *t = safetensors_find(file, name);
	uint64_t dims[2] = { tensor_rows(s, tensor), tensor_columns(s, tensor) };
	uint32_t rank = tensor_is_norm(tensor) ? 1 : 2;
	const uint64_t *expected = rank == 1 ? &dims[1] : dims;
	char found_text[200], expected_text[64];

	if (!t)
		return compile_fail(message, -EINVAL, "%s: tensor %s is missing", hf->directory,
				    name);
	if (!strcmp(t->dtype, "F32"))
		at->dtype = DTYPE_F32;
	else if (!strcmp(t->dtype, "F16"))
		at->dtype = DTYPE_F16;
	else if (!strcmp(t->dtype, "BF16"))
		at->dtype = DTYPE_BF16;
	else
		return compile_fail(message, -EINVAL,
				    "%s: tensor %s has dtype %s: F32, F16 or BF16 is expected",
				    hf->directory, name, t->dtype);
	if (t->rank != rank || memcmp(t->dims, expected, rank * sizeof(*expected))) {
		shape_text(found_text, sizeof(found_text), t->rank, t->dims);
		shape_text(expected_text, sizeof(expected_text), rank, expected);
		return compile_fail(message, -EINVAL,
				    "%s: tensor %s has shape [%s], the configuration asks for [%s]",
				    hf->directory, name, found_text, expected_text);
	}
	at->fd = file->fd;
	at->offset = t->offset;
	return 0;
}

/* map: weight_map of the index, or NULL: all tensors are in model.safetensors */
static int locate_all(struct hf *hf, const struct compile_shape *s, const json_t *map,
		      struct aipu_message *message)
{
	uint32_t layer, tensor;

	hf->locations = calloc((size_t)s->layers * COMPILE_TENSORS, sizeof(*hf->locations));
	if (!hf->locations)
		return compile_fail(message, -ENOMEM, "%s", strerror(ENOMEM));
	for (layer = 0; layer < s->layers; layer++) {
		for (tensor = 0; tensor < COMPILE_TENSORS; tensor++) {
			struct location *at =
				&hf->locations[(size_t)layer * COMPILE_TENSORS + tensor];
			const char *shard = "model.safetensors";
			const struct safetensors *file;
			char name[128];
			int err;

			if ((layer && !per_layer(tensor)) ||
			    (tensor == COMPILE_CLASSIFIER && s->tied))
				continue;
			tensor_name(tensor, layer, name, sizeof(name));
			if (map)
				shard = json_string_value(json_object_get(map, name));
			if (!shard)
				return compile_fail(message, -EINVAL, "%s: tensor %s %s the index",
						    hf->directory, name,
						    json_object_get(map, name)
							    ? "has no file name in"
							    : "is missing in");
			file = shard_open(hf, shard, &err, message);
			if (!file)
				return err;
			err = locate(hf, s, file, name, tensor, at, message);
			if (err)
				return err;
		}
	}
	return 0;
}

static bool name_known(const struct compile_shape *s, const char *name)
{
	char expected[128];
	uint32_t tensor, layer = 0;

	/* A table that some exporters keep; the device's comes from the configuration. */
	if (strstr(name, ".rotary_emb.inv_freq"))
		return true;
	if (!strncmp(name, "model.layers.", 13))
		layer = (uint32_t)strtoul(name + 13, NULL, 10);
	for (tensor = 0; tensor < COMPILE_TENSORS; tensor++) {
		tensor_name(tensor, layer, expected, sizeof(expected));
		if (layer < s->layers && !strcmp(name, expected))
			return true;
	}
	return false;
}

static int refuse_others(const struct hf *hf, const struct compile_shape *s,
			 struct aipu_message *message)
{
	uint32_t i;
	size_t j;

	for (i = 0; i < hf->shard_count; i++)
		for (j = 0; j < hf->shards[i].file.count; j++)
			if (!name_known(s, hf->shards[i].file.tensors[j].name))
				return compile_fail(message, -ENOTSUP,
						    "%s: tensor %.200s is not of a Llama model as "
						    "its configuration describes it",
						    hf->directory,
						    hf->shards[i].file.tensors[j].name);
	return 0;
}

static int load_text(const struct hf *hf, const char *name, size_t limit, char *path, size_t room,
		     char **text, size_t *bytes, struct aipu_message *message)
{
	if ((size_t)snprintf(path, room, "%s/%s", hf->directory, name) >= room)
		return compile_fail(message, -ENAMETOOLONG, "%s: %s", name, strerror(ENAMETOOLONG));
	return input_load(path, limit, text, bytes, message);
}

static int load_config(const struct hf *hf, struct compile_shape *s, struct aipu_message *message)
{
	char path[4096], *text;
	size_t bytes;
	int err = load_text(hf, "config.json", CONFIG_LIMIT, path, sizeof(path), &text, &bytes,
			    message);

	if (err == -ENOENT)
		return compile_fail(
			message, err,
			"%s: %s; a Hugging Face directory of a Llama model, or a llama2.c "
			"checkpoint, is expected",
			path, strerror(-err));
	if (err)
		return err;
	err = hf_config_parse(path, text, bytes, s, message);
	free(text);
	if (err)
		return err;
	err = load_text(hf, "generation_config.json", CONFIG_LIMIT, path, sizeof(path), &text,
			&bytes, message);
	if (err)
		return err == -ENOENT ? 0 : err;
	err = hf_generation_parse(path, text, bytes, s, message);
	free(text);
	return err;
}

static int load_index(const struct hf *hf, json_t **index, struct aipu_message *message)
{
	char path[4096], *text;
	json_error_t error;
	size_t bytes;
	int err = load_text(hf, "model.safetensors.index.json", INDEX_LIMIT, path, sizeof(path),
			    &text, &bytes, message);

	if (err == -ENOENT)
		return compile_fail(
			message, err,
			"%s: has neither model.safetensors nor model.safetensors.index.json",
			hf->directory);
	if (err)
		return err;
	*index = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
	free(text);
	if (!*index)
		return compile_fail(message, -EINVAL, "%s: %s", path, error.text);
	if (!json_is_object(json_object_get(*index, "weight_map")))
		return compile_fail(message, -EINVAL, "%s: has no weight_map", path);
	return 0;
}

static int load(struct hf *hf, struct compile_shape *s, struct aipu_message *message)
{
	json_t *index = NULL;
	char path[4096];
	int err = load_config(hf, s, message);

	/* Sizes first: they bound what follows. */
	if (!err)
		err = input_check(hf->directory, s, message);
	if (err)
		return err;
	if ((size_t)snprintf(path, sizeof(path), "%s/model.safetensors", hf->directory) >=
	    sizeof(path))
		return compile_fail(message, -ENAMETOOLONG, "%s", strerror(ENAMETOOLONG));
	if (access(path, F_OK))
		err = load_index(hf, &index, message);
	if (!err)
		err = locate_all(hf, s, json_object_get(index, "weight_map"), message);
	json_decref(index);
	return err ? err : refuse_others(hf, s, message);
}

int compile_open_hf(const char *path, struct compile_source *source, struct aipu_message *message)
{
	struct hf *hf = calloc(1, sizeof(*hf));
	char *whole = realpath(path, NULL);
	int err = -ENOMEM;

	memset(source, 0, sizeof(*source));
	if (hf) {
		hf->directory = strdup(path);
		hf->shards = calloc(MAX_SHARDS, sizeof(*hf->shards));
		err = hf->directory && hf->shards
			      ? load(hf, &source->shape, message)
			      : compile_fail(message, -ENOMEM, "%s", strerror(ENOMEM));
		if (err)
			hf_free(hf);
	}
	if (!err) {
		input_name(whole ? whole : path, false, source->name, sizeof(source->name));
		memcpy(source->kind, "huggingface", sizeof("huggingface"));
		source->data = hf;
		source->read = hf_read;
		source->close = hf_close;
	}
	free(whole);
	return err;
}
