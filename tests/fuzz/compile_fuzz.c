// SPDX-License-Identifier: MIT
/*
 * See compile_fuzz.h.
 */
#include "compile_fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void fuzz_require(int condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "violated: %s\n", what);
	abort();
}

int fuzz_file(const void *data, size_t size, char path[FUZZ_PATH_BYTES])
{
	static int fd = -1; /* one for all inputs: making one takes longer than most inputs */

	if (fd < 0)
		fd = memfd_create("input", MFD_CLOEXEC);
	fuzz_require(fd >= 0 && !ftruncate(fd, 0), "a file in memory");
	fuzz_require(pwrite(fd, data, size, 0) == (ssize_t)size, "a file in memory");
	snprintf(path, FUZZ_PATH_BYTES, "/proc/self/fd/%d", fd);
	return fd;
}
