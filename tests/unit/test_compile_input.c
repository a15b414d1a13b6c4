// SPDX-License-Identifier: MIT
/*
 * What the compiler reads: one model from every format gives the same rows; bad checkpoints are refused with one line
 * that names what is wrong.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "graph.h"
#include "hf_config.h"
#include "safetensors.h"
#include "test_env.h"
#include "tiny_model.h"

static char *path_of(const char *directory, const char *name)
{
	char *path;

	assert_true(asprintf(&path, "%s/%s", directory, name) > 0);
	return path;
}

static void write_file(const char *directory, const char *name, const void *data, size_t size)
{
	char *path = path_of(directory, name);

	assert_int_equal(test_write_file(path, data, size), 0);
	free(path);
}

static void same_rows(const struct compile_source *a, const struct compile_source *b)
{
	uint32_t tensor, layer;

	for (tensor = 0; tensor < COMPILE_TENSORS; tensor++) {
		uint32_t rows = tensor_rows(&a->shape, tensor),
			 columns = tensor_columns(&a->shape, tensor);
		float *x = malloc(sizeof(float) * rows * columns),
		      *y = malloc(sizeof(float) * rows * columns);

		assert_true(x && y);
		for (layer = 0; layer < a->shape.layers; layer++) {
			uint32_t odd = rows > 3 ? 3 : 0; /* rows that begin within a head */
			bool once = tensor == COMPILE_EMBEDDING || tensor == COMPILE_NORM_FINAL ||
				    tensor == COMPILE_CLASSIFIER;

			if ((once && layer) || (tensor == COMPILE_CLASSIFIER && a->shape.tied))
				continue;
			assert_int_equal(a->read(a, tensor, layer, 0, rows, x), 0);
			assert_int_equal(b->read(b, tensor, layer, 0, rows, y), 0);
			assert_memory_equal(x, y, sizeof(float) * rows * columns);
			assert_int_equal(b->read(b, tensor, layer, odd, rows - odd, y), 0);
			assert_memory_equal(x + odd * columns, y,
					    sizeof(float) * (rows - odd) * columns);
		}
		free(x);
		free(y);
	}
}

static void formats_agree(void **state)
{
	static const struct tiny_hf formats[] = {
		{ "F32", 0 }, { "F16", 0 }, { "BF16", 0 }, { "BF16", 3 }
	};
	int separate;
	size_t i;

	(void)state;
	for (separate = 0; separate < 2; separate++) {
		struct tiny_model *model = tiny_model_new(separate);
		char *directory = test_make_temp_dir(), *file = path_of(directory, "tiny.bin");
		struct aipu_message message = { "" };
		struct compile_source a, b;

		assert_int_equal(tiny_model_write_llama2c(model, file), 0);
		if (compile_open(file, &a, &message))
			fail_msg("%s", message.text);
		assert_string_equal(a.name, "tiny");
		assert_int_equal(a.shape.head_dim, TINY_HEAD_DIM);
		assert_int_equal(a.shape.tied, !separate);
		for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
			char *hf = test_make_temp_dir();

			assert_int_equal(tiny_model_write_hf(model, hf, &formats[i]), 0);
			if (compile_open(hf, &b, &message))
				fail_msg("%s", message.text);
			assert_int_equal(b.shape.tied, !separate);
			assert_int_equal(b.shape.positions, TINY_CONTEXT);
			assert_int_equal(b.shape.vocabulary, TINY_VOCAB);
			same_rows(&a, &b);
			b.close(&b);
			test_remove_tree(hf);
			free(hf);
		}
		a.close(&a);
		test_remove_tree(directory);
		free(directory);
		free(file);
		tiny_model_free(model);
	}
}

static void expect_open(const char *path, int err, const char *words)
{
	struct aipu_message message = { "" };
	struct compile_source source;
	int got = compile_open(path, &source, &message);

	if (!got)
		source.close(&source);
	if (got != err)
		fail_msg("%d instead of %d: %s", got, err, message.text);
	if (!strstr(message.text, words))
		fail_msg("no '%s' in '%s'", words, message.text);
	assert_null(strchr(message.text, '\n'));
}

/* --- llama2.c --- */

