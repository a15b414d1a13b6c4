// SPDX-License-Identifier: MIT
/*
 * The tiny model of tiny_model.h and its writers. Called by tests; it must never share code with
 * any reader.
 */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tiny_model.h"

#define KV_DIM (TINY_KV_HEADS * TINY_HEAD_DIM)

/* Tensors in llama2.c's order; embedding, final norm and classifier count as one "layer" each. */
static const struct kind {
	const char *hf_name; /* %u is the layer */
	size_t rows, columns; /* columns 0: a vector */
	bool per_layer, rotated;
} kinds[] = {
	{ "model.embed_tokens", TINY_VOCAB, TINY_DIM, false, false },
	{ "model.layers.%u.input_layernorm", TINY_DIM, 0, true, false },
	{ "model.layers.%u.self_attn.q_proj", TINY_DIM, TINY_DIM, true, true },
	{ "model.layers.%u.self_attn.k_proj", KV_DIM, TINY_DIM, true, true },
	{ "model.layers.%u.self_attn.v_proj", KV_DIM, TINY_DIM, true, false },
	{ "model.layers.%u.self_attn.o_proj", TINY_DIM, TINY_DIM, true, false },
	{ "model.layers.%u.post_attention_layernorm", TINY_DIM, 0, true, false },
	{ "model.layers.%u.mlp.gate_proj", TINY_HIDDEN, TINY_DIM, true, false },
	{ "model.layers.%u.mlp.down_proj", TINY_DIM, TINY_HIDDEN, true, false },
	{ "model.layers.%u.mlp.up_proj", TINY_HIDDEN, TINY_DIM, true, false },
	{ "model.norm", TINY_DIM, 0, false, false },
	{ "lm_head", TINY_VOCAB, TINY_DIM, false, false },
};

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct tensor {
	const struct kind *kind;
	char name[64];
	size_t count;
	float *values;
};

struct tiny_model {
	bool separate;
	size_t n;
	struct tensor tensors[N_KINDS * TINY_LAYERS];
};

static bool tensor_fill(struct tensor *t, uint32_t *noise)
{
	t->count = t->kind->rows * (t->kind->columns ? t->kind->columns : 1);
	t->values = calloc(t->count, sizeof(*t->values));
	if (!t->values)
		return false;
	for (size_t i = 0; i < t->count; i++) {
		/*
		 * Numerical Recipes' linear congruential generator; the upper bits are good enough.
		 */
		*noise = *noise * 1664525u + 1013904223u;
		t->values[i] =
			(float)((int)(*noise >> 24) - 128) / (t->kind->columns ? 256.0f : 512.0f);
		t->values[i] = roundf(t->values[i] * 64) / 64 + (t->kind->columns ? 0.0f : 1.0f);
	}
	return true;
}

struct tiny_model *tiny_model_new(bool separate)
{
	struct tiny_model *m = calloc(1, sizeof(*m));
	uint32_t noise = 2026;

	if (!m)
		return NULL;
	m->separate = separate;
	for (size_t k = 0; k < N_KINDS - !separate; k++) {
		for (unsigned int layer = 0; layer < (kinds[k].per_layer ? TINY_LAYERS : 1);
		     layer++) {
			struct tensor *t = &m->tensors[m->n++];
			const char *mark = strstr(kinds[k].hf_name, "%u");

			t->kind = &kinds[k];
			if (mark)
				snprintf(t->name, sizeof(t->name), "%.*s%u%s.weight",
					 (int)(mark - kinds[k].hf_name), kinds[k].hf_name, layer,
					 mark + 2);
			else
				snprintf(t->name, sizeof(t->name), "%s.weight", kinds[k].hf_name);
			if (!tensor_fill(t, &noise)) {
				tiny_model_free(m);
				return NULL;
			}
		}
	}
	return m;
}

void tiny_model_free(struct tiny_model *m)
{
	for (size_t i = 0; m && i < m->n; i++)
		free(m->tensors[i].values);
	free(m);
}

int tiny_model_write_llama2c(const struct tiny_model *m, const char *path)
{
	const int32_t header[7] = { TINY_DIM,	   TINY_HIDDEN,
				    TINY_LAYERS,   TINY_HEADS,
				    TINY_KV_HEADS, m->separate ? -TINY_VOCAB : TINY_VOCAB,
				    TINY_CONTEXT };
	/* The place of the tables of cosines and sines; readers compute their own. */
	static const float tables[TINY_CONTEXT * TINY_HEAD_DIM];
	FILE *f = fopen(path, "wbe");
	bool ok;

	if (!f)
		return -errno;
	ok = fwrite(header, sizeof(header), 1, f) == 1;
	for (size_t i = 0; ok && i < m->n; i++) {
		const struct tensor *t = &m->tensors[i];

		ok = fwrite(t->values, sizeof(float), t->count, f) == t->count;
		if (!strcmp(t->name, "model.norm.weight"))
			ok = ok && fwrite(tables, sizeof(tables), 1, f) == 1;
	}
	if (fclose(f))
		ok = false;
	return ok ? 0 : -EIO;
}

/*
 * Row of the llama2.c tensor that stands at @row: pairs (2i, 2i + 1) of a head become (i, i +
 * half).
 */
