// SPDX-License-Identifier: MIT
/* Which cards there are: nodes that the driver has made. Opens none of them. */
#include "update.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NODES "/dev/accel"
#define DRIVER "aipu_accel"

static bool is_ours(const char *name)
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *last;
	ssize_t bytes;

	snprintf(path, sizeof(path), "/sys/class/accel/%s/device/driver", name);
	bytes = readlink(path, target, sizeof(target) - 1);
	target[bytes > 0 ? bytes : 0] = '\0';
	last = strrchr(target, '/');
	return last && !strcmp(last + 1, DRIVER);
}

static int by_number(const void *a, const void *b)
{
	return atoi((const char *)a + strlen("accel")) - atoi((const char *)b + strlen("accel"));
}

int fw_cards(char (**names)[16], size_t *count)
{
	DIR *directory = opendir(NODES);
	const struct dirent *entry;
	int number, end, err = 0;

	*names = NULL;
	*count = 0;
	if (!directory)
		return errno == ENOENT ? 0 : -errno;
	while (!err && (entry = readdir(directory))) {
		char(*more)[16];

		end = 0;
		if (sscanf(entry->d_name, "accel%9d%n", &number, &end) != 1 || entry->d_name[end] ||
		    !is_ours(entry->d_name))
			continue;
		more = realloc(*names, (*count + 1) * sizeof(*more));
		if (more) {
			*names = more;
			snprintf(more[(*count)++], sizeof(*more), "accel%d", number);
		} else {
			err = -ENOMEM;
		}
	}
	closedir(directory);
	if (*count)
		qsort(*names, *count, sizeof(**names), by_number);
	return err;
}