static void bad_llama2c(void **state)
{
	struct tiny_model *model = tiny_model_new(false);
	char *directory = test_make_temp_dir(), *file = path_of(directory, "tiny.bin");
	int32_t *bytes;
	size_t size;

	(void)state;
	assert_int_equal(tiny_model_write_llama2c(model, file), 0);
	tiny_model_free(model);
	bytes = test_read_file(file, &size);
	assert_non_null(bytes);

	test_write_file(file, bytes, 20);
	expect_open(file, -EINVAL, "only 20 bytes");
	test_write_file(file, bytes, size - 4);
	expect_open(file, -EINVAL, "its header (version 0) asks for");
	bytes[0] = 0x616b3432;
	test_write_file(file, bytes, size);
	expect_open(file, -EINVAL, "version 0 is supported");
	bytes[0] = TINY_DIM;
	bytes[2] = 0;
	test_write_file(file, bytes, size);
	expect_open(file, -EINVAL, "n_layers in its header is 0");
	bytes[2] = 1 << 24; /* sizes beyond 2^64 bytes are no way around the check of the length */
	bytes[1] = 1 << 24;
	test_write_file(file, bytes, size);
	expect_open(file, -EINVAL, "layers is 16777216: 1 to 1024");
	bytes[1] = TINY_HIDDEN;
	bytes[2] = TINY_LAYERS;
	bytes[3] = 5;
	test_write_file(file, bytes, size);
	expect_open(file, -EINVAL, "not a multiple of n_heads 5");
	bytes[3] = TINY_HEADS;
	bytes[5] = INT32_MIN;
	test_write_file(file, bytes, size);
	expect_open(file, -EINVAL, "vocab_size");
	expect_open("/nowhere", -ENOENT, "/nowhere: No such file");
	free(bytes);
	test_remove_tree(directory);
	free(directory);
	free(file);
}

/* A checkpoint that shrinks while it is compiled: an error, no signal */
static void shrinking_file(void **state)
{
	struct tiny_model *model = tiny_model_new(false);
	char *directory = test_make_temp_dir(), *file = path_of(directory, "tiny.bin");
	struct compile_options options = { .precision = AIPU_PRECISION_INT8 };
	struct aipu_message message = { "" };
	struct compile_source source;
	char *out = path_of(directory, "out");
	int fd;

	(void)state;
	assert_int_equal(tiny_model_write_llama2c(model, file), 0);
	tiny_model_free(model);
	assert_int_equal(compile_open(file, &source, &message), 0);
	assert_int_equal(truncate(file, 1000), 0);
	test_write_file(out, "", 0);
	{
		FILE *f = fopen(out, "r+e");

		assert_non_null(f);
		fd = fileno(f);
		assert_int_equal(compile_write(&source, &options, fd, &message), -ENODATA);
		assert_non_null(strstr(message.text, "shorter"));
		fclose(f);
	}
	source.close(&source);
	test_remove_tree(directory);
	free(directory);
	free(file);
	free(out);
}

/* --- safetensors --- */

static void expect_safetensors(const char *header, size_t data, int err, const char *words)
{
	char *directory = test_make_temp_dir(), *path = path_of(directory, "model.safetensors");
	struct aipu_message message = { "" };
	uint64_t length = strlen(header);
	struct safetensors file;
	uint8_t *bytes = calloc(1, 8 + length + data);
	int got;

	assert_non_null(bytes);
	memcpy(bytes, &length, 8);
	memcpy(bytes + 8, header, length);
	test_write_file(path, bytes, 8 + length + data);
	got = safetensors_open(path, &file, &message);
	if (!got)
		safetensors_close(&file);
	if (got != err || !strstr(message.text, words))
		fail_msg("%s: %d instead of %d, '%s' in '%s'", header, got, err, words,
			 message.text);
	assert_null(strchr(message.text, '\n'));
	test_remove_tree(directory);
	free(directory);
	free(path);
	free(bytes);
}

#define T(name, dtype, shape, first, last)                                                     \
	"\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" first \
	"," last "]}"

