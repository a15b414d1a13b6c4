// SPDX-License-Identifier: MIT
/*
 * See safetensors.h. Called by the Hugging Face source and its fuzz target. It reads the header only.
 */
#include "safetensors.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "input.h"

/* A model of a thousand tensors has 100 KB; a parsed header takes many times its length. */
#define HEADER_LIMIT (8u << 20)

static const struct {
	char name[8];
	uint32_t bytes;
} dtypes[] = {
	{ "F32", 4 }, { "F16", 2 }, { "BF16", 2 }, { "F64", 8 },     { "I64", 8 },
	{ "I32", 4 }, { "I16", 2 }, { "I8", 1 },   { "U8", 1 },	     { "U16", 2 },
	{ "U32", 4 }, { "U64", 8 }, { "BOOL", 1 }, { "F8_E4M3", 1 }, { "F8_E5M2", 1 },
};

static int tensor_parse(const char *path, const char *name, const json_t *entry,
			uint64_t data_bytes, struct safetensors_tensor *t,
			struct aipu_message *message)
{
	const char *dtype = json_string_value(json_object_get(entry, "dtype"));
	const json_t *shape = json_object_get(entry, "shape");
	const json_t *offsets = json_object_get(entry, "data_offsets");
	const json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
	json_int_t begin = json_integer_value(first), end = json_integer_value(last);
	uint64_t bytes;
	size_t i;

	if (!dtype || !json_is_array(shape) || json_array_size(shape) > SAFETENSORS_MAX_RANK ||
	    json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(last))
		return compile_fail(message, -EINVAL,
				    "%s: tensor %.200s: dtype, shape (at most %u numbers) and two "
				    "data_offsets are expected",
				    path, name, SAFETENSORS_MAX_RANK);
	for (i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++)
		if (!strcmp(dtype, dtypes[i].name))
			break;
	if (i == sizeof(dtypes) / sizeof(dtypes[0]))
		return compile_fail(message, -EINVAL, "%s: tensor %.200s: unknown dtype %.50s",
				    path, name, dtype);
	t->dtype = dtypes[i].name;
	t->element_bytes = dtypes[i].bytes;
	bytes = t->element_bytes;
	t->rank = (uint32_t)json_array_size(shape);
	for (i = 0; i < t->rank; i++) {
		const json_t *dim = json_array_get(shape, i);

		t->dims[i] = (uint64_t)json_integer_value(dim);
		if (!json_is_integer(dim) || json_integer_value(dim) < 0 ||
		    __builtin_mul_overflow(bytes, t->dims[i], &bytes))
			return compile_fail(message, -EINVAL,
					    "%s: tensor %.200s: shape out of range", path, name);
	}
	if (begin < 0 || end < begin || (uint64_t)end > data_bytes)
		return compile_fail(message, -EINVAL,
				    "%s: tensor %.200s: data_offsets %lld to %lld are out of "
				    "range, there are %llu bytes%s",
				    path, name, (long long)begin, (long long)end,
				    (unsigned long long)data_bytes,
				    begin >= 0 && end >= begin ? ": is the file cut short?" : "");
	t->offset = (uint64_t)begin;
	t->bytes = (uint64_t)end - t->offset;
	if (t->bytes != bytes)
		return compile_fail(message, -EINVAL,
				    "%s: tensor %.200s: its shape asks for %llu bytes, its "
				    "data_offsets hold %llu",
				    path, name, (unsigned long long)bytes,
				    (unsigned long long)t->bytes);
	return 0;
}

