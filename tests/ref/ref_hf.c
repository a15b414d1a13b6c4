// SPDX-License-Identifier: MIT
/*
 * The reference interpreter's reader for Hugging Face directories: config.json and safetensors,
 * whole or sharded. Called by ref_model_load() only. What it does not know about a configuration it
 * refuses; it must never guess.
 */
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ref_internal.h"

#define HEADER_LIMIT (100u << 20)

/* An integer member, @fallback when it is missing or null, -1 when it is something else. */
static json_int_t config_integer(const json_t *config, const char *key, json_int_t fallback)
{
	const json_t *value = json_object_get(config, key);

	if (!value || json_is_null(value))
		return fallback;
	return json_is_integer(value) ? json_integer_value(value) : -1;
}

static double config_number(const json_t *config, const char *key, double fallback)
{
	const json_t *value = json_object_get(config, key);

	return json_is_number(value) ? json_number_value(value) : fallback;
}

static bool config_is_set(const json_t *config, const char *key)
{
	const json_t *value = json_object_get(config, key);

	return value && !json_is_null(value) && !json_is_false(value);
}

static bool config_string_is(const json_t *config, const char *key, const char *expected)
{
	const char *value = json_string_value(json_object_get(config, key));

	return value && !strcmp(value, expected);
}

static const char *rope_read(struct ref_model *m, const json_t *config)
{
	const json_t *parameters = json_object_get(config, "rope_parameters");

	m->rope_theta = config_number(config, "rope_theta", 10000.0);
	/* Newer files keep theta and the kind of scaling in one object. */
	if (json_is_object(parameters)) {
		m->rope_theta = config_number(parameters, "rope_theta", m->rope_theta);
		if (!config_string_is(parameters, "rope_type", "default"))
			return "config.json asks for RoPE scaling, which the reference does not "
			       "have";
	}
	if (config_is_set(config, "rope_scaling"))
		return "config.json asks for RoPE scaling, which the reference does not have";
	if (config_number(config, "partial_rotary_factor", 1.0) != 1.0)
		return "config.json asks for a partial rotation, which the reference does not have";
	return NULL;
}

static const char *config_read(struct ref_model *m, const json_t *config, bool *separate)
{
	json_int_t values[8];
	const json_t *tied = json_object_get(config, "tie_word_embeddings");

	if (!config_string_is(config, "model_type", "llama"))
		return "config.json: model_type is not llama";
	if (json_object_get(config, "hidden_act") &&
	    !config_string_is(config, "hidden_act", "silu"))
		return "config.json: hidden_act is not silu";
	if (config_is_set(config, "attention_bias") || config_is_set(config, "mlp_bias"))
		return "config.json asks for biases, which the reference does not have";
	values[0] = config_integer(config, "hidden_size", 0);
	values[1] = config_integer(config, "intermediate_size", 0);
	values[2] = config_integer(config, "num_hidden_layers", 0);
	values[3] = config_integer(config, "num_attention_heads", 0);
	values[4] = config_integer(config, "num_key_value_heads", values[3]);
	values[5] = config_integer(config, "vocab_size", 0);
	values[6] = config_integer(config, "max_position_embeddings", 2048);
	values[7] = config_integer(config, "head_dim", values[3] > 0 ? values[0] / values[3] : 0);
	for (int i = 0; i < 8; i++)
		if (values[i] <= 0 || values[i] > INT_MAX)
			return "config.json: a dimension is missing or out of range";
	m->dim = (uint32_t)values[0];
	m->hidden_dim = (uint32_t)values[1];
	m->n_layers = (uint32_t)values[2];
	m->n_heads = (uint32_t)values[3];
	m->n_kv_heads = (uint32_t)values[4];
	m->vocab_size = (uint32_t)values[5];
	m->seq_len = (uint32_t)values[6];
	m->head_dim = (uint32_t)values[7];
	m->rms_eps = config_number(config, "rms_norm_eps", 1e-6);
	m->rope_halves = true;
	*separate = !json_is_true(tied);
	return rope_read(m, config);
}