static void bad_safetensors(void **state)
{
	(void)state;
	expect_safetensors("{" T("a", "F32", "2,3", "0", "24") "}", 24, 0, "");
	expect_safetensors("{\"__metadata__\":{\"format\":\"pt\"}," T("a", "F16", "2", "0",
								      "4") "," T("b", "I64", "1",
										 "4", "12") "}   ",
			   12, 0, "");
	expect_safetensors("{" T("a", "F32", "2", "0", "8") "," T("b", "F32", "2", "4", "12") "}",
			   12, -EINVAL, "tensors a and b overlap");
	expect_safetensors("{" T("a", "F32", "2", "0", "8") "," T("b", "F32", "2", "0", "8") "}", 8,
			   -EINVAL, "overlap");
	expect_safetensors(
		"{" T("a", "F32", "2", "0", "8") "}", 4, -EINVAL,
		"tensor a: data_offsets 0 to 8 are out of range, there are 4 bytes: is the file cut short?");
	expect_safetensors("{" T("a", "F32", "2", "-8", "0") "}", 8, -EINVAL, "out of range");
	expect_safetensors("{" T("a", "F32", "2", "8", "0") "}", 8, -EINVAL, "out of range");
	expect_safetensors("{" T("a", "F32", "2", "4", "12") "}", 12, -EINVAL,
			   "4 bytes before tensor a belong to no tensor");
	expect_safetensors("{" T("a", "F32", "2", "0", "8") "}", 12, -EINVAL, "4 bytes after");
	expect_safetensors("{" T("a", "F32", "3", "0", "8") "}", 8, -EINVAL, "asks for 12 bytes");
	expect_safetensors("{" T("a", "F32", "4611686018427387904", "0", "0") "}", 0, -EINVAL,
			   "shape out of range");
	expect_safetensors("{" T("a", "F32", "-1", "0", "0") "}", 0, -EINVAL, "shape out of range");
	expect_safetensors("{" T("a", "Q4", "2", "0", "8") "}", 8, -EINVAL, "unknown dtype Q4");
	expect_safetensors("{" T("a\\nb", "Q4", "2", "0", "8") "}", 8, -EINVAL, "a?b");
	expect_safetensors("{\"a\":7}", 0, -EINVAL, "dtype, shape");
	expect_safetensors("{" T("a", "F32", "", "0", "4") "," T("a", "F32", "", "0", "4") "}", 4,
			   -EINVAL, "duplicate");
	expect_safetensors("[]", 0, -EINVAL, "not a JSON object");
	expect_safetensors("{", 0, -EINVAL, "header");
}

static void safetensors_lengths(void **state)
{
	static const uint64_t lengths[] = { ~0ull, 1ull << 40, 9, 8u << 20 };
	char *directory = test_make_temp_dir(), *path = path_of(directory, "model.safetensors");
	struct aipu_message message = { "" };
	struct safetensors file;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		test_write_file(path, &lengths[i], 8);
		assert_int_equal(safetensors_open(path, &file, &message), -EINVAL);
		assert_non_null(strstr(message.text, "truncated"));
	}
	test_write_file(path, "abc", 3);
	assert_int_equal(safetensors_open(path, &file, &message), -EINVAL);
	assert_non_null(strstr(message.text, "only 3 bytes"));
	test_remove_tree(directory);
	free(directory);
	free(path);
}

/* --- config.json --- */

#define SIZES                                                                          \
	"\"model_type\":\"llama\",\"hidden_size\":32,\"intermediate_size\":44,"        \
	"\"num_hidden_layers\":2,\"num_attention_heads\":4,\"num_key_value_heads\":2," \
	"\"vocab_size\":50,\"max_position_embeddings\":24,\"tie_word_embeddings\":true"

static void expect_config(const char *text, int err, const char *words)
{
	struct aipu_message message = { "" };
	struct compile_shape shape;
	int got = hf_config_parse("config.json", text, strlen(text), &shape, &message);

	if (got != err || !strstr(message.text, words))
		fail_msg("%s: %d instead of %d, '%s' in '%s'", text, got, err, words, message.text);
}