static int compare_offset(const void *a, const void *b)
{
	const struct safetensors_tensor *x = a, *y = b;

	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

static int compare_name(const void *a, const void *b)
{
	return strcmp(((const struct safetensors_tensor *)a)->name,
		      ((const struct safetensors_tensor *)b)->name);
}

/* Side by side from the first byte to the last */
static int check_coverage(const char *path, const struct safetensors *file, uint64_t data_bytes,
			  struct aipu_message *message)
{
	uint64_t end = 0;
	size_t i;

	for (i = 0; i < file->count; i++) {
		const struct safetensors_tensor *t = &file->tensors[i];

		if (t->offset < end)
			return compile_fail(message, -EINVAL,
					    "%s: tensors %.200s and %.200s overlap", path,
					    file->tensors[i - 1].name, t->name);
		if (t->offset > end)
			return compile_fail(
				message, -EINVAL,
				"%s: %llu bytes before tensor %.200s belong to no tensor", path,
				(unsigned long long)(t->offset - end), t->name);
		end = t->offset + t->bytes;
	}
	if (end != data_bytes)
		return compile_fail(message, -EINVAL,
				    "%s: %llu bytes after the last tensor belong to none", path,
				    (unsigned long long)(data_bytes - end));
	return 0;
}

static int header_parse(const char *path, const json_t *root, uint64_t data_begin,
			uint64_t data_bytes, struct safetensors *file, struct aipu_message *message)
{
	const char *name;
	json_t *entry;
	size_t i;
	int err = 0;

	file->tensors = calloc(json_object_size(root) + 1, sizeof(*file->tensors));
	if (!file->tensors)
		return -ENOMEM;
	json_object_foreach((json_t *)root, name, entry)
	{
		struct safetensors_tensor *t = &file->tensors[file->count];

		if (!strcmp(name, "__metadata__"))
			continue;
		err = tensor_parse(path, name, entry, data_bytes, t, message);
		if (err)
			return err;
		t->name = strdup(name);
		if (!t->name)
			return -ENOMEM;
		file->count++;
	}
	qsort(file->tensors, file->count, sizeof(*file->tensors), compare_offset);
	err = check_coverage(path, file, data_bytes, message);
	for (i = 0; i < file->count; i++)
		file->tensors[i].offset += data_begin;
	qsort(file->tensors, file->count, sizeof(*file->tensors), compare_name);
	return err;
}

/* The header's text, malloc'ed; its length in *length */
static int header_load(const char *path, int fd, uint64_t file_bytes, char **text, uint64_t *length,
		       struct aipu_message *message)
{
	int err;

	if (file_bytes < sizeof(*length))
		return compile_fail(message, -EINVAL, "%s: not a safetensors file: only %llu bytes",
				    path, (unsigned long long)file_bytes);
	err = input_read(fd, length, sizeof(*length), 0);
	if (!err && (*length > HEADER_LIMIT || *length > file_bytes - sizeof(*length)))
		return compile_fail(message, -EINVAL,
				    "%s: not a safetensors file, or truncated: header of %llu "
				    "bytes in a file of %llu",
				    path, (unsigned long long)*length,
				    (unsigned long long)file_bytes);
	if (!err) {
		*text = malloc(*length + 1);
		err = *text ? input_read(fd, *text, *length, sizeof(*length)) : -ENOMEM;
	}
	return err ? compile_fail(message, err, "%s: %s", path, strerror(-err)) : 0;
}

int safetensors_open(const char *path, struct safetensors *file, struct aipu_message *message)
{
	uint64_t file_bytes, length = 0, data_begin;
	json_error_t error;
	char *text = NULL;
	json_t *root = NULL;
	int err;

	memset(file, 0, sizeof(*file));
	file->fd = input_open(path, &file_bytes, message);
	if (file->fd < 0)
		return file->fd;
	err = header_load(path, file->fd, file_bytes, &text, &length, message);
	if (!err) {
		root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
		if (!json_is_object(root))
			err = compile_fail(message, -EINVAL, "%s: header: %s", path,
					   root ? "not a JSON object" : error.text);
	}
	free(text);
	if (!err) {
		data_begin = sizeof(length) + length;
		err = header_parse(path, root, data_begin, file_bytes - data_begin, file, message);
		if (err == -ENOMEM)
			compile_fail(message, err, "%s: %s", path, strerror(ENOMEM));
	}
	json_decref(root);
	if (err)
		safetensors_close(file);
	return err;
}

void safetensors_close(struct safetensors *file)
{
	size_t i;

	for (i = 0; i < file->count; i++)
		free(file->tensors[i].name);
	free(file->tensors);
	if (file->fd >= 0)
		close(file->fd);
	memset(file, 0, sizeof(*file));
	file->fd = -1;
}

const struct safetensors_tensor *safetensors_find(const struct safetensors *file, const char *name)
{
	const struct safetensors_tensor key = { .name = (char *)name };

	return file->count ? bsearch(&key, file->tensors, file->count, sizeof(*file->tensors),
				     compare_name)
			   : NULL;
}
