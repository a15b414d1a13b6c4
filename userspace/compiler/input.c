// SPDX-License-Identifier: MIT
/*
 * Opening and reading of checkpoint files, for the sources; and the choice between them. Files are read, not
 * mapped: one that shrinks meanwhile is an error and no signal.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "input.h"

/* A checkout without git-lfs has short texts where the large files should be. */
static bool is_lfs_pointer(int fd)
{
	static const char begin[] = "version https://git-lfs";
	char text[sizeof(begin) - 1];

	return !input_read(fd, text, sizeof(text), 0) && !memcmp(text, begin, sizeof(text));
}

int input_open(const char *path, uint64_t *bytes, struct aipu_message *message)
{
	/* Non-blocking: opening a pipe must not wait for its writer. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err;
	struct stat st;

	if (fd < 0) {
		err = -errno;
		return compile_fail(message, err, "%s: %s", path, strerror(-err));
	}
	err = fstat(fd, &st) ? -errno : 0;
	if (!err && !S_ISREG(st.st_mode))
		err = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	if (err) {
		close(fd);
		return compile_fail(message, err, "%s: %s", path,
				    err == -EINVAL ? "not a regular file" : strerror(-err));
	}
	if (is_lfs_pointer(fd)) {
		close(fd);
		return compile_fail(message, -EINVAL,
				    "%s: a git-lfs pointer, not the file itself: 'git lfs pull' "
				    "fetches it",
				    path);
	}
	*bytes = (uint64_t)st.st_size;
	return fd;
}

int input_read(int fd, void *to, size_t bytes, uint64_t offset)
{
	uint8_t *at = to;

	while (bytes) {
		ssize_t n = pread(fd, at, bytes, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENODATA;
		at += n;
		offset += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

int input_load(const char *path, size_t limit, char **text, size_t *bytes,
	       struct aipu_message *message)
{
	uint64_t length;
	int fd = input_open(path, &length, message), err;

	if (fd < 0)
		return fd;
	if (length > limit) {
		close(fd);
		return compile_fail(message, -EFBIG, "%s: %llu bytes, at most %zu are expected",
				    path, (unsigned long long)length, limit);
	}
	*text = malloc(length + 1);
	err = *text ? input_read(fd, *text, length, 0) : -ENOMEM;
	close(fd);
	if (err) {
		free(*text);
		*text = NULL;
		return compile_fail(message, err, "%s: %s", path, strerror(-err));
	}
	(*text)[length] = '\0';
	*bytes = length;
	return 0;
}

void input_name(const char *path, bool strip, char *name, size_t bytes)
{
	size_t end = strlen(path), begin, length;
	const char *dot;

	while (end > 1 && path[end - 1] == '/')
		end--;
	begin = end;
	while (begin && path[begin - 1] != '/')
		begin--;
	length = end - begin;
	if (length >= bytes)
		length = bytes - 1;
	memcpy(name, path + begin, length);
	name[length] = '\0';
	dot = strip ? strrchr(name, '.') : NULL;
	if (dot && dot != name)
		name[dot - name] = '\0';
	/* It becomes part of JSON text and of messages. */
	for (begin = 0; name[begin]; begin++)
		if (name[begin] < ' ' || name[begin] > '~')
			name[begin] = '_';
}

int input_check(const char *path, const struct compile_shape *shape, struct aipu_message *message)
{
	struct compile_options defaults = { .precision = AIPU_PRECISION_INT8 };
	struct aipu_message why = { "" };
	int err = compile_check(shape, &defaults, &why);

	return err ? compile_fail(message, err, "%.200s: %.250s", path, why.text) : 0;
}

int compile_open(const char *path, struct compile_source *source, struct aipu_message *message)
{
	struct stat st;

	if (stat(path, &st)) {
		int err = -errno;

		return compile_fail(message, err, "%s: %s", path, strerror(-err));
	}
	return S_ISDIR(st.st_mode) ? compile_open_hf(path, source, message)
				   : compile_open_llama2c(path, source, message);
}