static void bad_configs(void **state)
{
	(void)state;
	expect_config("{" SIZES "}", 0, "");
	expect_config("{" SIZES
		      ",\"rope_scaling\":null,\"attention_bias\":false,\"head_dim\":null}",
		      0, "");
	expect_config("{\"model_type\":\"qwen2\"}", -ENOTSUP,
		      "config.json: model_type is qwen2: only llama can be compiled");
	expect_config("{\"model_type\":7}", -EINVAL, "model_type");
	expect_config("{" SIZES ",\"architectures\":[\"MistralForCausalLM\"]}", -ENOTSUP,
		      "architectures is MistralForCausalLM");
	expect_config("{" SIZES ",\"hidden_act\":\"gelu\"}", -ENOTSUP, "hidden_act is gelu");
	expect_config("{" SIZES ",\"attention_bias\":true}", -ENOTSUP, "attention_bias");
	expect_config("{" SIZES ",\"mlp_bias\":true}", -ENOTSUP, "mlp_bias");
	expect_config("{" SIZES ",\"quantization_config\":{}}", -ENOTSUP, "quantization_config");
	expect_config("{" SIZES ",\"rope_scaling\":{\"rope_type\":\"yarn\"}}", -ENOTSUP,
		      "rope_scaling is yarn");
	expect_config("{" SIZES ",\"rope_scaling\":{\"factor\":2}}", -EINVAL, "rope_type");
	expect_config("{" SIZES ",\"rope_scaling\":{\"type\":\"llama3\",\"factor\":8}}", -EINVAL,
		      "original_max_position_embeddings");
	expect_config("{" SIZES ",\"rope_theta\":\"x\"}", -EINVAL, "rope_theta");
	expect_config("{" SIZES ",\"partial_rotary_factor\":0.5}", -ENOTSUP,
		      "partial_rotary_factor");
	expect_config("{" SIZES ",\"eos_token_id\":[1,2,3,4,5,6,7,8,9]}", -EINVAL, "eos_token_id");
	expect_config("{" SIZES ",\"eos_token_id\":-1}", -EINVAL, "eos_token_id");
	expect_config("{" SIZES ",\"head_dim\":0}", -EINVAL,
		      "head_dim is 0: an integer from 1 to 2147483647 is expected");
	expect_config("{" SIZES ",\"head_dim\":4294967296}", -EINVAL, "head_dim is 4294967296:");
	expect_config("{" SIZES ",\"head_dim\":\"8\"}", -EINVAL, "head_dim is \"8\":");
	/* Below what the device can hold, or 0 once it is rounded */
	expect_config("{" SIZES ",\"rms_norm_eps\":0}", -EINVAL, "rms_norm_eps is 0:");
	expect_config("{" SIZES ",\"rms_norm_eps\":1e-46}", -EINVAL, "a number from 1e-30 to 1");
	expect_config("{" SIZES ",\"rms_norm_eps\":1e-50}", -EINVAL, "rms_norm_eps is 1");
	expect_config("{" SIZES ",\"rms_norm_eps\":1.5}", -EINVAL, "rms_norm_eps is 1.5:");
	expect_config("{" SIZES ",\"rms_norm_eps\":1e-30}", 0, "");
	expect_config("{\"model_type\":\"llama\"}", -EINVAL, "hidden_size is missing");
	expect_config("{", -EINVAL, "config.json: ");
	expect_config("[]", -EINVAL, "not a JSON object");
	expect_config("", -EINVAL, "config.json: ");
}

static void rope_kinds(void **state)
{
	static const char text[] =
		"{" SIZES ",\"rope_theta\":500000.0,\"eos_token_id\":[7,8],\"bos_token_id\":3,"
		"\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":32.0,\"low_freq_factor\":1."
		"0,"
		"\"high_freq_factor\":4.0,\"original_max_position_embeddings\":8192}}";
	static const char newer[] = "{" SIZES ",\"rope_parameters\":{\"rope_theta\":5000.0,"
				    "\"rope_type\":\"linear\",\"factor\":4}}";
	static const char generation[] = "{\"eos_token_id\":9,\"temperature\":0.6}";
	struct aipu_message message = { "" };
	struct compile_shape s;

	(void)state;
	assert_int_equal(hf_config_parse("c", text, strlen(text), &s, &message), 0);
	assert_int_equal(s.rope, COMPILE_ROPE_LLAMA3);
	assert_true(s.rope_factor == 32.0 && s.rope_low == 1.0 && s.rope_high == 4.0 &&
		    s.rope_positions == 8192 && s.rope_theta == 500000.0);
	assert_true(s.bos_id == 3 && s.stop_count == 2 && s.stop_ids[1] == 8);
	assert_int_equal(hf_generation_parse("g", generation, strlen(generation), &s, &message), 0);
	assert_true(s.bos_id == 3 && s.stop_count == 1 && s.stop_ids[0] == 9);
	assert_int_equal(hf_config_parse("c", newer, strlen(newer), &s, &message), 0);
	assert_true(s.rope == COMPILE_ROPE_LINEAR && s.rope_factor == 4.0 &&
		    s.rope_theta == 5000.0);
}

/* --- the directory --- */

static void replace_in_file(const char *directory, const char *name, const char *from,
			    const char *to)
{
	char *path = path_of(directory, name), *at;
	size_t size;
	char *text = test_read_file(path, &size);

	assert_non_null(text);
	assert_int_equal(strlen(from), strlen(to));
	at = memmem(text, size, from, strlen(from));
	assert_non_null(at);
	memcpy(at, to, strlen(to));
	assert_int_equal(test_write_file(path, text, size), 0);
	free(text);
	free(path);
}

static char *make_hf(const char *dtype, unsigned int shards)
{
	struct tiny_model *model = tiny_model_new(true);
	char *directory = test_make_temp_dir();

	assert_int_equal(tiny_model_write_hf(model, directory, &(struct tiny_hf){ dtype, shards }),
			 0);
	tiny_model_free(model);
	return directory;
}

