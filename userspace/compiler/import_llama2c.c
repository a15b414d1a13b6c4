// SPDX-License-Identifier: MIT
/*
 * Source: checkpoints of llama2.c, version 0: seven 32-bit integers, then all tensors as binary32, layer by layer
 * for each kind. Called through compile_open(). The header is checked against the file's length, so what is
 * read later lies in the file.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "input.h"

#define HEADER_BYTES 28u
#define MAGIC_LATER 0x616b3432u /* "ak42": versions 1 and 2 begin with it */

/* Order in the file. The two tables of RoPE that follow NORM_FINAL are not used. */
static const enum compile_tensor file_order[] = {
	COMPILE_EMBEDDING,  COMPILE_NORM_ATTENTION, COMPILE_WQ,	  COMPILE_WK,	COMPILE_WV,
	COMPILE_WO,	    COMPILE_NORM_FFN,	    COMPILE_GATE, COMPILE_DOWN, COMPILE_UP,
	COMPILE_NORM_FINAL, COMPILE_CLASSIFIER,
};

struct llama2c {
	int fd;
	uint64_t offset[COMPILE_TENSORS];
};

static int llama2c_read(const struct compile_source *source, enum compile_tensor tensor,
			uint32_t layer, uint32_t row, uint32_t count, float *to)
{
	const struct llama2c *file = source->data;
	const struct compile_shape *s = &source->shape;
	uint64_t columns = tensor_columns(s, tensor), rows = tensor_rows(s, tensor);
	uint64_t row_bytes = columns * sizeof(float);
	uint64_t first = file->offset[tensor] + layer * rows * row_bytes;
	uint32_t half = s->head_dim / 2, i;
	int err = 0;

	if (tensor != COMPILE_WQ && tensor != COMPILE_WK)
		return input_read(file->fd, to, count * row_bytes, first + row * row_bytes);
	/* The file pairs rows 2i and 2i + 1 of a head, the device rows i and i + half. */
	for (i = 0; !err && i < count; i++) {
		uint32_t in_head = (row + i) % s->head_dim, head = row + i - in_head;
		uint64_t from = in_head < half ? in_head * 2 : (in_head - half) * 2 + 1;

		err = input_read(file->fd, to + i * columns, row_bytes,
				 first + (head + from) * row_bytes);
	}
	return err;
}

static void llama2c_close(struct compile_source *source)
{
	struct llama2c *file = source->data;

	close(file->fd);
	free(file);
	source->data = NULL;
}

/* What people have of a model in other formats, told by its first bytes; NULL: none of them */
static const char *other_format(const uint8_t bytes[HEADER_BYTES])
{
	if (!memcmp(bytes, "GGUF", 4))
		return "a GGUF file, which is not read: name the Hugging Face directory that it was made from";
	if (!memcmp(bytes, "PK\3\4", 4))
		return "a file of PyTorch or another archive, which is not read: name a directory with safetensors";
	/* JSON, or safetensors: JSON behind its length, which has 8 bytes */
	if (bytes[0] == '{' || (!memcmp(bytes + 5, "\0\0", 3) && bytes[8] == '{'))
		return "no checkpoint of llama2.c; of a Hugging Face model name the directory, not a file in it";
	return NULL;
}

static int header_check(const char *path, const uint8_t *bytes, struct compile_shape *s,
			struct aipu_message *message)
{
	static const char *const names[] = { "dim",	   "hidden_dim", "n_layers", "n_heads",
					     "n_kv_heads", "vocab_size", "seq_len" };
	int32_t v[7];
	uint32_t magic;
	int i;

