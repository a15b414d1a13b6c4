// SPDX-License-Identifier: MIT
/*
 * See hf_config.h. Called by the Hugging Face source and its fuzz target. What it does not know how to compile it
 * refuses; nothing is ignored that would change the model's arithmetic.
 */
#include "hf_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

struct config {
	const char *path;
	const json_t *root;
	struct aipu_message *message;
	int err; /* the first */
};

/* NULL for what is missing or null */
static const json_t *member(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_null(value) ? NULL : value;
}

/* value: what stands there, or NULL */
static void wrong(struct config *c, const char *key, const json_t *value, const char *expected)
{
	char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;

	if (!c->err && !value)
		c->err = compile_fail(c->message, -EINVAL, "%s: %s is missing: %s is expected",
				      c->path, key, expected);
	else if (!c->err)
		c->err = compile_fail(c->message, -EINVAL, "%s: %s is %.60s: %s is expected",
				      c->path, key, text ? text : "wrong", expected);
	free(text);
}

static void unsupported(struct config *c, const char *key, const char *value, const char *expected)
{
	if (!c->err)
		c->err = compile_fail(c->message, -ENOTSUP,
				      "%s: %s is %.100s: only %s can be compiled", c->path, key,
				      value, expected);
}

/* 1 to 2^31 - 1; `fallback` when missing, unless that is 0 */
static uint32_t get_size(struct config *c, const char *key, uint32_t fallback)
{
	const json_t *value = member(c->root, key);
	json_int_t n = json_integer_value(value);

	if (!value && fallback)
		return fallback;
	if (!json_is_integer(value) || n < 1 || n > INT32_MAX) {
		wrong(c, key, value, "an integer from 1 to 2147483647");
		return 1;
	}
	return (uint32_t)n;
}

static double get_real(struct config *c, const json_t *object, const char *key, double fallback)
{
	const json_t *value = member(object, key);

	if (!value)
		return fallback;
	if (!json_is_number(value))
		wrong(c, key, value, "a number");
	return json_number_value(value);
}

/* A boolean that must be false, `expected` */
static void refuse_flag(struct config *c, const char *key, const char *expected)
{
	const json_t *value = member(c->root, key);

	if (value && !json_is_false(value))
		unsupported(c, key, "set", expected);
}

static void parse_scaling(struct config *c, const json_t *scaling, struct compile_shape *s)
{
	const char *type = json_string_value(member(scaling, "rope_type"));

	if (!type)
		type = json_string_value(member(scaling, "type"));
	if (!json_is_object(scaling) || !type) {
		wrong(c, "rope_scaling", scaling, "null or an object with rope_type");
		return;
	}
	if (!strcmp(type, "default"))
		return;
	s->rope_factor = get_real(c, scaling, "factor", 0.0);
	if (!strcmp(type, "linear")) {
		s->rope = COMPILE_ROPE_LINEAR;
	} else if (!strcmp(type, "llama3")) {
		double positions = get_real(c, scaling, "original_max_position_embeddings", 0.0);

		s->rope = COMPILE_ROPE_LLAMA3;
		s->rope_low = get_real(c, scaling, "low_freq_factor", 0.0);
		s->rope_high = get_real(c, scaling, "high_freq_factor", 0.0);
		if (!(positions >= 1.0 && positions <= 1e9))
			wrong(c, "original_max_position_embeddings",
			      member(scaling, "original_max_position_embeddings"),
			      "an integer from 1 to 1000000000");
		else
			s->rope_positions = (uint32_t)positions;
	} else {
		unsupported(c, "rope_scaling", type, "default, linear and llama3");
	}
}

static void parse_rope(struct config *c, struct compile_shape *s)
{
	const json_t *scaling = member(c->root, "rope_scaling");
	const json_t *parameters = member(c->root, "rope_parameters");

	s->rope_theta = get_real(c, c->root, "rope_theta", 10000.0);
	/* Newer files hold theta and scaling in one object. */
	if (parameters) {
		s->rope_theta = get_real(c, parameters, "rope_theta", s->rope_theta);
		parse_scaling(c, parameters, s);
	} else if (scaling) {
		parse_scaling(c, scaling, s);
	}
	if (get_real(c, c->root, "partial_rotary_factor", 1.0) != 1.0)
		unsupported(c, "partial_rotary_factor", "not 1", "a rotation of whole heads");
}