static void drop_hf(char *directory)
{
	test_remove_tree(directory);
	free(directory);
}

static void remove_file(const char *directory, const char *name)
{
	char *path = path_of(directory, name);

	assert_int_equal(unlink(path), 0);
	free(path);
}

/* model.safetensors of one tensor of `bytes` elements of one byte */
static void write_tensor(const char *directory, const char *name, const char *dtype, size_t bytes)
{
	uint8_t file[512] = { 0 };
	uint64_t length;
	int n = snprintf((char *)file + 8, sizeof(file) - 8,
			 "{\"%s\":{\"dtype\":\"%s\",\"shape\":[%zu],\"data_offsets\":[0,%zu]}}",
			 name, dtype, bytes, bytes);

	assert_true(n > 0 && (size_t)n + 8 + bytes <= sizeof(file));
	length = (uint64_t)n;
	memcpy(file, &length, sizeof(length));
	write_file(directory, "model.safetensors", file, 8 + (size_t)n + bytes);
}

static void bad_directories(void **state)
{
	static const char index[] = "model.safetensors.index.json";
	static const char lfs[] = "version https://git-lfs.github.com/spec/v1\noid sha256:0\n";
	static const char number[] = "{\"weight_map\":{\"model.embed_tokens.weight\":7}}";
	char *d = make_hf("F16", 0);

	(void)state;
	expect_open(d, 0, "");
	replace_in_file(d, "model.safetensors", "layers.1.mlp.up_proj", "layers.1.mlp.xx_proj");
	expect_open(d, -EINVAL, "tensor model.layers.1.mlp.up_proj.weight is missing");
	drop_hf(d);

	d = make_hf("F16", 0);
	replace_in_file(d, "model.safetensors", "\"F16\"", "\"I16\"");
	expect_open(d, -EINVAL, "has dtype I16: F32, F16 or BF16 is expected");
	drop_hf(d);

	/* The dtype first: quantized tensors have shapes of their own. */
	d = make_hf("F16", 0);
	write_tensor(d, "model.embed_tokens.weight", "I8", 3);
	expect_open(d, -EINVAL, "model.embed_tokens.weight has dtype I8: F32, F16 or BF16");
	write_file(d, "model.safetensors", lfs, strlen(lfs));
	expect_open(d, -EINVAL, "model.safetensors: a git-lfs pointer, not the file itself");
	drop_hf(d);

	d = make_hf("F32", 0);
	write_file(d, "config.json", "{" SIZES "}", strlen("{" SIZES "}"));
	replace_in_file(d, "config.json", "\"intermediate_size\":44", "\"intermediate_size\":45");
	expect_open(d, -EINVAL, "has shape [44, 32], the configuration asks for [45, 32]");
	/* Fewer layers than there are: the rest may not be ignored. */
	replace_in_file(d, "config.json", "\"intermediate_size\":45", "\"intermediate_size\":44");
	replace_in_file(d, "config.json", "\"num_hidden_layers\":2", "\"num_hidden_layers\":1");
	expect_open(d, -ENOTSUP, "tensor model.layers.1.");
	replace_in_file(d, "config.json", "\"num_attention_heads\":4", "\"num_attention_heads\":3");
	expect_open(d, -EINVAL, "head_dim");
	remove_file(d, "config.json");
	expect_open(d, -ENOENT, "config.json: No such file");
	drop_hf(d);

	d = make_hf("BF16", 0);
	remove_file(d, "model.safetensors");
	expect_open(d, -ENOENT, "neither model.safetensors nor");
	drop_hf(d);

	d = make_hf("BF16", 3);
	expect_open(d, 0, "");
	replace_in_file(d, index, "model.norm.weight", "model.norm.xeight");
	expect_open(d, -EINVAL, "model.norm.weight is missing in the index");
	drop_hf(d);

	d = make_hf("BF16", 3);
	write_file(d, index, "{\"weight_map\":{\"model.embed_tokens.weight\":\"../x\"}}", 51);
	expect_open(d, -EINVAL, "a file name is expected");
	write_file(d, index, number, strlen(number));
	expect_open(d, -EINVAL, "model.embed_tokens.weight has no file name in the index");
	write_file(d, index, "{}", 2);
	expect_open(d, -EINVAL, "no weight_map");
	drop_hf(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats_agree),       cmocka_unit_test(bad_llama2c),
		cmocka_unit_test(shrinking_file),      cmocka_unit_test(bad_safetensors),
		cmocka_unit_test(safetensors_lengths), cmocka_unit_test(bad_configs),
		cmocka_unit_test(rope_kinds),	       cmocka_unit_test(bad_directories),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
