/* SPDX-License-Identifier: MIT */
/*
 * Inside the compiler: what its sources share: opening and reading checkpoint files.
 */
#ifndef AIPU_COMPILE_INPUT_H
#define AIPU_COMPILE_INPUT_H

#include "compiler.h"
#include "graph.h" /* tensor_rows, tensor_columns */

/*
 * Opens a regular file for reading. Returns the descriptor, or -errno with one line in *message; *bytes is
 * the file's length.
 */
int input_open(const char *path, uint64_t *bytes, struct aipu_message *message);
/* Exactly `bytes` bytes at offset; -ENODATA when the file ends before */
int input_read(int fd, void *to, size_t bytes, uint64_t offset);
/* A whole small file and a zero byte; malloc'ed. -EFBIG above `limit` */
int input_load(const char *path, size_t limit, char **text, size_t *bytes,
	       struct aipu_message *message);
/* Whether any container could be made of the shape; else -EINVAL, with the path in the line */
int input_check(const char *path, const struct compile_shape *shape, struct aipu_message *message);
/* The last component of a path, without trailing slashes; with `strip`, without its extension */
void input_name(const char *path, bool strip, char *name, size_t bytes);

#endif