static void parse_kind(struct config *c)
{
	const json_t *type = member(c->root, "model_type");
	const json_t *architectures = member(c->root, "architectures");
	const char *act = "silu", *name;

	if (!json_is_string(type))
		wrong(c, "model_type", type, "\"llama\"");
	else if (strcmp(json_string_value(type), "llama"))
		unsupported(c, "model_type", json_string_value(type), "llama");
	name = json_string_value(json_array_get(architectures, 0));
	if (architectures && (!name || strcmp(name, "LlamaForCausalLM")))
		unsupported(c, "architectures", name ? name : "no list of names",
			    "LlamaForCausalLM");
	if (member(c->root, "hidden_act"))
		act = json_string_value(member(c->root, "hidden_act"));
	if (!act || strcmp(act, "silu"))
		unsupported(c, "hidden_act", act ? act : "no name", "silu");
	refuse_flag(c, "attention_bias", "attention without bias");
	refuse_flag(c, "mlp_bias", "layers without bias");
	refuse_flag(c, "quantization_config", "a model with plain weights");
	refuse_flag(c, "sliding_window", "full attention");
}

/* One id, or a list of at most 8 */
static void parse_ids(struct config *c, const char *key, const json_t *value, uint32_t *count,
		      uint32_t *ids, uint32_t room)
{
	const json_t *one;
	uint32_t n = json_is_array(value) ? (uint32_t)json_array_size(value) : 1, i;

	if (n > room) {
		wrong(c, key, value,
		      room > 1 ? "a token id or a list of at most 8" : "one token id");
		return;
	}
	for (i = 0; i < n; i++) {
		one = json_is_array(value) ? json_array_get(value, i) : value;
		if (!json_is_integer(one) || json_integer_value(one) < 0 ||
		    json_integer_value(one) > INT32_MAX) {
			wrong(c, key, value,
			      room > 1 ? "a token id, 0 to 2147483647, or a list of them"
				       : "a token id, 0 to 2147483647,");
			return;
		}
		ids[i] = (uint32_t)json_integer_value(one);
	}
	*count = n;
}

static void parse_tokens(struct config *c, struct compile_shape *s)
{
	const json_t *bos = member(c->root, "bos_token_id"), *eos = member(c->root, "eos_token_id");
	uint32_t count;

	if (bos)
		parse_ids(c, "bos_token_id", bos, &count, &s->bos_id, 1);
	if (eos)
		parse_ids(c, "eos_token_id", eos, &s->stop_count, s->stop_ids, 8);
}

static void parse_shape(struct config *c, struct compile_shape *s)
{
	const json_t *tied = member(c->root, "tie_word_embeddings");
	double epsilon;

	s->dim = get_size(c, "hidden_size", 0);
	s->hidden_dim = get_size(c, "intermediate_size", 0);
	s->layers = get_size(c, "num_hidden_layers", 0);
	s->heads = get_size(c, "num_attention_heads", 0);
	s->kv_heads = get_size(c, "num_key_value_heads", s->heads);
	s->vocabulary = get_size(c, "vocab_size", 0);
	s->positions = get_size(c, "max_position_embeddings", 2048);
	if (!member(c->root, "head_dim") && s->dim % s->heads)
		wrong(c, "head_dim", NULL,
		      "hidden_size is no multiple of num_attention_heads, so a number");
	s->head_dim = get_size(c, "head_dim", s->dim / s->heads ? s->dim / s->heads : 1);
	epsilon = get_real(c, c->root, "rms_norm_eps", 1e-6);
	if (!(epsilon >= 1e-30 && epsilon <= 1.0))
		wrong(c, "rms_norm_eps", member(c->root, "rms_norm_eps"),
		      "a number from 1e-30 to 1");
	s->norm_epsilon = (float)epsilon;
	if (tied && !json_is_boolean(tied))
		wrong(c, "tie_word_embeddings", tied, "true or false");
	s->tied = json_is_true(tied);
}

static int parse(const char *path, const char *text, size_t bytes, struct compile_shape *shape,
		 bool generation, struct aipu_message *message)
{
	struct config c = { .path = path, .message = message };
	json_error_t error;
	json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);

	if (!json_is_object(root)) {
		json_decref(root);
		return compile_fail(message, -EINVAL, "%s: %s", path,
				    root ? "not a JSON object" : error.text);
	}
	c.root = root;
	if (!generation) {
		memset(shape, 0, sizeof(*shape));
		shape->bos_id = ~0u;
		parse_kind(&c);
		parse_shape(&c, shape);
		parse_rope(&c, shape);
	}
	parse_tokens(&c, shape);
	json_decref(root);
	return c.err;
}

int hf_config_parse(const char *path, const char *text, size_t bytes, struct compile_shape *shape,
		    struct aipu_message *message)
{
	return parse(path, text, bytes, shape, false, message);
}

int hf_generation_parse(const char *path, const char *text, size_t bytes,
			struct compile_shape *shape, struct aipu_message *message)
{
	return parse(path, text, bytes, shape, true, message);
}
