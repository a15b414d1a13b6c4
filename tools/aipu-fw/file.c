// SPDX-License-Identifier: MIT
/*
 * What the commands of aipu-fw share: one-line errors, files read whole and written whole or not at all. Never writes
 * to anything but a regular file.
 */
#include "fw.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int fw_fail_file(const char *path, int err)
{
	return fw_fail(cli_exit_code(err), "%s: %s", path, strerror(-err));
}

int fw_bad_value(const char *option, const char *value, const char *right)
{
	return fw_fail(CLI_USAGE, "--%s '%s': %s is expected", option, value, right);
}

int fw_other_option(int c, char **argv)
{
	if (c == 'h')
		fw_help();
	return cli_bad_option(FW_TOOL, argv[0], c, argv);
}

void *fw_read_file(const char *path, size_t limit, size_t *bytes, int *code)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = NULL;

	if (!file) {
		*code = fw_fail_file(path, -errno);
		return NULL;
	}
	data = malloc(limit + 1);
	if (!data) {
		*code = fw_fail_file(path, -ENOMEM);
		goto fail;
	}
	*bytes = fread(data, 1, limit + 1, file);
	if (ferror(file)) {
		*code = fw_fail_file(path, -errno);
		goto fail;
	}
	if (*bytes > limit) {
		*code = fw_fail(CLI_FAILED, "%s: larger than the %zu bytes that are permitted",
				path, limit);
		goto fail;
	}
	fclose(file);
	return data;
fail:
	fclose(file);
	free(data);
	return NULL;
}

static const char *kind_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a directory";
	case S_IFCHR:
	case S_IFBLK:
		return "a device";
	case S_IFIFO:
		return "a pipe";
	case S_IFSOCK:
		return "a socket";
	default:
		return "a symbolic link to nothing";
	}
}

/*
 * The name that the image is renamed to. A rename would replace whatever has the name, so that is a
 * regular file or nothing; of a symbolic link it is the target. An exit code after a message.
 */
static int output_name(const char *path, char **name)
{
	struct stat status;

	*name = NULL;
	if (!strcmp(path, "-"))
		return fw_fail(CLI_USAGE,
			       "-o -: a file name is expected, an image is not written to standard "
			       "output (./- is a file)");
	if (lstat(path, &status)) {
		if (errno != ENOENT)
			return fw_fail_file(path, -errno);
		*name = strdup(path);
		return *name ? CLI_OK : fw_fail_file(path, -ENOMEM);
	}
	if (S_ISLNK(status.st_mode) && stat(path, &status) && errno != ENOENT)
		return fw_fail_file(path, -errno);
	if (!S_ISREG(status.st_mode))
		return fw_fail(CLI_FAILED, "%s: is %s; a regular file or a new name is expected",
			       path, kind_name(status.st_mode));
	*name = realpath(path, NULL);
	return *name ? CLI_OK : fw_fail_file(path, -errno);
}

int fw_write_file(const char *path, const void *data, size_t bytes)
{
	char *name, *part = NULL;
	FILE *file = NULL;
	int err = 0, code = output_name(path, &name);

	if (code)
		return code;
	if (asprintf(&part, "%s.part.%ld", name, (long)getpid()) < 0) {
		free(name);
		return fw_fail_file(path, -ENOMEM);
	}
	file = fopen(part, "wb");
	if (!file)
		err = -errno;
	if (!err && bytes && fwrite(data, bytes, 1, file) != 1)
		err = -errno;
	if (file && fclose(file) && !err)
		err = -errno;
	if (!err && rename(part, name))
		err = -errno;
	if (err && file)
		unlink(part);
	free(part);
	free(name);
	return err ? fw_fail_file(path, err) : CLI_OK;
}