	memcpy(&magic, bytes, sizeof(magic));
	if (magic == MAGIC_LATER)
		return compile_fail(message, -EINVAL,
				    "%s: a llama2.c checkpoint of a later version: version 0 is "
				    "supported (export it with --version 0)",
				    path);
	memcpy(v, bytes, sizeof(v));
	/* A negative vocabulary says that the classifier has weights of its own. */
	s->tied = v[5] > 0;
	if (v[5] < 0 && v[5] > -INT32_MAX)
		v[5] = -v[5];
	for (i = 0; i < 7; i++)
		if (v[i] <= 0 || v[i] > 1 << 24)
			return compile_fail(message, -EINVAL,
					    "%s: not a llama2.c checkpoint: %s in its header is %d",
					    path, names[i], v[i]);
	if (v[0] % v[3])
		return compile_fail(
			message, -EINVAL,
			"%s: not a llama2.c checkpoint: dim %d is not a multiple of n_heads %d",
			path, v[0], v[3]);
	s->dim = (uint32_t)v[0];
	s->hidden_dim = (uint32_t)v[1];
	s->layers = (uint32_t)v[2];
	s->heads = (uint32_t)v[3];
	s->kv_heads = (uint32_t)v[4];
	s->vocabulary = (uint32_t)v[5];
	s->positions = (uint32_t)v[6];
	s->head_dim = s->dim / s->heads;
	s->norm_epsilon = 1e-5f;
	s->rope_theta = 10000.0;
	s->bos_id = 1;
	s->stop_count = 2;
	s->stop_ids[0] = 1;
	s->stop_ids[1] = 2;
	return 0;
}

/* Places of the tensors; the file's length follows from them. */
static uint64_t lay_out(struct llama2c *file, const struct compile_shape *s)
{
	uint64_t at = HEADER_BYTES;
	size_t i;

	for (i = 0; i < sizeof(file_order) / sizeof(file_order[0]); i++) {
		enum compile_tensor t = file_order[i];
		uint64_t bytes = (uint64_t)tensor_rows(s, t) * tensor_columns(s, t) * sizeof(float);

		if (t == COMPILE_CLASSIFIER) {
			at += (uint64_t)s->positions * s->head_dim * sizeof(float);
			if (s->tied)
				break;
		}
		file->offset[t] = at;
		at += t == COMPILE_EMBEDDING || t == COMPILE_NORM_FINAL || t == COMPILE_CLASSIFIER
			      ? bytes
			      : bytes * s->layers;
	}
	return at;
}

int compile_open_llama2c(const char *path, struct compile_source *source,
			 struct aipu_message *message)
{
	uint8_t header[HEADER_BYTES] = { 0 };
	struct llama2c *file;
	uint64_t bytes, expected;
	const char *other;
	int err, fd;

	memset(source, 0, sizeof(*source));
	fd = input_open(path, &bytes, message);
	if (fd < 0)
		return fd;
	err = input_read(fd, header, bytes < HEADER_BYTES ? bytes : HEADER_BYTES, 0);
	other = err ? NULL : other_format(header);
	if (other)
		err = compile_fail(message, -EINVAL, "%s: %s", path, other);
	else if (!err && bytes < HEADER_BYTES)
		err = compile_fail(message, -EINVAL,
				   "%s: not a llama2.c checkpoint: only %llu bytes", path,
				   (unsigned long long)bytes);
	if (!err)
		err = header_check(path, header, &source->shape, message);
	/* Bounds every product of sizes below 2^64. */
	if (!err)
		err = input_check(path, &source->shape, message);
	file = err ? NULL : calloc(1, sizeof(*file));
	if (!file) {
		close(fd);
		return err ? err : -ENOMEM;
	}
	expected = lay_out(file, &source->shape);
	if (bytes != expected) {
		close(fd);
		free(file);
		return compile_fail(message, -EINVAL,
				    "%s: %llu bytes, but its header (version 0) asks for %llu",
				    path, (unsigned long long)bytes, (unsigned long long)expected);
	}
	file->fd = fd;
	source->data = file;
	source->read = llama2c_read;
	source->close = llama2c_close;
	input_name(path, true, source->name, sizeof(source->name));
	memcpy(source->kind, "llama2.c", sizeof("llama2.c"));
	return 0;
}
