// SPDX-License-Identifier: MIT
/* See root.h. */
#include "root.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

const char *cards_root(void)
{
	const char *root = secure_getenv("AIPU_TEST_ROOT");

	return root ? root : "";
}

static void path_of(char path[PATH_MAX], const char *format, va_list args)
{
	int used = snprintf(path, PATH_MAX, "%s", cards_root());

	if (used < PATH_MAX)
		vsnprintf(path + used, (size_t)(PATH_MAX - used), format, args);
}

void cards_path(char path[PATH_MAX], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	path_of(path, format, args);
	va_end(args);
}

bool cards_read_line(char *line, size_t bytes, const char *format, ...)
{
	char path[PATH_MAX];
	va_list args;
	FILE *in;
	bool read;

	va_start(args, format);
	path_of(path, format, args);
	va_end(args);
	line[0] = '\0';
	in = fopen(path, "re");
	if (!in)
		return false;
	read = fgets(line, (int)bytes, in);
	fclose(in);
	line[strcspn(line, "\n")] = '\0';
	return read;
}

void cards_link_name(char *name, size_t bytes, const char *format, ...)
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *last;
	ssize_t count;
	va_list args;

	va_start(args, format);
	path_of(path, format, args);
	va_end(args);
	count = readlink(path, target, sizeof(target) - 1);
	target[count > 0 ? count : 0] = '\0';
	last = strrchr(target, '/');
	snprintf(name, bytes, "%.*s", (int)bytes - 1, last ? last + 1 : target);
}

void cards_kernel(char *release, size_t bytes)
{
	struct utsname name;

	if (!cards_read_line(release, bytes, "/proc/sys/kernel/osrelease") && !cards_root()[0] &&
	    !uname(&name))
		snprintf(release, bytes, "%s", name.release);
	if (strchr(release, '/'))
		release[0] = '\0';
}

/* The node has a directory of its own below the function's */
int cards_node_index(const char *pci)
{
	const struct dirent *entry;
	char path[PATH_MAX];
	DIR *directory;
	int found = -1;

	cards_path(path, "/sys/bus/pci/devices/%s/accel", pci);
	directory = opendir(path);
	while (directory && (entry = readdir(directory))) {
		int index, end = 0;

		if (sscanf(entry->d_name, "accel%9d%n", &index, &end) == 1 && !entry->d_name[end])
			found = index;
	}
	if (directory)
		closedir(directory);
	return found;
}