static json_t *json_read(const char *directory, const char *name)
{
	json_t *root;
	char *path;

	if (asprintf(&path, "%s/%s", directory, name) < 0)
		return NULL;
	root = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
	free(path);
	return root;
}

static float widen_bf16(uint16_t bits)
{
	uint32_t wide = (uint32_t)bits << 16;
	float x;

	memcpy(&x, &wide, sizeof(x));
	return x;
}

/* Sign, 5 bits of exponent with bias 15, 10 bits of fraction (IEEE 754-2019, 3.6). */
static float widen_fp16(uint16_t bits)
{
	unsigned int exponent = bits >> 10 & 31, fraction = bits & 1023;
	float sign = bits >> 15 ? -1.0f : 1.0f;

	if (exponent == 31)
		return fraction ? __builtin_nanf("") : sign * __builtin_inff();
	if (exponent == 0)
		return sign * (float)fraction * 0x1p-24f;
	return sign * (float)(1024 + fraction) * 0x1p-25f * (float)(1u << exponent);
}

static const char *values_read(FILE *f, const char *dtype, float *out, size_t count)
{
	bool bf16 = !strcmp(dtype, "BF16");

	if (!strcmp(dtype, "F32"))
		return fread(out, sizeof(float), count, f) == count ? NULL
								    : "a tensor's data ends early";
	if (!bf16 && strcmp(dtype, "F16") != 0)
		return "a tensor's dtype is not F32, F16 or BF16";

	uint16_t *narrow = calloc(count, sizeof(*narrow));

	if (!narrow)
		return "not enough memory for a tensor";
	if (fread(narrow, sizeof(*narrow), count, f) != count) {
		free(narrow);
		return "a tensor's data ends early";
	}
	for (size_t i = 0; i < count; i++)
		out[i] = bf16 ? widen_bf16(narrow[i]) : widen_fp16(narrow[i]);
	free(narrow);
	return NULL;
}

static bool shape_is(const json_t *shape, size_t rows, size_t columns)
{
	size_t rank = columns ? 2 : 1;

	return json_array_size(shape) == rank &&
	       json_integer_value(json_array_get(shape, 0)) == (json_int_t)rows &&
	       (rank == 1 || json_integer_value(json_array_get(shape, 1)) == (json_int_t)columns);
}

/*
 * A safetensors file: u64 length of the header, the header (JSON), the data; offsets count from the
 * data's start.
 */
static const char *file_read_tensor(FILE *f, const char *name, float *out, size_t rows,
				    size_t columns)
{
	size_t count = rows * (columns ? columns : 1);
	const char *dtype, *error;
	json_t *header, *entry, *offsets;
	json_int_t begin, end;
	uint64_t length;
	char *text;

	if (fread(&length, sizeof(length), 1, f) != 1 || length > HEADER_LIMIT)
		return "a safetensors header's length is out of range";
	text = malloc(length + 1);
	if (!text)
		return "not enough memory for a safetensors header";
	header = fread(text, 1, length, f) == length
			 ? json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL)
			 : NULL;
	free(text);
	if (!header)
		return "a safetensors header is no JSON";

	entry = json_object_get(header, name);
	dtype = json_string_value(json_object_get(entry, "dtype"));
	offsets = json_object_get(entry, "data_offsets");
	begin = json_integer_value(json_array_get(offsets, 0));
	end = json_integer_value(json_array_get(offsets, 1));
	if (!entry)
		error = "a tensor that the model needs is missing";
	else if (!shape_is(json_object_get(entry, "shape"), rows, columns))
		error = "a tensor's shape is not what config.json says";
	else if (!dtype || json_array_size(offsets) != 2 || begin < 0 ||
		 end - begin != (json_int_t)(count * (strcmp(dtype, "F32") ? 2 : 4)))
		error = "a tensor's offsets do not fit its shape";
	else if (fseek(f, (long)(sizeof(length) + length + (uint64_t)begin), SEEK_SET))
		error = "a tensor's offset is out of range";
	else
		error = values_read(f, dtype, out, count);
	json_decref(header);
	return error;
}