static size_t source_row(const struct kind *kind, size_t row)
{
	size_t head = row / TINY_HEAD_DIM, i = row % TINY_HEAD_DIM, half = TINY_HEAD_DIM / 2;

	if (!kind->rotated)
		return row;
	return head * TINY_HEAD_DIM + (i < half ? 2 * i : 2 * (i - half) + 1);
}

/* A multiple of 1/64 below 2 in magnitude: normal and exact in both formats, or zero. */
static uint16_t narrow(float x, bool bf16)
{
	uint32_t bits, exponent;

	memcpy(&bits, &x, sizeof(bits));
	if (bf16)
		return (uint16_t)(bits >> 16);
	if (x == 0)
		return 0;
	exponent = (bits >> 23 & 255) - 127 + 15;
	return (uint16_t)(bits >> 31 << 15 | exponent << 10 | (bits >> 13 & 1023));
}

static bool tensor_write(FILE *f, const struct tensor *t, const char *dtype)
{
	size_t columns = t->kind->columns ? t->kind->columns : 1;

	for (size_t row = 0; row < t->kind->rows; row++) {
		const float *values = t->values + source_row(t->kind, row) * columns;

		for (size_t i = 0; i < columns; i++) {
			uint16_t half = narrow(values[i], !strcmp(dtype, "BF16"));
			bool wide = !strcmp(dtype, "F32");

			if (fwrite(wide ? (const void *)&values[i] : &half, wide ? 4 : 2, 1, f) !=
			    1)
				return false;
		}
	}
	return true;
}

/* Tensors @shard, @shard + @step, @shard + 2 @step ... as one safetensors file. */
static int file_write(const struct tiny_model *m, const char *path, const char *dtype, size_t shard,
		      size_t step)
{
	size_t bytes = strcmp(dtype, "F32") ? 2 : 4, offset = 0;
	json_t *header = json_object();
	uint64_t length;
	char *text;
	FILE *f;
	bool ok;

	for (size_t i = shard; i < m->n; i += step) {
		const struct tensor *t = &m->tensors[i];
		json_t *shape = json_pack("[I]", (json_int_t)t->kind->rows);

		if (t->kind->columns)
			json_array_append_new(shape, json_integer((json_int_t)t->kind->columns));
		json_object_set_new(header, t->name,
				    json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype, "shape",
					      shape, "data_offsets", (json_int_t)offset,
					      (json_int_t)(offset + t->count * bytes)));
		offset += t->count * bytes;
	}
	text = json_dumps(header, JSON_COMPACT);
	json_decref(header);
	f = fopen(path, "wbe");
	if (!text || !f) {
		free(text);
		if (f)
			fclose(f);
		return -EIO;
	}
	length = strlen(text);
	ok = fwrite(&length, sizeof(length), 1, f) == 1 && fwrite(text, 1, length, f) == length;
	for (size_t i = shard; ok && i < m->n; i += step)
		ok = tensor_write(f, &m->tensors[i], dtype);
	free(text);
	if (fclose(f))
		ok = false;
	return ok ? 0 : -EIO;
}

static int json_write(const char *directory, const char *name, json_t *root)
{
	char *path;
	int err;

	if (asprintf(&path, "%s/%s", directory, name) < 0)
		return -ENOMEM;
	err = json_dump_file(root, path, JSON_INDENT(2)) ? -EIO : 0;
	free(path);
	json_decref(root);
	return err;
}

static int config_write(const struct tiny_model *m, const char *directory)
{
	return json_write(directory, "config.json",
			  json_pack("{s:[s], s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, "
				    "s:i, s:f, s:f, s:b}",
				    "architectures", "LlamaForCausalLM", "model_type", "llama",
				    "hidden_act", "silu", "hidden_size", TINY_DIM,
				    "intermediate_size", TINY_HIDDEN, "num_hidden_layers",
				    TINY_LAYERS, "num_attention_heads", TINY_HEADS,
				    "num_key_value_heads", TINY_KV_HEADS, "vocab_size", TINY_VOCAB,
				    "max_position_embeddings", TINY_CONTEXT, "bos_token_id", 1,
				    "eos_token_id", 2, "rms_norm_eps", 1e-5, "rope_theta", 10000.0,
				    "tie_word_embeddings", !m->separate));
}

int tiny_model_write_hf(const struct tiny_model *m, const char *directory,
			const struct tiny_hf *how)
{
	size_t shards = how->shards ? how->shards : 1;
	json_t *map = json_object();
	int err = config_write(m, directory);

	for (size_t shard = 0; !err && shard < shards; shard++) {
		char name[64], *path;

		if (how->shards)
			snprintf(name, sizeof(name), "model-%05zu-of-%05zu.safetensors", shard + 1,
				 shards);
		else
			snprintf(name, sizeof(name), "model.safetensors");
		for (size_t i = shard; i < m->n; i += shards)
			json_object_set_new(map, m->tensors[i].name, json_string(name));
		if (asprintf(&path, "%s/%s", directory, name) < 0) {
			err = -ENOMEM;
			break;
		}
		err = file_write(m, path, how->dtype, shard, shards);
		free(path);
	}
	if (!err && how->shards)
		return json_write(directory, "model.safetensors.index.json",
				  json_pack("{s:{}, s:o}", "metadata", "weight_map", map));
	json_decref(map);
	return err;
}
