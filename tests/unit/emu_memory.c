// SPDX-License-Identifier: MIT
/*
 * A guest's memory and the counts of what this process holds. Called by test_emu_*.c.
 */
#include "emu_memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

void memory_open(struct memory *memory, size_t bytes)
{
	memory->size = bytes;
	memory->fd = memfd_create("guest", MFD_CLOEXEC);
	assert_true(memory->fd >= 0);
	assert_int_equal(ftruncate(memory->fd, (off_t)bytes), 0);
	memory->bytes = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory->fd, 0);
	assert_true(memory->bytes != MAP_FAILED);
}

void memory_close(struct memory *memory)
{
	munmap(memory->bytes, memory->size);
	close(memory->fd);
}

int memory_fd(const struct memory *memory)
{
	int fd = dup(memory->fd);

	assert_true(fd >= 0);
	return fd;
}

int open_again(const char *path, bool write)
{
	int fd = open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

unsigned int open_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned int count = 0;

	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

unsigned int mappings(void)
{
	FILE *file = fopen("/proc/self/maps", "r");
	unsigned int count = 0;
	int byte;

	assert_non_null(file);
	while ((byte = fgetc(file)) != EOF)
		count += byte == '\n';
	fclose(file);
	return count;
}