/* Where tensors are: one file, or the file that the index names for each. */
struct source {
	const char *directory;
	const json_t *weight_map; /* NULL: all in model.safetensors */
};

static const char *tensor_read(const struct source *source, const char *name, float *out,
			       size_t rows, size_t columns)
{
	const char *shard = "model.safetensors", *error;
	char *path;
	FILE *f;

	if (source->weight_map)
		shard = json_string_value(json_object_get(source->weight_map, name));
	if (!shard || strchr(shard, '/'))
		return "the index names no file for a tensor that the model needs";
	if (asprintf(&path, "%s/%s", source->directory, shard) < 0)
		return "not enough memory for a path";
	f = fopen(path, "rbe");
	free(path);
	if (!f)
		return "a safetensors file cannot be opened";
	error = file_read_tensor(f, name, out, rows, columns);
	fclose(f);
	return error;
}

static const char *layer_read(const struct source *source, const struct ref_model *m,
			      uint32_t layer)
{
	const struct ref_layer *l = &m->layers[layer];
	size_t dim = m->dim, hidden = m->hidden_dim;
	size_t q = (size_t)m->n_heads * m->head_dim, kv = (size_t)m->n_kv_heads * m->head_dim;
	const struct {
		const char *name;
		float *out;
		size_t rows, columns;
	} tensors[] = {
		{ "input_layernorm", l->rms_att, dim, 0 },
		{ "self_attn.q_proj", l->wq, q, dim },
		{ "self_attn.k_proj", l->wk, kv, dim },
		{ "self_attn.v_proj", l->wv, kv, dim },
		{ "self_attn.o_proj", l->wo, dim, q },
		{ "post_attention_layernorm", l->rms_ffn, dim, 0 },
		{ "mlp.gate_proj", l->w1, hidden, dim },
		{ "mlp.down_proj", l->w2, dim, hidden },
		{ "mlp.up_proj", l->w3, hidden, dim },
	};
	const char *error = NULL;

	for (size_t i = 0; !error && i < sizeof(tensors) / sizeof(tensors[0]); i++) {
		char name[128];

		snprintf(name, sizeof(name), "model.layers.%u.%s.weight", layer, tensors[i].name);
		error = tensor_read(source, name, tensors[i].out, tensors[i].rows,
				    tensors[i].columns);
	}
	return error;
}

static const char *tensors_read(const struct source *source, struct ref_model *m)
{
	const char *error = tensor_read(source, "model.embed_tokens.weight", m->embedding,
					m->vocab_size, m->dim);

	if (!error)
		error = tensor_read(source, "model.norm.weight", m->rms_final, m->dim, 0);
	if (!error && m->classifier != m->embedding)
		error = tensor_read(source, "lm_head.weight", m->classifier, m->vocab_size, m->dim);
	for (uint32_t i = 0; !error && i < m->n_layers; i++)
		error = layer_read(source, m, i);
	return error;
}

const char *ref_hf_read(struct ref_model *m, const char *directory)
{
	struct source source = { .directory = directory };
	json_t *config = json_read(directory, "config.json");
	json_t *index = NULL;
	const char *error;
	bool separate;

	if (!config)
		return "config.json is missing or no JSON";
	error = config_read(m, config, &separate);
	if (!error)
		error = ref_model_allocate(m, separate);
	json_decref(config);
	if (error)
		return error;

	index = json_read(directory, "model.safetensors.index.json");
	if (index) {
		source.weight_map = json_object_get(index, "weight_map");
		if (!json_is_object(source.weight_map))
			error = "the index holds no weight_map";
	}
	if (!error)
		error = tensors_read(&source, m);
	json_decref(index);
	return error;
}
